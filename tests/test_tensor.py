"""Tensor: making one, looking at it, leaving minigen, and never letting memory change unseen."""
import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigen as mg
from minigen.tensor import to_array

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
    listed = np.array(t.tolist(), dtype=values.dtype).reshape(values.shape)
    np.testing.assert_array_equal(listed, values)                                       # NaN equals NaN here


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


def test_to_array_moves_and_keeps():
    a = np.ones(2)
    assert to_array(a) is a or np.shares_memory(to_array(a), a)
    assert not np.shares_memory(to_array(a, copy=True), a)
    with mg.use("strict") as xp:
        assert type(to_array(a)) is xp.array_type and type(to_array(mg.tensor(1.0))) is xp.array_type
