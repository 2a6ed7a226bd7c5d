"""Scans, products and sorting against NumPy: values, dtypes, two orders of derivative, zeros, ties, bad input."""
import hypothesis.strategies as st
import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given

import minigen as mg

pytestmark = pytest.mark.usefixtures("backend")
ZEROS = [np.array([2.0, 3.0, -1.0]), np.array([2.0, 0.0, -1.0]), np.array([0.0, 3.0, 0.0]), np.zeros(3),
         np.array([[1.0, 0.0, 2.0], [3.0, -4.0, 0.5]]), np.array([1.5]), np.zeros((0,)), np.array(0.0)]


@st.composite
def shapes_and_axes(draw, longest=4, most=3):
    """A shape of at least one axis, and one of its axes, counted from either end, or None."""
    shape = draw(st.tuples(*[st.integers(1, longest)] * draw(st.integers(1, most))))
    return shape, draw(st.none() | st.integers(-len(shape), len(shape) - 1))


def spread(shape, seed=0):
    """Values at least 0.1 apart, in random order."""
    n = int(np.prod(shape))
    return (np.random.default_rng(seed).permutation(n) * 0.1 - 0.05 * n).reshape(shape)


# ---- running sums and products ---------------------------------------------------------------------------------------
@given(shapes_and_axes(), st.sampled_from(["float32", "float64", "int32", "bool"]))
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_scans_are_numpys(backend, name, case, dtype):
    shape, axis = case
    x = (3 * spread(shape)).astype(dtype)
    ours, numpys = getattr(mg, name)(mg.tensor(x), axis), getattr(np, name)(x, axis)
    assert ours.shape == numpys.shape and ours.dtype == numpys.dtype
    np.testing.assert_allclose(ours.numpy(), numpys, rtol=1e-5, atol=1e-6)
    from_the_end = getattr(mg, name)(mg.tensor(x), axis, reverse=True).numpy()
    turned = np.flip(x.reshape(-1) if axis is None else x, axis or 0)
    expected = np.flip(getattr(np, name)(turned, axis or 0), axis or 0)
    np.testing.assert_allclose(from_the_end, expected, rtol=1e-5, atol=1e-6)


