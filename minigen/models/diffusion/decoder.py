r"""The probability of an 8-bit pixel under a Gaussian, without underflow.

A pixel x in {−1, −1 + 2/255, …, 1} owns the cell of half width δ = 1/255 around it, and the two end cells reach to
infinity:

    P(x) = Φ(b) − Φ(a),    b = (x + δ − μ)/σ, or ∞ at x = 1,    a = (x − δ − μ)/σ, or −∞ at x = −1.             (1)

In float32 the difference is lost far from μ. There, more than σ away, the density is convex, so a cell holds at least
what its midpoint says (and an end cell at least what a cell of that width does):

    P(x) ≥ 2δ N(x; μ, σ²)    for |x − μ| ≥ σ + δ.                                                                (2)

Where (1) is below 10⁻³ we take (2) instead: −log P may come out a little too large there, not too small, so a bound
stays a bound. (For σ > 3 all cells are that small, near μ too, where (2) is off by a factor 1 + (δ/σ)²/6 at most,
which float32 does not see.)

(The cells are those of Ho, Jain and Abbeel, 2020, arXiv:2006.11239, Eq. 13, whose code cuts P at 10⁻¹² instead.)
"""
import math

import minigen as mg

DELTA, SMALL = 1 / 255, 1e-3


def discretised_log_prob(x, mean, log_std):
    """log P(x) in nats for each entry, shapes as they broadcast. Eq. (1)."""
    scale = mg.exp(-log_std)
    upper = mg.where(x > 1 - DELTA, 1.0, normal_cdf((x + DELTA - mean) * scale))
    lower = mg.where(x < -1 + DELTA, 0.0, normal_cdf((x - DELTA - mean) * scale))
    p = upper - lower                                                                                  # Eq. (1)
    midpoint = -0.5 * mg.square((x - mean) * scale) - log_std + math.log(2 * DELTA) - 0.5 * math.log(2 * math.pi)
    return mg.where(p > SMALL, mg.log(mg.maximum(p, SMALL)), midpoint)                                  # Eq. (2)


def normal_cdf(x):
    """Φ(x)."""
    return 0.5 * (1 + mg.erf(x * math.sqrt(0.5)))
