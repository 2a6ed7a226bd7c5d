"""Precision and recall against a naive loop, and where the answer is planted."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen.metrics import features as shared
from minigen.metrics import precision_recall
from minigen.metrics.manifolds import covered


def naive_covered(samples, support, k):
    """Eqs. (1), (2) word for word."""
    balls = []
    for i, x in enumerate(support):
        others = sorted(np.linalg.norm(x - z) for j, z in enumerate(support) if j != i)
        balls.append((x, others[k - 1]))
    return np.mean([any(np.linalg.norm(z - x) <= radius for x, radius in balls) for z in samples])


@given(st.integers(0, 2 ** 32), st.integers(1, 4), st.integers(1, 4), st.integers(5, 12), st.integers(5, 12))
def test_equals_a_naive_loop(seed, k, D, n, m):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, D)), 0.5 + rng.standard_normal((m, D))
    assert precision_recall(x, y, k) == (naive_covered(y, x, k), naive_covered(x, y, k))


def test_chunks_change_nothing(monkeypatch):
    x, y = np.random.default_rng(0).standard_normal((2, 50, 2))
    whole = precision_recall(mg.tensor(x), y)
    monkeypatch.setattr(shared.chunks, "__defaults__", (7,))
    assert precision_recall(x, y) == whole


def test_by_hand():
    """On a line, k = 1: radii of 0, 1, 5 are 1, 1, 4, so the balls are [−1, 1], [0, 2], [1, 9]."""
    support = np.array([[0.0], [1.0], [5.0]])
    assert covered(np.array([[-1.0], [-1.1], [1.5], [9.0], [9.1]]), support, 1) == 3 / 5


def clusters(rng, modes, n):
    """n points of tight clusters at these places of a line."""
    return np.stack([rng.choice(modes, n) + 0.1 * rng.standard_normal(n), 0.1 * rng.standard_normal(n)], axis=1)


def test_dropped_modes_cost_recall():
    rng = np.random.default_rng(1)
    real, fake = clusters(rng, [0, 10, 20, 30], 400), clusters(rng, [0, 10], 400)
    precision, recall = precision_recall(real, fake)
    kept = np.mean(real[:, 0] < 15)
    assert precision > 0.9 and 0.9 * kept < recall <= kept and 0.4 < kept < 0.6


def test_junk_costs_precision():
    rng = np.random.default_rng(2)
    real = clusters(rng, [0, 10, 20, 30], 400)
    fake = np.concatenate([clusters(rng, [0, 10, 20, 30], 300), clusters(rng, np.arange(1000, 9000, 50), 100)])
    precision, recall = precision_recall(real, fake)
    assert 0.9 * 0.75 < precision <= 0.75 and recall > 0.9


def test_copies_of_one_sample():
    """One real sample over and over: perfect precision, and recall of that sample alone."""
    real = np.random.default_rng(3).standard_normal((100, 4))
    assert precision_recall(real, np.repeat(real[:1], 50, axis=0)) == (1.0, 0.01)


def test_the_training_set_itself_is_perfect():
    real = np.random.default_rng(4).standard_normal((100, 4))
    assert precision_recall(real, real) == (1.0, 1.0)


@pytest.mark.parametrize("call, words", [
    (lambda: precision_recall(np.zeros((9, 2)), np.zeros((3, 2))), r"at least 4 samples in each set, got \(9, 2\) and"),
    (lambda: precision_recall(np.zeros((9, 2)), np.zeros((9, 2)), k=0), "k must be at least 1, got 0"),
    (lambda: precision_recall(np.zeros((9, 2)), np.zeros((9, 3))), r"got \(9, 2\) and \(9, 3\)"),
    (lambda: precision_recall(np.zeros((9, 2)), np.full((9, 2), np.nan)), "9 samples are not"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
