"""Recipes of normalising flows: densities on the plane, whose entropy is known, and MNIST in logits.

On the plane a score is compared with what is possible: with p the data's density, E_p[log p(x) − log model(x)] is the
divergence of the model from it, 0 at best. It is averaged over the test points as it stands, since the two logarithms
rise and fall together and their difference varies far less than either.
"""
import numpy as np

import minigen as mg
from minigen import data, viz
from minigen.data import densities
from minigen.flows import parity_mask
from minigen.models.flow import MAF, NSF, DenseNet, Glow, ImageFlow, MultiScaleRealNVP, RealNVP, conv_then_dense
from minigen.recipes.evaluation import progress
from minigen.recipes.recipe import Recipe, Target
from minigen.recipes.sets import bundled_digits, full_mnist
from minigen.training import Adam, schedules
from minigen.viz.figure import PALETTE, finish, new_axes

GOAL = "the goal set for this recipe, in the scale of FFJORD, arXiv:1810.01367"
MAF_PAPER = "Papamakarios, Pavlakou and Murray 2017, arXiv:1705.07057, MNIST, logits with α = 1e-6"
POINTS = {"train": (500_000, 0), "test": (100_000, 1)}                       # how many, and the seed


# ---- the plane -------------------------------------------------------------------------------------------------------
def points(name):
    """The data set of a density on the plane: (split, folder) -> Dataset of draws. It needs no folder."""
    def dataset(split, folder):
        count, seed = POINTS[split]
        return data.Dataset({"x": densities.get(name).sample(count, rng=seed)[0]})

    return dataset


def evaluate_points(name):
    """An evaluation: −log model(x), and how much it exceeds −log p(x), nats per point of the test set."""
    def evaluate(model, loader, rng):
        nll, gap = [], []
        with mg.no_grad():
            for batch in progress(loader, "evaluating"):
                ours = -model.log_prob(batch["x"]).numpy().astype(np.float64)
                nll.append(ours)
                gap.append(ours + densities.get(name).log_density(batch["x"].numpy()))
        return {"test_nll": (_mean(nll), "nats"), "test_gap": (_mean(gap), "nats")}

    return evaluate


def draw_points(samples, path=None, title=None):
    """Samples (n, 2) as points."""
    figure, axes = new_axes(5, 5, "x₁", "x₂", title)
    axes.scatter(*viz.figure.host(samples).T, s=4, color=PALETTE[0], alpha=0.5, linewidths=0)
    axes.set_aspect("equal", "datalim")
    return finish(figure, path)


def plane(name, density, summary, build, goal, steps, lr):
    """A recipe for a density on the plane."""
    return Recipe(name=name, summary=summary, build=build, dataset=points(density), transform=None, test_transform=None,
                  optimizer=lambda parameters: Adam(parameters, lr=schedules.cosine(lr, steps)), batch_size=512,
                  evaluate_model=evaluate_points(density), steps=steps, draw=draw_points,
                  targets=(Target("test_gap", goal, "nats", GOAL),))


# ---- MNIST -----------------------------------------------------------------------------------------------------------
def half_digits(split, folder):
    """The digits in the package, or of a folder, at half their size: framed to 32 × 32, then each 2 × 2 pixels become
    their mean, in 8 bits."""
    full = bundled_digits(split, folder)
    framed = np.pad(full["x"], ((0, 0), (2, 2), (2, 2), (0, 0))).astype(np.float32)
    means = framed.reshape(len(framed), 16, 2, 16, 2, 1).mean(axis=(2, 4))
    return data.Dataset({"x": np.round(means).astype(np.uint8), "y": full["y"]})


def evaluate_images(model, loader, rng):
    """An evaluation of an `ImageFlow`: log p of the logits, nats an image, and bits/dim; each is dequantised once."""
    logits, bits = [], []
    with mg.no_grad():
        for batch in progress(loader, "evaluating"):
            logits.append(model.log_prob_of_logits(batch["x"]).numpy())
            bits.append(model.bits_per_dim(batch["x"]).numpy())
    return {"test_log_prob_logits": (_mean(logits), "nats"), "test_bits_per_dim": (_mean(bits), "bits/dim")}


def _mean(parts):
    return float(np.concatenate(parts).mean(dtype=np.float64))


def mnist(name, summary, build, published, steps=4000, lr=5e-4):
    """A recipe for MNIST with the networks of MAF's authors, five with two hidden layers of 1,024, and Adam on batches
    of 100. They wait for a validation set at a rate of 1e-4; here a larger rate is annealed, and there is no early
    stop."""
    return Recipe(name=name, summary=summary, dataset=full_mnist, transform=data.on(x=data.dequantise),
                  test_transform=data.on(x=data.dequantise), evaluate_model=evaluate_images,
                  batch_size=100, steps=steps, build=lambda rng: ImageFlow(build(rng), (28, 28, 1), alpha=1e-6),
                  training={"clip": 50.0},
                  optimizer=lambda parameters: Adam(parameters, lr=schedules.warm_up(schedules.cosine(lr, steps), 100)),
                  targets=(Target("test_log_prob_logits", published, "nats", MAF_PAPER),))


def small(name, summary, build, steps, lr):
    """A recipe for digits at half their size, to be trained in a minute or two."""
    return Recipe(name=name, summary=summary, dataset=half_digits, transform=data.on(x=data.dequantise),
                  test_transform=data.on(x=data.dequantise), evaluate_model=evaluate_images,
                  batch_size=128, steps=steps, build=lambda rng: ImageFlow(build(rng), (16, 16, 1), alpha=0.05),
                  training={"clip": 50.0},                     # a few batches have gradients far larger than the others
                  optimizer=lambda parameters: Adam(parameters, lr=schedules.warm_up(schedules.cosine(lr, steps), 50)))


RECIPES = (
    plane("realnvp-8gaussians", "8gaussians", "Real NVP, 8 affine couplings, on 8 Gaussians in the plane",
          lambda rng: RealNVP(2, couplings=8, hidden=(128, 128), norm=True, rng=rng), 0.03, steps=12_000, lr=2e-3),
    plane("nsf-8gaussians", "8gaussians", "Neural spline flow, 4 couplings, on 8 Gaussians in the plane",
          lambda rng: NSF(2, layers=4, hidden=(64, 64), bins=8, rng=rng), 0.03, steps=6000, lr=4e-3),
    plane("nsf-checkerboard", "checkerboard", "Neural spline flow, 2 autoregressive layers, on a checkerboard",
          lambda rng: NSF(2, 2, "autoregressive", hidden=(64, 64), bins=16, rng=rng), 0.10, steps=8000, lr=4e-3),
    small("realnvp-digits", "Real NVP at two scales, on the bundled digits at half their size; about two minutes",
          lambda rng: MultiScaleRealNVP((16, 16, 1), couplings=3, width=24, network=conv_then_dense(8, 160), rng=rng),
          steps=950, lr=2e-3),
    small("glow-digits", "Glow at two scales, on the bundled digits at half their size; about two minutes",
          lambda rng: Glow((16, 16, 1), levels=2, steps=6, width=128, network=DenseNet, rng=rng), steps=1600, lr=2e-3),
    mnist("realnvp-mnist", "Real NVP, 5 couplings of pixels of odd and even number, on MNIST in logits",
          lambda rng: RealNVP(784, couplings=5, hidden=(1024, 1024), norm=True, mask=parity_mask, rng=rng),
          published=-1323.2),
    mnist("maf-mnist", "Masked autoregressive flow, 5 layers, on MNIST in logits",
          lambda rng: MAF(784, layers=5, hidden=(1024, 1024), rng=rng), published=-1300.5),
)
