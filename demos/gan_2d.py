"""Mode collapse, counted: four ways to train a GAN on 8 and on 25 Gaussians in the plane.

A generator may learn to make some of the data and leave out the rest. Here the data are mixtures whose modes are known,
so we count: a mode is recovered if enough samples lie within 3σ of it (minigen/metrics/modes.py). The same two small
networks are trained as a plain GAN with Adam's usual momentum β₁ = 0.9, as the same GAN with β₁ = 0.5, as a WGAN-GP,
and with a spectrally normalised discriminator. The derivations are in docs/gan.md. """
import dataclasses
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.data.densities import grid, ring
from minigen.demo import Demo
from minigen.metrics import count_modes
from minigen.models.adversarial import GAN, SNGAN, WGANGP
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import FAINT, INK, PALETTE, finish

HIDDEN, BATCH, SNAPSHOTS, SAMPLES = (64, 64, 64), 256, 8, 5000


@dataclasses.dataclass(frozen=True)
class Method:
    """How to train: the model, made with ``hidden`` and ``rng``, Adam's betas, and its first learning rate."""
    build: Callable
    betas: tuple
    lr: float = 1e-3


METHODS = {
    "GAN, β₁ = 0.9": Method(GAN, (0.9, 0.999)),
    "GAN, β₁ = 0.5": Method(GAN, (0.5, 0.9)),
    "WGAN-GP": Method(lambda **nets: WGANGP(penalty_weight=0.1, discriminator_steps=2, **nets), (0.0, 0.9), lr=2e-3),
    "spectral norm": Method(lambda **nets: SNGAN(lipschitz=10.0, **nets), (0.0, 0.9)),
}
SHORT = dict(zip(METHODS, ["gan09", "gan05", "wgan_gp", "spectral"]))


@dataclasses.dataclass
class Run:
    """A trained model, and at each snapshot: the step, the samples (n, 2), the `Modes` found."""
    model: GAN
    steps: list
    samples: list
    found: list


def main():
    """Train, count, draw."""
    with Demo("gan_2d", __doc__) as demo:
        plan = {"8 Gaussians": (ring(), 1600), "25 Gaussians": (grid(), 2000)}
        if demo.smoke:
            plan = {name: (data, 32) for name, (data, _) in plan.items()}
        runs = {}
        for name, (data, steps) in plan.items():
            for method in METHODS:
                run = runs[name, method] = train(data, METHODS[method], steps, demo.seed)
                label, found = f"{len(data.means)}_{SHORT[method]}", run.found[-1]
                demo.metric(f"modes_{label}", found.recovered, f"of {found.total} modes")
                demo.metric(f"quality_{label}", 100 * found.quality, "% of samples within 3σ of a mode")
        mixtures = {name: data for name, (data, _) in plan.items()}
        draw_samples(mixtures, runs, demo.path("samples.png"))
        for name, data in mixtures.items():
            k = len(data.means)
            draw_film(data, {m: runs[name, m] for m in METHODS}, demo.path(f"film_{k}.png"))
            draw_fields(data, {m: runs[name, m] for m in METHODS}, demo.path(f"fields_{k}.png"))
            mg.viz.curves({m: (runs[name, m].steps, [f.recovered for f in runs[name, m].found]) for m in METHODS},
                          demo.path(f"modes_{k}.png"), ylabel="modes recovered", levels={"all of them": k},
                          title=f"{name}: modes recovered as training goes on")


def train(data, method, steps, seed):
    """Train one model on fresh draws from a pool of the mixture's points, and look at it a few times on the way."""
    pool = mg.tensor(data.sample(50_000, rng=seed)[0])

    def batches(rng):
        return {"x": mg.take(pool, rng.integers(len(pool), size=(BATCH,)), axis=0)}

    model = method.build(hidden=HIDDEN, rng=seed)
    run = Run(model, [], [], [])

    def look(model):
        samples = model.sample(SAMPLES, rng=mg.random.default_rng(seed + 1)).numpy()
        found = count_modes(samples, data.means, data.stds[0])
        run.steps.append(trainer.step)
        run.samples.append(samples)
        run.found.append(found)
        return {"modes": found.recovered, "quality": found.quality}

    trainer = Trainer(model, lambda p: Adam(p, lr=schedules.cosine(method.lr, steps), betas=method.betas), batches,
                      seed=seed, validate=look, validate_every=steps // SNAPSHOTS)
    trainer.run(steps)
    model.eval()
    return run


# ---- pictures --------------------------------------------------------------------------------------------------------
def panels(rows, columns, limit, size=1.9):
    """(Figure, axes (rows, columns)): square panels of the plane from −limit to limit, without ticks."""
    figure = Figure(figsize=(size * columns, (size + 0.25) * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
        for spine in panel.spines.values():
            spine.set_color(FAINT)
    return figure, axes


def extent(data):
    """How far to look: the farthest mean, and a third more."""
    return 1.35 * float(np.abs(data.means).max())


def points(panel, x, title, colour):
    """Samples (n, 2) in a panel."""
    panel.scatter(*x[:2500].T, s=1.5, color=colour, alpha=0.5, linewidths=0)
    panel.set_title(title, fontsize=7.5, color=INK)


def draw_samples(mixtures, runs, path):
    """The data and what each method ends with."""
    figure, axes = panels(len(mixtures), 1 + len(METHODS), limit=1.0)
    for row, (name, data) in zip(axes, mixtures.items()):
        limit = extent(data)
        points(row[0], data.sample(2500, rng=1)[0], f"{name}: data", INK)
        for panel, method, colour in zip(row[1:], METHODS, PALETTE):
            found = runs[name, method].found[-1]
            points(panel, runs[name, method].samples[-1], f"{method}\n{found.recovered} of {found.total} modes, "
                                                          f"{found.quality:.0%} within 3σ", colour)
        for panel in row:
            panel.set(xlim=(-limit, limit), ylim=(-limit, limit))
    finish(figure, path)


def draw_film(data, runs, path):
    """Each method's samples as training goes on, a row each."""
    shown = [0, 1, 3, 5, SNAPSHOTS - 1]
    figure, axes = panels(len(runs), len(shown), extent(data), size=1.6)
    for row, (method, run), colour in zip(axes, runs.items(), PALETTE):
        for panel, k in zip(row, shown):
            points(panel, run.samples[k], f"step {run.steps[k]}: {run.found[k].recovered} modes", colour)
        row[0].set_ylabel(method, fontsize=8, color=INK)
    finish(figure, path)


def draw_fields(data, runs, path):
    """What each discriminator thinks at the end: dark where it takes x for data, with samples on top."""
    limit = extent(data)
    at = np.linspace(-limit, limit, 160)
    plane = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2).astype(np.float32)
    figure, axes = panels(1, len(runs), limit, size=2.4)
    for panel, (method, run) in zip(axes[0], runs.items()):
        with mg.no_grad():
            a = run.model.discriminate(mg.tensor(plane)).numpy().reshape(len(at), len(at))
        low, high = np.quantile(a, [0.05, 0.99])
        panel.contourf(at, at, np.clip(a, low, high), levels=24, cmap="Blues")
        panel.scatter(*run.samples[-1][:700].T, s=2, color=PALETTE[1], linewidths=0)
        panel.set_title(f"{method}: the critic a(x), and samples", fontsize=7.5, color=INK)
    finish(figure, path)


if __name__ == "__main__":
    main()
