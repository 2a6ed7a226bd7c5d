r"""A planar or radial flow fitted to a density that is known up to a constant.

D. Rezende and S. Mohamed, "Variational Inference with Normalizing Flows", 2015, arXiv:1505.05770, section 6.1.

**Task.** There are no data; there is a function U that can be evaluated, and with it the density

    p(z) = e^{−U(z)} / Z,    Z = ∫ e^{−U(z)} dz unknown.                                                         (1)

**Model.** K transforms in a row bend a standard normal z₀ into z_K. A draw comes with its density,

    log q(z_K) = log N(z₀; 0, I) − Σ_k log |det ∂f_k/∂z_{k−1}|.                                                  (2)

**Objective.** By (1), the divergence of q from p is

    D_KL(q ‖ p) = E_q[log q(z) + U(z)] + log Z  ≥ 0,    so   F := E_q[log q(z) + U(z)] ≥ −log Z.                 (3)

F, the *free energy*, needs no Z. In variational inference U is −log p(x, z) and Z = p(x), so −F is the ELBO. With
z = f_K ∘ ⋯ ∘ f_1(z₀) the expectation is over noise, and its gradient is a mean of gradients. Minimising (3) avoids
places where p is small; it may leave a mode out, but will not put mass where there is none.

**Annealing.** To find several modes it helps to flatten p first: minimise E_q[log q(z) + β_t U(z)] with

    β_t = min(1, 0.01 + t / T_anneal)   at step t.                                                               (4)

**Test energies** (table 1 of the paper), with w₁ = sin(2πz₁/4), w₂ = 3 exp(−½ ((z₁ − 1)/0.6)²) and
w₃ = 3 σ((z₁ − 1)/0.3):

    U₁ = ½ ((‖z‖ − 2)/0.4)² − log(exp(−½ ((z₁ − 2)/0.6)²) + exp(−½ ((z₁ + 2)/0.6)²))                             (5)
    U₂ = ½ ((z₂ − w₁)/0.4)²                                                                                      (6)
    U₃ = −log(exp(−½ ((z₂ − w₁)/0.35)²) + exp(−½ ((z₂ − w₁ + w₂)/0.35)²))                                        (7)
    U₄ = −log(exp(−½ ((z₂ − w₁)/0.4)²) + exp(−½ ((z₂ − w₁ + w₃)/0.35)²))                                         (8)

**Differences from the paper.** As they stand, (6) to (8) are no densities: they do not fall off along z₁, and Z is
infinite. The paper shows them for |z₁| ≤ 4; we add a wall ½ (max(|z₁| − 4, 0)/0.4)², so that Z is finite and log Z, by
quadrature, tells exactly how far F is from the best. And we use Adam and fewer, larger steps.
"""
import math

import numpy as np

import minigen as mg
from minigen.check.quadrature import integrate
from minigen.flows import Compose, Inverse, Planar, Radial
from minigen.models.base import Objective
from minigen.models.flow.model import FlowModel
from minigen.nn import Buffer

KINDS = {"planar": Planar, "radial": Radial}


