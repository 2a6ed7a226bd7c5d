"""Activations as modules, for those who like to see them in a list of layers. The formulas are with the ops they call.

`minigen.nn.Sequential` and `minigen.nn.MLP` take the functions (``mg.relu``) just as well.
"""
from minigen.nn.module import Module
from minigen.ops import activations, elementwise


class Identity(Module):
    """The input itself."""

    def forward(self, x):
        return x


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x):
        return activations.relu(x)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope · x."""

    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        return activations.leaky_relu(x, self.negative_slope)

    def describe(self):
        return f"{self.negative_slope}"


class ELU(Module):
    """x where x > 0, else alpha · (eˣ − 1)."""

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def forward(self, x):
        return activations.elu(x, self.alpha)

    def describe(self):
        return f"{self.alpha}"


class SiLU(Module):
    """x · σ(x)."""

    def forward(self, x):
        return activations.silu(x)


class GELU(Module):
    """x · Φ(x), with Φ the standard normal distribution function; ``approximate="tanh"`` as in `mg.gelu`."""

    def __init__(self, approximate="none"):
        self.approximate = approximate

    def forward(self, x):
        return activations.gelu(x, self.approximate)

    def describe(self):
        return "" if self.approximate == "none" else f"approximate={self.approximate!r}"


class Tanh(Module):
    """tanh x."""

    def forward(self, x):
        return elementwise.tanh(x)


class Sigmoid(Module):
    """σ(x) = 1 / (1 + e⁻ˣ)."""

    def forward(self, x):
        return activations.sigmoid(x)


class Softplus(Module):
    """log(1 + eˣ)."""

    def forward(self, x):
        return activations.softplus(x)
