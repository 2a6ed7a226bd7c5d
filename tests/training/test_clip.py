"""Clipping against NumPy, and without a hidden wait for the device."""
import numpy as np
import pytest
import strict

import minigen as mg
from minigen.training import clip_grad_norm, clip_grad_value

pytestmark = pytest.mark.usefixtures("backend")


def with_gradients(*gradients):
    parameters = []
    for g in gradients:
        parameter = mg.tensor(np.zeros_like(g), requires_grad=True)
        parameter.grad = mg.tensor(g)
        parameters.append(parameter)
    return [*parameters, mg.tensor(np.zeros(2), requires_grad=True)]                # the last has no gradient


@pytest.mark.parametrize("max_norm, scale", [(1.0, 1 / 13), (20.0, 1.0)])
def test_norm(max_norm, scale):
    gradients = np.array([[3.0, 0.0], [0.0, 4.0]], dtype=np.float32), np.array([12.0], dtype=np.float32)
    parameters = with_gradients(*gradients)
    norm = clip_grad_norm(parameters, max_norm)
    assert norm.shape == () and norm.item() == pytest.approx(13.0)
    for parameter, g in zip(parameters, gradients):
        np.testing.assert_allclose(parameter.grad.numpy(), scale * g, rtol=1e-6)
        assert parameter.grad.dtype == np.float32
    assert parameters[-1].grad is None


def test_value():
    parameters = with_gradients(np.array([-3.0, 0.2, 3.0]))
    clip_grad_value(parameters, 0.5)
    np.testing.assert_array_equal(parameters[0].grad.numpy(), [-0.5, 0.2, 0.5])


def test_waits_for_nothing():
    if mg.backend.current().name != "strict":
        pytest.skip("transfers are counted on strict")
    parameters = with_gradients(np.ones(3), np.ones(()))
    before = strict.transfers
    clip_grad_norm(parameters, 1.0)
    clip_grad_value(parameters, 1.0)
    assert strict.transfers == before


def test_no_gradients_and_bad_limits():
    parameter = mg.tensor(np.zeros(2), requires_grad=True)
    assert clip_grad_norm([parameter], 1.0).item() == 0.0
    clip_grad_value(parameter, 1.0)
    with pytest.raises(ValueError, match="clip_grad_norm: the limit must be a number > 0, got 0"):
        clip_grad_norm([parameter], 0)
    with pytest.raises(ValueError, match="clip_grad_value: the limit must be a number > 0, got nan"):
        clip_grad_value([parameter], float("nan"))
