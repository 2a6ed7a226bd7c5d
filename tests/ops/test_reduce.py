"""Reductions against NumPy and SciPy: values, dtypes, two orders of derivative, ties, kinks, infinities, bad input."""
import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.special
import strict
from helpers import assert_gradients
from hypothesis import given

import minigen as mg
from minigen.ops import reduce

pytestmark = pytest.mark.usefixtures("backend")
SMOOTH = {"sum": mg.sum, "mean": mg.mean, "var": mg.var, "std": mg.std, "max": mg.max, "min": mg.min,
          "logsumexp": mg.logsumexp, "norm": mg.norm,
          "norm p=1": lambda x, **where: mg.norm(x, 1, **where),
          "norm p=3": lambda x, **where: mg.norm(x, 3.0, **where),
          "norm p=inf": lambda x, **where: mg.norm(x, np.inf, **where)}


@st.composite
def shapes_and_axes(draw, shortest=1, longest=4, most=4):
    """A shape, and an axis argument that fits: None, an int, or a tuple in any order; negative numbers too."""
    ndim = draw(st.sampled_from([2, 3, 1, 4, 0]).filter(lambda ndim: ndim <= most))
    shape = draw(st.tuples(*[st.integers(shortest, longest)] * ndim))
    kind = draw(st.sampled_from(["some", "one", "all", "none"]))
    if ndim == 0 or kind in ("all", "none"):
        return shape, () if kind == "none" else None
    order = draw(st.permutations(range(ndim)))[:draw(st.integers(1, ndim))]
    axes = tuple(a - ndim if draw(st.booleans()) else a for a in order)
    return shape, axes[0] if kind == "one" else axes


def spread(shape, seed=0):
    """Values at least 0.1 apart and away from 0, in random order: no ties, and no kink within a difference step."""
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape))
    return ((rng.permutation(n) + 1.0) * 0.1 * rng.choice([-1, 1], n)).reshape(shape)


def gradient(f, x, dtype=np.float64):
    """∇ Σ f(x), as an array."""
    t = mg.tensor(np.asarray(x, dtype), requires_grad=True)
    return mg.grad(mg.sum(f(t)), t).numpy()


def second(f, x):
    """∇ ⟨d, ∇ Σ f(x)⟩ for d = (1, 2, 3, …), as an array."""
    t = mg.tensor(np.asarray(x, np.float64), requires_grad=True)
    g = mg.grad(mg.sum(f(t)), t, create_graph=True)
    return mg.grad(mg.sum(g * mg.tensor(np.arange(1.0, 1 + t.size).reshape(t.shape))), t).numpy()


# ---- values and dtypes -----------------------------------------------------------------------------------------------
@given(shapes_and_axes(), st.sampled_from(["float32", "float64", "int32", "uint8", "bool"]), st.booleans())
@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "max", "min", "amax", "amin", "any", "all"])
def test_values_and_dtypes_are_numpys(backend, name, case, dtype, keepdims):
    shape, axis = case
    x = (3 * spread(shape)).astype(dtype)
    ours = getattr(mg, name)(mg.tensor(x), axis=axis, keepdims=keepdims)
    numpys = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    assert ours.shape == np.shape(numpys) and ours.dtype == numpys.dtype
    np.testing.assert_allclose(ours.numpy(), numpys, rtol=1e-5, atol=1e-6)


@given(shapes_and_axes(), st.sampled_from(["float32", "float64", "int64"]), st.booleans())
def test_logsumexp_is_scipys(backend, case, dtype, keepdims):
    shape, axis = case
    x = (3 * spread(shape)).astype(dtype)
    ours = mg.logsumexp(mg.tensor(x), axis, keepdims)
    assert ours.dtype == (np.float64 if dtype == "int64" else dtype)
    axis = tuple(range(len(shape))) if axis is None else axis
    expected = x if axis == () else scipy.special.logsumexp(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-5, atol=1e-6)


@given(shapes_and_axes(), st.sampled_from([1, 1.5, 2, 3, np.inf]), st.booleans())
def test_norm_is_numpys_vector_norm(backend, case, p, keepdims):
    shape, axis = case
    if axis == ():
        axis = None
    x = spread(shape)
    np.testing.assert_allclose(mg.norm(mg.tensor(x), p, axis, keepdims).numpy(),
                               np.linalg.vector_norm(x, ord=p, axis=axis, keepdims=keepdims), rtol=1e-12)


