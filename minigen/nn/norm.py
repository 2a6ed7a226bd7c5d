r"""Normalisation layers, and the primitive they share.

`standardize` brings the entries along some axes to mean 0 and variance 1. With all means taken over those axes,

    μ = mean(x),   σ² = mean((x − μ)²),   r = 1 / √(σ² + ε),   x̂ = (x − μ) r.                                (1)

Derivative. Write x̄ for the cotangent of x and g for that of x̂. By the chain rule through x, μ and σ²,

    dx̂ = r (dx − mean(dx)) + (x − μ) dr,   dr = −r³ mean((x − μ) dx) = −r² mean(x̂ dx),                         (2)

    where dσ² = 2 mean((x − μ)(dx − dμ)) = 2 mean((x − μ) dx), since x − μ sums to zero. Collecting ⟨g, dx̂⟩ on dx,

    x̄ = r (g − mean(g) − x̂ mean(g x̂)).                                                                       (3)

Only x and x̂ are kept, and r is computed again from x. (3) is written with differentiable operations on both, so its
own derivative follows, to any order.
"""
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.ops.create import ones, zeros
from minigen.primitive import primitive


@primitive
def standardize(xp, x, *, axis=-1, eps=1e-5):
    """x with mean 0 and variance σ²/(σ² + eps) along ``axis`` (int or tuple), Eq. (1). Constant entries become 0."""
    centred = x - x.mean(axis=axis, keepdims=True)
    centred *= (xp.square(centred).mean(axis=axis, keepdims=True) + eps) ** -0.5
    return centred


def _standardize_vjp(g, x, out, axis, eps):
    r = (x.var(axis=axis, keepdims=True) + eps) ** -0.5
    mean_g, mean_gx = g.mean(axis=axis, keepdims=True), (g * out).mean(axis=axis, keepdims=True)
    return r * (g - mean_g - out * mean_gx)                                                                   # Eq. (3)


standardize.vjp(_standardize_vjp)


class LayerNorm(Module):
    """y = γ x̂ + β with x̂ standardised over the features of each example, Eq. (1): (…, features) → the same shape.

    Ba, Kiros and Hinton (2016, arXiv:1607.06450). ε stands inside the root.

    Attributes:
        weight: γ, (features,), starts at one. bias: β, (features,), starts at zero.

    Raises ValueError for an input whose last axis is not ``features`` long.
    """

    def __init__(self, features, eps=1e-5):
        if features < 1:
            raise ValueError(f"LayerNorm: wants at least one feature, got {features}")
        self.features, self.eps = features, eps
        self.weight, self.bias = Parameter(ones((features,))), Parameter(zeros((features,)))

    def forward(self, x):
        self.expect_features(x, self.features)
        return standardize(x, -1, self.eps) * self.weight + self.bias

    def describe(self):
        return f"{self.features}"
