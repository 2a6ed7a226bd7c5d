"""Making tensors, and giving them another dtype or another backend."""
import minigen as mg
import numpy as np
import pytest
from helpers import assert_gradients

pytestmark = pytest.mark.usefixtures("backend")


# ---- leaves ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ours, numpys", [
    (lambda: mg.zeros((2, 3)), np.zeros((2, 3), np.float32)),
    (lambda: mg.zeros(4, dtype="int64"), np.zeros(4, np.int64)),
    (lambda: mg.zeros(()), np.float32(0)),
    (lambda: mg.ones((2, 0)), np.ones((2, 0), np.float32)),
    (lambda: mg.ones(2, "float64"), np.ones(2)),
    (lambda: mg.full((2, 2), 1.5), np.full((2, 2), 1.5, np.float32)),
    (lambda: mg.full(3, 7), np.full(3, 7, np.int64)),
    (lambda: mg.full((2,), True), np.full(2, True)),
    (lambda: mg.full((2,), 7, dtype="float32"), np.full(2, 7, np.float32)),
    (lambda: mg.eye(3), np.eye(3, dtype=np.float32)),
    (lambda: mg.eye(2, 4, k=1, dtype="float64"), np.eye(2, 4, 1)),
    (lambda: mg.arange(5), np.arange(5)),
    (lambda: mg.arange(2, 9, 3), np.arange(2, 9, 3)),
    (lambda: mg.arange(5, 0, -2), np.arange(5, 0, -2)),
    (lambda: mg.arange(3.0), np.arange(3, dtype=np.float32)),
    (lambda: mg.arange(0, 1, 0.25), np.arange(0, 1, 0.25, np.float32)),
    (lambda: mg.arange(4, dtype="float64"), np.arange(4.0)),
    (lambda: mg.linspace(-1, 1, 5), np.linspace(-1, 1, 5, dtype=np.float32)),
    (lambda: mg.linspace(0, 1, 4, endpoint=False, dtype="float64"), np.linspace(0, 1, 4, endpoint=False)),
])
def test_leaves_are_what_numpy_makes(ours, numpys, backend):
    tensor = ours()
    assert tensor.backend.name == backend and tensor.is_leaf and not tensor.requires_grad
    assert tensor.dtype == numpys.dtype and tensor.shape == numpys.shape
    np.testing.assert_array_equal(tensor.numpy(), numpys)


@pytest.mark.parametrize("make", [
    lambda **k: mg.zeros(2, **k),
    lambda **k: mg.ones((2, 1), **k),
    lambda **k: mg.full(2, 0.5, **k),
    lambda **k: mg.eye(2, **k),
    lambda **k: mg.arange(3.0, **k),
    lambda **k: mg.linspace(0, 1, 3, **k),
    lambda **k: mg.zeros_like([1.0], **k),
    lambda **k: mg.ones_like([1.0], **k),
    lambda **k: mg.full_like([1.0], 3, **k)])
def test_requires_grad(make):
    leaf = make(requires_grad=True)
    assert leaf.requires_grad and leaf.is_leaf
    mg.sum(leaf * leaf).backward()
    np.testing.assert_allclose(leaf.grad.numpy(), 2 * leaf.numpy())
    with pytest.raises(TypeError, match="only floating dtypes can require grad, got int64; pass dtype='float32'"):
        make(requires_grad=True, dtype="int64")


@pytest.mark.parametrize("make, kind, message", [
    (lambda: mg.zeros((2, -1)), ValueError, r"zeros: negative dimensions are not allowed; got \(2, -1\), dtype="),
    (lambda: mg.ones(2, "float23"), TypeError, "ones: .*float23"),
    (lambda: mg.arange(0, 1, 0), ValueError, "arange: .*got 0, 1, 0"),
    (lambda: mg.linspace(0, 1, -3), ValueError, "linspace: .*-3"),
])
def test_what_cannot_be_made(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


# ---- like another ----------------------------------------------------------------------------------------------------
def test_like_another(backend):
    x = mg.tensor(np.ones((2, 3)), requires_grad=True)
    for tensor, value in [(mg.zeros_like(x), 0), (mg.ones_like(x), 1), (mg.full_like(x, 2.5), 2.5)]:
        assert tensor.shape == (2, 3) and tensor.dtype == np.float64 and not tensor.requires_grad
        assert tensor.backend.name == backend
        np.testing.assert_array_equal(tensor.numpy(), value)
    assert mg.zeros_like(x, dtype="float32").dtype == np.float32
    assert mg.ones_like(mg.tensor([True])).dtype == bool
    with mg.use("numpy"):
        assert mg.zeros_like(x).backend.name == backend          # follows x, not the choice


# ---- another dtype ---------------------------------------------------------------------------------------------------
def test_astype_is_differentiable():
    x = mg.tensor(np.array([1.5, -2.25], np.float32), requires_grad=True)
    y = mg.astype(x, "float64")
    assert y.dtype == np.float64 and y.requires_grad
    g = mg.grad(mg.sum(y * y), x, create_graph=True)
    assert g.dtype == np.float32
    np.testing.assert_array_equal(g.numpy(), [3, -4.5])
    h = mg.grad(mg.sum(g), x)
    assert h.dtype == np.float32
    np.testing.assert_array_equal(h.numpy(), [2, 2])
    assert_gradients(lambda t: mg.astype(t * t, np.float64), np.array([[1.0, 2.0]]))


@pytest.mark.parametrize("dtype", ["int64", "bool", np.uint8])
def test_astype_to_whole_numbers_leaves_the_graph(dtype):
    x = mg.tensor([1.0, 0.0], requires_grad=True)
    y = x.astype(dtype)
    assert y.dtype == dtype and not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), [1, 0])
    assert mg.astype(y, "float32").dtype == np.float32


@pytest.mark.parametrize("dtype", ["complex64", "S3", "float23", object])
def test_astype_wants_a_real_dtype(dtype):
    with pytest.raises(TypeError, match="astype: wants a floating, integer or boolean dtype, got"):
        mg.astype(mg.tensor([1.0]), dtype)


# ---- another backend -------------------------------------------------------------------------------------------------
def test_to_moves_values_and_cotangents(backend):
    other = "numpy" if backend != "numpy" else "strict"
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = mg.to(x, other)
    assert y.backend.name == other and x.backend.name == backend
    z = y * y * y
    assert z.backend.name == other
    g = mg.grad(z, x, mg.to(mg.ones(3), other), create_graph=True)
    assert g.backend.name == backend
    np.testing.assert_array_equal(g.numpy(), [3, 12, 27])
    np.testing.assert_array_equal(mg.grad(g, x, mg.ones(3)).numpy(), [6, 12, 18])
    mg.to(x, other).backward(mg.to(mg.ones(3), other))
    assert x.grad.backend.name == backend
    np.testing.assert_array_equal(x.grad.numpy(), 1)
    assert y.to(backend).backend.name == backend


def test_to_where_it_already_is(backend):
    x = mg.tensor([1.0])
    assert mg.to(x, backend) is x


def test_to_nowhere():
    with pytest.raises(mg.BackendError, match="no backend is called 'numpi'; did you mean 'numpy'?"):
        mg.to(mg.tensor([1.0]), "numpi")
    with pytest.raises(TypeError, match="to: wants a Tensor, got a list; make one with mg.tensor"):
        mg.to([1.0], "numpy")
