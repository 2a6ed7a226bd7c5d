r"""Check a change of variables: y = T(x), its inverse, and log |det ∂y/∂x|.

A density carried by a bijection T is p_y(y) = p_x(x) |det ∂y/∂x|⁻¹ at y = T(x), so a wrong log-determinant gives a
density that does not integrate to one, and nothing else in training will say so. The witness here is the dense
Jacobian, one per example, by D backward passes, and its slogdet. For the inverse, log |det ∂x/∂y| = −log |det ∂y/∂x|.
"""
import numpy as np

from minigen.autograd import grad
from minigen.check.case import Case
from minigen.check.compare import Comparison, epsilon, relative_tolerance, to_host
from minigen.check.diagnosis import diagnose
from minigen.check.measure import Form, count, verify
from minigen.check.report import NOTHING, Diagnosis, Report
from minigen.check.subject import Subject, name_of
from minigen.primitive import no_grad
from minigen.tensor import tensor

__all__ = ["bijection", "jacobians"]

LARGEST = 1024          # numbers per example; beyond that the dense Jacobian is too much


def bijection(forward, inverse=None, log_det=None, x=None, rtol=None, seed=0):
    """Check a bijection: the round trip both ways, and log |det| of each direction against the dense Jacobian.

    Args:
        forward: x ↦ y, or x ↦ (y, log |det ∂y/∂x|), written with minigen's ops.
        inverse: y ↦ x, or y ↦ (x, log |det ∂x/∂y|); None to leave it out.
        log_det: your log |det ∂y/∂x|, if ``forward`` does not return it: an array, or a function of x.
        x: where to check: (N, *event), N examples.
        rtol: relative tolerance; by default it follows the precision in which the log-determinants arrive.
        seed: of the random directions along which the Jacobian is held against differences.

    Log-determinants have the shape (N,). Returns a `Report`. Raises ValueError if x has no batch axis, if an event is
    larger than 1024 numbers, or if y has another number of elements per example than x; and as `minigen.check.gradient`
    does.
    """
    if x is None or np.ndim(to_host(x)) < 2:
        raise ValueError("bijection: x must hold a batch of examples, (N, *event), got shape "
                         f"{None if x is None else np.shape(to_host(x))}; for one number per example reshape to (N, 1)")
    subject = Subject("bijection", lambda x: _first(forward(x)), (x,), ["x"])
    subject.name = name_of(forward, "T")
    x, n = subject.point[0], subject.point[0].shape[0]
    d = x[0].size if n else 0
    if d > LARGEST:
        raise ValueError(f"bijection: an event has {d} numbers, and its Jacobian would have {d * d}; check it on "
                         f"smaller events (at most {LARGEST} numbers)")
    if subject.value.shape[:1] != (n,) or subject.value.size != x.size:
        raise ValueError(f"bijection: {subject.name} maps {x.shape} to {subject.shape}; a bijection keeps the batch "
                         "axis and the number of elements of each example")
    report = Report(f"bijection {subject.name}")
    matrices, crosstalk = jacobians(subject)
    if crosstalk:
        report.add("y", "examples are independent", crosstalk, 0.0, f"{n} examples",
                   Diagnosis("crosstalk", "the output of one example depends on another (batch statistics?): there is "
                                          "no log-determinant per example; check it in evaluation mode"))
        return report
    _log_dets(report, subject, forward, log_det, matrices, rtol)
    if inverse is not None:
        _round_trips(report, subject, forward, inverse, matrices, rtol)
    rng = np.random.default_rng(seed)
    c = rng.standard_normal(subject.shape)
    verify(report, Form(subject, c, subject.gradients(c)), rng, {})
    return report


def _first(values):
    return values[0] if isinstance(values, tuple) else values


