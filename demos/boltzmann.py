"""From energies to probabilities: Boltzmann's distribution, exactly, and the speeds of the noble gases.

Draws the probabilities of a few energy levels at several temperatures, with mean energy, entropy and heat capacity; the
free energy of other distributions above that of Boltzmann's; a ring of magnets small enough to sum over; and Maxwell's
distribution of speeds, with draws. The derivations are in minigen/models/energy/boltzmann.py. """
import itertools

import numpy as np
from matplotlib.figure import Figure

from minigen.demo import Demo
from minigen.models.energy import Boltzmann, MaxwellSpeed
from minigen.models.energy.boltzmann import NOBLE_GASES
from minigen.viz import curves
from minigen.viz.figure import FAINT, INK, PALETTE, finish, new_axes

LEVELS = np.array([0.0, 1.0, 1.0, 2.0, 3.0, 5.0])               # energies, in any unit; one of them twice
ROOM = 298.15                                                   # kelvin


def main():
    """Compute and draw."""
    with Demo("boltzmann", __doc__) as demo:
        draw_levels(demo.path("levels.png"))
        draw_moments(demo.path("moments.png"))
        gap = draw_free_energy(demo.path("free_energy.png"), demo.seed)
        demo.metric("least_excess_free_energy", gap, "units of energy, of 300 other distributions; 0 is Boltzmann's")
        draw_magnets(demo.path("magnets.png"))
        draw_speeds(demo, demo.path("speeds.png"))


def tidy(panel, title=None, xlabel=None, ylabel=None):
    """No box, faint axes."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(FAINT)
    panel.tick_params(colors=INK, labelsize=8, color=FAINT)
    panel.set_title(title, fontsize=9, color=INK, loc="left")
    panel.set_xlabel(xlabel, fontsize=9, color=INK)
    panel.set_ylabel(ylabel, fontsize=9, color=INK)


def draw_levels(path):
    """p(x) of each level at four temperatures."""
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    for panel, T in zip(figure.subplots(1, 4, sharey=True), (0.2, 1.0, 3.0, 100.0)):
        p = Boltzmann(LEVELS, T)
        names = [f"{e:g}" for e in LEVELS]
        panel.bar(range(len(LEVELS)), p.probabilities, color=PALETTE[0], width=0.7)
        panel.set_xticks(range(len(LEVELS)), names)
        tidy(panel, f"T = {T:g}: mean energy {p.mean_energy:.2f},\nentropy {p.entropy:.2f} nats", "energy of the state",
             "probability" if T == 0.2 else None)
    finish(figure, path)


def draw_moments(path):
    """Mean energy, entropy and heat capacity against temperature."""
    T = np.geomspace(0.05, 50, 200)
    p = [Boltzmann(LEVELS, t) for t in T]
    curves({"mean energy": (T, [q.mean_energy for q in p]), "entropy (nats)": (T, [q.entropy for q in p]),
            "heat capacity Var[E]/T²": (T, [q.heat_capacity for q in p])}, path, xlabel="temperature", ylabel="",
           log="x", levels={"log 6: all states alike": np.log(6)}, title="From frozen to indifferent: six states, "
           "energies 0, 1, 1, 2, 3, 5")


def draw_free_energy(path, seed):
    """F[q] of random distributions against their divergence from Boltzmann's: a line with slope T. Returns the least
    gap."""
    T, rng = 1.0, np.random.default_rng(seed)
    p = Boltzmann(LEVELS, T)
    q = rng.dirichlet(np.full(len(LEVELS), 0.7), 300) * 0.999 + 0.001 / len(LEVELS)
    F = np.array([p.free_energy_of(row) for row in q])
    kl = (q * np.log(q / p.probabilities)).sum(axis=1)
    figure, axes = new_axes(6.4, 3.8, "KL(q‖p) in nats", "free energy F[q]",
                            "F[q] = −T log Z + T KL(q‖p): nothing lies below Boltzmann's distribution")
    axes.scatter(kl, F, s=12, color=PALETTE[0], alpha=0.6, linewidths=0, label="random distributions q")
    axes.axhline(p.free_energy, color=INK, linewidth=1, linestyle="--", label="−T log Z")
    axes.legend(frameon=False, fontsize=9)
    finish(figure, path)
    return (F - p.free_energy).min()


def draw_magnets(path, n=10):
    """A ring of n magnets ±1 that like to agree: E = −Σ s_i s_{i+1}. All 2ⁿ states, by their magnetisation."""
    states = np.array(list(itertools.product([-1, 1], repeat=n)))
    energies = -(states * np.roll(states, 1, axis=1)).sum(axis=1)
    up = states.sum(axis=1)
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    for panel, T in zip(figure.subplots(1, 4, sharey=True), (0.4, 1.0, 2.0, 20.0)):
        p = Boltzmann(energies, T)
        values = np.unique(up)
        panel.bar(values, [p.probabilities[up == m].sum() for m in values], color=PALETTE[1], width=1.4)
        tidy(panel, f"T = {T:g}: log Z = {p.log_Z:.2f}", f"magnets up − down, of {n}",
             "probability" if T == 0.4 else None)
    finish(figure, path)


def draw_speeds(demo, path):
    """Maxwell's densities at room temperature, with histograms of draws."""
    figure, axes = new_axes(7.2, 4.0, "speed in m/s", "density in s/km",
                            "The speeds of the noble gases at 25 °C: lines exact, bars 20,000 draws each")
    v = np.linspace(0, 2600, 500)
    for k, ((name, mass), colour) in enumerate(zip(NOBLE_GASES.items(), PALETTE)):
        gas = MaxwellSpeed(mass, ROOM)
        axes.hist(gas.sample(20_000, rng=demo.seed + k), bins=np.linspace(0, 2600, 105), density=True, color=colour,
                  alpha=0.25)
        axes.plot(v, gas.density(v), color=colour, linewidth=1.6,
                  label=f"{name}, {mass:g} u: most likely {gas.mode:.0f} m/s")
        demo.metric(f"mean_speed_{name}", gas.mean, "m/s")
    axes.set_yticks(axes.get_yticks(), [f"{1000 * tick:g}" for tick in axes.get_yticks()])
    axes.legend(frameon=False, fontsize=9)
    finish(figure, path)


if __name__ == "__main__":
    main()
