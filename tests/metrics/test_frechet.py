"""The Fréchet distance against closed forms, scipy's matrix root, and its first-order bias against simulation."""
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

import minigen as mg
from minigen.metrics import fid, frechet_distance
from minigen.metrics.frechet import expected_bias

finite = st.floats(-5, 5)


def covariance(rng, D, rank=None):
    """A random covariance (D, D)."""
    root = rng.standard_normal((D, rank or D))
    return root @ root.T


@given(finite, finite, st.floats(0, 5), st.floats(0, 5))
def test_in_one_dimension(mean1, mean2, std1, std2):
    """d² = (μ₁ − μ₂)² + (σ₁ − σ₂)²."""
    found = frechet_distance([mean1], [[std1 ** 2]], [mean2], [[std2 ** 2]])
    assert found == pytest.approx((mean1 - mean2) ** 2 + (std1 - std2) ** 2, abs=1e-12)


@given(st.integers(0, 2 ** 32), st.integers(1, 6))
def test_commuting_covariances(seed, D):
    """With common eigenvectors d² = ‖μ₁ − μ₂‖² + Σ (√λ₁ − √λ₂)²."""
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.standard_normal((D, D)))[0]
    (a, b), (l1, l2) = rng.standard_normal((2, D)), rng.exponential(size=(2, D))
    found = frechet_distance(a, vectors * l1 @ vectors.T, b, vectors * l2 @ vectors.T)
    assert found == pytest.approx(np.sum((a - b) ** 2) + np.sum((l1 ** 0.5 - l2 ** 0.5) ** 2), rel=1e-10)


@given(st.integers(0, 2 ** 32), st.integers(2, 8))
def test_equals_the_matrix_root_of_the_product(seed, D):
    """tr (Σ₁Σ₂)^½ by scipy's root of a matrix that is not symmetric."""
    rng = np.random.default_rng(seed)
    (a, b), s1, s2 = rng.standard_normal((2, D)), covariance(rng, D), covariance(rng, D)
    wanted = np.sum((a - b) ** 2) + np.trace(s1 + s2) - 2 * np.trace(sqrtm(s1 @ s2)).real
    assert frechet_distance(a, s1, b, s2) == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_symmetric_zero_of_itself_and_blind_to_rotation():
    rng = np.random.default_rng(0)
    (a, b), s1, s2 = rng.standard_normal((2, 5)), covariance(rng, 5), covariance(rng, 5, rank=2)
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    d = frechet_distance(a, s1, b, s2)
    assert d > 1 and frechet_distance(b, s2, a, s1) == pytest.approx(d)
    assert frechet_distance(turn @ a, turn @ s1 @ turn.T, turn @ b, turn @ s2 @ turn.T) == pytest.approx(d)
    for s in (s1, s2, np.zeros((5, 5))):
        assert 0 <= frechet_distance(a, s, a, s) < 1e-12


def test_no_coupling_moves_less():
    """Eq. (1): any joint Gaussian with these marginals moves at least d², and the one of the best K just d²."""
    rng = np.random.default_rng(1)
    root1, root2 = (np.linalg.cholesky(covariance(rng, 3)) for _ in range(2))
    s1, s2 = root1 @ root1.T, root2 @ root2.T
    d = frechet_distance(np.zeros(3), s1, np.zeros(3), s2)
    u, _, v = np.linalg.svd(root1.T @ root2)
    contractions = [np.linalg.qr(rng.standard_normal((3, 3)))[0] * rng.uniform(0, 1) for _ in range(200)] + [u @ v]
    moved = [np.trace(s1 + s2 - 2 * root1 @ K @ root2.T) for K in contractions]
    assert min(moved) == moved[-1] == pytest.approx(d)


def test_fid_is_the_distance_of_the_fitted_gaussians():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((50, 3)), 1 + 2 * rng.standard_normal((40, 3))
    wanted = frechet_distance(x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T))
    assert fid(x, y) == pytest.approx(wanted)
    assert fid(mg.tensor(x), y.tolist()) == pytest.approx(wanted)
    assert fid(x[:, :1], y[:, :1]) == pytest.approx((x[:, 0].mean() - y[:, 0].mean()) ** 2
                                                    + (x[:, 0].std(ddof=1) - y[:, 0].std(ddof=1)) ** 2)


@pytest.mark.parametrize("variances", [[1.0] * 6, [4.0, 1.0, 0.25, 0.0]])
def test_the_bias_of_few_samples(variances):
    """Eq. (4) against the mean of 800 pairs of n = 500 draws, within 5 of its standard errors (false alarm below 1e-6,
    fixed seed), which are below 3 %. The next order, 1/n², is far smaller."""
    rng, n, D = np.random.default_rng(3), 500, len(variances)
    x = rng.standard_normal((800, 2, n, D), dtype=np.float32) * np.sqrt(variances)
    found = np.array([fid(*pair) for pair in x])
    error, wanted = found.std() / np.sqrt(len(found)), expected_bias(np.diag(variances), n)
    if D == 6:
        assert wanted == pytest.approx((2 * D + D * (D + 1) / 2) / n)
    assert abs(found.mean() - wanted) < 5 * error and error < 0.03 * wanted


def test_fewer_samples_than_features_warn():
    x = np.random.default_rng(4).standard_normal((20, 8))
    with pytest.warns(UserWarning, match="fid: 8 samples of 8 features have a covariance of rank 7 at most"):
        assert fid(x[:8], x) > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fid(x[:9], x) > 0


@pytest.mark.parametrize("call, words", [
    (lambda: fid(np.zeros((5, 3)), np.zeros((5, 4))), r"fid: wants features \(n, D\), the same D ≥ 1 in each set, got "
                                                      r"\(5, 3\) and \(5, 4\)"),
    (lambda: fid(np.zeros((5, 2, 2)), np.zeros((5, 4))), "flatten images or compute features"),
    (lambda: fid(np.zeros((1, 3)), np.zeros((5, 3))), r"at least 2 samples in each set, got \(1, 3\) and \(5, 3\)"),
    (lambda: fid([[0.0], [np.nan]], [[1.0], [np.inf]]), "fid: 2 samples are not finite"),
    (lambda: frechet_distance([0.0], np.eye(2), [0.0], np.eye(2)), r"got \(1,\), \(2, 2\), \(1,\) and \(2, 2\)"),
    (lambda: frechet_distance([0.0], [1.0], [0.0], [[1.0]]), r"a covariance is \(D, D\), got \(1,\)"),
    (lambda: frechet_distance([0, 0], [[1, 2], [0, 1]], [0, 0], np.eye(2)), "is symmetric and finite"),
    (lambda: frechet_distance([0], [[np.nan]], [0], [[1]]), "is symmetric and finite"),
    (lambda: frechet_distance([0], [[-1]], [0], [[1]]), "no negative eigenvalue; this one has -1"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
