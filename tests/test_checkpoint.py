"""checkpoint: the same value, gradients of any order and noise, for less memory; what it cannot repeat, it refuses."""
import gc
import tracemalloc
import weakref

import numpy as np
import pytest
from helpers import leaf

import minigen as mg

pytestmark = pytest.mark.usefixtures("backend")


def constant(values):
    return mg.tensor(np.asarray(values, dtype="float64"))


def block(x, w):
    return mg.tanh(x @ w) * mg.exp(-x).sum()


def test_checkpoint_changes_neither_value_nor_derivatives():
    values = [np.array([0.3, -0.5]), np.array([[1.0, 2.0], [0.5, -1.0]])]
    results = []
    for g in (block, lambda x, w: mg.checkpoint(block, x, w)):
        x, w = map(leaf, values)
        y = g(x * 1.0, w)
        first = mg.grad((y * y).sum(), [x, w], create_graph=True)
        second = mg.grad((first[0] ** 2).sum() + (first[1] ** 3).sum(), [x, w], create_graph=True)
        third = mg.grad((second[0] ** 2).sum(), [x, w])
        results.append([t.numpy() for t in (y, *first, *second, *third)])
    for plain, checkpointed in zip(*results):
        np.testing.assert_allclose(checkpointed, plain, rtol=1e-10)


def test_checkpoint_reaches_parameters_it_was_not_handed():
    w, x = leaf([2.0, 3.0]), leaf([1.0, 1.0])
    mg.checkpoint(lambda x: mg.exp(x * w), x).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), np.exp([2, 3]))
    np.testing.assert_allclose(x.grad.numpy(), np.array([2, 3]) * np.exp([2, 3]))


def test_checkpoints_nest_and_chain():
    x = leaf(0.5)
    y = mg.checkpoint(lambda x: mg.checkpoint(mg.tanh, mg.checkpoint(mg.tanh, x)), x)
    t = np.tanh(0.5)
    s = np.tanh(t)
    assert mg.grad(y, x).item() == pytest.approx((1 - s * s) * (1 - t * t))


@pytest.mark.parametrize("g", [lambda x: x, lambda x: x.reshape(2, 1), lambda x: x[0]])
def test_checkpoint_of_views_and_of_nothing(g):
    x = leaf([1.0, 2.0])
    for source in (x, x * 1.0):
        expected = mg.grad(g(source).sum() * 3.0, x, retain_graph=True).tolist()
        assert mg.grad(mg.checkpoint(g, source).sum() * 3.0, x).tolist() == expected


def test_a_view_from_a_checkpoint_shares_the_count_of_changes():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    loss = (mg.checkpoint(lambda x: x.reshape(2), x) * w).sum()
    with mg.no_grad():
        x[...] = 100.0
    with pytest.raises(RuntimeError, match="changed"):
        mg.grad(loss, w)


def test_checkpoint_without_anything_to_record():
    assert not mg.checkpoint(mg.exp, constant(1.0)).requires_grad
    with mg.no_grad():
        assert not mg.checkpoint(mg.exp, leaf(1.0)).requires_grad


def test_checkpoint_draws_the_same_noise_twice():
    rng = mg.random.default_rng(0)
    x = leaf([1.0, 2.0, 3.0])
    y = mg.checkpoint(lambda x: x * rng.standard_normal(3), x, rng=rng)
    after = rng.state()
    y.sum().backward()
    assert rng.state() == after                                          # the backward pass draws nothing of its own
    np.testing.assert_allclose(x.grad.numpy(), y.numpy() / np.array([1, 2, 3]), rtol=1e-6)


def test_checkpoint_notices_noise_it_was_not_told_about():
    rng = mg.random.default_rng(0)
    y = mg.checkpoint(lambda x: x * rng.standard_normal(3), leaf([1.0, 2.0, 3.0]))
    with pytest.raises(RuntimeError, match="checkpoint: the function gave another result.*rng="):
        y.sum().backward()


def test_checkpoint_notices_a_change_in_place():
    x = leaf([1.0, 2.0])
    y = mg.checkpoint(lambda x: (x ** 3).sum(), x)
    with mg.no_grad():
        x[...] = constant([2.0, 1.0])                                        # the same sum, another gradient
    with pytest.raises(RuntimeError, match="changed|another result"):
        y.backward()


def test_backward_through_a_checkpoint_twice_raises():
    x = leaf([1.0, 2.0])
    y = mg.checkpoint(mg.exp, x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="used and freed"):
        y.backward()


def test_checkpoint_evaluates_twice_and_no_more():
    calls = []

    def g(x, w):
        calls.append(1)
        return x * w

    x, w = leaf(2.0), leaf(3.0)
    y = mg.checkpoint(g, x, w)
    assert len(calls) == 1
    assert [v.item() for v in mg.grad(y, [x, w])] == [3, 2] and len(calls) == 2


def test_a_checkpoint_that_is_kept_gives_the_same_gradient_again():
    x, w, c = leaf([1.0, 2.0]), leaf([3.0, 4.0]), constant([1.0, 1.0])
    y = mg.checkpoint(lambda x, w: x * w, x, w)
    for source, expected in [(x, [3, 4]), (w, [1, 2]), (x, [3, 4])] * 2:
        g = mg.grad(y, source, c, retain_graph=True)                         # one source at a time, the same cotangent
        assert g.tolist() == expected
        g[...] = 50.0


def test_checkpoint_keeps_less_memory(backend):
    if backend != "numpy":
        pytest.skip("memory is measured on NumPy")
    x = leaf(np.ones(50_000))

    def deep(x):
        for _ in range(20):
            x = mg.tanh(x)
        return x

    def held(g):
        tracemalloc.start()
        y = g(x)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size, y

    assert held(lambda x: mg.checkpoint(deep, x))[0] < held(deep)[0] / 5


def test_a_checkpoint_holds_no_reference_cycle():
    gc.collect()
    gc.disable()
    try:
        x = leaf([1.0, 2.0])
        for order in (1, 2):
            y = mg.checkpoint(mg.exp, x).sum()
            g = mg.grad(y, x, create_graph=order == 2)
            alive = [weakref.ref(y), weakref.ref(y.node)]
            del y, g
            assert [r() for r in alive] == [None, None]
    finally:
        gc.enable()
