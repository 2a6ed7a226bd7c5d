"""Slopes by differences: of smooth functions, at and near kinks and jumps, at every scale."""
import numpy as np
import pytest

from minigen.check.numeric import curve, slope


def measure(f, x, expected, scale=None):
    return slope(lambda t: f(x + t), scale or abs(x) or 1.0, expected, abs(f(x)))


@pytest.mark.parametrize("f, x, expected", [
    (np.exp, 1.0, np.e), (lambda x: x * x, 1e20, 2e20), (lambda x: 1e30 * x * x, 1e-20, 2e10), (np.log, 1e-8, 1e8),
    (lambda x: 1 + x * x, 1e-8, 2e-8), (lambda x: np.sin(1e4 * x), 0.3, 1e4 * np.cos(3e3)), (lambda x: x * x, 0.0, 0.0),
    (lambda x: 5.0, 0.0, 0.0), (lambda x: abs(x) ** 1.5, 0.0, 0.0), (lambda x: abs(x) * x, 0.0, 0.0),
    (lambda x: (1e6 + x) - 1e6, 1.0, 1.0)])
def test_smooth_functions_confirm_their_derivative_and_no_other(f, x, expected):
    assert measure(f, x, expected).kind == "smooth" and measure(f, x, expected).allows(expected)
    wrong = 1.001 * expected + (expected == 0)
    assert not measure(f, x, wrong).allows(wrong)


def test_random_smooth_functions_of_every_scale():
    rng = np.random.default_rng(0)
    for _ in range(300):
        a, x, k = rng.standard_normal(3), rng.standard_normal() * 10 ** rng.uniform(-3, 3), 10 ** rng.uniform(-2, 2)
        exact = a[0] * k * np.cos(k * x) + a[1] * k * (1 - np.tanh(k * x) ** 2)
        seen = slope(lambda t: a[0] * np.sin(k * (x + t)) + a[1] * np.tanh(k * (x + t)) + a[2], abs(x), exact,
                     np.abs(a).sum())
        assert seen.kind == "smooth" and seen.allows(exact)


@pytest.mark.parametrize("f, left, right", [
    (abs, -1.0, 1.0), (lambda x: max(x, 0), 0.0, 1.0), (lambda x: max(x, 0) + np.exp(x), 1.0, 2.0),
    (lambda x: x + 1e-4 * abs(x) + 50 * x * x, 0.9999, 1.0001)])
def test_a_kink_is_named_and_allows_what_lies_between_its_slopes(f, left, right):
    middle = (left + right) / 2
    seen = measure(f, 0.0, right)
    assert seen.kind == "kink"
    assert (seen.left, seen.right) == pytest.approx((left, right), abs=1e-4)
    assert seen.allows(left) and seen.allows(middle) and not seen.allows(right + 0.5) and not seen.allows(left - 0.5)


@pytest.mark.parametrize("distance", 10.0 ** -np.arange(1, 11))
def test_near_a_kink_the_right_slope_is_found(distance):
    assert measure(abs, distance, 1.0, scale=1.0).allows(1.0)
    assert not measure(abs, distance, -1.0, scale=1.0).allows(-1.0)
    assert measure(lambda x: max(x, 0) + np.exp(x), distance, 1 + np.exp(distance),
                   scale=1.0).allows(1 + np.exp(distance))


def test_jumps_and_edges():
    assert measure(np.floor, 1.0, 0.0).kind == "jump"
    edge = measure(np.sqrt, 0.0, 1.0)
    assert edge.kind == "unknown" and not edge.allows(1.0)


def test_the_curve_falls_and_rises_again():
    steps, errors = curve(lambda t: np.exp(1 + t), np.e, 1.0)
    best = int(np.argmin(errors))
    assert 1e-7 < steps[best] < 1e-3 and errors[best] < 1e-9 and errors[0] > 1e-3 and errors[-1] > 1e-8
