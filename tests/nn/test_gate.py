"""The gated activation: fused and composite, derivatives, odd features."""
import numpy as np
import pytest
from helpers import assert_gradients

import minigen as mg
from minigen.nn.gate import gated_tanh, gated_tanh_composite

pytestmark = pytest.mark.usefixtures("backend")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("shape", [(2,), (3, 4), (2, 3, 2, 6), (0, 4)])
def test_fused_equals_composite(shape):
    x = 3 * draw(*shape)
    out = gated_tanh(mg.tensor(x))
    assert out.shape == (*shape[:-1], shape[-1] // 2)
    np.testing.assert_allclose(out.numpy(), gated_tanh_composite(mg.tensor(x)).numpy(), rtol=1e-12)


@pytest.mark.parametrize("f", [gated_tanh, gated_tanh_composite])
def test_gradients(f):
    assert_gradients(f, draw(2, 3, 4))


def test_extremes():
    """Saturated gates neither overflow nor lose the sign."""
    x = mg.tensor(np.array([[200.0, 200.0], [-200.0, 200.0], [200.0, -800.0]]))
    np.testing.assert_array_equal(gated_tanh(x).numpy()[:, 0], [1, -1, 0])


def test_an_odd_number_of_features():
    with pytest.raises(ValueError, match=r"gated_tanh: wants an even number of features.*\(2, 3\)"):
        gated_tanh(mg.zeros((2, 3)))
