"""Adversarial autoencoder: any prior one can draw from, a swiss roll or a ring of petals, imposed by a discriminator.

Trains the adversarial autoencoder of minigen/models/latent/aae.py with three priors in the plane. Pictures: codes of
test digits over draws of the prior; the distance between the two (MMD) as training goes on, beside what two sets of
draws of the prior are apart; images decoded along the swiss roll, on a grid of the Gaussian, and petal by petal. The
derivation is in docs/autoencoders.md.
"""
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.metrics import gaussian_kernel, mmd_test
from minigen.models.latent import AdversarialAutoencoder
from minigen.models.latent.aae import ring_prior, swiss_roll_prior
from minigen.recipes.sets import bundled_digits
from minigen.training import Adam, Trainer
from minigen.viz import curves, image_grid
from minigen.viz.figure import FAINT, INK, PALETTE, finish

TURNS, RADIUS = 1.5, 5.0                                 # of the roll
PRIORS = {"Gaussian": None, "ten petals": ring_prior(), "swiss roll": swiss_roll_prior(TURNS, RADIUS)}
SCALE = 1.0                                              # of the kernel, in the unit of z


def main():
    """Train with every prior, measure, draw."""
    with Demo("aae", __doc__) as demo:
        train, test = (bundled_digits(split, demo.data) for split in ("train", "test"))
        fresh, labels = mg.tensor(data.to_unit(test["x"])), test["y"]
        models, lines = {}, {}
        for name, prior in PRIORS.items():
            models[name], lines[name] = fit(prior, train["x"], fresh, 20 if demo.smoke else 1500, demo)
        curves(lines, demo.path("mmd.png"), log="xy", ylabel="MMD, codes of test digits and prior",
               levels={"two sets of draws of a Gaussian": draws_apart(demo.seed)},
               title="The aggregate of codes comes to the prior, whichever it is")
        draw_codes(models, fresh, labels, demo)
        draw_roll(models["swiss roll"], demo)
        draw_grid(models["Gaussian"], demo)
        draw_petals(models["ten petals"], demo)
        for name, model in models.items():
            key = name.replace(" ", "_")
            demo.metric(f"mmd_{key}", lines[name][1][-1], f"MMD at the end; {lines[name][1][0]:.2f} at the first step")
            with mg.no_grad():
                demo.metric(f"error_{key}", model.error(fresh).mean().item(), "½ ‖r(x) − x‖² of test digits")


def fit(prior, images, fresh, steps, demo):
    """(model, (steps, MMD)): an adversarial autoencoder with two latents."""
    model = AdversarialAutoencoder(latents=2, hidden=(400, 128), squash=True, prior=prior, rng=demo.seed)
    x = mg.tensor(data.to_unit(images))
    rates = {"reconstruction": 1e-3, "discriminator": 1e-3, "encoder": 5e-4}
    optimizers = {o.name: Adam(o.parameters, lr=rates[o.name], betas=(0.5, 0.999)) for o in model.objectives()}
    trainer = Trainer(model, optimizers, lambda rng: {"x": mg.take(x, rng.integers(len(x), size=(128,)), axis=0)},
                      seed=demo.seed, progress=False)
    at = np.unique(np.geomspace(1, steps, 9).astype(int))
    trace = []
    for step in at:
        trainer.run(int(step))
        trace.append(distance(model, fresh, demo.seed))
    return model.eval(), (at, np.array(trace))


def distance(model, fresh, seed):
    """√MMD² (Eq. 3 of minigen/metrics/kernels.py) between codes of 1,000 test digits and as many draws of the prior."""
    with mg.no_grad():
        codes = model.encode(fresh[:1000]).numpy()
        prior = model.draw_prior(len(codes), mg.random.default_rng(seed + 7)).numpy()
    return root_mmd(codes, prior)


def root_mmd(x, y):
    """√MMD², biased, so that it is no less than 0."""
    return float(np.sqrt(mmd_test(x, y, gaussian_kernel(SCALE), exchanges=1)[0]))


def draws_apart(seed, n=1000):
    """What the same distance is between two sets of n draws of N(0, I)."""
    rng = np.random.default_rng(seed)
    return root_mmd(rng.standard_normal((n, 2)), rng.standard_normal((n, 2)))


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw_codes(models, fresh, labels, demo):
    """Above, draws of each prior; below, the codes of test digits, coloured by class."""
    figure = Figure(figsize=(9.9, 6.6), layout="constrained")
    panels = figure.subplots(2, 3)
    for column, (name, model) in zip(panels.T, models.items()):
        with mg.no_grad():
            codes = model.encode(fresh).numpy()
            prior = model.draw_prior(2000, mg.random.default_rng(demo.seed)).numpy()
        reach = 1.15 * np.abs(prior).max()
        column[0].scatter(*prior.T, s=5, color=FAINT, linewidths=0)
        column[0].set_title(f"prior: {name}", fontsize=10, color=INK)
        column[1].scatter(*codes.T, s=6, c=[PALETTE[k] for k in labels], alpha=0.6, linewidths=0)
        for digit in range(10):
            column[1].text(*np.median(codes[labels == digit], axis=0), str(digit), fontsize=9, weight="bold", color=INK,
                           ha="center", va="center", bbox={"boxstyle": "circle,pad=0.2", "facecolor": "white",
                                                           "alpha": 0.8, "edgecolor": PALETTE[digit]})
        for panel in column:
            panel.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
            panel.spines[:].set_color(FAINT)
    panels[0, 0].set_ylabel("draws of the prior", fontsize=10, color=INK)
    panels[1, 0].set_ylabel("codes of 2,000 test digits", fontsize=10, color=INK)
    finish(figure, demo.path("codes.png"))


def draw_roll(model, demo, count=48):
    """Images decoded along the spiral, from its centre outwards."""
    t = np.sqrt(np.linspace(0.004, 1, count))
    angle = 2 * np.pi * TURNS * t
    z = RADIUS * t[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    with mg.no_grad():
        image_grid(model.decode(mg.tensor(z.astype(np.float32))), demo.path("roll.png"), columns=16,
                   title="Along the swiss roll, from its centre outwards, row by row")


def draw_grid(model, demo, n=16):
    """Images decoded on a grid of the Gaussian's quantiles."""
    axis = norm.ppf((np.arange(n) + 0.5) / n)
    z = np.stack(np.meshgrid(axis, axis[::-1]), axis=-1).reshape(-1, 2)
    with mg.no_grad():
        image_grid(model.decode(mg.tensor(z.astype(np.float32))), demo.path("grid.png"), columns=n,
                   title="The plane of the Gaussian prior, at its quantiles")


def draw_petals(model, demo, count=12):
    """Images decoded along each petal of the ring."""
    angle = 2 * np.pi * np.arange(10)[:, None] / 10
    radius = np.linspace(2.6, 5.4, count)
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(-1, 2)
    with mg.no_grad():
        image_grid(model.decode(mg.tensor(z.astype(np.float32))), demo.path("petals.png"), columns=count,
                   title="Each petal of the ring, from the inner end to the outer")


if __name__ == "__main__":
    main()
