"""The backward pass: right to any order, iterative, frugal, and never silently wrong."""
import gc
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given
from hypothesis.extra import numpy as hnp

import minigen as mg
from minigen.primitive import Node

both = pytest.mark.usefixtures("backend")


def leaf(values, dtype="float64"):
    return mg.tensor(values, requires_grad=True, dtype=dtype)


# ---- right -----------------------------------------------------------------------------------------------------------
@both
def test_first_example():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4] and x.grad.dtype == np.float32 and x.grad.is_leaf


@both
def test_a_function_of_everything():
    rng = np.random.default_rng(0)
    assert_gradients(lambda x, w, b: mg.tanh(mg.exp(-x) @ w + b) / (1 + (x * x).sum(axis=1, keepdims=True)),
                     rng.standard_normal((3, 2)), rng.standard_normal((2, 4)), rng.standard_normal(4))


@both
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0))
def test_broadcasting_is_undone(shapes):
    rng = np.random.default_rng(0)
    assert_gradients(lambda a, b: a * b + a, *map(rng.standard_normal, shapes.input_shapes))


@both
def test_derivatives_to_the_fourth_order():
    x = leaf([0.3, -0.7, 1.2])
    values, ones = [mg.tanh(x)], np.ones(3)
    for _ in range(4):
        values.append(mg.grad(values[-1], x, ones, create_graph=True))
    t = np.tanh([0.3, -0.7, 1.2])
    s = 1 - t * t                                          # t′ = s, s′ = −2 t s
    closed = [t, s, -2 * t * s, -2 * s * s + 4 * t * t * s, 16 * t * s * s - 8 * t ** 3 * s]
    for ours, theirs in zip(values, closed):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-12)


@both
def test_mixed_partial_derivatives():
    x, y = leaf(1.5), leaf(2.5)
    f, e = y * mg.exp(x * y), np.exp(1.5 * 2.5)
    fx, fy = mg.grad(f, [x, y], create_graph=True)
    fxy, fyx = mg.grad(fx, y, create_graph=True), mg.grad(fy, x, create_graph=True)
    assert fxy.item() == pytest.approx(e * (2 * 2.5 + 1.5 * 2.5 ** 2))                     # e^{xy} (2y + x y²)
    assert fyx.item() == pytest.approx(fxy.item())
    fxyx = mg.grad(fxy, x)
    assert fxyx.item() == pytest.approx(e * (3 * 2.5 ** 2 + 1.5 * 2.5 ** 3))               # e^{xy} (3y² + x y³)


@both
def test_a_freed_graph_below_a_gradient_raises_rather_than_being_left_out():
    x, y = leaf(1.5), leaf(2.5)
    f = y * mg.exp(x * y)
    fx = mg.grad(f, x, create_graph=True)
    mg.grad(mg.grad(f, y, create_graph=True), x)                                           # frees the graph of f
    with pytest.raises(RuntimeError, match="was used and freed"):
        mg.grad(fx, x)
    h = x * x
    g = h * 2
    mg.grad(h, x)
    with pytest.raises(RuntimeError, match="was used and freed"):
        mg.grad(g, [h, x])


@both
def test_gradient_of_a_gradient_penalty():
    """As in WGAN-GP: the parameters' gradient of (‖∂f/∂x‖ − 1)², against the closed form for f = wᵀx."""
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    slope = mg.grad((w * x).sum(), x, create_graph=True)
    penalty = (mg.sqrt((slope * slope).sum()) - 1) ** 2
    np.testing.assert_allclose(mg.grad(penalty, w).numpy(), 2 * (5 - 1) * np.array([3, 4]) / 5)


@both
def test_shared_subgraphs():
    x = leaf(3.0)
    h = x * x
    y = h * h + h                                           # x⁴ + x²
    assert mg.grad(y, h, retain_graph=True).item() == 2 * 9 + 1
    assert mg.grad(y, x).item() == 4 * 27 + 6


@both
def test_grad_frees_and_needs_only_what_it_passes_through():
    x = leaf(3.0)
    h = x * x
    assert mg.grad(h * 2, h).item() == 2                    # does not touch how h was made …
    assert mg.grad(h, x).item() == 6                        # … so that is still there, and now freed,
    assert mg.grad(h * 5, h).item() == 5                    # which does not matter here


@both
def test_the_same_tensor_twice_in_one_op():
    x = leaf(3.0)
    for y, slope in [(x * x, 6), (x + x, 2), (x / x, 0), (x - x, 0), (x ** x, 27 * (np.log(3) + 1))]:
        assert mg.grad(y, x).item() == pytest.approx(slope)


@both
def test_cotangents_of_every_kind():
    x = leaf([1.0, 2.0])
    for cotangent in ([1.0, 10.0], (1, 10), np.array([1, 10]), np.array([1, 10], "float32"), mg.tensor([1.0, 10.0])):
        if isinstance(cotangent, np.ndarray):
            cotangent = mg.tensor(cotangent)
        g = mg.grad(x * x, x, cotangent)
        assert g.tolist() == [2, 40] and g.dtype == np.float64


