r"""Transforms of each entry by itself: y_d = t(x_d).

The Jacobian is diagonal, so

    log |det ∂y/∂x| = Σ_d log |t′(x_d)|.                                                                         (1)

Every log-slope is written so that it stays right where t saturates, from these identities:

    affine        y = e^s x + b            log t′ = s                                                            (2)
    exp           y = eˣ                   log t′ = x                                                            (3)
    softplus      y = log(1 + eˣ)          log t′ = log σ(x)                  x = y + log(1 − e⁻ʸ)               (4)
    sigmoid       y = σ(x)                 log t′ = log σ(x) + log σ(−x)      x = log y − log(1 − y)             (5)
    tanh          y = tanh x               log t′ = 2 (log 2 − x − softplus(−2x))
                                                              x = ½ (log(1 + y) − log(1 − y))                    (6)
    leaky ReLU    y = x or a x             log t′ = 0 for x > 0, else log a                                      (7)
    logit         y = log p − log(1 − p),  p = α + (1 − 2α) x,
                  log t′ = log(1 − 2α) − log p − log(1 − p) = log(1 − 2α) − log σ(y) − log σ(−y)                 (8)

(8) takes data in [0, 1], such as pixels, to the whole line; α > 0 keeps 0 and 1 themselves away from ±∞ (L. Dinh,
J. Sohl-Dickstein and S. Bengio, "Density estimation using Real NVP", 2016, arXiv:1605.08803, section 4.1).

Where t saturates, rounding loses x for good: in float32 σ(x) is 1 from x = 17 on, and 1 has no inverse.
"""
import math

from minigen.flows.base import Transform
from minigen.nn import Parameter
from minigen.ops.activations import leaky_relu, log_sigmoid, sigmoid, softplus
from minigen.ops.create import zeros
from minigen.ops.elementwise import exp, expm1, log, log1p, tanh

REALS = (-math.inf, math.inf)


class Elementwise(Transform):
    """Base class of Eq. (3) to (8): a subclass defines t, its inverse and log t′.

    Attributes:
        domain, codomain: the open intervals in which x and y lie.

    Raises ValueError for an x or y outside its interval.
    """
    domain = codomain = REALS

    def __init__(self, event_ndim=1):
        self.event_ndim = event_ndim

    def t(self, x):
        """y = t(x), entry by entry."""
        raise NotImplementedError(f"{type(self).__name__}: it must define t(x)")

    def t_inverse(self, y):
        """x = t⁻¹(y), entry by entry."""
        raise NotImplementedError(f"{type(self).__name__}: it must define t_inverse(y)")

    def log_slope(self, x, y):
        """log |t′(x)|, entry by entry, from x or from y = t(x)."""
        raise NotImplementedError(f"{type(self).__name__}: it must define log_slope(x, y)")

    def forward(self, x, context=None):
        self._expect_inside(x, self.domain, "its domain")
        y = self.t(x)
        return y, self.sum_event(self.log_slope(x, y))                                        # Eq. (1)

    def inverse(self, y, context=None):
        self._expect_inside(y, self.codomain, "the domain of its inverse")
        x = self.t_inverse(y)
        return x, -self.sum_event(self.log_slope(x, y))

    def _expect_inside(self, values, interval, what):
        low, high = interval
        if interval == REALS or not self.looks(values):
            return
        inside = (values > low) & (values < high)
        if not bool(inside.all()):                       # a NaN is outside too
            outside = values.numpy()[~inside.numpy()]
            raise ValueError(f"{self.label()}: {outside.flat[0]:.8g} lies outside {what}, the open interval "
                             f"({low:.8g}, {high:.8g}); of {values.size} values {outside.size} do")


class Exp(Elementwise):
    """Eq. (3): the line to the positive numbers. Its inverse, the logarithm, is ``Inverse(Exp())``."""
    codomain = (0.0, math.inf)

    def t(self, x):
        return exp(x)

    def t_inverse(self, y):
        return log(y)

    def log_slope(self, x, y):
        return x


class Softplus(Elementwise):
    """Eq. (4): the line to the positive numbers, like eˣ far to the left and like x far to the right."""
    codomain = (0.0, math.inf)

    def t(self, x):
        return softplus(x)

    def t_inverse(self, y):
        return y + log(-expm1(-y))

    def log_slope(self, x, y):
        return log_sigmoid(x)


class Sigmoid(Elementwise):
    """Eq. (5): the line to the interval (0, 1)."""
    codomain = (0.0, 1.0)

    def t(self, x):
        return sigmoid(x)

    def t_inverse(self, y):
        return log(y) - log1p(-y)

    def log_slope(self, x, y):
        return log_sigmoid(x) + log_sigmoid(-x)


