r"""Monotone rational-quadratic splines: an increasing map whose shape is drawn through K + 1 knots.

C. Durkan, A. Bekasov, I. Murray and G. Papamakarios, "Neural Spline Flows", 2019, arXiv:1906.04032; the spline itself
is of J. A. Gregory and R. Delbourgo, 1982.

**Knots.** Widths and heights of the K bins are shares of the square [−B, B]², none smaller than a share m; the slopes
at the inner knots are positive; those at both ends are 1, and beyond them the map is the identity, so that the whole
is once continuously differentiable on all of ℝ:

    x_k = −B + 2B Σ_{j<k} (m + (1 − K m) softmax(θ_w)_j),    x_0 = −B,  x_K = B,    y_k likewise of θ_h,         (1)
    d_k = m_d + softplus(θ_d + c),    c such that θ_d = 0 gives d_k = 1,    d_0 = d_K = 1.                       (2)

**Between two knots**, with w = x_{k+1} − x_k, h = y_{k+1} − y_k, s = h / w, ξ = (x − x_k) / w and ξ̄ = 1 − ξ,

    y = y_k + h (s ξ² + d_k ξ ξ̄) / β,    β = s (ξ² + ξ̄²) + (d_k + d_{k+1}) ξ ξ̄,                                  (3)
    dy/dx = s² (d_{k+1} ξ² + 2 s ξ ξ̄ + d_k ξ̄²) / β².                                                             (4)

(The paper writes β = s + (d_k + d_{k+1} − 2s) ξ ξ̄, the same since 1 = (ξ + ξ̄)². In our form all terms are positive:
nothing cancels, however steep a bin is.)

**Inverse.** Given η = (y − y_k) / h and η̄ = 1 − η, (3) is a quadratic equation a ξ² + b ξ + c = 0 with

    a = s (η̄ − η) − r,    b = r + 2 s η,    c = −s η,    r = d_k η̄ − d_{k+1} η,                                   (5)

and its discriminant is again a sum of squares, b² − 4ac = r² + 4 s² η η̄. Of the two forms of the root we take the one
that adds numbers of one sign, ξ = −2c / (b + √(b² − 4ac)) where r ≥ 0; where r < 0 the same for ξ̄, whose equation is
(5) with the two ends exchanged. With M = |r| + √(r² + 4 s² η η̄):

    r ≥ 0:  ξ = 2sη / (2sη + M),  ξ̄ = M / (2sη + M);      r < 0:  ξ = M / (2sη̄ + M),  ξ̄ = 2sη̄ / (2sη̄ + M).    (6)

The discriminant never rounds to below zero, and ξ is as accurate as η. A knot belongs to the bin on its right, where
ξ = 0 and (3) gives y_k itself: knots are met exactly.
"""
import math

from minigen.distributions.base import broadcastable
from minigen.flows.base import Transform
from minigen.flows.scalar import ScalarMap
from minigen.functional import softmax
from minigen.nn.parameter import Parameter
from minigen.ops.activations import softplus
from minigen.ops.create import full_like, ones_like, zeros
from minigen.ops.elementwise import log, sqrt
from minigen.ops.index import take_along_axis
from minigen.ops.join import concatenate
from minigen.ops.piecewise import abs, where
from minigen.ops.scan import cumsum


def rational_quadratic_spline(x, theta, *, bound=3.0, min_share=1e-3, min_slope=1e-3, inverse=False):
    """(y, log dy/dx), each (…), for x (…): Eqs. (3) and (4) inside (−B, B), the identity outside.

    Args:
        theta: θ_w, θ_h and θ_d of Eqs. (1) and (2) side by side, any real numbers: K + K + K − 1 of them on the last
            axis, (…, 3K − 1); its other axes broadcast to those of x. All zero is the identity.
        bound: B > 0. min_share: m, with K m < 1. min_slope: m_d, in (0, 1).
        inverse: go from y to x, Eq. (6); returns (x, log dx/dy).

    Raises ValueError for shapes or settings that do not fit.
    """
    K = _bins(x, theta, bound, min_share, min_slope)
    inside = abs(x) < bound
    v = where(inside, x, 0.0)                                           # outside there are no knots to go by
    knots = _knots(theta, K, bound, min_share, min_slope)                                            # (…, 3, K + 1)
    (x0, y0, d0), (w, h), d1 = _bin_of(v, knots, along=1 if inverse else 0)
    s = h / w
    if inverse:
        xi, rest = _solve((v - y0) / h, s, d0, d1)
    else:
        xi = (v - x0) / w
        rest = 1 - xi
    product, xi2, rest2 = xi * rest, xi * xi, rest * rest
    beta = s * (xi2 + rest2) + (d0 + d1) * product
    value = x0 + w * xi if inverse else y0 + h * (s * xi2 + d0 * product) / beta                     # Eq. (3)
    log_slope = 2 * log(s / beta) + log(d1 * xi2 + 2 * s * product + d0 * rest2)                     # Eq. (4)
    return where(inside, value, x), where(inside, -log_slope if inverse else log_slope, 0.0)


