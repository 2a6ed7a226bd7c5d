r"""Scans: ops that run along an axis. Running sums and products, the product as a reduction, sorting.

Along the axis, with ȳ the cotangent of y:

    yᵢ = x₁ + … + xᵢ       x̄ᵢ = ȳᵢ + … + ȳₙ                                        (1)
    yᵢ = x₁ x₂ ⋯ xᵢ        x̄ᵢ = yᵢ₋₁ hᵢ  with  hᵢ = ȳᵢ + xᵢ₊₁ hᵢ₊₁                 (2)
    y  = x₁ x₂ ⋯ xₙ        x̄ᵢ = ȳ · (x₁ ⋯ xᵢ₋₁) (xᵢ₊₁ ⋯ xₙ)                        (3)
    y  = P x               x̄  = Pᵀ ȳ = P⁻¹ ȳ   for a permutation P                 (4)

(2) is Σ_{k≥i} ȳₖ ∂yₖ/∂xᵢ = Σ_{k≥i} ȳₖ (x₁ ⋯ xᵢ₋₁) (xᵢ₊₁ ⋯ xₖ), summed from the far end as Horner would. Nothing is
divided, so zeros are no special case, to any order.
"""
from numpy.lib.array_utils import normalize_axis_index

from minigen.ops.reduce import _axes, _keep
from minigen.primitive import primitive

__all__ = ["cumsum", "cumprod", "prod", "sort", "argsort"]


# ---- running sums and products ---------------------------------------------------------------------------------------
def _line(x, axis):
    """(x, axis ≥ 0) to scan along; without an axis the flattened x."""
    return (x.reshape(-1), 0) if axis is None else (x, normalize_axis_index(axis, x.ndim))


def _scan(xp, scan, x, axis, reverse):
    x, axis = _line(x, axis)
    return xp.flip(scan(xp.flip(x, axis), axis=axis), axis) if reverse else scan(x, axis=axis)


@primitive
def cumsum(xp, x, *, axis=None, reverse=False):
    """x₁ + … + xᵢ along an axis (None: of the flattened x); with ``reverse`` xᵢ + … + xₙ, its adjoint."""
    return _scan(xp, xp.cumsum, x, axis, reverse)


cumsum.vjp(lambda g, x_shape, axis, reverse: cumsum(g, axis, not reverse).reshape(x_shape))     # Eq. (1)


@primitive
def cumprod(xp, x, *, axis=None, reverse=False):
    """x₁ x₂ ⋯ xᵢ along an axis (None: of the flattened x); with ``reverse`` xᵢ ⋯ xₙ."""
    return _scan(xp, xp.cumprod, x, axis, reverse)


def _cumprod_vjp(g, x, out, axis, reverse):
    """Eq. (2). The maps h ↦ g + a h of the recurrence are composed in spans of 1, 2, 4, … (Hillis & Steele 1986)."""
    shape = x.shape
    x, axis = _line(x, axis)
    step = -1 if reverse else 1                       # from an element to the next; the ends change places with reverse
    h, a = g, _shift(x, -step, axis, 0)               # aᵢ = xᵢ₊₁, and nothing follows xₙ
    for k in range((x.shape[axis] - 1).bit_length()):
        span = step * 2 ** k
        h = h + a * _shift(h, -span, axis, 0)
        a = a * _shift(a, -span, axis, 0)
    return (_shift(out, step, axis, 1) * h).reshape(shape)


cumprod.vjp(_cumprod_vjp)


@primitive
def _shift(xp, x, *, by, axis, fill):
    """x moved ``by`` places along the axis, ``fill`` coming in behind it. Its adjoint moves back, and 0 comes in."""
    out = xp.roll(x, by, axis)
    out[(slice(None),) * axis + (slice(by) if by > 0 else slice(by, None),)] = fill
    return out


_shift.vjp(lambda g, by, axis: _shift(g, -by, axis, 0))


# ---- product ---------------------------------------------------------------------------------------------------------
@primitive
def prod(xp, x, *, axis=None, keepdims=False):
    """Π x over one axis, several (a tuple) or all (None). The product of no elements is 1."""
    return xp.prod(x, axis=axis, keepdims=keepdims)


def _prod_vjp(g, x, axis):
    """Eq. (3), axis after axis: the other elements along the first, times the other products along the next, …"""
    g = _keep(g, x.shape, axis)
    for i in _axes(axis, x.ndim):
        before, after = _shift(cumprod(x, i), 1, i, 1), _shift(cumprod(x, i, reverse=True), -1, i, 1)
        g, x = g * before * after, prod(x, i, keepdims=True)
    return g


prod.vjp(_prod_vjp)


# ---- order -----------------------------------------------------------------------------------------------------------
@primitive
def argsort(xp, x, *, axis=-1):
    """Indices that sort x along an axis (None: the flattened x), equals in their order, NaN last. No gradient."""
    return xp.argsort(x, axis=axis, kind="stable")


def sort(x, axis=-1):
    """x in ascending order along an axis (None: the flattened x). Equal elements count as being in order already."""
    return _permute(x, argsort(x, axis), axis)


@primitive
def _permute(xp, x, order, *, axis):
    """P x: x[order] along an axis."""
    return xp.take_along_axis(x, order, axis=axis)


def _permute_vjp(g, order, axis, x_shape):
    """Eq. (4); sorting a permutation inverts it."""
    return _permute(g, argsort(order, axis), axis).reshape(x_shape)


_permute.vjp(_permute_vjp, None)
