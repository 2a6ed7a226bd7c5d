r"""Sampling without a chain: inverse transform, rejection, importance.

**Inverse transform.** If U is uniform, F⁻¹(U) has the distribution function F.                                  (1)

**Rejection** (J. von Neumann, 1951). Draw x from a proposal q with p̃(x) ≤ M q(x) everywhere, and keep it with
probability p̃(x)/(M q(x)). What is kept has density p = p̃/Z; the fraction kept is

    ∫ q(x) p̃(x)/(M q(x)) dx = Z/M,                                                                           (2)

1/M for a normalised p. The best M for N(0, σ_p² I) from N(0, σ_q² I) is (σ_q/σ_p)^D: hopeless for large D.

**Importance.** With weights w(x) = p̃(x)/q(x), for n draws of q

    E_p[f] = E_q[w f]/Z ≈ (1/n) Σ w_i f(x_i) / Z          plain, unbiased, needs Z                              (3)
                        ≈ Σ w_i f(x_i) / Σ w_i            self-normalised, biased by O(1/n), needs none         (4)
    Z ≈ (1/n) Σ w_i,      ESS = (Σ w_i)² / Σ w_i²,                                                            (5)

the effective sample size: n for equal weights, 1 if one weight is everything. It cannot see what q never visits.
"""
import math
from typing import NamedTuple

import numpy as np

import minigen as mg
from minigen.random import as_generator
from minigen.tensor import Tensor

__all__ = ["Importance", "Rejection", "importance", "inverse_transform", "rejection"]


def inverse_transform(icdf, n, *, rng):
    """n draws F⁻¹(u), Eq. (1), for a function ``icdf`` of Tensors."""
    u = as_generator(rng).random(n)
    return icdf(mg.maximum(u, 2.0 ** -25))


class Rejection(NamedTuple):
    """x (n, *event), drawn from p; acceptance, the fraction of proposals kept; tried, how many there were."""
    x: Tensor
    acceptance: float
    tried: int


def rejection(log_prob, proposal, log_M, n, *, rng, most=10_000_000):
    """n exact draws of p ∝ exp(log_prob) by rejection, Eq. (2).

    Args:
        log_prob: (m, *event) -> (m,), nats, normalised or not. proposal: a Distribution q with no batch.
        log_M: log M in nats, with log_prob(x) ≤ log M + log q(x) everywhere.
        most: proposals after which to give up.

    Raises ValueError where the bound M is seen to be exceeded (it names the place and by how much); RuntimeError if
    ``most`` proposals do not suffice. A part of p where q never goes is missing from the draws, and nothing tells it.
    """
    rng, kept, have, tried = as_generator(rng), [], 0, 0
    while have < n:
        if tried >= most and not have:
            raise RuntimeError(f"rejection: kept none of {tried} proposals; the proposal has no support where p has, "
                               f"or M = {math.exp(log_M):.3g} is far too large")
        if tried >= most:
            raise RuntimeError(f"rejection: kept {have} of {tried} proposals, and {n} are wanted; M = "
                               f"{math.exp(log_M):.3g} is too large for this, take a proposal nearer to p")
        rate = have / tried if have else math.exp(-max(log_M, 0.0))
        m = int(min(max(1.2 * (n - have) / max(rate, 1e-6), 64), 100_000))
        x = proposal.sample(m, rng=rng)
        log_ratio = log_prob(x) - log_M - proposal.log_prob(x)
        _check_bound(x, log_ratio, log_M)
        keep = mg.log(rng.random(m) + 2.0 ** -25) < log_ratio
        x = x.numpy()[keep.numpy()]
        kept.append(x)
        have, tried = have + len(x), tried + m
    return Rejection(mg.tensor(np.concatenate(kept)[:n]), have / tried, tried)


def _check_bound(x, log_ratio, log_M):
    worst = int(mg.argmax(log_ratio).item())
    excess = log_ratio.numpy()[worst]
    if excess > 1e-5 or math.isnan(excess):
        where = np.array2string(x.numpy()[worst], precision=4, threshold=8)
        raise ValueError(f"rejection: the bound is exceeded at x = {where}: p̃(x)/q(x) is "
                         f"{math.exp(min(excess, 700)):.3g} times M = {math.exp(log_M):.3g}; take log_M ≥ "
                         f"{log_M + excess:.4f}")


class Importance(NamedTuple):
    """Draws x (n, *event) of the proposal with log_weights (n,), and what they say. See Eqs. (3) to (5)."""
    x: Tensor
    log_weights: Tensor

    @property
    def log_Z(self):
        """log of the mean weight: log Z, biased low by half its relative variance. Eq. (5)."""
        return (mg.logsumexp(self.log_weights) - math.log(len(self.log_weights))).item()

    @property
    def log_Z_error(self):
        """Standard error of log_Z, by the delta method: the weights' relative standard deviation over √n."""
        w = np.exp(self.log_weights.numpy().astype(np.float64) - self.log_weights.max().item())
        return float(w.std(ddof=1) / w.mean() / math.sqrt(len(w)))

    @property
    def effective_sample_size(self):
        """ESS of Eq. (5)."""
        return mg.exp(2 * mg.logsumexp(self.log_weights) - mg.logsumexp(2 * self.log_weights)).item()

    def mean(self, f, log_Z=None):
        """E_p[f], for f: (n, *event) -> (n, …): self-normalised, Eq. (4), or plain, Eq. (3), where log_Z is given."""
        values = f(self.x)
        log_w = self.log_weights - (mg.logsumexp(self.log_weights) if log_Z is None
                                    else log_Z + math.log(len(self.log_weights)))
        weights = mg.reshape(mg.exp(log_w), (len(log_w),) + (1,) * (values.ndim - 1))
        return mg.sum(weights * values, axis=0)


def importance(log_prob, proposal, n, *, rng):
    """n weighted draws for p ∝ exp(log_prob): an `Importance`.

    Raises ValueError if all weights vanish, or if one is infinite or NaN: the proposal has no support where p has.
    """
    x = proposal.sample(n, rng=rng)
    log_w = log_prob(x) - proposal.log_prob(x)
    values = log_w.numpy()
    if np.isnan(values).any() or (values == math.inf).any():
        raise ValueError(f"importance: {(~(values < math.inf)).sum()} of {n} weights are infinite or NaN; the proposal "
                         "must have support wherever p has")
    if (values == -math.inf).all():
        raise ValueError(f"importance: all {n} weights vanish; the proposal has no support where p has")
    return Importance(x, log_w)
