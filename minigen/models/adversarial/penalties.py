r"""Penalties on the gradient of the discriminator with respect to its input: WGAN-GP and R1.

Both need a derivative of a derivative: the penalty holds ∇ₓ a(x), and training differentiates it by the weights. The
gradient is recorded (``create_graph=True``) so that the engine can go through it again.

**WGAN-GP** (I. Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv:1704.00028). The best critic for
W₁ has a gradient of norm 1 almost everywhere on the straight lines between points of p and q that optimal transport
joins (Proposition 1). So ask for it, softly, on lines between pairs drawn at random:

    x̂ = α x + (1 − α) G(z),   α ~ U[0, 1], one for each example,                                              (1)
    λ E (‖∇_x̂ a(x̂)‖₂ − 1)²,   λ = 10.                                                                        (2)

**R1** (L. Mescheder, A. Geiger and S. Nowozin, "Which Training Methods for GANs do actually Converge?", 2018,
arXiv:1801.04406, Eq. 9). At the equilibrium D should be flat on the data, and the penalty makes training locally
convergent:

    (γ/2) E_{x~p} ‖∇_x a(x)‖₂².                                                                               (3)

**One norm for each example.** Since a(x_n) depends on x_n alone, the gradient of Σ_n a(x_n) by the whole batch holds
∇a(x_n) in row n:

    ∂/∂x_n Σ_m a(x_m) = ∇ a(x_n).                                                                             (4)

A discriminator with batch norm breaks (4), because a(x_n) then depends on the whole batch; use layer norm or none.

At ∇a = 0 the norm of (2) has a kink; `mg.norm` takes its gradient there as 0.
"""
import dataclasses

import minigen as mg


def input_gradient(critic, x):
    """∇ₓ a(x) for each example, recorded so that it can be differentiated again. Eq. (4).

    Args:
        critic: a function from x (N, *event) to a (N,), in which no example sees another.

    Returns (N, *event).
    """
    x = x.detach()
    x.requires_grad = True
    return mg.grad(mg.sum(critic(x)), x, create_graph=True)                                                # Eq. (4)


def flat(x):
    """(N, *event) → (N, D)."""
    return mg.reshape(x, (len(x), -1))


@dataclasses.dataclass(frozen=True)
class GradientPenalty:
    """WGAN-GP's penalty, Eqs. (1), (2). ``weight`` is λ.

    Called with ``(critic, x, fake, *, rng=None, alpha=None)`` it returns the penalty of each example, (N,). ``alpha``
    (N,) replaces the numbers of Eq. (1).
    """
    weight: float = 10.0

    def __post_init__(self):
        _positive("GradientPenalty", self.weight)

    def __call__(self, critic, x, fake, *, rng=None, alpha=None):
        if x.shape != fake.shape:
            raise ValueError(f"GradientPenalty: draws lines between examples and as many fakes, got {x.shape} and "
                             f"{fake.shape}")
        alpha = rng.random((len(x),), dtype=x.dtype) if alpha is None else alpha
        alpha = mg.reshape(alpha, (len(x),) + (1,) * (x.ndim - 1))                              # (N,) → (N, 1, …)
        between = alpha * x + (1.0 - alpha) * fake                                                         # Eq. (1)
        norm = mg.norm(flat(input_gradient(critic, between)), axis=1)                           # (N,)
        return self.weight * mg.square(norm - 1.0)                                                         # Eq. (2)


@dataclasses.dataclass(frozen=True)
class R1:
    """Mescheder's penalty on the data, Eq. (3). ``weight`` is γ. Called as `GradientPenalty` is; it uses x alone."""
    weight: float = 10.0

    def __post_init__(self):
        _positive("R1", self.weight)

    def __call__(self, critic, x, fake=None, *, rng=None, alpha=None):
        return 0.5 * self.weight * mg.sum(mg.square(flat(input_gradient(critic, x))), axis=1)             # Eq. (3)


def _positive(name, weight):
    if not weight > 0:
        raise ValueError(f"{name}: the weight must be positive, got {weight}; for no penalty pass penalty=None")
