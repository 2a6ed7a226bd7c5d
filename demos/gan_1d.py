"""The theory of GANs on the line, where everything can be computed: the best discriminator, both losses, and where they
lead.

Draws densities with D*, the two generator losses and their gradients, why the first of them vanishes, why moving the
density itself always succeeds while moving a parameter may not, and a small GAN trained beside its best discriminator.
The derivations are in docs/gan.md. """
import math

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.data.densities import GaussianMixture
from minigen.demo import Demo
from minigen.distributions import Normal, Table
from minigen.models.adversarial import GAN, LOSSES, theory
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import FAINT, INK, PALETTE, finish

BLUE, ORANGE, GREEN, RED = PALETTE[:4]
MIXTURE = GaussianMixture([[-2.0], [1.5]], [0.5, 0.6], weights=[0.4, 0.6])
EDGES = np.linspace(-5, 5, 101)                                    # of the histograms


def main():
    """Compute, train, draw."""
    with Demo("gan_1d", __doc__) as demo:
        draw_best(demo.path("best_discriminator.png"))
        draw_losses(demo.path("losses.png"), demo.path("loss_gradients.png"))
        draw_saturation(demo)
        draw_free(demo)
        draw_landscape(demo)
        draw_training(*train(60 if demo.smoke else 3000, demo.seed), demo)


def gaussian(mean, std):
    """N(mean, std²) on the line, in float64."""
    return Normal(np.float64(mean), np.float64(math.log(std)), event_ndim=0)


def density(p, x):
    """p(x) (n,) for points (n,), NumPy."""
    return np.exp(p.log_prob(mg.tensor(x)).numpy())