class Tanh(Elementwise):
    """Eq. (6): the line to the interval (−1, 1)."""
    codomain = (-1.0, 1.0)

    def t(self, x):
        return tanh(x)

    def t_inverse(self, y):
        return 0.5 * (log1p(y) - log1p(-y))

    def log_slope(self, x, y):
        return 2 * (math.log(2) - x - softplus(-2 * x))


class LeakyReLU(Elementwise):
    """Eq. (7), for a slope a > 0 on the left. At the kink x = 0 the slope counts as a."""

    def __init__(self, negative_slope=0.01, event_ndim=1):
        if not 0 < negative_slope < math.inf:
            raise ValueError(f"LeakyReLU: it has an inverse only for a slope > 0, got negative_slope={negative_slope}")
        super().__init__(event_ndim)
        self.negative_slope = negative_slope

    def t(self, x):
        return leaky_relu(x, self.negative_slope)

    def t_inverse(self, y):
        return leaky_relu(y, 1 / self.negative_slope)

    def log_slope(self, x, y):
        return (x <= 0).astype(x.dtype) * math.log(self.negative_slope)

    def describe(self):
        return f"{self.negative_slope}"


class Logit(Elementwise):
    """Eq. (8): [0, 1] to the line. With α = 0 it is the inverse of the sigmoid, on the open interval.

    For α > 0 the domain is a little larger than [0, 1]: all x whose p lies in (0, 1).
    """

    def __init__(self, alpha=0.0, event_ndim=1):
        if not 0 <= alpha < 0.5:
            raise ValueError(f"Logit: alpha is the margin kept at each end, in [0, 0.5), got {alpha}")
        super().__init__(event_ndim)
        self.alpha = alpha
        margin = alpha / (1 - 2 * alpha)
        self.domain = (0.0 - margin, 1 + margin)

    def t(self, x):
        alpha, slope = self.alpha, 1 - 2 * self.alpha
        return log(alpha + slope * x) - log(alpha + slope * (1 - x))           # 1 − p would lose digits for p near 1

    def t_inverse(self, y):
        return (sigmoid(y) - self.alpha) / (1 - 2 * self.alpha)

    def log_slope(self, x, y):
        return math.log1p(-2 * self.alpha) - log_sigmoid(y) - log_sigmoid(-y)

    def describe(self):
        return f"alpha={self.alpha}"


# ---- affine maps -----------------------------------------------------------------------------------------------------
class Affine(Transform):
    """Eq. (2), with one scale and one shift for each feature, the same at all positions of an image.

    Args:
        features: on the last axis. shift, log_scale: where the parameters start: numbers, or (features,).

    Attributes:
        shift, log_scale: Parameters (features,), b and s.

    Raises ValueError for another number of features, and where e^s is zero or not finite.
    """

    def __init__(self, features, shift=0.0, log_scale=0.0, event_ndim=1):
        if features < 1:
            raise ValueError(f"{type(self).__name__}: wants at least one feature, got {features}")
        self.features, self.event_ndim = features, event_ndim
        self.shift = Parameter(zeros(features) + shift)
        self.log_scale = Parameter(zeros(features) + log_scale)

    def forward(self, x, context=None):
        self.expect_event(x, self.features)
        return x * self.expect_invertible(self.log_scale) + self.shift, self._log_abs_det(x)

    def inverse(self, y, context=None):
        self.expect_event(y, self.features)
        return (y - self.shift) / self.expect_invertible(self.log_scale), -self._log_abs_det(y)

    def _log_abs_det(self, x):
        return self.same_for_all(x, self.positions(x) * self.log_scale.sum())                 # Eq. (1) and (2)

    def describe(self):
        return f"{self.features}"


class ConditionalAffine(Transform):
    """Eq. (2), with scale and shift computed from the context c: y = e^{s(c)} x + b(c).

    Args:
        network: a Module from contexts (…, C) to (…, 2 D): first b, then s.

    Raises ValueError where no context is given.
    """

    def __init__(self, network):
        self.network = network

    def forward(self, x, context=None):
        shift, log_scale = self._parameters(x, context)
        return x * exp(log_scale) + shift, self.sum_event(log_scale)

    def inverse(self, y, context=None):
        shift, log_scale = self._parameters(y, context)
        return (y - shift) * exp(-log_scale), -self.sum_event(log_scale)

    def _parameters(self, x, context):
        """b and s, each of the shape of x."""
        if context is None:
            raise ValueError("ConditionalAffine: it needs a context; pass context= (…, C) with the axes of x in front")
        both = self.network(context)
        D = x.shape[-1]
        if both.shape != (*x.shape[:-1], 2 * D):
            raise ValueError(f"ConditionalAffine: for x {x.shape} the network must give {(*x.shape[:-1], 2 * D)}, got "
                             f"{both.shape} from a context {context.shape}")
        return both[..., :D], both[..., D:]
