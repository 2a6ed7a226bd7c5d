r"""The variational autoencoder.

D. P. Kingma and M. Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114; the bound with S samples is from
Y. Burda, R. Grosse and R. Salakhutdinov, "Importance Weighted Autoencoders", 2015, arXiv:1509.00519.

**Model.** A latent z is drawn from the prior, an observation x from the decoder, a network with parameters θ:

    p(z) = N(0, I),    p_θ(x|z) = Bernoulli(x; σ(f_θ(z)))   or   N(x; f_θ(z), σ_x² I).                           (1)

log p(x) = log ∫ p_θ(x|z) p(z) dz has no closed form. The encoder, with parameters φ, proposes where to look:

    q_φ(z|x) = N(z; μ_φ(x), diag σ_φ(x)²).                                                                      (2)

**Bound.** For any q, multiply and divide inside the integral and use Jensen's inequality (or expand the divergence):

    log p(x) = E_q[log p_θ(x|z)] − D_KL(q_φ(z|x) ‖ p(z)) + D_KL(q_φ(z|x) ‖ p_θ(z|x))                             (3)
             ≥ E_q[log p_θ(x|z)] − D_KL(q_φ(z|x) ‖ p(z))  =: ELBO(x),                                            (4)

tight when q is the posterior. Maximising it fits θ and draws q to the posterior at once. The first term is
−*distortion*, the second the *rate*, in nats: what it costs to tell z. For the two Gaussians of (1) and (2) the rate is

    D_KL = −½ Σ_k (1 + log σ_k² − μ_k² − σ_k²).                                                                  (5)

**Gradient.** E_q depends on φ. Write z as a function of noise that does not (the reparameterisation),

    z = μ_φ(x) + σ_φ(x) ⊙ ε,    ε ~ N(0, I),                                                                     (6)

and the gradient moves inside the expectation; one sample of ε per example is an unbiased estimate.

**Tighter bound.** With S samples z_s ~ q and weights w_s = p_θ(x|z_s) p(z_s) / q_φ(z_s|x),

    log p(x) ≥ E[log (1/S) Σ_s w_s] ≥ ELBO(x),                                                                   (7)

and the left side tends to log p(x) as S grows. We report it with S in the hundreds as an estimate of log p(x).

Differences from the paper: its encoder has one hidden tanh layer; ours takes any widths, with ReLU.
"""
import math

import numpy as np

import minigen as mg
from minigen import nn
from minigen.distributions import Bernoulli, Normal, kl_divergence
from minigen.models.base import GenerativeModel, Objective


