"""Recipes of energy-based models: restricted Boltzmann machines on digits.

The likelihood needs log Z, which annealing estimates (`RBM.ais`): it is reported with its interval, and by a second
walk in the other direction, which errs upwards where the first errs downwards.
"""
import math

import numpy as np

import minigen as mg
from minigen import data
from minigen.models.energy import RBM
from minigen.recipes.evaluation import progress
from minigen.recipes.recipe import Recipe, Target
from minigen.recipes.sets import fixed_digits, fixed_mnist
from minigen.training import SGD, schedules

PAPER = "Salakhutdinov and Murray 2008, 500 hidden units, AIS with 100 chains; quoted from memory"
UNIT = data.on(x=data.to_unit)                    # images of 0 and 255 become bits
CHAINS, SETTLE = 100, 2000                        # of AIS; Gibbs steps before the walk back


def build(k, persistent=0):
    """rng -> an RBM 784 × 500 trained by CD-k or PCD, whose visible biases start at the log-odds of the bundled
    digits."""
    def make(rng):
        model = RBM((28, 28, 1), 500, k, persistent, rng=rng)
        model.set_bias(_means())
        return model

    return make


def _means():
    return mg.tensor(data.to_unit(data.digits("train")["x"]))


def base_biases():
    """The biases of the first RBM of the annealing path: the log-odds of the bundled digits' mean pixels, (784,)."""
    model = RBM((28, 28, 1), 1)
    model.set_bias(_means())
    return model.visible_bias.detach()


def evaluate(betas=None, settle=SETTLE):
    """An evaluation by `RBM.ais` with 100 chains, and the 14,500 temperatures of its paper unless others are given.

    Figures: the mean of log p(x) over the test images; its ends when log Z is moved by three standard errors, from the
    logarithm of the estimate of Z plus and minus three of *its* standard errors as the paper has it; log Z; and log Z
    by the walk back, from chains that start at test images and take ``settle`` Gibbs steps.
    """
    def run(model, loader, rng):
        base, starts = base_biases(), []
        forth, error = model.ais(CHAINS, betas, base, rng=rng)
        F = []
        with mg.no_grad():
            for batch in progress(loader, "evaluating"):
                F.append(model.energy(batch["x"]).numpy())
                starts.append(batch["x"])
            start = mg.reshape(mg.concatenate(starts)[:CHAINS], (-1, model.weight.shape[0]))
            settled = model.gibbs(start, settle, rng=rng)
        back, back_error = model.ais_back(settled, betas, base, rng=rng)
        free = float(np.concatenate(F).mean(dtype=np.float64))
        low, high = math.log1p(3 * error), math.log(max(1 - 3 * error, 1e-300))
        return {"test_log_likelihood": (-free - forth, "nats"),
                "test_log_likelihood_low": (-free - forth - low, "nats"),
                "test_log_likelihood_high": (-free - forth - high, "nats"), "log_Z": (forth, "nats"),
                "log_Z_error": (error, "nats"), "log_Z_back": (back, "nats"), "log_Z_back_error": (back_error, "nats")}

    return run


def validate(model):
    """A rough figure while it trains, of 100 chains and 1,000 temperatures: mean log p of the bundled test digits,
    binarised once; nothing is chosen by it."""
    x = mg.tensor(data.to_unit(data.binarise_once(data.digits("test")["x"], seed=1)))
    log_Z, error = model.ais(CHAINS, np.linspace(0, 1, 1001), base_biases(), rng=0)
    with mg.no_grad():
        return {"log_likelihood": -mg.mean(model.energy(x)).item() - log_Z, "log_Z_error": error}


def _recipe(name, how, k, persistent, lr, steps, value):
    return Recipe(
        name=name, summary=f"RBM, 500 hidden units, {how}, on full MNIST with one fixed binarisation",
        build=build(k, persistent), optimizer=lambda parameters: SGD(parameters, lr=schedules.cosine(lr, steps)),
        dataset=fixed_mnist, transform=UNIT, test_transform=UNIT, evaluate_model=evaluate(), batch_size=100,
        steps=steps, targets=(Target("test_log_likelihood", value, "nats", PAPER),),
        training={"validate": validate, "validate_every": steps // 8})


RECIPES = (
    Recipe(
        name="rbm", summary="RBM, 500 hidden units, 100 persistent chains, on the bundled digits, binarised afresh "
                            "each time; under a minute",
        build=build(5, persistent=100), optimizer=lambda parameters: SGD(parameters, lr=schedules.cosine(0.05, 2500)),
        dataset=fixed_digits, transform=data.on(x=data.binarise), test_transform=UNIT,
        evaluate_model=evaluate(np.linspace(0, 1, 2001), 500), batch_size=100, steps=2500,
        training={"validate": validate, "validate_every": 500}),
    _recipe("rbm-mnist-cd1", "CD-1", 1, 0, 0.02, 12_000, -125.53),
    _recipe("rbm-mnist-cd25", "CD-25", 25, 0, 0.05, 12_000, -86.34),
    _recipe("rbm-mnist-pcd", "100 persistent chains", 1, 100, 0.05, 60_000, -86.34),       # CD-25's figure
)
