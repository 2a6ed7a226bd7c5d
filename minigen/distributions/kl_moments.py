r"""Closed forms of the Kullback–Leibler divergence between families of one variable, by moments.

With the entropy H(p) and the cross-entropy,

    KL(p‖q) = −H(p) − E_p[log q(x)],                                                                           (1)

and log q of a Normal, Exponential, Laplace, Gamma or Beta distribution is linear in a few functions of x. So the
divergence is in closed form for every p whose entropy and whose means of those functions are:

    q            −E_p[log q(x)]                                                       needs
    Normal       ½ log 2π + log σ + (Var x + (E x − μ)²) / 2σ²                        E x, Var x                 (2)
    Laplace      log 2b + E|x − μ| / b                                                E|x − m|                   (3)
    Exponential  −log λ + λ E x                                                       E x                        (4)
    Gamma        −α log λ + log Γ(α) − (α − 1) E log x + λ E x                        E x, E log x               (5)
    Beta         log B(a, b) − (a − 1) E log x − (b − 1) E log(1 − x)                 E log x, E log(1 − x)      (6)
    Uniform      log(h − l)                                                                                     (7)

Where p can give what q cannot, the divergence is ∞. The means that are not in the families' own files are

    E|x − m|:  Normal       2σ φ(d/σ) + d (2Φ(d/σ) − 1),   d = E x − m                                           (8)
               Laplace      |d| + b e^{−|d|/b}                                                                   (9)
               Logistic     b (ζ(d/b) + ζ(−d/b)),   ζ = softplus                                                (10)
               Uniform      ((m′ − l)² + (h − m′)²) / 2(h − l) + |m − m′|,   m′ = m clipped to [l, h]            (11)
               Exponential  1/λ − m + 2 (m⁺ + (e^{−λ m⁺} − 1)/λ),   m⁺ = max(m, 0)                              (12)
               Gamma, Beta  E x − m + 2 (m F(m) − E[x; x < m]), with E[x; x < m] = E x · F′(m) for the same family
                            with α + 1 for α (a + 1 for a)                                                      (13)
    E log x:   Exponential  −γ − log λ (Euler's γ);   Uniform  (h log h − l log l)/(h − l) − 1                  (14)

All by E|x − m| = E x − m + 2 E(m − x)⁺, integrated. The tests compare every pair with quadrature.
"""
import math

from minigen.distributions.gamma import Beta, Gamma
from minigen.distributions.kl import register_kl
from minigen.distributions.multivariate import MultivariateNormal, kl_normals
from minigen.distributions.normal import HALF_LOG_2PI, Normal
from minigen.distributions.univariate import Exponential, Laplace, Logistic, Uniform
from minigen.ops.activations import softplus
from minigen.ops.elementwise import exp, expm1, log
from minigen.ops.piecewise import abs, clip, logical_and, maximum, where
from minigen.ops.special import betainc, gammainc, lgamma, ndtr

EULER = 0.5772156649015329
_LINE, _HALF_LINE, _BOUNDED = (Normal, Laplace, Logistic), (Exponential, Gamma), (Uniform, Beta)


# ---- the means -------------------------------------------------------------------------------------------------------
def mean_abs(p, m):
    """E|x − m| of each entry, Eqs. (8) to (13)."""
    d = p.mean - m
    if isinstance(p, Normal):
        z = d / p.std
        return 2 * p.std * exp(-0.5 * z * z - HALF_LOG_2PI) + d * (2 * ndtr(z) - 1)                         # Eq. (8)
    if isinstance(p, Laplace):
        b = exp(p.log_scale)
        return abs(d) + b * exp(-abs(d) / b)                                                                # Eq. (9)
    if isinstance(p, Logistic):
        b = exp(p.log_scale)
        return b * (softplus(d / b) + softplus(-d / b))                                                     # Eq. (10)
    if isinstance(p, Uniform):
        near = maximum(p.low, where(m < p.high, m, p.high))
        inner = ((near - p.low) ** 2 + (p.high - near) ** 2) / (2 * (p.high - p.low))
        return inner + abs(m - near)                                                                        # Eq. (11)
    if isinstance(p, Exponential):
        reach = maximum(m, 0)
        return d + 2 * (reach + expm1(-reach / p.mean) * p.mean)                                            # Eq. (12)
    return d + 2 * (m * p.cdf(m) - p.mean * _cdf_of_the_next(p, m))                                         # Eq. (13)


