"""Six normalising flows learn four densities on the plane, where the truth is known and can be compared in nats.

Each flow is trained for some seconds on draws of a density, by maximum likelihood. The density is known, and so is its
entropy H; so the score is NLL − H, the divergence of the model from the data: 0 is perfect. Pictures: the densities
that were learnt beside the true ones, samples, a table of the scores, and how each flow carries the plane to the
noise. The derivations are in docs/flows.md.
"""
import dataclasses

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

import minigen as mg
from minigen.data import densities
from minigen.demo import Demo
from minigen.flows import ActNorm, Compose, Planar
from minigen.models.flow import MAF, NICE, NSF, FlowModel, RealNVP
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import FAINT, INK, PALETTE, finish, new_axes, save

TARGETS = {"8gaussians": "8 Gaussians", "checkerboard": "checkerboard", "moons": "two moons", "spirals": "two spirals"}
HALF = {"8gaussians": 4.2, "checkerboard": 4.6, "moons": 3.6, "spirals": 3.8}           # how far to look
BATCH, POOL, SHOWN = 256, 100_000, 700
SMALL = 90                                                       # dots an inch, of pictures with many panels


def planar(rng):
    """Sixteen planar flows in the direction from data to noise."""
    return FlowModel(Compose([ActNorm(2), *(Planar(2, rng=rng) for _ in range(16))]), (2,))


FLOWS = {                                                        # how to build it, and the learning rate to begin with
    "planar": (planar, 1e-2),
    "NICE": (lambda rng: NICE(2, couplings=6, hidden=(64, 64), rng=rng), 5e-3),
    "Real NVP": (lambda rng: RealNVP(2, couplings=6, hidden=(64, 64), norm=True, rng=rng), 5e-3),
    "MAF": (lambda rng: MAF(2, layers=6, hidden=(64, 64), rng=rng), 5e-3),
    "NSF, coupling": (lambda rng: NSF(2, layers=3, hidden=(64, 64), bins=12, rng=rng), 8e-3),
    "NSF, autoreg.": (lambda rng: NSF(2, 2, "autoregressive", hidden=(64, 64), bins=12, rng=rng), 8e-3),
}


@dataclasses.dataclass
class Fit:
    """A trained model and its divergence from the data, nats, with the standard error of that number."""
    model: FlowModel
    gap: float
    error: float


def main():
    """Train, measure, draw."""
    with Demo("flows_2d", __doc__) as demo:
        steps, tested = (5, 500) if demo.smoke else (600, 10_000)
        fits = {(name, flow): fit(densities.get(name), *FLOWS[flow], steps, tested, demo.seed)
                for name in TARGETS for flow in FLOWS}
        for (name, flow), found in fits.items():
            demo.metric(f"gap_{name}_{flow.replace(', ', '_').replace(' ', '').rstrip('.').lower()}", found.gap, "nats")
        print(table(fits))
        draw_densities(fits, demo.path("densities.png"), points=24 if demo.smoke else 100)
        draw_samples(fits, demo.path("samples.png"), demo.seed)
        draw_gaps(fits, demo.path("gaps.png"))
        draw_noise(fits, demo.path("noise.png"))


def fit(density, build, lr, steps, tested, seed):
    """Train a flow on fresh draws from a pool, and score it on others."""
    pool = mg.tensor(density.sample(POOL, rng=seed)[0])
    model = build(mg.random.default_rng(seed))
    trainer = Trainer(model, Adam(model.parameters(), lr=schedules.cosine(lr, steps)),
                      lambda rng: {"x": mg.take(pool, rng.integers(POOL, size=(BATCH,)), axis=0)}, seed=seed, clip=10.0)
    trainer.run(steps)
    model.eval()
    x = density.sample(tested, rng=seed + 1)[0]
    excess = density.log_density(x) - log_prob(model, x)
    return Fit(model, excess.mean(), excess.std() / np.sqrt(tested))


