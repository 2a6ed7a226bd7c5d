r"""The Boltzmann distribution: from energies to probabilities, exactly, where the states can be counted.

A system with energies E(x) at temperature T (in units of energy: k_B T) is in state x with probability

    p(x) = e^{−E(x)/T} / Z,    Z = Σ_x e^{−E(x)/T}.                                                            (1)

Of all distributions with the same mean energy it is the one of largest entropy; of all distributions it has the
smallest *free energy*

    F[q] = E_q[E] − T H(q) = −T log Z + T KL(q‖p) ≥ −T log Z,                                                 (2)

which is the variational bound of every model in this library, read by a physicist: T = 1, E(z) = −log p(x, z), and −F
is the ELBO. Derivatives of log Z are moments; with β = 1/T

    E[E] = −∂ log Z/∂β,    Var[E] = ∂² log Z/∂β²,    heat capacity C = Var[E]/T².                              (3)

**Gas.** The energy of a molecule of mass m is ½ m v². Each component of its velocity is N(0, k_B T/m), and the speed
v = ‖(v₁, v₂, v₃)‖ has the density (J. C. Maxwell, 1860)

    p(v) = √(2/π) v²/a³ e^{−v²/2a²},    a = √(k_B T/m),                                                        (4)

with the mode √2 a, the mean 2 √(2/π) a and the root of the mean square √3 a.
"""
import math

import numpy as np
from scipy import special

from minigen.random import as_generator
from minigen.tensor import Tensor

__all__ = ["Boltzmann", "MaxwellSpeed", "NOBLE_GASES"]

BOLTZMANN = 1.380649e-23            # J/K, exact since 2019
ATOMIC_MASS = 1.66053906660e-27     # kg (CODATA 2018)
NOBLE_GASES = {"helium": 4.0026, "neon": 20.180, "argon": 39.95, "krypton": 83.798, "xenon": 131.29}    # u (IUPAC)


class Boltzmann:
    """Eq. (1) over states 0 … K − 1, in float64 on the host.

    Args:
        energies: (K,), in any unit; ∞ for a state that cannot be. temperature: k_B T in the same unit, > 0.

    Attributes: probabilities (K,), log_Z. Raises ValueError for a temperature that is not positive, NaN or −∞ among the
    energies, or no state of finite energy.
    """

    def __init__(self, energies, temperature=1.0):
        self.energies = np.asarray(energies.numpy() if isinstance(energies, Tensor) else energies, dtype=np.float64)
        self.temperature = float(temperature)
        if not self.temperature > 0:
            raise ValueError(f"Boltzmann: wants a temperature > 0, got {temperature}; as it tends to 0, all "
                             "probability goes to the states of lowest energy")
        if self.energies.ndim != 1 or not np.isfinite(self.energies).any() or not (self.energies > -np.inf).all():
            raise ValueError("Boltzmann: wants energies (K,), finite or +∞ and not all of them ∞, got shape "
                             f"{self.energies.shape} with {np.isfinite(self.energies).sum()} finite")
        self.log_Z = float(special.logsumexp(-self.energies / self.temperature))
        self.probabilities = np.exp(-self.energies / self.temperature - self.log_Z)                         # Eq. (1)

    @property
    def mean_energy(self):
        """E[E]."""
        return self._mean(self.energies)

    @property
    def heat_capacity(self):
        """Var[E]/T², Eq. (3)."""
        return self._mean((self.energies - self.mean_energy) ** 2) / self.temperature ** 2

    @property
    def entropy(self):
        """H in nats."""
        return float(special.entr(self.probabilities).sum())

    @property
    def free_energy(self):
        """−T log Z, the least F, Eq. (2)."""
        return -self.temperature * self.log_Z

    def free_energy_of(self, q):
        """F[q] of Eq. (2), for probabilities q (K,)."""
        q = np.asarray(q, dtype=np.float64)
        if q.shape != self.energies.shape or (q < 0).any() or abs(q.sum() - 1) > 1e-9:
            raise ValueError(f"free_energy_of: wants {len(self.energies)} probabilities that sum to 1, got shape "
                             f"{q.shape} with sum {q.sum():.6g}")
        with np.errstate(invalid="ignore"):
            energy = np.where(q > 0, q * self.energies, 0).sum()
        return float(energy - self.temperature * special.entr(q).sum())

    def sample(self, n, *, rng):
        """n states, int64 (n,)."""
        u = as_generator(rng).random(n, dtype="float64").numpy()
        return np.searchsorted(np.cumsum(self.probabilities)[:-1], u, side="right")

    def _mean(self, values):
        possible = self.probabilities > 0
        return float(self.probabilities[possible] @ values[possible])


class MaxwellSpeed:
    """Eq. (4): the speeds of a gas, in m/s.

    Args:
        mass: of a molecule in atomic mass units u, such as those of `NOBLE_GASES`. kelvin: temperature.
    """

    def __init__(self, mass, kelvin):
        if not (mass > 0 and kelvin > 0):
            raise ValueError(f"MaxwellSpeed: wants a mass and a temperature > 0, got {mass} u and {kelvin} K")
        self.a = math.sqrt(BOLTZMANN * kelvin / (mass * ATOMIC_MASS))

    @property
    def mode(self):
        """The most probable speed."""
        return math.sqrt(2) * self.a

    @property
    def mean(self):
        """E[v]."""
        return 2 * math.sqrt(2 / math.pi) * self.a

    @property
    def root_mean_square(self):
        """√E[v²]."""
        return math.sqrt(3) * self.a

    def density(self, v):
        """p(v) in s/m, Eq. (4); 0 for v < 0."""
        z = np.maximum(np.asarray(v, dtype=np.float64), 0) / self.a
        return math.sqrt(2 / math.pi) * z * z * np.exp(-0.5 * z * z) / self.a

    def cdf(self, v):
        """P(speed ≤ v)."""
        z = np.maximum(np.asarray(v, dtype=np.float64), 0) / self.a
        return special.gammainc(1.5, 0.5 * z * z)

    def sample(self, n, *, rng):
        """n speeds: lengths of normal velocities in three dimensions."""
        return self.a * np.linalg.norm(as_generator(rng).standard_normal((n, 3), dtype="float64").numpy(), axis=1)
