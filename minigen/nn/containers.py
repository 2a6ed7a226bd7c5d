"""Layers in a row."""
from minigen.nn.linear import Linear
from minigen.nn.module import Module
from minigen.ops.activations import relu
from minigen.random import as_generator


class Sequential(Module):
    """Apply callables one after another: layers, or plain functions such as ``mg.tanh``.

    Index, slice and iterate it as a list. Its parameters are named by position: ``0.weight``.
    """

    def __init__(self, *layers):
        self.layers = list(layers)
        for i, layer in enumerate(layers):
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, not a layer or function; write "
                                "Sequential(a, b), not Sequential([a, b])")

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def _attributes(self):
        others = [item for item in vars(self).items() if item[0] != "layers"]
        return [*enumerate(self.layers), *others]

    def __getitem__(self, index):
        return Sequential(*self.layers[index]) if isinstance(index, slice) else self.layers[index]

    def __len__(self):
        return len(self.layers)

    def __iter__(self):
        return iter(self.layers)

    def describe(self):
        return " → ".join(getattr(layer, "__name__", type(layer).__name__) for layer in self.layers)


class MLP(Sequential):
    """Linear layers with an activation between each two: ``MLP([784, 400, 20], rng=rng)`` is 784 → 400 → ReLU → 20.

    Args:
        sizes: features at the input, in between, and at the output. At least two.
        activation: a function or module; it is not applied to the output.
        rng, weight_init: as in `Linear`.
    """

    def __init__(self, sizes, *, rng, activation=relu, weight_init="torch"):
        if len(sizes) < 2:
            raise ValueError(f"MLP: wants at least an input and an output size, got {list(sizes)}")
        rng, layers = as_generator(rng), []
        for features, following in zip(sizes, sizes[1:]):
            layers += [Linear(features, following, rng=rng, weight_init=weight_init), activation]
        super().__init__(*layers[:-1])
