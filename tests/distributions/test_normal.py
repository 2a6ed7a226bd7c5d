"""The diagonal normal against SciPy, quadrature and its own samples. Seeds fixed, false-alarm rates stated."""
import math

import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st
from scipy import integrate, stats

import minigen as mg
from minigen.distributions import Normal

pytestmark = pytest.mark.usefixtures("backend")
means, log_stds = st.floats(-20, 20), st.floats(-4, 4)


def t(values):
    return mg.tensor(np.asarray(values, dtype=np.float64))


def normal(mean, log_std, event_ndim=0):
    return Normal(t(mean), t(log_std), event_ndim)


@given(means, log_stds, st.floats(-30, 30))
def test_against_scipy(mean, log_std, x):
    p, oracle = normal(mean, log_std), stats.norm(mean, math.exp(log_std))
    np.testing.assert_allclose(p.log_prob(t(x)).item(), oracle.logpdf(x), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(p.entropy().item(), oracle.entropy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(p.variance.item(), oracle.var(), rtol=1e-9)
    np.testing.assert_allclose(p.std.item(), oracle.std(), rtol=1e-9)


@given(means, log_stds)
def test_it_integrates_to_one_with_its_mean_variance_and_entropy(mean, log_std):
    p, s = normal(mean, log_std), math.exp(log_std)
    x = np.linspace(mean - 12 * s, mean + 12 * s, 4001)                # Simpson's rule; what is left out is below 1e-32
    log_p = p.log_prob(mg.tensor(x)).numpy()
    for f, expected in ((1, 1), (x - mean, 0), ((x - mean) ** 2, p.variance.item()), (-log_p, p.entropy().item())):
        np.testing.assert_allclose(integrate.simpson(np.exp(log_p) * f, x=x), expected, rtol=1e-8, atol=1e-8)


def test_sample_moments():
    """200,000 draws of 3 entries: mean and variance within 5 standard errors; false-alarm rate below 4e-6 in all."""
    p = Normal([-3.0, 0.0, 100.0], [-2.0, 0.0, 3.0])
    x, n = p.sample(200_000, rng=7).numpy().astype(np.float64), 200_000
    s = np.exp([-2.0, 0.0, 3.0])
    assert (np.abs(x.mean(axis=0) - p.mean.numpy()) < 5 * s / math.sqrt(n)).all()
    assert (np.abs(x.var(axis=0) / s ** 2 - 1) < 5 * math.sqrt(2 / n)).all()


def test_samples_pass_kolmogorov_smirnov():
    """5,000 draws at level 1e-4: the false-alarm rate, were the seed not fixed."""
    x = Normal(1.5, -0.7, 0).sample(5000, rng=1).numpy()
    assert stats.kstest(x, stats.norm(1.5, math.exp(-0.7)).cdf).pvalue > 1e-4


def test_injected_noise_is_scaled_and_shifted():
    eps = np.array([[0.0, 1.0], [-2.0, 3.0]])
    x = normal([1.0, 2.0], [0.0, math.log(2)], 1).sample(2, eps=eps)
    np.testing.assert_allclose(x.numpy(), [[1, 4], [-1, 8]])


def test_gradients_flow_through_samples():
    eps = np.random.default_rng(0).standard_normal((5, 2, 3))
    assert Normal.reparameterised
    assert_gradients(lambda m, s: mg.tanh(Normal(m, s).sample(5, eps=eps)), np.ones((2, 3)), np.full(3, -0.5))


def test_gradients_of_log_prob_and_entropy():
    rng = np.random.default_rng(0)
    mean, log_std, x = rng.standard_normal((2, 3)), rng.standard_normal(3), rng.standard_normal((4, 2, 3))
    assert_gradients(lambda x, m, s: Normal(m, s).log_prob(x), x, mean, log_std)
    assert_gradients(lambda s: Normal(mg.zeros((2, 3)), s).entropy(), log_std)


def test_draws_have_the_dtype_of_the_parameters():
    assert normal(0, 0).sample(rng=0).dtype == np.float64 and Normal(0, 0, 0).sample(rng=0).dtype == np.float32


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    mean, log_std, x = np.random.default_rng(0).standard_normal((3, 4, 5))
    theirs = torch.distributions.Normal(torch.tensor(mean), torch.tensor(log_std).exp())
    theirs = torch.distributions.Independent(theirs, 1).log_prob(torch.tensor(x))
    np.testing.assert_allclose(normal(mean, log_std, 1).log_prob(t(x)).numpy(), theirs, rtol=1e-9)
