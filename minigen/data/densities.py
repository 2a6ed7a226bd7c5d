r"""Densities on the plane that are known exactly: mixtures of Gaussians.

With K components of weight w_k, mean μ_k and standard deviation σ_k, and D = 2,

    p(x) = Σ_k w_k N(x; μ_k, σ_k² I),
    log p(x) = logsumexp_k [log w_k − ‖x − μ_k‖² / (2 σ_k²) − D log σ_k − ½ D log 2π].                           (1)

So what a model has learnt can be compared with the truth, in nats. Every component belongs to a class, its label. A
shape that is no mixture, such as a moon, is drawn as a chain of many small Gaussians, and is then one as exactly as
the others.
"""
import numpy as np

__all__ = ["GaussianMixture", "moons", "ring"]


class GaussianMixture:
    """Eq. (1), on the host, in float64.

    Args:
        means: (K, D). stds: (K,) or one number.
        weights: (K,), positive; they are made to sum to one. By default all are equal.
        labels: (K,) integers, the class of each component, all of 0 … classes − 1 in use. By default each is its own.

    Attributes: means (K, D), stds, weights, labels (K,); classes, how many there are.

    Raises ValueError for shapes that do not fit, a std or weight that is not positive, or labels with a gap.
    """

    def __init__(self, means, stds, weights=None, labels=None):
        self.means = np.asarray(means, dtype=np.float64)
        if self.means.ndim != 2 or not self.means.size:
            raise ValueError(f"GaussianMixture: wants means (K, D), K ≥ 1, got shape {self.means.shape}")
        K = len(self.means)
        self.stds = self._per_component("stds", np.broadcast_to(stds, K) if np.ndim(stds) == 0 else stds)
        weights = self._per_component("weights", np.ones(K) if weights is None else weights)
        self.weights = weights / weights.sum()
        self.labels = np.arange(K) if labels is None else np.asarray(labels)
        if self.labels.shape != (K,) or not np.array_equal(np.unique(self.labels), np.arange(self.labels.max() + 1)):
            raise ValueError(f"GaussianMixture: labels are {K} integers that leave out none of 0 … classes − 1, got "
                             f"{self.labels}")
        self.classes = int(self.labels.max()) + 1

    def _per_component(self, name, values):
        values, K = np.asarray(values, dtype=np.float64), len(self.means)
        if values.shape != (K,) or not np.all(values > 0):
            raise ValueError(f"GaussianMixture: {name} are {K} positive numbers, one a component, got {values}")
        return values

    def sample(self, n, rng=0):
        """(x, y): n points (n, D) float32 and their labels (n,) int64. ``rng`` is a NumPy Generator or a seed."""
        rng = np.random.default_rng(rng)
        k = rng.choice(len(self.means), n, p=self.weights)
        x = self.means[k] + self.stds[k, None] * rng.standard_normal((n, self.means.shape[1]))
        return x.astype(np.float32), self.labels[k].astype(np.int64)

    def log_density(self, x):
        """log p(x) in nats, (…,), for points (…, D). Eq. (1)."""
        return np.logaddexp.reduce(self.log_joint(x), axis=-1)

    def log_joint(self, x):
        """log w_k N(x; μ_k, σ_k² I), (…, K): the terms of Eq. (1)."""
        x = np.asarray(x, dtype=np.float64)
        D = self.means.shape[1]
        if x.shape[-1:] != (D,):
            raise ValueError(f"GaussianMixture: wants points (…, {D}), got shape {x.shape}")
        squares = ((x[..., None, :] - self.means) ** 2).sum(axis=-1)                                # (…, K)
        return np.log(self.weights) - 0.5 * squares / self.stds ** 2 - D * (np.log(self.stds) + 0.5 * np.log(2 * np.pi))

    def given(self, label):
        """p(x|y): the mixture of this class's components alone, one class."""
        if not 0 <= label < self.classes:
            raise ValueError(f"GaussianMixture: labels lie in 0 … {self.classes - 1}, got {label}")
        mine = self.labels == label
        return GaussianMixture(self.means[mine], self.stds[mine], self.weights[mine], np.zeros(mine.sum(), int))

    def noised(self, signal, noise):
        """The density of signal · x + noise · ε with ε ~ N(0, I): again a mixture, of the same components."""
        return GaussianMixture(signal * self.means, np.hypot(signal * self.stds, noise), self.weights, self.labels)


def ring(components=8, radius=2.0, std=0.1):
    """Equal Gaussians on a circle, each its own class: the test by which modes that were forgotten are counted."""
    angles = 2 * np.pi * np.arange(components) / components
    return GaussianMixture(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), std)


def moons(std=0.1, components=32):
    """Two interleaved half circles of radius 1 with noise, classes 0 (upper) and 1.

    Each is a chain of ``components`` Gaussians. They stand π / components apart, so that for ``std``
    above that distance the chain is a smooth band.
    """
    angles = np.pi * (np.arange(components) + 0.5) / components
    upper = np.stack([np.cos(angles) - 0.5, np.sin(angles) - 0.25], axis=1)
    return GaussianMixture(np.concatenate([upper, -upper]), std, labels=np.repeat([0, 1], components))
