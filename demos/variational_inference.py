"""Variational inference: two ways to its gradient, two families, and what it costs to let an encoder do it.

The spread of the score-function estimator, without and with a baseline, and of the reparameterised one, by dimension
and in training; mean field and full rank on a correlated and on a bent posterior; and a small VAE, whose encoder's
q(z|x) is compared, digit by digit, with the best q of the same family and with log p(x). The derivations are in
docs/sampling.md.
"""
import math

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import nn
from minigen.demo import Demo
from minigen.distributions import Independent, MultivariateNormal, Normal
from minigen.models.latent import VAE, FullRank, MeanField, VariationalInference
from minigen.models.latent.variational import ESTIMATORS
from minigen.recipes.sets import fixed_digits
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import FAINT, INK, PALETTE, finish

COLOURS = dict(zip(ESTIMATORS, (PALETTE[2], PALETTE[3], PALETTE[0])))
BLUE, ORANGE, GREEN, RED, PINK = PALETTE[:5]
LATENTS = 10


def main():
    """Compare estimators, families, and an encoder with what it stands for."""
    with Demo("variational_inference", __doc__) as demo:
        draw_spread(demo, *((20, (1, 4, 16)) if demo.smoke else (300, (1, 4, 16, 64, 256))))
        draw_training(demo, 40 if demo.smoke else 600)
        draw_families(demo, 60 if demo.smoke else 1200)
        amortisation(demo, *((60, 30, 16) if demo.smoke else (1500, 300, 64)))