class PlanarFlow(FlowModel):
    """Planar or radial transforms, fitted to an energy by the free energy F.

        model = PlanarFlow(U1, layers=16, rng=0)
        for step in range(2000):
            loss = model.free_energy(256, rng=rng).mean()       # nats; at best −log Z
            optimizer.zero_grad(); loss.backward(); optimizer.step()

    Args:
        energy: U, a function from z (…, D) to nats (…), written with minigen's ops.
        features: D. layers: K. kind: "planar" or "radial".
        draws: how many z estimate F in each step of `objectives`.
        anneal: T_anneal of Eq. (4), in steps; 0: no annealing.
        rng: generator or seed of the start.

    Attributes:
        steps: Buffer (), the steps taken so far, on which β depends.

    ``flow.transform`` goes from z_K back to z₀, as in every flow here; drawing runs the f_k forward. Raises ValueError
    for an unknown kind or no layers.
    """

    def __init__(self, energy, features=2, layers=16, kind="planar", draws=256, anneal=0, *, rng):
        if kind not in KINDS:
            raise ValueError(f"PlanarFlow: the kind is 'planar' or 'radial', got {kind!r}")
        if layers < 1 or draws < 1 or anneal < 0:
            raise ValueError(f"PlanarFlow: wants layers ≥ 1, draws ≥ 1 and anneal ≥ 0, got {layers}, {draws} and "
                             f"{anneal}")
        rng = mg.random.as_generator(rng)
        super().__init__(Inverse(Compose([KINDS[kind](features, rng=rng) for _ in range(layers)])), (features,))
        self.energy, self.draws, self.anneal = energy, draws, anneal
        self.steps = Buffer(mg.zeros((), dtype="int64"))

    def beta(self):
        """β of the next step. Eq. (4)."""
        return min(1.0, 0.01 + self.steps.item() / self.anneal) if self.anneal else 1.0

    def free_energy(self, n, *, rng=None, eps=None, beta=1.0):
        """log q(z) + β U(z) for n draws of q, nats, (n,); its mean estimates F. Eq. (3). ``eps`` (n, D) is z₀."""
        z, log_q = self.flow.sample_and_log_prob(n, rng=rng, eps=eps)                          # Eq. (2)
        return log_q + beta * self.energy(z)

    def objectives(self):
        """One: the annealed free energy. It reads no batch; pass the trainer ``lambda rng: {}``."""
        def loss(batch, rng):
            return {"loss": self.free_energy(self.draws, rng=rng, beta=self.beta()).mean()}

        def count():
            self.steps[...] = self.steps + 1

        return [Objective("free energy", list(self.parameters()), loss, after=count)]


def log_partition(energy, bounds=((-10.0, 10.0), (-10.0, 10.0))):
    """log Z of Eq. (1) in nats, by quadrature in two dimensions; ``bounds`` must hold all of the mass.

    Raises ArithmeticError where the integral is not settled to six digits.
    """
    def density(z):
        with mg.no_grad():
            return np.exp(-energy(mg.tensor(z)).numpy())

    Z = integrate(density, bounds, rtol=1e-9)
    if not Z.error <= 1e-6 * Z:
        raise ArithmeticError(f"log_partition: the integral of exp(−U) over {bounds} is {float(Z):.6g} ± "
                              f"{Z.error:.1g}; take bounds that fit the mass more closely")
    return math.log(Z)


# ---- the test energies -----------------------------------------------------------------------------------------------
def _bump(x, width):
    """½ (x / width)²."""
    return 0.5 * mg.square(x / width)


def _wall(z):
    """Zero for |z₁| ≤ 4, and a parabola outside."""
    return _bump(mg.maximum(mg.abs(z[..., 0]) - 4, 0), 0.4)


def _wave(z):
    """z₂ − w₁(z₁): the height above the wave."""
    return z[..., 1] - mg.sin(z[..., 0] * (math.pi / 2))


def U1(z):
    """Eq. (5): a ring with two modes."""
    arcs = mg.logaddexp(-_bump(z[..., 0] - 2, 0.6), -_bump(z[..., 0] + 2, 0.6))
    return _bump(mg.norm(z, axis=-1) - 2, 0.4) - arcs


def U2(z):
    """Eq. (6): a wave."""
    return _bump(_wave(z), 0.4) + _wall(z)


def U3(z):
    """Eq. (7): a wave that splits in two around z₁ = 1."""
    w2 = 3 * mg.exp(-_bump(z[..., 0] - 1, 0.6))
    return -mg.logaddexp(-_bump(_wave(z), 0.35), -_bump(_wave(z) + w2, 0.35)) + _wall(z)


def U4(z):
    """Eq. (8): a wave that splits in two at z₁ = 1 for good."""
    w3 = 3 * mg.sigmoid((z[..., 0] - 1) / 0.3)
    return -mg.logaddexp(-_bump(_wave(z), 0.4), -_bump(_wave(z) + w3, 0.35)) + _wall(z)


ENERGIES = {"U1": U1, "U2": U2, "U3": U3, "U4": U4}
