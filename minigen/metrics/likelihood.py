r"""Likelihoods of 8-bit images in bits per dimension.

An image is D integers x from 0 to 255, and a model gives it a probability P(x). The ideal code spends −log₂ P(x) bits:

    bits per dimension = −log P(x) / (D log 2),        log P(x) in nats.                                          (1)

The uniform distribution over all images has P(x) = 256^−D: 8 bits per dimension, what the raw file spends. A model that
has a *density* p(y) of real numbers y ∈ [0, 1]^D (a flow) gives the cell of each x the mass

    P(x) = ∫ p(y) dy over the cell = E_u[ p((x + u) / 256) ] 256^−D,        u ~ U[0, 1)^D,                         (2)

of which one draw of u shows a lower bound, by Jensen, and S draws a tighter one, as for importance-weighted latent
variable models (L. Theis, A. van den Oord and M. Bethge, "A note on the evaluation of generative models", 2015,
arXiv:1511.01844; Y. Burda, R. Grosse and R. Salakhutdinov, 2015, arXiv:1509.00519):

    log P(x) ≥ E[ log (1/S) Σ_s p(y_s) ] − D log 256 ≥ E_u[ log p(y) ] − D log 256.                                (3)

So a density must be told its unit: on [0, 1]^D it scores −log₂ p(y) / D + 8 bits per dimension, on [0, 256]^D no 8 is
added, and without the noise u there is no bound at all: a density may put spikes on the integers and score anything.
"""
import math

import numpy as np
from scipy.special import logsumexp

import minigen as mg
from minigen.data import dequantise


def bits_per_dim(log_probability, D):
    """−log P / (D log 2): from nats for each example to bits for each of its D numbers. Eq. (1).

    Args:
        log_probability: log P(x) in nats, a number, array or Tensor of any shape, of a *discrete* x. D: at least 1.
    """
    if D < 1:
        raise ValueError(f"bits_per_dim: D counts the numbers in one example and is at least 1, got {D}")
    return -log_probability / (D * math.log(2))


def dequantised_log_prob(log_density, x, samples=1, rng=0, u=None):
    """The bound (3) on log P(x) of 8-bit images under a density on [0, 1]^D, nats, float64 (N,). Not recorded.

    Args:
        log_density: function of a Tensor (N, *event), float32 in [0, 1), to its log-density in nats (N,).
        x: pixels, uint8 (N, *event). samples: S ≥ 1.
        rng: a seed or NumPy Generator. u: noise (S, N, *event) in [0, 1) in its place.

    Raises TypeError for pixels that are not uint8, ValueError for no samples and for log-densities of another shape.
    """
    if samples < 1:
        raise ValueError(f"dequantised_log_prob: wants at least 1 sample, got {samples}")
    rng, scores = np.random.default_rng(rng), []
    with mg.no_grad():
        for s in range(samples):
            log_p = log_density(mg.tensor(dequantise(x, rng, u=None if u is None else u[s]))).numpy()
            if log_p.shape != (len(x),):
                raise ValueError(f"dequantised_log_prob: wants one log-density for each of {len(x)} images, got shape "
                                 f"{log_p.shape}; sum over the event")
            scores.append(log_p.astype(np.float64))
    D = math.prod(np.shape(x)[1:])
    return logsumexp(scores, axis=0) - math.log(samples) - D * math.log(256)               # Eq. (3)
