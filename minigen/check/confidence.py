r"""Thresholds of statistical tests, at a stated false-alarm rate: the chance that a right claim is accused.

Where m quantities are tested at once, each gets the rate α/m, so that all together are accused with chance α at most
(C. Bonferroni 1936). Also the Student t that importance sampling draws from: with ν degrees of freedom,

    x = μ + L e √(ν/g),   e ~ N(0, I), g ~ χ²_ν,   Σ = L Lᵀ,   δ² = (x − μ)ᵀ Σ⁻¹ (x − μ),                         (1)

    log p(x) = log Γ((ν + d)/2) − log Γ(ν/2) − ½ d log νπ − ½ log |Σ| − ½ (ν + d) log(1 + δ²/ν),                 (2)

whose tails are heavier than a Gaussian's, so that no weight p/g is enormous.
"""
import numpy as np
from scipy import special

__all__ = ["chi_square_threshold", "student_t", "z_threshold"]


def z_threshold(false_alarm, tests=1):
    """|z| that a standard normal exceeds with probability false_alarm, or any of so many do."""
    return float(-special.ndtri(false_alarm / 2 / max(tests, 1)))


def chi_square_threshold(false_alarm, degrees):
    """What χ² with so many degrees of freedom exceeds with probability false_alarm."""
    return float(2 * special.gammainccinv(max(degrees, 1) / 2, false_alarm))


def student_t(n, mean, covariance, degrees=5, seed=0):
    """(n draws (n, d), their log-densities (n,)) of a Student t with Σ = covariance. Eq. (1) and (2)."""
    rng, d = np.random.default_rng(seed), len(mean)
    L = np.linalg.cholesky(covariance)
    e, g = rng.standard_normal((n, d)), rng.chisquare(degrees, (n, 1))
    delta2 = np.sum(e * e, axis=1) * degrees / g[:, 0]
    constant = special.gammaln((degrees + d) / 2) - special.gammaln(degrees / 2) - 0.5 * d * np.log(degrees * np.pi)
    log_p = constant - np.log(np.diag(L)).sum() - 0.5 * (degrees + d) * np.log1p(delta2 / degrees)
    return mean + e @ L.T * np.sqrt(degrees / g), log_p
