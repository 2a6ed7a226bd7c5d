"""Resizing against the formula and PyTorch, exact adjoints; pixels between space and channels."""
import hypothesis.strategies as st
import numpy as np
import pytest
from helpers import assert_gradients, leaf
from hypothesis import given

import minigen as mg

pytestmark = pytest.mark.usefixtures("backend")
RNG = np.random.default_rng(23)
sizes = st.integers(1, 9)


def normal(*shape):
    return RNG.standard_normal(shape)


def naive(x, size, mode):
    """Pixel by pixel: where its centre lies in x, and what is there."""
    y = np.zeros((x.shape[0], *size, x.shape[3]))
    for i, j in np.ndindex(*size):
        parts = []
        for k, X, Y in zip((i, j), x.shape[1:3], size):
            u = (k + 0.5) * X / Y - 0.5
            if mode == "nearest":
                parts.append([(int(np.floor(u + 0.5)), 1)])
            else:
                t = u - np.floor(u)
                parts.append([(int(min(max(np.floor(u), 0), X - 1)), 1 - t), (int(min(np.floor(u) + 1, X - 1)), t)])
        y[:, i, j] = sum(a * b * x[:, h, w] for h, a in parts[0] for w, b in parts[1])
    return y


@given(sizes, sizes, sizes, sizes, st.integers(0, 2), st.integers(1, 3), st.sampled_from(["nearest", "bilinear"]))
def test_resize_against_the_formula(backend, H, W, new_H, new_W, N, C, mode):
    x = np.random.default_rng(H * W + N).standard_normal((N, H, W, C))
    y = mg.resize(mg.tensor(x), (new_H, new_W), mode)
    assert y.shape == (N, new_H, new_W, C)
    np.testing.assert_allclose(y.numpy(), naive(x, (new_H, new_W), mode), atol=1e-12)


@given(sizes, sizes, sizes, sizes)
def test_resize_against_torch(backend, H, W, new_H, new_W):
    torch = pytest.importorskip("torch")
    x = leaf(np.random.default_rng(H).standard_normal((2, H, W, 3)))
    for mode, theirs in (("bilinear", "bilinear"), ("nearest", "nearest-exact")):
        xt = torch.tensor(x.numpy().transpose(0, 3, 1, 2), requires_grad=True)
        yt = torch.nn.functional.interpolate(xt, (new_H, new_W), mode=theirs)
        if mode == "nearest" and ((2 * np.arange(9) + 1)[:, None] * [H, W] % [2 * new_H, 2 * new_W] == 0).any():
            continue                              # a centre on the border of two pixels: PyTorch rounds in float32
        y = mg.resize(x, (new_H, new_W), mode)
        np.testing.assert_allclose(y.numpy(), yt.detach().numpy().transpose(0, 2, 3, 1), atol=1e-12)
        c = np.random.default_rng(1).standard_normal(y.shape)
        yt.backward(torch.tensor(c.transpose(0, 3, 1, 2)))
        np.testing.assert_allclose(mg.grad(y, x, c).numpy(), xt.grad.numpy().transpose(0, 2, 3, 1), atol=1e-12)


def test_nearest_repeats_pixels_and_picks_the_middle():
    x = normal(2, 3, 4, 2)
    y = mg.resize(mg.tensor(x), (6, 12), "nearest")
    np.testing.assert_array_equal(y.numpy(), x.repeat(2, axis=1).repeat(3, axis=2))
    np.testing.assert_array_equal(mg.resize(mg.tensor(x), (1, 2), "nearest").numpy(), x[:, 1:2, 1::2])


def test_bilinear_keeps_a_slope_and_its_mean():
    """A linear ramp stays one away from the border, and halving an image with it is averaging 2×2 pixels."""
    ramp = np.arange(8.0).reshape(1, 1, 8, 1)
    longer = mg.resize(mg.tensor(ramp), (1, 16)).numpy().ravel()
    np.testing.assert_allclose(longer[1:-1], np.arange(14) / 2 + 0.25, atol=1e-12)
    x = mg.tensor(normal(2, 6, 8, 3))
    np.testing.assert_allclose(mg.resize(x, (3, 4)).numpy(), mg.avg_pool2d(x, 2).numpy(), atol=1e-12)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(5, 3), (2, 4), 1], ids=str)
