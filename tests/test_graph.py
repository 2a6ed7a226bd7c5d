"""The life of a graph: used once, freed while it is used, held by nobody, and as long or as wide as it likes."""
import gc
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from helpers import leaf

import minigen as mg

both = pytest.mark.usefixtures("backend")


# ---- a graph is used once --------------------------------------------------------------------------------------------
@both
def test_backward_twice_raises_and_names_the_op():
    x = leaf([1.0, 2.0])
    y = mg.exp(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="backward: the graph through sum was used and freed; pass retain_graph="):
        y.backward()
    assert x.grad.tolist() == pytest.approx(np.exp([1, 2]))


@both
def test_a_shared_part_is_freed_too():
    x = leaf([1.0, 2.0])
    h = mg.exp(x)
    y, z = (h * h).sum(), (h * 3.0).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="the graph through exp was used and freed"):
        z.backward()


@both
def test_retain_graph_and_create_graph_keep_it():
    x = leaf([1.0, 2.0])
    y = mg.exp(x).sum()
    y.backward(retain_graph=True)
    mg.grad(y, x, create_graph=True)
    y.backward()
    assert x.grad.tolist() == pytest.approx(2 * np.exp([1, 2]))


@both
def test_backward_frees_what_it_used():
    x = leaf(np.ones(3))
    h = x * 2
    y = mg.exp(h)
    saved = weakref.ref(y.node)
    loss = y.sum()
    del y
    loss.backward()
    assert saved() is None and loss.node.edges is None and loss.item() == pytest.approx(3 * np.exp(2))


def test_backward_frees_while_it_goes():
    """The peak of a backward pass through n saved arrays stays near n arrays: each goes as soon as it is used."""
    n, size = 30, 100_000
    x = leaf(np.ones(size))
    y = x
    for _ in range(n):
        y = mg.tanh(y)
    y = y.sum()
    tracemalloc.start()
    y.backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * size * 8, f"a backward pass took {peak / size / 8:.1f} arrays more"


# ---- no cycles, no leaks ---------------------------------------------------------------------------------------------
@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _graphs(x):
    """Graphs of many kinds, each made and used in its own way."""
    def forward():
        return (mg.exp(x) * x).sum()

    def used():
        y = (mg.exp(x) * x).sum()
        y.backward()
        return y

    def second_order():
        g = mg.grad((mg.exp(x) * x).sum(), x, create_graph=True)
        g.sum().backward()
        return g

    def failed():
        y = (mg.exp(x) * x).sum()
        y.backward()
        with pytest.raises(RuntimeError):
            y.backward()
        return y

    def many_inputs():
        return mg.concatenate([x, mg.exp(x)]).sum()

    def checkpointed():
        y = mg.checkpoint(lambda x: mg.exp(x) * x, x).sum()
        y.backward()
        return y

    return [forward, used, second_order, failed, many_inputs, checkpointed]


@both
@pytest.mark.parametrize("kind", range(6))
def test_graphs_hold_no_reference_cycle(no_collector, kind):
    """Reference counting alone frees a graph: without the collector its tensor and its node are gone at once."""
    x = leaf([1.0, 2.0])
    y = _graphs(x)[kind]()
    alive = [weakref.ref(y), weakref.ref(y.node)]
    del y
    assert [r() for r in alive] == [None, None]


def test_ten_thousand_steps_do_not_grow():
    """Training-like steps: what is allocated after 1,000 steps is what is allocated after 10,000."""
    rng = np.random.default_rng(0)
    w, x = leaf(rng.standard_normal((3, 2))), mg.tensor(rng.standard_normal((4, 3)))

    def steps(n):
        for _ in range(n):
            w.grad = None
            mg.tanh(x @ w).sum().backward()
            with mg.no_grad():
                w[...] = w - 1e-3 * w.grad

    steps(1000)
    tracemalloc.start()
    steps(100)
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    counted = len(gc.get_objects())
    steps(8800)
    grown = len(gc.get_objects()) - counted
    tracemalloc.start()
    steps(100)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 100 and after < before + 4096, f"{grown} more objects, {after - before} more bytes"


# ---- long and wide graphs --------------------------------------------------------------------------------------------
def _chain(x, n):
    y = x
    for _ in range(n):
        y = y + 1.0
    return y


def test_a_chain_of_a_hundred_thousand_ops():
    x = leaf(1.0)
    y = _chain(x, 100_000)
    y.backward()
    assert x.grad.item() == 1.0 and y.item() == 100_001


def test_a_chain_of_a_hundred_thousand_ops_can_be_dropped():
    x = leaf(1.0)
    y = _chain(x, 100_000)
    node = weakref.ref(y.node.sources[0])
    del y
    assert node() is None


def test_a_long_chain_can_be_pruned_and_differentiated_twice():
    x = leaf(1.0)
    y = x
    for _ in range(5_000):
        y = y * x / x
    g = mg.grad(y, x, create_graph=True)
    assert g.item() == pytest.approx(1.0) and mg.grad(g, x).item() == pytest.approx(0.0, abs=1e-6)


def test_each_node_is_visited_once():
    visits = []

    @mg.primitive
    def double(xp, x, y):
        return x + y

    double.vjp(lambda g: visits.append(1) or g, lambda g: g)
    x = leaf(1.0)
    y = x
    for _ in range(200):                                   # 2²⁰⁰ paths
        y = double(y, y)
    start = time.perf_counter()
    assert mg.grad(y, x).item() == 2.0 ** 200
    assert len(visits) == 200 and time.perf_counter() - start < 5


def test_a_diamond_waits_for_both_sides():
    """A node is taken only when every use of its output has reported, however uneven the paths."""
    x = leaf(2.0)
    h = x * x
    long = h
    for _ in range(20):
        long = long * 1.0
    assert mg.grad(h * long, x).item() == 4 * 8             # x⁴


# ---- reproducible ----------------------------------------------------------------------------------------------------
@both
def test_same_seed_same_bits():
    def run():
        rng = mg.random.default_rng(3)
        x, w = rng.standard_normal((16, 8)), rng.standard_normal((8, 4))
        w.requires_grad = True
        for _ in range(5):
            w.grad = None
            mg.tanh(x @ w + 0.1 * rng.standard_normal((16, 4))).sum().backward()
            with mg.no_grad():
                w[...] = w - 0.1 * w.grad
        return w.numpy()

    np.testing.assert_array_equal(run(), run())
