"""A variational autoencoder learns handwritten digits, and shows what it learnt.

Trains the MLP VAE of minigen/models/latent/vae.py (20 latents) for about a minute on two cores, then draws: samples,
reconstructions, what each latent does (traversal), the way from one digit to another (interpolation), editing by latent
arithmetic, the map of the latents, and the training curve. The derivation is in docs/vae.md.
"""
import dataclasses

import numpy as np

import minigen as mg
from minigen.demo import Demo


def main():
    """Train, measure, draw."""
    with Demo("vae", __doc__) as demo:
        recipe, every = mg.recipes.get("vae"), {"log_every": 50}
        if demo.smoke:
            recipe = dataclasses.replace(recipe, steps=60, evaluate_model=mg.recipes.evaluate_bounds(samples=5))
            every = {"log_every": 10, "validate_every": 20}
        trainer = recipe.trainer(seed=demo.seed, folder=demo.data, **every)
        trainer.run(recipe.steps)
        model = trainer.model.eval()
        for name, figure in recipe.evaluate(model, demo.data, demo.seed).items():
            demo.metric(name, figure["value"], figure["unit"])
        draw(model, trainer.history, recipe.loader("test", demo.data), demo)


def draw(model, history, test, demo):
    """Every picture of this demo."""
    viz, rng = mg.viz, mg.random.default_rng(demo.seed)
    batch = next(iter(test))
    x, y = batch["x"], batch["y"].numpy()
    z = model.encode(x)                                                                                # (N, K)

    viz.image_grid(model.sample(100, rng=rng), demo.path("samples.png"), title="Samples: z from the prior, then E[x|z]")
    viz.reconstructions(x[:32], model.decode(z[:32]), demo.path("reconstructions.png"))
    viz.latent_traversal(model.decode, z[0], most_used(model, x)[:10], demo.path("traversal.png"),
                         title="One latent at a time, the one that tells most first")
    z = z.numpy()
    firsts = [np.flatnonzero(y == digit)[0] for digit in range(10)]
    viz.interpolation(model.decode, z[firsts], z[np.roll(firsts, -1)], demo.path("interpolation.png"),
                      title="From each digit to the next, on a straight line between their latents")
    draw_arithmetic(model, x.numpy(), z, y, demo.path("arithmetic.png"))
    viz.latent_map(*encode_all(model, test), demo.path("latent_map.png"), title="Latents E[z|x] of the test digits")
    draw_curve(history, demo.path("curve.png"))


def most_used(model, x):
    """Latents by how much they tell: the mean divergence of each coordinate of q(z|x) from the prior, largest first."""
    q = model.posterior(x)
    mean, log_std = q.mean.numpy(), q.log_std.numpy()
    rate = -0.5 * (1 + 2 * log_std - mean ** 2 - np.exp(2 * log_std)).mean(axis=0)                     # (K,)
    return [int(k) for k in np.argsort(-rate)]


def draw_arithmetic(model, x, z, y, path):
    """Editing: encode a digit, move its latent by the difference of two class means, decode."""
    means = np.stack([z[y == digit].mean(axis=0) for digit in range(10)])                              # (10, K)
    rows = []
    for source, target in ((4, 9), (3, 8), (1, 7), (5, 3)):
        for i in np.flatnonzero(y == source)[:2]:
            moved = z[i] + np.linspace(0, 1.5, 9)[:, None] * (means[target] - means[source])           # (9, K)
            rows += [x[i], *model.decode(moved).numpy()]
    mg.viz.image_grid(np.stack(rows), path, columns=10,
                      title="Editing: a digit, then z + t (mean z of another class − mean z of its own), t from 0 to "
                            "1.5; 4 to 9, 3 to 8, 1 to 7, 5 to 3")


def draw_curve(history, path):
    """The loss on training and on test images against the step."""
    tested = [line for line in history if "validation/loss" in line]
    mg.viz.curves({"training images": ([line["step"] for line in history], [line["loss"] for line in history]),
                   "test images": ([line["step"] for line in tested], [line["validation/loss"] for line in tested])},
                  path, ylabel="−ELBO, nats per image", log="x")


def encode_all(model, loader):
    """Posterior means (N, K) and labels (N,) of a whole loader."""
    pairs = [(model.encode(batch["x"]).numpy(), batch["y"].numpy()) for batch in loader.epoch(0)]
    return [np.concatenate(part) for part in zip(*pairs)]


if __name__ == "__main__":
    main()
