"""Tensor: making one, looking at it, leaving minigen, and never letting memory change unseen."""
import copy
import operator
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigen as mg
from minigen.tensor import Tensor, to_array

both = pytest.mark.usefixtures("backend")


# ---- making one ------------------------------------------------------------------------------------------------------
@both
@pytest.mark.parametrize("values, dtype, shape", [
    (1.5, "float32", ()), (3, "int64", ()), (True, "bool", ()), ([1.0, 2.0], "float32", (2,)), ([], "float32", (0,)),
    ([[1, 2], [3, 4]], "int64", (2, 2)), ((1.0, 2), "float32", (2,)), ([True, False], "bool", (2,)),
    (range(3), "int64", (3,)), (np.ones((2, 3)), "float64", (2, 3)), (np.float16(1), "float16", ()),
    (np.arange(3, dtype="int32"), "int32", (3,)),
    (np.zeros((0, 2), "float32"), "float32", (0, 2))])
def test_dtype_and_shape_of_a_new_tensor(values, dtype, shape):
    t = mg.tensor(values)
    assert (t.dtype, t.shape, t.ndim, t.size) == (np.dtype(dtype), shape, len(shape), int(np.prod(shape)))
    np.testing.assert_array_equal(t.numpy(), values)


@both
def test_dtype_may_be_asked_for():
    assert mg.tensor([1, 2], dtype="float64").dtype == np.float64
    assert mg.tensor([1.0], dtype=np.float64).dtype == np.float64
    assert mg.tensor(np.ones(2), dtype="float32", requires_grad=True).dtype == np.float32


@both
def test_a_list_of_tensors_numbers_and_arrays():
    t = mg.tensor([mg.tensor(1.0), 2.0, np.float32(3.0)])
    np.testing.assert_array_equal(t.numpy(), [1, 2, 3])
    np.testing.assert_array_equal(mg.tensor([[mg.tensor(1.0), 2.0], [3.0, mg.tensor(4.0)]]).numpy(), [[1, 2], [3, 4]])


def test_a_list_of_tensors_that_require_grad_is_refused():
    x = mg.tensor(2.0, requires_grad=True)
    for make in (mg.tensor, mg.exp):                              # both would cut the graph without a word
        for values in ([x, x], [[1.0, x]]):
            with pytest.raises(TypeError, match="the list holds a Tensor that requires grad; join .* with mg.stack"):
                make(values)


@pytest.mark.parametrize("values", [[[1.0], [2.0, 3.0]], [1.0, [2.0]], [np.ones(2), np.ones(3)]])
def test_ragged_lists_are_refused(values):
    with pytest.raises(TypeError, match="tensor: the nested lists are ragged"):
        mg.tensor(values)


@pytest.mark.parametrize("values", ["abc", ["a"], [None], None, {"a": 1}, 1j, [1j], np.array(["x"]), np.array([1j])])
def test_what_is_not_numeric_is_refused(values):
    with pytest.raises(TypeError, match="tensor: wants real numbers or booleans, got"):
        mg.tensor(values)


@both
@pytest.mark.parametrize("values", [1, [1, 2], [True], np.arange(3)])
def test_only_floating_tensors_can_require_grad(values):
    with pytest.raises(TypeError, match="only floating dtypes can require grad, got (int64|bool); pass dtype="):
        mg.tensor(values, requires_grad=True)


@both
def test_results_of_integer_dtype_never_require_grad():
    x = mg.tensor([1.5, -2.0], requires_grad=True)
    for y in (x.astype("int64"), x > 0, x.argmax(), mg.sign(x).astype("int32"), x == x):
        assert not y.requires_grad and y.node is None


@given(hnp.arrays(st.sampled_from(["float32", "float64", "int32", "bool"]), hnp.array_shapes(min_dims=0, min_side=0)))
def test_there_and_back(backend, values):
    t = mg.tensor(values)
    assert t.dtype == values.dtype
    np.testing.assert_array_equal(t.numpy(), values)
    assert t.tolist() == values.tolist()


