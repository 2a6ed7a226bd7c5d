"""Primitives: calling conventions, your own op in ten lines, and what is saved."""
import inspect

import numpy as np
import pytest
import strict

import minigen as mg
from minigen import backend as backends
from minigen.primitive import Node
from minigen.tensor import Tensor

both = pytest.mark.usefixtures("backend")


# ---- your own op -----------------------------------------------------------------------------------------------------
@mg.primitive
def cube(xp, x):
    """x³."""
    return x * x * x


cube.vjp(lambda g, x: g * 3 * x ** 2)


@mg.primitive
def scaled_sum(xp, a, b, *, scale=1.0, axis=None):
    """scale · Σ a b."""
    return scale * xp.sum(a * b, axis=axis)


def _stretched(g, axis):
    return g if axis is None else mg.expand_dims(g, axis)


scaled_sum.vjp(lambda g, b, scale, axis: scale * _stretched(g, axis) * b,
               lambda g, a, scale, axis: scale * _stretched(g, axis) * a)


@mg.primitive
def weighted(xp, *xs, weights=(1, 1)):
    """Σᵢ wᵢ xᵢ²."""
    return sum((w * x * x for w, x in zip(weights, xs)), start=xs[0] * 0)


weighted.vjp(lambda g, i, xs, weights: 2 * weights[i] * g * xs[i])


@both
def test_your_own_op_has_derivatives_of_any_order():
    x = mg.tensor([1.0, 2.0], requires_grad=True, dtype="float64")
    first = mg.grad(cube(x), x, [1.0, 1.0], create_graph=True)
    second = mg.grad(first, x, [1.0, 1.0], create_graph=True)
    third = mg.grad(second, x, [1.0, 1.0])
    np.testing.assert_allclose([first.tolist(), second.tolist(), third.tolist()], [[3, 12], [6, 12], [6, 6]])


@both
def test_settings_reach_the_forward_and_the_derivative():
    a, b = mg.tensor([[1.0, 2.0]], requires_grad=True), mg.tensor([[3.0, 4.0]])
    y = scaled_sum(a, b, scale=2.0, axis=1)
    assert y.tolist() == [22] and mg.grad(y, a).tolist() == [[6, 8]]
    assert scaled_sum(a, b, 2.0, 1).tolist() == [22]                     # by position too
    assert scaled_sum(a, b=b).item() == 11                               # and tensors by name


@both
def test_a_variadic_op_has_one_derivative_for_all_its_inputs():
    xs = [mg.tensor(v, requires_grad=True) for v in (1.0, 2.0)]
    y = weighted(*xs, weights=(3, 5))
    first = mg.grad(y, xs, create_graph=True)
    assert [g.item() for g in first] == [6, 20]
    assert mg.grad(first[1], xs[1]).item() == 10


def test_an_op_keeps_its_name_doc_and_signature():
    assert (scaled_sum.__name__, scaled_sum.__doc__) == ("scaled_sum", "scale · Σ a b.")
    assert scaled_sum.__module__ == __name__
    assert str(inspect.signature(scaled_sum)) == "(a, b, scale=1.0, axis=None)"
    assert str(inspect.signature(weighted)) == "(*xs, weights=(1, 1))"


@both
def test_an_op_without_vjp_passes_no_gradient():
    @mg.primitive
    def halve(xp, x):
        return x / 2

    x = mg.tensor([2.0], requires_grad=True)
    assert not halve(x).requires_grad and halve(x).node is None


@both
def test_none_stands_for_no_gradient_of_an_input():
    @mg.primitive
    def gate(xp, x, mask):
        return x * mask

    gate.vjp(lambda g, mask: g * mask, None)
    x, mask = mg.tensor([2.0], requires_grad=True), mg.tensor([3.0], requires_grad=True)
    assert [g.item() for g in mg.grad(gate(x, mask), [x, mask])] == [3, 0]
    assert not gate(2.0, mask).requires_grad                                     # nothing to record


@pytest.mark.parametrize("vjp, message", [
    (lambda g, y: g, r"mine.vjp: a derivative asks for \['y'\]; .* it can ask for \['out', 'x', 'x_shape'\]"),
    (lambda g, i: g, r"mine.vjp: a derivative asks for \['i'\]")])
def test_a_derivative_that_asks_for_something_unknown(vjp, message):
    @mg.primitive
    def mine(xp, x):
        return x * x

    with pytest.raises(TypeError, match=message):
        mine.vjp(vjp)


def test_too_many_derivatives():
    @mg.primitive
    def identity(xp, x):
        return x + 0

    with pytest.raises(TypeError, match="identity.vjp: got 2 derivatives for the inputs x"):
        identity.vjp(lambda g: g, lambda g: g)


@both
@pytest.mark.parametrize("wrong, shape", [(lambda g: g[:1], r"\(1,\)"), (lambda g: mg.expand_dims(g, 1), r"\(3, 1\)"),
                                          (lambda g: g.sum(), r"\(\)")])
def test_a_vjp_of_the_wrong_shape_raises(wrong, shape):
    @mg.primitive
    def identity(xp, x):
        return x + 0

    identity.vjp(wrong)
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=rf"identity: its vjp .* shape {shape} for an input of shape \(3,\)"):
        identity(x).backward([1.0, 1.0, 1.0])


