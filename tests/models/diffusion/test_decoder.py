"""Probabilities of 8-bit pixels: against SciPy's normal distribution, in float64 and in float32."""
import numpy as np
import pytest
from scipy.stats import norm

import minigen as mg
from minigen.models.diffusion.decoder import DELTA, discretised_log_prob

pytestmark = pytest.mark.usefixtures("backend")
LEVELS = np.linspace(-1, 1, 256)


def exact(mean, std):
    """log of the probability of each level, by SciPy, stable in both tails."""
    upper = np.where(LEVELS > 1 - DELTA, np.inf, LEVELS + DELTA)
    lower = np.where(LEVELS < -1 + DELTA, -np.inf, LEVELS - DELTA)
    a, b = (lower - mean) / std, (upper - mean) / std
    flip = a > 0                                                                         # both tails from the left
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    return norm.logcdf(b) + np.log1p(-np.exp(norm.logcdf(a) - norm.logcdf(b)))


def ours(mean, std, dtype):
    return discretised_log_prob(*(mg.tensor(np.array(v, dtype=dtype)) for v in (LEVELS, mean, np.log(std)))).numpy()


@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-6), ("float32", 5e-3)])
@pytest.mark.parametrize("mean, std", [(0.1, 0.3), (0.1, 0.01), (-0.97, 0.05), (1.0, 0.02), (0.0, 2.0), (1.3, 0.1)])
def test_it_is_the_mass_of_the_cell_where_that_is_not_tiny(mean, std, dtype, rtol):
    want, got = exact(mean, std), ours(mean, std, dtype)
    likely = want > np.log(1.01e-3)
    assert likely.any()
    np.testing.assert_allclose(np.exp(got[likely]), np.exp(want[likely]), rtol=rtol)


@pytest.mark.parametrize("mean, std", [(0.1, 0.3), (0.1, 0.01), (-0.97, 0.05), (1.0, 0.02), (1.3, 0.1)])
def test_far_away_it_is_finite_and_never_too_large(mean, std):
    got = ours(mean, std, "float32")
    assert np.isfinite(got).all()
    assert np.all(got <= exact(mean, std) + 1e-3)
    assert abs(np.exp(got.astype(np.float64)).sum() - 1) < 5e-3


def test_its_gradient_is_finite_everywhere():
    mean, log_std = mg.tensor(np.float32(-0.9), requires_grad=True), mg.tensor(np.float32(-5), requires_grad=True)
    levels = mg.tensor(LEVELS.astype("float32"))
    gradients = mg.grad(mg.sum(discretised_log_prob(levels, mean, log_std)), [mean, log_std])
    assert all(np.isfinite(float(g)) for g in gradients)
