r"""Four families whose distribution function F has an inverse that can be written down.

**Inverse transform.** If U is uniform on (0, 1), then X = F⁻¹(U) has the distribution function F, since

    P(F⁻¹(U) ≤ x) = P(U ≤ F(x)) = F(x).                                                                      (1)

So one uniform number gives one draw, smooth in the parameters. With z = (x − μ)/b where there are a location μ and a
scale b, the densities, F, F⁻¹, and the entropies in nats:

Uniform on [l, h].   p = 1/(h − l);   F = (x − l)/(h − l);   F⁻¹ = l + (h − l) u;   H = log(h − l).            (2)

Exponential, rate λ. p = λ e^{−λx} for x ≥ 0;   F = 1 − e^{−λx};   F⁻¹ = −log(1 − u)/λ;   H = 1 − log λ.       (3)

Laplace.    p = e^{−|z|}/(2b);   F = ½ + ½ sign(z)(1 − e^{−|z|});   H = 1 + log 2b;
            F⁻¹ = μ − b sign(u − ½) log(1 − 2|u − ½|).                                                        (4)

Logistic.   p = σ(z) σ(−z)/b with σ(z) = 1/(1 + e^{−z});   F = σ(z);   F⁻¹ = μ + b log(u/(1 − u));   H = 2 + log b.
                                                                                                             (5)
Scales and rates are given by their logarithms: any real number is valid.
"""
import math

from minigen.distributions.base import Distribution, parameters
from minigen.ops.activations import logit, sigmoid, softplus
from minigen.ops.elementwise import exp, expm1, log, log1p
from minigen.ops.piecewise import abs, clip, logical_and, maximum, sign, where

_GRID = 2.0 ** -24         # of uniform float32 numbers


class Univariate(Distribution):
    """Entries that are independent, drawn by Eq. (1): a family defines `cdf` and `icdf`.

    ``eps`` of `sample` is uniform noise in (0, 1) of the draw's shape.
    """
    reparameterised = True

    def _noise(self, rng, shape):
        return maximum(rng.random(shape, dtype=self.mean.dtype), _GRID / 2)             # 0 has no place on the line

    def _draw(self, eps):
        return self.icdf(eps)                                                                               # Eq. (1)

    def parameter_count(self):
        return 2 * self.event_size


class Uniform(Univariate):
    """Uniform between ``low`` and ``high``, Eq. (2). log_prob is −∞ outside.

    Args:
        low, high: numbers or Tensors that broadcast to batch + event, low < high. event_ndim: as everywhere.

    Raises ValueError if low ≥ high somewhere (to see that, a GPU is waited for).
    """

    def __init__(self, low, high, event_ndim=0):
        self.low, self.high = parameters("Uniform", low=low, high=high)
        if not (self.low < self.high).all():
            raise ValueError(f"Uniform: low must lie below high, got low up to {self.low.max().item():g} and high from "
                             f"{self.high.min().item():g}")
        self._set_shapes(self.low.shape, event_ndim)

    @property
    def support(self):
        """(low, high): where draws can lie."""
        return self.low, self.high

    @property
    def mean(self):
        """E[x] of each entry."""
        return 0.5 * (self.low + self.high)

    @property
    def variance(self):
        """Var[x] of each entry."""
        return (self.high - self.low) ** 2 / 12

    def _log_prob(self, x):
        inside = logical_and(x >= self.low, x <= self.high)
        return self.sum_event(where(inside, -log(self.high - self.low), -math.inf))                         # Eq. (2)

    def entropy(self):
        return self.sum_event(log(self.high - self.low))                                                    # Eq. (2)

    def cdf(self, x):
        return clip((x - self.low) / (self.high - self.low), 0, 1)                                          # Eq. (2)

    def icdf(self, u):
        return self.low + (self.high - self.low) * u                                                        # Eq. (2)


class Exponential(Univariate):
    """Waiting time of a process with rate λ = exp(log_rate), Eq. (3). log_prob is −∞ for x < 0."""
    support = (0.0, math.inf)

    def __init__(self, log_rate, event_ndim=0):
        self.log_rate, = parameters("Exponential", log_rate=log_rate)
        self._set_shapes(self.log_rate.shape, event_ndim)

    @property
    def mean(self):
        """E[x] of each entry."""
        return exp(-self.log_rate)

    @property
    def variance(self):
        """Var[x] of each entry."""
        return exp(-2 * self.log_rate)

    def _log_prob(self, x):
        return self.sum_event(where(x >= 0, self.log_rate - exp(self.log_rate) * x, -math.inf))             # Eq. (3)

    def entropy(self):
        return self.sum_event(1 - self.log_rate)                                                            # Eq. (3)

    def cdf(self, x):
        return -expm1(-exp(self.log_rate) * maximum(x, 0))                                                  # Eq. (3)

    def icdf(self, u):
        return -log1p(-u) * exp(-self.log_rate)                                                             # Eq. (3)

    def parameter_count(self):
        return self.event_size


class _LocationScale(Univariate):
    """mean + exp(log_scale) · (the standard member of the family)."""

    def __init__(self, mean, log_scale, event_ndim=0):
        self.mean, self.log_scale = parameters(type(self).__name__, mean=mean, log_scale=log_scale)
        self._set_shapes(self.mean.shape, event_ndim)

    def _standard(self, x):
        """z."""
        return (x - self.mean) * exp(-self.log_scale)

    def _shifted(self, z):
        """μ + b z."""
        return self.mean + exp(self.log_scale) * z


class Laplace(_LocationScale):
    """A two-sided exponential with mean μ and scale b = exp(log_scale), Eq. (4); its standard deviation is √2 b."""

    @property
    def variance(self):
        """Var[x] of each entry."""
        return 2 * exp(2 * self.log_scale)

    def _log_prob(self, x):
        return -self.sum_event(abs(self._standard(x)) + self.log_scale + math.log(2))                       # Eq. (4)

    def entropy(self):
        return self.sum_event(1 + math.log(2) + self.log_scale)                                             # Eq. (4)

    def cdf(self, x):
        z = self._standard(x)
        return 0.5 - 0.5 * sign(z) * expm1(-abs(z))                                                         # Eq. (4)

    def icdf(self, u):
        return self._shifted(-sign(u - 0.5) * log1p(-2 * abs(u - 0.5)))                                     # Eq. (4)


class Logistic(_LocationScale):
    """The distribution whose F is the sigmoid, Eq. (5): mean μ, scale b = exp(log_scale), standard deviation b π/√3."""

    @property
    def variance(self):
        """Var[x] of each entry."""
        return exp(2 * self.log_scale) * (math.pi ** 2 / 3)

    def _log_prob(self, x):
        z = self._standard(x)
        return -self.sum_event(softplus(z) + softplus(-z) + self.log_scale)                                 # Eq. (5)

    def entropy(self):
        return self.sum_event(2 + self.log_scale)                                                           # Eq. (5)

    def cdf(self, x):
        return sigmoid(self._standard(x))                                                                   # Eq. (5)

    def icdf(self, u):
        return self._shifted(logit(u))                                                                      # Eq. (5)
