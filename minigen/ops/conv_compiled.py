r"""Convolution by compiled code: the three sums of `minigen.ops.conv_arrays` as calls of ``native/sums.c``.

The C code knows no geometry. It adds up products of what lies at the places in tables of numbers, which are made here,
once for each geometry. Of one image, let m be a place of y, and t a tap with a channel of x:

    at[m], what the first tap meets at m;   off[t], from there to what t meets;   to[m], where y of m begins     (1)

are counted from where an image begins, that of x with zeros around as far as windows reach. Then

    y[to[m] + o] = b[o] + Σ_t x[at[m] + off[t]] w[t, o],      w[t, o] = Σ_m x[off[t] + at[m]] y[to[m] + o],     (2)

two products of matrices, one of which is never written down. A transposed convolution falls apart into phases
(`phases`), one for each remainder that a place of x leaves when divided by the stride. Each is the convolution of y
with the taps that meet such places, with stride 1.

Vectors of L numbers are multiplied at a time, along o. The last one may reach over the end of a row; what it makes of
the numbers there is dropped.
"""
import functools
import math
from typing import NamedTuple

import numpy as np

from minigen.native import sums
from minigen.ops.conv_geometry import overlap, phases

ROOM = 1 << 31            # places are counted in 32 bits
FEW = 4                   # with at most L / FEW numbers along o, vectors lie along t


def fits(*arrays):
    """Whether the places in one image of each of the arrays, some zeros included, can be counted."""
    return all(2 * math.prod(array.shape[1:]) < ROOM for array in arrays)


# ---- the three sums --------------------------------------------------------------------------------------------------
def convolve(xp, code, x, w, b, rows, cols, y):
    """Eq. (2), left, into y (N, Y, Y′, O), from x (N, X, X′, C), w (K, K′, C, O) and b (O,) or None."""
    _convolve(xp, code, x, b, y, [w], ((rows, cols, (0, 1), (0, 1)),))


def transpose(xp, code, y, w, b, rows, cols, x):
    """The adjoint of `convolve` in x, into x, plus b (C,) or None."""
    w = np.ascontiguousarray(w.swapaxes(2, 3))
    pairs = [(row, col) for row in phases(rows) for col in phases(cols)]
    _convolve(xp, code, y, b, x, [w[i][:, j] for (_, i, _), (_, j, _) in pairs],
              tuple((row, col, (first, rows.stride), (second, cols.stride))
                    for (row, _, first), (col, _, second) in pairs))


