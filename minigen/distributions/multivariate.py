r"""The normal distribution with a full covariance, by its Cholesky factor.

    Σ = L Lᵀ,   L lower triangular with a positive diagonal,   x = μ + L ε,   ε ~ N(0, I),                   (1)

    log p(x) = −½ ‖ε‖² − Σ_d log L_dd − ½ D log 2π,   ε = L⁻¹ (x − μ),                                       (2)

since log|det L| = Σ_d log L_dd and (x − μ)ᵀ Σ⁻¹ (x − μ) = ‖ε‖². Solving with a triangle is exact to rounding and needs
no inverse. The diagonal is given by its logarithm, so that any real numbers are valid parameters. With E‖ε‖² = D,

    H        = Σ_d log L_dd + ½ D (1 + log 2π),                                                              (3)
    KL(p‖q)  = ½ ‖L_q⁻¹ L_p‖² + ½ ‖L_q⁻¹ (μ_p − μ_q)‖² − ½ D + Σ_d log (L_q / L_p)_dd,                       (4)

where ‖·‖² sums the squares of all entries, tr(Σ_q⁻¹ Σ_p) for the first term.
"""
import numpy as np

from minigen.distributions.base import Distribution, parameters
from minigen.distributions.normal import HALF_LOG_2PI, Normal
from minigen.ops.create import eye
from minigen.ops.elementwise import exp, log
from minigen.ops.linalg import cholesky, matmul, solve_triangular
from minigen.ops.reduce import broadcast_to, sum
from minigen.ops.shape import diagonal, expand_dims, moveaxis, reshape, tril
from minigen.ops.special import ndtr
from minigen.tensor import Tensor, tensor


class MultivariateNormal(Distribution):
    """N(μ, L Lᵀ) on vectors: event_ndim is 1. ``eps`` of `sample` is standard normal noise of the draw's shape.

    Args:
        mean, log_std: (…, D): μ, and the logarithm of L's diagonal.
        lower: (…, D, D): what L has below its diagonal; nothing else in it counts. By default nothing: L is diagonal.

    The axes in front broadcast to the batch. Raises ValueError for shapes that do not fit.
    """
    reparameterised = True

    def __init__(self, mean, log_std, lower=None):
        self.mean, self.log_std = parameters("MultivariateNormal", mean=mean, log_std=log_std)
        if self.mean.ndim == 0:
            raise ValueError("MultivariateNormal: wants a mean (…, D), got a number")
        D = self.mean.shape[-1]
        L = expand_dims(exp(self.log_std), -1) * eye(D, dtype=self.mean.dtype)
        if lower is not None:
            lower = lower if isinstance(lower, Tensor) else tensor(lower, dtype=self.mean.dtype)
            if lower.shape[-2:] != (D, D):
                raise ValueError(f"MultivariateNormal: wants lower (…, {D}, {D}) for a mean {self.mean.shape}, got "
                                 f"{lower.shape}")
            L = L + tril(lower, -1)
            batch = L.shape[:-2]
            self.mean, self.log_std = (broadcast_to(p, (*batch, D)) for p in (self.mean, self.log_std))
        self.cholesky = L
        self._set_shapes(self.mean.shape, 1)

    @classmethod
    def from_covariance(cls, mean, covariance):
        """N(mean, covariance), of (…, D) and (…, D, D). Raises ValueError for a covariance not positive definite."""
        L = cholesky(covariance)
        return cls(mean, log(diagonal(L, axis1=-2, axis2=-1)), L)

    @classmethod
    def from_diagonal(cls, p):
        """A `Normal` over vectors, as one of these."""
        return cls(p.mean, p.log_std)

    @property
    def covariance(self):
        """Σ, (…, D, D)."""
        return matmul(self.cholesky, self.cholesky.swapaxes(-1, -2))                                        # Eq. (1)

    @property
    def variance(self):
        """The diagonal of Σ, (…, D)."""
        return sum(self.cholesky ** 2, axis=-1)

    def whiten(self, x):
        """ε = L⁻¹ (x − μ): (…, *batch, D) → the same shape."""
        offset, batch = x - self.mean, self.batch_shape
        lead = offset.shape[:offset.ndim - 1 - len(batch)]
        rows = reshape(offset, (int(np.prod(lead)), *batch, self.event_size))              # (S, *batch, D)
        eps = solve_triangular(self.cholesky, moveaxis(rows, 0, -1), lower=True)           # (*batch, D, S): one solve
        return reshape(moveaxis(eps, -1, 0), offset.shape)

    def _log_prob(self, x):
        eps = self.whiten(x)
        return -sum(0.5 * eps * eps + self.log_std + HALF_LOG_2PI, axis=-1)                                 # Eq. (2)

    def entropy(self):
        return sum(self.log_std + (0.5 + HALF_LOG_2PI), axis=-1)                                            # Eq. (3)

    def cdf(self, x):
        """P(X_d ≤ x_d) of each entry by itself; of all together there is no closed form."""
        return ndtr((x - self.mean) / self.variance ** 0.5)

    def parameter_count(self):
        D = self.event_size
        return D + D * (D + 1) // 2

    def _noise(self, rng, shape):
        return rng.standard_normal(shape, dtype=self.mean.dtype)

    def _draw(self, eps):
        return self.mean + matmul(self.cholesky, expand_dims(eps, -1))[..., 0]                              # Eq. (1)


def kl_normals(p, q):
    """KL(p‖q) where either may be a `Normal` over vectors. Eq. (4)."""
    p, q = (MultivariateNormal.from_diagonal(r) if isinstance(r, Normal) else r for r in (p, q))
    ratio = solve_triangular(q.cholesky, p.cholesky, lower=True)
    shift = solve_triangular(q.cholesky, expand_dims(p.mean - q.mean, -1), lower=True)
    squares = sum(ratio * ratio, axis=(-2, -1)) + sum(shift * shift, axis=(-2, -1))
    return 0.5 * squares + sum(q.log_std - p.log_std - 0.5, axis=-1)                                        # Eq. (4)
