"""Change of variables, by hand and then by planar flows: how an invertible map carries a density along.

First in one dimension: three maps of a standard normal, and the density p(x) / |dy/dx| beside a histogram of mapped
samples. Then in the plane: a grid warped step by step by a small flow, and its exact density beside the counts. Then
what a planar flow must not do (fold), and what sixteen of them can: bend one Gaussian into two modes, and into the four
test densities of Rezende and Mohamed (2015), known only up to a constant. The derivations are in docs/flows.md.
"""
import functools
import math
import statistics
import textwrap

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.check.quadrature import integrate
from minigen.demo import Demo
from minigen.distributions import Normal
from minigen.flows import Affine, Compose, Exp, Flow, Inverse, Planar, Radial, Sigmoid, Triangular
from minigen.models.flow.planar import ENERGIES, PlanarFlow, log_partition
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import FAINT, INK, PALETTE

LAYERS, STEPS, RATES = 16, 1200, {"U1": 0.02, "U2": 0.01, "U3": 0.02, "U4": 0.02}
COLOURS = PALETTE[:7] + PALETTE[8:9]                            # of slices of equal probability
DPI = 90                                                        # many points and shades make large files
FLAT = "U4, not annealed"
log_Z = functools.cache(log_partition)


def main():
    """By hand in one dimension and in two, then fitted."""
    with Demo("change_of_variables", __doc__) as demo:
        count, steps = (5_000, 5) if demo.smoke else (400_000, STEPS)
        draw_one_dimension(demo, count)
        steps_by_name, flow = by_hand()
        draw_grid(steps_by_name, demo.path("grid.png"))
        draw_density(flow, count, demo)
        draw_fold(demo.path("fold.png"))
        models = {name: fit(U, LAYERS, steps, RATES[name], demo.seed) for name, U in ENERGIES.items()}
        models[FLAT] = fit(ENERGIES["U4"], LAYERS, steps, RATES["U4"], demo.seed, anneal=0)
        divergences = {name: divergence(model, count // 8) for name, model in models.items()}
        for name, value in divergences.items():
            demo.metric("kl_" + {FLAT: "U4_flat"}.get(name, name), value, "nats, KL(q‖p)")
        draw_layers(models["U1"], demo.path("layers.png"))
        draw_energies(models, divergences, demo.path("energies.png"))
        draw_depth(divergences["U1"], steps, count // 8, demo)


def standard(features):
    """N(0, I)."""
    return Normal(mg.zeros(features), mg.zeros(features))


def by_value(transform, **values):
    """The transform with these parameters, set by hand, in float64."""
    transform.astype("float64")
    with mg.no_grad():
        for name, value in values.items():
            getattr(transform, name)[...] = mg.tensor(np.float64(value))
    return transform


def through(transform, x):
    """T(x) of points (…, D), NumPy in and out."""
    with mg.no_grad():
        return transform(mg.tensor(np.asarray(x, dtype=np.float64)))[0].numpy()


def density(distribution, x):
    """p at points (…, D), NumPy in and out."""
    with mg.no_grad():
        return np.exp(distribution.log_prob(mg.tensor(np.asarray(x, dtype=np.float64))).numpy())


# ---- one dimension ---------------------------------------------------------------------------------------------------
def draw_one_dimension(demo, count):
    """Three maps, a column each: the normal density, the map, the density that comes out."""
    maps = {"exponential": ("y = eˣ", Exp(), (0.0, 6.0), (0.0, math.inf)),
            "sigmoid": ("y = σ(2x − 1)", Compose([by_value(Affine(1), log_scale=[math.log(2)], shift=[-1]), Sigmoid()]),
                        (0.0, 1.0), (0.0, 1.0)),
            "planar": ("y = x + û tanh(wx), a planar flow", by_value(Planar(1, rng=0), u=[2], w=[2]), (-5.0, 5.0),
                       (-math.inf, math.inf))}
    figure = titled(Figure(figsize=(10, 7.4), layout="constrained"),
                    "A density carried along by y = T(x). Each coloured slice holds one eighth of the probability, "
                    "before (top) and after (bottom): where T is steep it gets wide and low, where T is flat narrow "
                    "and high")
    x = np.random.default_rng(demo.seed).standard_normal((count, 1))
    columns = figure.subplots(3, 3, height_ratios=(1, 1, 1.6)).T
    for column, (name, (formula, T, shown, support)) in zip(columns, maps.items()):
        flow = Flow(standard(1), Inverse(T)).astype("float64")
        demo.metric(f"integral_{name}", integrate(lambda y, flow=flow: density(flow, y), [support]), "∫ p(y) dy")
        draw_map(column, formula, T, flow, through(T, x)[:, 0], shown)
    mg.viz.save(figure, demo.path("one_dimension.png"), DPI)


def draw_map(column, formula, T, flow, y, shown):
    """p(x), T, and p(y) with the histogram of y, in slices."""
    cuts = [-3.2, *(statistics.NormalDist().inv_cdf(k / len(COLOURS)) for k in range(1, len(COLOURS))), 3.2]
    inside = np.nextafter(shown, np.mean(shown)) if shown[0] == 0 else shown                # 0 and 1 are no values of T
    above, graph, below = column
    for colour, low, high in zip(COLOURS, cuts, cuts[1:]):
        x = np.linspace(low, high, 200)[:, None]
        at = np.linspace(*np.clip(through(T, x[[0, -1]])[:, 0], *inside), 200)
        above.fill_between(x[:, 0], density(standard(1), x), color=colour, linewidth=0)
        graph.plot(x, through(T, x), color=colour, linewidth=4, solid_capstyle="butt")
        below.fill_between(at, density(flow, at[:, None]), color=colour, linewidth=0, alpha=0.75)
    heights, bins = np.histogram(y, 80, shown)
    below.stairs(heights / len(y) / np.diff(bins), bins, color=INK, linewidth=0.8, label=f"{len(y):,} samples, counted")
    at = np.linspace(*inside, 800)
    below.plot(at, density(flow, at[:, None]), color=INK, linewidth=1.4, linestyle=":", label="p(x) / |dy/dx|, exact")
    above.set(title=formula, xlabel="x", ylabel="p(x)", xlim=(-3.2, 3.2), ylim=0)
    graph.set(xlabel="x", ylabel="y", xlim=(-3.2, 3.2), ylim=shown)
    below.set(xlabel="y", ylabel="p(y)", xlim=shown, ylim=(0, 1.35 * density(flow, at[:, None]).max()))
    below.legend(frameon=False, fontsize=8, loc="upper right")
    for axis in column:
        axis.spines[["top", "right"]].set_visible(False)
        axis.title.set_fontsize(10)


# ---- two dimensions --------------------------------------------------------------------------------------------------
def by_hand():
    """({name: a map}, the flow of all of them), from N(0, I) to the data, set by hand."""
    steps = {"stretched (affine)": by_value(Affine(2), log_scale=[0.25, -0.35]),
             "sheared (triangular)": by_value(Triangular(2), entries=[[0.0, 0.7], [0.0, 0.0]]),
             "pushed from a line (planar)": by_value(Planar(2, rng=0), w=[1.6, 0.6], u=[0.2, -2.2], b=0.2),
             "and from another": by_value(Planar(2, rng=0), w=[-0.5, 1.8], u=[1.4, 1.6], b=-0.4),
             "pushed from a point (radial)": by_value(Radial(2, rng=0), centre=[-0.5, 0.9], log_alpha=-0.7, beta=0.9)}
    return steps, Flow(standard(2), Inverse(Compose(steps.values()))).astype("float64")


def lattice(half, lines=11, fine=200):
    """The lines of a square grid, (2 · lines, fine, 2)."""
    a, b = np.meshgrid(np.linspace(-half, half, lines), np.linspace(-half, half, fine), indexing="ij")
    return np.concatenate([np.stack([a, b], axis=-1), np.stack([b, a], axis=-1)])


def draw_grid(steps, path):
    """The grid and the same points after each step."""
    x, lines = np.random.default_rng(1).standard_normal((500, 2)), lattice(2.8)
    angle = np.arctan2(*x.T)
    figure, axes = panels(2, 3, 4.6, "One Gaussian, warped step by step. The grid shows what each map does to the "
                                     "plane, the colour where each point came from")
    for axis, name in zip(axes, ["the start, N(0, I)", *steps]):
        if name in steps:
            x, lines = through(steps[name], x), through(steps[name], lines)
        axis.plot(*lines.transpose(2, 1, 0), color=FAINT, linewidth=0.6, zorder=1)
        axis.scatter(*x.T, s=4, c=angle, cmap="twilight_shifted", linewidths=0, zorder=2)
        axis.set_title(name, fontsize=9, color=INK)
    mg.viz.save(figure, path, DPI)


def draw_density(flow, count, demo):
    """Counts of samples, the exact density, and their difference in standard errors."""
    half, cells, parts = 4.6, 92, 4
    samples = flow.sample(count, eps=mg.tensor(np.random.default_rng(2).standard_normal((count, 2)))).numpy()
    edges = np.linspace(-half, half, cells + 1)
    counts = np.histogram2d(*samples.T, (edges, edges))[0].T
    at = (np.arange(cells * parts) + 0.5) / (cells * parts) * 2 * half - half
    exact = density(flow, np.stack(np.meshgrid(at, at), axis=-1))
    expected = exact.reshape(cells, parts, cells, parts).mean(axis=(1, 3)) * (2 * half / cells) ** 2 * count
    off = np.where(expected > 10, (counts - expected) / np.sqrt(np.maximum(expected, 1)), np.nan)
    total = integrate(lambda x: density(flow, x), [(-20, 20)] * 2, rtol=1e-6)
    demo.metric("integral_2d", total, "∫ p(y) dy")
    demo.metric("off_2d", np.sqrt(np.nanmean(off ** 2)), "standard errors, root mean square: 1 if p is exact")

    figure, axes = panels(1, 3, half, "The density that log p(y) = log N(T⁻¹(y)) + log |det ∂x/∂y| predicts, beside "
                                      "what is counted")
    images = {f"{count:,} samples, counted": (counts, "Blues", 0, expected.max()),
              f"exact; its integral is {total:.6f}": (expected, "Blues", 0, expected.max()),
              "difference, in standard errors": (off, "RdBu_r", -4, 4)}
    for axis, (name, (values, colours, low, high)) in zip(axes, images.items()):
        image = axis.imshow(values, extent=(-half, half) * 2, origin="lower", cmap=colours, vmin=low, vmax=high)
        axis.set_title(name, fontsize=9, color=INK)
    figure.colorbar(image, ax=axes[2], shrink=0.8)
    mg.viz.save(figure, demo.path("density.png"), DPI)


def draw_fold(path):
    """What happens to the grid if wᵀu is below −1, and what û makes of the same u."""
    w, u = np.array([1.0, 0.5]), np.array([-2.4, -0.4])                                                # wᵀu = −2.6
    bent = by_value(Planar(2, rng=0), w=w, u=u)
    lines = lattice(2.4)
    figure, axes = panels(1, 3, 3.0, "Why a planar flow needs c = wᵀu > −1: below, the plane folds over itself, and "
                                     "there is no inverse")
    a = np.linspace(-3, 3, 300)
    for c, colour in ((3.0, PALETTE[0]), (-0.9, PALETTE[2]), (-2.6, PALETTE[3])):
        axes[0].plot(a, a + c * np.tanh(a), color=colour, linewidth=1.8, label=f"c = {c:g}".replace("-", "−"))
    axes[0].axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
    axes[0].set(title="wᵀy + b against a = wᵀx + b: at c = −2.6\nthe dotted value is taken three times", xlim=(-3, 3),
                ylim=(-3, 3), xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    axes[0].legend(frameon=False, fontsize=8)
    c = bent.direction()[1].item() - 1
    images = {"u itself, c = −2.6: folded": lines + np.tanh(lines @ w)[..., None] * u,
              f"û of the same u, c = {c:.2f}: squeezed".replace("-", "−"): through(bent, lines)}
    for axis, (name, image) in zip(axes[1:], images.items()):
        for line, positive in zip(image, (lines @ w > 0)[..., None]):              # the two sides of the plane wᵀx = 0
            axis.plot(*np.where(positive, line, np.nan).T, color=PALETTE[0], linewidth=0.7)
            axis.plot(*np.where(positive, np.nan, line).T, color=PALETTE[1], linewidth=0.7)
        axis.set_title(name, fontsize=9, color=INK)
    axes[0].title.set_fontsize(9)
    mg.viz.save(figure, path, DPI)


# ---- fitted ----------------------------------------------------------------------------------------------------------
def fit(energy, layers, steps, rate, seed, anneal=0.5):
    """A planar flow fitted to e^−U; ``anneal`` is the share of the steps in which β rises to 1."""
    model = PlanarFlow(energy, layers=layers, anneal=int(anneal * steps), rng=seed)
    Trainer(model, lambda p: Adam(p, lr=schedules.cosine(rate, steps)), lambda rng: {}, seed=seed).run(steps)
    return model.eval()


def divergence(model, draws):
    """KL(q‖p) = F + log Z in nats, from so many draws."""
    with mg.no_grad():
        F = model.free_energy(draws, rng=mg.random.default_rng(1)).mean().item()
    return F + log_Z(model.energy)


def draw_layers(model, path):
    """Samples after so many of the layers."""
    x = np.random.default_rng(0).standard_normal((900, 2))
    angle, shown = np.arctan2(*x.T), [0, 2, 5, 8, 12, LAYERS]
    figure, axes = panels(2, 3, 6.0, f"A Gaussian bent into two modes by {LAYERS} planar layers, fitted to the energy "
                                     "U₁; coloured by where each point started")
    for k in range(LAYERS + 1):
        if k in shown:
            axes[shown.index(k)].scatter(*x.T, s=3, c=angle, cmap="twilight_shifted", linewidths=0)
            axes[shown.index(k)].set_title(f"after {k} layers" if k else "before: N(0, I)", fontsize=9, color=INK)
        if k < LAYERS:
            x = through(model.flow.transform.transform[k], x)
    mg.viz.save(figure, path, DPI)


def draw_energies(models, divergences, path):
    """For each energy the true density above that of the flow."""
    half, at = 4.5, np.linspace(-4.5, 4.5, 120)
    plane = np.stack(np.meshgrid(at, at), axis=-1)
    text = ("Planar flows fitted to densities known up to a constant (Rezende and Mohamed 2015, table 1). How far they "
            "are off is known, since here log Z can be had by quadrature")
    figure, axes = panels(2, len(models), half, text, size=2.1)
    for (name, model), column in zip(models.items(), axes.reshape(2, -1).T):
        truth = np.exp(-model.energy(mg.tensor(plane)).numpy() - log_Z(model.energy))
        for axis, values in zip(column, (truth, density(model, plane))):
            axis.contourf(at, at, values, levels=np.linspace(0, truth.max(), 13), cmap="Blues", extend="max")
        column[0].set_title(name, fontsize=9, color=INK)
        column[1].set_title(f"KL(q‖p) = {divergences[name]:.2f} nats", fontsize=9, color=INK)
    for axis, name in zip(axes[::len(models)], ("exp(−U) / Z", "the flow's density")):
        axis.set_ylabel(name, fontsize=9, color=INK)
    mg.viz.save(figure, path, DPI)


def draw_depth(deepest, steps, draws, demo):
    """The divergence against the number of layers."""
    found = {K: divergence(fit(ENERGIES["U1"], K, steps, RATES["U1"], demo.seed), draws) for K in (1, 2, 4, 8)}
    found[LAYERS] = deepest
    for K, value in found.items():
        demo.metric(f"kl_U1_{K}_layers", value, "nats, KL(q‖p)")
    mg.viz.curves({"planar": (np.array(list(found)), np.array(list(found.values())))}, demo.path("depth.png"), log="xy",
                  xlabel="layers K", ylabel="KL(q‖p), nats",
                  title="How many planar layers two modes need: energy U₁, one run for each K")


# ---- panels ----------------------------------------------------------------------------------------------------------
def titled(figure, text):
    """The figure with a title, wrapped to its width."""
    lines = textwrap.wrap(text, int(13 * figure.get_figwidth()))
    figure.suptitle("\n".join(lines), fontsize=10, color=INK, x=0.01, ha="left")
    return figure


def panels(rows, columns, half, text, size=2.9):
    """(Figure, axes): square panels of the plane from −half to half, without ticks, under a title."""
    figure = titled(Figure(figsize=(size * columns, (size + 0.25) * rows + 0.5), layout="constrained"), text)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set(xlim=(-half, half), ylim=(-half, half), aspect="equal", xticks=[], yticks=[])
        axis.spines[:].set_color(FAINT)
    return figure, axes


if __name__ == "__main__":
    main()
