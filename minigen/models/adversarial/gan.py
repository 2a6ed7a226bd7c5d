r"""The generative adversarial network.

I. Goodfellow et al., "Generative Adversarial Networks", 2014, arXiv:1406.2661.

**Game.** A generator turns noise into examples, and so defines a density q = p_G without ever writing it down:

    z ~ N(0, I),    x = G(z).                                                                                     (1)

A discriminator is shown examples from the data p and from G, and says how probable it is that they are data. With its
output as a logit a(x),

    D(x) = σ(a(x)).                                                                                               (2)

It maximises its mean log-likelihood in nats, and G minimises it:

    min_G max_D V(G, D) = E_{x~p}[log D(x)] + E_z[log(1 − D(G(z)))].                                              (3)

For a fixed G the best answer is D* = p/(p + q), and V(G, D*) = 2 JSD(p ‖ q) − log 4, which is least when q = p.
`theory` derives this and computes it exactly; why G is better trained by another loss than (3) is there too. `losses`
lists the losses of (3) and of its descendants, each a pair L_D, L_G.

**Algorithm** (ibid., Algorithm 1). The players take turns, each with the other's parameters held fixed:

    k times:  θ_D ← θ_D − η ∇_{θ_D} [ (1/N) Σ_n real(a(x_n)) + fake(a(G(z_n))) + penalty_n ],                      (4)
    once:     θ_G ← θ_G − η ∇_{θ_G} (1/N) Σ_n generator(a(G(z_n))).                                               (5)

G and D may be any networks. Differences from the paper: z is Gaussian, not uniform; the networks given by default are
multilayer perceptrons with leaky ReLU (slope 0.2) instead of maxout and dropout, and a linear output.
"""
import functools
import math

import minigen as mg
from minigen import nn
from minigen.models.adversarial import losses
from minigen.models.base import GenerativeModel, Objective
from minigen.random import as_generator

def flatten(x):
    """(N, *event) → (N, D): the first layer of a discriminator that is a multilayer perceptron."""
    return mg.reshape(x, (len(x), -1))


