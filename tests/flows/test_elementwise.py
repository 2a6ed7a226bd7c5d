"""Elementwise transforms: the contract, extreme inputs, and what lies outside a domain."""
import math

import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, assert_saved, shaken, t
from hypothesis import example, given, strategies as st
from scipy import special, stats

import minigen as mg
from minigen import nn
from minigen.flows import Affine, ConditionalAffine, Exp, Inverse, LeakyReLU, Logit, Sigmoid, Softplus, Tanh

pytestmark = pytest.mark.usefixtures("backend")
LINE = {"Exp": Exp, "Softplus": Softplus, "Sigmoid": Sigmoid, "Tanh": Tanh,
        "LeakyReLU": lambda event_ndim=1: LeakyReLU(0.2, event_ndim)}
events = st.sampled_from([(1,), (3,), (2, 1, 2)])


def draws(shape, seed, low=-2.5, high=2.5):
    """Away from 0, where the leaky ReLU has its kink."""
    x = np.random.default_rng(seed).uniform(low, high, shape)
    return np.where(np.abs(x) < 1e-3, 0.5, x)


@pytest.mark.parametrize("name", LINE)
@example((2, 1, 2), 2, 0)
@given(events, st.integers(1, 3), st.integers(0, 99))
def test_maps_of_the_line(name, event, n, seed):
    x, T = draws((n, *event), seed), LINE[name](event_ndim=len(event))
    assert_contract(T, x, thorough=seed == 0)
    assert_contract(Inverse(T), T(t(x))[0].numpy(), thorough=False)
    assert_float32(T, x)


@example((2, 1, 2), 0.05, 0)
@given(events, st.sampled_from([0.0, 1e-6, 0.05, 0.4]), st.integers(0, 99))
def test_logit(event, alpha, seed):
    x, T = draws((2, *event), seed, 0.03, 0.97), Logit(alpha, len(event))
    assert_contract(T, x, thorough=seed == 0)
    assert_float32(T, x)


@example((2, 1, 2), 2, 0)
@given(events, st.integers(1, 3), st.integers(0, 99))
def test_affine(event, n, seed):
    x, T = draws((n, *event), seed), shaken(Affine(event[-1], event_ndim=len(event)), seed)
    assert_contract(T, x, thorough=seed == 0)
    assert_saved(T, Affine(event[-1], event_ndim=len(event)), x)
    assert_float32(T, x)


@example(2, 2, 0)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_conditional_affine(features, n, seed):
    rng = np.random.default_rng(seed)
    T = shaken(ConditionalAffine(nn.MLP([2, 5, 2 * features], rng=seed)), seed)
    assert_contract(T, draws((n, features), seed), rng.standard_normal((n, 2)), thorough=seed == 0)


# ---- far out ---------------------------------------------------------------------------------------------------------
FAR = np.array([-1e4, -300.0, -50.0, -1e-8, 1e-8, 50.0, 300.0, 1e4])


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-6), ("float64", 1e-13)])
@pytest.mark.parametrize("name, log_slope", [
    ("Sigmoid", lambda x: special.log_expit(x) + special.log_expit(-x)), ("Softplus", special.log_expit),
    ("Tanh", lambda x: -2 * (np.abs(x) + np.log1p(np.exp(-2 * np.abs(x))) - math.log(2))),
    ("LeakyReLU", lambda x: np.where(x > 0, 0, math.log(0.2)))])
def test_log_slopes_stay_finite_and_right_far_out(name, log_slope, dtype, rtol):
    log_abs_det = LINE[name]()(t(FAR[:, None], dtype))[1].numpy()
    np.testing.assert_allclose(log_abs_det, log_slope(FAR.astype(dtype).astype(float)), rtol=rtol, atol=rtol)


def test_inverses_are_precise_at_the_ends_of_their_intervals():
    tiny = np.array([[1e-300], [1e-30], [1e-8]])
    np.testing.assert_allclose(Sigmoid().inverse(t(tiny))[0].numpy(), np.log(tiny), rtol=1e-7)
    np.testing.assert_allclose(Sigmoid().inverse(t(1 - 2.0 ** -50 * np.ones((1, 1))))[0].numpy(), 50 * math.log(2))
    np.testing.assert_allclose(Softplus().inverse(t(tiny))[0].numpy(), np.log(tiny), rtol=1e-7)
    np.testing.assert_allclose(Tanh().inverse(t(tiny))[0].numpy(), tiny, rtol=1e-12)
    x = np.array([[1e3], [50.0]])
    np.testing.assert_array_equal(Softplus().inverse(t(x))[0].numpy(), x)


