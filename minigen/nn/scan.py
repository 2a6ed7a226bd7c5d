r"""A recurrence over T steps as one op: the loop, and its backward pass written out.

A recurrent cell turns what it reads at step t, a_t, and its state s_{t−1} into the next state. Part of the state is the
output h, and only h meets weights on its way to the next step:

    m_t = h_{t−1} W + b,    s_t = cell(a_t, m_t, s_{t−1}).                                                       (1)

Backwards, with s̄_T = 0 to begin with, each step adds what comes from the loss to what comes from the next step, and
the cell's own derivative turns that into ā_t, m̄_t and the direct part of s̄_{t−1}. The rest of h̄_{t−1} is

    m̄_t Wᵀ,    and in the end    W̄ = Σ_t h_{t−1}ᵀ m̄_t,    b̄ = Σ_t m̄_t.                                          (2)

One op for each step would work too, but each slice a_t of a would send back a cotangent as large as a: time and memory
in T². Here the loop is inside the op. It keeps the gates of every step, so nothing is computed twice; and since its
four inputs share the recursion (2), they come packed as one vector, and one pass serves them all.

The two cells, with ⊙ elementwise, their gates in PyTorch's order, and a, m cut into as many pieces:

    LSTM (S. Hochreiter and J. Schmidhuber, 1997; the forget gate is by F. Gers et al., 2000):
    i, f, o = σ(a + m),    g = tanh(a + m),    c_t = f ⊙ c_{t−1} + i ⊙ g,    h_t = o ⊙ tanh c_t.                  (3)

    GRU (K. Cho et al., 2014, arXiv:1406.1078; r after the product, as in cuDNN and PyTorch):
    r, z = σ(a + m),    n = tanh(a_n + r ⊙ m_n),    h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}.                              (4)

**Positions.** A state may be a row of P positions, whose h is convolved instead of multiplied: then position p reads
the h of the positions p − left … p − left + taps − 1, zero outside. With taps = 1 it is (1) at each position.
"""
from collections.abc import Callable
from typing import NamedTuple

from minigen.ops.activations import sigmoid
from minigen.ops.create import zeros_like
from minigen.ops.elementwise import tanh
from minigen.ops.join import concatenate, stack
from minigen.ops.linalg import matmul
from minigen.ops.reduce import sum
from minigen.primitive import primitive


class Cell(NamedTuple):
    """A cell's derivative, written out.

    Attributes: gates: pieces of H numbers in a and in m. kept: pieces in what is kept of a step; the last ones are the
        state, of which the last is h. state: how many these are.
        forward: (xp, a, m, s, y): fills y, what is kept. backward: (cotangent of the kept gates, of the state; y; s) →
        (ā, m̄, the direct parts of s̄, a list).
    """
    gates: int
    kept: int
    state: int
    forward: Callable
    backward: Callable


def lstm_scan(a, w, b=None, state=None, taps=1, left=0):
    """An LSTM over T steps, Eqs. (1) and (3).

    Args:
        a: what is read, (T, N, P, 4H), gates in the order i, f, g, o.
        w: (taps · H, 4H). b: (4H,), or None. state: (N, P, 2H), c_0 before h_0; None: zeros.

    Returns (h (T, N, P, H), the last c (N, P, H)).
    """
    y, H = _run(LSTM, a, w, b, state, taps, left), w.shape[1] // LSTM.gates
    return y[..., 5 * H:], y[-1, ..., 4 * H:5 * H]


def gru_scan(a, w, b=None, state=None, taps=1, left=0):
    """A GRU over T steps, Eqs. (1) and (4): a (T, N, P, 3H), gates in the order r, z, n; state (N, P, H) → h."""
    H = w.shape[1] // GRU.gates
    return _run(GRU, a, w, b, state, taps, left)[..., 4 * H:]


def _run(cell, a, w, b, state, taps, left):
    H = w.shape[1] // cell.gates
    b = zeros_like(w[0]) if b is None else b
    state = zeros_like(a[0, ..., :cell.state * H]) if state is None else state
    parts = (a, w, b, state)
    packed = concatenate([part.reshape(-1) for part in parts])
    return _scan(packed, cell, tuple(part.shape for part in parts), taps, left)


def _unpack(packed, shapes):
    parts, start = [], 0
    for shape in shapes:
        size = 1
        for length in shape:
            size *= length
        parts.append(packed[start:start + size].reshape(shape))
        start += size
    return parts


# ---- the loop --------------------------------------------------------------------------------------------------------
@primitive
def _scan(xp, packed, *, cell, shapes, taps, left):
    """What is kept of every step, (T, N, P, kept · H)."""
    a, w, b, s = _unpack(packed, shapes)
    H = w.shape[1] // cell.gates
    y = xp.empty((*a.shape[:-1], cell.kept * H), packed.dtype)
    for a_t, y_t in zip(a, y):
        m = _rows(_spread(xp, s[..., -H:], taps, left)) @ w                                                  # Eq. (1)
        m += b
        cell.forward(xp, a_t, m.reshape(a_t.shape), s, y_t)
        s = y_t[..., -cell.state * H:]
    return y