@both
@pytest.mark.parametrize("order", [1, 2])
def test_a_vjp_may_use_a_tensor_from_outside(order):
    weights = mg.tensor([2.0, 3.0])

    @mg.primitive
    def mine(xp, x):
        return x * weights._array

    mine.vjp(lambda g: mg.multiply(g, weights))
    x = mg.tensor([1.0, 1.0], requires_grad=True)
    assert mg.grad(mine(x) * 1.0, x, [1.0, 1.0], create_graph=order == 2).tolist() == [2, 3]
    (mine(x) + mine(x)).sum().backward()
    assert x.grad.tolist() == [4, 6]


@both
def test_a_vjp_may_return_the_dtype_it_likes():
    @mg.primitive
    def widened(xp, x):
        return x.astype("float64")

    widened.vjp(lambda g: g)
    x = mg.tensor([1.0], requires_grad=True)
    widened(x).sum().backward()
    assert x.grad.dtype == np.float32


# ---- what calls accept -----------------------------------------------------------------------------------------------
@both
def test_ops_accept_numbers_lists_and_arrays_and_return_tensors(backend):
    for x in (2.0, 2, [2.0], (2.0,), np.array([2.0]), np.float32(2), mg.tensor([2.0])):
        y = cube(x) if not isinstance(x, np.ndarray) or backend == "numpy" else cube(mg.tensor(x))
        assert type(y) is Tensor and float(y.sum().item()) == 8
        assert y.backend.name == backend


@both
def test_python_numbers_are_weak():
    x = mg.tensor([1.0])
    assert (x * 2.0).dtype == (2 * x).dtype == mg.maximum(x, 0).dtype == np.float32
    assert mg.add(1.0, 2.0).dtype == np.float32 and mg.add(1, 2).dtype == np.int64


@pytest.mark.parametrize("args, settings", [((), {}), ((1.0,), {}), ((1.0, 2.0, 3, 4, 5), {}), ((1.0, 2.0), {"ax": 1})])
def test_a_bad_call_shows_the_signature(args, settings):
    signature = r"its signature is scaled_sum\(a, b, scale=1.0, axis=None\)"
    with pytest.raises(TypeError, match=rf"scaled_sum: (missing|too many|got an unexpected).*; {signature}"):
        scaled_sum(*args, **settings)


# ---- what is saved ---------------------------------------------------------------------------------------------------
def _saved(t):
    return [value for _, _, _, values in t.node.edges for value in values]


@both
def test_only_what_a_derivative_asks_for_is_saved():
    x, w = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([3.0, 4.0])
    assert _saved(x + w) == []
    y = mg.exp(x)
    assert len(_saved(y)) == 1 and _saved(y)[0] is y._array
    assert len(_saved(x * w)) == 1 and _saved(x * w)[0] is w._array


@both
def test_nothing_is_recorded_without_need():
    x, w = mg.tensor([1.0], requires_grad=True), mg.tensor([1.0])
    assert (w * w).node is None and not (w * w).requires_grad
    with mg.no_grad():
        assert (x * x).node is None and not (x * x).requires_grad
    y = x * w
    assert y.node.sources == [x] and not y.is_leaf and x.is_leaf


@both
def test_a_node_does_not_hold_its_tensor():
    x = mg.tensor([1.0], requires_grad=True)
    y = mg.exp(x)
    for name in Node.__slots__:
        assert name == "__weakref__" or getattr(y.node, name) is not y


# ---- the backward pass in a device's manners -------------------------------------------------------------------------
def test_training_like_steps_on_a_device_wait_for_nothing():
    """A GPU that is never asked for a value never makes the host wait."""
    with mg.use("strict"):
        rng = mg.random.default_rng(0)
        x, w = rng.standard_normal((8, 3)), rng.standard_normal((3, 2))
        w.requires_grad = True
        before = strict.transfers
        for _ in range(3):
            loss = (mg.tanh(x @ w) ** 2).sum()
            loss.backward()
            with mg.no_grad():
                w[...] = w - 0.1 * w.grad
            w.grad = None
        assert strict.transfers == before
    assert backends.current().name == "numpy"


# ---- every op of the library -----------------------------------------------------------------------------------------
def _ops():
    return {name: getattr(mg, name) for name in mg.ops.__all__ if hasattr(getattr(mg, name), "op")}


@pytest.mark.parametrize("name", sorted(_ops()))
def test_an_op_that_is_no_view_returns_memory_of_its_own(name):
    """Whoever changes an input in place must not change a result, unless the result says that it is a view."""
    function = _ops()[name]
    op, tried = function.op, 0
    for shape in ((2, 2), (2,), (), (1, 1)):
        arrays = [mg.tensor(np.full(shape, 0.5)) for _ in range(1 if op.variadic else len(op.inputs))]
        try:
            with np.errstate(all="ignore"):
                out = function(*arrays)
        except (TypeError, ValueError, IndexError):                    # it wants other shapes, or settings
            continue
        tried += 1
        shared = any(np.shares_memory(out.data, a.data) for a in arrays)
        assert not shared or (op.view and out._version is arrays[0]._version)
    if not tried:
        pytest.skip("wants other inputs than these")


def test_there_are_many_ops():
    assert len(_ops()) > 60
