"""Relations between two arrays: of shape, of one number, of place.

Each is a function of a `Case` that speaks only when it explains every element. Those of sums and products of parts are
in `minigen.check.parts`. `IN_ORDER` lists all of them, the most plausible first.
"""
import itertools

import numpy as np

from minigen.check.case import and_times, factor_of, in_words, nice
from minigen.check.parts import chain_factor, function_of, planted, term
from minigen.check.report import Diagnosis

__all__ = ["IN_ORDER"]

HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


# ---- values that are no numbers --------------------------------------------------------------------------------------
def not_finite(case):
    """NaN or infinity where there should be numbers."""
    bad = ~np.isfinite(case.yours)
    if bad.any() and np.isfinite(case.ours).all():
        return Diagnosis("nan", f"{case.who} is NaN or infinite at {bad.sum()} of {bad.size} elements; look for log 0, "
                                "0/0 or an overflowing exp")
    return None


# ---- shapes ----------------------------------------------------------------------------------------------------------
def other_shape(case):
    """Everything that can be said of two arrays of different shapes."""
    yours, ours = case.yours, case.ours
    if yours.shape == ours.shape:
        return None
    shapes = f"shape {yours.shape} instead of {ours.shape}"
    if yours.size == ours.size and case.same(yours.reshape(ours.shape), ours):
        return Diagnosis("shape", f"right numbers in the wrong shape: {shapes}")
    if yours.ndim == ours.ndim == 2 and yours.T.shape == ours.shape:
        c = factor_of(case.with_ours(ours, yours=yours.T))
        if c is not None:
            return Diagnosis("transpose", f"{case.who} is transposed{and_times(c, case)}: {shapes}")
    nothing = Diagnosis("shape", f"{shapes}, and no simple relation found")
    return _missing_sum(case, shapes) or _extra_sum(case, shapes) or nothing


def _axes_sets(ndim):
    return [axes for k in range(1, min(ndim, 3) + 1) for axes in itertools.combinations(range(ndim), k)]


def _missing_sum(case, shapes):
    """A sum over some axes of yours gives ours."""
    for axes, keepdims in itertools.product(_axes_sets(case.yours.ndim), (False, True)):
        c = factor_of(case.with_ours(case.ours, yours=case.yours.sum(axis=axes, keepdims=keepdims)))
        if c is None:
            continue
        n = np.prod([case.yours.shape[a] for a in axes])
        if n > 1 and abs(c - n) <= 10 * case.rtol * n:
            return Diagnosis("missing-mean", f"the mean over {_axis(axes)} is missing ({shapes})")
        return Diagnosis("missing-sum", f"the sum over {_axis(axes)} is missing{and_times(c, case)} ({shapes}); what "
                                        "is broadcast along an axis on the way in is summed over it on the way back")
    return None


def _extra_sum(case, shapes):
    """A sum over some axes of ours gives yours."""
    for axes, keepdims in itertools.product(_axes_sets(case.ours.ndim), (False, True)):
        c = factor_of(case.with_ours(case.ours.sum(axis=axes, keepdims=keepdims)))
        if c is None:
            continue
        n = np.prod([case.ours.shape[a] for a in axes])
        if n > 1 and abs(c * n - 1) <= 10 * case.rtol:
            return Diagnosis("extra-mean", f"{case.who} is averaged over {_axis(axes)}, and should not be ({shapes})")
        more = and_times(c, case)
        return Diagnosis("extra-sum", f"{case.who} is summed over {_axis(axes)}, and should not be{more} ({shapes})")
    return None


def _axis(axes):
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


# ---- one number ------------------------------------------------------------------------------------------------------
def zero(case):
    """One of the two vanishes."""
    silent = not case.loud(case.ours).any() and case.same(case.ours, 0 * case.ours)
    if silent and case.loud(case.yours).any():
        return Diagnosis("independent", f"{case.what} is zero everywhere: the function does not depend on this input "
                                        "(is there a detach, a round, a comparison on the way?)")
    if case.same(case.yours, 0 * case.ours):
        return Diagnosis("zero", f"{case.who} is zero everywhere")
    return None


def constant_factor(case):
    """yours = c · ours."""
    c = factor_of(case)
    if c is None:
        return None
    if abs(c + 1) <= 10 * case.rtol:
        return Diagnosis("sign", in_words(c, case.who, case.what, case.rtol))
    text = in_words(c, case.who, case.what, case.rtol)
    for n, whose in case.sizes.items():
        for ratio, kind, why in ((n, "sum-for-mean", "summed where it should be averaged"),
                                 (1 / n, "mean-for-sum", "averaged where it should be summed")):
            if n > 1 and abs(c / ratio - 1) <= 10 * case.rtol:
                hint = f"{n} is {whose}: {why}"
                return Diagnosis("factor", f"{text} ({hint}?)") if n == 2 else Diagnosis(kind, f"{text}; {hint}")
    return Diagnosis("factor", text)


