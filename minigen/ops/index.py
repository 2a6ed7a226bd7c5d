r"""Indexing and its adjoint: reading elements, adding into them, replacing them.

Reading y = x[index] is linear: each element of y is one element of x. Its adjoint therefore adds each element of ȳ to the place it
was read from, and a place that was read twice receives both:

    x̄ = 0,   x̄[index] += ȳ.                                                                                        (1)

That is `scatter_add`, a linear map too, whose adjoint is the reading. The two are each other's derivative, at any order.

Every index is first made *plain* (`_plain`): a tuple of ints, slices, None, … and int64 arrays on the backend of the array it
indexes. A mask becomes the positions of its True elements; lists and NumPy arrays are moved to the device; and what a caller
could change later is copied. Out of range is an IndexError, except in an integer array on a GPU, which CuPy wraps round
without a check.
"""
import math
import operator
from numbers import Integral

from minigen import backend
from minigen.primitive import is_recording, primitive
from minigen.tensor import Tensor, tensor, to_array

__all__ = ["getitem", "setitem", "take", "take_along_axis", "scatter_add", "index_set", "index_add", "argwhere", "nonzero"]


# ---- making an index plain -------------------------------------------------------------------------------------------
def lift(*values):
    """The values, with numbers and lists among them made Tensors on the backend of the others."""
    if all(hasattr(value, "shape") for value in values):
        return values
    home = next(filter(None, map(_home, values)), None) or backend.current()
    with backend.use(home.name):
        return tuple(value if hasattr(value, "shape") else tensor(value) for value in values)


def _home(value):
    return backend.of(value._array if isinstance(value, Tensor) else value)


def _plain(xp, index, shape):
    """The index of an array of this shape on ``xp``, as a tuple of ints, slices, None, … and int64 arrays there."""
    entries = index if isinstance(index, tuple) else (index,)
    entries = [_plain_entry(xp, entry) for entry in entries]
    if any(_is_mask(entry) for entry in entries):
        entries = _masks_to_positions(entries, shape)
    return tuple(entries)


def _plain_entry(xp, entry):
    if entry is None or entry is Ellipsis or type(entry) is int:
        return entry
    if isinstance(entry, slice):
        parts = (entry.start, entry.stop, entry.step)
        return slice(*(part if part is None else operator.index(part) for part in parts))
    if isinstance(entry, Integral) and not isinstance(entry, bool):           # np.int64(3)
        return int(entry)
    return _index_array(xp, entry)


def _index_array(xp, entry):
    """A Tensor, array or list as an array of int64 or booleans on ``xp``."""
    home = _home(entry)
    if home not in (None, xp) and (isinstance(entry, Tensor) or home.name != "numpy"):
        raise TypeError(f"index: an index {entry.shape} lives on {home.name}, the array on {xp.name}; move one with .to(...)")
    try:
        with backend.use(xp.name):
            array = to_array(entry)
    except TypeError:
        array = None
    if home is None and array is not None and array.size == 0:                # x[[]] selects nothing
        array = array.astype("int64")
    if array is None or array.dtype.kind not in "iub":
        what = f"{type(entry).__name__} {entry!r}" if array is None or array.ndim == 0 else f"{array.dtype} {array.shape}"
        raise IndexError(f"index: wants integers, slices, None, ... and arrays of integers or booleans; got {what}")
    if array.dtype.kind == "b":
        return array if array.ndim else array.copy()
    return array.astype("int64", copy=is_recording())


def _is_mask(entry):
    """Whether this is an array of booleans with axes (one without, x[True], is left to the library)."""
    return hasattr(entry, "dtype") and entry.dtype.kind == "b" and entry.ndim > 0


def _axes_used(entry):
    """How many axes of the array this entry of a plain index, or a mask, speaks of."""
    if entry is None or entry is Ellipsis:
        return 0
    return entry.ndim if hasattr(entry, "dtype") and entry.dtype.kind == "b" else 1


