r"""Planar and radial flows: one hyperplane, or one centre, around which space is stretched or squeezed.

D. Rezende and S. Mohamed, "Variational Inference with Normalizing Flows", 2015, arXiv:1505.05770, section 4.1 and
appendix A.

**Planar.** All change is along one direction û and depends on x through one number a:

    y = x + û tanh(a),   a = wᵀx + b.                                                                            (1)

With t = tanh(a), so that tanh′(a) = 1 − t², the matrix determinant lemma gives det(I + û (1 − t²) wᵀ), or

    log |det ∂y/∂x| = log |1 + c (1 − t²)|,   c = wᵀû.                                                           (2)

(1) has an inverse if and only if c ≥ −1. That is seen on the one number that counts: multiply (1) by wᵀ and add b, and

    a + c tanh(a) = wᵀy + b =: r,                                                                                (3)

whose left side has the slope 1 + c (1 − t²). The paper enforces c > −1 by moving a free u along w alone:

    û = u + (m(wᵀu) − wᵀu) w / ‖w‖²,   m(s) = −1 + log(1 + eˢ),   so   c = m(wᵀu),   1 + c = softplus(wᵀu).      (4)

Then (2) is the logarithm of a sum of two terms that are not negative, t² + softplus(wᵀu) (1 − t²): nothing cancels. For
the inverse, (3) is solved by bisection to the last digit, its derivative is that of an implicit function,

    da = (dr − tanh(a) dc) / (1 + c (1 − tanh²a)),                                                               (5)

exact to any order, and x = y − û tanh(a).

**Radial.** Around a centre x₀, with δ = x − x₀ and r = ‖δ‖, the change is along δ:

    y = x + β̂ h δ,   h = 1 / (α + r),   α > 0.                                                                   (6)

The radius becomes r (1 + β̂h), with the slope 1 + β̂αh²; each of the other D − 1 directions is stretched by 1 + β̂h:

    log |det ∂y/∂x| = (D − 1) log(1 + β̂h) + log(1 + β̂αh²).                                                       (7)

Both are positive everywhere if and only if β̂ > −α, enforced by β̂ = −α + softplus(β). With s = softplus(β) = α + β̂,

    1 + β̂h = (r + s) / (r + α),    1 + β̂αh² = (r² + 2αr + αs) / (r + α)²,                                        (8)

again without cancellation. Its inverse is in closed form: ρ = ‖y − x₀‖ = r (r + s) / (r + α) is quadratic in r,

    r² + (s − ρ) r − ρα = 0,   with one root r ≥ 0,   and   x = x₀ + (y − x₀) (r + α) / (r + s).                 (9)

At x = x₀ the radial map is differentiable only once.
"""
import numpy as np

from minigen.flows.base import Transform
from minigen.nn import Parameter
from minigen.ops.activations import sigmoid, softplus
from minigen.ops.create import full, zeros
from minigen.ops.elementwise import log, sqrt, square, tanh
from minigen.ops.piecewise import abs, where
from minigen.primitive import primitive
from minigen.random import as_generator


class Planar(Transform):
    """Eq. (1), for vectors (…, D).

    Args:
        features: D. rng: Generator or seed of the start: u and w small and random.

    Attributes:
        u, w: Parameters (D,). b: Parameter ().

    Raises ValueError for another number of features, and where w is zero: then Eq. (4) has no direction.
    """

    def __init__(self, features, *, rng):
        if features < 1:
            raise ValueError(f"Planar: wants at least one feature, got {features}")
        rng, bound = as_generator(rng), features ** -0.5
        self.features = features
        self.u = Parameter(rng.uniform(-bound, bound, features))
        self.w = Parameter(rng.uniform(-bound, bound, features))
        self.b = Parameter(zeros(()))

    def direction(self):
        """û (D,), and 1 + c. Eq. (4)."""
        length = (self.w * self.w).sum()
        if self.looks(length) and not 0 < length.item() < np.inf:
            raise ValueError(f"{self.label()}: its parameters are not invertible: w = {self.w.numpy().tolist()} has no "
                             "direction")
        along = (self.w * self.u).sum()                                                         # wᵀu
        slope = softplus(along)                                                                 # 1 + c = 1 + m(wᵀu)
        return self.u + (slope - 1 - along) * self.w / length, slope

    def forward(self, x, context=None):
        self.expect_event(x, self.features)
        u_hat, slope = self.direction()
        a = x @ self.w + self.b
        return x + u_hat * tanh(a)[..., None], _log_abs_det(a, slope)                           # Eq. (1)

    def inverse(self, y, context=None):
        self.expect_event(y, self.features)
        u_hat, slope = self.direction()
        a = _solve(y @ self.w + self.b, slope - 1)                                              # Eq. (3)
        return y - u_hat * tanh(a)[..., None], -_log_abs_det(a, slope)

    def describe(self):
        return f"{self.features}"


