r"""Annealed importance sampling: log Z by a slow walk from a distribution whose Z is known.

R. Neal, "Annealed importance sampling", 1998, arXiv:physics/9803008.

Between p₀ (normalised, easy to draw from) and p̃₁ = e^{log p̃₁} lie

    log p̃_β(x) = (1 − β) log p₀(x) + β log p̃₁(x),    0 = β_0 < β_1 < … < β_T = 1.                              (1)

Draw x from p₀; for t = 1 … T gain the weight w_t and then move x by a kernel that leaves p_{β_t} unchanged:

    log w = Σ_t [log p̃_{β_t}(x_t) − log p̃_{β_{t−1}}(x_t)] = Σ_t (β_t − β_{t−1}) [log p̃₁(x_t) − log p₀(x_t)].     (2)

Then E[w] = Z₁ exactly, for any number of steps: (2) is an importance weight on the whole path. More steps lower its
variance. By Jensen's inequality E[log w] ≤ log Z₁, and the log of the mean weight is low too, by less.

Any other path from p̃₀ = p₀ to p̃₁ serves as well; the first form of (2) is then used.

**Backwards** (R. Grosse, Z. Ghahramani and R. Adams, 2015, arXiv:1511.02543). Start with a draw of p₁ and walk down to
p₀, by kernels that are reversible; with the same differences of the opposite sign,

    log w′ = −Σ_t [log p̃_{β_t}(x_t) − log p̃_{β_{t−1}}(x_t)],    E[w′] = Z₀/Z₁,                                    (3)

so that −log of the mean w′ is too *high* on average. log Z₁ lies between the two: where they agree both can be trusted.
"""
import math

import numpy as np

import minigen as mg
from minigen.random import as_generator
from minigen.samplers.chain import _bar
from minigen.samplers.direct import Importance

__all__ = ["annealed", "annealed_back", "sigmoid_schedule"]


def sigmoid_schedule(steps, sharpness=4.0):
    """β_0 … β_T, (steps + 1,): slow at both ends, where the distribution changes most."""
    s = 1 / (1 + np.exp(-sharpness * np.linspace(-1, 1, steps + 1)))
    return (s - s[0]) / (s[-1] - s[0])


def annealed(log_prob, initial, kernel, betas, n, *, rng, path=None, progress=None):
    """Estimate log Z of exp(log_prob) with n independent paths.

    Args:
        log_prob: log p̃₁, (n, *event) -> (n,), nats. initial: p₀, a Distribution without batch.
        kernel: function log_prob -> `Kernel`: how to move at one temperature, such as
            ``lambda f: HMC(f, step_size=0.3, steps=5)``. With ``path``: function (x, beta, rng) -> x that leaves its
            p_beta unchanged.
        betas: increasing from 0 to 1, such as `sigmoid_schedule`.
        path: function (x, beta) -> log p̃_β(x) (n,); by default Eq. (1). What it adds to log p₀ at 0 and to log_prob at
            1 must be one constant.

    Returns an `Importance`: the last states with the weights of Eq. (2); ``log_Z`` and ``log_Z_error`` are the estimate
    and its standard error. Raises ValueError for betas that do not rise from 0 to 1, or weights that are not finite.
    """
    betas = _checked("annealed", betas)

    def between(x, beta):
        return (1 - beta) * initial.log_prob(x) + beta * log_prob(x)                                        # Eq. (1)

    def step(x, beta, rng):
        return kernel(lambda x: between(x, beta))(x, rng)

    log_p, move = (between, step) if path is None else (path, kernel)
    rng, log_w = as_generator(rng), 0.0
    with mg.no_grad(), np.errstate(invalid="ignore"):                     # weights are looked at below
        x = initial.sample(n, rng=rng)
        for t in _bar(len(betas) - 1, "annealing", progress):
            low, high = float(betas[t]), float(betas[t + 1])
            log_w = log_w + (log_p(x, high) - log_p(x, low))                                                # Eq. (2)
            if t + 2 < len(betas):                                        # after the last weight a move changes nothing
                x = move(x, high, rng)
    return _finite("annealed", x, log_w)


def annealed_back(x, move, betas, *, rng, path, progress=None):
    """The weights w′ of Eq. (3), from draws x (n, *event) of p₁ down to p₀.

    Args: move, path, betas: as `annealed` has them where it is given a ``path``; moves must be reversible.

    Returns an `Importance` whose ``log_Z`` estimates log(Z₀/Z₁). It is as good as x is: where these are not draws of
    p₁, but ends of chains that should be, it is a check and no bound. Raises as `annealed` does.
    """
    betas, rng, log_w = _checked("annealed_back", betas), as_generator(rng), 0.0
    with mg.no_grad(), np.errstate(invalid="ignore"):
        for t in _bar(len(betas) - 1, "annealing back", progress):
            high, low = float(betas[-1 - t]), float(betas[-2 - t])
            log_w = log_w + (path(x, low) - path(x, high))                                                  # Eq. (3)
            if low > 0:
                x = move(x, low, rng)
    return _finite("annealed_back", x, log_w)


def _checked(name, betas):
    betas = np.asarray(betas, dtype=np.float64)
    if betas.ndim != 1 or len(betas) < 2 or betas[0] != 0 or betas[-1] != 1 or (np.diff(betas) <= 0).any():
        raise ValueError(f"{name}: betas must rise from 0 to 1, got {np.array2string(betas, threshold=6)}")
    return betas


def _finite(name, x, log_w):
    if not mg.all(mg.isfinite(log_w)):
        bad = int(mg.sum(~mg.isfinite(log_w)).item())
        raise ValueError(f"{name}: {bad} of {len(log_w)} weights are not finite; p₀ must have support wherever p has, "
                         "and the kernel's steps may be too large")
    return Importance(x, log_w)
