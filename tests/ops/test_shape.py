"""Shape ops against NumPy: values, two orders of derivative, shared memory, and what is refused."""
import hypothesis.strategies as st
import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given

import minigen as mg

pytestmark = pytest.mark.usefixtures("backend")


def numbered(*shape):
    """Distinct values, so that an element in the wrong place shows."""
    return np.arange(1.0, 1 + np.prod(shape)).reshape(shape)


def assert_as_numpy(name, x, *settings, nonlinear=True):
    """Value, dtype and two derivatives of mg.<name> against np.<name>, in float64, float32 and int64."""
    ours, numpys = getattr(mg, name), getattr(np, name)
    for dtype in ("float64", "float32", "int64"):
        y = ours(mg.tensor(x.astype(dtype)), *settings)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y.numpy(), numpys(x.astype(dtype), *settings))
    assert_gradients(lambda t: ours(t, *settings) ** 2 if nonlinear else ours(t, *settings), x / max(x.size, 1))


def shapes_of(ndims, lengths):
    """Shapes whose number of axes and lengths are drawn evenly."""
    return st.sampled_from(ndims).flatmap(lambda ndim: st.tuples(*[st.sampled_from(lengths)] * ndim))


shapes = shapes_of([2, 3, 1, 4, 0], [2, 3, 1, 3, 2, 0])
solid = shapes_of([2, 3, 1], [2, 3, 1])


def axis_of(ndim):
    """One axis, counted from either end."""
    return st.integers(-ndim, ndim - 1)


def axes_of(ndim):
    """Some different axes in any order, counted from either end."""
    some = st.permutations(range(ndim)).flatmap(lambda order: st.integers(1, ndim).map(lambda n: order[:n]))
    return some.flatmap(lambda axes: st.tuples(*[st.sampled_from([a, a - ndim]) for a in axes]))


# ---- the same elements in the same order -----------------------------------------------------------------------------
@given(shapes, st.data())
def test_reshape(backend, shape, data):
    x = numbered(*shape)
    target = tuple(data.draw(st.permutations([1, *shape])))
    if x.size and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(target) - 1))
        target = target[:at] + (-1,) + target[at + 1:]
    assert_as_numpy("reshape", x, target)


def test_reshape_and_ravel():
    x = mg.tensor(numbered(2, 3))
    assert mg.reshape(x, -1).shape == mg.ravel(x).shape == mg.flatten(x).shape == (6,)
    assert mg.reshape(2.0, (1, 1)).shape == (1, 1) and mg.ravel([[1, 2], [3, 4]]).tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(mg.reshape(x.T, 6).numpy(), numbered(2, 3).T.ravel())
    for shape in ((), (0, 2), (2, 3)):
        assert_as_numpy("ravel", numbered(*shape))


@given(shapes, st.data())
def test_expand_and_squeeze(backend, shape, data):
    count = data.draw(st.integers(1, 2))
    axes = data.draw(axes_of(len(shape) + count).filter(lambda axes: len(axes) == count))
    axis = axes[0] if count == 1 else axes
    assert_as_numpy("expand_dims", numbered(*shape), axis)
    wide = np.expand_dims(numbered(*shape), axis)
    assert_as_numpy("squeeze", wide, axis)
    assert_as_numpy("squeeze", wide)


# ---- the axes in another order ---------------------------------------------------------------------------------------
@given(shapes, st.data())
def test_transpose(backend, shape, data):
    order = data.draw(st.permutations(range(len(shape))))
    axes = tuple(a - len(shape) if data.draw(st.booleans()) else a for a in order)
    assert_as_numpy("transpose", numbered(*shape), axes)
    assert_as_numpy("transpose", numbered(*shape))


@given(solid, st.data())
def test_swapaxes_and_moveaxis(backend, shape, data):
    x, ndim = numbered(*shape), len(shape)
    assert_as_numpy("swapaxes", x, data.draw(axis_of(ndim)), data.draw(axis_of(ndim)))
    assert_as_numpy("moveaxis", x, data.draw(axis_of(ndim)), data.draw(axis_of(ndim)))
    source = data.draw(axes_of(ndim))
    destination = data.draw(axes_of(ndim).filter(lambda axes: len(axes) >= len(source)))[:len(source)]
    assert_as_numpy("moveaxis", x, source, destination)


# ---- the elements in another order -----------------------------------------------------------------------------------
@given(solid, st.data())
def test_flip_and_roll(backend, shape, data):
    x, ndim = numbered(*shape), len(shape)
    axis = data.draw(st.none() | axis_of(ndim) | axes_of(ndim))
    assert_as_numpy("flip", x, axis)
    shift = st.integers(-5, 5)
    assert_as_numpy("roll", x, data.draw(st.tuples(*[shift] * len(axis)) if isinstance(axis, tuple) else shift), axis)


def test_flip_and_roll_of_nothing_and_of_a_number():
    for shape in ((), (0,), (2, 0)):
        assert_as_numpy("flip", numbered(*shape))
        assert_as_numpy("roll", numbered(*shape), 1)


# ---- copies ----------------------------------------------------------------------------------------------------------
@given(solid, st.integers(0, 3), st.data())
def test_repeat(backend, shape, repeats, data):
    assert_as_numpy("repeat", numbered(*shape), repeats, data.draw(st.none() | axis_of(len(shape))))


@given(solid, st.integers(0, 3) | shapes_of([2, 1, 4, 0], [2, 1, 2, 3, 0]))
def test_tile(backend, shape, reps):
    assert_as_numpy("tile", numbered(*shape), reps)


