"""Markov chains, with each condition dropped in turn, and what breaks.

Five chains on six states, each drawn as a graph: one that has everything; one that is reducible, so that its long run
depends on the start; one that is periodic and never settles; one that settles, but goes round; and one that mixes
slowly. Then on the line: a random walk on a density with two modes, with steps too small, right and too large, and how
autocorrelation, effective sample size and R̂ tell. The derivations are in docs/sampling.md.
"""
import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

import minigen as mg
from minigen.demo import Demo
from minigen.distributions import Mixture, Normal
from minigen.samplers import (FiniteChain, RandomWalk, autocorrelation, effective_sample_size, metropolis_chain, r_hat,
                              run)
from minigen.viz.figure import FAINT, INK, PALETTE, save

DPI = 90                                                                # of the pictures: small files
BLUE, ORANGE, GREEN, RED, PINK = PALETTE[:5]
MODES = (-2.0, 2.0)


def main():
    """Finite chains, then a continuous one."""
    with Demo("markov_chains", __doc__) as demo:
        kept = chains()
        draw_graphs(kept, demo)
        draw_distances(kept, demo.path("distance.png"))
        draw_line(demo, 300 if demo.smoke else 4000)


# ---- finite chains ---------------------------------------------------------------------------------------------------
def ring(K, forward, backward):
    """A chain on a ring of K states that goes forward or backward with these probabilities, or stays."""
    one = np.roll(np.eye(K), 1, axis=1)
    return forward * one + backward * one.T + (1 - forward - backward) * np.eye(K)


def chains():
    """{title: (FiniteChain, what breaks)}."""
    target = np.array([0.30, 0.25, 0.10, 0.15, 0.12, 0.08])
    split = np.zeros((6, 6))
    split[:3, :3] = split[3:, 3:] = ring(3, 0.35, 0.35)
    bridge = np.zeros((6, 6))
    bridge[2:4, 2:4] = [[-0.01, 0.01], [0.01, -0.01]]
    return {
        "Metropolis on a ring": (metropolis_chain(target, ring(6, 0.5, 0.5)), "has everything: irreducible, aperiodic, "
                                 "reversible"),
        "in two parts": (FiniteChain(split), "reducible: the long run depends on the start"),
        "to and fro": (FiniteChain(ring(6, 0.5, 0.5)), "period 2: from a state it is in every other one for ever"),
        "round and round": (FiniteChain(ring(6, 0.6, 0.1)), "not reversible: it settles, but flows in a circle"),
        "two parts and a narrow bridge": (FiniteChain(split + bridge), "mixes slowly: looks as if in two parts"),
    }


def draw_graphs(kept, demo, steps=24):
    """A row for each chain: its graph, p_t from one start, visits of two simulated paths, and the verdict."""
    figure = Figure(figsize=(11, 11.5), layout="constrained")
    figure.suptitle("Five Markov chains: the graph; where it may be after t steps from state 0; and how often two long "
                    "paths were in each state", fontsize=11, color=INK, x=0.01, ha="left")
    axes = figure.subplots(len(kept), 3, width_ratios=(1, 1.5, 1.3))
    for (graph, heat, visits), (title, (chain, verdict)) in zip(axes, kept.items()):
        draw_graph(graph, chain.P)
        graph.set_title(f"{title}\n{verdict}", fontsize=9, color=INK, loc="left")
        p = [np.eye(len(chain))[0]]
        for _ in range(steps):
            p.append(p[-1] @ chain.P)
        image = heat.imshow(np.array(p).T, cmap="viridis", vmin=0, vmax=0.6, aspect="auto")
        heat.set(ylabel="state", yticks=range(len(chain)))
        path = chain.sample(2000, [0, 3], rng=demo.seed)
        share = np.array([[np.mean(path[:, i] == k) for k in range(len(chain))] for i in range(2)])
        for i, colour in enumerate((BLUE, ORANGE)):
            visits.bar(np.arange(len(chain)) + 0.2 * (2 * i - 1), share[i], 0.38, color=colour,
                       label=f"path from state {3 * i}")
        if chain.irreducible:
            visits.plot(chain.stationary, "_", color=INK, markersize=20, label="stationary")
        visits.set(xticks=range(len(chain)), ylabel="share of 2,000 steps", ylim=(0, 0.62))
        visits.set_title(numbers(chain), fontsize=9, color=INK, loc="left")
        for panel in (heat, visits):
            panel.tick_params(labelsize=8, colors=INK)
            panel.spines[:].set_visible(False)
        demo.metric(f"lambda2_{title.replace(' ', '_')}", chain.relaxation, "|λ₂|: 1 if it never forgets")
    axes[0, 2].legend(frameon=False, fontsize=8)
    axes[-1, 1].set_xlabel("step t")
    axes[-1, 2].set_xlabel("state")
    figure.colorbar(image, ax=axes[:, 1], location="bottom", shrink=0.7, aspect=40, pad=0.01, label="probability")
    save(figure, demo.path("chains.png"), DPI)


