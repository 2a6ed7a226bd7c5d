r"""Maximum mean discrepancy between two sets of samples, and KID, its form for features of images.

A kernel k(x, y) = ⟨φ(x), φ(y)⟩ compares distributions by their mean embeddings (A. Gretton, K. Borgwardt, M. Rasch,
B. Schölkopf and A. Smola, "A Kernel Two-Sample Test", 2012, JMLR 13):

    MMD²(P, Q) = ‖E φ(x) − E φ(y)‖² = E k(x, x′) + E k(y, y′) − 2 E k(x, y),        x, x′ ~ P,  y, y′ ~ Q.           (1)

For n samples of P and m of Q, independent pairs give an estimate that is unbiased, and may be negative,

    U = Σ_{i≠j} k(xᵢ, xⱼ) / n(n−1)  +  Σ_{i≠j} k(yᵢ, yⱼ) / m(m−1)  −  2 Σᵢⱼ k(xᵢ, yⱼ) / nm.                          (2)

The pairs i = j, each with k(xᵢ, xᵢ) where k(x, x′) belongs, are what biases the plain squared distance of the means,

    V = Σᵢⱼ k(xᵢ, xⱼ) / n²  +  Σᵢⱼ k(yᵢ, yⱼ) / m²  −  2 Σᵢⱼ k(xᵢ, yⱼ) / nm  ≥  0.                                    (3)

Kernels: the Gaussian one sees every difference of distributions, at the scale ℓ; a polynomial of degree p sees moments
up to the p-th. KID is (2) with p = 3 on D features (M. Bińkowski, D. Sutherland, M. Arbel and A. Gretton, "Demystifying
MMD GANs", 2018, arXiv:1801.01401),

    k(x, y) = exp(−‖x − y‖² / 2ℓ²),        k(x, y) = (⟨x, y⟩ / D + 1)^p.                                             (4)

**Its standard error.** Cut both sets into B disjoint blocks; their estimates (2) are independent, and their mean is
unbiased with standard error s / √B, s their standard deviation (W. Zaremba, A. Gretton and M. Blaschko, 2013,
arXiv:1307.1954). Averaging over all ways to cut gives U of the whole sets, and averaging never adds variance: so we
report U of the whole, and s / √B as an upper bound of its standard error. The bound is close where P and Q differ, and
√B times too large where P = Q, since the variance of (2) then falls as 1/n².

**A test.** If P = Q, the n + m samples may change places. The share of random exchanges whose V is at least the
observed one, counting the observed one itself, is a valid p-value.
"""
import dataclasses

import numpy as np
from scipy.spatial.distance import cdist

from minigen.metrics.features import as_features, chunks


def gaussian_kernel(scale):
    """The Gaussian kernel of Eq. (4), a function (n, D), (m, D) → (n, m); ``scale`` is ℓ > 0, in the unit of x."""
    if not scale > 0:
        raise ValueError(f"gaussian_kernel: the scale must be positive, got {scale}")
    return lambda x, y: np.exp(cdist(x, y, "sqeuclidean") / (-2 * scale ** 2))


def polynomial_kernel(degree=3):
    """The polynomial kernel of Eq. (4), a function (n, D), (m, D) → (n, m)."""
    if degree < 1:
        raise ValueError(f"polynomial_kernel: the degree must be at least 1, got {degree}")
    return lambda x, y: (x @ y.T / x.shape[1] + 1) ** degree


def mmd(x, y, kernel, unbiased=True):
    """MMD² between two sets of samples, a float: Eq. (2), or Eq. (3) if not ``unbiased``.

    Args:
        x, y: samples (n, D) and (m, D), arrays or Tensors. kernel: `gaussian_kernel`, `polynomial_kernel` or another
            positive definite function (n, D), (m, D) → (n, m).

    Raises ValueError for shapes that do not fit, fewer than two samples and samples that are not finite.
    """
    x, y = as_features("mmd", x, y)
    within = [_mean_within(kernel, z, unbiased) for z in (x, y)]
    across = sum(float(kernel(x[rows], y).sum()) for rows in chunks(len(x), "kernel")) / (len(x) * len(y))
    return sum(within) - 2 * across


def _mean_within(kernel, x, unbiased):
    """The mean of k over the pairs of one set; without those of a sample with itself if ``unbiased``."""
    n, total = len(x), 0.0
    for rows in chunks(n, "kernel"):
        table = kernel(x[rows], x)                                                         # (chunk, n)
        total += float(table.sum() - unbiased * np.trace(table[:, rows]))
    return total / (n * (n - 1) if unbiased else n * n)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number and its standard error."""
    value: float
    standard_error: float

    def __str__(self):
        return f"{self.value:.4g} ± {self.standard_error:.2g}"


def kid(real, fake, blocks=10, rng=0):
    """KID of two sets of features: an unbiased `Estimate` of MMD² with the cubic kernel. Eqs. (2), (4).

    Args:
        real, fake: features (n, D) and (m, D), arrays or Tensors. They need not be Inception's, and the number is
            comparable only with others of the same features. blocks: B ≥ 2, for the standard error.
        rng: a seed or NumPy Generator, by which the samples are dealt to the blocks.

    Raises ValueError for shapes that do not fit, fewer than two samples a block, and features that are not finite.
    """
    if blocks < 2:
        raise ValueError(f"kid: a standard error takes at least 2 blocks, got {blocks}")
    real, fake = as_features("kid", real, fake, least=2 * blocks)
    kernel, rng = polynomial_kernel(3), np.random.default_rng(rng)
    parts = zip(*(np.array_split(rng.permutation(x), blocks) for x in (real, fake)))
    estimates = [mmd(a, b, kernel) for a, b in parts]
    return Estimate(mmd(real, fake, kernel), float(np.std(estimates, ddof=1) / np.sqrt(blocks)))


def mmd_test(x, y, kernel, exchanges=200, rng=0):
    """(V, p): the biased MMD², Eq. (3), and the p-value of "both sets are drawn from one distribution".

    Args:
        x, y, kernel: as in `mmd`; the table of all (n + m)² pairs is kept.
        exchanges: how many are drawn, with ``rng``, a seed or NumPy Generator. p is at least 1 / (exchanges + 1).

    Raises what `mmd` raises.
    """
    if exchanges < 1:
        raise ValueError(f"mmd_test: wants at least 1 exchange, got {exchanges}")
    x, y = as_features("mmd_test", x, y)
    pooled, rng = np.concatenate([x, y]), np.random.default_rng(rng)
    table = kernel(pooled, pooled)
    weights = np.concatenate([np.full(len(x), 1 / len(x)), np.full(len(y), -1 / len(y))])
    dealt = np.stack([weights, *(rng.permutation(weights) for _ in range(exchanges))])     # (1 + exchanges, n + m)
    values = np.einsum("ei,ei->e", dealt @ table, dealt)                                   # Eq. (3) as wᵀ K w
    tie = 1e-12 * np.abs(table).mean()                                                     # equal up to rounding
    return float(values[0]), (1 + int((values[1:] >= values[0] - tie).sum())) / (1 + exchanges)
