r"""Pooling: the largest value, or the mean, of each window of an image (N, H, W, C), channel by channel.

With P(h) the places of x in the window at h (`minigen.ops.conv_geometry`), along one axis,

    max:   y[h] = max_{p ∈ P(h)} x[p],        x̄[p] = Σ_{h: p ∈ P(h), x[p] = y[h]} ȳ[h] / #{q ∈ P(h): x[q] = y[h]}   (1)
    mean:  y[h] = Σ_{p ∈ P(h)} x[p] / |P|,    x̄[p] = Σ_{h: p ∈ P(h)} ȳ[h] / |P|                                     (2)

In (1) ties share evenly, as in `mg.max`; the weights are piecewise constant, so x̄ is linear in ȳ, and its adjoint sums
ȳ̄ over each window with the same weights. (2) is a convolution with one constant kernel. The mean over a whole image is
``x.mean(axis=(1, 2))``.
"""
import math

from minigen.ops.conv import _conv2d
from minigen.ops.conv_geometry import axes_over, per_axis, taps
from minigen.ops.indices import lift
from minigen.primitive import primitive

__all__ = ["max_pool2d", "avg_pool2d"]


def max_pool2d(x, kernel_size, stride=None, padding=0):
    """The largest value of each window, Eq. (1): (N, H, W, C) → (N, H′, W′, C),  H′ = ⌊(H + padding − KH) / s⌋ + 1.

    Args:
        kernel_size, stride: an int, or one for each of H and W. The stride is the kernel's size unless given.
        padding: as in `conv2d`, and less than the kernel's size. It is never the largest.

    Ties share the gradient evenly; PyTorch gives all of it to the first. Rows at the end that no window reaches do not
    count. NaN passes through, without a gradient. Raises ValueError if the kernel is larger than the padded input, or a
    window would hold padding alone.
    """
    x, kernel, stride = _operands("max_pool2d", x, kernel_size, stride)
    axes = axes_over("max_pool2d", x.shape[1:3], kernel, stride, padding)
    for letter, axis in zip("HW", axes):
        if axis.start <= -axis.K or axis.start + axis.span >= axis.X + axis.K:
            raise ValueError(f"max_pool2d: along {letter} a window of {axis.K} lies in the padding alone and has no "
                             f"largest value; pad less than {axis.K}")
    return _max_pool2d(x, *axes)


def avg_pool2d(x, kernel_size, stride=None, padding=0):
    """The mean of each window, Eq. (2): (N, H, W, C) → (N, H′, W′, C). Zeros of the padding count.

    Arguments as in `max_pool2d`. Raises ValueError if the kernel is larger than the padded input.
    """
    x, kernel, stride = _operands("avg_pool2d", x, kernel_size, stride)
    axes = axes_over("avg_pool2d", x.shape[1:3], kernel, stride, padding)
    return _conv2d(x, _equal_weights(x, kernel), 0, *axes, x.shape[3])


def _operands(name, x, kernel_size, stride):
    x, = lift(x)
    if x.ndim != 4:
        raise ValueError(f"{name}: wants images (N, H, W, C), got {x.shape}")
    kernel = per_axis(name, "kernel_size", kernel_size, 2)
    return x, kernel, kernel if stride is None else stride


@primitive
def _equal_weights(xp, x, *, kernel):
    """1/|P| for every tap and channel, (KH, KW, 1, C). Constant in x: no vjp."""
    return xp.full((*kernel, 1, x.shape[3]), 1 / math.prod(kernel), xp.result_type(x, 1.0))


# ---- max and its adjoint pair ----------------------------------------------------------------------------------------
@primitive
def _max_pool2d(xp, x, *, rows, cols):
    y = xp.full((x.shape[0], rows.Y, cols.Y, x.shape[3]), _lowest(xp, x.dtype), x.dtype)
    for _, x_index, y_index in taps(rows, cols):
        part = y[y_index]
        xp.maximum(part, x[x_index], out=part)
    return y


def _lowest(xp, dtype):
    return -math.inf if dtype.kind == "f" else False if dtype.kind == "b" else xp.iinfo(dtype).min


@primitive
def _to_the_largest(xp, g, x, y, *, rows, cols):
    """x̄ of Eq. (1), from g = ȳ."""
    g, x_bar = g / _ties(xp, x, y, rows, cols), xp.zeros(x.shape, g.dtype)
    for _, x_index, y_index in taps(rows, cols):
        x_bar[x_index] += g[y_index] * (x[x_index] == y[y_index])
    return x_bar


@primitive
def _from_the_largest(xp, h, x, y, *, rows, cols):
    """The adjoint of `_to_the_largest` in g: the mean of h over the places of each window where x is largest."""
    g_bar = xp.zeros(y.shape, h.dtype)
    for _, x_index, y_index in taps(rows, cols):
        g_bar[y_index] += h[x_index] * (x[x_index] == y[y_index])
    return g_bar / _ties(xp, x, y, rows, cols)


def _ties(xp, x, y, rows, cols):
    """#{q ∈ P(h): x[q] = y[h]}; 1 for a window with NaN, which equals nothing."""
    count = xp.zeros(y.shape, "float32")
    for _, x_index, y_index in taps(rows, cols):
        count[y_index] += x[x_index] == y[y_index]
    return xp.maximum(count, 1)


_max_pool2d.vjp(lambda g, x, out, rows, cols: _to_the_largest(g, x, out, rows, cols))                        # Eq. (1)
_to_the_largest.vjp(lambda h, x, y, rows, cols: _from_the_largest(h, x, y, rows, cols), None, None)
_from_the_largest.vjp(lambda g, x, y, rows, cols: _to_the_largest(g, x, y, rows, cols), None, None)
