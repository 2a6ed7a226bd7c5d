r"""Precision and recall: which part of the generated samples looks real, and which part of the data is generated.

T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen and T. Aila, "Improved Precision and Recall Metric for Assessing
Generative Models", 2019, arXiv:1904.06991. The support of a set X of features is estimated by balls: around each x one
that reaches its k-th nearest neighbour in X,

    r_k(x) = distance from x to its k-th nearest other sample of X,    S(X) = ∪_x { z : ‖z − x‖ ≤ r_k(x) },          (1)

and then

    precision = share of the fake samples that lie in S(real),
    recall    = share of the real samples that lie in S(fake).                                                      (2)

Neither is 1 for two sets of one distribution, since a sample outside all balls may well be drawn. A larger k makes both
larger; the paper takes k = 3.
"""
import numpy as np
from scipy.spatial.distance import cdist

from minigen.metrics.features import as_features, chunks


def precision_recall(real, fake, k=3):
    """(precision, recall), each from 0 to 1. Eqs. (1), (2).

    Args:
        real, fake: features (n, D) and (m, D), arrays or Tensors. k: which neighbour a ball reaches to.

    Raises ValueError for shapes that do not fit, k < 1, no more than k samples, and features that are not finite.
    """
    if k < 1:
        raise ValueError(f"precision_recall: k must be at least 1, got {k}")
    real, fake = as_features("precision_recall", real, fake, least=k + 1)
    return covered(fake, real, k), covered(real, fake, k)                                  # Eq. (2)


def covered(samples, support, k):
    """The share of ``samples`` (n, D) that lie in S(``support``), (m, D). Eqs. (1), (2)."""
    squared_radius = np.concatenate([_kth_nearest(support, rows, k) for rows in chunks(len(support), "neighbours")])
    inside = 0
    for rows in chunks(len(samples), "covering"):
        inside += (cdist(samples[rows], support, "sqeuclidean") <= squared_radius).any(axis=1).sum()
    return float(inside) / len(samples)


def _kth_nearest(x, rows, k):
    """r_k² of some rows of x (n, D). Eq. (1). Each row's own distance, 0, is among the n and comes first."""
    return np.partition(cdist(x[rows], x, "sqeuclidean"), k, axis=1)[:, k].copy()          # a view would keep them all
