"""Inverse transform, rejection and importance: exact draws, the stated rates, unbiasedness, and what is refused."""
import math

import numpy as np
import pytest
from scipy import stats

import minigen as mg
from minigen.distributions import Beta, Logistic, Normal, Uniform
from minigen.samplers import importance, inverse_transform, rejection

pytestmark = pytest.mark.usefixtures("backend")


def test_inverse_transform():
    """5,000 draws, Kolmogorov–Smirnov at level 1e-4."""
    x = inverse_transform(Logistic(1.0, 0.3).icdf, 5000, rng=0).numpy()
    assert np.isfinite(x).all() and stats.kstest(x, stats.logistic(1, math.exp(0.3)).cdf).pvalue > 1e-4


def beta_by_rejection(n, rng=0):
    """Beta(2, 2): its density is at most 1.5."""
    return rejection(Beta(math.log(2.0), math.log(2.0)).log_prob, Uniform(0.0, 1.0), math.log(1.5) + 1e-6, n, rng=rng)


def test_rejection_draws_exactly_and_accepts_one_in_M():
    """Kolmogorov–Smirnov at level 1e-4; the acceptance within 5 standard errors of 1/M."""
    draws = beta_by_rejection(5000)
    assert draws.x.shape == (5000,) and stats.kstest(draws.x.numpy(), stats.beta(2, 2).cdf).pvalue > 1e-4
    assert abs(draws.acceptance - 1 / 1.5) < 5 * math.sqrt((1 / 1.5) * (1 - 1 / 1.5) / draws.tried)


@pytest.mark.parametrize("D", [1, 4])
def test_the_acceptance_falls_exponentially_with_the_dimension(D):
    p, q = Normal(mg.zeros(D), 0.0), Normal(mg.zeros(D), math.log(1.5))
    draws = rejection(p.log_prob, q, D * math.log(1.5), 500, rng=0)
    expected = 1.5 ** -D
    assert abs(draws.acceptance - expected) < 5 * math.sqrt(expected / draws.tried)
    assert stats.kstest(draws.x.numpy()[:, 0], stats.norm.cdf).pvalue > 1e-4


def test_a_bound_that_is_exceeded_is_located():
    with pytest.raises(ValueError, match=r"the bound is exceeded at x = 0\.\d+: p̃\(x\)/q\(x\) is 1\.\d+ times M = 1; "
                                         r"take log_M ≥ 0\.[34]"):
        rejection(Beta(math.log(2.0), math.log(2.0)).log_prob, Uniform(0.0, 1.0), 0.0, 5000, rng=0)


def test_a_hopeless_rejection_gives_up():
    p, q = Normal(mg.zeros(1), -3.0), Uniform(mg.full(1, -50.0), 50.0, 1)
    with pytest.raises(RuntimeError, match=r"rejection: kept \d+ of \d+ proposals, and 100 are wanted; M = "
                                           r"1\.81e\+03 is too"):
        rejection(p.log_prob, q, 7.5, 100, rng=0, most=20_000)


def test_rejection_without_support_says_so():
    with pytest.raises(RuntimeError, match=r"rejection: kept none of \d+ proposals; the proposal has no support where "
                                           "p has"):
        rejection(Uniform(5.0, 6.0).log_prob, Uniform(0.0, 1.0), 0.5, 10, rng=0, most=2000)


# ---- importance ------------------------------------------------------------------------------------------------------
P, SHIFT = Normal, 0.7


def weighted(n, rng, log_Z=0.0, batch=None):
    """Draws of N(0, 1.5²) for e^{log Z} N(0.7, 1)."""
    p, q = Normal(SHIFT, 0.0, 0), Normal(0.0, math.log(1.5), 0)
    return importance(lambda x: p.log_prob(x) + log_Z, q, n, rng=rng)


def test_plain_importance_is_unbiased_and_so_is_Z():
    """1,000 runs of 50 draws: the mean of each estimate within 5 standard errors of the truth."""
    draws = weighted(50_000, 0, log_Z=2.0)
    w = np.exp(draws.log_weights.numpy().astype(float)).reshape(1000, 50)
    f = w * draws.x.numpy().reshape(1000, 50) / math.exp(2)
    for estimates, truth in ((w.mean(axis=1), math.exp(2)), (f.mean(axis=1), SHIFT)):
        assert abs(estimates.mean() - truth) < 5 * estimates.std() / math.sqrt(1000)
    np.testing.assert_allclose(draws.mean(lambda x: x, log_Z=2.0).item(), f.mean(), rtol=1e-4)


def test_self_normalised_importance_needs_no_Z():
    draws = weighted(20_000, 1, log_Z=-30.0)
    assert abs(draws.mean(lambda x: x).item() - SHIFT) < 0.05
    assert abs(draws.log_Z + 30) < 5 * draws.log_Z_error < 0.05


def test_the_stated_error_of_log_Z_is_calibrated():
    """400 runs of 200 draws: 95 % intervals hold the truth in 92 to 98 %; false-alarm rate below 1 %."""
    inside = [abs(d.log_Z) < 1.96 * d.log_Z_error for d in (weighted(200, seed) for seed in range(400))]
    assert 0.92 <= np.mean(inside) <= 0.98


def test_effective_sample_size():
    """Equal weights: n. Otherwise n / E[w²] for normalised p: here the integral of p²/q."""
    same = importance(Normal(0.0, 0.0, 0).log_prob, Normal(0.0, 0.0, 0), 100, rng=0)
    np.testing.assert_allclose(same.effective_sample_size, 100, rtol=1e-4)
    x = np.linspace(-12, 12, 100_001)
    second = np.trapezoid(stats.norm(SHIFT).pdf(x) ** 2 / stats.norm(0, 1.5).pdf(x), x)
    np.testing.assert_allclose(weighted(100_000, 0).effective_sample_size, 1e5 / second, rtol=0.02)


def test_proposals_without_support():
    with pytest.raises(ValueError, match="importance: all 50 weights vanish; the proposal has no support where p has"):
        importance(Uniform(5.0, 6.0).log_prob, Uniform(0.0, 1.0), 50, rng=0)
    with pytest.raises(ValueError, match=r"importance: \d+ of 50 weights are infinite or NaN"):
        importance(lambda x: mg.where(x < 0.5, np.inf, 0.0), Uniform(0.0, 1.0), 50, rng=0)
