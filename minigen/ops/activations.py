"""The logistic family and the activations of neural networks.

Exponentials are taken of −|x|, or where an overflow to ∞ gives the right limit. With σ the sigmoid,

    softplus(x) = log(1 + eˣ) = max(x, 0) + log(1 + e^(−|x|)),                                                  (1)
    softplus′ = σ = 1 − e^(−softplus),    σ′ = σ (1 − σ),    log σ(x) = −softplus(−x),                              (2)

and since (2) gives each slope by the value, nothing but the output is saved. Kinks are documented where they are.
"""
import math

import numpy as np

from minigen.ops.elementwise import exp, expm1, tanh
from minigen.ops.piecewise import where
from minigen.ops.special import erf
from minigen.primitive import primitive

__all__ = ["sigmoid", "logit", "softplus", "log_sigmoid", "logaddexp", "relu", "leaky_relu", "elu", "silu", "gelu"]


# ---- the logistic family ---------------------------------------------------------------------------------------------
@primitive
def sigmoid(xp, x):
    """σ(x) = 1 / (1 + e⁻ˣ) = eˣ / (1 + eˣ); f′ = f (1 − f)."""
    return xp.elementwise(_sigma, x)


def _sigma(xp, x, out=None):
    with np.errstate(over="ignore"):                  # e⁻ˣ = ∞ gives σ = 0, and that is right
        y = xp.multiply(x, -1.0, out=out)             # the float keeps unsigned integers from wrapping
        y = xp.exp(y, out=out)
        y += 1                                        # in place: fewer trips to memory
        return xp.divide(1, y, out=out)               # precise also where σ is tiny


def _exp_minus_abs(xp, x):
    return xp.exp(-1.0 * xp.abs(x))


sigmoid.vjp(lambda g, out: g * (out * (1 - out)))


@primitive
def logit(xp, x):
    """log(x / (1 − x)), the inverse of σ, for 0 < x < 1; f′ = 1 / (x (1 − x)). −∞ at 0 and +∞ at 1."""
    return xp.log(x / (1 - x))


logit.vjp(lambda g, x: g / (x * (1 - x)))


@primitive
def softplus(xp, x):
    """log(1 + eˣ); f′ = σ(x)."""
    return xp.elementwise(_softplus, x)


def _softplus(xp, x, out=None):
    return xp.add(xp.log1p(_exp_minus_abs(xp, x)), xp.maximum(x, 0), out=out)           # Eq. (1)


softplus.vjp(lambda g, out: -g * expm1(-out))                                 # Eq. (2)


@primitive
def log_sigmoid(xp, x):
    """log σ(x) = −log(1 + e⁻ˣ); f′ = σ(−x)."""
    return xp.minimum(x, 0) - xp.log1p(_exp_minus_abs(xp, x))                 # Eq. (1) at −x


log_sigmoid.vjp(lambda g, out: -g * expm1(out))                               # Eq. (2)


@primitive
def logaddexp(xp, x, y):
    """log(eˣ + eʸ); ∂f/∂x = σ(x − y), ∂f/∂y = σ(y − x), ½ each where both are the same infinity."""
    return xp.logaddexp(x, y)


logaddexp.vjp(lambda g, x, y: g * sigmoid(_gap(x, y)), lambda g, x, y: g * sigmoid(_gap(y, x)))


@primitive
def _gap(xp, x, y):
    """x − y, which is 0 also where both are the same infinity."""
    with np.errstate(invalid="ignore"):               # ∞ − ∞
        gap = x - y
    return xp.where(x == y, 0, gap)


_gap.vjp(lambda g: g, lambda g: -g)


# ---- with a kink at 0 ------------------------------------------------------------------------------------------------
@primitive
def relu(xp, x):
    """max(x, 0); f′ = 1 for x > 0, else 0, also at 0."""
    return xp.elementwise(_relu, x)


def _relu(xp, x, out=None):
    return xp.maximum(x, 0, out=out)


@primitive
def _relu_pullback(xp, g, y):
    """g where y > 0, else 0: g f′(x) for y = f(x). Piecewise constant in y, so it has no derivative for that."""
    return xp.elementwise(_g_where_positive, g, y)


def _g_where_positive(xp, g, y, out=None):
    return xp.multiply(g, y > 0, out=out)


relu.vjp(lambda g, out: _relu_pullback(g, out))
_relu_pullback.vjp(lambda u, y: _relu_pullback(u, y), None)


@primitive
def leaky_relu(xp, x, *, negative_slope=0.01):
    """x for x > 0, else negative_slope · x; at 0 the derivative is negative_slope."""
    if 0 < negative_slope <= 1:
        return xp.elementwise(_larger, x, numbers=(negative_slope,))          # the same, without a choice
    return xp.where(x > 0, x, negative_slope * x)