def _masks_to_positions(entries, shape):
    """Replace each mask by the positions of its True elements: one integer array for each of its axes."""
    hidden, axis, result = len(shape) - sum(map(_axes_used, entries)), 0, []
    for entry in entries:
        width = hidden if entry is Ellipsis else _axes_used(entry)
        if _is_mask(entry):
            if entry.shape != shape[axis:axis + width]:
                raise IndexError(f"index: a mask of shape {entry.shape} does not fit axes {axis} to {axis + width - 1} of an "
                                 f"array of shape {shape}")
            result.extend(entry.nonzero())
        else:
            result.append(entry)
        axis += width
    return result


def _is_basic(index):
    """Whether reading this plain index gives a view: it holds no array."""
    return not any(hasattr(entry, "dtype") for entry in index)


# ---- reading ---------------------------------------------------------------------------------------------------------
def getitem(x, index):
    """x[index], as NumPy reads it: ints, slices, None, …, arrays of integers, masks, and any mixture.

    Tensors, NumPy arrays and lists serve as arrays. Ints and slices alone give a view of x, arrays a copy. Raises IndexError for an
    index out of range, of too many axes, or of another kind; TypeError for an index Tensor on another device.
    """
    x, = lift(x)
    return _read(x, _plain(_home(x), index, x.shape))


def _read(x, index):
    return _getitem_view(x, index) if _is_basic(index) else _getitem_copy(x, index)


@primitive
def _getitem_view(xp, x, *, index):
    return x[index]


@primitive
def _getitem_copy(xp, x, *, index):
    return x[index]


