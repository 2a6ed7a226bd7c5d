r"""Shape: ops that move elements without changing them.

Each is a linear map y = S x in which every element of y is a copy of one of x (or 0), so the vjp is x̄ = Sᵀ ȳ whatever
x is: elements go back to where they came from, and the copies of one are added up. The adjoints come in pairs:

    reshape    ↔ reshape back         flip, roll ↔ flip, roll back        triu, tril ↔ themselves
    transpose  ↔ its inverse          repeat     ↔ reshape and sum        tile       ↔ reshape and sum
    diagonal   ↔ write on a diagonal

and `broadcast_to` stands beside its own, `sum`, in `minigen.ops.reduce`. Views share memory with their input where they
can, as NumPy's do. An axis out of range raises IndexError, a repeated one ValueError, each naming the shape.
"""
import numbers

from numpy.lib.array_utils import normalize_axis_index

from minigen.primitive import primitive

__all__ = ["reshape", "expand_dims", "squeeze", "ravel", "flatten", "transpose", "swapaxes", "moveaxis", "flip", "roll",
           "repeat", "tile", "triu", "tril", "diagonal"]


# ---- the same elements in the same order -----------------------------------------------------------------------------
@primitive
def reshape(xp, x, *, shape):
    """x in another shape of the same size, row by row; one length may be −1 and follows from the others."""
    return xp.reshape(x, shape)


@primitive
def expand_dims(xp, x, *, axis):
    """x with new axes of length one at the positions ``axis`` (an int or a tuple) of the result."""
    return xp.expand_dims(x, axis)


@primitive
def squeeze(xp, x, *, axis=None):
    """x without its axes of length one, or without the given ones. Raises ValueError if one of those is longer."""
    return xp.squeeze(x[...], axis)         # a view even where there is nothing to leave out


reshape.vjp(lambda g, x_shape: g.reshape(x_shape))
expand_dims.vjp(lambda g, x_shape: g.reshape(x_shape))
squeeze.vjp(lambda g, x_shape: g.reshape(x_shape))


def ravel(x):
    """x as one axis. Shares memory with x where it can (so does `flatten`, which is another name for it)."""
    return reshape(x, -1)


flatten = ravel


# ---- the axes in another order ---------------------------------------------------------------------------------------
@primitive
def transpose(xp, x, *, axes=None):
    """x with its axes in the order ``axes``; by default reversed."""
    return xp.transpose(x, axes)


def _transpose_vjp(g, axes):
    if axes is None:
        return transpose(g)
    return transpose(g, sorted(range(len(axes)), key=lambda i: axes[i] % len(axes)))     # what sorts it, inverts it


@primitive
def swapaxes(xp, x, *, axis1, axis2):
    """x with two axes exchanged."""
    return xp.swapaxes(x, axis1, axis2)


@primitive
def moveaxis(xp, x, *, source, destination):
    """x with the axes ``source`` moved to the positions ``destination`` (ints or tuples), the others in their order."""
    return xp.moveaxis(x, source, destination)


transpose.vjp(_transpose_vjp)
swapaxes.vjp(lambda g, axis1, axis2: swapaxes(g, axis1, axis2))
moveaxis.vjp(lambda g, source, destination: moveaxis(g, destination, source))


# ---- the elements in another order -----------------------------------------------------------------------------------
@primitive
def flip(xp, x, *, axis=None):
    """x with the order of its elements reversed along one axis, several (a tuple) or all (None)."""
    return xp.flip(x, axis)


@primitive
def roll(xp, x, *, shift, axis=None):
    """x moved ``shift`` places along an axis (or tuples of both); what leaves at one end comes in at the other.

    Without an axis the flattened x is moved.
    """
    return xp.roll(x, shift, axis)


flip.vjp(lambda g, axis: flip(g, axis))
roll.vjp(lambda g, shift, axis: roll(g, tuple(-s for s in shift) if isinstance(shift, (tuple, list)) else -shift, axis))


# ---- copies of elements ----------------------------------------------------------------------------------------------
@primitive
def repeat(xp, x, *, repeats, axis=None):
    """Each element ``repeats`` (one int) times in a row, along an axis or (None) in the flattened x."""
    if not isinstance(repeats, numbers.Integral):
        raise TypeError("repeats must be one int; to repeat elements differently, take() with repeated indices")
    return xp.repeat(x, int(repeats), axis)


def _repeat_vjp(g, x_shape, repeats, axis):
    after = len(x_shape) if axis is None else normalize_axis_index(axis, len(x_shape)) + 1       # where the copies lie
    return g.reshape((*x_shape[:after], repeats, *x_shape[after:])).sum(axis=after)


repeat.vjp(_repeat_vjp)


@primitive
def tile(xp, x, *, reps):
    """x laid ``reps`` times side by side: an int for the last axis, or one number per axis."""
    return xp.tile(x, reps)


def _tile_vjp(g, x_shape, reps):
    reps = (reps,) if isinstance(reps, numbers.Integral) else tuple(reps)
    reps = (1,) * (len(x_shape) - len(reps)) + reps                  # as tile does: the shorter gets ones in front
    shape = (1,) * (len(reps) - len(x_shape)) + x_shape
    apart = tuple(length for pair in zip(reps, shape) for length in pair)                # (r₁, d₁, r₂, d₂, …)
    return g.reshape(apart).sum(axis=tuple(range(0, len(apart), 2))).reshape(x_shape)


tile.vjp(_tile_vjp)


# ---- matrices: the last two axes -------------------------------------------------------------------------------------
@primitive
def triu(xp, x, *, k=0):
    """The upper triangle of each matrix (…, M, N), from the k-th diagonal on; zeros below."""
    return xp.triu(x, k)


@primitive
def tril(xp, x, *, k=0):
    """The lower triangle of each matrix (…, M, N), up to the k-th diagonal; zeros above."""
    return xp.tril(x, k)


triu.vjp(lambda g, k: triu(g, k))
tril.vjp(lambda g, k: tril(g, k))


@primitive
def diagonal(xp, x, *, offset=0, axis1=0, axis2=1):
    """The elements x[…, i, i + offset, …] over two axes, as a new last axis."""
    return xp.diagonal(x, offset, axis1, axis2)


@primitive
def _on_diagonal(xp, d, *, shape, offset, axis1, axis2):
    """Zeros of ``shape`` with d on a diagonal: the adjoint of `diagonal`."""
    out = xp.zeros(shape, d.dtype)
    i = xp.arange(d.shape[-1])
    xp.moveaxis(out, (axis1, axis2), (-2, -1))[..., i + max(-offset, 0), i + max(offset, 0)] = d
    return out


diagonal.vjp(lambda g, x_shape, offset, axis1, axis2: _on_diagonal(g, x_shape, offset, axis1, axis2))
_on_diagonal.vjp(lambda g, offset, axis1, axis2: diagonal(g, offset, axis1, axis2))

for _view in (reshape, expand_dims, squeeze, transpose, swapaxes, moveaxis, flip, diagonal):
    _view.op.view = True
