"""Denoising: asked for the clean point, a network learns the way back to the data, which is the score.

In the plane the residual of a denoising autoencoder stands beside the exact σ² ∇ log p_σ, and points that follow it
again and again come to the data. On digits: noisy, restored and clean images for noise and for missing pixels, beside
the best linear restorer; and the filters that denoising makes. The derivation is in docs/autoencoders.md.
"""
import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import data
from minigen.data import densities
from minigen.demo import Demo
from minigen.models.latent import DenoisingAutoencoder
from minigen.recipes.sets import bundled_digits
from minigen.training import Adam, Trainer, schedules
from minigen.viz import curves, image_grid
from minigen.viz.figure import FAINT, INK, PALETTE, finish

SIGMA, NOISES = 0.35, (0.25, 0.5, 1.0)                   # in the plane, and on digits
DEEP = {"latents": 64, "hidden": (256,), "squash": True}


def main():
    """Train, compare, draw."""
    with Demo("denoising", __doc__) as demo:
        plane(demo)
        train, test = (bundled_digits(split, demo.data) for split in ("train", "test"))
        images, fresh = data.to_unit(train["x"]), data.to_unit(test["x"])
        draw_digits(images, fresh, demo)
        draw_filters(images, demo)


def fit(model, draw, steps, lr, seed):
    """The model after so many steps of Adam on batches ``draw(rng)``."""
    Trainer(model, lambda p: Adam(p, lr=schedules.cosine(lr, steps)), lambda rng: {"x": draw(rng)}, seed=seed,
            progress=False).run(steps)
    return model.eval()


def batches(images, size=128):
    """A function rng -> batch of images."""
    x = mg.tensor(images)
    return lambda rng: mg.take(x, rng.integers(len(x), size=(size,)), axis=0)


# ---- in the plane ----------------------------------------------------------------------------------------------------
def plane(demo):
    """Residual and score of two moons; the way back."""
    moons = densities.get("moons")
    pool = mg.tensor(moons.sample(20_000, rng=demo.seed)[0])
    model = fit(DenoisingAutoencoder((2,), 64, (128, 128), activation=mg.silu, noise=SIGMA, rng=demo.seed),
                lambda rng: mg.take(pool, rng.integers(len(pool), size=(512,)), axis=0),
                60 if demo.smoke else 4000, 2e-3, demo.seed)
    draw_arrows(model, moons.noised(1.0, SIGMA), demo)
    draw_paths(model, moons, demo)


def exact_score(density, x):
    """∇ log p of a `GaussianMixture`, (…, 2)."""
    log_joint = density.log_joint(x)
    r = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=-1, keepdims=True))              # (…, K)
    towards = (density.means - x[..., None, :]) / density.stds[:, None] ** 2
    return (r[..., None] * towards).sum(axis=-2)


def residual(model, x):
    """r(x) − x for points (…, 2)."""
    with mg.no_grad():
        flat = mg.tensor(x.reshape(-1, 2).astype(np.float32))
        return (model.reconstruct(flat) - flat).numpy().reshape(x.shape)


def draw_arrows(model, noised, demo, n=22):
    """σ² ∇ log p_σ beside the residual, and how far they are apart where."""
    axis = np.linspace(-3.6, 3.6, n)
    points = np.stack(np.meshgrid(axis, axis * 0.8), axis=-1)
    truth, ours = SIGMA ** 2 * exact_score(noised, points), residual(model, points)
    fine = np.stack(np.meshgrid(np.linspace(-3.8, 3.8, 200), np.linspace(-3.1, 3.1, 160)), axis=-1)
    density, gap = np.exp(noised.log_density(fine)), np.linalg.norm(
        residual(model, fine) - SIGMA ** 2 * exact_score(noised, fine), axis=-1)
    figure = Figure(figsize=(12.6, 4.1), layout="constrained")
    titles = ("σ² ∇ log p_σ, exact", "r(x̃) − x̃, learnt from draws", "length of the difference; lines: p_σ")
    for panel, arrows, title in zip(figure.subplots(1, 3), (truth, ours, None), titles):
        extent = (-3.8, 3.8, -3.1, 3.1)
        if arrows is None:
            shown = panel.imshow(gap.clip(0, 0.5), extent=extent, origin="lower", cmap="Oranges", vmin=0, vmax=0.5)
            panel.contour(fine[0, :, 0], fine[:, 0, 1], density, 5, colors=INK, linewidths=0.5)
            figure.colorbar(shown, ax=panel, shrink=0.8)
        else:
            panel.imshow(density, extent=extent, origin="lower", cmap="Blues", vmax=1.6 * density.max())
            panel.quiver(*np.moveaxis(points, -1, 0), *np.moveaxis(arrows, -1, 0), angles="xy", scale_units="xy",
                         scale=1, width=0.0035, color=INK)
        panel.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[], aspect="equal")
        panel.set_title(title, fontsize=10, color=INK)
    finish(figure, demo.path("score.png"))
    x = noised.sample(20_000, rng=demo.seed + 1)[0].astype(np.float64)
    truth = SIGMA ** 2 * exact_score(noised, x)
    missed = ((residual(model, x) - truth) ** 2).sum(axis=1).mean() / (truth ** 2).sum(axis=1).mean()
    demo.metric("score_error", 100 * missed, "% of E‖σ² score‖² that the residual misses, under p_σ")


