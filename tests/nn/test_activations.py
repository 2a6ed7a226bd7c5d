"""Activation modules call the ops of their names, with their settings."""
import numpy as np
import pytest
from scipy import special

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")
X = np.linspace(-3, 3, 13)


@pytest.mark.parametrize("module, expected", [
    (nn.Identity(), X),
    (nn.ReLU(), np.maximum(X, 0)),
    (nn.LeakyReLU(), np.where(X > 0, X, 0.01 * X)),
    (nn.LeakyReLU(0.2), np.where(X > 0, X, 0.2 * X)),
    (nn.ELU(), np.where(X > 0, X, np.expm1(X))),
    (nn.ELU(0.5), np.where(X > 0, X, 0.5 * np.expm1(X))),
    (nn.SiLU(), X * special.expit(X)),
    (nn.GELU(), X * special.ndtr(X)),
    (nn.GELU("tanh"), 0.5 * X * (1 + np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X ** 3)))),
    (nn.Tanh(), np.tanh(X)),
    (nn.Sigmoid(), special.expit(X)),
    (nn.Softplus(), np.log1p(np.exp(X)))], ids=lambda value: repr(value) if isinstance(value, nn.Module) else "")
def test_value(module, expected):
    np.testing.assert_allclose(module(mg.tensor(X)).numpy(), expected, rtol=1e-9, atol=1e-12)
    assert list(module.parameters()) == []


def test_repr_shows_settings():
    assert [repr(m) for m in (nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(), nn.GELU("tanh"))] == [
        "ReLU()", "LeakyReLU(0.2)", "ELU(1.0)", "GELU(approximate='tanh')"]
