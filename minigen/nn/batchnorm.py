r"""Batch normalisation.

S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
2015, arXiv:1502.03167. Every feature is brought to mean 0 and variance 1 over the M entries that it has in the batch
(examples, and positions if there are any), then scaled and shifted by two learned numbers:

    μ = Σ x / M,    v = Σ (x − μ)² / M,    y = γ (x − μ) / √(v + ε) + β.                                          (1)

In training μ and v are functions of x, and the derivatives go through them, to any order (`minigen.nn.moments`).

In evaluation an example must not depend on its neighbours in the batch, so μ and v are replaced by running averages of
what training saw. The average of v estimates the variance of the data, hence the factor M / (M − 1):

    μ_run ← (1 − m) μ_run + m μ,    v_run ← (1 − m) v_run + m v M / (M − 1).                                      (2)

Conditional batch norm (H. de Vries et al., 2017, arXiv:1707.00683) looks γ and β up by the class k of each example:

    y = γ_k (x − μ) / √(v + ε) + β_k.                                                                            (3)
"""
import math

import numpy as np

from minigen.nn.embedding import Embedding
from minigen.nn.module import Module
from minigen.nn.moments import moments, scale_shift, steer
from minigen.nn.parameter import Buffer, Parameter
from minigen.ops.create import ones, zeros
from minigen.primitive import no_grad


class BatchNorm(Module):
    """Eq. (1) over all axes but the last: (…, features) → the same shape. For (N, C), (N, T, C) and (N, H, W, C) alike.

    Each call in training mode moves the running averages, also one inside `no_grad` or repeated by
    `minigen.checkpoint`.

    Args:
        eps: ε, inside the root.
        momentum: m of Eq. (2): the share of the newest batch.
        affine: learn γ and β; without, they are one and zero.

    Attributes:
        weight: γ, (features,), starts at one. bias: β, (features,), starts at zero. None without ``affine``.
        running_mean, running_var: Buffers (features,), μ_run and v_run, which start at zero and one.

    Raises ValueError for an input whose last axis is not ``features`` long, or in training for fewer than two entries
    of each feature: one entry has variance zero, whatever it is.
    """

    def __init__(self, features, eps=1e-5, momentum=0.1, affine=True):
        if features < 1:
            raise ValueError(f"BatchNorm: wants at least one feature, got {features}")
        if not 0 <= momentum <= 1:
            raise ValueError(f"BatchNorm: momentum is the share of the newest batch, in [0, 1], got {momentum}")
        self.features, self.eps, self.momentum = features, eps, momentum
        self.weight = Parameter(ones((features,))) if affine else None
        self.bias = Parameter(zeros((features,))) if affine else None
        self.running_mean, self.running_var = Buffer(zeros((features,))), Buffer(ones((features,)))

    def forward(self, x):
        self.expect_features(x, self.features)
        rows = x.reshape((1, math.prod(x.shape[:-1]), self.features))                          # (1, M, C)
        if self.training:
            mu, v = self._batch_moments(rows)
        else:                                               # copies: a later call in training changes the originals
            mu, v = self.running_mean.copy(), self.running_var.copy()
        s, t = steer(mu, v, self.eps, self.weight, self.bias)                                  # Eq. (1)
        C = self.features
        return scale_shift(rows, s.reshape((1, C)), t.reshape((1, C))).reshape(x.shape)

    def _batch_moments(self, rows):
        """μ and v of (1, M, C), each (C,), and Eq. (2)."""
        M = rows.shape[1]
        if M < 2:
            raise ValueError(f"{self.label()} wants at least two entries of each feature to train on, got {M}: an "
                             f"input of {M} × {self.features}; use a larger batch, or eval()")
        both = moments(rows, self.features)
        mu, v = both[0, 0], both[1, 0]
        with no_grad():
            for running, new in ((self.running_mean, mu), (self.running_var, v * (M / (M - 1)))):
                running[...] = running + self.momentum * (new - running)                       # Eq. (2)
        return mu, v

    def describe(self):
        return f"{self.features}"


class ConditionalBatchNorm(Module):
    """Eq. (3): batch norm whose γ and β depend on the class of the example: x (N, …, features), labels (N,) → as x.

    Attributes:
        norm: the `BatchNorm` without γ and β; all classes share its statistics.
        weight, bias: `Embedding`s of γ and β, each (classes, features), which start at one and zero.

    Raises IndexError for a label that is no class, ValueError unless there is one label per example.
    """

    def __init__(self, features, classes, eps=1e-5, momentum=0.1):
        self.norm = BatchNorm(features, eps, momentum, affine=False)
        self.weight = Embedding(classes, features, rng=0, weight_init="ones")
        self.bias = Embedding(classes, features, rng=0, weight_init="zeros")

    def forward(self, x, labels):
        if np.shape(labels) != x.shape[:1]:
            raise ValueError(f"{self.label()} wants one label per example: x is {x.shape}, the labels "
                             f"{np.shape(labels)}")
        y = self.norm(x)
        positions = (x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])                        # (N, S, C)
        return scale_shift(y.reshape(positions), self.weight(labels), self.bias(labels)).reshape(x.shape)    # Eq. (3)

    def describe(self):
        return f"{self.norm.features}, classes={self.weight.symbols}"
