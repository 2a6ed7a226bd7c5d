"""Indexing against NumPy itself: values, gradients, in-place writes, and what is refused."""
import hypothesis.strategies as st
import numpy as np
import pytest
import strict
from helpers import assert_gradients, leaf
from hypothesis import assume, given, settings

import minigen as mg
from minigen.tensor import Tensor

pytestmark = pytest.mark.usefixtures("backend")
RNG = np.random.default_rng(3)


def numbered(*shape):
    """Distinct values, so that a wrong element shows."""
    return np.arange(1.0, 1 + np.prod(shape)).reshape(shape)


# ---- any index that NumPy takes --------------------------------------------------------------------------------------
@st.composite
def entries(draw, n, count):
    """One entry of an index along an axis of length n; its arrays hold ``count`` elements."""
    places, bound = st.integers(-n, n - 1), st.none() | st.integers(-n - 1, n + 1)
    kind = draw(st.sampled_from(["int", "slice", "slice", "array", "list", "mask"]))
    if kind == "int":
        return draw(places)
    if kind == "slice":
        return slice(draw(bound), draw(bound), draw(st.sampled_from([None, 2, -1, -2])))
    if kind == "mask":
        return np.isin(np.arange(n), draw(st.sets(st.integers(0, n - 1), min_size=min(n, count), max_size=count)))
    places = draw(st.lists(places, min_size=count, max_size=count))
    return np.array(places).reshape(draw(st.sampled_from([(count,), (count, 1)]))) if kind == "array" else places


@st.composite
def arrays_and_indices(draw):
    """A NumPy array and a random index of it: ints, slices, None, ..., integer arrays and masks, in any mixture."""
    shape = tuple(draw(st.lists(st.integers(1, 4), max_size=4)))
    count, used = draw(st.integers(1, 3)), draw(st.integers(0, len(shape)))
    dots = draw(st.none() | st.integers(0, used))                    # how many of the entries stand before an ellipsis
    lengths = shape[:used] if dots is None else shape[:dots] + shape[len(shape) - used + dots:]
    index = [draw(entries(n, count)) for n in lengths]
    if dots is not None:
        index.insert(dots, Ellipsis)
    for place in draw(st.lists(st.integers(0, len(index)), max_size=2)):
        index.insert(place, None)
    try:
        numbered(*shape)[tuple(index)]
    except IndexError:                                                 # the arrays do not broadcast with a mask
        assume(False)
    return numbered(*shape), tuple(index)


def on_device(index):
    """The same index with Tensors for arrays."""
    return tuple(mg.tensor(entry) if isinstance(entry, np.ndarray) else entry for entry in index)


@settings(max_examples=100)
@given(arrays_and_indices(), st.booleans())
def test_getitem_reads_what_numpy_reads(backend, case, tensors):
    x, index = case
    expected = x[index]
    y = mg.tensor(x)[on_device(index) if tensors else index]
    assert y.shape == np.shape(expected) and y.dtype == x.dtype
    np.testing.assert_array_equal(y.numpy(), expected)


@settings(max_examples=60)
@given(arrays_and_indices(), st.integers(0, 2**16))
def test_getitem_and_scatter_add_are_adjoint(backend, case, seed):
    """⟨c, x[index]⟩ = ⟨scatter_add(c), x⟩ (Eq. 1), and the gradients are each other."""
    x, index = case
    c = np.random.default_rng(seed).standard_normal(np.shape(x[index]))
    expected = np.zeros_like(x)
    np.add.at(expected, index, c)
    scattered = mg.scatter_add(mg.tensor(c), index, x.shape)
    np.testing.assert_allclose(scattered.numpy(), expected, atol=1e-12)
    t = leaf(x)
    np.testing.assert_allclose(mg.grad(t[index], t, mg.tensor(c)).numpy(), expected, atol=1e-12)
    values = leaf(c)
    gradient = mg.grad(mg.scatter_add(values, index, x.shape), values, mg.tensor(x))
    np.testing.assert_array_equal(gradient.numpy(), x[index])