def _larger(xp, x, a, out=None):
    return xp.maximum(x, a * x, out=out)


@primitive
def _leaky_pullback(xp, g, x, *, negative_slope):
    """g for x > 0, else negative_slope · g: piecewise constant in x, so it has no derivative for that."""
    if not 0 <= negative_slope <= 1:
        return xp.where(x > 0, g, negative_slope * g)
    return xp.elementwise(_g_leaky_slope, g, x, numbers=(negative_slope,))


def _g_leaky_slope(xp, g, x, a, out=None):
    slope = (x > 0).astype(x.dtype)                   # faster than a choice, and no rounding is left: (1 − a) + a = 1
    slope *= 1 - a
    slope += a
    return xp.multiply(g, slope, out=out)


leaky_relu.vjp(lambda g, x, negative_slope: _leaky_pullback(g, x, negative_slope))
_leaky_pullback.vjp(lambda u, x, negative_slope: _leaky_pullback(u, x, negative_slope), None)


@primitive
def elu(xp, x, *, alpha=1.0):
    """x for x > 0, else α (eˣ − 1), α ≥ 0; there f′ = f + α, also at 0 (Clevert et al., 2015, arXiv:1511.07289)."""
    if alpha < 0:
        raise ValueError("alpha must not be negative")
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))


elu.vjp(lambda g, out, alpha: where(out > 0, g, g * (out + alpha)))


# ---- smooth ----------------------------------------------------------------------------------------------------------
@primitive
def silu(xp, x):
    """x σ(x), also called swish; f′ = σ (1 + x (1 − σ)) (Elfwing et al., 2017, arXiv:1702.03118).

    Computed by tanh, to a few roundings of |x|: where f itself has all but vanished, far left, no digit of it is sure.
    """
    return xp.elementwise(_x_sigma, x)


@primitive
def _silu_pullback(xp, g, x):
    """g f′(x)."""
    return xp.elementwise(_g_silu_slope, g, x)


silu.vjp(lambda g, x: _silu_pullback(g, x))
_silu_pullback.vjp(lambda u, x: _silu_pullback(u, x), lambda u, g, x: u * g * _silu_curvature(x, sigmoid(x)))


def _x_sigma(xp, x, out=None):
    """With h = x/2, σ(x) = ½ (1 + tanh h), which is twice as fast as by an exponential; so x σ(x) = h (1 + tanh h)."""
    h = xp.multiply(x, 0.5, out=out)
    t = xp.tanh(h)
    t += 1
    h *= t
    return h


def _g_silu_slope(xp, g, x, out=None):
    """g σ (1 + x (1 − σ)) = ½ g (1 + t) (1 + h (1 − t)) with t = tanh h."""
    h = 0.5 * x
    t = xp.tanh(h)
    y = xp.subtract(1, t, out=out)
    y *= h
    y += 1
    t += 1
    y *= t
    y *= 0.5
    y *= g
    return y


def _silu_curvature(x, s):
    """f″ = σ (1 − σ) (2 + x (1 − 2 σ))."""
    return s * (1 - s) * (2 + x * (1 - 2 * s))


@primitive
def gelu(xp, x, *, approximate="none"):
    """x Φ(x) with Φ the standard normal distribution function (Hendrycks and Gimpel, 2016, arXiv:1606.08415).

    ``approximate="tanh"`` replaces Φ(x) = ½ (1 + erf(x/√2)) by ½ (1 + tanh(√(2/π) (x + 0.044715 x³))).
    """
    if approximate not in ("none", "tanh"):
        raise ValueError('approximate must be "none" or "tanh"')
    return xp.elementwise(_x_Phi if approximate == "none" else _x_Phi_tanh, x)


def _x_Phi(xp, x, out=None):
    return xp.multiply(0.5 * x, 1 + xp.erf(x * math.sqrt(0.5)), out=out)


def _x_Phi_tanh(xp, x, out=None):
    return xp.multiply(0.5 * x, 1 + xp.tanh(_C * (x + _B * x * x * x)), out=out)


_B, _C = 0.044715, math.sqrt(2 / math.pi)
gelu.vjp(lambda g, x, approximate: g * (_gelu_slope(x) if approximate == "none" else _gelu_tanh_slope(x)))


def _gelu_slope(x):
    """Φ(x) + x φ(x), with φ the standard normal density."""
    return 0.5 * (1 + erf(x * math.sqrt(0.5))) + x * exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _gelu_tanh_slope(x):
    """½ (1 + t) + ½ x (1 − t²) u′, with t = tanh u and u = √(2/π) (x + 0.044715 x³)."""
    t = tanh(_C * (x + _B * x * x * x))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (_C * (1 + 3 * _B * x * x))
