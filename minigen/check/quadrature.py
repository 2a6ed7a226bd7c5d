r"""Adaptive integration in one and two dimensions, evaluating whole batches of points at a time.

Every cell is integrated twice with Gauss–Legendre rules of 15 and of 10 points per axis; the difference is its error
estimate. The cells that are not yet good enough are halved along each axis, all at once, until the sum of the errors is
small. So a density is called a few dozen times with thousands of points, where SciPy's `quad` and `dblquad` call it
once per point. Infinite ranges are mapped to (−1, 1) by

    x = c + s t / (1 − t²),     dx = s (1 + t²) / (1 − t²)² dt,                                                   (1)

and half-infinite ones by x = a ± s (1 + t) / (1 − t), where c and s tell where the mass is and how wide.
"""
import itertools

import numpy as np

__all__ = ["Integral", "integrate"]

_FINE, _COARSE = np.polynomial.legendre.leggauss(15), np.polynomial.legendre.leggauss(10)
START = {1: 32, 2: 8}           # cells per axis to begin with
MOST_POINTS = {1: 200_000, 2: 2_000_000}


class Integral(float):
    """The value of an integral, with ``error``, an estimate of how far it is off."""

    def __new__(cls, value, error):
        self = super().__new__(cls, value)
        self.error = float(error)
        return self


def integrate(f, bounds, centre=None, scale=None, rtol=1e-9, atol=1e-12, start=None):
    """∫ f over a box.

    Args:
        f: takes points (n, d) and returns n values, as NumPy arrays. Where it is not finite, the result is NaN.
        bounds: d pairs (low, high), d = 1 or 2; infinite ends are allowed.
        centre, scale: d numbers each: where the mass is, and how wide, for infinite ends; by default 0 and 1.
        rtol, atol: stop when the error estimate is below rtol |I| + atol, or the points are used up.
        start: cells per axis to begin with.

    Returns an `Integral`.
    """
    d = len(bounds)
    centre, scale = np.zeros(d) if centre is None else centre, np.ones(d) if scale is None else scale
    maps = [_map(low, high, c, s) for (low, high), c, s in zip(bounds, centre, scale)]
    edges = np.linspace(-1, 1, (start or START[d]) + 1)
    cells = np.array(list(itertools.product(np.stack([edges[:-1], edges[1:]], axis=1), repeat=d)))       # (m, d, 2)
    total, settled, points = 0.0, 0.0, 0
    while True:
        value, error = _rules(f, maps, cells)
        points += len(cells) * (15 ** d + 10 ** d)
        whole, doubt = total + value.sum(), settled + error.sum()
        allowed = rtol * abs(whole) + atol
        if not np.isfinite(whole) or doubt <= allowed or points > MOST_POINTS[d]:
            return Integral(whole, doubt)
        bad = error > 0.2 * allowed / len(cells)
        noise = error <= 1e-15 * np.abs(value)                        # as good as float64 allows
        bad &= ~noise
        total, settled = total + value[~bad].sum(), settled + error[~bad].sum()
        if not bad.any():
            return Integral(whole, doubt)
        cells = _halve(cells[bad])


def _halve(cells):
    """Each cell in 2^d parts."""
    middle = cells.mean(axis=2, keepdims=True)
    halves = np.stack([np.concatenate([cells[:, :, :1], middle], axis=2),
                       np.concatenate([middle, cells[:, :, 1:]], axis=2)], axis=2)   # (m, d, 2, 2)
    d = cells.shape[1]
    return np.concatenate([np.stack([halves[:, a, choice[a]] for a in range(d)], axis=1)
                           for choice in itertools.product((0, 1), repeat=d)])


def _rules(f, maps, cells):
    """(integral, error estimate) of every cell."""
    fine, coarse = _gauss(f, maps, cells, _FINE), _gauss(f, maps, cells, _COARSE)
    return fine, np.abs(fine - coarse)


def _gauss(f, maps, cells, rule):
    """One Gauss–Legendre rule on every cell."""
    nodes, weights = rule
    d = cells.shape[1]
    half, middle = np.diff(cells, axis=2) / 2, cells.mean(axis=2, keepdims=True)
    t = middle + half * nodes                                         # (m, d, q)
    mapped = [maps[a](t[:, a]) for a in range(d)]                     # per axis (x, dx/dt), each (m, q)
    shape = (len(cells),) + (len(nodes),) * d
    along = [tuple(slice(None) if b in (0, a + 1) else None for b in range(d + 1)) for a in range(d)]
    x = np.stack([np.broadcast_to(mapped[a][0][along[a]], shape) for a in range(d)], axis=-1)
    weight = np.ones(shape)
    for a in range(d):
        weight = weight * (weights * half[:, a] * mapped[a][1])[along[a]]
    values = np.asarray(f(x.reshape(-1, d)), dtype=np.float64).reshape(shape)
    with np.errstate(invalid="ignore"):
        terms = np.where(values == 0, 0.0, values * weight)           # 0 · ∞ at the far ends is 0
    return terms.reshape(len(cells), -1).sum(axis=1)


def _map(low, high, centre, scale):
    """t in (−1, 1) ↦ (x, dx/dt) for one axis."""
    if np.isinf(low) and np.isinf(high):
        return lambda t: (centre + scale * t / (1 - t * t), scale * (1 + t * t) / (1 - t * t) ** 2)  # Eq. (1)
    if np.isinf(high):
        return lambda t: (low + scale * (1 + t) / (1 - t), 2 * scale / (1 - t) ** 2)
    if np.isinf(low):
        return lambda t: (high - scale * (1 - t) / (1 + t), 2 * scale / (1 + t) ** 2)
    return lambda t: (low + (high - low) * (1 + t) / 2, np.full(np.shape(t), (high - low) / 2))
