r"""The adversarial autoencoder: a prior imposed by a discriminator.

A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow and B. Frey, "Adversarial Autoencoders", 2015, arXiv:1511.05644.

A `vae` draws each q(z|x) to the prior by a divergence, which needs both densities. What sampling wants is less, that
the *aggregate* of all codes

    q(z) = E_{x~data}[q(z|x)]                                                                                 (1)

is the prior p(z). An adversary can tell how far apart two distributions are from their draws alone. So with a
deterministic encoder f and decoder g there are three objectives in each step:

    reconstruction    min_{f, g} E[½ ‖g(f(x)) − x‖²]                                                          (2)
    discriminator     min_a E_{z~p}[−log σ(a(z))] + E_x[−log σ(−a(f(x)))]                                     (3)
    encoder           min_f E_x[−log σ(a(f(x)))]                                                              (4)

(3) and (4) are a GAN whose generator is the encoder and whose data is the prior. Any prior one can draw from will do, a
swiss roll as well as a Gaussian.
"""
import math

import minigen as mg
from minigen import nn
from minigen.models.base import Objective
from minigen.models.latent.autoencoder import Autoencoder
from minigen.random import as_generator

__all__ = ["AdversarialAutoencoder"]


class AdversarialAutoencoder(Autoencoder):
    """Eqs. (2) to (4). More arguments than `Autoencoder`:

    Args:
        prior: function (n, rng) -> z (n, K), draws of p(z); by default N(0, I).
        discriminator_hidden: widths of the discriminator's hidden layers.
    """

    def __init__(self, *args, prior=None, discriminator_hidden=(256, 256), rng=0, **settings):
        rng = as_generator(rng)
        super().__init__(*args, rng=rng, **settings)
        self.draw_prior = prior or (lambda n, rng: rng.standard_normal((n, self.latents)))
        self.discriminator = nn.MLP([self.latents, *discriminator_hidden, 1], activation=nn.LeakyReLU(0.2), rng=rng)

    def discriminate(self, z):
        """The logit a(z), (N,): positive where z is taken for a draw of the prior."""
        return self.discriminator(z)[:, 0]

    def reconstruction_terms(self, x, *, rng=None):
        """{"loss"}: Eq. (2)."""
        return self.terms(x)

    def discriminator_terms(self, x, *, rng):
        """{"loss", "accuracy"}: Eq. (3), and how often the discriminator is right."""
        with mg.no_grad():
            z = self.encode(x)
        real, fake = self.discriminate(self._prior(len(x), rng)), self.discriminate(z)
        loss = mg.mean(mg.softplus(-real)) + mg.mean(mg.softplus(fake))                                     # Eq. (3)
        accuracy = 0.5 * (mg.mean((real > 0).astype(real.dtype)) + mg.mean((fake < 0).astype(fake.dtype)))
        return {"loss": loss, "accuracy": accuracy}

    def encoder_terms(self, x, *, rng=None):
        """{"loss"}: Eq. (4)."""
        return {"loss": mg.mean(mg.softplus(-self.discriminate(self.encode(x))))}                           # Eq. (4)

    def objectives(self):
        """Three, in the paper's order: Eqs. (2), (3), (4)."""
        both = [*self.encoder.parameters(), *self.decoder.parameters()]
        return [Objective("reconstruction", both, lambda batch, rng: self.reconstruction_terms(batch["x"])),
                Objective("discriminator", self.discriminator.parameters(),
                          lambda batch, rng: self.discriminator_terms(batch["x"], rng=rng)),
                Objective("encoder", self.encoder.parameters(), lambda batch, rng: self.encoder_terms(batch["x"]))]

    def sample(self, n, *, rng, labels=None):
        """n observations g(z) with z from the prior, (n, *event_shape)."""
        if labels is not None:
            raise ValueError(f"AdversarialAutoencoder: this model knows no labels, got {len(labels)} of them")
        with mg.no_grad():
            return self.decode(self._prior(n, as_generator(rng)))

    def _prior(self, n, rng):
        z = self.draw_prior(n, rng)
        if z.shape != (n, self.latents):
            raise ValueError(f"AdversarialAutoencoder: prior(n, rng) must return ({n}, {self.latents}) draws, "
                             f"got {z.shape}")
        return z


def ring_prior(components=10, radius=4.0, std=0.4):
    """A prior in the plane: Gaussians like petals around a circle, longer than wide (the paper's figure 2)."""
    def draw(n, rng):
        angle = 2 * math.pi / components * rng.integers(components, size=(n,)).astype("float32")
        along, across = radius + 2 * std * rng.standard_normal(n), 0.5 * std * rng.standard_normal(n)
        c, s = mg.cos(angle), mg.sin(angle)
        return mg.stack([c * along - s * across, s * along + c * across], axis=1)

    return draw


def swiss_roll_prior(turns=1.5, radius=5.0, std=0.15):
    """A prior in the plane: a spiral, uniform along its length (the paper's figure 3)."""
    def draw(n, rng):
        t = mg.sqrt(rng.random(n))                                              # so that its length is evenly covered
        angle = 2 * math.pi * turns * t
        roll = mg.stack([mg.cos(angle), mg.sin(angle)], axis=1) * mg.expand_dims(radius * t, 1)
        return roll + std * rng.standard_normal((n, 2))

    return draw
