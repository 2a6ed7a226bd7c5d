"""Fitting a density without its normaliser: three kinds of score matching, and noise-contrastive estimation.

On two moons, whose score is known: the scores learned by the exact, the sliced and the denoising objective as arrows
beside the truth, how they converge, samples by Langevin dynamics with each, and what the noise of the denoising
objective trades. On two Gaussians of unequal weight: what a score cannot see. Then an energy whose log Z is learnt by
telling data from noise, with noise near the data and far from it. The derivations are in
minigen/models/energy/score.py, nce.py and docs/energy.md.
"""
import time

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import nn
from minigen.data import densities
from minigen.data.densities import GaussianMixture
from minigen.demo import Demo
from minigen.distributions import Normal
from minigen.models.energy import NCE, ScoreModel
from minigen.models.energy.deep import log_Z_on_a_grid
from minigen.training import Adam, Trainer, schedules
from minigen.viz import curves
from minigen.viz.figure import FAINT, INK, PALETTE, finish, save

WINDOW, METHODS, NOISE = 4.0, ("exact", "sliced", "denoising"), 0.15
LOPSIDED = GaussianMixture([[-2.5, 0.0], [2.5, 0.0]], 0.5, weights=[0.8, 0.2])


def main():
    """Fit, draw."""
    with Demo("score_matching", __doc__) as demo:
        moons, steps = densities.get("moons"), 10 if demo.smoke else 1500
        runs = {method: fit(moons, demo, steps, method) for method in METHODS}
        for method, run in runs.items():
            demo.metric(f"fisher_{method}", run.misses[-1], "½ E‖s − ∇log p‖², true score")
            demo.metric(f"step_{method}", run.milliseconds, "ms")
        draw_arrows(moons, runs, demo.path("arrows.png"))
        curves({method: (run.at[1:], run.misses[1:]) for method, run in runs.items()}, demo.path("convergence.png"),
               log="y", ylabel="½ E‖s − ∇ log p‖²",
               title="Distance from the true score, which the objectives do not know")
        draw_samples(moons, runs, demo)
        draw_noise(moons, demo, steps)
        draw_weights(demo, steps)
        contrast(demo, 10 if demo.smoke else 1500)


class Fit:
    """What `fit` returns: model; at, misses: step and distance from the true score; milliseconds of a step."""

    def __init__(self, model):
        self.model, self.at, self.misses, self.milliseconds = model, [], [], 0.0


def true_score(p, x):
    """∇ log p of a mixture at x (n, 2), Eq. (1) of data/densities.py differentiated."""
    log_joint = p.log_joint(x)
    r = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=-1)[..., None])                        # (n, K)
    return ((r / p.stds ** 2)[..., None] * (p.means - x[..., None, :])).sum(axis=-2)


def a_batch(pool, rng):
    """256 points of the pool."""
    return {"x": mg.take(pool, rng.integers(len(pool), size=(256,)), axis=0)}


def miss(model, p, x):
    """½ E‖s(x) − ∇log p(x)‖² over x (n, 2)."""
    with mg.no_grad():
        s = model.score(mg.tensor(x)).numpy()
    return float(0.5 * ((s - true_score(p, x)) ** 2).sum(axis=1).mean())


def fit(p, demo, steps, method, noise=NOISE, looks=16):
    """A perceptron's score fitted to draws of p."""
    net = nn.MLP([2, 128, 128, 2], activation=mg.silu, rng=demo.seed)
    run = Fit(ScoreModel(net, (2,), method, noise=noise, step_size=0.06, steps=5 if demo.smoke else 500))
    pool, test = mg.tensor(p.sample(50_000, rng=demo.seed)[0]), p.sample(2000, rng=demo.seed + 1)[0]
    optimizer = Adam(net.parameters(), lr=schedules.cosine(3e-3, steps, end=3e-5))
    trainer = Trainer(run.model, optimizer, lambda rng: a_batch(pool, rng), seed=demo.seed, progress=False)
    for step in np.linspace(0, steps, min(looks, steps)).astype(int):
        began, before = time.perf_counter(), trainer.step
        trainer.run(int(step))
        run.milliseconds = 1000 * (time.perf_counter() - began) / max(trainer.step - before, 1)
        run.at.append(int(step))
        run.misses.append(miss(run.model, p, test))
    return run