def numbers(chain):
    """What can be computed of a chain, in a line or two."""
    if not chain.irreducible:
        return f"no unique stationary distribution, |λ₂| = {chain.relaxation:.3f}"
    told = "reversible" if chain.reversible else "not reversible"
    if chain.period > 1:
        return f"period {chain.period}, no limit; {told}\n|λ₂| = {chain.relaxation:.3f}"
    return f"aperiodic; {told}\n|λ₂| = {chain.relaxation:.3f}, mixing time {chain.mixing_time()} steps"


def draw_graph(panel, P):
    """States on a circle, an arrow for each transition, as wide as it is probable."""
    K = len(P)
    angle = np.pi / 2 - 2 * np.pi * (np.arange(K) + 0.5) / K
    at = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for i, j in zip(*np.nonzero(P)):
        if i == j:
            loop = np.linspace(0, 2 * np.pi, 30)
            panel.plot(*(1.33 * at[i][:, None] + 0.16 * np.stack([np.cos(loop), np.sin(loop)])), color=FAINT,
                       linewidth=0.4 + 3 * P[i, i], zorder=1)
        else:
            panel.add_patch(FancyArrowPatch(at[i], at[j], connectionstyle="arc3,rad=0.18", arrowstyle="-|>", shrinkA=9,
                                            shrinkB=9, mutation_scale=9, color=BLUE if P[i, j] > 0.02 else RED,
                                            linewidth=0.4 + 3 * P[i, j], zorder=2))
    panel.scatter(*at.T, s=190, color="white", edgecolors=INK, linewidths=1, zorder=3)
    for k, place in enumerate(at):
        panel.text(*place, str(k), ha="center", va="center", fontsize=9, color=INK, zorder=4)
    panel.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
    panel.set_axis_off()


def draw_distances(kept, path):
    """d(t), the distance from the stationary distribution, for the irreducible ones; and that of averages over time."""
    t = np.arange(1, 2001)
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    figure.suptitle("How far from the stationary distribution after t steps, from the worst start", fontsize=11,
                    color=INK, x=0.01, ha="left")
    axes = figure.subplots(1, 2, sharey=True)
    for (title, (chain, _)), colour in zip(kept.items(), (BLUE, RED, ORANGE, GREEN, PINK)):
        pi = chain.stationary if chain.irreducible else np.full(len(chain), 1 / len(chain))
        p, total, now, mean = np.eye(len(chain)), np.zeros_like(chain.P), [], []
        for _ in t:
            p = p @ chain.P
            total += p
            now.append(0.5 * np.abs(p - pi).sum(axis=1).max())
            mean.append(0.5 * np.abs(total / len(now) - pi).sum(axis=1).max())
        for panel, values in zip(axes, (now, mean)):
            panel.loglog(t, np.maximum(values, 1e-9), color=colour, linewidth=1.6, label=title)
    for panel, told in zip(axes, ("p_t itself: falls like |λ₂|ᵗ, or not at all",
                                  "p averaged over the first t steps: falls like 1/t,\neven for the periodic chain")):
        panel.set(xlabel="t", ylim=(1e-4, 1.5))
        panel.set_title(told, fontsize=9, color=INK, loc="left")
        plain(panel)
        panel.grid(color="#eeeeee")
    axes[0].set_ylabel("total variation distance")
    axes[0].axhline(0.25, color=INK, linewidth=0.8, linestyle=":")
    axes[1].legend(frameon=False, fontsize=8, loc="lower left")
    save(figure, path, DPI)