def _convolve(xp, code, x, b, y, kernels, parts):
    """For each kernel (K, K′, C, O), and its part (rows, cols, (p, s), (q, s′)), a convolution into the lines p, p + s,
    … of y and the columns q, q + s′, …"""
    C, O = x.shape[3], y.shape[3]
    few = FEW * O <= code.L and C % code.L == 0
    x, b = np.ascontiguousarray(x, y.dtype), sums.readable(np.zeros(O) if b is None else b, code.L, y.dtype)
    kernels = [w.reshape(-1, O).T if few else w for w in kernels]
    w = np.concatenate([w.reshape(-1) for w in kernels]) if len(kernels) > 1 else kernels[0].reshape(-1)
    each, room = _convolution(parts, C, O, tuple(stride // y.itemsize for stride in y.strides[:3]))
    threads = max(1, min(len(y), xp.threads(w.size * y.size // O)))
    code(each, x, sums.readable(w, code.L, y.dtype, O), b, y, threads=threads, parts=threads, images=len(y), room=room,
         few=few)


def weight_grad(xp, code, x, y, rows, cols, dtype):
    """Eq. (2), right: x (N, X, X′, C), y (N, Y, Y′, O) → (K, K′, C, O)."""
    C, O, L = x.shape[3], y.shape[3], code.L
    if O < min(L, C) and rows.stride == cols.stride == 1:            # the other way round o is the longer axis
        turned = weight_grad(xp, code, y, x, rows.turned, cols.turned, dtype)
        return turned[::-1, ::-1].swapaxes(2, 3)
    each, room = _gradient(rows, cols, C, O)
    threads = max(1, min(len(y), xp.threads(rows.K * cols.K * C * y.size)))
    w = np.zeros((threads, rows.K, cols.K, C, O), dtype)
    code(each, np.ascontiguousarray(x, dtype), sums.readable(y, L, dtype), None, w, threads=threads, parts=threads,
         images=len(y), room=room, apart=w[0].size)
    return w[0] if threads == 1 else w.sum(axis=0)


# ---- tables ----------------------------------------------------------------------------------------------------------
@functools.lru_cache(512)
def _convolution(parts, C, O, strides):
    """(Eq. (2), left, for each of the parts, as an array of Sums; how many numbers the buffer holds)."""
    frame = [_frame([part[d] for part in parts]) for d in (0, 1)]
    width, copied, room = _copied(*frame, C)
    each, first = [], 0
    for rows, cols, *places in parts:
        at, off = _reading(rows, cols, frame, width, C)
        to = _table(*((p + s * np.arange(axis.Y)) * stride
                      for axis, (p, s), stride in zip((rows, cols), places, strides[1:])))
        each.append(sums.make(O, at, to, off, O * np.arange(len(off)), 0, first, (rows.X * cols.X * C, 0, strides[0]),
                              copied))
        first += len(off) * O
    return sums.array(each), room


@functools.lru_cache(512)
def _gradient(rows, cols, C, O):
    """(Eq. (2), right, as an array of one Sums; how many numbers the buffer holds)."""
    frame = [_frame([axis]) for axis in (rows, cols)]
    width, copied, room = _copied(*frame, C)
    at, off = _reading(rows, cols, frame, width, C)
    to, of_w = O * np.arange(len(at)), O * np.arange(len(off))
    images = rows.X * cols.X * C, len(at) * O, 0
    return sums.array([sums.make(O, off, of_w, at, to, 0, 0, images, copied)]), room


class Frame(NamedTuple):
    """The places start … start + span − 1 of an axis of X places, over which windows reach."""
    start: int
    span: int
    X: int

    @property
    def inside(self):
        """Whether all of them are places of x."""
        return self.start >= 0 and self.start + self.span <= self.X


def _frame(axes):
    """The Frame of all windows along some axes over the same places."""
    axes = [axis for axis in axes if axis.K] or axes[:1]
    start = min(axis.start for axis in axes)
    return Frame(start, max(axis.start + axis.span for axis in axes) - start, axes[0].X)


def _copied(rows, cols, C):
    """(Places in a line of what is read; what of an image is copied into a buffer with zeros around, as the last fields
    of Sums; how many numbers that buffer holds). Where nothing reaches over an edge the image is read where it lies."""
    if rows.inside and cols.inside:
        return cols.X, (0,) * 6, 0
    (in_rows, of_rows), (in_cols, of_cols) = overlap(*rows), overlap(*cols)
    lines, run = of_rows.stop - of_rows.start, (of_cols.stop - of_cols.start) * C
    copied = (max(1, lines), run if lines else 0, cols.X * C, (of_rows.start * cols.X + of_cols.start) * C,   # no lines
              cols.span * C, (in_rows.start * cols.span + in_cols.start) * C)                 # would mean: x as it is
    return cols.span, copied, rows.span * cols.span * C


def _reading(rows, cols, frame, width, C):
    """(at, off) of Eq. (1)."""
    start = (0, 0) if not all(axis.inside for axis in frame) else [axis.start for axis in frame]
    start = [axis.start - of.start + begin for axis, of, begin in zip((rows, cols), frame, start)]
    at = _table((start[0] + rows.stride * np.arange(rows.Y)) * width * C,
                (start[1] + cols.stride * np.arange(cols.Y)) * C)
    off = _table(rows.dilation * np.arange(rows.K) * width * C, cols.dilation * np.arange(cols.K) * C, np.arange(C))
    return at, off


def _table(*parts):
    """All sums of one number from each part, in C order."""
    return functools.reduce(np.add.outer, parts).reshape(-1).astype(np.int32)
