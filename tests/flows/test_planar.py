"""Planar and radial flows: the contract, the condition that makes them invertible, and the paper's formulas."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, assert_saved, shaken, t
from helpers import assert_gradients
from hypothesis import example, given, settings, strategies as st

import minigen as mg
from minigen.check.derivations import get
from minigen.flows import Planar, Radial
from minigen.flows.planar import _positive_root, _solve

pytestmark = pytest.mark.usefixtures("backend")
KINDS = {"Planar": Planar, "Radial": Radial}


def planar(u, w, b):
    T = Planar(len(u), rng=0).astype("float64")
    with mg.no_grad():
        T.u[...], T.w[...], T.b[...] = t(u), t(w), t(b)
    return T


def radial(centre, log_alpha, beta):
    T = Radial(len(centre), rng=0).astype("float64")
    with mg.no_grad():
        T.centre[...], T.log_alpha[...], T.beta[...] = t(centre), log_alpha, beta
    return T


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12)
@example(3, 0)
@given(st.integers(1, 4), st.integers(0, 99))
def test_contract(kind, D, seed):
    T, x = shaken(KINDS[kind](D, rng=seed), seed), 2 * np.random.default_rng(seed).standard_normal((3, D))
    assert_contract(T, x, thorough=seed == 0)
    assert_saved(T, KINDS[kind](D, rng=seed + 1), x)
    assert_float32(T, x)


@given(st.integers(1, 3), st.floats(-6, 4), st.integers(0, 99))
def test_parameters_far_from_the_start_stay_invertible(D, along, seed):
    """wᵀu from −60 to 40: 1 + c = softplus(wᵀu) is as small as 1e-26, and still every slope is positive."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(D)
    u = rng.standard_normal(D)
    u += (10 * along - w @ u) * w / (w @ w)
    for T in (planar(u, w, 0.3), radial(w, along, 10 * along)):
        x = np.linspace(-3, 3, 13)[:, None] * w + rng.standard_normal((13, D))
        y, log_abs_det = T(t(x))
        back, inverse_log_abs_det = T.inverse(y)
        assert np.isfinite(log_abs_det.numpy()).all() and np.isfinite(inverse_log_abs_det.numpy()).all()
        again = T(back)[0].numpy()                   # y is reached again even where x is lost to rounding
        np.testing.assert_allclose(again, y.numpy(), rtol=1e-9, atol=1e-9 * (1 + np.abs(y.numpy()).max()))


def test_the_condition_is_what_makes_it_invertible():
    """c = wᵀû is above −1 however u is chosen; with c < −1 three points would share one image."""
    T = planar([-30.0, 0.0], [1.0, 0.0], 0.0)
    u_hat, slope = T.direction()
    np.testing.assert_allclose(slope.item(), np.log1p(np.exp(-30.0)), rtol=1e-12)
    np.testing.assert_allclose(u_hat.numpy() @ T.w.numpy(), slope.item() - 1, rtol=1e-12)
    a = np.linspace(-3, 3, 1001)
    assert (np.diff(a + (slope.item() - 1) * np.tanh(a)) > 0).all() and not (np.diff(a - 1.2 * np.tanh(a)) > 0).all()


def test_moving_u_along_w_leaves_the_rest_of_it():
    T = planar([0.3, -2.0], [1.0, 0.5], 0.1)
    difference = T.direction()[0].numpy() - T.u.numpy()
    np.testing.assert_allclose(difference[0] * 0.5, difference[1] * 1.0, rtol=1e-12)


def test_the_tutor_knows_both_formulas():
    x = np.random.default_rng(0).standard_normal((4, 3))
    T = shaken(Planar(3, rng=0))
    u_hat = T.direction()[0].numpy()
    formula = get("planar-flow")(x, u_hat, T.w.numpy(), T.b.item())
    np.testing.assert_allclose(T(t(x))[1].numpy(), formula, rtol=1e-9, atol=1e-12)
    T = shaken(Radial(3, rng=0))
    alpha, s = np.exp(T.log_alpha.item()), np.log1p(np.exp(T.beta.item()))
    r = np.linalg.norm(x - T.centre.numpy(), axis=1)
    formula = get("radial-flow")(r, 1 / (alpha + r), s - alpha, 3)
    np.testing.assert_allclose(T(t(x))[1].numpy(), formula, rtol=1e-9, atol=1e-12)


# ---- the scalar equation ---------------------------------------------------------------------------------------------
@given(st.floats(-1, 4000), st.floats(-50, 50))
def test_the_root_of_the_planar_equation_is_exact(c, r):
    a = _solve(t([r]), t(c)).numpy()[0]
    residual = a + c * np.tanh(a) - r
    assert abs(residual) <= 4 * np.finfo(float).eps * (abs(r) + abs(c) + abs(a))


def test_its_derivatives_are_those_of_the_implicit_function():
    r = np.array([-3.0, -0.2, 0.0, 0.7, 5.0])
    for c in (-0.9, 0.0, 4.0):
        assert_gradients(lambda r, c: _solve(r, c), r, np.array(c), orders=2)


@pytest.mark.parametrize("rho, alpha, s", [(0.0, 1.0, 2.0), (1e-12, 1.0, 1e-9), (1e6, 1e-6, 1e-6), (3.0, 1e3, 1e-3),
                                           (2.0, 1.0, 2.0), (1e-6, 1e-6, 1e6)])
def test_the_radius_solves_its_equation(rho, alpha, s):
    r = _positive_root(t([rho]), t(alpha), t(s)).numpy()[0]
    np.testing.assert_allclose(r * (r + s) / (r + alpha), rho, rtol=1e-12, atol=1e-300)


# ---- at the ends -----------------------------------------------------------------------------------------------------
def test_far_from_the_plane_and_at_the_centre():
    y, log_abs_det = planar([1.0, 0.5], [2.0, 0.0], 0.0)(t([[400.0, 0.0], [-1e8, 3.0]]))
    np.testing.assert_array_equal(log_abs_det.numpy(), [0.0, 0.0])
    T = radial([1.0, -1.0], 0.0, 2.0)
    x = mg.tensor(np.array([[1.0, -1.0]]), requires_grad=True)
    y, log_abs_det = T(x)
    np.testing.assert_array_equal(y.numpy(), x.numpy())
    np.testing.assert_allclose(log_abs_det.numpy(), 2 * np.log(np.log1p(np.exp(2.0))), rtol=1e-12)
    np.testing.assert_array_equal(T.inverse(y)[0].numpy(), x.numpy())
    assert np.isfinite(mg.grad(log_abs_det.sum() + y.sum(), x).numpy()).all()


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"Planar\(2\).*: its parameters are not invertible: w = \[0.0, 0.0\] has no "
                                         "direction"), mg.no_grad():            # or a GPU would not be waited for
        planar([1.0, 0.0], [0.0, 0.0], 0.0)(t(np.zeros((1, 2))))
    with pytest.raises(ValueError, match=r"Radial\(2\).*: its parameters are not invertible: a log-scale of "
                                         "-2000"), mg.no_grad():
        radial([0.0, 0.0], -2000.0, 0.0)(t(np.zeros((1, 2))))
    for kind in KINDS.values():
        with pytest.raises(ValueError, match=f"{kind.__name__}: wants at least one feature, got 0"):
            kind(0, rng=0)
        with pytest.raises(ValueError, match=rf"{kind.__name__}\(2\).* wants 2 features on the last axis"):
            kind(2, rng=0).inverse(mg.zeros((4, 3)))
