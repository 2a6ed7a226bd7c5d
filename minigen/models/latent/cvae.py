r"""The conditional variational autoencoder.

K. Sohn, H. Lee and X. Yan, "Learning Structured Output Representation using Deep Conditional Generative Models", 2015.

Everything is given the label y: prior, decoder, encoder,

    p(z|y) = N(μ(y), diag σ(y)²),    p(x|z, y) = Bernoulli(x; σ(f(z, y))),    q(z|x, y) = N(…),                (1)

and the bound is that of `vae`, on the conditional likelihood:

    log p(x|y) = E_q[log p(x|z, y)] − KL(q(z|x, y) ‖ p(z|y)) + KL(q(z|x, y) ‖ p(z|x, y))                       (2)
               ≥ E_q[log p(x|z, y)] − KL(q(z|x, y) ‖ p(z|y)).                                                 (3)

The gap in (3) is the last divergence of (2). Since the label says which digit it is, z is left with *how* it is
written: the same z under other labels gives other digits in one hand. """
import math

import minigen as mg
from minigen import nn
from minigen.distributions import Bernoulli, Normal, kl_divergence
from minigen.models.base import GenerativeModel, Objective
from minigen.random import as_generator

__all__ = ["ConditionalVAE"]


class ConditionalVAE(GenerativeModel):
    """Eq. (1) with multilayer perceptrons, which see e_y, the label as K numbers of which one is 1, beside their input.

    Args:
        classes: labels are 0 … classes − 1. event_shape, latents, hidden, rng: as for `VAE`; x in [0, 1].
        learned_prior: p(z|y) has a mean and a scale for each label; else p(z|y) = N(0, I).
    """

    def __init__(self, classes, event_shape=(28, 28, 1), latents=20, hidden=(400,), learned_prior=True, *, rng=0):
        rng = as_generator(rng)
        self.classes, self.event_shape, self.latents = classes, tuple(event_shape), latents
        D = math.prod(self.event_shape)
        self.encoder = nn.MLP([D + classes, *hidden, 2 * latents], rng=rng)
        self.decoder = nn.MLP([latents + classes, *reversed(hidden), D], rng=rng)
        self.prior_table = nn.Parameter(mg.zeros((classes, 2 * latents))) if learned_prior else None

    # ---- the distributions ---------------------------------------------------------------------------------------
    def posterior(self, x, labels):
        """q(z|x, y), a Normal over (N, K)."""
        if x.shape[1:] != self.event_shape:
            raise ValueError(f"ConditionalVAE: wants observations (N, {', '.join(map(str, self.event_shape))}), got "
                             f"shape {x.shape}")
        e_y = self._one_hot(labels, len(x), x.dtype)
        return self._normal(self.encoder(mg.concatenate([mg.reshape(x, (len(x), -1)), e_y], axis=1)))

    def prior(self, labels):
        """p(z|y), a Normal over (N, K)."""
        e_y = self._one_hot(labels, len(labels), self.encoder[0].weight.dtype)
        table = self.prior_table
        standard = mg.zeros((len(labels), 2 * self.latents), dtype=e_y.dtype)
        return self._normal(standard if table is None else mg.matmul(e_y, table))

    def likelihood_of(self, z, labels):
        """p(x|z, y), a Bernoulli over flattened observations (N, D), for z (N, K)."""
        return Bernoulli(self.decoder(mg.concatenate([z, self._one_hot(labels, len(z), z.dtype)], axis=-1)))

    def _normal(self, h):
        return Normal(h[:, :self.latents], h[:, self.latents:])

    def _one_hot(self, labels, n, dtype):
        """e_y (n, classes). Raises ValueError for labels that are missing, too few, or out of range."""
        labels = mg.tensor(labels) if isinstance(labels, (list, tuple)) else labels
        if labels is None or labels.shape != (n,):
            got = "none" if labels is None else f"shape {labels.shape}"
            raise ValueError(f"ConditionalVAE: wants a label for each of {n} examples, got {got}")
        if n and not (0 <= labels.min().item() and labels.max().item() < self.classes):
            raise ValueError(f"ConditionalVAE: labels lie in 0 … {self.classes - 1}, got some from "
                             f"{labels.min().item()} to {labels.max().item()}")
        return mg.one_hot(labels, self.classes).astype(dtype)

    # ---- the bound -----------------------------------------------------------------------------------------------
    def terms(self, x, labels, *, rng=None, eps=None):
        """(distortion, rate) of Eq. (3) in nats, (N,) each. ``eps`` (N, K) replaces the noise of z."""
        q = self.posterior(x, labels)
        z = q.sample(rng=rng, eps=eps)
        distortion = -self.likelihood_of(z, labels).log_prob(mg.reshape(x, (len(x), -1)))
        return distortion, kl_divergence(q, self.prior(labels))

    def elbo(self, x, labels=None, *, rng=None, eps=None):
        """A one-sample estimate of the bound on log p(x|y), nats, (N,). Eq. (3)."""
        distortion, rate = self.terms(x, labels, rng=rng, eps=eps)
        return -distortion - rate

    def log_prob_of_labels(self, x, *, rng, samples=1):
        """log p(y|x) for every y under equal priors, (N, classes), with `elbo` in place of log p(x|y): a classifier."""
        with mg.no_grad():
            rng = as_generator(rng)
            bounds = []
            for y in range(self.classes):
                labels = mg.full(len(x), y, dtype="int64")
                draws = [self.elbo(x, labels, rng=rng) for _ in range(samples)]
                bounds.append(mg.mean(mg.stack(draws), axis=0))
            return mg.log_softmax(mg.stack(bounds, axis=1))

    def objectives(self):
        """One: minimise −ELBO. Batches are {"x": (N, *event), "y": (N,)}."""
        def loss(batch, rng):
            distortion, rate = (term.mean() for term in self.terms(batch["x"], batch["y"], rng=rng))
            return {"loss": distortion + rate, "distortion": distortion, "rate": rate}

        return [Objective("elbo", self.parameters(), loss)]

    # ---- use -----------------------------------------------------------------------------------------------------
    def decode(self, z, labels):
        """E[x|z, y]: images (N, *event_shape)."""
        with mg.no_grad():
            return mg.reshape(self.likelihood_of(z, labels).mean, (len(z), *self.event_shape))

    def sample(self, n, *, rng, labels=None):
        """n observations (n, *event_shape), E[x|z, y] for z ~ p(z|y), of the labels (n,) or of labels drawn
        uniformly."""
        rng = as_generator(rng)
        with mg.no_grad():
            labels = rng.integers(self.classes, size=(n,)) if labels is None else labels
            self._one_hot(labels, n, "float32")                                 # or it raises
            return self.decode(self.prior(labels).sample(rng=rng), labels)
