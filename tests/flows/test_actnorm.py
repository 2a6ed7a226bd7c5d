"""Activation normalisation: its first batch, its saved state, the contract."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, t
from hypothesis import given, strategies as st

import minigen as mg
from minigen.flows import ActNorm, Compose, LULinear

pytestmark = pytest.mark.usefixtures("backend")
rng = np.random.default_rng(0)
leads = st.sampled_from([(7, 2), (4, 3, 2), (3, 2, 2, 2)])


@given(leads, st.floats(-50, 50), st.floats(-3, 3), st.integers(0, 99))
def test_the_first_batch_gets_mean_0_and_variance_1(shape, mean, log_std, seed):
    x = mean + np.exp(log_std) * np.random.default_rng(seed).standard_normal(shape)
    T = ActNorm(2, event_ndim=3 if len(shape) == 4 else 1).astype("float64")
    y = T(t(x))[0].numpy().reshape(-1, 2)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(y.var(axis=0), 1, rtol=1e-10)


@pytest.mark.parametrize("shape", [(5, 3), (2, 2, 2, 3)])
def test_contract_once_initialised(shape):
    T = ActNorm(3, event_ndim=len(shape) - 1).astype("float64")
    x = 3 + rng.standard_normal(shape)
    T(t(x))
    assert_contract(T, 2 * rng.standard_normal(shape))
    assert_float32(T, x)


def test_the_first_batch_alone_counts():
    T = ActNorm(2)
    T(t(rng.standard_normal((9, 2)), "float32"))
    before = T.state_dict()
    T(t(5 + rng.standard_normal((9, 2)), "float32"))
    assert before["initialised"] == 1
    for name, value in T.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_before_that_and_in_evaluation_it_is_the_identity():
    T, x = ActNorm(2).eval(), t(5 + rng.standard_normal((9, 2)), "float32")
    for direction in (T.forward, T.inverse):
        y, log_abs_det = direction(x)
        np.testing.assert_array_equal(y.numpy(), x.numpy())
        np.testing.assert_array_equal(log_abs_det.numpy(), np.zeros(9))
    assert T.initialised.item() == 0
    T.train()(x)
    assert T.initialised.item() == 1


def test_a_loaded_one_is_not_set_again():
    first, x = ActNorm(2), t(5 + rng.standard_normal((9, 2)), "float32")
    expected = first(x)[0].numpy()
    second = ActNorm(2)
    second.load_state_dict(first.state_dict())
    second(t(rng.standard_normal((9, 2)), "float32"))
    np.testing.assert_array_equal(second(x)[0].numpy(), expected)


def test_in_a_chain_each_is_set_by_what_reaches_it():
    T = Compose([ActNorm(3), LULinear(3, rng=0), ActNorm(3)]).astype("float64")
    y = T(t(2 + rng.standard_normal((20, 3)) @ rng.standard_normal((3, 3))))[0].numpy()
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(y.var(axis=0), 1, rtol=1e-10)


def test_it_trains_from_the_first_batch_on():
    T, x = ActNorm(2), t(rng.standard_normal((9, 2)), "float32")
    y, log_abs_det = T(x)
    (0.5 * (y * y).sum(axis=-1) - log_abs_det).mean().backward()
    np.testing.assert_allclose(T.shift.grad.numpy(), 0, atol=1e-6)          # the start is the maximum of the likelihood
    np.testing.assert_allclose(T.log_scale.grad.numpy(), 0, atol=1e-6)
    assert T.log_scale.grad.shape == (2,)


def test_a_constant_channel_stays_finite():
    y = ActNorm(2)(mg.ones((4, 2)))[0].numpy()
    np.testing.assert_array_equal(y, np.zeros((4, 2)))


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"ActNorm\(2\).* sets its scale from the first batch, and wants at least two "
                                         r"entries of each channel, got an input of shape \(1, 2\)"):
        ActNorm(2)(mg.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"ActNorm\(2\).* wants 2 features"):
        ActNorm(2)(mg.zeros((4, 3)))
