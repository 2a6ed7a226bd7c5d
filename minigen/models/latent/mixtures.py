r"""Mixtures of Gaussians and of Bernoullis, by expectation maximisation.

A. Dempster, N. Laird and D. Rubin, 1977; R. Neal and G. Hinton, 1998.

A latent class k ∈ {1 … K} chooses where x comes from:

    p(x) = Σ_k w_k p_k(x).                                                                                    (1)

Were the classes known, fitting would be counting. They are not; but for any guess r_nk of them, Jensen's inequality
gives

    Σ_n log p(x_n) ≥ Σ_n Σ_k r_nk [log w_k p_k(x_n) − log r_nk],    with equality for r_nk = p(k|x_n).         (2)

EM raises the right side by turns. *E-step*: make it tight, with the *responsibilities*

    r_nk = w_k p_k(x_n) / Σ_j w_j p_j(x_n).                                                                   (3)

*M-step*: hold r fixed, and fit each component to its share of the data. With N_k = Σ_n r_nk,

    w_k = N_k/N,    μ_k = Σ_n r_nk x_n / N_k,    Σ_k = Σ_n r_nk (x_n − μ_k)(x_n − μ_k)ᵀ / N_k.                (4)

So the likelihood never falls. At a fixed point (2) touches log p(x) with equal slope: EM stops just where gradient
ascent on (1) would. A Gaussian that shrinks onto one point has no bound, so Σ_k gets ``floor`` · I added; for
Bernoullis the mean is

    μ_kd = (Σ_n r_nk x_nd + a) / (N_k + 2a),                                                                  (5)

the optimum with a Beta(1 + a, 1 + a) prior on each μ_kd. What never falls is then the likelihood times that prior.
"""
import math

import numpy as np

import minigen as mg
from minigen.distributions import Bernoulli, Mixture, MultivariateNormal, Normal
from minigen.models.base import GenerativeModel, Objective
from minigen.nn import Parameter
from minigen.random import as_generator

__all__ = ["BernoulliMixture", "GaussianMixtureModel"]


class _MixtureModel(GenerativeModel):
    """What both share: Eqs. (1) to (3), and the loop."""

    def distribution(self):
        """p(x), a `Mixture` over vectors (D,)."""
        return Mixture(self.logits, self.components())

    def log_joint(self, x):
        """log w_k p_k(x) in nats, (N, K)."""
        return mg.log_softmax(self.logits) + self.components().log_prob(mg.expand_dims(self._rows(x), 1))

    def log_prob(self, x):
        """log p(x) in nats, (N,). Eq. (1)."""
        return mg.logsumexp(self.log_joint(x), axis=1)

    def responsibilities(self, x):
        """r_nk, (N, K). Eq. (3)."""
        return mg.softmax(self.log_joint(x))

    def fit(self, x, steps=100, tolerance=1e-6):
        """EM on x (N, *event) until the mean log-likelihood rises by less than ``tolerance`` nats.

        Returns what never falls, in nats per example, after each step: a list. Raises ValueError for no examples, and
        for such as this mixture cannot have.
        """
        trace, x = [], self._rows(x)
        self._expect(x)
        with mg.no_grad():
            for _ in range(steps):
                self.maximise(x, self.responsibilities(x))
                trace.append(self.score(x))
                if len(trace) > 1 and trace[-1] - trace[-2] < tolerance:
                    break
        return trace

    def score(self, x):
        """What a step of `fit` never lowers: the mean log-likelihood in nats (with the prior's part, if there is
        one)."""
        return mg.mean(self.log_prob(x)).item()

    def objectives(self):
        """One: the mean negative log-likelihood in nats, for gradient ascent instead of EM."""
        return [Objective("nll", self.parameters(), lambda batch, rng: {"loss": -mg.mean(self.log_prob(batch["x"]))})]

    def sample(self, n, *, rng, labels=None):
        """n draws (n, *event); with ``labels`` (n,), each from that component."""
        K = len(self.logits)
        if labels is not None and (labels.shape != (n,) or n and not (0 <= labels.min() and labels.max() < K)):
            raise ValueError(f"{type(self).__name__}.sample: wants {n} components from 0 to {K - 1} as labels, got "
                             f"{labels.tolist()}")
        with mg.no_grad():
            if labels is None:
                x = self.distribution().sample(n, rng=rng)
            else:
                every = self.components().sample(n, rng=as_generator(rng))                        # (n, K, D)
                x = mg.take_along_axis(every, mg.broadcast_to(labels.reshape(-1, 1, 1), (n, 1, every.shape[2])), axis=1)
            return mg.reshape(x, (n, *self.event_shape))

    def _expect(self, x):
        """Raise unless x (N, D) can be fitted."""
        if not len(x) or not mg.all(mg.isfinite(x)):
            raise ValueError(f"{type(self).__name__}: wants finite examples, at least one, got {len(x)}, and "
                             f"{int(mg.sum(~mg.isfinite(x)).item())} entries that are not finite")

    def _weigh(self, r):
        """N_k (K,), and the weights w_k of Eq. (4) set."""
        N_k = mg.sum(r, axis=0) + 10 * np.finfo(r.dtype).eps
        self.logits[...] = mg.log(N_k / len(r))
        return N_k

    def _rows(self, x):
        if x.shape[1:] not in (self.event_shape, (math.prod(self.event_shape),)):
            raise ValueError(f"{type(self).__name__}: wants examples (N, {', '.join(map(str, self.event_shape))}), got "
                             f"shape {x.shape}")
        return mg.reshape(x, (len(x), math.prod(self.event_shape)))


