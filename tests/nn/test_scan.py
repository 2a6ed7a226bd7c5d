"""The recurrence as one op: rows of positions whose states are convolved, against the LSTM step by step."""
import numpy as np
import pytest
from helpers import assert_gradients
from scipy.special import expit

import minigen as mg
from minigen.nn.scan import gru_scan, lstm_scan

pytestmark = pytest.mark.usefixtures("backend")
H = 2


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def loop(a, w, b, state, taps, left):
    """Position by position, tap by tap."""
    T, N, P = a.shape[:3]
    c, h = state[..., :H].copy(), state[..., H:].copy()
    out = np.zeros((T, N, P, H))
    for t in range(T):
        before = h.copy()
        for p in range(P):
            z = a[t, :, p] + b
            for k in range(taps):
                if 0 <= p - left + k < P:
                    z = z + before[:, p - left + k] @ w[k * H:(k + 1) * H]
            i, f, g, o = np.split(z, 4, axis=-1)
            c[:, p] = expit(f) * c[:, p] + expit(i) * np.tanh(g)
            h[:, p] = out[t, :, p] = expit(o) * np.tanh(c[:, p])
    return out, c


@pytest.mark.parametrize("taps, left", [(1, 0), (3, 1), (2, 1), (2, 0), (5, 2)])
def test_positions_read_their_neighbours(taps, left):
    a, w, b, state = draw(3, 2, 4, 4 * H), draw(taps * H, 4 * H, seed=1), draw(4 * H, seed=2), draw(2, 4, 2 * H, seed=3)
    h, c = lstm_scan(*(mg.tensor(v) for v in (a, w, b, state)), taps=taps, left=left)
    expected = loop(a, w, b, state, taps, left)
    np.testing.assert_allclose(h.numpy(), expected[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(c.numpy(), expected[1], rtol=1e-12, atol=1e-14)


def test_without_bias_and_state_they_are_zero():
    a, w = mg.tensor(draw(3, 2, 4, 4 * H)), mg.tensor(draw(H, 4 * H, seed=1))
    zero = mg.zeros(4 * H, "float64"), mg.zeros((2, 4, 2 * H), "float64")
    np.testing.assert_array_equal(lstm_scan(a, w)[0].numpy(), lstm_scan(a, w, *zero)[0].numpy())


@pytest.mark.parametrize("taps, left", [(3, 1), (2, 1)])
def test_gradients_of_both_orders(taps, left):
    def f(*tensors):
        h, c = lstm_scan(*tensors, taps=taps, left=left)
        return mg.concatenate([h.reshape(-1), c.reshape(-1)])

    assert_gradients(f, draw(2, 1, 3, 4 * H), draw(taps * H, 4 * H, seed=1), draw(4 * H, seed=2),
                     draw(1, 3, 2 * H, seed=3))


def test_gru_gradients_with_positions():
    def f(*tensors):
        return gru_scan(*tensors, taps=2, left=1)

    assert_gradients(f, draw(2, 1, 2, 3 * H), draw(2 * H, 3 * H, seed=1), draw(3 * H, seed=2), draw(1, 2, H, seed=3))


def test_the_graph_does_not_grow_with_time():
    """One op however long the sequence is, so slices of a never send back cotangents of a's size."""
    w = mg.tensor(draw(H, 4 * H), requires_grad=True)

    def nodes(T):
        seen, stack = set(), [mg.sum(lstm_scan(mg.tensor(draw(T, 1, 1, 4 * H)), w)[0]).node]
        while stack:
            node = stack.pop()
            if node not in seen and hasattr(node, "sources"):
                seen.add(node)
                stack.extend(node.sources)
        return len(seen)

    assert nodes(2) == nodes(20)
