r"""Conditional GANs: each class on demand. Three ways to tell the discriminator about the label y.

In all of them the generator sees the label beside the noise, and D and G play on pairs:

    x = G(z, y),    z ~ N(0, I),    y ~ p(y).                                                                     (1)

**Label input** (M. Mirza and S. Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv:1411.1784, Eq. 2): the
discriminator sees a one-hot vector e_y beside x, and for each y the game is a GAN of its own,

    min_G max_D E[log D(x, y)] + E[log(1 − D(G(z, y), y))].                                                       (2)

**Projection** (T. Miyato and M. Koyama, "cGANs with Projection Discriminator", 2018, arXiv:1802.05637, Eq. 8). The best
logit is log p(x, y)/q(x, y), which splits into a part of y given x and a part of x alone:

    a*(x, y) = log p(y|x)/q(y|x) + log p(x)/q(x).                                                                 (3)

If both conditionals are softmax classifiers with logits vᵖ_yᵀ φ(x) and v^q_yᵀ φ(x) on shared features φ, the first part
is (vᵖ_y − v^q_y)ᵀ φ(x) up to a term in x alone, which a network ψ takes in. So the label enters as an inner product:

    a(x, y) = v_yᵀ φ(x) + ψ(φ(x)),    v_y one learned vector for each class.                                      (4)

**Auxiliary classifier** (A. Odena, C. Olah and J. Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs",
2016, arXiv:1610.09585, Eqs. 2, 3). The discriminator is not shown y but must name it, with a softmax on the same
features φ:

    L_S = E[log p(S = real | x)] + E[log p(S = fake | G(z, y))],                                                  (5)
    L_C = E[log p(C = y | x)] + E[log p(C = y | G(z, y))].                                                        (6)

D maximises L_S + L_C, and G maximises L_C − L_S. Since G is rewarded for examples that are easy to classify, it may
thin out a class near its border with another; projection does not.

The generator given by default sees e_y too, as an input; `dcgan.ImageGenerator` has batch norm whose γ and β depend on
y in its place, as the paper on projection has.

Differences from the papers: L_S may be any loss of `losses`; by default multilayer perceptrons.
"""
import math

import numpy as np

import minigen as mg
from minigen import nn
from minigen.models.adversarial.gan import GAN, flatten
from minigen.random import as_generator


class LabelInput(nn.Module):
    """A network that sees e_y beside its input: x (N, …, D) and labels (N,) → net((N, …, D + classes)).

    An image sees the same e_y at every position, as so many more channels.

    Args:
        net: Module or function. flat: flatten x to rows (N, D) first.
    """

    def __init__(self, net, classes, flat=False):
        self.net, self.classes, self.flat = net, classes, flat

    def forward(self, x, labels):
        x = flatten(x) if self.flat else x
        e_y = mg.one_hot(labels, self.classes, x.dtype)                                        # (N, classes)
        e_y = mg.reshape(e_y, (len(x), *(1,) * (x.ndim - 2), self.classes))                    # (N, 1, …, classes)
        return self.net(mg.concatenate([x, mg.broadcast_to(e_y, (*x.shape[:-1], self.classes))], axis=-1))


class ConditionalGAN(GAN):
    """A GAN that is told the label, Eqs. (1), (2). Batches are {"x": (N, *event), "y": (N,) integers}.

    Args: as in `GAN`, and classes: how many labels there are, called 0 … classes − 1. Networks of your own are called
        with labels: ``generator(z, labels)`` and ``discriminator(x, labels)``; `LabelInput` makes such of any network.
    """

    def __init__(self, classes, event_shape=(2,), latents=2, hidden=(128, 128), loss="non-saturating", **settings):
        if classes < 1:
            raise ValueError(f"{type(self).__name__}: wants at least one class, got {classes}")
        self.classes = classes
        super().__init__(event_shape, latents, hidden, loss, **settings)

    def _default_generator(self, hidden, rng):
        sizes = [self.latents + self.classes, *hidden, math.prod(self.event_shape)]
        return LabelInput(nn.MLP(sizes, activation=nn.LeakyReLU(0.2), rng=rng), self.classes)

    def _default_discriminator(self, hidden, rng):
        sizes = [math.prod(self.event_shape) + self.classes, *hidden, 1]
        return LabelInput(nn.MLP(sizes, activation=nn.LeakyReLU(0.2), rng=rng), self.classes, flat=True)

    def generate(self, z, labels=None):
        """G(z, y): (N, K) and (N,) → (N, *event). Eq. (1)."""
        return self._as_events(self.generator(z, self.checked(labels, len(z), z)), len(z))

    def discriminate(self, x, labels=None):
        """a(x, y): (N, *event) and (N,) → (N,). Eq. (2)."""
        self._check(x)
        return self._one_each(self.discriminator(x, self.checked(labels, len(x), x)), len(x))

    def sample(self, n, *, rng, labels=None):
        """n draws of the given labels (n,), or of labels drawn uniformly: (n, *event_shape)."""
        rng = as_generator(rng)
        return super().sample(n, rng=rng, labels=rng.integers(self.classes, size=(n,)) if labels is None else labels)

    def checked(self, labels, n, like):
        """The labels as a Tensor (n,) on the backend of ``like``.

        Raises ValueError for labels that are missing, misshaped or out of range, TypeError if they are no integers.
        """
        name = type(self).__name__
        if labels is None:
            raise ValueError(f"{name}: this model is conditional; pass {n} labels from 0 to {self.classes - 1}")
        if not isinstance(labels, mg.Tensor):
            with mg.use(like.backend.name):
                labels = mg.tensor(np.asarray(labels))
        if labels.dtype.kind not in "iu":
            raise TypeError(f"{name}: labels must be integers, got {labels.dtype} of shape {labels.shape}")
        if labels.shape != (n,):
            raise ValueError(f"{name}: wants one label for each of {n} examples, got shape {labels.shape}")
        low, high = (int(labels.min()), int(labels.max())) if n else (0, 0)
        if low < 0 or high >= self.classes:
            raise ValueError(f"{name}: knows the labels 0 to {self.classes - 1}, got some from {low} to {high}")
        return labels

    def _labels_of(self, batch):
        if "y" not in batch:
            raise ValueError(f"{type(self).__name__}: wants batches with labels 'y' beside 'x', got {sorted(batch)}")
        return batch["y"]