@given(shapes_and_axes(), st.booleans())
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_gradients_of_scans(backend, name, case, reverse):
    shape, axis = case
    assert_gradients(lambda t: getattr(mg, name)(t, axis, reverse), spread(shape), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("x", ZEROS)
@pytest.mark.parametrize("reverse", [False, True])
def test_cumprod_with_zeros(x, reverse):
    assert_gradients(lambda t: mg.cumprod(t, None, reverse), x)


def test_a_long_cumprod():
    """The schedule of a diffusion model: ∂ᾱ_T / ∂α_t = ᾱ_T / α_t, here over 1000 steps."""
    alpha = 1 - np.linspace(1e-4, 0.02, 1000)
    t = mg.tensor(alpha, requires_grad=True)
    alpha_bar = mg.cumprod(t)
    np.testing.assert_allclose(mg.grad(alpha_bar[-1], t).numpy(), np.prod(alpha) / alpha, rtol=1e-10)


# ---- product ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (2, -2), (0, 1, 2), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_prod_is_numpys(axis, keepdims):
    for dtype in ("float32", "float64", "int32", "bool"):
        x = (3 * spread((2, 3, 2))).astype(dtype)
        ours, numpys = mg.prod(mg.tensor(x), axis, keepdims), np.prod(x, axis=axis, keepdims=keepdims)
        assert ours.shape == np.shape(numpys) and ours.dtype == numpys.dtype
        np.testing.assert_allclose(ours.numpy(), numpys, rtol=1e-5)
    assert_gradients(lambda t: mg.prod(t, axis, keepdims), spread((2, 3, 2)))


@pytest.mark.parametrize("x", ZEROS)
def test_prod_with_zeros(x):
    assert_gradients(lambda t: mg.prod(t), x)
    assert_gradients(lambda t: mg.prod(t, axis=-1), np.atleast_1d(x))


def test_gradient_of_prod_with_one_and_two_zeros():
    x = mg.tensor([[2.0, 0.0, 5.0], [2.0, 0.0, 0.0]], requires_grad=True)
    assert mg.grad(mg.sum(mg.prod(x, axis=1)), x).tolist() == [[0, 10, 0], [0, 0, 0]]


def test_gradient_of_prod_where_the_product_underflows():
    """∂Π/∂x₁ = x₂, although x₁ x₂ is 0 in float32."""
    x = mg.tensor([1e-30, 1e-30], requires_grad=True)
    assert mg.prod(x).item() == 0
    np.testing.assert_allclose(mg.grad(mg.prod(x), x).numpy(), [1e-30, 1e-30], rtol=1e-6)


def test_empty_products():
    assert mg.prod(mg.zeros((0,))).item() == 1 and mg.prod(mg.zeros((0, 2)), axis=0).tolist() == [1, 1]
    assert mg.cumprod(mg.zeros((0, 2)), 0).shape == (0, 2) and mg.cumsum(mg.zeros((0,))).shape == (0,)
    for f in (lambda t: mg.prod(t, 0), lambda t: mg.cumprod(t, 0), lambda t: mg.cumsum(t, 1), lambda t: mg.sort(t, 0)):
        assert_gradients(f, np.zeros((0, 2)))


# ---- order -----------------------------------------------------------------------------------------------------------
@given(shapes_and_axes(), st.sampled_from(["float32", "int64"]))
def test_sort_is_numpys(backend, case, dtype):
    shape, axis = case
    x = np.round(spread(shape)).astype(dtype)                                 # with ties
    np.testing.assert_array_equal(mg.sort(mg.tensor(x), axis).numpy(), np.sort(x, axis))
    order = mg.argsort(mg.tensor(x, requires_grad=dtype == "float32"), axis)
    np.testing.assert_array_equal(order.numpy(), np.argsort(x, axis, kind="stable"))
    assert not order.requires_grad


@given(shapes_and_axes())
def test_gradients_of_sort(backend, case):
    shape, axis = case
    assert_gradients(lambda t: mg.sort(t, axis) ** 3, spread(shape))


def test_sort_treats_ties_as_sorted_and_puts_nan_last():
    x = mg.tensor([2.0, 1.0, np.nan, 1.0], requires_grad=True)
    y = mg.sort(x)
    np.testing.assert_array_equal(y.numpy(), [1, 1, 2, np.nan])
    assert mg.grad(y, x, [10.0, 20.0, 30.0, 40.0]).tolist() == [30, 10, 40, 20]
    assert mg.sort([3.0, 1.0]).tolist() == [1, 3]


def test_quantile_loss_by_sorting():
    """Wasserstein-1 between equal-sized samples is the mean gap of their order statistics; its slope is ± 1/n."""
    x, y = mg.tensor([3.0, 1.0, 2.0], requires_grad=True), mg.tensor([0.0, 5.0, 2.5])
    distance = mg.mean(mg.abs(mg.sort(x) - mg.sort(y)))
    assert distance.item() == pytest.approx((1 + 0.5 + 2) / 3)
    np.testing.assert_allclose(mg.grad(distance, x).numpy(), [-1 / 3, 1 / 3, -1 / 3], rtol=1e-6)


# ---- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "prod", "argsort", "sort"])
def test_bad_axes(name):
    op = "argsort" if name == "sort" else name
    with pytest.raises(IndexError, match=rf"^{op}: axis 2 is out of bounds for array of dimension 2.*\(2, 3\) float32"):
        getattr(mg, name)(mg.ones((2, 3)), axis=2)
    if name.startswith("cum"):
        with pytest.raises(TypeError, match=rf"^{name}: .*axis=\(0, 1\)"):
            getattr(mg, name)(mg.ones((2, 3)), axis=(0, 1))