def _log_abs_det(a, slope):
    """Eq. (2) with (4), log(t² + (1 + c) (1 − t²)), from a (…) and slope = 1 + c."""
    return log(square(tanh(a)) + slope * 4 * sigmoid(2 * a) * sigmoid(-2 * a))        # 1 − t² with all its digits


@primitive
def _solve(xp, r, c):
    """The a of Eq. (3), a + c tanh(a) = r, for r (…) and one c ≥ −1.

    The left side is odd, so r and a have the same sign; let both be positive. Since tanh(a) ≤ 1 and tanh(a) ≤ a, the
    root lies between r and r − c min(1, r / (1 + c)). Each halving gives one more binary digit.
    """
    size, tiny = xp.abs(r), float(np.finfo(r.dtype).tiny)
    end = size - c * (size / xp.maximum(xp.maximum(1 + c, size), tiny))
    low, high = xp.minimum(size, end), xp.maximum(size, end)
    for _ in range(12 + np.finfo(r.dtype).nmant):                    # 12 more, for a c that is large
        middle = 0.5 * (low + high)
        below = middle + c * xp.tanh(middle) < size
        low, high = xp.where(below, middle, low), xp.where(below, high, middle)
    return xp.sign(r) * 0.5 * (low + high)


def _slope(a, c):
    t = tanh(a)
    return 1 + c * (1 - t * t)


_solve.vjp(lambda g, out, c: g / _slope(out, c),
           lambda g, out, c: -g * tanh(out) / _slope(out, c))                                   # Eq. (5)


class Radial(Transform):
    """Eq. (6), for vectors (…, D).

    Args:
        features: D. rng: Generator or seed of the start: the centre is drawn from N(0, I), and the map is near the
            identity.

    Attributes:
        centre: Parameter (D,), x₀. log_alpha, beta: Parameters ().

    Raises ValueError for another number of features, and where α is zero or not finite.
    """

    def __init__(self, features, *, rng):
        if features < 1:
            raise ValueError(f"Radial: wants at least one feature, got {features}")
        self.features = features
        self.centre = Parameter(as_generator(rng).standard_normal(features))
        self.log_alpha, self.beta = Parameter(zeros(())), Parameter(full((), 0.5))              # s is near α = 1

    def forward(self, x, context=None):
        self.expect_event(x, self.features)
        alpha, s = self.expect_invertible(self.log_alpha), softplus(self.beta)
        delta = x - self.centre
        r = delta.norm(axis=-1)
        stretch = (r + s) / (r + alpha)                                                         # Eq. (8)
        return self.centre + delta * stretch[..., None], self._log_stretch(r, alpha, s)         # Eq. (6)

    def inverse(self, y, context=None):
        self.expect_event(y, self.features)
        alpha, s = self.expect_invertible(self.log_alpha), softplus(self.beta)
        delta = y - self.centre
        r = _positive_root(delta.norm(axis=-1), alpha, s)
        stretch = (r + alpha) / (r + s)
        return self.centre + delta * stretch[..., None], -self._log_stretch(r, alpha, s)        # Eq. (9)

    def _log_stretch(self, r, alpha, s):
        """Eq. (7) and (8)."""
        around, outward = (r + s) / (r + alpha), (r * r + 2 * alpha * r + alpha * s) / (r + alpha) ** 2
        return (self.features - 1) * log(around) + log(outward)

    def describe(self):
        return f"{self.features}"


def _positive_root(rho, alpha, s):
    """The r ≥ 0 of Eq. (9), r² − p r − ρα = 0 with p = ρ − s: of its two forms the one in which nothing cancels."""
    p = rho - s
    q = abs(p) + sqrt(p * p + 4 * rho * alpha)
    return where(p > 0, 0.5 * q, 2 * rho * alpha / q)
