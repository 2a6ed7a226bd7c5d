"""Embedding: rows of a table, their gradient, and what it refuses."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from helpers import assert_gradients

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")


shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@given(hnp.arrays(np.int64, shapes, elements={"min_value": 0, "max_value": 4}))
def test_value(symbols):
    layer = nn.Embedding(5, 3, rng=0)
    out = layer(mg.tensor(symbols))
    assert out.shape == (*symbols.shape, 3)
    np.testing.assert_array_equal(out.numpy(), layer.weight.numpy()[symbols])


def test_a_row_used_twice_receives_both_gradients():
    layer = nn.Embedding(4, 2, rng=0)
    layer([1, 1, 3]).sum().backward()
    assert layer.weight.grad.tolist() == [[0, 0], [2, 2], [0, 0], [1, 1]]


def test_gradients():
    def f(weight):
        layer = nn.Embedding(3, 2, rng=0)
        layer.weight = weight
        return mg.tanh(layer([[0, 2], [2, 2]]))

    assert_gradients(f, np.random.default_rng(0).standard_normal((3, 2)))


def test_rows_start_standard_normal():
    """n = 20,000 draws: variance within 5 standard errors, false-alarm rate below 1e-6."""
    assert abs((nn.Embedding(100, 200, rng=0).weight.numpy() ** 2).mean() - 1) < 5 * np.sqrt(2 / 20_000)


@pytest.mark.parametrize("symbols, low, high", [([0, 5], 0, 5), ([-1, 2], -1, 2)])
def test_symbols_out_of_range(symbols, low, high):
    layer = nn.Sequential(nn.Embedding(5, 2, rng=0))
    list(layer.parameters())
    with pytest.raises(IndexError) as error:
        layer(symbols)
    assert str(error.value) == f"Embedding(5, 2) '0' knows the symbols 0 to 4, got some from {low} to {high}"


def test_symbols_must_be_integers():
    with pytest.raises(TypeError, match=r"Embedding\(5, 2\) wants integers, got float32 of shape \(2,\)"):
        nn.Embedding(5, 2, rng=0)([1.0, 2.0])


def test_sizes():
    with pytest.raises(ValueError, match="wants at least one symbol and one feature, got 3 and 0"):
        nn.Embedding(3, 0, rng=0)
