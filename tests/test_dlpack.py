"""Memory shared with other libraries through DLPack: no copy, and no gradient from values that changed unseen."""
import numpy as np
import pytest

import minigen as mg

CHANGED = r"backward: {op} \(.*\) saved its (input|output).*changed in place"


def test_dlpack_from_numpy_shares_memory():
    source = np.arange(3.0)
    t = mg.from_dlpack(source)
    source[0] = 7.0
    np.testing.assert_array_equal(t.numpy(), [7, 1, 2])
    assert t.dtype == np.float64 and t.is_leaf and not t.requires_grad


def test_dlpack_to_numpy_shares_memory():
    t = mg.tensor([1.0, 2.0])
    out = np.from_dlpack(t)
    t[0] = 9.0
    np.testing.assert_array_equal(out, [9, 2])


def test_dlpack_and_torch_both_ways():
    torch = pytest.importorskip("torch")
    theirs = torch.arange(4, dtype=torch.float32)
    ours = mg.from_dlpack(theirs)
    theirs[0] = 5
    np.testing.assert_array_equal(ours.numpy(), [5, 1, 2, 3])
    back = torch.from_dlpack(mg.tensor([[1.0, 2.0]]))
    assert back.shape == (1, 2) and back.dtype == torch.float32


def test_dlpack_of_a_tensor_that_requires_grad_is_refused():
    t = mg.tensor([1.0], requires_grad=True)
    with pytest.raises(BufferError, match=r"dlpack: this tensor \(1,\) requires grad; export t.detach\(\)"):
        np.from_dlpack(t)
    assert np.from_dlpack(t.detach()).shape == (1,)


@pytest.mark.parametrize("source", [[1.0, 2.0], 3.0, "abc", None])
def test_from_dlpack_refuses_what_is_no_array(source):
    with pytest.raises(TypeError, match=f"from_dlpack: cannot take {type(source).__name__}"):
        mg.from_dlpack(source)


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


def test_memory_that_was_exported_is_saved_as_a_copy():
    torch = pytest.importorskip("torch")
    x, w = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([3.0, 4.0])
    theirs = torch.from_dlpack(w)
    y = (x * w).sum()
    theirs[:] = 100.0                                                    # by the other library, behind our back
    assert w.tolist() == [100, 100] and mg.grad(y, x).tolist() == [3, 4]
