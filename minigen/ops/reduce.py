r"""Reductions: ops that take many elements to one. (A product is more easily told among the scans: `minigen.ops.scan`.)

A is the set of reduced axes, n the number of elements along them, ȳ the cotangent of the result y, stretched back over
A (`_keep` gives it axes of length one, broadcasting does the rest). Each vjp is one line of

    y = Σ_A x                             x̄ = ȳ                                                                 (1)
    y = μ = Σ_A x / n                     x̄ = ȳ / n                                                             (2)
    y = σ² = Σ_A (x − μ)² / (n − ddof)    x̄ = ȳ · 2 (x − μ) / (n − ddof);  μ moves too, but Σ_A (x − μ) = 0     (3)
    y = σ                                 x̄ = ȳ · (x − μ) / ((n − ddof) σ),  by (3) and dσ = dσ² / 2σ           (4)
    y = max_A x                           x̄ = ȳ · [x = y] / #{x = y};  ties share evenly                        (5)
    y = log Σ_A eˣ                        x̄ = ȳ · e^{x − y}                                                     (6)
    y = (Σ_A |x|ᵖ)^{1/p}                  x̄ = ȳ · sign(x) |x / y|^{p − 1}                                       (7)

Results keep the dtype as NumPy's do: a sum of float32 is float32, a sum of integers int64. NaN passes through. An axis
out of range raises IndexError, a repeated one ValueError, each naming the shape.
"""
import math

from numpy.lib.array_utils import normalize_axis_tuple

from minigen.ops.elementwise import exp
from minigen.ops.piecewise import abs, sign, where
from minigen.primitive import primitive

__all__ = ["sum", "broadcast_to", "mean", "var", "std", "max", "min", "amax", "amin", "argmax", "argmin", "any", "all",
           "logsumexp", "norm"]

BLOCK = 256         # rows that one product with ones adds up; bounds the rounding error
LARGE = 1 << 15     # elements from which a sum is worth that product


# ---- axes ------------------------------------------------------------------------------------------------------------
def _axes(axis, ndim):
    """The reduced axes as a tuple of numbers in [0, ndim)."""
    return tuple(range(ndim)) if axis is None else normalize_axis_tuple(axis, ndim)


def _kept(shape, axis):
    """``shape`` with length one along the reduced axes."""
    axes = _axes(axis, len(shape))
    return tuple(1 if i in axes else d for i, d in enumerate(shape))


def _keep(g, shape, axis):
    """A reduced array with its reduced axes put back at length one, ready to broadcast against ``shape``."""
    return g.reshape(_kept(shape, axis))


def _count(shape, axis):
    """n, the number of elements that are reduced to one."""
    return math.prod(shape[i] for i in _axes(axis, len(shape)))


# ---- sum and its adjoint ---------------------------------------------------------------------------------------------
def _sum(xp, x, axis, keepdims):
    """Σ_A x, Eq. (1). A large sum over leading axes, where NumPy is slow, is compiled or goes through
    `_sum_rows`."""
    if x.size >= LARGE and x.dtype.char in "fd" and x.flags.c_contiguous:           # f, d: float32, float64
        axes = _axes(axis, x.ndim)
        D = math.prod(x.shape[len(axes):])
        if D > 1 and set(axes) == set(range(len(axes))):
            rows = x.reshape(-1, D)
            total = xp.sum_middle(_itself, rows[None])
            total = _sum_rows(xp, rows) if total is None else total
            return total.reshape(_kept(x.shape, axis) if keepdims else x.shape[len(axes):])
    return xp.sum(x, axis=axis, keepdims=keepdims)


def _itself(xp, x):
    return x


def _sum_rows(xp, x):
    """Σ_m x[m, :] of an (M, D) array as products 1ᵀx, which BLAS does faster than NumPy adds rows.

    Blocks first, then the sums of blocks: an element meets O(BLOCK · log M) roundings where adding row after row has M.
    """
    M, D = x.shape
    if M <= 2 * BLOCK:
        return xp.ones(M, x.dtype) @ x                                                              # (D,)
    whole = M - M % BLOCK
    last = xp.ones(M - whole, x.dtype) @ x[whole:]                                                  # (D,)
    blocks = xp.ones(BLOCK, x.dtype) @ x[:whole].reshape(-1, BLOCK, D)                              # (M // BLOCK, D)
    return last + _sum_rows(xp, blocks)