# Indices that name no element of a (3, 4) array twice, and such that do.
ONCE = [2, -1, (1, 2), slice(1, None), (slice(None, None, -2), None, 1), (..., 0), (), None, [2, 0],
        (slice(None), [3, 1]), ([2, 0], slice(1, 3)), (np.array([True, False, True]), 1), numbered(3, 4) % 2 == 0,
        np.array(1), [], (np.zeros(0, dtype=np.int64),), np.zeros(3, dtype=bool)]
AGAIN = [[0, 2, 2], ([0, 2, 2], [1, 1, 1]), (slice(None), [1, 1]), ([[0, 1], [2, 0]],), (0, [1, 1], None)]


@pytest.mark.parametrize("index", ONCE + AGAIN, ids=repr)
def test_gradients_of_reading_and_adding(index):
    x = RNG.standard_normal((3, 4))
    value = RNG.standard_normal(x[index].shape)
    assert_gradients(lambda t: t[index] * t[index], x)
    assert_gradients(lambda v: mg.scatter_add(v * v, index, (3, 4)), value)
    assert_gradients(lambda t, v: mg.index_add(t, index, v) * t, x, value)


def test_gradients_of_adding_a_value_that_broadcasts():
    x, row, number = RNG.standard_normal((3, 4)), RNG.standard_normal(4), RNG.standard_normal(())
    for v in (row, number, row[None]):
        assert_gradients(lambda t, v: mg.index_add(t * t, [0, 0, 2], v * v), x, v)
        assert_gradients(lambda t, v: mg.index_set(t * t, [2, 0], v * v), x, v)
        assert_gradients(lambda v: mg.scatter_add(v * v, [0, 0, 2], (3, 4)), v)


def test_third_derivative_of_getitem():
    """d³/dx³ Σ x[i]³ counts 6 for every time that i names an element."""
    x = leaf([1.0, 2.0, 3.0])
    g = (x[[0, 0, 2]] ** 3).sum()
    for _ in range(3):
        g = mg.grad(g, x, create_graph=True).sum()
    assert g.item() == 18.0
    ddx = mg.grad(mg.grad((x[[0, 0, 2]] ** 3).sum(), x, create_graph=True).sum(), x, create_graph=True)
    np.testing.assert_array_equal(mg.grad(ddx.sum(), x).numpy(), [12.0, 0.0, 6.0])


def test_an_embedding_sums_the_gradients_of_each_word():
    table, words = RNG.standard_normal((7, 5)).astype(np.float32), RNG.integers(0, 7, (4, 6))
    t, c = mg.tensor(table, requires_grad=True), RNG.standard_normal((4, 6, 5)).astype(np.float32)
    gradient = mg.grad(t[words], t, mg.tensor(c)).numpy()
    expected = np.stack([c[words == word].sum(axis=0) for word in range(7)])
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_zero_dimensional_arrays():
    x = leaf(2.0)
    assert x[()].shape == x[...].shape == () and x[None].shape == (1,)
    np.testing.assert_array_equal(x[x > 0].numpy(), [2.0])
    assert x[x < 0].shape == (0,)
    assert_gradients(lambda t: t[True] * t, np.array(2.0))
    assert_gradients(lambda t: mg.index_set(t, (), 3.0 * t) * t, np.array(2.0))


def test_views_share_the_counter_of_changes_and_copies_do_not():
    t = mg.zeros((3, 3))
    for view in (t[1:], t[:, ::2], t[None]):
        assert view._version is t._version
    for copy in (t[[0, 1]], t[:, [0, 1]], t[mg.tensor(1)], t[:, mg.tensor([1])]):
        assert copy._version is not t._version
        with mg.no_grad():
            copy[...] = 1.0
    assert not t.numpy().any()


def test_nothing_waits_for_the_device(backend):
    if backend != "strict":
        pytest.skip("only the strict stand-in counts")
    t, places = leaf(numbered(4, 3)), mg.tensor([0, 2, 2])
    before = strict.transfers
    y = t[places].sum() + t[1:, 0].sum() + mg.index_set(t, 0, 1.0).sum() + mg.scatter_add(t, [0, 0, 1, 1], (2, 3)).sum()
    y.backward()
    assert strict.transfers == before


