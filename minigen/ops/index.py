r"""Indexing and its adjoint: reading elements, adding into them, replacing them.

Reading y = x[index] is linear: each element of y is one element of x. Its adjoint therefore adds each element of ȳ to
the place it was read from, and a place that was read twice receives both:

    x̄ = 0,   x̄[index] += ȳ.                                                                                        (1)

That is `scatter_add`, a linear map too, whose adjoint is the reading. Each is the other's derivative, at any order.

An index is made *plain* first (`minigen.ops.indices`), so that it can be kept for the derivative. Out of range is an
IndexError, except in an integer array on a GPU, which CuPy wraps round without a check.
"""
import math
from numbers import Integral

from minigen.ops.indices import home_of, index_array, is_basic, lift, plain_index, whole_axes
from minigen.primitive import is_recording, primitive
from minigen.tensor import Tensor, to_array

__all__ = ["getitem", "take", "take_along_axis", "argwhere", "nonzero", "scatter_add", "index_add", "index_set",
           "setitem"]


# ---- reading ---------------------------------------------------------------------------------------------------------
def getitem(x, index):
    """x[index], as NumPy reads it: ints, slices, None, …, arrays of integers, masks, and any mixture.

    Tensors, NumPy arrays and lists serve as arrays. Ints and slices alone give a view of x, arrays a copy. Raises
    IndexError for an index out of range, of too many axes, or of another kind; TypeError for a Tensor on another
    device.
    """
    x, = lift(x)
    return _read(x, plain_index(home_of(x), index, x.shape))


def _read(x, index):
    return _getitem_view(x, index) if is_basic(index) else _getitem_copy(x, index)


@primitive
def _getitem_view(xp, x, *, index):
    return x[index]


@primitive
def _getitem_copy(xp, x, *, index):
    return x[index]


_getitem_view.op.view = True
_getitem_view.op.name = _getitem_copy.op.name = "getitem"                         # what users called
_getitem_view.vjp(lambda g, index, x_shape: _scatter_add(g, index, x_shape))      # Eq. (1)
_getitem_copy.vjp(lambda g, index, x_shape: _scatter_add(g, index, x_shape))      # Eq. (1)


def take(x, indices, axis=None):
    """The elements of x at ``indices`` along ``axis`` (of the flattened x if None); indices.shape replaces the axis.

    Raises IndexError for an index out of range, ValueError for an axis out of range.
    """
    x, = lift(x)
    if axis is None:
        return getitem(x.reshape(-1), (indices,))
    return getitem(x, (slice(None),) * _checked_axis("take", axis, x.ndim) + (indices,))


def take_along_axis(x, indices, axis=-1):
    """y[…, i, …] = x[…, indices[…, i, …], …] along ``axis``: what `argmax` and `argsort` found.

    ``indices`` holds integers and has as many axes as x; the other axes broadcast. With ``axis=None`` x is flattened
    first. Raises ValueError if the numbers of axes differ, IndexError for an index out of range.
    """
    x, = lift(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    xp = home_of(x)
    indices, axis = index_array(xp, indices), _checked_axis("take_along_axis", axis, x.ndim)
    if indices.ndim != x.ndim or indices.dtype.kind == "b":
        raise ValueError(f"take_along_axis: wants integer indices with the {x.ndim} axes of x {x.shape}, "
                         f"got {indices.dtype} {indices.shape}")
    grid = [xp.arange(n).reshape([n if k == d else 1 for k in range(x.ndim)]) for d, n in enumerate(x.shape)]
    grid[axis] = indices
    return _read(x, tuple(grid))


def _checked_axis(name, axis, ndim):
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name}: axis {axis} is out of range for an array with {ndim} axes")
    return axis % ndim


@primitive
def argwhere(xp, x):
    """The positions of the elements of x that are not zero, (count, x.ndim) int64. Passes no gradient."""
    return xp.argwhere(x)


def nonzero(x):
    """The positions of the elements of x that are not zero: one int64 Tensor (count,) for each axis. No gradient."""
    positions = argwhere(x)
    return tuple(positions[:, axis] for axis in range(positions.shape[1]))


# ---- adding ----------------------------------------------------------------------------------------------------------
def scatter_add(values, index, shape):
    """Zeros of ``shape`` with ``values`` added at ``index``, once for every time it names an element.

    The adjoint of `getitem`. ``values`` has the shape that reading the index would give, or broadcasts to it. Example:
    how often each word occurs in a text of word numbers, ``scatter_add(1.0, words, n_words)``. Raises IndexError as
    `getitem` does.
    """
    values, = lift(values)
    shape = (shape,) if isinstance(shape, Integral) else tuple(shape)
    return _scatter_add(values, plain_index(home_of(values), index, shape), shape)


@primitive
def _scatter_add(xp, values, *, index, shape):
    target = xp.zeros(shape, values.dtype)
    _accumulate(xp, target, index, values)                                        # Eq. (1)
    return target


_scatter_add.vjp(lambda g, index: _read(g, index))