def figure_of(rows, columns, width, height, title):
    """(Figure, axes (rows, columns)) without boxes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(FAINT)
        panel.tick_params(which="both", colors=INK, labelsize=8, color=FAINT)
    return figure, axes


def head(panel, text):
    """The title of a panel."""
    panel.set_title(text, fontsize=9, color=INK, loc="left")


def fit(log_joint, family, steps, lr=0.05, draws=8, estimator="reparameterised", seed=0, log_every=50):
    """(the model, its log) after so many steps of Adam."""
    model = VariationalInference(log_joint, family, estimator, draws)
    trainer = Trainer(model, lambda p: Adam(p, lr=schedules.cosine(lr, steps)), lambda rng: {}, seed=seed,
                      progress=False, log_every=log_every)
    trainer.run(steps)
    return model, trainer.history


def standard(z):
    """log N(z; 0, I)."""
    return -0.5 * mg.sum(z * z, axis=-1) - 0.5 * math.log(2 * math.pi) * z.shape[-1]


# ---- estimators ------------------------------------------------------------------------------------------------------
def gradients(D, estimator, runs, seed, draws=8):
    """Estimates of ∂L/∂μ₁ for the target N(0, I) at q = N(0.5, 0.8² I), (runs,). The exact one is −0.5."""
    family = MeanField(D, mean=0.5, log_std=math.log(0.8))
    model, rng = VariationalInference(standard, family, estimator, draws), mg.random.default_rng(seed)
    return np.array([-mg.grad(model.terms(rng=rng)["loss"], family.mean).numpy()[0] for _ in range(runs)])


def draw_spread(demo, runs, dims):
    """Standard deviation against the dimension, and all estimates for one dimension."""
    found = {name: [gradients(D, name, runs, demo.seed) for D in dims] for name in ESTIMATORS}
    figure, ((lines, cloud),) = figure_of(1, 2, 9.8, 3.8, "The gradient of the bound by one of D means, estimated from "
                                          f"8 draws {runs} times. The truth is −0.5")
    for name, estimates in found.items():
        spread = [e.std() for e in estimates]
        lines.loglog(dims, spread, "o-", color=COLOURS[name], markersize=4, label=name)
        demo.metric(f"spread_{name.replace(' ', '_')}", spread[-1], f"standard deviation in {dims[-1]} dimensions")
    for name, power, style in (("score", 1.0, "-."), ("score with baseline", 0.5, ":")):
        last = found[name][-1].std()
        lines.loglog(dims[1:], last * (np.array(dims[1:]) / dims[-1]) ** power, style, color=INK, linewidth=1,
                     label=f"∝ {'D' if power == 1 else '√D'}")
    lines.set(xlabel="dimensions D", ylabel="standard deviation", xticks=dims, xticklabels=dims)
    lines.minorticks_off()
    lines.legend(frameon=False, fontsize=8, loc="upper left")
    head(lines, "the score estimator hears the noise of all dimensions")
    middle = 2
    for i, (name, estimates) in enumerate(found.items()):
        at = np.random.default_rng(0).uniform(-0.3, 0.3, runs) + i
        cloud.scatter(estimates[middle], at, s=6, color=COLOURS[name], alpha=0.6, linewidths=0)
        cloud.plot([estimates[middle].mean()], [i], "|", color=INK, markersize=26, markeredgewidth=1.5)
    cloud.axvline(-0.5, color=INK, linewidth=0.8, linestyle=":")
    cloud.set(yticks=range(3), yticklabels=[name.replace(" with", "\nwith") for name in ESTIMATORS], ylim=(2.6, -0.6),
              xlabel="estimate of ∂L/∂μ₁")
    head(cloud, f"D = {dims[middle]}: all are right on average (bars)")
    finish(figure, demo.path("estimators.png"))


def draw_training(demo, steps, D=20):
    """How far the bound is below that of the best mean field, exactly, while each estimator trains one.

    The target has variances 1 and correlations ρ = ½: its precision is Λ = 2 I − 2ρ 11ᵀ/(1 − ρ + Dρ).
    """
    figure, ((panel,),) = figure_of(1, 1, 6.8, 3.8, f"Training a mean field on a correlated normal of {D} dimensions, "
                                    "with 8 draws a step")
    shared = 2 * 0.5 / (0.5 + 0.5 * D)
    precision = 2 * np.eye(D) - shared

    def log_p(z):
        return -mg.sum(z * z, axis=-1) + 0.5 * shared * mg.sum(z, axis=-1) ** 2

    for name in ESTIMATORS:
        family = MeanField(D, mean=2.0, log_std=-1.0)
        model = VariationalInference(log_p, family, name, 8)
        gaps = []

        def gap(model, family=family, gaps=gaps):
            mean, ratio = family.mean.numpy(), np.diag(precision) * np.exp(2 * family.log_std.numpy())
            gaps.append(0.5 * float(mean @ precision @ mean + np.sum(ratio - 1 - np.log(ratio))))
            return {"gap": gaps[-1]}

        Trainer(model, lambda p: Adam(p, lr=0.02), lambda rng: {}, seed=demo.seed, progress=False, validate=gap,
                validate_every=5).run(steps)
        panel.semilogy(5 * np.arange(1, len(gaps) + 1), gaps, color=COLOURS[name], linewidth=1.5, label=name)
        demo.metric(f"gap_{name.replace(' ', '_')}", np.mean(gaps[-10:]), f"nats below the best bound, {steps} steps")
    panel.set(xlabel="step", ylabel="nats below the best bound")
    panel.legend(frameon=False, fontsize=9)
    finish(figure, demo.path("training.png"))


# ---- families --------------------------------------------------------------------------------------------------------
def correlated(z):
    """N(0, Σ), variances 1, correlation 0.9."""
    rho = 0.9
    quadratic = (z[..., 0] ** 2 - 2 * rho * z[..., 0] * z[..., 1] + z[..., 1] ** 2) / (1 - rho ** 2)
    return -0.5 * quadratic - math.log(2 * math.pi) - 0.5 * math.log(1 - rho ** 2)


def banana(z):
    """z₁ ~ N(0, 1), z₂ ~ N(z₁² − 1, 0.4²)."""
    first, second = z[..., 0], z[..., 1]
    return Normal(0.0, 0.0, 0).log_prob(first) + Normal(0.0, math.log(0.4), 0).log_prob(second - first ** 2 + 1)


def draw_families(demo, steps):
    """Both posteriors are normalised, so that the bound falls short of 0 by KL(q‖p)."""
    figure, axes = figure_of(2, 2, 7.4, 7.9, "The posterior (grey) and the best q (lines around 50 and 90 % of it)")
    targets = {"a normal posterior, correlation 0.9": correlated, "a bent posterior, without correlation": banana}
    families = {"mean field": (MeanField, ORANGE), "full rank": (FullRank, BLUE)}
    a = np.linspace(-3.2, 3.2, 161, dtype=np.float32)
    grid = mg.tensor(np.stack(np.meshgrid(a, a), axis=-1))
    for row, (title, log_p) in zip(axes, targets.items()):
        for panel, (name, (kind, colour)) in zip(row, families.items()):
            model, _ = fit(log_p, kind(2), steps, draws=32, seed=demo.seed)
            bound, error = model.bound(20_000, rng=demo.seed)
            q = model.family()
            p, own = log_p(grid).numpy(), q.log_prob(grid).numpy()
            panel.contourf(a, a, p - p.max(), [-6, -4, -3, -2, -1, 0], cmap="Greys", alpha=0.45)
            panel.contour(a, a, own - own.max(), [math.log(0.1), math.log(0.5)], colors=colour, linewidths=1.6,
                          linestyles="solid")
            panel.set(xticks=[-2, 0, 2], yticks=[-2, 0, 2], aspect="equal")
            head(panel, f"{title}\n{name}: bound {bound:.3f} ± {error:.3f}, log p(x) = 0".replace("-", "−"))
            demo.metric(f"kl_{name.replace(' ', '_')}_{log_p.__name__}", -bound, "nats, KL(q‖p)")
    finish(figure, demo.path("families.png"))


# ---- amortisation ----------------------------------------------------------------------------------------------------
class FullRankEach(nn.Module):
    """A full-rank q for each of N examples, started from a mean field."""

    def __init__(self, mean, log_std):
        self.mean, self.log_std = nn.Parameter(mean), nn.Parameter(log_std)
        self.lower = nn.Parameter(mg.zeros((*mean.shape, mean.shape[-1])))

    def forward(self):
        """q over (N, K) as one event."""
        return Independent(MultivariateNormal(self.mean, self.log_std, self.lower))


def train_vae(steps, demo):
    """A small VAE of digits."""
    model = VAE(latents=LATENTS, hidden=(128,), rng=demo.seed)
    loader = mg.data.Loader(fixed_digits("train", demo.data), 128, seed=demo.seed,
                            transform=mg.data.on(x=mg.data.binarise))
    Trainer(model, lambda p: Adam(p, lr=schedules.cosine(2e-3, steps)), loader, seed=demo.seed).run(steps)
    return model.eval()


def amortisation(demo, steps, search, N):
    """What the encoder loses against q's found for each digit by themselves, and what the family loses."""
    model = train_vae(steps, demo)
    x = mg.tensor(mg.data.to_unit(fixed_digits("test", demo.data)["x"][:N]))                                # bits
    flat = mg.reshape(x, (N, -1))
    prior = Normal(mg.zeros(LATENTS), mg.zeros(LATENTS))

    def log_joint_each(z):
        """log p(x_n, z_n): (S, N, K) → (S, N)."""
        return model.likelihood_of(z).log_prob(flat) + prior.log_prob(z)

    def log_joint(z):
        return mg.sum(log_joint_each(z), axis=-1)

    encoded = model.posterior(x)
    own = MeanField((N, LATENTS))
    own.load_state_dict({"mean": encoded.mean, "log_std": encoded.log_std})
    fit(log_joint, own, search, lr=0.03, seed=demo.seed)
    full = FullRankEach(own.mean, own.log_std)
    fit(log_joint, full, search, lr=0.02, seed=demo.seed)
    shown = {"encoder's q": Normal(encoded.mean, encoded.log_std, 2), "mean field for each digit": own(),
             "full rank for each digit": full()}
    bounds, log_p = {}, None
    for name, q in shown.items():
        bounds[name], log_p = weigh(q, log_joint_each, demo.seed)
    draw_amortisation(bounds, log_p, demo)


