"""Residual blocks: the start, the formula, the condition, derivatives."""
import numpy as np
import pytest
from helpers import assert_gradients

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def shaken(module, seed=0):
    """The module with random parameters, so that nothing is zero."""
    rng = np.random.default_rng(seed)
    module.load_state_dict({name: 0.5 * rng.standard_normal(a.shape) for name, a in module.state_dict().items()})
    return module


def silu(x):
    return x / (1 + np.exp(-x))


def test_a_new_block_is_the_skip_alone():
    x = mg.tensor(draw(2, 3, 3, 4))
    np.testing.assert_array_equal(nn.ResidualBlock(4, 4, groups=2, rng=0)(x).numpy(), x.numpy())
    block = nn.ResidualBlock(4, 2, groups=2, rng=0)
    np.testing.assert_allclose(block(x).numpy(), block.skip(x).numpy())


@pytest.mark.parametrize("out_channels", [2, 4])
def test_value(out_channels):
    block = shaken(nn.ResidualBlock(2, out_channels, 3, groups=2, rng=0))
    x, e = draw(2, 3, 4, 2), draw(2, 3, seed=1)
    p = block.state_dict()
    h = block.conv1(mg.tensor(silu(block.norm1(mg.tensor(x)).numpy()))).numpy()
    h = h + (silu(e) @ p["condition.weight"] + p["condition.bias"])[:, None, None]
    y = block.conv2(mg.tensor(silu(block.norm2(mg.tensor(h)).numpy()))).numpy()
    skip = x if out_channels == 2 else x @ p["skip.weight"] + p["skip.bias"]
    np.testing.assert_allclose(block(mg.tensor(x), mg.tensor(e)).numpy(), skip + y, rtol=1e-5, atol=1e-5)


def test_gradients():
    block = shaken(nn.ResidualBlock(2, 2, 2, groups=1, rng=0).astype("float64"))

    def f(x, e, kernel):
        block.conv1.weight = kernel
        return block(x, e)

    assert_gradients(f, draw(1, 2, 2, 2), draw(1, 2, seed=1), 0.5 * draw(3, 3, 2, 2, seed=2))


def test_dropout_in_training_alone():
    block, x = shaken(nn.ResidualBlock(2, 2, groups=1, dropout=0.5, rng=0)), mg.tensor(draw(1, 4, 4, 2))
    assert (block(x).numpy() != block(x).numpy()).any()
    block.eval()
    np.testing.assert_array_equal(block(x).numpy(), block(x).numpy())


@pytest.mark.parametrize("features, condition, message", [
    (3, None, r"ResidualBlock\(2, 2, condition_features=3\) wants a condition of shape \(4, 3\) beside x "
              r"\(4, 3, 3, 2\), got None"),
    (3, (4, 2), r"of shape \(4, 3\) .* got \(4, 2\)"),
    (3, (1, 3), r"of shape \(4, 3\) .* got \(1, 3\)"),
    (0, (4, 3), r"ResidualBlock\(2, 2\) wants a condition of shape None .* got \(4, 3\)"),
])
def test_bad_conditions(features, condition, message):
    block = nn.ResidualBlock(2, 2, features, groups=1, rng=0)
    with pytest.raises(ValueError, match=message):
        block(mg.zeros((4, 3, 3, 2)), condition and mg.zeros(condition))


def test_bad_sizes():
    with pytest.raises(ValueError, match="GroupNorm: wants the 6 features in groups of equal size, got 4 groups"):
        nn.ResidualBlock(6, 8, groups=4, rng=0)
    with pytest.raises(ValueError, match=r"ResidualBlock\(2, 2\) wants 2 features on the last axis, .* \(1, 3, 3, 4\)"):
        nn.ResidualBlock(2, 2, groups=1, rng=0)(mg.zeros((1, 3, 3, 4)))
