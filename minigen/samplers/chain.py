r"""Markov chain Monte Carlo: what a step is, and how chains are run.

A *kernel* moves x to x′ with a density k(x′|x). It leaves p unchanged (p is *stationary*) if

    ∫ p(x) k(x′|x) dx = p(x′),                                                                                (1)

and that is so if it satisfies *detailed balance*,

    p(x) k(x′|x) = p(x′) k(x|x′):                                                                             (2)

integrate (2) over x. If the chain can also come from everywhere to everywhere, averages along it converge to averages
under p, whatever the start. Only ratios of p are ever needed, so p need not be normalised.

All kernels here move N chains at once, the rows of x, (N, *event), which never meet.

    kernel = HMC(log_prob, step_size=0.2, steps=10)               # log_prob: (N, *event) -> (N,), in nats
    chains = run(kernel, x0, 1000, rng=0, warmup=500)
    chains.x                                                      # (1000, N, *event)
    r_hat(chains.x), effective_sample_size(chains.x)              # minigen.samplers.diagnostics

**Warm-up.** While it warms up, a kernel with an ``optimum`` has its step size tuned until the mean probability of
acceptance is that: dual averaging (M. Hoffman and A. Gelman, 2014, arXiv:1111.4246, section 3.2). With H_t the optimum
minus the acceptance in step t, and γ = 0.05, t₀ = 10, κ = 0.75,

    H̄_t = (1 − 1/(t + t₀)) H̄_{t−1} + H_t/(t + t₀),   log ε_t = μ − (√t/γ) H̄_t,   μ = log 10 ε_0,                  (3)
    log ε̄_t = t^{−κ} log ε_t + (1 − t^{−κ}) log ε̄_{t−1},                                                       (4)

and ε̄ is kept. What was drawn meanwhile is thrown away: a chain that is being tuned satisfies neither (1) nor (2).
"""
import math
import sys
import warnings
from typing import NamedTuple

import numpy as np

import minigen as mg
from minigen.random import as_generator
from minigen.tensor import Tensor

GAMMA, T0, KAPPA = 0.05, 10, 0.75
LONG = 2000                       # steps from which a progress bar is shown


class State(NamedTuple):
    """Where N chains are: x (N, *event), log_prob (N,) there, its gradient (N, *event) or None, acceptance (N,)."""
    x: Tensor
    log_prob: Tensor | None = None
    gradient: Tensor | None = None
    acceptance: Tensor | None = None      # the probability with which the step that led here was accepted


class Kernel:
    """A step. Subclasses define `step`, and `start` if they keep more than x.

    Attributes: step_size, where there is one to tune; optimum, the mean acceptance to tune it for, or None.
    """
    step_size = optimum = None

    def start(self, x):
        """The State at x (N, *event)."""
        return State(x)

    def step(self, state, rng):
        """The State one step on."""
        raise NotImplementedError(f"{type(self).__name__}: a kernel must define step(state, rng)")

    def __call__(self, x, rng):
        """x′ for x (N, *event): what `minigen.check.chain` wants."""
        with mg.no_grad(), np.errstate(over="ignore", invalid="ignore"):
            return self.step(self.start(x), as_generator(rng)).x


class Chains(NamedTuple):
    """What `run` returns: x (n, N, *event) on the host; acceptance, the mean over all steps after warm-up, or None; the
    kernel's step_size; the last State, from which to go on."""
    x: np.ndarray
    acceptance: float | None
    step_size: float | None
    last: State


def run(kernel, x, n, *, rng, warmup=0, thin=1, progress=None):
    """Run N chains from x (N, *event) and keep n states of each.

    Args:
        x: where to start, a Tensor or array; or a `State`, to go on from there.
        warmup: steps to throw away, in which the step size is tuned (see above) if the kernel has an optimum.
        thin: keep every ``thin``-th state only. progress: a bar; by default for more than 2,000 steps.

    Returns `Chains`. Warns if hardly any step is accepted after warm-up, or if a chain has left the finite numbers.
    Raises ValueError for n, thin < 1 or a start where log_prob is not finite.
    """
    if n < 1 or thin < 1 or warmup < 0:
        raise ValueError(f"run: wants n ≥ 1, thin ≥ 1 and warmup ≥ 0, got {n}, {thin} and {warmup}")
    rng, total = as_generator(rng), warmup + n * thin
    kept, accepted, tuner = [], [], Tuner(kernel) if warmup and kernel.optimum else None
    with mg.no_grad(), np.errstate(over="ignore", invalid="ignore"):        # a step that diverges is rejected, or told
        state = x if isinstance(x, State) else _start(kernel, x if isinstance(x, Tensor) else mg.tensor(x))
        for t in _bar(total, type(kernel).__name__, progress):
            if tuner and t == warmup:
                tuner.finish()
            state = kernel.step(state, rng)
            if t < warmup:
                if tuner:
                    tuner.update(float(state.acceptance.mean().item()))
                continue
            if state.acceptance is not None:
                accepted.append(state.acceptance.mean())
            if (t - warmup + 1) % thin == 0:
                kept.append(state.x.numpy())
    rate = float(np.mean([a.item() for a in accepted])) if accepted else None
    chains = Chains(np.stack(kept), rate, kernel.step_size, state)
    _warn(kernel, chains)
    return chains