def _cdf_of_the_next(p, m):
    """F at m of the same family with its first shape one larger."""
    if isinstance(p, Gamma):
        return gammainc(p.shape + 1, exp(p.log_rate) * maximum(m, 0))
    a, b = p.shapes
    return betainc(a + 1, b, clip(m, 0, 1))


def mean_log(p):
    """E[log x] of each entry, for x > 0. Eq. (14)."""
    if isinstance(p, Exponential):
        return -EULER - p.log_rate
    if isinstance(p, Uniform):
        return (_x_log_x(p.high) - _x_log_x(p.low)) / (p.high - p.low) - 1
    return p.mean_log


def mean_log1m(p):
    """E[log(1 − x)] of each entry, for x < 1."""
    return mean_log(Uniform(1 - p.high, 1 - p.low)) if isinstance(p, Uniform) else p.mean_log1m


def _x_log_x(x):
    """x log x, 0 at 0 (and a number that is not used below it)."""
    return where(x > 0, x * log(where(x > 0, x, 1)), 0)


# ---- the pairs -------------------------------------------------------------------------------------------------------
def _pairs(ps, q):
    """Decorator: the function (p, q) -> −E_p[log q] of each entry serves all these families of p."""
    def add(cross_entropy):
        def kl(p, q):
            low, high = q.support
            fits = logical_and(p.support[0] >= low + 0 * p.mean, p.support[1] <= high + 0 * p.mean)
            entries = where(fits, cross_entropy(p, q), math.inf)
            return q.sum_event(entries) - p.entropy()                                                       # Eq. (1)

        for P in ps:
            register_kl(P, q)(kl)
        return cross_entropy
    return add


@_pairs((Laplace, Logistic, *_HALF_LINE, *_BOUNDED), Normal)
def _normal(p, q):
    return HALF_LOG_2PI + q.log_std + 0.5 * (p.variance + (p.mean - q.mean) ** 2) * exp(-2 * q.log_std)     # Eq. (2)


@_pairs((*_LINE, *_HALF_LINE, *_BOUNDED), Laplace)
def _laplace(p, q):
    return math.log(2) + q.log_scale + mean_abs(p, q.mean) * exp(-q.log_scale)                              # Eq. (3)


@_pairs((*_HALF_LINE, *_BOUNDED), Exponential)
def _exponential(p, q):
    return -q.log_rate + exp(q.log_rate) * p.mean                                                           # Eq. (4)


@_pairs((*_HALF_LINE, *_BOUNDED), Gamma)
def _gamma(p, q):
    alpha = q.shape
    return lgamma(alpha) - alpha * q.log_rate - (alpha - 1) * mean_log(p) + exp(q.log_rate) * p.mean        # Eq. (5)


@_pairs(_BOUNDED, Beta)
def _beta(p, q):
    a, b = q.shapes
    return q.log_normaliser - (a - 1) * mean_log(p) - (b - 1) * mean_log1m(p)                               # Eq. (6)


@_pairs((*_LINE, *_HALF_LINE, *_BOUNDED), Uniform)
def _uniform(p, q):
    return log(q.high - q.low)                                                                              # Eq. (7)


@_pairs(_LINE, Exponential)
@_pairs(_LINE, Gamma)
@_pairs((*_LINE, *_HALF_LINE), Beta)
def _beyond(p, q):
    return 0 * p.mean                                      # p gives what q cannot: ∞, whatever stands here


register_kl(MultivariateNormal, MultivariateNormal)(kl_normals)
register_kl(MultivariateNormal, Normal)(kl_normals)
register_kl(Normal, MultivariateNormal)(kl_normals)
