"""A variational autoencoder learns handwritten digits, and shows what it learnt.

Trains the MLP VAE of minigen/models/latent/vae.py (20 latents) for about a minute on two cores, then draws: samples, reconstructions,
what each latent does (traversal), the way from one digit to another (interpolation), image editing by latent arithmetic, the map
of the latents, and the training curve. The derivation is in docs/vae.md.
"""
import numpy as np

import minigen as mg
from minigen.demo import Demo


def main():
    with Demo("vae", __doc__) as demo:
        recipe = mg.recipes.get("vae")
        trainer = recipe.trainer(seed=demo.seed, folder=demo.data, log_every=20 if demo.smoke else 50)
        trainer.run(steps=60 if demo.smoke else recipe.steps)
        model = trainer.model.eval()
        for name, figure in recipe.evaluate(model, demo.data, demo.seed).items():
            demo.metric(name, figure["value"], figure["unit"])
        draw(model, trainer.history, recipe.loader("test", demo.data), demo)


def draw(model, history, test, demo):
    """Every picture of this demo."""
    rng = mg.random.default_rng(demo.seed)
    viz, path = mg.viz, demo.path
    batch = next(iter(test))
    x, y = batch["x"], batch["y"].numpy()

    viz.image_grid(model.sample(100, rng=rng), path("samples.png"), title="samples: E[x|z] for z from the prior")
    z = model.encode(x)
    viz.reconstructions(x[:32], model.decode(z[:32]), path("reconstructions.png"))
    used = most_used(model, x)[:10]
    viz.latent_traversal(model.decode, z[0], used, path("traversal.png"),
                         title="one latent at a time, the most informative first")
    z = z.numpy()
    pairs = [np.flatnonzero(y == digit)[0] for digit in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)]
    viz.interpolation(model.decode, z[pairs], z[np.roll(pairs, -1)], path("interpolation.png"),
                      title="straight lines between latents")
    draw_arithmetic(model, x.numpy(), z, y, path("arithmetic.png"))
    codes, labels = encode_all(model, test)
    viz.latent_map(codes, labels, path("latent_map.png"), title="E[z|x] of the test digits")
    steps = [line["step"] for line in history]
    tested = [line for line in history if "validation/loss" in line]
    viz.curves({"train": (steps, [line["loss"] for line in history]),
                "test": ([line["step"] for line in tested], [line["validation/loss"] for line in tested])},
               path("curve.png"), ylabel="−ELBO, nats per image")


def most_used(model, x):
    """Latents by how much they tell: the mean divergence of each coordinate of q(z|x) from the prior, largest first."""
    q = model.posterior(x)
    mean, log_std = q.mean.numpy(), q.log_std.numpy()
    rate = -0.5 * (1 + 2 * log_std - mean ** 2 - np.exp(2 * log_std)).mean(axis=0)
    return [int(k) for k in np.argsort(-rate)]


def draw_arithmetic(model, x, z, y, path):
    """Editing: encode a digit, move its latent by the difference of two class means, decode."""
    means = np.stack([z[y == digit].mean(axis=0) for digit in range(10)])
    rows = []
    for source, target in ((4, 9), (3, 8), (1, 7), (5, 3)):
        for start in np.flatnonzero(y == source)[:2]:
            moved = z[start] + np.linspace(0, 1.5, 9)[:, None] * (means[target] - means[source])
            rows += [x[start], *model.decode(moved.astype(np.float32)).numpy()]
    mg.viz.image_grid(np.stack(rows), path, columns=10,
                      title="editing: the data, then + t (mean of target class − mean of its own)")


def encode_all(model, loader):
    """Posterior means and labels of a whole loader."""
    codes, labels = zip(*[(model.encode(batch["x"]).numpy(), batch["y"].numpy()) for batch in loader])
    return np.concatenate(codes), np.concatenate(labels)


if __name__ == "__main__":
    main()
