r"""Convolution, its two adjoints, and the 1-D forms. Features last: x (N, H, W, C) and a kernel w (KH, KW, C/G, O).

With stride s, dilation d, p places of padding in front, and x = 0 outside (along one axis; H and W are alike),

    y[n, h, o] = Σ_{k,c} x[n, s h + d k − p, c] w[k, c, o] + b[o].                                              (1)

Together with a cotangent ȳ the sum is a form that is linear in three arguments,

    T(x, w, ȳ) = Σ_{n,h,k,c,o} x[n, s h + d k − p, c] w[k, c, o] ȳ[n, h, o],                                    (2)

and whichever of them is left out, what multiplies it is a convolution (ȳ), a transposed convolution (x) or a weight
gradient (w). So each of the three ops has the other two as derivatives, and derivatives of every order are among them.
With G groups, c and o run over the channels of one group, and x, y and w lie group after group along their last axis.

How the sums are computed is told in `minigen.ops.conv_arrays`. `conv2d_composite` is Eq. (1) word for word.
"""
from minigen.ops.conv_arrays import convolve, transpose, weight_grad
from minigen.ops.conv_geometry import Axis, axes_over, axes_under, explicit, per_axis
from minigen.ops.indices import lift
from minigen.ops.join import concatenate, pad
from minigen.ops.linalg import matmul
from minigen.ops.reduce import sum
from minigen.ops.shape import expand_dims, squeeze
from minigen.primitive import primitive

__all__ = ["conv2d", "conv2d_transpose", "conv2d_weight_grad", "conv1d", "conv1d_transpose"]


# ---- primitives ------------------------------------------------------------------------------------------------------
@primitive
def _conv2d(xp, x, w, b, *, rows, cols, groups):
    """Eq. (1). rows and cols are an Axis each; a number b stands for no bias."""
    return convolve(xp, x, w, b if hasattr(b, "shape") else None, rows, cols, groups)


@primitive
def _conv2d_transpose(xp, y, w, b, *, rows, cols, groups):
    return transpose(xp, y, w, b if hasattr(b, "shape") else None, rows, cols, groups)


@primitive
def _conv2d_weight_grad(xp, x, y, *, rows, cols, groups):
    return weight_grad(xp, x, y, rows, cols, groups)


_conv2d.vjp(lambda g, w, rows, cols, groups: _conv2d_transpose(g, w, 0, rows, cols, groups),                # Eq. (2), x
            lambda g, x, rows, cols, groups: _conv2d_weight_grad(x, g, rows, cols, groups),                 # Eq. (2), w
            lambda g: sum(g, axis=(0, 1, 2)))
_conv2d_transpose.vjp(lambda g, w, rows, cols, groups: _conv2d(g, w, 0, rows, cols, groups),                # Eq. (2), ȳ
                      lambda g, y, rows, cols, groups: _conv2d_weight_grad(g, y, rows, cols, groups),       # Eq. (2), w
                      lambda g: sum(g, axis=(0, 1, 2)))
_conv2d_weight_grad.vjp(lambda g, y, rows, cols, groups: _conv2d_transpose(y, g, 0, rows, cols, groups),    # Eq. (2), x
                        lambda g, x, rows, cols, groups: _conv2d(x, g, 0, rows, cols, groups))              # Eq. (2), ȳ


# ---- two dimensions --------------------------------------------------------------------------------------------------
def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros"):
    """Convolution (without turning the kernel round, as everywhere in deep learning), Eq. (1).

        x (N, H, W, C), w (KH, KW, C/G, O), b (O,) → y (N, H′, W′, O),   H′ = ⌊(H + padding − d (KH − 1) − 1) / s⌋ + 1

    where padding counts both sides. Rows at the end that no window reaches do not count.

    Args:
        stride, dilation: an int, or one for each of H and W.
        padding: an int; (of H, of W); ((top, bottom), (left, right)); ``"valid"``: none; ``"same"``: as much as makes
            H′ = ⌈H / s⌉, half of it in front.
        groups: G, into which the channels of x and of y are divided; with G = C = O each channel has its own kernel.
        padding_mode: ``"zeros"``, or ``"reflect"``: mirrored at the outermost pixel, which is not repeated.

    Raises ValueError if the channels do not fit, the groups do not divide them, the kernel is larger than the padded
    input, or a mirror image larger than what it mirrors.
    """
    return _over("conv2d", _conv2d, 2, x, w, b, stride, padding, dilation, groups, padding_mode)


