r"""Convolutions that see only what comes before, and the memory that lets them grow an image pixel by pixel.

Pixels have an order: row by row, from the left. A convolution is *causal* if its output at pixel i reads no pixel after
i. Masks make it so (A. van den Oord, N. Kalchbrenner and K. Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016,
arXiv:1601.06759, Section 3.4): the kernel is multiplied by

    M[dy, dx] = 1  if  dy < 0,  or  dy = 0 and dx < 0;        M[0, 0] = 0 in mask A,  1 in mask B.                (1)

The first layer of a network has mask A: it must not show pixel i to output i. What it makes of the pixels before i may
be used at i, so all later layers have mask B.

In an image of several channels the channels of a pixel have an order too: R, then G given R, then B given both. The
features of each layer are cut into as many groups, one for each channel, and at the centre a feature of group b reads
one of group a

    if a < b in mask A,    if a ≤ b in mask B.                                                                    (2)

Rows below the centre would be zero throughout, so the kernel has only its upper half: KH // 2 + 1 rows.

`VerticalConv2d` is causal in rows alone: mask A reads all columns of the rows above, mask B its own row as well. A
stack A, B, B, … of them has seen the rows above, and of those a full rectangle; it is the vertical stack of the gated
PixelCNN (arXiv:1606.05328).
"""
import numpy as np

from minigen import backend
from minigen.functional import linear
from minigen.nn.init import fans, initial, zeros
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.ops import create
from minigen.ops.conv import conv2d
from minigen.ops.conv_geometry import per_axis
from minigen.ops.join import pad
from minigen.random import as_generator
from minigen.tensor import tensor


