r"""Group and instance normalisation: every example is normalised on its own, so training and evaluation do not differ.

Y. Wu and K. He, "Group Normalization", 2018, arXiv:1803.08494. The C channels form G groups of C/G neighbours. With
μ and v the mean and the variance over the positions and channels of one group in one example,

    y = γ (x − μ) / √(v + ε) + β,                                                                                (1)

γ and β being one learned number per channel. With G = 1 the statistics are those of the whole example, with G = C those
of each channel: instance norm (D. Ulyanov, A. Vedaldi and V. Lempitsky, 2016, arXiv:1607.08022), which takes the
contrast of an image away. How (1) is computed and differentiated is told in `minigen.nn.moments`.
"""
import math

from minigen.nn.module import Module
from minigen.nn.moments import normalize_groups
from minigen.nn.parameter import Parameter
from minigen.ops.create import ones, zeros


class GroupNorm(Module):
    """Eq. (1): (N, …, features) → the same shape.

    Args:
        groups: G; it divides ``features``.
        eps: ε, inside the root.
        affine: learn γ and β; without, they are one and zero.

    Attributes:
        weight: γ, (features,), starts at one. bias: β, (features,), starts at zero. None without ``affine``.

    Raises ValueError for groups that do not divide the features, an input whose last axis is not ``features`` long or
    that has no axis of examples, and for groups of a single entry, which would all become zero.
    """

    def __init__(self, groups, features, eps=1e-5, affine=True):
        if groups < 1 or features < 1 or features % groups:
            raise ValueError(f"{type(self).__name__}: wants the {features} features in groups of equal size, got "
                             f"{groups} groups; choose a number that divides {features}")
        self.groups, self.features, self.eps = groups, features, eps
        self.weight = Parameter(ones((features,))) if affine else None
        self.bias = Parameter(zeros((features,))) if affine else None

    def forward(self, x):
        self.expect_features(x, self.features)
        N, S = x.shape[0], math.prod(x.shape[1:-1])
        if x.ndim < 2 or S * self.features <= self.groups:
            raise ValueError(f"{self.label()} wants (N, …, {self.features}) with at least two entries in a group, got "
                             f"an input of shape {x.shape}")
        blocks = x.reshape((N, S, self.features))
        return normalize_groups(blocks, self.groups, self.eps, self.weight, self.bias).reshape(x.shape)       # Eq. (1)

    def describe(self):
        return f"{self.groups}, {self.features}"


class InstanceNorm(GroupNorm):
    """Eq. (1) with each channel a group of its own. Arguments and errors as in `GroupNorm`."""

    def __init__(self, features, eps=1e-5, affine=True):
        super().__init__(features, features, eps, affine)

    def describe(self):
        return f"{self.features}"
