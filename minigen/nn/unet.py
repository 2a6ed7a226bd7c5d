r"""The U-Net of diffusion models: an image and a time in, an image out.

O. Ronneberger, P. Fischer and T. Brox, 2015, arXiv:1505.04597, as made over by J. Ho, A. Jain and P. Abbeel, 2020,
arXiv:2006.11239. On the way down, L levels look at ever coarser images; on the way up, each sees again what its level
saw before, so that no detail has to pass the middle. With e the condition and [·, ·] the channels of two images
together,

    h_0 = conv(x)                                                                                                 (1)
    h_l = down(s_l),   s_l = block(h_{l−1}, e)               l = 1 … L: half the size, width w_l = base · m_l        (2)
    g_L = block(attention(block(h_L, e)), e)                 in the middle                                        (3)
    g_{l−1} = block([up(g_l), s_l], e)                       l = L … 1: twice the size                             (4)
    y = conv(silu(norm(g_0))).                                                                                    (5)

A level may have several blocks in a row (each with its own s_l), and self-attention after each. All of them are told

    e = time(t) + class(k),                                                                                       (6)

the sum of an embedding of the time and one of the class. Beside the K classes there is an embedding of "none", for
classifier-free guidance (J. Ho and T. Salimans, 2022, arXiv:2207.12598).

Two things make it learn faster where time is short. The first level sees the most pixels and costs the most; with
patches (T. Luhman and E. Luhman, 2022, arXiv:2207.04316) each P × P square of pixels becomes one position before (1),
and pixels again after (5):

    x (H, W, C) → (H/P, W/P, P² C).                                                                               (7)

And a convolution knows where it is from the border alone, so that centred things, such as digits, take it long to
learn; with a vector p_ij for each position, learned,

    h_0 = conv(x) + p.                                                                                            (8)

Differences from Ho et al.: every level ends with a halving, so that the middle is coarser than the last level; a skip
is taken after each block only; the convolution that follows the nearest-neighbour doubling goes to the width of its
level; dropout is off unless asked for.
"""
import numpy as np

from minigen.nn.attention import SelfAttention
from minigen.nn.conv import Conv2d
from minigen.nn.embedding import Embedding
from minigen.nn.groupnorm import GroupNorm
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.nn.residual import ResidualBlock
from minigen.nn.time_embedding import TimeEmbedding
from minigen.ops.activations import silu
from minigen.ops.create import astype, full_like
from minigen.ops.index import lift
from minigen.ops.join import concatenate
from minigen.ops.resize import pixel_shuffle, pixel_unshuffle, resize
from minigen.random import as_generator


