r"""Outliers: which scores of which models tell a digit that was never shown, and how well.

One digit is held out. A *detector* learns from images of the nine others, and gives any image a score, high for what is
unlike them: a reconstruction error, an energy, or −log p. Then it scores test images of the nine and all images of the
tenth, and the area under the curve (`minigen.metrics.outliers`) says how well it tells them apart:

    A = P(score of a held-out digit > score of a known one).                                                  (1)

Two scores that know no digit are beside them, since what they achieve is no merit of a model: how much ink there is,
Σ_d x_d, and how little. And one that corrects for it (J. Ren et al., "Likelihood Ratios for Out-of-Distribution
Detection", 2019, arXiv:1906.02845): with p₀ a model of the background, here one in which every pixel stands alone,

    s(x) = log p₀(x) − log p(x).                                                                              (2)

Budgets are small, some seconds each: the table compares scores, not what each family could achieve in hours.
"""
import dataclasses
from collections.abc import Callable

import numpy as np

import minigen as mg
from minigen import data
from minigen.metrics import auroc
from minigen.models.autoregressive import MADE, GatedPixelCNN
from minigen.models.energy import RBM, DeepEBM, conv_energy
from minigen.models.flow import MAF, ImageFlow, MultiScaleRealNVP, conv_then_dense
from minigen.models.latent import (VAE, Autoencoder, BernoulliMixture, DenoisingAutoencoder, FactorAnalysis,
                                   GaussianMixtureModel, ProbabilisticPCA)
from minigen.training import Adam, Trainer, schedules

__all__ = ["DETECTORS", "Detector", "fit", "held_out"]


@dataclasses.dataclass(frozen=True)
class Detector:
    """A way to score images.

    Attributes:
        kind: what the score is.
        prepare: pixels, uint8 (N, 28, 28, 1), and a NumPy Generator -> what the model sees, float32 (N, *event).
        learn: (x, steps' share, seed) -> a model; with a share of 1 the full budget.
        score: (model, x) -> (N,), high for outliers, in nats where it is a likelihood.
    """
    kind: str
    prepare: Callable
    learn: Callable
    score: Callable


# ---- what models see -------------------------------------------------------------------------------------------------
def grey(x, rng):
    """Pixels in [0, 1]."""
    return data.to_unit(x)


def noisy(x, rng):
    """Pixels in [0, 1] with a little noise, so that no pixel is constant, and densities are of real numbers."""
    return data.to_unit(x) + np.float32(0.1) * rng.standard_normal(x.shape, dtype=np.float32)


def bits(x, rng):
    """Black and white."""
    return (x > 127).astype(np.float32)


def halved(x):
    """16 × 16 pixels: framed to 32 × 32, then means of 2 × 2."""
    framed = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))).astype(np.float32)
    return framed.reshape(len(x), 16, 2, 16, 2, 1).mean(axis=(2, 4))


def small(x, rng):
    """16 × 16 in [0, 1], dequantised."""
    return data.dequantise(np.round(halved(x)).astype(np.uint8), rng)


def small_grey(x, rng):
    """16 × 16 in [0, 1]."""
    return halved(x) / np.float32(255)


def small_noisy(x, rng):
    """16 × 16 in [0, 1] with a little noise."""
    return small_grey(x, rng) + np.float32(0.1) * rng.standard_normal((len(x), 16, 16, 1), dtype=np.float32)


def small_bits(x, rng):
    """16 × 16, black and white."""
    return (halved(x) > 100).astype(np.float32)


# ---- how models learn ------------------------------------------------------------------------------------------------
def by_gradients(build, steps, lr, size=128, clip=None, betas=(0.9, 0.999), start=None):
    """Adam with a cosine schedule. build: seed -> model. start: (model, x), before the first step."""
    def learn(x, share, seed):
        model, count = build(seed), max(2, round(share * steps))
        x = mg.tensor(x)
        if start:
            start(model, x)
        Trainer(model, lambda p: Adam(p, lr=schedules.cosine(lr, count), betas=betas),
                lambda rng: {"x": mg.take(x, rng.integers(len(x), size=(size,)), axis=0)},
                seed=seed, clip=clip, progress=False).run(count)
        return model.eval()

    return learn


def by_em(build, steps, spread=False):
    """Expectation maximisation. build: seed -> model."""
    def learn(x, share, seed):
        model, x = build(seed), mg.tensor(x)
        if spread:
            model.spread(x, rng=seed)
        model.fit(x, max(2, round(share * steps)), tolerance=1e-3)
        return model

    return learn


def exactly(x, share, seed):
    """Probabilistic PCA in closed form."""
    model = ProbabilisticPCA(40, x.shape[1:], rng=seed)
    model.fit_exact(mg.tensor(x))
    return model


def learn_ratio(x, share, seed):
    """(a MADE, a Bernoulli for each pixel alone)."""
    alone = BernoulliMixture(1, x.shape[1:], pseudo=1.0, rng=seed)
    alone.fit(mg.tensor(x), 1)
    return DETECTORS["MADE"].learn(x, share, seed), alone


# ---- scores ----------------------------------------------------------------------------------------------------------
def minus_log_prob(model, x):
    """−log p(x)."""
    return -model.log_prob(x)


