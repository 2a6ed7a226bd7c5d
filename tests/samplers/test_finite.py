"""Finite chains, computed: against powers of the matrix, the tutor, and simulated paths."""
import math

import numpy as np
import pytest

from minigen import check
from minigen.samplers import FiniteChain, metropolis_chain

LAZY = FiniteChain([[0.5, 0.5, 0.0], [0.25, 0.5, 0.25], [0.0, 0.5, 0.5]])
CYCLE = FiniteChain(np.roll(np.eye(4), 1, axis=1))
SPLIT = FiniteChain([[1.0, 0.0], [0.5, 0.5]])
LOPSIDED = FiniteChain([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]])


def test_the_four_conditions():
    assert [c.irreducible for c in (LAZY, CYCLE, SPLIT, LOPSIDED)] == [True, True, False, True]
    assert [c.period for c in (LAZY, CYCLE, LOPSIDED)] == [1, 4, 1]
    assert LAZY.reversible and not LOPSIDED.reversible and not CYCLE.reversible


@pytest.mark.parametrize("chain", [LAZY, LOPSIDED])
def test_the_limit_is_the_power(chain):
    np.testing.assert_allclose(chain.limit, np.linalg.matrix_power(chain.P, 200), atol=1e-12)
    np.testing.assert_allclose(chain.stationary @ chain.P, chain.stationary, atol=1e-14)


def test_distance_and_mixing_time_are_the_definitions():
    for chain in (LAZY, LOPSIDED):
        d = [0.5 * np.abs(np.linalg.matrix_power(chain.P, t) - chain.stationary).sum(axis=1).max() for t in range(40)]
        np.testing.assert_allclose([chain.distance(t) for t in range(40)], d, atol=1e-14)
        for below in (0.25, 0.01, 1e-4):
            assert chain.mixing_time(below) == max(1, next(t for t in range(40) if d[t] <= below))
        np.testing.assert_allclose(d[30] / d[29], chain.relaxation, rtol=0.05 if chain is LAZY else 0.5)


def test_the_tutor_agrees():
    for chain in (LAZY, LOPSIDED):
        report = check.chain(chain.P, chain.stationary, reversible=chain.reversible)
        assert report.ok and math.isclose(report.values["spectral gap"], 1 - chain.relaxation, abs_tol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_metropolis_is_reversible_for_any_proposal(seed):
    rng = np.random.default_rng(seed)
    target, q = rng.random(5) + 0.1, rng.random((5, 5))
    target, q = target / target.sum(), q / q.sum(axis=1, keepdims=True)
    chain = metropolis_chain(target, q)
    np.testing.assert_allclose(chain.stationary, target, atol=1e-10)
    assert chain.reversible


def test_paths_have_the_probabilities():
    """20,000 steps from each state: each frequency within 5 standard errors."""
    path = LOPSIDED.sample(1, np.repeat([0, 1, 2], 20_000), rng=0)
    assert path.shape == (2, 60_000)
    for i in range(3):
        frequencies = np.bincount(path[1, 20_000 * i:20_000 * (i + 1)], minlength=3) / 20_000
        assert (np.abs(frequencies - LOPSIDED.P[i]) < 5 * np.sqrt(LOPSIDED.P[i] / 20_000)).all()


def test_a_periodic_chain_has_no_limit():
    for ask in (lambda: CYCLE.limit, CYCLE.mixing_time):
        with pytest.raises(ValueError, match="limit: the chain has period 4, so P.t goes round for ever and has no "
                                             "limit"):
            ask()
    np.testing.assert_allclose(CYCLE.stationary, 0.25)                            # its averages over time do


def test_a_reducible_chain():
    for ask in ("stationary", "period", "reversible", "limit"):
        with pytest.raises(ValueError, match="the chain is reducible: some of its 2 states cannot be reached"):
            getattr(SPLIT, ask)


@pytest.mark.parametrize("P, message", [([0.5, 0.5], "square matrix"), ([[0.5, 0.6], [0.5, 0.5]], "row 0 sums to 1.1"),
                                        ([[1.5, -0.5], [0.5, 0.5]], "the least entry is -0.5")])
def test_bad_matrices(P, message):
    with pytest.raises(ValueError, match=message):
        FiniteChain(P)
