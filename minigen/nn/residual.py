r"""Residual blocks of images, told a condition.

The block of J. Ho, A. Jain and P. Abbeel, "Denoising Diffusion Probabilistic Models", 2020, arXiv:2006.11239, after
K. He et al., 2016, arXiv:1603.05027: norm and activation come before each convolution, and what is learned is added to
what came in,

    h = conv(silu(norm(x))) + silu(e) W_e + b_e,                                                                  (1)
    y = skip(x) + conv(dropout(silu(norm(h)))).                                                                   (2)

e is a vector per example, such as the embedding of a time, of a class, or the sum of both; it shifts each channel of h.
skip is the identity where the channels agree, else a linear map of them. The last convolution starts at zero, so that a
new block is skip alone, and a deep net of them starts as a shallow one.
"""
import numpy as np

from minigen.nn.conv import Conv2d
from minigen.nn.dropout import Dropout
from minigen.nn.groupnorm import GroupNorm
from minigen.nn.linear import Linear
from minigen.nn.module import Module
from minigen.ops.activations import silu
from minigen.random import as_generator


class ResidualBlock(Module):
    """Eqs. (1) and (2): x (N, H, W, in_channels), condition (N, condition_features) → (N, H, W, out_channels).

    Args:
        condition_features: length of e; 0: the block takes no condition.
        groups: of both norms; they divide in_channels and out_channels.
        dropout: probability in Eq. (2).
        rng: generator or seed of the weights, which start as in PyTorch.

    Raises ValueError for a condition that is missing, not wanted, or of another shape.
    """

    def __init__(self, in_channels, out_channels, condition_features=0, groups=8, dropout=0.0, *, rng):
        rng = as_generator(rng)
        self.in_channels, self.out_channels, self.condition_features = in_channels, out_channels, condition_features
        self.norm1 = GroupNorm(groups, in_channels)
        self.conv1 = Conv2d(in_channels, out_channels, 3, padding=1, rng=rng)
        self.condition = Linear(condition_features, out_channels, rng=rng) if condition_features else None
        self.norm2 = GroupNorm(groups, out_channels)
        self.dropout = Dropout(dropout, rng=rng) if dropout else None
        self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1, rng=rng, weight_init="zeros")
        self.skip = Linear(in_channels, out_channels, rng=rng) if in_channels != out_channels else None

    def forward(self, x, condition=None):
        self._check(x, condition)
        h = self.conv1(silu(self.norm1(x)))
        if condition is not None:
            h = h + self.condition(silu(condition)).reshape((x.shape[0], 1, 1, self.out_channels))            # Eq. (1)
        h = silu(self.norm2(h))
        h = self.conv2(self.dropout(h) if self.dropout else h)
        return (self.skip(x) if self.skip else x) + h                                                         # Eq. (2)

    def _check(self, x, condition):
        self.expect_features(x, self.in_channels)
        wanted = (x.shape[0], self.condition_features) if self.condition_features else None
        got = None if condition is None else np.shape(condition)
        if got != wanted:
            raise ValueError(f"{self.label()} wants a condition of shape {wanted} beside x {x.shape}, got {got}")

    def describe(self):
        condition = f", condition_features={self.condition_features}" if self.condition_features else ""
        return f"{self.in_channels}, {self.out_channels}{condition}"