# ---- pictures --------------------------------------------------------------------------------------------------------
def panels(columns, size=2.6, window=WINDOW, rows=1):
    """(Figure, axes) of square panels of the plane."""
    figure = Figure(figsize=(size * columns, (size + 0.5) * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.set(xlim=(-window, window), ylim=(-window, window), xticks=[], yticks=[], aspect="equal")
        for spine in panel.spines.values():
            spine.set_color(FAINT)
    return figure, axes


def shade(panel, p, window=WINDOW):
    """The density in grey."""
    a = np.linspace(-window, window, 160)
    log_p = p.log_density(np.stack(np.meshgrid(a, a), axis=-1))
    panel.imshow(np.exp(0.5 * (log_p - log_p.max())), origin="lower", extent=(-window, window) * 2, cmap="Greys",
                 vmax=1.6)


def draw_arrows(p, runs, path, side=19):
    """The true score and each learned one, as arrows; long ones are shortened."""
    a = np.linspace(-3.6, 3.6, side)
    x = np.stack(np.meshgrid(a, a), axis=-1).reshape(-1, 2).astype(np.float32)
    scores = {"the true score": true_score(p, x)}
    for method, run in runs.items():
        with mg.no_grad():
            scores[f"{method}: {run.misses[-1]:.2f} off"] = run.model.score(mg.tensor(x)).numpy()
    figure, axes = panels(2, 3.8, rows=2)
    for panel, (name, s) in zip(axes.flat, scores.items()):
        shade(panel, p)
        length = np.linalg.norm(s, axis=1, keepdims=True)
        s = s / np.maximum(length, 1e-9) * np.tanh(length / 12)
        panel.quiver(*x.T, *s.T, color=PALETTE[3], scale=24, width=0.0035)
        panel.set_title(name, fontsize=9, color=INK)
    save(figure, path, 80)


def draw_samples(p, runs, demo):
    """Langevin dynamics with each score, from N(0, I)."""
    figure, axes = panels(1 + len(runs))
    count = 100 if demo.smoke else 1500
    clouds = {"data": p.sample(count, rng=7)[0]}
    clouds |= {method: run.model.sample(count, rng=demo.seed).numpy() for method, run in runs.items()}
    for panel, (name, x) in zip(axes[0], clouds.items()):
        panel.scatter(*x.T, s=2, alpha=0.5, linewidths=0, color=PALETTE[0])
        log_p = p.log_density(x)
        panel.set_title(f"{name}: mean log p = {log_p.mean():.2f}".replace("-", "−"), fontsize=9, color=INK)
    finish(figure, demo.path("samples.png"))


def draw_noise(p, demo, steps):
    """The denoising objective with more and less noise: distance from the score of p, and of p with that noise."""
    sigmas = (0.05, 0.5) if demo.smoke else (0.03, 0.06, 0.12, 0.25, 0.5)
    runs = [fit(p, demo, steps * 2 // 3, "denoising", noise=sigma, looks=2) for sigma in sigmas]
    noisy = [p.noised(1.0, sigma) for sigma in sigmas]
    curves({"from the score of the data": (np.array(sigmas), [run.misses[-1] for run in runs]),
            "from the score of data with noise σ": (np.array(sigmas), [
                miss(run.model, q, q.sample(2000, rng=1)[0]) for run, q in zip(runs, noisy)])},
           demo.path("noise.png"), xlabel="σ", ylabel="½ E‖s − ∇ log‖²", log="xy",
           title="Denoising: with little noise hard to learn, with much noise another density's score")


def draw_weights(demo, steps):
    """A mixture 80 : 20 whose parts do not touch: the score is right, and the draws are half and half."""
    run = fit(LOPSIDED, demo, steps, "exact", looks=2)
    count = 100 if demo.smoke else 1500
    data, found = LOPSIDED.sample(count, rng=7)[0], run.model.sample(count, rng=demo.seed).numpy()
    figure, axes = panels(2, 3.0, 4.4)
    for panel, (name, x) in zip(axes[0], {"data": data, "Langevin from N(0, I)": found}.items()):
        panel.scatter(*x.T, s=2, alpha=0.5, linewidths=0, color=PALETTE[0])
        panel.set_title(f"{name}: {(x[:, 0] < 0).mean():.0%} on the left", fontsize=9, color=INK)
    finish(figure, demo.path("weights.png"))
    demo.metric("left_share", (found[:, 0] < 0).mean(), "of the draws; of the data 0.8")


# ---- noise-contrastive estimation ------------------------------------------------------------------------------------
def contrast(demo, steps):
    """An energy and its log Z on two moons, with three kinds of noise."""
    p, lines, (figure, axes) = densities.get("moons"), {}, panels(4, 2.4)
    a = np.linspace(-WINDOW, WINDOW, 140)
    grid = np.stack(np.meshgrid(a, a), axis=-1)
    truth = p.log_density(grid)
    looks = {"extent": (-WINDOW, WINDOW) * 2, "origin": "lower", "cmap": "Blues", "vmin": 0,
             "vmax": np.exp(truth).max()}
    axes[0, 0].imshow(np.exp(truth), **looks)
    axes[0, 0].set_title("truth", fontsize=9, color=INK)
    pool, test = mg.tensor(p.sample(50_000, rng=demo.seed)[0]), p.sample(4000, rng=demo.seed + 1)[0]
    for panel, (name, std) in zip(axes[0, 1:], {"like the data": 1.6, "too narrow": 0.5, "too wide": 12.0}.items()):
        net = nn.MLP([2, 128, 128, 1], activation=mg.silu, rng=demo.seed)
        model = NCE(net, Normal(mg.zeros(2), float(np.log(std))), ratio=2)
        optimizer = Adam(list(model.parameters()), lr=schedules.cosine(5e-3, steps, end=5e-5))
        trainer = Trainer(model, optimizer, lambda rng: a_batch(pool, rng), seed=demo.seed, progress=False)
        at, off = np.unique(np.geomspace(5, steps, 14).astype(int)), []
        for step in at:
            trainer.run(int(step))
            off.append(model.log_Z.item() - log_Z_on_a_grid(model, -9.0, 9.0))
        lines[f"{name}, σ = {std:g}"] = (at, np.array(off))
        with mg.no_grad():
            log_p = model.log_prob(mg.tensor(grid.reshape(-1, 2).astype(np.float32))).numpy().reshape(truth.shape)
            kl = float((p.log_density(test) - model.log_prob(mg.tensor(test)).numpy()).mean()) - off[-1]
        panel.imshow(np.exp(log_p), **looks)
        panel.set_title(f"noise {name}:\nlog Z off by {off[-1]:+.2f}".replace("-", "−"), fontsize=9, color=INK)
        key = name.replace(" ", "_")
        demo.metric(f"log_Z_off_{key}", off[-1], "nats, c − log Z by quadrature")
        demo.metric(f"kl_{key}", kl, "nats, D_KL(truth ‖ model), normalised by quadrature")
    save(figure, demo.path("nce.png"), 100)
    curves(lines, demo.path("log_z.png"), log="x", ylabel="c − log Z in nats", levels={"normalised": 0},
           title="Noise-contrastive estimation: does the learnt constant normalise the density?")


if __name__ == "__main__":
    main()
