r"""Masked and inverse autoregressive flows: the same layers, run in opposite directions.

G. Papamakarios, T. Pavlakou and I. Murray, "Masked Autoregressive Flow for Density Estimation", 2017, arXiv:1705.07057;
D. P. Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016, arXiv:1606.04934.

Any density is a product of conditionals, p(x) = ∏ p(x_i | x_<i). Let all be Gaussians whose mean and log-std are
computed by a masked network (MADE, `minigen.nn.MaskedMLP`): p(x_i | x_<i) = N(μ_i(x_<i), e^{2α_i(x_<i)}). To draw from
it, turn noise into x; to score x, turn it back into noise:

    x_i = z_i e^{α_i(x_<i)} + μ_i(x_<i),    z_i = (x_i − μ_i(x_<i)) e^{−α_i(x_<i)}.                              (1)

**MAF.** z is again data, of which a second such model, with the order reversed, tells what the first one left over.
Stack K of them. The density takes K passes, all entries at once; a sample takes K D passes, one after another.

**IAF.** Let the networks read the noise: x_i = z_i e^{α_i(z_<i)} + μ_i(z_<i), i.e. (1) with the roles of x and z
exchanged. A sample takes K passes, and so does its own density, which is all that variational inference or
distillation asks for; the density of x that were given takes K D.

Run backwards, the one is the other: the transform of an IAF is the `Inverse` of that of a MAF. Real NVP is the case in
which θ_i depends on the first half of the entries only, so that both directions are fast.

Differences from the papers: an activation norm in front of MAF's layers, where the paper has batch norm, and one
between an IAF's layers and the data, where that paper has a posterior and no data; |α| ≤ 4 (`minigen.flows.scalar`).
"""
from minigen.flows import ActNorm, Autoregressive, Compose, Inverse, Reverse
from minigen.models.flow.model import FlowModel
from minigen.nn import MaskedMLP
from minigen.random import as_generator


class MAF(FlowModel):
    """Eq. (1), K times, on vectors (N, features): fast densities.

    Args:
        features: D. layers: K. hidden: widths in each masked network.
        norm: put an `ActNorm` in front of each layer.
        context_features: length of a context, if there is one. rng: generator or seed of the weights.
    """

    def __init__(self, features, layers=5, hidden=(128, 128), norm=True, context_features=0, *, rng=0):
        super().__init__(_stack(features, layers, hidden, norm, context_features, rng), (features,))


class IAF(FlowModel):
    """Eq. (1) with the networks reading the noise, K times, and a norm of the data: fast samples. Arguments: MAF's."""

    def __init__(self, features, layers=5, hidden=(128, 128), context_features=0, *, rng=0):
        layers = _stack(features, layers, hidden, False, context_features, rng)
        super().__init__(Compose([ActNorm(features), Inverse(layers)]), (features,))


def _stack(features, layers, hidden, norm, context_features, rng):
    """K autoregressive layers, the order reversed between each two."""
    rng, chain = as_generator(rng), []
    for k in range(layers):
        network = MaskedMLP(features, hidden, 2, context_features=context_features, rng=rng, out_init="zeros")
        chain += [Reverse()] if k else []
        chain += [ActNorm(features)] if norm else []
        chain.append(Autoregressive(network))                                                            # Eq. (1)
    return Compose(chain)
