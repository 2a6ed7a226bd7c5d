r"""Joining and cutting: pad and split, concatenate and stack, all linear, all on one adjoint pair.

To *pad* x with zeros and to *crop* the result are adjoint: ⟨pad x, y⟩ = ⟨x, crop y⟩. What arrived in a joined tensor is
cropped out of its cotangent, what was cut off is padded, so derivatives of every order are pads and crops.
"""
import numbers
from operator import index

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from minigen.ops.reduce import broadcast_to
from minigen.ops.shape import flip
from minigen.primitive import primitive
from minigen.tensor import tensor

__all__ = ["pad", "split", "concatenate", "concat", "stack"]


# ---- pad and its adjoint, crop ---------------------------------------------------------------------------------------
def _middle(shape, widths):
    """The index of what lies inside a border of ``widths``, (before, after) for each axis."""
    return tuple(slice(before, d - after) for d, (before, after) in zip(shape, widths))


@primitive
def _pad(xp, x, *, widths, value):
    """x in a border that is filled with a number."""
    out = xp.full(tuple(before + d + after for d, (before, after) in zip(x.shape, widths)), value, x.dtype)
    out[_middle(out.shape, widths)] = x
    return out


@primitive
def _crop(xp, x, *, widths):
    """x without a border."""
    return x[_middle(x.shape, widths)]


_crop.op.view = True
_pad.vjp(lambda g, widths: _crop(g, widths))
_crop.vjp(lambda g, widths: _pad(g, widths, 0))


def _slice(x, start, stop, axis):
    """x[start:stop] along one axis."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (start, x.shape[axis] - stop)
    return _crop(x, tuple(widths))


def pad(x, pad_width, mode="constant", constant_values=0):
    """x with a border around it.

    Args:
        pad_width: elements to add: an int, (before, after) for every axis, or one such pair per axis.
        mode: ``"constant"``: filled with the number ``constant_values``; ``"edge"``: copies of the outermost element;
            ``"reflect"``: mirrored at the outermost element, which is not repeated.

    Raises ValueError for an unknown mode, a negative or misshaped pad_width, and a border that x is too small to fill.
    """
    x = _with_shape(x)
    try:
        widths = tuple((index(before), index(after)) for before, after in np.broadcast_to(pad_width, (x.ndim, 2)))
    except (ValueError, TypeError):
        raise ValueError(f"pad: pad_width={pad_width!r} does not fit x {x.shape}; pass an int, (before, after), or one "
                         "such pair per axis") from None
    if any(width < 0 for pair in widths for width in pair):
        raise ValueError(f"pad: pad_width={pad_width!r} is negative; to take elements away, slice x {x.shape}")
    if mode == "constant":
        if not isinstance(constant_values, numbers.Real):
            raise TypeError(f"pad: constant_values must be one number, got {constant_values!r}")
        return _pad(x, widths, constant_values)
    if mode not in _BORDERS:
        raise ValueError(f"pad: mode {mode!r} is none of 'constant', 'edge', 'reflect'")
    for axis, (before, after) in enumerate(widths):
        if before or after:
            x = concatenate(_BORDERS[mode](x, before, after, axis), axis)
    return x


def _edge(x, before, after, axis):
    n = x.shape[axis]
    if n == 0:
        raise ValueError(f"pad: axis {axis} of x {x.shape} has no edge to copy")
    first, last = _slice(x, 0, 1, axis), _slice(x, n - 1, n, axis)
    return [_stretch(first, before, axis), x, _stretch(last, after, axis)]


def _stretch(x, length, axis):
    return broadcast_to(x, (*x.shape[:axis], length, *x.shape[axis + 1:]))


def _reflect(x, before, after, axis):
    n = x.shape[axis]
    if before >= n or after >= n:
        raise ValueError(f"pad: axis {axis} of x {x.shape} can reflect {n - 1} elements at most, not {(before, after)}")
    return [flip(_slice(x, 1, before + 1, axis), axis), x, flip(_slice(x, n - 1 - after, n - 1, axis), axis)]


_BORDERS = {"edge": _edge, "reflect": _reflect}


def _with_shape(x):
    """x itself, or the Tensor of a number or a list."""
    return x if hasattr(x, "shape") else tensor(x)


# ---- cutting and joining ---------------------------------------------------------------------------------------------
def split(x, indices_or_sections, axis=0):
    """A list of views that together are x, cut along an axis.

    Args:
        indices_or_sections: the number of equal sections, or the indices to cut at: [2, 5] gives x[:2], x[2:5], x[5:].

    Raises ValueError if the length does not divide into so many equal sections.
    """
    x = _with_shape(x)
    axis = normalize_axis_index(axis, x.ndim, "split")
    length, cuts = x.shape[axis], indices_or_sections
    if isinstance(cuts, numbers.Integral):
        if cuts < 1 or length % cuts:
            raise ValueError(f"split: axis {axis} of x {x.shape} does not divide into {cuts} equal sections; "
                             "pass the indices to cut at")
        cuts = range(length // cuts, length, length // cuts) if length else [0] * (cuts - 1)
    bounds = [slice(a, b).indices(length) for a, b in zip((0, *cuts), (*cuts, length))]     # negative ones as in x[a:b]
    return [_slice(x, start, max(start, stop), axis) for start, stop, _ in bounds]


def concatenate(arrays, axis=0):
    """Tensors joined along an axis. Raises ValueError if their other axes differ."""
    return _concatenate(*arrays, axis=axis)


concat = concatenate


@primitive
def _concatenate(xp, *xs, axis):
    if axis is None:
        raise TypeError("wants an axis; to join flattened tensors, ravel each")
    return xp.concatenate(xs, axis)


def _concatenate_vjp(g, i, xs_shape, axis):
    start = sum(shape[axis] for shape in xs_shape[:i])
    return _slice(g, start, start + xs_shape[i][axis], axis)


_concatenate.vjp(_concatenate_vjp)


def stack(arrays, axis=0):
    """Tensors of one shape joined along a new axis, the result's ``axis``. Raises ValueError if their shapes differ."""
    return _stack(*arrays, axis=axis)


@primitive
def _stack(xp, *xs, axis):
    if not all(hasattr(x, "shape") for x in xs):          # Python numbers take the dtype of the tensors beside them
        xs = [xp.asarray(x, dtype=xp.result_type(*xs)) for x in xs]
    return xp.stack(xs, axis)


_stack.vjp(lambda g, i, xs_shape, axis: _slice(g, i, i + 1, axis).reshape(xs_shape[i]))