def plain(panel):
    """No box, and small numbers."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(FAINT)
    panel.tick_params(which="both", colors=INK, labelsize=8, color=FAINT)


# ---- on the line -----------------------------------------------------------------------------------------------------
def two_modes():
    """0.4 N(−2, 0.5²) + 0.6 N(2, 0.8²)."""
    return Mixture([math.log(0.4), math.log(0.6)], Normal(list(MODES), [math.log(0.5), math.log(0.8)], 0))


def draw_line(demo, steps):
    """A row for each step size: traces, histogram against the density, autocorrelation."""
    p, x = two_modes(), np.linspace(-5, 6, 400)
    density = np.exp(p.log_prob(mg.tensor(x.astype(np.float32))).numpy())
    figure = Figure(figsize=(11, 7), layout="constrained")
    figure.suptitle("A random walk by Metropolis on two modes, 8 chains, from both sides: steps too small, right, too "
                    "large", fontsize=11, color=INK, x=0.01, ha="left")
    axes = figure.subplots(3, 3, width_ratios=(2, 1, 1.2))
    start = np.repeat(np.float32(MODES), 4)[:, None]
    for row, size in zip(axes, (0.15, 3.0, 60.0)):
        chains = run(RandomWalk(lambda x: p.log_prob(x[:, 0]), size), start, steps, rng=demo.seed, progress=False)
        draws, worth = chains.x, effective_sample_size(chains.x).item()
        for chain, colour in zip(draws[:1000, [0, 7], 0].T, (BLUE, ORANGE)):
            row[0].plot(chain, color=colour, linewidth=0.6)
        row[0].set(ylabel="x", ylim=(-5, 6))
        row[0].set_title(f"step {size:g}: {chains.acceptance:.0%} accepted, R̂ = {r_hat(draws).item():.2f}, "
                         f"{draws.size:,} draws are worth {worth:,.0f}", fontsize=9, color=INK, loc="left")
        row[1].hist(draws.ravel(), np.linspace(-5, 6, 56), density=True, color=FAINT)
        row[1].plot(x, density, color=GREEN, linewidth=1.4)
        row[1].set(yticks=[], xlim=(-5, 6))
        rho = autocorrelation(draws, min(200, steps // 2))[:, 0]
        row[2].plot(rho, color=PINK, linewidth=1.4)
        row[2].axhline(0, color=INK, linewidth=0.6)
        row[2].set(ylim=(-0.1, 1.05))
        key = f"{size:g}".replace(".", "_")
        demo.metric(f"ess_step_{key}", worth, f"of {draws.size} draws")
        demo.metric(f"r_hat_step_{key}", r_hat(draws).item(), "R̂, 1 if the chains agree")
    for panel in axes.flat:
        plain(panel)
    axes[0, 1].set_title("all draws, and p", fontsize=9, color=INK, loc="left")
    axes[0, 2].set_title("autocorrelation ρ_t", fontsize=9, color=INK, loc="left")
    for panel, label in zip(axes[-1], ("step", "x", "lag t, steps")):
        panel.set_xlabel(label)
    save(figure, demo.path("two_modes.png"), DPI)


if __name__ == "__main__":
    main()
