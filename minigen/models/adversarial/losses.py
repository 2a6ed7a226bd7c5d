r"""What the two players minimise, for each kind of GAN, as functions of the discriminator's last linear output.

Write a = a(x) for that output, p for the density of the data and q for that of the generated G(z). Where D is a
probability, D(x) = σ(a), so that log D = −softplus(−a) and log(1 − D) = −softplus(a) without ever rounding to log 0.
Every loss is a sum

    L_D = E_{x~p}[real(a(x))] + E_{z}[fake(a(G(z)))],        L_G = E_z[generator(a(G(z)))],                       (1)

so a `Loss` is three functions of numbers. For a fixed G the best a is found pointwise: a*(x) minimises
p(x) real(a) + q(x) fake(a), from which follows what G then minimises, a distance between q and p.

**minimax** (I. Goodfellow et al., "Generative Adversarial Networks", 2014, arXiv:1406.2661, Eq. 1), in nats:

    L_D = −E log D(x) − E log(1 − D(G(z))),    L_G = E log(1 − D(G(z))),      D* = p/(p + q), JSD                 (2)

**non-saturating** (ibid., end of section 3): same L_D, and the generator's gradient does not vanish where D rejects it:

    L_G = −E log D(G(z))                                                                                          (3)

**classification error**: D is graded by its error rate in place of its log-likelihood; D minimises it, G maximises it:

    L_D = ½ E[1 − D(x)] + ½ E[D(G(z))],        L_G = −½ E[D(G(z))],           D* = 1[p > q], total variation      (4)

**least squares** (X. Mao et al., 2016, arXiv:1611.04076, Eq. 2), D regresses on b for data and c₀ for fakes, G aims at
c:

    L_D = ½ E(a(x) − b)² + ½ E(a(G(z)) − c₀)²,  L_G = ½ E(a(G(z)) − c)²,      a* = (b p + c₀ q)/(p + q)           (5)

(the paper calls c₀ "a"). With b − c = 1 and b − c₀ = 2, G minimises half of Pearson's χ²(p + q ‖ 2q).

**hinge** (J. H. Lim and J. C. Ye, "Geometric GAN", 2017, arXiv:1705.02894, Eqs. 24, 25):

    L_D = E max(0, 1 − a(x)) + E max(0, 1 + a(G(z))),   L_G = −E a(G(z)),     a* = sign(p − q), total variation   (6)

**Wasserstein** (M. Arjovsky, S. Chintala and L. Bottou, 2017, arXiv:1701.07875, Eq. 2), for a critic kept 1-Lipschitz:

    L_D = E a(G(z)) − E a(x),                  L_G = −E a(G(z)),              −min L_D = W₁(p, q)                 (7)
"""
import dataclasses
import difflib
from collections.abc import Callable

from minigen.ops.activations import relu, sigmoid, softplus
from minigen.ops.elementwise import square


@dataclasses.dataclass(frozen=True)
class Loss:
    """Three elementwise functions of the discriminator's output, Eq. (1).

    Attributes:
        real, fake: what the discriminator minimises on data and on fakes. generator: what the generator minimises.
    """
    name: str
    real: Callable
    fake: Callable
    generator: Callable


def least_squares(real=1.0, fake=0.0, target=1.0):
    """LSGAN with the targets b, c₀ and c of Eq. (5); ``least_squares(1, -1, 0)`` minimises Pearson's χ²."""
    return Loss("least-squares", real=lambda a: 0.5 * square(a - real),                                      # Eq. (5)
                fake=lambda a: 0.5 * square(a - fake), generator=lambda a: 0.5 * square(a - target))


def _minus(a):
    return -a


LOSSES = {loss.name: loss for loss in [
    Loss("minimax", real=lambda a: softplus(-a), fake=softplus, generator=lambda a: -softplus(a)),           # Eq. (2)
    Loss("non-saturating", real=lambda a: softplus(-a), fake=softplus, generator=lambda a: softplus(-a)),    # Eq. (3)
    Loss("classification-error", real=lambda a: 0.5 * sigmoid(-a), fake=lambda a: 0.5 * sigmoid(a),          # Eq. (4)
         generator=lambda a: -0.5 * sigmoid(a)),
    least_squares(),                                                                                         # Eq. (5)
    Loss("hinge", real=lambda a: relu(1.0 - a), fake=lambda a: relu(1.0 + a), generator=_minus),             # Eq. (6)
    Loss("wasserstein", real=_minus, fake=lambda a: a, generator=_minus),                                    # Eq. (7)
]}


def get(loss):
    """A `Loss` by name, or the `Loss` itself. Raises ValueError for an unknown name, with the nearest known one."""
    if isinstance(loss, Loss):
        return loss
    if loss not in LOSSES:
        near = difflib.get_close_matches(str(loss), LOSSES, 1)
        raise ValueError(f"GAN: no loss is called {loss!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                         + f" Known: {', '.join(LOSSES)}; or pass a Loss of your own")
    return LOSSES[loss]
