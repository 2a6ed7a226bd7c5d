"""Four ways to draw from a density, and how each of them fails.

Inverse transform needs F⁻¹, and a uniform number that reaches far enough into the tail. Rejection needs a bound,
importance sampling a proposal that is nowhere too narrow, and both lose exponentially with the dimension. A Markov
chain needs none of that, but time to cross between modes. The last picture shows what 1,000 evaluations of the density
are worth by each, dimension by dimension. The derivations are in docs/sampling.md.
"""
import math

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.demo import Demo
from minigen.distributions import Exponential, Mixture, Normal, Uniform
from minigen.samplers import (HMC, RandomWalk, effective_sample_size, importance, inverse_transform, r_hat, rejection,
                              run)
from minigen.viz.figure import FAINT, INK, PALETTE, new_axes, save

DPI = 130                                                               # of the pictures: small files
BLUE, ORANGE, GREEN, RED, PINK = PALETTE[:5]


def main():
    """A picture for each sampler, and one for all."""
    with Demo("sampling", __doc__) as demo:
        draw_inverse(demo, 20_000 if demo.smoke else 1_000_000)
        draw_rejection(demo, 2000 if demo.smoke else 20_000)
        draw_importance(demo, 1000 if demo.smoke else 10_000)
        draw_chains(demo, 100 if demo.smoke else 2000)
        draw_dimension(demo, 200 if demo.smoke else 2000)


