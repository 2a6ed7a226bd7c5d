"""Relations between two arrays that a `Diagnosis` can name: each a function of a `Case` that speaks only when it
explains every element.

`IN_ORDER` lists them, the most plausible first.
"""
import itertools

import numpy as np

from minigen.check.diagnosis import in_words, nice
from minigen.check.report import Diagnosis

__all__ = ["IN_ORDER", "factor_of"]

HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


# ---- values that are no numbers --------------------------------------------------------------------------------------
def not_finite(case):
    """NaN or infinity where there should be numbers."""
    bad = ~np.isfinite(case.yours)
    if bad.any() and np.isfinite(case.ours).all():
        return Diagnosis("nan", f"{case.who} is NaN or infinite at {bad.sum()} of {bad.size} elements; look for log "
                                f"0, 0/0 or an overflowing exp")
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
            return Diagnosis("transpose", f"{case.who} is transposed{_and_times(c, case)}: {shapes}")
    return _missing_sum(case, shapes) or _extra_sum(case, shapes) or Diagnosis("shape", f"{shapes}, and no simple "
                                                                                        f"relation found")


def _axes_sets(ndim):
    return [axes for k in range(1, min(ndim, 3) + 1) for axes in itertools.combinations(range(ndim), k)]


def _missing_sum(case, shapes):
    """A sum over some axes of yours gives ours."""
    for axes in _axes_sets(case.yours.ndim):
        for keepdims in (False, True):
            total = case.yours.sum(axis=axes, keepdims=keepdims)
            if total.shape != case.ours.shape:
                continue
            c = factor_of(case.with_ours(case.ours, yours=total))
            if c is None:
                continue
            n = np.prod([case.yours.shape[a] for a in axes])
            if n > 1 and abs(c - n) <= 10 * case.rtol * n:
                return Diagnosis("missing-mean", f"the mean over {_axis(axes)} is missing ({shapes})")
            return Diagnosis("missing-sum", f"the sum over {_axis(axes)} is missing{_and_times(c, case)} ({shapes}); "
                                            f"where an input was "
                             "broadcast along an axis, its gradient is summed over it")
    return None


def _extra_sum(case, shapes):
    """A sum over some axes of ours gives yours."""
    for axes in _axes_sets(case.ours.ndim):
        for keepdims in (False, True):
            total = case.ours.sum(axis=axes, keepdims=keepdims)
            c = factor_of(case.with_ours(total)) if total.shape == case.yours.shape else None
            if c is not None:
                n = np.prod([case.ours.shape[a] for a in axes])
                averaged = n > 1 and abs(c * n - 1) <= 10 * case.rtol
                verb = "averaged" if averaged else "summed"
                return Diagnosis("extra-mean" if averaged else "extra-sum",
                                 f"{case.who} is {verb} over {_axis(axes)}, and should not be"
                                 f"{'' if averaged else _and_times(c, case)} ({shapes})")
    return None


def _axis(axes):
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


# ---- one number
# --------------------------------------------------------------------------------------------------------
def factor_of(case, free=False):
    """c with yours = c · ours everywhere, or None. ``free``: c need not be a number that people write."""
    yours, ours = case.yours, case.ours
    if yours.shape != ours.shape or not ours.size or not np.abs(ours).max() > 0:
        return None
    top = np.unravel_index(np.argmax(np.abs(ours)), ours.shape)
    c = float(yours[top] / ours[top])
    if not np.isfinite(c) or abs(c) < 1e-12 or not case.same(yours, c * ours):
        return None
    precision = case.rtol + case.floor / abs(ours[top])
    alone = case.loud(ours).sum() < 2 and precision > 1e-5           # one imprecise number proves little
    if free or (any(abs(c - short) <= 10 * precision for short in (-1, 2, 0.5, -2, -0.5, 1)) if alone
                else nice(c, precision)):
        return c
    return None


