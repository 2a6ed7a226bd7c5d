r"""Convolution by compiled code: the three sums of `minigen.ops.conv_arrays` as calls of ``native/convolution.c``.

The C code knows no geometry. It adds up products of what lies at the places in tables of numbers, which are made here,
once for each geometry. Of one image, let m be a place of y, and t a tap with a channel of x:

    at[m], what the first tap meets at m;   off[t], from there to what t meets;   to[m], where y of m begins     (1)

are counted from where an image begins, that of x with zeros around as far as windows reach. Then

    y[to[m] + o] = b[o] + Σ_t x[at[m] + off[t]] w[t, o],      w[t, o] = Σ_m x[off[t] + at[m]] y[to[m] + o],     (2)

two products of matrices, one of which is never written down. A transposed convolution falls apart into phases
(`phases`), one for each remainder that a place of x leaves when divided by the stride. Each is the convolution of y
with the taps that meet such places, with stride 1.

Vectors of ``lanes`` numbers are multiplied at a time, along o; rows of w and y are filled up with zeros to whole ones.
"""
import ctypes
import functools
import math

import numpy as np

from minigen.ops.conv_geometry import overlap, phases

ROOM = 1 << 31            # places are counted in 32 bits
FEW = 4                   # if at most lanes / FEW numbers lie along o, vectors lie along t


def fits(*arrays):
    """Whether the places in one image of each of the arrays, some zeros included, can be counted."""
    return all(2 * math.prod(array.shape[1:]) < ROOM for array in arrays)


# ---- the three sums --------------------------------------------------------------------------------------------------
def convolve(xp, code, x, w, b, rows, cols, y):
    """Eq. (2), left, into y (N, Y, Y′, O), from x (N, X, X′, C), w (K, K′, C, O) and b (O,) or None."""
    _convolve(xp, code, x, b, y, [(w, rows, cols, (0, 1), (0, 1))])


def transpose(xp, code, y, w, b, rows, cols, x):
    """The adjoint of `convolve` in x, into x, plus b (C,) or None."""
    w = np.ascontiguousarray(w.swapaxes(2, 3))
    _convolve(xp, code, y, b, x, [(w[i][:, j], row, col, (first, rows.stride), (second, cols.stride))
                                  for row, i, first in phases(rows) for col, j, second in phases(cols)])


def _convolve(xp, code, x, b, y, parts):
    """For each of the parts (w, rows, cols, (p, s), (q, s′)) a convolution into the lines p, p + s, … of y, and the
    columns q, q + s′, …"""
    C, O = x.shape[3], y.shape[3]
    few = FEW * O <= code.L and C % code.L == 0
    x = np.ascontiguousarray(x, y.dtype)
    b = _whole_vectors(np.zeros(O, y.dtype) if b is None else b.astype(y.dtype, copy=False), code.L)
    strides = tuple(stride // y.itemsize for stride in y.strides[:3])
    calls = []
    for w, rows, cols, *places in parts:
        w = w.reshape(-1, O).astype(y.dtype, copy=False)
        w = np.ascontiguousarray(w.T) if few else _whole_vectors(w, code.L)
        calls.append((w, *_convolution(rows, cols, C, O, w.shape[-1], strides, *places)))

    def work(images):
        for w, sums, room in calls:
            _call(code.dots if few else code.products, sums, room, images, x, w, b, y)

    xp.spread(work, len(y), sum(w.size * sums.rows for w, sums, _ in calls) * len(y) // C)


def weight_grad(xp, code, x, y, rows, cols, dtype):
    """Eq. (2), right: x (N, X, X′, C), y (N, Y, Y′, O) → (K, K′, C, O)."""
    C, O, L = x.shape[3], y.shape[3], code.L
    if O < min(L, C) and rows.stride == cols.stride == 1:            # the other way round o is the longer axis
        turned = weight_grad(xp, code, y, x, rows.turned, cols.turned, dtype)
        return turned[::-1, ::-1].swapaxes(2, 3)
    x, y = np.ascontiguousarray(x, dtype), _whole_vectors(y.astype(dtype, copy=False), L)
    sums, buffer = _gradient(rows, cols, C, y.shape[3])

    def work(images):
        w = np.zeros((rows.K, cols.K, C, y.shape[3]), dtype)
        _call(code.products, sums, buffer, images, x, y, None, w)
        return w

    first, *others = xp.spread(work, len(y), rows.K * cols.K * C * y.size)
    return sum(others, start=first)[..., :O]


def _whole_vectors(array, L):
    """The array, C-contiguous, its last axis filled up with zeros to a multiple of L."""
    missing = -array.shape[-1] % L
    return np.ascontiguousarray(np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)]) if missing else array)


