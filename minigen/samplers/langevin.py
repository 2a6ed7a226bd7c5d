r"""Langevin dynamics: walking uphill in log p, with noise.

The stochastic differential equation

    dx = ½ ∇log p(x) dt + dW                                                                                  (1)

has p as its stationary distribution. In steps of ε² with ξ ~ N(0, I),

    x′ = x + ½ ε² ∇log p(x) + ε ξ.                                                                            (2)

**ULA** takes (2) as it is. Its stationary distribution differs from p; for p = N(0, σ²) it is normal with the variance

    σ² / (1 − ε²/(4σ²)),                                                                                      (3)

(insert x′ = (1 − ε²/2σ²) x + ε ξ and ask for equal variances), so the bias falls linearly with ε², the time of a step.
For ε ≥ 2σ it diverges.

**MALA** (J. Besag, 1994; G. Roberts and R. Tweedie, 1996) takes (2) as the proposal of Metropolis–Hastings:

    log q(x′|x) = −‖x′ − x − ½ ε² ∇log p(x)‖² / (2ε²) + const,                                                (4)

and is exact. The best acceptance tends to 0.574 as the dimension grows (G. Roberts and J. Rosenthal, 1998).
"""
import minigen as mg
from minigen.samplers.chain import Kernel, State, choose, metropolis, value_and_gradient


class ULA(Kernel):
    """The unadjusted Langevin algorithm, Eq. (2).

    Args:
        log_prob: (N, *event) -> (N,), nats, up to a constant; differentiable. step_size: ε.
        temperature: the noise is multiplied by its square root; 0 is gradient ascent with ½ ε² as learning rate.
    """

    def __init__(self, log_prob, step_size=0.1, temperature=1.0):
        self.log_prob, self.step_size, self.temperature = log_prob, step_size, temperature

    def step(self, state, rng):
        x = state.x
        _, gradient = value_and_gradient(self.log_prob, x)
        noise = self.step_size * self.temperature ** 0.5 * rng.standard_normal(x.shape, dtype=x.dtype)
        return State(x + 0.5 * self.step_size ** 2 * gradient + noise)                                      # Eq. (2)


class MALA(Kernel):
    """The Metropolis-adjusted Langevin algorithm, Eqs. (2) and (4). Arguments as for `ULA`."""
    optimum = 0.574

    def __init__(self, log_prob, step_size=0.1):
        self.log_prob, self.step_size = log_prob, step_size

    def start(self, x):
        return State(x, *value_and_gradient(self.log_prob, x))

    def step(self, state, rng):
        noise = self.step_size * rng.standard_normal(state.x.shape, dtype=state.x.dtype)
        x = state.x + 0.5 * self.step_size ** 2 * state.gradient + noise                                    # Eq. (2)
        log_prob, gradient = value_and_gradient(self.log_prob, x)
        correction = self._log_q(state.x, x, gradient) - self._log_q(x, state.x, state.gradient)
        accept, probability = metropolis(log_prob - state.log_prob + correction, rng)
        return State(choose(accept, x, state.x), choose(accept, log_prob, state.log_prob),
                     choose(accept, gradient, state.gradient), probability)

    def _log_q(self, to, x, gradient):
        """log q(to|x) but for a constant, (N,). Eq. (4)."""
        miss = to - x - 0.5 * self.step_size ** 2 * gradient
        return -mg.sum(miss * miss, axis=tuple(range(1, miss.ndim))) / (2 * self.step_size ** 2)
