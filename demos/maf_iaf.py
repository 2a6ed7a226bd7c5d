"""Masked and inverse autoregressive flows: the same layers, fast in opposite directions.

A MAF scores data in one pass of each network and draws entry by entry; an IAF draws in one pass and scores given data
entry by entry. Here both are counted and timed in from 2 to 512 dimensions; a MAF learns small digits from data, which
asks for scores, and an IAF learns a density that is known up to a constant but of which there are no data, which asks
for draws. The derivations are in docs/flows.md.
"""
import time

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import data, nn
from minigen.demo import Demo
from minigen.flows import Autoregressive, Inverse
from minigen.models.flow import IAF, MAF, ImageFlow
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import FAINT, INK, PALETTE, finish

SIDE = 14                                                                       # of the digits, in pixels


def main():
    """Count and time, train both, draw."""
    with Demo("maf_iaf", __doc__) as demo:
        sizes = [2, 8] if demo.smoke else [2, 8, 32, 128, 512]
        rows = [directions(D) for D in sizes]
        print(table(sizes, rows))
        for name, cell in rows[-1].items():
            demo.metric(f"passes_{name.replace(' ', '_').lower()}", cell["passes"], f"network passes, D = {sizes[-1]}")
        draw_directions(sizes, rows, demo.path("directions.png"))
        fit_digits(demo)
        fit_energy(demo)


# ---- two directions --------------------------------------------------------------------------------------------------
class Counted(nn.Module):
    """A masked network that counts its passes."""

    def __init__(self, network):
        self.network, self.passes, self.order = network, 0, network.order

    def forward(self, x):
        self.passes += 1
        return self.network(x)


def directions(D, batch=100):
    """What a layer costs in each direction: passes through its network, and seconds for a batch, the least of a few."""
    network = nn.MaskedMLP(D, (4 * D,), 2, rng=0)
    whole, shared = Autoregressive(Counted(network)), Autoregressive(network)
    x = mg.random.default_rng(0).standard_normal((batch, D))
    costs = {}
    for name, layer, run in (("MAF scores", whole, whole.forward), ("MAF draws", whole, whole.inverse),
                             ("MAF draws sharing", shared, shared.inverse),
                             ("IAF draws", whole, Inverse(whole).inverse),
                             ("IAF scores", whole, Inverse(whole).forward)):
        whole.conditioner.passes = 0
        seconds = [clock(run, x)]
        passes = whole.conditioner.passes if layer is whole else 1
        while sum(seconds) < 0.1:
            seconds.append(clock(run, x))
        costs[name] = {"passes": passes, "seconds": min(seconds)}
    return costs


def clock(run, x):
    """Seconds that it takes."""
    with mg.no_grad():
        began = time.perf_counter()
        run(x)
        return time.perf_counter() - began


def table(sizes, rows):
    """Passes, a row a direction."""
    lines = [f"{'passes of a layer':<22}" + "".join(f"{f'D = {D}':>9}" for D in sizes)]
    for name in rows[0]:
        lines.append(f"{name:<22}" + "".join(f"{row[name]['passes']:>9}" for row in rows))
    return "\n".join(lines)


