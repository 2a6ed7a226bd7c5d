r"""The energy-based GAN.

J. Zhao, M. Mathieu and Y. LeCun, "Energy-based Generative Adversarial Network", 2016, arXiv:1609.03126.

The discriminator is an energy: low on data, high elsewhere. Here it is the error of an autoencoder, which has a reason
to be low where examples are: it is trained to reconstruct them,

    E(x) = ‖dec(enc(x)) − x‖²/D.                                                                              (1)

It lifts fakes only up to a margin m, above which they are bad enough; the generator wants low energy:

    L_D = E(x) + max(0, m − E(G(z))),    L_G = E(G(z)).                                                       (2)

At an equilibrium p_G = p_data, and mean L_D = m (ibid., theorem 1). Against a generator that makes one thing only, the
codes S = enc(G(z)) of a batch are pulled apart (the *pulling-away* term):

    PT(S) = 1/(N (N − 1)) Σ_{i≠j} (S_i·S_j / ‖S_i‖‖S_j‖)²,    added to L_G with a small weight.                (3)

Difference from the paper: mean squared error per entry in (1), so that m does not depend on the size of an image.
"""
import math

import minigen as mg
from minigen import nn
from minigen.models.base import GenerativeModel, Objective
from minigen.models.latent.autoencoder import Autoencoder
from minigen.random import as_generator

__all__ = ["EBGAN"]


class EBGAN(GenerativeModel):
    """Eqs. (1) to (3), with multilayer perceptrons unless networks are given.

    Args:
        event_shape: of one example. latents: of z. codes: of the autoencoder. hidden: widths of both networks.
        margin: m. pull: weight of Eq. (3). squash: outputs in (0, 1), for images.
        generator: Module (N, latents) → (N, *event). autoencoder: with ``encode`` and ``decode`` like `Autoencoder`'s.
    """

    def __init__(self, event_shape=(28, 28, 1), latents=32, codes=32, hidden=(400,), margin=0.1, pull=0.1, squash=True,
                 *, generator=None, autoencoder=None, rng=0):
        if not margin > 0 or pull < 0:
            raise ValueError(f"EBGAN: wants margin > 0 and pull ≥ 0, got {margin} and {pull}")
        rng = as_generator(rng)
        self.event_shape, self.latents, self.margin, self.pull = tuple(event_shape), latents, margin, pull
        self.generator = self._default_generator(hidden, squash, rng) if generator is None else generator
        self.autoencoder = autoencoder or Autoencoder(event_shape, codes, hidden, squash=squash, rng=rng)

    def _default_generator(self, hidden, squash, rng):
        net = nn.MLP([self.latents, *reversed(hidden), math.prod(self.event_shape)], rng=rng)
        return nn.Sequential(net, *[mg.sigmoid] * squash, lambda x: mg.reshape(x, (len(x), *self.event_shape)))

    def energy(self, x):
        """E(x), (N,): mean squared error per entry. Eq. (1)."""
        error = self.autoencoder.reconstruct(x) - x
        return mg.mean(error * error, axis=tuple(range(1, x.ndim)))

    def discriminator_terms(self, x, *, rng):
        """{"loss", "data", "fake"}: Eq. (2), and the two mean energies."""
        with mg.no_grad():
            fake = self.generator(self._noise(len(x), as_generator(rng)))
        data, fake = self.energy(x), self.energy(fake)
        loss = mg.mean(data) + mg.mean(mg.relu(self.margin - fake))                                         # Eq. (2)
        return {"loss": loss, "data": mg.mean(data), "fake": mg.mean(fake)}

    def generator_terms(self, x, *, rng):
        """{"loss", "pull"}: Eq. (2), plus Eq. (3)."""
        fake = self.generator(self._noise(len(x), as_generator(rng)))
        pull = pulling_away(self.autoencoder.encode(fake))
        return {"loss": mg.mean(self.energy(fake)) + self.pull * pull, "pull": pull}

    def objectives(self):
        """Two: the autoencoder, then the generator."""
        return [Objective("discriminator", self.autoencoder.parameters(),
                          lambda batch, rng: self.discriminator_terms(batch["x"], rng=rng)),
                Objective("generator", self.generator.parameters(),
                          lambda batch, rng: self.generator_terms(batch["x"], rng=rng))]

    def sample(self, n, *, rng, labels=None):
        """n draws G(z), (n, *event_shape)."""
        if labels is not None:
            raise ValueError(f"EBGAN: this model knows no labels, got {len(labels)} of them")
        with mg.no_grad():
            return self.generator(self._noise(n, as_generator(rng)))

    def _noise(self, n, rng):
        return rng.standard_normal((n, self.latents))


def pulling_away(codes):
    """PT of codes (N, K): the mean squared cosine between different rows, in [0, 1]. Eq. (3). Wants N ≥ 2."""
    if codes.ndim != 2 or len(codes) < 2:
        raise ValueError(f"pulling_away: wants codes (N, K) with N ≥ 2, got shape {codes.shape}")
    unit = mg.normalize(codes)
    cosines = mg.matmul(unit, unit.T)
    N = len(codes)
    return (mg.sum(cosines * cosines) - mg.sum(mg.diagonal(cosines) ** 2)) / (N * (N - 1))
