r"""Convolution on arrays: the three sums behind `minigen.ops.conv`, computed fast.

They are one form T, linear in each of its arguments. Along one spatial axis, with a start a (minus the padding), a
stride s, a dilation d, the taps k of the kernel, and x = 0 outside its bounds,

    T(x, w, y) = Σ_{n,h,k,c,o} x[n, a + s h + d k, c] · w[k, c, o] · y[n, h, o].                                (1)

Leaving out one argument gives an array of its shape:

    y[n, h, o] = Σ_{k,c} x[n, a + s h + d k, c] w[k, c, o]                  `convolve`                         (2)
    x[n, p, c] = Σ_{k,h,o: a + s h + d k = p} w[k, c, o] y[n, h, o]         `transpose`                        (3)
    w[k, c, o] = Σ_{n,h} x[n, a + s h + d k, c] y[n, h, o]                  `weight_grad`                      (4)

**As matrix products.** For (2) and (4) the windows of x are copied into the rows of a matrix, one row of KH·KW·C
numbers for each place of y. On a CPU this is done a few images, or a band of one image, at a time, so that the copy
stays in the cache, and the images are shared out over the cores. (3) is first split by *phase*, the remainder of p
modulo s: each phase is (2) again, with y in the place of x and the kernel turned round (`Axis.phase`).

**Few results from many channels** (one image from 64 features) would make long rows for short products. There the
product comes first, Z[n, h, k, c] = Σ_o w[k, c, o] y[n, h, o], and then (3) adds KH·KW shifted slices of Z. With stride
1 there is a single phase, so that (2) can be read as (3) too.
"""
import math

from minigen.ops.conv_geometry import taps
from minigen.ops.reduce import _sum

CACHE_BYTES = 1 << 20       # for the windows on a CPU: what stays in the second-level cache
DEVICE_BYTES = 1 << 28      # on a GPU, which wants large products
FEW = 8                     # so many times fewer results than inputs: multiply first, then shift
NARROW = 4                  # below so many channels, windows are copied tap by tap


# ---- the three sums: shapes, groups, and which way to go -------------------------------------------------------------
def convolve(xp, x, w, b, rows, cols, groups):
    """Eq. (2), plus b (O,) unless it is None: x (N, X, X′, C), w (K, K′, C/G, O) → (N, Y, Y′, O)."""
    C, O = x.shape[3], w.shape[3]
    y = xp.empty((x.shape[0], rows.Y, cols.Y, O), _dtype(xp, x, w, b))
    if _is_depthwise(w, groups):
        for x_part, y_part in _batches(xp, rows.Y * cols.Y * C, x, y):
            _start_from(y_part, b)
            for tap, x_index, y_index in taps(rows, cols):
                y_part[y_index] += x_part[x_index] * w[tap][0]
        return y
    way = _convolve_few if rows.stride == cols.stride == 1 and FEW * O <= C else _convolve
    for c, o in _groups(groups, C, O):
        b_part = None if b is None else b[o]
        _share(xp, w, y, lambda n: way(xp, x[n][..., c], w[..., o], b_part, rows, cols, y[n][..., o]))
    return y


def transpose(xp, y, w, b, rows, cols, groups):
    """Eq. (3), plus b (C,) unless it is None: y (N, Y, Y′, O), w (K, K′, C/G, O) → (N, X, X′, C)."""
    C, O = w.shape[2] * groups, y.shape[3]
    x = xp.empty((y.shape[0], rows.X, cols.X, C), _dtype(xp, y, w, b))
    if _is_depthwise(w, groups):
        for x_part, y_part in _batches(xp, rows.Y * cols.Y * C, x, y):
            _start_from(x_part, b)
            for tap, x_index, y_index in taps(rows, cols):
                x_part[x_index] += y_part[y_index] * w[tap][0]
        return x
    way = _shift_add if FEW * C <= O else _transpose
    for c, o in _groups(groups, C, O):
        b_part = None if b is None else b[c]
        _share(xp, w, y, lambda n: way(xp, y[n][..., o], w[..., o], b_part, rows, cols, x[n][..., c]))
    return x


