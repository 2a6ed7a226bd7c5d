"""The normal with full covariance: against SciPy, its own draws, and dense formulas."""
import math

import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st
from scipy import stats

import minigen as mg
from minigen.distributions import MultivariateNormal, Normal, kl_divergence, kl_monte_carlo

pytestmark = pytest.mark.usefixtures("backend")


def t(values):
    return mg.tensor(np.asarray(values, dtype=np.float64))


def parameters(seed, batch=(), D=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*batch, D)), 0.5 * rng.standard_normal((*batch, D)), rng.standard_normal((*batch, D, D))


@given(st.integers(0, 1000), st.integers(1, 4))
def test_against_scipy(seed, D):
    mean, log_std, lower = parameters(seed, D=D)
    p = MultivariateNormal(t(mean), t(log_std), t(lower))
    L = np.tril(lower, -1) + np.diag(np.exp(log_std))
    oracle = stats.multivariate_normal(mean, L @ L.T)
    x = np.random.default_rng(seed + 1).standard_normal((5, D))
    np.testing.assert_allclose(p.covariance.numpy(), L @ L.T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(p.variance.numpy(), np.diag(L @ L.T), rtol=1e-12)
    np.testing.assert_allclose(p.log_prob(t(x)).numpy(), np.atleast_1d(oracle.logpdf(x)), rtol=1e-7)
    np.testing.assert_allclose(p.entropy().item(), oracle.entropy(), rtol=1e-9)


@pytest.mark.parametrize("lead", [(), (4,), (2, 4)])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_samples_and_batches_are_told_apart(lead, batch):
    mean, log_std, lower = parameters(0, batch)
    p = MultivariateNormal(t(mean), t(log_std), t(lower))
    x = np.random.default_rng(1).standard_normal((*lead, *batch, 3))
    log_p = p.log_prob(t(x)).numpy()
    assert log_p.shape == (*lead, *batch) and p.sample(lead, rng=0).shape == x.shape
    for index in np.ndindex(*lead, *batch):
        at = index[len(lead):]
        one = MultivariateNormal(t(mean[at]), t(log_std[at]), t(lower[at]))
        np.testing.assert_allclose(log_p[index], one.log_prob(t(x[index])).item(), rtol=1e-9)


def test_draws_have_the_covariance():
    """100,000 draws: each entry of mean and covariance within 5 standard errors; false-alarm rate below 6e-6 in all."""
    p, n = MultivariateNormal(*map(t, parameters(2))), 100_000
    x, S = p.sample(n, rng=0).numpy(), p.covariance.numpy()
    assert (np.abs(x.mean(axis=0) - p.mean.numpy()) < 5 * np.sqrt(np.diag(S) / n)).all()
    error = np.sqrt((S ** 2 + np.outer(np.diag(S), np.diag(S))) / n)               # of an entry of a Wishart matrix
    assert (np.abs(np.cov(x.T) - S) < 5 * error).all()


def test_from_a_covariance_and_back():
    A = np.random.default_rng(0).standard_normal((2, 3, 3))
    S = A @ A.swapaxes(1, 2) + 0.1 * np.eye(3)
    p = MultivariateNormal.from_covariance(t(np.zeros((2, 3))), t(S))
    np.testing.assert_allclose(p.covariance.numpy(), S, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="not positive definite"):
        MultivariateNormal.from_covariance(t(np.zeros(2)), t([[1.0, 2.0], [2.0, 1.0]]))


def test_without_lower_it_is_the_diagonal_normal():
    mean, log_std, _ = parameters(0, (4,))
    p, q = MultivariateNormal(t(mean), t(log_std)), Normal(t(mean), t(log_std))
    x = t(np.random.default_rng(1).standard_normal((5, 4, 3)))
    np.testing.assert_allclose(p.log_prob(x).numpy(), q.log_prob(x).numpy(), rtol=1e-12)
    np.testing.assert_allclose(p.sample(rng=0).numpy(), q.sample(rng=0).numpy(), rtol=1e-12)
    for first, second in ((p, q), (q, p), (p, p)):
        np.testing.assert_allclose(kl_divergence(first, second).numpy(), 0, atol=1e-12)


@given(st.integers(0, 1000))
def test_kl_is_the_dense_formula(seed):
    p, q = (MultivariateNormal(*map(t, parameters(s))) for s in (seed, seed + 1000))
    (m, S), (n, R) = ((d.mean.numpy(), d.covariance.numpy()) for d in (p, q))
    inverse, shift = np.linalg.inv(R), n - m
    expected = 0.5 * (np.trace(inverse @ S) + shift @ inverse @ shift - 3
                      + np.linalg.slogdet(R)[1] - np.linalg.slogdet(S)[1])
    np.testing.assert_allclose(kl_divergence(p, q).item(), expected, rtol=1e-6)
    diagonal = Normal(q.mean, q.log_std)
    full = MultivariateNormal(q.mean, q.log_std)
    np.testing.assert_allclose(kl_divergence(p, diagonal).item(), kl_divergence(p, full).item(), rtol=1e-12)
    np.testing.assert_allclose(kl_divergence(diagonal, p).item(), kl_divergence(full, p).item(), rtol=1e-12)


def test_kl_by_quadrature_and_monte_carlo():
    """In two dimensions: the trapezoidal rule over ±12 standard deviations; 50,000 draws within 5 standard errors."""
    (p, q), a = (MultivariateNormal(*map(t, parameters(s, D=2))) for s in (1, 2)), np.linspace(-12, 12, 401)
    eps = np.stack(np.meshgrid(a, a), axis=-1)
    x = p.mean.numpy() + eps @ p.cholesky.numpy().T
    log_p, log_q = p.log_prob(t(x)).numpy(), q.log_prob(t(x)).numpy()
    area = (a[1] - a[0]) ** 2 * np.prod(np.diag(p.cholesky.numpy()))
    np.testing.assert_allclose(np.exp(log_p).sum() * area, 1, rtol=1e-9)
    value = kl_divergence(p, q).item()
    np.testing.assert_allclose((np.exp(log_p) * (log_p - log_q)).sum() * area, value, rtol=1e-8)
    estimate, error = kl_monte_carlo(p, q, 50_000, rng=0)
    assert abs(estimate.item() - value) < 5 * error.item()


def test_gradients():
    mean, log_std, lower = parameters(3, (2,), 2)
    x, eps = np.random.default_rng(0).standard_normal((2, 3, 2, 2))
    assert_gradients(lambda x, m, s, l: MultivariateNormal(m, s, l).log_prob(x), x, mean, log_std, lower)
    assert_gradients(lambda m, s, l: mg.tanh(MultivariateNormal(m, s, l).sample(3, eps=eps)), mean, log_std, lower)
    assert_gradients(lambda m, s, l: kl_divergence(MultivariateNormal(m, s, l),
                                                   MultivariateNormal(mean[::-1].copy(), s, 0.5 * l)),
                     mean, log_std, lower)


def test_the_distribution_function_of_each_entry():
    S = np.array([[2.0, 0.6], [0.6, 0.5]])
    p = MultivariateNormal.from_covariance(mg.tensor(np.array([0.3, -1.0])), mg.tensor(S))
    x = np.array([[0.0, 0.0], [1.0, -2.0]])
    oracle = stats.norm([0.3, -1.0], np.sqrt(np.diag(S)))
    np.testing.assert_allclose(p.cdf(mg.tensor(x)).numpy(), oracle.cdf(x), rtol=1e-7)


def test_shapes_and_counts():
    p = MultivariateNormal(mg.zeros(4), 0.0, mg.zeros((7, 4, 4)))
    assert p.batch_shape == (7,) and p.mean.shape == (7, 4) and p.parameter_count() == 4 + 10
    assert math.isclose(p.entropy().numpy()[0], 2 * (1 + math.log(2 * math.pi)), rel_tol=1e-6)
    with pytest.raises(ValueError, match=r"wants lower \(…, 3, 3\) for a mean \(3,\), got \(2, 2\)"):
        MultivariateNormal(mg.zeros(3), 0.0, mg.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"wants a mean \(…, D\), got a number"):
        MultivariateNormal(0.0, 0.0)
