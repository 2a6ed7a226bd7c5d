"""The function under examination, at one point: prepared, and questioned for what would spoil every answer.

Everything is float64 on the current backend. Refused, in one sentence each: inputs that are not floating, a function
that returns no floating Tensor, that draws random numbers, that changes its input, or that is NaN or infinite at the
point.
"""
import inspect

import numpy as np

from minigen.autograd import grad
from minigen.check.compare import to_host
from minigen.primitive import no_grad
from minigen.tensor import Tensor, tensor

__all__ = ["Subject", "name_of", "names_of", "to_arrays"]


def to_arrays(check, inputs, names):
    """The inputs as float64 NumPy arrays. Raises TypeError for whole numbers and ValueError for NaN."""
    arrays = []
    for name, x in zip(names, inputs):
        try:
            array = np.array(to_host(x))
        except (TypeError, ValueError) as error:
            raise TypeError(f"{check}: {name} is a {type(x).__name__} that is no array ({error}); pass an array or a "
                            "Tensor, and put what is not differentiated into the function: lambda x: f(x, "
                            "labels)") from None
        if array.dtype.kind != "f":
            raise TypeError(f"{check}: {name} has dtype {array.dtype}, and whole numbers have no derivative; pass "
                            "floats (1.0 for 1), or put it into the function: lambda x: f(x, labels)")
        if not np.isfinite(array).all():
            raise ValueError(f"{check}: {name} holds {'NaN' if np.isnan(array).any() else 'infinity'}; choose a finite "
                             "point")
        arrays.append(array.astype(np.float64))
    return arrays


