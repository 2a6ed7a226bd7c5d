"""A continuous flow learns a vector field that carries two moons, and a pinwheel, to a round Gaussian and back.

Trains a small network f(t, x) by maximum likelihood through an ODE solver. Draws the field at several times with the
paths of samples from noise to data, the density at every time on the way, samples beside data, and the divergence from
the data as training goes on, since their density is known. Compares the exact trace with Hutchinson's, and the gradient
through the steps with the adjoint's. The derivation is in docs/flows.md.
"""
import dataclasses
import textwrap

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.data import densities
from minigen.demo import Demo
from minigen.flows.ode import AdaptiveSteps
from minigen.models.flow import CNF
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import FAINT, INK, PALETTE, save

NAMES = {"moons": "two moons", "pinwheel": "pinwheel"}
BATCH, STEPS, HALF = 512, 500, 4.2


@dataclasses.dataclass
class Run:
    """A trained model, the density it learnt, and on the way: steps, divergences in nats."""
    model: CNF
    data: object
    steps: list
    divergences: list


def main():
    """Train, measure, draw."""
    with Demo("cnf_2d", __doc__) as demo:
        runs = {name: train(name, 6 if demo.smoke else STEPS, demo.seed) for name in NAMES}
        for name, run in runs.items():
            measure(name, run, demo)
        draw_paths(runs["moons"].model, demo.smoke, demo.seed, demo.path("paths.png"))
        draw_densities(runs, demo.smoke, demo.path("densities.png"))
        draw_samples(runs, demo.smoke, demo.seed, demo.path("samples.png"))
        mg.viz.curves({NAMES[name]: (run.steps, run.divergences) for name, run in runs.items()},
                      demo.path("training.png"), ylabel="nats", log="y",
                      title="How far the model is from the data: D_KL(p ‖ model) on 2,000 points")
        compare_gradients(runs["moons"].model, demo)


