"""Linear algebra against NumPy and SciPy: values, derivatives through every rank, and what is refused."""
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.linalg
from helpers import assert_gradients, leaf
from hypothesis import given

import minigen as mg

pytestmark = pytest.mark.usefixtures("backend")
RNG = np.random.default_rng(5)


def regular(*shape):
    """Well-conditioned square matrices."""
    return 0.5 * RNG.standard_normal(shape) + 2 * np.eye(shape[-1])


def triangular(*shape, lower):
    x = regular(*shape)
    return np.tril(x) if lower else np.triu(x)


def positive(*shape):
    x = RNG.standard_normal(shape)
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])


# ---- products --------------------------------------------------------------------------------------------------------
@st.composite
def matmul_shapes(draw):
    """Two shapes that multiply: a vector, or matrices under stacks that broadcast."""
    m, k, n = (draw(st.integers(0, 3)) for _ in range(3))
    stack = draw(st.lists(st.integers(1, 3), max_size=2))

    def stacked(shape):
        front = [draw(st.sampled_from([1, length])) for length in stack[draw(st.integers(0, len(stack))):]]
        return (*front, *shape)

    a = (k,) if draw(st.integers(0, 3)) == 0 else stacked((m, k))
    b = (k,) if draw(st.integers(0, 3)) == 0 else stacked((k, n))
    return a, b


@given(matmul_shapes(), st.integers(0, 2**16))
def test_matmul_of_all_ranks(backend, shapes, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal(shape) for shape in shapes)
    y = mg.tensor(a) @ mg.tensor(b)
    assert y.shape == (a @ b).shape
    np.testing.assert_allclose(y.numpy(), a @ b, atol=1e-12)
    if a.size * b.size < 300:
        assert_gradients(mg.matmul, a, b)


RANKS = [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((3,), (2, 3, 2)), ((2, 2, 3), (3,)),
         ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)),
         ((2, 1, 2, 3), (3, 3, 1)), ((2, 2, 0), (0, 3)), ((0, 2), (2, 3)), ((2, 0, 3), (3, 2))]


@pytest.mark.parametrize("a, b", RANKS, ids=str)
def test_gradients_of_matmul(a, b):
    assert_gradients(lambda x, y: mg.matmul(x * x, y), RNG.standard_normal(a), RNG.standard_normal(b))


def test_third_derivative_of_matmul():
    """f = (xᵀ A x) vᵀx is cubic: its third derivative along x is 3! f."""
    a, v, x = mg.tensor(RNG.standard_normal((3, 3))), mg.tensor(RNG.standard_normal(3)), leaf(RNG.standard_normal(3))
    f = (x @ a @ x) * (v @ x)
    g = f
    for _ in range(3):
        g = mg.grad(g, x, create_graph=True) @ x.detach()
    assert g.item() == pytest.approx(6 * f.item(), rel=1e-10)


def test_matmul_keeps_the_dtype_and_takes_arrays_and_lists(backend):
    x = mg.tensor([[1.0, 2.0]])
    assert (x @ x.T).dtype == np.float32
    np.testing.assert_array_equal((x @ [[1.0], [1.0]]).numpy(), [[3.0]])
    np.testing.assert_array_equal(([3.0] @ x).numpy(), [3.0, 6.0])
    if backend == "numpy":
        np.testing.assert_array_equal((np.ones((1, 1)) @ x).numpy(), [[1.0, 2.0]])


def test_outer_and_trace():
    a, b, x = RNG.standard_normal(3), RNG.standard_normal((2, 2)), RNG.standard_normal((2, 3, 4))
    np.testing.assert_array_equal(mg.outer(mg.tensor(a), mg.tensor(b)).numpy(), np.outer(a, b))
    assert mg.outer([], [1.0, 2.0]).shape == (0, 2)
    assert_gradients(mg.outer, a, b)
    for settings in ({}, {"offset": 1}, {"offset": -1, "axis1": 2, "axis2": 0}, {"axis1": -2, "axis2": -1}):
        np.testing.assert_allclose(mg.trace(mg.tensor(x), **settings).numpy(), np.trace(x, **settings), rtol=1e-12)
        assert_gradients(lambda t: mg.trace(t * t, **settings), x)


# ---- inverses and systems --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2)], ids=str)
def test_inv(shape):
    x = regular(*shape)
    np.testing.assert_allclose(mg.inv(mg.tensor(x)).numpy(), np.linalg.inv(x), atol=1e-12)
    assert_gradients(mg.inv, x)


