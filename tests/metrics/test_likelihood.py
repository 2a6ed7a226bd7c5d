"""Bits per dimension: the unit, uniform noise, and the bound of a density on 8-bit images."""
import math

import numpy as np
import pytest

import minigen as mg
from minigen.metrics import bits_per_dim, dequantised_log_prob

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 2, 2, 1), dtype=np.uint8)


def uniform(y):
    return mg.zeros((len(y),))


def ramp(y):
    """log Π 2 y_d, a density on [0, 1]^D that is not flat within a cell."""
    return mg.sum(mg.log(2 * y), axis=(1, 2, 3))


def exact(x):
    """log P(x) of `ramp`: the cell of x has mass ((x + 1)² − x²) / 256²."""
    return np.log((2 * x.astype(float) + 1) / 256 ** 2).sum(axis=(1, 2, 3))


def test_the_unit():
    """A fair coin for each of D = 5 numbers costs one bit a number."""
    assert bits_per_dim(-5 * math.log(2), 5) == pytest.approx(1)
    np.testing.assert_allclose(bits_per_dim(np.array([-math.log(2), 0.0]), 1), [1, 0])
    assert float(bits_per_dim(mg.tensor([-math.log(4)]), 2)[0]) == pytest.approx(1)


@pytest.mark.parametrize("samples", [1, 7])
def test_uniform_noise_costs_8_bits(samples):
    """Exactly, for every image and every draw of u."""
    found = bits_per_dim(dequantised_log_prob(uniform, PIXELS, samples), 4)
    assert found.shape == (6,)
    np.testing.assert_allclose(found, 8, rtol=1e-12)


def test_the_bound_with_injected_noise():
    u = np.random.default_rng(1).random((3, *PIXELS.shape), dtype=np.float32)
    log_p = np.stack([ramp(mg.tensor((PIXELS + one) / np.float32(256))).numpy() for one in u])              # (S, N)
    wanted = np.log(np.exp(log_p).mean(axis=0)) - 4 * math.log(256)
    np.testing.assert_allclose(dequantised_log_prob(ramp, PIXELS, 3, u=u), wanted, rtol=1e-6)


def test_bounds_are_ordered_and_become_tight():
    """Over dark pixels, whose cells are the least flat: E[S = 1] < E[S = 2] < log P, and S = 2,000 is log P. Means over
    20,000 images, 5 standard errors (false alarm below 1e-6, fixed seed)."""
    x = np.zeros((20_000, 1, 1, 1), np.uint8)
    one, two = (dequantised_log_prob(ramp, x, samples) for samples in (1, 2))
    error = np.hypot(one.std(), two.std()) / np.sqrt(len(x))
    truth = exact(x[:1])[0]
    assert one.mean() + 5 * error < two.mean() < truth - 5 * error
    assert dequantised_log_prob(ramp, x[:50], 2000).mean() == pytest.approx(truth, abs=0.02)


def test_same_seed_same_number():
    a, b, c = (dequantised_log_prob(ramp, PIXELS, rng=rng) for rng in (3, np.random.default_rng(3), 4))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


@pytest.mark.parametrize("call, error, words", [
    (lambda: bits_per_dim(0.0, 0), ValueError, "D counts the numbers in one example and is at least 1, got 0"),
    (lambda: dequantised_log_prob(uniform, PIXELS / 255), TypeError, "wants 8-bit pixels"),
    (lambda: dequantised_log_prob(uniform, PIXELS, 0), ValueError, "at least 1 sample, got 0"),
    (lambda: dequantised_log_prob(lambda y: mg.log(2 * y), PIXELS), ValueError,
     r"one log-density for each of 6 images, got shape \(6, 2, 2, 1\); sum over the event"),
])
def test_bad_input_is_told(call, error, words):
    with pytest.raises(error, match=words):
        call()
