"""The fully connected layer, on the last axis."""
from minigen.functional import linear
from minigen.nn.init import initial, zeros
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.random import as_generator


class Linear(Module):
    """y = x W + b on the last axis: (…, in_features) → (…, out_features).

    Args:
        rng: what the weights are drawn from: a Generator, or a seed. Give all layers of a model *one* Generator: two
            layers made from the same seed start equal.
        weight_init: the name of an initialiser (`minigen.nn.init`), or a function ``(shape, rng) -> Tensor``. The bias
            starts at zero; only with ``"torch"`` it is drawn from the weights' law, as PyTorch does.

    Attributes:
        weight: (in_features, out_features). bias: (out_features,), or None.

    Raises ValueError for a size below 1, an unknown initialiser, and an input whose last axis is not in_features long.
    """

    def __init__(self, in_features, out_features, bias=True, *, rng, weight_init="torch"):
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear: wants at least one feature in and out, got {in_features} and {out_features}")
        rng = as_generator(rng)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(initial(weight_init, (in_features, out_features), rng))
        self.bias = None
        if bias:
            bound = in_features ** -0.5
            self.bias = Parameter(rng.uniform(-bound, bound, out_features) if weight_init == "torch"
                                  else zeros(out_features, rng))

    def forward(self, x):
        self.expect_features(x, self.in_features)
        return linear(x, self.weight, self.bias)

    def describe(self):
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")