def draw_directions(sizes, rows, path):
    """Passes and milliseconds against the dimension."""
    figure = Figure(figsize=(9.6, 3.7), layout="constrained")
    figure.suptitle("One autoregressive layer, a batch of 100. What is fast for a MAF is slow for an IAF", fontsize=10,
                    color=INK, x=0.01, ha="left")
    styles = {"MAF scores": ("-", 0, "o"), "MAF draws": ("-", 1, "o"), "MAF draws sharing": ("-", 2, "D"),
              "IAF draws": ("--", 0, "s"), "IAF scores": ("--", 1, "s")}
    for axes, key, scale, label in zip(figure.subplots(1, 2), ("passes", "seconds"), (1, 1e3),
                                       ("passes through the network", "milliseconds")):
        for name, (line, colour, marker) in styles.items():
            axes.plot(sizes, [scale * row[name][key] for row in rows], line, color=PALETTE[colour], marker=marker,
                      markersize=5, linewidth=1.6, label=name, markerfacecolor="white" if line == "--" else None)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(sizes, sizes)
        axes.set_xlabel("dimension D", color=INK)
        axes.set_ylabel(label, color=INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#eeeeee")
    axes.legend(frameon=False, fontsize=8)
    finish(figure, path)


# ---- a MAF learns from data ------------------------------------------------------------------------------------------
def small_digits(split, folder=None):
    """The digits at half their size, 14 × 14, in 8 bits."""
    full = data.digits(split) if folder is None else data.mnist(split, root=folder)
    mean = full["x"].astype(np.float32).reshape(-1, SIDE, 2, SIDE, 2, 1).mean(axis=(2, 4))
    return data.Dataset({"x": np.round(mean).astype(np.uint8), "y": full["y"]})


def fit_digits(demo):
    """Maximum likelihood on 14 × 14 digits: scores are all that training asks for."""
    steps = 5 if demo.smoke else 1200
    model = ImageFlow(MAF(SIDE * SIDE, layers=3, hidden=(256,), rng=demo.seed), (SIDE, SIDE, 1), alpha=1e-6)
    loaders = {split: data.Loader(small_digits(split, demo.data), 128, shuffle=split == "train", seed=demo.seed,
                                  drop_last=split == "train", transform=data.on(x=data.dequantise))
               for split in ("train", "test")}
    trainer = Trainer(model, Adam(model.parameters(), lr=schedules.cosine(1e-3, steps)), loaders["train"], clip=50.0,
                      seed=demo.seed)
    trainer.run(steps)
    model.eval()
    with mg.no_grad():
        bits = np.concatenate([model.bits_per_dim(batch["x"]).numpy() for batch in loaders["test"].epoch(0)])
    demo.metric("maf_digits", bits.mean(), "bits/dim, test")
    mg.viz.image_grid(model.sample(60, rng=mg.random.default_rng(demo.seed)), demo.path("maf_digits.png"), columns=15,
                      title="Draws of a MAF that was trained on 14 × 14 digits: 196 steps each, sharing their work")


# ---- an IAF learns from an energy ------------------------------------------------------------------------------------
def log_density(x):
    """A density on the plane, known up to a constant: a ring of radius 2 with two heavier ends (Rezende and Mohamed,
    2015, arXiv:1505.05770, table 1)."""
    ring = ((x * x).sum(axis=-1).sqrt() - 2) / 0.4
    ends = mg.logaddexp(-0.5 * ((x[..., 0] - 2) / 0.6) ** 2, -0.5 * ((x[..., 0] + 2) / 0.6) ** 2)
    return ends - 0.5 * ring * ring


def fit_energy(demo):
    """Minimise D_KL(model ‖ p) = E[log model(x) − log p(x)] over the model's draws: one pass gives draw and score."""
    steps = 5 if demo.smoke else 1500
    model, rng = IAF(2, layers=6, hidden=(64, 64), rng=demo.seed), mg.random.default_rng(demo.seed)
    optimizer = Adam(model.parameters(), lr=schedules.cosine(5e-3, steps))
    for _ in range(steps):
        x, log_q = model.flow.sample_and_log_prob(256, rng=rng)
        loss = (log_q - log_density(x)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with mg.no_grad():
        x, log_q = model.flow.sample_and_log_prob(20_000, rng=rng)
        gap = (log_q - log_density(x)).mean().item() + log_normaliser()
    demo.metric("iaf_energy", gap, "nats, divergence of the IAF from the density")
    draw_energy(model, x.numpy(), gap, demo.path("iaf_energy.png"))


def plane(half=3.6, points=161):
    """(axis, points (points², 2) float32) of a square grid."""
    at = np.linspace(-half, half, points)
    return at, np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2).astype(np.float32)


def log_normaliser():
    """log ∫ exp(log_density), by Riemann's sum; a smooth integrand that vanishes at the rim."""
    at, grid = plane(half=6.0, points=401)
    return float(np.log(np.exp(log_density(mg.tensor(grid)).numpy().astype(np.float64)).sum() * (at[1] - at[0]) ** 2))


def draw_energy(model, samples, gap, path):
    """The density, the IAF's draws, and the IAF's density."""
    at, grid = plane()
    with mg.no_grad():
        learnt = np.exp(model.log_prob(mg.tensor(grid)).numpy())
    true = np.exp(log_density(mg.tensor(grid)).numpy() - log_normaliser())
    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    figure.suptitle(f"An IAF fitted to a density without data, by its own draws: divergence {gap:.3f} nats",
                    fontsize=10, color=INK, x=0.01, ha="left")
    names = ("the density, known up to a constant", "2,500 draws of the IAF", "the IAF's density")
    for k, (axes, name) in enumerate(zip(figure.subplots(1, 3), names)):
        if k == 1:
            axes.scatter(*samples[:2500].T, s=2, color=PALETTE[0], alpha=0.5, linewidths=0)
        else:
            axes.imshow((true if k == 0 else learnt).reshape(len(at), len(at)), extent=(at[0], at[-1]) * 2,
                        origin="lower", cmap="Greys" if k == 0 else "Blues", vmin=0, vmax=1.1 * true.max())
        axes.set(xlim=(at[0], at[-1]), ylim=(at[0], at[-1]), xticks=[], yticks=[], aspect="equal")
        axes.spines[:].set_color(FAINT)
        axes.set_title(name, fontsize=9, color=INK)
    finish(figure, path)


if __name__ == "__main__":
    main()
