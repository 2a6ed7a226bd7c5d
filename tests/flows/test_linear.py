"""Invertible linear maps: the contract, their matrices, and parameters that are not invertible."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, assert_saved, shaken, t
from hypothesis import example, given, settings, strategies as st

import minigen as mg
from minigen.flows import Householder, LULinear, Triangular

pytestmark = pytest.mark.usefixtures("backend")
FORMS = {"lower": lambda D, seed, n: Triangular(D, lower=True, event_ndim=n),
         "upper": lambda D, seed, n: Triangular(D, event_ndim=n),
         "LU": lambda D, seed, n: LULinear(D, rng=seed, event_ndim=n),
         "Householder": lambda D, seed, n: Householder(D, 3, rng=seed, event_ndim=n)}
events = st.sampled_from([(1,), (2,), (4,), (2, 3, 2)])


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=12)
@example((2, 2, 3), 0)
@given(events, st.integers(0, 99))
def test_contract(form, event, seed):
    build, D, n = FORMS[form], event[-1], len(event)
    T, x = shaken(build(D, seed, n), seed), np.random.default_rng(seed).standard_normal((2, *event))
    assert_contract(T, x, thorough=seed == 0)
    np.testing.assert_allclose(T(t(x))[0].numpy(), x @ T.matrix().numpy(), atol=1e-12)
    assert_saved(T, build(D, seed + 1, n), x)
    assert_float32(T, x)


@given(st.integers(1, 8), st.integers(0, 99))
def test_lu_starts_as_an_orthogonal_matrix(D, seed):
    T = LULinear(D, rng=seed)
    W = T.matrix().numpy()
    np.testing.assert_allclose(W @ W.T, np.eye(D), atol=1e-5)
    np.testing.assert_allclose(T(mg.zeros((1, D)))[1].numpy(), 0, atol=1e-5)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_householder_is_orthogonal_with_the_sign_of_its_number_of_reflections(D, K, seed):
    Q = shaken(Householder(D, K, rng=seed), seed).matrix().numpy()
    np.testing.assert_allclose(Q @ Q.T, np.eye(D), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(Q), (-1) ** K, atol=1e-12)


@pytest.mark.parametrize("lower", [True, False])
def test_which_entries_a_triangular_map_reads(lower):
    M = shaken(Triangular(4, lower)).matrix().numpy()
    np.testing.assert_array_equal(M, np.tril(M) if lower else np.triu(M))
    assert (np.diag(M) > 0).all() and (M[np.tril_indices(4) if lower else np.triu_indices(4)] != 0).all()
    np.testing.assert_array_equal(Triangular(4, lower).matrix().numpy(), np.eye(4))


def test_the_1x1_convolution_is_a_convolution():
    T, x = LULinear(3, rng=0, event_ndim=3), mg.random.default_rng(0).standard_normal((2, 4, 5, 3))
    kernel = T.matrix().reshape((1, 1, 3, 3))
    y, log_abs_det = T(x)
    np.testing.assert_allclose(y.numpy(), mg.conv2d(x, kernel).numpy(), atol=1e-5)
    one_pixel = LULinear(3, rng=0)(x[0, 0])[1].numpy()[0]
    np.testing.assert_allclose(log_abs_det.numpy(), 20 * one_pixel, rtol=1e-5, atol=1e-5)


def test_the_sign_of_s_is_kept_when_log_s_moves():
    T = LULinear(5, rng=3)
    sign = np.linalg.slogdet(T.matrix().numpy().astype(float))[0]
    assert np.linalg.slogdet(shaken(T, size=2.0).matrix().numpy())[0] == sign


def test_what_is_refused():
    with pytest.raises(ValueError, match="Householder: wants at least one reflection, got 0"):
        Householder(2, 0, rng=0)
    with pytest.raises(ValueError, match="LULinear: wants at least one feature, got 0"):
        LULinear(0, rng=0)
    with pytest.raises(ValueError, match=r"Triangular\(2\).* wants 2 features on the last axis"):
        Triangular(2).inverse(mg.zeros((4, 3)))
    singular = [Triangular(2), LULinear(2, rng=0), Householder(2, 2, rng=0)]
    with mg.no_grad():
        singular[0].entries[0, 0], singular[1].entries[1, 1] = -1e4, 1e4
        singular[2].vectors[1] = mg.zeros(2)
    for T, why in zip(singular, ["log-scale of -10000 gives the scale 0", "log-scale of 10000 gives the scale infinity",
                                 r"the normals have the lengths \[.*, 0.0\], and each must point somewhere"]):
        message = rf"{type(T).__name__}\(2\).*: its parameters are not invertible: .*{why}"
        for direction in (T.forward, T.inverse):
            with pytest.raises(ValueError, match=message), mg.no_grad():     # or a GPU would not be waited for
                direction(mg.zeros((1, 2)))
