"""The discretised mixture of logistics: sums to one, equals the difference of sigmoids, survives extremes."""
import math

import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st
from scipy import special

import minigen as mg
from minigen.distributions import DiscretizedLogisticMixture, kl_divergence, kl_monte_carlo

pytestmark = pytest.mark.usefixtures("backend")


def t(values):
    return mg.tensor(np.asarray(values, dtype=np.float64))


def probabilities(p):
    return np.exp(p.log_prob(t(np.arange(p.levels))).numpy())


@given(st.integers(0, 500), st.integers(1, 3), st.sampled_from([2, 5, 256]))
def test_it_sums_to_one_and_is_the_difference_of_sigmoids(seed, M, levels):
    rng = np.random.default_rng(seed)
    logits, log_scale = rng.standard_normal((2, M))
    mean = levels * (1.4 * rng.random(M) - 0.2)
    values = probabilities(DiscretizedLogisticMixture(t(logits), t(mean), t(log_scale), levels))
    edges = np.concatenate([[-np.inf], np.arange(levels - 1) + 0.5, [np.inf]])[:, None]
    expected = np.diff(special.expit((edges - mean) / np.exp(log_scale)), axis=0) @ special.softmax(logits)
    np.testing.assert_allclose(values, expected, atol=1e-12)
    np.testing.assert_allclose(values.sum(), 1, rtol=1e-10)


def test_what_is_no_value_is_impossible():
    p = DiscretizedLogisticMixture(t([0.0]), t([2.0]), t([0.0]), 5)
    assert p.log_prob(t([-1.0, 5.0, 1.5])).numpy().tolist() == [-math.inf] * 3 and p.support == (0, 4)


def test_extremes_stay_finite_in_float32():
    for mean, log_scale in ((0.0, -6.0), (255.0, -6.0), (-1e4, 3.0), (1e3, 9.0)):
        p = DiscretizedLogisticMixture([0.0], [mean], [log_scale])
        leaf = mg.tensor([mean], requires_grad=True)
        log_p = DiscretizedLogisticMixture(mg.zeros(1), leaf, mg.full(1, log_scale)).log_prob(mg.arange(256))
        assert np.isfinite(log_p.numpy()).all() and np.isfinite(mg.grad(log_p.sum(), leaf).numpy()).all()
        assert ((0 <= p.sample(100, rng=0).numpy()) & (p.sample(100, rng=0).numpy() <= 255)).all()


def test_draws_have_the_probabilities():
    """χ² of 20,000 draws over 8 values at level 1e-4, the false-alarm rate, were the seed not fixed."""
    from scipy import stats
    p = DiscretizedLogisticMixture(t([0.3, -0.2]), t([1.0, 5.0]), t([-0.5, 0.1]), 8)
    counts = np.bincount(p.sample(20_000, rng=1).numpy(), minlength=8)
    assert stats.chisquare(counts, 20_000 * probabilities(p)).pvalue > 1e-4


def test_moments_entropy_and_distribution_function_are_sums():
    p = DiscretizedLogisticMixture(t([[0.3, -0.2], [1.0, 0.0]]), t([[1.0, 5.0], [2.0, 9.0]]),
                                   t([[-0.5, 0.1], [0.2, 1.0]]), 8)
    P, x = np.exp(p.log_probs.numpy()), np.arange(8)
    np.testing.assert_allclose(P, np.stack([np.exp(p.log_prob(t([k, k])).numpy()) for k in x], axis=1), rtol=1e-12)
    np.testing.assert_allclose(p.mean.numpy(), P @ x, rtol=1e-12)
    np.testing.assert_allclose(p.variance.numpy(), P @ x ** 2 - (P @ x) ** 2, rtol=1e-9)
    np.testing.assert_allclose(p.entropy().numpy(), special.entr(P).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(p.cdf(t([3, 3])).numpy(), P[:, :4].sum(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(p.icdf(t([0.5, 0.5])).numpy(), (np.cumsum(P, axis=1) < 0.5).sum(axis=1))


def test_divergence_is_a_sum():
    rng = np.random.default_rng(0)
    p, q = (DiscretizedLogisticMixture(*(t(a) for a in (rng.standard_normal((3, 2)), 4 * rng.random((3, 2)),
                                                          0.3 * rng.standard_normal((3, 2)))), 6, 1) for _ in range(2))
    P, Q = (np.exp(d.log_probs.numpy()) for d in (p, q))
    np.testing.assert_allclose(kl_divergence(p, q).item(), special.rel_entr(P, Q).sum(), rtol=1e-10)
    estimate, error = kl_monte_carlo(p, q, 20_000, rng=0)                # within 4.5 errors: false alarm below 1e-5
    assert abs(estimate.item() - kl_divergence(p, q).item()) < 4.5 * error.item()
    with pytest.raises(ValueError, match="wants as many levels on both sides, got 6 and 4"):
        kl_divergence(p, DiscretizedLogisticMixture(mg.zeros((3, 2)), 1.0, 0.0, 4, 1))


def test_events_and_gradients():
    rng = np.random.default_rng(0)
    logits, mean, log_scale = rng.standard_normal((3, 2, 3, 2))
    x = rng.integers(0, 4, (5, 2, 3)).astype(float)
    make = lambda l, m, s: DiscretizedLogisticMixture(l, 2 + m, s, 4, 1)                               # noqa: E731
    p = make(*map(t, (logits, mean, log_scale)))
    assert p.log_prob(t(x)).shape == (5, 2) and p.sample(5, rng=0).shape == (5, 2, 3)
    assert p.sample(5, rng=0).dtype == np.int64 and p.parameter_count() == 3 * 5
    assert_gradients(lambda l, m, s: make(l, m, s).log_prob(t(x)), logits, mean, log_scale)


def test_bad_parameters():
    with pytest.raises(ValueError, match=r"wants parameters \(…, M\) and levels ≥ 2, got \(3,\) and 1"):
        DiscretizedLogisticMixture(mg.zeros(3), 0.0, 0.0, 1)