@primitive
def sum(xp, x, *, axis=None, keepdims=False):
    """Σ x over one axis, several (a tuple) or all (None). The sum of no elements is 0."""
    return _sum(xp, x, axis, keepdims)


@primitive
def broadcast_to(xp, x, *, shape):
    """x stretched to ``shape`` without copying. The adjoint is `sum`; the engine does that for all stretched inputs."""
    try:
        return xp.broadcast_to(x, shape)
    except ValueError:
        raise ValueError(f"{x.shape} does not stretch to {shape}: from the right, lengths must agree or be 1") from None


broadcast_to.op.view = True
broadcast_to.vjp(lambda g: g)
sum.vjp(lambda g, x_shape, axis: broadcast_to(_keep(g, x_shape, axis), x_shape))                              # Eq. (1)


# ---- moments ---------------------------------------------------------------------------------------------------------
def _var(xp, x, axis, ddof, keepdims):
    """σ² in two passes, which loses nothing where the mean is large."""
    n = _count(x.shape, axis)
    mu = _sum(xp, x, axis, True) / n
    return _sum(xp, xp.square(x - mu), axis, keepdims) / (n - ddof if n > ddof else 0)


@primitive
def mean(xp, x, *, axis=None, keepdims=False):
    """Σ x / n. The mean of no elements is NaN."""
    return _sum(xp, x, axis, keepdims) / _count(x.shape, axis)


mean.vjp(lambda g, x_shape, axis: broadcast_to(_keep(g, x_shape, axis) / _count(x_shape, axis), x_shape))      # Eq. (2)


@primitive
def var(xp, x, *, axis=None, ddof=0, keepdims=False):
    """Variance, Σ (x − μ)² / (n − ddof). Not finite for n ≤ ddof, as in NumPy."""
    return _var(xp, x, axis, ddof, keepdims)


def _var_vjp(g, x, axis, ddof):
    return _centred(x, axis) * (2 * _keep(g, x.shape, axis) / (_count(x.shape, axis) - ddof))                  # Eq. (3)


var.vjp(_var_vjp)


@primitive
def std(xp, x, *, axis=None, ddof=0, keepdims=False):
    """Standard deviation √var. At constant x, where it is 0, it has a kink; the gradient there is taken as 0."""
    return xp.sqrt(_var(xp, x, axis, ddof, keepdims))


def _std_vjp(g, x, out, axis, ddof):
    g, sigma = _keep(g, x.shape, axis), _keep(out, x.shape, axis)
    return _centred(x, axis) * (g / (_count(x.shape, axis) - ddof) / _or_infinity(sigma))                      # Eq. (4)


std.vjp(_std_vjp)


def _centred(x, axis):
    return x - mean(x, axis, keepdims=True)


def _or_infinity(y):
    """y, and ∞ where y = 0: what is divided by it becomes 0 there, with all its derivatives."""
    return where(y == 0, math.inf, y)


# ---- extrema ---------------------------------------------------------------------------------------------------------
def _want_some(x, axis):
    if x.size == 0 and _count(x.shape, axis) == 0:
        raise ValueError("wants at least one element to choose from, and along the reduced axes there are none")


@primitive
def max(xp, x, *, axis=None, keepdims=False):
    """Largest element. Tied elements share the gradient evenly; a slice with a NaN has NaN for value and gradient.

    Raises ValueError if there is nothing to choose from.
    """
    _want_some(x, axis)
    return xp.max(x, axis=axis, keepdims=keepdims)


@primitive
def min(xp, x, *, axis=None, keepdims=False):
    """Smallest element. Ties, NaN and errors as in `max`."""
    _want_some(x, axis)
    return xp.min(x, axis=axis, keepdims=keepdims)