@both
def test_a_cotangent_may_be_differentiated():
    x, u = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    g = mg.grad(x * x, x, u, create_graph=True)             # 2 x u
    assert mg.grad(g, u, [1.0, 1.0]).tolist() == [2, 4]


@both
def test_the_gradient_has_the_dtype_of_its_input():
    x, w = leaf([1.0, 2.0], "float32"), leaf([3.0, 4.0], "float64")
    y = (x * w).sum()
    assert y.dtype == np.float64
    gx, gw = mg.grad(y, [x, w])
    assert (gx.dtype, gw.dtype) == (np.float32, np.float64)
    x.backward(mg.tensor([1.0, 1.0], dtype="float64"))
    assert x.grad.dtype == np.float32


# ---- grad ------------------------------------------------------------------------------------------------------------
@both
def test_grad_leaves_every_grad_alone():
    x = leaf([1.0, 2.0])
    g = mg.grad((x * x).sum(), x)
    assert x.grad is None and g.tolist() == [2, 4] and not g.requires_grad


@both
def test_grad_takes_a_tensor_or_a_sequence():
    x, y = leaf(2.0), leaf(3.0)
    assert mg.grad(x * y, x).item() == 3
    for inputs in ([x, y], (x, y), iter([x, y])):
        g = mg.grad(x * y, inputs)
        assert type(g) is tuple and [v.item() for v in g] == [3, 2]


@both
def test_zeros_where_the_output_does_not_depend():
    x, other = leaf([1.0, 2.0]), leaf(np.ones((2, 3)))
    gx, go = mg.grad((x * x).sum(), [x, other])
    assert gx.tolist() == [2, 4] and go.shape == (2, 3) and not go.numpy().any()
    assert mg.grad(mg.tensor(1.0), x).tolist() == [0, 0]
    _, go = mg.grad((x * x).sum(), [x, other], create_graph=True)
    assert not go.numpy().any()


@both
def test_grad_with_respect_to_what_is_in_the_middle():
    x = leaf([1.0, 2.0])
    h = mg.exp(x)
    y = (h * h).sum()
    gh, gx = mg.grad(y, [h, x])
    np.testing.assert_allclose(gh.numpy(), 2 * np.exp([1, 2]))
    np.testing.assert_allclose(gx.numpy(), 2 * np.exp([2, 4]))


@both
def test_grad_of_a_tensor_with_respect_to_itself():
    x, c = leaf([1.0, 2.0]), mg.tensor([3.0, 4.0], dtype="float64")
    h = x * 1.0
    for t in (x, h):
        g = mg.grad(t, t, c)
        assert g.tolist() == [3, 4]
        g[0] = 100.0
        assert c.tolist() == [3, 4]                         # the user's cotangent is the user's


@both
def test_grad_computes_no_more_than_it_is_asked_for():
    called = []

    @mg.primitive
    def watched(xp, a, b):
        return a + b

    def watch(name):
        def vjp(g):
            called.append(name)
            return g
        return vjp

    watched.vjp(watch("a"), watch("b"))
    x, y, z = leaf(1.0), leaf(2.0), leaf(3.0)
    out = watched(watched(x, y), z)
    mg.grad(out, z, retain_graph=True)
    assert called == ["b"]                                  # of the outer op alone
    called.clear()
    mg.grad(out, y)
    assert called == ["a", "b"]


@both
@pytest.mark.parametrize("bad, message", [
    (lambda x: mg.grad(x.sum(), mg.tensor([1.0, 2.0])), r"grad: input 0 is a Tensor \(2,\) that requires no grad"),
    (lambda x: mg.grad(x.sum(), [x, 3.0]), "grad: input 1 is a float"),
    (lambda x: mg.tensor(1.0).backward(), r"backward: this tensor \(\) was computed from nothing that requires grad"),
    (lambda x: x.detach().sum().backward(), "computed from nothing that requires grad")])
def test_asking_for_what_is_not_recorded(bad, message):
    with pytest.raises(RuntimeError, match=message):
        bad(leaf([1.0, 2.0]))


@both
def test_cotangents_are_checked():
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"backward: the output has shape \(2,\); pass a cotangent of that"):
        (x * x).backward()
    with pytest.raises(ValueError, match=r"grad: the cotangent has shape \(3,\), the output \(2,\); they must"):
        mg.grad(x * x, x, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"grad: the cotangent has shape \(\), the output \(2,\)"):
        mg.grad(x * x, x, 1.0)


def test_a_cotangent_on_another_device_is_refused():
    x = leaf([1.0, 2.0])
    with mg.use("strict"):
        c = mg.tensor([1.0, 1.0], dtype="float64")
    with pytest.raises(TypeError, match="grad: the cotangent lives on strict, the output on numpy"):
        mg.grad(x * x, x, c)


# ---- accumulation ----------------------------------------------------------------------------------------------------
@both
def test_backward_accumulates_and_none_starts_afresh():
    x = leaf([1.0, 2.0])
    for expected in ([2, 4], [4, 8]):
        (x * x).sum().backward()
        assert x.grad.tolist() == expected
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]