def _knots(theta, K, B, m, m_d):
    """x_k, y_k and d_k, (…, 3, K + 1)."""
    shares = m + (1 - K * m) * softmax(theta[..., :2 * K].reshape((*theta.shape[:-1], 2, K)))
    end = full_like(shares[..., :1], B)
    positions = concatenate([-end, 2 * B * cumsum(shares[..., :-1], axis=-1) - B, end], axis=-1)     # Eq. (1)
    slopes = m_d + softplus(theta[..., 2 * K:] + math.log(math.expm1(1 - m_d)))
    one = ones_like(slopes[..., :1])
    slopes = concatenate([one, slopes, one], axis=-1)                                                # Eq. (2)
    return concatenate([positions, slopes.reshape((*slopes.shape[:-1], 1, K + 1))], axis=-2)


def _bin_of(v, knots, along):
    """(x_k, y_k, d_k), (w, h) and d_{k+1} of the bin that v lies in, looked up among x_k (along=0) or y_k (1)."""
    inner = knots[..., along, 1:-1]                                                                  # (…, K − 1)
    k = (v.reshape((*v.shape, 1)) >= inner).sum(axis=-1).reshape((*v.shape, 1, 1))
    ends = take_along_axis(knots, concatenate([k, k + 1], axis=-1), axis=-1)                         # (…, 3, 2)
    left, right = ends[..., 0], ends[..., 1]
    size = right - left
    return [left[..., i] for i in range(3)], (size[..., 0], size[..., 1]), right[..., 2]


def _solve(eta, s, d0, d1):
    """(ξ, ξ̄). Eq. (6)."""
    rest = 1 - eta
    r = d0 * rest - d1 * eta
    rising = r >= 0
    M = where(rising, r, -r) + sqrt(r * r + 4 * s * s * eta * rest)             # abs has the wrong derivative at r = 0
    small = 2 * s * where(rising, eta, rest)
    total = small + M
    return where(rising, small, M) / total, where(rising, M, small) / total


def _bins(x, theta, bound, min_share, min_slope):
    """K, once all is found to fit."""
    K, rest = divmod(theta.shape[-1] + 1 if theta.ndim else 0, 3)
    if K < 2 or rest or theta.ndim != x.ndim + 1 or not broadcastable(theta.shape[:-1], x.shape):
        raise ValueError(f"rational_quadratic_spline: K ≥ 2 bins take 3K − 1 numbers for each of x {x.shape}, on the "
                         f"last axis of theta; got theta {theta.shape}")
    if not (bound > 0 and 0 < K * min_share < 1 and 0 < min_slope < 1):
        raise ValueError(f"rational_quadratic_spline: wants bound > 0, 0 < min_share < 1/K and 0 < min_slope < 1, got "
                         f"bound={bound}, min_share={min_share} with K={K} bins, and min_slope={min_slope}")
    return K


class SplineMap(ScalarMap):
    """Eqs. (1) to (6) as the map of a coupling or an autoregressive layer; θ are 3K − 1 numbers.

    Args:
        bins: K ≥ 2. bound, min_share, min_slope: as in `rational_quadratic_spline`.
    """

    def __init__(self, bins=8, bound=3.0, min_share=1e-3, min_slope=1e-3):
        if bins < 2:
            raise ValueError(f"SplineMap: wants at least 2 bins, got {bins}")
        self.bins, self.bound, self.parameters = bins, bound, 3 * bins - 1
        self.settings = {"bound": bound, "min_share": min_share, "min_slope": min_slope}

    def forward(self, x, theta):
        return rational_quadratic_spline(x, theta, **self.settings)

    def inverse(self, y, theta):
        return rational_quadratic_spline(y, theta, inverse=True, **self.settings)

    def __repr__(self):
        return f"SplineMap(bins={self.bins}, bound={self.bound})"


class ElementwiseSpline(Transform):
    """A spline of its own for each feature: (…, D) → (…, D), with trained θ (D, 3K − 1), the identity at the start.

    Args:
        features: D. bins and settings: as in `SplineMap`. event_ndim: 1 for vectors, 3 for images.
    """

    def __init__(self, features, bins=8, bound=3.0, event_ndim=1, **settings):
        self.features, self.event_ndim, self.map = features, event_ndim, SplineMap(bins, bound, **settings)
        self.theta = Parameter(zeros((features, self.map.parameters)))

    def forward(self, x, context=None):
        return self._apply(self.map.forward, x)

    def inverse(self, y, context=None):
        return self._apply(self.map.inverse, y)

    def _apply(self, direction, x):
        self.expect_event(x, self.features)
        value, log_slope = direction(x, self.theta.reshape((*(1,) * (x.ndim - 1), *self.theta.shape)))
        return value, self.sum_event(log_slope)

    def describe(self):
        return f"{self.features}, {self.map}"
