r"""Exhibits of the variational bound: its noise and its divergence.

    z = μ + σ ε,    σ = exp(½ log σ²),                                                                           (1)
    KL(N(μ, σ²) ‖ N(0, I)) = −½ Σ_k (1 + log σ_k² − μ_k² − σ_k²).                                                (2)
"""
import numpy as np

import minigen as mg
from minigen import check
from minigen.check import derivations
from minigen.distributions import Normal, kl_divergence
from minigen.museum.exhibit import Exhibit

MEAN, LOG_VARIANCE = 0.5, -1.0


# ---- exp(log σ²) as σ ------------------------------------------------------------------------------------------------
def build_sampler(buggy):
    """(n, rng) ↦ n draws (n, 1) of N(μ, σ²), from μ and log σ²."""
    std = np.exp(LOG_VARIANCE if buggy else 0.5 * LOG_VARIANCE)                                       # Eq. (1)
    return lambda n, rng: MEAN + float(std) * rng.standard_normal((n, 1))


def check_sampler(sample):
    """Do the draws come from the density that the divergence of the loss belongs to?"""
    return check.density(Normal([MEAN], [0.5 * LOG_VARIANCE]), sample=sample)


# ---- half of the divergence ------------------------------------------------------------------------------------------
def build_rate(buggy):
    """(μ, log σ), (D,) each ↦ the rate in nats."""
    weight = -0.25 if buggy else -0.5
    return lambda mean, log_std: weight * np.sum(1 + 2 * log_std - mean ** 2 - np.exp(2 * log_std))   # Eq. (2)


def check_rate(rate):
    """The identity of the tutor, with this formula in place of its own."""
    return derivations.run("gaussian-kl-vae", claimed=rate).report


# ---- a mean over the latents -----------------------------------------------------------------------------------------
def build_kl(buggy):
    """(q, p), Normals over (K,) ↦ KL(q ‖ p) in nats."""
    if not buggy:
        return kl_divergence

    def averaged(q, p):
        one_by_one = [Normal(d.mean, d.log_std, event_ndim=0) for d in (q, p)]
        return mg.mean(kl_divergence(*one_by_one), axis=-1)
    return averaged


def check_kl(kl):
    """Against the sum over the entries, and a Monte Carlo estimate."""
    q = Normal(mg.tensor([0.5, -1.0, 0.2, 1.5], dtype="float64"), mg.tensor([0.3, -0.7, 0.0, -0.2], dtype="float64"))
    zero = mg.zeros((4,), dtype="float64")
    return check.divergence(q, Normal(zero, zero), claimed=kl, n=20_000)


EXHIBITS = (
    Exhibit(
        name="log-variance-as-std",
        wrong="The encoder gives log σ², and z = μ + exp(log σ²) ε takes σ² for σ.",
        plausible="The loss is finite and falls, the shapes fit, and at σ = 1 the two are the same.",
        typical_of="VAE encoders whose head is named logvar", caught_by="check.density",
        build=build_sampler, check=check_sampler),
    Exhibit(
        name="halved-kl",
        wrong="KL = −¼ Σ (1 + log σ² − μ² − σ²): the factor ½ stands twice.",
        plausible="It is a β-VAE with β = ½ and trains without complaint; only the number is no longer a bound.",
        typical_of="VAE losses put together from two sources", caught_by="derivations: gaussian-kl-vae",
        build=build_rate, check=check_rate),
    Exhibit(
        name="kl-averaged-over-latents",
        wrong="KL = (1/K) Σ_k KL_k: the divergence is averaged over the K latents, not summed.",
        plausible="Every other loss is averaged, and the number no longer depends on K; it is a β-VAE with β = 1/K.",
        typical_of="VAE losses that end in .mean()", caught_by="check.divergence",
        build=build_kl, check=check_kl),
)
