r"""Hamiltonian Monte Carlo: a particle with random momentum slides over −log p.

R. Neal, "MCMC using Hamiltonian dynamics", 2011, arXiv:1206.1901.

With a momentum v ~ N(0, I) beside x, the joint density is e^{−H} with

    H(x, v) = −log p(x) + ½ ‖v‖²,                                                                             (1)

and Hamilton's equations ẋ = v, v̇ = ∇log p(x) keep H and volume, and run backwards if v is turned. The *leapfrog* steps

    v ← v + ½ ε ∇log p(x),    x ← x + ε v,    v ← v + ½ ε ∇log p(x)                                           (2)

keep volume exactly (each is a shear) and run backwards exactly, but keep H only up to O(ε²). So L of them, with v
turned at the end, are a symmetric proposal, accepted with probability

    min(1, exp(H(x, v) − H(x′, v′))).                                                                         (3)

Two half steps of v that follow each other are one whole step. The gradient at x′ serves the next trajectory, so L steps
cost L gradients. The best acceptance tends to 0.651 as the dimension grows (A. Beskos et al., 2013, arXiv:1001.4460).
"""
import minigen as mg
from minigen.samplers.chain import Kernel, State, choose, metropolis, value_and_gradient


class HMC(Kernel):
    """Eqs. (1) to (3).

    Args:
        log_prob: (N, *event) -> (N,), nats, up to a constant; differentiable.
        step_size: ε. steps: L. jitter: each trajectory's ε is multiplied by a number from [1 − jitter, 1 + jitter], so
            that no trajectory comes back to its start by design.
    """
    optimum = 0.65

    def __init__(self, log_prob, step_size=0.1, steps=10, jitter=0.2):
        if steps < 1 or not 0 <= jitter < 1:
            raise ValueError(f"HMC: wants steps ≥ 1 and 0 ≤ jitter < 1, got {steps} and {jitter}")
        self.log_prob, self.step_size, self.steps, self.jitter = log_prob, step_size, steps, jitter

    def start(self, x):
        return State(x, *value_and_gradient(self.log_prob, x))

    def step(self, state, rng):
        v = rng.standard_normal(state.x.shape, dtype=state.x.dtype)
        size = self.step_size
        if self.jitter:
            size = size * float(rng.uniform(1 - self.jitter, 1 + self.jitter).item())
        x, log_prob, gradient, v_new = self.trajectory(state, v, size)
        log_ratio = log_prob - state.log_prob + 0.5 * (_square(v) - _square(v_new))                         # Eq. (3)
        accept, probability = metropolis(log_ratio, rng)
        return State(choose(accept, x, state.x), choose(accept, log_prob, state.log_prob),
                     choose(accept, gradient, state.gradient), probability)

    def trajectory(self, state, v, size):
        """L leapfrog steps, Eq. (2), from a State and v (N, *event): (x, log_prob, gradient, v) at the end."""
        x, gradient = state.x, state.gradient
        v = v + 0.5 * size * gradient
        for k in range(self.steps):
            x = x + size * v
            log_prob, gradient = value_and_gradient(self.log_prob, x)
            v = v + (size if k < self.steps - 1 else 0.5 * size) * gradient
        return x, log_prob, gradient, v


def _square(v):
    """‖v‖² of each chain, (N,)."""
    return mg.sum(v * v, axis=tuple(range(1, v.ndim)))
