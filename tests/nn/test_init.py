"""Initialisers: their laws, and that they keep a signal alive. Seeds fixed, false-alarm rates stated."""
import functools
import math

import numpy as np
import pytest
from scipy import stats

import minigen as mg
from minigen import nn
from minigen.nn.init import INITIALISERS, fans, initial, normal, orthogonal

pytestmark = pytest.mark.usefixtures("backend")
IN, OUT = 300, 500
STD = {"normal": 0.02, "uniform": 0.05 / math.sqrt(3), "torch": math.sqrt(1 / 900),
       "xavier_uniform": math.sqrt(2 / 800), "xavier_normal": math.sqrt(2 / 800),
       "kaiming_uniform": math.sqrt(2 / 300), "kaiming_normal": math.sqrt(2 / 300),
       "truncated_normal": 0.02 * stats.truncnorm(-2, 2).std()}


@pytest.mark.parametrize("name", STD)
def test_mean_and_variance(name, backend):
    """n = 150,000 draws: mean and variance within 5 standard errors (kurtosis ≤ 3); false-alarm rate < 2e-6 a law."""
    w = initial(name, (IN, OUT), 3)
    assert w.backend.name == backend and w.dtype == np.float32 and w.shape == (IN, OUT)
    w = w.numpy().astype(np.float64)
    n = w.size
    assert abs(w.mean()) < 5 * STD[name] / math.sqrt(n)
    assert abs(w.var() / STD[name] ** 2 - 1) < 5 * math.sqrt(2 / n)


@pytest.mark.parametrize("name, bound", [("uniform", 0.05), ("xavier_uniform", math.sqrt(6 / 800)),
                                         ("kaiming_uniform", math.sqrt(6 / 300)), ("torch", 1 / math.sqrt(300)),
                                         ("truncated_normal", 0.04)])
def test_support(name, bound):
    """All inside the bound, and some within 1 % of it (a miss has probability 0.995¹⁵⁰⁰⁰⁰ or less)."""
    largest = np.abs(initial(name, (IN, OUT), 0).numpy()).max()
    assert 0.99 * bound < largest <= bound * (1 + 1e-6)


def test_zeros_and_ones():
    assert (initial("zeros", (2, 3), 0).numpy() == 0).all() and (initial("ones", (4,), 0).numpy() == 1).all()


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (3, 3, 2, 4), (1, 6)])
def test_orthogonal(shape):
    q = initial("orthogonal", shape, 1).numpy().reshape(-1, shape[-1])
    product = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6)


def test_settings_are_bound_with_partial():
    doubled = initial(functools.partial(orthogonal, gain=2.0), (4, 4), 1).numpy()
    np.testing.assert_allclose(doubled, 2 * initial("orthogonal", (4, 4), 1).numpy(), rtol=1e-6)
    wide = initial(functools.partial(normal, std=3.0), (4, 4), 1).numpy()
    np.testing.assert_allclose(wide, 150 * initial("normal", (4, 4), 1).numpy(), rtol=1e-5)


def test_orthogonal_is_uniform():
    """For Q uniform, entries have mean 0 and variance 1/3. 2,000 draws: 5 standard errors, false-alarm rate < 1e-5."""
    rng = mg.random.default_rng(0)
    draws = np.stack([initial("orthogonal", (3, 3), rng).numpy() for _ in range(2000)])
    error = math.sqrt(1 / 3 / 2000)
    assert (np.abs(draws.mean(axis=0)) < 5 * error).all()
    assert (np.abs(draws.var(axis=0) - 1 / 3) < 5 * error).all()


@pytest.mark.parametrize("shape, expected", [((3, 5), (3, 5)), ((3, 3, 4, 8), (36, 72)), ((5, 2, 6), (10, 30))])
def test_fans(shape, expected):
    assert fans(shape) == expected


def test_kaiming_keeps_a_deep_relu_network_alive_and_xavier_does_not():
    """Where fan_in = fan_out, Eq. (4) keeps E[x²] and Eq. (3) halves it: after 20 layers a factor 2²⁰ is between."""
    for name, low, high in (("kaiming_normal", 0.1, 10), ("xavier_normal", 1e-7, 1e-5)):
        rng = mg.random.default_rng(0)
        layers = [nn.Linear(256, 256, rng=rng, weight_init=name) for _ in range(20)]
        x = rng.standard_normal((64, 256))
        for layer in layers:
            x = mg.relu(layer(x))
        assert low < float((x * x).mean()) < high


def test_same_seed_same_bits_and_a_generator_goes_on():
    for name in INITIALISERS:
        a, b = initial(name, (3, 4), 5), initial(name, (3, 4), 5)
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    rng = mg.random.default_rng(0)
    assert (initial("normal", (3, 4), rng).numpy() != initial("normal", (3, 4), rng).numpy()).all()


def test_a_function_may_be_given_and_its_shape_is_checked():
    assert (initial(lambda shape, rng: mg.full(shape, 2.0), (2, 3), 0).numpy() == 2).all()
    with pytest.raises(ValueError, match=r"initial: <lambda> returned the shape \(3, 2\), wanted \(2, 3\)"):
        initial(lambda shape, rng: mg.ones(shape[::-1]), (2, 3), 0)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="'kaiming_unifrom'; did you mean 'kaiming_uniform'.*Known: zeros, ones"):
        initial("kaiming_unifrom", (2, 3), 0)


def test_fans_need_two_axes():
    with pytest.raises(ValueError, match=r"at least two axes \(in, out\), got the shape \(3,\)"):
        initial("xavier_normal", (3,), 0)
