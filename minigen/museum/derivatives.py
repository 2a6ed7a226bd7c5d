r"""Exhibits of the backward pass: ties, a path that was cut, and a second derivative that is not a number.

    max(t, t) = t, whose slope is 1,                                                                             (1)
    y = (x − μ) / √(v + ε),    μ = Σ x / M,    v = Σ (x − μ)² / M, where μ and v are functions of x,               (2)
    softplus(x) = log(1 + eˣ),    softplus′ = σ,    softplus″ = σ (1 − σ).                                       (3)
"""
import numpy as np

import minigen as mg
from minigen import check, nn
from minigen.museum.exhibit import Exhibit, backward


# ---- ties ------------------------------------------------------------------------------------------------------------
@mg.primitive
def generous_max(xp, x):
    """The largest element; each that attains it receives the full gradient."""
    return xp.max(x)


generous_max.vjp(lambda g, x, out: g * (x == out))


def build_max(buggy):
    """x (D,) ↦ its largest element."""
    return generous_max if buggy else mg.max


def check_max(largest):
    """Move tied elements together: then there is no kink, and Eq. (1) is the only answer."""
    return check.gradient(lambda t: mg.sum(t), [0.7], claimed=backward(lambda t: largest(mg.concatenate([t, t]))))


# ---- batch norm ------------------------------------------------------------------------------------------------------
class DetachedMean(nn.BatchNorm):
    """Batch norm that takes μ for a constant in the backward pass."""

    def _batch_moments(self, rows):
        mu, v = super()._batch_moments(rows)
        return mu.detach(), v


def build_batch_norm(buggy):
    """A layer (N, 3) → (N, 3)."""
    return DetachedMean(3) if buggy else nn.BatchNorm(3)


def check_batch_norm(layer):
    """Its backward pass against Eq. (2), differentiated through every path."""
    rng = np.random.default_rng(0)
    x, c = rng.standard_normal((5, 3)), mg.tensor(rng.standard_normal((5, 3)))

    def loss(x):
        centred = x - mg.mean(x, axis=0)
        return mg.sum(c * centred / mg.sqrt(mg.mean(centred * centred, axis=0) + layer.eps))                  # Eq. (2)

    return check.gradient(loss, x, claimed=backward(lambda x: c * layer(x)))


# ---- a second derivative ---------------------------------------------------------------------------------------------
@mg.primitive
def fragile_softplus(xp, x):
    """log(1 + eˣ), whose slope is written as 1 / (1 + e⁻ˣ)."""
    return xp.logaddexp(x, xp.zeros_like(x))


fragile_softplus.vjp(lambda g, x: g / (1 + mg.exp(-x)))          # its own slope is e⁻ˣ / (1 + e⁻ˣ)²: ∞ / ∞ at −∞


def build_softplus(buggy):
    """x ↦ log(1 + eˣ)."""
    return fragile_softplus if buggy else mg.softplus


def check_softplus(softplus):
    """First and second derivative against differences, also far out."""
    return check.gradient(lambda x: mg.sum(softplus(x)), [-800.0, -1.0, 0.5, 30.0])


EXHIBITS = (
    Exhibit(
        name="max-ties",
        wrong="∂ max(x) / ∂x_i = 1 wherever x_i is the maximum: two tied elements get 1 each, and max(t, t) = t gets "
              "the slope 2.",
        plausible="A mask x == max(x) is the obvious derivative, and data of real numbers never tie, until a ReLU "
                  "makes zeros.",
        typical_of="hand-written max pooling and hinge losses", caught_by="check.gradient",
        build=build_max, check=check_max),
    Exhibit(
        name="batch-norm-detached-mean",
        wrong="y = (x − μ)/√(v + ε) with μ taken for a constant in the backward pass: its gradient lacks "
              "−mean(ȳ)/√(v + ε).",
        plausible="The forward pass is right to the last bit, and running averages are rightly detached a line below.",
        typical_of="hand-written normalisation layers", caught_by="check.gradient",
        build=build_batch_norm, check=check_batch_norm),
    Exhibit(
        name="softplus-second-derivative",
        wrong="softplus′ = 1/(1 + e⁻ˣ) differentiates to e⁻ˣ/(1 + e⁻ˣ)² = ∞/∞ where x ≪ 0.",
        plausible="Value and slope are right everywhere; only a gradient penalty or a Hessian goes on to the next.",
        typical_of="hand-written activations", caught_by="check.gradient",
        build=build_softplus, check=check_softplus),
)
