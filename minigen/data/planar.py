r"""Two densities on the plane that are no mixtures of Gaussians, and the entropy of any density there.

**Checkerboard.** Uniform on the 8 black squares of a 4 × 4 board. With squares of side a, black ones of area 8 a² in
all,

    log p(x) = −log 8a²  on black,  −∞  elsewhere;      H = log 8a².                                             (1)

**Pinwheel.** K petals, then a twist. In the frame of petal k ~ Uniform{0 … K − 1} a point f ~ N((1, 0), diag(σ_r²,
σ_t²)) is drawn, and turned by an angle that grows with its distance ‖f‖ from the centre:

    x = s R(θ_k) f,    θ_k = 2πk/K + γ e^‖f‖,    R(θ) the rotation by θ.                                         (2)

A rotation whose angle depends on the distance alone preserves area: in polar coordinates it is (r, φ) → (r, φ + g(r)),
a shear, whose determinant is 1. And since ‖f‖ = ‖x‖/s it is undone exactly, so

    p(x) = s⁻² Σ_k (1/K) N(R(−θ_k) x/s; (1, 0), diag(σ_r², σ_t²)).                                               (3)

**Entropy.** H = −∫ p log p. On a grid of spacing h the trapezoidal rule for a smooth function that vanishes at the rim
converges faster than any power of h, so that the difference between spacing h and spacing 2h is the error of the
coarser grid: a generous estimate of that of the finer one (L. N. Trefethen and J. A. C. Weideman, The exponentially
convergent trapezoidal rule, SIAM Review 56, 2014).
"""
from typing import NamedTuple

import numpy as np

__all__ = ["Checkerboard", "Entropy", "Pinwheel", "entropy_on_grid"]


ROUNDING = 1e-12                                    # of a sum of some 10⁵ terms that add up to about 1, with room


class Entropy(NamedTuple):
    """H = −E[log p] in nats, and an estimate of the error of this number: 0.0 where it is a closed form."""
    value: float
    error: float


def entropy_on_grid(log_density, low, high, step):
    """H in nats of a density in 1 or 2 dimensions by the trapezoidal rule, an `Entropy`.

    Args:
        log_density: function from points (…, D) to log p (…,).
        low, high: (D,) corners of a box with all but a negligible part of the mass.
        step: h, at most about a third of the smallest standard deviation in the density.
    """
    axes = [np.arange(a, b + 2 * step, step) for a, b in zip(low, high)]

    def row(first):                                                  # −p log p at all points with this first coordinate
        log_p = log_density(np.stack(np.meshgrid([first], *axes[1:], indexing="ij"), axis=-1)[0])
        p = np.exp(log_p)
        return -p * np.where(p > 0, log_p, 0.0)                                              # p log p → 0 where p → 0

    terms = np.stack([row(first) for first in axes[0]])
    every_other = tuple(slice(None, None, 2) for _ in axes)
    fine, coarse = terms.sum() * step ** len(axes), terms[every_other].sum() * (2 * step) ** len(axes)
    return Entropy(float(fine), max(float(abs(fine - coarse)), ROUNDING))


def _points(name, x):
    x = np.asarray(x, dtype=np.float64)
    if x.shape[-1:] != (2,):
        raise ValueError(f"{name}: wants points (…, 2), got shape {x.shape}")
    return x


class Checkerboard:
    """Eq. (1), centred at the origin. Each black square is a class, numbered row by row from the bottom.

    Args:
        side: a > 0, of one square; the board reaches from −2a to 2a.
    """
    classes = 8

    def __init__(self, side=2.0):
        if not side > 0:
            raise ValueError(f"Checkerboard: the side of a square must be positive, got {side}")
        self.side = float(side)
        self.corners = np.array([(column, row) for row in range(4) for column in range(4) if (row + column) % 2 == 0])

    def sample(self, n, rng=0):
        """(x, y): n points (n, 2) float32 and the squares they lie in (n,) int64. ``rng``: NumPy Generator or seed."""
        rng = np.random.default_rng(rng)
        y = rng.integers(len(self.corners), size=n)
        u = (rng.integers(2 ** 20, size=(n, 2)) + 0.5) / 2 ** 20              # never on an edge, also not in float32
        return (self.side * (self.corners[y] - 2 + u)).astype(np.float32), y

    def log_density(self, x):
        """log p(x) in nats, (…,), −inf on white, for points (…, 2). Eq. (1)."""
        square = np.floor(_points("Checkerboard", x) / self.side) + 2
        black = np.all((square >= 0) & (square < 4), axis=-1) & (square.sum(axis=-1) % 2 == 0)
        return np.where(black, -self.entropy().value, -np.inf)

    def entropy(self):
        """`Entropy` in closed form. Eq. (1)."""
        return Entropy(float(np.log(8 * self.side ** 2)), 0.0)


class Pinwheel:
    """Eq. (2). Each petal is a class.

    Args:
        petals: K. radial_std, tangential_std: σ_r, σ_t > 0. rate: γ, 0 for straight petals. scale: s > 0.
    """

    def __init__(self, petals=5, radial_std=0.3, tangential_std=0.1, rate=0.25, scale=2.0):
        if petals < 1 or min(radial_std, tangential_std, scale) <= 0:
            raise ValueError(f"Pinwheel: wants at least one petal, positive stds and a positive scale, got {petals}, "
                             f"{radial_std}, {tangential_std} and {scale}")
        self.classes, self.rate, self.scale = petals, float(rate), float(scale)
        self.mean, self.stds = np.array([1.0, 0.0]), np.array([radial_std, tangential_std], dtype=np.float64)

    def sample(self, n, rng=0):
        """(x, y): n points (n, 2) float32 and their petals (n,) int64. ``rng`` is a NumPy Generator or a seed."""
        rng = np.random.default_rng(rng)
        y = rng.integers(self.classes, size=n)
        f = self.mean + self.stds * rng.standard_normal((n, 2))
        theta = 2 * np.pi * y / self.classes + self._twist(f)
        return (self.scale * _rotate(f, theta)).astype(np.float32), y                                       # Eq. (2)

    def log_density(self, x):
        """log p(x) in nats, (…,), for points (…, 2). Eq. (3)."""
        x = _points("Pinwheel", x) / self.scale
        theta = 2 * np.pi * np.arange(self.classes) / self.classes + self._twist(x)[..., None]              # (…, K)
        eps = (_rotate(x[..., None, :], -theta) - self.mean) / self.stds                                    # (…, K, 2)
        log_normal = -0.5 * (eps ** 2).sum(axis=-1) - np.log(2 * np.pi * self.stds.prod())
        return np.logaddexp.reduce(log_normal, axis=-1) - np.log(self.classes) - 2 * np.log(self.scale)

    def entropy(self):
        """`Entropy` by quadrature: that of the petals before twist and scaling, plus 2 log s."""
        straight = Pinwheel(self.classes, *self.stds, rate=0.0, scale=1.0)
        reach = 1 + 8 * self.stds.max()
        value, error = entropy_on_grid(straight.log_density, [-reach] * 2, [reach] * 2, self.stds.min() / 3)
        return Entropy(value + 2 * float(np.log(self.scale)), error)

    def _twist(self, f):
        """γ e^‖f‖; it stops growing at a distance that no point has ever had, before the exponential overflows."""
        return self.rate * np.exp(np.minimum(np.linalg.norm(f, axis=-1), 30.0))


def _rotate(x, theta):
    """R(θ) x for x (…, 2) and θ (…,)."""
    c, s = np.cos(theta), np.sin(theta)
    return np.stack([c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1]], axis=-1)
