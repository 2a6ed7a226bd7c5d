"""Making an index plain: what `minigen.ops.index` does with ``t[index]`` before any op sees it.

A plain index is a tuple of ints, slices, None, … and int64 arrays on the backend of the array that it indexes. A mask
becomes the positions of its True elements, which is what NumPy makes of it too; lists and NumPy arrays are moved to the
device; and what a caller could change afterwards is copied, so that a derivative can keep the index.
"""
import operator
from numbers import Integral

from minigen import backend
from minigen.primitive import is_recording
from minigen.tensor import Tensor, to_array


def lift(*values):
    """The values, with numbers and lists among them made Tensors on the backend of the others."""
    if all(hasattr(value, "shape") for value in values):
        return values
    home = next(filter(None, map(home_of, values)), None) or backend.current()
    return tuple(value if hasattr(value, "shape") else Tensor(to_array(value, copy=True, xp=home)) for value in values)


def home_of(value):
    """The backend that a Tensor or an array lives on; None for a number or a list."""
    return backend.of(value._array if isinstance(value, Tensor) else value)


def plain_index(xp, index, shape):
    """The plain form of an index of an array of this shape on ``xp``.

    Raises IndexError for what is no index or a mask that does not fit, TypeError for an index Tensor on another device.
    """
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
    return index_array(xp, entry)


def index_array(xp, entry):
    """A Tensor, array or list as an array of int64 or booleans on ``xp``."""
    home = home_of(entry)
    if home not in (None, xp) and (isinstance(entry, Tensor) or home.name != "numpy"):
        raise TypeError(f"index: an index {entry.shape} lives on {home.name}, the array on {xp.name}; "
                        "move one with .to(...)")
    try:
        array = to_array(entry, copy=home is None, xp=xp)                     # a list may hold Tensors
    except TypeError:
        array = None
    if home is None and array is not None and array.size == 0:                # x[[]] selects nothing
        array = array.astype("int64")
    if array is None or array.dtype.kind not in "iub":
        known = array is not None and array.ndim
        what = f"{array.dtype} {array.shape}" if known else f"{type(entry).__name__} {entry!r}"
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
                raise IndexError(f"index: a mask of shape {entry.shape} does not fit axes {axis} to {axis + width - 1} "
                                 f"of an array of shape {shape}")
            result.extend(entry.nonzero())
        else:
            result.append(entry)
        axis += width
    return result


def is_basic(index):
    """Whether reading this plain index gives a view: it holds no array."""
    return not any(hasattr(entry, "dtype") for entry in index)


def whole_axes(index, shape):
    """The lengths of the last axes, those behind all that a plain index speaks of: reading leaves them whole."""
    return () if any(entry is Ellipsis for entry in index) else shape[sum(map(_axes_used, index)):]
