"""Smooth elementwise ops. Each is a forward on arrays and, beside it, the vector-Jacobian product for each input.

The Jacobian of an elementwise function is diagonal, so its vjp is a product: x̄ = ȳ · f′(x). Inputs broadcast as in
NumPy; the engine sums the cotangent back to the input's shape. ``out`` is the op's own output, saved instead of the
input wherever f′ is a function of f, because it is there anyway.

Dtypes are NumPy's: a float keeps its own, integers become float64 where the result is real. Called outside its
domain, a function returns NaN or ±∞ and warns, as NumPy does; a docstring that names no domain means all of ℝ.
"""
import math

from minigen.ops.create import zeros_like
from minigen.ops.piecewise import where
from minigen.primitive import primitive

__all__ = ["add", "subtract", "multiply", "divide", "true_divide", "negative", "positive", "reciprocal", "square",
           "sqrt", "power", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh"]


# ---- arithmetic ------------------------------------------------------------------------------------------------------
@primitive
def add(xp, a, b):
    """a + b."""
    return xp.add(a, b)


add.vjp(lambda g: g, lambda g: g)


@primitive
def subtract(xp, a, b):
    """a − b."""
    return xp.subtract(a, b)


subtract.vjp(lambda g: g, lambda g: -g)


@primitive
def multiply(xp, a, b):
    """a · b."""
    return xp.multiply(a, b)


multiply.vjp(lambda g, b: g * b, lambda g, a: g * a)


@primitive
def divide(xp, a, b):
    """a / b, for b ≠ 0; ∂f/∂b = −f / b."""
    return xp.divide(a, b)


divide.vjp(lambda g, b: g / b, lambda g, b, out: -g * out / b)
true_divide = divide


@primitive
def negative(xp, x):
    """−x."""
    return xp.negative(x)


negative.vjp(lambda g: -g)


@primitive
def positive(xp, x):
    """+x: the identity, in memory of its own."""
    return xp.positive(x)


positive.vjp(lambda g: g)


@primitive
def reciprocal(xp, x):
    """1 / x, for x ≠ 0; f′ = −f². A real number for an integer, too."""
    return 1 / x


reciprocal.vjp(lambda g, out: -g * out * out)


# ---- powers ----------------------------------------------------------------------------------------------------------
@primitive
def square(xp, x):
    """x²; f′ = 2x."""
    return xp.square(x)


square.vjp(lambda g, x: g * (2 * x))


@primitive
def sqrt(xp, x):
    """√x, for x ≥ 0; f′ = 1 / 2f, which is +∞ at 0. Where x may vanish add a small number, or take a `norm`."""
    return xp.sqrt(x)


sqrt.vjp(lambda g, out: g / (2 * out))


@primitive
def power(xp, a, b):
    """aᵇ; ∂f/∂a = b aᵇ⁻¹, ∂f/∂b = f log a. A negative base takes integer exponents only, else the value is NaN.

    At the edge: 0⁰ = 1 and does not move with a. For a = 0 and b ≥ 0 the derivative in b is taken to be 0, its limit
    for b > 0. For a < 0 the function has no derivative in b: NaN.
    """
    return a ** b            # NumPy's operator, not its ufunc: it knows a short way for a², √a, 1/a


power.vjp(lambda g, a, b: _power_base(g, a, b), lambda g, a, b, out: g * out * _log_base(a, b))


def _power_base(g, a, b):
    if isinstance(b, (int, float)):
        return zeros_like(g) if b == 0 else g * (2 * a) if b == 2 else g * (b * a ** (b - 1))
    return g * (b * a ** where((a == 0) & (b == 0), 1, b - 1))       # 0⁰: not 0 · 0⁻¹, which is NaN


def _log_base(a, b):
    """log a, but 0 where aᵇ is 0 and stays 0 as b moves."""
    if isinstance(a, (int, float)):
        return math.log(a) if a > 0 else 0.0 if a == 0 else math.nan
    return log(where((a == 0) & (b >= 0), 1, a))


# ---- exponentials and logarithms -------------------------------------------------------------------------------------
@primitive
def exp(xp, x):
    """eˣ; f′ = f."""
    return xp.exp(x)


exp.vjp(lambda g, out: g * out)


@primitive
def expm1(xp, x):
    """eˣ − 1, precise near 0; f′ = f + 1."""
    return xp.expm1(x)


expm1.vjp(lambda g, out: g * (out + 1))


@primitive
def log(xp, x):
    """Natural logarithm, for x > 0; f′ = 1 / x. log 0 = −∞."""
    return xp.log(x)


log.vjp(lambda g, x: g / x)


@primitive
def log1p(xp, x):
    """log(1 + x), precise near 0, for x > −1; f′ = 1 / (1 + x)."""
    return xp.log1p(x)


log1p.vjp(lambda g, x: g / (1 + x))


# ---- circular and hyperbolic functions -------------------------------------------------------------------------------
@primitive
def sin(xp, x):
    """Sine of x radians; f′ = cos x."""
    return xp.sin(x)


sin.vjp(lambda g, x: g * cos(x))


@primitive
def cos(xp, x):
    """Cosine of x radians; f′ = −sin x."""
    return xp.cos(x)


cos.vjp(lambda g, x: -g * sin(x))


@primitive
def tan(xp, x):
    """Tangent of x radians; f′ = 1 + f²."""
    return xp.tan(x)


tan.vjp(lambda g, out: g * (1 + out * out))


@primitive
def arctan(xp, x):
    """Inverse tangent, in (−π/2, π/2) radians; f′ = 1 / (1 + x²)."""
    return xp.arctan(x)


arctan.vjp(lambda g, x: g / (1 + x * x))


@primitive
def sinh(xp, x):
    """(eˣ − e⁻ˣ) / 2; f′ = cosh x."""
    return xp.sinh(x)


sinh.vjp(lambda g, x: g * cosh(x))


@primitive
def cosh(xp, x):
    """(eˣ + e⁻ˣ) / 2; f′ = sinh x."""
    return xp.cosh(x)


cosh.vjp(lambda g, x: g * sinh(x))


@primitive
def tanh(xp, x):
    """Hyperbolic tangent; f′ = 1 − f²."""
    return xp.tanh(x)


tanh.vjp(lambda g, out: g * (1 - out * out))
