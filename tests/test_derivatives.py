"""vjp, jvp, jacobian, hessian and hvp against closed forms, and against PyTorch where it is installed."""
from functools import partial

import numpy as np
import pytest
from helpers import leaf
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg

pytestmark = pytest.mark.usefixtures("backend")
W = np.array([[1.0, -2.0, 0.5], [0.3, 1.5, -1.0]])


def constant(values):
    return mg.tensor(np.asarray(values, dtype="float64"))


def f(x):
    """ℝ³ → ℝ²: tanh(W x²), with J = diag(1 − tanh²) W diag(2x)."""
    return mg.tanh(constant(W) @ (x * x))


def f_jacobian(x):
    return (1 - np.tanh(W @ (x * x)) ** 2)[:, None] * W * 2 * x


def quartic(x):
    """Σ xᵢ⁴ + (Σ xᵢ)², with H = diag(12 x²) + 2."""
    return (x ** 4).sum() + x.sum() ** 2


X = np.array([0.4, -0.3, 0.9])
QUARTIC_H = np.diag(12 * X ** 2) + 2


# ---- vjp and jvp -----------------------------------------------------------------------------------------------------
def test_vjp_is_u_times_the_jacobian():
    out, pull = mg.vjp(f, constant(X))
    np.testing.assert_allclose(out.numpy(), np.tanh(W @ X ** 2))
    assert not out.requires_grad
    for u in ([1.0, 0.0], [0.3, -2.0]):                                     # any number of times
        np.testing.assert_allclose(pull(u).numpy(), u @ f_jacobian(X))


def test_vjp_of_several_inputs():
    out, pull = mg.vjp(lambda a, b: a * b, constant([2.0, 3.0]), constant([5.0, 7.0]))
    assert [g.tolist() for g in pull([1.0, 10.0])] == [[5, 70], [2, 30]]


def test_jvp_is_the_jacobian_times_v():
    v = np.array([1.0, -2.0, 0.5])
    out, along = mg.jvp(f, constant(X), constant(v))
    np.testing.assert_allclose(out.numpy(), np.tanh(W @ X ** 2))
    np.testing.assert_allclose(along.numpy(), f_jacobian(X) @ v)