# ---- operators -------------------------------------------------------------------------------------------------------
BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.floordiv, operator.mod,
          operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
UNARY = [operator.neg, operator.pos, abs]


@both
@pytest.mark.parametrize("op", BINARY)
def test_binary_operators_with_every_kind_of_partner(op):
    a, b = np.array([[1.5, 2.0, 3.5]]), np.array([[2.0], [0.5]])
    x, y = mg.tensor(a), mg.tensor(b)
    row = [1.0, 2.0, 3.0]
    for ours, theirs in [(op(x, y), op(a, b)), (op(x, 2.0), op(a, 2.0)), (op(2.0, x), op(2.0, a)), (op(x, 2), op(a, 2)),
                         (op(2, x), op(2, a)), (op(x, True), op(a, True)), (op(x, row), op(a, row)),
                         (op(row, x), op(row, a)), (op(x, np.float64(2)), op(a, 2.0))]:
        assert type(ours) is Tensor
        np.testing.assert_allclose(ours.numpy(), theirs)


@pytest.mark.parametrize("op", BINARY)
def test_a_numpy_array_on_either_side_gives_a_tensor(op):
    a, b = np.array([1.5, 2.0, 3.5]), np.array([2.0, 0.5, 3.5])
    for ours in (op(mg.tensor(a), b), op(a, mg.tensor(b))):
        assert type(ours) is Tensor
        np.testing.assert_allclose(ours.numpy(), op(a, b))


@both
@pytest.mark.parametrize("op", UNARY)
def test_unary_operators(op):
    a = np.array([-1.5, 0.0, 2.0])
    np.testing.assert_array_equal(op(mg.tensor(a)).numpy(), op(a))


@both
def test_matmul_and_logical_operators():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose((mg.tensor(a) @ mg.tensor(b)).numpy(), a @ b)
    p, q = mg.tensor([True, True, False]), mg.tensor([True, False, False])
    assert ((p & q).tolist(), (p | q).tolist(), (p ^ q).tolist(), (~p).tolist()) == (
        [True, False, False], [True, True, False], [False, True, False], [False, False, True])