# ---- take and friends ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("indices", [1, [0, -1, 0], [[1, 0], [1, 1]], []], ids=str)
def test_take(indices, axis):
    x, places = RNG.standard_normal((3, 2, 4)), np.array(indices, dtype=np.int64)
    np.testing.assert_array_equal(mg.take(mg.tensor(x), indices, axis).numpy(), np.take(x, places, axis))
    assert_gradients(lambda t: mg.take(t * t, indices, axis), x)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_take_along_axis(axis):
    x = RNG.standard_normal((3, 4))
    order = np.argsort(x, axis=axis)
    ours = mg.take_along_axis(mg.tensor(x), mg.tensor(order), axis).numpy()
    np.testing.assert_array_equal(ours, np.sort(x, axis=axis))
    assert_gradients(lambda t: mg.take_along_axis(t * t, order, axis), x)
    few = order.take([0], axis=axis) * 0 - 1
    ours = mg.take_along_axis(mg.tensor(x), few, axis).numpy()
    np.testing.assert_array_equal(ours, np.take_along_axis(x, few, axis))
    ours = mg.take_along_axis(mg.tensor(x[:, :1]), np.zeros((1, 4), dtype=int), 0).numpy()       # both broadcast
    np.testing.assert_array_equal(ours, x[:1, :1].repeat(4, axis=1))


def test_take_along_the_flattened_axis():
    x = numbered(2, 3)
    np.testing.assert_array_equal(mg.take_along_axis(mg.tensor(x), [5, 0], axis=None).numpy(), [6.0, 1.0])


def test_nonzero_and_argwhere():
    x = np.array([[0.0, 2.0], [3.0, 0.0], [0.0, -1.0]])
    t = leaf(x)
    np.testing.assert_array_equal(mg.argwhere(t).numpy(), np.argwhere(x))
    positions = mg.nonzero(t)
    assert all(isinstance(p, Tensor) and not p.requires_grad for p in positions)
    np.testing.assert_array_equal([p.numpy() for p in positions], np.nonzero(x))
    np.testing.assert_array_equal(t[positions].numpy(), [2.0, 3.0, -1.0])


# ---- writing ---------------------------------------------------------------------------------------------------------
@settings(max_examples=60)
@given(arrays_and_indices(), st.integers(0, 2**16))
def test_index_set_and_setitem_write_what_numpy_writes(backend, case, seed):
    x, index = case
    value = np.random.default_rng(seed).standard_normal(np.shape(x[index]))
    positions = np.arange(x.size).reshape(x.shape)[index]
    t = mg.tensor(x)
    if np.unique(positions).size < positions.size:
        value = 7.0                                                   # which of several values stays is not defined
    expected = x.copy()
    expected[index] = value
    value = mg.tensor(value) if isinstance(value, np.ndarray) else value
    np.testing.assert_array_equal(mg.index_set(t, index, value).numpy(), expected)
    np.testing.assert_array_equal(t.numpy(), x)
    t[index] = value
    np.testing.assert_array_equal(t.numpy(), expected)


@pytest.mark.parametrize("index", ONCE, ids=repr)
def test_gradients_of_replacing(index):
    x = RNG.standard_normal((3, 4))
    assert_gradients(lambda t, v: mg.index_set(t * t, index, v * v), x, RNG.standard_normal(x[index].shape))


def test_functional_writes_keep_the_dtype_and_take_lists():
    x = mg.tensor([1.0, 2.0, 3.0])
    for y in (mg.index_set(x, [0, 1], [5, 6]), mg.index_add(x, [0, 0], 2), mg.index_set(x, 0, 2.5),
              mg.index_add(x, [1], mg.tensor(np.ones(1)))):
        assert y.dtype == np.float32
    np.testing.assert_array_equal(mg.index_add(x, [0, 0], 2).numpy(), [5.0, 2.0, 3.0])
    np.testing.assert_array_equal(mg.index_set(x, [0, 1], [5, 6]).numpy(), [5.0, 6.0, 3.0])
    np.testing.assert_array_equal(mg.scatter_add(1.0, [0, 2, 0], 4).numpy(), [2.0, 0.0, 1.0, 0.0])
    with pytest.raises(TypeError, match="float does not fit into int64"):
        mg.index_set(mg.tensor([1, 2]), 0, 0.5)
    with pytest.raises(TypeError, match="does not fit into int64"):
        mg.index_add(mg.tensor([1, 2]), 0, mg.tensor([0.5]))


