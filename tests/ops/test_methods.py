"""The operators and methods of Tensor, NumPy arrays and scalars beside it, and NumPy's functions of it."""
import operator

import numpy as np
import pytest

import minigen as mg
from minigen.tensor import Tensor

both = pytest.mark.usefixtures("backend")


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