def train(name, steps, seed):
    """Train on fresh draws from a pool of 50,000 points, looking at it ten times on the way."""
    data = densities.get(name)
    pool, test = mg.tensor(data.sample(50_000, rng=seed)[0]), data.sample(2000, rng=seed + 1)[0]
    model = CNF(2, (64, 64), solver=AdaptiveSteps(1e-3, 1e-3), rng=seed)
    run = Run(model, data, [], [])

    def look(model):
        run.steps.append(trainer.step)
        run.divergences.append(divergence(data, model, test).mean())
        return {"divergence": run.divergences[-1]}

    trainer = Trainer(model, lambda p: Adam(p, lr=schedules.cosine(1e-2, steps)),
                      lambda rng: {"x": mg.take(pool, rng.integers(len(pool), size=(BATCH,)), axis=0)},
                      seed=seed, validate=look, validate_every=max(steps // 10, 1))
    trainer.run(steps)
    model.eval()
    return run


def divergence(data, model, x):
    """log p(x) − log p_model(x), nats, at points of the data (n, 2). Its mean is an estimate of D_KL(p ‖ model)."""
    with mg.no_grad():
        return data.log_density(x) - model.log_prob(mg.tensor(x)).numpy()


def measure(name, run, demo):
    """On fresh data, with a solver twenty times as careful as in training."""
    run.model.ode.solver = AdaptiveSteps(5e-5, 5e-5)
    x, _ = run.data.sample(500 if demo.smoke else 10_000, rng=demo.seed + 2)
    gaps = divergence(run.data, run.model, x)
    demo.metric(f"kl_{name}", gaps.mean(), f"nats, ± {gaps.std() / len(gaps) ** 0.5:.4f}")
    demo.metric(f"evaluations_{name}", run.model.ode.solution.evaluations, "of f, for one solution")
    with mg.no_grad():
        back = run.model.decode(run.model.encode(mg.tensor(x))).numpy()
        demo.metric(f"round_trip_{name}", np.abs(back - x).max(), "largest error")
        at, area = plane(61 if demo.smoke else 141, 7.0)
        demo.metric(f"mass_{name}", np.exp(run.model.log_prob(mg.tensor(at)).numpy()).sum() * area, "integral of p")


def compare_gradients(model, demo):
    """∂ NLL/∂θ by the adjoint and through the steps, and the spread of Hutchinson's estimate of log p."""
    x, parameters, found = mg.tensor(densities.get("moons").sample(200, rng=0)[0]), list(model.parameters()), {}
    for tolerance in (1e-3, 1e-5):
        model.ode.solver = AdaptiveSteps(tolerance, tolerance)
        for model.ode.gradient in ("backprop", "adjoint"):
            gradients = mg.grad(-model.log_prob(x).mean(), parameters)
            found[model.ode.gradient] = np.concatenate([g.numpy().ravel() for g in gradients])
        distance = np.linalg.norm(found["adjoint"] - found["backprop"]) / np.linalg.norm(found["backprop"])
        demo.metric(f"adjoint_off_{tolerance:.0e}", distance, "relative to backprop")
    model.ode.gradient = "backprop"
    with mg.no_grad():
        exact = model.log_prob(x).numpy()
        model.ode.trace = "hutchinson"
        estimates = np.stack([model.log_prob(x).numpy() for _ in range(3 if demo.smoke else 100)])
    model.ode.trace = "exact"
    demo.metric("hutchinson_std", (estimates - exact).std(), "nats per point")
    demo.metric("hutchinson_bias", (estimates - exact).mean(), "nats, over all draws and points")


# ---- pictures --------------------------------------------------------------------------------------------------------
def plane(n, half=HALF):
    """(points (n², 2) of a grid, float32, row by row; area of a cell)."""
    at = np.linspace(-half, half, n, dtype=np.float32)
    return np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2), float(at[1] - at[0]) ** 2


def panels(rows, columns, title, size=2.2):
    """(Figure, axes (rows, columns)): square panels of the plane, without ticks."""
    lines = textwrap.wrap(title, int(13 * size * columns))
    figure = Figure(figsize=(size * columns, (size + 0.22) * rows + 0.22 * len(lines)), layout="constrained")
    figure.suptitle("\n".join(lines), fontsize=10, color=INK, x=0.01, ha="left")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.set(xlim=(-HALF, HALF), ylim=(-HALF, HALF), xticks=[], yticks=[], aspect="equal")
        panel.spines[:].set_color(FAINT)
    return figure, axes


def draw_paths(model, smoke, seed, path):
    """The field at four times, and the paths so far, noise first: time runs from T to 0."""
    z = mg.random.default_rng(seed).standard_normal((60, 2))
    times = np.linspace(1.0, 0.0, 7 if smoke else 31)
    ways = model.ode.path(z, times).numpy()                                                          # (times, 60, 2)
    shown = [0, len(times) // 3, 2 * len(times) // 3, len(times) - 1]
    arrows, _ = plane(15)
    figure, axes = panels(1, len(shown), "From noise to two moons: the velocity −f(t, x) at four times, and the way "
                                         "that 60 points of noise (grey) have gone until then (blue)", size=2.6)
    for panel, k in zip(axes[0], shown):
        with mg.no_grad():
            v = -model.ode.field(float(times[k]), mg.tensor(arrows)).numpy()
        speed = np.linalg.norm(v, axis=1)
        panel.quiver(*arrows.T, *(v / np.maximum(speed, 1e-6)[:, None]).T, speed, cmap="Oranges", clim=(-2, 6),
                     scale=24, width=0.005, headwidth=4)
        panel.plot(ways[:k + 1, :, 0], ways[:k + 1, :, 1], color=PALETTE[0], linewidth=0.6, alpha=0.6)
        panel.scatter(*ways[0].T, s=5, color="#888888", linewidths=0, zorder=3)
        panel.scatter(*ways[k].T, s=9, color=PALETTE[0], linewidths=0, zorder=4)
        panel.set_title(f"t = {times[k]:.2f}" + (" (noise)" if k == 0 else " (data)" if times[k] == 0 else ""),
                        fontsize=9, color=INK)
    save(figure, path, dpi=100)


def draw_densities(runs, smoke, path):
    """log p_t on the way from noise to data, and the data's own density."""
    times, n = (1.0, 0.75, 0.5, 0.25, 0.0), 31 if smoke else 91
    at, _ = plane(n)
    axis = at[:n, 0]
    figure, axes = panels(len(runs), len(times) + 1, "The density at every time on the way from noise, t = 1, to data, "
                                                     "t = 0; last the density that the data were drawn from. Every "
                                                     "panel has a scale of its own")
    for row, (name, run) in zip(axes, runs.items()):
        with mg.no_grad():
            shown = [(f"t = {t:g}", run.model.log_prob_at(mg.tensor(at), t).numpy()) for t in times]
        shown.append((f"{NAMES[name]}, exact", run.data.log_density(at)))
        for panel, (title, log_p) in zip(row, shown):
            panel.contourf(axis, axis, np.exp(log_p).reshape(n, n), levels=20, cmap="Blues")
            panel.set_title(title, fontsize=9, color=INK)
    save(figure, path, dpi=100)


def draw_samples(runs, smoke, seed, path):
    """Data, the noise that the model sees in them, and the model's own samples."""
    n = 300 if smoke else 1500
    figure, axes = panels(len(runs), 3, "Data, the noise that the flow carries them to, and samples: new noise carried "
                                        "back. Colours are the data's classes")
    for row, (name, run) in zip(axes, runs.items()):
        x, y = run.data.sample(n, rng=seed + 3)
        with mg.no_grad():
            z = run.model.encode(mg.tensor(x)).numpy()
        drawn = run.model.sample(n, rng=mg.random.default_rng(seed)).numpy()
        colours = np.array(PALETTE)[y]
        for panel, (title, points, c) in zip(row, [(NAMES[name], x, colours), ("as noise", z, colours),
                                                   ("samples", drawn, INK)]):
            panel.scatter(*points.T, s=2, c=c, alpha=0.6, linewidths=0)
            panel.set_title(title, fontsize=9, color=INK)
    save(figure, path, dpi=100)


if __name__ == "__main__":
    main()
