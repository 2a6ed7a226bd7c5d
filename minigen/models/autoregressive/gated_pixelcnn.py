r"""The gated PixelCNN: two stacks without a blind spot, gates, and a label if there is one.

A. van den Oord, N. Kalchbrenner, O. Vinyals, L. Espeholt, A. Graves and K. Kavukcuoglu, "Conditional Image Generation
with PixelCNN Decoders", 2016, arXiv:1606.05328.

The *vertical* stack v has seen all rows above a pixel, in all columns: its convolutions need no mask but for the rows.
The *horizontal* stack h has seen the pixel's own row up to the pixel, and in every layer it is told what the vertical
one knows. With *_v and *_h the convolutions of the two (`minigen.nn.masked_conv`), of K × K and 1 × K taps, the layers
l = 1 … L are

    a_l = W_l *_v v_{l−1},                         v_l = tanh(a_l + c_l)' ⊙ σ(a_l + c_l)'',                       (1)
    b_l = U_l *_h h_{l−1} + P_l a_l + e_l,         h_l = Q_l (tanh(b_l') ⊙ σ(b_l'')) + h_{l−1},                   (2)

where ' and '' are the first and the second half of 2P features, P_l and Q_l are 1 × 1, and v_0 = h_0 = x. The first
layer has mask A, so that v_1 has seen rows above and h_1 pixels before, larger kernels, and no residual h_0. Logits are
read from h_L. The stacks are kept apart: h may be told of v, but were v told of h, it would see later pixels.

**Conditions.** c_l and e_l are biases that depend on the class: Vᵀ y of a one-hot y, the same at all pixels, so a label
says what the image is and not where (the paper's Eq. 4). The paper also lets them depend on the place, by a map of s
(its Eq. 5). Here s may be the place itself: with ``places`` the first layer is told the row and the column of each
pixel, scaled to [−1, 1]. A convolution does not know where it is until it sees a border; a small net that is told soon
learns that digits stand in the middle.

**What it sees.** With R = K₁ // 2 + (L − 1)(K // 2): the rectangle of R rows above and R columns to either side, and R
pixels to the left: all of it, nothing else, and nothing is blind.                                               (3)
"""
import numpy as np

import minigen as mg
from minigen import nn
from minigen.models.autoregressive.pixels import PixelModel, head
from minigen.nn.gate import gated_tanh
from minigen.nn.masked_conv import Memory, everywhere
from minigen.random import as_generator


class GatedPixelCNN(PixelModel):
    """Two stacks of gated layers, Eqs. (1), (2); with ``classes``, p(x | label).

    Args:
        event_shape, values, classes: as in `PixelModel`. Batches of a conditional model are {"x", "y"}.
        features: P. layers: L. first_kernel, kernel: K₁ and K, odd. head_width: features between the last two layers.
        places: tell the first layer where each pixel is (not in the paper).
        rng: generator or seed of the initial weights.
    """

    def __init__(self, event_shape=(28, 28, 1), features=32, layers=7, values=2, classes=None, first_kernel=7, kernel=3,
                 head_width=64, places=False, *, rng=0):
        super().__init__(event_shape, values, classes)
        if layers < 1:
            raise ValueError(f"GatedPixelCNN: wants a layer or more, got layers={layers}")
        rng, channels = as_generator(rng), event_shape[2]
        self.layers = [GatedLayer(features if l else channels, features, kernel if l else first_kernel,
                                  "B" if l else "A", channels, classes, rng=rng) for l in range(layers)]
        self.head = head(features, head_width, self._outputs(), channels, rng)
        self.places = None
        if places:
            self.places = [nn.Linear(2, 2 * features, bias=False, rng=rng) for _ in range(2)]
            with mg.use(rng.backend):
                self.coordinates = mg.tensor(_coordinates(*event_shape[:2]))

    def network(self, x, labels=None):
        biases = self.biases(labels)
        return self.horizontal(x, self.vertical(x, biases), biases)

    def biases(self, labels):
        """(c_l, e_l) of each layer: (N or 1, 1 or H, 1 or W, 2P) each, or 0."""
        biases = [(0, 0) if labels is None else layer.biases(labels) for layer in self.layers]
        if self.places:
            biases[0] = tuple(bias + place(self.coordinates) for bias, place in zip(biases[0], self.places))
        return biases

    def vertical(self, v, biases, conv=everywhere):
        """The vertical stack: what each layer tells the horizontal one, P_l a_l, a list of (N, rows, W, 2P)."""
        told = []
        for layer, (c, _) in zip(self.layers, biases):
            v, tells = layer.vertical(v, conv.part(c), conv)
            told.append(tells)
        return told

    def horizontal(self, h, told, biases, conv=everywhere):
        """The horizontal stack and the head: (N, rows, columns, outputs)."""
        for layer, tells, (_, e) in zip(self.layers, told, biases):
            h = layer.horizontal(h, tells, conv.part(e), conv)
        return self.head(h)

    def _walk(self, x, labels, first_row):
        """As `_walk_naively`, but a row of the vertical stack at a time, and of the horizontal one the pixel alone."""
        height, width, channels = self.event_shape
        memory, biases = Memory(height, width), self.biases(labels)
        if first_row:
            memory.at(slice(0, first_row), slice(0, width))
            self.horizontal(self._scaled(x), self.vertical(self._scaled(x), biases, memory), biases, memory)
        for r in range(first_row, height):
            row = slice(r, r + 1)
            told = self.vertical(self._scaled(x), biases, memory.at(row, slice(0, width)))
            for c in range(width):
                here = [tells[:, :, c:c + 1] for tells in told]
                memory.at(row, slice(c, c + 1))
                for k in range(channels):
                    h = self.horizontal(self._scaled(x), here, biases, memory)
                    yield (r, c, k), self._shaped(h)[:, 0, 0, k]


def _coordinates(height, width):
    """Row and column of each pixel, scaled to [−1, 1]: (1, H, W, 2)."""
    grid = np.meshgrid(*(np.linspace(-1, 1, size, dtype=np.float32) for size in (height, width)), indexing="ij")
    return np.stack(grid, axis=-1)[None]


class GatedLayer(nn.Module):
    """One layer of both stacks, Eqs. (1), (2).

    Args: in_features: of v and h. features: P. mask: ``"A"`` in the first layer, which has no residual; else ``"B"``.
    """

    def __init__(self, in_features, features, kernel, mask, channels=1, classes=None, *, rng):
        self.residual = mask == "B"
        self.down = nn.VerticalConv2d(in_features, 2 * features, kernel, mask, rng=rng)                      # W
        self.across = nn.MaskedConv2d(in_features, 2 * features, (1, kernel), mask, channels, 2, rng=rng)    # U
        self.link = nn.Linear(2 * features, 2 * features, rng=rng)                                           # P
        self.out = nn.MaskedConv2d(features, features, 1, channels=channels, rng=rng)                        # Q
        self.label_biases = None
        if classes is not None:
            self.label_biases = [nn.Embedding(classes, 2 * features, rng=rng, weight_init="torch") for _ in range(2)]

    def biases(self, labels):
        """c and e, (N, 1, 1, 2P) each."""
        return [bias(labels)[:, None, None] for bias in self.label_biases]

    def vertical(self, v, c, conv=everywhere):
        """(v, what the horizontal stack is told)."""
        a = conv(self.down, v)
        return gated_tanh(a + c), self.link(a)                                                               # Eq. (1)

    def horizontal(self, h, told, e, conv=everywhere):
        """The next h."""
        y = self.out(gated_tanh(conv(self.across, h) + told + e))                                            # Eq. (2)
        return y + h if self.residual else y
