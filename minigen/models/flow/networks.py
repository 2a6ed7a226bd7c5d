"""Conditioners: the networks inside couplings. Their last layer starts at zero, so the coupling as the identity."""
import minigen as mg
from minigen import nn


class CouplingMLP(nn.Module):
    """A multilayer perceptron from (…, features), and a context (…, context_features) beside it, to (…, outputs).

    Args:
        hidden: widths of the hidden layers, at least one. activation: between them.
        rng: generator or seed of the weights.

    Raises ValueError for a context that is missing, not wanted, or of another length.
    """

    def __init__(self, features, hidden, outputs, context_features=0, *, rng, activation=mg.relu):
        rng = mg.random.as_generator(rng)
        self.context_features, self.activation = context_features, activation
        self.hidden = nn.MLP([features + context_features, *hidden], rng=rng, activation=activation)
        self.last = nn.Linear(hidden[-1], outputs, rng=rng, weight_init="zeros")

    def forward(self, x, context=None):
        given = 0 if context is None else context.shape[-1]
        if given != self.context_features:
            raise ValueError(f"CouplingMLP: wants a context of {self.context_features} features, got {given}")
        x = x if context is None else mg.concatenate([x, context], axis=-1)
        return self.last(self.activation(self.hidden(x)))


def expect_two_features(name, features):
    """Raise ValueError where there is nothing to divide into a part that is kept and one that is moved."""
    if features < 2:
        raise ValueError(f"{name}: wants at least 2 features, one to keep and one to move, got {features}")


# ---- for images: shape (H, W, C) of what it sees, how many channels it returns, width --------------------------------
def residual_conv_net(shape, outputs, width, *, rng, blocks=2):
    """Real NVP's kind: 3×3 convolution, residual blocks, 3×3 convolution; (N, H, W, C) → (N, H, W, outputs)."""
    rng = mg.random.as_generator(rng)
    return nn.Sequential(nn.Conv2d(shape[-1], width, 3, padding=1, rng=rng),
                         *[nn.ResidualBlock(width, width, groups=1, rng=rng) for _ in range(blocks)], mg.relu,
                         nn.Conv2d(width, outputs, 3, padding=1, rng=rng, weight_init="zeros"))


def glow_conv_net(shape, outputs, width, *, rng):
    """Glow's: 3×3, ReLU, 1×1, ReLU, 3×3; (N, H, W, C) → (N, H, W, outputs)."""
    rng = mg.random.as_generator(rng)
    return nn.Sequential(nn.Conv2d(shape[-1], width, 3, padding=1, rng=rng), mg.relu, nn.Linear(width, width, rng=rng),
                         mg.relu, nn.Conv2d(width, outputs, 3, padding=1, rng=rng, weight_init="zeros"))


class DenseNet(nn.Module):
    """A multilayer perceptron with two hidden layers that sees all of an image: (N, H, W, C) → (N, H, W, outputs).

    Small pictures whose parts have their places, such as digits, are learnt with far less arithmetic than by
    convolutions, which must first find out where they are. Arguments as the others of this file.
    """

    def __init__(self, shape, outputs, width, *, rng):
        H, W, C = shape
        self.outputs, self.body = outputs, CouplingMLP(H * W * C, (width, width), H * W * outputs, rng=rng)

    def forward(self, x):
        N, H, W, C = x.shape
        return self.body(x.reshape((N, H * W * C))).reshape((N, H, W, self.outputs))


def conv_then_dense(largest, dense_width):
    """Networks that fit the scale: Glow's where an image has more than ``largest`` rows, else dense ones of this width.

    Fine detail is local and the same everywhere; what is left at a coarse scale is the shape as a whole.
    """
    def network(shape, outputs, width, *, rng):
        if shape[0] > largest:
            return glow_conv_net(shape, outputs, width, rng=rng)
        return DenseNet(shape, outputs, dense_width, rng=rng)

    return network
