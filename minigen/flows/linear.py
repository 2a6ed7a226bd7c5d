r"""Invertible linear maps of the features, y = x W, written so that log |det W| costs nothing.

A vector is a row, as everywhere here, and ∂y/∂x = Wᵀ has the determinant of W. For a free matrix it takes O(D³); each
of these forms knows it in O(D):

    triangular    W = M, with e^{m_d} on the diagonal                log |det W| = Σ_d m_d                       (1)
    LU            W = P L (U + diag(s)), P a fixed permutation,
                  L lower with ones, U upper with zeros on the diagonal
                                                                     log |det W| = Σ_d log |s_d|                 (2)
    Householder   W = H_1 ⋯ H_K,  H_k = I − 2 v_k v_kᵀ / ‖v_k‖²      log |det W| = 0                             (3)

(2) is D. P. Kingma and P. Dhariwal, "Glow", 2018, arXiv:1807.03039, eq. (10) and (11): P and the signs of s are fixed
when a random rotation is factored, L, U and log |s| are learned. (3) reflects at K hyperplanes (J. Tomczak and M.
Welling, 2016, arXiv:1611.09630); D reflections reach every orthogonal matrix of their determinant's sign.

On an image, event_ndim=3, the same W maps the channels of every pixel: an invertible 1×1 convolution, whose log |det|
is that of W times H · W.
"""
import numpy as np
from scipy.linalg import lu

from minigen.flows.base import Transform
from minigen.nn import Buffer, Parameter
from minigen.nn.init import orthogonal
from minigen.ops.create import eye, zeros, zeros_like
from minigen.ops.index import take
from minigen.ops.linalg import solve_triangular
from minigen.ops.shape import diagonal, tril, triu
from minigen.random import as_generator
from minigen.tensor import tensor


class _Linear(Transform):
    """What the forms share. A subclass defines `matrix`, `_solve`, and `_log_abs_det` unless that is 0."""

    def __init__(self, features, event_ndim):
        if features < 1:
            raise ValueError(f"{type(self).__name__}: wants at least one feature, got {features}")
        self.features, self.event_ndim, self._eye = features, event_ndim, eye(features)

    def matrix(self):
        """W, (D, D)."""
        raise NotImplementedError(f"{type(self).__name__}: it must define matrix()")

    def forward(self, x, context=None):
        self.expect_event(x, self.features)
        return x @ self.matrix(), self.same_for_all(x, self.positions(x) * self._log_abs_det())

    def inverse(self, y, context=None):
        self.expect_event(y, self.features)
        return self._solve(y), self.same_for_all(y, -self.positions(y) * self._log_abs_det())

    def describe(self):
        return f"{self.features}"


def _solve_rows(W, y, lower):
    """The x of x W = y for rows y (…, D) and a triangular W: Wᵀ xᵀ = yᵀ."""
    columns = y.reshape((-1, y.shape[-1])).T                                                    # (D, M)
    return solve_triangular(W, columns, lower=lower, trans=True).T.reshape(y.shape)


class Triangular(_Linear):
    """Eq. (1). It starts as the identity.

    Args:
        features: D. lower: which triangle of M is not zero: with the lower one y_d depends on x_d, …, x_D, with the
            upper one on x_1, …, x_d.

    Attributes:
        entries: Parameter (D, D): M's triangle, and on the diagonal the logarithms m. The rest is not used.

    Raises ValueError for another number of features, and where an e^m is zero or not finite.
    """

    def __init__(self, features, lower=False, event_ndim=1):
        super().__init__(features, event_ndim)
        self.lower, self.entries = lower, Parameter(zeros((features, features)))

    def matrix(self):
        scale = self.expect_invertible(diagonal(self.entries))
        return (tril(self.entries, -1) if self.lower else triu(self.entries, 1)) + self._eye * scale

    def _solve(self, y):
        return _solve_rows(self.matrix(), y, self.lower)

    def _log_abs_det(self):
        return diagonal(self.entries).sum()                                                     # Eq. (1)


class LULinear(_Linear):
    """Eq. (2). It starts as a random rotation or reflection; with ``event_ndim=3`` it is Glow's 1×1 convolution.

    Args:
        features: D. rng: Generator or seed of the start.

    Attributes:
        entries: Parameter (D, D): L below the diagonal, U above it, log |s| on it.
        signs: Buffer (D,), the signs of s. order: Buffer (D,), P as the order of L's rows.

    Raises ValueError for another number of features, and where an s is zero or not finite.
    """

    def __init__(self, features, *, rng, event_ndim=1):
        super().__init__(features, event_ndim)
        rotation = orthogonal((features, features), as_generator(rng)).numpy().astype(np.float64)
        order, L, U = lu(rotation, p_indices=True)                         # rotation = L[order] U
        s = np.diag(U)
        self.entries = Parameter(tensor(np.tril(L, -1) + np.triu(U, 1) + np.diag(np.log(np.abs(s))), dtype="float32"))
        self.signs = Buffer(tensor(np.sign(s), dtype="float32"))
        self.order = Buffer(tensor(order.astype(np.int64)))

    def factors(self):
        """L and U + diag(s), each (D, D)."""
        s = self.signs * self.expect_invertible(diagonal(self.entries))
        return tril(self.entries, -1) + self._eye, triu(self.entries, 1) + self._eye * s

    def matrix(self):
        L, U = self.factors()
        return take(L, self.order, axis=0) @ U                                                  # Eq. (2)

    def _solve(self, y):
        L, U = self.factors()
        h = _solve_rows(L, _solve_rows(U, y, lower=False), lower=True)                          # h = x P
        return take(h, self.order, axis=-1)

    def _log_abs_det(self):
        return diagonal(self.entries).sum()


class Householder(_Linear):
    """Eq. (3): a learned orthogonal map.

    Args:
        features: D. reflections: K. rng: Generator or seed of the start.

    Attributes:
        vectors: Parameter (K, D), the normals v of the hyperplanes, of any length but zero.

    Raises ValueError for another number of features, no reflections, and a normal that is zero or not finite.
    """

    def __init__(self, features, reflections, *, rng, event_ndim=1):
        super().__init__(features, event_ndim)
        if reflections < 1:
            raise ValueError(f"Householder: wants at least one reflection, got {reflections}")
        self.vectors = Parameter(as_generator(rng).standard_normal((reflections, features)))

    def matrix(self):
        lengths = self.vectors.norm(axis=-1, keepdims=True)
        if self.looks(lengths) and not bool(((lengths > 0) & (lengths < np.inf)).all()):
            raise ValueError(f"{self.label()}: its parameters are not invertible: the normals have the lengths "
                             f"{lengths.numpy()[:, 0].tolist()}, and each must point somewhere")
        W, normals = self._eye, self.vectors / lengths
        for n in normals:
            W = W - 2 * (W @ n)[:, None] * n                                                    # Eq. (3): W ← W H_k
        return W

    def _solve(self, y):
        return y @ self.matrix().T

    def _log_abs_det(self):
        return zeros_like(self.vectors[0, 0])
