r"""Score matching: fitting an unnormalised density by its slope.

A. Hyvärinen, "Estimation of Non-Normalized Statistical Models by Score Matching", 2005; P. Vincent, 2011 (denoising);
Y. Song, S. Garg, J. Shi and S. Ermon, "Sliced Score Matching", 2019, arXiv:1905.07088.

The *score* s(x) = ∇_x log p(x) does not know Z. One would fit a network by

    J = E_p ½ ‖s_θ(x) − ∇ log p(x)‖²,                                                                         (1)

if ∇ log p were known. Expand the square; by parts, E_p[s_θ · ∇ log p] = ∫ s_θ · ∇p = −E_p[tr ∂s_θ/∂x], so up to a
constant

    exact:       J = E_p[½ ‖s_θ(x)‖² + tr ∂s_θ/∂x],                                                           (2)

D derivatives for each example. With a random direction v, E[v vᵀ] = I, one is enough:

    sliced:      J = E_p E_v[½ ‖s_θ(x)‖² + vᵀ (∂s_θ/∂x) v],                                                   (3)

(the paper's variance-reduced form). And none, if we settle for the score of the data with noise, p_σ = p * N(0, σ² I):

    denoising:   J = E_p E_ε ½ ‖s_θ(x + σ ε) + ε/σ‖²,                                                         (4)

which differs from (1) for p_σ by a constant. Its variance grows as σ → 0.
"""
import math

import minigen as mg
from minigen.models.base import GenerativeModel, Objective
from minigen.random import as_generator

__all__ = ["ScoreModel"]

METHODS = ("exact", "sliced", "denoising")


class ScoreModel(GenerativeModel):
    """Fits s_θ to data by Eq. (2), (3) or (4); draws by Langevin dynamics.

    Args:
        net: Module (N, *event) → (N, *event): the score. For an energy E pass ``energy_score(E)``.
        event_shape: of one example. method: "exact", "sliced" or "denoising".
        noise: σ of Eq. (4). step_size, steps: ε of the Langevin steps x + ½ ε² s(x) + ε ξ, and how many.
    """

    def __init__(self, net, event_shape, method="denoising", noise=0.1, step_size=0.1, steps=500):
        if method not in METHODS or not noise > 0:
            raise ValueError(f"ScoreModel: wants a method out of {', '.join(METHODS)} and noise > 0, "
                             f"got {method!r} and {noise}")
        self.net, self.event_shape, self.method = net, tuple(event_shape), method
        self.noise, self.step_size, self.steps = noise, step_size, steps

    def score(self, x):
        """s_θ(x), of x's shape (N, *event)."""
        s = self.net(x)
        if x.shape[1:] != self.event_shape or s.shape != x.shape:
            raise ValueError(f"ScoreModel: wants x (N, {', '.join(map(str, self.event_shape))}) and a network that "
                             f"keeps its shape, got {x.shape} and {s.shape}")
        return s

    def terms(self, x, *, rng, noise=None):
        """{"loss"}: J in nats, up to a constant. ``noise``, of x's shape, replaces ε of Eq. (4) or v of Eq. (3)."""
        if noise is None and self.method != "exact":
            rng = as_generator(rng)
            noise = rng.standard_normal(x.shape, dtype=x.dtype)
            if self.method == "sliced":
                noise = mg.sign(noise)                                          # ±1: E[v vᵀ] = I, and least variance
        if self.method == "denoising":
            miss = self.score(x + self.noise * noise) + noise * (1 / self.noise)
            return {"loss": mg.mean(_half_square(miss))}                                                # Eq. (4)
        x = x.detach()
        x.requires_grad = True
        s = self.score(x)
        divergence = _trace(s, x) if self.method == "exact" else _along(s, x, noise)
        return {"loss": mg.mean(_half_square(s) + divergence)}                                         # Eqs. (2), (3)

    def objectives(self):
        """One: J."""
        return [Objective("score", self.net.parameters(), lambda batch, rng: self.terms(batch["x"], rng=rng))]

    def sample(self, n, *, rng, labels=None, start=None):
        """n draws (n, *event_shape) by Langevin dynamics from N(0, I), or from ``start``."""
        if labels is not None:
            raise ValueError(f"ScoreModel: this model knows no labels, got {len(labels)} of them")
        rng = as_generator(rng)
        with mg.no_grad():
            x = rng.standard_normal((n, *self.event_shape)) if start is None else start
            for _ in range(self.steps):
                xi = rng.standard_normal(x.shape, dtype=x.dtype)
                x = x + 0.5 * self.step_size ** 2 * self.score(x) + self.step_size * xi
            return x


def energy_score(energy):
    """The score −∇E of an energy, a function (N, *event) → (N,), as a function with which J can be differentiated
    again."""
    def score(x):
        with mg.enable_grad():
            x = x if x.requires_grad else _leaf(x)
            return -mg.grad(mg.sum(energy(x)), x, create_graph=True)

    return score


def _leaf(x):
    x = x.detach()
    x.requires_grad = True
    return x


def _along(s, x, v):
    """vᵀ (∂s/∂x) v of each example, (N,)."""
    slope = mg.grad(mg.sum(s * v), x, create_graph=True)
    return mg.sum(slope * v, axis=tuple(range(1, x.ndim)))


def _trace(s, x):
    """tr ∂s/∂x of each example, (N,): one derivative for each entry of an event."""
    N, D = len(x), math.prod(x.shape[1:])
    flat, total = mg.reshape(s, (N, D)), 0.0
    for d in range(D):
        slope = mg.grad(mg.sum(flat[:, d]), x, create_graph=True)
        total = total + mg.reshape(slope, (N, D))[:, d]
    return total


def _half_square(v):
    """½ ‖v‖² of each example, (N,)."""
    return 0.5 * mg.sum(v * v, axis=tuple(range(1, v.ndim)))