class UNet(Module):
    """Eqs. (1) to (8): x (N, H, W, C), t (N,), labels (N,) → (N, H, W, out_channels).

    Args:
        event_shape: (H, W, C) of one image. With L levels and patches, H and W are multiples of 2^L P.
        base, multipliers: level l has base · multipliers[l] channels.
        blocks: residual blocks per level, on the way down and up alike.
        attention: the heights at which self-attention follows each block; from H / P at the first level to H / 2^L P
            in the middle.
        heads: of the attention. groups: of the norms; they divide all widths.
        classes: K, if the net is told classes.
        out_channels: C if left out; 2 C where a variance is learned too.
        dropout: in the residual blocks.
        patch: P of Eq. (7). positions: learn p of Eq. (8).
        rng: generator or seed of the weights. The last convolution starts at zero, and so does y.

    Attributes:
        no_label: K, the label that stands for "none"; None without classes.

    Raises ValueError for sizes that do not fit, times below zero, and labels where there are no classes; IndexError for
    a label that is neither a class nor K. (A GPU is not waited for to look at the times.)
    """

    def __init__(self, event_shape=(28, 28, 1), base=32, multipliers=(1, 2), blocks=1, attention=(14, 7), heads=1,
                 groups=8, classes=None, out_channels=None, dropout=0.0, patch=1, positions=False, *, rng):
        self.event_shape, self.base, self.multipliers = tuple(event_shape), base, tuple(multipliers)
        self.classes, self.no_label, self.patch = classes, classes, patch
        heights = self._heights(blocks, attention)
        rng, E, (H, W, C) = as_generator(rng), 4 * base, self.event_shape
        widths = [base * m for m in self.multipliers]
        above, below = [base, *widths[:-1]], [*widths[1:], widths[-1]]          # the widths of a level's two neighbours

        def block(level, channels, width):
            attends = heads if heights[level] in attention else 0
            return _Block(channels, width, E, attends, groups, dropout, rng)

        def conv(channels, width, stride=1):
            return Conv2d(channels, width, 3, stride, padding=1, rng=rng)

        self.time = TimeEmbedding(base, E, rng=rng)
        self.class_embedding = Embedding(classes + 1, E, rng=rng) if classes else None
        self.conv_in = conv(patch ** 2 * C, base)
        self.positions = Parameter(rng.standard_normal((H // patch, W // patch, base))) if positions else None
        self.down = [[block(k, w if i else above[k], w) for i in range(blocks)] for k, w in enumerate(widths)]
        self.halve = [conv(w, w, stride=2) for w in widths]
        self.middle = [block(-1, widths[-1], widths[-1]), _Block(widths[-1], widths[-1], E, 0, groups, dropout, rng)]
        self.up = [[block(k, 2 * w, w) for _ in range(blocks)] for k, w in enumerate(widths)]
        self.double = [conv(below[k], w) for k, w in enumerate(widths)]
        self.norm_out = GroupNorm(groups, widths[0])
        self.conv_out = Conv2d(widths[0], patch ** 2 * (out_channels or C), 3, padding=1, rng=rng, weight_init="zeros")

    def _heights(self, blocks, attention):
        """The height of each level and of the middle. Raises ValueError for sizes that do not fit."""
        L, P = len(self.multipliers), self.patch
        if not L or blocks < 1 or P < 1 or len(self.event_shape) != 3:
            raise ValueError("UNet: wants an event_shape (H, W, C), a level and a block at least, got "
                             f"{self.event_shape}, multipliers {self.multipliers}, {blocks} blocks, patch {P}")
        H, W, _ = self.event_shape
        if min(H, W) < 1 or H % (2 ** L * P) or W % (2 ** L * P):
            before = f", after patches of {P} × {P}" if P > 1 else ""
            raise ValueError(f"UNet: {L} levels halve H and W {L} times{before}, so both must be multiples of "
                             f"{2 ** L * P}, got {self.event_shape}; pad the images, or give fewer multipliers")
        heights = [H // P >> level for level in range(L + 1)]
        if not set(attention) <= set(heights):
            raise ValueError(f"UNet: attention at the heights {tuple(attention)}, but the images are {heights} high")
        return heights

    def forward(self, x, t, labels=None):
        """``labels`` (N,), where the net is told classes; left out, all are ``no_label``."""
        e = self._condition(x, t, labels)
        h, skips = self.conv_in(pixel_unshuffle(x, self.patch)), []                                     # Eqs. (7), (1)
        h = h if self.positions is None else h + self.positions                                               # Eq. (8)
        for blocks, halve in zip(self.down, self.halve):
            for block in blocks:
                h = block(h, e)
                skips.append(h)
            h = halve(h)                                                                                      # Eq. (2)
        for block in self.middle:
            h = block(h, e)                                                                                   # Eq. (3)
        for blocks, double in zip(self.up[::-1], self.double[::-1]):
            h = double(resize(h, (2 * h.shape[1], 2 * h.shape[2]), "nearest"))
            for block in blocks:
                h = block(concatenate([h, skips.pop()], axis=-1), e)                                          # Eq. (4)
        y = self.conv_out(silu(self.norm_out(h)))                                                             # Eq. (5)
        return pixel_shuffle(y, self.patch)                                                                   # Eq. (7)

    def _condition(self, x, t, labels):
        """e of Eq. (6), (N, 4 base)."""
        if np.shape(x)[1:] != self.event_shape or np.shape(t) != np.shape(x)[:1]:
            raise ValueError(f"{self.label()} wants images (N, {', '.join(map(str, self.event_shape))}) and one time "
                             f"for each, got x {np.shape(x)} and t {np.shape(t)}")
        t, = lift(t)
        if t.device == "cpu" and bool((t < 0).any()):
            raise ValueError(f"{self.label()} wants times from 0 on, got one of {float(t.min()):g}")
        e = self.time(astype(t, x.dtype))                                       # in float64 where x is
        if not self.classes:
            if labels is not None:
                raise ValueError("UNet: it got labels, but knows no classes; make it with classes=K")
            return e
        labels = full_like(t, self.no_label, "int64") if labels is None else labels
        if np.shape(labels) != np.shape(t):
            raise ValueError(f"UNet wants one label per image, got x {np.shape(x)} and labels {np.shape(labels)}")
        return e + self.class_embedding(labels)

    def describe(self):
        classes = f", classes={self.classes}" if self.classes else ""
        return f"{self.event_shape}, base={self.base}, multipliers={self.multipliers}{classes}"


class _Block(Module):
    """A residual block, and self-attention after it unless ``heads`` is 0."""

    def __init__(self, channels, width, condition_features, heads, groups, dropout, rng):
        self.residual = ResidualBlock(channels, width, condition_features, groups, dropout, rng=rng)
        self.attention = SelfAttention(width, heads, groups, rng=rng) if heads else None

    def forward(self, x, condition):
        h = self.residual(x, condition)
        return self.attention(h) if self.attention else h