@both
@pytest.mark.parametrize("scalar", [2.0, 2, True, np.float64(2), np.float32(2), np.int64(2), np.bool_(True)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_scalars_do_not_change_the_dtype(scalar, dtype):
    t = mg.tensor([1.0, 2.0], dtype=dtype)
    for result in (t * scalar, scalar * t, t + scalar, scalar - t, t / scalar, scalar / t, mg.maximum(t, scalar)):
        assert type(result) is Tensor and result.dtype == np.dtype(dtype)


def test_numpy_functions_of_a_tensor_are_our_ops():
    x = mg.tensor([0.5, 1.0], requires_grad=True)
    y = np.exp(x)
    assert type(y) is Tensor and y.requires_grad
    np.testing.assert_allclose(mg.grad(y.sum(), x).numpy(), np.exp([0.5, 1.0]), rtol=1e-6)


@pytest.mark.parametrize("call", [
    np.add.reduce, np.frexp, lambda x: np.exp(x, out=np.zeros(2)), lambda x: np.add.outer(x, x)])
def test_numpy_functions_that_are_none_of_our_ops_say_so(call):
    with pytest.raises(TypeError, match="np.* has no derivative here; use a minigen op, or pass t.numpy()"):
        call(mg.tensor([1.0, 2.0]))


def test_a_numpy_array_is_not_changed_into_a_sum_with_a_tensor():
    a, x = np.ones(2), mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError):
        a += x                                                       # would drop the gradient
    np.testing.assert_array_equal(a, 1.0)


# ---- indexing, iterating, asking -------------------------------------------------------------------------------------
@both
@pytest.mark.parametrize("index", [0, -1, slice(None, None, 2), (slice(None), 1), (..., 0), None, (1, 2), [0, 2, 0],
                                   (slice(None), [0, 1]), ([0, 1], [1, 1])])
def test_indexing_is_numpys(index):
    a = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(mg.tensor(a)[index].numpy(), a[index])


@both
def test_indexing_with_tensors():
    a = np.arange(12.0).reshape(3, 4)
    t = mg.tensor(a)
    np.testing.assert_array_equal(t[mg.tensor([2, 0])].numpy(), a[[2, 0]])
    np.testing.assert_array_equal(t[t > 5].numpy(), a[a > 5])


@both
def test_iteration_and_len():
    t = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    rows = list(t)
    assert len(t) == 2 and [r.tolist() for r in rows] == [[1, 2], [3, 4]]
    first, second = t
    (first * second).sum().backward()
    np.testing.assert_array_equal(t.grad.numpy(), [[3, 4], [1, 2]])


@both
def test_a_0d_tensor_has_no_length_and_no_items():
    t = mg.tensor(1.0)
    with pytest.raises(TypeError, match="len: a 0-d tensor has no length"):
        len(t)
    with pytest.raises(TypeError, match="0-d"):
        list(t)
    assert list(mg.tensor(np.zeros((0, 2)))) == []


@both
def test_contains():
    t = mg.tensor([1.0, 2.0], requires_grad=True)
    assert 2.0 in t and 3.0 not in t


@both
def test_bool_float_int_index_format():
    t = mg.tensor([[2.5]])
    assert (bool(t), float(t), int(t), t.item()) == (True, 2.5, 2, 2.5)
    assert bool(mg.tensor(0.0)) is False and bool(mg.tensor(False)) is False
    assert f"{t:.3f} {mg.tensor(7):03d} {t:>6}" == "2.500 007    2.5"
    assert [10, 20, 30][mg.tensor(1)] == 20 and list(range(mg.tensor(3))) == [0, 1, 2]
    assert isinstance(t.item(), float) and isinstance(mg.tensor(3).item(), int)


@both
@pytest.mark.parametrize("ask, message", [
    (bool, "bool: the truth of a tensor with shape \\(2,\\) is ambiguous; use .any\\(\\) or .all\\(\\)"),
    (float, "item: wants a tensor with one element, got shape \\(2,\\)"), (int, "item: wants a tensor with one"),
    (lambda t: t.item(), "item: wants a tensor with one element")])
def test_many_elements_are_no_number(ask, message):
    with pytest.raises(ValueError, match=message):
        ask(mg.tensor([1.0, 2.0]))


@both
def test_a_float_is_no_index():
    with pytest.raises(TypeError):
        [1, 2, 3][mg.tensor(1.0)]


@both
def test_tensors_are_hashable_by_identity():
    a, b = mg.tensor([1.0]), mg.tensor([1.0])
    assert {a: 1, b: 2}[a] == 1 and a in {a} and len({a, b}) == 2


# ---- repr ------------------------------------------------------------------------------------------------------------
def test_repr_says_shape_dtype_device_and_op():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "tensor([1., 2.], shape=(2,), dtype=float32, device=cpu, requires_grad=True)"
    assert repr(mg.exp(x * 0)) == "tensor([1., 1.], shape=(2,), dtype=float32, device=cpu, op=exp)"
    x.name = "weight"
    assert repr(x).endswith("requires_grad=True, name='weight')")
    assert repr(mg.tensor(3)) == "tensor(3, shape=(), dtype=int64, device=cpu)"
    with mg.use("strict"):
        assert "device=strict:0" in repr(mg.tensor(1.0))


def test_repr_of_a_large_tensor_is_short():
    assert len(repr(mg.zeros((500, 500)))) < 600
    assert "shape=(500, 500)" in repr(mg.zeros((500, 500)))
    assert f"{mg.tensor([1.0, 2.0])}" == repr(mg.tensor([1.0, 2.0]))


# ---- leaving minigen -------------------------------------------------------------------------------------------------
def test_asarray_of_a_cpu_tensor():
    t = mg.tensor([1.0, 2.0])
    a = np.asarray(t)
    assert type(a) is np.ndarray and a.dtype == np.float32 and not a.flags.writeable
    assert np.shares_memory(a, t.data)
    assert np.asarray(t, dtype="float64").dtype == np.float64
    assert not np.shares_memory(np.array(t), t.data)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(t, dtype="float64", copy=False)
    np.testing.assert_array_equal(np.stack([t, t]), [[1, 2], [1, 2]])


def test_asarray_says_why_not():
    with pytest.raises(TypeError, match=r"tensor \(2,\) cannot become an ndarray: it requires grad.*t.detach\(\)"):
        np.asarray(mg.tensor([1.0, 2.0], requires_grad=True))
    with mg.use("strict"):
        t = mg.tensor([1.0])
    with pytest.raises(TypeError, match="it lives on strict, and no array leaves a device implicitly; write t.numpy"):
        np.asarray(t)


@both
def test_numpy_is_a_copy_outside_the_graph():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    a = x.numpy()
    a[0] = 99
    assert x.tolist() == [1, 2]
    assert type((x * x).numpy()) is np.ndarray


@both
def test_deepcopy_of_a_leaf():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    x.name = "w"
    (x * x).sum().backward()
    twin = copy.deepcopy(x)
    assert twin.requires_grad and twin.name == "w" and twin.is_leaf and twin.grad is None
    with mg.no_grad():
        twin[0] = 5.0
    assert x.tolist() == [1, 2]
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]                                       # shared parameters stay shared


