r"""When are two arrays the same? And which elements are not, worst first?

A number that was computed twice differs in its last digits; a wrong one differs by more. The line is drawn per element,

    |yours − ours| ≤ rtol |ours| + floor,                                                                         (1)

where rtol depends on the precision in which yours arrived (1e-7 for float64, 1e-4 for float32), and the floor is the
rounding noise that even a right answer carries, because what cancels to nearly nothing leaves noise of the size of what
cancelled:

    floor = 100 ε max|ours| + 10 · |ours(x (1 + ε r)) − ours(x)| + 100 ε |f| / max(1, |x|),    r random signs.    (2)

The middle term asks the function itself how sensitive it is to the last digit of its inputs. So nothing here is an
absolute number, and a gradient of size 1e-30 is judged as sharply as one of size 1.
"""
import numpy as np

from minigen.check.report import Element
from minigen.tensor import Tensor

__all__ = ["Comparison", "compare", "epsilon", "relative_tolerance", "to_host"]

_RELATIVE = {8: 1e-7, 4: 1e-4, 2: 2e-2}          # by bytes per number


def to_host(values):
    """Values of any kind as a NumPy array, in the precision they came in."""
    if isinstance(values, Tensor):
        return values.numpy()
    return np.asarray(values)


def relative_tolerance(dtype):
    """rtol of Eq. (1) for numbers that arrived in this dtype; whole numbers count as exact."""
    return _RELATIVE[min(np.dtype(dtype).itemsize, 8)] if np.dtype(dtype).kind == "f" else _RELATIVE[8]


def epsilon(dtype):
    """ε of Eq. (2): the relative rounding error of this dtype."""
    return float(np.finfo(dtype).eps) if np.dtype(dtype).kind == "f" else float(np.finfo(np.float64).eps)


class Comparison:
    """Where two arrays of one shape differ by more than is tolerated. ``tolerance`` is a number or an array."""

    def __init__(self, yours, ours, tolerance):
        self.yours, self.ours = np.asarray(yours, dtype=np.float64), np.asarray(ours, dtype=np.float64)
        self.allowed = np.broadcast_to(np.asarray(tolerance, dtype=np.float64), self.ours.shape)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            error = np.abs(self.yours - self.ours)
            same = (self.yours == self.ours) | (np.isnan(self.yours) & np.isnan(self.ours))
            error = np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))          # NaN on one side is wrong
            self.severity = np.where(error == 0, 0.0, error / self.allowed)
        self.errors = error
        self.wrong = ~(error <= self.allowed)

    @property
    def ok(self):
        """Whether all elements agree."""
        return not self.wrong.any()

    @property
    def worst(self):
        """(error, tolerance) of the worst element; (0, its tolerance) where there is none."""
        if not self.errors.size:
            return 0.0, 0.0
        index = np.unravel_index(np.argmax(self.severity), self.errors.shape)
        return float(self.errors[index]), float(self.allowed[index])

    def indices(self, limit=None):
        """The wrong elements, the worst first."""
        order = np.argsort(-self.severity, axis=None, kind="stable")
        order = order[self.wrong.ravel()[order]][:limit]
        return [tuple(map(int, np.unravel_index(i, self.errors.shape))) for i in order]

    def elements(self, limit, numeric=None):
        """The worst `Element`s. ``numeric(index)`` measures one (or gives None)."""
        return [Element(i, float(self.yours[i]), float(self.ours[i]), numeric(i) if numeric else None)
                for i in self.indices(limit)]


def compare(yours, ours, rtol=None, floor=0.0):
    """A `Comparison` by Eq. (1). rtol by default follows the dtype of ``yours``."""
    yours, ours = to_host(yours), np.asarray(to_host(ours), dtype=np.float64)
    rtol = relative_tolerance(yours.dtype) if rtol is None else rtol
    with np.errstate(invalid="ignore"):
        return Comparison(yours, ours, rtol * np.abs(np.where(np.isfinite(ours), ours, 0.0)) + floor)
