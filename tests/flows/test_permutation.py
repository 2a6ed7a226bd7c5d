"""Permutations: the contract, and orders that are none."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, assert_saved, t
from hypothesis import given, strategies as st

import minigen as mg
from minigen.flows import Permutation, Reverse

pytestmark = pytest.mark.usefixtures("backend")
events = st.sampled_from([(1,), (4,), (2, 1, 3)])


@given(events, st.integers(0, 99))
def test_contract(event, seed):
    x = np.random.default_rng(seed).standard_normal((2, *event))
    T = Permutation.random(event[-1], rng=seed, event_ndim=len(event))
    assert_contract(T, x, thorough=seed == 0)
    assert_contract(Reverse(len(event)), x, thorough=seed == 0)
    assert_saved(T, Permutation.random(event[-1], rng=seed + 1, event_ndim=len(event)), x)
    assert_float32(T, x, atol=1e-7)


def test_value():
    y, log_abs_det = Permutation([2, 0, 1])(t([[10.0, 20.0, 30.0]]))
    assert y.numpy().tolist() == [[30.0, 10.0, 20.0]] and log_abs_det.numpy().tolist() == [0.0]
    assert Reverse()(t([1.0, 2.0, 3.0]))[0].numpy().tolist() == [3.0, 2.0, 1.0]


def test_a_random_one_is_drawn_from_its_rng():
    orders = [Permutation.random(50, rng=seed).order.numpy() for seed in (0, 0, 1)]
    assert (orders[0] == orders[1]).all() and (orders[0] != orders[2]).any()
    assert sorted(orders[2]) == list(range(50))


def test_what_is_refused():
    for order in ([0, 0, 1], [1, 2, 3], [[0, 1]], []):
        with pytest.raises(ValueError, match=r"Permutation: the order must hold each of 0 … D − 1 once, got \["):
            Permutation(order)
    with pytest.raises(ValueError, match=r"Permutation\(2\).* wants 2 features on the last axis, got .* \(4, 3\)"):
        Permutation([1, 0])(mg.zeros((4, 3)))
