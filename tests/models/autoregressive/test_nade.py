"""NADE against its definition, the sum over all entries before, O(D² H); and that its short cuts change nothing."""
import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st
from scipy.special import expit

import minigen as mg
from minigen.models.autoregressive import FVSBN, NADE
from minigen.training import Adam

pytestmark = pytest.mark.usefixtures("backend")


def random_nade(D, H, order=None, block=28, seed=0):
    rng, model = np.random.default_rng(seed), NADE(D, H, order=order, block=block).astype("float64")
    model.load_state_dict({name: rng.standard_normal(p.shape) for name, p in model.named_parameters()})
    return model


def naive_logits(model, x):
    """Eqs. (1) and (2) as they are written, in NumPy."""
    w = {name: p.numpy() for name, p in model.named_parameters()}
    logits = np.zeros(x.shape)
    for t, d in enumerate(model.order):
        a = w["c"] + sum((x[:, [j]] * w["W"][s] for s, j in enumerate(model.order[:t])), start=np.zeros((len(x), 1)))
        logits[:, d] = w["b"][t] + expit(a) @ w["V"][t]
    return logits


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 10), st.integers(0, 4),
       st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.randoms())
def test_the_recurrence_equals_the_naive_sums(D, H, block, N, ones, random):
    rng = np.random.default_rng(random.randrange(1000))
    model = random_nade(D, H, rng.permutation(D), block)
    x = (rng.random((N, D)) < ones).astype(float)
    np.testing.assert_allclose(model.conditionals(mg.tensor(x)).numpy(), naive_logits(model, x), rtol=1e-10, atol=1e-12)


def test_the_recurrence_equals_the_naive_sums_for_the_middle_of_digits():
    model, images = random_nade(144, 20), mg.data.digits("test")["x"][:3, 8:20, 8:20]
    x = (images.reshape(3, 144) > 127).astype(float)
    np.testing.assert_allclose(model.conditionals(mg.tensor(x)).numpy(), naive_logits(model, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("block", [1, 3, 7])
def test_gradients_also_with_respect_to_x(block):
    """Where x is 0 nothing may be left out of its own derivative; the values do not care which rows were shared."""
    model, x = random_nade(5, 3, block=block), np.array([[0.0, 1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.5, 0.0, 0.0]])
    assert_gradients(model.conditionals, x)
    leaf = mg.tensor(x, requires_grad=True)
    np.testing.assert_allclose(model.conditionals(leaf).numpy(), model.conditionals(mg.tensor(x)).numpy(), rtol=1e-12)


def test_gradients_with_respect_to_parameters_do_not_depend_on_the_block():
    x, found = mg.tensor((np.random.default_rng(0).random((6, 11)) < 0.4).astype(float)), []
    for block in (1, 4, 11, 50):
        model = random_nade(11, 4, block=block)
        found.append([g.numpy() for g in mg.grad(model.log_prob(x).mean(), list(model.parameters()))])
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def test_exclusive_or_is_learnt(backend):
    """x_3 = x_1 ⊕ x_2, which no FVSBN can say, costs 2 log 2 nats: NADE gets there."""
    if backend != "numpy":
        pytest.skip("800 steps; the gradients are tested on every backend")
    x = mg.tensor(np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=np.float32))
    best = {}
    for model in (NADE(3, 8, rng=0), FVSBN(3)):
        optimizer = Adam(model.parameters(), lr=0.05)
        for _ in range(400):
            optimizer.zero_grad()
            (-model.log_prob(x).mean()).backward()
            optimizer.step()
        best[type(model).__name__] = float(-model.log_prob(x).mean())
    assert best["NADE"] < 2 * np.log(2) + 0.05
    assert abs(best["FVSBN"] - 3 * np.log(2)) < 1e-3
