r"""Metropolis–Hastings and Gibbs.

**Metropolis–Hastings** (Metropolis et al., 1953; W. K. Hastings, 1970). Propose x′ with density q(x′|x), and go there
with probability

    α(x′, x) = min(1, p(x′) q(x|x′) / (p(x) q(x′|x))),                                                        (1)

else stay. Then p(x) q(x′|x) α(x′, x) = min(p(x) q(x′|x), p(x′) q(x|x′)) is symmetric in x and x′: detailed balance. For
a symmetric proposal q cancels.

**Gibbs** (S. Geman and D. Geman, 1984). Redraw one part of x given all others, x_i ~ p(x_i|x_{−i}). That is (1) with
the proposal q = p(x_i|x_{−i}), for which

    α = min(1, p(x′) p(x_i|x_{−i}) / (p(x) p(x′_i|x_{−i}))) = 1,                                              (2)

since both products are p(x_{−i}) p(x′_i|x_{−i}) p(x_i|x_{−i}) over the same. A sweep through all parts keeps p, but is
not reversible.
"""
import minigen as mg
from minigen.samplers.chain import Kernel, State, choose, metropolis


class MetropolisHastings(Kernel):
    """Eq. (1) for any proposal.

    Args:
        log_prob: (N, *event) -> (N,), nats, up to a constant.
        propose: function (x, rng) -> (x′, log q(x|x′) − log q(x′|x)), the latter (N,), or 0 where q is symmetric.
    """

    def __init__(self, log_prob, propose):
        self.log_prob, self.propose = log_prob, propose

    def start(self, x):
        return State(x, self.log_prob(x))

    def step(self, state, rng):
        x, correction = self.propose(state.x, rng)
        log_prob = self.log_prob(x)
        accept, probability = metropolis(log_prob - state.log_prob + correction, rng)                       # Eq. (1)
        return State(choose(accept, x, state.x), choose(accept, log_prob, state.log_prob), None, probability)


class RandomWalk(MetropolisHastings):
    """`MetropolisHastings` with the proposal x′ = x + step_size · ε, ε ~ N(0, I).

    In D dimensions the best acceptance tends to 0.234 (A. Gelman, W. Gilks and G. Roberts, 1997); in one it is 0.44.
    """
    optimum = 0.3

    def __init__(self, log_prob, step_size=1.0):
        super().__init__(log_prob, self._wander)
        self.step_size = step_size

    def _wander(self, x, rng):
        return x + self.step_size * rng.standard_normal(x.shape, dtype=x.dtype), 0


class Gibbs(Kernel):
    """A sweep: each of ``conditionals``, functions (x, rng) -> x that redraw one part of x given the rest, in turn.

    ``scan="random"`` uses one of them, chosen anew in every step, which is reversible.
    """

    def __init__(self, conditionals, scan="sweep"):
        if scan not in ("sweep", "random"):
            raise ValueError(f"Gibbs: scan is 'sweep' or 'random', got {scan!r}")
        self.conditionals, self.scan = list(conditionals), scan

    def step(self, state, rng):
        x, chosen = state.x, self.conditionals
        if self.scan == "random":
            chosen = [chosen[int(rng.integers(len(chosen)).item())]]
        for redraw in chosen:
            x = redraw(x, rng)
        return State(x)


class Mixed(Kernel):
    """One of several kernels in turn: if each leaves p unchanged, so does this."""

    def __init__(self, kernels):
        self.kernels = list(kernels)

    def step(self, state, rng):
        x = state.x
        for kernel in self.kernels:
            x = kernel.step(kernel.start(x), rng).x
        return State(x)


def flip_one(x, rng):
    """A symmetric proposal for bits (N, D) of 0 and 1: flip one of them, for `MetropolisHastings`."""
    where = rng.integers(x.shape[1], size=(len(x),))
    flips = mg.one_hot(where, x.shape[1]).astype(x.dtype)
    return x + flips * (1 - 2 * x), 0
