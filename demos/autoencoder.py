"""Autoencoders: what a few numbers hold of a digit, the linear one beside PCA, and why it draws nothing yet.

Pictures: two features of each digit, coloured by class, by PCA, by a linear autoencoder and by a deep one; the linear
autoencoder's error and subspace on their way to PCA's; the error against the number of features; reconstructions; and
what comes out where features are drawn at random. The derivation is in docs/autoencoders.md.
"""
import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.latent import Autoencoder, GaussianMixtureModel
from minigen.recipes.sets import bundled_digits
from minigen.training import Adam, Trainer, schedules
from minigen.viz import curves, image_grid
from minigen.viz.figure import INK, PALETTE, finish

SHOWN = 16                                               # features of the deep one whose images are shown


def main():
    """Train, compare, draw."""
    with Demo("autoencoder", __doc__) as demo:
        train, test = (bundled_digits(split, demo.data) for split in ("train", "test"))
        images, fresh = data.to_unit(train["x"]), data.to_unit(test["x"])
        pca = PCA(images)
        steps = 30 if demo.smoke else 800
        draw_linear(pca, images, demo)
        deep = draw_sizes(pca, images, fresh, steps, demo)
        draw_features(pca, deep[2], fresh, test["y"], demo)
        draw_reconstructions(pca, deep[SHOWN], fresh, demo)
        draw_samples(deep[SHOWN], images, demo)


class PCA:
    """Principal components of images (N, H, W, C)."""

    def __init__(self, images):
        rows = images.reshape(len(images), -1).astype(np.float64)
        self.mean, self.shape = rows.mean(axis=0), images.shape[1:]
        self.values, vectors = np.linalg.eigh(np.cov((rows - self.mean).T, bias=True))
        self.values, self.vectors = self.values[::-1], vectors[:, ::-1]                # of largest variance first

    def encode(self, images, K):
        """Coordinates (N, K)."""
        return (images.reshape(len(images), -1) - self.mean) @ self.vectors[:, :K]

    def decode(self, z):
        """Images of coordinates (N, K)."""
        return (self.mean + z @ self.vectors[:, :z.shape[1]].T).reshape(-1, *self.shape)

    def error(self, images, K):
        """½ ‖r(x) − x‖², the mean over images."""
        return 0.5 * float(((self.decode(self.encode(images, K)) - images) ** 2).sum(axis=(1, 2, 3)).mean())


def train(model, images, steps, lr, seed, every=None):
    """Adam with a cosine schedule on batches of 128; ``every`` so many steps: a function of the step and the model."""
    x = mg.tensor(images)
    trainer = Trainer(model, lambda p: Adam(p, lr=schedules.cosine(lr, steps)),
                      lambda rng: {"x": mg.take(x, rng.integers(len(x), size=(128,)), axis=0)}, seed=seed,
                      progress=False)
    for step in every or ():
        trainer.run(step)
        yield step
    trainer.run(steps)


def trained(*args):
    """The model after `train`."""
    for _ in train(*args):
        pass
    return args[0].eval()


# ---- linear ----------------------------------------------------------------------------------------------------------
def draw_linear(pca, images, demo, K=6):
    """Error and largest principal angle of a linear autoencoder, as it learns."""
    steps = 40 if demo.smoke else 3000
    model, shown = Autoencoder(latents=K, hidden=(), rng=demo.seed), images[:2000]
    with mg.no_grad():
        model.decoder[0].bias[...] = mg.tensor(pca.mean.astype(np.float32))
    best, trace, angles, at = pca.error(shown, K), [], [], [int(s) for s in np.geomspace(5, steps, 12)]
    for _ in train(model, images, steps, 3e-3, demo.seed, at):
        with mg.no_grad():
            trace.append(model.error(mg.tensor(shown)).mean().item())
        span = np.linalg.qr(model.decoder[0].weight.numpy().T)[0]                                  # (784, K)
        cosines = np.linalg.svd(span.T @ pca.vectors[:, :K], compute_uv=False)
        angles.append(np.degrees(np.arccos(cosines.min().clip(-1, 1))))
    curves({"linear autoencoder": (np.array(at), np.array(trace))}, demo.path("linear_error.png"), log="x",
           ylabel="½ ‖r(x) − x‖²", levels={f"PCA with {K} components": best},
           title=f"A linear autoencoder with {K} latents comes to PCA's error, and never below it")
    curves({"largest angle": (np.array(at), np.array(angles))}, demo.path("linear_angle.png"), log="x",
           ylabel="degrees", title="The largest angle between its subspace and PCA's: the direction of least "
                                   "variance is found last")
    demo.metric("linear_excess", 100 * (trace[-1] / best - 1), f"% of error above PCA's, {K} latents")
    demo.metric("linear_angle", angles[-1], "degrees, the largest angle between the two subspaces")


