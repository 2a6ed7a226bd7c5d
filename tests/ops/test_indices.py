"""What is accepted as an index, what is made of it, and what is refused."""
import numpy as np
import pytest
from helpers import leaf

import minigen as mg
from minigen.ops.indices import is_basic, lift, plain_index, whole_axes

pytestmark = pytest.mark.usefixtures("backend")


def numbered(*shape):
    """Distinct values, so that a wrong element shows."""
    return np.arange(1.0, 1 + np.prod(shape)).reshape(shape)


def test_a_mask_becomes_positions_and_lists_become_arrays(backend):
    xp = mg.backend.get(backend)
    mask = np.array([[True, False], [False, True]])
    index = plain_index(xp, (..., mask, [1, 2]), (5, 2, 2, 4))
    assert index[0] is ... and not is_basic(index)
    for entry, expected in zip(index[1:], ([0, 1], [0, 1], [1, 2])):
        assert type(entry) is xp.array_type and entry.dtype == np.int64
        np.testing.assert_array_equal(xp.to_numpy(entry), expected)
    assert is_basic(plain_index(xp, (0, slice(2), None, ...), (3, 3, 3)))


def test_the_axes_that_an_index_leaves_whole(backend):
    xp = mg.backend.get(backend)
    cases = {0: (3, 4), (None, 1, 1): (4,), (..., 0): (), (True, 0): (3, 4), (): (2, 3, 4)}
    for index, whole in cases.items():
        assert whole_axes(plain_index(xp, index, (2, 3, 4)), (2, 3, 4)) == whole


def test_lift_makes_tensors_beside_the_others(backend):
    with mg.use("numpy"):
        there = mg.tensor(1.0)
    a, b = lift([1.0, 2.0], there)
    assert b is there and a.backend is there.backend and a.shape == (2,)
    assert lift(3)[0].backend.name == backend


@pytest.mark.parametrize("index", [np.int64(1), True, range(2), ((0, 1),), [True, False, True]], ids=repr)
def test_indices_of_other_python_types(index):
    x = numbered(3, 2)
    np.testing.assert_array_equal(mg.tensor(x)[index].numpy(), x[index])


def test_tensors_as_ints_bounds_and_in_lists():
    x, one = numbered(3, 2), mg.tensor(1)
    t = mg.tensor(x)
    np.testing.assert_array_equal(t[one].numpy(), x[1])
    np.testing.assert_array_equal(t[one:].numpy(), x[1:])
    np.testing.assert_array_equal(t[[one, mg.tensor(0)]].numpy(), x[[1, 0]])
    np.testing.assert_array_equal(t[mg.tensor(x) > 3].numpy(), x[x > 3])


def test_an_index_array_that_changes_later_does_not_matter(backend):
    x, index, place = leaf(numbered(3)), np.array([0, 0]), mg.tensor([0, 0])
    y, z = x[index], x[place]
    index[:], place[:] = 2, 2
    np.testing.assert_array_equal(mg.grad((y * y).sum() + z.sum(), x).numpy(), [6.0, 0.0, 0.0])


@pytest.mark.parametrize("index, message", [
    (3, "getitem.*3 is out of bounds for axis 0 with size 3.*index=.3,."),
    ((0, -3), "-3 is out of bounds for axis 1 with size 2"),
    ([0, 7], "7 is out of bounds for axis 0 with size 3"),
    ((0, 0, 0), "too many indices"),
    ((..., ...), "single ellipsis"),
    (0.5, "wants integers.*got float 0.5"),
    ("a", "wants integers.*got str 'a'"),
    (np.ones(2), r"wants integers.*got float64 \(2,\)"),
    (np.ones(2, dtype=bool), r"mask of shape \(2,\) does not fit axes 0 to 0 of an array of shape \(3, 2\)"),
    ((0, np.ones((3, 2), dtype=bool)), "does not fit axes 1 to 2"),
], ids=str)
def test_bad_indices(backend, index, message):
    if backend == "cupy" and index == [0, 7]:
        pytest.skip("CuPy wraps integer arrays round")
    with pytest.raises(IndexError, match=message):
        mg.ones((3, 2))[index]
    with pytest.raises(IndexError):
        mg.ones((3, 2))[index] = 1.0
    with pytest.raises(IndexError):
        mg.scatter_add(1.0, index, (3, 2))


def test_devices_do_not_mix(backend):
    if backend == "numpy":
        pytest.skip("needs two devices")
    with mg.use("numpy"):
        host, places = mg.ones(2), mg.tensor([0])
    with pytest.raises(TypeError, match=f"the value .* lives on numpy, the tensor on {backend}"):
        mg.zeros(2)[:] = host
    with pytest.raises(TypeError, match=f"lives on numpy, the array on {backend}"):
        mg.zeros(2)[places]
    with pytest.raises(TypeError, match=f"lives on {backend}, the array on numpy"):
        host[mg.tensor([0])]
    np.testing.assert_array_equal(mg.tensor([3.0, 4.0])[np.array([1])].numpy(), [4.0])      # NumPy arrays are moved
