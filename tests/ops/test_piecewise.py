"""Piecewise ops: values against NumPy, derivatives between the kinks, and the documented choice at each kink."""
import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import minigen as mg
import numpy as np
import pytest
from helpers import assert_gradients

pytestmark = pytest.mark.usefixtures("backend")

COMPARISONS = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
SPECIAL = np.array([-np.inf, -1.5, -1.0, 0.0, 1.0, 2.5, np.inf, np.nan])


def apart(shapes, seed):
    """Arrays of these shapes with all elements at least 0.01 from each other and from every integer."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    values = 0.05 * (np.random.default_rng(seed).permutation(400)[:sum(sizes)] - 200) + 0.02
    return [part.reshape(shape) for part, shape in zip(np.split(values, np.cumsum(sizes)[:-1]), shapes)]


def first_and_second(f, *arrays):
    """∂Σf/∂x for each input, and that once more, as NumPy arrays."""
    leaves = [mg.tensor(a, requires_grad=True) for a in arrays]
    y = f(*leaves)
    first = mg.grad(y, leaves, mg.ones_like(y), create_graph=True)
    second = mg.grad(sum(mg.sum(g) for g in first), leaves)
    return [g.numpy() for g in first], [h.numpy() for h in second]


# ---- truth values ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", COMPARISONS + ["logical_and", "logical_or", "logical_xor"])
def test_pairs_of_truth_values(name):
    x, y = mg.tensor(SPECIAL[:, None], requires_grad=True), mg.tensor(SPECIAL)
    result = getattr(mg, name)(x, y)
    assert result.dtype == bool and not result.requires_grad
    np.testing.assert_array_equal(result.numpy(), getattr(np, name)(SPECIAL[:, None], SPECIAL))


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite", "logical_not"])
def test_single_truth_values(name):
    result = getattr(mg, name)(mg.tensor(SPECIAL, requires_grad=True))
    assert result.dtype == bool and not result.requires_grad
    np.testing.assert_array_equal(result.numpy(), getattr(np, name)(SPECIAL))


def test_operators():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    x, y = mg.tensor(a), mg.tensor(b)
    for ours, numpys in [
            (x == y, a == b), (x != y, a != b), (x < y, a < b), (x <= y, a <= b), (x > y, a > b), (x >= y, a >= b),
            ((x > 1) & (y > 1), (a > 1) & (b > 1)), ((x > 1) | (y > 1), (a > 1) | (b > 1)),
            ((x > 1) ^ (y > 1), (a > 1) ^ (b > 1)), (~(x > 1), ~(a > 1)), (2 > x, 2 > a)]:
        np.testing.assert_array_equal(ours.numpy(), numpys)


# ---- steps -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["sign", "floor", "ceil", "round"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_send_back_zeros(name, dtype):
    for values in (np.array([-2.5, -1.0, -0.3, 0.0, 0.5, 1.5, 7.2]), np.array(1.7), np.zeros((0, 2))):
        x = mg.tensor(values.astype(dtype), requires_grad=True)
        y = getattr(mg, name)(x)
        assert y.requires_grad and y.dtype == dtype
        np.testing.assert_array_equal(y.numpy(), getattr(np, name)(values.astype(dtype)))
        y.backward(np.full(values.shape, np.inf, dtype))
        assert x.grad.dtype == dtype
        np.testing.assert_array_equal(x.grad.numpy(), np.zeros(values.shape))
        (first,), (second,) = first_and_second(getattr(mg, name), values)
        assert not first.any() and not second.any()


def test_round_to_decimals():
    x = mg.tensor([1.234, -5.678])
    np.testing.assert_allclose(mg.round(x, 1).numpy(), [1.2, -5.7], rtol=1e-6)
    np.testing.assert_allclose(round(x, 2).numpy(), [1.23, -5.68], rtol=1e-6)
    np.testing.assert_array_equal(round(x).numpy(), [1, -6])


@hypothesis.given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3, min_side=0),
                  seed=st.integers(0, 99))
@hypothesis.settings(max_examples=8)
def test_remainder_and_floor_divide(shapes, seed):
    a, b = apart(shapes.input_shapes, seed)
    hypothesis.assume(a.size == 0 or b.size == 0 or np.abs(a / b - np.round(a / b)).min() > 1e-3)
    x, y = mg.tensor(a), mg.tensor(b)
    np.testing.assert_allclose(mg.remainder(x, y).numpy(), np.remainder(a, b))
    np.testing.assert_allclose(mg.floor_divide(x, y).numpy(), np.floor_divide(a, b))
    assert_gradients(mg.remainder, a, b)
    assert_gradients(mg.floor_divide, a, b)


def test_integers_stay_integers():
    x = mg.tensor([7, -7])
    for y in (x // 2, x % 2, mg.maximum(x, 0), mg.clip(x, 0, 3), abs(x)):
        assert y.dtype == np.int64
    np.testing.assert_array_equal((x // 2).numpy(), [3, -4])
    np.testing.assert_array_equal((x % 4).numpy(), [3, 1])


# ---- linear pieces ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["maximum", "minimum"])
@hypothesis.settings(max_examples=8)
@hypothesis.given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0),
                  seed=st.integers(0, 99))
def test_maximum_and_minimum(name, shapes, seed):
    a, b = apart(shapes.input_shapes, seed)
    op = getattr(mg, name)
    np.testing.assert_array_equal(op(mg.tensor(a), mg.tensor(b)).numpy(), getattr(np, name)(a, b))
    assert_gradients(op, a, b)
    assert_gradients(lambda x, y: op(x * x, y * x), a, b)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_are_shared(name):
    a, b = np.array([1.0, 2.0, np.inf], np.float32), np.array([1.0, 3.0, np.inf], np.float32)
    (da, db), (d2a, d2b) = first_and_second(getattr(mg, name), a, b)
    np.testing.assert_array_equal(da, [0.5, 0.0 if name == "maximum" else 1.0, 0.5])
    np.testing.assert_array_equal(da + db, 1)
    assert not d2a.any() and not d2b.any() and da.dtype == np.float32
    np.testing.assert_array_equal(getattr(mg, name)(mg.tensor([np.nan, 1.0]), mg.tensor([1.0, np.nan])).numpy(), np.nan)


def test_maximum_of_squares_has_a_second_derivative():
    """max(x², 1)″ is 2 where x² wins and 0 where it loses."""
    _, (second,) = first_and_second(lambda x: mg.maximum(x * x, 1), np.array([2.0, 0.5]))
    np.testing.assert_array_equal(second, [2, 0])


def test_abs_and_its_kink():
    a, = apart([(3, 2)], 1)
    np.testing.assert_array_equal(mg.abs(mg.tensor(a)).numpy(), np.abs(a))
    assert_gradients(mg.abs, a)
    (first,), (second,) = first_and_second(mg.abs, np.array([-2.0, 0.0, 3.0], np.float32))
    np.testing.assert_array_equal(first, [-1, 0, 1])
    assert not second.any()


@pytest.mark.parametrize("bounds", [(-1.0, 2.0), (None, 0.5), (0, None), (np.float64(-1), np.float64(1))])
def test_clip(bounds):
    a, = apart([(4, 3)], 2)
    low, high = bounds
    np.testing.assert_array_equal(mg.clip(mg.tensor(a), low, high).numpy(), np.clip(a, low, high))
    np.testing.assert_array_equal(mg.clip(mg.tensor(a), min=low, max=high).numpy(), np.clip(a, low, high))
    assert mg.clip(mg.tensor(a, dtype="float32"), low, high).dtype == np.float32
    assert_gradients(lambda x: mg.clip(x, low, high), a)
    assert_gradients(lambda x: mg.clip(x * x, low, high), a)


def test_clip_passes_the_gradient_at_its_bounds():
    (first,), _ = first_and_second(lambda x: mg.clip(x, -1, 2), np.array([-1.5, -1.0, 0.0, 2.0, 2.5]))
    np.testing.assert_array_equal(first, [0, 1, 1, 1, 0])


def test_clip_bad_bounds():
    x = mg.tensor([1.0, 2.0])
    with pytest.raises(TypeError, match=r"clip: a bound must be a number, not a Tensor; write minimum\(maximum"):
        mg.clip(x, mg.tensor(0.0), 1)
    with pytest.raises(ValueError, match="clip: min and max are both None"):
        mg.clip(x)


# ---- where -----------------------------------------------------------------------------------------------------------
@hypothesis.settings(max_examples=8)
@hypothesis.given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3, min_side=0),
                  seed=st.integers(0, 99))
def test_where(shapes, seed):
    rng = np.random.default_rng(seed)
    c, a, b = (rng.standard_normal(shape) for shape in shapes.input_shapes)
    mask = mg.tensor(c > 0)
    np.testing.assert_array_equal(mg.where(mask, mg.tensor(a), mg.tensor(b)).numpy(), np.where(c > 0, a, b))
    assert_gradients(lambda x, y: mg.where(mask, x * y, y), a, b)


def test_where_shields_the_other_branch():
    x = mg.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    with np.errstate(all="ignore"):
        y = mg.where(x > 0, mg.log(mg.where(x > 0, x, 1)), -x)
        g = mg.grad(y, x, np.ones(3, np.float32), create_graph=True)
    np.testing.assert_allclose(g.numpy(), [-1, -1, 0.5])
    np.testing.assert_allclose(mg.grad(g, x, np.ones(3, np.float32)).numpy(), [0, 0, -0.25])
    z = mg.where(x > 0, x, float("nan"))
    np.testing.assert_array_equal(mg.grad(z, x, np.ones(3, np.float32)).numpy(), [0, 0, 1])


def test_where_of_numbers():
    mask = mg.tensor([True, False])
    assert mg.where(mask, 1.0, 0.0).dtype == mg.where(mask, 1, 0.5).dtype == np.float32
    assert mg.where(mask, 1, 0).dtype == np.int64
    assert mg.where(mask, mg.tensor([1.0, 2.0]), 0).dtype == np.float32
    np.testing.assert_array_equal(mg.where(True, mg.tensor([1.0]), 0.0).numpy(), [1])


def test_where_wants_both_branches():
    with pytest.raises(TypeError, match=r"where: missing a required argument: 'x'; .* where\(condition, x, y\)"):
        mg.where(mg.tensor([True]))