def test_logit_keeps_the_digits_of_black_and_white():
    """In float32 1 − p would be 0.99e-6 at white, off by three percent at α = 1e-6."""
    y, log_abs_det = Logit(1e-6)(t([[0.0], [1.0]], "float32"))
    end = special.logit(1e-6)
    np.testing.assert_allclose(y.numpy()[:, 0], [end, -end], rtol=1e-6)
    np.testing.assert_allclose(log_abs_det.numpy(), math.log1p(-2e-6) - np.log(1e-6) - np.log1p(-1e-6), rtol=1e-6)


def test_the_sigmoid_of_a_logistic_variable_is_uniform():
    x = np.linspace(-40, 40, 9)[:, None]
    y, log_abs_det = Sigmoid()(t(x))
    np.testing.assert_allclose(stats.logistic.logpdf(x[:, 0]) - log_abs_det.numpy(), 0, atol=1e-12)


# ---- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, message", [
    (lambda: Logit(0.05)(t([[0.2, 1.2]])), r"Logit\(alpha=0.05\): 1.2 lies outside its domain, the open interval "
                                           r"\(-0.055555556, 1.0555556\); of 2 values 1 do"),
    (lambda: Logit()(t([[0.0, 1.0]])), r"Logit\(alpha=0.0\): 0 lies outside .* \(0, 1\); of 2 values 2 do"),
    (lambda: Sigmoid().inverse(t([[1.0]])), r"Sigmoid\(\): 1 lies outside the domain of its inverse, .* \(0, 1\)"),
    (lambda: Tanh().inverse(t([[-1.5]])), r"Tanh\(\): -1.5 lies outside the domain of its inverse, .* \(-1, 1\)"),
    (lambda: Inverse(Exp())(t([[-2.0]])), r"Exp\(\): -2 lies outside the domain of its inverse, .* \(0, inf\)"),
    (lambda: Softplus().inverse(t([[float("nan")]])), r"Softplus\(\): nan lies outside"),
    (lambda: Affine(3)(t([[1.0]])), r"Affine\(3\).* wants 3 features on the last axis, got an input of shape \(1, 1\)"),
    (lambda: Affine(0), "Affine: wants at least one feature, got 0"),
    (lambda: Affine(1, log_scale=-1e4)(t([[1.0]])), r"Affine\(1\).*: its parameters are not invertible: a log-scale of "
                                                    r"-10000 gives the scale 0 in float32"),
    (lambda: Affine(1, log_scale=math.nan).inverse(t([[1.0]])), "a log-scale of nan gives the scale NaN"),
    (lambda: LeakyReLU(0.0), "LeakyReLU: it has an inverse only for a slope > 0, got negative_slope=0.0"),
    (lambda: Logit(0.5), r"Logit: alpha is the margin kept at each end, in \[0, 0.5\), got 0.5"),
    (lambda: ConditionalAffine(nn.Linear(2, 4, rng=0))(t([[1.0, 2.0]])), "ConditionalAffine: it needs a context"),
    (lambda: ConditionalAffine(nn.Linear(2, 3, rng=0))(t([[1.0, 2.0]]), t([[1.0, 2.0]])),
     r"for x \(1, 2\) the network must give \(1, 4\), got \(1, 3\) from a context \(1, 2\)"),
])
def test_errors(call, message):
    with pytest.raises(ValueError, match=message), mg.no_grad():             # or a GPU would not be waited for
        call()


def test_a_gpu_is_not_waited_for_while_recording_and_nan_tells_instead():
    """A scale of 0 gives finite numbers that are wrong: there NaN stands for the error message."""
    T = Affine(2)
    with mg.use("strict"):
        T.to("strict")
        with mg.no_grad():
            T.log_scale[0] = -1e4
        y, log_abs_det = T(mg.tensor([[1.0, 1.0]], requires_grad=True))
        assert np.isnan(y.numpy()).tolist() == [[True, False]]
        with mg.no_grad(), pytest.raises(ValueError, match="not invertible"):
            T(mg.tensor([[1.0, 1.0]]))
