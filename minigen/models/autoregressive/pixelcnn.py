r"""PixelCNN: the factors of an image computed by masked convolutions.

A. van den Oord, N. Kalchbrenner and K. Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759, Section
3.5. With ⊛_A and ⊛_B the masked convolutions of `minigen.nn.masked_conv`, W_1 a kernel of K₁ × K₁, W_b of K × K, and
1 × 1 convolutions V_b, U_b that halve the 2h features and restore them,

    y_0 = W_1 ⊛_A x,                                                                                             (1)
    y_b = y_{b−1} + U_b ⊛_B relu(W_b ⊛_B relu(V_b ⊛_B relu(y_{b−1}))),    b = 1 … B,                             (2)
    logits = two 1 × 1 convolutions of mask B, each after a ReLU.                                                (3)

**What it sees, and the blind spot.** A path from an input to an output makes one step in (1), up to R₁ = K₁ // 2 rows
and columns, and one in each block, up to R = K // 2. Downward steps go to either side, but steps within a row go only
from left to right. So d rows up, the farthest input to the right is reached by going up a row as often as possible:

    k_max(d) = R₁ + R · min(B, d − 1)   columns to the right (where R ≤ R₁),    1 ≤ d ≤ R₁ + B R,                (4)

while to the left all columns up to R₁ + B R are seen. With 3 × 3 kernels k_max(d) = d: a pixel never learns of those
above it to the right of the diagonal, however deep the network is: the *blind spot* (arXiv:1606.05328, Figure 1). The
gated PixelCNN has none.
"""
import minigen as mg
from minigen import nn
from minigen.models.autoregressive.pixels import PixelModel, head
from minigen.nn.masked_conv import Memory, everywhere
from minigen.random import as_generator


class PixelCNN(PixelModel):
    """Residual blocks of masked convolutions, Eqs. (1) to (3).

    Args:
        event_shape, values: as in `PixelModel`.
        hidden: h. blocks: B. first_kernel, kernel: K₁ and K, odd. head_width: features between the last two layers.
        rng: generator or seed of the initial weights.
    """

    def __init__(self, event_shape=(28, 28, 1), hidden=16, blocks=7, values=2, first_kernel=7, kernel=3, head_width=64,
                 *, rng=0):
        super().__init__(event_shape, values)
        rng, channels = as_generator(rng), event_shape[2]
        self.first = nn.MaskedConv2d(channels, 2 * hidden, first_kernel, "A", channels, rng=rng)
        self.blocks = [ResidualBlock(hidden, kernel, channels, rng=rng) for _ in range(blocks)]
        self.head = head(2 * hidden, head_width, self._outputs(), channels, rng)

    def network(self, x, labels=None, conv=everywhere):
        y = conv(self.first, x)                                                                              # Eq. (1)
        for block in self.blocks:
            y = block(y, conv)
        return self.head(y)                                                                                  # Eq. (3)

    def _walk(self, x, labels, first_row):
        """As `_walk_naively`, but each step computes its pixel alone."""
        height, width, channels = self.event_shape
        memory = Memory(height, width)
        if first_row:
            self.network(self._scaled(x), conv=memory.at(slice(0, first_row), slice(0, width)))
        for r in range(first_row, height):
            for c in range(width):
                memory.at(slice(r, r + 1), slice(c, c + 1))
                for k in range(channels):
                    yield (r, c, k), self._shaped(self.network(self._scaled(x), conv=memory))[:, 0, 0, k]


class ResidualBlock(nn.Module):
    """Eq. (2), on (N, H, W, 2 hidden)."""

    def __init__(self, hidden, kernel, channels=1, *, rng):
        self.narrow = nn.MaskedConv2d(2 * hidden, hidden, 1, channels=channels, rng=rng)
        self.mix = nn.MaskedConv2d(hidden, hidden, kernel, channels=channels, rng=rng)
        self.widen = nn.MaskedConv2d(hidden, 2 * hidden, 1, channels=channels, rng=rng)

    def forward(self, y, conv=everywhere):
        h = mg.relu(self.narrow(mg.relu(y)))
        return y + self.widen(mg.relu(conv(self.mix, h)))                                                    # Eq. (2)