class Heads(nn.Module):
    """Features φ of an example, and two linear maps of them: the logit ψ, and one number or vector for each class.

    Args: features: Module from (N, *event) to (N, F). width: F.
    """

    def __init__(self, features, width, classes, *, rng):
        self.features = features
        self.source = nn.Linear(width, 1, rng=rng)                              # ψ, and L_S
        self.of_class = nn.Linear(width, classes, bias=False, rng=rng)          # column y is v_y

    def forward(self, x):
        """((N,), (N, classes)): ψ(φ(x)), and v_yᵀ φ(x) for every y."""
        phi = self.features(x)
        return self.source(phi)[:, 0], self.of_class(phi)


class ProjectionGAN(ConditionalGAN):
    """A GAN whose discriminator takes the label by an inner product, Eq. (4).

    Args: as in `ConditionalGAN`; a discriminator of your own is a `Heads`, and is called with x alone.
    """

    def _default_discriminator(self, hidden, rng):
        return _heads(self, hidden, rng)

    def discriminate(self, x, labels=None):
        """a(x, y): (N, *event) and (N,) → (N,). Eq. (4)."""
        self._check(x)
        e_y = mg.one_hot(self.checked(labels, len(x), x), self.classes, x.dtype)
        psi, inner = self.discriminator(x)                                      # (N,), (N, classes)
        return mg.sum(inner * e_y, axis=1) + psi                                                           # Eq. (4)


class ACGAN(ConditionalGAN):
    """A GAN whose discriminator must name the label, Eqs. (5), (6).

    Args: as in `ConditionalGAN`, and class_weight: of L_C beside L_S. A discriminator of your own is a `Heads`, and is
        called with x alone.
    """

    def __init__(self, classes, event_shape=(2,), latents=2, hidden=(128, 128), loss="non-saturating", *,
                 class_weight=1.0, **settings):
        if not class_weight > 0:
            raise ValueError(f"ACGAN: class_weight must be positive, got {class_weight}; a GAN without labels is a GAN")
        self.class_weight = class_weight
        super().__init__(classes, event_shape, latents, hidden, loss, **settings)

    def _default_discriminator(self, hidden, rng):
        return _heads(self, hidden, rng)

    def discriminate(self, x, labels=None):
        """The logit that x is real, (N,). Eq. (5). It does not depend on the label."""
        self._check(x)
        return self.discriminator(x)[0]

    def classify(self, x):
        """Logits of the classes, (N, classes), for examples (N, *event)."""
        self._check(x)
        return self.discriminator(x)[1]

    def discriminator_terms(self, x, labels=None, *, rng=None, z=None, alpha=None):
        """As in `GAN`, with "classes": the cross-entropy of the labels on data and fakes, nats. Eqs. (5), (6)."""
        self._check(x)
        labels = self.checked(labels, len(x), x)
        fake = self._fakes(len(x), labels, rng, z)
        (a_real, c_real), (a_fake, c_fake) = self.discriminator(x), self.discriminator(fake)
        classes = _class_loss(c_real, labels) + _class_loss(c_fake, labels)                                # Eq. (6)
        terms = self._penalised(self._compared(a_real, a_fake), x, fake, labels, rng, alpha)
        return {**terms, "loss": terms["loss"] + self.class_weight * classes, "classes": classes}

    def generator_terms(self, x, labels=None, *, rng=None, z=None):
        """{"loss", "classes"}: the generator's loss, and the cross-entropy of its labels, nats. Eqs. (5), (6)."""
        labels = self.checked(labels, len(x), x)
        a_fake, c_fake = self.discriminator(self.generate(self._noise(len(x), rng, z), labels))
        classes = _class_loss(c_fake, labels)
        return {"loss": mg.mean(self.loss.generator(a_fake)) + self.class_weight * classes, "classes": classes}


def _class_loss(logits, labels):
    return mg.cross_entropy(logits, labels, reduction="mean")


def _heads(model, hidden, rng):
    """The default discriminator of projection and auxiliary classifier: an MLP's features, then `Heads`."""
    if not hidden:
        raise ValueError(f"{type(model).__name__}: its discriminator needs at least one hidden layer, got "
                         f"hidden={hidden}")
    mlp = nn.MLP([math.prod(model.event_shape), *hidden], activation=nn.LeakyReLU(0.2), rng=rng)
    return Heads(nn.Sequential(flatten, mlp, nn.LeakyReLU(0.2)), hidden[-1], model.classes, rng=rng)