@both
def test_deepcopy_of_a_result_is_refused():
    x = mg.tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"deepcopy: this tensor was produced by exp; copy t.detach\(\) instead"):
        copy.deepcopy(mg.exp(x))
    assert copy.deepcopy(mg.exp(x).detach()).is_leaf


def test_a_leaf_can_be_pickled():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    back = pickle.loads(pickle.dumps(x))
    assert back.requires_grad and back.tolist() == [1, 2]


@both
def test_copy_and_detach():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    assert y.detach().is_leaf and not y.detach().requires_grad and y.detach().tolist() == [2, 4]
    own = y.copy()
    own[0] = 0.0
    assert y.tolist() == [2, 4] and own.is_leaf and not y.is_leaf


# ---- memory that changes ---------------------------------------------------------------------------------------------
CHANGED = r"backward: {op} \(.*\) saved its (input|output).*changed in place"


def test_the_source_array_may_change_afterwards():
    source = np.array([1.0, 2.0])
    x = mg.tensor(source, requires_grad=True)
    y = (x * x).sum()
    source[:] = 100.0
    y.backward()
    assert x.tolist() == [1, 2] and x.grad.tolist() == [2, 4]


@pytest.mark.parametrize("use_it", [
    lambda a, x: a * x, lambda a, x: x * a, lambda a, x: mg.multiply(x, a), lambda a, x: mg.where(a > 0, x * a, x),
    lambda a, x: mg.reshape(a, (2, 1))[:, 0] * x])
def test_a_raw_array_given_to_an_op_may_change_afterwards(use_it):
    a, x = np.array([3.0, 4.0]), mg.tensor([1.0, 2.0], requires_grad=True, dtype="float64")
    y = use_it(a, x).sum()
    a[:] = 100.0
    assert mg.grad(y, x).tolist() == [3, 4]


@pytest.mark.parametrize("view", [
    mg.transpose, mg.ravel, mg.squeeze, mg.flip, mg.positive, lambda a: mg.reshape(a, (3, 2)),
    lambda a: mg.swapaxes(a, 0, 1), lambda a: mg.broadcast_to(a, (2, 2, 3)), lambda a: mg.astype(a, "float64"),
    lambda a: mg.expand_dims(a, 0)])