def names_of(f, n):
    """What to call the n inputs of f: its parameters' names where it has that many, else x0, x1, …"""
    try:
        parameters = [p.name for p in inspect.signature(f).parameters.values()
                      if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    except (TypeError, ValueError):
        parameters = []
    return parameters[:n] if len(parameters) >= n else [f"x{i}" for i in range(n)]


def name_of(f, nameless="f"):
    """What to call the function; a lambda is ``nameless``."""
    name = getattr(f, "__name__", type(f).__name__)
    return nameless if name == "<lambda>" else name


class Subject:
    """f at a point.

    Attributes: ``name``, ``names`` of the inputs, ``point`` (a list of float64 NumPy arrays), ``value`` (NumPy array),
    ``shape``.
    """

    def __init__(self, check, f, inputs, names=None):
        if not callable(f):
            raise TypeError(f"{check}: the first argument must be the function, got a {type(f).__name__}")
        if not inputs:
            raise TypeError(f"{check}: pass the point too, {check}(f, x): a derivative is checked at a point")
        self.check, self.f, self.name = check, f, name_of(f)
        self.names = list(names or names_of(f, len(inputs)))
        self.point = to_arrays(check, inputs, self.names)
        self.value = self._first_value()
        self.shape = self.value.shape

    def _first_value(self):
        """Evaluate twice, and see whether f is a function at all."""
        leaves = self.leaves()
        with np.errstate(all="ignore"):
            out = self.f(*leaves)
        if not isinstance(out, Tensor):
            raise TypeError(f"{self.check}: {self.name} returned a {type(out).__name__}; it must return a Tensor, "
                            "computed with minigen's ops (mg.sum, not np.sum)")
        if out.dtype != np.float64:
            raise TypeError(f"{self.check}: {self.name} returned {out.dtype} for float64 inputs; checks need float64 "
                            "all the way, so give it float64 constants and no astype")
        for name, x, leaf in zip(self.names, self.point, leaves):
            if not np.array_equal(x, leaf.numpy()):
                raise ValueError(f"{self.check}: {self.name} changes its input {name} in place; let it work on a copy "
                                 f"({name}.copy())")
        value, again = out.numpy(), self.values(self.point)
        if not np.array_equal(value, again, equal_nan=True):
            raise ValueError(f"{self.check}: {self.name} gave another value when called again with the same input; if "
                             "it draws random numbers, draw the noise outside and pass it in (eps=...), or make the "
                             "generator inside, from a seed")
        if not np.isfinite(value).all():
            what = "NaN" if np.isnan(value).any() else "infinite"
            raise ValueError(f"{self.check}: {self.name} is {what} at this point, so it has no derivative there; "
                             f"choose "
                             "another point, or find the first bad op with mg.detect_anomaly()")
        return value

    # ---- evaluating ----------------------------------------------------------------------------------------------
    def leaves(self, point=None):
        """The point as leaf Tensors."""
        return [tensor(x, requires_grad=True) for x in (self.point if point is None else point)]

    @no_grad()
    def values(self, point):
        """f there, as a NumPy array."""
        with np.errstate(all="ignore"):
            return self.f(*[tensor(x) for x in point]).numpy()

    def gradients(self, cotangent, point=None):
        """Our ∂⟨cotangent, f⟩/∂x for each input, as NumPy arrays."""
        leaves = self.leaves(point)
        with np.errstate(all="ignore"):
            out = self.f(*leaves)
            # where f has no value it has no gradient, whatever 1/x says
            if point is not None and not np.isfinite(out.numpy()).all():
                return [np.full(x.shape, np.nan) for x in point]
            return [g.numpy() for g in grad(out, leaves, tensor(np.asarray(cotangent, dtype=np.float64)))]

    def second(self, cotangent, directions):
        """Our gradients of ⟨directions, ∂⟨cotangent, f⟩/∂x⟩ for each input, as NumPy arrays."""
        leaves = self.leaves()
        with np.errstate(all="ignore"):
            first = grad(self.f(*leaves), leaves, tensor(np.asarray(cotangent, dtype=np.float64)), create_graph=True)
            total = sum(((g * tensor(d)).sum() for g, d in zip(first, directions)), start=tensor(np.float64(0.0)))
            return [g.numpy() for g in grad(total, leaves)]

    def scales(self):
        """For each element of each input, the step that counts as large there: about its own size."""
        scales = []
        for x in self.point:
            sizes = np.abs(x)
            typical = np.median(sizes[sizes > 0]) if (sizes > 0).any() else 1.0
            scales.append(np.where(sizes > 0, np.maximum(sizes, 1e-2 * typical), typical))
        return scales

    def along(self, direction, k=None):
        """The point as a function of t: point + t · direction. ``k``: move input k only, and direction is its alone."""
        def moved(t):
            if k is None:
                return [x + t * d for x, d in zip(self.point, direction)]
            return [x + t * direction if i == k else x for i, x in enumerate(self.point)]
        return moved

    # ---- what is claimed -----------------------------------------------------------------------------------------
    def evaluate(self, claimed):
        """What is claimed at the point: a function is called with Tensors, or with arrays if it is NumPy's alone."""
        if not callable(claimed):
            return claimed
        try:
            return claimed(*[tensor(x) for x in self.point])
        except (TypeError, AttributeError) as first:
            try:
                return claimed(*[x.copy() for x in self.point])
            except (TypeError, AttributeError):
                raise TypeError(f"{self.check}: your function failed at this point: {first}") from first

    def noise_floor(self, c, k, mine, eps):
        """The rounding noise that a right gradient of input k carries; `minigen.check.compare`, Eq. (2)."""
        rng = np.random.default_rng(0)
        moved = [x * (1 + eps * rng.choice([-1.0, 1.0], x.shape)) for x in self.point]
        with np.errstate(all="ignore"):
            wobble = np.nan_to_num(np.abs(self.gradients(c, moved)[k] - mine), posinf=0.0)
        largest = np.abs(mine).max(initial=0.0, where=np.isfinite(mine))
        through = np.abs(c * self.value).sum() / np.abs(self.point[k]).max(initial=1.0)
        return 10 * wobble + 100 * eps * (largest + through)
