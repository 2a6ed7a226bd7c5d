r"""GANs on images: the convolutional networks of DCGAN, for every GAN of this folder.

A. Radford, L. Metz and S. Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", 2015, arXiv:1511.06434.

**Sizes.** A 4 × 4 convolution of stride 2 with one pixel of padding halves an image, and its adjoint, the transposed
convolution, doubles it:

    H′ = (H + 2·1 − 4)/2 + 1 = H/2  for even H,        H = 2 H′.                                                  (1)

The kernel is a multiple of the stride, so every pixel of the doubled image is a sum over 2 × 2 of the pixels below it,
all alike; a 3 × 3 or 5 × 5 kernel would weigh neighbouring pixels by different counts of terms and draw a chequerboard.

**Networks.** No pooling and no hidden layers that connect everything: strides shrink and enlarge, and the networks
learn how. With F = ``width`` and images of H × W × C, H and W divisible by 4,

    G:  z (K) → linear → H/4 × W/4 × 2F → norm, ReLU → convT → H/2 × W/2 × F → norm, ReLU → convT → H × W × C → tanh (2)
    D:  x → conv → H/2 × W/2 × F → leaky ReLU → conv → H/4 × W/4 × 2F → norm, leaky ReLU → linear → a(x)             (3)

Batch norm stands everywhere but at the output of G and the input of D, leaky ReLU has slope 0.2, weights start from
N(0, 0.02²). The paper trains both players by Adam with lr = 2e-4 and β₁ = 0.5.

**Pixels.** One rule: outside the networks an image is in [0, 1], as `data.to_unit` makes it and `viz.image_grid` draws
it. Inside it is in [−1, 1], centred as tanh is:

    G ends with x = (1 + tanh h)/2,        D begins with 2x − 1.                                                   (4)

So a gradient by x, in a penalty, is by pixels in [0, 1]: twice as long as by pixels in [−1, 1].

**Batch norm in training.** Data and fakes go through D as two batches, each normalised by its own statistics. In
evaluation G uses running statistics, so that a sample depends on its own z alone: call ``model.eval()`` before
sampling.

**Between two latents.** Noise z ~ N(0, I) in K dimensions has a length near √K, always; the middle of a straight line
between two has √(K/2), where G has hardly ever been. So go along the arc (K. Shoemake, 1985; T. White, "Sampling
Generative Networks", 2016, arXiv:1609.04468), with Ω the angle between the two:

    z(t) = sin((1 − t) Ω)/sin Ω · z₀ + sin(t Ω)/sin Ω · z₁.                                                          (5)

**With labels** G's batch norms are conditional, y ↦ γ_y, β_y (T. Miyato and M. Koyama, 2018, arXiv:1802.05637), and the
first acts on each of the H/4 · W/4 · 2F numbers before they become an image, not on 2F channels. So a class has a shape
of its own from the start. Per channel it could only mix shapes that all classes share, which is enough in a deep
network, but not here, where two layers follow.

Differences from the paper: two strides for 28 × 28 images where it has four for 64 × 64; z ~ N(0, I) where it is
uniform; no bias where batch norm follows, which would take it away again.
"""
import math

import minigen as mg
from minigen import nn
from minigen.models.adversarial.conditional import Heads
from minigen.models.adversarial.gan import GAN, flatten
from minigen.random import as_generator

SHAPE = (28, 28, 1)
NORMS = ("batch", "layer", "spectral", None)
_HALVE = dict(kernel_size=4, stride=2, padding=1, weight_init="normal")                                    # Eq. (1)


