r"""Hold our own derivatives against differences, so that nobody needs to believe them.

For a function f with outputs y and a cotangent c, the numbers compared are those of

    order 1:   γ = ∂⟨c, f⟩/∂x                 against differences of  φ(x) = ⟨c, f(x)⟩,                          (1)
    order 2:   γ = ∂⟨d, ∂⟨c, f⟩/∂x⟩/∂x        against differences of  φ(x) = ⟨d, ∂⟨c, f⟩/∂x⟩,                    (2)

with a fresh random d, since a form as symmetric as ‖∇f‖² is blind to some mistakes. Up to a few hundred elements each
is measured alone; beyond that φ is measured along random directions v, and ⟨γ, v⟩ compared: a wrong element shows in
almost every direction. Forward mode is held against reverse mode by the dot test

    ⟨c, J v⟩ = ⟨Jᵀ c, v⟩.                                                                                        (3)
"""
import math

import numpy as np

from minigen.check.case import Case
from minigen.check.compare import Comparison
from minigen.check.diagnosis import diagnose
from minigen.check.numeric import RTOL, curve, slope
from minigen.check.report import Diagnosis, Element
from minigen.derivatives import jvp
from minigen.tensor import tensor

__all__ = ["Form", "count", "dot_test", "verify"]

ONE_BY_ONE = {1: 200, 2: 50}      # up to so many elements, each is measured alone
DIRECTIONS = 16                   # random directions beyond that
LOCATE = 1000                     # elements searched where a direction disagrees


class Form:
    """φ and its gradient γ by our own derivatives: Eq. (1), or Eq. (2) if ``d`` is given."""

    def __init__(self, subject, c, gradients, d=None):
        self.subject, self.c, self.gradients, self.d = subject, c, gradients, d
        self.order = 1 if d is None else 2
        self.scales = subject.scales()
        parts = [c * subject.value] if d is None else [w * g for w, g in zip(d, subject.gradients(c))]
        parts += [_norm(s * g) for s, g in zip(self.scales, gradients)]
        self.size = float(sum(np.abs(p).sum(where=np.isfinite(p)) for p in parts))     # φ rounds by ε times that

    def phi(self, point):
        """φ there, a float; NaN where f refuses the point with a ValueError: it is outside f's domain."""
        try:
            if self.d is None:
                return float(np.sum(self.c * self.subject.values(point)))
            return float(sum(np.sum(w * g) for w, g in zip(self.d, self.subject.gradients(self.c, point))))
        except ValueError:
            return math.nan

    def measure(self, k, index):
        """The `Slope` of φ along one element of input k."""
        unit = np.zeros(self.subject.point[k].shape)
        unit[index] = 1.0
        moved = self.subject.along(unit, k)
        return slope(lambda t: self.phi(moved(t)), float(self.scales[k][index]), float(self.gradients[k][index]),
                     self.size)

    def direction(self, rng):
        """Along a random direction v in units of the scales: (⟨γ, v⟩, the size of its terms, φ as a function of t)."""
        v = [s * rng.choice([-1.0, 1.0], s.shape) for s in self.scales]
        terms = [g * w for g, w in zip(self.gradients, v)]
        moved = self.subject.along(v)
        size = _norm(np.array([_norm(t) for t in terms]))
        return float(sum(map(np.sum, terms))), size, lambda t: self.phi(moved(t))


def _norm(values):
    """√Σv², of the finite values, without overflow."""
    values = np.nan_to_num(values, posinf=0, neginf=0)
    largest = np.abs(values).max(initial=0.0)
    return float(largest * np.linalg.norm(values / largest)) if largest else 0.0


def verify(report, form, rng, kinks):
    """Hold γ against differences of φ. Returns whether it stands; kinks met go into ``kinks``, by (input, index)."""
    n = sum(x.size for x in form.subject.point)
    if n:
        exact, _, phi = form.direction(rng)
        report.pictures.append(("curve", f"order {form.order}: error against step", *curve(phi, exact, 1.0)))
    if n <= ONE_BY_ONE[form.order]:
        return all([_one_by_one(report, form, k, kinks) for k in range(len(form.gradients))])
    return _projected(report, form, rng, kinks, n)


