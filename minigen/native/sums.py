r"""Calls of ``sums.c``: products of matrices here, convolutions in `minigen.ops.conv_compiled`.

The C code computes one sum, in which every place is looked up in a table of numbers,

    z[row_z[r] + o] = start + Σ_i x[row_x[r] + sum_x[i]] q[sum_q[i] + o],                                        (1)

and shares it out over threads: by images, by rows r, or by columns o. For a product of matrices z = a b + bias

    row_x[m] = m · (from row to row of a),   sum_x[k] = k · (from column to column),   sum_q[k] alike for b:     (2)

so that transposed views need no copies. OpenBLAS is as fast; but its threads and ours would take the cores from each
other, and it does not always choose the fastest instructions (`minigen.levers`).
"""
import ctypes
import functools
import math

import numpy

from minigen.native import build
from minigen.native.build import address

IMAGES, ROWS, COLUMNS = range(3)          # how work is cut into parts
LEAST = 1 << 15                           # multiplications, below which NumPy's product is as fast
SHORT = 48                                # rows below which a part is not worth its thread
DEEP = 8                                  # so many times longer must K be than M and N to be cut


class Sums(ctypes.Structure):
    """``struct sums`` of sums.c."""
    _fields_ = [(name, ctypes.c_long) for name in ("rows", "terms", "O")]
    _fields_ += [(name, ctypes.c_void_p) for name in ("row_x", "row_z", "sum_x", "sum_q")]
    _fields_ += [(name, ctypes.c_long) for name in ("q_step", "q_first", "x_image", "q_image", "z_image",
                                                    "lines", "run", "x_line", "x_first", "line", "first")]


def make(O, row_x, row_z, sum_x, sum_q, q_step=0, q_first=0, images=(0, 0, 0), copied=(0,) * 6):
    """The Sums of Eq. (1) with these tables. ``q_step``: from o to o + 1 in q, if q is to be copied side by side before
    it is used; ``images``: from one image to the next in x, q and z; ``copied``: what of x goes into a buffer."""
    tables = [numpy.ascontiguousarray(table, numpy.int32) for table in (row_x, row_z, sum_x, sum_q)]
    sums = Sums(len(row_x), len(sum_x), O, *map(address, tables), q_step, q_first, *images, *copied)
    sums.tables = tables                                             # kept alive with their addresses
    return sums


def array(sums):
    """Several Sums as a C array."""
    together = (Sums * len(sums))(*sums)
    together.sums = sums
    return together


class Code:
    """A compiled sums.c: its function, L, how many numbers it multiplies at a time, and how many it does in a row."""

    def __init__(self, library):
        self.function, self.L, self.wide = library.over_images, library.lanes(), library.lanes() * library.widest()
        long, pointer = ctypes.c_long, ctypes.c_void_p
        self.function.restype, self.crew = None, build.crew()
        self.function.argtypes = [pointer, *[long] * 3, pointer, long, long, *[pointer] * 2, long, *[pointer] * 3, long,
                                  long]

    def __call__(self, sums, x, q, b, z, *, threads, parts, cut=IMAGES, images=1, room=0, apart=0, few=False):
        """Compute z, see `over_images` in sums.c."""
        rooms = numpy.zeros(parts * room, z.dtype) if room else None
        at = [None if array is None else address(array) for array in (x, rooms, q, b, z)]
        self.function(self.crew, threads, parts, cut, sums, len(sums), images, at[0], at[1], room, *at[2:], apart, few)


@functools.cache
def code(dtype):
    """The Code for numbers of a dtype, NumPy's letter for it; None where there is none."""
    library = build.compiled(build.text("sums.c"), "sums", dtype) if dtype in build.REAL and build.crew() else None
    return library and Code(library)


