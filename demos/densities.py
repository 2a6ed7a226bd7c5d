"""Every family of distributions: its density beside its own samples, and what the two directions of KL ask for.

The first picture has a panel for each family of minigen/distributions: log_prob as a line, bars or contours, and a
histogram of samples. In the second one Gaussian is fitted to two modes, once by KL(p‖q) and once by KL(q‖p). The
derivations are in docs/probability.md.
"""
import math

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import distributions as d
from minigen.demo import Demo
from minigen.models.latent.variational import MeanField, VariationalInference
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import FAINT, INK, PALETTE, save

DPI = 110                                                               # of the pictures: small files
BLUE, ORANGE, GREEN, RED = PALETTE[:4]


class Exp:
    """x = e^z, a transform for the log-normal distribution."""

    def forward(self, z):
        """(x, log|∂x/∂z|)."""
        return mg.exp(z), z

    def inverse(self, x):
        """(z, log|∂z/∂x|)."""
        return mg.log(x), -mg.log(x)


def two_modes():
    """A mixture of two normals."""
    return d.Mixture([math.log(0.4), math.log(0.6)], d.Normal([-2.5, 2.0], [math.log(0.5), math.log(0.8)], 0))


def continuous():
    """{name: (distribution, the interval to show)}."""
    return {
        "Normal, σ = 1": (d.Normal(0.0, 0.0, 0), (-4, 4)),
        "Laplace, b = 1": (d.Laplace(0.0, 0.0), (-5, 5)),
        "Logistic, b = 1": (d.Logistic(0.0, 0.0), (-7, 7)),
        "Uniform on [−1, 2]": (d.Uniform(-1.0, 2.0), (-2, 3)),
        "Exponential, λ = 1.5": (d.Exponential(math.log(1.5)), (-0.4, 4.4)),
        "Gamma, α = 3, λ = 2": (d.Gamma(math.log(3), math.log(2)), (-0.5, 5.5)),
        "Beta, a = 2, b = 5": (d.Beta(math.log(2), math.log(5)), (-0.1, 1.1)),
        "Mixture of two Normals": (two_modes(), (-6, 6)),
        "Transformed: eᶻ, z Normal": (d.Transformed(d.Normal(0.0, math.log(0.6), 0), Exp()), (-0.3, 5)),
    }


def discrete():
    """{name: distribution over 0, 1, 2, …}."""
    return {
        "Bernoulli, p = 0.3": d.Bernoulli(math.log(0.3 / 0.7), 0),
        "Categorical, K = 6": d.Categorical(np.log(np.array([1, 3, 2, 6, 4, 2], np.float32))),
        "Discretised mixture of\ntwo logistics, 16 values": d.DiscretizedLogisticMixture([0.0, 0.5], [2.0, 11.0],
                                                                                      [-0.3, 0.4], levels=16),
    }


def plane():
    """{name: distribution over (x, y)}."""
    mean, log_std, lower = mg.tensor([0.5, 0.0]), mg.tensor([0.2, -0.6]), mg.tensor([[0.0, 0.0], [0.7, 0.0]])
    return {"MultivariateNormal": d.MultivariateNormal(mean, log_std, lower),
            "Normal, two features": d.Normal(mean, log_std)}


def main():
    """Draw both pictures."""
    with Demo("densities", __doc__) as demo:
        draw_families(demo, 4000 if demo.smoke else 100_000)
        draw_directions(demo, 60 if demo.smoke else 1500)


def panels(rows, columns, width, height, title):
    """(Figure, axes (rows, columns)) without boxes."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(FAINT)
        panel.tick_params(colors=INK, labelsize=8, color=FAINT)
    return figure, axes


def density(p, x):
    """p(x) (n,) at points (n,), NumPy."""
    with np.errstate(divide="ignore", invalid="ignore"):                 # log of numbers below 0, outside the support
        return np.nan_to_num(np.exp(p.log_prob(mg.tensor(x.astype(np.float32))).numpy()))


# ---- families --------------------------------------------------------------------------------------------------------
def draw_families(demo, count):
    """A panel each; the metric is how far the counts are from what log_prob says, in standard errors."""
    figure, axes = panels(3, 5, 2.7, 2.3, f"log_prob (lines) and {count:,} samples (filled), family by family")
    rng, off = mg.random.default_rng(demo.seed), []
    cells = iter(axes.flat)
    for name, (p, shown) in continuous().items():
        off += draw_continuous(next(cells), name, p, shown, p.sample(count, rng=rng).numpy())
    for name, p in discrete().items():
        off += draw_discrete(next(cells), name, p, p.sample(count, rng=rng).numpy())
    for name, p in plane().items():
        draw_plane(next(cells), name, p, p.sample(min(count, 1500), rng=rng).numpy())
    last = next(cells)
    last.set_axis_off()
    last.text(0, 0.5, "A family knows\n  log_prob, sample, entropy,\n  mean, variance,\n  cdf and icdf where they\n"
              "  exist, and its KL to others.", fontsize=9, color=INK, va="center", transform=last.transAxes)
    save(figure, demo.path("families.png"), DPI)
    demo.metric("off", math.sqrt(np.mean(np.square(off))), "standard errors, rms over all bins: 1 if exact")


def draw_continuous(panel, name, p, shown, samples):
    """A histogram and the density. Returns each bin's miss in standard errors."""
    edges, x = np.linspace(*shown, 61), np.linspace(*shown, 2000)
    counts, _ = np.histogram(samples, edges)
    panel.stairs(counts / len(samples) / np.diff(edges), edges, fill=True, color=BLUE, alpha=0.35)
    panel.plot(x, density(p, x), color=BLUE, linewidth=1.4)
    panel.set(xlim=shown, ylim=0, yticks=[])
    panel.set_title(name, fontsize=9, color=INK, loc="left")
    fine = np.linspace(*shown, 60 * 100 + 1)
    middles = density(p, 0.5 * (fine[1:] + fine[:-1])).reshape(60, 100)
    return misses(counts, middles.mean(axis=1) * np.diff(edges) * len(samples))


