"""Autoregressive layers: the contract, the order of dependence, and two ways to the same inverse."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, assert_saved, shaken, t
from hypothesis import given, strategies as st

import minigen as mg
from minigen import check, nn
from minigen.flows import AdditiveMap, AffineMap, Autoregressive, Compose, Inverse, Reverse, SplineMap, StandardiseMap

pytestmark = pytest.mark.usefixtures("backend")
MAPS = {"standardise": StandardiseMap(), "affine": AffineMap(), "additive": AdditiveMap(), "spline": SplineMap(4)}


def layer(D, map=MAPS["standardise"], hidden=(6,), rng=0, **settings):
    return Autoregressive(nn.MaskedMLP(D, hidden, map.parameters, rng=rng, activation=mg.tanh, **settings), map)


# ---- the contract ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MAPS)
def test_contract(name):
    for D, hidden in ((1, (4,)), (2, (5,)), (4, (9, 7))):
        T, x = shaken(layer(D, MAPS[name], hidden)), np.random.default_rng(D).standard_normal((3, D))
        assert_contract(T, x, thorough=D == 2)
        assert_contract(Inverse(T), x, thorough=False)
        assert_saved(T, layer(D, MAPS[name], hidden, rng=1), x)
        assert_float32(T, x, atol=3e-5)


@given(st.integers(1, 5), st.sampled_from(list(MAPS)), st.sampled_from([1.0, 20.0]), st.integers(0, 99))
def test_any_order_and_extreme_inputs(D, name, size, seed):
    rng = np.random.default_rng(seed)
    T, x = shaken(layer(D, MAPS[name], order=rng.permutation(D)), seed), size * rng.standard_normal((4, D))
    y, log_abs_det = T(t(x))
    back, inverse_log_abs_det = T.inverse(y)
    np.testing.assert_allclose(back.numpy(), x, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(inverse_log_abs_det.numpy(), -log_abs_det.numpy(), rtol=1e-8, atol=1e-8)


def test_contract_with_a_context():
    rng = np.random.default_rng(0)
    T = shaken(layer(3, context_features=2))
    assert_contract(T, rng.standard_normal((3, 3)), context=rng.standard_normal((3, 2)))


def test_layers_with_the_order_reversed_between():
    T = Compose([shaken(layer(4, rng=0)), Reverse(), shaken(layer(4, rng=1), seed=1)])
    assert_contract(T, np.random.default_rng(0).standard_normal((3, 4)))


def test_a_conditioner_of_ones_own():
    """Any causal Module serves: here θ_i is linear in the entries before i."""
    class Before(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(t(np.random.default_rng(0).standard_normal((3, 3, 2))))

        def forward(self, x):
            mask = np.triu(np.ones((3, 3)), 1)[..., None]
            return mg.einsum("...j,jdp->...dp", x, self.weight * t(mask))

    assert_contract(Autoregressive(Before()), np.random.default_rng(1).standard_normal((4, 3)))


# ---- what depends on what --------------------------------------------------------------------------------------------
def test_the_jacobian_is_triangular_in_the_order():
    order = [2, 0, 3, 1]
    T, x = shaken(layer(4, order=order, hidden=(20, 20))), np.random.default_rng(0).standard_normal(4)
    J = mg.jacobian(lambda x: T(x)[0], t(x)).numpy()[np.ix_(order, order)]
    np.testing.assert_array_equal(np.triu(J, 1), 0)
    assert (J[np.tril_indices(4)] != 0).all()
    report = check.causality(T.conditioner, np.random.default_rng(1).standard_normal((3, 4)), order=order)
    assert report.ok, report


def test_the_inverse_of_the_first_entry_needs_no_other():
    T, y = shaken(layer(3)), np.random.default_rng(0).standard_normal((2, 3))
    changed = y + [0, 5, 5]
    np.testing.assert_array_equal(T.inverse(t(y))[0].numpy()[:, 0], T.inverse(t(changed))[0].numpy()[:, 0])


# ---- two ways to the same inverse ------------------------------------------------------------------------------------
NETWORKS = {
    "two layers": dict(hidden=(11, 8)),
    "no hidden layer": dict(hidden=()),
    "fewer units than features": dict(hidden=(3, 2)),
    "an order": dict(hidden=(9,), order=[3, 1, 4, 0, 2]),
    "direct connections": dict(hidden=(9,), direct=True, order=[3, 1, 4, 0, 2]),
    "drawn masks": dict(hidden=(9, 9), masks=3),
}


@pytest.mark.parametrize("what", NETWORKS)
@pytest.mark.parametrize("context_features", [0, 2])
def test_shared_passes_equal_whole_passes(what, context_features):
    rng = np.random.default_rng(0)
    T = shaken(layer(5, rng=2, context_features=context_features, **NETWORKS[what]))
    if what == "drawn masks":
        T.conditioner.use(2)
    y, context = t(rng.standard_normal((3, 5))), t(rng.standard_normal((3, 2))) if context_features else None
    whole = T.inverse(y, context)
    with mg.no_grad():
        shared = T.inverse(y, context)
    for a, b in zip(whole, shared):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-12, atol=1e-12)


def test_shared_passes_with_masks_of_ones_own():
    """What counts is which inputs a unit really sees, not the degree it once had."""
    T = shaken(layer(3, hidden=(3,)))
    T.conditioner.set_masks([np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]]), np.array([[0, 1, 0], [0, 0, 1], [0, 0, 1]])])
    y = t(np.random.default_rng(0).standard_normal((4, 3)))
    whole = T.inverse(y)[0].numpy()
    with mg.no_grad():
        np.testing.assert_allclose(T.inverse(y)[0].numpy(), whole, rtol=1e-12)


def test_gradients_flow_through_the_inverse():
    T, y = shaken(layer(3)), mg.tensor(np.random.default_rng(0).standard_normal((4, 3)), requires_grad=True)
    x, log_abs_det = T.inverse(y)
    assert all(np.abs(g.numpy()).max() > 0 for g in mg.grad((x * x).sum() + log_abs_det.sum(),
                                                            [y, *(p for p in T.parameters() if p.size)]))


class Counted(nn.Module):
    """A conditioner that counts its passes."""

    def __init__(self, network):
        self.network, self.passes = network, 0

    def forward(self, x, context=None):
        self.passes += 1
        return self.network(x) if context is None else self.network(x, context)


@pytest.mark.parametrize("D", [1, 2, 7])
def test_one_pass_forward_and_one_for_each_entry_back(D):
    T = Autoregressive(Counted(nn.MaskedMLP(D, (8,), 2, rng=0)))
    y, _ = T(mg.zeros((3, D)))
    assert T.conditioner.passes == 1
    T.inverse(y)
    assert T.conditioner.passes == 1 + D


def test_no_whole_pass_where_no_gradient_is_wanted(monkeypatch):
    T = layer(6)
    monkeypatch.setattr(nn.MaskedMLP, "forward", lambda *_: pytest.fail("a whole pass"))
    with mg.no_grad():
        T.inverse(mg.zeros((2, 6)))


# ---- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, message", [
    (lambda: Autoregressive(nn.MaskedMLP(3, (4,), 3, rng=0))(mg.zeros((2, 3))),
     r"must return 2 numbers for each entry, \(2, 3, 2\), for an input \(2, 3\); it returned \(2, 3, 3\)"),
    (lambda: layer(3)(mg.zeros((2, 4))), r"wants 3 features .* shape \(2, 4\)"),
    (lambda: layer(3)(mg.zeros(())), r"one event has 1 axes, got an input of shape \(\)"),
    (lambda: layer(3, context_features=2)(mg.zeros((2, 3))), "a context is missing"),
    (lambda: layer(3)(mg.zeros((2, 3)), mg.zeros((2, 2))), "made without context_features"),
    (lambda: layer(3).inverse(mg.zeros((2, 4))), "wants 3 features"),
])
def test_bad_input_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()
