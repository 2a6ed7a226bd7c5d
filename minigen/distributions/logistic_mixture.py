r"""The discretised mixture of logistics: a distribution over the values 0 … K − 1 of a pixel.

T. Salimans, A. Karpathy, X. Chen and D. Kingma, "PixelCNN++", 2017, arXiv:1701.05517, section 2.1.

A value x stands for all real numbers that round to it, the first and the last also for all beyond. With the logistic
distribution function σ((· − μ)/s) and

    a = (x + ½ − μ)/s,   b = (x − ½ − μ)/s,                                                                  (1)

one component has

    P(x) = σ(a) − σ(b)   for 0 < x < K − 1,     P(0) = σ(a),     P(K − 1) = 1 − σ(b) = σ(−b).                (2)

Far from μ the difference loses all its digits. But σ(a) − σ(b) = σ(a) σ(−b) (1 − e^{−(a−b)}), so

    log P(x) = log σ(a) + log σ(−b) + log(1 − e^{−1/s}),                                                     (3)

whose terms all have one sign. The mixture is log P(x) = logsumexp_m (log w_m + log P_m(x)).                 (4)
Mean, variance, entropy and divergences are sums over all K values.                                          (5)

Difference from the paper: means and scales are in steps of x, not in units of half its range.
"""
import math

from minigen.distributions.base import Distribution, parameters
from minigen.distributions.discrete import Categorical, cdf_of_values, icdf_of_values
from minigen.distributions.kl import register_kl
from minigen.distributions.univariate import Logistic
from minigen.functional import log_softmax
from minigen.ops.activations import log_sigmoid
from minigen.ops.create import arange
from minigen.ops.elementwise import exp, expm1, log
from minigen.ops.index import take_along_axis
from minigen.ops.piecewise import clip, logical_and, round, where
from minigen.ops.reduce import broadcast_to, logsumexp
from minigen.ops.shape import expand_dims, moveaxis
from minigen.random import as_generator


class DiscretizedLogisticMixture(Distribution):
    """Values 0 … levels − 1 for each entry, Eq. (4). Draws are int64.

    Args:
        logits, mean, log_scale: (*batch, *event, M) for M components; mean and scale in steps of x.
        levels: K. event_ndim: how many of the axes before the last are one outcome.

    ``eps`` of `sample` is a pair: Gumbel noise (…, M) for the component, uniform noise for the logistic. `log_prob` of
    a value that is no integer from 0 to K − 1 is −∞. Raises ValueError for levels < 2 or parameters without a last
    axis.
    """

    def __init__(self, logits, mean, log_scale, levels=256, event_ndim=0):
        self.logits, self.means, self.log_scales = parameters("DiscretizedLogisticMixture", logits=logits, mean=mean,
                                                              log_scale=log_scale)
        if levels < 2 or self.logits.ndim == 0:
            raise ValueError("DiscretizedLogisticMixture: wants parameters (…, M) and levels ≥ 2, got "
                             f"{self.logits.shape} and {levels}")
        self.levels, self.support = levels, (0, levels - 1)
        self._set_shapes(self.logits.shape[:-1], event_ndim)

    def _log_prob(self, x):
        return self.sum_event(self._entries(x))

    def _entries(self, x):
        """log P(x) of each entry."""
        x = x if x.dtype.kind == "f" else x.astype(self.means.dtype)
        allowed = logical_and(logical_and(x >= 0, x <= self.levels - 1), x == round(x))
        offset, precision = expand_dims(x, -1) - self.means, exp(-self.log_scales)
        a, b = (offset + 0.5) * precision, (offset - 0.5) * precision                                       # Eq. (1)
        x = expand_dims(x, -1)
        below = where(x > 0, log_sigmoid(-b), 0)                                             # nothing is cut off at 0
        above = where(x < self.levels - 1, log_sigmoid(a), 0)
        inside = logical_and(x > 0, x < self.levels - 1)
        log_p = above + below + where(inside, log(-expm1(-precision)), 0)                                # Eqs. (2), (3)
        total = logsumexp(log_softmax(self.logits) + log_p, axis=-1)                                        # Eq. (4)
        return where(allowed, total, -math.inf)

    # ---- all values ------------------------------------------------------------------------------------------------
    @property
    def log_probs(self):
        """log P of every value, of shape batch + event + (K,)."""
        values = arange(self.levels).astype(self.means.dtype)
        values = values.reshape((self.levels,) + (1,) * (self.logits.ndim - 1))
        return moveaxis(self._entries(values + 0 * self.means[..., 0]), 0, -1)

    def _average(self, values):
        return (exp(self.log_probs) * values).sum(axis=-1)

    @property
    def mean(self):
        """E[x] of each entry."""
        return self._average(arange(self.levels).astype(self.means.dtype))                                  # Eq. (5)

    @property
    def variance(self):
        """Var[x] of each entry."""
        values = arange(self.levels).astype(self.means.dtype)
        return self._average((values - expand_dims(self.mean, -1)) ** 2)                                    # Eq. (5)

    def entropy(self):
        return -self.sum_event(self._average(self.log_probs))                                               # Eq. (5)

    def cdf(self, x):
        return cdf_of_values(exp(self.log_probs), x)

    def icdf(self, u):
        return icdf_of_values(exp(self.log_probs), u)

    def parameter_count(self):
        return self.event_size * (3 * self.logits.shape[-1] - 1)

    def sample(self, size=(), *, rng=None, eps=None):
        """Draw: (*size, *batch, *event), int64: a component, a logistic number from it, rounded and clipped."""
        rng = None if rng is None else as_generator(rng)
        first, second = (None, None) if eps is None else eps
        k = expand_dims(Categorical(self.logits).sample(size, rng=rng, eps=first), -1)
        shape = (*k.shape[:-1], self.logits.shape[-1])
        mean, log_scale = (take_along_axis(broadcast_to(p, shape), k, axis=-1)[..., 0]
                           for p in (self.means, self.log_scales))
        x = Logistic(mean, log_scale).sample(rng=rng, eps=second)
        return clip(round(x), 0, self.levels - 1).detach().astype("int64")


@register_kl(DiscretizedLogisticMixture, DiscretizedLogisticMixture)
def _logistic_mixtures(p, q):
    if p.levels != q.levels:
        raise ValueError("kl_divergence: DiscretizedLogisticMixture‖DiscretizedLogisticMixture wants as many levels on "
                         f"both sides, got {p.levels} and {q.levels}")
    return p.sum_event(p._average(p.log_probs - q.log_probs))                                               # Eq. (5)