def panels(columns, title, width=10.2, height=3.5):
    """(Figure, axes (columns,)) without boxes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left")
    axes = figure.subplots(1, columns)
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(FAINT)
        panel.tick_params(which="both", colors=INK, labelsize=8, color=FAINT)
    return figure, axes


def head(panel, text):
    """The title of a panel."""
    panel.set_title(text, fontsize=9, color=INK, loc="left")


def two_modes(apart=4.0):
    """The target of most pictures: two normals of different width."""
    return Mixture([math.log(0.4), math.log(0.6)], Normal([-apart / 2, apart / 2], [math.log(0.5), math.log(0.9)], 0))


def density(p, x):
    """p(x) (n,), NumPy."""
    return np.exp(p.log_prob(mg.tensor(np.asarray(x, np.float32))).numpy())


# ---- inverse transform -----------------------------------------------------------------------------------------------
def draw_inverse(demo, count):
    """F and a few draws; the tail that float32 cannot reach; a table of F instead of F⁻¹."""
    p, rng = two_modes(), mg.random.default_rng(demo.seed)
    figure, (steps, tail, cost) = panels(3, "Inverse transform: uniform numbers through F⁻¹")
    x = np.linspace(-5, 6, 2000)
    F = p.cdf(mg.tensor(x.astype(np.float32))).numpy()
    u = np.linspace(0.02, 0.98, 25)
    steps.plot(x, F, color=BLUE, linewidth=1.6)
    drawn = np.interp(u, F, x)
    for height, at in zip(u, drawn):
        steps.plot([-5, at, at], [height, height, 0], color=ORANGE, linewidth=0.6)
    steps.plot(drawn, np.zeros(25), "|", color=RED, markersize=9)
    steps.set(xlim=(-5, 6), ylim=(0, 1), xlabel="x", ylabel="u = F(x)")
    head(steps, "25 equal steps of u: where F is\nsteep, many land")

    draws = inverse_transform(Exponential(0.0).icdf, count, rng=rng).numpy()
    threshold = np.linspace(0, 22, 200)
    tail.semilogy(threshold, np.exp(-threshold), color=BLUE, linewidth=1.6, label="exact, e⁻ˣ")
    order = np.sort(draws)
    tail.semilogy(order, 1 - np.arange(len(order)) / len(order), color=ORANGE, linewidth=1.6, label=f"{count:,} draws")
    limit = -math.log(2.0 ** -24)
    tail.axvline(limit, color=RED, linestyle="--", linewidth=1, label="no draw can lie beyond")
    tail.set(xlabel="x", ylabel="P(X > x)", ylim=(1e-10, 2))
    tail.legend(frameon=False, fontsize=8, loc="lower left")
    head(tail, "a uniform float32 is at most 1 − 2⁻²⁴,\nso the exponential's tail ends at 16.6")
    demo.metric("largest_exponential", draws.max(), f"of {count:,} draws; none can exceed 16.64")

    D = np.arange(1, 9)
    for cells, colour in zip((10, 100), (GREEN, PINK)):
        cost.semilogy(D, float(cells) ** D, "o-", color=colour, markersize=3, label=f"{cells} cells an axis")
    cost.set(xlabel="dimensions D", ylabel="numbers in the table")
    cost.legend(frameon=False, fontsize=8)
    head(cost, "where F⁻¹ is unknown, a table of F\nserves in one dimension, not in many")
    save(figure, demo.path("inverse_transform.png"), DPI)


# ---- rejection -------------------------------------------------------------------------------------------------------
def draw_rejection(demo, count):
    """Points under M q, kept below p: a good proposal, a wide one; and the acceptance against the width."""
    p, x = two_modes(), np.linspace(-7, 7, 1000)
    figure, axes = panels(3, "Rejection: points under M q, of which those under p are kept")
    for panel, std in zip(axes, (2.4, 6.0)):
        q = Normal(0.3, math.log(std), 0)
        log_M = bound(p, q)
        result = rejection(p.log_prob, q, log_M, count, rng=demo.seed)
        heights = math.exp(log_M) * density(q, x)
        at = q.sample(700, rng=1).numpy()
        up = np.random.default_rng(2).random(700) * math.exp(log_M) * density(q, at)
        kept = up < density(p, at)
        panel.scatter(at[~kept], up[~kept], s=4, color=RED, alpha=0.6, linewidths=0)
        panel.scatter(at[kept], up[kept], s=4, color=GREEN, linewidths=0)
        panel.plot(x, heights, color=ORANGE, linewidth=1.5, label=f"M q, q = N(0.3, {std:g}²)")
        panel.plot(x, density(p, x), color=BLUE, linewidth=1.5, label="p")
        panel.set(xlim=(-7, 7), ylim=(0, 0.62), xlabel="x", yticks=[])
        panel.legend(frameon=False, fontsize=8)
        head(panel, f"M = {math.exp(log_M):.2f}: kept {result.acceptance:.1%}, 1/M = {math.exp(-log_M):.1%}")
        demo.metric(f"kept_std_{std:g}", 100 * result.acceptance, f"% of proposals; 1/M = {math.exp(-log_M):.2%}")
    widths = np.geomspace(1.0, 100, 60)
    kept = [math.exp(-bound(p, Normal(0.3, math.log(w), 0))) for w in widths]
    axes[2].loglog(widths, kept, color=BLUE, linewidth=1.6)
    axes[2].set(xlabel="standard deviation of q", ylabel="kept, 1/M")
    head(axes[2], "narrower, M must cover p's tails;\nwider, most proposals are nowhere")
    save(figure, demo.path("rejection.png"), DPI)


def bound(p, q):
    """log M: the largest log p − log q on a fine grid, and a little more."""
    x = mg.tensor(np.linspace(-12, 12, 20_001).astype(np.float32))
    return mg.max(p.log_prob(x) - q.log_prob(x)).item() + 1e-4


# ---- importance ------------------------------------------------------------------------------------------------------
def draw_importance(demo, count):
    """Running means of a good, a wide and a narrow proposal; ESS against the width; the largest weight's share."""
    p, truth = Normal(0.0, 0.0, 0), 1.0
    figure, (running, worth, heavy) = panels(3, "Importance sampling: E[x²] under p = N(0, 1), with draws from "
                                                "q = N(0, s²)")
    for s, colour in zip((1.3, 4.0, 0.5), (GREEN, BLUE, RED)):
        for seed in range(3):
            draws = importance(p.log_prob, Normal(0.0, math.log(s), 0), count, rng=demo.seed + seed)
            w, x = np.exp(draws.log_weights.numpy().astype(float)), draws.x.numpy()
            means = np.cumsum(w * x ** 2) / np.cumsum(w)
            running.semilogx(np.arange(1, count + 1)[20:], means[20:], color=colour, linewidth=1,
                             label=f"s = {s:g}" if seed == 0 else None)
    running.axhline(truth, color=INK, linewidth=0.8, linestyle=":")
    running.set(xlabel="draws", ylabel="self-normalised estimate", ylim=(0, 2.2))
    running.legend(frameon=False, fontsize=8)
    head(running, "three runs each: s = 0.5 stays too low,\nand jumps when a rare draw comes")

    widths = np.geomspace(0.3, 8, 29)
    exact = np.where(widths > 0.5 ** 0.5, np.sqrt(np.maximum(2 * widths ** 2 - 1, 0)) / widths ** 2, 0)
    shares, ess = [], []
    for s in widths:
        draws = importance(p.log_prob, Normal(0.0, math.log(s), 0), count, rng=demo.seed)
        w = np.exp(draws.log_weights.numpy().astype(float))
        ess.append(draws.effective_sample_size / count)
        shares.append(w.max() / w.sum())
    worth.semilogx(widths, exact, color=INK, linewidth=1.2, label="1 / E_q[w²], exact")
    worth.semilogx(widths, ess, "o", color=BLUE, markersize=3, label=f"ESS / n of {count:,} draws")
    worth.text(0.46, 0.93, "E[w²] = ∞", fontsize=8, color=RED, ha="center")
    worth.legend(frameon=False, fontsize=8, loc="lower right")
    head(worth, "effective sample size: for s² < ½ it is 0,\nbut the estimate does not know that")
    heavy.loglog(widths, shares, "o-", color=ORANGE, markersize=3)
    heavy.set(ylabel="share of the largest weight")
    for panel in (worth, heavy):
        panel.axvspan(0.3, 0.5 ** 0.5, color=RED, alpha=0.08, linewidth=0)
        panel.set(xlabel="s", xticks=[0.5, 1, 2, 5], xticklabels=["0.5", "1", "2", "5"], xlim=(0.3, 8))
        panel.minorticks_off()
    head(heavy, "a sign to look for: the share of the\nlargest weight; of equal ones it is 1/n")
    save(figure, demo.path("importance.png"), DPI)
    demo.metric("ess_wide", ess[np.argmin(abs(widths - 4))], "ESS / n for s = 4")