def _scan_vjp(g, packed, out, cell, shapes, taps, left):
    """Eq. (2), for all four inputs at once."""
    _, w, _, first = _unpack(packed, shapes)
    H = w.shape[1] // cell.gates
    S = cell.state * H
    states, carry, a_bars, m_bars = out[..., -S:], 0.0, [], []
    for t in reversed(range(shapes[0][0])):
        s = states[t - 1] if t else first
        a_bar, m_bar, direct = cell.backward(g[t][..., :-S], g[t][..., -S:] + carry, out[t], s)
        through = _windows_vjp(matmul(m_bar, w.T), taps, left)
        carry = concatenate([*direct[:-1], direct[-1] + through], axis=-1)
        a_bars.append(a_bar)
        m_bars.append(m_bar)
    h = concatenate([first[None], states[:-1]])[..., -H:]                                      # h_0 … h_{T−1}
    m_bar = _rows(stack(m_bars[::-1]))
    w_bar = matmul(_rows(h if taps == 1 else _windows(h, taps, left)).T, m_bar)
    parts = (stack(a_bars[::-1]), w_bar, sum(m_bar, axis=0), carry)
    return concatenate([part.reshape((-1,)) for part in parts])


_scan.vjp(_scan_vjp)


def _rows(x):
    return x.reshape((-1, x.shape[-1]))


# ---- positions -------------------------------------------------------------------------------------------------------
def _spread(xp, h, taps, left):
    """What each position reads: h (…, P, H) → (…, P, taps · H)."""
    if taps == 1:
        return h
    P, H = h.shape[-2:]
    out = xp.zeros((*h.shape[:-1], taps * H), h.dtype)
    for k, to, of in _meetings(P, taps, left):
        out[..., to, k * H:(k + 1) * H] = h[..., of, :]
    return out


def _meetings(P, taps, left):
    """(tap, positions that read, positions that they read) for each tap that meets any."""
    for k in range(taps):
        shift = k - left
        if abs(shift) < P:
            yield k, slice(max(0, -shift), P - max(0, shift)), slice(max(0, shift), P - max(0, -shift))


@primitive
def _windows(xp, h, *, taps, left):
    return _spread(xp, h, taps, left)


@primitive
def _gather(xp, x, *, taps, left):
    """The adjoint of `_windows`: (…, P, taps · H) → (…, P, H)."""
    P, H = x.shape[-2], x.shape[-1] // taps
    out = xp.zeros((*x.shape[:-1], H), x.dtype)
    for k, to, of in _meetings(P, taps, left):
        out[..., of, :] += x[..., to, k * H:(k + 1) * H]
    return out


_windows.vjp(lambda g, taps, left: _gather(g, taps, left))
_gather.vjp(lambda g, taps, left: _windows(g, taps, left))


def _windows_vjp(g, taps, left):
    return g if taps == 1 else _gather(g, taps, left)


# ---- the cells -------------------------------------------------------------------------------------------------------
def _cut(x, H):
    """x in pieces of H numbers along the last axis."""
    return [x[..., k:k + H] for k in range(0, x.shape[-1], H)]


def _lstm_forward(xp, a, m, s, y):
    H = s.shape[-1] // 2
    i, f, g, o, c, h = _cut(y, H)                                                              # views into y
    xp.add(a, m, out=y[..., :4 * H])
    for gate in (y[..., :2 * H], o):
        gate[...] = sigmoid.op.forward(xp, gate)
    gate = xp.tanh(g, out=g)
    c[...] = f * s[..., :H] + i * gate                                                                       # Eq. (3)
    h[...] = o * xp.tanh(c)


def _lstm_backward(gates_bar, s_bar, y, s):
    H = s.shape[-1] // 2
    (i_bar, f_bar, g_bar, o_bar), (c_bar, h_bar) = _cut(gates_bar, H), _cut(s_bar, H)
    i, f, g, o, c, _ = _cut(y, H)
    t = tanh(c)
    c_bar = c_bar + h_bar * o * (1 - t * t)
    m_bar = concatenate([(i_bar + c_bar * g) * i * (1 - i), (f_bar + c_bar * s[..., :H]) * f * (1 - f),
                         (g_bar + c_bar * i) * (1 - g * g), (o_bar + h_bar * t) * o * (1 - o)], axis=-1)
    return m_bar, m_bar, [c_bar * f, 0.0]


def _gru_forward(xp, a, m, s, y):
    H = s.shape[-1]
    r, z, n, m_n, h = _cut(y, H)
    y[..., :2 * H] = sigmoid.op.forward(xp, a[..., :2 * H] + m[..., :2 * H])
    m_n[...] = m[..., 2 * H:]
    n[...] = xp.tanh(a[..., 2 * H:] + r * m_n)
    h[...] = n + z * (s - n)                                                                                 # Eq. (4)


def _gru_backward(gates_bar, h_bar, y, s):
    H = s.shape[-1]
    r_bar, z_bar, n_bar, m_n_bar = _cut(gates_bar, H)
    r, z, n, m_n, _ = _cut(y, H)
    a_n = (n_bar + h_bar * (1 - z)) * (1 - n * n)
    a_r, a_z = (r_bar + a_n * m_n) * r * (1 - r), (z_bar + h_bar * (s - n)) * z * (1 - z)
    return concatenate([a_r, a_z, a_n], axis=-1), concatenate([a_r, a_z, m_n_bar + a_n * r], axis=-1), [h_bar * z]


LSTM = Cell(gates=4, kept=6, state=2, forward=_lstm_forward, backward=_lstm_backward)
GRU = Cell(gates=3, kept=5, state=1, forward=_gru_forward, backward=_gru_backward)
