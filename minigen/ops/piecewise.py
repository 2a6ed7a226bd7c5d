"""Ops that are constant or linear piece by piece: comparisons, logic, rounding, choices.

Between the kinks their derivatives are constants, so the second derivative is zero and a vjp needs only a mask. Masks
are made by comparisons, which pass no gradient. **At a kink** the derivative is a choice; each docstring states its
own. A step function such as `floor` has the derivative 0 and says so: it stays in the graph and sends back zeros. A
truth value has none: it leaves the graph.
"""
import numpy as np

from minigen.ops.create import zeros_like
from minigen.primitive import primitive

__all__ = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "isnan", "isinf", "isfinite",
           "logical_and", "logical_or", "logical_xor", "logical_not", "sign", "floor", "ceil", "round", "floor_divide",
           "remainder", "mod", "abs", "absolute", "maximum", "minimum", "clip", "where"]


# ---- truth values: no gradient ---------------------------------------------------------------------------------------
@primitive
def equal(xp, x, y):
    """x = y, elementwise."""
    return xp.equal(x, y)


@primitive
def not_equal(xp, x, y):
    """x ≠ y, elementwise."""
    return xp.not_equal(x, y)


@primitive
def less(xp, x, y):
    """x < y, elementwise."""
    return xp.less(x, y)


@primitive
def less_equal(xp, x, y):
    """x ≤ y, elementwise."""
    return xp.less_equal(x, y)


@primitive
def greater(xp, x, y):
    """x > y, elementwise."""
    return xp.greater(x, y)


@primitive
def greater_equal(xp, x, y):
    """x ≥ y, elementwise."""
    return xp.greater_equal(x, y)


@primitive
def isnan(xp, x):
    """Is it NaN?"""
    return xp.isnan(x)


@primitive
def isinf(xp, x):
    """Is it +∞ or −∞?"""
    return xp.isinf(x)


@primitive
def isfinite(xp, x):
    """Is it neither NaN nor infinite?"""
    return xp.isfinite(x)


@primitive
def logical_and(xp, x, y):
    """x ∧ y, where 0 is false and all else true."""
    return xp.logical_and(x, y)


@primitive
def logical_or(xp, x, y):
    """x ∨ y, where 0 is false and all else true."""
    return xp.logical_or(x, y)


@primitive
def logical_xor(xp, x, y):
    """Is just one of them true?"""
    return xp.logical_xor(x, y)


@primitive
def logical_not(xp, x):
    """¬x, where 0 is false and all else true."""
    return xp.logical_not(x)


# ---- steps: the derivative is zero, also at the jumps ----------------------------------------------------------------
@primitive
def sign(xp, x):
    """−1, 0 or 1; f′ = 0."""
    return xp.sign(x)


sign.vjp(lambda g: zeros_like(g))


@primitive
def floor(xp, x):
    """⌊x⌋; f′ = 0."""
    return xp.floor(x)


floor.vjp(lambda g: zeros_like(g))


@primitive
def ceil(xp, x):
    """⌈x⌉; f′ = 0."""
    return xp.ceil(x)


ceil.vjp(lambda g: zeros_like(g))


@primitive
def round(xp, x, *, decimals=0):
    """x rounded to ``decimals`` places, halves to the even neighbour; f′ = 0."""
    return xp.round(x, decimals)


round.vjp(lambda g: zeros_like(g))


@primitive
def floor_divide(xp, x, y):
    """⌊x / y⌋; ∂f/∂x = ∂f/∂y = 0."""
    return xp.floor_divide(x, y)


floor_divide.vjp(lambda g: zeros_like(g), lambda g: zeros_like(g))


# ---- linear pieces ---------------------------------------------------------------------------------------------------
@primitive
def remainder(xp, x, y):
    """x − ⌊x / y⌋ y, which has the sign of y; ∂f/∂x = 1, ∂f/∂y = −⌊x / y⌋, also at the jumps."""
    return xp.remainder(x, y)


remainder.vjp(lambda g: g, lambda g, x, y: -g * floor_divide(x, y))
mod = remainder


@primitive
def abs(xp, x):
    """|x|; f′ = sign(x), which is 0 at 0."""
    return xp.abs(x)


abs.vjp(lambda g, x: g * sign(x))
absolute = abs


@primitive
def maximum(xp, x, y):
    """The larger of the two. The gradient goes to the larger; in a tie each gets half."""
    return xp.maximum(x, y)


maximum.vjp(lambda g, x, y: _unless(x < y, x == y, g), lambda g, x, y: _unless(y < x, x == y, g))


@primitive
def minimum(xp, x, y):
    """The smaller of the two. The gradient goes to the smaller; in a tie each gets half."""
    return xp.minimum(x, y)


minimum.vjp(lambda g, x, y: _unless(x > y, x == y, g), lambda g, x, y: _unless(y > x, x == y, g))


def _unless(lost, tied, g):
    """g, but 0 where the comparison was lost and g/2 where it was tied."""
    return where(lost, 0, where(tied, 0.5 * g, g))


@primitive
def clip(xp, x, *, min=None, max=None):
    """x held between two numbers, either of which may be None; f′ = 1 for min ≤ x ≤ max, bounds included, else 0."""
    if min is None and max is None:
        raise ValueError("min and max are both None; give at least one bound")
    return xp.clip(x, _bound(min), _bound(max))


def _bound(value):
    """A bound of `clip` as a Python number: a NumPy scalar would impose its dtype on x."""
    if value is not None and not isinstance(value, (int, float, np.number)):
        raise TypeError(f"a bound must be a number, not a {type(value).__name__}; write minimum(maximum(x, low), high)")
    return value.item() if isinstance(value, np.number) else value


clip.vjp(lambda g, x, out: where(x == out, g, 0))


@primitive
def where(xp, condition, x, y):
    """x where the condition holds, else y; neither sends a gradient to the other, whatever its value (even NaN).

    To keep an *argument* out of a function's domain errors, choose before: ``log(where(x > 0, x, 1))``.
    """
    if float in (type(x), type(y)) and not (hasattr(x, "dtype") or hasattr(y, "dtype")):
        x = xp.asarray(x, dtype="float32")         # as everywhere, Python floats alone make float32
    return xp.where(xp.asarray(condition), x, y)


where.vjp(None, lambda g, condition: where(condition, g, 0), lambda g, condition: where(condition, 0, g))