class _CausalConv2d(Module):
    """What both layers share: the upper half of a kernel, its mask, zero padding that keeps H and W.

    Attributes:
        reach: how far it sees, (rows up, columns to each side).
        weight: (reach[0] + 1, KW, in_channels, out_channels). bias: (out_channels,), or None.
        mask: of 0 and 1, as weight; None if it would be 1 throughout.
    """

    def __init__(self, in_channels, out_channels, kernel_size, bias, rng, weight_init):
        name, rng = type(self).__name__, as_generator(rng)
        height, width = self.kernel_size = per_axis(name, "kernel_size", kernel_size, 2)
        if min(in_channels, out_channels) < 1 or height % 2 == 0 or width % 2 == 0:
            raise ValueError(f"{name}: wants at least one channel in and out, and a kernel with a centre (odd sizes), "
                             f"got {in_channels} and {out_channels} channels, kernel_size={kernel_size}")
        self.in_channels, self.out_channels, self.reach = in_channels, out_channels, (height // 2, width // 2)
        shape = (self.reach[0] + 1, width, in_channels, out_channels)
        self.weight = Parameter(initial(weight_init, shape, rng))
        self.bias = None
        if bias:
            bound = fans(shape)[0] ** -0.5
            self.bias = Parameter(rng.uniform(-bound, bound, out_channels) if weight_init == "torch"
                                  else zeros(out_channels, rng))

    def _set_mask(self, mask):
        """``mask``: a NumPy array that broadcasts to the weight's shape."""
        mask = np.broadcast_to(mask, self.weight.shape).astype(self.weight.dtype)
        with backend.use(self.weight.backend.name):
            self.mask = None if mask.all() else tensor(mask)

    @property
    def kernel(self):
        """weight ⊙ mask."""
        return self.weight if self.mask is None else self.weight * self.mask                                 # Eq. (1)

    def forward(self, x):
        self.expect_features(x, self.in_channels)
        if self.kernel_size == (1, 1):
            return linear(x, self.kernel[0, 0], self.bias)
        up, sides = self.reach
        return conv2d(x, self.kernel, self.bias, padding=((up, 0), (sides, sides)))

    def describe(self):
        size = self.kernel_size[0] if len(set(self.kernel_size)) == 1 else self.kernel_size
        return f"{self.in_channels}, {self.out_channels}, {size}"


class MaskedConv2d(_CausalConv2d):
    """A convolution that sees only earlier pixels, Eqs. (1), (2): (N, H, W, in_channels) → (N, H, W, out_channels).

    Args:
        kernel_size: an odd int, or one for each of H and W. Half of it below the centre only counts.
        mask: ``"A"`` or ``"B"``; or booleans (KH, KW) of your own, true where a pixel may be seen. With a true centre
            they count as B in Eq. (2), else as A.
        channels: of the image, the groups of Eq. (2).
        parts: the outputs are so many equal parts, each cut into groups anew (the gates of an LSTM, say).
        bias, rng, weight_init: as in `minigen.nn.Conv2d`.

    Raises ValueError for sizes that do not fit and for a mask that shows a later pixel.
    """

    def __init__(self, in_channels, out_channels, kernel_size, mask="B", channels=1, parts=1, bias=True, *, rng,
                 weight_init="torch"):
        super().__init__(in_channels, out_channels, kernel_size, bias, rng, weight_init)
        if channels < 1 or parts < 1 or out_channels % parts or min(in_channels, out_channels // parts) < channels:
            raise ValueError(f"MaskedConv2d: a group of features for each of {channels} channels, in each of {parts} "
                             f"parts, cannot be had from {in_channels} channels in and {out_channels} out")
        taps, kind = _taps(mask, self.kernel_size)
        before = groups(in_channels, channels)[:, None]
        own = np.tile(groups(out_channels // parts, channels), parts)
        full = np.array(np.broadcast_to(taps[:, :, None, None], self.weight.shape))
        full[self.reach] = before < own if kind == "A" else before <= own                      # the centre, Eq. (2)
        self._set_mask(full)
        self.kind = kind

    def describe(self):
        return super().describe() + f", mask={self.kind!r}"


class VerticalConv2d(_CausalConv2d):
    """A convolution that sees all columns of earlier rows: (N, H, W, in_channels) → (N, H, W, out_channels).

    Args: as in `MaskedConv2d`; ``mask="A"`` sees the rows above, ``"B"`` its own as well.
    """

    def __init__(self, in_channels, out_channels, kernel_size, mask="B", bias=True, *, rng, weight_init="torch"):
        super().__init__(in_channels, out_channels, kernel_size, bias, rng, weight_init)
        if mask not in ("A", "B") or self.reach[0] == 0 and mask == "A":
            raise ValueError(f"VerticalConv2d: wants the mask 'A' (with a kernel of 3 rows or more) or 'B', got "
                             f"{mask!r} with kernel_size={kernel_size}")
        rows = np.arange(self.reach[0] + 1) < self.reach[0] + (mask == "B")
        self._set_mask(rows[:, None, None, None])
        self.kind = mask

    def describe(self):
        return super().describe() + f", mask={self.kind!r}"


def groups(features, channels):
    """The channel to which each feature belongs, (features,): equal runs of 0, 1, …, channels − 1."""
    return np.arange(features) * channels // features


def _taps(mask, kernel_size):
    """(booleans (KH // 2 + 1, KW): the pixels before the centre that are seen; "A" or "B"). Eq. (1)."""
    height, width = kernel_size
    before = np.arange(height * width).reshape(height, width) < height * width // 2
    if isinstance(mask, str):
        if mask not in ("A", "B"):
            raise ValueError(f"MaskedConv2d: the mask is 'A', 'B' or an array of booleans, got {mask!r}")
        return before[:height // 2 + 1], mask
    mask = np.asarray(mask, dtype=bool)
    if mask.shape != (height, width):
        raise ValueError(f"MaskedConv2d: wants a mask of the kernel's shape {kernel_size}, got {mask.shape}")
    centre = height // 2, width // 2
    kind = "B" if mask[centre] else "A"
    later = mask & ~before
    later[centre] = False
    if later.any():
        y, x = (int(place) - middle for place, middle in zip(np.argwhere(later)[0], centre))
        raise ValueError(f"MaskedConv2d: this mask breaks causality: it shows the pixel {y} rows below and {x} columns "
                         f"right of the centre, one of {int(later.sum())} that come after it")
    return (mask & before)[:height // 2 + 1], kind


# ---- growing an image ------------------------------------------------------------------------------------------------
class _Everywhere:
    """How a network calls its convolutions when it computes a whole image: ``everywhere(layer, x)`` is ``layer(x)``."""

    def __call__(self, layer, x):
        return layer(x)

    def part(self, x):
        """x itself; see `Memory.part`."""
        return x


everywhere = _Everywhere()


class Memory:
    """What the causal convolutions of a network have read so far; with it, new pixels alone are computed.

    A network that calls each of its convolutions as ``conv(layer, x)`` runs in two ways. With ``conv = everywhere`` it
    computes all pixels at once. With a Memory it computes a region of them, and everything on the way to them is of
    the region's size, (N, rows, columns, features)::

        memory = Memory(28, 28)
        memory.at(slice(5, 6), slice(0, 28))      # the sixth row
        y = network(x, memory)                    # (N, 1, 28, features), as network(x, everywhere)[:, 5:6]

    That holds if each region's past has been visited, and x before it has not changed since. A layer whose input is
    the whole image (the first) reads it as it now is, and needs no memory. It writes in place: inside `no_grad` only.

    Args: height, width: of the image.
    """

    def __init__(self, height, width):
        self.shape = (height, width)
        self.rows, self.columns = slice(0, height), slice(0, width)
        self._inputs, self._kernels = {}, {}

    def at(self, rows, columns):
        """Go to a region, two slices with start and stop. Returns self."""
        self.rows, self.columns = rows, columns
        return self

    def __call__(self, layer, x):
        if layer.kernel_size == (1, 1):
            return layer(x)
        (up, sides), rows, columns = layer.reach, self.rows, self.columns
        if x.shape[1:3] == self.shape:                                      # the image itself
            padded = pad(x, ((0, 0), (up, 0), (sides, sides), (0, 0)))
        else:
            padded = self._input(layer, x)
            padded[:, rows.start + up:rows.stop + up, columns.start + sides:columns.stop + sides] = x
        if layer not in self._kernels:
            self._kernels[layer] = layer.kernel
        kernel = self._kernels[layer]
        window = padded[:, rows.start:rows.stop + up, columns.start:columns.stop + 2 * sides]
        if window.shape[1:3] != kernel.shape[:2]:
            return conv2d(window, kernel, layer.bias)
        y = linear(window.reshape((len(x), -1)), kernel.reshape((-1, layer.out_channels)), layer.bias)      # one pixel
        return y[:, None, None]

    def part(self, x):
        """The region's part of a map x (N, H, W, C) of the whole image; anything else, as (N, 1, 1, C), as it is."""
        return x[:, self.rows, self.columns] if np.shape(x)[1:3] == self.shape else x

    def _input(self, layer, x):
        """The padded input of a layer, as far as it is known."""
        if layer not in self._inputs:
            (height, width), (up, sides) = self.shape, layer.reach
            with backend.use(x.backend.name):
                self._inputs[layer] = create.zeros((x.shape[0], height + up, width + 2 * sides, x.shape[3]), x.dtype)
        return self._inputs[layer]
