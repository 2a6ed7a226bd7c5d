"""PixelRNN: the Row LSTM's triangle, the Diagonal BiLSTM's all, skewing, and rows that go on where others ended."""
import numpy as np
import pytest
from scipy.special import expit
from models.autoregressive.sight import before, region, seen, shaken

import minigen as mg
from minigen import check
from minigen.models.autoregressive import PixelRNN
from minigen.models.autoregressive.pixelrnn import DiagonalBiLSTM, RowLSTM, skew, unskew

pytestmark = pytest.mark.usefixtures("backend")


def small(shape, kind, **settings):
    return shaken(PixelRNN(shape, kind, **{"hidden": 4, "layers": 1, "first_kernel": 3, "head_width": 12, **settings}))


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# ---- what they see ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape, first, layers", [((6, 7, 1), 3, 1), ((5, 7, 1), 3, 2), ((6, 7, 1), 5, 1),
                                                  ((3, 4, 3), 3, 1)])
def test_the_row_lstm_sees_a_triangle(shape, first, layers):
    """Eq. (3) with K = 3."""
    reach = first // 2

    def rule(d, k):
        return before(d, k) and -(reach + layers + d) <= k <= (reach + d - 1 if d else -1)

    np.testing.assert_array_equal(seen(small(shape, "row", first_kernel=first, layers=layers)), region(shape, rule))


@pytest.mark.parametrize("shape, layers", [((5, 5, 1), 1), ((4, 6, 1), 2), ((6, 3, 1), 1), ((3, 3, 3), 1)])
def test_the_diagonal_bilstm_sees_all_that_comes_before(shape, layers):
    """Eq. (4), after a first convolution that reaches one pixel far."""
    model = small(shape, "diagonal", layers=layers, hidden=9)
    np.testing.assert_array_equal(seen(model), region(shape, before))


def test_the_check_agrees():
    report = check.causality(small((4, 4, 1), "diagonal").logits, draw(3, 4, 4, 1))
    assert report.ok and report.values["used of the allowed dependencies"] == "120 of 120"
    report = check.causality(small((4, 5, 1), "row").logits, draw(3, 4, 5, 1))
    assert report.ok and "not used" in report.notes[0]


def test_without_a_look_at_the_image_the_last_pixel_of_the_row_above_is_missing():
    """What the paper's layers are told has mask A, so a row's last pixel is in none of what they read of that row."""
    model = small((4, 5, 1), "diagonal")
    model.load_state_dict({name: 0 * value if "look" in name else value for name, value in model.state_dict().items()})
    missing = region((4, 5, 1), before) & ~seen(model)
    expected = np.zeros_like(missing)
    for r in range(1, 4):
        expected[r, :3, 0, r - 1, 4, 0] = True                  # columns 3 and 4 see it by the first convolution
    np.testing.assert_array_equal(missing, expected)


# ---- skewing ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("height, width", [(3, 4), (4, 2), (1, 3), (3, 1)])
def test_skew_puts_a_diagonal_into_a_column(height, width):
    x = draw(2, height, width, 3)
    out = skew(mg.tensor(x)).numpy()
    expected = np.zeros((height + width - 1, 2, height, 3))
    for r, c in np.ndindex(height, width):
        expected[r + c, :, r] = x[:, r, c]
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(unskew(mg.tensor(out), width).numpy(), x)


# ---- the layers, pixel by pixel --------------------------------------------------------------------------------------
def step(z, c):
    i, f, g, o = np.split(z, 4, axis=-1)
    c = expit(f) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c), c


def test_the_row_lstm_is_the_formula():
    """Eqs. (1), (2): each pixel from the three states above it."""
    layer, y = shaken(RowLSTM(2, rng=0)), draw(1, 3, 4, 4)
    w = layer.state_dict()
    a, h, c = layer.read(mg.tensor(y)).numpy()[0], np.zeros((4, 6, 2)), np.zeros((4, 6, 2))        # zeros around
    for r, k in np.ndindex(3, 4):
        z = a[r, k] + sum(h[r, k + t] @ w["recall"][2 * t:2 * t + 2] for t in range(3))
        h[r + 1, k + 1], c[r + 1, k + 1] = step(z, c[r, k + 1])
    expected = y[0] + h[1:, 1:5] @ w["widen.weight"][0, 0] + w["widen.bias"]
    np.testing.assert_allclose(layer(mg.tensor(y), None)[0].numpy()[0], expected, rtol=1e-10)


def test_the_diagonal_bilstm_is_the_formula():
    """Each pixel from the states above it and beside it, from the left and from the right, the right one a row down."""
    layer, y, x = shaken(DiagonalBiLSTM(2, rng=0)), draw(1, 3, 4, 4), draw(1, 3, 4, 1, seed=1)
    w = layer.state_dict()

    def run(a, recall):
        h, c = np.zeros((4, 5, 2)), np.zeros((4, 5, 2))                                            # zeros around
        for r, k in np.ndindex(3, 4):
            z = a[r, k] + h[r, k + 1] @ recall[:2] + h[r + 1, k] @ recall[2:]                      # above, beside
            h[r + 1, k + 1], c[r + 1, k + 1] = step(z, c[r + 1, k])
        return h[1:, 1:]

    left = run(layer.reads[0](mg.tensor(y)).numpy()[0], w["recalls.0"])
    a = layer.reads[1](mg.tensor(y)).numpy()[0] + x[0] @ w["look.weight"]
    right = np.pad(run(a[:, ::-1], w["recalls.1"])[:, ::-1], ((1, 0), (0, 0), (0, 0)))[:-1]
    expected = y[0] + (left + right) @ w["widen.weight"][0, 0] + w["widen.bias"]
    np.testing.assert_allclose(layer(mg.tensor(y), mg.tensor(x))[0].numpy()[0], expected, rtol=1e-10)


@pytest.mark.parametrize("kind", [RowLSTM, DiagonalBiLSTM])
def test_rows_go_on_from_the_state_above_them(kind):
    layer, y, x = shaken(kind(3, rng=0)), mg.tensor(draw(2, 5, 4, 6)), mg.tensor(draw(2, 5, 4, 1, seed=1))
    whole, last = layer(y, x)
    top, state = layer(y[:, :2], x[:, :2])
    bottom, end = layer(y[:, 2:], x[:, 2:], state)
    np.testing.assert_allclose(mg.concatenate([top, bottom], axis=1).numpy(), whole.numpy(), rtol=1e-12, atol=1e-14)
    for ours, theirs in zip(end if isinstance(end, tuple) else (end,), last if isinstance(last, tuple) else (last,)):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12, atol=1e-14)
