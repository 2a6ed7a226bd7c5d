r"""Check a gradient: yours against ours, and ours against differences, which know nothing of either.

Yours (a formula, evaluated at the point) is compared with ours (reverse mode) element by element; where they differ,
the difference is diagnosed. Ours is compared with differences, to first and second order, as told in
`minigen.check.measure`, so that you need not believe it.
"""
import numpy as np

from minigen.check import mistakes
from minigen.check.case import Case
from minigen.check.compare import compare, epsilon, relative_tolerance, to_host
from minigen.check.diagnosis import diagnose
from minigen.check.kinks import tell_of_kinks
from minigen.check.measure import Form, count, dot_test, verify
from minigen.check.report import NOTHING, Report
from minigen.check.subject import Subject

__all__ = ["gradient"]

LOOKED_AT = 200      # wrong elements that are examined for kinks


def gradient(f, *inputs, claimed=None, order=2, terms=None, factors=None, cotangent=None, rtol=None, seed=0,
             names=None):
    """Check the gradient of f at a point: ours against differences and, if you claim one, yours against ours.

    Args:
        f: function of Tensors that returns a Tensor, written with minigen's ops; a scalar, if a gradient is claimed
            without ``cotangent``.
        inputs: the point: floating arrays, Tensors or numbers. They are taken as float64.
        claimed: your gradient: an array for one input, a tuple in the order of the inputs (None to skip one) or a dict
            by name; or a function of the inputs that returns that.
        order: check derivatives up to this order, 1 or 2.
        terms: parts of f by name (functions of the same inputs, or their gradients as arrays), so that a missing one
            can be named.
        factors: arrays by name, such as σ(a), that your gradient may lack as a chain factor. The inputs are always
            tried.
        cotangent: weights of f's outputs; default: 1 for a scalar, random otherwise.
        rtol: relative tolerance for yours; by default 1e-7 if it arrives in float64, 1e-4 in float32.
        seed: of the random cotangents and directions.
        names: of the inputs; by default f's own parameters.

    Returns a `Report`. Raises TypeError and ValueError, in one sentence, for a function that cannot be checked: not a
    Tensor, not float64, random, NaN at the point, changing its input; and for a claim that does not fit the inputs.
    """
    if order not in (1, 2):
        raise ValueError(f"gradient: order must be 1 or 2, got {order!r}")
    subject = Subject("gradient", f, inputs, names)
    rng = np.random.default_rng(seed)
    c = _cotangent(subject, cotangent, claimed is not None, rng)
    ours = subject.gradients(c)
    report, kinks = Report(f"gradient of {subject.name}"), {}
    form = Form(subject, c, ours)
    if claimed is not None:
        _compare_claims(report, form, _claims(subject, claimed), terms or {}, factors or {}, rtol, kinks)
    sound = verify(report, form, rng, kinks)
    if sound and not all(np.isfinite(g).all() for g in ours):
        report.note("ours is infinite somewhere at this point, so the second order and forward mode were not tested")
    elif sound:
        if order == 2:
            d = [rng.standard_normal(x.shape) for x in subject.point]
            verify(report, Form(subject, c, subject.second(c, d), d), rng, kinks)
        dot_test(report, subject, rng)
    tell_of_kinks(report, form, kinks)
    return report


def _cotangent(subject, given, claimed, rng):
    """The weights of the outputs."""
    if given is not None:
        c = np.asarray(to_host(given), dtype=np.float64)
        if c.shape != subject.shape:
            raise ValueError(f"gradient: the cotangent has shape {c.shape}, the output of {subject.name} "
                             f"{subject.shape}; they must be equal")
        return c
    if subject.value.size == 1:
        return np.ones(subject.shape)
    if claimed:
        raise ValueError(f"gradient: {subject.name} returned shape {subject.shape}, and a gradient belongs to one "
                         "number: sum it, pass the weights of its elements as cotangent=, or use check.jacobian")
    return rng.standard_normal(subject.shape)


