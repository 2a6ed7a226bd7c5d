"""The fused normalisation beside its composite, to second order; LayerNorm."""
import numpy as np
import pytest
from hypothesis import given, strategies as st
from helpers import assert_gradients

import minigen as mg
from minigen import nn
from minigen.nn.norm import standardize

pytestmark = pytest.mark.usefixtures("backend")
AXES = [((4,), -1), ((3, 5), -1), ((3, 5), 0), ((2, 3, 4), (0, 1)), ((2, 3, 4), (1, 2)), ((2, 3, 1), 1), ((0, 3), -1)]


def composite(x, axis, eps):
    centred = x - mg.mean(x, axis=axis, keepdims=True)
    return centred / mg.sqrt(mg.mean(centred * centred, axis=axis, keepdims=True) + eps)


@pytest.mark.parametrize("shape, axis", AXES)
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_fused_equals_composite_in_value_first_and_second_derivative(shape, axis, eps):
    rng = np.random.default_rng(0)
    x, c, d = (rng.standard_normal(shape) for _ in range(3))

    def orders(f):
        leaf = mg.tensor(x, requires_grad=True)
        y = f(leaf, axis, eps)
        first = mg.grad(y, leaf, mg.tensor(c), create_graph=True)
        return [t.numpy() for t in (y, first, mg.grad(first, leaf, mg.tensor(d)))]

    for ours, theirs in zip(orders(standardize), orders(composite)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape, axis", AXES)
def test_gradients(shape, axis):
    assert_gradients(lambda x: standardize(x, axis, 0.1), np.random.default_rng(1).standard_normal(shape))


@pytest.mark.parametrize("scale, shift", [(1, 0), (1e-3, 0), (1e3, 1e4), (1, -1e4)])
def test_mean_zero_and_variance_one_in_float32(scale, shift):
    x = (scale * np.random.default_rng(0).standard_normal((4, 100)) + shift).astype(np.float32)
    y = standardize(mg.tensor(x)).numpy().astype(np.float64)
    rounding = 2 ** -23 * max(1, abs(shift) / scale)              # of a mean of entries near shift, in units of scale
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=4 * rounding)
    variance = x.astype(np.float64).var(axis=1)
    np.testing.assert_allclose(y.var(axis=1), variance / (variance + 1e-5), rtol=1e-3)


def test_constant_entries_become_zero_with_a_finite_gradient():
    x = mg.tensor(np.full((2, 3), 7.0, dtype=np.float32), requires_grad=True)
    y = standardize(x)
    assert (y.numpy() == 0).all()
    assert np.isfinite(mg.grad(y, x, mg.ones((2, 3))).numpy()).all()


@given(st.integers(1, 5), st.lists(st.integers(0, 3), max_size=2))
def test_layer_norm_value(features, lead):
    layer = nn.LayerNorm(features)
    rng = np.random.default_rng(0)
    gamma, beta = rng.standard_normal((2, features))
    x = rng.standard_normal((*lead, features))
    layer.load_state_dict({"weight": gamma, "bias": beta})
    expected = gamma * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) + beta
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_layer_norm_gradients_with_respect_to_everything():
    def f(x, weight, bias):
        layer = nn.LayerNorm(4, eps=0.1)
        layer.weight, layer.bias = weight, bias
        return layer(x)

    rng = np.random.default_rng(0)
    assert_gradients(f, rng.standard_normal((3, 4)), rng.standard_normal(4), rng.standard_normal(4))


def test_layer_norm_ignores_shift_and_scale_of_its_input():
    layer, x = nn.LayerNorm(6, eps=0.0), np.random.default_rng(0).standard_normal((2, 6))
    np.testing.assert_allclose(layer(mg.tensor(50 * x + 9)).numpy(), layer(mg.tensor(x)).numpy(), rtol=1e-9)


def test_bad_input():
    with pytest.raises(ValueError, match=r"LayerNorm\(4\) wants 4 features on the last axis, got an .* \(4, 3\)"):
        nn.LayerNorm(4)(mg.zeros((4, 3)))
    with pytest.raises(ValueError, match="LayerNorm: wants at least one feature, got 0"):
        nn.LayerNorm(0)


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    theirs = torch.nn.functional.layer_norm(torch.tensor(x), (8,))
    np.testing.assert_allclose(nn.LayerNorm(8)(mg.tensor(x)).numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5)
