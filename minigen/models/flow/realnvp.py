r"""Real NVP: affine couplings, on vectors and on images at several scales.

L. Dinh, J. Sohl-Dickstein and S. Bengio, "Density estimation using Real NVP", 2016, arXiv:1605.08803. One part of x is
scaled and shifted by what a network says of the other part:

    y_A = x_A,    y_B = x_B ⊙ e^{s(x_A)} + t(x_A),    log |det ∂y/∂x| = Σ_{i∈B} s_i(x_A).                        (1)

The scale depends on x, so unlike NICE it can make one place dense and another thin.

**Images.** Real NVP divides pixels by a checkerboard, then squeezes 2 × 2 pixels into channels and divides these, then
lets half of the channels go to the base and goes on with the others at half the size (`minigen.flows.multiscale`):

    level l:   checkerboard couplings,  squeeze,  channel couplings,  split,                                     (2)
    last:      checkerboard couplings.                                                                           (3)

Between couplings stands an activation norm. In the first levels the network sees a wide neighbourhood of pixels at
little cost; what leaves early is fine detail, what stays to the end is the shape.

Differences from the paper: activation norm (initialised from the first batch, Glow) in place of batch norm, whose
density depends on the other examples of the batch; |s| ≤ 2 by c tanh(s / c), where the paper trains the factor of the
tanh; one network for s and t; and the last level has as many couplings as the others, where the paper adds one.
"""
from minigen.flows import (ActNorm, Compose, Coupling, Inverse, MaskedCoupling, Split, Squeeze, checkerboard_mask,
                           half_mask)
from minigen.models.flow.model import FlowModel
from minigen.models.flow.networks import CouplingMLP, expect_two_features, residual_conv_net
from minigen.random import as_generator


class RealNVP(FlowModel):
    """Eq. (1) on vectors (N, features).

    Args:
        features: D ≥ 2. couplings: how many; the two parts take turns.
        hidden: widths in each network. norm: put an `ActNorm` in front of each coupling.
        mask: function (features, flip) -> mask: `half_mask`, or `parity_mask`.
        context_features: length of a context, if there is one. rng: generator or seed of the weights.
    """

    def __init__(self, features, couplings=8, hidden=(128, 128), norm=False, mask=half_mask, context_features=0, *,
                 rng=0):
        expect_two_features("RealNVP", features)
        rng, layers = as_generator(rng), []
        for k in range(couplings):
            kept = mask(features, flip=k % 2 == 1)
            network = CouplingMLP(kept.sum(), hidden, 2 * (~kept).sum(), context_features, rng=rng)
            layers += [ActNorm(features)] if norm else []
            layers.append(Coupling(kept, network))                                                       # Eq. (1)
        super().__init__(Compose(layers), (features,))


class MultiScaleRealNVP(FlowModel):
    """Eqs. (2) and (3) on images (N, H, W, C) of real numbers; `minigen.models.flow.ImageFlow` makes it one of pixels.

    Args:
        event_shape: (H, W, C); 2 must divide H and W as often as there are levels before the last.
        levels: how many, with the last. couplings: how many of each kind on a level; at least two.
        width: of the networks. network: what makes them, a function or class of `minigen.models.flow.networks`.
        rng: generator or seed of the weights.

    Raises ValueError for a size that cannot be halved so often, and for fewer than two couplings.
    """

    def __init__(self, event_shape, levels=2, couplings=3, width=32, network=residual_conv_net, *, rng=0):
        if levels < 1 or couplings < 2:
            raise ValueError("MultiScaleRealNVP: wants at least one level, and at least two couplings of each kind, so "
                             f"that every entry is moved; got levels={levels} and couplings={couplings}")
        rng = as_generator(rng)

        def build(shape, outputs):
            return network(shape, outputs, width, rng=rng)

        super().__init__(_levels(event_shape, levels, couplings, build), event_shape)


def _levels(shape, levels, couplings, network):
    """The transform of so many levels, from images of this shape on."""
    H, W, C = shape
    layers = []
    for k in range(couplings):
        layers += [ActNorm(C, event_ndim=3),
                   MaskedCoupling(checkerboard_mask(H, W, flip=k % 2 == 1), network(shape, 2 * C))]
    if levels == 1:
        return Compose(layers)                                                                           # Eq. (3)
    H, W, C = Squeeze().forward_shape(shape)
    layers.append(Squeeze())
    for k in range(couplings):
        layers += [ActNorm(C, event_ndim=3),
                   Coupling(half_mask(C, flip=k % 2 == 1), network((H, W, C // 2), C), event_ndim=3)]
    deeper = _levels((H, W, C // 2), levels - 1, couplings, network)
    return Compose([*layers, Split(deeper), Inverse(Squeeze())])                                         # Eq. (2)