@pytest.mark.parametrize("index", AGAIN, ids=repr)
def test_replacing_an_element_twice_is_refused_unless_by_a_number(index):
    x, t = numbered(3, 4), mg.tensor(numbered(3, 4))
    with pytest.raises(ValueError, match=r"names elements of x \(3, 4\) again .* is not defined which value stays"):
        mg.index_set(t, index, mg.zeros(x[index].shape))
    x[index] = 0.0
    np.testing.assert_array_equal(mg.index_set(t, index, 0.0).numpy(), x)


def test_functional_writes_to_an_array_in_any_memory_order():
    x = numbered(3, 4)
    for write, value in ((mg.index_add, 4.0), (mg.index_set, 3.0)):
        y = write(mg.tensor(x).T, ([1, 2], [0, 2]), value).numpy()
        np.testing.assert_array_equal(np.argwhere(y != x.T), [[1, 0], [2, 2]])


def test_setitem_counts_and_casts():
    t = mg.zeros((3,))
    for k, value in enumerate([2, np.float64(1.5), [4.0], mg.tensor(np.array(5.0)), True]):
        t[k % 3] = value[0] if isinstance(value, list) else value
        assert t._version[0] == k + 1 and t.dtype == np.float32
    np.testing.assert_array_equal(t.numpy(), [5.0, 1.0, 4.0])
    t[1:] = t[:-1]                                                    # overlapping memory
    np.testing.assert_array_equal(t.numpy(), [5.0, 5.0, 1.0])
    t.detach()[:] = 0
    assert not t.numpy().any()


def test_setitem_refuses_to_lose_a_gradient():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    for t in (x, x * 2):
        with pytest.raises(RuntimeError, match=r"setitem: this tensor \(2,\) requires grad.*index_set"):
            t[0] = 3.0
    with pytest.raises(RuntimeError, match=r"setitem: the value \(2,\) requires grad"):
        mg.zeros(2)[:] = x
    with mg.no_grad():
        x[0] = 3.0
        mg.zeros(2)[:] = x
    np.testing.assert_array_equal(x.numpy(), [3.0, 2.0])


def test_a_gradient_that_saved_the_old_values_refuses_the_new():
    a, x = mg.tensor([1.0, 2.0]), mg.tensor([1.0, 1.0], requires_grad=True)
    y = (a * x).sum()
    a[1:][0] = 5.0                                                    # through a view
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


# ---- what is refused -------------------------------------------------------------------------------------------------
def test_other_bad_calls():
    x = mg.ones((3, 2))
    with pytest.raises(ValueError, match="take: axis 2 is out of range for an array with 2 axes"):
        mg.take(x, 0, axis=2)
    with pytest.raises(ValueError, match=r"take_along_axis: wants .* the 2 axes of x \(3, 2\), got int64 \(1,\)"):
        mg.take_along_axis(x, [0], axis=0)
    with pytest.raises(ValueError, match=r"setitem: .*got a tensor \(3, 2\) float32 and a value \(3,\)"):
        x[:] = mg.ones(3)
    with pytest.raises(ValueError, match=r"index_add: values of shape \(3,\) do not broadcast to \(2, 2\), .* x \("):
        mg.index_add(x, [0, 1], mg.ones(3))
    with pytest.raises(ValueError, match=r"index_set: values of shape \(1, 2\) do not broadcast to \(2,\)"):
        mg.index_set(x, 0, mg.ones((1, 2)))


def test_gradients_agree_with_torch():
    torch = pytest.importorskip("torch")
    x, index, mask = RNG.standard_normal((4, 3, 2)), np.array([[0, 3], [3, 3]]), RNG.random((4, 3)) > 0.4
    theirs = torch.tensor(x, requires_grad=True)
    (theirs[torch.tensor(index), 1:].sin().sum() + theirs[torch.tensor(mask)].exp().sum()).backward()
    ours = leaf(x)
    (mg.sin(ours[index, 1:]).sum() + mg.exp(ours[mask]).sum()).backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12)