SYSTEMS = [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 2, 2), (2, 1)), ((2, 2), (3, 2, 1)),
           ((2, 1, 2, 2), (1, 3, 2, 1)), ((2, 2), (2, 0)), ((0, 0), (0, 2)), ((0, 2, 2), (2, 1))]


@pytest.mark.parametrize("a, b", SYSTEMS, ids=str)
def test_solve(a, b):
    a, b = regular(*a), RNG.standard_normal(b)
    x = mg.solve(mg.tensor(a), mg.tensor(b)).numpy()
    expected = np.linalg.solve(a, b)
    assert x.shape == expected.shape
    np.testing.assert_allclose(x, expected, atol=1e-12)
    assert_gradients(mg.solve, a, b)


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("trans", [False, True])
@pytest.mark.parametrize("a, b", SYSTEMS, ids=str)
def test_solve_triangular(a, b, lower, trans):
    a, b = regular(*a), RNG.standard_normal(b)               # full matrices: the other triangle must not matter
    part = np.tril(a) if lower else np.triu(a)
    x = mg.solve_triangular(mg.tensor(a), mg.tensor(b), lower, trans).numpy()
    expected = np.linalg.solve(np.swapaxes(part, -1, -2) if trans else part, b)
    assert x.shape == expected.shape
    np.testing.assert_allclose(x, expected, atol=1e-12)
    assert_gradients(lambda s, t: mg.solve_triangular(s, t, lower=lower, trans=trans), a, b)


def test_solvers_keep_the_dtype_and_take_lists():
    a = mg.tensor(np.eye(2, dtype=np.float32))
    solved = (mg.solve(a, [1.0, 2.0]), mg.solve_triangular(a, [1.0, 2.0]))
    for y in (*solved, mg.inv(a), mg.cholesky(a), mg.det(a), *mg.slogdet(a)):
        assert y.dtype == np.float32
    assert mg.solve_triangular(a, mg.zeros((2, 0))).dtype == np.float32
    np.testing.assert_array_equal(mg.solve([[2.0]], [4.0]).numpy(), [2.0])


# ---- factors and determinants ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2)], ids=str)
def test_cholesky(shape):
    x = positive(*shape)
    np.testing.assert_allclose(mg.cholesky(mg.tensor(x)).numpy(), np.linalg.cholesky(x), atol=1e-12)
    assert_gradients(mg.cholesky, x)                          # moves one element at a time: X need not stay symmetric


def test_cholesky_reads_the_symmetric_part():
    x, skew = positive(3, 3), np.triu(RNG.standard_normal((3, 3)), 1)
    moved = mg.cholesky(mg.tensor(x + skew - skew.T)).numpy()
    np.testing.assert_allclose(moved, np.linalg.cholesky(x), atol=1e-12)


def test_a_gaussian_log_density_by_cholesky_has_the_gradient_of_its_closed_form():
    """log N(y; 0, Σ) = −½ yᵀΣ⁻¹y − ½ ln|Σ| + const, whose gradient is ½ (Σ⁻¹y yᵀΣ⁻¹ − Σ⁻¹)."""
    sigma, y = leaf(positive(3, 3)), RNG.standard_normal(3)
    factor = mg.cholesky(sigma)
    white = mg.solve_triangular(factor, mg.tensor(y), lower=True)
    log_density = -0.5 * white @ white - mg.log(mg.diagonal(factor)).sum()
    precision = np.linalg.inv(sigma.numpy())
    expected = 0.5 * (np.outer(precision @ y, precision @ y) - precision)
    np.testing.assert_allclose(mg.grad(log_density, sigma).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 2), (2, 1, 2, 2), (1, 1), (0, 0), (0, 2, 2)], ids=str)
def test_determinants(shape):
    x = regular(*shape)
    if x.size:
        x[..., 0, :] *= -1                                     # a negative determinant
    sign, logabsdet = mg.slogdet(mg.tensor(x))
    np.testing.assert_allclose(sign.numpy(), np.linalg.slogdet(x)[0])
    np.testing.assert_allclose(logabsdet.numpy(), np.linalg.slogdet(x)[1], atol=1e-12)
    np.testing.assert_allclose(mg.det(mg.tensor(x)).numpy(), np.linalg.det(x), rtol=1e-12)
    assert_gradients(mg.det, x)
    assert_gradients(lambda t: mg.slogdet(t).logabsdet, x)
    assert not mg.slogdet(leaf(x)).sign.requires_grad


