r"""Recurrent layers: LSTM and GRU, one step at a time (the cells) and over whole sequences.

A cell reads x_t and what it remembers. With W_x (D, GH), W_h (H, GH) and two biases, G the number of gates,

    a_t = x_t W_x + b_x,    m_t = h_{t−1} W_h + b_h,                                                             (1)

each cut into G gates of H numbers. One matrix product makes all the gates of a step, and a sequence's a_t for all t are
one product too; only m_t must wait for the step before.

The LSTM (S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", 1997; with the forget gate of F. Gers,
J. Schmidhuber and F. Cummins, 2000) keeps a memory c beside its output h:

    i, f, g, o = gates of a_t + m_t,                                                                             (2)
    c_t = σ(f) ⊙ c_{t−1} + σ(i) ⊙ tanh(g),    h_t = σ(o) ⊙ tanh(c_t).                                            (3)

Along c the derivative is ∂c_t/∂c_{t−1} = σ(f), not a matrix and a saturating function: where the forget gate is open,
it neither vanishes nor explodes.

The GRU (K. Cho et al., 2014, arXiv:1406.1078) has no other memory than h, and moves it a part of the way to n:

    r, z = σ(first two gates of a_t + m_t),    n = tanh(a_n + r ⊙ m_n),                                          (4)
    h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}.                                                                             (5)

Order of gates, formulas, both biases and their start are PyTorch's; its weights are ours transposed. (The GRU's paper
applies r before the product with W_h; this is the form of cuDNN.) The loop of the sequence layers is `minigen.nn.scan`.
"""
from minigen.functional import linear
from minigen.nn.init import initial, uniform
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.nn.scan import gru_scan, lstm_scan
from minigen.ops.activations import sigmoid
from minigen.ops.create import zeros_like
from minigen.ops.elementwise import tanh
from minigen.ops.join import concatenate, split
from minigen.ops.shape import swapaxes
from minigen.random import as_generator


class _Recurrent(Module):
    """What the four layers share: the weights of Eq. (1), and errors that name the layer.

    Subclasses say how many ``gates`` there are, and how many Tensors (N, H) are the state.
    """
    gates, states = 4, 2

    def __init__(self, in_features, hidden, *, rng):
        if in_features < 1 or hidden < 1:
            raise ValueError(f"{type(self).__name__}: wants at least one feature and one hidden unit, got "
                             f"{in_features} and {hidden}")
        rng, width = as_generator(rng), self.gates * hidden
        self.in_features, self.hidden = in_features, hidden

        def start(*shape):
            return Parameter(initial(lambda shape, rng: uniform(shape, rng, hidden ** -0.5), shape, rng))

        self.weight_x, self.weight_h = start(in_features, width), start(hidden, width)
        self.bias_x, self.bias_h = start(width), start(width)

    def _check(self, x, ndim, state):
        """The state as a tuple of Tensors (N, H), or None, checked against x."""
        self.expect_features(x, self.in_features)
        wanted = "(N, D)" if ndim == 2 else "(N, T, D)"
        if x.ndim != ndim or 0 in x.shape[1:]:
            raise ValueError(f"{self.label()}: wants x {wanted}" + (", T ≥ 1" if ndim == 3 else "")
                             + f", got shape {x.shape}")
        if state is None:
            return None
        state, shape = state if self.states > 1 else (state,), (x.shape[0], self.hidden)
        if len(state) != self.states or any(s.shape != shape for s in state):
            names = "(h, c), each" if self.states > 1 else "h"
            raise ValueError(f"{self.label()}: wants an initial state {names} of shape {shape}, got "
                             f"{', '.join(str(getattr(s, 'shape', type(s).__name__)) for s in state)}")
        return tuple(state)

    def _read(self, x):
        return linear(x, self.weight_x, self.bias_x)                                                         # Eq. (1)

    def _recall(self, h):
        return linear(h, self.weight_h, self.bias_h)                                                         # Eq. (1)

    def describe(self):
        return f"{self.in_features}, {self.hidden}"


class LSTMCell(_Recurrent):
    """One step, Eqs. (1) to (3): x (N, in_features) and the state (h, c), (N, hidden) each → the next (h, c).

    Args:
        rng: generator or seed of the weights, uniform on ±1/√hidden as in PyTorch.

    Attributes:
        weight_x (in_features, 4 hidden), weight_h (hidden, 4 hidden), bias_x and bias_h (4 hidden,).

    Without a state it starts from zeros. Raises ValueError for sizes that do not fit.
    """

    def forward(self, x, state=None):
        h, c = self._check(x, 2, state) or self._zeros(x)
        i, f, g, o = split(self._read(x) + self._recall(h), self.gates, axis=-1)                             # Eq. (2)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)                                                            # Eq. (3)
        return sigmoid(o) * tanh(c), c

    def _zeros(self, x):
        zero = zeros_like(self._read(x)[:, :self.hidden])                         # of the right dtype, where x lives
        return zero, zero


class GRUCell(_Recurrent):
    """One step, Eqs. (1), (4), (5): x (N, in_features) and h (N, hidden) → the next h. The rest as in `LSTMCell`."""
    gates, states = 3, 1

    def forward(self, x, state=None):
        a = self._read(x)
        h, = self._check(x, 2, state) or (zeros_like(a[:, :self.hidden]),)
        (a_r, a_z, a_n), (m_r, m_z, m_n) = split(a, 3, axis=-1), split(self._recall(h), 3, axis=-1)
        r, z = sigmoid(a_r + m_r), sigmoid(a_z + m_z)
        n = tanh(a_n + r * m_n)                                                                              # Eq. (4)
        return (1 - z) * n + z * h                                                                           # Eq. (5)


class LSTM(_Recurrent):
    """An `LSTMCell` over sequences: x (N, T, in_features) → (h of all steps (N, T, hidden), the last (h, c)).

    Arguments, attributes and errors are the cell's, and so is the initial state (h, c). To read a sequence backwards,
    flip it: ``lstm(mg.flip(x, 1))``.
    """

    def forward(self, x, state=None):
        state = self._check(x, 3, state)
        a = self._read(swapaxes(x, 0, 1))[:, :, None]                             # (T, N, 1, 4H): a single position
        first = state and concatenate(state[::-1], axis=-1)[:, None]              # c before h
        h, c = lstm_scan(a, self.weight_h, self.bias_h, first)
        h = swapaxes(h[:, :, 0], 0, 1)
        return h, (h[:, -1], c[:, 0])


class GRU(_Recurrent):
    """A `GRUCell` over sequences: x (N, T, in_features) → (h of all steps (N, T, hidden), the last h). See `LSTM`."""
    gates, states = 3, 1

    def forward(self, x, state=None):
        state = self._check(x, 3, state)
        a = self._read(swapaxes(x, 0, 1))[:, :, None]                             # (T, N, 1, 3H)
        h = swapaxes(gru_scan(a, self.weight_h, self.bias_h, state and state[0][:, None])[:, :, 0], 0, 1)
        return h, h[:, -1]
