"""The product that leaves out what a mask makes zero: the same numbers and derivatives as the plain product."""
import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st

import minigen as mg
from minigen.nn import masked_matmul as module
from minigen.nn.masked_matmul import masked_matmul, masked_outer, strips

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def narrow(monkeypatch):
    """Strips for small matrices too."""
    monkeypatch.setattr(module, "NARROWEST", 2)


def staircase(rows, columns, below=True):
    """Column k sees the rows up to its share of them, or those after."""
    steps = np.arange(rows)[:, None] * columns < np.arange(columns) * rows
    return steps if below else ~steps


def covered(mask, parts):
    """How often each entry lies in a strip."""
    count = np.zeros(mask.shape, int)
    for (r, s), (a, b) in parts:
        count[r:s, a:b] += 1
    return count


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["random", "below", "above", "none"]), st.integers(0, 99))
def test_strips_cover_the_mask_once_and_all_columns(rows, columns, kind, seed):
    mask = {"random": np.random.default_rng(seed).random((rows, columns)) < 0.3,
            "none": np.zeros((rows, columns), bool), "below": staircase(rows, columns),
            "above": staircase(rows, columns, False)}[kind]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "NARROWEST", 1)
        for m, parts in zip((mask, mask.T), strips(mask)):
            count = covered(m, parts)
            assert count.max() <= 1 and (count[m] == 1).all()
            assert [c for _, (a, b) in parts for c in range(a, b)] == list(range(m.shape[1]))


def test_a_staircase_costs_about_half():
    parts, turned = strips(staircase(784, 1024))
    assert len(parts) == len(turned) == 8
    assert covered(staircase(784, 1024), parts).mean() < 0.57
    assert len(strips(np.random.default_rng(0).random((784, 1024)) < 0.5)[0]) == 1


@pytest.mark.parametrize("below", [True, False])
@pytest.mark.parametrize("shape", [(6, 8), (9, 5), (1, 4), (0, 4)])
def test_value(narrow, below, shape):
    mask, rng = staircase(*shape, below), np.random.default_rng(0)
    parts = strips(mask)
    x, W, g = (rng.standard_normal(s) for s in ((3, shape[0]), shape, (3, shape[1])))
    m = mg.tensor(mask.astype(float), dtype="float64")
    ours = masked_matmul(mg.tensor(x), mg.tensor(W), m, parts)
    np.testing.assert_allclose(ours.numpy(), x @ (W * mask), atol=1e-12)
    np.testing.assert_allclose(masked_outer(mg.tensor(x), mg.tensor(g), m, parts).numpy(), x.T @ g * mask, atol=1e-12)


@pytest.mark.parametrize("below", [True, False])
def test_gradients_through_strips(narrow, below):
    mask, rng = staircase(6, 8, below), np.random.default_rng(0)
    parts, m = strips(mask), mg.tensor(mask, dtype="float64")
    assert len(parts[0]) > 1 and len(parts[1]) > 1
    assert_gradients(lambda x, W: mg.tanh(masked_matmul(x, W, m, parts)),
                     rng.standard_normal((3, 6)), rng.standard_normal((6, 8)))
    assert_gradients(lambda x, g: mg.tanh(masked_outer(x, g, m, parts)),
                     rng.standard_normal((3, 6)), rng.standard_normal((3, 8)))


def test_gradients_without_strips():
    mask, rng = np.random.default_rng(1).random((4, 3)) < 0.6, np.random.default_rng(0)
    parts, m = strips(mask), mg.tensor(mask, dtype="float64")
    assert_gradients(lambda x, W: mg.tanh(masked_matmul(x, W, m, parts)),
                     rng.standard_normal((2, 4)), rng.standard_normal((4, 3)))
