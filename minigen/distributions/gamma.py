r"""The gamma and the beta distribution.

Gamma, with shape α and rate λ: for α = 1 the exponential; for integer α the waiting time for the α-th event.

    log p(x) = α log λ + (α − 1) log x − λ x − log Γ(α),   x > 0,                                            (1)
    F(x)     = P(α, λx),   E[x] = α/λ,   Var[x] = α/λ²,   E[log x] = ψ(α) − log λ,                           (2)
    H        = α − log λ + log Γ(α) + (1 − α) ψ(α).                                                          (3)

Beta, with shapes a and b, on (0, 1): for a = b = 1 uniform. With log B = log Γ(a) + log Γ(b) − log Γ(a + b),

    log p(x) = (a − 1) log x + (b − 1) log(1 − x) − log B,                                                   (4)
    F(x)     = I_x(a, b),   E[x] = a/(a+b),   Var[x] = ab/((a+b)² (a+b+1)),                                  (5)
    E[log x] = ψ(a) − ψ(a+b),   E[log(1 − x)] = ψ(b) − ψ(a+b),                                               (6)
    H        = log B − (a − 1) E[log x] − (b − 1) E[log(1 − x)].                                             (7)

ψ = (log Γ)′. The moments of logarithms follow from differentiating the normaliser of an exponential family. Draws are
F⁻¹(u) (`minigen.distributions.univariate`, Eq. 1), with the incomplete functions P and I inverted by SciPy or CuPy.
Those have no elementary derivative in their parameters, so gradients do not flow through draws.
"""
import math

from minigen.distributions.base import parameters
from minigen.distributions.univariate import Univariate
from minigen.ops.elementwise import exp, log, log1p
from minigen.ops.piecewise import clip, logical_and, maximum, where
from minigen.ops.special import betainc, betaincinv, digamma, gammainc, gammaincinv, lgamma


class Gamma(Univariate):
    """Eq. (1), with α = exp(log_shape) and λ = exp(log_rate), numbers or Tensors that broadcast to batch + event."""
    reparameterised = False
    support = (0.0, math.inf)

    def __init__(self, log_shape, log_rate=0.0, event_ndim=0):
        self.log_shape, self.log_rate = parameters("Gamma", log_shape=log_shape, log_rate=log_rate)
        self._set_shapes(self.log_shape.shape, event_ndim)

    @property
    def shape(self):
        """α."""
        return exp(self.log_shape)

    @property
    def mean(self):
        """E[x] of each entry."""
        return exp(self.log_shape - self.log_rate)

    @property
    def variance(self):
        """Var[x] of each entry."""
        return exp(self.log_shape - 2 * self.log_rate)

    @property
    def mean_log(self):
        """E[log x] of each entry."""
        return digamma(self.shape) - self.log_rate                                                          # Eq. (2)

    def _log_prob(self, x):
        inside, alpha = x > 0, self.shape
        x = where(inside, x, 1)
        log_p = alpha * self.log_rate + (alpha - 1) * log(x) - exp(self.log_rate) * x - lgamma(alpha)       # Eq. (1)
        return self.sum_event(where(inside, log_p, -math.inf))

    def entropy(self):
        alpha = self.shape
        return self.sum_event(alpha - self.log_rate + lgamma(alpha) + (1 - alpha) * digamma(alpha))         # Eq. (3)

    def cdf(self, x):
        return gammainc(self.shape, exp(self.log_rate) * maximum(x, 0))                                     # Eq. (2)

    def icdf(self, u):
        return gammaincinv(self.shape, u) * exp(-self.log_rate)

    def _draw(self, eps):
        return self.icdf(eps).detach()


class Beta(Univariate):
    """Eq. (4), with a = exp(log_a) and b = exp(log_b), numbers or Tensors that broadcast to batch + event."""
    reparameterised = False
    support = (0.0, 1.0)

    def __init__(self, log_a, log_b, event_ndim=0):
        self.log_a, self.log_b = parameters("Beta", log_a=log_a, log_b=log_b)
        self._set_shapes(self.log_a.shape, event_ndim)

    @property
    def shapes(self):
        """(a, b)."""
        return exp(self.log_a), exp(self.log_b)

    @property
    def mean(self):
        """E[x] of each entry."""
        a, b = self.shapes
        return a / (a + b)

    @property
    def variance(self):
        """Var[x] of each entry."""
        a, b = self.shapes
        return a * b / ((a + b) ** 2 * (a + b + 1))

    @property
    def mean_log(self):
        """E[log x] of each entry."""
        a, b = self.shapes
        return digamma(a) - digamma(a + b)                                                                  # Eq. (6)

    @property
    def mean_log1m(self):
        """E[log(1 − x)] of each entry."""
        a, b = self.shapes
        return digamma(b) - digamma(a + b)                                                                  # Eq. (6)

    @property
    def log_normaliser(self):
        """log B(a, b)."""
        a, b = self.shapes
        return lgamma(a) + lgamma(b) - lgamma(a + b)

    def _log_prob(self, x):
        inside, (a, b) = logical_and(x > 0, x < 1), self.shapes
        x = where(inside, x, 0.5)
        log_p = (a - 1) * log(x) + (b - 1) * log1p(-x) - self.log_normaliser                                # Eq. (4)
        return self.sum_event(where(inside, log_p, -math.inf))

    def entropy(self):
        a, b = self.shapes
        return self.sum_event(self.log_normaliser - (a - 1) * self.mean_log - (b - 1) * self.mean_log1m)    # Eq. (7)

    def cdf(self, x):
        return betainc(*self.shapes, clip(x, 0, 1))                                                         # Eq. (5)

    def icdf(self, u):
        return betaincinv(*self.shapes, u)

    def _draw(self, eps):
        return self.icdf(eps).detach()