def jacobians(subject):
    """(N, D, D) matrices ∂y_i/∂x_j, one per example, and how strongly examples depend on each other (0: not at all)."""
    x = subject.point[0]
    n, d = x.shape[0], x[0].size if x.shape[0] else 0
    leaves = subject.leaves()
    with np.errstate(all="ignore"):
        out = subject.f(*leaves)
        rows, crosstalk = [], 0.0
        for i in range(d):
            unit = np.zeros((n, d))
            unit[:, i] = 1.0
            rows.append(grad(out, leaves, tensor(unit.reshape(out.shape)), retain_graph=True)[0].numpy().reshape(n, d))
        for k in range(min(n, 4) if n > 1 else 0):              # does an output of example k reach another example?
            unit = np.zeros((n, d))
            unit[k] = np.random.default_rng(k).standard_normal(d)
            reached = grad(out, leaves, tensor(unit.reshape(out.shape)), retain_graph=True)[0].numpy().reshape(n, d)
            crosstalk = max(crosstalk, float(np.abs(np.delete(reached, k, axis=0)).max(initial=0.0)))
    return np.stack(rows, axis=1) if rows else np.zeros((n, 0, 0)), crosstalk


# ---- log-determinants ------------------------------------------------------------------------------------------------
def _log_dets(report, subject, forward, log_det, matrices, rtol):
    """Every log |det ∂y/∂x| that was offered, against slogdet."""
    with np.errstate(all="ignore"):
        ours = np.linalg.slogdet(matrices)[1]
    if np.isneginf(ours).any():
        worst = int(np.argmin(ours))
        report.add("T", "the Jacobian is regular", np.inf, 0.0, count(len(ours)),
                   Diagnosis("singular", f"det = 0 at example {worst}: T is not invertible there (an output that "
                                         "ignores its input, a saturated function, a scale of zero?)"))
        return
    with no_grad():
        values = forward(tensor(subject.point[0]))
        offered = {"log|det ∂y/∂x|": values[1]} if isinstance(values, tuple) else {}
        if log_det is not None:
            offered["log_det"] = log_det(tensor(subject.point[0])) if callable(log_det) else log_det
    for name, yours in offered.items():
        _compare(report, name, to_host(yours), ours, matrices, rtol,
                 "that of the inverse map")


def _compare(report, name, yours, ours, matrices, rtol, about_sign):
    """One log-determinant, yours, against slogdet, ours."""
    r = relative_tolerance(yours.dtype) if rtol is None else rtol
    eps, d = epsilon(yours.dtype), matrices.shape[-1]
    with np.errstate(all="ignore"):
        noise = 1e3 * eps * d * (1 + np.abs(np.log(np.abs(matrices[matrices != 0]))).max(initial=0.0))
    conditions = np.linalg.cond(matrices) if matrices.size else np.ones(len(ours))
    floor = noise + 1e2 * float(np.finfo(float).eps) * conditions.max(initial=1.0)
    case = Case(yours, ours, r, floor, sizes={d: "the number of dimensions", len(ours): "the number of examples"})
    claim, detail = (name, "yours = slogdet"), f"{len(ours)} examples, {d} dimensions"
    if yours.shape != ours.shape:
        report.add(*claim, np.inf, r, detail, lambda: _why(case, matrices, about_sign))
        return
    comparison = Comparison(yours, ours, r * np.abs(ours) + floor)
    report.add(*claim, *comparison.worst, detail, lambda: _why(case, matrices, about_sign), comparison.elements(4),
               comparison.severity)


