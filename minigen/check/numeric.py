r"""Slopes measured by differences: the one witness that knows nothing of anybody's derivative.

For a function g(t) of one number, the central difference D(h) and its extrapolation R(h),

    D(h) = (g(h) − g(−h)) / 2h = g′(0) + h² g‴(0)/6 + …,                                                          (1)
    R(h) = (4 D(h/2) − D(h)) / 3 = g′(0) + O(h⁴),                                                                 (2)

err by truncation, which falls with h, and by rounding, about ε |g| / h, which grows as h falls. So there is a best
step, and it depends on g. `slope` first tries one good guess; where that does not agree with the expected value it
walks down a ladder of steps, and takes the one whose neighbours agree best (C. Ridders 1982). The same ladder tells a
wrong derivative from no derivative: with the one-sided slopes

    L(h) = (g(0) − g(−h)) / h,    R(h) = (g(h) − g(0)) / h,                                                       (3)

R − L falls with h where g is smooth, tends to a constant at a *kink* (|x|, a tie in max), and grows like 1/h at a
*jump*.
"""
from dataclasses import dataclass

import numpy as np

__all__ = ["Slope", "curve", "slope"]

EPSILON = float(np.finfo(np.float64).eps)
RTOL = 1e-6                                              # what a good difference reaches
LADDER = 10.0 ** -np.arange(0.5, 10.5, 0.5)              # steps, in units of the scale
FIRST = 2e-3                                             # the good guess, in the same units


@dataclass(frozen=True)
class Slope:
    """g′(0) as measured: ``value`` ± ``error`` at ``step``.

    ``kind`` is "smooth", "kink", "jump" or "unknown" (not finite around 0); at a kink ``left`` and ``right`` are the
    one-sided slopes.
    """
    value: float
    error: float
    step: float
    kind: str = "smooth"
    left: float = np.nan
    right: float = np.nan

    def allows(self, expected, tolerance=0.0):
        """Whether ``expected`` can be the derivative here; at a kink, any value between the one-sided slopes."""
        if self.kind == "kink":
            low, high = sorted((self.left, self.right))
            slack = RTOL * max(abs(low), abs(high)) + 10 * self.error + tolerance
            return bool(low - slack <= expected <= high + slack)
        return bool(abs(expected - self.value) <= RTOL * max(abs(expected), abs(self.value)) + self.error + tolerance)


def slope(g, scale, expected, size):
    """Measure g′(0), trying harder where the first attempt disagrees with ``expected``.

    Args:
        g: function of one float, finite at 0.
        scale: the step that counts as large; about the size of what is varied.
        expected: the derivative to be confirmed (NaN: walk the ladder anyway).
        size: magnitude of the terms that add up to g, for the rounding error.
    """
    with np.errstate(all="ignore"):
        middle, h = g(0.0), FIRST * scale
        left, right = _one_sided(g, middle, np.array([h, h / 2]))
        wide, narrow = (left + right) / 2                                                            # Eq. (1)
        first = Slope((4 * narrow - wide) / 3, 20 * EPSILON * size / h, h)                           # Eq. (2)
        gap = np.abs(right - left)
        bent = gap[1] > 0.75 * gap[0] and gap[1] > 10 * first.error                        # smooth: gap[1] = gap[0] / 2
        sharp = first.error <= max(1e-4 * abs(first.value), 1e-4 * abs(expected), 1e-9 * size)
        return first if sharp and not bent and first.allows(expected) else _ladder(g, middle, scale, size)


def _one_sided(g, middle, steps):
    """(L, R) of Eq. (3) at each step."""
    return np.array([(middle - g(-h)) / h for h in steps]), np.array([(g(h) - middle) / h for h in steps])


def _noise(g, scale, size):
    """The last digits of g: how much it jitters, on either side, where it should hardly change."""
    tiny = scale * 2e-15 * np.arange(1, 5)
    spread = max(np.ptp([g(t) for t in tiny]), np.ptp([g(-t) for t in tiny]))
    return 4 * spread + 2 * EPSILON * size if np.isfinite(spread) else EPSILON * size


def _ladder(g, middle, scale, size):
    """Walk down all steps and keep the best; then decide whether there is a derivative at all."""
    steps = np.unique(np.concatenate([LADDER * scale, LADDER[:10]]))[::-1] if scale < 1 else LADDER * scale
    left, right = _one_sided(g, middle, steps)
    usable = np.isfinite(left) & np.isfinite(right)
    if usable.sum() < 5:
        return Slope(np.nan, np.inf, np.nan, "unknown")
    steps, left, right = steps[usable], left[usable], right[usable]
    rounding, central = _noise(g, scale, size) / steps, (left + right) / 2
    kind, at = _kind(steps, np.abs(right - left), rounding)
    if kind in ("kink", "jump"):
        return Slope(float(central[at]), float(rounding[at]), float(steps[at]), kind, float(left[at]), float(right[at]))
    # a kink close by: only what is nearer counts
    if kind == "near":
        rest, noise = central[at + 1:], rounding[at + 1:]
        return Slope(float(rest[0]), float(np.ptp(rest[:3]) + 10 * noise[0]), float(steps[at + 1]))
    extrapolated = central[1:] + (central[1:] - central[:-1]) / ((steps[:-1] / steps[1:]) ** 2 - 1)  # Eq. (2)
    change = np.abs(np.diff(extrapolated))
    spread = np.maximum(change[1:], change[:-1]) + rounding[2:-1]            # agreement with both neighbours
    best = int(np.argmin(spread))
    return Slope(float(extrapolated[best + 1]), 2 * float(spread[best]), float(steps[best + 2]))


def _kind(steps, gap, rounding):
    """("smooth" | "near" | "kink" | "jump", position of the smallest step that sees a gap), from gap = |R − L|."""
    clear = np.flatnonzero(gap > 100 * rounding)                             # a gap that rounding cannot explain
    if not clear.size or clear[-1] < 4:
        return "smooth", -1
    at = int(clear[-1])
    growth, shrink = gap[at] / gap[at - 4], steps[at] / steps[at - 4]        # against steps a hundred times larger
    if growth < 0.1:                                                         # gap ~ h
        return "smooth", -1
    if at + 1 < len(steps) and 100 * rounding[at + 1] < 0.3 * gap[at]:       # the next step would have seen it too
        return "near", at
    if growth > 0.3 / shrink:                                                # gap ~ 1/h
        return "jump", at
    return ("kink", at) if growth > 0.3 else ("smooth", -1)


def curve(g, exact, scale):
    """(steps, |D(h) − exact|): the error-against-step curve along one direction."""
    steps = LADDER * scale
    with np.errstate(all="ignore"):
        left, right = _one_sided(g, g(0.0), steps)
        return steps, np.abs((left + right) / 2 - exact)
