r"""Check a gradient: yours against ours, and ours against differences, which know nothing of either.

For a function f with outputs y and a cotangent c drawn at random, the numbers compared are those of

    order 1:   γ = ∂⟨c, f⟩/∂x                 against differences of  φ(x) = ⟨c, f(x)⟩,                          (1)
    order 2:   γ = ∂⟨d, ∂⟨c, f⟩/∂x⟩/∂x        against differences of  φ(x) = ⟨d, ∂⟨c, f⟩/∂x⟩,                    (2)

with a fresh random d, since a form as symmetric as ‖∇f‖² is blind to some mistakes. Up to a few hundred elements each is measured alone;
beyond that φ is measured along random directions v, and ⟨γ, v⟩ compared: a wrong element shows in almost every direction. Forward mode is
held against reverse mode by the dot test ⟨c, J v⟩ = ⟨Jᵀ c, v⟩.
"""
import numpy as np

from minigen.check import mistakes
from minigen.check.compare import Comparison, compare, epsilon, relative_tolerance, to_host
from minigen.check.diagnosis import Case, diagnose
from minigen.check.numeric import RTOL, curve, slope
from minigen.check.report import Diagnosis, Report
from minigen.check.subject import Subject
from minigen.derivatives import jvp
from minigen.tensor import tensor

__all__ = ["gradient"]

ONE_BY_ONE = {1: 200, 2: 50}      # up to so many elements, each is measured alone
DIRECTIONS = 16                   # random directions beyond that
LOOKED_AT = 200                   # wrong elements examined for kinks


def gradient(f, *inputs, claimed=None, order=2, terms=None, factors=None, cotangent=None, rtol=None, seed=0, names=None):
    """Check the gradient of f at a point: ours against differences and, if you claim one, yours against ours.

    Args:
        f: function of Tensors that returns a Tensor, written with minigen's ops; a scalar, if a gradient is claimed without ``cotangent``.
        inputs: the point: floating arrays, Tensors or numbers. They are taken as float64.
        claimed: your gradient: an array for one input, a tuple in the order of the inputs (None to skip one) or a dict by name; or a
            function of the inputs that returns that.
        order: check derivatives up to this order, 1 or 2.
        terms: parts of f by name (functions of the same inputs, or their gradients as arrays), so that a missing one can be named.
        factors: arrays by name, such as σ(a), that your gradient may lack as a chain factor. The inputs are always tried.
        cotangent: weights of f's outputs; default: 1 for a scalar, random otherwise.
        rtol: relative tolerance for yours; by default 1e-7 if it arrives in float64, 1e-4 in float32.
        seed: of the random cotangents and directions.
        names: of the inputs; by default f's own parameters.

    Returns a `Report`. Raises TypeError and ValueError, in one sentence, for a function that cannot be checked: not a Tensor, not float64,
    random, NaN at the point, changing its input; and for a claim that does not fit the inputs.
    """
    if order not in (1, 2):
        raise ValueError(f"gradient: order must be 1 or 2, got {order!r}")
    subject = Subject("gradient", f, inputs, names)
    rng = np.random.default_rng(seed)
    c = _cotangent(subject, cotangent, claimed is not None, rng)
    ours = subject.gradients(c)
    report = Report(f"gradient of {subject.name}")
    if claimed is not None:
        yours = _claims(subject, claimed)
        _compare_claims(report, subject, c, ours, yours, terms or {}, factors or {}, rtol)
    sound = verify_engine(report, subject, c, ours, 1, rng)
    if sound and order == 2:
        d = [rng.standard_normal(x.shape) for x in subject.point]
        verify_engine(report, subject, c, subject.second(c, d), 2, rng, d)
    if sound:
        _dot_test(report, subject, rng)
    return report


def _cotangent(subject, given, claimed, rng):
    if given is not None:
        c = np.asarray(to_host(given), dtype=np.float64)
        if c.shape != subject.shape:
            raise ValueError(f"gradient: the cotangent has shape {c.shape}, the output of {subject.name} {subject.shape}; they must be equal")
        return c
    if subject.value.size == 1:
        return np.ones(subject.shape)
    if claimed:
        raise ValueError(f"gradient: {subject.name} returned shape {subject.shape}, and a gradient belongs to one number: sum it, pass the weights "
                         "of its elements as cotangent=, or use check.jacobian")
    return rng.standard_normal(subject.shape)


