"""The rational-quadratic spline: the paper's formula, knots, tails, degenerate bins, and the stable inverse."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, assert_saved, shaken, t
from helpers import assert_gradients
from hypothesis import given, strategies as st

import minigen as mg
from minigen.flows import ElementwiseSpline, SplineMap, rational_quadratic_spline
from minigen.flows.spline import _knots, _solve

pytestmark = pytest.mark.usefixtures("backend")
B, M, M_D = 3.0, 1e-3, 1e-3


def numbers(n, K, size=1.0, seed=0):
    """θ (n, 3K − 1) of this size."""
    return size * np.random.default_rng(seed).standard_normal((n, 3 * K - 1))


def knots(theta, K):
    """x_k, y_k, d_k, (n, K + 1) each, by the spline's own Eqs. (1) and (2)."""
    found = _knots(t(theta), K, B, M, M_D).numpy()
    return found[..., 0, :], found[..., 1, :], found[..., 2, :]


def paper(x, theta, K):
    """y and dy/dx by the formulas of the paper as they are printed there, point by point, and our knots in NumPy."""
    y, slope = np.array(x), np.ones_like(x)
    for n in np.flatnonzero(np.abs(x) < B):
        shares = [np.exp(part) / np.exp(part).sum() for part in (theta[n, :K], theta[n, K:2 * K])]
        xs, ys = [np.append(-B + 2 * B * np.cumsum(np.append(0, M + (1 - K * M) * s))[:-1], B) for s in shares]
        d = np.concatenate([[1.0], M_D + np.log1p(np.exp(theta[n, 2 * K:] + np.log(np.expm1(1 - M_D)))), [1.0]])
        k = np.searchsorted(xs, x[n], side="right") - 1
        s, xi = (ys[k + 1] - ys[k]) / (xs[k + 1] - xs[k]), (x[n] - xs[k]) / (xs[k + 1] - xs[k])
        beta = s + (d[k + 1] + d[k] - 2 * s) * xi * (1 - xi)
        y[n] = ys[k] + (ys[k + 1] - ys[k]) * (s * xi ** 2 + d[k] * xi * (1 - xi)) / beta
        slope[n] = s ** 2 * (d[k + 1] * xi ** 2 + 2 * s * xi * (1 - xi) + d[k] * (1 - xi) ** 2) / beta ** 2
    return y, slope


# ---- the formula -----------------------------------------------------------------------------------------------------
@given(st.integers(2, 9), st.sampled_from([0.0, 1.0, 3.0]), st.integers(0, 99))
def test_it_is_the_papers_formula(K, size, seed):
    x = np.random.default_rng(seed).uniform(-1.2 * B, 1.2 * B, 40)
    theta = numbers(40, K, size, seed)
    y, log_slope = rational_quadratic_spline(t(x), t(theta))
    expected, slope = paper(x, theta, K)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(log_slope.numpy(), np.log(slope), rtol=1e-9, atol=1e-9)


def test_all_zero_is_the_identity():
    x = np.linspace(-4, 4, 33)
    for inverse in (False, True):
        y, log_slope = rational_quadratic_spline(t(x), t(np.zeros((33, 23))), inverse=inverse)
        np.testing.assert_allclose(y.numpy(), x, rtol=0, atol=1e-15)
        np.testing.assert_allclose(log_slope.numpy(), 0, atol=1e-14)


def test_derivatives_in_both_directions():
    """First and second order, away from the knots: there the slope has kinks."""
    x, theta = np.random.default_rng(0).uniform(-2.9, 2.9, 6), numbers(6, 3)
    for inverse in (False, True):
        def f(x, theta, inverse=inverse):
            return mg.stack(rational_quadratic_spline(x, theta, inverse=inverse))
        assert_gradients(f, x, theta, rtol=1e-4)


def test_the_inverse_is_differentiable_where_its_two_forms_meet():
    """r = 0 in the middle of every bin of the identity; |r| would have the derivative 0 there."""
    middle = np.array([-2.625, -0.375, 1.125])                                   # of three of 8 equal bins of [−3, 3]
    theta = np.zeros((3, 23))
    assert_gradients(lambda y, theta: rational_quadratic_spline(y, theta, inverse=True)[0], middle, theta, orders=1)
    eta, s, d0, d1 = t([0.5]), t([0.7]), t([1.3]), t([1.3])
    assert_gradients(lambda *a: mg.stack(_solve(*a)), *(a.numpy() for a in (eta, s, d0, d1)), orders=1)


