"""Mixtures of Gaussians: against SciPy, quadrature and their own samples."""
import numpy as np
import pytest
from scipy import stats

from minigen.data.densities import GaussianMixture, moons, ring

MIXTURE = GaussianMixture([[0.0, 1.0], [2.0, -1.0], [1.0, 0.5]], [0.5, 1.0, 0.3], [1, 2, 3], labels=[0, 1, 0])


def by_scipy(mixture, x):
    return sum(w * stats.multivariate_normal(m, s ** 2 * np.eye(2)).pdf(x)
               for w, m, s in zip(mixture.weights, mixture.means, mixture.stds))


def test_log_density_is_scipys():
    x = np.random.default_rng(0).standard_normal((3, 4, 2)) * 2
    np.testing.assert_allclose(MIXTURE.log_density(x), np.log(by_scipy(MIXTURE, x)), rtol=1e-12)


def integral(mixture, half):
    grid = np.linspace(-half, half, 501)
    return np.exp(mixture.log_density(np.stack(np.meshgrid(grid, grid), -1))).sum() * (grid[1] - grid[0]) ** 2


@pytest.mark.parametrize("mixture", [MIXTURE, ring(), moons(), MIXTURE.given(0), MIXTURE.noised(0.6, 0.8)])
def test_densities_integrate_to_one(mixture):
    assert abs(integral(mixture, 8.0) - 1) < 1e-6


def test_a_class_and_its_share_make_the_whole():
    """p(x) = Σ_y p(y) p(x|y), and p(y) is the weight of its components."""
    x = np.random.default_rng(1).standard_normal((5, 2))
    share = [MIXTURE.weights[MIXTURE.labels == y].sum() for y in range(2)]
    parts = sum(s * np.exp(MIXTURE.given(y).log_density(x)) for y, s in enumerate(share))
    np.testing.assert_allclose(np.log(parts), MIXTURE.log_density(x), rtol=1e-12)


def test_noised_is_the_density_of_scaled_data_plus_noise():
    """Mean and covariance of signal · x + noise · ε, exactly: signal² Cov(x) + noise² I."""
    def moments(m):
        mean = m.weights @ m.means
        d = m.means - mean
        return mean, (m.weights[:, None] * d).T @ d + (m.weights @ m.stds ** 2) * np.eye(2)
    mean, cov = moments(MIXTURE)
    noised_mean, noised_cov = moments(MIXTURE.noised(0.6, 0.8))
    np.testing.assert_allclose(noised_mean, 0.6 * mean)
    np.testing.assert_allclose(noised_cov, 0.36 * cov + 0.64 * np.eye(2))


@pytest.mark.parametrize("mixture", [MIXTURE, ring(), moons()])
def test_samples_come_from_the_density(mixture):
    """−log p averaged over 20,000 draws is the entropy, and so it is over a grid with weight p. The two agree to 5
    standard errors: false alarm below 1e-6. The classes occur as often as they should, by a χ² test at 1e-4."""
    x, y = mixture.sample(20_000, rng=3)
    assert x.shape == (20_000, 2) and x.dtype == np.float32 and y.dtype == np.int64
    drawn = -mixture.log_density(x)
    grid = np.linspace(-6, 6, 401)
    log_p = mixture.log_density(np.stack(np.meshgrid(grid, grid), -1))
    entropy = -(np.exp(log_p) * log_p).sum() * (grid[1] - grid[0]) ** 2
    assert abs(drawn.mean() - entropy) < 5 * drawn.std() / np.sqrt(len(x)) + 1e-4
    share = [mixture.weights[mixture.labels == k].sum() for k in range(mixture.classes)]
    assert stats.chisquare(np.bincount(y, minlength=mixture.classes), len(y) * np.array(share)).pvalue > 1e-4


def test_the_ring_and_the_moons_stand_where_they_should():
    np.testing.assert_allclose(np.linalg.norm(ring(8, 3.0).means, axis=1), 3.0)
    assert ring(5).classes == 5
    upper, lower = moons().given(0), moons().given(1)
    np.testing.assert_allclose(upper.means, -lower.means)
    np.testing.assert_allclose(np.linalg.norm(upper.means - [-0.5, -0.25], axis=1), 1.0)
    along = upper.log_density(np.array([[np.cos(a) - 0.5, np.sin(a) - 0.25] for a in np.linspace(1, 2, 200)]))
    assert np.ptp(along) < 1e-3                                                          # a smooth band, no beads


@pytest.mark.parametrize("call, words", [
    (lambda: GaussianMixture([1.0, 2.0], 1.0), r"means \(K, D\), K ≥ 1, got shape \(2,\)"),
    (lambda: GaussianMixture([[1.0, 2.0]], -1.0), r"stds are 1 positive numbers"),
    (lambda: GaussianMixture([[1.0], [2.0]], 1.0, [1.0, 0.0]), r"weights are 2 positive numbers"),
    (lambda: GaussianMixture([[1.0], [2.0]], 1.0, labels=[0, 2]), r"leave out none"),
    (lambda: MIXTURE.log_density(np.zeros((4, 3))), r"points \(…, 2\), got shape \(4, 3\)"),
    (lambda: MIXTURE.given(2), r"0 … 1, got 2"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