def draw_discrete(panel, name, p, samples):
    """Bars for what was counted, dots for the probabilities."""
    values = np.arange(int(p.support[1]) + 1 if math.isfinite(p.support[1]) else getattr(p, "classes", 2))
    counts = np.array([(samples == v).sum() for v in values])
    exact = np.exp(p.log_prob(mg.tensor(values)).numpy())
    panel.bar(values, counts / len(samples), color=ORANGE, alpha=0.45, width=0.8)
    panel.plot(values, exact, "o", color=ORANGE, markersize=4)
    panel.set(ylim=0, yticks=[], xticks=values[::max(1, len(values) // 5)])
    panel.set_title(name, fontsize=9, color=INK, loc="left")
    return misses(counts, exact * len(samples))


def draw_plane(panel, name, p, samples):
    """Samples, and the contours that hold 50 and 90 % of the probability."""
    a = np.linspace(-4.5, 4.5, 200)
    grid = np.stack(np.meshgrid(a, a), axis=-1).astype(np.float32)
    top = p.log_prob(p.mean).item()
    panel.scatter(*samples.T, s=1.5, color=GREEN, alpha=0.35, linewidths=0)
    panel.contour(a, a, p.log_prob(mg.tensor(grid)).numpy() - top, [math.log(0.1), math.log(0.5)], colors=GREEN,
                  linewidths=1.3, linestyles="solid")                 # −½ r² = log(1 − mass) in two dimensions
    panel.set(xlim=(-4.5, 4.5), ylim=(-4.5, 4.5), aspect="equal", xticks=[-3, 0, 3], yticks=[-3, 0, 3])
    panel.set_title(name, fontsize=9, color=INK, loc="left")


def misses(counts, expected):
    """(counts − expected) in standard errors, where there is enough to speak of one."""
    enough = expected > 20
    return list((counts - expected)[enough] / np.sqrt(expected * (1 - expected / counts.sum()))[enough])


# ---- the two directions of KL ----------------------------------------------------------------------------------------
def draw_directions(demo, steps):
    """One Gaussian for two modes: by the moments of p, and by descent on KL(q‖p) from two starts."""
    x, two = np.linspace(-6, 6, 600), two_modes()
    forward = d.Normal(two.mean, 0.5 * mg.log(two.variance), 0)
    fits = {"KL(p‖q): q must be large\nwherever p is": forward}
    for start, side in ((-2.5, "left"), (2.0, "right")):
        family = MeanField(1, mean=start, log_std=-0.5)
        model = VariationalInference(lambda z: two.log_prob(z[:, 0]), family, draws=64)
        Trainer(model, Adam(list(model.parameters()), lr=schedules.cosine(0.05, steps)), lambda rng: {}, seed=demo.seed,
                progress=False).run(steps)
        name = f"KL(q‖p), from the {side}: q must be\nsmall wherever p is"
        fits[name] = d.Normal(family.mean[0], family.log_std[0], 0)
    figure, axes = panels(1, 3, 3.6, 2.9, "One Gaussian q for a p with two modes: the two directions of KL answer "
                                          "differently")
    for panel, (name, q), colour in zip(axes.flat, fits.items(), (ORANGE, GREEN, RED)):
        both = [float(value[0].item()) for value in (d.kl_monte_carlo(two, q, 100_000, rng=1),
                                                     d.kl_monte_carlo(q, two, 100_000, rng=2))]
        panel.fill_between(x, density(two, x), color=BLUE, alpha=0.35, linewidth=0, label="p")
        panel.plot(x, density(q, x), color=colour, linewidth=1.8, label="q")
        panel.set_title(f"{name}\nKL(p‖q) = {both[0]:.2f}, KL(q‖p) = {both[1]:.2f} nats", fontsize=9, color=INK,
                        loc="left")
        panel.set(ylim=(0, 0.9), yticks=[], xlabel="x")
        panel.legend(frameon=False, fontsize=8)
    save(figure, demo.path("kl_directions.png"), DPI)
    demo.metric("forward_std", forward.std.item(), "standard deviation of q by KL(p‖q): that of p")
    demo.metric("reverse_std", list(fits.values())[2].std.item(), "… by KL(q‖p) from the right: that of the mode (0.8)")


if __name__ == "__main__":
    main()
