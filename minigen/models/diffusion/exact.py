r"""The denoiser that needs no training: its data is a mixture of Gaussians.

If x is drawn from component k of p(x) = Σ_k w_k N(x; μ_k, σ_k² I), then z_t = √ᾱ_t x + √(1 − ᾱ_t) ε is Gaussian too,
jointly with x, and

    p(z_t|k) = N(z_t; √ᾱ_t μ_k, s_k² I),    s_k² = ᾱ_t σ_k² + 1 − ᾱ_t,                                          (32)
    E[x|z_t, k] = μ_k + √ᾱ_t σ_k² / s_k² (z_t − √ᾱ_t μ_k).                                                      (33)

The prediction with the least mean square error is the conditional mean, here with the components' posterior weights

    r_k = w_k p(z_t|k) / Σ_j w_j p(z_t|j),    x̂ = E[x|z_t] = Σ_k r_k E[x|z_t, k].                                (34)

So the minimiser of every loss in `ddpm` is known at every t, and with it the samples, bounds and guided scores that a
perfect network would give. Where classes are known, (34) runs over the components of the class; and p(y|z_t) is the
sum of their r_k.
"""
import math

import numpy as np

from minigen.functional import softmax
from minigen.models.diffusion.process import PREDICTIONS
from minigen.nn import Module
from minigen.ops.elementwise import log
from minigen.ops.index import take
from minigen.ops.reduce import logsumexp, sum
from minigen.tensor import tensor


class MixtureDenoiser(Module):
    """The optimal network f(z_t, t, labels) for data from a `minigen.data.densities.GaussianMixture`.

    Args:
        process: the ForwardProcess. mixture: the data's density, with K components in D dimensions.
        prediction: what it tells: "eps", "x" or "v".

    ``labels`` (N,) chooses the class; the label ``mixture.classes``, or None, stands for none.
    """

    def __init__(self, process, mixture, prediction="eps"):
        if prediction not in PREDICTIONS:
            raise ValueError(f"MixtureDenoiser: prediction is one of {', '.join(PREDICTIONS)}, got {prediction!r}")
        self.process, self.prediction, self.classes = process, prediction, mixture.classes
        belongs = np.arange(mixture.classes + 1)[:, None] == mixture.labels                           # (classes + 1, K)
        belongs[-1] = True                                                             # the label of none: all of them
        self._means, self._variances = tensor(mixture.means), tensor(mixture.stds[:, None] ** 2)       # (K, D), (K, 1)
        self._log_weights = tensor(np.log(mixture.weights))
        self._belongs = tensor(np.where(belongs, 0.0, -np.inf))

    def forward(self, z, t, labels=None):
        """What a perfect network says of z (N, D) at t, an int or integers (N,)."""
        x = self.denoised(z, t, labels)
        return self.process.target(self.prediction, x, self.process.to_eps("x", x, z, t), t)

    def denoised(self, z, t, labels=None):
        """E[x|z_t], or E[x|z_t, y] where labels are given, (N, D). Eq. (34)."""
        log_joint, means = self._components(z, t)
        if labels is not None:
            log_joint = log_joint + take(self._belongs, labels, axis=0).astype(z.dtype)
        return sum(softmax(log_joint)[..., None] * means, axis=1)

    def log_prob_labels(self, z, t):
        """log p(y|z_t) for every class, (N, classes): the perfect classifier of noised data."""
        log_joint, _ = self._components(z, t)                                                          # (N, K)
        by_class = log_joint[:, None] + self._belongs[:-1].astype(z.dtype)                             # (N, classes, K)
        return logsumexp(by_class, axis=-1) - logsumexp(log_joint, axis=-1, keepdims=True)

    def _components(self, z, t):
        """log w_k p(z_t|k), (N, K), and E[x|z_t, k], (N, K, D)."""
        z, D = z[:, None], z.shape[-1]                                                                 # (N, 1, D)
        means, variances, log_weights = (c.astype(z.dtype) for c in (self._means, self._variances, self._log_weights))
        signal, noise = self.process.at("signal", t, z), self.process.at("noise", t, z)
        spread = signal ** 2 * variances + noise ** 2                                                  # Eq. (32)
        d = z - signal * means                                                                         # (N, K, D)
        log_p = -0.5 * sum(d * d / spread, axis=-1) - 0.5 * D * log(2 * math.pi * spread)[..., 0]
        return log_weights + log_p, means + signal * variances / spread * d                            # Eq. (33)