def test_a_view_of_a_raw_array_saves_a_copy(view):
    a = np.arange(1.0, 7.0).reshape(2, 3)
    w = view(a)
    x = mg.tensor(np.ones(w.shape), requires_grad=True)
    expected = view(a.copy()).numpy()
    y = (w * x).sum()
    a[:] = 100.0
    np.testing.assert_array_equal(mg.grad(y, x).numpy(), expected)


@both
def test_data_is_read_only_or_a_copy(backend):
    t = mg.tensor([1.0, 2.0])
    if backend == "numpy":
        with pytest.raises(ValueError, match="read-only"):
            t.data[0] = 5.0
    else:
        t.data[0] = 5.0
    assert t.tolist() == [1, 2]


@both
def test_setitem_changes_in_place():
    t = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    t[0] = 9.0
    t[1, mg.tensor([0])] = [7.0]
    t[t > 8] = mg.tensor(0.0)
    assert t.tolist() == [[0, 0], [7, 4]]


@both
def test_setitem_of_what_requires_grad_is_refused_while_recording():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    for t in (x, y):
        with pytest.raises((RuntimeError, ValueError, TypeError), match="in place|no_grad"):
            t[0] = 5.0
    z = mg.tensor([1.0, 2.0])
    with pytest.raises((RuntimeError, ValueError, TypeError), match="requires grad|gradient"):
        z[0] = x[0]                                              # would cut the graph without a word
    assert x.tolist() == [1, 2] and z.tolist() == [1, 2]
    with mg.no_grad():
        x[0] = 5.0
    assert x.tolist() == [5, 2] and x.requires_grad


SAVERS = {"multiply": lambda x, w: x * w, "power": lambda x, w: w ** x, "divide": lambda x, w: w / x,
          "log": lambda x, w: mg.log(x) * 1.0 + w * 0, "matmul": lambda x, w: x @ w}


@both
@pytest.mark.parametrize("op", SAVERS)
def test_a_saved_input_changed_in_place_raises_and_names_both(op):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    x.name = "theta"
    w = mg.tensor([3.0, 4.0], requires_grad=True)
    y = SAVERS[op](x, w).sum()
    with mg.no_grad():
        x[0] = 7.0
    with pytest.raises(RuntimeError, match=CHANGED.format(op=op)) as error:
        y.backward()
    assert "'theta'" in str(error.value) or "theta" in str(error.value)
    assert x.grad is None


@both
def test_a_constant_changed_in_place_raises():
    x, mask = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([1.0, 0.0])
    y = (x * mask).sum()
    mask[:] = 5.0
    with pytest.raises(RuntimeError, match=CHANGED.format(op="multiply")):
        y.backward()


@both
def test_a_saved_output_changed_in_place_raises():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = mg.exp(x)
    total = y.sum()
    with mg.no_grad():
        y.detach()[0] = 0.0                                        # the same memory
    with pytest.raises(RuntimeError, match=CHANGED.format(op="exp")):
        total.backward()


@both
def test_a_change_of_what_nobody_saved_is_fine():
    x, b = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([1.0, 1.0])
    y = (x + b).sum()
    b[:] = 7.0
    y.backward()
    assert x.grad.tolist() == [1, 1]


VIEWS = {
    "index": lambda x: x[0], "slice": lambda x: x[:, 1:], "view of a view": lambda x: x[0][1:],
    "iteration": lambda x: next(iter(x)), "reshape": lambda x: x.reshape(4), "ravel": mg.ravel, "flatten": mg.flatten,
    "transpose": lambda x: x.T, "reshape of a transpose": lambda x: x.T.reshape(4), "flip": lambda x: mg.flip(x, 0),
    "swapaxes": lambda x: x.swapaxes(0, 1), "moveaxis": lambda x: mg.moveaxis(x, 0, 1), "diagonal": mg.diagonal,
    "expand_dims": lambda x: mg.expand_dims(x, 0),
    "squeeze": lambda x: mg.squeeze(x[None]), "broadcast_to": lambda x: mg.broadcast_to(x, (3, 2, 2)),
    "split": lambda x: mg.split(x, 2)[0], "detach": lambda x: x.detach(), "astype": lambda x: x.astype(x.dtype),
    "to": lambda x: x.to(x.backend.name), "positive": lambda x: +x,
}


