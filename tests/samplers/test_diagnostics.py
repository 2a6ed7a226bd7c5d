"""Diagnostics on processes whose autocorrelation is known: x_t = φ x_{t−1} + √(1 − φ²) ε."""
import numpy as np
import pytest

from minigen.samplers import autocorrelation, effective_sample_size, r_hat


def process(phi, n=4000, N=8, seed=0):
    rng = np.random.default_rng(seed)
    x = np.empty((n, N))
    x[0] = rng.standard_normal(N)
    for t in range(1, n):
        x[t] = phi * x[t - 1] + np.sqrt(1 - phi ** 2) * rng.standard_normal(N)
    return x


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, -0.5])
def test_effective_sample_size(phi):
    """n N (1 − φ)/(1 + φ), within 15 %: 4 standard deviations of the estimate over 40 seeds."""
    x = process(phi)
    np.testing.assert_allclose(effective_sample_size(x), x.size * (1 - phi) / (1 + phi), rtol=0.15)


def test_autocorrelation_is_the_plain_sum():
    x = process(0.7, n=50, N=2)
    centred = x - x.mean(axis=0)
    naive = [(centred[:50 - t] * centred[t:]).sum(axis=0).mean() for t in range(50)]
    np.testing.assert_allclose(autocorrelation(x), np.array(naive) / naive[0], atol=1e-12)
    assert autocorrelation(np.stack([x, x], axis=-1), 5).shape == (5, 2)


def test_r_hat_tells_chains_that_agree_from_those_that_do_not():
    x = process(0.3)
    assert r_hat(x) < 1.01
    assert r_hat(x + np.arange(8)) > 1.5                                       # each chain somewhere else
    assert r_hat(x + np.linspace(0, 3, len(x))[:, None]) > 1.2                 # all of them drift
    assert effective_sample_size(x + 3 * np.arange(8)) < 20


def test_events_keep_their_shape():
    x = np.random.default_rng(0).standard_normal((40, 3, 2, 5))
    assert r_hat(x).shape == effective_sample_size(x).shape == (2, 5)


def test_chains_that_do_not_move():
    stuck = np.tile(np.arange(3.0), (10, 1))
    assert r_hat(stuck) == np.inf and r_hat(np.ones((10, 3))) == 1


@pytest.mark.parametrize("f", [autocorrelation, effective_sample_size, r_hat])
def test_bad_draws(f):
    with pytest.raises(ValueError, match=rf"{f.__name__}: wants draws \(n, N, \*event\) with n ≥ 4 of N chains, "
                                         "got shape"):
        f(np.zeros(10))
    with pytest.raises(ValueError, match=rf"{f.__name__}: 1 of the draws \(5, 2\) are not finite; the chains diverged"):
        f(np.array([[0, 1.0]] * 4 + [[np.nan, 1]]))
