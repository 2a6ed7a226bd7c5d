"""Padding, cutting and joining against NumPy: values, two orders of derivative, and what is refused."""
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


def shapes_of(ndims, lengths):
    """Shapes whose number of axes and lengths are drawn evenly."""
    return st.sampled_from(ndims).flatmap(lambda ndim: st.tuples(*[st.sampled_from(lengths)] * ndim))


# ---- pad -------------------------------------------------------------------------------------------------------------
@given(shapes_of([2, 3, 1], [2, 3, 1]), st.data())
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_pad_is_numpys(backend, mode, shape, data):
    x = numbered(*shape)
    widths = [tuple(data.draw(st.integers(0, d - 1 if mode == "reflect" else 2)) for _ in range(2)) for d in shape]
    more = {"constant_values": -2} if mode == "constant" and data.draw(st.booleans()) else {}
    for dtype in ("float64", "float32", "int64"):
        ours = mg.pad(mg.tensor(x.astype(dtype)), widths, mode, **more)
        assert ours.dtype == dtype
        np.testing.assert_array_equal(ours.numpy(), np.pad(x.astype(dtype), widths, mode, **more))
    assert_gradients(lambda t: mg.pad(t, widths, mode, **more) ** 2, x / x.size)


@pytest.mark.parametrize("widths", [1, (2, 0), [(1, 0), (0, 2)], [[0, 2]], np.array([[1], [2]])])
def test_pad_widths_as_numpy_takes_them(widths):
    x = numbered(2, 3)
    np.testing.assert_array_equal(mg.pad(mg.tensor(x), widths).numpy(), np.pad(x, widths))


def test_pad_of_lists_and_of_nothing():
    assert mg.pad([1.0, 2.0, 3.0], 2, "reflect").tolist() == [3, 2, 1, 2, 3, 2, 1]
    assert mg.pad([1, 2], (1, 2), "edge").tolist() == [1, 1, 2, 2, 2]
    assert mg.pad(mg.zeros((0, 2)), ((1, 1), (0, 0)), constant_values=3).tolist() == [[3, 3], [3, 3]]
    assert mg.pad(3.0, 1, "edge").item() == 3                                 # no axis, no border
    assert_gradients(lambda t: mg.pad(t, 1), np.zeros((0, 2)))


def test_pad_and_crop_are_adjoint_in_every_mode():
    """⟨pad x, y⟩ = ⟨x, padᵀ y⟩, with padᵀ written out for a row of three."""
    y = mg.tensor(numbered(7))                                                # two on either side
    adjoints = {"constant": [3, 4, 5], "edge": [1 + 2 + 3, 4, 5 + 6 + 7], "reflect": [3 + 7, 2 + 4 + 6, 1 + 5]}
    for mode, expected in adjoints.items():
        x = mg.tensor(np.zeros(3), requires_grad=True)
        assert mg.grad(mg.pad(x, 2, mode), x, y).tolist() == expected


@pytest.mark.parametrize("call, error, message", [
    (lambda t: mg.pad(t, 1, "wrap"), ValueError, r"^pad: mode 'wrap' is none of 'constant', 'edge', 'reflect'"),
    (lambda t: mg.pad(t, -1), ValueError, r"^pad: pad_width=-1 is negative; to take elements away, slice x \(2, 3\)"),
    (lambda t: mg.pad(t, (1, 2, 3)), ValueError, r"^pad: pad_width=\(1, 2, 3\) does not fit x \(2, 3\); pass an int"),
    (lambda t: mg.pad(t, 1.5), ValueError, r"^pad: pad_width=1.5 does not fit"),
    (lambda t: mg.pad(t, 2, "reflect"), ValueError, r"^pad: axis 0 of x \(2, 3\) can reflect 1 elements at most"),
    (lambda t: mg.pad(t[:0], 1, "edge"), ValueError, r"^pad: axis 0 of x \(0, 3\) has no edge to copy"),
    (lambda t: mg.pad(t, 1, constant_values=(1, 2)), TypeError, r"^pad: constant_values must be one number"),
    (lambda t: mg.pad(t, 1, constant_values=t[0, 0]), TypeError, r"^pad: constant_values must be one number"),
])
def test_bad_pads(call, error, message):
    with pytest.raises(error, match=message):
        call(mg.ones((2, 3)))


# ---- split -----------------------------------------------------------------------------------------------------------
@given(st.integers(0, 6), st.lists(st.integers(-8, 8), max_size=3), st.booleans())
def test_split_at_indices_is_numpys(backend, length, cuts, turned):
    x = numbered(2, length) if turned else numbered(length, 2)
    ours, numpys = mg.split(mg.tensor(x), cuts, int(turned)), np.split(x, cuts, int(turned))
    assert [part.shape for part in ours] == [part.shape for part in numpys]
    for part, expected in zip(ours, numpys):
        np.testing.assert_array_equal(part.numpy(), expected)
    assert_gradients(lambda t: mg.concatenate(mg.split(t, cuts, int(turned)), int(turned)) ** 2, x / 12)