@both
def test_backward_on_a_leaf():
    x = leaf([1.0, 2.0])
    x.backward([3.0, 4.0])
    x.backward([3.0, 4.0])
    assert x.grad.tolist() == [6, 8]


@both
def test_gradients_do_not_share_memory():
    a, b, c = leaf([1.0, 2.0]), leaf([1.0, 2.0]), mg.tensor([1.0, 1.0], dtype="float64")
    (a + b).backward(c)
    a.grad[0] = 50.0
    assert b.grad.tolist() == [1, 1] and c.tolist() == [1, 1]
    before = a.grad
    (a + b).backward(c)
    assert before.tolist() == [50, 1] and a.grad.tolist() == [51, 2]            # a new tensor, the old one untouched


@both
@pytest.mark.parametrize("make", [lambda a, b: a + b, lambda a, b: a.reshape(1, 2) + b, lambda a, b: mg.stack([a, b])])
def test_gradients_of_any_input_do_not_share_memory(make):
    a, b = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    for inputs in ([a, b], [a * 1, b * 1]):
        ga, gb = mg.grad(make(*inputs).sum() * 1.0, inputs)
        kept = gb.tolist()
        ga[...] = 50.0
        assert gb.tolist() == kept


@both
def test_what_was_saved_is_not_overwritten_by_accumulation():
    """Cotangents that meet are added up in a buffer that is neither a saved array nor the user's cotangent."""
    x = leaf([1.0, 2.0])
    y = mg.exp(x)
    saved = y.tolist()
    z = y * y + y + y.reshape(1, 2)[0] + y
    c = mg.tensor([1.0, 1.0], dtype="float64")
    for _ in range(2):
        np.testing.assert_allclose(mg.grad(z, x, c, retain_graph=True).numpy(), 2 * np.exp([2, 4]) + 3 * np.exp([1, 2]))
    assert y.tolist() == saved and c.tolist() == [1, 1] and x.tolist() == [1, 2]


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
    x.grad = None
    assert gc.collect() == 0 or not [o for o in gc.garbage if isinstance(o, (mg.Tensor, Node))]


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


# ---- no_grad and detach ----------------------------------------------------------------------------------------------
@both
def test_detach_cuts_the_graph():
    x = leaf(3.0)
    y = x * x
    assert mg.grad(y * y.detach(), x).item() == 9 * 6
    assert not y.detach().requires_grad and y.detach().item() == 9


@both
def test_no_grad_cuts_the_graph():
    x = leaf(3.0)
    with mg.no_grad():
        y = x * x
    assert not y.requires_grad and mg.grad(y * x, x).item() == 9


@both
def test_a_backward_pass_inside_no_grad_still_works():
    x = leaf(3.0)
    y = x * x
    with mg.no_grad():
        assert mg.grad(y, x, retain_graph=True).item() == 6
        assert not mg.grad(y, x, retain_graph=True).requires_grad
        y.backward()
    assert x.grad.item() == 6


# ---- detect_anomaly --------------------------------------------------------------------------------------------------
@both
def test_anomaly_in_the_forward_names_op_and_line():
    x = leaf([0.0, 1.0])
    with np.errstate(all="ignore"), mg.detect_anomaly():
        with pytest.raises(FloatingPointError) as error:
            y = mg.log(x)  # the culprit
            mg.exp(y)
    message = str(error.value)
    assert message.startswith("log: made the first infinity, shape (2,), called at ")
    assert __file__ in message and message.endswith("y = mg.log(x)  # the culprit")


@both
def test_anomaly_in_the_backward_names_op_and_the_line_of_the_forward():
    x = leaf([0.0, 1.0])
    with np.errstate(all="ignore"), mg.detect_anomaly():
        y = mg.sqrt(x)  # fine here, but its slope at 0 is infinite
        z = y.sum()
        with pytest.raises(FloatingPointError) as error:
            z.backward()
    message = str(error.value)
    assert message.startswith("sqrt (its gradient): made the first infinity") and "slope at 0 is infinite" in message


@both
def test_anomaly_finds_nan_and_leaves_integers_alone():
    with np.errstate(all="ignore"), mg.detect_anomaly():
        mg.tensor([1, 2]) + 1
        with pytest.raises(FloatingPointError, match="made the first NaN"):
            mg.tensor([np.inf]) * 0.0
    with np.errstate(all="ignore"):
        assert np.isnan((mg.tensor([np.inf]) * 0.0).item())            # outside nothing is looked at


@both
def test_anomaly_while_a_derivative_is_recorded():
    x = leaf([0.0])
    y = (x * mg.sqrt(x)).sum()
    with np.errstate(all="ignore"), mg.detect_anomaly():
        with pytest.raises(FloatingPointError) as error:
            mg.grad(y, x, create_graph=True)  # 1 / √0
    assert "made the first" in str(error.value) and "1 / √0" in str(error.value)