def index_add(x, index, value):
    """A copy of x with ``value`` added at ``index``, once for every time it names an element. Keeps x's dtype.

    Raises IndexError as `getitem` does, TypeError if x's dtype cannot hold the value.
    """
    x, = lift(x)
    return _index_add(x, value, plain_index(home_of(x), index, x.shape))


@primitive
def _index_add(xp, x, value, *, index):
    out = xp.array(x, order="C")
    _accumulate(xp, out, index, _fitted(xp, value, x.dtype))
    return out


_index_add.vjp(lambda g: g, lambda g, index: _read(g, index))


def _accumulate(xp, target, index, values):
    """target[index] += values, in place, once for every time the index names an element. ``target`` is contiguous."""
    if is_basic(index):
        target[index] += _stretched(xp, values, target[index].shape)
        return
    # Both libraries add fastest into one flat axis, so we say where in memory each value goes. The axes behind the
    # indexed ones stay whole: they make rows of `width` elements.
    rows, whole = _rows(xp, index, target.shape), whole_axes(index, target.shape)
    width = math.prod(whole)
    values = _stretched(xp, values, rows.shape + whole)
    places = rows.reshape(-1, 1) * width + xp.arange(width)
    xp.scatter_add(target.reshape(-1), places.reshape(-1), values.reshape(-1))


def _stretched(xp, values, shape):
    """The values broadcast to the shape that an index selects."""
    try:
        return xp.broadcast_to(values, shape)
    except ValueError:
        raise ValueError(f"values of shape {values.shape} do not broadcast to {shape}, as the index asks") from None


def _rows(xp, index, shape):
    """Which of the rows that the indexed axes number is read for each place of the result."""
    indexed = shape[:len(shape) - len(whole_axes(index, shape))]
    return xp.arange(math.prod(indexed)).reshape(indexed)[index]


# ---- replacing -------------------------------------------------------------------------------------------------------
def index_set(x, index, value):
    """A copy of x with ``value`` at ``index``: the differentiable way to write ``x[index] = value``. Keeps x's dtype.

    x passes no gradient where it was replaced. Raises IndexError as `getitem` does, TypeError if x's dtype cannot hold
    the value, and ValueError if an integer array names an element twice, for then it is not defined which value stays.
    """
    x, = lift(x)
    index = plain_index(home_of(x), index, x.shape)
    if not (is_basic(index) or type(value) in (int, float, bool)):               # a number is the same each time
        xp = home_of(x)
        rows = _rows(xp, index, x.shape)
        repeated = rows.size - xp.unique(rows).size
        if repeated:
            raise ValueError(f"index_set: the index names elements of x {x.shape} again ({repeated}×), so it is not "
                             "defined which value stays; make it unique, or add with index_add")
    return _index_set(x, value, index)


@primitive
def _index_set(xp, x, value, *, index):
    out = xp.array(x, order="C")
    out[index] = _stretched(xp, _fitted(xp, value, x.dtype), out[index].shape)
    return out


_index_set.vjp(lambda g, index: _index_set(g, 0, index), lambda g, index: _read(g, index))


_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, bool: 0, int: 1, float: 2}       # of kinds of dtypes and of Python numbers


def _fitted(xp, value, dtype):
    """The value in this dtype. Raises TypeError where more than digits would be lost: a fraction in an int64 array."""
    is_array = hasattr(value, "dtype")
    if _RANK[value.dtype.kind if is_array else type(value)] > _RANK[dtype.kind]:
        kind = value.dtype if is_array else type(value).__name__
        raise TypeError(f"a value of type {kind} does not fit into {dtype}; convert one with .astype")
    return value.astype(dtype, copy=False) if is_array else xp.full((), value, dtype)


def setitem(t, index, value):
    """t[index] = value, in place: for a tensor that requires no grad, or inside `no_grad`. Casts to t's dtype.

    The change is counted, so that a gradient which saved the old values refuses to use the new ones. Raises
    RuntimeError if a gradient would be lost, TypeError for a value on another device or of a type that does not fit,
    IndexError as `getitem` does.
    """
    for what, given in (("this tensor", t), ("the value", value)):
        if is_recording() and isinstance(given, Tensor) and given.requires_grad:
            name = f" {given.name!r}" if given.name else ""
            raise RuntimeError(f"setitem: {what}{name} {given.shape} requires grad, and a change in place loses it; "
                               "write t = mg.index_set(t, index, value), or work inside mg.no_grad()")
    xp, home = t.backend, None if isinstance(value, (int, float)) else home_of(value)
    if home not in (None, xp):
        raise TypeError(f"setitem: the value {value.shape} lives on {home.name}, the tensor on {xp.name}; "
                        "move it with .to(...)")
    index = plain_index(xp, index, t.shape)
    value = to_array(value, copy=getattr(value, "_version", None) is t._version, xp=xp)       # copy in t[1:] = t[:-1]
    try:
        t._array[index] = _fitted(xp, value, t.dtype)
    except (IndexError, TypeError, ValueError) as error:
        raise type(error)(f"setitem: {error}; got a tensor {t.shape} {t.dtype} and a value {value.shape}") from None
    t._version[0] += 1
