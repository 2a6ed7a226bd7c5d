r"""Finite Markov chains, exactly: P[i, j] = p(next = j | now = i), rows summing to one.

    irreducible      every state leads to every other                                                         (1)
    period           the greatest common divisor of the lengths of all closed paths; 1 is aperiodic            (2)
    stationary       π P = π, Σ π = 1; unique if irreducible                                                   (3)
    reversible       π_i P[i, j] = π_j P[j, i] (detailed balance)                                             (4)
    limit            P^t → 1 π, if irreducible and aperiodic (Perron and Frobenius)                            (5)

How fast is told by the second largest modulus of an eigenvalue: the total variation distance

    d(t) = max_i ½ Σ_j |P^t[i, j] − π_j|                                                                       (6)

falls like |λ₂|^t. The *mixing time* is the first t with d(t) ≤ ¼.                                                 (7)

`minigen.check.chain` tells in sentences what a chain lacks; here are the numbers.
"""
import math

import numpy as np

from minigen.random import as_generator
from minigen.tensor import Tensor

__all__ = ["FiniteChain", "metropolis_chain"]


class FiniteChain:
    """A chain on states 0 … K − 1, in float64 on the host.

    Raises ValueError unless P is square with rows of probabilities that sum to one.
    """

    def __init__(self, P):
        self.P = np.asarray(P.numpy() if isinstance(P, Tensor) else P, dtype=np.float64)
        if self.P.ndim != 2 or self.P.shape[0] != self.P.shape[1] or not self.P.size:
            raise ValueError("FiniteChain: wants a square matrix of transition probabilities, got shape "
                             f"{self.P.shape}")
        sums = self.P.sum(axis=1)
        if (self.P < 0).any() or np.abs(sums - 1).max() > 1e-9:
            i = int(np.argmax(np.abs(sums - 1)))
            raise ValueError("FiniteChain: each row of P holds probabilities that sum to 1; row "
                             f"{i} sums to {sums[i]:.6g} and the least entry is {self.P.min():.3g}")

    def __len__(self):
        return len(self.P)

    @property
    def irreducible(self):
        """Eq. (1)."""
        reach = np.eye(len(self)) + self.P > 0                                   # in one step or none
        for _ in range(math.ceil(math.log2(len(self)))):
            reach = reach @ reach                                                # in up to twice as many
        return bool(reach.all())

    @property
    def period(self):
        """Eq. (2), of an irreducible chain. Raises ValueError for others."""
        self._want_irreducible("period")
        level, queue = {0: 0}, [0]
        while queue:                                                             # breadth first
            i = queue.pop(0)
            for j in np.flatnonzero(self.P[i] > 0):
                if int(j) not in level:
                    level[int(j)] = level[i] + 1
                    queue.append(int(j))
        i, j = np.nonzero(self.P > 0)
        steps = [level[int(a)] + 1 - level[int(b)] for a, b in zip(i, j)]
        return int(np.gcd.reduce(steps))

    @property
    def stationary(self):
        """π (K,), Eq. (3). Raises ValueError if it is not unique."""
        self._want_irreducible("stationary")
        K = len(self)
        A = np.vstack([self.P.T - np.eye(K), np.ones((1, K))])
        pi = np.linalg.lstsq(A, np.append(np.zeros(K), 1.0), rcond=None)[0].clip(0)
        return pi / pi.sum()

    @property
    def reversible(self):
        """Eq. (4)."""
        flow = self.stationary[:, None] * self.P
        return bool(np.abs(flow - flow.T).max() < 1e-10)

    @property
    def limit(self):
        """lim P^t (K, K), Eq. (5): every row is π. Raises ValueError for a chain that is periodic or reducible."""
        period = self.period
        if period > 1:
            raise ValueError(f"limit: the chain has period {period}, so P^t goes round for ever and has no limit; let "
                             "it stay where it is now and then, or take averages over time, which converge to "
                             ".stationary")
        return np.tile(self.stationary, (len(self), 1))

    def distance(self, t):
        """d(t) of Eq. (6)."""
        return float(0.5 * np.abs(np.linalg.matrix_power(self.P, t) - self.stationary).sum(axis=1).max())

    @property
    def relaxation(self):
        """|λ₂|: how much of the distance is left after a step, in the long run."""
        moduli = np.sort(np.abs(np.linalg.eigvals(self.P)))
        return float(moduli[-2]) if len(self) > 1 else 0.0

    def mixing_time(self, below=0.25):
        """The first t with d(t) ≤ below, Eq. (7). Raises ValueError for a chain without limit."""
        self.limit                                                               # it says what is wrong
        t = 1
        while self.distance(t) > below:                                          # double, then bisect: d never rises
            t *= 2
        low = t // 2
        while t - low > 1:
            middle = (low + t) // 2
            low, t = (low, middle) if self.distance(middle) <= below else (middle, t)
        return t

    def sample(self, n, start, *, rng):
        """Paths of n steps from each of the states ``start`` (N,): (n + 1, N) int64."""
        rng, state = as_generator(rng), np.asarray(start, dtype=np.int64)
        cumulative, path = np.cumsum(self.P, axis=1), [state]
        for u in rng.random((n, len(state)), dtype="float64").numpy():
            state = np.minimum((u[:, None] >= cumulative[state]).sum(axis=1), len(self) - 1)
            path.append(state)
        return np.stack(path)

    def _want_irreducible(self, what):
        if not self.irreducible:
            raise ValueError(f"{what}: the chain is reducible: some of its {len(self)} states cannot be reached from "
                             "others, so its long run depends on the start")


def metropolis_chain(target, proposal):
    """The `FiniteChain` of Metropolis–Hastings for probabilities ``target`` (K,) and a proposal matrix (K, K)."""
    p, q = np.asarray(target, dtype=np.float64), np.asarray(proposal, dtype=np.float64)
    flow = p[:, None] * q
    with np.errstate(divide="ignore", invalid="ignore"):
        accept = np.where(flow > 0, np.minimum(1, flow.T / flow), 0)
    P = q * accept
    np.fill_diagonal(P, 0)
    np.fill_diagonal(P, 1 - P.sum(axis=1))
    return FiniteChain(P)
