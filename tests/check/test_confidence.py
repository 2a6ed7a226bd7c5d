"""Thresholds against SciPy's distributions."""
import numpy as np
import pytest
from scipy import stats

from minigen.check.confidence import chi_square_threshold, student_t, z_threshold


@pytest.mark.parametrize("rate", [0.05, 1e-6, 1e-12])
def test_thresholds(rate):
    assert z_threshold(rate) == pytest.approx(stats.norm.isf(rate / 2))
    assert z_threshold(rate, 7) == pytest.approx(stats.norm.isf(rate / 14))
    for degrees in (1, 5, 200):
        assert chi_square_threshold(rate, degrees) == pytest.approx(stats.chi2.isf(rate, degrees))


def test_student_t():
    mean, covariance = np.array([1.0, -2.0, 0.5]), np.diag([1.0, 4.0, 0.25]) + 0.2
    x, log_p = student_t(20_000, mean, covariance)
    np.testing.assert_allclose(log_p[:50], stats.multivariate_t(mean, covariance, df=5).logpdf(x[:50]), rtol=1e-10)
    np.testing.assert_allclose(np.median(x, axis=0), mean, atol=0.1)
    np.testing.assert_allclose(np.cov(x, rowvar=False), covariance * 5 / 3, rtol=0.15, atol=0.05)
