"""Grouped moments and the affine map: values, derivatives, and the fused normalisation beside its composite."""
import numpy as np
import pytest
from helpers import assert_gradients, leaf

import minigen as mg
from minigen.nn.moments import (dot_positions, moments, normalize_groups, normalize_groups_composite, scale_shift,
                                spread, steer, sum_positions)

pytestmark = pytest.mark.usefixtures("backend")
CASES = [((1, 5, 3), 3), ((2, 3, 4), 2), ((2, 3, 4), 1), ((3, 2, 2), 2), ((2, 1, 4), 2), ((0, 3, 2), 1)]


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize("shape, groups", CASES)
def test_moments_are_those_of_numpy(shape, groups):
    x, = draw(shape)
    grouped = x.reshape(*shape[:2], groups, shape[2] // groups)
    mu, v = moments(mg.tensor(x), groups).numpy()
    np.testing.assert_allclose(mu, grouped.mean((1, 3)), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(v, grouped.var((1, 3)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("S", [1, 255, 256, 257, 512, 700])
def test_sums_over_many_positions(S):
    x, y = draw((2, S, 3), (2, S, 3))
    for ours, expected in ((sum_positions(mg.tensor(x)), x), (dot_positions(mg.tensor(x), mg.tensor(y)), x * y)):
        np.testing.assert_allclose(ours.numpy(), expected.sum(1), rtol=1e-11, atol=1e-11)


def test_a_long_float32_sum_keeps_its_digits():
    """Adding 200,000 entries one by one would lose about 1e-3 of the sum; blocks lose a few 1e-7."""
    x = np.random.default_rng(0).random((1, 200_000, 2), dtype=np.float32)
    np.testing.assert_allclose(sum_positions(mg.tensor(x)).numpy(), x.astype(np.float64).sum(1), rtol=2e-6)


@pytest.mark.parametrize("shape, groups", CASES)
def test_gradients_of_moments(shape, groups):
    assert_gradients(lambda x: mg.sin(moments(x, groups)), *draw(shape))


@pytest.mark.parametrize("shape", [(2, 3, 2), (1, 4, 3), (0, 2, 2)])
def test_gradients_of_scale_shift_and_of_the_sums(shape):
    B, _, C = shape
    assert_gradients(scale_shift, *draw(shape, (B, C), (B, C)))
    assert_gradients(lambda x: mg.sin(sum_positions(x)), *draw(shape))
    assert_gradients(dot_positions, *draw(shape, shape))


@pytest.mark.parametrize("shape, groups", CASES)
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_fused_equals_composite_in_value_first_and_second_derivative(shape, groups, eps):
    C = shape[-1]
    x, w, b, c, dx, dw, db = draw(shape, C, C, shape, shape, C, C)

    def orders(f):
        leaves = [leaf(a) for a in (x, w, b)]
        y = f(leaves[0], groups, eps, *leaves[1:])
        first = mg.grad(y, leaves, mg.tensor(c), create_graph=True)
        along = sum((mg.sum(g * mg.tensor(d)) for g, d in zip(first, (dx, dw, db))), start=mg.tensor(np.float64(0)))
        return [t.numpy() for t in (y, *first, *mg.grad(along, leaves))]

    for ours, theirs in zip(orders(normalize_groups), orders(normalize_groups_composite)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9)


def test_steer_without_weight_and_bias():
    mu, v = mg.tensor([[1.0, 2.0]]), mg.tensor([[3.0, 0.0]])
    s, t = steer(mu, v, 1.0)
    np.testing.assert_allclose(s.numpy(), [[0.5, 1.0]])
    np.testing.assert_allclose(t.numpy(), [[-0.5, -2.0]])


def test_spread():
    np.testing.assert_array_equal(spread(mg.tensor([[1.0, 2.0]]), 6).numpy(), [[1, 1, 1, 2, 2, 2]])


@pytest.mark.parametrize("scale, shift", [(1, 0), (1e-3, 0), (1e3, 1e4), (1, -1e4)])
def test_mean_zero_and_variance_one_in_float32(scale, shift):
    x = (scale * np.random.default_rng(0).standard_normal((2, 300, 4)) + shift).astype(np.float32)
    y = normalize_groups(mg.tensor(x), 4, 1e-5).numpy().astype(np.float64)
    rounding = 2 ** -23 * max(1, abs(shift) / scale)              # of the entries of x, in units of scale
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=4 * rounding)
    variance = x.astype(np.float64).var(axis=1)
    np.testing.assert_allclose(y.var(axis=1), variance / (variance + 1e-5), rtol=1e-3)


def test_bad_input():
    with pytest.raises(ValueError, match="moments: .*multiple of groups = 3.* 4"):
        moments(mg.zeros((2, 3, 4)), 3)
    with pytest.raises(ValueError, match="S ≥ 1"):
        moments(mg.zeros((2, 0, 4)), 2)
    with pytest.raises(ValueError, match="scale_shift: wants x .B, S, C., s .B, C. and t .B, C.*3, 5"):
        scale_shift(mg.zeros((3, 2, 4)), mg.zeros((3, 5)), mg.zeros((3, 4)))
