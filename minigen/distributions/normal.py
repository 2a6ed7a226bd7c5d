r"""The normal distribution with independent entries (diagonal covariance).

    p(x) = ∏_d (2π σ_d²)^(−1/2) exp(−ε_d² / 2),   ε_d = (x_d − μ_d) / σ_d,                                  (1)

    log p(x) = −Σ_d [½ ε_d² + log σ_d + ½ log 2π].                                                          (2)

Since E[ε²] = 1, the entropy −E[log p(x)] is

    H = Σ_d [½ + log σ_d + ½ log 2π].                                                                       (3)

Reparameterisation (Kingma and Welling, 2013, arXiv:1312.6114): with ε ~ N(0, I) drawn beforehand,

    x = μ + σ ε   has density (1), and   ∂x/∂μ = 1, ∂x/∂σ = ε,                                             (4)

so the gradient of E[f(x)] is the mean of gradients of f. The parameter is log σ: any real number is valid, and equal
steps change σ by equal factors.

The distribution function of an entry and its inverse, with Φ that of N(0, 1) (`minigen.ops.special`):

    F(x) = Φ(ε),   F⁻¹(u) = μ + σ Φ⁻¹(u).                                                                   (5)
"""
import math

from minigen.distributions.base import Distribution, parameters
from minigen.ops.elementwise import exp
from minigen.ops.special import ndtr, ndtri

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Normal(Distribution):
    """N(mean, diag(exp(log_std)²)). ``eps`` of `sample` is standard normal noise of the draw's shape.

    Args:
        mean, log_std: numbers or Tensors that broadcast to batch + event. log_std is log σ, not log σ².
        event_ndim: how many of the last axes are one outcome (see `minigen.distributions.base`).

    Raises ValueError for shapes that do not broadcast, or that have fewer axes than event_ndim.
    """
    reparameterised = True

    def __init__(self, mean, log_std, event_ndim=1):
        self.mean, self.log_std = parameters("Normal", mean=mean, log_std=log_std)
        self._set_shapes(self.mean.shape, event_ndim)

    @property
    def std(self):
        """σ."""
        return exp(self.log_std)

    @property
    def variance(self):
        """σ²."""
        return exp(2 * self.log_std)

    def _log_prob(self, x):
        eps = (x - self.mean) * exp(-self.log_std)
        return -self.sum_event(0.5 * eps * eps + self.log_std + HALF_LOG_2PI)                               # Eq. (2)

    def entropy(self):
        return self.sum_event(self.log_std + (0.5 + HALF_LOG_2PI))                                          # Eq. (3)

    def cdf(self, x):
        return ndtr((x - self.mean) * exp(-self.log_std))                                                   # Eq. (5)

    def icdf(self, u):
        return self.mean + self.std * ndtri(u)                                                              # Eq. (5)

    def parameter_count(self):
        return 2 * self.event_size

    def _noise(self, rng, shape):
        return rng.standard_normal(shape, dtype=self.mean.dtype)

    def _draw(self, eps):
        return self.mean + self.std * eps                                                                   # Eq. (4)