def _start(kernel, x):
    """The State at x, after a look at what cannot work."""
    name, size = type(kernel).__name__, kernel.step_size
    if size is not None and not 0 < size < math.inf:
        raise ValueError(f"run: {name} wants a step size > 0, got {size}")
    if size is not None and x.dtype.kind != "f":
        raise TypeError(f"run: {name} moves real numbers, got a start of {x.dtype}; give floats, such as float32")
    state = kernel.start(x)
    if state.log_prob is not None:
        _check_log_prob(state.log_prob, x)
    if state.log_prob is not None and not mg.all(mg.isfinite(state.log_prob)):
        bad = int(mg.sum(~mg.isfinite(state.log_prob)).item())
        raise ValueError(f"run: {name} cannot start where log_prob is not finite, as it is for {bad} of {len(state.x)} "
                         "chains; start inside the support")
    return state


def _warn(kernel, chains):
    """Say what has gone wrong, with the number that shows it."""
    name, size = type(kernel).__name__, f"step size {kernel.step_size:.3g}" if kernel.step_size else "this proposal"
    lost = int((~np.isfinite(chains.x[-1])).reshape(chains.x.shape[1], -1).any(axis=1).sum())
    if lost:
        warnings.warn(f"{name}: {lost} of {chains.x.shape[1]} chains diverged with {size}; take a smaller one",
                      stacklevel=3)
    elif chains.acceptance is not None and chains.acceptance < 0.01:
        warnings.warn(f"{name}: {chains.acceptance:.2%} of the steps are accepted with {size}, so the chains hardly "
                      "move; take a smaller one, or let warmup tune it", stacklevel=3)


def _bar(total, name, progress):
    """range(total), with a progress bar where it is long."""
    if not (total > LONG if progress is None else progress):
        return range(total)
    from tqdm.auto import tqdm                                  # here, since it takes a while to load
    return tqdm(range(total), desc=name, leave=False, dynamic_ncols=True,
                mininterval=0.1 if sys.stderr.isatty() else 10)


class Tuner:
    """Eqs. (3) and (4)."""

    def __init__(self, kernel):
        self.kernel, self.t, self.mean_miss = kernel, 0, 0.0
        self.mu, self.log_average = math.log(10 * kernel.step_size), 0.0

    def update(self, acceptance):
        """Choose the next step size after a step with this mean acceptance."""
        self.t += 1
        acceptance = acceptance if math.isfinite(acceptance) else 0.0
        weight = 1 / (self.t + T0)
        self.mean_miss += weight * (self.kernel.optimum - acceptance - self.mean_miss)
        log_size = self.mu - math.sqrt(self.t) / GAMMA * self.mean_miss                                     # Eq. (3)
        self.log_average += self.t ** -KAPPA * (log_size - self.log_average)                                # Eq. (4)
        self.kernel.step_size = math.exp(log_size)

    def finish(self):
        """Keep ε̄."""
        self.kernel.step_size = math.exp(self.log_average)


# ---- what kernels share ----------------------------------------------------------------------------------------------
def value_and_gradient(log_prob, x):
    """log p (N,) and ∇ log p (N, *event) at x (N, *event)."""
    with mg.enable_grad():
        x = x.detach()
        x.requires_grad = True
        value = log_prob(x)
        _check_log_prob(value, x)
        gradient = mg.grad(mg.sum(value), x)
    return value.detach(), gradient


def _check_log_prob(value, x):
    if value.shape != (len(x),):
        raise ValueError(f"log_prob must return one number for each of the {len(x)} chains, ({len(x)},), got shape "
                         f"{value.shape} for x {x.shape}; sum over the event's axes only")


def choose(accept, new, old):
    """Row by row, new where ``accept`` (N,) holds and else old."""
    return mg.where(mg.reshape(accept, (len(accept),) + (1,) * (new.ndim - 1)), new, old)


def metropolis(log_ratio, rng):
    """(accept (N,), probability (N,)): accept with probability min(1, e^{log_ratio}); never where the ratio is NaN."""
    log_ratio = mg.where(mg.isnan(log_ratio), -math.inf, log_ratio)
    u = rng.random(log_ratio.shape, dtype=log_ratio.dtype)
    probability = mg.exp(mg.minimum(log_ratio, 0))
    return u < probability, probability