class GAN(GenerativeModel):
    """Two players: a discriminator that learns to tell data from fakes, a generator that learns to be taken for data.

        model = GAN(event_shape=(2,), latents=2, rng=0)
        D, G = Adam(model.discriminator.parameters(), lr=2e-4), Adam(model.generator.parameters(), lr=2e-4)
        for batch in loader:                                                        # {"x": (N, 2)}
            for player, terms in (D, model.discriminator_terms), (G, model.generator_terms):
                player.zero_grad(); terms(batch["x"], rng=rng)["loss"].backward(); player.step()

    (A player's backward leaves gradients on the other too; its own ``zero_grad`` forgets them before they count.)

    Args:
        event_shape: shape of one example.
        latents: K, the dimension of z.
        hidden: widths of the hidden layers of both networks, where they are not given.
        loss: the name of one of `losses.LOSSES`, or a `losses.Loss`.
        penalty: None, `penalties.GradientPenalty` or `penalties.R1`: added to the discriminator's loss.
        generator: Module from z (N, K) to (N, *event) or (N, D). discriminator: Module from (N, *event) to (N,) or
            (N, 1), a logit. By default multilayer perceptrons.
        discriminator_steps: k in Eq. (4).
        rng: generator or seed of the initial weights.
    """

    def __init__(self, event_shape=(2,), latents=2, hidden=(128, 128), loss="non-saturating", *, penalty=None,
                 generator=None, discriminator=None, discriminator_steps=1, rng=0):
        rng = as_generator(rng)
        self.event_shape, self.latents, self.discriminator_steps = tuple(event_shape), latents, discriminator_steps
        self.loss, self.penalty = losses.get(loss), penalty
        self.generator = self._default_generator(hidden, rng) if generator is None else generator
        self.discriminator = self._default_discriminator(hidden, rng) if discriminator is None else discriminator

    def _default_generator(self, hidden, rng):
        return nn.MLP([self.latents, *hidden, math.prod(self.event_shape)], activation=nn.LeakyReLU(0.2), rng=rng)

    def _default_discriminator(self, hidden, rng):
        sizes = [math.prod(self.event_shape), *hidden, 1]
        return nn.Sequential(flatten, nn.MLP(sizes, activation=nn.LeakyReLU(0.2), rng=rng))

    # ---- the two networks ----------------------------------------------------------------------------------------
    def generate(self, z, labels=None):
        """G(z): (N, K) → (N, *event). Eq. (1). ``labels`` (N,) where the model is conditional."""
        self._refuse_labels(labels)
        return self._as_events(self.generator(z), len(z))

    def discriminate(self, x, labels=None):
        """The logit a(x): (N, *event) → (N,). Eq. (2). Raises ValueError for examples of another shape."""
        self._refuse_labels(labels)
        self._check(x)
        return self._one_each(self.discriminator(x), len(x))

    # ---- the two losses ------------------------------------------------------------------------------------------
    def discriminator_terms(self, x, labels=None, *, rng=None, z=None, alpha=None):
        """What the discriminator minimises, Eq. (4): {"loss", "real", "fake"} and "penalty" if there is one.

        "real" and "fake" are the mean outputs a on data and on fakes. ``z`` (N, K) replaces the noise of Eq. (1),
        ``alpha`` (N,) that of a gradient penalty.
        """
        fake = self._fakes(len(x), labels, rng, z)
        terms = self._compared(self.discriminate(x, labels), self.discriminate(fake, labels))
        return self._penalised(terms, x, fake, labels, rng, alpha)

    def generator_terms(self, x, labels=None, *, rng=None, z=None):
        """What the generator minimises, Eq. (5): {"loss"}. Of ``x`` only the number of examples counts."""
        fake = self.generate(self._noise(len(x), rng, z), labels)
        return {"loss": mg.mean(self.loss.generator(self.discriminate(fake, labels)))}                     # Eq. (5)

    def _fakes(self, n, labels, rng, z):
        """Examples for the discriminator, through which no gradient goes to the generator."""
        with mg.no_grad():
            return self.generate(self._noise(n, rng, z), labels)

    def _compared(self, a_real, a_fake):
        """The discriminator's terms from its logits on data (N,) and on fakes (N,)."""
        loss = mg.mean(self.loss.real(a_real)) + mg.mean(self.loss.fake(a_fake))                           # Eq. (4)
        return {"loss": loss, "real": mg.mean(a_real), "fake": mg.mean(a_fake)}

    def _penalised(self, terms, x, fake, labels, rng, alpha):
        if self.penalty is None:
            return terms
        critic = functools.partial(self.discriminate, labels=labels)
        penalty = mg.mean(self.penalty(critic, x, fake, rng=rng, alpha=alpha))
        return {**terms, "loss": terms["loss"] + penalty, "penalty": penalty}

    def objectives(self):
        """Two: the discriminator moves in every step, the generator in every k-th. Eqs. (4), (5)."""
        def of(terms):
            return lambda batch, rng: terms(batch["x"], self._labels_of(batch), rng=rng)

        return [Objective("discriminator", self.discriminator.parameters(), of(self.discriminator_terms),
                          after=self.constrain),
                Objective("generator", self.generator.parameters(), of(self.generator_terms),
                          every=self.discriminator_steps)]

    def constrain(self):
        """Called after each move of the discriminator. Nothing here; `WGAN` clips its weights."""

    # ---- use -----------------------------------------------------------------------------------------------------
    def sample(self, n, *, rng, labels=None):
        """n draws G(z), (n, *event_shape). Eq. (1)."""
        with mg.no_grad():
            return self.generate(self._noise(n, as_generator(rng), None), labels)

    def _noise(self, n, rng, z):
        """z ~ N(0, I), (n, K), unless it is given."""
        if z is None:
            return rng.standard_normal((n, self.latents), dtype=next(self.generator.parameters()).dtype)
        if z.shape != (n, self.latents):
            raise ValueError(f"{type(self).__name__}: wants noise z of shape ({n}, {self.latents}), got {z.shape}")
        return z

    def _labels_of(self, batch):
        """The labels that the players are shown: none."""

    def _refuse_labels(self, labels):
        if labels is not None:
            raise ValueError(f"{type(self).__name__}: this model knows no labels, got {len(labels)} of them; "
                             "ConditionalGAN, ProjectionGAN and ACGAN do")

    # ---- shapes --------------------------------------------------------------------------------------------------
    def _check(self, x):
        if x.shape[1:] != self.event_shape:
            raise ValueError(f"{type(self).__name__}: wants examples (N, {', '.join(map(str, self.event_shape))}), got "
                             f"shape {x.shape}")

    def _as_events(self, x, n):
        shape = (n, *self.event_shape)
        if x.size != math.prod(shape):
            raise ValueError(f"{type(self).__name__}: the generator must return {shape} or as many numbers in rows for "
                             f"{n} latents, got {x.shape}")
        return mg.reshape(x, shape)

    def _one_each(self, a, n):
        if a.size != n:
            raise ValueError(f"{type(self).__name__}: the discriminator must return one logit for each of {n} "
                             f"examples, got shape {a.shape}")
        return mg.reshape(a, (n,))
