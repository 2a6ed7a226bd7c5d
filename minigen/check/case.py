"""One disagreement between yours and ours, what counts as equal there, and numbers as people write them."""
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from minigen.check.compare import Comparison

__all__ = ["Case", "and_times", "factor_of", "in_words", "nice"]


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


# ---- numbers that people write ---------------------------------------------------------------------------------------
_CONSTANTS = {np.pi: "π", 2 * np.pi: "2π", np.sqrt(np.pi): "√π", np.sqrt(2 * np.pi): "√(2π)", np.sqrt(2): "√2",
              np.e: "e", np.log(2): "log 2", np.log(4): "log 4", np.log(10): "log 10",
              np.log(2 * np.pi): "log 2π", 0.5 * np.log(2 * np.pi): "½ log 2π"}
_HALVES = {Fraction(1, 2): "½", Fraction(1, 4): "¼", Fraction(3, 4): "¾", Fraction(1, 3): "⅓", Fraction(2, 3): "⅔"}


def nice(c, rtol, few=False):
    """A number as people write it ("2", "−½", "1/60", "√(2π)"), or None if it is not one of those within rtol.

    ``few``: only the most common ones, for where coincidences are likely.
    """
    if not np.isfinite(c) or c == 0:
        return None
    sign, size = "−" if c < 0 else "", abs(c)
    tolerance = max(3 * rtol, 1e-12)
    most = 4 if few or tolerance > 1e-4 else 12                 # the less precise yours is, the fewer numbers are tried
    for value, text in _fractions(size, most, 10 if few else min(1000, 0.02 / tolerance)):
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
    near = round(size) if size > 0.9 else round(1 / size) if size > 1e-6 else 0
    if 1 <= near <= largest:
        yield (near, str(near)) if size > 0.9 else (1 / near, _HALVES.get(Fraction(1, near), f"1/{near}"))
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
    alone = case.loud(ours).sum() < 2                                # one number proves little
    if alone and precision > 1e-5:
        plausible = any(abs(c - short) <= 10 * precision for short in (1, -1, 2, 0.5, -2, -0.5))
    elif alone:
        lengths = [ratio for n in case.sizes for ratio in (n, 1 / n)]
        plausible = nice(c, precision, few=True) or any(abs(c / ratio - 1) <= 10 * precision for ratio in lengths)
    else:
        plausible = free or nice(c, precision)
    return c if plausible else None


def and_times(c, case):
    """What to append to a sentence when a factor c remains; nothing for 1."""
    if abs(c - 1) <= 10 * case.rtol:
        return ""
    if abs(c + 1) <= 10 * case.rtol:
        return ", and the sign is turned"
    return f", and yours is {nice(c, case.rtol)} " + ("times too large" if abs(c) > 1 else "of what it should be")