# ---- tables ----------------------------------------------------------------------------------------------------------
class Sums(ctypes.Structure):
    """``struct sums`` of convolution.c."""
    _fields_ = [(name, ctypes.c_long) for name in ("rows", "terms", "O")]
    _fields_ += [(name, ctypes.c_void_p) for name in ("row_x", "row_z", "sum_x", "sum_q")]
    _fields_ += [(name, ctypes.c_long) for name in ("x_image", "q_image", "z_image", "lines", "run", "x_line", "x_first",
                                                    "line", "first")]

    def __init__(self, O, row_x, row_z, sum_x, sum_q, x_image, q_image, z_image, copied):
        self.tables = row_x, row_z, sum_x, sum_q                                     # kept alive with their addresses
        super().__init__(len(row_x), len(sum_x), O, *map(_address, self.tables), x_image, q_image, z_image, *copied)


@functools.lru_cache(512)
def _convolution(rows, cols, C, O, wide, strides, to_rows, to_cols):
    """(Eq. (2), left, as Sums; the number of numbers in the buffer), for rows of w of ``wide`` numbers."""
    at, off, copied, buffer = _reading(rows, cols, C)
    to = _table(*((first + step * np.arange(axis.Y)) * stride
                  for axis, (first, step), stride in zip((rows, cols), (to_rows, to_cols), strides[1:])))
    return Sums(O, at, to, off, wide * np.arange(len(off), dtype=np.int32), rows.X * cols.X * C, 0, strides[0],
                copied), buffer


@functools.lru_cache(512)
def _gradient(rows, cols, C, O):
    """(Eq. (2), right, as Sums; the number of numbers in the buffer)."""
    at, off, copied, buffer = _reading(rows, cols, C)
    to, of_w = (O * np.arange(n, dtype=np.int32) for n in (len(at), len(off)))
    return Sums(O, off, of_w, at, to, rows.X * cols.X * C, len(at) * O, 0, copied), buffer


def _reading(rows, cols, C):
    """(at, off) of Eq. (1); what is copied of an image, as the last fields of Sums; and the size of the buffer."""
    inside = all(axis.start >= 0 and axis.start + axis.span <= axis.X for axis in (rows, cols))
    width, start = (cols.X, (rows.start * cols.X + cols.start) * C) if inside else (cols.span, 0)
    at = start + _table(rows.stride * np.arange(rows.Y) * width * C, cols.stride * np.arange(cols.Y) * C)
    off = _table(rows.dilation * np.arange(rows.K) * width * C, cols.dilation * np.arange(cols.K) * C, np.arange(C))
    if inside or not len(off):
        return at, off, (0,) * 6, 0
    (in_rows, of_rows), (in_cols, of_cols) = (overlap(axis.start, axis.span, axis.X) for axis in (rows, cols))
    lines, run = of_rows.stop - of_rows.start, (of_cols.stop - of_cols.start) * C
    copied = (max(1, lines), run if lines else 0, cols.X * C, (of_rows.start * cols.X + of_cols.start) * C,   # no lines
              width * C, (in_rows.start * width + in_cols.start) * C)                         # would mean: x as it is
    return at, off, copied, rows.span * width * C


def _table(*parts):
    """All sums of one number from each part, in C order."""
    return functools.reduce(np.add.outer, parts).reshape(-1).astype(np.int32)


# ---- calls -----------------------------------------------------------------------------------------------------------
class Code:
    """The functions of a compiled convolution.c, and L, how many numbers it multiplies at a time."""

    def __init__(self, library):
        self.products, self.dots, self.L = library.products_of_images, library.dots_of_images, library.lanes()
        for function in (self.products, self.dots):
            function.restype, function.argtypes = None, [ctypes.POINTER(Sums), ctypes.c_long] + [ctypes.c_void_p] * 5


code = functools.cache(Code)          # of a library


def _call(function, sums, room, images, x, q, b, z):
    """Compute z from the images in a slice of x, with a buffer of ``room`` numbers."""
    buffer = np.zeros(room, z.dtype)
    x, q, z = (_address(array) + images.start * step * z.itemsize
               for array, step in ((x, sums.x_image), (q, sums.q_image), (z, sums.z_image)))
    function(sums, images.stop - images.start, x, _address(buffer), q, None if b is None else _address(b), z)


def _address(array):
    return array.__array_interface__["data"][0]
