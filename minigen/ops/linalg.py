r"""Linear algebra: products, inverses, triangular systems, Cholesky factors, determinants.

All of it works on stacks of matrices (…, D, D), and the stacks broadcast. The cotangents follow from the differential
of each definition and ⟨ȳ, dy⟩ = ⟨x̄, dx⟩, where ⟨u, v⟩ = Σ uᵢⱼ vᵢⱼ = tr(uᵀ v):

    C = A B        dC = dA B + A dB              ā = c̄ bᵀ,  b̄ = aᵀ c̄                                            (1)
    Y = X⁻¹        dY = −Y dX Y                  x̄ = −yᵀ ȳ yᵀ                                                   (2)
    A X = B        dX = A⁻¹ (dB − dA X)          b̄ = a⁻ᵀ x̄,  ā = −b̄ xᵀ                                          (3)
    Σ = L Lᵀ       dΣ = dL Lᵀ + L dLᵀ            Σ̄ = sym(L⁻ᵀ Φ(Lᵀ l̄) L⁻¹)                                        (4)
    ℓ = ln|det X|  dℓ = tr(X⁻¹ dX)               x̄ = ℓ̄ x⁻ᵀ                                                      (5)

with sym(M) = (M + Mᵀ)/2 and Φ(M) the lower triangle of M with its diagonal halved. Eq. (4) is by Murray,
"Differentiation of the Cholesky decomposition" (2016), arXiv:1602.07527. If A in (3) is triangular, only that triangle
of ā counts.

A singular matrix, or one that is not positive definite, raises ValueError on the CPU. CuPy does not look (the host
would have to wait for the GPU), and gives NaN or infinity there.
"""
import math
from typing import NamedTuple

from minigen.ops.elementwise import multiply
from minigen.ops.indices import lift
from minigen.ops.shape import diagonal, reshape, tril, triu
from minigen.primitive import primitive
from minigen.tensor import Tensor

__all__ = ["matmul", "outer", "trace", "inv", "solve", "solve_triangular", "cholesky", "det", "slogdet", "Slogdet"]


def _transposed(x):
    """Xᵀ for every matrix of a stack."""
    return x.swapaxes(-1, -2)


# ---- products --------------------------------------------------------------------------------------------------------
@primitive
def matmul(xp, a, b):
    """The matrix product a b, (…, M, K) · (…, K, N) → (…, M, N). The axes in front broadcast.

    A vector counts as a row on the left and as a column on the right, and its axis of length one is left out of the
    result. Raises ValueError if the inner axes differ or an operand is a number.
    """
    if not (getattr(a, "ndim", 0) and getattr(b, "ndim", 0)):
        raise ValueError("a number is no matrix; use *")
    if a.shape[-1] != b.shape[max(-b.ndim, -2)]:
        raise ValueError(f"inner axes differ: {a.shape[-1]} and {b.shape[max(-b.ndim, -2)]}")
    if b.ndim == 2 and a.ndim > 2:                    # one large product is faster than a stack of small ones
        return xp.matmul(_rows(a), b).reshape(*a.shape[:-1], b.shape[1])
    return xp.matmul(a, b)


