"""β-VAE: what a nat of code buys. The curve of rate and distortion, collapse, free bits, and annealing.

A linear β-VAE on Gaussian data beside Shannon's curve in closed form; digits for seven β: where each stands on the
curve, what it draws and what it restores; the rate of each latent, and two remedies where latents fall silent. The
derivation is in docs/autoencoders.md.
"""
import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.demo import Demo
from minigen.models.latent import BetaVAE
from minigen.nn import Buffer
from minigen.recipes.sets import bundled_digits
from minigen.training import Adam, Trainer, schedules
from minigen.viz import image_grid
from minigen.viz.figure import FAINT, INK, PALETTE, finish, new_axes

BETAS, LATENTS = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 16.0), 16
FREE = 0.5                                               # nats for each latent


def main():
    """Train at every β, measure, draw."""
    with Demo("beta_vae", __doc__) as demo:
        draw_shannon(demo)
        train, test = (bundled_digits(split, demo.data) for split in ("train", "test"))
        steps = 30 if demo.smoke else 800
        bits = mg.tensor((test["x"] > 127).astype(np.float32))

        def fit(**settings):
            return trained(BetaVAE(latents=LATENTS, hidden=(256,), rng=demo.seed, **settings), train["x"], steps,
                           demo.seed)

        models = {beta: fit(beta=beta) for beta in (BETAS[2::3] if demo.smoke else BETAS)}
        draw_curve(models, bits, demo)
        draw_images(models, bits, demo)
        high = max(beta for beta in models if beta <= 8)
        draw_rates({"β = 1": models[1.0], f"β = {high:g}": models[high],
                    f"β = {high:g}, {FREE} nats free for each": fit(beta=high, free_bits=FREE),
                    f"β from 0 to {high:g}": fit(beta=lambda step: high * min(1.0, 2 * step / steps))}, bits, demo)


def trained(model, images, steps, seed):
    """The model after Adam on digits as bits."""
    x = mg.tensor((images > 127).astype(np.float32))
    Trainer(model, lambda p: Adam(p, lr=schedules.cosine(2e-3, steps)),
            lambda rng: {"x": mg.take(x, rng.integers(len(x), size=(128,)), axis=0)}, seed=seed,
            progress=False).run(steps)
    return model.eval()


def rate_and_distortion(model, x, seed=0, draws=5):
    """(R, D) in nats, the means over x."""
    rng = mg.random.default_rng(seed)
    with mg.no_grad():
        terms = [[term.mean().item() for term in model.terms(x, rng=rng)] for _ in range(draws)]
    distortion, rate = np.mean(terms, axis=0)
    return rate, distortion


# ---- in closed form --------------------------------------------------------------------------------------------------
def water_filling(values, level):
    """Shannon's (R, squared error) of a Gaussian with variances ``values``, for a level of the water."""
    kept = np.minimum(values, level)
    return 0.5 * np.log(values / kept).sum(), kept.sum()


def draw_shannon(demo, D=8):
    """Linear β-VAEs with σ_x = 1 on Gaussian data with variances 9 … 0.3, beside water-filling at the level β."""
    values = np.geomspace(9.0, 0.3, D)
    axes = np.linalg.qr(np.random.default_rng(demo.seed).standard_normal((D, D)))[0]
    basis = mg.tensor((np.sqrt(values) * axes).T.astype(np.float32))

    def draw(rng):
        return mg.matmul(rng.standard_normal((256, D)), basis)

    levels, steps, found = np.geomspace(0.3, 9, 100), 40 if demo.smoke else 1200, {}
    fresh = draw(mg.random.default_rng(demo.seed + 1))
    for beta in (1.0, 4.0) if demo.smoke else (0.5, 1.0, 2.0, 4.0, 7.0):
        model = BetaVAE((D,), D, (), likelihood="normal", beta=beta, rng=demo.seed)
        model.log_std_x = Buffer(mg.zeros(()))                                             # σ_x = 1 and stays there
        Trainer(model, lambda p: Adam(p, lr=schedules.cosine(0.02, steps)), lambda rng: {"x": draw(rng)},
                seed=demo.seed, progress=False).run(steps)
        rate, distortion = rate_and_distortion(model, fresh, draws=20)
        with mg.no_grad():
            found[beta] = rate, 2 * distortion - D * np.log(2 * np.pi), np.sort(model.rates(fresh).mean(axis=0).numpy())
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(*zip(*(water_filling(values, level) for level in levels)), color=INK, linewidth=1.2, label="Shannon")
    left.scatter([f[0] for f in found.values()], [f[1] for f in found.values()], color=PALETTE[3], zorder=3,
                 label="linear β-VAEs")
    for beta, (rate, error, _) in found.items():
        left.annotate(f"β = {beta:g}", (rate, error), (6, 4), textcoords="offset points", fontsize=8.5, color=INK)
    left.set(xlabel="rate, nats", ylabel="squared error")
    left.legend(frameon=False, fontsize=9)
    for (beta, (_, _, rates)), colour in zip(found.items(), PALETTE):
        right.plot(range(1, D + 1), 0.5 * np.log(np.maximum(values, beta) / beta), color=colour, linewidth=1.2)
        right.plot(range(1, D + 1), rates[::-1], "o", color=colour, markersize=4, label=f"β = {beta:g}")
    right.set(xlabel="latent, largest variance first", ylabel="rate, nats")
    right.legend(frameon=False, fontsize=8.5, title="dots: learnt; lines: ½ log max(λ/β, 1)", title_fontsize=8.5)
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#eeeeee")
    figure.suptitle("A linear β-VAE is reverse water-filling: no nat for a variance below β σ_x²", fontsize=10,
                    color=INK)
    finish(figure, demo.path("shannon.png"))
    demo.metric("shannon_gap", max(abs(r - water_filling(values, b)[0]) for b, (r, _, _) in found.items()),
                "nats of rate, the largest distance of a linear β-VAE from Shannon's")


