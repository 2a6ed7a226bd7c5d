r"""Exhibits of diffusion models: roots that were forgotten, and noise where there should be none.

    z_t = √ᾱ_t x + √(1 − ᾱ_t) ε,                                                                                 (1)
    ∇ log q(z_t) = −E[ε|z_t] / √(1 − ᾱ_t),                                                                       (2)
    z_{t−1} = μ_θ(z_t, t) + σ_t ε,    with ε = 0 in the last step, t = 1.                                        (3)
"""
import numpy as np

import minigen as mg
from minigen import check
from minigen.check import derivations
from minigen.check.derivations.diffusion import BETA
from minigen.data.densities import GaussianMixture
from minigen.models.diffusion.ddpm import DDPM
from minigen.models.diffusion.exact import MixtureDenoiser
from minigen.models.diffusion.process import ForwardProcess
from minigen.museum.exhibit import Exhibit


# ---- forgotten roots -------------------------------------------------------------------------------------------------
class WithoutRoot(ForwardProcess):
    """z_t = √ᾱ_t x + (1 − ᾱ_t) ε."""

    def diffuse(self, x, t, eps):
        return self.at("signal", t, x) * x + self.at("noise", t, x) ** 2 * eps


def build_process(buggy):
    """A forward process of eight steps."""
    return WithoutRoot(BETA) if buggy else ForwardProcess(BETA)


def check_process(process):
    """Mean and variance of z_t against those of eight small steps."""
    def marginal(x, alpha_bar):
        t, one, zero = int(np.argmin(np.abs(process.alpha_bar - alpha_bar))), mg.ones((1, 1), "float64"), 0.0
        mean, std = process.diffuse(one * float(x), t, zero * one), process.diffuse(zero * one, t, one)       # Eq. (1)
        return mean.item(), std.item() ** 2

    return derivations.run("diffusion-marginal", claimed=marginal).report


def build_score(buggy):
    """(E[ε|z_t], ᾱ_t) ↦ the score."""
    power = 1.0 if buggy else 0.5
    return lambda eps, alpha_bar: -eps / (1 - alpha_bar) ** power                                             # Eq. (2)


def check_score(score):
    """Against the slope of log q(z_t), for data of three points."""
    return derivations.run("diffusion-score", claimed=score).report


# ---- noise in the last step ------------------------------------------------------------------------------------------
class NoisyToTheEnd(DDPM):
    """Eq. (3) without its exception."""

    def step(self, z, t, *, rng=None, eps=None, labels=None, guide=None):
        with mg.no_grad():
            p = self.reverse(z, t, labels, guide)
            return p.mean + p.std * self.noise_like(z, rng, eps)


def build_sampler(buggy):
    """A DDPM with a perfect denoiser, for data that are −1 or 1 (peaks of width 10⁻⁶)."""
    model = NoisyToTheEnd if buggy else DDPM
    beta = np.geomspace(1e-3, 0.7, 12)
    data = GaussianMixture([[-1.0], [1.0]], 1e-6)
    return model(MixtureDenoiser(ForwardProcess(beta), data), event_shape=(1,), beta=beta)


def check_sampler(model):
    """Samples are data, to three digits: −1 and 1 with probability ½ each."""
    return check.density(lambda x: mg.log(0.5 * mg.ones_like(x[:, 0])), support=np.array([[-1.0], [1.0]]), n=2_000,
                         sample=lambda n, rng: np.round(model.sample(n, rng=rng).numpy().astype(np.float64), 3))


EXHIBITS = (
    Exhibit(
        name="noise-without-root",
        wrong="z_t = √ᾱ_t x + (1 − ᾱ_t) ε: the variance is (1 − ᾱ_t)², not 1 − ᾱ_t.",
        plausible="1 − ᾱ_t is what stands in N(√ᾱ_t x, (1 − ᾱ_t) I), and at both ends, 0 and 1, it is its own root.",
        typical_of="diffusion training loops", caught_by="derivations: diffusion-marginal",
        build=build_process, check=check_process),
    Exhibit(
        name="score-without-root",
        wrong="∇ log q(z_t) = −ε̂/(1 − ᾱ_t), where −ε̂/√(1 − ᾱ_t) is meant.",
        plausible="(z_t − √ᾱ_t x)/(1 − ᾱ_t) is right, and ε is nearly that.",
        typical_of="guidance and conversions to score models", caught_by="derivations: diffusion-score",
        build=build_score, check=check_score),
    Exhibit(
        name="noise-at-the-last-step",
        wrong="x = μ_θ(z_1, 1) + σ_1 ε: the last step adds noise, where it should return its mean.",
        plausible="All other steps do, and the exception t = 1 is one line in the paper's algorithm.",
        typical_of="samplers of diffusion models", caught_by="check.density",
        build=build_sampler, check=check_sampler),
)