# ---- yours -----------------------------------------------------------------------------------------------------------
def _claims(subject, claimed):
    """One NumPy array (or None) per input."""
    values = subject.evaluate(claimed)
    if isinstance(values, dict):
        unknown = [name for name in values if name not in subject.names]
        if unknown:
            raise ValueError(f"gradient: you claim a gradient for {unknown[0]!r}, but the inputs are "
                             f"{', '.join(subject.names)}")
        values = [values.get(name) for name in subject.names]
    elif not isinstance(values, (tuple, list)) or len(subject.point) == 1 and not isinstance(values, tuple):
        values = [values]
    if len(values) != len(subject.point):
        raise ValueError(f"gradient: {subject.name} has {len(subject.point)} inputs ({', '.join(subject.names)}), and "
                         f"you claim {len(values)} gradients; give one for each, in a tuple, and None for those you "
                         "leave out")
    arrays = [None if v is None else to_host(v) for v in values]
    for name, array in zip(subject.names, arrays):
        if array is not None and array.dtype.kind not in "fiu":
            raise TypeError(f"gradient: your gradient for {name} has dtype {array.dtype}; give numbers")
    return arrays


def _compare_claims(report, form, yours, terms, factors, rtol, kinks):
    """Yours against ours, input by input."""
    subject, parts = form.subject, _parts(form.subject, terms)
    factors = {**dict(zip(subject.names, subject.point)), **{name: to_host(v) for name, v in factors.items()}}
    for k, (name, mine, theirs) in enumerate(zip(subject.names, form.gradients, yours)):
        if theirs is None:
            continue
        r = relative_tolerance(theirs.dtype) if rtol is None else rtol
        floor = subject.noise_floor(form.c, k, mine, epsilon(theirs.dtype))
        case = Case(theirs, mine, r, float(np.max(floor, initial=0.0)), factors=factors)
        case.terms = {term: part[k] for term, part in parts.items() if part[k] is not None}
        if theirs.shape != mine.shape:
            report.add(name, "yours = ours", np.inf, r, count(mine.size), _why(form, k, case))
            continue
        comparison = compare(theirs, mine, r, floor)
        skipped = _forgive_kinks(form, k, comparison, kinks)
        elements = comparison.elements(4, lambda index, k=k: form.measure(k, index).value)
        why = NOTHING if comparison.ok else _why(form, k, case)
        report.add(name, "yours = ours", *comparison.worst, count(mine.size - skipped), why, elements,
                   comparison.severity)


def _why(form, k, case):
    """Diagnose with all that the graph of f can tell."""
    graph = mistakes.record(form.subject, form.c)
    case.sizes = {**mistakes.axis_lengths(graph), **_lengths(form.subject)}
    if case.yours.shape == case.ours.shape:
        case.trials = lambda: mistakes.trials(graph, k, case.ours)
    return diagnose(case)


def _parts(subject, terms):
    """For each offered term its gradients, one array per input."""
    parts = {}
    for name, part in terms.items():
        if callable(part):
            piece = Subject("gradient", part, subject.point, subject.names)
            if piece.value.size != 1:
                raise ValueError(f"gradient: the term {name!r} returned shape {piece.shape}; like f, a term is one "
                                 "number")
            parts[name] = piece.gradients(np.ones(piece.shape))
        else:
            part = part if isinstance(part, (tuple, list)) else [part]
            parts[name] = [None if p is None else np.asarray(to_host(p), dtype=np.float64) for p in part]
    return parts


def _lengths(subject):
    """What each axis length of the inputs and of the output means: a dict from length to phrase."""
    lengths = {}
    shapes = [*zip(subject.names, [x.shape for x in subject.point]), (f"{subject.name}(...)", subject.shape)]
    for name, shape in reversed(shapes):
        lengths[int(np.prod(shape))] = f"the number of elements of {name}"
        lengths.update({n: f"the length of axis {axis} of {name}" for axis, n in enumerate(shape)})
    return {n: whose for n, whose in lengths.items() if n > 1}


def _forgive_kinks(form, k, comparison, kinks):
    """At a kink several values are right: take those elements out of the comparison. Returns how many."""
    forgiven = 0
    for index in comparison.indices(LOOKED_AT):
        seen = form.measure(k, index)
        if seen.kind == "kink" and seen.allows(comparison.yours[index], float(comparison.allowed[index])):
            kinks[k, index] = seen, comparison.yours[index]
            comparison.wrong[index], comparison.severity[index], comparison.errors[index] = False, 0.0, 0.0
            forgiven += 1
    return forgiven
