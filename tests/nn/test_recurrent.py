"""LSTM and GRU: naive loops, PyTorch, derivatives of both orders, and what they refuse."""
import numpy as np
import pytest
from helpers import assert_gradients
from scipy.special import expit

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")
D, H = 3, 2
LAYERS = {"lstm": (nn.LSTM, nn.LSTMCell, 4), "gru": (nn.GRU, nn.GRUCell, 3)}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def weights(layer):
    return [value.astype(np.float64) for value in layer.state_dict().values()]


def lstm_loop(x, h, c, w_x, w_h, b_x, b_h):
    """One example and one unit after the other."""
    out = np.zeros((*x.shape[:2], len(h[0])))
    h, c = h.copy(), c.copy()
    for n in range(len(x)):
        for t in range(x.shape[1]):
            z = b_x + b_h
            for d, value in enumerate(x[n, t]):
                z = z + value * w_x[d]
            for k, value in enumerate(h[n].copy()):
                z = z + value * w_h[k]
            i, f, g, o = np.split(z, 4)
            c[n] = expit(f) * c[n] + expit(i) * np.tanh(g)
            h[n] = out[n, t] = expit(o) * np.tanh(c[n])
    return out, h, c


def gru_loop(x, h, w_x, w_h, b_x, b_h):
    out, h = np.zeros((*x.shape[:2], len(h[0]))), h.copy()
    for n in range(len(x)):
        for t in range(x.shape[1]):
            (a_r, a_z, a_n), (m_r, m_z, m_n) = np.split(x[n, t] @ w_x + b_x, 3), np.split(h[n] @ w_h + b_h, 3)
            z = expit(a_z + m_z)
            h[n] = out[n, t] = (1 - z) * np.tanh(a_n + expit(a_r + m_r) * m_n) + z * h[n]
    return out, h


def lists(tensors):
    return [t.numpy() for t in (tensors if isinstance(tensors, tuple) else (tensors,))]


# ---- values ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("T, N", [(1, 1), (4, 3), (3, 0)])
def test_lstm_is_the_loop(T, N):
    layer, x, h, c = nn.LSTM(D, H, rng=0).astype("float64"), draw(N, T, D), draw(N, H, seed=1), draw(N, H, seed=2)
    out, last = layer(mg.tensor(x), (mg.tensor(h), mg.tensor(c)))
    assert out.shape == (N, T, H)
    for ours, theirs in zip((out, *last), lstm_loop(x, h, c, *weights(layer)) if N else (out.numpy(), h, c)):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12, atol=1e-14)


def test_gru_is_the_loop():
    layer, x, h = nn.GRU(D, H, rng=0).astype("float64"), draw(3, 4, D), draw(3, H, seed=1)
    for ours, theirs in zip(layer(mg.tensor(x), mg.tensor(h)), gru_loop(x, h, *weights(layer))):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", LAYERS)