def test_jvp_of_several_inputs():
    _, along = mg.jvp(lambda a, b: a * b + a, [constant(2.0), constant(5.0)], [constant(10.0), constant(1.0)])
    assert along.item() == 10 * 6 + 2


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 100))
def test_forward_and_reverse_agree(n, m, seed):
    """⟨u, J v⟩ = ⟨uᵀJ, v⟩."""
    rng = np.random.default_rng(seed)
    w, x, v, u = (rng.standard_normal(s) for s in ((m, n), n, n, m))

    def g(x):
        return mg.exp(mg.tanh(constant(w) @ x))

    _, along = mg.jvp(g, constant(x), constant(v))
    _, pull = mg.vjp(g, constant(x))
    np.testing.assert_allclose(u @ along.numpy(), pull(u).numpy() @ v, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("g, slope", [(lambda x: x * 3.0, 3.0), (lambda x: mg.tensor([5.0, 5.0], dtype="float64"), 0.0),
                                      (lambda x: x, 1.0), (lambda x: x.detach(), 0.0)])
def test_jvp_of_linear_and_constant_functions(g, slope):
    _, along = mg.jvp(g, constant([1.0, 2.0]), constant([10.0, 20.0]))
    np.testing.assert_allclose(along.numpy(), slope * np.array([10, 20]))


def test_jvp_wants_equal_shapes():
    with pytest.raises(ValueError, match=r"jvp: inputs have shapes \[\(3,\)\], tangents \[\(2,\)\]; they must"):
        mg.jvp(f, constant(X), constant([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"jvp: inputs have shapes \[\(\), \(\)\], tangents \[\(\)\]"):
        mg.jvp(lambda a, b: a * b, [constant(1.0), constant(2.0)], [constant(1.0)])


def test_arrays_and_lists_are_inputs_too():
    assert mg.vjp(lambda x: x * x, [1.0, 2.0])[1]([1.0, 1.0]).tolist() == [2, 4]
    assert mg.hessian(lambda x: (x ** 3).sum(), [1.0, 2.0]).tolist() == [[6, 0], [0, 12]]


def test_integers_have_no_derivative():
    with pytest.raises(TypeError, match=r"int64 tensor \(2,\): pass a floating dtype"):
        mg.vjp(lambda x: x * x, mg.tensor([1, 2]))


@pytest.mark.parametrize("name, args", [("vjp", [1.0]), ("jvp", [[1.0], [1.0]]), ("jacobian", [1.0]),
                                        ("hessian", [1.0]), ("hvp", [1.0, 1.0]), ("checkpoint", [1.0])])
def test_a_function_that_returns_no_tensor(name, args):
    with pytest.raises(TypeError, match=f"{name}: the function must return a Tensor, got tuple"):
        getattr(mg, name)(lambda x: (x, x), *args)


# ---- jacobian and hessian --------------------------------------------------------------------------------------------
def test_jacobian():
    j = mg.jacobian(f, constant(X))
    assert j.shape == (2, 3)
    np.testing.assert_allclose(j.numpy(), f_jacobian(X))


def test_jacobian_of_matrices_and_several_inputs():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 4))
    ja, jb = mg.jacobian(lambda a, b: a @ b, constant(a), constant(b))
    np.testing.assert_allclose(ja.numpy(), np.einsum("ik,lj->ijkl", np.eye(2), b))       # ∂(ab)[i,j]/∂a[k,l]
    np.testing.assert_allclose(jb.numpy(), np.einsum("jl,ik->ijkl", np.eye(4), a))       # ∂(ab)[i,j]/∂b[k,l]


def test_jacobian_of_scalars_and_empty_outputs():
    assert mg.jacobian(lambda x: x * x, constant(3.0)).item() == 6
    assert mg.jacobian(lambda x: x.sum(), constant([1.0, 2.0])).tolist() == [1, 1]
    assert mg.jacobian(lambda x: x[:0], constant([1.0, 2.0])).shape == (0, 2)


def test_jacobian_of_what_does_not_depend():
    assert not mg.jacobian(lambda x: constant([1.0, 2.0]), constant(X)).numpy().any()


def test_jacobian_can_be_differentiated():
    x = leaf(X)
    j = mg.jacobian(lambda x: x ** 3, x, create_graph=True)
    np.testing.assert_allclose(mg.grad(j.sum(), x).numpy(), 6 * X)


def test_hessian():
    h = mg.hessian(quartic, constant(X))
    np.testing.assert_allclose(h.numpy(), QUARTIC_H)
    assert mg.hessian(lambda a: (a @ a).sum(), constant(np.eye(2))).shape == (2, 2, 2, 2)


def test_hessian_of_linear_functions_is_zero():
    assert not mg.hessian(lambda x: x.sum(), constant(X)).numpy().any()
    assert mg.hessian(lambda x: x.sum(), constant(X)).shape == (3, 3)


def test_hvp():
    v = np.array([1.0, 0.5, -2.0])
    np.testing.assert_allclose(mg.hvp(quartic, constant(X), constant(v)).numpy(), QUARTIC_H @ v)
    assert not mg.hvp(lambda x: x.sum(), constant(X), constant(v)).numpy().any()


@pytest.mark.parametrize("name, args", [("hessian", [X]), ("hvp", [X, X])])
def test_second_derivatives_want_one_number(name, args):
    with pytest.raises(ValueError, match=rf"{name}: the function must return one number, got shape \(3,\)"):
        getattr(mg, name)(lambda x: x * x, *map(constant, args))


def test_nothing_is_left_behind():
    x = leaf(X)
    mg.vjp(f, x)[1]([1.0, 1.0])
    mg.jvp(f, x, constant(X))
    mg.jacobian(f, x)
    mg.hessian(quartic, x)
    mg.hvp(quartic, x, constant(X))
    assert x.grad is None and x.requires_grad
    y = constant(X)
    mg.jacobian(f, y)
    mg.hessian(quartic, y)
    assert not y.requires_grad


def test_derivatives_inside_no_grad():
    with mg.no_grad():
        np.testing.assert_allclose(mg.jacobian(f, constant(X)).numpy(), f_jacobian(X))
        np.testing.assert_allclose(mg.hessian(quartic, constant(X)).numpy(), QUARTIC_H)
        np.testing.assert_allclose(mg.hvp(quartic, constant(X), constant(X)).numpy(), QUARTIC_H @ X)
        np.testing.assert_allclose(mg.jvp(f, constant(X), constant(X))[1].numpy(), f_jacobian(X) @ X)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_against_pytorch():
    torch = pytest.importorskip("torch")
    func = pytest.importorskip("torch.func")
    w, x, v = torch.tensor(W), torch.tensor(X), torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)

    def theirs(x):
        return torch.tanh(w @ (x * x)).sum() * torch.exp(x).prod()

    def ours(x):
        return f(x).sum() * mg.exp(x.sum())

    np.testing.assert_allclose(mg.hessian(ours, constant(X)).numpy(), func.hessian(theirs)(x))
    np.testing.assert_allclose(mg.jvp(ours, constant(X), constant(v))[1].numpy(), func.jvp(theirs, (x,), (v,))[1])
    two = torch.tensor(2.0, dtype=torch.float64)
    np.testing.assert_allclose(mg.vjp(ours, constant(X))[1](2.0).numpy(), func.vjp(theirs, x)[1](two)[0])
    hv = func.jvp(func.grad(theirs), (x,), (v,))[1]
    np.testing.assert_allclose(mg.hvp(ours, constant(X), constant(v)).numpy(), hv)
    first = partial(mg.jacobian, ours, create_graph=True)
    second = partial(mg.jacobian, first, create_graph=True)
    np.testing.assert_allclose(mg.jacobian(second, constant(X)).numpy(), func.jacrev(func.hessian(theirs))(x))
