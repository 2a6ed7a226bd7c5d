"""The Inception score by hand, at its bounds, and as a mutual information."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen.distributions import Table
from minigen.metrics import inception_score


def test_a_table_by_hand():
    """p(y|x) = (½, ½) and (1, 0): p(y) = (¾, ¼), log IS = ½ (½ log ⅔ + ½ log 2) + ½ log 4/3."""
    p = np.array([[0.5, 0.5], [1 - 1e-300, 1e-300]])
    wanted = 0.5 * (0.5 * np.log(2 / 3) + 0.5 * np.log(2)) + 0.5 * np.log(4 / 3)
    assert inception_score(np.log(p)) == pytest.approx(np.exp(wanted))


@given(st.integers(0, 2 ** 32), st.integers(1, 20), st.integers(1, 6), st.floats(0, 1000))
def test_bounds(seed, n, K, scale):
    """Eq. (2), also for logits whose probabilities underflow."""
    score = inception_score(scale * np.random.default_rng(seed).standard_normal((n, K)))
    assert 1 - 1e-9 <= score <= K + 1e-9


def test_the_extremes():
    assert inception_score(1e4 * np.eye(7)) == pytest.approx(7)
    assert inception_score(np.tile([3.0, 1.0, 0.0], (5, 1))) == pytest.approx(1)
    assert inception_score(np.full((1, 4), 2.0)) == pytest.approx(1)                       # one sample: p(y) = p(y|x)


def test_is_the_exponential_of_the_mutual_information():
    """Of the joint table p(x, y) = p(y|x) / n, computed by minigen.distributions.Table."""
    logits = np.random.default_rng(0).standard_normal((6, 4))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) / 6
    table = Table(p, "x", "y")
    assert inception_score(mg.tensor(logits)) == pytest.approx(np.exp(float(table.mutual_information("x", "y"))))


def test_shifting_logits_changes_nothing():
    logits = np.random.default_rng(1).standard_normal((6, 4))
    assert inception_score(logits + np.arange(6)[:, None]) == pytest.approx(inception_score(logits))


@pytest.mark.parametrize("logits, words", [
    (np.zeros((0, 10)), r"inception_score: wants at least 1 sample in each set, got \(0, 10\)"),
    (np.zeros(10), r"got \(10,\)"),
    (np.full((2, 3), np.nan), "2 samples are not finite"),
])
def test_bad_input_is_told(logits, words):
    with pytest.raises(ValueError, match=words):
        inception_score(logits)
