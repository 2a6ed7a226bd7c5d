r"""Neural spline flows: monotone splines in coupling and in autoregressive layers.

C. Durkan, A. Bekasov, I. Murray and G. Papamakarios, "Neural Spline Flows", 2019, arXiv:1906.04032. An affine map of
x_i takes a Gaussian to a Gaussian. So a layer of Real NVP or MAF can give p(x_i | rest) one mode only, and data with
two modes side by side are pulled apart by many layers, with threads between them that never quite vanish. A
rational-quadratic spline with K bins (`minigen.flows.spline`) takes a Gaussian to anything that K bins can draw:

    y_i = spline(x_i; θ_i(x_A))           coupling: both directions in one pass,                                 (1)
    y_i = spline(x_i; θ_i(x_<i))          autoregressive: densities in one pass, samples in D.                   (2)

One layer of (2) is enough for any density, as far as the bins and the network go: the first entry's spline makes
p(x_1), the second's p(x_2 | x_1), and so on.

The spline lives on [−B, B]; an activation norm at the start brings the data there. Outside it is the identity, where
the base's tails are the model's.

Differences from the paper: instead of a trained linear map between layers, features change places; no residual
networks.
"""
from minigen.flows import ActNorm, Autoregressive, Compose, Coupling, Reverse, SplineMap, half_mask
from minigen.models.flow.model import FlowModel
from minigen.models.flow.networks import CouplingMLP, expect_two_features
from minigen.nn import MaskedMLP
from minigen.random import as_generator


class NSF(FlowModel):
    """Eq. (1) or (2) on vectors (N, features).

    Args:
        features: D. layers: how many. kind: "coupling" or "autoregressive". hidden: widths in each network.
        bins: K. bound: B, in units of the data's standard deviation.
        context_features: length of a context, if there is one. rng: generator or seed of the weights.
    """

    def __init__(self, features, layers=4, kind="coupling", hidden=(128, 128), bins=8, bound=3.0, context_features=0, *,
                 rng=0):
        if kind not in ("coupling", "autoregressive"):
            raise ValueError(f"NSF: the kind is 'coupling' or 'autoregressive', got {kind!r}")
        if kind == "coupling":
            expect_two_features("NSF", features)
        rng, map, chain = as_generator(rng), SplineMap(bins, bound), [ActNorm(features)]
        for k in range(layers):
            if kind == "coupling":
                mask = half_mask(features, flip=k % 2 == 1)
                network = CouplingMLP(mask.sum(), hidden, map.parameters * (~mask).sum(), context_features, rng=rng)
                chain.append(Coupling(mask, network, map))                                               # Eq. (1)
            else:
                network = MaskedMLP(features, hidden, map.parameters, context_features=context_features, rng=rng,
                                    out_init="zeros")
                chain += [Reverse()] if k else []
                chain.append(Autoregressive(network, map))                                               # Eq. (2)
        super().__init__(Compose(chain), (features,))