@primitive
def _share(xp, x, extremum, *, axis):
    """[x = y] / #{x = y}, Eq. (5): piecewise constant, so it has no vjp."""
    attained = (x == extremum).astype(x.dtype)
    return attained / xp.sum(attained, axis=axis, keepdims=True)


def _extremum_vjp(g, x, out, axis):
    return _keep(g, x.shape, axis) * _share(x, _keep(out, x.shape, axis), axis)


max.vjp(_extremum_vjp)
min.vjp(_extremum_vjp)
amax, amin = max, min


@primitive
def argmax(xp, x, *, axis=None, keepdims=False):
    """Index of the first largest element along ``axis``; None: in the flattened x. No gradient. Errors as in `max`."""
    _want_some(x, axis)
    return xp.argmax(x, axis=axis, keepdims=keepdims)


@primitive
def argmin(xp, x, *, axis=None, keepdims=False):
    """Index of the first smallest element along ``axis``; None: in the flattened x. No gradient. Errors as in `max`."""
    _want_some(x, axis)
    return xp.argmin(x, axis=axis, keepdims=keepdims)


# ---- truth: no gradient ----------------------------------------------------------------------------------------------
@primitive
def any(xp, x, *, axis=None, keepdims=False):
    """Is any element true (not zero)? ``mg.sum`` of a boolean tensor counts."""
    return xp.any(x, axis=axis, keepdims=keepdims)


@primitive
def all(xp, x, *, axis=None, keepdims=False):
    """Are all elements true (not zero)?"""
    return xp.all(x, axis=axis, keepdims=keepdims)


# ---- smooth maximum and norm -----------------------------------------------------------------------------------------
@primitive
def logsumexp(xp, x, *, axis=None, keepdims=False):
    """log Σ eˣ, without overflow: m + log Σ e^{x − m} with m = max x.

    A slice that is −∞ throughout, or empty, has the value −∞ and the gradient 0; with a +∞ the value is +∞ and the
    gradient NaN.
    """
    kept = _kept(x.shape, axis)
    m = xp.max(x, axis=axis, keepdims=True) if x.size else xp.full(kept, -math.inf, xp.exp(x).dtype)
    total = _sum(xp, xp.exp(x - xp.where(xp.isfinite(m), m, 0)), axis, True)
    out = m + xp.log(total + (total == 0))                        # no term but e^{−∞}: m = −∞ says it all
    return out if keepdims else xp.squeeze(out, axis=_axes(axis, x.ndim))


def _logsumexp_vjp(g, x, out, axis):
    y = _keep(where(out == -math.inf, 0, out), x.shape, axis)     # e^{−∞ − 0} = 0, where e^{−∞ + ∞} would be NaN
    weights = exp(x - y)                                          # Eq. (6); their sum is 1 but for the rounding of y
    return weights * (_keep(g, x.shape, axis) / _or_infinity(sum(weights, axis, keepdims=True)))


logsumexp.vjp(_logsumexp_vjp)


def norm(x, p=2, axis=None, keepdims=False):
    """(Σ |x|ᵖ)^{1/p} over all given axes together, for p ≥ 1; ``math.inf`` gives the largest |x|.

    At x = 0 it has a kink; the gradient there is taken as 0, to any order. Raises ValueError for p < 1.
    """
    if p == 1:
        return sum(abs(x), axis, keepdims)
    if p == math.inf:
        return max(abs(x), axis, keepdims)
    return _norm(x, p, axis, keepdims)


@primitive
def _norm(xp, x, *, p, axis, keepdims):
    if not p > 1:
        raise ValueError("p must be at least 1, or it is no norm")
    if x.dtype.kind != "f":
        x = x * 1.0                                               # small integers would overflow
    if p == 2:
        return xp.sqrt(_sum(xp, xp.square(x), axis, keepdims))
    return _sum(xp, xp.abs(x) ** p, axis, keepdims) ** (1 / p)


def _norm_vjp(g, x, out, p, axis):
    g, y = _keep(g, x.shape, axis), _keep(out, x.shape, axis)
    unit = x / _or_infinity(y)
    return g * (unit if p == 2 else sign(x) * abs(unit) ** (p - 1))                                            # Eq. (7)


_norm.vjp(_norm_vjp)
