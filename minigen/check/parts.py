"""Relations of sums and products: a term or a factor that is missing, doubled, or wrong.

Each is a function of a `Case` that speaks only when it explains every element; see `minigen.check.diagnosis`.
"""
import itertools

import numpy as np

from minigen.check.case import and_times, factor_of, nice
from minigen.check.report import Diagnosis

__all__ = ["chain_factor", "function_of", "planted", "term"]


# ---- element by element ----------------------------------------------------------------------------------------------
_FUNCTIONS = {"the square of": np.square, "the square root of": np.sqrt, "one over": np.reciprocal,
              "exp of": np.exp, "log of": np.log, "the absolute value of": np.abs}


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
    return 0.5 + 0.5 * np.tanh(0.5 * v)


_OF_AN_INPUT = {
    "{}": lambda v: v,
    "{}²": np.square,
    "√{}": np.sqrt,
    "1 − {}": lambda v: 1 - v,
    "1 − {}²": lambda v: 1 - v * v,
    "{0}(1 − {0})": lambda v: v * (1 - v),
    "exp({})": np.exp,
    "exp(2 {})": lambda v: np.exp(2 * v),
    "σ({})": _sigmoid,
    "1 − σ({})": lambda v: _sigmoid(-v),
    "σ′({0}) = σ({0})(1 − σ({0}))": lambda v: _sigmoid(v) * _sigmoid(-v),
    "tanh′({0}) = 1 − tanh²({0})": lambda v: 1 - np.tanh(v) ** 2,
    "cos({})": np.cos,
    "sin({})": np.sin,
    "1[{} > 0]": lambda v: (v > 0) * 1.0,
}


def chain_factor(case):
    """yours = ours · h or ours / h, where h is a simple function of an input or of a factor that was offered."""
    factors = {name: v for name, v in case.factors.items() if _broadcasts(v, case.ours.shape)}
    for (name, v), (text, function) in itertools.product(factors.items(), _OF_AN_INPUT.items()):
        h = np.broadcast_to(function(v), case.ours.shape)
        heard = h[case.loud(case.ours)] if case.loud(case.ours).any() else h
        if not np.isfinite(h).all() or not heard.size:
            continue
        constant = np.ptp(heard) <= 1e-6 * np.abs(h).max()               # then there is no room for another factor
        shown = text.format(f"({name})" if " " in name and text != "{}" else name)
        missing = factor_of(case.with_ours(case.ours, yours=case.yours * h))
        if missing is not None and not (constant and and_times(missing, case)):
            return Diagnosis("chain-factor", f"the factor {shown} is missing{and_times(missing, case)}")
        extra = factor_of(case.with_ours(case.ours * h))
        if extra is not None and not (constant and and_times(extra, case)):
            inverse = f", or 1/({shown.partition(' = ')[0]}) is missing" if (h != 0).all() else ""
            text = f"{case.who} has a factor {shown} too many{inverse}{and_times(extra, case)}"
            return Diagnosis("chain-factor", text)
    return _two_factors(case, factors)


def _broadcasts(v, shape):
    """Whether v can be stretched to this shape."""
    try:
        return np.broadcast_shapes(np.shape(v), shape) == shape
    except ValueError:
        return False


def _two_factors(case, factors):
    """yours = ours · a b, ours · a / b or ours / (a b), where a and b were offered."""
    for (a, u), (b, v) in itertools.permutations(factors.items(), 2):
        for h, shown in ((u / v, f"({a})/({b})"), (u * v, f"({a}) · ({b})")):
            if np.isfinite(h).all() and case.same(case.yours * h, case.ours):
                return Diagnosis("chain-factor", f"the factor {shown} is missing")
            if np.isfinite(h).all() and case.same(case.yours, case.ours * h) and " · " in shown:
                return Diagnosis("chain-factor", f"{case.who} has a factor {shown} too many")
    return None


# ---- sums of parts ---------------------------------------------------------------------------------------------------
def term(case):
    """One of the offered terms, or two of them, are missing, doubled, scaled or of the wrong sign."""
    terms = {name: t for name, t in case.terms.items() if t.shape == case.ours.shape and case.loud(t).any()}
    difference = case.yours - case.ours
    for c, (name, t) in itertools.product((-1, 1, -2), terms.items()):
        if case.same(case.yours, case.ours + c * t):
            return _term(name, c, case)
    for name, t in terms.items():
        c = factor_of(case.with_ours(t, yours=difference))
        if c is not None and (difference.size > 1 or nice(c + 1, case.rtol, few=True)):
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
    times = nice(c + 1, case.rtol) or f"{c + 1:.6g}"
    return Diagnosis("term-factor", f"the term {name!r} enters {times} times instead of once")


def planted(case):
    """A mistake in the backward pass reproduces yours."""
    for diagnosis, result in (case.trials() if case.trials else ()):
        if case.same(case.yours, result):
            return diagnosis
    return None
