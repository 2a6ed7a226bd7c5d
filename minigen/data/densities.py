r"""Densities on the plane that are known exactly, for models to be compared with in nats.

They have one face: ``sample(n, rng) -> (x, labels)``, ``log_density(x)``, ``entropy() -> (value, error)`` and
``classes``. `get` makes them by name:

    p = densities.get("moons")              # names() tells which there are
    x, y = p.sample(1000, rng=0)            # (1000, 2) float32, (1000,) int64
    gap = nll - p.entropy().value           # D_KL(p ‖ model) ≥ 0, if nll is −E_p[log model(x)]

**Mixtures of Gaussians.** With K components of weight w_k, mean μ_k and standard deviation σ_k, and D = 2,

    p(x) = Σ_k w_k N(x; μ_k, σ_k² I),
    log p(x) = logsumexp_k [log w_k − ‖x − μ_k‖² / (2 σ_k²) − D log σ_k − ½ D log 2π].                           (1)

Every component belongs to a class, its label. A curve c(t) with noise, p(x) = ∫ N(x; c(t), σ² I) dt over t in [0, 1],
is drawn as a chain of Gaussians at t = (k + ½)/K, which is a mixture as exactly as the others. It is also the midpoint
rule for that integral: if neighbours stand closer than σ, nobody sees the beads.

The scales are those of FFJORD (W. Grathwohl, R. T. Q. Chen, J. Bettencourt, I. Sutskever, D. Duvenaud, 2018,
arXiv:1810.01367), whose published code made these shapes the usual ones. Where theirs has no density in closed form
ours differs a little: the twist of the pinwheel is by ‖f‖ instead of f₁ (see `minigen.data.planar`), and the spirals'
jitter is Gaussian. Ours are centred at the origin. Entropies of mixtures have no closed form: they are computed on a
grid, with an estimate of the error.
"""
import numpy as np

from minigen.data.planar import Checkerboard, Entropy, Pinwheel, entropy_on_grid

__all__ = ["Checkerboard", "Entropy", "GaussianMixture", "Pinwheel", "circles", "get", "grid", "moons", "names", "ring",
           "spirals", "swiss_roll"]


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
        squares = sum((x[..., d, None] - self.means[:, d]) ** 2 for d in range(D))                          # (…, K)
        return np.log(self.weights) - 0.5 * squares / self.stds ** 2 - D * (np.log(self.stds) + 0.5 * np.log(2 * np.pi))

    def entropy(self):
        """`Entropy` by quadrature, for D = 1 and 2. In more dimensions take −log p averaged over draws."""
        if self.means.shape[1] > 2:
            raise ValueError(f"GaussianMixture.entropy: quadrature is for 1 or 2 dimensions, this mixture has "
                             f"{self.means.shape[1]}; average −log_density(x) over samples")
        margin = 8 * self.stds[:, None]                              # beyond 8σ lies less than 1e-14 of a component
        low, high = (self.means - margin).min(axis=0), (self.means + margin).max(axis=0)
        return entropy_on_grid(self.log_density, low, high, self.stds.min() / 3)

    def given(self, label):
        """p(x|y): the mixture of this class's components alone, one class."""
        if not 0 <= label < self.classes:
            raise ValueError(f"GaussianMixture: labels lie in 0 … {self.classes - 1}, got {label}")
        mine = self.labels == label
        return GaussianMixture(self.means[mine], self.stds[mine], self.weights[mine], np.zeros(mine.sum(), int))

    def noised(self, signal, noise):
        """The density of signal · x + noise · ε with ε ~ N(0, I): again a mixture, of the same components."""
        return GaussianMixture(signal * self.means, np.hypot(signal * self.stds, noise), self.weights, self.labels)


# ---- shapes ----------------------------------------------------------------------------------------------------------
def ring(components=8, radius=2.0, std=0.1):
    """Equal Gaussians on a circle, each its own class: the test by which modes that were forgotten are counted."""
    return GaussianMixture(radius * _circle(np.arange(components) / components), std)


def grid(side=5, apart=2.0, std=0.2):
    """side × side equal Gaussians, ``apart`` from their neighbours, each its own class."""
    at = apart * (np.arange(side) - (side - 1) / 2)
    return GaussianMixture(np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2), std)


def moons(std=0.1, components=32):
    """Two interleaved half circles of radius 1 with noise, classes 0 (upper) and 1.

    Each is a chain of ``components`` Gaussians. They stand π / components apart, so that for ``std``
    above that distance the chain is a smooth band.
    """
    upper = _circle(_middles(components) / 2) - [0.5, 0.25]
    return GaussianMixture(np.concatenate([upper, -upper]), std, labels=np.repeat([0, 1], components))


def circles(radii=(1.5, 3.0), std=0.24):
    """Concentric circles with noise, equally likely, each a class: chains whose beads stand at most 0.8 std apart."""
    counts = [int(np.ceil(2 * np.pi * radius / (0.8 * std))) for radius in radii]
    means = np.concatenate([radius * _circle(_middles(count)) for radius, count in zip(radii, counts)])
    return GaussianMixture(means, std, np.repeat([1 / count for count in counts], counts),
                           np.repeat(np.arange(len(radii)), counts))


def spirals(turns=1.5, std=0.11, components=160):
    """Two arms, each the other turned by 180°, classes 0 and 1: radius t/3 at angle t = 2π · turns · √u, u uniform."""
    t = 2 * np.pi * turns * np.sqrt(_middles(components))
    arm = np.stack([-np.cos(t), np.sin(t)], axis=1) * t[:, None] / 3
    return GaussianMixture(np.concatenate([arm, -arm]), std, labels=np.repeat([0, 1], components))


def swiss_roll(std=0.2, components=192):
    """A spiral of one class, radius t/5 at angle t uniform on [1.5π, 4.5π]: seen from the side, the swiss roll."""
    t = 1.5 * np.pi * (1 + 2 * _middles(components))
    return GaussianMixture(_circle(t / (2 * np.pi)) * t[:, None] / 5, std, labels=np.zeros(components, int))


def _middles(count):
    """(k + ½)/K: the middles of K equal parts of [0, 1]."""
    return (np.arange(count) + 0.5) / count


def _circle(turns):
    """Points (K, 2) of the unit circle, for angles (K,) in whole turns."""
    return np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=1)


# ---- by name ---------------------------------------------------------------------------------------------------------
_BY_NAME = {                                                             # in FFJORD's scale, but 25gaussians and ring
    "8gaussians": lambda: ring(8, 4 / 1.414, 0.5 / 1.414),
    "25gaussians": grid,
    "ring": lambda: circles((2.0,), 0.2),
    "moons": lambda: moons().noised(2.0, 0.0),
    "circles": circles,
    "pinwheel": Pinwheel,
    "spirals": spirals,
    "checkerboard": Checkerboard,
    "swissroll": swiss_roll,
}


def names():
    """The names that `get` knows, a list."""
    return list(_BY_NAME)


def get(name):
    """The density of this name, with its usual scale. Raises ValueError for a name that is not known.

    "ring" is one circle with noise, of one class, where the function `ring` makes separate Gaussians.
    """
    if name not in _BY_NAME:
        raise ValueError(f"densities.get: there is no density {name!r}; there are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]()
