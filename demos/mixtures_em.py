"""Shallow latent variable models: mixtures by expectation maximisation, probabilistic PCA and factor analysis.

EM in the plane, step by step, with its rising likelihood from several starts and the same optimum by gradient ascent; a
mixture of Bernoullis on digits, whose components are prototypes; probabilistic PCA on digits, with samples, and factor
analysis beside it. The derivations are in minigen/models/latent/mixtures.py and linear_gaussian.py. """
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.latent import BernoulliMixture, FactorAnalysis, GaussianMixtureModel, ProbabilisticPCA
from minigen.training import Adam, Trainer
from minigen.viz import curves, image_grid
from minigen.viz.figure import FAINT, INK, PALETTE, finish

K = 4


def main():
    """Fit, draw."""
    with Demo("mixtures_em", __doc__) as demo:
        x = clusters(600, demo.seed)
        draw_steps(x, demo.path("em_steps.png"))
        draw_traces(x, demo)
        images = data.digits("train")[:500 if demo.smoke else 5000]
        fit_prototypes(images["x"], demo)
        fit_linear(images["x"], demo)


# ---- in the plane ----------------------------------------------------------------------------------------------------
def clusters(n, seed):
    """n points of four stretched clusters, float64 Tensor (n, 2)."""
    rng = np.random.default_rng(seed)
    centres = np.array([[-2.5, -1.0], [2.0, 2.0], [2.5, -2.0], [-1.5, 2.5]])
    stretch = 0.35 * rng.standard_normal((K, 2, 2)) + 0.5 * np.eye(2)
    k = rng.integers(K, size=n)
    return mg.tensor(centres[k] + np.einsum("nij,nj->ni", stretch[k], rng.standard_normal((n, 2))))


def plane_model(x, seed):
    """A mixture that starts at k-means++'s choice."""
    return GaussianMixtureModel(K, (2,), rng=seed).astype("float64").spread(x, rng=seed)


def draw_steps(x, path, shown=(0, 1, 3, 10, 40)):
    """Points coloured by responsibility, and each component's two-sigma ellipse, as EM goes on."""
    model, points = plane_model(x, 3), x.numpy()
    figure = Figure(figsize=(2.6 * len(shown), 3.0), layout="constrained")
    colours = np.array([[int(c[i:i + 2], 16) / 255 for i in (1, 3, 5)] for c in PALETTE[:K]])
    done = 0
    for panel, step in zip(figure.subplots(1, len(shown)), shown):
        model.fit(x, step - done, tolerance=-np.inf)
        done = step
        with mg.no_grad():
            r, p = model.responsibilities(x).numpy(), model.components()
            score = model.score(x)
        panel.scatter(*points.T, s=4, c=(r @ colours).clip(0, 1), linewidths=0)
        for mean, S, colour in zip(p.mean.numpy(), p.covariance.numpy(), PALETTE):
            values, vectors = np.linalg.eigh(S)
            angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
            panel.add_patch(Ellipse(mean, 4 * np.sqrt(values[1]), 4 * np.sqrt(values[0]), angle=angle, fill=False,
                                    edgecolor=colour, linewidth=1.6))
        panel.set(xlim=(-5, 5), ylim=(-5, 5), xticks=[], yticks=[], aspect="equal")
        panel.set_title(f"{step} steps: {score:.3f} nats", fontsize=9, color=INK)
        for spine in panel.spines.values():
            spine.set_color(FAINT)
    finish(figure, path)


def draw_traces(x, demo):
    """The likelihood from several starts by EM, and from one of them by gradient ascent."""
    lines, best = {}, -np.inf
    for seed in range(4):
        model = plane_model(x, seed)
        first = model.score(x)
        trace = [first, *model.fit(x, 10 if demo.smoke else 100, tolerance=1e-9)]
        lines[f"EM, start {seed + 1}"], best = trace, max(best, trace[-1])
    model, climb, steps = plane_model(x, 0), [], 20 if demo.smoke else 400
    climb.append(model.score(x))
    trainer = Trainer(model, Adam(list(model.parameters()), lr=0.05), lambda rng: {"x": x}, seed=0, progress=False)
    for step in range(1, steps + 1):
        trainer.run(step)
        climb.append(model.score(x))
    lines["gradient ascent (Adam), start 1"] = climb
    curves({name: (np.arange(1, len(y) + 1), y) for name, y in lines.items()}, demo.path("likelihood.png"), log="x",
           xlabel="step + 1", ylabel="mean log-likelihood in nats",
           title="EM never goes down; gradient ascent climbs the same hill")
    demo.metric("em_log_likelihood", best, "nats per point, the best of 4 starts")
    demo.metric("ascent_log_likelihood", climb[-1], f"nats per point, gradient ascent after {steps} steps")


# ---- digits ----------------------------------------------------------------------------------------------------------
def fit_prototypes(images, demo):
    """A mixture of Bernoullis on binarised digits."""
    bits = mg.tensor((images > 127).astype(np.float32))
    model = BernoulliMixture(10 if demo.smoke else 40, rng=demo.seed)
    trace = model.fit(bits, 3 if demo.smoke else 40)
    order = np.argsort(-mg.softmax(model.logits).numpy())
    image_grid(model.prototypes().numpy()[order], demo.path("prototypes.png"),
               title=f"{len(order)} prototypes of a mixture of Bernoullis, most frequent first")
    image_grid(model.sample(40, rng=mg.random.default_rng(demo.seed)), demo.path("prototype_samples.png"),
               title="its samples: the right outline, but each pixel is drawn alone")
    demo.metric("bernoulli_mixture", trace[-1], "nats per training image (log-likelihood and prior)")


def fit_linear(images, demo):
    """Probabilistic PCA exactly, factor analysis by EM, on grey digits with a little noise."""
    rng = mg.random.default_rng(demo.seed)
    x = mg.tensor(images.astype(np.float32) / 255)
    x = x + 0.05 * rng.standard_normal(x.shape)                         # so that no pixel is constant
    latents = 8 if demo.smoke else 40
    ppca, factors = ProbabilisticPCA(latents, x.shape[1:], rng=0), FactorAnalysis(latents, x.shape[1:], rng=0)
    exact = ppca.fit_exact(x)
    by_em = factors.fit(x, 3 if demo.smoke else 40)
    for name, model in (("ppca", ppca), ("factor_analysis", factors)):
        shown = np.concatenate([images[:10] / 255, model.decode(model.encode(x[:10])).numpy(),
                                model.sample(10, rng=rng).numpy()]).clip(0, 1)
        image_grid(shown, demo.path(f"{name}.png"), columns=10,
                   title=f"{name.replace('_', ' ')}, {latents} latents: digits, reconstructions, samples")
    demo.metric("ppca_log_likelihood", exact, "nats per training image, in closed form")
    demo.metric("factor_analysis_log_likelihood", by_em[-1], "nats per training image, by EM")


if __name__ == "__main__":
    main()