def _one_by_one(report, form, k, kinks, limit=None):
    """Measure each element of input k, but for those known to be at a kink."""
    ours = form.gradients[k]
    numeric, allowed, steps, skipped = ours.copy(), np.full(ours.shape, np.inf), [], 0
    for index in list(np.ndindex(ours.shape))[:limit]:
        seen = kinks[k, index][0] if form.order > 1 and (k, index) in kinks else form.measure(k, index)
        if seen.kind in ("unknown", "jump") or seen.kind == "kink" and (form.order > 1 or seen.allows(ours[index])):
            kinks.setdefault((k, index), (seen, None))
            skipped += 1
        else:
            numeric[index] = seen.value
            steps.append(seen.step)
            allowed[index] = RTOL * max(abs(ours[index]), abs(seen.value)) + seen.error
    comparison = Comparison(ours, numeric, allowed)
    error, tolerance = comparison.worst
    elements = [Element(e.index, None, e.yours, e.ours) for e in comparison.elements(4)]
    case = Case(ours, numeric, 1e-5, float(np.max(allowed, initial=0.0, where=np.isfinite(allowed))),
                who="our gradient", what="the measured one", factors=dict(zip(form.subject.names, form.subject.point)))
    tolerance = tolerance if np.isfinite(tolerance) else RTOL
    detail = count(ours.size - skipped) + _span(steps)
    return report.add(form.subject.names[k], f"ours = differences, order {form.order}", error, tolerance, detail,
                      lambda: diagnose(case), elements, comparison.severity)


def _span(steps):
    """``, step 2e-03`` or ``, step 1e-05…2e-03``: the best steps of all elements."""
    if not steps:
        return ""
    smallest, largest = f"{min(steps):.0e}", f"{max(steps):.0e}"
    return f", step {smallest}" + (f"…{largest}" if largest != smallest else "")


def _projected(report, form, rng, kinks, n):
    """Measure along random directions; where one disagrees, look for the elements."""
    exact, numeric, allowed = [], [], []
    for _ in range(DIRECTIONS):
        expected, size, phi = form.direction(rng)
        seen = slope(phi, 1.0, expected, form.size)
        if seen.kind == "smooth":
            exact.append(expected)
            numeric.append(seen.value)
            allowed.append(RTOL * size + seen.error)
    name, statement = "all inputs", f"ours = differences, order {form.order}"
    detail = f"{n} elements, {len(exact)} random directions"
    if len(exact) < DIRECTIONS:
        report.note(f"along {DIRECTIONS - len(exact)} of {DIRECTIONS} directions {form.subject.name} has a kink right "
                    f"at this point (order {form.order}), and they were not compared; move the point a little to test "
                    "all of it")
    if not exact:
        return report.add(name, statement, np.nan, RTOL, detail,
                          Diagnosis("inconclusive", "every direction met a kink; move the point a little"))
    comparison = Comparison(exact, numeric, allowed)
    if not comparison.ok:
        for k in range(len(form.gradients)):
            _one_by_one(report, form, k, kinks, LOCATE // len(form.gradients))
    return report.add(name, statement, *comparison.worst, detail,
                      Diagnosis("none", "see the elements above; or the mistake is beyond those that were searched"))


def dot_test(report, subject, rng):
    """Forward mode against reverse mode, Eq. (3)."""
    c = rng.standard_normal(subject.shape)
    v = [rng.standard_normal(x.shape) for x in subject.point]
    with np.errstate(all="ignore"):
        forward = float(np.sum(c * jvp(subject.f, tuple(subject.leaves()), tuple(map(tensor, v)))[1].numpy()))
    parts = [g * w for g, w in zip(subject.gradients(c), v)]
    reverse, size = float(sum(p.sum() for p in parts)), float(sum(np.abs(p).sum() for p in parts))
    reach = sum(np.abs(w).sum() / np.abs(x).max(initial=1.0) for w, x in zip(v, subject.point))
    tolerance = 1e-9 * size + 1e-12 * np.abs(c * subject.value).sum() * reach + 1e-300
    report.add("all inputs", "forward = reverse mode", abs(forward - reverse), tolerance, "⟨c, Jv⟩ = ⟨Jᵀc, v⟩")


def count(n):
    """``1 element``, ``5 elements``."""
    return f"{n} element{'' if n == 1 else 's'}"