# ---- yours -------------------------------------------------------------------------------------------------------------
def evaluate_claim(check, claimed, point):
    """What is claimed, with a function evaluated at the point: on Tensors, or on arrays if it is written for NumPy alone."""
    if not callable(claimed):
        return claimed
    try:
        return claimed(*[tensor(x) for x in point])
    except (TypeError, AttributeError) as first:
        try:
            return claimed(*[x.copy() for x in point])
        except (TypeError, AttributeError):
            raise TypeError(f"{check}: your function failed at this point: {first}") from first


def _claims(subject, claimed):
    """One NumPy array (or None) per input."""
    values = evaluate_claim("gradient", claimed, subject.point)
    if isinstance(values, dict):
        unknown = [name for name in values if name not in subject.names]
        if unknown:
            raise ValueError(f"gradient: you claim a gradient for {unknown[0]!r}, but the inputs are {', '.join(subject.names)}")
        values = [values.get(name) for name in subject.names]
    elif not isinstance(values, (tuple, list)) or len(subject.point) == 1 and not isinstance(values, tuple):
        values = [values]
    if len(values) != len(subject.point):
        raise ValueError(f"gradient: {subject.name} has {len(subject.point)} inputs ({', '.join(subject.names)}), and you claim {len(values)} gradients; "
                         "give one for each, in a tuple, and None for those you leave out")
    arrays = [None if v is None else to_host(v) for v in values]
    for name, array in zip(subject.names, arrays):
        if array is not None and array.dtype.kind not in "fiu":
            raise TypeError(f"gradient: your gradient for {name} has dtype {array.dtype}; give numbers")
    return arrays


def _compare_claims(report, subject, c, ours, yours, terms, factors, rtol):
    graph, lengths = None, {}
    parts = _parts(subject, terms)
    for k, (name, mine, theirs) in enumerate(zip(subject.names, ours, yours)):
        if theirs is None:
            continue
        r = relative_tolerance(theirs.dtype) if rtol is None else rtol
        floor = noise_floor(subject, c, k, ours, epsilon(theirs.dtype))
        if theirs.shape == mine.shape:
            comparison = compare(theirs, mine, r, floor)
            kinks = _forgive_kinks(report, subject, c, k, comparison)
            if comparison.ok:
                report.add(name, "yours = ours", *comparison.worst, _count(mine.size - kinks))
                continue
            sizes, elements = comparison.worst, comparison.elements(4, lambda i: _measured(subject, c, k, i, mine[i]).value)  # noqa: B023
            heat = comparison.severity
        else:
            sizes, elements, heat = (np.inf, r), (), None
        if graph is None:
            graph = mistakes.record(subject, c)
            lengths = _lengths(subject) | {n: w for n, w in mistakes.axis_lengths(graph).items() if n not in _lengths(subject)}
        trials = (lambda k=k, mine=mine: mistakes.trials(graph, k, mine)) if np.size(theirs) == mine.size else None
        case = Case(theirs, mine, r, float(np.max(floor, initial=0.0)), sizes=lengths, terms={n: p[k] for n, p in parts.items() if p[k] is not None},
                    factors={**dict(zip(subject.names, subject.point)), **{n: to_host(v) for n, v in factors.items()}}, trials=trials)
        report.add(name, "yours = ours", *sizes, _count(mine.size), diagnose(case), elements, heat)


def _parts(subject, terms):
    """For each offered term its gradients, one array per input."""
    parts = {}
    for name, part in terms.items():
        if callable(part):
            piece = Subject("gradient", part, subject.point, subject.names)
            if piece.value.size != 1:
                raise ValueError(f"gradient: the term {name!r} returned shape {piece.shape}; like f, a term is one number")
            parts[name] = piece.gradients(np.ones(piece.shape))
        else:
            part = part if isinstance(part, (tuple, list)) else [part]
            parts[name] = [None if p is None else np.asarray(to_host(p), dtype=np.float64) for p in part]
    return parts


def _lengths(subject):
    """What each axis length of the inputs and of the output means."""
    lengths = {}
    for name, shape in [*zip(subject.names, [x.shape for x in subject.point]), (f"{subject.name}(...)", subject.shape)]:
        lengths.setdefault(int(np.prod(shape)), f"the number of elements of {name}")
        lengths.update({n: f"the length of axis {axis} of {name}" for axis, n in enumerate(shape) if n not in lengths or len(shape) == 1})
    return {n: whose for n, whose in lengths.items() if n > 1}


