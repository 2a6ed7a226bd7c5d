r"""Layers that compute with a function of their weight: what they share, and the equalised learning rate.

T. Karras, T. Aila, S. Laine and J. Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and
Variation", 2017, arXiv:1710.10196, section 4.1. He's initialisation draws a weight with standard deviation
c = gain / √fan_in. Instead, store a weight of standard deviation one and multiply at every call:

    ŵ = c w,    w ~ N(0, 1),    c = gain / √fan_in.                                                              (1)

The layer starts the same, but learns otherwise. Adam moves every stored number by about the learning rate η, whatever
the scale of its gradient, so

    |Δŵ| = c |Δw| ≈ c η:   relative to the spread c of ŵ, every layer learns at the rate η,                       (2)

where with He's initialisation a weight of small spread (a large fan_in) would move faster relative to its size.
"""
import copy
import math

from minigen.nn.init import fans, normal
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.ops.create import zeros_like
from minigen.random import as_generator


class Reweighted(Module):
    """A layer that is called with `effective_weight` in the place of its own weight. Subclasses say which.

    Attributes:
        layer: the layer, whose ``weight`` is what is trained and saved (as ``layer.weight``).

    Raises TypeError for a layer without a Parameter called ``weight``.
    """

    def __init__(self, layer):
        if not isinstance(getattr(layer, "weight", None), Parameter):
            raise TypeError(f"{type(self).__name__}: wants a layer with a Parameter called weight, such as Linear or "
                            f"Conv2d, got a {type(layer).__name__}")
        self.layer = layer

    def effective_weight(self):
        """The Tensor to compute with, of the shape of the stored weight, through which gradients flow."""
        raise NotImplementedError(f"{type(self).__name__}: it has no effective_weight; define effective_weight(self)")

    def forward(self, *inputs):
        twin = copy.copy(self.layer)                        # shares everything with the layer but its weight
        twin.weight = self.effective_weight()
        return twin(*inputs)


class EqualizedLR(Reweighted):
    """Eq. (1) around a layer: its weight is drawn anew from N(0, 1), and its bias starts at zero.

    Args:
        layer: with a weight of at least two axes, the last for what it makes.
        gain: √2 suits a ReLU; 1 a layer that no activation follows.
        rng: generator or seed of the weight.
    """

    def __init__(self, layer, gain=math.sqrt(2), *, rng):
        super().__init__(layer)
        weight, bias = layer.weight, getattr(layer, "bias", None)
        self.scale = gain / math.sqrt(fans(weight.shape)[0])
        layer.weight = Parameter(normal(weight.shape, as_generator(rng), std=1.0))
        if bias is not None:
            layer.bias = Parameter(zeros_like(bias))

    def effective_weight(self):
        return self.scale * self.layer.weight                                                                 # Eq. (1)

    def describe(self):
        return f"scale={self.scale:.3g}"