# ---- matrices --------------------------------------------------------------------------------------------------------
def matmul(a, b, bias, threads):
    """a b + bias for a (…, M, K), b (…, K, N) with the same axes in front, or a (M, K) for all, and bias (N,) or None:
    (…, M, N). None if that is not for the code here: other types, small ones, or stacks that do not lie in memory step
    by step."""
    if b.ndim == 1 and bias is None:
        return _times_vector(a, b, threads)
    if a.dtype != b.dtype or b.ndim < 2 or a.ndim < 2 or a.shape[-1] != b.shape[-2]:
        return None
    (M, K), (*front, _, N) = a.shape[-2:], b.shape
    if a.shape[:-2] != b.shape[:-2] and a.ndim > 2:
        return None
    batch = math.prod(front)
    run = code(a.dtype.char) if batch * M * N * K >= LEAST and min(M, N) > 4 else None
    plan = run and _plan(run, M, K, a.strides, b.shape, b.strides, a.itemsize, threads)
    if not plan:
        return None
    sums, room, cut, images, parts = plan
    deep = images != batch
    z = numpy.empty((images, M, N) if deep else (*front, M, N), a.dtype)
    row = _zeros(N, run.L, a.dtype.char) if bias is None or deep else readable(bias, run.L, a.dtype)
    run(sums, a, b, row, z, threads=threads, parts=parts, cut=cut, images=images, room=room)
    if not deep:
        return z
    z = z.sum(axis=0)
    return z if bias is None else z + bias


def _times_vector(a, b, threads):
    """a b for contiguous matrices a (M, K) and a vector b (K,): (M,). The sums then run within vectors of L numbers."""
    run = code(a.dtype.char) if a.ndim == 2 and a.size >= LEAST else None
    if not run or a.dtype != b.dtype or a.shape[1:] != b.shape or a.shape[1] % run.L or not a.flags.c_contiguous:
        return None
    z = numpy.empty(len(a), a.dtype)
    parts = max(1, min(threads, len(a) // SHORT))
    run(_vector_plan(*a.shape), a, numpy.ascontiguousarray(b), _zeros(1, run.L, a.dtype.char), z, threads=threads,
        parts=parts, cut=ROWS, few=True)
    return z


@functools.lru_cache(64)
def _vector_plan(M, K):
    return array([make(1, K * numpy.arange(M), numpy.arange(M), numpy.arange(K), numpy.arange(K))])


@functools.lru_cache(64)
def _zeros(N, L, dtype):
    return numpy.zeros(N + L, dtype)


def readable(array, L, dtype, row=None):
    """The array, contiguous and of this dtype, with room behind it if vectors of L reach over the end of its rows."""
    if (row or array.shape[-1]) % L == 0:
        return numpy.ascontiguousarray(array, dtype)
    flat = numpy.zeros(array.size + L, dtype)
    inside = flat[:array.size].reshape(array.shape)
    inside[...] = array
    return inside


@functools.lru_cache(1024)
def _plan(run, M, K, a_strides, shape, b_strides, itemsize, threads):
    """(Eq. (2) as an array of Sums, the room each part needs, how to cut, how many images, into how many parts), or
    None. Where K is by far the longest it is cut, and the sum over its pieces, called images, is left to the caller."""
    (*front, _, N), batch = shape, math.prod(shape[:-2])
    steps = [_step(front, strides[:-2] or [0] * len(front)) for strides in (a_strides, b_strides)]
    if None in steps:
        return None
    numbers = [stride // itemsize for stride in (*steps, *a_strides[-2:], *b_strides[-2:])]
    a_image, b_image, a_row, a_column, b_row, b_column = numbers
    columns, packed = -(-N // run.wide), b_column != 1 or N % run.L or (b_row * itemsize >= 1024 and M > 32)
    cut, images, parts = ROWS, batch, max(1, min(threads, M // SHORT))
    if batch >= threads:
        cut, parts = IMAGES, threads
    elif batch == 1 and K >= DEEP * max(M, N) and K % threads == 0:
        cut, images, parts = IMAGES, threads, threads
        K //= threads
        a_image, b_image = K * a_column, K * b_row
    elif columns >= 2 * threads:
        cut, parts = COLUMNS, columns
    sums = make(N, a_row * numpy.arange(M), N * numpy.arange(M), a_column * numpy.arange(K), b_row * numpy.arange(K),
                b_column if packed else 0, 0, (a_image, b_image, M * N))
    room = K * (run.wide + 2) if packed else 0                       # a table of 32-bit numbers lies behind
    return array([sums]), room, cut, images, parts


def _step(front, strides):
    """Bytes from one matrix of a stack to the next, if they follow each other in even steps."""
    step, length = 0, 1
    for n, stride in zip(reversed(front), reversed(strides)):
        if n == 1:
            continue
        if length > 1 and stride != step * length:
            return None
        step, length = step or stride, length * n
    return step
