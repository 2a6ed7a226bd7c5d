"""The contract: chains, inverses, shapes, and what is refused."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, shaken, t
from hypothesis import example, given, settings, strategies as st

import minigen as mg
from minigen.flows import Affine, Compose, Identity, Inverse, Permutation, Planar, Split, Squeeze, Tanh, Transform

pytestmark = pytest.mark.usefixtures("backend")
rng = np.random.default_rng(0)


def chain(features, seed):
    return shaken(Compose([Affine(features), Planar(features, rng=seed), Permutation.random(features, rng=seed), Tanh(),
                           Inverse(Planar(features, rng=seed))]), seed)


@settings(max_examples=8)
@example(3, 2, 0)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
def test_a_chain_keeps_the_contract(features, n, seed):
    x = np.random.default_rng(seed).standard_normal((n, features))
    T = chain(features, seed)
    assert_contract(T, x, thorough=seed == 0)
    assert_contract(Inverse(T), T(t(x))[0].numpy(), thorough=False)
    assert_float32(T, x)


def test_log_determinants_of_a_chain_add():
    T, x = chain(3, 1), t(rng.standard_normal((4, 3)))
    h, total = x, 0.0
    for part in T:
        h, log_abs_det = part(h)
        total = total + log_abs_det.numpy()
    y, log_abs_det = T(x)
    np.testing.assert_array_equal(y.numpy(), h.numpy())
    np.testing.assert_allclose(log_abs_det.numpy(), total, rtol=1e-12)


def test_inverse_of_inverse_and_identity():
    T, x = chain(2, 3), t(rng.standard_normal((4, 2)))
    for ours, theirs in zip(Inverse(Inverse(T))(x), T(x)):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    y, log_abs_det = Identity()(x)
    np.testing.assert_array_equal(y.numpy(), x.numpy())
    np.testing.assert_array_equal(log_abs_det.numpy(), np.zeros(4))


def test_a_chain_is_a_list_with_names_by_position():
    T = Compose([Affine(2), Tanh(), Affine(2)])
    assert len(T) == 3 and isinstance(T[1], Tanh) and isinstance(T[1:], Compose) and len(T[1:]) == 2
    assert [name for name, _ in T.named_parameters()] == ["0.shift", "0.log_scale", "2.shift", "2.log_scale"]
    assert "Affine → Tanh → Affine" in repr(T)


def test_shapes_go_through_chains():
    T = Compose([Squeeze(), Split(Identity(3)), Squeeze(), Inverse(Squeeze())])
    assert T.forward_shape((8, 4, 3)) == (4, 2, 12) and T.inverse_shape((4, 2, 12)) == (8, 4, 3)
    assert Inverse(T).forward_shape((4, 2, 12)) == (8, 4, 3) and Inverse(T).inverse_shape((8, 4, 3)) == (4, 2, 12)


def test_an_empty_batch():
    y, log_abs_det = chain(3, 0)(t(np.zeros((0, 3))))
    assert y.shape == (0, 3) and log_abs_det.shape == (0,)


def test_what_is_refused():
    with pytest.raises(TypeError, match="Compose: entry 1: wants a Transform, got a function"):
        Compose([Tanh(), lambda x: x])
    with pytest.raises(TypeError, match="Inverse: wants a Transform, got a Tensor"):
        Inverse(mg.zeros(2))
    with pytest.raises(ValueError, match="Compose: got no transforms"):
        Compose([])
    with pytest.raises(ValueError, match=r"equally many axes, but Affine at 1 has event_ndim=1 and Squeeze at 0 has 3; "
                                         r"build it with event_ndim=3"):
        Compose([Squeeze(), Affine(2)])
    with pytest.raises(ValueError, match=r"Tanh\(\): one event has 3 axes, got an input of shape \(4, 2\)"):
        Tanh(3)(t(np.zeros((4, 2))))
    with pytest.raises(NotImplementedError, match="Transform: a transform must define inverse"):
        Transform().inverse(t(np.zeros(2)))
