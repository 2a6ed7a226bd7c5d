r"""A GAN whose discriminator is held Lipschitz by construction.

T. Miyato, T. Kataoka, M. Koyama and Y. Yoshida, "Spectral Normalization for Generative Adversarial Networks", 2018,
arXiv:1802.05957.

A network a(x) = W_L f(… W₂ f(W₁ x)) stretches no more than its layers do together. Leaky ReLU has slope at most 1, so

    ‖a‖_L ≤ ∏_l σ(W_l),                                                                                           (1)

where σ(W) is the largest singular value. Dividing every weight by its own σ makes the right side 1:

    Ŵ_l = W_l / σ(W_l)    ⇒    |a(x) − a(y)| ≤ ‖x − y‖    for all x and y,                                        (2)

everywhere, not only on lines between data and fakes as a gradient penalty does, and with no second backward pass. The
paper trains by the hinge loss of `losses` (its Eqs. 16, 17). How σ is found while W moves is told in
`minigen.nn.spectral`.

Ours may multiply a by a constant K, which makes it K-Lipschitz. The hinge wants a = 1 on data and −1 on fakes; with K =
1 that takes a distance of 2, and fakes that are nearer than that to the data hardly differ from them.
"""
import math

from minigen import nn
from minigen.models.adversarial.gan import GAN, flatten
from minigen.random import as_generator


class SNGAN(GAN):
    """A GAN with a spectrally normalised discriminator, Eq. (2), and the hinge loss.

    Args: as in `GAN`, and lipschitz: K. A discriminator of your own is used as it is: wrap its layers in
        `nn.SpectralNorm`.
    """

    def __init__(self, event_shape=(2,), latents=2, hidden=(128, 128), loss="hinge", *, lipschitz=1.0, **settings):
        if not lipschitz > 0:
            raise ValueError(f"SNGAN: lipschitz must be positive, got {lipschitz}")
        self.lipschitz = lipschitz
        super().__init__(event_shape, latents, hidden, loss, **settings)

    def _default_discriminator(self, hidden, rng):
        return nn.Sequential(flatten, spectral_mlp([math.prod(self.event_shape), *hidden, 1], rng=rng))

    def discriminate(self, x, labels=None):
        """K times the normalised logit: (N, *event) → (N,)."""
        return self.lipschitz * super().discriminate(x, labels)


def spectral_mlp(sizes, *, rng):
    """A multilayer perceptron of leaky ReLUs whose every weight is divided by its largest singular value. Eq. (2)."""
    rng, layers = as_generator(rng), []
    for features, following in zip(sizes, sizes[1:]):
        layers += [nn.SpectralNorm(nn.Linear(features, following, rng=rng), rng=rng), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])
