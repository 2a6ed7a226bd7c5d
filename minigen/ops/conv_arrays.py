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
stays in the cache, and the images are shared out over the cores. With stride 1, (3) is (2) again, with y in the place
of x and the kernel turned round (`Axis.turned`). With longer strides s neighbouring taps k lie side by side in x for
one h and in disjoint places for all h, so that a product with the kernels of such a run is added to x in one piece.

**Few results from many channels** (one image from 64 features) would make long rows for short products. There the
product comes first, Z[n, h, k, c] = Σ_o w[k, c, o] y[n, h, o], and then (3) adds KH·KW shifted slices of Z. With stride
1, (2) can be read as (3) too.
"""
import math

from minigen.ops import conv_compiled as compiled
from minigen.ops.conv_geometry import overlap, taps
from minigen.ops.reduce import _sum

CACHE_BYTES = 1 << 21       # for the windows on a CPU: what stays near it, in the second- and third-level caches
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
    if code := _code(xp, y.dtype, x, y):
        for c, o in _groups(groups, C, O):
            compiled.convolve(xp, code, x[..., c], w[..., o], None if b is None else b[o], rows, cols, y[..., o])
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
    if code := _code(xp, x.dtype, x, y):
        for c, o in _groups(groups, C, O):
            compiled.transpose(xp, code, y[..., o], w[..., o], None if b is None else b[c], rows, cols, x[..., c])
        return x
    way = _shift_add if FEW * C <= O else _transpose if rows.stride == cols.stride == 1 else _add_runs
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
    if code := _code(xp, w.dtype, x, y):
        for c, o in _groups(groups, C, O):
            w[..., o] = compiled.weight_grad(xp, code, x[..., c], y[..., o], rows, cols, w.dtype)
        return w
    for c, o in _groups(groups, C, O):
        for part in _share(xp, w, y, lambda n: _weight_grad(xp, x[n][..., c], y[n][..., o], rows, cols)):
            w[..., o] += part
    return w


def _share(xp, w, y, work):
    """What ``work`` returns for the images that each core takes: [work(slice), …]."""
    return xp.spread(work, y.shape[0], math.prod(w.shape[:2]) * y.size)


def _code(xp, dtype, *arrays):
    """The compiled sums for numbers of this dtype, or None where there are none."""
    return xp.sums(dtype) if compiled.fits(*arrays) else None


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
    """Eq. (3) with stride 1 into x: it is Eq. (2) for the turned kernel."""
    _convolve(xp, y, _turned(w), b, rows.turned, cols.turned, x)


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
    rows_of = matrix.reshape(images, lines, cols.Y, rows.K, cols.K, C)              # splits axes, so it is a view
    for image_slice, line_slice, windows in _windows(xp, x, rows, cols, images, lines):
        if windows.shape == rows_of.shape:
            rows_of[...] = windows                          # runs of K′·C numbers
            yield image_slice, line_slice, matrix
        else:                                               # the last images or lines
            part = matrix[:math.prod(windows.shape[:3])]
            part.reshape(windows.shape)[...] = windows
            yield image_slice, line_slice, part


def _windows(xp, x, rows, cols, images, lines):
    """Yield (images, lines, view), so many at a time; view[n, h, w, i, j, c] is what tap (i, j) meets at (h, w)."""
    N, band = x.shape[0], rows._replace(Y=lines)
    buffer = xp.zeros((images, band.span, cols.span, x.shape[3]), x.dtype)
    view = xp.lib.stride_tricks.sliding_window_view(buffer, (rows.reach, cols.reach), axis=(1, 2))
    view = view[:, ::rows.stride, ::cols.stride, :, ::rows.dilation, ::cols.dilation].transpose(0, 1, 2, 4, 5, 3)
    in_cols, of_cols = overlap(cols.start, cols.span, cols.X)
    for h in range(0, rows.Y, lines):
        in_rows, of_rows = overlap(rows.start + rows.stride * h, band.span, rows.X)
        if h:
            buffer[:, :in_rows.start] = buffer[:, in_rows.stop:] = 0                # what an earlier band left there
        inside, count = buffer[:, in_rows, in_cols], min(lines, rows.Y - h)
        for n in range(0, N, images):
            some = min(images, N - n)
            inside[:some] = x[n:n + some, of_rows, of_cols]
            yield slice(n, n + some), slice(h, h + count), view[:some, :count]


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
    _shift_add(xp, x, _turned(w), b, rows.turned, cols.turned, y)


# ---- longer strides: multiply and shift run by run -------------------------------------------------------------------
def _add_runs(xp, y, w, b, rows, cols, x):
    """Eq. (3) into x: a product for each row of the kernel and each run of taps, added to a buffer that is as long as
    the windows reach."""
    (K, _, C, O), s, runs = w.shape, cols.stride, _runs(cols)
    Q = cols.Y + runs[-1][1]                                                    # steps of the stride in a line
    kernels = [[xp.ascontiguousarray(w[i, j].reshape(-1, O).T) for j, _, _ in runs] for i in range(K)]
    in_rows, of_rows = overlap(rows.start, rows.span, rows.X)
    in_cols, of_cols = overlap(cols.start, s * Q, cols.X)
    for x_part, y_part in _batches(xp, 2 * rows.span * s * Q * C, x, y):
        N, matrix = y_part.shape[0], y_part.reshape(-1, O)
        buffer = xp.zeros((N, rows.span, Q, s * C), x.dtype)
        for i, h in enumerate(range(0, rows.reach, rows.dilation)):
            lines = buffer[:, h:h + rows.stride * (rows.Y - 1) + 1:rows.stride]
            for kernel, (_, q, r) in zip(kernels[i], runs):
                z = (matrix @ kernel).reshape(N, rows.Y, cols.Y, kernel.shape[1])
                lines[:, :, q:q + cols.Y, C * r:C * r + z.shape[3]] += z
        _start_from(x_part, b)
        x_part[:, of_rows, of_cols] += buffer.reshape(N, rows.span, s * Q, C)[:, in_rows, in_cols]


def _runs(axis):
    """The taps of a kernel in runs that lie side by side in x, [(slice of taps, q, r)]: at place h of y a run begins
    s (h + q) + r places after the start. Without dilation s neighbouring taps make a run."""
    together = axis.stride if axis.dilation == 1 else 1
    return [(slice(j, min(j + together, axis.K)), *divmod(axis.dilation * j, axis.stride))
            for j in range(0, axis.K, together)]