def _and_times(c, case):
    return "" if abs(c - 1) <= 10 * case.rtol else f" and {nice(c, case.rtol)} times too large" if abs(c) > 1 else \
        f" and {nice(c, case.rtol)} of what it should be"


def zero(case):
    """One of the two vanishes."""
    if case.yours.size and not case.loud(case.ours).any() and case.loud(case.yours).any() and case.same(case.ours, 0 * case.ours):
        return Diagnosis("independent", f"{case.what} is zero everywhere: the function does not depend on this input "
                                        f"(is there a detach, a round, "
                         "a comparison on the way?)")
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
    c = factor_of(case, free=True) if np.unique(loud.round(9)).size >= 3 else None
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
    text = nice(c, precision) if precision < 1e-4 else None
    if text is None and difference.size < 3 or np.unique(case.ours).size < min(3, difference.size):
        return None
    count = c / HALF_LOG_2PI
    if round(count) >= 1 and abs(count - round(count)) <= min(10 * precision * count, 0.01):
        text = f"{round(count)} · ½ log 2π (the constant of a Gaussian, once per dimension)" if round(count) > 1 else "½ log 2π (the constant of a Gaussian)"
    return Diagnosis("offset", f"{case.who} is {case.what} {'+' if difference[0] > 0 else '−'} {text or f'{c:.6g}'} "
                               f"everywhere: a constant that does "
                     "not belong, or is missing")


# ---- the same numbers elsewhere
# ----------------------------------------------------------------------------------------
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
            return Diagnosis("transpose", f"{case.who} is transposed{which}{_and_times(c, case)}")
        if case.ours.ndim == 2 and case.same(case.yours + case.yours.T, case.ours):
            return Diagnosis("symmetric", f"{case.who} plus its transpose gives {case.what}: the derivative has two "
                                          f"parts, A and Aᵀ")
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
            if case.same(yours[inside], np.roll(ours, by,
                                                axis=0)[inside]) and case.loud(np.diff(yours[inside], axis=0)).any():
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
                return Diagnosis("edge", f"right but for index {edge} along axis {axis}, where {case.who} is zero: "
                                         f"the {name} element is left "
                                 "out (a range that is off by one?)")
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


# ---- element by element
# --------------------------------------------------------------------------------------------------
_FUNCTIONS = {"the square of": np.square, "the square root of": np.sqrt, "one over": np.reciprocal, "exp of": np.exp,
              "log of": np.log,
              "the absolute value of": np.abs}


def function_of(case):
    """yours is a well-known function of ours."""
    for name, function in _FUNCTIONS.items():
        image = function(case.ours)
        for sign, c in (("", 1), ("minus ", -1)):
            if case.ours.size > 1 and np.isfinite(image).all() and case.same(case.yours, c * image):
                return Diagnosis("function", f"{case.who} is {sign}{name} {case.what}")
    if case.ours.size > 2 and case.same(np.abs(case.yours), np.abs(case.ours)):
        return Diagnosis("sign", f"{case.who} is right up to the sign of some elements")
    return None


def _sigmoid(v):
    return np.where(v >= 0, 1 / (1 + np.exp(-np.abs(v))), np.exp(-np.abs(v)) / (1 + np.exp(-np.abs(v))))


_OF_AN_INPUT = {"{}": lambda v: v, "{}²": np.square, "σ({})": _sigmoid,
                "σ′({0}) = σ({0})(1 − σ({0}))": lambda v: _sigmoid(v) * (1 - _sigmoid(v)),
                "1 − σ({})": lambda v: _sigmoid(-v), "tanh′({0}) = 1 − tanh²({0})": lambda v: 1 - np.tanh(v) ** 2,
                "exp({})": np.exp,
                "exp(2 {})": lambda v: np.exp(2 * v), "cos({})": np.cos, "sin({})": np.sin, "√{}": np.sqrt,
                "1 − {}": lambda v: 1 - v,
                "1[{} > 0]": lambda v: (v > 0) * 1.0, "{0}(1 − {0})": lambda v: v * (1 - v), "1 − {}²": lambda v: 1
                - v * v}