def _rows(a):
    """A stack (…, K) as one matrix whose rows are its vectors."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


def _as_matrix(g, a_is_vector, b_is_vector):
    """The cotangent of a product with the axes of length one that vectors left out."""
    g = g[..., None] if b_is_vector else g
    return g[..., None, :] if a_is_vector else g


def _matmul_vjp_a(g, a_shape, b):
    """ā = c̄ bᵀ of Eq. (1)."""
    a_is_vector, b_is_vector = len(a_shape) == 1, b.ndim == 1
    g = _as_matrix(g, a_is_vector, b_is_vector)
    h = matmul(g, _transposed(b[:, None] if b_is_vector else b))
    return h[..., 0, :] if a_is_vector else h


def _matmul_vjp_b(g, a, b_shape):
    """b̄ = aᵀ c̄ of Eq. (1). Where b is shared by a stack, the sum over the stack is part of the product."""
    a_is_vector, b_is_vector = a.ndim == 1, len(b_shape) == 1
    g, a = _as_matrix(g, a_is_vector, b_is_vector), a[None, :] if a_is_vector else a
    if a.ndim > 2 >= len(b_shape):
        g, a = _rows(g), _rows(a)
    h = matmul(_transposed(a), g)
    return h[..., 0] if b_is_vector else h


matmul.vjp(_matmul_vjp_a, _matmul_vjp_b)


def outer(a, b):
    """Yᵢⱼ = aᵢ bⱼ of two vectors (M,) and (N,): (M, N). Arrays with more axes are flattened first."""
    return multiply(reshape(a, (-1, 1)), reshape(b, (1, -1)))


def trace(x, offset=0, axis1=0, axis2=1):
    """Σᵢ xᵢᵢ along the diagonal of the two axes (x_{i, i + offset}); the other axes stay."""
    return diagonal(x, offset, axis1, axis2).sum(axis=-1)


# ---- inverses and systems --------------------------------------------------------------------------------------------
def _check_square(x):
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError("wants square matrices (…, D, D)")


def _checked(xp, compute, *arrays, problem="the matrix is singular"):
    """``compute(*arrays)``, saying in our words what is wrong with the matrix."""
    try:
        return compute(*arrays)
    except xp.linalg.LinAlgError:
        raise ValueError(problem) from None


@primitive
def inv(xp, x):
    """X⁻¹ for every matrix of a stack (…, D, D). Raises ValueError if one is singular, or not square."""
    _check_square(x)
    return _checked(xp, xp.linalg.inv, x)


inv.vjp(lambda g, out: -matmul(matmul(_transposed(out), g), _transposed(out)))                      # Eq. (2)


def solve(a, b):
    """The X of A X = B for a stack of square matrices a (…, D, D).

    Args:
        b: one vector (D,), or matrices (…, D, K) whose columns are right sides. The axes in front broadcast.

    Raises ValueError if a matrix is singular or not square, or if D differs.
    """
    return _with_columns(_solve, a, b)


def solve_triangular(a, b, lower=False, trans=False):
    """The X of A X = B (Aᵀ X = B if ``trans``), reading the upper (``lower``: the lower) triangle of a (…, D, D) alone.

    Args:
        b: one vector (D,), or matrices (…, D, K) whose columns are right sides. The axes in front broadcast.

    Raises ValueError if a diagonal holds a zero, a matrix is not square, or D differs.
    """
    return _with_columns(_solve_triangular, a, b, lower=bool(lower), trans=bool(trans))


def _with_columns(solver, a, b, **settings):
    """Call a solver of matrix equations, with a vector b as a matrix of one column."""
    a, b = lift(a, b)
    return solver(a, b[:, None], **settings)[..., 0] if b.ndim == 1 else solver(a, b, **settings)


def _broadcast_stacks(xp, a, b):
    """a (…, D, D) and b (…, D, K) with the axes in front made equal."""
    _check_square(a)
    if b.ndim < 2 or b.shape[-2] != a.shape[-1]:
        raise ValueError(f"wants right sides (D,) or (…, D, K) with the D = {a.shape[-1]} of a")
    stack = xp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return xp.broadcast_to(a, stack + a.shape[-2:]), xp.broadcast_to(b, stack + b.shape[-2:])


@primitive
def _solve(xp, a, b):
    return _checked(xp, xp.linalg.solve, *_broadcast_stacks(xp, a, b))


_solve.vjp(lambda g, a, out: -matmul(_solve(_transposed(a), g), _transposed(out)),                  # Eq. (3), ā
           lambda g, a: _solve(_transposed(a), g))                                                  # Eq. (3), b̄


@primitive
def _solve_triangular(xp, a, b, *, lower, trans):
    a, b = _broadcast_stacks(xp, a, b)
    if b.size == 0:
        return xp.zeros(b.shape, xp.result_type(a, b))
    systems = zip(a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:]))
    solved = [_checked(xp, xp.solve_triangular, a_i, b_i, lower, trans) for a_i, b_i in systems]
    return solved[0] if b.ndim == 2 else xp.stack(solved).reshape(b.shape)


def _solve_triangular_vjp_a(g, a, out, lower, trans):
    """ā = −b̄ xᵀ of Eq. (3), transposed if a was, in its triangle."""
    b_bar = _solve_triangular(a, g, lower, not trans)
    h = matmul(out, _transposed(b_bar)) if trans else matmul(b_bar, _transposed(out))
    return -(tril(h) if lower else triu(h))


_solve_triangular.vjp(_solve_triangular_vjp_a,
                      lambda g, a, lower, trans: _solve_triangular(a, g, lower, not trans))         # Eq. (3), b̄


# ---- factors and determinants ----------------------------------------------------------------------------------------
@primitive
def cholesky(xp, x):
    """The lower triangular L with L Lᵀ = sym(X) for every matrix of a stack (…, D, D).

    Only the symmetric part sym(X) = (X + Xᵀ)/2 counts, so the derivative is true, and symmetric, for every X. Raises
    ValueError if one is not positive definite, or not square.
    """
    _check_square(x)
    return _checked(xp, xp.linalg.cholesky, (x + _transposed(x)) * 0.5, problem="the matrix is not positive definite")


def _cholesky_vjp(g, out):
    """Eq. (4)."""
    m = matmul(_transposed(out), g)
    phi = (tril(m) + tril(m, -1)) * 0.5
    h = _solve_triangular(out, phi, True, True)                                   # L⁻ᵀ Φ
    h = _transposed(_solve_triangular(out, _transposed(h), True, True))           # (L⁻ᵀ hᵀ)ᵀ = h L⁻¹
    return (h + _transposed(h)) * 0.5


cholesky.vjp(_cholesky_vjp)


@primitive
def det(xp, x):
    """det X for every matrix of a stack (…, D, D): shape (…). Raises ValueError if one is not square.

    The gradient needs X⁻¹, so it raises ValueError where X is singular.
    """
    _check_square(x)
    return xp.linalg.det(x)


det.vjp(lambda g, x, out: (g * out)[..., None, None] * _transposed(inv(x)))       # Eq. (5), with det = exp ℓ


class Slogdet(NamedTuple):
    """What `slogdet` returns: det X = sign · exp(logabsdet)."""
    sign: Tensor
    logabsdet: Tensor


def slogdet(x):
    """(sign, ln|det X|) for every matrix of a stack (…, D, D): two Tensors of shape (…). The sign passes no gradient.

    A singular matrix gives (0, −∞); the gradient there raises ValueError. Raises ValueError if a matrix is not square.
    """
    return Slogdet(_sign_of_det(x), _log_abs_det(x))


@primitive
def _sign_of_det(xp, x):
    _check_square(x)
    return xp.linalg.slogdet(x)[0]


@primitive
def _log_abs_det(xp, x):
    _check_square(x)
    return xp.linalg.slogdet(x)[1]


_log_abs_det.vjp(lambda g, x: g[..., None, None] * _transposed(inv(x)))           # Eq. (5)