def test_gradients_of_resize(mode, size):
    assert_gradients(lambda x: mg.resize(x * x, size, mode) * 2, normal(1, 3, 2, 2))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_the_adjoint_is_exact(mode):
    x, c = leaf(normal(2, 5, 4, 3)), leaf(normal(2, 7, 9, 3))
    y = mg.resize(x, (7, 9), mode)
    x_bar = mg.grad(y, x, c, create_graph=True)
    np.testing.assert_allclose(np.sum(x_bar.numpy() * x.numpy()), np.sum(c.numpy() * y.numpy()), atol=1e-12)
    np.testing.assert_allclose(mg.grad(x_bar, c, x.detach()).numpy(), y.numpy(), atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_resize_keeps_dtypes(dtype):
    x = mg.tensor(normal(1, 4, 4, 2), requires_grad=True, dtype=dtype)
    y = mg.resize(x, 6)
    assert y.dtype == dtype and mg.grad(y, x, y).dtype == dtype


# ---- pixel shuffle ---------------------------------------------------------------------------------------------------
@given(st.integers(0, 2), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_shuffle_against_the_formula_and_back(backend, N, H, W, C, r):
    x = np.arange(N * H * W * C * r * r, dtype=float).reshape(N, H, W, C * r * r)
    y = mg.pixel_shuffle(mg.tensor(x), r)
    assert y.shape == (N, H * r, W * r, C)
    for h, w, i, j, c in np.ndindex(H, W, r, r, C):
        np.testing.assert_array_equal(y.numpy()[:, r * h + i, r * w + j, c], x[:, h, w, (c * r + i) * r + j])
    np.testing.assert_array_equal(mg.pixel_unshuffle(y, r).numpy(), x)


def test_shuffle_against_torch():
    torch = pytest.importorskip("torch")
    x = normal(2, 4, 6, 8)
    for ours, theirs in ((mg.pixel_shuffle, torch.pixel_shuffle), (mg.pixel_unshuffle, torch.pixel_unshuffle)):
        expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2)), 2).numpy().transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(ours(mg.tensor(x), 2).numpy(), expected)


def test_gradients_of_shuffle():
    assert_gradients(lambda x: mg.pixel_shuffle(x * x, 2), normal(1, 2, 1, 4))
    assert_gradients(lambda x: mg.pixel_unshuffle(x * x, 2), normal(1, 2, 4, 1))


# ---- bad input -------------------------------------------------------------------------------------------------------
REFUSED = {
    r"resize: wants images \(N, H, W, C\) with H, W ≥ 1, got \(1, 0, 3, 1\)":
        lambda: mg.resize(mg.zeros((1, 0, 3, 1)), 2),
    r"resize: wants images \(N, H, W, C\) with H, W ≥ 1, got \(3, 3, 1\)": lambda: mg.resize(mg.zeros((3, 3, 1)), 2),
    r"resize: size must be an int ≥ 1 or 2 of them, got \(2, 0\)": lambda: mg.resize(mg.zeros((1, 3, 3, 1)), (2, 0)),
    r"resize: mode 'cubic' is none of 'nearest', 'bilinear'": lambda: mg.resize(mg.zeros((1, 3, 3, 1)), 2, "cubic"),
    r"pixel_shuffle: 6 channels of x \(1, 3, 3, 6\) do not divide by factor² = 4":
        lambda: mg.pixel_shuffle(mg.zeros((1, 3, 3, 6)), 2),
    r"pixel_shuffle: wants images \(N, H, W, C\), got \(3, 3, 4\)": lambda: mg.pixel_shuffle(mg.zeros((3, 3, 4)), 2),
    r"pixel_unshuffle: H = 7 and W = 8 of x \(1, 7, 8, 1\) do not both divide by factor = 2":
        lambda: mg.pixel_unshuffle(mg.zeros((1, 7, 8, 1)), 2),
    r"pixel_unshuffle: factor must be an int ≥ 1, got 0": lambda: mg.pixel_unshuffle(mg.zeros((1, 7, 8, 1)), 0),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()