# ---- digits ----------------------------------------------------------------------------------------------------------
def draw_curve(models, bits, demo):
    """(R, D) of every β on test digits, and lines of equal ELBO."""
    points = {beta: rate_and_distortion(model, bits) for beta, model in models.items()}
    figure, axes = new_axes(6.4, 4.4, "rate R, nats", "distortion D, nats", "What a nat of code buys: test digits, "
                            "black and white. On a broken line all ELBOs are equal")
    rates, distortions = (np.array(part) for part in zip(*points.values()))
    axes.plot(rates, distortions, "o-", color=PALETTE[0], markersize=5, linewidth=1.4)
    for beta, (rate, distortion) in points.items():
        axes.annotate(f"β = {beta:g}", (rate, distortion), (7, 4), textcoords="offset points", fontsize=9, color=INK)
        demo.metric(f"elbo_{beta:g}", -rate - distortion, f"nats a test digit; rate {rate:.1f}, distortion "
                                                           f"{distortion:.1f}")
    x = np.array([0, rates.max() * 1.12])
    for total in np.arange(60, 320, 20):
        axes.plot(x, total - x, color=FAINT, linewidth=0.7, linestyle="--", zorder=0)
    axes.set(xlim=(0, x[1]), ylim=(max(0, distortions.min() - 12), distortions.max() + 12))
    finish(figure, demo.path("rate_distortion.png"))


def draw_images(models, bits, demo, count=8):
    """For every β: test digits restored, and samples."""
    rows, rng = [bits[:count].numpy(), np.full((count, 28, 28, 1), 1.0)], mg.random.default_rng(demo.seed)
    labels = ["digits"]
    for beta, model in models.items():
        rows += [model.decode(model.encode(bits[:count])).numpy(), model.sample(count, rng=rng).numpy()]
        labels.append(f"β = {beta:g}")
    image_grid(np.concatenate(rows), demo.path("images.png"), columns=2 * count, labels=labels,
               title="Restored (left) and drawn (right): a small β restores best and does not know where to draw; a "
                     "large one draws blurred images, and few of them")


def draw_rates(models, bits, demo):
    """The rate of each latent, largest first, and how many say more than 0.1 nats."""
    figure, axes = new_axes(6.4, 3.8, "latent, largest rate first", "rate, nats", "Latents whose q is the prior say "
                            "nothing. Free bits keep them open; active: more than 0.1 nats")
    for (name, model), colour, mark in zip(models.items(), PALETTE, "os^D"):
        with mg.no_grad():
            rates = np.sort(model.rates(bits).mean(axis=0).numpy())[::-1]
        active = model.active_units(bits, threshold=0.1)
        rate, distortion = rate_and_distortion(model, bits)
        axes.plot(range(1, LATENTS + 1), rates, mark + "-", color=colour, markersize=4, linewidth=1.2,
                  label=f"{name}: {active} active, ELBO {-rate - distortion:.1f}")
        demo.metric(f"active: {name}", active, f"of {LATENTS} latents with more than 0.1 nats; ELBO "
                                               f"{-rate - distortion:.1f}")
    axes.set_xticks(range(1, LATENTS + 1))
    axes.legend(frameon=False, fontsize=8.5)
    finish(figure, demo.path("rates.png"))


if __name__ == "__main__":
    main()