class GaussianMixtureModel(_MixtureModel):
    """Eq. (1) with Gaussians.

    Args:
        K: components. event_shape: of one example, D entries in all.
        covariance: "full", "diagonal", or "spherical" (one variance for each component).
        floor: added to each variance in the M-step.
        rng: seed of the start: means N(0, 1). `spread` puts them onto data points instead.
    """

    def __init__(self, K, event_shape=(2,), covariance="full", floor=1e-4, *, rng=0):
        if covariance not in ("full", "diagonal", "spherical") or K < 1:
            raise ValueError("GaussianMixtureModel: wants K ≥ 1 and a covariance 'full', 'diagonal' or 'spherical', "
                             f"got {K} and {covariance!r}")
        self.event_shape, self.covariance, self.floor = tuple(event_shape), covariance, floor
        D = math.prod(self.event_shape)
        self.logits = Parameter(mg.zeros(K))
        self.mean = Parameter(as_generator(rng).standard_normal((K, D)))
        self.log_std = Parameter(mg.zeros((K, 1 if covariance == "spherical" else D)))
        if covariance == "full":
            self.lower = Parameter(mg.zeros((K, D, D)))

    def components(self):
        """p_k, a batch of K distributions over vectors (D,)."""
        if self.covariance == "full":
            return MultivariateNormal(self.mean, self.log_std, self.lower)
        return Normal(self.mean, self.log_std)

    def spread(self, x, *, rng):
        """Start at K data points far from each other: each is drawn with probability ∝ the squared distance to the
        nearest so far (k-means++; D. Arthur and S. Vassilvitskii, 2007); every variance is the data's. Returns self.

        Raises ValueError for fewer points than components, and for points that are all the same.
        """
        x, rng = self._rows(x), as_generator(rng)
        self._expect(x)
        if len(x) < len(self.mean) or not mg.any(x != x[0]):
            raise ValueError(f"GaussianMixtureModel.spread: {len(self.mean)} components want as many points, not all "
                             f"the same, got {len(x)}")
        with mg.no_grad():
            chosen = [int(rng.integers(len(x)).item())]
            nearest = mg.sum((x - x[chosen[0]]) ** 2, axis=1)
            while len(chosen) < len(self.mean):
                cumulative = np.cumsum(nearest.numpy().astype(np.float64))
                point = np.searchsorted(cumulative, rng.random(dtype="float64").item() * cumulative[-1])
                chosen.append(min(int(point), len(x) - 1))
                nearest = mg.minimum(nearest, mg.sum((x - x[chosen[-1]]) ** 2, axis=1))
            self.mean[...] = mg.stack([x[i] for i in chosen])
            self.logits[...] = 0.0
            self.log_std[...] = 0.5 * mg.log(mg.mean(mg.var(x, axis=0)))
            if self.covariance == "full":
                self.lower[...] = 0.0
        return self

    def maximise(self, x, r):
        """The M-step for examples x (N, D) with responsibilities r (N, K). Eq. (4)."""
        N_k = self._weigh(r)
        self.mean[...] = mg.matmul(r.T, x) / mg.expand_dims(N_k, 1)
        if self.covariance == "full":
            self._set_covariance(mg.stack([self._scatter(x, r[:, k], k) / N_k[k] for k in range(len(N_k))]))
            return
        second = mg.matmul(r.T, x * x) / mg.expand_dims(N_k, 1)
        variance = mg.maximum(second - self.mean ** 2, 0.0) + self.floor
        if self.covariance == "spherical":
            variance = mg.mean(variance, axis=1, keepdims=True)
        self.log_std[...] = 0.5 * mg.log(variance)

    def _scatter(self, x, r_k, k):
        """Σ_n r_nk (x_n − μ_k)(x_n − μ_k)ᵀ, (D, D)."""
        offset = x - self.mean[k]
        return mg.matmul((offset * mg.expand_dims(r_k, 1)).T, offset)

    def _set_covariance(self, S):
        """From covariances (K, D, D) to the parameters of their Cholesky factors."""
        L = mg.cholesky(S + self.floor * mg.eye(S.shape[-1], dtype=S.dtype))
        self.log_std[...] = mg.log(mg.diagonal(L, axis1=-2, axis2=-1))
        self.lower[...] = mg.tril(L, -1)