def conv2d_composite(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros"):
    """`conv2d` by smaller ops: one product for each tap of the kernel."""
    return _over("conv2d", _by_taps, 2, x, w, b, stride, padding, dilation, groups, padding_mode)


def conv2d_transpose(y, w, b=None, stride=1, padding=0, dilation=1, groups=1, output_padding=0):
    """Transposed convolution: the adjoint of `conv2d` in x for the same w, plus b.

        y (N, H′, W′, O), w (KH, KW, C/G, O), b (C,) → x (N, H, W, C),
        H = s (H′ − 1) + d (KH − 1) + 1 − padding + output_padding

    Args:
        stride, padding, dilation, groups: of that convolution. Padding is cut off; ``"same"`` gives H = s H′.
        output_padding: ≥ 0 and less than the stride: a convolution with stride s takes s different H to one H′; this
            tells which of them to come back to.

    Raises ValueError if the channels do not fit, or no output is left.
    """
    y, w, b = _operands("conv2d_transpose", 2, y, w, b, groups, adjoint=True)
    axes = axes_under("conv2d_transpose", y.shape[1:-1], w.shape[:-2], stride, padding, dilation, output_padding)
    return _conv2d_transpose(y, w, b, *axes, groups)


def conv2d_weight_grad(x, y, kernel_size, stride=1, padding=0, dilation=1, groups=1):
    """The adjoint of `conv2d` in w: x (N, H, W, C) and the cotangent y (N, H′, W′, O) → (KH, KW, C/G, O).

    Args:
        kernel_size: KH and KW, an int or a pair. The others are those of the convolution.

    Raises ValueError if x convolved with such a kernel has not the shape of y.
    """
    name, (x, y) = "conv2d_weight_grad", lift(x, y)
    if x.ndim != 4 or y.ndim != 4 or x.shape[0] != y.shape[0]:
        raise ValueError(f"{name}: wants x (N, H, W, C) and y (N, H′, W′, O), got {x.shape} and {y.shape}")
    _check_groups(name, groups, x.shape[3], y.shape[3])
    kernel = per_axis(name, "kernel_size", kernel_size, 2)
    rows, cols = axes_over(name, x.shape[1:3], kernel, stride, padding, dilation)
    if y.shape[1:3] != (rows.Y, cols.Y):
        raise ValueError(f"{name}: a kernel {kernel} takes x {x.shape} to (N, {rows.Y}, {cols.Y}, O), but y is "
                         f"{y.shape}; pass the stride, padding and dilation of the convolution")
    return _conv2d_weight_grad(x, y, rows, cols, groups)


# ---- one dimension ---------------------------------------------------------------------------------------------------
def conv1d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros"):
    """Convolution along a sequence: x (N, T, C), w (K, C/G, O), b (O,) → (N, T′, O).

    Arguments and errors are those of `conv2d`, but two ints of ``padding`` are (before, after), and ``"causal"`` puts
    d (K − 1) in front, so that with stride 1 y[t] sees nothing behind x[t].
    """
    return _over("conv1d", _flat(_conv2d), 1, x, w, b, stride, padding, dilation, groups, padding_mode)


def conv1d_transpose(y, w, b=None, stride=1, padding=0, dilation=1, groups=1, output_padding=0):
    """The adjoint of `conv1d` in x, plus b: y (N, T′, O), w (K, C/G, O), b (C,) → (N, T, C). See `conv2d_transpose`."""
    y, w, b = _operands("conv1d_transpose", 1, y, w, b, groups, adjoint=True)
    axis, = axes_under("conv1d_transpose", y.shape[1:-1], w.shape[:-2], stride, padding, dilation, output_padding)
    return _flat(_conv2d_transpose)(y, w, b, axis, groups)


def _flat(op):
    """A 2-D op for sequences: images of T rows and one column."""
    column = Axis(1, 1, 1, 0, 1, 1)
    return lambda x, w, b, axis, groups: squeeze(op(expand_dims(x, 2), expand_dims(w, 1), b, axis, column, groups), 2)


# ---- common to them --------------------------------------------------------------------------------------------------
def _over(name, op, D, x, w, b, stride, padding, dilation, groups, padding_mode):
    """Check the arguments of a convolution over D axes, mirror x if asked to, and call the op."""
    x, w, b = _operands(name, D, x, w, b, groups)
    if padding_mode == "reflect":
        _, padding, _ = explicit(name, x.shape[1:-1], w.shape[:-2], stride, padding, dilation)
        x, padding = pad(x, ((0, 0), *padding, (0, 0)), "reflect"), 0
    elif padding_mode != "zeros":
        raise ValueError(f"{name}: padding_mode {padding_mode!r} is none of 'zeros', 'reflect'")
    return op(x, w, b, *axes_over(name, x.shape[1:-1], w.shape[:-2], stride, padding, dilation), groups)


def _operands(name, D, x, w, b, groups, adjoint=False):
    """x, w and b as Tensors or arrays whose channels fit; 0 for no b."""
    x, w = lift(x, w)
    if x.ndim != D + 2 or w.ndim != D + 2:
        wanted = {1: ("(N, T, C)", "(K, C/G, O)"), 2: ("(N, H, W, C)", "(KH, KW, C/G, O)")}[D]
        raise ValueError(f"{name}: wants an input {wanted[0]} and a kernel {wanted[1]}, got {x.shape} and {w.shape}")
    O, inner = w.shape[-1], w.shape[-2] * per_axis(name, "groups", groups, 1)[0]
    _check_groups(name, groups, inner, O)
    takes, gives = (O, inner) if adjoint else (inner, O)
    if x.shape[-1] != takes:
        raise ValueError(f"{name}: the input {x.shape} has {x.shape[-1]} channels, but the kernel {w.shape} with "
                         f"groups={groups} takes {takes}")
    if b is None:
        return x, w, 0
    b = lift(x, b)[1]
    if b.shape != (gives,):
        raise ValueError(f"{name}: the kernel {w.shape} with groups={groups} wants a bias ({gives},), got {b.shape}")
    return x, w, b


def _check_groups(name, groups, C, O):
    per_axis(name, "groups", groups, 1)
    if C % groups or O % groups:
        raise ValueError(f"{name}: groups={groups} must divide the channels, which are {C} of x and {O} of y")


def _by_taps(x, w, b, rows, cols, groups):
    """Eq. (1) word for word."""
    if groups > 1:
        C, O = x.shape[3] // groups, w.shape[3] // groups
        parts = [(slice(k * C, (k + 1) * C), slice(k * O, (k + 1) * O)) for k in range(groups)]
        return concatenate([_by_taps(x[..., c], w[..., o], 0, rows, cols, 1) for c, o in parts], axis=3) + b
    x = pad(x, ((0, 0), *((-axis.start, max(0, axis.start + axis.span - axis.X)) for axis in (rows, cols)), (0, 0)))
    y = b
    for i in range(rows.K):
        for j in range(cols.K):
            y = y + matmul(x[:, _every(rows, i), _every(cols, j)], w[i, j])
    return y


def _every(axis, k):
    """The places of the padded x that tap k meets."""
    return slice(axis.dilation * k, axis.dilation * k + axis.stride * (axis.Y - 1) + 1, axis.stride)