class ImageGenerator(nn.Module):
    """G of Eq. (2): z (N, latents) → images (N, H, W, C) in [0, 1].

    Args:
        latents: K. event_shape: (H, W, C). width: F.
        classes: None, or how many labels there are: then it is called with labels (N,) too, and its batch norms are
            conditional on them (`nn.ConditionalBatchNorm`).
        rng: generator or seed of the initial weights.

    Raises ValueError for H or W that 4 does not divide, z of another width, or labels where it wants none.
    """

    def __init__(self, latents=64, event_shape=SHAPE, width=64, classes=None, *, rng):
        H, W, C = _divisible(event_shape)
        rng, self.classes, self.start = as_generator(rng), classes, (H // 4, W // 4, 2 * width)
        numbers = math.prod(self.start)
        self.project = nn.Linear(latents, numbers, bias=False, rng=rng, weight_init="normal")
        self.norms = ([nn.BatchNorm(2 * width), nn.BatchNorm(width)] if classes is None else
                      [nn.ConditionalBatchNorm(numbers, classes), nn.ConditionalBatchNorm(width, classes)])
        self.double = [nn.ConvTranspose2d(2 * width, width, bias=False, rng=rng, **_HALVE),
                       nn.ConvTranspose2d(width, C, rng=rng, **_HALVE)]

    def forward(self, z, labels=None):
        if (labels is None) != (self.classes is None):
            raise ValueError(f"ImageGenerator: it was made with classes={self.classes}, and called with "
                             + (f"no labels; pass {len(z)} integers from 0 to {self.classes - 1}" if labels is None else
                                f"labels of shape {labels.shape}; make it with classes=K to use them"))
        given = () if labels is None else (labels,)
        shape, h = (len(z), *self.start), self.project(z)                                       # (N, H/4 · W/4 · 2F)
        h = mg.relu(self.norms[0](mg.reshape(h, shape) if labels is None else h, *given))
        h = self.double[0](mg.reshape(h, shape))                                                # (N, H/2, W/2, F)
        h = self.double[1](mg.relu(self.norms[1](h, *given)))                                   # (N, H, W, C)
        return 0.5 + 0.5 * mg.tanh(h)                                                                      # Eq. (4)


def image_features(event_shape=SHAPE, width=64, norm="batch", *, rng):
    """D of Eq. (3) without its last layer: images (N, H, W, C) in [0, 1] → (N, features), and their number.

    Args:
        norm: "batch"; "layer", over all of an example, for critics with a gradient penalty; "spectral": every weight is
            divided by its largest singular value (`nn.SpectralNorm`); None.

    Returns (Module, features). Raises ValueError for H or W that 4 does not divide, or an unknown norm.
    """
    H, W, C = _divisible(event_shape)
    if norm not in NORMS:
        raise ValueError(f"image_features: norm must be one of {', '.join(map(repr, NORMS))}; got {norm!r}")
    rng, leaky = as_generator(rng), nn.LeakyReLU(0.2)
    first = nn.Conv2d(C, width, rng=rng, **_HALVE)
    second = nn.Conv2d(width, 2 * width, bias=norm != "batch", rng=rng, **_HALVE)
    between = {"batch": [nn.BatchNorm(2 * width)], "layer": [nn.GroupNorm(1, 2 * width)]}.get(norm, [])
    layers = [_centred, _wrapped(first, norm, rng), leaky, _wrapped(second, norm, rng), *between, leaky, flatten]
    return nn.Sequential(*layers), H // 4 * (W // 4) * 2 * width


def image_discriminator(event_shape=SHAPE, width=64, norm="batch", *, rng):
    """D of Eq. (3): images (N, H, W, C) in [0, 1] → logits (N, 1). Args, and what it raises, as `image_features`."""
    rng = as_generator(rng)
    features, F = image_features(event_shape, width, norm, rng=rng)
    return nn.Sequential(*features, _wrapped(nn.Linear(F, 1, rng=rng, weight_init="normal"), norm, rng))


def image_heads(classes, event_shape=SHAPE, width=64, norm="batch", *, rng):
    """A discriminator for `ProjectionGAN` and `ACGAN`: features of images, then `Heads`. Args as `image_features`."""
    rng = as_generator(rng)
    return Heads(*image_features(event_shape, width, norm, rng=rng), classes, rng=rng)


class DCGAN(GAN):
    """A GAN of images with the networks of Eqs. (2), (3).

    Args: as in `GAN`, and width: F, in the place of hidden.
    """

    def __init__(self, event_shape=SHAPE, latents=64, width=64, loss="non-saturating", *, rng=0, **settings):
        rng = as_generator(rng)
        networks = {"generator": ImageGenerator(latents, event_shape, width, rng=rng),
                    "discriminator": image_discriminator(event_shape, width, rng=rng)}
        super().__init__(event_shape, latents, (), loss, rng=rng, **{**networks, **settings})


def spherical(z0, z1, t):
    """The arc from z0 to z1, latents (N, K), at t (T,) from 0 to 1: (N, T, K). Eq. (5).

    Raises ValueError for shapes that differ. Two that point the same way are joined by a straight line; two opposite
    ones by no arc that could be preferred.
    """
    if z0.shape != z1.shape or z0.ndim != 2:
        raise ValueError(f"spherical: wants latents (N, K) and (N, K), got shapes {z0.shape} and {z1.shape}")
    u, v = mg.normalize(z0), mg.normalize(z1)
    omega = 2.0 * mg.arctan(mg.norm(u - v, axis=1, keepdims=True) / mg.norm(u + v, axis=1, keepdims=True))   # (N, 1)
    omega = mg.maximum(omega, 1e-3)                         # sin(tΩ)/sin Ω tends to t, but 0/0 says nothing
    before, after = mg.sin((1.0 - t) * omega), mg.sin(t * omega)                                # (N, T)
    return (before[..., None] * z0[:, None] + after[..., None] * z1[:, None]) / mg.sin(omega)[..., None]   # Eq. (5)


def _centred(x):
    """[0, 1] → [−1, 1]. Eq. (4)."""
    return 2.0 * x - 1.0


def _wrapped(layer, norm, rng):
    return nn.SpectralNorm(layer, rng=rng) if norm == "spectral" else layer


def _divisible(event_shape):
    """(H, W, C), if images can be halved twice."""
    if len(event_shape) != 3 or min(event_shape) < 1 or event_shape[0] % 4 or event_shape[1] % 4:
        raise ValueError(f"DCGAN: wants images (H, W, C) with H and W divisible by 4, which are halved twice, got "
                         f"{tuple(event_shape)}; pad or crop them")
    return event_shape
