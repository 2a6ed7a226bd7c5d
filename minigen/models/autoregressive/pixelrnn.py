r"""PixelRNN: LSTMs that run over the rows of an image, or along its diagonals.

A. van den Oord, N. Kalchbrenner and K. Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759.

Both layers are LSTMs whose state is a row of positions. With ⊛ a convolution along the row (`minigen.nn.scan`),

    o, f, i, g = K^ss ⊛ h_{t−1} + K^is ⊛ x_t,                                                                     (1)
    c_t = σ(f) ⊙ c_{t−1} + σ(i) ⊙ tanh(g),    h_t = σ(o) ⊙ tanh(c_t).                                             (2)

K^is reads the layer's input and is masked (mask B); it is applied to all pixels at once. K^ss reads states of the past
and needs no mask.

**Row LSTM.** t is the row. K^ss has K taps, centred, K^is is 1 × K. So a state knows its neighbours in the row above,
their neighbours in the row above that, …: a triangle. A path from an input d rows up starts with the first convolution,
K₁ × K₁ of mask A, reach R₁ = K₁ // 2, and then goes down by states, R = K // 2 columns to either side for each row.
Within a row each of L layers goes R columns from left to right. So d rows up a pixel sees the columns

    from −(R₁ + L R + d R)  to  R₁ + (d − 1) R    (where R ≤ R₁; from −(R₁ + L R) to −1 in its own row),          (3)

and with K₁ = K = 3 the right edge is the diagonal. What is farther to the right it never sees, as in the PixelCNN.

**Diagonal BiLSTM.** t is a diagonal. Shift row r by r places to the right (*skew*), and the pixels of a diagonal
stand in one column of H + W − 1: there the left neighbour and the one above are in the column before, in rows r and
r − 1. So K^ss has two taps along the column, K^is is 1 × 1, and a state knows everything above and left of its pixel. A
second LSTM runs from the right, in the mirror image, and knows everything above and right of it. Its states are moved
down by a row before the two are added, for the right neighbour is a pixel that is yet to come. Together:

    all rows above in all columns, and the pixel's own row to its left.                                           (4)

**The network.** A first convolution, L such layers each with a residual connection (h features of the LSTM are brought
to the 2h of its input by a 1 × 1 convolution), and two 1 × 1 convolutions to the logits.

Differences from the paper: its layers are told of the image by the first convolution alone. What that makes of a row
has mask A, so the row's last pixel is missing from it: the right-hand LSTM would never learn of it, and (4) would lack
one pixel. Here it reads the image besides, own pixel and all, which its states may know, being moved down. And we leave
out the skip connections from each layer to the output, which help little where there are residuals (its Table 2).
"""
import minigen as mg
from minigen import nn
from minigen.models.autoregressive.pixels import PixelModel, head
from minigen.nn.init import initial
from minigen.nn.masked_conv import Memory
from minigen.nn.scan import lstm_scan
from minigen.random import as_generator


class PixelRNN(PixelModel):
    """A first convolution, layers of LSTMs over the image, and a head.

    Args:
        event_shape, values: as in `PixelModel`.
        kind: ``"row"`` or ``"diagonal"``.
        hidden: h, states of an LSTM at each pixel. layers: L. first_kernel: K₁. kernel: K of the Row LSTM.
        head_width: features between the last two layers. rng: generator or seed of the initial weights.
    """

    def __init__(self, event_shape=(28, 28, 1), kind="diagonal", hidden=16, layers=2, values=2, first_kernel=7,
                 kernel=3, head_width=32, *, rng=0):
        super().__init__(event_shape, values)
        if kind not in ("row", "diagonal"):
            raise ValueError(f"PixelRNN: the kind is 'row' or 'diagonal', got {kind!r}")
        rng, channels, self.kind = as_generator(rng), event_shape[2], kind
        self.first = nn.MaskedConv2d(channels, 2 * hidden, first_kernel, "A", channels, rng=rng)
        self.layers = [RowLSTM(hidden, kernel, channels, rng=rng) if kind == "row"
                       else DiagonalBiLSTM(hidden, channels, rng=rng) for _ in range(layers)]
        self.head = head(2 * hidden, head_width, self._outputs(), channels, rng)

    def network(self, x, labels=None):
        return self._rows(self.first(x), x, [None] * len(self.layers))[0]

    def _rows(self, y, x, states):
        """(logits of some rows, the layers' states below them) from y and x of these rows and the states above them."""
        below = []
        for layer, state in zip(self.layers, states):
            y, state = layer(y, x, state)
            below.append(state)
        return self.head(y), below

    def _walk(self, x, labels, first_row):
        """As `_walk_naively`, but each step computes its row alone, from the states of the row above."""
        height, width, channels = self.event_shape
        memory, states = Memory(height, width), [None] * len(self.layers)

        def run(rows):
            memory.at(rows, slice(0, width))
            return self._rows(memory(self.first, self._scaled(x)), self._scaled(x)[:, rows], states)

        if first_row:
            states = run(slice(0, first_row))[1]
        for r in range(first_row, height):
            for c in range(width):
                for k in range(channels):
                    yield (r, c, k), self._shaped(run(slice(r, r + 1))[0])[:, 0, c, k]
            states = run(slice(r, r + 1))[1]