@given(shapes_and_axes(most=3), st.sampled_from([0, 1, 3]))
def test_ddof_is_numpys(backend, case, ddof):
    shape, axis = case
    x = spread(shape)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")                                      # n ≤ ddof: NumPy warns
        expected = np.var(x, axis=axis, ddof=ddof)
        np.testing.assert_allclose(mg.var(mg.tensor(x), axis, ddof).numpy(), expected, rtol=1e-12)
        np.testing.assert_allclose(mg.std(mg.tensor(x), axis, ddof).numpy(), np.sqrt(expected), rtol=1e-12)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_argmax_takes_the_first_and_has_no_gradient(name, axis, keepdims):
    x = np.array([[2.0, 5.0, 5.0], [2.0, 1.0, 1.0]])
    ours = getattr(mg, name)(mg.tensor(x, requires_grad=True), axis, keepdims)
    np.testing.assert_array_equal(ours.numpy(), getattr(np, name)(x, axis=axis, keepdims=keepdims))
    assert ours.dtype == np.int64 and not ours.requires_grad


def test_booleans_have_no_gradient_and_are_counted_by_sum():
    x = mg.tensor([[0.0, 1.0], [2.0, 3.0]], requires_grad=True)
    assert not mg.any(x).requires_grad and not mg.all(x).requires_grad
    assert mg.any(x).item() is True and mg.all(x, axis=1).tolist() == [False, True]
    count = mg.sum(x > 0.5, axis=0)
    assert count.tolist() == [1, 2] and count.dtype == np.int64


def test_lists_and_numbers_are_taken():
    assert mg.sum([1.0, 2.0]).item() == 3 and mg.max(3.0).item() == 3 and mg.logsumexp([[0.0], [0.0]], 0).shape == (1,)
    assert mg.norm([3.0, 4.0]).item() == pytest.approx(5) and mg.norm([3.0, -4.0], 1).item() == 7


def test_small_integers_do_not_overflow():
    x = mg.tensor(np.array([200, 200], np.uint8))
    assert mg.norm(x).item() == pytest.approx(200 * 2 ** 0.5) and mg.var(x).item() == 0 and mg.mean(x).item() == 200


# ---- derivatives -----------------------------------------------------------------------------------------------------
@given(shapes_and_axes(longest=3, most=3), st.booleans())
@pytest.mark.parametrize("name", SMOOTH)
def test_gradients(backend, name, case, keepdims):
    shape, axis = case
    x = spread(shape)
    if name == "std" and np.any(np.std(x, axis=axis) == 0):
        x, axis = spread((3, 2)), axis and 0                     # a single element has no spread: see the kinks below
    assert_gradients(lambda t: SMOOTH[name](t, axis=axis, keepdims=keepdims), x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["var", "std"])
def test_gradients_with_ddof(name):
    assert_gradients(lambda t: getattr(mg, name)(t, 0, 1), spread((3, 2)))


def test_gradients_of_broadcast_to():
    for shape, target in [((), (2, 3)), ((3,), (2, 3)), ((2, 1), (4, 2, 3)), ((1, 1), (1, 1)), ((0, 1), (0, 2))]:
        x = spread(shape)
        np.testing.assert_array_equal(mg.broadcast_to(mg.tensor(x), target).numpy(), np.broadcast_to(x, target))
        assert_gradients(lambda t: mg.broadcast_to(t, target) ** 2, x)


@pytest.mark.parametrize("name", [*SMOOTH])
def test_float32_stays_float32(name):
    x = mg.tensor(spread((3, 2)).astype(np.float32), requires_grad=True)
    y = SMOOTH[name](x, axis=0)
    g = mg.grad(y, x, mg.ones_like(y), create_graph=True)
    assert y.dtype == g.dtype == mg.grad(mg.sum(g * x), x).dtype == np.float32


def test_a_variance_is_its_composite():
    """The fused var and its definition agree in value and two derivatives."""
    def definition(t):
        return mg.mean((t - mg.mean(t, 1, keepdims=True)) ** 2, 1)

    x = spread((3, 4))
    np.testing.assert_allclose(mg.var(mg.tensor(x), 1).numpy(), definition(mg.tensor(x)).numpy(), rtol=1e-12)
    for order in (gradient, second):
        fused, composite = order(lambda t: mg.var(t, 1) ** 2, x), order(lambda t: definition(t) ** 2, x)
        np.testing.assert_allclose(fused, composite, rtol=1e-9)


