r"""Modes recovered: how much of a Gaussian mixture a generator covers, and how many of its samples belong to it.

For a mixture of K Gaussians with means μ_k and one standard deviation σ in every direction (A. Srivastava et al.,
"VEEGAN", 2017, arXiv:1705.07761, section 4.1, and Z. Lin et al., "PacGAN", 2017, arXiv:1712.04086): each sample belongs
to its nearest mean, and is of *high quality* if it lies close to it,

    k(x) = argmin_k ‖x − μ_k‖,        ‖x − μ_{k(x)}‖ ≤ 3σ.                                                        (1)

With n_k high-quality samples at mode k out of n,

    quality = Σ_k n_k / n,        mode k is recovered  ⇔  n_k ≥ share · n / K.                                     (2)

The papers count a mode with a single sample as recovered, which a few stray points between the modes achieve; we ask
for ``share`` = 0.1, a tenth of what a perfect generator would put there. That perfect generator's quality is the
probability that a χ² variable with D degrees of freedom is at most 9: 98.9 % in the plane,

    P(‖ε‖ ≤ 3) = 1 − e^{−9/2}    for D = 2.                                                                        (3)
"""
import dataclasses

import numpy as np

from minigen.tensor import Tensor

RADIUS = 3.0                                                    # in standard deviations, Eq. (1)


@dataclasses.dataclass(frozen=True)
class Modes:
    """What `count_modes` found.

    Attributes:
        recovered: how many modes, out of ``total``. quality: fraction of high-quality samples, between 0 and 1.
        counts: n_k, (K,) integers.
    """
    recovered: int
    total: int
    quality: float
    counts: np.ndarray

    def __str__(self):
        return f"{self.recovered} of {self.total} modes, {self.quality:.1%} of samples of high quality"


def count_modes(samples, means, std, share=0.1):
    """Count the modes of a Gaussian mixture that samples recover. Eqs. (1), (2).

    Args:
        samples: (n, D), array or Tensor. means: (K, D). std: σ, a positive number.
        share: how many samples a recovered mode must have, as a fraction of n / K.

    Returns `Modes`. Samples that are not finite are of low quality. Raises ValueError for shapes that do not fit, no
    samples, or std or share that are not positive.
    """
    x, mu = _host(samples), _host(means)
    if x.ndim != 2 or mu.ndim != 2 or x.shape[1] != mu.shape[1] or not len(x) or not len(mu):
        raise ValueError(f"count_modes: wants samples (n, D) and means (K, D) with n, K ≥ 1, got {x.shape} and "
                         f"{mu.shape}")
    if not std > 0 or not share > 0:
        raise ValueError(f"count_modes: std and share must be positive, got {std} and {share}")
    squared = np.stack([np.sum((x - m) ** 2, axis=1) for m in mu], axis=1)                                 # (n, K)
    nearest, distance = squared.argmin(axis=1), np.sqrt(squared.min(axis=1))                               # Eq. (1)
    good = distance <= RADIUS * std                             # NaN compares false
    counts = np.bincount(nearest[good], minlength=len(mu))
    recovered = int((counts >= share * len(x) / len(mu)).sum())                                            # Eq. (2)
    return Modes(recovered, len(mu), float(good.mean()), counts)


def _host(values):
    return np.asarray(values.numpy() if isinstance(values, Tensor) else values, dtype=np.float64)
