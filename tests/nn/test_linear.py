"""The linear layer: value, gradients, start, and what it refuses."""
import math

import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")


@given(st.lists(st.integers(0, 3), max_size=3), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_value(lead, features, following, bias):
    layer = nn.Linear(features, following, bias, rng=0)
    x = np.random.default_rng(1).standard_normal((*lead, features)).astype(np.float32)
    expected = x @ layer.weight.numpy() + (layer.bias.numpy() if bias else 0)
    out = layer(mg.tensor(x))
    assert out.shape == (*lead, following) and out.dtype == np.float32
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (0,)])
def test_gradients_with_respect_to_input_weight_and_bias(lead):
    rng = np.random.default_rng(0)

    def f(x, weight, bias):
        layer = nn.Linear(3, 2, rng=0)
        layer.weight, layer.bias = weight, bias
        return mg.tanh(layer(x))

    assert_gradients(f, rng.standard_normal((*lead, 3)), rng.standard_normal((3, 2)), rng.standard_normal(2))


def test_the_default_start_is_that_of_pytorch():
    """Uniform on ±1/√fan_in: 40,000 and 400 draws, mean of squares within 5 standard errors, false-alarm rate 2e-6."""
    layer = nn.Linear(100, 400, rng=0)
    for values, n in ((layer.weight, 40_000), (layer.bias, 400)):
        values = values.numpy() * math.sqrt(100)
        assert np.abs(values).max() <= 1 + 1e-6
        assert abs((values ** 2).mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / n)


def test_other_starts_have_zero_bias():
    layer = nn.Linear(4, 3, rng=0, weight_init="orthogonal")
    assert (layer.bias.numpy() == 0).all()
    np.testing.assert_allclose(layer.weight.numpy().T @ layer.weight.numpy(), np.eye(3), atol=1e-6)


def test_a_seed_starts_equal_layers_and_a_generator_different_ones():
    np.testing.assert_array_equal(nn.Linear(3, 2, rng=4).weight.numpy(), nn.Linear(3, 2, rng=4).weight.numpy())
    rng = mg.random.default_rng(4)
    assert (nn.Linear(3, 2, rng=rng).weight.numpy() != nn.Linear(3, 2, rng=rng).weight.numpy()).all()


@pytest.mark.parametrize("shape", [(), (3,), (4, 3), (784,)])
def test_a_wrong_number_of_features_names_the_layer(shape):
    model = nn.Sequential(nn.Linear(4, 5, rng=0))
    list(model.parameters())
    with pytest.raises(ValueError) as error:
        model(mg.zeros(shape))
    assert str(error.value) == f"Linear(4, 5) '0' wants 4 features on the last axis, got an input of shape {shape}"


def test_bad_sizes_and_initialisers():
    with pytest.raises(ValueError, match="Linear: wants at least one feature in and out, got 0 and 3"):
        nn.Linear(0, 3, rng=0)
    with pytest.raises(ValueError, match="'xavier'"):
        nn.Linear(2, 3, rng=0, weight_init="xavier")


def test_repr():
    assert repr(nn.Linear(2, 3, bias=False, rng=0)) == "Linear(2, 3, bias=False)"


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    layer = nn.Linear(5, 3, rng=0)
    x = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
    weight, bias = torch.tensor(layer.weight.numpy().T), torch.tensor(layer.bias.numpy())
    theirs = torch.nn.functional.linear(torch.tensor(x), weight, bias)
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)
