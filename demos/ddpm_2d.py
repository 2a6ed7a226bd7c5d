"""A diffusion model learns densities on the plane, where the truth is known and everything can be seen.

Trains two small networks, one on two moons and one, with class labels, on three overlapping Gaussians. Draws: the data
dissolving, the signal-to-noise ratio of both schedules, the way back from noise, samples over the exact density, where
the bound's nats are spent, samples by DDIM in few steps, and guided samples beside what a perfect network would make.
The derivation is in docs/diffusion.md.
"""
import textwrap

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.data import Dataset, Loader
from minigen.data.densities import GaussianMixture, moons
from minigen.demo import Demo
from minigen.models.diffusion import (DDIM, DDPM, ForwardProcess, MixtureDenoiser, MLPDenoiser, classifier_free,
                                      cosine_schedule, linear_schedule)
from minigen.training import Adam, Trainer
from minigen.viz.figure import FAINT, INK, PALETTE

THREE = GaussianMixture([[-1.0, -0.6], [1.0, -0.6], [0.0, 1.0]], 0.55)


def main():
    """Train, measure, draw."""
    with Demo("ddpm_2d", __doc__) as demo:
        rng, beta = mg.random.default_rng(demo.seed), cosine_schedule(25 if demo.smoke else 100)
        model = DDPM(MLPDenoiser(2, rng=rng), (2,), beta, prediction="v")
        labelled = DDPM(MLPDenoiser(2, classes=3, rng=rng), (2,), beta, prediction="v", classes=3, label_dropout=0.2)
        train(model, moons(), demo, steps=30 if demo.smoke else 2000)
        train(labelled, THREE, demo, steps=30 if demo.smoke else 1000)
        count = 200 if demo.smoke else 800
        draw_schedules(model.process.T, demo.path("schedules.png"))
        draw_forward(model.process, moons(), count, rng, demo.path("forward.png"))
        samples = draw_reverse(model, count, rng, demo.path("reverse.png"))
        draw_paths(model, rng, demo.path("paths.png"))
        draw_samples(samples, count, demo.path("samples.png"))
        draw_bound(model, demo)
        draw_ddim(model, count, rng, demo)
        draw_guidance(labelled, count // 4, rng, demo.path("guidance.png"))
        demo.metric("sample_log_density", moons().log_density(samples).mean(), "nats")


def train(model, mixture, demo, steps):
    """Train on 50,000 draws, and leave the average of the parameters in the model."""
    x, y = mixture.sample(50_000, rng=demo.seed)
    loader = Loader(Dataset({"x": x, "y": y}), 256, shuffle=True, seed=demo.seed, drop_last=True)
    optimizer = Adam(model.parameters(), lr=mg.training.schedules.cosine(4e-3, steps))
    trainer = Trainer(model, optimizer, loader, seed=demo.seed, ema=0.99)
    trainer.run(steps)
    trainer.ema.settle()
    model.eval()


# ---- the forward process ---------------------------------------------------------------------------------------------
def draw_schedules(T, path):
    """Signal-to-noise ratio against time, for both schedules."""
    lines = {}
    for name, schedule in (("linear", linear_schedule), ("cosine", cosine_schedule)):
        process = ForwardProcess(schedule(T))
        lines[name] = (np.arange(1, T + 1) / T, 10 * np.log10(process.snr[1:]))
    mg.viz.curves(lines, path, xlabel="t / T", ylabel="SNR(t), decibels", title="How fast the signal drowns in noise")


def six_times(process):
    """0, T, and four times between, early ones closer together."""
    return [round(process.T * share) for share in (0, 0.08, 0.2, 0.4, 0.6, 1)]


def draw_forward(process, mixture, count, rng, path):
    """Data dissolving, over the exact density of z_t."""
    x, y = mixture.sample(count, rng=0)
    eps, panels = rng.standard_normal(x.shape), []
    for t in six_times(process):
        z = process.diffuse(mg.tensor(x), t, eps).numpy()
        panels.append((f"t = {t}", z, y, mixture.noised(process.signal[t], process.noise[t])))
    scatter(panels, path, "Forward: q(z_t|x) dissolves the data. In grey the exact density of z_t")


# ---- the way back ----------------------------------------------------------------------------------------------------
def draw_reverse(model, count, rng, path):
    """The same times backwards, from noise. Returns the samples, (count, 2)."""
    panels = []
    for t, z in model.path(count, rng=rng):
        if t in six_times(model.process):
            exact = moons().noised(model.process.signal[t], model.process.noise[t])
            panels.append((f"t = {t}", z.numpy(), None, exact))
    scatter(panels, path, "Reverse: p(z_{t−1}|z_t) by the network. In grey the exact density of z_t")
    return panels[-1][1]


def draw_paths(model, rng, path):
    """The ways of single points from the same noise: DDPM walks at random, DDIM goes straight."""
    start = rng.standard_normal((60, 2))
    ddpm = np.stack([z.numpy() for _, z in model.path(8, rng=rng, z=start[:8])])                     # (T + 1, 8, 2)
    ddim = np.stack([z.numpy() for _, z in DDIM(model, model.process.T).path(60, z=start)])
    figure, axes = new_panels(2, "From one and the same noise (grey) to a sample (blue)")
    for panel, name, ways in zip(axes, ("DDPM: a random walk", "DDIM, η = 0: always the same way"), (ddpm, ddim)):
        panel.plot(ways[..., 0], ways[..., 1], color=PALETTE[1], linewidth=0.7, alpha=0.8)
        panel.scatter(*ways[0].T, s=8, color="#888888", zorder=3, linewidths=0)
        panel.scatter(*ways[-1].T, s=12, color=PALETTE[0], zorder=3, linewidths=0)
        panel.set_title(name, fontsize=9, color=INK)
    mg.viz.save(figure, path)


def draw_samples(samples, count, path):
    """Samples beside data."""
    data, labels = moons().sample(count, rng=1)
    scatter([("data", data, labels, moons()), ("samples of the model", samples, None, moons())], path,
            "Data and samples, over the exact density of the data")


def draw_bound(model, demo):
    """The terms of the variational bound, of the trained network and of the perfect one, with the same noise."""
    x, _ = moons().sample(100 if demo.smoke else 1000, rng=2)
    perfect = DDPM(MixtureDenoiser(model.process, moons()), (2,), model.process.beta[1:])
    lines = {}
    for name, m in (("trained", model), ("perfect", perfect)):
        rows = m.bound(mg.tensor(x), rng=mg.random.default_rng(demo.seed)).numpy().mean(axis=1)            # (T + 1,)
        demo.metric(f"bound_{name}", rows.sum(), "nats")
        lines[f"{name} network"] = (np.arange(len(rows)), np.cumsum(rows[::-1])[::-1])
    exact = -moons().log_density(x).mean()
    demo.metric("nll_exact", exact, "nats")
    mg.viz.curves(lines, demo.path("bound.png"), xlabel="t", ylabel="L_t + … + L_T, nats",
                  levels={"−log p(x), exact": exact},
                  title="The bound, summed from the noise down to the data: at t = 0 it is whole")


def draw_ddim(model, count, rng, demo):
    """Samples by DDIM with few steps, from the same noise."""
    z, panels = rng.standard_normal((count, 2)), []
    for steps in (2, 5, 10, 15, 20, model.process.T):
        x = DDIM(model, steps).sample(count, z=z).numpy()
        panels.append((f"{steps} steps", x, None, moons()))
    scatter(panels, demo.path("ddim.png"), "DDIM: the same noise, η = 0, in more and more steps")
    sampler = DDIM(model, model.process.T)
    for corrections in (0, 5):
        back = sampler.sample(count, z=sampler.invert(mg.tensor(x), corrections=corrections)).numpy()
        demo.metric(f"round_trip_{corrections}", np.linalg.norm(back - x, axis=1).mean(), "mean distance")


# ---- guidance --------------------------------------------------------------------------------------------------------
def draw_guidance(model, count, rng, path):
    """Samples of each class with growing weight: of the trained network above, of the perfect one below."""
    perfect = DDPM(MixtureDenoiser(model.process, THREE), (2,), model.process.beta[1:], classes=3, label_dropout=0.2)
    labels, panels = np.repeat(np.arange(3), count), []
    for name, m in (("trained", model), ("perfect", perfect)):
        for w in (-1.0, 0.0, 1.0, 4.0):
            x = m.sample(3 * count, rng=rng, labels=labels, guide=classifier_free(w)).numpy()
            panels.append((f"{name}, w = {w:g}".replace("-", "−"), x, labels, THREE))
    scatter(panels, path, "Classifier-free guidance: three classes, weight w. −1 forgets the class, 0 is the "
                          "conditional model, more keeps away from the other classes. In grey the density of all data",
            columns=4)


# ---- pictures --------------------------------------------------------------------------------------------------------
def new_panels(count, title, columns=3, half=2.6):
    """(Figure, axes) of equal square panels from −half to half."""
    rows = -(-count // columns)
    width = 2.7 * min(count, columns)
    lines = textwrap.wrap(title, int(13 * width))
    figure = Figure(figsize=(width, 2.8 * rows + 0.22 * len(lines)), layout="constrained")
    figure.suptitle("\n".join(lines), fontsize=10, color=INK, x=0.01, ha="left")
    axes = figure.subplots(rows, min(count, columns), squeeze=False).ravel()
    for panel in axes:
        panel.set(xlim=(-half, half), ylim=(-half, half), aspect="equal", xticks=[], yticks=[])
        panel.spines[:].set_color(FAINT)
    return figure, axes


def scatter(panels, path, title, columns=3, half=2.6):
    """Points over a density, panel by panel: (name, points (n, 2), labels or None, mixture)."""
    figure, axes = new_panels(len(panels), title, columns, half)
    grid = np.linspace(-half, half, 101)
    for axis, (name, points, labels, mixture) in zip(axes, panels):
        density = np.exp(mixture.log_density(np.stack(np.meshgrid(grid, grid), -1)))
        axis.imshow(density, extent=(-half, half) * 2, origin="lower", cmap="Greys", vmin=0, vmax=1.6 * density.max())
        colours = PALETTE[0] if labels is None else np.array(PALETTE)[labels]
        axis.scatter(*points.T, s=3, c=colours, alpha=0.6, linewidths=0)
        axis.set_title(name, fontsize=9, color=INK)
    mg.viz.save(figure, path, dpi=90)                                       # points make large files


if __name__ == "__main__":
    main()
