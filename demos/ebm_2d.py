"""Deep energy-based models of densities in the plane, beside the truth, which is known there.

Trains a perceptron's energy on three densities, and draws: the learned densities and Langevin draws beside the truth;
the density while it is learnt; chains sliding into it; the divergence from the truth, which the loss does not show; and
what becomes of the same model when chains always start from noise. The derivation is in
minigen/models/energy/deep.py and docs/energy.md.
"""
import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import nn
from minigen.data import densities
from minigen.demo import Demo
from minigen.models.energy import DeepEBM
from minigen.models.energy.deep import log_Z_on_a_grid
from minigen.training import Adam, Trainer, schedules
from minigen.viz import curves
from minigen.viz.figure import FAINT, INK, PALETTE, save

STEPS = {"moons": 0.03, "8gaussians": 0.1, "circles": 0.05}                      # a = b² of the Langevin steps
DPI = 90                                                                         # of the pictures: small files
WINDOW = 4.6                                                                     # of the pictures, and half of log Z's
SNAPSHOTS = (0, 0.03, 0.1, 0.3, 1)                                               # of the training, as shares


def main():
    """Train, compare with the truth, draw."""
    with Demo("ebm_2d", __doc__) as demo:
        steps = 20 if demo.smoke else 1500
        runs = {name: Run(name, demo.seed, steps) for name in STEPS}
        short = Run("8gaussians", demo.seed, steps, fresh=1.0)
        for name, run in [*runs.items(), ("8gaussians_without_buffer", short)]:
            demo.metric(f"kl_{name}", run.kl[-1], "nats per point, D_KL(truth ‖ model)")
        draw_densities(runs, demo)
        draw_training(runs["8gaussians"], demo.path("training.png"))
        draw_chains(runs["moons"], demo)
        draw_curves(runs, demo)
        draw_short(runs["8gaussians"], short, demo)


