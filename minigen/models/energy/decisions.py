r"""Decisions by energy: the answer is the one of lowest energy, and a loss shapes the energies.

Y. LeCun, S. Chopra, R. Hadsell, M. Ranzato and F. Huang, "A Tutorial on Energy-Based Learning", 2006, table 1.

A function E(x, y) says how badly answer y fits question x:

    Y*(x) = argmin_y E(x, y).                                                                                 (1)

No normalisation is needed to decide. To learn, pull the energy E⁺ of the right answer down and push up others, above
all that of the *most offending* wrong one,

    E⁻ = min_{y ≠ right} E(x, y).                                                                             (2)

The losses, per example:

    energy              E⁺                                                          pulls only: may collapse   (3)
    perceptron          E⁺ − min_y E(x, y)                                          margin 0: may collapse     (4)
    hinge               max(0, m + E⁺ − E⁻)                                         margin m                   (5)
    log                 log(1 + e^{E⁺ − E⁻})                                        margin > 0                 (6)
    LVQ2                min(M, max(0, E⁺ − E⁻))                                     margin 0: may collapse     (7)
    MCE                 1/(1 + e^{−(E⁺ − E⁻)})                                      margin > 0                 (8)
    square-square       (E⁺)² + max(0, m − E⁻)²                                     margin m                   (9)
    square-exponential  (E⁺)² + γ e^{−E⁻}                                           margin > 0                (10)
    NLL                 E⁺ + log Σ_y e^{−E(x, y)}                                   margin > 0                (11)
    MEE                 1 − e^{−E⁺} / Σ_y e^{−E(x, y)}                              margin > 0                (12)

*Collapse*: where the energies can all be made equal (a flat surface, say 0), losses (3), (4) and (7) are at their
minimum, and (1) decides nothing. The others there have a gradient that parts E⁺ from E⁻ (they have a *margin*). Only a
loss with a bound is a certificate: if (5) is below m, or (6) below log 2, or (8) below ½, or (11) below log 2, then E⁺
< E⁻, and the decision is right: with less than log 2 of (11), the right answer has more than half of the probability.
"""
import dataclasses
import math
from collections.abc import Callable

import minigen as mg

__all__ = ["EnergyLoss", "LOSSES", "decide", "offending"]


@dataclasses.dataclass(frozen=True)
class EnergyLoss:
    """One of Eqs. (3) to (12).

    Attributes:
        per_example: (energies (N, K), E⁺ (N,), E⁻ (N,)) -> (N,).
        margin: does it part E⁺ from E⁻ on a flat surface? If not, it may collapse.
        certificate: a loss below this proves that the decision is right; None if no value does.
    """
    name: str
    per_example: Callable
    margin: bool
    certificate: float | None = None

    def __call__(self, energies, labels):
        """The loss of each example, (N,), for energies (N, K) of the K answers and the right ones, labels (N,) int.

        Raises ValueError for K < 2 or shapes that do not fit.
        """
        right = mg.take_along_axis(energies, _column(energies, labels), axis=1)[:, 0]
        return self.per_example(energies, right, offending(energies, labels))


def decide(energies):
    """Y* of Eq. (1): (N, K) → (N,) int64."""
    return mg.argmin(energies, axis=1)


def offending(energies, labels):
    """E⁻ of Eq. (2), (N,)."""
    mask = mg.one_hot(labels, energies.shape[1])
    _column(energies, labels)
    return mg.min(mg.where(mask > 0, math.inf, energies), axis=1)


def _column(energies, labels):
    if energies.ndim != 2 or energies.shape[1] < 2 or labels.shape != energies.shape[:1]:
        raise ValueError(f"EnergyLoss: wants energies (N, K) with K ≥ 2 answers and labels (N,), got {energies.shape} "
                         f"and {labels.shape}")
    return mg.expand_dims(labels, 1)


def _square_square(m):
    return lambda E, right, wrong: right ** 2 + mg.maximum(0.0 * wrong, m - wrong) ** 2                     # Eq. (9)


def hinge(m=1.0):
    """Eq. (5) with margin m."""
    return EnergyLoss("hinge", lambda E, right, wrong: mg.relu(m + right - wrong), True, m)


LOSSES = {loss.name: loss for loss in (
    EnergyLoss("energy", lambda E, right, wrong: right, False),                                             # Eq. (3)
    EnergyLoss("perceptron", lambda E, right, wrong: right - mg.min(E, axis=1), False),                     # Eq. (4)
    hinge(),                                                                                                # Eq. (5)
    EnergyLoss("log", lambda E, right, wrong: mg.softplus(right - wrong), True, math.log(2)),               # Eq. (6)
    EnergyLoss("LVQ2", lambda E, right, wrong: mg.clip(right - wrong, 0, 1), False),                        # Eq. (7)
    EnergyLoss("MCE", lambda E, right, wrong: mg.sigmoid(right - wrong), True, 0.5),                        # Eq. (8)
    EnergyLoss("square-square", _square_square(1.0), True),                                                 # Eq. (9)
    EnergyLoss("square-exponential", lambda E, right, wrong: right ** 2 + mg.exp(-wrong), True),            # Eq. (10)
    EnergyLoss("NLL", lambda E, right, wrong: right + mg.logsumexp(-E, axis=1), True, math.log(2)),         # Eq. (11)
    EnergyLoss("MEE", lambda E, right, wrong: -mg.expm1(-right - mg.logsumexp(-E, axis=1)), True, 0.5),     # Eq. (12)
)}