def _why(case, matrices, about_sign):
    """What is wrong with a log-determinant."""
    found = diagnose(case)
    if found.kind == "nan" and (np.linalg.det(matrices) < 0).any():
        return Diagnosis("nan", found.text + ". Some determinants are negative: take log |det|, not log det")
    if found.kind == "sign":
        return Diagnosis("direction", f"yours has the opposite sign of ours everywhere: it is {about_sign}")
    if found.kind in ("extra-sum", "extra-mean") and case.yours.size == 1:
        return Diagnosis("per-batch", "one number for the whole batch; there must be one per example")
    if found.kind == "missing-sum":
        return Diagnosis("missing-sum", f"the sum over the event is missing: shape {case.yours.shape} instead of "
                                        f"{case.ours.shape}")
    if found.kind == "function" and "exp" in found.text:
        return Diagnosis("function", "yours is the determinant itself: take its logarithm")
    if found is NOTHING and case.yours.shape == case.ours.shape:
        diagonal = np.log(np.abs(np.diagonal(matrices, axis1=1, axis2=2)))
        d = diagonal.shape[1]
        for i in range(d if d > 1 else 0):
            if case.same(case.yours, case.ours - diagonal[:, i]):
                return Diagnosis("missing-term", f"the contribution of dimension {i}, log |∂y_{i}/∂x_{i}|, is missing")
    return found


# ---- round trips -----------------------------------------------------------------------------------------------------
def _round_trips(report, subject, forward, inverse, matrices, rtol):
    """x → y → x and y → x → y, and the log-determinant of the inverse if it gives one."""
    x, y = subject.point[0], subject.value
    with no_grad(), np.errstate(all="ignore"):
        back = inverse(tensor(y))
        x2 = to_host(_first(back))
        if x2.shape != x.shape:
            why = Diagnosis("shape", f"inverse maps {y.shape} to {x2.shape}, and should give {x.shape}")
            report.add("x → y → x", "the round trip returns", np.inf, 0.0, count(x.size), why)
            return
        y2 = to_host(_first(forward(tensor(x2))))
    condition = np.linalg.cond(matrices).max(initial=1.0) if matrices.size else 1.0
    size = max(np.abs(x).max(initial=0.0), np.abs(y).max(initial=0.0))
    for name, yours, ours in (("x → y → x", x2, x), ("y → x → y", y2, y)):
        floor = (1e-9 if rtol is None else rtol) * np.abs(ours).max(initial=0.0)
        floor += 1e3 * epsilon(yours.dtype) * condition * size
        comparison = Comparison(yours, ours, floor)
        report.add(name, "the round trip returns", *comparison.worst, count(ours.size),
                   lambda yours=yours, ours=ours, floor=floor: _why_not_back(yours, ours, floor, _twice(forward, x, y)),
                   comparison.elements(4), comparison.severity)
    if isinstance(back, tuple) and report.ok:
        ours = -np.linalg.slogdet(matrices)[1]
        _compare(report, "log|det ∂x/∂y|", to_host(back[1]), ours, matrices, rtol,
                 "that of the forward map, and the inverse needs a minus")


def _twice(forward, x, y):
    """T(T(x)), or x where T refuses its own values: those of the logit lie outside its domain."""
    try:
        with no_grad(), np.errstate(all="ignore"):
            return to_host(_first(forward(tensor(y.reshape(x.shape)))))
    except ValueError:
        return x


def _why_not_back(yours, ours, floor, twice):
    """What returned instead of what went in: T(T(x)), or x with a scale and a shift per dimension."""
    case = Case(yours, ours, 1e-7, floor, who="what returns", what="what went in")
    if yours.shape == twice.shape and case.same(yours, twice):
        return Diagnosis("direction", "inverse is the forward map once more")
    found, n = diagnose(case), len(ours)
    if found is not NOTHING or n < 3:
        return found
    y, x = yours.reshape(n, -1), ours.reshape(n, -1)
    dx, dy = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = np.sum(dx * dy, axis=0) / np.maximum(np.sum(dx * dx, axis=0), 1e-300)                  # least squares
    shift = y.mean(axis=0) - scale * x.mean(axis=0)
    if not case.same(y, scale * x + shift):
        return found
    parts = [f"multiplied by {np.round(scale[:4], 5).tolist()}"] if np.abs(scale - 1).max() > 1e-6 else []
    parts += [f"shifted by {np.round(shift[:4], 5).tolist()}"] if np.abs(shift).max() > floor else []
    return Diagnosis("affine", f"what returns is what went in, {' and '.join(parts)} (dimension by dimension)")