def minus_bound(model, x, draws=20):
    """−ELBO, the mean of so many draws."""
    rng = mg.random.default_rng(0)
    return -mg.mean(mg.stack([model.elbo(x, rng=rng) for _ in range(draws)]), axis=0)


def energy(model, x):
    """An energy: a reconstruction error, or −log p(x) up to a constant."""
    return model.energy(x)


def ratio(models, x):
    """Eq. (2)."""
    return models[1].log_prob(x) - models[0].log_prob(x)


def ink(sign):
    """How much ink (or how little): knows no digit."""
    return lambda model, x: sign * mg.sum(x, axis=(1, 2, 3))


def nothing(x, share, seed):
    """Learns nothing."""


MAP = {"latents": 32, "hidden": (256,), "squash": True}
DETECTORS = {
    "ink": Detector("Σ x", grey, nothing, ink(1)),
    "blank": Detector("−Σ x", grey, nothing, ink(-1)),
    "autoencoder": Detector("reconstruction error", grey, by_gradients(lambda seed: Autoencoder(
        rng=seed, **MAP), 800, 2e-3), energy),
    "denoiser": Detector("reconstruction error", grey, by_gradients(lambda seed: DenoisingAutoencoder(
        noise=0.5, rng=seed, **MAP), 800, 2e-3), energy),
    "PCA, probabilistic": Detector("−log p", noisy, exactly, minus_log_prob),
    "factor analysis": Detector("−log p", noisy, by_em(lambda seed: FactorAnalysis(40, (28, 28, 1), rng=seed), 30),
                                minus_log_prob),
    "10 Gaussians, 16 × 16": Detector("−log p", small_noisy, by_em(lambda seed: GaussianMixtureModel(
        10, (16, 16, 1), "diagonal", floor=1e-3, rng=seed), 10, spread=True), minus_log_prob),
    "40 Bernoullis": Detector("−log p", bits, by_em(lambda seed: BernoulliMixture(40, rng=seed), 40), minus_log_prob),
    "VAE": Detector("−ELBO", bits, by_gradients(lambda seed: VAE(latents=20, hidden=(256,), rng=seed), 800, 2e-3),
                    minus_bound),
    "RBM": Detector("free energy", bits, by_gradients(lambda seed: RBM((28, 28, 1), 200, k=1, persistent=128, rng=seed),
                                                      800, 3e-3, start=lambda m, x: m.set_bias(x)), energy),
    "MADE": Detector("−log p", bits, by_gradients(lambda seed: MADE(hidden=(400,), rng=seed), 700, 3e-3),
                     minus_log_prob),
    "MADE, ratio": Detector("log p₀ − log p", bits, learn_ratio, ratio),
    "PixelCNN, 16 × 16": Detector("−log p", small_bits, by_gradients(lambda seed: GatedPixelCNN(
        (16, 16, 1), 16, 4, head_width=32, places=True, rng=seed), 250, 4e-3, size=32), minus_log_prob),
    "Real NVP, 16 × 16": Detector("−log p", small, by_gradients(lambda seed: ImageFlow(MultiScaleRealNVP(
        (16, 16, 1), couplings=2, width=16, network=conv_then_dense(8, 128), rng=seed), (16, 16, 1)), 200, 2e-3,
        clip=50.0), minus_log_prob),
    "MAF, 16 × 16": Detector("−log p", small, by_gradients(lambda seed: ImageFlow(
        MAF(256, layers=3, hidden=(256,), rng=seed), (16, 16, 1)), 600, 2e-3, clip=50.0), minus_log_prob),
    "deep EBM, 16 × 16": Detector("energy", small_grey, by_gradients(lambda seed: DeepEBM(
        conv_energy((16, 16, 1), (16, 32), rng=seed), (16, 16, 1), steps=20, replay=2000, data_noise=0.02, rng=seed),
        250, 1e-3, size=64, betas=(0.0, 0.999)), energy),
}


# ---- the experiment --------------------------------------------------------------------------------------------------
def fit(name, images, seed=0, share=1.0):
    """The function images (N, 28, 28, 1) uint8 -> scores (N,) float64 of detector ``name``, learnt from ``images``.

    Args: share: of the full budget. Raises ValueError for a name that is not known.
    """
    if name not in DETECTORS:
        raise ValueError(f"no detector is called {name!r}; there are {', '.join(DETECTORS)}")
    detector, rng = DETECTORS[name], np.random.default_rng(seed)
    model = detector.learn(detector.prepare(images, rng), share, seed)

    def score(images, size=250):
        rng, parts = np.random.default_rng(seed + 1), []
        with mg.no_grad():
            for start in range(0, len(images), size):
                x = mg.tensor(detector.prepare(images[start:start + size], rng))
                parts.append(detector.score(model, x).numpy().astype(np.float64))
        return np.concatenate(parts)

    return score


def held_out(name, digit, train, test, seed=0, share=1.0):
    """(A, its standard error, scores of the known test images, scores of the held-out images). Eq. (1).

    Args: name: of a detector. digit: 0 … 9. train, test: Datasets of images "x", uint8, and digits "y".
    """
    known, fresh = train["y"] != digit, test["y"] != digit
    score = fit(name, train["x"][known], seed, share)
    strange = np.concatenate([train["x"][~known], test["x"][~fresh]])         # none of them was ever shown
    inside, outside = score(test["x"][fresh]), score(strange)
    return *auroc(inside, outside), inside, outside