_getitem_view.op.view = True
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

    ``indices`` holds integers and has as many axes as x; the other axes broadcast. With ``axis=None`` x is flattened first. Raises
    ValueError if the numbers of axes differ, IndexError for an index out of range.
    """
    x, = lift(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    xp = _home(x)
    indices, axis = _index_array(xp, indices), _checked_axis("take_along_axis", axis, x.ndim)
    if indices.ndim != x.ndim or indices.dtype.kind == "b":
        raise ValueError(f"take_along_axis: wants integer indices with the {x.ndim} axes of x {x.shape}, got {indices.dtype} "
                         f"{indices.shape}")
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
    """Zeros of ``shape`` with ``values`` added at ``index``, once for every time it names an element: the adjoint of `getitem`.

    ``values`` has the shape that reading the index would give, or broadcasts to it. Example: how often each word occurs in a text
    of word numbers, ``scatter_add(1.0, words, (n_words,))``. Raises IndexError as `getitem` does.
    """
    values, = lift(values)
    shape = (shape,) if isinstance(shape, Integral) else tuple(shape)
    return _scatter_add(values, _plain(_home(values), index, shape), shape)


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
    return _index_add(x, value, _plain(_home(x), index, x.shape))


@primitive
def _index_add(xp, x, value, *, index):
    out = x.copy()
    _accumulate(xp, out, index, _fitted(xp, value, x.dtype))
    return out


_index_add.vjp(lambda g: g, lambda g, index: _read(g, index))


def _accumulate(xp, target, index, values):
    """target[index] += values, in place, once for every time the index names an element. ``target`` is contiguous."""
    if _is_basic(index):
        target[index] += _stretched(xp, values, target[index].shape)
        return
    # Both libraries add fastest into one flat axis, so we say where in memory each value goes. The axes behind the
    # indexed ones stay whole: they make rows of `width` elements.
    rows, whole = _rows(xp, index, target.shape), target.shape[_axes_indexed(index, target.ndim):]
    width = math.prod(whole)
    values = _stretched(xp, values, rows.shape + whole)
    places = rows.reshape(-1, 1) * width + xp.arange(width)
    xp.scatter_add(target.reshape(-1), places.reshape(-1), values.reshape(-1))


def _stretched(xp, values, shape):
    """The values broadcast to the shape that an index selects."""
    try:
        return xp.broadcast_to(values, shape)
    except ValueError:
        raise ValueError(f"values of shape {values.shape} do not broadcast to {shape}, which the index selects") from None


def _axes_indexed(index, ndim):
    """How many leading axes an index speaks of; those behind them it leaves whole."""
    return ndim if any(entry is Ellipsis for entry in index) else sum(map(_axes_used, index))


def _rows(xp, index, shape):
    """Which of the rows that the indexed axes number is read for each place of the result."""
    indexed = shape[:_axes_indexed(index, len(shape))]
    return xp.arange(math.prod(indexed)).reshape(indexed)[index]


# ---- replacing -------------------------------------------------------------------------------------------------------
def index_set(x, index, value):
    """A copy of x with ``value`` at ``index``: the differentiable way to write ``x[index] = value``. Keeps x's dtype.

    x passes no gradient where it was replaced. Raises IndexError as `getitem` does, TypeError if x's dtype cannot hold the value, and
    ValueError if an integer array names an element twice, for then it is not defined which value stays.
    """
    x, = lift(x)
    index = _plain(_home(x), index, x.shape)
    if not (_is_basic(index) or type(value) in (int, float, bool)):               # a number is the same each time
        xp = _home(x)
        rows = _rows(xp, index, x.shape)
        if xp.unique(rows).size < rows.size:
            raise ValueError(f"index_set: the index names {rows.size - xp.unique(rows).size} elements of x {x.shape} again, so "
                             "which value stays is not defined; make it unique, or add with index_add")
    return _index_set(x, value, index)


@primitive
def _index_set(xp, x, value, *, index):
    out = x.copy()
    out[index] = _stretched(xp, _fitted(xp, value, x.dtype), out[index].shape)
    return out


_index_set.vjp(lambda g, index: _index_set(g, 0, index), lambda g, index: _read(g, index))


_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, bool: 0, int: 1, float: 2}       # of kinds of dtypes and of Python numbers


def _fitted(xp, value, dtype):
    """The value in this dtype. Raises TypeError where more than digits would be lost: a fraction in an integer array."""
    is_array = hasattr(value, "dtype")
    if _RANK[value.dtype.kind if is_array else type(value)] > _RANK[dtype.kind]:
        kind = value.dtype if is_array else type(value).__name__
        raise TypeError(f"a value of type {kind} does not fit into {dtype}; convert one with .astype")
    return value.astype(dtype, copy=False) if is_array else xp.full((), value, dtype)


def setitem(t, index, value):
    """t[index] = value, in place: for a tensor that requires no grad, or inside `no_grad`. The value is cast to t's dtype.

    The change is counted, so that a gradient which saved the old values refuses to use the new ones. Raises RuntimeError if a
    gradient would be lost, TypeError for a value on another device or of a type that does not fit, IndexError as `getitem` does.
    """
    for what, tensor_ in (("this tensor", t), ("the value", value)):
        if is_recording() and isinstance(tensor_, Tensor) and tensor_.requires_grad:
            name = f" {tensor_.name!r}" if tensor_.name else ""
            raise RuntimeError(f"setitem: {what}{name} {tensor_.shape} requires grad, and a change in place would lose it; write "
                               "t = mg.index_set(t, index, value), or work inside mg.no_grad()")
    xp, home = t.backend, None if isinstance(value, (int, float)) else _home(value)
    if home not in (None, xp):
        raise TypeError(f"setitem: the value {value.shape} lives on {home.name}, the tensor on {xp.name}; move it with .to(...)")
    index = _plain(xp, index, t.shape)
    with backend.use(xp.name):
        value = to_array(value, copy=getattr(value, "_version", None) is t._version)          # copy in t[1:] = t[:-1]
    try:
        t._array[index] = _fitted(xp, value, t.dtype)
    except (IndexError, TypeError, ValueError) as error:
        raise type(error)(f"setitem: {error}; got a tensor {t.shape} {t.dtype} and a value {value.shape}") from None
    t._version[0] += 1