class RowLSTM(nn.Module):
    """An LSTM from row to row, with its residual: y (N, H, W, 2 hidden) → the same, and its state below these rows.

    Eqs. (1), (2), (3). It starts from ``state``, that above these rows (N, W, 2 hidden), or from zeros. The image x is
    of no use to it.
    """

    def __init__(self, hidden, kernel=3, channels=1, *, rng):
        self.kernel = kernel
        self.read = nn.MaskedConv2d(2 * hidden, 4 * hidden, (1, kernel), "B", channels, parts=4, rng=rng)    # K^is
        self.recall = nn.Parameter(initial("torch", (kernel * hidden, 4 * hidden), rng))                     # K^ss
        self.widen = nn.MaskedConv2d(hidden, 2 * hidden, 1, "B", channels, rng=rng)

    def forward(self, y, x, state=None):
        a = mg.swapaxes(self.read(y), 0, 1)                                                       # (H, N, W, 4h)
        h, c = lstm_scan(a, self.recall, None, state, taps=self.kernel, left=self.kernel // 2)               # Eq. (1)
        return y + self.widen(mg.swapaxes(h, 0, 1)), mg.concatenate([c, h[-1]], axis=-1)


class DiagonalBiLSTM(nn.Module):
    """Two LSTMs along the diagonals, with their residual: y (N, H, W, 2 hidden) and the image x (N, H, W, channels) →
    (N, H, W, 2 hidden), and their states below these rows.

    Eqs. (1), (2), (4). They start from ``state``, those of the row above, a pair of (N, W, hidden), or from zeros.
    """

    def __init__(self, hidden, channels=1, *, rng):
        self.hidden = hidden
        self.reads = [nn.MaskedConv2d(2 * hidden, 4 * hidden, 1, "B", channels, parts=4, rng=rng) for _ in range(2)]
        self.recalls = [nn.Parameter(initial("torch", (2 * hidden, 4 * hidden), rng)) for _ in range(2)]
        self.look = nn.Linear(channels, 4 * hidden, bias=False, rng=rng)
        self.widen = nn.MaskedConv2d(hidden, 2 * hidden, 1, "B", channels, rng=rng)

    def forward(self, y, x, state=None):
        above_left, above_right = state or (mg.zeros_like(y[:, 0, :, :self.hidden]),) * 2
        left = _run(self.reads[0](y), self.recalls[0], above_left)
        right = mg.flip(self.reads[1](y) + self.look(x), 2)                                       # from the other side
        right = mg.flip(_run(right, self.recalls[1], mg.flip(above_right, 1)), 2)
        moved = mg.concatenate([above_right[:, None], right[:, :-1]], axis=1)                     # a row down
        return y + self.widen(left + moved), (left[:, -1], right[:, -1])


def _run(a, w, above):
    """An LSTM along the diagonals from the upper left corner: gates (N, H, W, 4h), the states above (N, W, h) → states.

    Position r of a diagonal reads the states of positions r − 1 and r of the one before. The first position has no
    position above; what it would read there is added to its gates.
    """
    first = a[:, :1] + mg.matmul(above, w[:above.shape[-1]])[:, None]
    h, _ = lstm_scan(skew(mg.concatenate([first, a[:, 1:]], axis=1)), w, taps=2, left=1)
    return unskew(h, a.shape[2])


def skew(x):
    """Row r moved r places to the right, and columns first: (N, H, W, C) → (H + W − 1, N, H, C), zeros outside.

    In memory a row begins H + W places after the one before; take it to begin H + W − 1 after, and each row has moved
    one place more than the last.
    """
    N, H, W, C = x.shape
    padded = mg.pad(x, ((0, 0), (0, 0), (0, H), (0, 0))).reshape((N, H * (H + W), C))
    return mg.transpose(padded[:, :-H].reshape((N, H, H + W - 1, C)), (2, 0, 1, 3))


def unskew(x, width):
    """The inverse of `skew`: (H + W − 1, N, H, C) → (N, H, W, C)."""
    T, N, H, C = x.shape
    flat = mg.transpose(x, (1, 2, 0, 3)).reshape((N, H * T, C))
    return mg.pad(flat, ((0, 0), (0, H), (0, 0))).reshape((N, H, T + 1, C))[:, :, :width]