def test_repeat_and_tile_of_a_number():
    assert_as_numpy("repeat", numbered(), 3)
    assert_as_numpy("tile", numbered(), (2, 3))


# ---- matrices --------------------------------------------------------------------------------------------------------
@given(shapes_of([2, 3, 4], [3, 2, 1, 3, 0]), st.sampled_from([0, 1, -1, 2, -2, 4]), st.data())
def test_triangles_and_diagonals(backend, shape, k, data):
    x, ndim = numbered(*shape), len(shape)
    assert_as_numpy("triu", x, k)
    assert_as_numpy("tril", x, k)
    axes = data.draw(axes_of(ndim).filter(lambda axes: len(axes) >= 2))[:2]
    assert_as_numpy("diagonal", x, k, *axes)


# ---- shared memory ---------------------------------------------------------------------------------------------------
VIEWS = {"reshape": lambda t: mg.reshape(t, (3, 2)), "ravel": mg.ravel, "expand_dims": lambda t: mg.expand_dims(t, 0),
         "squeeze": mg.squeeze, "transpose": mg.transpose, "swapaxes": lambda t: mg.swapaxes(t, 0, 1),
         "moveaxis": lambda t: mg.moveaxis(t, 0, 1), "flip": mg.flip, "diagonal": mg.diagonal,
         "broadcast_to": lambda t: mg.broadcast_to(t, (4, 2, 3)), "split": lambda t: mg.split(t, 2)[1]}


@pytest.mark.parametrize("name", VIEWS)
def test_a_change_of_the_original_is_noticed_through_its_view(name):
    x, w = mg.tensor(numbered(2, 3)), mg.tensor(2.0, requires_grad=True, dtype="float64")
    y = mg.sum(w * VIEWS[name](x))
    x[0, 0] = 7.0
    with pytest.raises(RuntimeError, match="changed in place"):
        mg.grad(y, w)


@pytest.mark.parametrize("name", [n for n in VIEWS if n not in ("broadcast_to", "diagonal")])      # read-only in NumPy
def test_a_change_of_a_view_is_noticed_in_the_original(name):
    x, w = mg.tensor(numbered(2, 3)), mg.tensor(2.0, requires_grad=True, dtype="float64")
    y = mg.sum(w * x)
    VIEWS[name](x)[...] = 7.0
    assert (x.numpy() == 7).any()
    with pytest.raises(RuntimeError, match="changed in place"):
        mg.grad(y, w)


@pytest.mark.parametrize("f", [lambda t: mg.roll(t, 1), lambda t: mg.repeat(t, 1), lambda t: mg.tile(t, 1), mg.triu])
def test_a_change_of_the_original_does_not_concern_a_copy(f):
    x, w = mg.tensor(numbered(2, 3)), mg.tensor(2.0, requires_grad=True, dtype="float64")
    copy = f(x)
    total, y = copy.numpy().sum(), mg.sum(w * copy)
    x[...] = 7.0
    assert mg.grad(y, w).item() == total


def test_a_change_of_the_array_behind_a_view_cannot_reach_a_gradient(backend):
    if backend != "numpy":
        pytest.skip("other backends copy what comes from outside")
    x, w = numbered(2, 3), mg.tensor(2.0, requires_grad=True, dtype="float64")
    y = mg.sum(w * mg.transpose(x)) + mg.sum(w * mg.squeeze(x))
    x[...] = 7.0
    assert mg.grad(y, w).item() == 2 * numbered(2, 3).sum()


# ---- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, error, message", [
    (lambda t: mg.reshape(t, (4, 2)), ValueError, r"^reshape: cannot .* size 6 into shape \(4, ?2\); got x \(2, 3\)"),
    (lambda t: mg.reshape(t, (-1, -1)), ValueError, r"^reshape: can only specify one unknown dimension"),
    (lambda t: mg.transpose(t, (0, 0)), ValueError, r"^transpose: repeated axis"),
    (lambda t: mg.transpose(t, (0, 1, 2)), ValueError, r"^transpose: axes don't match array; got x \(2, 3\).*axes="),
    (lambda t: mg.swapaxes(t, 0, 2), IndexError, r"^swapaxes: .*axis 2 is out of bounds for array of dimension 2"),
    (lambda t: mg.moveaxis(t, 0, 2), IndexError, r"^moveaxis: .*axis 2 is out of bounds for array of dimension 2"),
    (lambda t: mg.squeeze(t, 0), ValueError, r"^squeeze: .*not equal to one; got x \(2, 3\) float32"),
    (lambda t: mg.expand_dims(t, 4), IndexError, r"^expand_dims: axis 4 is out of bounds for array of dimension 3"),
    (lambda t: mg.flip(t, 2), IndexError, r"^flip: axis 2 is out of bounds for array of dimension 2"),
    (lambda t: mg.roll(t, 1, 2), IndexError, r"^roll: axis 2 is out of bounds for array of dimension 2"),
    (lambda t: mg.repeat(t, 2, 2), IndexError, r"^repeat: axis 2 is out of bounds for array of dimension 2"),
    (lambda t: mg.repeat(t, [1, 2], 0), TypeError, r"^repeat: repeats must be one int.*repeats=\[1, 2\]"),
    (lambda t: mg.repeat(t, -1), ValueError, r"^repeat: .*negative"),
    (lambda t: mg.diagonal(t, 0, 1, 1), ValueError, r"^diagonal: axis1 and axis2 cannot be the same"),
    (lambda t: mg.diagonal(t[0]), ValueError, r"^diagonal: .*two dimensions; got x \(3,\) float32"),
])
def test_bad_settings(call, error, message):
    with pytest.raises(error, match=message):
        call(mg.ones((2, 3)))
