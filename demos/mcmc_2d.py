"""Five Markov chain Monte Carlo samplers on densities of the plane: paths, traces, autocorrelation, and step sizes.

A random walk, ULA, MALA, HMC and Gibbs sample a narrow correlated Gaussian, two moons and eight Gaussians. Each is
drawn as the path of one chain, and judged by what 1,000 evaluations of the density (or of its gradient) are worth, by
R̂, and by its distance from the truth. Then the step size is varied, from far too small to far too large. The
derivations are in docs/sampling.md.
"""
import math
import warnings

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.data import densities
from minigen.demo import Demo
from minigen.distributions import Categorical, Mixture, MultivariateNormal, Normal
from minigen.samplers import HMC, MALA, ULA, Gibbs, RandomWalk, autocorrelation, effective_sample_size, r_hat, run
from minigen.viz.figure import FAINT, INK, PALETTE, save

DPI = 90                                                                # of the pictures: small files
LEAPS = 8                                                               # of an HMC trajectory
RHO = 0.97                                                              # correlation of the Gaussian
STEPS = {                                                               # by hand: near what warm-up finds
    "correlated": {"random walk": 0.5, "ULA": 0.2, "MALA": 0.35, "HMC": 0.2},
    "moons": {"random walk": 0.5, "ULA": 0.15, "MALA": 0.25, "HMC": 0.2},
    "8gaussians": {"random walk": 0.8, "ULA": 0.3, "MALA": 0.5, "HMC": 0.35},
}
TITLES = {"correlated": f"Gaussian, correlation {RHO}", "moons": "moons", "8gaussians": "eight Gaussians"}
COLOURS = dict(zip(("random walk", "ULA", "MALA", "HMC", "Gibbs"), PALETTE))


def main():
    """Sample, judge, vary the step."""
    with Demo("mcmc_2d", __doc__) as demo:
        targets = {name: Target(name) for name in STEPS}
        count, chains = (48, 8) if demo.smoke else (1200, 40)
        found = {name: {kind: sample(target, kind, count, chains, demo.seed) for kind in COLOURS}
                 for name, target in targets.items()}
        draw_paths(targets, demo, 40 if demo.smoke else 160)
        draw_traces(found["moons"], demo.path("traces.png"))
        draw_autocorrelation(found, demo.path("autocorrelation.png"))
        draw_table(targets, found, demo)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)                # "hardly any step is accepted": the point here
            draw_steps(demo, *((8, 40, 4) if demo.smoke else (100, 400, 12)))
            draw_extremes(targets["correlated"], demo.path("extremes.png"), demo.seed)


# ---- targets and kernels ---------------------------------------------------------------------------------------------
class Target:
    """A density of the plane by name: log_prob on Tensors, exact draws, conditionals for Gibbs, what to show of it."""

    def __init__(self, name):
        self.name, self.window = name, {"correlated": 3.6, "moons": 4.0, "8gaussians": 4.6}[name]
        if name == "correlated":
            covariance = mg.tensor(np.array([[1, RHO], [RHO, 1]], np.float32))
            self.p = MultivariateNormal.from_covariance(mg.zeros(2), covariance)
            self.conditionals = [self._gaussian(0), self._gaussian(1)]
        else:
            shape = densities.get(name)
            self.means = mg.tensor(shape.means.astype(np.float32))                                          # (K, 2)
            self.log_w = mg.tensor(np.log(shape.weights).astype(np.float32))
            self.log_std = mg.tensor(np.log(shape.stds).astype(np.float32)[:, None])                        # (K, 1)
            self.p = Mixture(self.log_w, Normal(self.means, self.log_std))
            self.conditionals = [self._mixture(0), self._mixture(1)]
        self.log_prob, self._picture = self.p.log_prob, None

    def _gaussian(self, i):
        """x_i | x_j ~ N(ρ x_j, 1 − ρ²)."""
        def redraw(x, rng):
            new = RHO * x[:, 1 - i] + math.sqrt(1 - RHO ** 2) * rng.standard_normal(len(x))
            return replace(x, i, new)
        return redraw

    def _mixture(self, i):
        """x_i | x_j is a mixture of N(μ_ki, σ_k²) with weights ∝ w_k N(x_j; μ_kj, σ_k²)."""
        def redraw(x, rng):
            other = Normal(self.means[:, 1 - i], self.log_std[:, 0], 0)
            k = Categorical(self.log_w + other.log_prob(x[:, [1 - i]])).sample(rng=rng)
            mean, std = (mg.take(v, k, axis=0) for v in (self.means[:, i], mg.exp(self.log_std[:, 0])))
            return replace(x, i, mean + std * rng.standard_normal(len(x)))
        return redraw

    def contours(self, panel):
        """The density as faint shading."""
        w, a = self.window, np.linspace(-self.window, self.window, 121, dtype=np.float32)
        if self._picture is None:
            self._picture = self.log_prob(mg.tensor(np.stack(np.meshgrid(a, a), axis=-1))).numpy()
        panel.contourf(a, a, self._picture - self._picture.max(), [-6, -4, -3, -2, -1, 0], cmap="Greys", alpha=0.45)
        panel.set(xlim=(-w, w), ylim=(-w, w), xticks=[], yticks=[], aspect="equal")