def free_factor(case):
    """yours = c · ours with some number c, which takes at least three different elements to believe."""
    loud = np.abs(case.ours[case.loud(case.ours)]) if case.ours.shape == case.yours.shape else np.empty(0)
    c = factor_of(case, free=True) if np.unique((loud / loud.max(initial=1e-300)).round(9)).size >= 3 else None
    if c is None:
        return None
    norm = np.linalg.norm(case.ours)
    why = ", which is 1 over the norm of ours: it was normalised" if abs(c * norm - 1) <= 10 * case.rtol else ""
    return Diagnosis("factor", in_words(c, case.who, case.what, case.rtol) + why)


def constant_offset(case):
    """yours = ours + c."""
    difference = (case.yours - case.ours).ravel()
    if not difference.size or not case.same(case.yours, case.ours + difference[0]):
        return None
    c = abs(float(difference[0]))
    precision = (case.rtol * np.abs(case.ours).max() + case.floor) / max(c, 1e-300)
    text = nice(c, precision, few=difference.size < 3) if precision < 1e-4 else None
    if text is None and difference.size < 3 or np.unique(case.ours).size < min(3, difference.size):
        return None
    count = c / HALF_LOG_2PI
    if round(count) >= 1 and abs(count - round(count)) <= min(10 * precision * count, 0.01):
        often = f"{round(count)} · " if round(count) > 1 else ""
        text = f"{often}½ log 2π (the constant of a Gaussian, once per dimension)"
    sign = "+" if difference[0] > 0 else "−"
    return Diagnosis("offset", f"{case.who} is {case.what} {sign} {text or f'{c:.6g}'} everywhere: a constant that "
                               f"does "
                               "not belong, or is missing")


# ---- the same numbers elsewhere --------------------------------------------------------------------------------------
def transposed(case):
    """yours is ours with two axes exchanged (and maybe a factor)."""
    shape = case.ours.shape
    for a, b in itertools.combinations(range(case.ours.ndim), 2):
        if shape[a] != shape[b]:
            continue
        turned = np.swapaxes(case.ours, a, b)
        c = None if case.same(turned, case.ours) else factor_of(case.with_ours(turned))
        if c is not None:
            which = "" if case.ours.ndim == 2 else f" (axes {a} and {b})"
            return Diagnosis("transpose", f"{case.who} is transposed{which}{and_times(c, case)}")
        if case.ours.ndim == 2 and case.same(case.yours + case.yours.T, case.ours):
            return Diagnosis("symmetric", f"{case.who} plus its transpose gives {case.what}: the derivative has two "
                                          "parts, A and Aᵀ")
    if case.ours.ndim == 2 and shape[0] == shape[1] > 1 and case.same(case.yours, np.diag(np.diag(case.ours))):
        return Diagnosis("diagonal", f"{case.who} has the diagonal of {case.what} and nothing beside it")
    return None


def shifted(case):
    """yours is ours moved by one place, or reversed, along an axis."""
    for axis, n in enumerate(case.ours.shape):
        ours, yours = np.moveaxis(case.ours, axis, 0), np.moveaxis(case.yours, axis, 0)
        if n < 3 or case.same(ours[1:], ours[:-1]):
            continue
        for by, index in ((1, "i − 1"), (-1, "i + 1")):
            inside = slice(1, None) if by > 0 else slice(None, -1)
            here, there = yours[inside], np.roll(ours, by, axis=0)[inside]
            if case.same(here, there) and case.loud(np.diff(here, axis=0)).any():
                return Diagnosis("shift", f"off by one along axis {axis}: yours[i] is ours[{index}]")
        if case.same(yours, ours[::-1]):
            return Diagnosis("reversed", f"{case.who} is reversed along axis {axis}")
    return None


def left_out(case):
    """Right everywhere but in the first or last slice along an axis, where yours is zero or repeats a neighbour."""
    for axis, n in enumerate(case.ours.shape):
        ours, yours = np.moveaxis(case.ours, axis, 0), np.moveaxis(case.yours, axis, 0)
        for edge, rest, name in ((0, slice(1, None), "first"), (n - 1, slice(None, -1), "last")):
            if n > 2 and case.same(yours[rest], ours[rest]) and case.same(yours[edge], 0 * ours[edge]):
                return Diagnosis("edge", f"right but for index {edge} along axis {axis}, where {case.who} is zero: the "
                                         f"{name} element is left out (a range that is off by one?)")
    return None


def spread(case):
    """yours is constant along an axis, and holds the sum or mean of ours along it."""
    for axis, n in enumerate(case.ours.shape):
        for verb, total in (("summed", case.ours.sum(axis=axis, keepdims=True)),
                            ("averaged", case.ours.mean(axis=axis, keepdims=True))):
            wide = np.broadcast_to(total, case.ours.shape)
            if n > 1 and not case.same(case.ours, wide) and case.loud(wide).any() and case.same(case.yours, wide):
                return Diagnosis("extra-sum", f"{case.who} is {verb} over axis {axis} and spread back over it")
    return None


IN_ORDER = (not_finite, other_shape, zero, constant_factor, term, transposed, chain_factor, planted, shifted,
            left_out, spread, function_of, constant_offset, free_factor)