def test_the_third_derivative_of_ln_det_along_the_identity():
    """ln|det(X + tI)| = Σ ln(λᵢ + t): its third derivative in t is 2 Σ λᵢ⁻³."""
    x, t = regular(3, 3), leaf(0.0)
    y = mg.slogdet(mg.tensor(x) + t * mg.tensor(np.eye(3))).logabsdet
    for _ in range(3):
        y = mg.grad(y, t, create_graph=True)
    assert y.item() == pytest.approx(2 * np.trace(np.linalg.matrix_power(np.linalg.inv(x), 3)), rel=1e-9)


# ---- what is refused -------------------------------------------------------------------------------------------------
def test_bad_products():
    with pytest.raises(ValueError, match=r"matmul: inner axes differ: 3 and 4; got a \(2, 3\) .*and b \(4, 5\)"):
        mg.ones((2, 3)) @ mg.ones((4, 5))
    with pytest.raises(ValueError, match="inner axes differ: 2 and 3"):
        mg.ones(2) @ mg.ones(3)
    with pytest.raises(ValueError, match="matmul: a number is no matrix"):
        mg.ones(2) @ 3.0
    with pytest.raises(ValueError, match="a number is no matrix"):
        mg.ones((2, 2)) @ mg.tensor(1.0)
    with pytest.raises(ValueError, match=r"matmul: .*got a \(2, 1, 1\) .* and b \(3, 1, 1\)"):
        mg.ones((2, 1, 1)) @ mg.ones((3, 1, 1))


@pytest.mark.parametrize("op", [mg.inv, mg.det, mg.slogdet, mg.cholesky, lambda x: mg.solve(x, mg.ones(2)),
                                lambda x: mg.solve_triangular(x, mg.ones(2))])
def test_matrices_that_are_not_square(op):
    for shape in [(2, 3), (2,), ()]:
        with pytest.raises(ValueError, match=r"wants square matrices \(…, D, D\); got"):
            op(mg.ones(shape))


def test_right_sides_that_do_not_fit():
    for solver in (mg.solve, mg.solve_triangular):
        message = r"solve.*: wants right sides \(D,\) or \(…, D, K\) with the D = 2 of a; got a \(2, 2\)"
        with pytest.raises(ValueError, match=message):
            solver(mg.ones((2, 2)), mg.ones((3, 1)))
        with pytest.raises(ValueError, match="wants right sides"):
            solver(mg.ones((2, 2)), 1.0)


def test_singular_and_indefinite_matrices(backend):
    if backend == "cupy":
        pytest.skip("CuPy does not look")
    singular, x = mg.zeros((2, 2)), leaf(np.zeros((2, 2)))
    for op in (mg.inv, lambda x: mg.solve(x, mg.ones(2)), lambda x: mg.solve_triangular(x, mg.ones(2))):
        with pytest.raises(ValueError, match=r"the matrix is singular; got .* \(2, 2\)"):
            op(singular)
    sign, logabsdet = mg.slogdet(singular)
    assert (sign.item(), logabsdet.item()) == (0.0, -np.inf)
    with pytest.raises(ValueError, match="inv: the matrix is singular"):
        mg.det(x).backward()
    with pytest.raises(ValueError, match="cholesky: the matrix is not positive definite"):
        mg.cholesky(-mg.eye(2))


def test_gradients_agree_with_torch():
    torch = pytest.importorskip("torch")
    spd, b = positive(2, 3, 3), RNG.standard_normal((2, 3, 2))

    def loss(lib, x, y):
        factor = lib.linalg.cholesky(x) if lib is torch else mg.cholesky(x)
        z = mg.solve_triangular(factor, y, True) if lib is mg else torch.linalg.solve_triangular(factor, y, upper=False)
        logdet = torch.linalg.slogdet(x)[1] if lib is torch else mg.slogdet(x)[1]
        return (z * z).sum() + (logdet * logdet).sum()

    theirs = [torch.tensor(v, requires_grad=True) for v in (spd, b)]
    ours = [leaf(v) for v in (spd, b)]
    for g, expected in zip(mg.grad(loss(mg, *ours), ours), torch.autograd.grad(loss(torch, *theirs), theirs)):
        np.testing.assert_allclose(g.numpy(), expected.numpy(), rtol=1e-9, atol=1e-12)


def test_solve_triangular_agrees_with_scipy():
    a, b = regular(3, 3), RNG.standard_normal((3, 2))
    expected = scipy.linalg.solve_triangular(a, b, trans=1, lower=True)
    ours = mg.solve_triangular(mg.tensor(a), mg.tensor(b), lower=True, trans=True)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12)
