r"""Denoising diffusion probabilistic models (DDPM).

J. Ho, A. Jain and P. Abbeel, 2020, arXiv:2006.11239; learned variance and the hybrid loss: A. Nichol and P. Dhariwal,
2021, arXiv:2102.09672. Equations (1) to (8) are in `process`.

**Model.** Start from noise and go back, by Gaussian steps whose mean is the posterior's with the network's x̂ in
place of x:

    p(z_T) = N(0, I),    p_θ(z_{t−1}|z_t) = N(μ_θ(z_t, t), σ_t² I),    μ_θ = μ̃_t(z_t, x̂_θ(z_t, t)).              (9)

**Bound.** By Jensen −log p_θ(x) ≤ E_q[log q(z_1…z_T|x) − log p_θ(x, z_1…z_T)]. Write each forward step backwards, by
Bayes' rule: q(z_t|z_{t−1}) = q(z_{t−1}|z_t, x) q(z_t|x) / q(z_{t−1}|x). The ratios of marginals telescope, and what
is left is

    −log p_θ(x) ≤ L_T + Σ_{t=2}^T L_{t−1} + L_0,                                                                 (10)
    L_T = KL(q(z_T|x) ‖ p(z_T)),    L_{t−1} = E KL(q(z_{t−1}|z_t, x) ‖ p_θ(z_{t−1}|z_t)),    L_0 = −E log p_θ(x|z_1).

For σ_t² = β̃_t the two Gaussians of L_{t−1} differ in their means alone, and with (5)

    L_{t−1} = ½ (SNR(t − 1) − SNR(t)) E‖x − x̂‖².                                                                 (11)

**Simple loss.** Leaving out the weight in front of the error in ε gives better pictures: with the target ε, x or v of
(6),

    L_simple = E_{t, ε} ‖target − output_θ(z_t, t)‖²,    t uniform on 1 … T.                                     (12)

**Variance.** Given z_t, x is uncertain, so z_{t−1} is more so than β̃_t says. By (5) and the law of total variance
the best choice is

    σ_t*² = β̃_t + (√ᾱ_{t−1} β_t / (1 − ᾱ_t))² E[Var(x|z_t)],    the mean over entries.                           (13)

It is β̃_t for data that are a single point, and β_t for x ~ N(0, I): "small" and "large". Where noise is weaker than
the structure of a density, (13) tends to β_t; so for a density only "large" (or learned) makes the bound tight as T
grows. "learned" takes a second half f of the network's output, and

    log σ_t² = v log β_t + (1 − v) log β̃_t,    v = (f + 1) / 2.                                                  (14)

L_simple does not see σ_t, so it is trained by a little of the bound L_vlb, (10), in which μ_θ is held fixed:

    L_hybrid = L_simple + λ L_vlb.                                                                               (15)

One t per example estimates (10) without bias: its sum over t is T times the mean.

**Data.** For real vectors p_θ(x|z_1) is the density N(x; μ_θ, σ_1² I). For 8-bit images scaled to [−1, 1], a pixel's
probability is what N puts within half a grey level, δ = 1/255, of it; beyond the ends, all the rest:

    P(x) = Φ((x + δ − μ)/σ) − Φ((x − δ − μ)/σ),    with +∞ at x = 1 and −∞ at x = −1.                            (16)

**Samples.** From z_T ~ N(0, I), for t = T … 1, with no noise in the last step:

    z_{t−1} = μ_θ(z_t, t) + σ_t ε,    ε ~ N(0, I) for t > 1, and 0 for t = 1.                                    (17)

Differences from the papers: losses are sums over the event in nats (there: means, and L_vlb in bits), which only
changes what λ means.
"""
import dataclasses
import math
from numbers import Integral

import minigen as mg
from minigen.distributions import kl_divergence
from minigen.models.base import GenerativeModel, Objective
from minigen.models.diffusion.decoder import discretised_log_prob
from minigen.models.diffusion.labels import as_labels, hide, told
from minigen.models.diffusion.process import PREDICTIONS, ForwardProcess, isotropic, linear_schedule
from minigen.random import seeded

VARIANCES, LOSSES, LIKELIHOODS = ("small", "large", "learned"), ("simple", "bound", "hybrid"), ("normal", "discretised")