# ---- Markov chains ---------------------------------------------------------------------------------------------------
def walk(apart, each, steps, seed):
    """(steps, 2 each, 1): chains on two modes that far apart, as many from each of them."""
    start = np.repeat(np.float32([[-apart / 2], [apart / 2]]), each, axis=0)
    kernel = RandomWalk(lambda x: two_modes(apart).log_prob(x[:, 0]), 1.0)
    return run(kernel, start, steps, rng=seed, progress=False).x


def draw_chains(demo, steps):
    """A random walk on two modes, nearer and farther; and what R̂ and the weight of a mode say as they part."""
    figure, axes = panels(3, "A Markov chain (a random walk of step 1) needs no bound and no proposal near p, but time "
                             "to cross")
    for panel, apart in zip(axes, (4.0, 10.0)):
        x = walk(apart, 1, steps, demo.seed)
        for chain, colour in zip(x[:400, :, 0].T, (BLUE, ORANGE)):
            panel.plot(chain, color=colour, linewidth=0.7)
        panel.set(xlabel="step", ylabel="x", ylim=(-8, 8))
        head(panel, f"modes {apart:g} apart: R̂ = {r_hat(x).item():.2f},\n{np.mean(x > 0):.0%} of the time on the "
                    "right, wanted 60%")
    distances = np.linspace(2, 12, 11)
    found = {"R̂ of 2 × 20 chains": [], "right of the middle, wanted 0.6": []}
    for apart in distances:
        x = walk(apart, 20, steps, demo.seed)
        found["R̂ of 2 × 20 chains"].append(r_hat(x).item())
        found["right of the middle, wanted 0.6"].append((x > 0).mean())
    for (name, values), colour in zip(found.items(), (RED, BLUE)):
        axes[2].semilogy(distances, values, "o-", color=colour, markersize=3, label=name)
    ticks = [0.5, 1, 2, 5, 10]
    axes[2].set(xlabel="distance of the modes", ylim=(0.3, 30), yticks=ticks, yticklabels=ticks)
    axes[2].minorticks_off()
    axes[2].legend(frameon=False, fontsize=8, loc="upper left")
    head(axes[2], f"after {steps:,} steps: R̂ tells, because half\nof the chains started on either side")
    save(figure, demo.path("chains.png"), DPI)
    demo.metric("r_hat_apart", found["R̂ of 2 × 20 chains"][-1], "modes 12 apart, should be 1")


