r"""Distributions made of others: mixtures, images under an invertible map, and batches read as events.

Mixture.      p(x) = Σ_k w_k p_k(x),   log p(x) = logsumexp_k (log w_k + log p_k(x)),                          (1)
              μ = Σ_k w_k μ_k,   Var = Σ_k w_k (Var_k + μ_k²) − μ²,                                          (2)
              a draw: k with probability w_k, then x from p_k.                                               (3)

Transformed.  For z ~ p and x = f(z) with f invertible,  log p(x) = log p(f⁻¹(x)) + log|det ∂f⁻¹/∂x|.           (4)
              Under one f for both, the determinants cancel in log p − log q: KL of the images is KL of the bases.

Independent.  Entries of the batch that are taken together as one event:  log p(x) = Σ_i log p_i(x_i).        (5)
"""
from minigen.distributions.base import Distribution, parameters
from minigen.distributions.discrete import Categorical
from minigen.distributions.kl import kl_divergence, register_kl
from minigen.functional import log_softmax
from minigen.ops.elementwise import exp
from minigen.ops.index import take_along_axis
from minigen.ops.reduce import broadcast_to, logsumexp, sum
from minigen.ops.shape import expand_dims, reshape
from minigen.random import as_generator


class Mixture(Distribution):
    """Eq. (1): K components of one family, weighted by softmax(logits).

    Args:
        logits: (…, K). components: a Distribution with batch shape (…, K).

    ``eps`` of `sample` is a pair: noise for `Categorical` and noise for the components, of which all are drawn.
    Gradients do not flow through draws, since the choice of k is no smooth function. Raises ValueError if the batch of
    the components does not end in K.
    """

    def __init__(self, logits, components):
        self.logits, = parameters("Mixture", logits=logits)
        if self.logits.ndim == 0 or components.batch_shape != self.logits.shape:
            raise ValueError(f"Mixture: logits {self.logits.shape} want components with batch_shape "
                             f"{self.logits.shape}, whose last axis is K; got {components!r}")
        self.components, self.choice = components, Categorical(self.logits)
        self._set_shapes((*components.batch_shape[:-1], *components.event_shape), components.event_ndim)

    @property
    def support(self):
        """(low, high): where draws can lie."""
        low, high = self.components.support
        axis = -1 - self.event_ndim
        return tuple(getattr(bound, take)(axis=axis) if hasattr(bound, "shape") else bound
                     for bound, take in ((low, "min"), (high, "max")))

    def _weights(self):
        """w_k, (…, K, 1 for each axis of the event)."""
        return reshape(exp(log_softmax(self.logits)), self.logits.shape + (1,) * self.event_ndim)

    def _average(self, values):
        return sum(self._weights() * values, axis=-1 - self.event_ndim)

    def _spread(self, x):
        """x with an axis of length 1 for the components."""
        return expand_dims(x, x.ndim - self.event_ndim)

    @property
    def mean(self):
        """E[x] of each entry."""
        return self._average(self.components.mean)                                                          # Eq. (2)

    @property
    def variance(self):
        """Var[x] of each entry."""
        second = self._average(self.components.variance + self.components.mean ** 2)
        return second - self.mean ** 2                                                                      # Eq. (2)

    def log_responsibilities(self, x):
        """log p(k|x), (…, *batch, K): which component x came from."""
        return log_softmax(self._log_joint(x))

    def _log_joint(self, x):
        return log_softmax(self.logits) + self.components.log_prob(self._spread(x))

    def _log_prob(self, x):
        return logsumexp(self._log_joint(x), axis=-1)                                                       # Eq. (1)

    def cdf(self, x):
        return self._average(self.components.cdf(self._spread(x)))

    def parameter_count(self):
        K = self.logits.shape[-1]
        return K - 1 + K * self.components.parameter_count()

    def sample(self, size=(), *, rng=None, eps=None):
        """Draw: (*size, *batch, *event), Eq. (3). ``eps`` is a pair, see the class."""
        if eps is None and rng is not None:
            rng = as_generator(rng)
        first, second = (None, None) if eps is None else eps
        k = self.choice.sample(size, rng=rng, eps=first)                                     # (*size, *batch)
        x = self.components.sample(size, rng=rng, eps=second)                               # (*size, *batch, K, *event)
        index = reshape(k, k.shape + (1,) * (1 + self.event_ndim))
        index = broadcast_to(index, (*k.shape, 1, *self.event_shape))
        picked = take_along_axis(x, index, axis=k.ndim)
        return reshape(picked, (*k.shape, *self.event_shape)).detach()


class Transformed(Distribution):
    """Eq. (4): the distribution of f(z).

    Args:
        base: of z. transform: f, an object with ``forward(z) -> (x, log|det|)`` and ``inverse(x) -> (z, log|det|)``,
            such as a `minigen.flows.Transform`; the log-determinants are of the base's events, in nats.

    ``eps`` of `sample` is the base's. A `minigen.flows.Flow` has parameters to train, and reads f the other way round.
    """

    def __init__(self, base, transform):
        self.base, self.transform, self.reparameterised = base, transform, base.reparameterised
        self._set_shapes((*base.batch_shape, *base.event_shape), base.event_ndim)

    def _log_prob(self, x):
        z, log_det = self.transform.inverse(x)
        return self.base.log_prob(z) + log_det                                                              # Eq. (4)

    def _noise_shape(self, shape):
        return self.base._noise_shape(shape)

    def _noise(self, rng, shape):
        return self.base._noise(rng, shape)

    def _draw(self, eps):
        return self.transform.forward(self.base._draw(eps))[0]


@register_kl(Transformed, Transformed)
def _transformed_transformed(p, q):
    if p.transform is not q.transform:
        raise NotImplementedError("kl_divergence: Transformed‖Transformed is in closed form under one and the same "
                                  "transform only; estimate it with kl_monte_carlo(p, q, n, rng=…)")
    return kl_divergence(p.base, q.base)                                                                    # Eq. (4)


class Independent(Distribution):
    """Eq. (5): ``base`` with the last ``n`` axes of its batch read as the first of the event."""

    def __init__(self, base, n=1):
        if not 0 < n <= len(base.batch_shape):
            raise ValueError(f"Independent: wants n from 1 to the {len(base.batch_shape)} batch axes of {base!r}, "
                             f"got {n}")
        self.base, self.n, self.reparameterised, self.support = base, n, base.reparameterised, base.support
        self._set_shapes((*base.batch_shape, *base.event_shape), base.event_ndim + n)

    @property
    def mean(self):
        """E[x] of each entry."""
        return self.base.mean

    @property
    def variance(self):
        """Var[x] of each entry."""
        return self.base.variance

    def _sum(self, values):
        return sum(values, axis=tuple(range(-self.n, 0)))

    def _log_prob(self, x):
        return self._sum(self.base.log_prob(x))                                                             # Eq. (5)

    def entropy(self):
        return self._sum(self.base.entropy())

    def cdf(self, x):
        return self.base.cdf(x)

    def icdf(self, u):
        return self.base.icdf(u)

    def parameter_count(self):
        return self.base.parameter_count() * self.event_size // max(1, self.base.event_size)

    def sample(self, size=(), *, rng=None, eps=None):
        return self.base.sample(size, rng=rng, eps=eps)


@register_kl(Independent, Independent)
def _independent_independent(p, q):
    if p.n != q.n:
        raise ValueError(f"kl_divergence: both sides must read as many batch axes as event, got n={p.n} and n={q.n}")
    return p._sum(kl_divergence(p.base, q.base))                                                            # Eq. (5)