def noise_floor(subject, c, k, ours, eps):
    """The rounding noise that a right gradient of input k carries; see `minigen.check.compare`, Eq. (2)."""
    rng = np.random.default_rng(0)
    moved = [x * (1 + eps * rng.choice([-1.0, 1.0], x.shape)) for x in subject.point]
    with np.errstate(all="ignore"):
        wobble = np.abs(subject.gradients(c, moved)[k] - ours[k])
    largest = np.abs(subject.point[k]).max(initial=1.0)
    return 10 * np.nan_to_num(wobble) + 100 * eps * (np.abs(ours[k]).max(initial=0.0) + np.abs(c * subject.value).sum() / largest)


def _measured(subject, c, k, index, expected):
    """The `Slope` of ⟨c, f⟩ along one element of input k."""
    unit = np.zeros(subject.point[k].shape)
    unit[index] = 1.0
    moved = subject.along(unit, k)
    return slope(lambda t: float(np.sum(c * subject.values(moved(t)))), float(subject.scales()[k][index]), float(expected),
                 float(np.abs(c * subject.value).sum()))


def _forgive_kinks(report, subject, c, k, comparison):
    """At a kink several values are right: take those elements out of the comparison, and say so. Returns how many."""
    forgiven = []
    for index in comparison.indices(LOOKED_AT):
        seen = _measured(subject, c, k, index, np.nan)
        if seen.kind == "kink" and seen.allows(comparison.yours[index], float(comparison.allowed[index])):
            report.note(f"{_at(subject, k, index)} is at a kink or tie: slope {seen.left:.4g} from the left, {seen.right:.4g} from the right. Yours is "
                        f"{comparison.yours[index]:.4g}, ours {comparison.ours[index]:.4g}: both are valid choices")
            forgiven.append(index)
    for index in forgiven:
        comparison.wrong[index], comparison.severity[index], comparison.errors[index] = False, 0.0, 0.0
    return len(forgiven)


def _at(subject, k, index):
    place = f"[{', '.join(map(str, index))}]" if index else ""
    return f"{subject.names[k]}{place} = {subject.point[k][index]:.6g}"


def _count(n):
    return f"{n} element{'' if n == 1 else 's'}"


# ---- ours ----------------------------------------------------------------------------------------------------------------
def verify_engine(report, subject, c, ours, order, rng, d=None):
    """Hold our derivative of this order against differences of φ, Eq. (1) or (2). Returns whether it stands."""
    if order == 1:
        phi = lambda point: float(np.sum(c * subject.values(point)))  # noqa: E731
        size = float(np.abs(c * subject.value).sum())
    else:
        phi = lambda point: float(sum(np.sum(w * g) for w, g in zip(d, subject.gradients(c, point))))  # noqa: E731
        size = float(sum(np.abs(w * g).sum() for w, g in zip(d, subject.gradients(c))))
    scales = subject.scales()
    v = [s * rng.choice([-1.0, 1.0], s.shape) for s in scales]
    along = subject.along(v)
    exact = float(sum(np.sum(g * w) for g, w in zip(ours, v)))
    if sum(x.size for x in subject.point):
        report.pictures.append(("curve", f"order {order}", *curve(lambda t: phi(along(t)), exact, 1.0)))
    if sum(x.size for x in subject.point) <= ONE_BY_ONE[order]:
        return all([_one_by_one(report, subject, phi, size, k, g, scales[k], order) for k, g in enumerate(ours)])
    return _projected(report, subject, phi, size, ours, scales, order, rng)


