"""Pooling against naive loops and PyTorch; ties share evenly; derivatives; what is refused."""
import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from helpers import assert_gradients, leaf
from hypothesis import given, settings

import minigen as mg

pytestmark = pytest.mark.usefixtures("backend")
RNG = np.random.default_rng(17)


def normal(*shape):
    return RNG.standard_normal(shape)


def naive(reduce, x, kernel, stride, padding, fill):
    """One window after the other."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=fill)
    H, W = ((n - k) // s + 1 for n, k, s in zip(x.shape[1:3], kernel, stride))
    y = np.zeros((x.shape[0], H, W, x.shape[3]))
    for h, v in itertools.product(range(H), range(W)):
        window = x[:, stride[0] * h:stride[0] * h + kernel[0], stride[1] * v:stride[1] * v + kernel[1]]
        y[:, h, v] = reduce(window, axis=(1, 2))
    return y


@st.composite
def poolings(draw):
    """(x, kernel, stride, padding) with less padding than kernel."""
    kernel, stride = [(draw(st.integers(1, 3)), draw(st.integers(1, 3))) for _ in range(2)]
    padding = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in kernel)
    size = [max(1, k - sum(p)) + draw(st.integers(0, 4)) for k, p in zip(kernel, padding)]
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return rng.standard_normal((draw(st.integers(0, 2)), *size, draw(st.integers(1, 3)))), kernel, stride, padding


@settings(max_examples=60)
@given(poolings())
def test_values_against_loops(backend, drawn):
    x, kernel, stride, padding = drawn
    if any((n + p + q - k) // s * s >= n + p for n, k, s, (p, q) in zip(x.shape[1:3], kernel, stride, padding)):
        with pytest.raises(ValueError, match="lies in the padding alone"):
            mg.max_pool2d(mg.tensor(x), kernel, stride, padding)
    else:
        largest = mg.max_pool2d(mg.tensor(x), kernel, stride, padding).numpy()
        np.testing.assert_array_equal(largest, naive(np.max, x, kernel, stride, padding, -np.inf))
    mean = mg.avg_pool2d(mg.tensor(x), kernel, stride, padding).numpy()
    np.testing.assert_allclose(mean, naive(np.mean, x, kernel, stride, padding, 0), atol=1e-12)


@pytest.mark.parametrize("kernel, stride, padding", [(2, 2, 0), (3, 2, 1), ((3, 2), (1, 3), (1, 0))], ids=str)
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_values_and_gradients_against_torch(name, kernel, stride, padding):
    torch = pytest.importorskip("torch")
    x = leaf(normal(2, 7, 8, 3))
    xt = torch.tensor(x.numpy().transpose(0, 3, 1, 2), requires_grad=True)
    y = getattr(mg, name)(x, kernel, stride, padding)
    yt = getattr(torch.nn.functional, name)(xt, kernel, stride, padding)
    np.testing.assert_allclose(y.numpy(), yt.detach().numpy().transpose(0, 2, 3, 1), atol=1e-12)
    c = normal(*y.shape)
    yt.backward(torch.tensor(c.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(mg.grad(y, x, c).numpy(), xt.grad.numpy().transpose(0, 2, 3, 1), atol=1e-12)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_the_stride_is_the_kernel_unless_given_and_the_rest_is_left_out(name):
    x, pool = mg.tensor(normal(1, 5, 7, 2)), getattr(mg, name)
    y = pool(x, (2, 3))
    assert y.shape == (1, 2, 2, 2)
    np.testing.assert_array_equal(y.numpy(), pool(x[:, :4, :6], (2, 3), (2, 3), 0).numpy())
    np.testing.assert_allclose(pool(x, 1).numpy(), x.numpy())


def test_a_pool_over_the_whole_image_is_a_global_one():
    x = mg.tensor(normal(2, 3, 4, 5))
    np.testing.assert_allclose(mg.avg_pool2d(x, (3, 4)).numpy()[:, 0, 0], x.mean(axis=(1, 2)).numpy(), atol=1e-14)
    np.testing.assert_allclose(mg.max_pool2d(x, (3, 4)).numpy()[:, 0, 0], x.max(axis=(1, 2)).numpy())


# ---- derivatives -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kernel, stride, padding", [(2, None, 0), (3, 2, 1), ((2, 3), 1, ((0, 1), (2, 0)))], ids=str)
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_gradients(name, kernel, stride, padding):
    x = RNG.permutation(40).reshape(1, 4, 5, 2) / 10 - 2                   # no values are close: no step meets a tie
    assert_gradients(lambda x: getattr(mg, name)(x, kernel, stride, padding) ** 2, x)
    assert_gradients(lambda x: getattr(mg, name)(mg.sin(x) + x, kernel, stride, padding), x)


def test_gradients_of_an_empty_batch():
    assert_gradients(lambda x: mg.max_pool2d(x, 2) * mg.avg_pool2d(x, 2), normal(0, 4, 4, 1))


def test_ties_share_the_gradient_evenly():
    x = leaf(np.array([[3, 3, 1], [3, 0, 2], [1, 1, 1]]).reshape(1, 3, 3, 1))
    y = mg.max_pool2d(x, 2, 1)
    assert y.numpy().ravel().tolist() == [3, 3, 3, 2]
    g = mg.grad(y, x, np.array([1.0, 10, 100, 1000]).reshape(1, 2, 2, 1), create_graph=True)
    third = 1 / 3
    np.testing.assert_allclose(g.numpy().reshape(3, 3), [[third, third + 10, 0], [third + 100, 0, 1000], [0, 0, 0]])
    whole = mg.grad(mg.max(x), x).numpy()                                  # mg.max has the same rule
    np.testing.assert_allclose(mg.grad(mg.sum(mg.max_pool2d(x, 3)), x).numpy(), whole)


def test_the_gradient_of_a_pool_is_linear_in_the_cotangent_and_closes():
    """⟨P c, u⟩ = ⟨c, Pᵀ u⟩ with ties, and the derivative in c is Pᵀ u again."""
    x = leaf(np.round(normal(1, 5, 5, 2)))
    y = mg.max_pool2d(x, 3, 2, 1)
    c, u = leaf(normal(*y.shape)), leaf(normal(*x.shape))
    x_bar = mg.grad(y, x, c, create_graph=True)
    back = mg.grad(x_bar, c, u, create_graph=True)
    np.testing.assert_allclose(np.sum(x_bar.numpy() * u.numpy()), np.sum(c.numpy() * back.numpy()), atol=1e-12)
    np.testing.assert_allclose(mg.grad(back, u, c.detach()).numpy(), x_bar.numpy(), atol=1e-12)


def test_nan_passes_through_without_a_gradient():
    x = leaf(np.array([[np.nan, 1], [2, 3]]).reshape(1, 2, 2, 1))
    y = mg.max_pool2d(x, 2)
    assert np.isnan(y.item())
    assert not mg.grad(y, x, np.ones((1, 1, 1, 1))).numpy().any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_are_kept(dtype):
    x = mg.tensor(normal(1, 4, 4, 2), requires_grad=True, dtype=dtype)
    for y in (mg.max_pool2d(x, 2), mg.avg_pool2d(x, 3, 2, 1)):
        assert y.dtype == dtype and mg.grad(y, x, y).dtype == dtype


def test_integers():
    x = mg.tensor(np.arange(16).reshape(1, 4, 4, 1))
    assert mg.max_pool2d(x, 3, 2, 1).numpy().ravel().tolist() == [5, 7, 13, 15]
    assert mg.avg_pool2d(x, 2).numpy().ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert mg.max_pool2d(x > 4, 2).numpy().ravel().tolist() == [True] * 4


# ---- bad input -------------------------------------------------------------------------------------------------------
REFUSED = {
    r"wants images \(N, H, W, C\), got \(4, 4, 1\)": lambda pool: pool(mg.zeros((4, 4, 1)), 2),
    r"along H a kernel of 5 taps with dilation 1 reaches over 5 places, but x has 4":
        lambda pool: pool(mg.zeros((1, 4, 6, 1)), 5),
    r"kernel_size must be an int ≥ 1 or 2 of them, got 0": lambda pool: pool(mg.zeros((1, 4, 4, 1)), 0),
    r"stride must be an int ≥ 1 or 2 of them, got -1": lambda pool: pool(mg.zeros((1, 4, 4, 1)), 2, -1),
    r"padding must be an int ≥ 0, .*, got -1": lambda pool: pool(mg.zeros((1, 4, 4, 1)), 2, 2, -1),
}


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize("message", REFUSED)
def test_bad_input_is_named(name, message):
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        REFUSED[message](getattr(mg, name))


def test_a_window_of_padding_alone_has_no_largest_value():
    with pytest.raises(ValueError, match="max_pool2d: along W a window of 2 lies in the padding alone .* less than 2"):
        mg.max_pool2d(mg.zeros((1, 4, 4, 1)), 2, 2, (1, 2))
    with pytest.raises(ValueError, match="max_pool2d: along H a window of 2 lies in the padding alone"):
        mg.max_pool2d(mg.zeros((1, 4, 4, 1)), 2, 2, ((0, 2), (0, 0)))
    with pytest.raises(ValueError, match="max_pool2d: along W a window of 3 lies in the padding alone"):
        mg.max_pool2d(mg.zeros((1, 4, 4, 1)), 3, 1, ((0, 0), (3, 0)))
