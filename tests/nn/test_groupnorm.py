"""Group and instance norm: the formula, invariances, derivatives to second order."""
import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")


def formula(x, groups, gamma, beta, eps=1e-5):
    """Group by group and example by example."""
    y = np.empty_like(x)
    for n in range(len(x)):
        for channels in np.split(np.arange(x.shape[-1]), groups):
            part = x[n][..., channels]
            y[n][..., channels] = (part - part.mean()) / np.sqrt(part.var() + eps)
    return gamma * y + beta


@given(st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(0, 3), min_size=1, max_size=3))
def test_value(groups, size, lead):
    lead = [lead[0], 2, *(d + 1 for d in lead[1:])]
    layer, rng = nn.GroupNorm(groups, groups * size), np.random.default_rng(0)
    gamma, beta = rng.standard_normal((2, groups * size))
    layer.load_state_dict({"weight": gamma, "bias": beta})
    x = rng.standard_normal((*lead, groups * size))
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), formula(x, groups, gamma, beta), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape, groups", [((2, 2, 2, 4), 2), ((2, 3, 2), 1), ((2, 3, 2), 2), ((3, 4), 2),
                                           ((0, 2, 2), 1)])
def test_gradients_with_respect_to_everything(shape, groups):
    layer = nn.GroupNorm(groups, shape[-1], eps=0.1)

    def f(x, weight, bias):
        layer.weight, layer.bias = weight, bias
        return layer(x)

    rng = np.random.default_rng(0)
    assert_gradients(f, rng.standard_normal(shape), rng.standard_normal(shape[-1]), rng.standard_normal(shape[-1]))


def test_one_group_is_layer_norm_over_the_whole_example():
    x = np.random.default_rng(0).standard_normal((3, 2, 4))
    whole = nn.LayerNorm(8)(mg.tensor(x.reshape(3, 8))).numpy().reshape(x.shape)
    np.testing.assert_allclose(nn.GroupNorm(1, 4)(mg.tensor(x)).numpy(), whole, rtol=1e-6, atol=1e-9)


def test_instance_norm_takes_the_contrast_of_each_channel_away():
    layer, x = nn.InstanceNorm(3, eps=0.0, affine=False), np.random.default_rng(0).standard_normal((2, 4, 4, 3))
    y = layer(mg.tensor(x)).numpy()
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var((1, 2)), 1, rtol=1e-9)
    contrast, brightness = np.random.default_rng(1).uniform(1, 2, (2, 2, 1, 1, 3))
    np.testing.assert_allclose(layer(mg.tensor(contrast * x + brightness)).numpy(), y, rtol=1e-7, atol=1e-9)
    assert list(layer.parameters()) == []


def test_instance_norm_is_group_norm_with_single_channels():
    x = mg.tensor(np.random.default_rng(0).standard_normal((2, 5, 3)))
    np.testing.assert_array_equal(nn.InstanceNorm(3)(x).numpy(), nn.GroupNorm(3, 3)(x).numpy())


def test_an_example_does_not_see_its_neighbours_and_eval_changes_nothing():
    layer, x = nn.GroupNorm(2, 4), np.random.default_rng(0).standard_normal((3, 2, 2, 4))
    out = layer(mg.tensor(x)).numpy()
    np.testing.assert_allclose(layer.eval()(mg.tensor(x[1:2])).numpy(), out[1:2], rtol=1e-12)


@pytest.mark.parametrize("make, message", [
    (lambda: nn.GroupNorm(3, 4), "GroupNorm: wants the 4 features in groups of equal size, got 3 groups"),
    (lambda: nn.GroupNorm(0, 4), "got 0 groups"),
    (lambda: nn.InstanceNorm(0), "InstanceNorm: wants the 0 features"),
    (lambda: nn.GroupNorm(2, 4)(mg.zeros((2, 3))),
     r"GroupNorm\(2, 4\) wants 4 features on the last axis, got .* \(2, 3\)"),
    (lambda: nn.GroupNorm(2, 4)(mg.zeros(4)), r"GroupNorm\(2, 4\) wants \(N, …, 4\) .* shape \(4,\)"),
    (lambda: nn.InstanceNorm(4)(mg.zeros((2, 1, 4))),
     r"InstanceNorm\(4\) wants .* two entries in a group, .* \(2, 1, 4\)"),
])
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 6)).astype(np.float32)
    theirs = torch.nn.functional.group_norm(torch.tensor(x).movedim(-1, 1), 3).movedim(1, -1)
    np.testing.assert_allclose(nn.GroupNorm(3, 6)(mg.tensor(x)).numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5)
