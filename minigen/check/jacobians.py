"""Check a dense Jacobian or Hessian that you derived: against ours, and ours against differences.

J[i…, j…] = ∂f_i…/∂x_j… has the shape ``f(x).shape + x.shape``; H[i…, j…] = ∂²f/∂x_i…∂x_j… has ``x.shape + x.shape`` and
is symmetric.
"""
import numpy as np

from minigen.check import mistakes
from minigen.check.case import Case
from minigen.check.compare import Comparison, epsilon, relative_tolerance, to_host
from minigen.check.diagnosis import diagnose
from minigen.check.kinks import tell_of_kinks
from minigen.check.measure import Form, count, verify
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
    """Yours against ours, element by element."""
    yours = to_host(subject.evaluate(claimed))
    if yours.dtype.kind not in "fiu":
        raise TypeError(f"{subject.check}: your {subject.check} has dtype {yours.dtype}; give numbers")
    r = relative_tolerance(yours.dtype) if rtol is None else rtol
    through = np.abs(subject.value).max(initial=0.0) / np.abs(subject.point[0]).max(initial=1.0)
    floor = 100 * epsilon(yours.dtype) * (np.abs(ours).max(initial=0.0) + through)
    case = Case(yours, ours, r, floor, factors=dict(zip(subject.names, subject.point)))
    claim = (subject.names[0], "yours = ours")
    if yours.shape != ours.shape:
        report.add(*claim, np.inf, r, count(ours.size), lambda: _why_shape(subject, case, form))
        return
    comparison = Comparison(yours, ours, r * np.abs(ours) + floor)
    heat = _matrix(comparison.severity, subject.point[0].size)
    report.add(*claim, *comparison.worst, count(ours.size), lambda: _why(subject, case, form),
               comparison.elements(4, measure), heat)


def _matrix(array, columns):
    """One row per output element, one column per input element."""
    return array.reshape(array.size // columns if columns else 0, columns)


def _why_shape(subject, case, form):
    """Maybe the axes of the input come first."""
    ours, x_shape = case.ours, subject.point[0].shape
    out_shape = ours.shape[:ours.ndim - len(x_shape)]
    if case.yours.shape != x_shape + out_shape:
        return diagnose(case)
    turned = np.moveaxis(case.yours, range(len(x_shape)), range(len(out_shape), ours.ndim))
    text = f"yours is transposed: shape {case.yours.shape} instead of {ours.shape}, outputs come first"
    if not case.same(turned, ours):
        found = _why(subject, case.with_ours(ours, yours=turned), form)
        text += f"; besides, {found}" if found is not NOTHING else "; and it still differs after turning it"
    return Diagnosis("transpose", text)


def _why(subject, case, form):
    """Relations between the arrays, as they are and as matrices; failing that, mistakes in the backward pass of cᵀJ."""
    n = subject.point[0].size
    found = diagnose(case.with_ours(_matrix(case.ours, n), yours=_matrix(case.yours, n), factors={}))
    found = diagnose(case) if found is NOTHING else found
    if found is NOTHING and form is not None:
        graph, mine = mistakes.record(subject, form.c), form.gradients[0]
        noise = subject.noise_floor(form.c, 0, mine, np.finfo(np.float64).eps).max(initial=0.0)
        along = np.tensordot(form.c, case.yours, axes=form.c.ndim)                # cᵀJ is the gradient of ⟨c, f⟩
        trials = lambda: mistakes.trials(graph, 0, mine)  # noqa: E731
        found = diagnose(Case(along, mine, case.rtol, float(noise), factors=case.factors, trials=trials))
    if found is NOTHING and form is None and case.yours.ndim == 2 and not case.same(case.yours, case.yours.T):
        return Diagnosis("asymmetric", "no simple relation found, but yours is not symmetric, and a Hessian is")
    return found


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