def draw_paths(model, moons, demo, steps=12):
    """Points of a square that follow the residual again and again."""
    axis = np.linspace(-3.2, 3.2, 15)
    path = [np.stack(np.meshgrid(axis, axis * 0.85), axis=-1).reshape(-1, 2)]
    for _ in range(steps):
        path.append(path[-1] + residual(model, path[-1]))
    path = np.stack(path)                                                                        # (steps + 1, n, 2)
    figure = Figure(figsize=(6.2, 4.6), layout="constrained")
    panel = figure.subplots()
    panel.scatter(*moons.sample(3000, rng=demo.seed)[0].T, s=2, color=PALETTE[5], alpha=0.5, linewidths=0)
    for line in path.swapaxes(0, 1):
        panel.plot(*line.T, color=FAINT, linewidth=0.6, zorder=1)
    panel.scatter(*path[0].T, s=6, color=INK, linewidths=0)
    panel.scatter(*path[-1].T, s=12, color=PALETTE[3], linewidths=0, zorder=3)
    panel.set(xticks=[], yticks=[], aspect="equal")
    panel.set_title(f"x ← r(x), {steps} times from each point of a square: to where p_σ is highest nearby, not to "
                    "draws of it", fontsize=9, color=INK, wrap=True)
    panel.spines[:].set_visible(False)
    finish(figure, demo.path("paths.png"))


# ---- digits ----------------------------------------------------------------------------------------------------------
def wiener(images, noisy, sigma):
    """The best linear restorer: E[x|x̃] if digits were Gaussian with their mean and covariance."""
    rows, mean = images.reshape(len(images), -1), images.reshape(len(images), -1).mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
    gain = vectors * (values.clip(0) / (values.clip(0) + sigma ** 2)) @ vectors.T
    return (mean + (noisy.reshape(len(noisy), -1) - mean) @ gain).reshape(noisy.shape).astype(np.float32)


def draw_digits(images, fresh, demo, count=14):
    """Spoilt, restored and clean, for three amounts of noise and for missing pixels; errors against the noise."""
    steps, rows, labels = 30 if demo.smoke else 1500, [], []
    errors = {"spoilt": [], "best linear restorer": [], "denoising autoencoder": []}
    for sigma in NOISES:
        model = fit(DenoisingAutoencoder(noise=sigma, rng=demo.seed, **DEEP), batches(images), steps, 2e-3, demo.seed)
        spoilt, restored = spoil_and_restore(model, fresh, demo.seed)
        for name, x in zip(errors, (spoilt, wiener(images, spoilt, sigma), restored)):
            errors[name].append(float(((x - fresh) ** 2).mean()))
        rows += [spoilt[:count], restored[:count]]
        labels += [f"σ = {sigma:g}", "restored"]
        for name, values in errors.items():
            demo.metric(f"{name.split()[0]}_{sigma:g}", values[-1], f"squared error of a pixel: {name}, σ = {sigma:g}")
    masked = fit(DenoisingAutoencoder(masked=0.7, rng=demo.seed, **DEEP), batches(images), steps, 2e-3, demo.seed)
    spoilt, restored = spoil_and_restore(masked, fresh, demo.seed)
    rows += [spoilt[:count], restored[:count], fresh[:count]]
    image_grid(np.concatenate(rows).clip(0, 1), demo.path("digits.png"), columns=count,
               labels=[*labels, "70 % missing", "restored", "clean"], title="Test digits, spoilt and restored")
    curves({name: (np.array(NOISES), np.array(values)) for name, values in errors.items()}, demo.path("errors.png"),
           xlabel="σ", ylabel="mean squared error of a pixel", log="y",
           title="The nearer to E[x | x̃], the smaller the error: digits are no Gaussian")


def spoil_and_restore(model, x, seed):
    """(x̃, r(x̃))."""
    with mg.no_grad():
        spoilt = model.spoil(mg.tensor(x), rng=mg.random.default_rng(seed + 1))
        return spoilt.numpy(), model.reconstruct(spoilt).numpy()


def draw_filters(images, demo, units=196):
    """First-layer weights of an overcomplete autoencoder without noise, and with it: strokes come with the noise."""
    rows, labels, steps = [], [], 30 if demo.smoke else 1500
    for name, sigma in (("no noise", 0.0), ("σ = 0.5", 0.5), ("σ = 1", 1.0)):
        model = fit(DenoisingAutoencoder(noise=sigma, latents=units, hidden=(), squash=True, rng=demo.seed),
                    batches(images), steps, 3e-3, demo.seed)
        weights = model.encoder[0].weight.numpy().T                                              # (units, 784)
        strongest = np.argsort(-np.linalg.norm(weights, axis=1))[:14]
        scale = np.abs(weights[strongest]).max(axis=1, keepdims=True)
        rows.append((0.5 + 0.5 * weights[strongest] / scale).reshape(-1, 28, 28, 1))
        labels.append(name)
    image_grid(np.concatenate(rows), demo.path("filters.png"), columns=14, labels=labels,
               title="What single features look at: without noise, speckle; with it, strokes")


if __name__ == "__main__":
    main()