class BernoulliMixture(_MixtureModel):
    """Eq. (1) with independent bits: K prototypes of an image. ``pseudo`` is a of Eq. (5)."""

    def __init__(self, K, event_shape=(28, 28, 1), pseudo=0.1, *, rng=0):
        if K < 1 or pseudo <= 0:
            raise ValueError(f"BernoulliMixture: wants K ≥ 1 and pseudo > 0, got {K} and {pseudo}")
        self.event_shape, self.pseudo = tuple(event_shape), pseudo
        self.logits = Parameter(mg.zeros(K))
        mean = as_generator(rng).uniform(0.25, 0.75, (K, math.prod(self.event_shape)))
        self.pixel_logits = Parameter(mg.logit(mean))

    def components(self):
        """p_k, a batch of K distributions over D bits."""
        return Bernoulli(self.pixel_logits)

    def log_joint(self, x):
        """log w_k p_k(x) in nats, (N, K). With logits l, log p_k(x) = l_k·x − Σ_d ζ(l_kd): a matrix product."""
        score = mg.matmul(self._rows(x), self.pixel_logits.T) - mg.sum(mg.softplus(self.pixel_logits), axis=1)
        return mg.log_softmax(self.logits) + score

    def _expect(self, x):
        super()._expect(x)
        if mg.any(x < 0) or mg.any(x > 1):
            raise ValueError(f"BernoulliMixture: wants bits, or numbers from 0 to 1, got some from {x.min().item():g} "
                             f"to {x.max().item():g}; binarise the images first (minigen.data.binarise)")

    def prototypes(self):
        """μ_k, (K, *event)."""
        with mg.no_grad():
            return mg.reshape(mg.sigmoid(self.pixel_logits), (len(self.logits), *self.event_shape))

    def score(self, x):
        """The mean log-likelihood in nats, plus the log-prior of Eq. (5) (but for a constant) divided by N."""
        prior = -self.pseudo * mg.sum(mg.softplus(self.pixel_logits) + mg.softplus(-self.pixel_logits))
        return super().score(x) + prior.item() / len(x)

    def maximise(self, x, r):
        """The M-step for bits x (N, D) with responsibilities r (N, K). Eq. (5)."""
        N_k = mg.expand_dims(self._weigh(r), 1)
        ones = mg.matmul(r.T, x) + self.pseudo
        self.pixel_logits[...] = mg.log(ones) - mg.log(N_k + 2 * self.pseudo - ones)                        # Eq. (5)
