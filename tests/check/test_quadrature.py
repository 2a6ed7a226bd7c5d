"""Adaptive integration against closed forms and SciPy."""
import numpy as np
import pytest
from scipy import integrate as scipy_integrate, stats

from minigen.check.quadrature import Integral, integrate

LINE, PLANE = [(-np.inf, np.inf)], [(-np.inf, np.inf)] * 2


@pytest.mark.parametrize("f, bounds, exact", [
    (lambda x: stats.norm.pdf(x[:, 0]), LINE, 1.0), (lambda x: stats.expon.pdf(x[:, 0]), [(0, np.inf)], 1.0),
    (lambda x: stats.expon.pdf(-x[:, 0], scale=3), [(-np.inf, 0)], 1.0),
                                              (lambda x: 1 / np.pi / (1 + x[:, 0] ** 2), LINE, 1.0),
    (lambda x: np.abs(x[:, 0] - 0.3), [(0, 1)], 0.29), (lambda x: (np.abs(x[:, 0] - 0.3) < 0.5) * 1.0, LINE, 1.0),
    (lambda x: np.sqrt(x[:, 0]), [(0, 4)], 16 / 3), (lambda x: np.exp(-x.sum(axis=1)), [(0, np.inf)] * 2, 1.0),
    (lambda x: stats.norm.pdf(x[:, 0], -3, 0.2) * stats.norm.pdf(x[:, 1], 1, 0.3), PLANE, 1.0),
    (lambda x: x[:, 0] * x[:, 1] ** 2, [(0, 1), (0, 2)], 4 / 3)])
def test_closed_forms(f, bounds, exact):
    value = integrate(f, bounds)
    assert abs(value - exact) <= max(value.error, 1e-8)


def test_scipy_agrees():
    f = lambda x, y: np.exp(-x * x - 0.3 * x * y - y * y) * (1 + np.cos(3 * x))
    ours = integrate(lambda p: f(p[:, 0], p[:, 1]), [(-1, 2), (-3, 1)])
    assert ours == pytest.approx(scipy_integrate.dblquad(lambda y, x: f(x, y), -1, 2, -3, 1)[0], abs=1e-9)
    g = lambda x: np.sin(1 / (0.05 + x))
    assert integrate(lambda p: g(p[:, 0]), [(0, 1)]) == pytest.approx(scipy_integrate.quad(g, 0, 1, limit=200)[0],
                                                                      abs=1e-8)


def test_narrow_far_away_mass_is_found_where_one_says_it_is():
    f = lambda x: stats.norm.pdf(x[:, 0], 100, 0.01)
    assert integrate(f, LINE) < 1e-3
    assert integrate(f, LINE, centre=[99.98], scale=[0.03]) == pytest.approx(1, abs=1e-9)


def test_the_error_is_honest_where_it_cannot_do_better():
    rough = integrate(lambda x: (np.abs(x - 0.3) < 0.5).all(axis=1) * 1.0, PLANE)
    assert abs(rough - 1) <= rough.error < 1e-2


def test_nan_is_passed_on_and_zero_times_infinity_is_zero():
    assert np.isnan(integrate(lambda x: np.full(len(x), np.nan), [(0, 1)]))
    assert integrate(lambda x: np.zeros(len(x)), LINE) == 0.0
    assert isinstance(integrate(lambda x: np.ones(len(x)), [(0, 1)]), Integral)