def replace(x, i, new):
    """x (N, 2) with column i replaced."""
    return mg.stack([new, x[:, 1]] if i == 0 else [x[:, 0], new], axis=1)


def kernel(target, kind, step=None):
    """(a Kernel, evaluations of log p or its gradient in one step)."""
    step = step or STEPS[target.name].get(kind)
    if kind == "Gibbs":
        return Gibbs(target.conditionals), 2
    if kind == "HMC":
        return HMC(target.log_prob, step, LEAPS), LEAPS
    return {"random walk": RandomWalk, "ULA": ULA, "MALA": MALA}[kind](target.log_prob, step), 1


def sample(target, kind, evaluations, chains, seed, start=None, step=None):
    """(Chains of so many evaluations each from draws of N(0, 2² I), evaluations in a step)."""
    made, cost = kernel(target, kind, step)
    start = 2 * mg.random.default_rng(seed + 1).standard_normal((chains, 2)) if start is None else start
    return run(made, start, max(4, evaluations // cost), rng=seed, progress=False), cost


# ---- pictures --------------------------------------------------------------------------------------------------------
def figure_of(rows, columns, width, height, title):
    """(Figure, axes (rows, columns))."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(FAINT)
        panel.tick_params(which="both", colors=INK, labelsize=8, color=FAINT)
    return figure, axes


def draw_paths(targets, demo, evaluations):
    """A row for each density, a column for each sampler: one chain's path, for the same number of evaluations."""
    figure, axes = figure_of(len(targets), len(COLOURS), 12, 7.9,
                             f"One chain each, {evaluations} evaluations of the density or its gradient, from the "
                             "cross. Of HMC the whole trajectories are drawn")
    starts = {"correlated": [-2.0, -2.4], "moons": [-2.4, 0.0], "8gaussians": [-2.8, 0.3]}
    for row, (name, target) in zip(axes, targets.items()):
        start = np.float32([starts[name]])
        for panel, (kind, colour) in zip(row, COLOURS.items()):
            target.contours(panel)
            if kind == "HMC":
                path, ends = trajectories(target, start, evaluations // LEAPS, demo.seed)
            else:
                path = sample(target, kind, evaluations, 1, demo.seed, start)[0].x[:, 0]
                path = ends = np.concatenate([start, path])
                if kind == "Gibbs":                                       # a sweep is two moves along the axes
                    path = np.stack([path[1:, 0], path[:-1, 1], path[1:, 0], path[1:, 1]], axis=1).reshape(-1, 2)
            panel.plot(*path.T, color=colour, linewidth=0.7, alpha=0.8)
            panel.plot(*ends.T, ".", color=colour, markersize=3)
            panel.plot(*start.T, "x", color=INK, markersize=7, markeredgewidth=1.5)
            if name == "correlated":
                panel.set_title(kind, fontsize=10, color=INK)
        row[0].set_ylabel(TITLES[name], fontsize=9, color=INK)
    save(figure, demo.path("paths.png"), DPI)


def trajectories(target, start, count, seed):
    """(every leapfrog position, where each accepted trajectory ends), of one HMC chain."""
    rng, positions, ends = mg.random.default_rng(seed), [start[0]], [start[0]]
    one = HMC(target.log_prob, STEPS[target.name]["HMC"], 1, jitter=0.0)
    state = one.start(mg.tensor(start))
    for _ in range(count):
        v, now, visited = rng.standard_normal((1, 2)), state, []
        energy = state.log_prob - 0.5 * mg.sum(v * v, axis=1)
        for _ in range(LEAPS):
            x, log_prob, gradient, v = one.trajectory(now, v, one.step_size)
            now = type(state)(x, log_prob, gradient)
            visited.append(x.numpy()[0])
        if math.log(rng.random().item()) < (log_prob - 0.5 * mg.sum(v * v, axis=1) - energy).item():
            state = now
            positions += visited
        ends.append(state.x.numpy()[0])
    return np.array(positions), np.array(ends)


def draw_traces(found, path):
    """x₁ of three chains on the moons, by evaluations."""
    figure, axes = figure_of(len(found), 1, 8.5, 7.5,
                             "Traces on the moons: the first coordinate of three chains. What mixes looks like grass,"
                             "\nwhat does not like hills")
    for panel, (kind, (chains, cost)) in zip(axes[:, 0], found.items()):
        for i, colour in enumerate(PALETTE[:3]):
            x = chains.x[:600 // cost, i, 0]
            panel.plot(cost * np.arange(1, len(x) + 1), x, color=colour, linewidth=0.6)
        panel.set(ylabel="x₁", ylim=(-4, 4), xlim=0)
        panel.set_title(f"{kind}: R̂ = {r_hat(chains.x).max():.2f} after {cost * len(chains.x):,} evaluations",
                        fontsize=9, color=INK, loc="left")
    axes[-1, 0].set_xlabel("evaluations of log p or its gradient")
    save(figure, path, DPI)


def draw_autocorrelation(found, path):
    """ρ of x₁ against evaluations, a panel for each density."""
    figure, axes = figure_of(1, len(found), 10.5, 3.4,
                             "Autocorrelation of the first coordinate: how many evaluations until a draw is news")
    for panel, (name, runs) in zip(axes[0], found.items()):
        for kind, (chains, cost) in runs.items():
            rho = autocorrelation(chains.x, 300 // cost)[:, 0]
            panel.plot(cost * np.arange(len(rho)), rho, color=COLOURS[kind], linewidth=1.5, label=kind)
        panel.axhline(0, color=INK, linewidth=0.6)
        panel.set(xlabel="evaluations", ylim=(-0.3, 1.03))
        panel.set_title(TITLES[name], fontsize=9, color=INK, loc="left")
    axes[0, 0].legend(frameon=False, fontsize=8)
    save(figure, path, DPI)


def distance_from(target, x, seed):
    """The largest of Kolmogorov's distances on four projections between draws (…, 2) and 20,000 exact ones."""
    exact, x = target.p.sample(20_000, rng=seed + 7).numpy(), x.reshape(-1, 2)
    worst = 0.0
    for direction in ([1, 0], [0, 1], [1, 1], [1, -1]):
        a, b = np.sort(exact @ direction), np.sort(x @ direction)
        at = np.concatenate([a, b])
        gap = np.searchsorted(a, at, side="right") / len(a) - np.searchsorted(b, at, side="right") / len(b)
        worst = max(worst, float(np.abs(gap).max()))
    return worst


def draw_table(targets, found, demo):
    """Acceptance, what 1,000 evaluations are worth, R̂, and the distance from the truth."""
    cells = []
    for name, runs in found.items():
        for kind, (chains, cost) in runs.items():
            x = chains.x[len(chains.x) // 4:]                                            # the first quarter is warm-up
            ess = min(effective_sample_size(x).min(), effective_sample_size(x ** 2).min())
            worth = 1000 * ess / (cost * x.shape[0] * x.shape[1])
            gap, accepted = distance_from(targets[name], x, demo.seed), chains.acceptance
            cells.append([TITLES[name] if kind == "random walk" else "", kind,
                          "always" if accepted is None else f"{accepted:.0%}", f"{worth:.3g}", f"{r_hat(x).max():.3f}",
                          f"{gap:.3f}"])
            demo.metric(f"worth_{name}_{kind.replace(' ', '_')}", worth, "draws for 1,000 evaluations")
    figure, axes = figure_of(1, 1, 8.6, 4.4,
                             "What 1,000 evaluations are worth in independent draws; R̂ (wanted: below 1.01); and the\n"
                             "largest gap between distribution functions of four projections (wanted: 0)")
    axes[0, 0].set_axis_off()
    head = ["density", "sampler", "accepted", "draws per 1,000", "R̂", "gap to the truth"]
    table = axes[0, 0].table(cells, colLabels=head, loc="center", cellLoc="right",
                             colWidths=[0.27, 0.15, 0.12, 0.18, 0.12, 0.16])
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 1.2)
    for (row, column), cell in table.get_celld().items():
        cell.set(edgecolor="#dddddd", facecolor="#f3f6f9" if row == 0 else "white")
        if column == 0:
            cell.set_text_props(ha="left")
    save(figure, demo.path("table.png"), DPI)


# ---- step sizes ------------------------------------------------------------------------------------------------------
def draw_steps(demo, count, chains, points):
    """Acceptance, efficiency and bias against the step size, on N(0, I) in two dimensions."""
    target = Target("correlated")
    target.p = MultivariateNormal(mg.zeros(2), mg.zeros(2))
    target.log_prob = target.p.log_prob
    sizes, exact = np.geomspace(0.05, 6, points), target.p.sample(chains, rng=demo.seed + 1)
    figure, axes = figure_of(1, 3, 10.8, 3.9,
                             "The step size, on N(0, I) in the plane: small steps are accepted and go nowhere, large "
                             "ones are refused.\nULA never refuses, and is wrong")
    for kind in ("random walk", "ULA", "MALA", "HMC"):
        accepted, worth, variance, used = [], [], [], []
        for size in sizes:
            if kind == "ULA" and size > 1.9:                                                # at 2 it diverges
                continue
            result, cost = sample(target, kind, count * (LEAPS if kind == "HMC" else 1), chains, demo.seed, exact, size)
            used.append(size)
            accepted.append(result.acceptance)
            worth.append(1000 * effective_sample_size(result.x ** 2).min() / (cost * result.x[..., 0].size))
            variance.append(result.x.var())
        if kind != "ULA":
            axes[0, 0].semilogx(used, accepted, "o-", color=COLOURS[kind], markersize=3, label=kind)
        axes[0, 1].loglog(used, worth, "o-", color=COLOURS[kind], markersize=3, label=kind)
        axes[0, 2].semilogx(used, variance, "o-", color=COLOURS[kind], markersize=3, label=kind)
    smooth = np.geomspace(0.05, 1.9, 100)
    axes[0, 2].semilogx(smooth, 1 / (1 - smooth ** 2 / 4), ":", color=INK, linewidth=1, label="1/(1 − ε²/4)")
    titles = "accepted", "worth of 1,000 evaluations, in draws", "variance of the draws, wanted 1"
    for panel, told in zip(axes[0], titles):
        panel.set_title(told, fontsize=9, color=INK, loc="left")
        panel.set(xlabel="step size ε")
    axes[0, 2].set_ylim(0.4, 3)
    axes[0, 2].legend(frameon=False, fontsize=8, loc="upper left")
    save(figure, demo.path("steps.png"), DPI)


def draw_extremes(target, path, seed):
    """Paths with the step too small, right, and too large."""
    figure, axes = figure_of(3, 3, 7.8, 8.2, "100 steps from the cross, the step too small, right, and too large. The "
                             f"Gaussian's smallest\nstandard deviation is √(1 − {RHO}) = {math.sqrt(1 - RHO):.2f}")
    sizes = {"random walk": (0.05, 0.5, 5.0), "MALA": (0.04, 0.3, 0.6), "HMC": (0.01, 0.2, 0.45)}
    for row, (kind, steps) in zip(axes, sizes.items()):
        for panel, size in zip(row, steps):
            made, _ = kernel(target, kind, size)
            start = np.float32([[-1.5, -1.6]])
            x = run(made, start, 100, rng=seed, progress=False)
            target.contours(panel)
            path_of = np.concatenate([start, x.x[:, 0]])
            panel.plot(*path_of.T, color=COLOURS[kind], linewidth=0.7, alpha=0.8)
            panel.plot(*path_of.T, ".", color=COLOURS[kind], markersize=3)
            panel.plot(*start.T, "x", color=INK, markersize=7, markeredgewidth=1.5)
            panel.set_title(f"ε = {size:g}: {x.acceptance:.0%} accepted", fontsize=9, color=INK)
        row[0].set_ylabel(kind, fontsize=10, color=INK)
    save(figure, path, DPI)


if __name__ == "__main__":
    main()
