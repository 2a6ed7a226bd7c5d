"""Boltzmann distributions: moments by differentiating log Z, the variational bound, and Maxwell's speeds."""
import math

import numpy as np
import pytest
from scipy import integrate, stats

from minigen.models.energy import Boltzmann, MaxwellSpeed
from minigen.models.energy.boltzmann import NOBLE_GASES

ENERGIES = np.array([0.0, 1.0, 1.0, 3.0, 0.5])


def test_two_levels_by_hand():
    p = Boltzmann([0.0, 2.0], temperature=0.5)
    np.testing.assert_allclose(p.probabilities, [1 / (1 + math.exp(-4)), math.exp(-4) / (1 + math.exp(-4))])
    assert math.isclose(p.log_Z, math.log1p(math.exp(-4)))


@pytest.mark.parametrize("T", [0.3, 1.0, 5.0])
def test_moments_are_derivatives_of_log_Z(T):
    h, p = 1e-4, Boltzmann(ENERGIES, T)
    below, above = (Boltzmann(ENERGIES, 1 / (1 / T + d)).log_Z for d in (-h, h))
    np.testing.assert_allclose(p.mean_energy, -(above - below) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(p.heat_capacity * T ** 2, (above - 2 * p.log_Z + below) / h ** 2, rtol=1e-4)
    colder, hotter = (Boltzmann(ENERGIES, T + d).mean_energy for d in (-h, h))
    np.testing.assert_allclose(p.heat_capacity, (hotter - colder) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(p.free_energy, p.mean_energy - T * p.entropy, rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_it_has_the_least_free_energy(seed):
    """F[q] = −T log Z + T KL(q‖p), Eq. (2)."""
    p, q = Boltzmann(ENERGIES, 0.7), np.random.default_rng(seed).dirichlet(np.ones(5))
    kl = (q * np.log(q / p.probabilities)).sum()
    np.testing.assert_allclose(p.free_energy_of(q), p.free_energy + 0.7 * kl, rtol=1e-12)
    np.testing.assert_allclose(p.free_energy_of(p.probabilities), p.free_energy, rtol=1e-12)


def test_the_limits_of_temperature():
    np.testing.assert_allclose(Boltzmann(ENERGIES, 1e9).probabilities, 0.2, rtol=1e-8)
    np.testing.assert_allclose(Boltzmann(ENERGIES, 1e-3).probabilities, [1, 0, 0, 0, 0], atol=1e-100)
    assert math.isfinite(Boltzmann([1e6, 1e6 + 1], 1.0).log_Z)


def test_a_state_that_cannot_be():
    p = Boltzmann([0.0, math.inf])
    assert p.probabilities.tolist() == [1, 0] and p.mean_energy == p.heat_capacity == p.entropy == 0
    assert p.free_energy_of([1.0, 0.0]) == 0 and p.free_energy_of([0.5, 0.5]) == math.inf


def test_draws_have_the_probabilities():
    """χ² of 20,000 draws at level 1e-4."""
    p = Boltzmann(ENERGIES)
    counts = np.bincount(p.sample(20_000, rng=0), minlength=5)
    assert stats.chisquare(counts, 20_000 * p.probabilities).pvalue > 1e-4


@pytest.mark.parametrize("call, message", [
    (lambda: Boltzmann([1.0], 0), "wants a temperature > 0, got 0"),
    (lambda: Boltzmann([math.inf]), r"got shape \(1,\) with 0 finite"),
    (lambda: Boltzmann([math.nan, 0]), "finite or"),
    (lambda: Boltzmann([[1.0]]), r"wants energies \(K,\)"),
    (lambda: Boltzmann([0.0, 1.0]).free_energy_of([0.5, 0.6]),
     "2 probabilities that sum to 1, got shape .* with sum 1.1"),
    (lambda: MaxwellSpeed(4, 0), "wants a mass and a temperature > 0, got 4 u and 0 K"),
])
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_speeds_of_the_noble_gases():
    """Against SciPy's Maxwell distribution, and helium's textbook value at 298.15 K: a mode of about 1,113 m/s."""
    for mass in NOBLE_GASES.values():
        gas = MaxwellSpeed(mass, 298.15)
        oracle, v = stats.maxwell(scale=gas.a), np.linspace(0, 6 * gas.a, 50)
        np.testing.assert_allclose(gas.density(v), oracle.pdf(v), rtol=1e-12)
        np.testing.assert_allclose(gas.cdf(v), oracle.cdf(v), rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(gas.mean, oracle.mean())
        np.testing.assert_allclose(gas.root_mean_square ** 2, oracle.var() + oracle.mean() ** 2)
        assert gas.density(gas.mode) >= gas.density(v).max()
    assert abs(MaxwellSpeed(NOBLE_GASES["helium"], 298.15).mode - 1113) < 1
    total, _ = integrate.quad(MaxwellSpeed(20, 300).density, 0, 5000)
    assert abs(total - 1) < 1e-8 and MaxwellSpeed(20, 300).density(-1) == 0


def test_draws_of_speeds():
    """Kolmogorov–Smirnov, 4,000 draws at level 1e-4."""
    gas = MaxwellSpeed(39.95, 300)
    assert stats.kstest(gas.sample(4000, rng=0), gas.cdf).pvalue > 1e-4
