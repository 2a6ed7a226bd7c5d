"""The equalised learning rate, and layers that compute with a function of their weight."""
import math

import numpy as np
import pytest
from helpers import assert_gradients

import minigen as mg
from minigen import nn
from minigen.training.optim import Adam

pytestmark = pytest.mark.usefixtures("backend")


@pytest.mark.parametrize("make, fan_in", [(lambda: nn.Linear(50, 200, rng=0), 50),
                                          (lambda: nn.Conv2d(4, 300, 3, rng=0), 36)])
def test_the_stored_weight_has_deviation_one_and_the_effective_one_that_of_he(make, fan_in):
    """10,000 draws or more: mean of squares within 5 standard errors, false-alarm rate 1e-6."""
    layer = nn.EqualizedLR(make(), rng=0)
    stored = layer.layer.weight.numpy()
    assert abs((stored ** 2).mean() - 1) < 5 * math.sqrt(2 / stored.size) and stored.size >= 10_000
    np.testing.assert_allclose(layer.effective_weight().numpy(), math.sqrt(2 / fan_in) * stored, rtol=1e-6)
    assert (layer.layer.bias.numpy() == 0).all()


def test_value():
    layer, x = nn.EqualizedLR(nn.Linear(4, 3, rng=0), gain=1.0, rng=0), np.random.default_rng(0).standard_normal((2, 4))
    layer.layer.bias = nn.Parameter([1.0, 2.0, 3.0])
    expected = 0.5 * x @ layer.layer.weight.numpy() + [1, 2, 3]
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_gradients():
    layer = nn.EqualizedLR(nn.Linear(3, 2, rng=0), rng=0)

    def f(x, weight, bias):
        layer.layer.weight, layer.layer.bias = weight, bias
        return mg.tanh(layer(x))

    rng = np.random.default_rng(0)
    assert_gradients(f, rng.standard_normal((2, 3)), rng.standard_normal((3, 2)), rng.standard_normal(2))


def test_adam_moves_every_layer_at_one_rate_relative_to_its_size():
    """The first step of Adam is lr · sign, so |Δŵ| / c = lr for any fan_in; He's start has lr √(fan_in / 2)."""
    for fan_in in (4, 400):
        layer = nn.EqualizedLR(nn.Linear(fan_in, 2, rng=0), rng=0)
        before = layer.effective_weight().numpy()
        mg.sum(layer(mg.ones((1, fan_in)))).backward()
        Adam(list(layer.parameters()), lr=0.01).step()
        moved = np.abs(layer.effective_weight().numpy() - before)
        np.testing.assert_allclose(moved / math.sqrt(2 / fan_in), 0.01, rtol=1e-3)


def test_what_is_saved_is_the_stored_weight():
    layer = nn.EqualizedLR(nn.Linear(3, 2, bias=False, rng=0), rng=1)
    assert list(layer.state_dict()) == ["layer.weight"]
    twin = nn.EqualizedLR(nn.Linear(3, 2, bias=False, rng=2), rng=3)
    twin.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(twin(mg.ones((1, 3))).numpy(), layer(mg.ones((1, 3))).numpy())


def test_bad_input():
    with pytest.raises(TypeError, match="EqualizedLR: wants a layer with a Parameter called weight, .* a Sequential"):
        nn.EqualizedLR(nn.Sequential(), rng=0)
    with pytest.raises(ValueError, match="fans: a weight has at least two axes"):
        nn.EqualizedLR(nn.LayerNorm(3), rng=0)
    with pytest.raises(NotImplementedError, match="Reweighted: it has no effective_weight"):
        nn.Reweighted(nn.Linear(2, 2, rng=0))(mg.zeros((1, 2)))
