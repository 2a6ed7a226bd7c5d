r"""The Fréchet distance between two sets of features, each taken for a Gaussian ("FID").

The 2-Wasserstein distance asks for the coupling of two distributions that moves least,

    d²(P, Q) = inf E‖x − y‖²    over all joint distributions of x ~ P, y ~ Q                                        (1)
             = ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 sup tr C,        C = Cov(x, y).                                       (2)

The second line needs means and covariances only. Between Gaussians every C that leaves the joint covariance positive
semidefinite is possible; these are C = Σ₁^½ K Σ₂^½ with ‖K‖ ≤ 1, and the largest trace is the nuclear norm (the sum of
the singular values) of Σ₁^½ Σ₂^½. So (M. Fréchet, 1957; D. C. Dowson and B. V. Landau, 1982)

    d² = ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 ‖Σ₁^½ Σ₂^½‖_*,       ‖Σ₁^½ Σ₂^½‖_* = tr (Σ₁^½ Σ₂ Σ₁^½)^½ = tr (Σ₁ Σ₂)^½.    (3)

M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler and S. Hochreiter, "GANs Trained by a Two Time-Scale Update Rule
Converge to a Local Nash Equilibrium", 2017, arXiv:1706.08500, fit a Gaussian to the Inception-v3 features of real and
of generated images and report (3), a *squared* distance. Often tr (Σ₁Σ₂)^½ is computed by the root of a matrix that is
not symmetric, and may come out complex; (3) needs the roots of two symmetric matrices, and singular values.

**Few samples.** Two sets of n draws from one Gaussian are not at distance 0: to first order in 1/n, with λ the
eigenvalues of its covariance,

    E[d²] ≈ (2/n) Σᵢ λᵢ + (1/n) Σᵢⱼ λᵢ λⱼ (1 + δᵢⱼ) / (λᵢ + λⱼ),                                                    (4)

which is (2D + D(D + 1)/2) / n if all λ are 1. So compare distances of equal n only (M. J. Chong and D. Forsyth, 2020,
arXiv:1911.07023). With n ≤ D a covariance has rank n − 1 at most, and the distance says little.
"""
import warnings

import numpy as np

from minigen.metrics.features import as_features


def fid(real, fake):
    """The Fréchet distance (squared) between Gaussians fitted to two sets of features. Eq. (3).

    Args:
        real, fake: features (n, D) and (m, D), arrays or Tensors. They need not be Inception's, and the number is
            comparable only with others of the same features and of the same n and m.

    Warns if there are no more samples than features, when the covariances are singular. Raises ValueError for shapes
    that do not fit, fewer than two samples and features that are not finite.
    """
    real, fake = as_features("fid", real, fake)
    n, D = min(len(real), len(fake)), real.shape[1]
    if n <= D:
        warnings.warn(f"fid: {n} samples of {D} features have a covariance of rank {n - 1} at most, so the distance is "
                      f"strongly biased; take many more than {D} samples", stacklevel=2)
    return frechet_distance(*_moments(real), *_moments(fake))


def frechet_distance(mean1, covariance1, mean2, covariance2):
    """d²(N(μ₁, Σ₁), N(μ₂, Σ₂)), the squared 2-Wasserstein distance, a float. Eq. (3).

    Args:
        mean1, mean2: (D,). covariance1, covariance2: (D, D), symmetric and positive semidefinite.

    Raises ValueError for other shapes, and for a covariance that is not symmetric or has a negative eigenvalue.
    """
    mean1, mean2 = (np.asarray(mean, dtype=np.float64) for mean in (mean1, mean2))
    root1, root2 = (_root(np.asarray(covariance, dtype=np.float64)) for covariance in (covariance1, covariance2))
    D = mean1.shape[0] if mean1.ndim == 1 else None
    if mean2.shape != (D,) or not root1.shape == root2.shape == (D, D):
        raise ValueError(f"frechet_distance: wants means (D,) and covariances (D, D), got {mean1.shape}, "
                         f"{root1.shape}, {mean2.shape} and {root2.shape}")
    nuclear = np.linalg.svd(root1 @ root2, compute_uv=False).sum()
    traces = np.sum(root1 ** 2) + np.sum(root2 ** 2)                                       # tr Σ = ‖Σ^½‖²
    return max(float(np.sum((mean1 - mean2) ** 2) + traces - 2 * nuclear), 0.0)            # Eq. (3), up to rounding


def expected_bias(covariance, n):
    """What `fid` of two sets of n draws from one Gaussian is on average, for n ≫ D, a float. Eq. (4)."""
    variances = np.maximum(np.linalg.eigvalsh(np.asarray(covariance, dtype=np.float64)), np.finfo(float).tiny)
    pairs = np.multiply.outer(variances, variances) / np.add.outer(variances, variances)   # (D, D)
    return float(2 * variances.sum() + pairs.sum() + np.trace(pairs)) / n                  # Eq. (4)


def _moments(x):
    """Mean (D,) and unbiased covariance (D, D) of (n, D)."""
    return x.mean(axis=0), np.cov(x, rowvar=False).reshape(x.shape[1], x.shape[1])         # cov of D = 1 is 0-d


def _root(covariance):
    """The symmetric positive semidefinite root of a covariance."""
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise ValueError(f"frechet_distance: a covariance is (D, D), got {covariance.shape}")
    size = np.abs(covariance).max(initial=0)
    if not np.abs(covariance - covariance.T).max(initial=0) <= 1e-8 * size:                # NaN compares false
        raise ValueError("frechet_distance: a covariance is symmetric and finite; this one is not")
    variances, vectors = np.linalg.eigh(covariance)
    if variances.min(initial=0) < -1e-8 * size:
        raise ValueError("frechet_distance: a covariance has no negative eigenvalue; this one has "
                         f"{variances.min():.3g}")
    return vectors * np.sqrt(np.maximum(variances, 0)) @ vectors.T