# ---- all of them -----------------------------------------------------------------------------------------------------
def draw_dimension(demo, count):
    """What 1,000 evaluations of a D-dimensional normal are worth in independent draws."""
    s, dims = 1.5, np.array([1, 2, 4, 8, 16, 32, 64])
    worth = {"rejection": [], "importance": [], "random walk": [], "HMC": []}
    for D in dims:
        p, q = Normal(mg.zeros(D), 0.0), Normal(mg.zeros(D), math.log(s))
        if D <= 16:                                                      # beyond, nothing would ever be kept
            kept = rejection(p.log_prob, q, D * math.log(s) + 1e-4, count // 4, rng=demo.seed)
            worth["rejection"].append(1000 * kept.acceptance)
        weighted = importance(p.log_prob, q, 20_000, rng=demo.seed)
        worth["importance"].append(1000 * weighted.effective_sample_size / 20_000)
        leaps = math.ceil(1.6 * D ** 0.25)                               # a quarter of a turn, in steps of about D^(−¼)
        for name, kernel, cost in (("random walk", RandomWalk(p.log_prob, 2.4 / math.sqrt(D)), 1),
                                   ("HMC", HMC(p.log_prob, 1.6 / leaps, leaps), leaps)):
            x = run(kernel, p.sample(20, rng=demo.seed + 1), count, rng=demo.seed, progress=False).x
            ess = min(np.mean(effective_sample_size(x)), np.mean(effective_sample_size(x ** 2)))
            worth[name].append(1000 * ess / (x.shape[0] * x.shape[1]) / cost)
    figure, chart = new_axes(7.2, 4.4, "dimensions D", "independent draws",
                             "What 1,000 evaluations of log p are worth, for p = N(0, I) and proposals N(0, 1.5² I). "
                             "Dotted: exact, 1000 · 1.5⁻ᴰ and 1000 / E[w²]")
    for (name, values), colour in zip(worth.items(), (RED, ORANGE, BLUE, GREEN)):
        chart.loglog(dims[:len(values)], values, "o-", color=colour, markersize=4, label=name)
        demo.metric(f"worth_{name.replace(' ', '_').lower()}", values[-1],
                    f"draws for 1,000 evaluations in {dims[len(values) - 1]} dimensions")
    smooth = np.geomspace(1, 64, 100)
    chart.loglog(smooth, 1000 * s ** -smooth, ":", color=RED, linewidth=1.2)
    chart.loglog(smooth, 1000 * (math.sqrt(2 * s * s - 1) / s ** 2) ** smooth, ":", color=ORANGE, linewidth=1.2)
    chart.set(ylim=(0.02, 2000), xticks=dims, xticklabels=dims)
    chart.minorticks_off()
    chart.legend(frameon=False, fontsize=9, loc="lower left")
    save(figure, demo.path("dimension.png"), DPI)


if __name__ == "__main__":
    main()
