"""AUROC against all pairs, a closed form, and its stated error."""
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from minigen.metrics import auroc, roc_curve

numbers = st.lists(st.integers(-3, 3), min_size=1, max_size=12)


@given(numbers, numbers)
def test_it_is_the_share_of_pairs_in_order(inside, outside):
    pairs = [(o > i) + 0.5 * (o == i) for o in outside for i in inside]
    np.testing.assert_allclose(auroc(inside, outside)[0], np.mean(pairs), atol=1e-12)


@given(numbers, numbers)
def test_it_is_the_area_under_the_curve(inside, outside):
    x, y = roc_curve(inside, outside)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    np.testing.assert_allclose(np.trapezoid(y, x), auroc(inside, outside)[0], atol=1e-12)


def test_two_normals_and_the_stated_error():
    """N(0, 1) against N(1, 1): A = Φ(1/√2). 300 runs of 60 and 80: the error's size within 15 % of the spread."""
    rng, truth = np.random.default_rng(0), stats.norm.cdf(1 / math.sqrt(2))
    runs = np.array([auroc(rng.standard_normal(60), 1 + rng.standard_normal(80)) for _ in range(300)])
    assert abs(runs[:, 0].mean() - truth) < 5 * runs[:, 0].std() / math.sqrt(300)
    assert abs(runs[:, 1].mean() / runs[:, 0].std() - 1) < 0.15


@pytest.mark.parametrize("inside, outside", [([], [1.0]), ([[1.0]], [1.0]), ([math.nan], [1.0])])
def test_bad_scores(inside, outside):
    for f in (auroc, roc_curve):
        with pytest.raises(ValueError, match=f"{f.__name__}: wants two rows of scores without NaN"):
            f(inside, outside)