def weigh(q, log_joint_each, seed, draws=1000, chunk=50):
    """(the bound, the importance-weighted bound of all draws) of each example, (N,), in nats."""
    rng, log_w = mg.random.default_rng(seed + 1), []
    with mg.no_grad():
        for _ in range(0, draws, chunk):
            z = q.sample(chunk, rng=rng)
            base = q.base if isinstance(q, Independent) else Normal(q.mean, q.log_std, 1)
            log_w.append((log_joint_each(z) - base.log_prob(z)).numpy())
    log_w = np.concatenate(log_w).astype(np.float64)
    top = log_w.max(axis=0)
    return log_w.mean(axis=0), top + np.log(np.exp(log_w - top).mean(axis=0))


def draw_amortisation(bounds, log_p, demo):
    """What each q loses on average, and digit by digit."""
    figure, ((bars, cloud),) = figure_of(1, 2, 9.8, 4.2, "An encoder answers for every digit at once. What does that "
                                         f"cost? {len(log_p)} test digits, a VAE of {LATENTS} latents")
    lost, names = {name: (log_p - bound).mean() for name, bound in bounds.items()}, list(bounds)
    bars.barh(names, list(lost.values()), color=[RED, ORANGE, BLUE], height=0.6)
    for i, value in enumerate(lost.values()):
        bars.text(value, i, f" {value:.2f}", va="center", fontsize=9, color=INK)
    bars.set(xlim=(0, 1.15 * max(lost.values())), xlabel="nats per digit below log p(x)")
    bars.invert_yaxis()
    amortised, family = lost[names[0]] - lost[names[1]], lost[names[1]]
    head(bars, f"the encoder's gap of {lost[names[0]]:.2f} nats is\namortisation ({amortised:.2f}) and mean field "
         f"({family:.2f}); log p(x) = {log_p.mean():.1f}".replace("-", "−"))
    cloud.scatter(bounds[names[1]], bounds[names[1]] - bounds[names[0]], s=14, color=RED, linewidths=0,
                  label="amortisation: own q − encoder's q")
    cloud.scatter(bounds[names[1]], log_p - bounds[names[1]], s=14, color=ORANGE, linewidths=0,
                  label="mean field: log p(x) − own q")
    cloud.axhline(0, color=INK, linewidth=0.6)
    cloud.set(xlabel="bound with a q of its own, nats", ylabel="gap, nats")
    cloud.legend(frameon=False, fontsize=8)
    head(cloud, "digit by digit: improbable ones (left) tend to lose more")
    finish(figure, demo.path("amortisation.png"))
    demo.metric("amortisation_gap", amortised, "nats, encoder's q against a mean field for each digit")
    demo.metric("family_gap", family, "nats, mean field for each digit against log p(x)")
    demo.metric("full_rank_gap", lost[names[2]], "nats, full rank for each digit against log p(x)")


if __name__ == "__main__":
    main()
