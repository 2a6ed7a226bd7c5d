"""Modes counted on samples placed by hand, and on a perfect generator."""
import numpy as np
import pytest

import minigen as mg
from minigen.metrics import count_modes

MEANS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def test_counts_placed_by_hand():
    """100 samples: 60 at mode 0, 10 and 3 just inside 3σ of modes 1 and 2, 26 just outside of mode 3, one NaN."""
    x = np.concatenate([np.zeros((60, 2)), np.tile([10 - 0.59, 0], (10, 1)), np.tile([0, 10.59], (3, 1)),
                        np.tile([10.43, 10.43], (26, 1)), [[np.nan, 0]]])
    found = count_modes(x, MEANS, 0.2)
    np.testing.assert_array_equal(found.counts, [60, 10, 3, 0])
    assert (found.total, found.quality) == (4, pytest.approx(0.73))
    assert found.recovered == 3                                  # a mode needs 0.1 · 100 / 4 = 2.5 samples
    assert count_modes(x, MEANS, 0.2, share=0.2).recovered == 2   # … 5
    assert str(found) == "3 of 4 modes, 73.0% of samples of high quality"


def test_a_stray_sample_recovers_no_mode():
    x = np.concatenate([np.zeros((99, 2)), [[10.0, 0.0]]])
    assert count_modes(x, MEANS, 0.2).recovered == 1


def test_each_sample_counts_for_its_nearest_mode_only():
    found = count_modes([[0.4, 0.0], [0.6, 0.0]], [[0.0, 0.0], [1.0, 0.0]], 1.0)
    np.testing.assert_array_equal(found.counts, [1, 1])


def test_a_perfect_generator():
    """Eq. (3): quality 1 − e^{−9/2}. 20,000 draws: a standard error of 0.0007, five of them, false alarm below 1e-6."""
    rng = np.random.default_rng(0)
    x = MEANS[rng.integers(4, size=20_000)] + 0.3 * rng.standard_normal((20_000, 2))
    found = count_modes(mg.tensor(x.astype(np.float32)), MEANS, 0.3)
    assert found.recovered == 4
    assert abs(found.quality - (1 - np.exp(-4.5))) < 5 * 0.00075


@pytest.mark.parametrize("call, words", [
    (lambda: count_modes(np.zeros((5, 3)), MEANS, 1.0), r"\(5, 3\) and \(4, 2\)"),
    (lambda: count_modes(np.zeros((0, 2)), MEANS, 1.0), r"n, K ≥ 1, got \(0, 2\)"),
    (lambda: count_modes(np.zeros((5, 2)), MEANS, 0.0), "positive, got 0.0 and 0.1"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