def _one_by_one(report, subject, phi, size, k, ours, scales, order, limit=None, statement="ours = differences, order {}"):
    """Measure each element of input k."""
    numeric, allowed, kinks = ours.copy(), np.full(ours.shape, np.inf), 0
    for index in list(np.ndindex(ours.shape))[:limit]:
        unit = np.zeros(ours.shape)
        unit[index] = 1.0
        moved = subject.along(unit, k)
        seen = slope(lambda t: phi(moved(t)), float(scales[index]), float(ours[index]), size)  # noqa: B023
        if seen.kind == "unknown" or seen.kind != "smooth" and seen.allows(ours[index]) or seen.kind == "jump":
            _describe(report, subject, k, index, seen, ours[index], order)
            kinks += 1
            continue
        numeric[index] = seen.value
        allowed[index] = RTOL * max(abs(ours[index]), abs(seen.value)) + seen.error
    comparison = Comparison(ours, numeric, allowed)
    elements = [type(e)(e.index, None, e.yours, e.ours) for e in comparison.elements(4)]
    case = Case(ours, numeric, 1e-5, float(np.max(allowed[np.isfinite(allowed)], initial=0.0)), who="our gradient", what="the measured one",
                sizes=_lengths(subject), factors=dict(zip(subject.names, subject.point)))
    measured = comparison.worst if np.isfinite(comparison.worst[1]) else (0.0, RTOL)
    return report.add(subject.names[k], statement.format(order), *measured, _count(ours.size - kinks), lambda: diagnose(case), elements,
                      comparison.severity)


def _describe(report, subject, k, index, seen, ours, order):
    """Say what is special about a point without derivative."""
    what = _at(subject, k, index)
    if seen.kind == "kink":
        of = "" if order == 1 else " of the first derivative"
        report.note(f"{what} is at a kink or tie{of}: slope {seen.left:.4g} from the left, {seen.right:.4g} from the right; ours, {ours:.4g}, lies between "
                    "them and is a valid choice")
    elif seen.kind == "jump":
        report.note(f"{what} is at a jump{'' if order == 1 else ' of the first derivative'}: there is no derivative to compare with")
    else:
        report.note(f"{what} is at the edge of where {subject.name} is finite: nothing to measure on one side, so it was not compared")


def _projected(report, subject, phi, size, ours, scales, order, rng):
    """Measure along random directions; where one disagrees, look for the elements."""
    exact, numeric, allowed, kinks = [], [], [], 0
    for _ in range(DIRECTIONS):
        v = [s * rng.choice([-1.0, 1.0], s.shape) for s in scales]
        moved = subject.along(v)
        expected = float(sum(np.sum(g * w) for g, w in zip(ours, v)))
        terms = float(np.sqrt(sum(np.sum((g * w) ** 2) for g, w in zip(ours, v))))
        seen = slope(lambda t: phi(moved(t)), 1.0, expected, size)  # noqa: B023
        if seen.kind != "smooth":
            kinks += 1
            continue
        exact.append(expected), numeric.append(seen.value), allowed.append(RTOL * terms + seen.error)
    n = sum(x.size for x in subject.point)
    if kinks:
        report.note(f"order {order}: along {kinks} of {DIRECTIONS} directions {subject.name} has a kink right at this point, and no derivative; they were "
                    "not compared. Move the point a little to test all of it")
    comparison = Comparison(exact, numeric, allowed)
    detail = f"{n} elements, {len(exact)} random directions"
    if comparison.ok and exact:
        return report.add("all inputs", f"ours = differences, order {order}", *comparison.worst, detail)
    if not exact:
        return report.add("all inputs", f"ours = differences, order {order}", np.nan, RTOL, detail,
                          Diagnosis("inconclusive", "every direction met a kink; move the point a little"))
    sizes = [x.size for x in subject.point]
    found = [_one_by_one(report, subject, phi, size, k, g, scales[k], order, 1000 // len(sizes)) for k, g in enumerate(ours)]
    return all(found) and report.add("all inputs", f"ours = differences, order {order}", *comparison.worst, detail)


def _dot_test(report, subject, rng):
    """⟨c, J v⟩ = ⟨Jᵀ c, v⟩: forward mode against reverse mode."""
    c = rng.standard_normal(subject.shape)
    v = [rng.standard_normal(x.shape) for x in subject.point]
    forward = float(np.sum(c * jvp(subject.f, tuple(subject.leaves()), tuple(tensor(w) for w in v))[1].numpy()))
    parts = [g * w for g, w in zip(subject.gradients(c), v)]
    reverse, size = float(sum(p.sum() for p in parts)), float(sum(np.abs(p).sum() for p in parts))
    report.add("all inputs", "forward = reverse mode", abs(forward - reverse), 1e-9 * size + 1e-300, "⟨c, Jv⟩ = ⟨Jᵀc, v⟩")
