r"""The autoencoder, and the denoising autoencoder.

D. Rumelhart, G. Hinton and R. Williams, 1986; P. Baldi and K. Hornik, 1989 (linear); P. Vincent, H. Larochelle, Y.
Bengio and P.-A. Manzagol, "Extracting and composing robust features with denoising autoencoders", 2008; P. Vincent, "A
connection between score matching and denoising autoencoders", 2011.

**Autoencoder.** An encoder squeezes x into K < D numbers, a decoder makes x of them again:

    z = f(x),    r(x) = g(z),    L = E[½ ‖r(x) − x‖²].                                                        (1)

If f and g are linear (with offsets), the optimum of (1) is the projection onto the K principal directions: g ∘ f spans
the same subspace as PCA, though its basis need not be PCA's.

It is not yet a generative model: nothing says where in z-space to draw from. (`vae` says so by a prior, `aae` too.)

**Denoising.** Spoil the input and ask for the clean one:

    x̃ = x + σ ε,  ε ~ N(0, I)    (or x̃ = x with a fraction of its entries set to 0),                          (2)
    L = E[½ ‖r(x̃) − x‖²].                                                                                    (3)

The best r is r*(x̃) = E[x|x̃]. For the Gaussian noise of (2), with p_σ(x̃) = ∫ p(x) N(x̃; x, σ² I) dx the density of
spoilt data, differentiate under the integral (M. Tweedie; H. Robbins, 1956):

    r*(x̃) − x̃ = σ² ∇ log p_σ(x̃).                                                                             (4)

So a denoiser is an estimate of the *score*, and points back to the data: the root of score matching and of diffusion.
For x ~ N(μ, s² I), (4) is (μ − x̃) σ²/(s² + σ²). """
import math

import minigen as mg
from minigen import nn
from minigen.models.base import GenerativeModel, Objective
from minigen.random import as_generator

__all__ = ["Autoencoder", "DenoisingAutoencoder"]


class Autoencoder(GenerativeModel):
    """Eq. (1), of two multilayer perceptrons.

    Args:
        event_shape: of one example, D entries. latents: K. hidden: widths of the encoder's hidden layers; the decoder
            mirrors them. Empty: linear.
        squash: pass the output through a sigmoid, for images in [0, 1].
        activation: of the hidden layers. rng: generator or seed of the initial weights.
    """

    def __init__(self, event_shape=(28, 28, 1), latents=32, hidden=(400,), squash=False, activation=mg.relu, *, rng=0):
        rng = as_generator(rng)
        self.event_shape, self.latents, self.squash = tuple(event_shape), latents, squash
        D = math.prod(self.event_shape)
        self.encoder = nn.MLP([D, *hidden, latents], activation=activation, rng=rng)
        self.decoder = nn.MLP([latents, *reversed(hidden), D], activation=activation, rng=rng)

    def encode(self, x):
        """f(x): (N, *event) → (N, K)."""
        if x.shape[1:] != self.event_shape:
            raise ValueError(f"{type(self).__name__}: wants examples (N, {', '.join(map(str, self.event_shape))}), got "
                             f"shape {x.shape}")
        return self.encoder(mg.reshape(x, (len(x), -1)))

    def decode(self, z):
        """g(z): (N, K) → (N, *event)."""
        x = self.decoder(z)
        return mg.reshape(mg.sigmoid(x) if self.squash else x, (len(z), *self.event_shape))

    def reconstruct(self, x):
        """r(x), of x's shape. Eq. (1)."""
        return self.decode(self.encode(x))

    def error(self, x):
        """½ ‖r(x) − x‖² of each example, (N,): the higher, the less x is like what was learnt from."""
        return _half_square(self.reconstruct(x) - x)

    energy = error

    def terms(self, x, *, rng=None):
        """{"loss"}: Eq. (1)."""
        return {"loss": mg.mean(self.error(x))}

    def objectives(self):
        """One, for encoder and decoder together."""
        return [Objective("reconstruction", self.parameters(), lambda batch, rng: self.terms(batch["x"], rng=rng))]

    def sample(self, n, *, rng, labels=None):
        """Not defined: Eq. (1) says nothing about where in z-space the data lie."""
        raise NotImplementedError(f"{type(self).__name__}: an autoencoder has no distribution to draw from; fit one to "
                                  "encode(x) (a GaussianMixtureModel), or use VAE or AdversarialAutoencoder")


class DenoisingAutoencoder(Autoencoder):
    """Eq. (3). More arguments than `Autoencoder`:

    Args:
        noise: σ of Eq. (2). masked: the fraction of entries set to 0, in place of that noise if it is not 0.
    """

    def __init__(self, *args, noise=0.3, masked=0.0, **settings):
        super().__init__(*args, **settings)
        if noise < 0 or not 0 <= masked < 1:
            raise ValueError(f"DenoisingAutoencoder: wants noise ≥ 0 and 0 ≤ masked < 1, got {noise} and {masked}")
        self.noise, self.masked = noise, masked

    def spoil(self, x, *, rng, eps=None):
        """x̃ of Eq. (2). ``eps``, of x's shape, replaces the noise."""
        if rng is None and (self.masked or eps is None):
            raise ValueError("DenoisingAutoencoder: spoils at random, so it wants rng, a Generator or a seed")
        rng = as_generator(rng) if rng is not None else None
        if self.masked:
            return x * rng.bernoulli(mg.full(x.shape, 1 - self.masked), dtype=x.dtype)
        return x + self.noise * (rng.standard_normal(x.shape, dtype=x.dtype) if eps is None else eps)

    def terms(self, x, *, rng=None, eps=None):
        """{"loss"}: Eq. (3)."""
        return {"loss": mg.mean(_half_square(self.reconstruct(self.spoil(x, rng=rng, eps=eps)) - x))}

    def score(self, x):
        """The estimate of ∇log p_σ(x), of x's shape, where the noise is Gaussian. Eq. (4)."""
        if self.masked or not self.noise:
            raise ValueError("DenoisingAutoencoder.score: Eq. (4) holds for Gaussian noise, and this one masks or has "
                             "none; build it with masked=0 and noise > 0")
        return (self.reconstruct(x) - x) * (1 / self.noise ** 2)


def _half_square(difference):
    """½ ‖·‖² of each event, (N,)."""
    return 0.5 * mg.sum(difference * difference, axis=tuple(range(1, difference.ndim)))