def log_prob(model, x):
    """log p of points (n, 2), in float64, a few at a time."""
    with mg.no_grad():
        parts = [model.log_prob(mg.tensor(part)).numpy() for part in np.array_split(x, -(-len(x) // 5000))]
    return np.concatenate(parts).astype(np.float64)


def table(fits):
    """NLL − H, a row a density."""
    lines = [f"{'NLL − H, nats':<15}" + "".join(f"{flow:>15}" for flow in FLOWS)]
    for name, title in TARGETS.items():
        lines.append(f"{title:<15}" + "".join(f"{fits[name, flow].gap:>15.3f}" for flow in FLOWS))
    return "\n".join(lines)


# ---- pictures --------------------------------------------------------------------------------------------------------
def panels(title):
    """(Figure, {(density, column): axes}): a row a density, the data and then each flow."""
    columns = ["data", *FLOWS]
    figure = Figure(figsize=(1.62 * len(columns), 1.75 * len(TARGETS) + 0.3), layout="constrained")
    figure.suptitle(title, fontsize=10, color=INK, x=0.01, ha="left")
    grid = figure.subplots(len(TARGETS), len(columns))
    axes = {(name, column): panel for name, row in zip(TARGETS, grid) for column, panel in zip(columns, row)}
    for (name, column), panel in axes.items():
        panel.set(xlim=(-HALF[name], HALF[name]), ylim=(-HALF[name], HALF[name]), xticks=[], yticks=[], aspect="equal")
        panel.spines[:].set_color(FAINT)
        if name == next(iter(TARGETS)):
            panel.set_title(column, fontsize=9, color=INK)
    return figure, axes


def score(panel, found):
    """The divergence, below a panel."""
    panel.set_xlabel(f"{found.gap:.3f} nats", fontsize=8, color=INK, labelpad=2)


def draw_densities(fits, path, points):
    """exp log p on a grid; each row has its own scale of grey, the one of the data."""
    figure, axes = panels("The densities that were learnt. Below each: NLL − H, how far it is from the data")
    for name in TARGETS:
        at = np.linspace(-HALF[name], HALF[name], points)
        plane = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2).astype(np.float32)
        true = np.exp(densities.get(name).log_density(plane))
        for column in ("data", *FLOWS):
            p = true if column == "data" else np.exp(log_prob(fits[name, column].model, plane))
            axes[name, column].contourf(at, at, p.reshape(points, points), levels=np.linspace(0, 1.05 * true.max(), 12),
                                        cmap="Greys" if column == "data" else "Blues", extend="max")
            if column != "data":
                score(axes[name, column], fits[name, column])
    save(figure, path, SMALL)


def draw_samples(fits, path, seed):
    """Draws of the same noise."""
    figure, axes = panels("Samples, from the same noise in each row. Threads between the modes are the mark of a flow")
    for name in TARGETS:
        eps = mg.random.default_rng(seed + 2).standard_normal((SHOWN, 2))
        for column in ("data", *FLOWS):
            if column == "data":
                x, colour = densities.get(name).sample(SHOWN, rng=seed + 2)[0], INK
            else:
                x, colour = fits[name, column].model.sample(SHOWN, eps=eps).numpy(), PALETTE[0]
                score(axes[name, column], fits[name, column])
            axes[name, column].scatter(*x.T, s=1.5, color=colour, linewidths=0)
    save(figure, path, SMALL)


def draw_noise(fits, path):
    """Where each flow takes the data: z = T(x), which should be a round Gaussian in every panel, coloured by class."""
    figure, axes = panels("The data carried to the noise, coloured by class. A perfect flow makes it N(0, I)")
    for name in TARGETS:
        x, y = densities.get(name).sample(SHOWN, rng=3)
        colours = np.array(PALETTE)[y % len(PALETTE)]
        for column in ("data", *FLOWS):
            z = x if column == "data" else fits[name, column].model.encode(mg.tensor(x)).numpy()
            axes[name, column].scatter(*z.T, s=1.5, c=colours, linewidths=0)
            if column != "data":
                axes[name, column].set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))
    save(figure, path, SMALL)


def draw_gaps(fits, path):
    """The scores on a logarithmic axis, with their standard errors."""
    figure, axes = new_axes(6.8, 3.9, "NLL − H, nats per point", "", "How far each flow is from the data, after the "
                            "same number of steps. Left is better")
    for k, (name, title) in enumerate(TARGETS.items()):
        gaps = [max(fits[name, flow].gap, 1e-3) for flow in FLOWS]
        errors = [fits[name, flow].error for flow in FLOWS]
        axes.errorbar(gaps, np.arange(len(FLOWS)) + 0.12 * (k - 1.5), xerr=errors, fmt="o", color=PALETTE[k],
                      markersize=6, linewidth=1, label=title)
    axes.set(xscale="log", yticks=range(len(FLOWS)), yticklabels=FLOWS)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    finish(figure, path)


if __name__ == "__main__":
    main()