def test_the_layer_is_its_cell_step_after_step(name):
    layer, cell = (kind(D, H, rng=0) for kind in LAYERS[name][:2])
    x = draw(2, 5, D).astype(np.float32)
    out, last = layer(mg.tensor(x))
    assert out.dtype == np.float32
    state = None
    for t in range(5):
        state = cell(mg.tensor(x[:, t]), state)
        np.testing.assert_allclose(out.numpy()[:, t], lists(state)[0], rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(lists(last), lists(state)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_a_sequence_in_two_parts(name):
    """The last state of the first part begins the second."""
    layer, x = LAYERS[name][0](D, H, rng=0), mg.tensor(draw(2, 7, D).astype(np.float32))
    whole, last = layer(x)
    first, state = layer(x[:, :3])
    second, end = layer(x[:, 3:], state)
    np.testing.assert_array_equal(whole.numpy(), mg.concatenate([first, second], axis=1).numpy())
    for ours, theirs in zip(lists(end), lists(last)):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_are_those_of_pytorch(name, backend):
    torch = pytest.importorskip("torch")
    layer = LAYERS[name][0](D, H, rng=0)
    theirs = getattr(torch.nn, name.upper())(D, H, batch_first=True)
    pairs = [(layer.weight_x, theirs.weight_ih_l0), (layer.weight_h, theirs.weight_hh_l0),
             (layer.bias_x, theirs.bias_ih_l0), (layer.bias_h, theirs.bias_hh_l0)]
    with torch.no_grad():
        for ours, parameter in pairs:
            parameter.copy_(torch.tensor(ours.numpy().T.copy()))
    x = draw(3, 6, D).astype(np.float32)
    out, expected = layer(mg.tensor(x))[0], theirs(torch.tensor(x))[0]
    np.testing.assert_allclose(out.numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    mg.sum(mg.square(out)).backward()
    (expected ** 2).sum().backward()
    for ours, parameter in pairs:
        np.testing.assert_allclose(ours.grad.numpy().T, parameter.grad.numpy(), rtol=1e-4, atol=1e-6)


# ---- derivatives -----------------------------------------------------------------------------------------------------
def with_weights(layer, arrays):
    layer.weight_x, layer.weight_h, layer.bias_x, layer.bias_h = arrays
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_the_cell(name):
    _, kind, gates = LAYERS[name]
    states = 2 if name == "lstm" else 1

    def f(x, *rest):
        out = with_weights(kind(D, H, rng=0), rest[states:])(x, rest[:states] if states > 1 else rest[0])
        return mg.concatenate(out, axis=-1) if states > 1 else out

    assert_gradients(f, draw(2, D), *(draw(2, H, seed=k) for k in range(states)), draw(D, gates * H, seed=3),
                     draw(H, gates * H, seed=4), draw(gates * H, seed=5), draw(gates * H, seed=6))


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_through_time(name):
    """First and second order, in the input, the initial state and all the weights, of all states and the last."""
    kind, _, gates = LAYERS[name]
    states = 2 if name == "lstm" else 1

    def f(x, *rest):
        out, last = with_weights(kind(D, H, rng=0), rest[states:])(x, rest[:states] if states > 1 else rest[0])
        return mg.concatenate([out.reshape(-1), *(s.reshape(-1) for s in (last if states > 1 else (last,)))])

    assert_gradients(f, draw(1, 3, D), *(draw(1, H, seed=k) for k in range(states)), draw(D, gates * H, seed=3),
                     draw(H, gates * H, seed=4), draw(gates * H, seed=5), draw(gates * H, seed=6))


# ---- start and bad input ---------------------------------------------------------------------------------------------
def test_the_start_is_that_of_pytorch():
    """Uniform on ±1/√H: 40,000 draws, mean of squares within 5 standard errors, false-alarm rate 1e-6."""
    layer = nn.LSTM(50, 100, rng=0)
    values = np.concatenate([value.ravel() for value in weights(layer)]) * np.sqrt(100)
    assert np.abs(values).max() <= 1 + 1e-6 and layer.weight_x.shape == (50, 400)
    assert abs((values ** 2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / values.size)


@pytest.mark.parametrize("call, words", [
    (lambda: nn.LSTM(0, 2, rng=0), "LSTM: wants at least one feature and one hidden unit, got 0 and 2"),
    (lambda: nn.GRU(3, 2, rng=0)(mg.zeros((1, 4, 2))), r"GRU\(3, 2\) wants 3 features on the last axis"),
    (lambda: nn.LSTM(3, 2, rng=0)(mg.zeros((4, 3))), r"LSTM\(3, 2\): wants x \(N, T, D\), T ≥ 1, got shape \(4, 3\)"),
    (lambda: nn.LSTM(3, 2, rng=0)(mg.zeros((4, 0, 3))), r"T ≥ 1, got shape \(4, 0, 3\)"),
    (lambda: nn.LSTMCell(3, 2, rng=0)(mg.zeros((1, 4, 3))), r"wants x \(N, D\), got shape \(1, 4, 3\)"),
    (lambda: nn.LSTM(3, 2, rng=0)(mg.zeros((5, 4, 3)), (mg.zeros((5, 2)), mg.zeros((4, 2)))),
     r"initial state \(h, c\), each of shape \(5, 2\), got \(5, 2\), \(4, 2\)"),
    (lambda: nn.GRU(3, 2, rng=0)(mg.zeros((5, 4, 3)), mg.zeros((5, 3))), r"state h of shape \(5, 2\), got \(5, 3\)"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