# ---- how many features -----------------------------------------------------------------------------------------------
def hidden(K):
    """Widths: a deeper network for few features; for many a narrow layer would itself be the bottleneck."""
    return (256, 64) if K < 8 else (256,)


def draw_sizes(pca, images, fresh, steps, demo):
    """Error on test images against K, of PCA and of deep autoencoders: {K: model}."""
    sizes = (2, 16) if demo.smoke else (2, 4, 8, 16, 32)
    models = {K: trained(Autoencoder(latents=K, hidden=hidden(K), squash=True, rng=demo.seed), images, steps, 2e-3,
                         demo.seed) for K in sizes}
    with mg.no_grad():
        deep = [model.error(mg.tensor(fresh)).mean().item() for model in models.values()]
    linear = [pca.error(fresh, K) for K in sizes]
    curves({"PCA": (np.array(sizes), np.array(linear)), "deep autoencoder": (np.array(sizes), np.array(deep))},
           demo.path("sizes.png"), log="xy", xlabel="features K", ylabel="½ ‖r(x) − x‖² of test digits",
           title="What K numbers hold of a digit: a curved surface of K dimensions passes nearer to the digits than "
                 "any plane")
    for K, a, b in zip(sizes, linear, deep):
        demo.metric(f"error_{K}", b, f"½ ‖r(x) − x‖² of test digits, deep, {K} features; PCA {a:.2f}")
    return models


def draw_features(pca, model, fresh, labels, demo):
    """Two features of each test digit, coloured by class: PCA's, and a deep autoencoder's."""
    with mg.no_grad():
        parts = {"PCA": pca.encode(fresh, 2), "deep autoencoder": model.encode(mg.tensor(fresh)).numpy()}
    figure = Figure(figsize=(9.6, 5.0), layout="constrained")
    for panel, (name, z) in zip(figure.subplots(1, 2), parts.items()):
        panel.scatter(*z.T, s=7, c=[PALETTE[k] for k in labels], alpha=0.6, linewidths=0)
        for digit in range(10):
            panel.text(*np.median(z[labels == digit], axis=0), str(digit), fontsize=11, weight="bold", color=INK,
                       ha="center", va="center", bbox={"boxstyle": "circle", "facecolor": "white", "alpha": 0.85,
                                                       "edgecolor": PALETTE[digit]})
        right = nearest_neighbour(z, labels)
        panel.set_title(f"{name}: the nearest neighbour is of the same class for {right:.0%}", fontsize=9, color=INK)
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
        demo.metric(f"neighbours_{name.split()[0].lower()}", 100 * right, "% of test digits whose nearest neighbour in "
                                                                          "two features is of their class")
    figure.suptitle("Two features of 2,000 test digits. No label was used", fontsize=11, color=INK)
    finish(figure, demo.path("features.png"))


def nearest_neighbour(z, labels):
    """How often the nearest other point is of the same class."""
    distance = ((z[:, None] - z[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    return float((labels[distance.argmin(axis=1)] == labels).mean())


# ---- images ----------------------------------------------------------------------------------------------------------
def draw_reconstructions(pca, model, fresh, demo, count=16):
    """Digits, and what PCA and the deep autoencoder make of as many numbers each."""
    x = fresh[:count]
    with mg.no_grad():
        deep = model.reconstruct(mg.tensor(x)).numpy()
    image_grid(np.concatenate([x, pca.decode(pca.encode(x, SHOWN)), deep]).clip(0, 1), demo.path("reconstructions.png"),
               columns=count, labels=["digits", f"PCA, {SHOWN} numbers", f"deep, {SHOWN} numbers"])


def draw_samples(model, images, demo, count=16):
    """Images of features drawn at random: from N(0, I), from one Gaussian, from a mixture fitted to the codes."""
    rng = mg.random.default_rng(demo.seed)
    with mg.no_grad():
        z = model.encode(mg.tensor(images))
    one, many = (GaussianMixtureModel(K, (SHOWN,), rng=demo.seed).spread(z, rng=demo.seed) for K in (1, 40))
    for mixture in (one, many):
        mixture.fit(z, 2 if demo.smoke else 30)
    rows = [rng.standard_normal((count, SHOWN)), one.sample(count, rng=rng), many.sample(count, rng=rng)]
    with mg.no_grad():
        drawn = np.concatenate([model.decode(row).numpy() for row in rows])
    image_grid(drawn, demo.path("samples.png"), columns=count, labels=["z ~ N(0, I)", "one Gaussian", "40 Gaussians"],
               title="Features drawn at random: nothing says where they lie, until a density is fitted to them")


if __name__ == "__main__":
    main()
