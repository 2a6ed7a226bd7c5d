"""Making tensors: of one value, of equal steps, like another; and giving them another dtype or another backend.

The first kind makes leaves on the current backend (see `minigen.use`). Floats are float32 unless ``dtype`` says
otherwise, integers int64. `zeros_like` and its kin, `astype` and `to` are ops: they follow their input.
"""
import numpy as np

from minigen import backend
from minigen.primitive import primitive
from minigen.tensor import Tensor

__all__ = ["zeros", "ones", "full", "eye", "arange", "linspace", "zeros_like", "ones_like", "full_like", "astype", "to"]


# ---- leaves ----------------------------------------------------------------------------------------------------------
def zeros(shape, dtype="float32", requires_grad=False):
    """A leaf of the given shape full of 0."""
    return _new("zeros", shape, dtype=dtype, requires_grad=requires_grad)


def ones(shape, dtype="float32", requires_grad=False):
    """A leaf of the given shape full of 1."""
    return _new("ones", shape, dtype=dtype, requires_grad=requires_grad)


def full(shape, fill_value, dtype=None, requires_grad=False):
    """A leaf of the given shape full of one number; its dtype is float32, or int64 or bool for such a number."""
    return _new("full", shape, fill_value, dtype=dtype or _dtype_of(fill_value), requires_grad=requires_grad)


def eye(N, M=None, k=0, dtype="float32", requires_grad=False):
    """The (N, M) matrix with ones on its k-th diagonal (k > 0: above the main one); M = N if left out."""
    return _new("eye", N, M, k, dtype=dtype, requires_grad=requires_grad)


def arange(start, stop=None, step=1, dtype=None, requires_grad=False):
    """start, start + step, … up to but without stop; ``arange(n)`` is 0 … n − 1. int64 if all numbers are integers."""
    start, stop = (0, start) if stop is None else (start, stop)
    return _new("arange", start, stop, step, dtype=dtype or _dtype_of(start, stop, step), requires_grad=requires_grad)


def linspace(start, stop, num=50, endpoint=True, dtype="float32", requires_grad=False):
    """``num`` numbers in equal steps from start to stop, with or without the endpoint."""
    return _new("linspace", start, stop, num, endpoint, dtype=dtype, requires_grad=requires_grad)


def _new(name, *args, dtype, requires_grad):
    """What the current backend's function ``name`` makes, as a leaf."""
    try:
        array = getattr(backend.current(), name)(*args, dtype=dtype)
    except (ValueError, TypeError, ArithmeticError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}; got {', '.join(map(repr, args))}, dtype={dtype!r}") from None
    return _require(name, Tensor(array)) if requires_grad else Tensor(array)


def _require(name, leaf):
    if leaf.dtype.kind != "f":
        raise TypeError(f"{name}: only floating dtypes can require grad, got {leaf.dtype}; pass dtype='float32'")
    leaf.requires_grad = True
    return leaf


def _dtype_of(*numbers):
    """The dtype that holds these Python numbers: NumPy's choice, but float32 for floats."""
    dtype = np.result_type(*numbers)
    return "float32" if dtype.kind == "f" else dtype.name


# ---- like another ----------------------------------------------------------------------------------------------------
@primitive
def _full_like(xp, x, *, fill_value, dtype):
    return xp.full_like(x, fill_value, dtype=dtype)          # constant in x: no vjp


def zeros_like(x, dtype=None, requires_grad=False):
    """0 everywhere, with x's shape, backend and (unless given) dtype."""
    return full_like(x, 0, dtype, requires_grad)


def ones_like(x, dtype=None, requires_grad=False):
    """1 everywhere, with x's shape, backend and (unless given) dtype."""
    return full_like(x, 1, dtype, requires_grad)


def full_like(x, fill_value, dtype=None, requires_grad=False):
    """One number everywhere, with x's shape, backend and (unless given) dtype."""
    leaf = _full_like(x, fill_value, dtype)
    return _require("full_like", leaf) if requires_grad else leaf


# ---- another dtype, another backend ----------------------------------------------------------------------------------
@primitive
def _astype(xp, x, *, dtype):
    return x.astype(dtype)


_astype.vjp(lambda g: g)          # the engine casts a cotangent to its input's dtype


@primitive
def _astype_discrete(xp, x, *, dtype):
    return x.astype(dtype)        # a step function: no vjp


def astype(x, dtype):
    """x in another dtype. The cotangent is cast back; an integer or boolean result passes no gradient.

    Raises TypeError for a dtype that is not real.
    """
    try:
        kind = np.dtype(dtype).kind
    except TypeError:
        kind = ""
    if not kind or kind not in "fiub":
        raise TypeError(f"astype: wants a floating, integer or boolean dtype, got {dtype!r}")
    return (_astype if kind == "f" else _astype_discrete)(x, dtype)


@primitive
def _to(xp, x, *, target, source):
    return backend.get(target).from_numpy(xp.to_numpy(x))


_to.vjp(lambda g, target, source: _to(g, source, target))


def to(x, name):
    """x on the backend called ``name``: itself if it is there already, else a copy. The cotangent moves back.

    Raises BackendError if the backend is unknown or cannot run here, TypeError if x is neither Tensor nor array.
    """
    source = backend.of(x._array if isinstance(x, Tensor) else x)
    if source is None:
        raise TypeError(f"to: wants a Tensor, got a {type(x).__name__}; make one with mg.tensor")
    target = backend.get(name)
    return x if source is target else _to(x, target.name, source.name)
