"""Check a dense Jacobian or Hessian that you derived: against ours, and ours against differences.

J[i…, j…] = ∂f_i…/∂x_j… has the shape ``f(x).shape + x.shape``; H[i…, j…] = ∂²f/∂x_i…∂x_j… has ``x.shape + x.shape`` and
is symmetric.
"""
import numpy as np

from minigen.check import mistakes
from minigen.check.compare import Comparison, epsilon, relative_tolerance, to_host
from minigen.check.diagnosis import Case, diagnose
from minigen.check.gradients import evaluate_claim, noise_floor
from minigen.check.measure import Form, count, tell_of_kinks, verify
from minigen.check.report import NOTHING, Diagnosis, Report
from minigen.check.subject import Subject
from minigen.derivatives import hessian as our_hessian
from minigen.derivatives import jacobian as our_jacobian

__all__ = ["hessian", "jacobian"]


def jacobian(f, x, claimed=None, rtol=None, seed=0):
    """Check the Jacobian of f at x.

    Args:
        f: function of one Tensor that returns a Tensor.
        x: the point, a floating array or Tensor.
        claimed: your Jacobian, of shape ``f(x).shape + x.shape``, or a function of x that returns it.
        rtol, seed: as for `minigen.check.gradient`.

    Returns a `Report`. Raises as `minigen.check.gradient` does.
    """
    subject, rng = Subject("jacobian", f, (x,)), np.random.default_rng(seed)
    report, kinks = Report(f"Jacobian of {subject.name}"), {}
    c = rng.standard_normal(subject.shape)
    form = Form(subject, c, subject.gradients(c))
    if claimed is not None:
        with np.errstate(all="ignore"):
            ours = our_jacobian(f, subject.leaves()[0]).numpy()
        _compare(report, subject, claimed, ours, rtol, lambda index: _entry(subject, index, ours), form)
    verify(report, form, rng, kinks)
    tell_of_kinks(report, form, kinks)
    return report


def hessian(f, x, claimed=None, rtol=None, seed=0):
    """Check the Hessian of a scalar function f at x; ``claimed`` has shape ``x.shape + x.shape``.

    Otherwise as `jacobian`.
    """
    subject, rng = Subject("hessian", f, (x,)), np.random.default_rng(seed)
    if subject.value.size != 1:
        raise ValueError(f"hessian: {subject.name} returned shape {subject.shape}; a Hessian belongs to one number, so "
                         "sum it")
    report, kinks = Report(f"Hessian of {subject.name}"), {}
    c, d = np.ones(subject.shape), [rng.standard_normal(subject.point[0].shape)]
    form = Form(subject, c, subject.second(c, d), d)
    if claimed is not None:
        with np.errstate(all="ignore"):
            ours = our_hessian(f, subject.leaves()[0]).numpy()
        _compare(report, subject, claimed, ours, rtol, lambda index: _second_entry(subject, c, index, ours), None)
    verify(report, form, rng, kinks)
    tell_of_kinks(report, form, kinks)
    return report


def _compare(report, subject, claimed, ours, rtol, measure, form):
    """Yours against ours, as matrices: one row per output element, one column per input element."""
    yours = to_host(evaluate_claim(subject.check, claimed, subject.point))
    if yours.dtype.kind not in "fiu":
        raise TypeError(f"{subject.check}: your {subject.check} has dtype {yours.dtype}; give numbers")
    r = relative_tolerance(yours.dtype) if rtol is None else rtol
    eps = epsilon(yours.dtype)
    largest = np.abs(ours).max(initial=0.0)
    floor = 100 * eps * (largest + np.abs(subject.value).max(initial=0.0) / np.abs(subject.point[0]).max(initial=1.0))
    x = subject.names[0]
    if yours.shape == ours.shape:
        comparison = Comparison(yours, ours, r * np.abs(ours) + floor)
        elements = comparison.elements(4, measure)
        diagnosis = lambda: _diagnose(subject, yours, ours, r, floor, form)  # noqa: E731
        report.add(x, "yours = ours", *comparison.worst, count(ours.size), diagnosis, elements,
                   _matrix(comparison.severity, subject, ours))
    else:
        report.add(x, "yours = ours", np.inf, r, count(ours.size),
                   lambda: _diagnose(subject, yours, ours, r, floor, form))


def _matrix(array, subject, ours):
    """An array of ours' shape as a matrix."""
    columns = subject.point[0].size
    return array.reshape(ours.size // columns if columns else 0, columns)


def _diagnose(subject, yours, ours, r, floor, form):
    """Relations between the matrices;

    failing that, between their products with a random vector, where planted mistakes can be tried.
    """
    x_shape = subject.point[0].shape
    out_shape = ours.shape[:ours.ndim - len(x_shape)]
    if yours.shape != ours.shape and yours.shape == x_shape + out_shape:
        turned = np.moveaxis(yours, range(len(x_shape)), range(len(out_shape), yours.ndim))
        found = _diagnose(subject, turned, ours, r, floor,
                          form) if not Case(turned, ours, r, floor).same(turned, ours) else None
        extra = f"; besides, {found}" if found not in (None,
                                                       NOTHING) else "" if found is None else ", and still differs after turning it"
        return Diagnosis("transpose", f"yours is transposed: shape {yours.shape} instead of {ours.shape}, outputs come "
                                      f"first{extra}")
    if yours.shape != ours.shape:
        return diagnose(Case(yours, ours, r, floor))
    factors = {subject.names[0]: subject.point[0]}
    matrices = Case(_matrix(yours, subject, ours), _matrix(ours, subject, ours), r, floor)
    found = diagnose(matrices)
    if found is not NOTHING:
        return found
    found = diagnose(Case(yours, ours, r, floor, factors=factors))
    if found is not NOTHING or form is None:
        if found is NOTHING and yours.ndim == 2 and not matrices.same(yours, yours.T):
            return Diagnosis("asymmetric", "no simple relation found, but yours is not symmetric, and a Hessian is")
        return found
    graph, mine = mistakes.record(subject, form.c), form.gradients[0]
    noise = float(np.max(noise_floor(subject, form.c, 0, mine, epsilon(yours.dtype)), initial=0.0))
    along = np.tensordot(form.c, yours, axes=len(out_shape))                        # cᵀJ, the gradient of ⟨c, f⟩
    return diagnose(Case(along, mine, r, noise, trials=lambda: mistakes.trials(graph, 0, mine), factors=factors))


def _entry(subject, index, ours):
    """∂f_i/∂x_j by differences."""
    n = len(subject.shape)
    c = np.zeros(subject.shape)
    c[index[:n]] = 1.0
    gradient = ours[index[:n]]
    return Form(subject, c, [gradient]).measure(0, index[n:]).value


def _second_entry(subject, c, index, ours):
    """∂²f/∂x_i∂x_j by differences of our first derivative."""
    n = subject.point[0].ndim
    d = np.zeros(subject.point[0].shape)
    d[index[:n]] = 1.0
    return Form(subject, c, [ours[index[:n]]], [d]).measure(0, index[n:]).value
