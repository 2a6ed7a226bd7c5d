r"""How well a score tells outliers from ordinary examples.

The *receiver operating characteristic* plots, as a threshold falls, the share of outliers found against that of false
alarms. The area under it (AUROC) is the probability that an outlier scores above an ordinary example (J. Hanley and B.
McNeil, 1982), ties counting half:

    A = P(s_out > s_in) + ½ P(s_out = s_in):    ½ is guessing, 1 is perfect.                                   (1)

By ranks: with R the sum of the outliers' ranks among all m + n scores, A = (R − m (m + 1)/2)/(m n).            (2)
Its standard error, from the same counts, is √(A (1 − A) + (m − 1)(Q₁ − A²) + (n − 1)(Q₂ − A²))/√(m n) with
Q₁ = A/(2 − A), Q₂ = 2A²/(1 + A)  (ibid., for exponential scores).                                           (3)
"""
import math

import numpy as np
from scipy import stats

from minigen.tensor import Tensor

__all__ = ["auroc", "roc_curve"]


def _scores(name, inside, outside):
    both = [np.asarray(s.numpy() if isinstance(s, Tensor) else s, dtype=np.float64) for s in (inside, outside)]
    if any(s.ndim != 1 or not s.size or np.isnan(s).any() for s in both):
        raise ValueError(f"{name}: wants two rows of scores without NaN, of ordinary examples and of outliers, got "
                         f"shapes {both[0].shape} and {both[1].shape}")
    return both


def auroc(inside, outside):
    """(A, its standard error) for scores (n,) of ordinary examples and (m,) of outliers; high means outlying.
    Eqs. (2), (3)."""
    inside, outside = _scores("auroc", inside, outside)
    n, m = len(inside), len(outside)
    ranks = stats.rankdata(np.concatenate([outside, inside]))
    A = (ranks[:m].sum() - m * (m + 1) / 2) / (m * n)                                                       # Eq. (2)
    Q1, Q2 = A / (2 - A), 2 * A * A / (1 + A)
    return float(A), math.sqrt(max(A * (1 - A) + (m - 1) * (Q1 - A * A) + (n - 1) * (Q2 - A * A), 0.0) / (m * n))


def roc_curve(inside, outside):
    """(false alarms, found): shares in [0, 1] as the threshold falls, from (0, 0) to (1, 1)."""
    inside, outside = _scores("roc_curve", inside, outside)
    thresholds = np.unique(np.concatenate([inside, outside]))[::-1]
    false_alarms, found = ((s[None, :] >= thresholds[:, None]).mean(axis=1) for s in (inside, outside))
    return np.concatenate([[0.0], false_alarms]), np.concatenate([[0.0], found])