@dataclasses.dataclass
class Prediction:
    """What a model says of z_t: x̂ and ε̂ (N, *event), log σ_t, a float or a Tensor that broadcasts to them."""
    x: mg.Tensor
    eps: mg.Tensor
    log_std: mg.Tensor | float


class DDPM(GenerativeModel):
    """A diffusion model around any network.

        model = DDPM(MLPDenoiser(2, rng=0), event_shape=(2,), beta=cosine_schedule(200))
        for batch in loader:                                    # {"x": (N, 2)}
            loss = model.losses(batch["x"], rng=rng)["simple"].mean()
            optimizer.zero_grad(); loss.backward(); optimizer.step()

    Args:
        network: f(z_t, t, labels=None): (N, *event) and int64 (N,) in 1 … T → (N, *event); with ``variance="learned"``
            twice as many features on the last axis. A conditional one gets int64 labels (N,), of which K means "none".
        event_shape: shape of one observation. beta: β_1 … β_T, by default `linear_schedule(1000)`.
        prediction: what the network tells: "eps", "x" or "v".
        variance: σ_t² of Eq. (9): "small" is β̃_t, "large" β_t, "learned" Eq. (14).
        loss: "simple" (12), "bound" (10) or "hybrid" (15), the last with ``vlb_weight`` λ.
        likelihood: of x given z_1: "normal", or "discretised" for 8-bit images in [−1, 1].
        classes: K, where the network is conditional. label_dropout: how often training hides the label (for guidance).
        clip: keep x̂ within ±clip when sampling; None: do not.

    Raises ValueError for settings that are not known or do not fit each other.
    """

    def __init__(self, network, event_shape, beta=None, *, prediction="eps", variance="large", loss="simple",
                 likelihood="normal", vlb_weight=0.001, classes=None, label_dropout=0.0, clip=None):
        for name, value, known in (("prediction", prediction, PREDICTIONS), ("variance", variance, VARIANCES),
                                   ("loss", loss, LOSSES), ("likelihood", likelihood, LIKELIHOODS)):
            if value not in known:
                raise ValueError(f"DDPM: {name} is one of {', '.join(known)}, got {value!r}")
        if loss == "simple" and variance == "learned":
            raise ValueError("DDPM: the simple loss does not see the variance, so cannot learn it; take loss='hybrid'")
        if loss == "hybrid" and variance != "learned":
            raise ValueError(f"DDPM: the hybrid loss is for variance='learned', got {variance!r}; take loss='simple'")
        if not 0 <= label_dropout <= 1 or (label_dropout and classes is None):
            raise ValueError(f"DDPM: label_dropout is a probability and needs classes=, got {label_dropout} and "
                             f"classes={classes}")
        known = getattr(network, "classes", classes)
        if classes is not None and known != classes:
            raise ValueError(f"DDPM: the network was made with classes={known}, the model with classes={classes}; its "
                             "label K means none, so they must agree")
        self.network, self.event_shape = network, tuple(event_shape)
        self.process = ForwardProcess(linear_schedule(1000) if beta is None else beta)
        self.prediction, self.variance, self.loss, self.likelihood = prediction, variance, loss, likelihood
        self.vlb_weight, self.classes, self.label_dropout, self.clip = vlb_weight, classes, label_dropout, clip

    # ---- what the network says -----------------------------------------------------------------------------------
    def predict(self, z, t, labels=None, guide=None):
        """`Prediction` for z_t (N, *event): the network's, led by a guide, clipped. ``t``: an int or integers (N,)."""
        self._check(z)
        t = self.process.times(t, z)
        if guide is not None and labels is None:
            raise ValueError(f"DDPM: guidance wants labels, {len(z)} of them, to know where to lead; got guide= with "
                             "labels=None")
        labels = None if labels is None else as_labels(labels, z, self.classes)
        to_network = None if guide is not None and self.classes is None else labels
        output, log_std = self._run(z, t, to_network)
        x = self.process.to_x(self.prediction, output, z, t)                                           # Eq. (7)
        eps = self.process.to_eps(self.prediction, output, z, t)                                       # Eq. (8)
        if guide is not None:
            eps = guide(self, eps, z, t, labels)
            x = self.process.to_x("eps", eps, z, t)
        if self.clip is not None:
            x = mg.clip(x, -self.clip, self.clip)
            eps = self.process.to_eps("x", x, z, t)
        return Prediction(x, eps, log_std)

    def _run(self, z, t, labels):
        """(output, log σ_t) of the network."""
        labels = told(labels, z, self.classes, self.label_dropout)
        with mg.use(z.backend.name):
            every = mg.full((len(z),), t, dtype="int64") if isinstance(t, Integral) else t
        output = self.network(z, every) if labels is None else self.network(z, every, labels)
        C, learned = self.event_shape[-1], self.variance == "learned"
        want = (len(z), *self.event_shape[:-1], 2 * C if learned else C)
        if output.shape != want:
            raise ValueError(f"DDPM: for z_t {z.shape} and variance={self.variance!r} the network must return {want}, "
                             f"got {output.shape}")
        log_std = self.process.at("log_std_step" if self.variance == "large" else "log_std_small", t, z)
        if not learned:
            return output, log_std
        v = 0.5 * (output[..., C:] + 1)
        log_std = v * self.process.at("log_std_step", t, z) + (1 - v) * log_std                        # Eq. (14)
        return output[..., :C], log_std

    def reverse(self, z, t, labels=None, guide=None):
        """p_θ(z_{t−1}|z_t), a Normal. Eq. (9). At t = 1 it is p_θ(x|z_1)."""
        found, t = self.predict(z, t, labels, guide), self.process.times(t, z)
        return isotropic(self.process.posterior_mean(z, found.x, t), found.log_std)

    # ---- the losses ----------------------------------------------------------------------------------------------
    def losses(self, x, labels=None, *, rng=None, t=None, eps=None):
        """The loss for x (N, *event), each term (N,): "simple" of Eq. (12), "bound" an estimate of Eq. (10) in nats.

        Args:
            labels: (N,) integers where the model is conditional. t: integers (N,) that replace the drawn times.
            eps: noise (N, *event) that replaces the drawn one.
        """
        self._check(x)
        rng = seeded(rng)
        eps = self.noise_like(x, rng, eps)
        t = self.process.times(rng.integers(1, self.process.T + 1, size=(len(x),)) if t is None else t, x)
        if labels is not None:
            labels = hide(as_labels(labels, x, self.classes), self.classes, self.label_dropout, rng)
        z = self.process.diffuse(x, t, eps)                                                            # Eq. (2)
        output, log_std = self._run(z, t, labels)
        terms = {}
        if self.loss != "bound":
            error = self.process.target(self.prediction, x, eps, t) - output                          # Eq. (6)
            terms["simple"] = mg.sum(error * error, axis=tuple(range(1, x.ndim)))                      # Eq. (12)
        if self.loss != "simple":
            output = output.detach() if self.loss == "hybrid" else output                              # Eq. (15)
            x_hat = self.process.to_x(self.prediction, output, z, t)
            p = isotropic(self.process.posterior_mean(z, x_hat, t), log_std)                           # Eq. (9)
            terms["bound"] = self.process.T * self._term(x, z, t, p) + self._last_term(x)
        return terms

    def _term(self, x, z, t, p):
        """L_{t−1} of Eq. (10) for one z_t, nats, (N,); p is p_θ(z_{t−1}|z_t)."""
        first = t == 1                                                                  # a bool, or a Tensor (N,)
        if first is True:
            return self._decoder(x, p)
        q = isotropic(self.process.posterior_mean(z, x, t), self.process.at("log_std_small", t, z))    # Eqs. (4), (5)
        divergence = kl_divergence(q, p)
        return divergence if first is False else mg.where(first, self._decoder(x, p), divergence)

    def _decoder(self, x, p):
        """−log p_θ(x|z_1), nats, (N,)."""
        if self.likelihood == "normal":
            return -p.log_prob(x)
        return -p.sum_event(discretised_log_prob(x, p.mean, p.log_std))                                # Eq. (16)

    def _last_term(self, x):
        """L_T, nats, (N,)."""
        return kl_divergence(self.process.marginal(x, self.process.T), self.process.prior(x))

    def bound(self, x, labels=None, *, rng=None, eps=None):
        """All terms of Eq. (10) for x (N, *event), nats, (T + 1, N): row t is L_t, with one noise each. Not recorded.

        ``eps`` (T, N, *event) replaces the noise of z_1 … z_T.
        """
        self._check(x)
        rng = seeded(rng)
        with mg.no_grad():
            rows = []
            for t in range(1, self.process.T + 1):
                z = self.process.diffuse(x, t, self.noise_like(x, rng, None if eps is None else eps[t - 1]))
                rows.append(self._term(x, z, t, self.reverse(z, t, labels)))
            return mg.stack([*rows, self._last_term(x)])

    def elbo(self, x, labels=None, *, rng=None, eps=None):
        """An estimate of the bound −(10) on log p(x), nats, (N,): T calls of the network. Not recorded."""
        return -mg.sum(self.bound(x, labels, rng=rng, eps=eps), axis=0)

    def bits_per_dim(self, x, labels=None, *, rng=None, eps=None):
        """−elbo in bits for each of the D entries of x, (N,)."""
        return -self.elbo(x, labels, rng=rng, eps=eps) / (math.prod(self.event_shape) * math.log(2))

    def objectives(self):
        """One: minimise the loss over the network. The batch has "x", and labels "y" where the model is conditional."""
        def loss(batch, rng):
            if self.classes is not None and "y" not in batch:
                raise ValueError(f"DDPM: a model of {self.classes} classes wants labels 'y' in the batch; it has "
                                 f"{', '.join(batch)}")
            terms = self.losses(batch["x"], batch["y"] if self.classes is not None else None, rng=rng)
            terms = {name: term.mean() for name, term in terms.items()}
            total = terms["simple"] + self.vlb_weight * terms["bound"] if self.loss == "hybrid" else terms[self.loss]
            return {"loss": total, **(terms if self.loss == "hybrid" else {})}

        return [Objective(self.loss, list(self.parameters()), loss)]

    # ---- sampling ------------------------------------------------------------------------------------------------
    def sample(self, n, *, rng, labels=None, guide=None):
        """n draws (n, *event). ``rng``: a generator or seed. ``labels`` (n,) where the model is conditional. ``guide``
        as `guidance` makes it."""
        for _, z in self.path(n, rng=rng, labels=labels, guide=guide):
            pass
        return z

    def path(self, n, *, rng=None, labels=None, guide=None, z=None):
        """Iterate over (t, z_t) for t = T … 0; the last is the sample. ``z`` (n, *event) replaces the first z_T."""
        rng = seeded(rng)
        z = self.first(n, rng, z)
        yield self.process.T, z
        for t in range(self.process.T, 0, -1):
            z = self.step(z, t, rng=rng, labels=labels, guide=guide)
            yield t - 1, z

    def step(self, z, t, *, rng=None, eps=None, labels=None, guide=None):
        """z_{t−1} from z_t, for an int t. Eq. (17). ``eps`` replaces the noise."""
        with mg.no_grad():
            p = self.reverse(z, t, labels, guide)
            return p.mean if t == 1 else p.mean + p.std * self.noise_like(z, rng, eps)

    def first(self, n, rng, z=None):
        """z_T ~ N(0, I), (n, *event), or ``z`` if that is given and fits."""
        if n < 1 or (z is None and rng is None):
            raise ValueError(f"DDPM: sampling wants n ≥ 1 and an rng (or the noise), got n={n} and rng={rng}")
        if z is not None:
            self._check(z)
            if len(z) != n:
                raise ValueError(f"DDPM: wants n={n} starting points, got {len(z)}")
        return rng.standard_normal((n, *self.event_shape)) if z is None else z

    def noise_like(self, z, rng=None, eps=None):
        """ε of z's shape and dtype: ``eps`` if it is given and fits, else drawn."""
        if eps is None and rng is None:
            raise ValueError("DDPM: needs something to draw with; pass rng= a Generator, or the noise as eps=")
        if eps is not None and eps.shape != z.shape:
            raise ValueError(f"DDPM: wants noise of shape {z.shape}, got {eps.shape}")
        return rng.standard_normal(z.shape, dtype=z.dtype) if eps is None else eps

    def _check(self, x):
        if x.shape[1:] != self.event_shape or not len(x):
            event = ", ".join(map(str, self.event_shape))
            raise ValueError(f"DDPM: wants (N, {event}) with N ≥ 1, got shape {x.shape}")
        if x.dtype.kind != "f":
            raise TypeError(f"DDPM: wants floats, scaled to about [−1, 1], got {x.dtype}; of 8-bit pixels take "
                            "2 * data.to_unit(x) - 1")
