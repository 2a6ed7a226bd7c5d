r"""The Wasserstein GAN, with clipped weights (WGAN) and with a gradient penalty (WGAN-GP).

M. Arjovsky, S. Chintala and L. Bottou, "Wasserstein GAN", 2017, arXiv:1701.07875; I. Gulrajani et al., "Improved
Training of Wasserstein GANs", 2017, arXiv:1704.00028.

**Distance.** The least work that carries the mass of p to where q has it, over all joints π with these two marginals:

    W₁(p, q) = min_π E_{(x, y)~π} ‖x − y‖.                                                                      (1)

It falls steadily as q moves towards p even while their supports are apart, where the JSD stays at log 2 and gives no
gradient: for p = δ₀ and q = δ_m, W₁ = |m|. Kantorovich and Rubinstein's duality writes it as a game:

    W₁(p, q) = max_{f : ‖f‖_L ≤ 1} E_{x~p}[f(x)] − E_{x~q}[f(x)].                                                (2)

So the discriminator becomes a critic f, with no sigmoid, which maximises the difference (2) among functions whose slope
is nowhere above 1, and G minimises −E[f(G(z))]. Any f with slope at most K gives a bound,

    W₁(p, q) ≥ (E_p[f] − E_q[f]) / K.                                                                            (3)

**On a line** the best plan moves the u-quantile of p to the u-quantile of q, W₁ = ∫₀¹ |F⁻¹(u) − G⁻¹(u)| du. For two
Gaussians the quantiles differ by (μ_p − μ_q) + (σ_p − σ_q) Φ⁻¹(u), so that with m = μ_p − μ_q, s = |σ_p − σ_q|

    W₁ = E|m + s ε| = s √(2/π) e^{−m²/(2s²)} + m (2Φ(m/s) − 1),    ε ~ N(0, 1),                                  (4)

the mean of a folded normal; |m| if s = 0.

**How the critic is kept Lipschitz.** WGAN clips every weight after each step, which bounds the slope by some unknown K,
so that the critic measures K W₁ at most:

    w ← min(max(w, −c), c),    c = 0.01.                                                                        (5)

WGAN-GP asks for a gradient of norm 1 between data and fakes (`penalties`), and K ≈ 1. Either way the critic should be
near its best before G moves: k = 5 critic steps for one of G's.
"""
import math

import minigen as mg
from minigen import nn
from minigen.models.adversarial.gan import GAN
from minigen.models.adversarial.penalties import GradientPenalty


class WGAN(GAN):
    """A critic with clipped weights, Eqs. (2), (5). The paper trains both players by RMSprop, lr=5e-5.

    Args: as in `GAN`, and clip: c in Eq. (5).
    """

    def __init__(self, event_shape=(2,), latents=2, hidden=(128, 128), *, clip=0.01, discriminator_steps=5, **networks):
        if not clip > 0:
            raise ValueError(f"WGAN: clip must be positive, got {clip}")
        self.clip = clip
        super().__init__(event_shape, latents, hidden, "wasserstein", discriminator_steps=discriminator_steps,
                         **networks)
        with mg.no_grad():
            self.constrain()

    def constrain(self):
        """Clip every weight of the critic to [−c, c]. Eq. (5)."""
        for w in self.discriminator.parameters():
            w[...] = mg.clip(w, -self.clip, self.clip)                                                        # Eq. (5)


class WGANGP(GAN):
    """A critic with a gradient penalty. The paper trains both players by Adam, lr=1e-4, betas=(0, 0.9).

    Args: as in `GAN`, and penalty_weight: λ. Raises ValueError for a critic with batch norm, for which the penalty has
        no norm of each example (see `penalties`).
    """

    def __init__(self, event_shape=(2,), latents=2, hidden=(128, 128), *, penalty_weight=10.0, discriminator_steps=5,
                 **networks):
        super().__init__(event_shape, latents, hidden, "wasserstein", penalty=GradientPenalty(penalty_weight),
                         discriminator_steps=discriminator_steps, **networks)
        if any(isinstance(module, nn.BatchNorm) for module in self.discriminator.modules()):
            raise ValueError("WGANGP: the critic has batch norm, which makes its value at an example depend on the "
                             "whole batch, while the penalty is on the gradient at each; use norm='layer', or none")


def wasserstein_normal(mean_p, std_p, mean_q, std_q):
    """W₁ between N(mean_p, std_p²) and N(mean_q, std_q²) on a line, a float in the units of x. Eq. (4)."""
    m, s = mean_p - mean_q, abs(std_p - std_q)
    if s == 0:
        return float(abs(m))
    # 2Φ(r) − 1 = erf(r / √2)
    return s * math.sqrt(2 / math.pi) * math.exp(-0.5 * (m / s) ** 2) + m * math.erf(m / (s * math.sqrt(2)))  # Eq. (4)