# ---- ties and kinks --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("f, sign", [(mg.max, 1), (mg.min, -1)])
def test_ties_share_evenly(f, sign):
    x = sign * np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    np.testing.assert_allclose(gradient(lambda t: f(t, axis=1), x), [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(gradient(lambda t: f(t), x), [[0, 0.5, 0.5], [0, 0, 0]])
    np.testing.assert_allclose(gradient(lambda t: f(t, axis=(1, 0), keepdims=True), x), [[0, 0.5, 0.5], [0, 0, 0]])
    # (max x)²: d/dx of 2 m · w with the shares w constant is 2 w wᵀ
    w = np.array([0, 0.5, 0.5, 0, 0, 0])
    np.testing.assert_allclose(second(lambda t: f(t) ** 2, x).ravel(), 2 * w * (w @ np.arange(1, 7)))


def test_norm_and_std_have_no_slope_at_their_kink():
    rows = np.array([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(gradient(lambda t: mg.norm(t, axis=1), rows), [[0, 0], [0.6, 0.8]])
    np.testing.assert_allclose(gradient(lambda t: mg.norm(t, 3, axis=1), rows)[0], [0, 0])
    for f in (lambda t: mg.norm(t, axis=1), lambda t: mg.norm(t, 3, axis=1), lambda t: mg.norm(t, 1, axis=1)):
        assert np.isfinite(second(f, rows)).all() and not second(f, rows)[0].any()
    constant = np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]])
    first, after = gradient(lambda t: mg.std(t, axis=1), constant), second(lambda t: mg.std(t, axis=1), constant)
    assert not first[0].any() and not after[0].any() and np.isfinite(after).all() and after[1].any()
    assert gradient(lambda t: mg.std(t), [5.0]) == 0
    np.testing.assert_allclose(gradient(lambda t: mg.var(t, axis=1), constant)[0], 0)


def test_gradient_penalty_through_the_norm():
    """(‖∇f‖ − 1)² differentiates through the norm: f = a·x² has ∇f = 2 a x, and the penalty's slope is known."""
    x, a = mg.tensor(np.array([1.0, 2.0]), requires_grad=True), mg.tensor(np.array([3.0, 4.0]), requires_grad=True)
    g = mg.grad(mg.sum(a * x * x), x, create_graph=True)
    slope = mg.grad((mg.norm(g) - 1) ** 2, a)
    length = np.hypot(6, 16)
    np.testing.assert_allclose(slope.numpy(), 2 * (length - 1) / length * np.array([6 * 2, 16 * 4]))


# ---- extremes --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logsumexp_is_stable(dtype):
    rows = np.array([[1e4, 1e4], [-1e4, -1e4], [1e4, -1e4], [-np.inf, 1e4], [0, 0]], dtype)
    y = mg.logsumexp(mg.tensor(rows), 1).numpy()
    np.testing.assert_allclose(y, [1e4 + np.log(2), -1e4 + np.log(2), 1e4, 1e4, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(gradient(lambda t: mg.logsumexp(t, 1), rows, dtype),
                               [[0.5, 0.5], [0.5, 0.5], [1, 0], [0, 1], [0.5, 0.5]], rtol=1e-6)
    assert np.isfinite(second(lambda t: mg.logsumexp(t, 1), rows)).all()


def test_logsumexp_of_impossible_terms():
    rows = np.array([[-np.inf, -np.inf], [-np.inf, 0.0]])
    with np.errstate(all="raise"):
        assert mg.logsumexp(mg.tensor(rows), 1).tolist() == [-np.inf, 0]
    np.testing.assert_array_equal(gradient(lambda t: mg.logsumexp(t, 1), rows), [[0, 0], [0, 1]])
    np.testing.assert_array_equal(second(lambda t: mg.logsumexp(t, 1), rows), [[0, 0], [0, 0]])
    assert mg.logsumexp(mg.tensor([1.0, np.inf])).item() == np.inf
    assert mg.logsumexp(mg.zeros((2, 0)), axis=1).tolist() == [-np.inf] * 2
    assert mg.logsumexp(mg.zeros((0, 2)), axis=1).shape == (0,)
    assert mg.logsumexp(mg.zeros((0,))).dtype == np.float32


def test_nan_passes_through():
    rows = np.array([[1.0, np.nan], [1.0, 2.0]])
    for f in (mg.sum, mg.mean, mg.var, mg.std, mg.max, mg.min, mg.logsumexp, mg.norm):
        y = f(mg.tensor(rows), axis=1).numpy()
        assert np.isnan(y[0]) and np.isfinite(y[1])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(gradient(lambda t: mg.max(t, axis=1), rows), [[np.nan, np.nan], [0, 1]])


def test_variance_far_from_zero():
    x = (1e4 + np.array([-1.0, 0.0, 1.0])).astype(np.float32)
    assert mg.var(mg.tensor(x)).item() == pytest.approx(2 / 3, rel=1e-3)


# ---- empty and 0-d ---------------------------------------------------------------------------------------------------
def test_empty_reductions():
    empty = mg.zeros((0, 3))
    assert mg.sum(empty).item() == 0 and mg.sum(empty, axis=0).tolist() == [0, 0, 0]
    assert mg.sum(empty, axis=1).shape == (0,)
    assert mg.any(empty).item() is False and mg.all(empty).item() is True and mg.norm(empty).item() == 0
    assert mg.max(empty, axis=1).shape == (0,) and mg.argmax(empty, axis=1).shape == (0,)
    with np.errstate(invalid="ignore"):
        assert np.isnan(mg.mean(empty).item()) and np.isnan(mg.var(empty).item())
    for name in ("sum", "norm", "logsumexp", "max", "min"):
        assert_gradients(lambda t: SMOOTH[name](t, axis=1), np.zeros((0, 3)))


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
@pytest.mark.parametrize("axis", [None, 0])
def test_nothing_to_choose_from(name, axis):
    with pytest.raises(ValueError, match=rf"^{name}: wants at least one element to choose from.*got x \(0, 3\)"):
        getattr(mg, name)(mg.zeros((0, 3)), axis=axis)


@pytest.mark.parametrize("name", [n for n in SMOOTH if n != "std"])
def test_a_single_number(name):
    assert_gradients(lambda t: SMOOTH[name](t), np.array(-0.7))
    assert SMOOTH[name](mg.tensor(-0.7)).shape == ()


# ---- bad axes --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", "sum mean var std max min argmax argmin any all logsumexp norm".split())
def test_bad_axes(name):
    f, x = getattr(mg, name), mg.ones((2, 3))
    with pytest.raises(IndexError, match=rf"^{name}: axis 2 is out of bounds for array of dimension 2.*\(2, 3\)"):
        f(x, axis=2)
    with pytest.raises(IndexError, match=rf"^{name}: axis -3 is out of bounds for array of dimension 2"):
        f(x, axis=-3)
    if "arg" not in name:
        with pytest.raises(ValueError, match=rf"^{name}: (duplicate value|repeated axis)"):
            f(x, axis=(0, -2))


def test_other_bad_settings():
    with pytest.raises(ValueError, match=r"^norm: p must be at least 1.*p=0.5"):
        mg.norm(mg.ones(3), 0.5)
    with pytest.raises(ValueError, match=r"^broadcast_to: \(2, 3\) does not stretch to \(3, 2\): from the right"):
        mg.broadcast_to(mg.ones((2, 3)), (3, 2))


# ---- the fast sum ----------------------------------------------------------------------------------------------------
@given(shapes_and_axes(longest=7), st.sampled_from(["float32", "float64"]), st.booleans(), st.booleans())
def test_sums_over_leading_axes_as_products(backend, case, dtype, keepdims, turned):
    """With every sum taken for large and tiny blocks, the product with ones is the plain sum."""
    shape, axis = case
    x = spread(shape).astype(dtype)
    x = mg.tensor(x.T if turned else x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduce, "LARGE", 0)
        patch.setattr(reduce, "BLOCK", 3)
        ours = mg.sum(x, axis, keepdims)
    plain = x.numpy().sum(axis, keepdims=keepdims)
    assert ours.shape == plain.shape and ours.dtype == dtype
    np.testing.assert_allclose(ours.numpy(), plain, rtol=1e-5, atol=1e-5)


def test_a_large_sum_over_leading_axes_is_more_accurate_than_numpys():
    x = np.random.default_rng(0).random((64, 28, 28, 8), dtype=np.float32)
    exact = x.sum((0, 1, 2), dtype=np.float64)
    error = np.abs(mg.sum(mg.tensor(x), (0, 1, 2)).numpy() - exact).max() / exact.max()
    assert error < 8 * np.finfo(np.float32).eps < np.abs(x.sum((0, 1, 2)) - exact).max() / exact.max()
    assert mg.sum(mg.tensor(x), (2, 0, 1), keepdims=True).shape == (1, 1, 1, 8)


def test_a_large_sum_keeps_infinities_in_their_column():
    x = np.ones((20000, 3), np.float32)
    x[7, 1] = np.inf
    x[9000, 2] = np.nan
    np.testing.assert_array_equal(mg.sum(mg.tensor(x), 0).numpy(), [20000, np.inf, np.nan])


# ---- on a device -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", SMOOTH)
def test_no_reduction_waits_for_the_device(backend, name):
    if backend != "strict":
        pytest.skip("counted by the strict backend")
    x = mg.tensor(spread((3, 4)), requires_grad=True)
    before = strict.transfers
    g = mg.grad(mg.sum(SMOOTH[name](x, axis=1)), x, create_graph=True)
    mg.grad(mg.sum(g * g), x)
    assert strict.transfers == before