# ---- knots and tails -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_knots_are_met_exactly(dtype):
    K, theta = 5, numbers(4, 5, 2.0).astype(dtype)
    found = _knots(t(theta, dtype), K, B, M, M_D).numpy()
    for k in range(K + 1):
        x, y, d = found[:, 0, k], found[:, 1, k], found[:, 2, k]
        there, log_slope = rational_quadratic_spline(t(x, dtype), t(theta, dtype))
        back, log_back = rational_quadratic_spline(t(y, dtype), t(theta, dtype), inverse=True)
        np.testing.assert_array_equal(there.numpy(), y)
        np.testing.assert_array_equal(back.numpy(), x)
        tolerance = 1e-4 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(np.exp(log_slope.numpy()), d, rtol=tolerance)
        np.testing.assert_allclose(np.exp(-log_back.numpy()), d, rtol=tolerance)
    np.testing.assert_array_equal(found[:, :2, [0, -1]], np.broadcast_to([-B, B], (4, 2, 2)))


@pytest.mark.parametrize("inverse", [False, True])
def test_the_tails_are_the_identity(inverse):
    x = np.array([-np.inf, -1e30, -3.0001, -3.0, 3.0, 3.0001, 1e30, np.inf])
    y, log_slope = rational_quadratic_spline(t(x), t(numbers(8, 4)), inverse=inverse)
    np.testing.assert_array_equal(y.numpy(), x)
    np.testing.assert_array_equal(log_slope.numpy(), 0)
    assert np.isnan(rational_quadratic_spline(t([np.nan]), t(numbers(1, 4)), inverse=inverse)[0].numpy()[0])
    leaf, theta = mg.tensor(x[1:-1], requires_grad=True), mg.tensor(numbers(6, 4), requires_grad=True)
    along, none = mg.grad(sum(v.sum() for v in rational_quadratic_spline(leaf, theta, inverse=inverse)), [leaf, theta])
    np.testing.assert_array_equal(along.numpy(), 1)
    np.testing.assert_array_equal(none.numpy(), 0)


def test_value_and_slope_are_continuous_at_every_knot():
    K, theta = 6, numbers(1, 6, 1.5)
    xs = knots(theta, K)[0][0]
    for side in (-1e-9, 1e-9):
        near, log_near = rational_quadratic_spline(t(xs + side), t(np.repeat(theta, K + 1, axis=0)))
        at, log_at = rational_quadratic_spline(t(xs), t(np.repeat(theta, K + 1, axis=0)))
        np.testing.assert_allclose(near.numpy(), at.numpy(), atol=1e-6)
        np.testing.assert_allclose(log_near.numpy(), log_at.numpy(), atol=1e-5)


# ---- stability -------------------------------------------------------------------------------------------------------
@given(st.integers(2, 12), st.sampled_from([1.0, 10.0, 100.0]), st.integers(0, 99))
def test_extreme_parameters_stay_increasing_and_invertible(K, size, seed):
    """Bins as small as 1/1000 beside one that takes all the rest, slopes from 1/1000 to hundreds."""
    theta = np.repeat(numbers(1, K, size, seed), 301, axis=0)
    x = np.sort(np.concatenate([np.linspace(-3.1, 3.1, 300 - K), knots(theta[:1], K)[0][0]]))
    y, log_slope = rational_quadratic_spline(t(x), t(theta))
    assert (np.diff(y.numpy()) > 0).all()
    back, log_back = rational_quadratic_spline(y, t(theta), inverse=True)
    np.testing.assert_allclose(back.numpy(), x, rtol=0, atol=1e-13 * np.exp(-log_slope.numpy()).max() + 1e-13)
    single, log_single = rational_quadratic_spline(t(x, "float32"), t(theta, "float32"))
    assert np.isfinite(log_single.numpy()).all() and (np.diff(single.numpy()) >= 0).all()
    back, log_back = rational_quadratic_spline(single, t(theta, "float32"), inverse=True)
    assert np.isfinite(log_back.numpy()).all() and (np.diff(back.numpy()) >= -1e-5).all()