@pytest.mark.parametrize("sections, axis", [(1, 0), (2, 0), (4, 0), (3, 1), (3, -1)])
def test_split_into_sections(sections, axis):
    x = numbered(4, 3)
    ours = mg.split(mg.tensor(x), sections, axis)
    assert isinstance(ours, list) and len(ours) == sections
    for part, expected in zip(ours, np.split(x, sections, axis)):
        np.testing.assert_array_equal(part.numpy(), expected)

    def split_and_join(t):
        return mg.concatenate([part ** (i + 2) for i, part in enumerate(mg.split(t, sections, axis))], axis)

    assert_gradients(split_and_join, x / 12)


def test_split_takes_lists_and_empties():
    assert [p.tolist() for p in mg.split([1, 2, 3, 4], 2)] == [[1, 2], [3, 4]]
    assert [p.shape for p in mg.split(mg.zeros((0, 2)), 3)] == [(0, 2)] * 3


def test_bad_splits():
    with pytest.raises(ValueError, match=r"^split: axis 0 of x \(7, 2\) does not divide into 3 equal sections; pass"):
        mg.split(mg.ones((7, 2)), 3)
    with pytest.raises(ValueError, match=r"does not divide into 0 equal sections"):
        mg.split(mg.ones((7, 2)), 0)
    with pytest.raises(IndexError, match=r"^split: axis 2 is out of bounds for array of dimension 2"):
        mg.split(mg.ones((7, 2)), 1, axis=2)


# ---- concatenate and stack -------------------------------------------------------------------------------------------
@given(shapes_of([2, 3, 1], [2, 3, 1, 0]), st.data())
def test_concatenate_is_numpys(backend, shape, data):
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    xs = []
    for k, length in enumerate(lengths):
        whole = list(shape)
        whole[axis] = length
        xs.append(numbered(*whole) / 7 + k)
    np.testing.assert_array_equal(mg.concatenate([mg.tensor(x) for x in xs], axis).numpy(), np.concatenate(xs, axis))
    assert_gradients(lambda *ts: mg.concatenate(ts, axis) ** 2, *xs)


@given(shapes_of([2, 3, 1, 0], [2, 3, 1, 0]), st.integers(1, 3), st.data())
def test_stack_is_numpys(backend, shape, count, data):
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    xs = [numbered(*shape) / 7 + k for k in range(count)]
    np.testing.assert_array_equal(mg.stack([mg.tensor(x) for x in xs], axis).numpy(), np.stack(xs, axis))
    assert_gradients(lambda *ts: mg.stack(ts, axis) ** 2, *xs)


def test_one_tensor_joined_with_itself_gets_both_cotangents():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    assert mg.grad(mg.concatenate([x, x * 2, x]), x, [1.0, 2, 3, 4, 5, 6]).tolist() == [1 + 6 + 5, 2 + 8 + 6]
    assert mg.grad(mg.stack([x, x], axis=1), x, [[1.0, 2], [3, 4]]).tolist() == [3, 7]


def test_constants_and_dtypes_beside_tensors():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = mg.concatenate([[5.0], x, mg.tensor([7], dtype="int32")])
    assert y.tolist() == [5, 1, 2, 7] and mg.grad(mg.sum(y * y), x).tolist() == [2, 4]
    wide = mg.concatenate([x, mg.tensor([1.0], dtype="float64")])
    assert wide.dtype == np.float64 and mg.grad(mg.sum(wide), x).dtype == np.float32
    row = mg.stack([x[0], 0.0, x[1], 1])
    assert row.dtype == np.float32 and row.tolist() == [1, 0, 2, 1] and mg.grad(mg.sum(row * row), x).tolist() == [2, 4]
    assert mg.concat is mg.concatenate and mg.stack([1.0, 2.0]).dtype == np.float32
    assert mg.concatenate(mg.ones((2, 3))).shape == (6,) and mg.stack(mg.ones((2, 3)), 1).shape == (3, 2)


@pytest.mark.parametrize("call, error, message", [
    (lambda a, b: mg.concatenate([a, b]), ValueError,
     r"^concatenate: .*must match exactly.*got xs\[0\] \(2, 3\) float32.* and xs\[1\] \(2, 4\) float32"),
    (lambda a, b: mg.concatenate([a, b], 2), IndexError, r"^concatenate: axis 2 is out of bounds"),
    (lambda a, b: mg.concatenate([a, b], None), TypeError, r"^concatenate: wants an axis; .* ravel each"),
    (lambda a, b: mg.concatenate([]), ValueError, r"^concatenate: .*at least one"),
    (lambda a, b: mg.stack([a, b]), ValueError, r"^stack: all input arrays must have the same shape.*\(2, 4\)"),
    (lambda a, b: mg.stack([a, a], 3), IndexError, r"^stack: axis 3 is out of bounds for array of dimension 3"),
    (lambda a, b: mg.stack([]), ValueError, r"^stack: .*at least one"),
])
def test_bad_joins(call, error, message):
    with pytest.raises(error, match=message):
        call(mg.ones((2, 3)), mg.ones((2, 4)))