def chain_factor(case):
    """yours = ours · h or ours / h, where h is a simple function of an input or of a factor that was offered."""
    for name, v in case.factors.items():
        try:
            v = np.broadcast_to(v, case.ours.shape)
        except ValueError:
            continue
        for text, function in _OF_AN_INPUT.items():
            h = function(v)
            if not np.isfinite(h).all() or np.ptp(h[case.loud(case.ours)] if case.loud(case.ours).any() else h,
                                                  axis=None) <= 1e-6 * np.abs(h).max():
                continue                                                     # a constant: that is a plain factor
            shown = text.format(f"({name})" if " " in name and text != "{}" else name)
            missing = factor_of(case.with_ours(case.ours, yours=case.yours * h))
            if missing is not None:
                return Diagnosis("chain-factor", f"the factor {shown} is missing{_and_times(missing, case)}")
            extra = factor_of(case.with_ours(case.ours * h))
            if extra is not None:
                inverse = f", or 1/({shown}) is missing" if (h != 0).all() else ""
                return Diagnosis("chain-factor", f"{case.who} has a factor {shown} too "
                                                 f"many{inverse}{_and_times(extra, case)}")
    return _two_factors(case)


def _two_factors(case):
    """yours = ours · a b, ours · a / b or ours / (a b), where a and b were offered."""
    for (a, u), (b, v) in itertools.permutations(case.factors.items(), 2):
        try:
            u, v = np.broadcast_to(u, case.ours.shape), np.broadcast_to(v, case.ours.shape)
        except ValueError:
            continue
        for h, shown in ((u / v, f"({a})/({b})"), (u * v, f"({a}) · ({b})")):
            if np.isfinite(h).all() and case.same(case.yours * h, case.ours):
                return Diagnosis("chain-factor", f"the factor {shown} is missing")
            if np.isfinite(h).all() and case.same(case.yours, case.ours * h) and " · " in shown:
                return Diagnosis("chain-factor", f"{case.who} has a factor {shown} too many")
    return None


# ---- sums of parts
# -------------------------------------------------------------------------------------------------------
def term(case):
    """One of the offered terms, or two of them, are missing, doubled, scaled or of the wrong sign."""
    terms = {name: t for name, t in case.terms.items() if t.shape == case.ours.shape and case.loud(t).any()}
    difference = case.yours - case.ours
    for name, t in terms.items():
        c = factor_of(case.with_ours(t, yours=difference))
        if c is not None:
            return _term(name, c, case)
    for (a, s), (b, t) in itertools.combinations(terms.items(), 2):
        for x, y in itertools.product((-1, 1, -2), repeat=2):
            if case.same(case.yours, case.ours + x * s + y * t):
                return Diagnosis("term", f"{_term(a, x, case)}, and {_term(b, y, case)}")
    return None


def _term(name, c, case):
    """What yours = ours + c · term means."""
    near = lambda value: abs(c - value) <= 30 * case.rtol * max(1, abs(value))  # noqa: E731
    if near(-1):
        return Diagnosis("missing-term", f"the term {name!r} is missing")
    if near(1):
        return Diagnosis("extra-term", f"{case.who} has the term {name!r} once too often")
    if near(-2):
        return Diagnosis("term-sign", f"the term {name!r} has the wrong sign")
    return Diagnosis("term-factor", f"the term {name!r} enters {nice(c + 1, case.rtol) or f'{c + 1:.6g}'} times "
                                    f"instead of once")


def planted(case):
    """A mistake in the backward pass reproduces yours."""
    for diagnosis, result in (case.trials() if case.trials else ()):
        if case.same(case.yours, result):
            return diagnosis
    return None


IN_ORDER = (not_finite, other_shape, zero, constant_factor, term, transposed, chain_factor, planted, shifted, left_out,
            spread, function_of,
            constant_offset, free_factor)