def panels(columns, rows=1):
    """(Figure, flat axes) of small panels without boxes."""
    figure = Figure(figsize=(2.7 * columns, 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(FAINT)
        panel.tick_params(colors=INK, labelsize=8, color=FAINT)
    return figure, axes


# ---- the theory ------------------------------------------------------------------------------------------------------
def draw_best(path):
    """p, q and D* while q comes nearer, with the two games' values."""
    x, p = np.linspace(-4, 8, 400), gaussian(0, 1)
    figure, axes = panels(4)
    for panel, m in zip(axes, (4.0, 2.0, 1.0, 0.0)):
        q = gaussian(m, 1)
        panel.fill_between(x, density(p, x), color=BLUE, alpha=0.35, linewidth=0, label="p, the data")
        panel.fill_between(x, density(q, x), color=ORANGE, alpha=0.35, linewidth=0, label="q, generated")
        panel.plot(x, theory.best_discriminator(p, q)(x), color=INK, linewidth=1.4, label="D* = p/(p + q)")
        V, C = theory.value(p, q), theory.classification_error(p, q)
        panel.set_title(f"m = {m:g}: V = {V:.3f} nats,\nerror rate {C:.3f}", fontsize=8.5, color=INK, loc="left")
    axes[0].legend(frameon=False, fontsize=7.5, loc="center right")
    finish(figure, path)


def draw_losses(values, gradients):
    """What the generator minimises, and its derivative, against the logit a of a fake."""
    a = np.linspace(-6, 6, 241)
    kinds = {"minimax: log(1 − D)": "minimax", "non-saturating: −log D": "non-saturating",
             "classification error: −½ D": "classification-error"}
    lines, slopes = {}, {}
    for label, name in kinds.items():
        leaf = mg.tensor(a, requires_grad=True)
        loss = LOSSES[name].generator(leaf)
        lines[label] = (a, loss.numpy())
        slopes[label] = (a, mg.grad(mg.sum(loss), leaf).numpy())
    told = "a(G(z)): the discriminator's logit of a fake; far left, it is sure of it"
    mg.viz.curves(lines, values, xlabel=told, ylabel="loss, nats", title="What the generator minimises")
    mg.viz.curves(slopes, gradients, xlabel=told, ylabel="derivative by a",
                  title="Its gradient: the minimax loss is flat where the fake is worst, and learns nothing from it")


def draw_saturation(demo):
    """The generator's gradient against the best discriminator, for q = N(m, 1) ever farther from p = N(0, 1)."""
    def gradients(name):
        return [theory.generator_gradient(p, gaussian(m, 1), name, centre=m / 2, scale=2.0) for m in ms]

    p, ms = gaussian(0, 1), np.linspace(0.25, 8, 8 if demo.smoke else 63)
    lines = {f"{name} loss": (ms, gradients(name)) for name in ("minimax", "non-saturating")}
    lines["bound ½ m exp(−m²/8)"] = (ms, 0.5 * ms * np.exp(-ms ** 2 / 8))
    mg.viz.curves(lines, demo.path("saturation.png"), xlabel="m, the distance of q from p", ylabel="gradient by m",
                  log="y", title="Against its best discriminator: the farther off, the less the minimax loss tells the "
                                 "generator")
    first, second = (lines[f"{name} loss"][1][-1] for name in ("minimax", "non-saturating"))
    demo.metric("gradient_ratio", second / first, "non-saturating over minimax at m = 8")


def draw_free(demo):
    """Moving q itself: V against the step, on six values."""
    p = Table([0.35, 0.25, 0.2, 0.15, 0.05, 0.0], "x")
    lines = {}
    for rate in (0.25, 0.5, 1.0):
        q, gaps = Table([0.02, 0.03, 0.05, 0.1, 0.3, 0.5], "x"), []
        for _ in range(12):
            gaps.append(theory.value(p, q) + math.log(4))
            q = theory.step(p, q, rate)
        lines[f"η = {rate:g}"] = gaps
    mg.viz.curves(lines, demo.path("free.png"), ylabel="V(G, D*) + log 4 = 2 JSD, nats", log="y",
                  title="Moving the density itself: q ← q ((p + q)/q)^η / Z always arrives")
    demo.metric("jsd_after_5_steps", lines["η = 1"][5] / 2, "nats, moving q itself")


def draw_landscape(demo):
    """Moving a parameter: V(G_θ, D*) for one Gaussian at θ against two modes of the data."""
    def log_p(x):
        return mg.logaddexp(math.log(0.3) + small.log_prob(x), math.log(0.7) + large.log_prob(x))

    small, large = gaussian(-3, 0.5), gaussian(3, 0.5)
    thetas = np.linspace(-6, 6, 13 if demo.smoke else 121)
    values = np.array([theory.value(log_p, gaussian(theta, 0.5), scale=3.0) for theta in thetas])
    mg.viz.curves({"V(G_θ, D*)": (thetas, values)}, demo.path("landscape.png"), ylabel="nats",
                  xlabel="θ, where the generator's one mode is",
                  levels={"−log 4, where q = p": -math.log(4)},
                  title="Moving a parameter: the data have modes of weight 0.3 at −3 and 0.7 at 3; from the left it "
                        "ends on the smaller one")
    demo.metric("small_mode_gap", values[thetas < 0].min() - values.min(), "nats of V lost at the smaller mode")


# ---- a small GAN -----------------------------------------------------------------------------------------------------
def train(steps, seed):
    """A GAN on two modes. Returns the data (n, 1) and at six moments (step, samples (n, 1), D on the bins' centres)."""
    x = MIXTURE.sample(20_000, rng=seed)[0]
    pool, seen = mg.tensor(x), []

    def batches(rng):
        return {"x": mg.take(pool, rng.integers(len(pool), size=(256,)), axis=0)}

    def look(model):
        samples = model.sample(50_000, rng=mg.random.default_rng(seed + 1)).numpy()
        with mg.no_grad():
            D = mg.sigmoid(model.discriminate(mg.tensor(centres()[:, None].astype(np.float32)))).numpy()
        seen.append((trainer.step, samples, D))
        return {"mean": samples.mean()}

    model = GAN(event_shape=(1,), latents=1, hidden=(64, 64), rng=seed)
    trainer = Trainer(model, lambda p: Adam(p, lr=schedules.cosine(1e-3, steps), betas=(0.5, 0.9)), batches, seed=seed,
                      validate=look, validate_every=steps // 6)
    trainer.run(steps)
    return x, seen


def centres():
    """Of the histograms' bins."""
    return 0.5 * (EDGES[1:] + EDGES[:-1])


def draw_training(x, seen, demo):
    """Snapshots: p exactly, q as a histogram, the network D, and the best D* = p/(p + q) for this q."""
    at = centres()
    p = np.exp(MIXTURE.log_density(at[:, None]))
    figure, axes = panels(3, 2)
    for panel, (step, samples, D) in zip(axes, seen):
        q, _ = np.histogram(samples[:, 0], EDGES)
        q = q / (len(samples) * np.diff(EDGES))
        panel.fill_between(at, p, color=BLUE, alpha=0.35, linewidth=0, label="p, the data")
        panel.fill_between(at, q, step="mid", color=ORANGE, alpha=0.45, linewidth=0, label="q, generated")
        panel.plot(at, D, color=RED, linewidth=1.4, label="D, trained")
        seen_at = p + q > 1e-2                                     # elsewhere the histogram is noise
        panel.plot(at[seen_at], (p / (p + q))[seen_at], color=INK, linewidth=0.9, linestyle=(0, (3, 2)),
                   label="D* for this q")
        panel.set_title(f"step {step}", fontsize=8.5, color=INK, loc="left")
        panel.set_ylim(0, 1.2)
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, fontsize=8, ncols=4, loc="outside lower center")
    finish(figure, demo.path("training.png"))
    fakes = np.sort(seen[-1][1][:len(x), 0])
    demo.metric("w1", np.abs(np.sort(x[:, 0]) - fakes).mean(), "W₁ between data and samples, 20,000 each")


if __name__ == "__main__":
    main()
