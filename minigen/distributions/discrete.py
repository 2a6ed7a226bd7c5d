r"""Bernoulli and Categorical distributions, given by logits: unnormalised log-probabilities, any real numbers.

Bernoulli. One logit l for each entry, p(x=1) = σ(l) = 1/(1 + e⁻ˡ). With ζ(l) = log(1 + eˡ) (softplus),

    log p(x=1) = −ζ(−l),   log p(x=0) = −ζ(l) = −ζ(−l) − l,                                                 (1)
    log p(x)   = x l − ζ(l) = −(max(l, 0) − x l + log(1 + e^{−|l|})),                                       (2)
    H          = σ(l) ζ(−l) + σ(−l) ζ(l).                                                                   (3)

(2) is computed as on the right: max(l, 0) − x l is exact, and both terms have one sign, as in (3). So nothing cancels
at |l| = 10⁴, where log σ(l) would be −∞. For independent entries (2) and (3) are summed over the event.

Categorical. K logits on the last axis, with the log-probabilities

    log p_k = l_k − log Σ_j exp(l_j),   log p(x) = log p_x,   H = −Σ_k p_k log p_k.                         (4)

Gumbel's trick: if G_k = −log(−log U_k) with U_k uniform, then argmax_k (l_k + G_k) = k with probability p_k.  (5)
Proof: T_k = exp(−l_k − G_k) = −log U_k / e^{l_k} is the waiting time of a Poisson process with rate e^{l_k}, and of
independent processes k fires first with probability e^{l_k} / Σ_j e^{l_j}.

Distribution functions, of values in their order:

    F(x) = Σ_{k ≤ x} p_k,    F⁻¹(u) = the least k with F(k) ≥ u.                                              (6)
"""
from minigen.distributions.base import Distribution, parameters
from minigen.functional import log_softmax, sigmoid_cross_entropy, softmax
from minigen.ops.activations import sigmoid, softplus
from minigen.ops.create import arange
from minigen.ops.elementwise import exp
from minigen.ops.index import take_along_axis
from minigen.ops.piecewise import where
from minigen.ops.reduce import argmax
from minigen.ops.scan import cumsum
from minigen.ops.shape import expand_dims
from minigen.tensor import Tensor, tensor


class Bernoulli(Distribution):
    """Independent coin flips: each entry of x is 1 with probability σ(logit), else 0.

    ``eps`` of `sample` is uniform noise in [0, 1) of the draw's shape: x is 1 where eps < σ(logit). It has the logits'
    dtype.

    Args:
        logits: numbers or a Tensor of shape batch + event.
        event_ndim: how many of the last axes are one outcome.

    An x between 0 and 1 (a grey pixel) gets the weighted mean of the two log-probabilities: the negative cross-entropy,
    which is no log-density.
    """

    def __init__(self, logits, event_ndim=1):
        self.logits, = parameters("Bernoulli", logits=logits)
        self._set_shapes(self.logits.shape, event_ndim)

    @property
    def mean(self):
        """p(x=1)."""
        return sigmoid(self.logits)

    @property
    def variance(self):
        """p(x=1) p(x=0)."""
        return sigmoid(self.logits) * sigmoid(-self.logits)

    def _log_prob(self, x):
        x = x if x.dtype.kind == "f" else x.astype(self.logits.dtype)
        return -self.sum_event(sigmoid_cross_entropy(self.logits, x))                                       # Eq. (2)

    def entropy(self):
        l = self.logits
        return self.sum_event(sigmoid(l) * softplus(-l) + sigmoid(-l) * softplus(l))                        # Eq. (3)

    def cdf(self, x):
        return where(x < 0, 0, where(x < 1, sigmoid(-self.logits), 1))                                      # Eq. (6)

    def icdf(self, u):
        return (u > sigmoid(-self.logits)).astype(self.logits.dtype)                                        # Eq. (6)

    def parameter_count(self):
        return self.event_size

    def _noise(self, rng, shape):
        return rng.random(shape, dtype=self.logits.dtype)

    def _draw(self, eps):
        return (eps < self.mean).astype(self.logits.dtype)


class Categorical(Distribution):
    """One of K classes, 0 … K − 1; draws are int64.

    ``eps`` of `sample` is Gumbel noise of the draw's shape + (K,), Eq. (5).

    Args:
        logits: numbers or a Tensor of shape batch + event + (K,).
        event_ndim: how many axes before the last are one outcome: 0 for a label, 3 for an image of K-valued subpixels.

    `log_prob` raises TypeError for x that is not integer, and ValueError for a class out of range (to see one, a GPU is
    waited for).
    """

    def __init__(self, logits, event_ndim=0):
        self.logits, = parameters("Categorical", logits=logits)
        if self.logits.ndim == 0 or self.logits.shape[-1] == 0:
            raise ValueError(f"Categorical: wants logits of shape (…, K) with K ≥ 1 classes, got {self.logits.shape}")
        self._set_shapes(self.logits.shape[:-1], event_ndim)

    @property
    def classes(self):
        """K."""
        return self.logits.shape[-1]

    @property
    def probs(self):
        """p_k, of shape batch + event + (K,)."""
        return softmax(self.logits)

    @property
    def log_probs(self):
        """log p_k, of shape batch + event + (K,)."""
        return log_softmax(self.logits)

    def _log_prob(self, x):
        if x.dtype.kind not in "iu":
            raise TypeError(f"log_prob: {self!r} wants classes as integers, got {x.dtype} of shape {x.shape}")
        low, high = (int(x.min()), int(x.max())) if x.size else (0, 0)
        if low < 0 or high >= self.classes:
            raise ValueError(f"log_prob: {self!r} has the classes 0 to {self.classes - 1}, "
                             f"got some from {low} to {high}")
        log_probs = self.log_probs
        ndim = max(x.ndim, log_probs.ndim - 1)                              # line the axes up from the right
        log_probs = log_probs.reshape((1,) * (ndim + 1 - log_probs.ndim) + log_probs.shape)
        x = x.reshape((1,) * (ndim - x.ndim) + x.shape + (1,))
        return self.sum_event(take_along_axis(log_probs, x, axis=-1)[..., 0])                               # Eq. (4)

    def entropy(self):
        log_probs = self.log_probs
        return -self.sum_event((exp(log_probs) * log_probs).sum(axis=-1))                                   # Eq. (4)

    def cdf(self, x):
        return cdf_of_values(self.probs, x)

    def icdf(self, u):
        return icdf_of_values(self.probs, u)

    def parameter_count(self):
        return self.event_size * (self.classes - 1)

    def _noise_shape(self, shape):
        return (*shape, self.classes)

    def _noise(self, rng, shape):
        return rng.gumbel(shape, dtype=self.logits.dtype)

    def _draw(self, eps):
        return argmax(self.logits + eps, axis=-1)                                                           # Eq. (5)


# ---- finitely many values --------------------------------------------------------------------------------------------
def cdf_of_values(probs, x):
    """F(x), of x's shape, where the value k = 0 … K − 1 has probability probs[…, k]. Eq. (6)."""
    x = x if isinstance(x, Tensor) else tensor(x)
    values = arange(probs.shape[-1]).astype(probs.dtype)
    return where(values <= expand_dims(x, -1), probs, 0).sum(axis=-1)


def icdf_of_values(probs, u):
    """The least k with F(k) ≥ u, int64 of u's shape. Eq. (6)."""
    u = u if isinstance(u, Tensor) else tensor(u)
    F = cumsum(probs[..., :-1], axis=-1)                                        # F(K − 1) is 1, whatever rounding says
    return (F < expand_dims(u, -1)).astype("int64").sum(axis=-1)
