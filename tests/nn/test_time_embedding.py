"""Numbers as vectors: the formulas, the identities they stand for, derivatives."""
import math

import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")


@given(st.lists(st.integers(0, 3), max_size=2), st.integers(1, 5), st.sampled_from([10.0, 10_000.0]))
def test_sinusoidal_value(shape, F, max_period):
    t = np.random.default_rng(0).uniform(0, 1000, shape)
    omega = np.array([max_period ** (-i / F) for i in range(F)])
    expected = np.concatenate([np.sin(t[..., None] * omega), np.cos(t[..., None] * omega)], axis=-1)
    np.testing.assert_allclose(nn.sinusoidal_embedding(mg.tensor(t), 2 * F, max_period).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("t", [np.arange(1000), np.arange(1000, dtype=np.int32), list(range(1000))])
def test_integer_times_give_float32(t):
    out = nn.sinusoidal_embedding(mg.tensor(t), 8)
    assert out.dtype == np.float32
    exact = nn.sinusoidal_embedding(mg.tensor(np.arange(1000.0)), 8).numpy()
    np.testing.assert_allclose(out.numpy(), exact, atol=1e-4)               # 1000 · 2⁻²⁴ of a radian


def test_a_shift_is_a_rotation_of_each_pair():
    t, s, F = np.array([0.0, 3.5, 700.0]), 12.25, 4
    omega = 10_000.0 ** (-np.arange(F) / F)
    before, after = (nn.sinusoidal_embedding(mg.tensor(u), 2 * F).numpy() for u in (t, t + s))
    sin, cos = before[:, :F], before[:, F:]
    rotated = np.concatenate([np.cos(omega * s) * sin + np.sin(omega * s) * cos,
                              np.cos(omega * s) * cos - np.sin(omega * s) * sin], axis=1)
    np.testing.assert_allclose(after, rotated, atol=1e-9)


def test_products_depend_on_the_difference_alone():
    e = nn.sinusoidal_embedding(mg.tensor(np.arange(20.0)), 16).numpy()
    products = e @ e.T
    for shift in range(20):
        np.testing.assert_allclose(np.diagonal(products, shift), products[0, shift], atol=1e-9)
    np.testing.assert_allclose(np.diagonal(products), 8, rtol=1e-12)        # ‖e(t)‖² = F


def test_gradients_with_respect_to_time():
    assert_gradients(lambda t: nn.sinusoidal_embedding(t, 4, 10.0), np.array([0.3, 2.0]))


# ---- random features -------------------------------------------------------------------------------------------------
def test_fourier_value_and_state():
    layer = nn.RandomFourierFeatures(2, 6, scale=3.0, rng=0)
    x, B = np.random.default_rng(0).standard_normal((4, 2)), layer.frequencies.numpy()
    angles = 2 * np.pi * x @ B
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), expected, atol=1e-5)
    assert list(layer.parameters()) == [] and list(layer.state_dict()) == ["frequencies"]


def test_fourier_products_tend_to_a_gaussian_kernel():
    """F = 20,000 cosines, each of variance ≤ ½: within 5 / √(2 F) of the kernel, false-alarm rate 6e-7 a pair."""
    layer = nn.RandomFourierFeatures(2, 40_000, scale=0.3, rng=0)
    x = np.random.default_rng(0).uniform(-1, 1, (5, 2))
    e = layer(mg.tensor(x)).numpy()
    kernel = np.exp(-2 * np.pi ** 2 * 0.3 ** 2 * ((x[:, None] - x[None]) ** 2).sum(-1))
    np.testing.assert_allclose(e @ e.T / 20_000, kernel, atol=5 / math.sqrt(40_000))


def test_fourier_frequencies_have_the_asked_scale():
    """n = 20,000 draws: variance within 5 standard errors, false-alarm rate below 1e-6."""
    B = nn.RandomFourierFeatures(10, 4000, scale=4.0, rng=0).frequencies.numpy()
    assert abs((B ** 2).mean() / 16 - 1) < 5 * math.sqrt(2 / 20_000)


def test_fourier_gradients():
    layer = nn.RandomFourierFeatures(2, 4, scale=0.3, rng=0)
    assert_gradients(layer, np.random.default_rng(0).standard_normal((3, 2)))


# ---- the network on top ----------------------------------------------------------------------------------------------
def test_time_embedding_is_a_perceptron_on_the_sinusoids():
    layer, t = nn.TimeEmbedding(6, 5, max_period=100.0, rng=0), mg.tensor([0, 3, 99])
    p = layer.state_dict()
    h = nn.sinusoidal_embedding(t, 6, 100.0).numpy() @ p["layers.0.weight"] + p["layers.0.bias"]
    expected = h / (1 + np.exp(-h)) @ p["layers.2.weight"] + p["layers.2.bias"]
    out = layer(t)
    assert out.shape == (3, 5) and out.dtype == np.float32
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make, message", [
    (lambda: nn.sinusoidal_embedding(mg.zeros(3), 5), "features come in pairs .* got 5"),
    (lambda: nn.sinusoidal_embedding(mg.zeros(3), 4, max_period=1), "max_period must be above 1, got 1"),
    (lambda: nn.RandomFourierFeatures(1, 3, rng=0), "an even number out, got 1 and 3"),
    (lambda: nn.RandomFourierFeatures(2, 4, rng=0)(mg.zeros((3, 1))),
     r"RandomFourierFeatures\(2, 4, scale=1.0\) wants 2 features on the last axis, got an input of shape \(3, 1\)"),
])
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
