r"""Glow: activation norm, invertible 1×1 convolution, affine coupling.

D. P. Kingma and P. Dhariwal, "Glow: Generative Flow with Invertible 1×1 Convolutions", 2018, arXiv:1807.03039. One
*step* of the flow, on images (H, W, C) that were squeezed to have many channels, is

    h = s ⊙ x + b            activation norm: each channel of the first batch gets mean 0 and variance 1,        (1)
    h ← h W                  at every pixel: a trained matrix in place of Real NVP's fixed change of halves,     (2)
    h_A, h_B ← h_A, h_B ⊙ e^{σ(h_A)} + t(h_A)    the halves of the channels.                                     (3)

With W = P L (U + diag w) the determinant costs nothing, log |det| = H W Σ log |w_c| (`minigen.flows.linear`). K steps
make a level: squeeze, K steps, split (`minigen.flows.multiscale`). The network of (3) is 3×3, 1×1, 3×3, its last
convolution starts at zero, so that training starts from the linear map (1) and (2).

**Temperature.** Samples from z ~ N(0, τ² I) with τ around 0.7 look better. For a map that preserved volume they would
be draws of p(x)^{1/τ²}, made sharper; for Glow that is only nearly so.

**Interpolation.** Between images x and x′, T⁻¹((1 − λ) T(x) + λ T(x′)). All latents are used, so both ends are exact.

Differences from the paper: |σ| ≤ 2, by `minigen.flows.AffineMap`, where the paper's code takes log sigmoid; the latents
that leave at a split have the base N(0, I), where the paper lets a network of the others give mean and variance.
"""
from minigen.flows import ActNorm, Compose, Coupling, LULinear, MultiScale, Squeeze, half_mask
from minigen.models.flow.model import FlowModel
from minigen.models.flow.networks import glow_conv_net
from minigen.random import as_generator


class Glow(FlowModel):
    """Eqs. (1) to (3) on images (N, H, W, C) of real numbers; `minigen.models.flow.ImageFlow` makes it one of pixels.

    Args:
        event_shape: (H, W, C); 2 must divide H and W as often as there are levels.
        levels: L. steps: K on each level.
        width: of the networks. network: what makes them, a function or class of `minigen.models.flow.networks`.
        rng: generator or seed of the weights.

    Raises ValueError for a size that cannot be halved so often.
    """

    def __init__(self, event_shape, levels=2, steps=4, width=64, network=glow_conv_net, *, rng=0):
        if levels < 1 or steps < 1:
            raise ValueError(f"Glow: wants at least one level and one step, got levels={levels} and steps={steps}")
        (H, W, C), rng, scales = event_shape, as_generator(rng), []
        for _ in range(levels):
            H, W, C = Squeeze().forward_shape((H, W, C))
            layers = []
            for _ in range(steps):
                layers += [ActNorm(C, event_ndim=3), LULinear(C, rng=rng, event_ndim=3),               # Eqs. (1), (2)
                           Coupling(half_mask(C), network((H, W, C // 2), C, width, rng=rng), event_ndim=3)]   # Eq. (3)
            scales.append(Compose(layers))
            C //= 2                                                          # the other half leaves at the split
        super().__init__(MultiScale(scales), event_shape)
