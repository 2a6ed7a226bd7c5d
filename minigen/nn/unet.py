r"""The U-Net of diffusion models: an image and a time in, an image out.

O. Ronneberger, P. Fischer and T. Brox, 2015, arXiv:1505.04597, as made over by J. Ho, A. Jain and P. Abbeel, 2020,
arXiv:2006.11239. On the way down, L levels look at ever coarser images; on the way up, each sees again what its level
saw before, so that no detail has to pass the middle. With e the condition and [·, ·] the channels of two images together,

    h_0 = conv(x)                                                                                                 (1)
    h_l = down(s_l),   s_l = block(h_{l−1}, e)               l = 1 … L: half the size, width w_l = base · m_l        (2)
    g_L = block(attention(block(h_L, e)), e)                 in the middle                                        (3)
    g_{l−1} = block([up(g_l), s_l], e)                       l = L … 1: twice the size                             (4)
    y = conv(silu(norm(g_0))).                                                                                    (5)

A level may have several blocks in a row (each with its own s_l), and self-attention after each. All of them are told

    e = time(t) + class(y),                                                                                       (6)

the sum of an embedding of the time and one of the class. Beside the K classes there is an embedding of "none", for
classifier-free guidance (J. Ho and T. Salimans, 2022, arXiv:2207.12598).

Differences from Ho et al.: every level ends with a halving, so that the middle is coarser than the last level; a skip
is taken after each block only; dropout is off unless asked for; up is nearest-neighbour, then a convolution to the width
of the level.
"""
import numpy as np

from minigen.nn.attention import SelfAttention
from minigen.nn.conv import Conv2d
from minigen.nn.embedding import Embedding
from minigen.nn.groupnorm import GroupNorm
from minigen.nn.module import Module
from minigen.nn.residual import ResidualBlock
from minigen.nn.time_embedding import TimeEmbedding
from minigen.ops.activations import silu
from minigen.ops.create import full_like
from minigen.ops.join import concatenate
from minigen.ops.reduce import broadcast_to
from minigen.random import as_generator


class UNet(Module):
    """Eqs. (1) to (6): x (N, H, W, C), t (N,), labels (N,) → (N, H, W, out_channels).

    Args:
        event_shape: (H, W, C) of one image. With L levels, H and W are multiples of 2^L.
        base, multipliers: level l has base · multipliers[l] channels.
        blocks: residual blocks per level, on the way down and up alike.
        attention: the heights at which self-attention follows each block; from H at the first level to H / 2^L in the
            middle.
        heads: of the attention. groups: of the norms; they divide all widths.
        classes: K, if the net is told classes.
        out_channels: C if left out; 2 C where a variance is learned too.
        dropout: in the residual blocks.
        rng: generator or seed of the weights. The last convolution starts at zero, and so does y.

    Attributes:
        no_label: K, the label that stands for "none"; None without classes.

    Raises ValueError for sizes that do not fit, and for labels where there are no classes; IndexError for a label that is
    neither a class nor K.
    """

    def __init__(self, event_shape=(28, 28, 1), base=32, multipliers=(1, 2), blocks=1, attention=(14, 7), heads=1,
                 groups=8, classes=None, out_channels=None, dropout=0.0, *, rng):
        self.event_shape, self.base, self.multipliers = tuple(event_shape), base, tuple(multipliers)
        self.classes = self.no_label = classes
        heights = self._heights(blocks, attention)
        rng, C, E = as_generator(rng), self.event_shape[2], 4 * base
        widths = [base * m for m in self.multipliers]
        befores = [base, *widths]                                        # channels that come into a level from above

        def block(level, channels, width):
            attends = heads if heights[level] in attention else 0
            return AttentiveBlock(channels, width, E, attends, groups, dropout, rng=rng)

        self.time = TimeEmbedding(base, E, rng=rng)
        self.label = Embedding(classes + 1, E, rng=rng) if classes else None
        self.conv_in = Conv2d(C, base, 3, padding=1, rng=rng)
        self.down = [[block(l, width if i else befores[l], width) for i in range(blocks)] for l, width in enumerate(widths)]
        self.halve = [Conv2d(width, width, 3, stride=2, padding=1, rng=rng) for width in widths]
        self.middle = [block(-1, widths[-1], widths[-1]), ResidualBlock(widths[-1], widths[-1], E, groups, dropout, rng=rng)]
        levels = list(enumerate(widths))[::-1]
        self.double = [Conv2d(below, width, 3, padding=1, rng=rng) for (_, width), below in zip(levels, [widths[-1], *widths[::-1]])]
        self.up = [[block(l, 2 * width, width) for _ in range(blocks)] for l, width in levels]
        self.norm_out = GroupNorm(groups, widths[0])
        self.conv_out = Conv2d(widths[0], out_channels or C, 3, padding=1, rng=rng, weight_init="zeros")

    def forward(self, x, t, labels=None):
        """``labels`` (N,), where the net is told classes; left out, all are ``no_label``."""
        e = self._condition(x, t, labels)
        h, skips = self.conv_in(x), []                                                                        # Eq. (1)
        for blocks, halve in zip(self.down, self.halve):
            for block in blocks:
                h = block(h, e)
                skips.append(h)
            h = halve(h)                                                                                      # Eq. (2)
        for block in self.middle:
            h = block(h, e)                                                                                   # Eq. (3)
        for blocks, double in zip(self.up, self.double):
            h = double(upsample(h))
            for block in blocks:
                h = block(concatenate([h, skips.pop()], axis=-1), e)                                          # Eq. (4)
        return self.conv_out(silu(self.norm_out(h)))                                                          # Eq. (5)

    def _condition(self, x, t, labels):
        """e of Eq. (6), (N, 4 base)."""
        if np.shape(x)[1:] != self.event_shape or np.shape(t) != np.shape(x)[:1]:
            raise ValueError(f"{self.describe()} wants images (N, {', '.join(map(str, self.event_shape))}) and one time for each, "
                             f"got x {np.shape(x)} and t {np.shape(t)}")
        e = self.time(t)
        if not self.classes:
            if labels is not None:
                raise ValueError("UNet: it got labels, but knows no classes; make it with classes=K")
            return e
        labels = full_like(t, self.no_label, "int64") if labels is None else labels
        if np.shape(labels) != np.shape(t):
            raise ValueError(f"UNet wants one label per image, got x {np.shape(x)} and labels {np.shape(labels)}")
        return e + self.label(labels)
