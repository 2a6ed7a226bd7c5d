"""Transforms: exact where they can be, and drawn as they say."""
import numpy as np
import pytest

from minigen.data import binarise, binarise_once, dequantise, digits, on, to_unit

ALL = np.arange(256, dtype=np.uint8)
RECORDED = [0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0]


def rng(seed=0):
    return np.random.default_rng(seed)


def test_to_unit():
    unit = to_unit(ALL)
    assert unit.dtype == np.float32 and unit[0] == 0 and unit[255] == 1
    np.testing.assert_array_equal(unit, (np.arange(256) / 255).astype(np.float32))


def test_binarise_is_exactly_bernoulli():
    """Over the 255 thresholds, each as likely as any, pixel x gives 1 exactly x times."""
    bits = binarise(np.broadcast_to(ALL, (255, 256)), threshold=np.arange(255, dtype=np.uint8)[:, None])
    assert bits.dtype == np.float32 and set(np.unique(bits)) == {0, 1}
    np.testing.assert_array_equal(bits.sum(axis=0), np.arange(256))


def test_binarise_draws():
    """20,000 draws of each pixel: frequencies within 5 standard deviations; false alarm < 256 · 6e-7, fixed seed."""
    n = 20_000
    bits = binarise(np.broadcast_to(ALL, (n, 256)), rng())
    p = np.arange(256) / 255
    assert (np.abs(bits.mean(axis=0) - p) <= 5 * np.sqrt(p * (1 - p) / n)).all()


def test_binarise_is_dynamic_and_reproducible():
    x = np.full((50, 8, 8, 1), 128, np.uint8)
    one = rng()
    first, second = binarise(x, one), binarise(x, one)
    assert first.shape == x.shape and (first != second).any()
    np.testing.assert_array_equal(binarise(x, rng()), first)


def test_binarise_once_is_fixed():
    x = digits("test")["x"][:50]
    fixed = binarise_once(x)
    assert fixed.dtype == np.uint8 and set(np.unique(fixed)) == {0, 255} and fixed.shape == x.shape
    np.testing.assert_array_equal(binarise_once(x), fixed)
    assert (binarise_once(x, seed=1) != fixed).any()
    np.testing.assert_array_equal(binarise(fixed, rng()), to_unit(fixed))       # bits stay bits
    assert (fixed[x == 255] == 255).all() and (fixed[x == 0] == 0).all()


def test_binarise_once_is_the_same_in_every_numpy():
    """Recorded once: the first bits that a pixel of 128 becomes under seed 0."""
    assert (binarise_once(np.full(24, 128, np.uint8)) // 255).tolist() == RECORDED


def test_dequantise_stays_in_its_cell():
    for u in (0.0, 0.5, 1 - 2.0 ** -16, 1 - 2.0 ** -24):
        y = dequantise(ALL, u=np.full(256, u, np.float32))
        assert y.dtype == np.float32 and (y >= 0).all() and (y < 1).all()
        np.testing.assert_array_equal(np.floor(y * 256), ALL)
    np.testing.assert_array_equal(dequantise(ALL, u=np.zeros(256)), np.arange(256) / 256)


def test_dequantise_draws():
    """u = 256 y − x is uniform: mean and variance within 5 standard deviations; false alarm < 2e-6, fixed seed."""
    x = np.broadcast_to(ALL, (1000, 256))
    u = dequantise(x, rng()).astype(np.float64) * 256 - x
    assert abs(u.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / u.size)
    assert abs(((u - 1 / 2) ** 2).mean() - 1 / 12) < 5 * np.sqrt(1 / 180 / u.size)


def test_bound_on_bits_is_tight_for_a_density_that_is_flat_in_each_cell():
    """Eq. (1) with p(y) = 256 P(floor(256 y)) holds with equality, whatever u."""
    probability = rng(1).dirichlet(np.ones(256))
    x = rng(2).integers(0, 256, (100, 5), dtype=np.uint8)
    log_p = np.log(256 * probability[np.floor(dequantise(x, rng(3)) * 256).astype(int)]).sum(axis=1)
    np.testing.assert_allclose(log_p - 5 * np.log(256), np.log(probability[x]).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("function", [to_unit, binarise, binarise_once, dequantise])
def test_only_8_bit_pixels(function):
    with pytest.raises(TypeError, match=f"{function.__name__}: wants 8-bit pixels .* got float32"):
        function(np.zeros((2, 2), np.float32))


@pytest.mark.parametrize("function", [binarise, dequantise])
@pytest.mark.parametrize("wrong", [None, 0, np.random.RandomState(0)])
def test_randomness_is_explicit(function, wrong):
    with pytest.raises(TypeError, match=f"{function.__name__}: draws, so it wants a NumPy Generator"):
        function(ALL, wrong)


def test_on():
    batch = {"x": ALL, "y": np.arange(256)}
    out = on(x=to_unit, y=lambda y, generator: y + generator.integers(1, 2))(batch, rng())
    np.testing.assert_array_equal(out["x"], to_unit(ALL))
    np.testing.assert_array_equal(out["y"], np.arange(256) + 1)
    assert batch["x"] is ALL and on(x=to_unit)(batch, rng())["y"] is batch["y"]
    with pytest.raises(KeyError, match="on: the batch has no 'image'; it has x, y"):
        on(image=to_unit)(batch, rng())