class VAE(GenerativeModel):
    """A VAE of two multilayer perceptrons.

        model = VAE(latents=20, rng=0)
        for batch in loader:                                    # {"x": (N, 28, 28, 1)}
            loss = -model.elbo(batch["x"], rng=rng).mean()      # nats per example
            optimizer.zero_grad(); loss.backward(); optimizer.step()

    Args:
        event_shape: shape of one observation; x is (N, *event_shape), in [0, 1] for ``likelihood="bernoulli"``.
        latents: K, the dimension of z.
        hidden: widths of the hidden layers, encoder first to last; the decoder mirrors them. Empty: a linear VAE.
        likelihood: ``"bernoulli"``, or ``"normal"`` with one learned log σ_x.
        rng: generator or seed of the initial weights.
    """

    def __init__(self, event_shape=(28, 28, 1), latents=20, hidden=(400,), likelihood="bernoulli", *, rng=0):
        if likelihood not in ("bernoulli", "normal"):
            raise ValueError(f"VAE: the likelihood is 'bernoulli' or 'normal', got {likelihood!r}")
        rng = mg.random.as_generator(rng)
        self.event_shape, self.latents, self.likelihood = tuple(event_shape), latents, likelihood
        features = math.prod(self.event_shape)
        self.encoder = nn.MLP([features, *hidden, 2 * latents], rng=rng)
        self.decoder = nn.MLP([latents, *reversed(hidden), features], rng=rng)
        if likelihood == "normal":
            self.log_std_x = nn.Parameter(mg.zeros(()))

    # ---- the distributions ---------------------------------------------------------------------------------------
    def posterior(self, x):
        """q(z|x), a Normal over (N, K). Eq. (2)."""
        self._check(x)
        h = self.encoder(mg.reshape(x, (len(x), -1)))                                  # (N, 2K)
        return Normal(h[:, :self.latents], h[:, self.latents:])

    def prior(self):
        """p(z) = N(0, I), a Normal over (K,). Eq. (1)."""
        zero = mg.zeros_like(self.decoder[0].weight[:, 0])                             # beside the model, of its dtype
        return Normal(zero, zero)

    def likelihood_of(self, z):
        """p(x|z) over flattened observations (…, D), for z (…, K). Eq. (1)."""
        f = self.decoder(z)
        if self.likelihood == "bernoulli":
            return Bernoulli(f)
        return Normal(f, mg.broadcast_to(self.log_std_x, f.shape))

    # ---- the bounds ----------------------------------------------------------------------------------------------
    def terms(self, x, *, rng=None, eps=None):
        """(distortion, rate): −log p(x|z) for one sample z, and the divergence; nats, (N,) each.

        ``eps`` (N, K) replaces the noise of Eq. (6).
        """
        q = self.posterior(x)
        z = q.sample(rng=rng, eps=eps)                                                 # Eq. (6), (N, K)
        distortion = -self.likelihood_of(z).log_prob(mg.reshape(x, (len(x), -1)))
        return distortion, kl_divergence(q, self.prior())                              # Eq. (5)

    def elbo(self, x, *, rng=None, eps=None):
        """A one-sample estimate of the bound, nats, (N,). Eq. (4)."""
        distortion, rate = self.terms(x, rng=rng, eps=eps)
        return -distortion - rate

    def iwae(self, x, samples, *, rng=None, eps=None, chunk=50):
        """The bound with S samples, nats, (N,). Eq. (7). Not recorded: an estimate of log p(x), ``chunk`` samples at a
        time.

        ``eps`` (S, N, K) replaces the noise.
        """
        if samples < 1:
            raise ValueError(f"iwae: wants at least 1 sample, got {samples}")
        with mg.no_grad():
            q, prior, flat = self.posterior(x), self.prior(), mg.reshape(x, (len(x), -1))
            log_w = []
            for start in range(0, samples, chunk):
                count = min(chunk, samples - start)
                shape = (count, len(x), self.latents)
                noise = rng.standard_normal(shape) if eps is None else eps[start:start + count]
                z = q.mean + mg.exp(q.log_std) * noise                                 # Eq. (6), (S, N, K)
                log_w.append(self.likelihood_of(z).log_prob(flat) + prior.log_prob(z) - q.log_prob(z))
            return mg.logsumexp(mg.concatenate(log_w), axis=0) - math.log(samples)

    def objectives(self):
        """One: minimise −ELBO over encoder and decoder together."""
        def loss(batch, rng):
            distortion, rate = (term.mean() for term in self.terms(batch["x"], rng=rng))
            return {"loss": distortion + rate, "distortion": distortion, "rate": rate}

        return [Objective("elbo", list(self.parameters()), loss)]

    # ---- use -----------------------------------------------------------------------------------------------------
    def decode(self, z):
        """E[x|z] for latents (N, K): images (N, *event_shape)."""
        with mg.no_grad():
            z = z if isinstance(z, mg.Tensor) else mg.tensor(np.asarray(z, dtype=np.float32))
            return mg.reshape(self.likelihood_of(z).mean, (len(z), *self.event_shape))

    def encode(self, x):
        """E[z|x], (N, K)."""
        with mg.no_grad():
            return self.posterior(x).mean

    def sample(self, n, *, rng, labels=None, mean=True):
        """n observations (n, *event_shape): z from the prior, then E[x|z], or a draw of p(x|z) if not ``mean``."""
        if labels is not None:
            raise ValueError("VAE.sample: this model knows no labels; a conditional VAE does")
        with mg.no_grad():
            z = rng.standard_normal((n, self.latents))
            p = self.likelihood_of(z)
            return mg.reshape(p.mean if mean else p.sample(rng=rng), (n, *self.event_shape))

    def _check(self, x):
        if x.shape[1:] != self.event_shape:
            wanted = ", ".join(map(str, self.event_shape))
            raise ValueError(f"VAE: wants observations (N, {wanted}), got shape {x.shape}")
