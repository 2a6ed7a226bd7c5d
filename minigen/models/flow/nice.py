r"""NICE: additive couplings.

L. Dinh, D. Krueger and Y. Bengio, "NICE: Non-linear Independent Components Estimation", 2014, arXiv:1410.8516. The
features of even number and those of odd number take turns in being moved by what a network m says of the others:

    y_A = x_A,    y_B = x_B + m(x_A).                                                                            (1)

Whatever m is, the Jacobian is triangular with ones on the diagonal, so couplings preserve volume. A map that preserves
volume cannot make anything denser; all that NICE has for it is one scaling of each feature at the end,

    z = e^s ⊙ h,    log |det ∂z/∂x| = Σ_d s_d    for every x.                                                    (2)

Therefore p(x) = p_z(z) e^{Σ s}: the model's modes are all of the same height, that of p_z's. It shows on data with
modes
apart: the space between them must be squeezed into the tails of p_z, for which there is not enough room.

Differences from the paper: p_z is N(0, I), where the paper takes it on half of its data sets and the logistic
distribution on the others; the scaling has a shift beside it, which changes no volume either.
"""
from minigen.flows import AdditiveMap, Affine, Compose, Coupling, parity_mask
from minigen.models.flow.model import FlowModel
from minigen.models.flow.networks import CouplingMLP, expect_two_features
from minigen.random import as_generator


class NICE(FlowModel):
    """Eqs. (1) and (2) on vectors (N, features).

    Args:
        features: D ≥ 2. couplings: how many times Eq. (1); three mix all features of two kinds, the paper takes four.
        hidden: widths in each network m. context_features: length of a context, if there is one.
        rng: generator or seed of the weights.
    """

    def __init__(self, features, couplings=4, hidden=(128, 128), context_features=0, *, rng=0):
        expect_two_features("NICE", features)
        rng, layers = as_generator(rng), []
        for k in range(couplings):
            mask = parity_mask(features, flip=k % 2 == 1)
            network = CouplingMLP(mask.sum(), hidden, (~mask).sum(), context_features, rng=rng)
            layers.append(Coupling(mask, network, AdditiveMap()))                                        # Eq. (1)
        super().__init__(Compose([*layers, Affine(features)]), (features,))                              # Eq. (2)