def weight_grad(xp, x, y, rows, cols, groups):
    """Eq. (4): x (N, X, X′, C), y (N, Y, Y′, O) → (K, K′, C/G, O)."""
    C, O = x.shape[3], y.shape[3]
    w = xp.zeros((rows.K, cols.K, C // groups, O), _dtype(xp, x, y))
    if _is_depthwise(w, groups):
        for x_part, y_part in _batches(xp, rows.Y * cols.Y * C, x, y):
            for tap, x_index, y_index in taps(rows, cols):
                w[tap][0] += _sum(xp, x_part[x_index] * y_part[y_index], (0, 1, 2), False)
        return w
    for c, o in _groups(groups, C, O):
        for part in _share(xp, w, y, lambda n: _weight_grad(xp, x[n][..., c], y[n][..., o], rows, cols)):
            w[..., o] += part
    return w


def _share(xp, w, y, work):
    """What ``work`` returns for the images that each core takes: [work(slice), …]."""
    return xp.spread(work, y.shape[0], math.prod(w.shape[:2]) * y.size)


def _dtype(xp, *arrays):
    return xp.result_type(*(array for array in arrays if array is not None))


def _is_depthwise(w, groups):
    """Whether each channel has a kernel of its own, so that there is nothing to multiply as matrices."""
    return groups > 1 and w.shape[2:] == (1, groups)


def _groups(groups, C, O):
    """The channels of x and those of y, of one group after the other."""
    c, o = C // groups, O // groups
    return [(slice(k * c, (k + 1) * c), slice(k * o, (k + 1) * o)) for k in range(groups)]


def _start_from(out, b):
    out[...] = 0 if b is None else b


# ---- by windows ------------------------------------------------------------------------------------------------------
def _convolve(xp, x, w, b, rows, cols, y):
    """Eq. (2) into y, as products of windows and kernel."""
    w = w.reshape(rows.K * cols.K * w.shape[2], w.shape[3])
    for images, lines, windows in _windows_as_rows(xp, x, rows, cols):
        part = y[images, lines]
        if part.flags.c_contiguous:
            xp.matmul(windows, w, out=part.reshape(windows.shape[0], w.shape[1]))
        else:
            part[...] = (windows @ w).reshape(part.shape)
        if b is not None:
            part += b


def _weight_grad(xp, x, y, rows, cols):
    """Eq. (4), as products of windows and y."""
    w = xp.zeros((rows.K * cols.K * x.shape[3], y.shape[3]), _dtype(xp, x, y))
    for images, lines, windows in _windows_as_rows(xp, x, rows, cols):
        w += windows.T @ y[images, lines].reshape(windows.shape[0], y.shape[3])
    return w.reshape(rows.K, cols.K, x.shape[3], y.shape[3])


def _transpose(xp, y, w, b, rows, cols, x):
    """Eq. (3) into x, phase after phase."""
    row_phases, col_phases = ([axis.phase(r) for r in range(axis.stride)] for axis in (rows, cols))
    if None in row_phases + col_phases:
        _start_from(x, b)                                   # places that no tap reaches
    for i, row_phase in enumerate(row_phases):
        for j, col_phase in enumerate(col_phases):
            if row_phase and col_phase:
                (row_taps, row_axis), (col_taps, col_axis) = row_phase, col_phase
                kernel = _turned(w[row_taps, col_taps])
                _convolve(xp, y, kernel, b, row_axis, col_axis, x[:, i::rows.stride, j::cols.stride])


def _turned(w):
    """The kernel that leads back: taps in reverse order, (K, K′, C, O) → (K, K′, O, C)."""
    return w[::-1, ::-1].swapaxes(2, 3)


def _windows_as_rows(xp, x, rows, cols):
    """Yield (images, lines, matrix), piece after piece of y; each row is the window of one place: K·K′·C numbers."""
    N, C = x.shape[0], x.shape[3]
    if rows.plain and cols.plain:                           # 1×1: x is that matrix
        yield slice(N), slice(rows.Y), x.reshape(N * rows.Y * cols.Y, C)
        return
    line = cols.Y * rows.K * cols.K * C                     # numbers in the windows of one line of y
    images = _fitting(xp, rows.Y * line, N, x.itemsize)
    lines = _fitting(xp, line, rows.Y, x.itemsize)
    order = "F" if C < NARROW else "C"                      # F: tap by tap, long runs along a line of x
    matrix = xp.empty((images * lines * cols.Y, rows.K * cols.K * C), x.dtype, order=order)
    for image_slice, line_slice, windows in _windows(xp, x, rows, cols, images, lines):
        part = matrix[:math.prod(windows.shape[:3])]
        part.reshape(windows.shape)[...] = windows          # splits axes, so it is a view; runs of K′·C numbers
        yield image_slice, line_slice, part


def _windows(xp, x, rows, cols, images, lines):
    """Yield (images, lines, view), so many at a time; view[n, h, w, i, j, c] is what tap (i, j) meets at (h, w)."""
    band = rows._replace(Y=lines)
    buffer = xp.zeros((images, band.span, cols.span, x.shape[3]), x.dtype)
    view = xp.lib.stride_tricks.sliding_window_view(buffer, (rows.reach, cols.reach), axis=(1, 2))
    view = view[:, ::rows.stride, ::cols.stride, :, ::rows.dilation, ::cols.dilation].transpose(0, 1, 2, 4, 5, 3)
    in_cols, of_cols = _overlap(cols.start, cols.span, cols.X)
    for n in range(0, x.shape[0], images):
        for h in range(0, rows.Y, lines):
            source, stop = x[n:n + images], min(h + lines, rows.Y)
            in_rows, of_rows = _overlap(rows.start + rows.stride * h, band.span, rows.X)
            piece = buffer[:source.shape[0]]
            piece[:, :in_rows.start] = 0                    # what an earlier band left there
            piece[:, in_rows.stop:] = 0
            piece[:, in_rows, in_cols] = source[:, of_rows, of_cols]
            yield slice(n, n + images), slice(h, stop), view[:source.shape[0], :stop - h]


def _overlap(start, length, X):
    """(slice of a buffer, slice of x) where the places start … start + length − 1 lie inside x."""
    low = min(max(0, -start), length)
    high = max(low, min(length, X - start))
    return slice(low, high), slice(start + low, start + high)


def _fitting(xp, size, most, itemsize):
    """How many things of ``size`` numbers to handle at a time: at least one, at most ``most``."""
    budget = CACHE_BYTES if xp.name == "numpy" else DEVICE_BYTES
    return max(1, min(most, budget // max(1, size * itemsize)))


def _batches(xp, size, *arrays):
    """The arrays in pieces of a few images, for work that takes ``size`` numbers an image."""
    n = _fitting(xp, size, arrays[0].shape[0], arrays[0].itemsize)
    for start in range(0, arrays[0].shape[0], n):
        yield [array[start:start + n] for array in arrays]


# ---- few results: multiply first, then shift -------------------------------------------------------------------------
def _shift_add(xp, y, w, b, rows, cols, x):
    """Eq. (3) into x: first Z, then its slices added where they belong."""
    K, C, O = rows.K * cols.K, w.shape[2], w.shape[3]
    w = w.reshape(K * C, O).T
    for x_part, y_part in _batches(xp, rows.Y * cols.Y * K * C, x, y):
        z = y_part.reshape(y_part.shape[0] * rows.Y * cols.Y, O) @ w
        z = z.reshape(*y_part.shape[:3], rows.K, cols.K, C)
        _start_from(x_part, b)
        for tap, x_index, y_index in taps(rows, cols):
            x_part[x_index] += z[(*y_index, *tap)]


def _convolve_few(xp, x, w, b, rows, cols, y):
    """Eq. (2) with stride 1 into y: it is Eq. (3) for the turned kernel."""
    _shift_add(xp, x, _turned(w), b, rows.phase(0)[1], cols.phase(0)[1], y)
