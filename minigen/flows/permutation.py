r"""Permutations of the features: y_d = x_{π(d)}.

The Jacobian is a permutation matrix, so |det| = 1. Alone they change no density's entropy; between couplings and
autoregressive layers they see to it that every feature gets to depend on every other.
"""
import numpy as np

from minigen.flows.base import Transform
from minigen.nn import Buffer
from minigen.ops.index import take
from minigen.ops.scan import argsort
from minigen.ops.shape import flip
from minigen.random import as_generator
from minigen.tensor import tensor


class Permutation(Transform):
    """y_d = x_{order[d]} on the last axis.

    Args:
        order: the numbers 0 … D − 1 in any order.

    Attributes:
        order: Buffer (D,), so that a random one is saved with the parameters.

    Raises ValueError if ``order`` is no permutation, or for another number of features.
    """

    def __init__(self, order, event_ndim=1):
        order = order if hasattr(order, "numpy") else tensor(np.asarray(order))
        if order.ndim != 1 or not order.size or not np.array_equal(np.sort(order.numpy()), np.arange(order.size)):
            raise ValueError(f"Permutation: the order must hold each of 0 … D − 1 once, got {order.numpy().tolist()}")
        self.order, self.event_ndim = Buffer(order), event_ndim

    @classmethod
    def random(cls, features, *, rng, event_ndim=1):
        """One drawn uniformly. ``rng`` is a Generator or a seed."""
        return cls(as_generator(rng).permutation(features), event_ndim)

    def forward(self, x, context=None):
        self.expect_event(x, len(self.order))
        return take(x, self.order, axis=-1), self.zero(x)

    def inverse(self, y, context=None):
        self.expect_event(y, len(self.order))
        return take(y, argsort(self.order), axis=-1), self.zero(y)

    def describe(self):
        return f"{len(self.order)}"


class Reverse(Transform):
    """The features in opposite order; its own inverse."""

    def __init__(self, event_ndim=1):
        self.event_ndim = event_ndim

    def forward(self, x, context=None):
        self.expect_event(x)
        return flip(x, axis=-1), self.zero(x)

    inverse = forward
