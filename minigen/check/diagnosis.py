"""What a mistake looks like: try the simple explanations, most plausible first, and keep one only if it explains every
element.

A *relation* is a function ``(case) -> Diagnosis or None``. It may only speak when its hypothesis reproduces all of
yours from ours, to the precision in which yours arrived; a coincidence is then out of the question. Where no relation
speaks, the answer is "no simple relation found", never a guess. The relations between arrays are in
`minigen.check.relations`; `minigen.check.mistakes` goes back to the graph of f and repeats the backward pass with one
mistake planted after another.
"""
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from minigen.check.compare import Comparison
from minigen.check.report import NOTHING, Diagnosis

__all__ = ["Case", "diagnose", "in_words", "nice"]


SHARP = 3e-6         # relative precision that float32 arithmetic usually keeps


@dataclass
class Case:
    """One disagreement, and what could explain it.

    Attributes:
        yours, ours: float64 NumPy arrays.
        rtol, floor: what counts as equal (see `minigen.check.compare`).
        who, what: how to call yours and ours in sentences.
        sizes: axis lengths that occur in the computation: a dict from length to a phrase that says whose it is.
        terms: named arrays like ours: parts that may be missing, doubled or of the wrong sign.
        factors: named arrays that broadcast to ours: chain factors that may be missing.
        trials: function without arguments that yields (Diagnosis, array): what comes out after one mistake.
    """
    yours: np.ndarray
    ours: np.ndarray
    rtol: float = 1e-7
    floor: float = 0.0
    who: str = "yours"
    what: str = "ours"
    sizes: dict = field(default_factory=dict)
    terms: dict = field(default_factory=dict)
    factors: dict = field(default_factory=dict)
    trials: object = None

    def __post_init__(self):
        self.yours, self.ours = np.asarray(self.yours, dtype=np.float64), np.asarray(self.ours, dtype=np.float64)

    def same(self, a, b):
        """Whether a equals b everywhere, by the standard of this case."""
        a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
        return a.shape == b.shape and Comparison(a, b, 3 * (self.rtol * np.abs(b) + self.floor)).ok

    def loud(self, a):
        """Which elements of an array stand out of the noise."""
        return np.abs(a) > 1e3 * self.floor + 1e-9 * np.abs(a).max(initial=0.0)

    def with_ours(self, ours, **changes):
        """The same case against another array."""
        return Case(**{**vars(self), "ours": ours, **changes})


def diagnose(case):
    """The first relation that explains the whole disagreement, or `NOTHING`."""
    from minigen.check import relations
    # a few imprecise numbers agree with too much: ask for more digits
    if case.rtol > SHARP and case.loud(case.ours).sum() < 3:
        case = case.with_ours(case.ours, rtol=SHARP, floor=case.floor * SHARP / case.rtol)
    with np.errstate(all="ignore"):
        for relation in relations.IN_ORDER:
            found = relation(case)
            if found is not None:
                return found
    return NOTHING


# ---- numbers that people write ---------------------------------------------------------------------------------------
_CONSTANTS = {np.pi: "π", 2 * np.pi: "2π", np.sqrt(2): "√2", np.sqrt(2 * np.pi): "√(2π)", np.log(2): "log 2", np.e: "e",
              0.5 * np.log(2 * np.pi): "½ log 2π", np.log(2 * np.pi): "log 2π", np.log(4): "log 4",
              np.sqrt(np.pi): "√π", np.log(10): "log 10"}
_HALVES = {Fraction(1, 2): "½", Fraction(1, 4): "¼", Fraction(3, 4): "¾", Fraction(1, 3): "⅓", Fraction(2, 3): "⅔"}


def nice(c, rtol):
    """A number as people write it ("2", "−½", "1/60", "√(2π)"), or None if it is not one of those within rtol."""
    if not np.isfinite(c) or c == 0:
        return None
    sign, size = "−" if c < 0 else "", abs(c)
    tolerance = max(3 * rtol, 1e-12)
    most = 12 if tolerance < 1e-4 else 4                        # the less precise yours is, the fewer numbers are tried
    for value, text in _fractions(size, most, min(1000, 0.02 / tolerance)):
        if abs(size - value) <= tolerance * size:
            return sign + text
    if tolerance < 1e-4:
        for value, text in _CONSTANTS.items():
            for ratio, shown in ((value, text), (1 / value, f"1/{text}")):
                if abs(size - ratio) <= tolerance * size:
                    return sign + shown
    return None


def _fractions(size, most, largest):
    """Whole numbers up to ``largest``, their inverses, and small fractions near ``size``."""
    near = round(size) if size >= 1 else round(1 / size) if size > 1e-6 else 0
    if 1 <= near <= largest:
        yield (near, str(near)) if size >= 1 else (1 / near, _HALVES.get(Fraction(1, near), f"1/{near}"))
    fraction = Fraction(size).limit_denominator(most) if size < most else Fraction(0)
    if fraction and fraction.numerator <= most:
        yield float(fraction), _HALVES.get(fraction, str(fraction))


def in_words(c, who, what, rtol):
    """``yours is 2 times ours everywhere``."""
    text = nice(c, rtol)
    if text == "−1":
        return f"{who} has the opposite sign of {what} everywhere"
    how = f"{text} of" if text and abs(c) < 1 else f"{text or f'{c:.6g}'} times"
    return f"{who} is {how} {what} everywhere"