def test_bins_that_are_nearly_equal():
    """θ from 1e-9 to 1e-3 around the identity: the quadratic equation has a ≈ 0, and its two forms nearly coincide."""
    x = np.linspace(-2.99, 2.99, 101)
    for size in (1e-9, 1e-6, 1e-3):
        theta = numbers(101, 8, size)
        y, log_slope = rational_quadratic_spline(t(x), t(theta))
        back, log_back = rational_quadratic_spline(y, t(theta), inverse=True)
        np.testing.assert_allclose(back.numpy(), x, atol=1e-14)
        np.testing.assert_allclose(log_back.numpy(), -log_slope.numpy(), atol=1e-12)
        assert np.abs(log_slope.numpy()).max() < 20 * size


def test_the_root_keeps_its_digits_where_the_textbook_form_loses_them():
    """A steep end after a flat one: r ≈ −d_{k+1}. In the usual −2c / (b + √Δ) two numbers nearly cancel."""
    s, d0, d1 = 1.0, 1e-3, 1e6
    xi = np.array([1e-6, 1e-3, 0.3, 0.7, 1 - 1e-6])
    beta = s * (xi ** 2 + (1 - xi) ** 2) + (d0 + d1) * xi * (1 - xi)
    eta = (s * xi ** 2 + d0 * xi * (1 - xi)) / beta
    ours = _solve(t(eta), t(s), t(d0), t(d1))[0].numpy()
    np.testing.assert_allclose(ours, xi, rtol=1e-9)
    r = d0 * (1 - eta) - d1 * eta
    a, b, c = s * (1 - 2 * eta) - r, r + 2 * s * eta, -s * eta
    textbook = -2 * c / (b + np.sqrt(b * b - 4 * a * c))
    assert np.abs(textbook / xi - 1).max() > 1e3 * np.abs(ours / xi - 1).max()


@pytest.mark.parametrize("shape", [(), (5,), (2, 0), (3, 2, 4)])
def test_shapes_and_broadcasting(shape):
    x = np.random.default_rng(1).uniform(-4, 4, shape)
    theta = numbers(1, 3)[0]
    full = rational_quadratic_spline(t(x), t(np.broadcast_to(theta, (*shape, 8))))
    short = rational_quadratic_spline(t(x), t(theta.reshape((1,) * len(shape) + (8,))))
    for a, b in zip(full, short):
        assert a.shape == shape and b.shape == shape
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


# ---- as a transform --------------------------------------------------------------------------------------------------
@given(st.integers(1, 4), st.integers(2, 6), st.integers(0, 99))
def test_the_transform_keeps_the_contract(D, bins, seed):
    T, x = shaken(ElementwiseSpline(D, bins), seed), 2 * np.random.default_rng(seed).standard_normal((3, D))
    assert_contract(T, x, thorough=seed % 8 == 0)
    assert_saved(T, ElementwiseSpline(D, bins), x)
    assert_float32(T, x)


def test_the_transform_on_images():
    T = shaken(ElementwiseSpline(2, bins=4, event_ndim=3))
    assert_contract(T, 2 * np.random.default_rng(0).standard_normal((2, 2, 3, 2)), thorough=False)


# ---- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, message", [
    (lambda: rational_quadratic_spline(t([0.0]), t(np.zeros((1, 9)))), r"K ≥ 2 bins take 3K − 1 .* theta \(1, 9\)"),
    (lambda: rational_quadratic_spline(t([0.0]), t(np.zeros((1, 2)))), "K ≥ 2"),
    (lambda: rational_quadratic_spline(t([0.0, 1]), t(np.zeros((3, 8)))), r"for each of x \(2,\)"),
    (lambda: rational_quadratic_spline(t([0.0]), t(np.zeros(8))), r"theta \(8,\)"),
    (lambda: rational_quadratic_spline(t([0.0]), t(np.zeros((1, 8))), bound=0), "bound > 0, .* got bound=0"),
    (lambda: rational_quadratic_spline(t([0.0]), t(np.zeros((1, 8))), min_share=0.34), "min_share=0.34 with K=3 bins"),
    (lambda: rational_quadratic_spline(t([0.0]), t(np.zeros((1, 8))), min_slope=1.0), "min_slope=1.0"),
    (lambda: SplineMap(bins=1), "SplineMap: wants at least 2 bins, got 1"),
    (lambda: ElementwiseSpline(3)(t(np.zeros((2, 2)))), r"wants 3 features on the last axis, got .* \(2, 2\)"),
])
def test_bad_input_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()