class Run:
    """A model trained on one density, and what it was on the way: log-densities on a grid, buffers, KL, gap."""

    def __init__(self, name, seed, steps, fresh=0.05):
        self.name, self.p, a = name, densities.get(name), STEPS[name]
        net = nn.MLP([2, 128, 128, 1], activation=mg.silu, rng=seed)
        self.model = DeepEBM(net, (2,), steps=20, step_size=a, noise=a ** 0.5, replay=4000, fresh=fresh,
                             regularise=1e-3, bounds=None, data_noise=0.0, clip=None, rng=seed)
        pool, self.test = mg.tensor(self.p.sample(50_000, rng=seed)[0]), self.p.sample(4000, rng=seed + 1)[0]
        optimizer = Adam(net.parameters(), lr=schedules.cosine(3e-3, steps, end=3e-5), betas=(0.5, 0.99))

        def batches(rng):
            return {"x": mg.take(pool, rng.integers(len(pool), size=(256,)), axis=0)}

        trainer = Trainer(self.model, optimizer, batches, seed=seed, ema=0.98, log_every=max(1, steps // 50),
                          progress=False)
        self.at, self.kl, self.snapshots = [], [], []
        shown = {round(share * steps) for share in SNAPSHOTS}
        for step in sorted({*shown, *np.linspace(0, steps, 2 if steps < 100 else 26).astype(int)}):
            trainer.run(int(step))
            with trainer.ema.swapped():
                log_p = -self.model.energy(mg.tensor(self.test)).numpy() - self.log_Z()
                self.at.append(step)
                self.kl.append(float((self.p.log_density(self.test) - log_p).mean()))
                if step in shown:
                    self.snapshots.append((step, self.log_density(), self.model.replay.numpy()[:600]))
        trainer.ema.settle()
        self.history = trainer.history

    def log_Z(self):
        """log Z of the model on a square twice as wide as the window."""
        return log_Z_on_a_grid(self.model, -2 * WINDOW, 2 * WINDOW)

    def log_density(self, points=120):
        """log p of the model on a grid of the window, (points, points)."""
        x = plane(points)
        with mg.no_grad():
            E = self.model.energy(mg.tensor(x.reshape(-1, 2).astype(np.float32))).numpy().reshape(points, points)
        return -E - self.log_Z()


# ---- pictures --------------------------------------------------------------------------------------------------------
def plane(points=120):
    """Points of the window, (points, points, 2)."""
    a = np.linspace(-WINDOW, WINDOW, points)
    return np.stack(np.meshgrid(a, a), axis=-1)


def panels(rows, columns, size=2.3):
    """(Figure, axes (rows, columns)) of square panels of the window."""
    figure = Figure(figsize=(size * columns, (size + 0.35) * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.set(xlim=(-WINDOW, WINDOW), ylim=(-WINDOW, WINDOW), xticks=[], yticks=[], aspect="equal")
        for spine in panel.spines.values():
            spine.set_color(FAINT)
    return figure, axes


def density(panel, log_p, title, top):
    """A density as shades of blue, white at 0, darkest at ``top``."""
    panel.imshow(np.exp(log_p), origin="lower", extent=(-WINDOW, WINDOW) * 2, cmap="Blues", vmin=0, vmax=top)
    panel.set_title(title, fontsize=9, color=INK)


def points(panel, x, title, colour=PALETTE[0]):
    """Points (n, 2)."""
    panel.scatter(*x.T, s=2, color=colour, alpha=0.5, linewidths=0)
    panel.set_title(title, fontsize=9, color=INK)


def draw_densities(runs, demo):
    """Truth, model, and draws of Langevin chains."""
    figure, axes = panels(len(runs), 3)
    count, steps = (100, 5) if demo.smoke else (2000, 300)
    for row, (name, run) in zip(axes, runs.items()):
        truth = run.p.log_density(plane())
        top = np.exp(truth).max()
        density(row[0], truth, f"{name}: truth", top)
        density(row[1], run.log_density(), f"e⁻ᴱ/Z, {run.kl[-1]:.3f} nats away", top)
        points(row[2], run.model.from_noise(count, steps, rng=demo.seed).numpy(), f"from noise, {steps} steps")
    save(figure, demo.path("densities.png"), DPI)


def draw_training(run, path):
    """The density and the buffer as training goes on."""
    figure, axes = panels(2, len(run.snapshots))
    top = np.exp(run.p.log_density(plane())).max()
    for k, (step, log_p, buffer) in enumerate(run.snapshots):
        density(axes[0, k], log_p, f"step {step:,}", top)
        points(axes[1, k], buffer, "its buffer", PALETTE[3])
    save(figure, path, DPI)


def draw_chains(run, demo):
    """Chains from noise over the energy, and a few of their paths."""
    at = (0, 1, 2, 3) if demo.smoke else (0, 2, 5, 15, 50, 300)
    states = [mg.random.default_rng(demo.seed).standard_normal((400, 2))]
    with mg.no_grad():
        run.model.langevin(states[0], at[-1], rng=mg.random.default_rng(1), keep=states)
    figure, axes = panels(1, len(at), 1.9)
    log_p = run.log_density()
    for panel, step in zip(axes[0], at):
        panel.imshow(np.clip(log_p, -8, None), origin="lower", extent=(-WINDOW, WINDOW) * 2, cmap="Greys", alpha=0.5)
        points(panel, states[step].numpy(), f"step {step}")
    save(figure, demo.path("chains.png"), DPI)


def draw_curves(runs, demo):
    """What counts and cannot be seen while training, and what can be seen."""
    curves({name: (np.array(run.at)[1:], run.kl[1:]) for name, run in runs.items()}, demo.path("divergence.png"),
           log="y", ylabel="D_KL(truth ‖ model) in nats",
           title="How far from the truth: known only here, where Z can be summed")
    curves({name: ([h["step"] for h in run.history], [h["gap"] for h in run.history]) for name, run in runs.items()},
           demo.path("gap.png"), ylabel="E(data) − E(chains) in nats", levels={"balance": 0},
           title="What the loss shows: little, and not how far from the truth")


def draw_short(run, short, demo):
    """With and without the buffer: densities, and draws by as many steps from noise as in training."""
    figure, axes = panels(2, 3)
    top = np.exp(run.p.log_density(plane())).max()
    for row, (name, model) in zip(axes, {"with a buffer": run, "always from noise": short}.items()):
        density(row[0], model.log_density(), f"{name}:\n{model.kl[-1]:.2f} nats away", top)
        for panel, steps in zip(row[1:], (20, 1000)):
            x = model.model.from_noise(100 if demo.smoke else 1500, steps if not demo.smoke else 3, rng=demo.seed)
            points(panel, x.numpy(), f"from noise, {steps} steps")
    save(figure, demo.path("short_run.png"), DPI)


if __name__ == "__main__":
    main()