def changed_means_noticed(saved, loss, w, before):
    """Where the saved memory was changed, backward raises; elsewhere it may raise, but never give another gradient."""
    if saved.numpy().max() == 100.0:
        with pytest.raises(RuntimeError, match=CHANGED.format(op="multiply")):
            loss.backward()
        return
    try:
        assert mg.grad(loss, w).item() == before
    except RuntimeError as error:
        assert "changed in place" in str(error)


@both
@pytest.mark.parametrize("kind", VIEWS)
def test_views_share_the_count_of_changes(kind):
    x, w = mg.tensor([[1.0, 2.0], [3.0, 4.0]]), mg.tensor(1.0, requires_grad=True)
    y = VIEWS[kind](x)
    before = y.sum().item()
    loss = (y * w).sum()
    x[:] = 100.0
    changed_means_noticed(y, loss, w, before)


@both
@pytest.mark.parametrize("kind", VIEWS)
def test_a_change_through_a_view_is_counted(kind):
    x, w = mg.tensor([[1.0, 2.0], [3.0, 4.0]]), mg.tensor(1.0, requires_grad=True)
    before = x.sum().item()
    loss = (x * w).sum()
    y = VIEWS[kind](x)
    try:
        y[...] = 100.0
    except (ValueError, TypeError, RuntimeError):                         # a read-only view says so
        assert kind in ("broadcast_to", "diagonal")
    changed_means_noticed(x, loss, w, before)


@both
def test_a_change_like_an_optimisers_is_noticed():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    with mg.no_grad():
        w[...] = w - 0.1 * w.grad
    with pytest.raises(RuntimeError, match=CHANGED.format(op="multiply")):
        loss.backward()                                                  # the stale graph


def test_memory_shared_through_dlpack_is_saved_as_a_copy():
    source, x = np.array([3.0, 4.0]), mg.tensor([1.0, 2.0], requires_grad=True, dtype="float64")
    y = (mg.from_dlpack(source) * x).sum()
    source[:] = 100.0                                                    # by its owner, behind our back
    assert mg.grad(y, x).tolist() == [3, 4]


@pytest.mark.parametrize("view", [lambda t: t[:1], lambda t: t.reshape(2, 1), lambda t: t.detach()])
def test_a_view_of_memory_shared_through_dlpack_is_saved_as_a_copy(view):
    source = np.array([3.0, 4.0])
    w = view(mg.from_dlpack(source))
    x = mg.tensor(np.ones(w.shape), requires_grad=True)
    y, expected = (w * x).sum(), w.numpy()
    source[:] = 100.0
    np.testing.assert_array_equal(mg.grad(y, x).numpy(), expected)


def test_exporting_memory_through_dlpack_voids_what_was_recorded():
    x, w = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([3.0, 4.0])
    y = (x * w).sum()
    out = np.from_dlpack(w)
    with pytest.raises(RuntimeError, match=CHANGED.format(op="multiply")):
        y.backward()
    assert mg.grad((x * w).sum(), x).tolist() == [3, 4] and out.tolist() == [3, 4]


def test_to_array_moves_and_keeps():
    a = np.ones(2)
    assert to_array(a) is a or np.shares_memory(to_array(a), a)
    assert not np.shares_memory(to_array(a, copy=True), a)
    with mg.use("strict") as xp:
        assert type(to_array(a)) is xp.array_type and type(to_array(mg.tensor(1.0))) is xp.array_type
