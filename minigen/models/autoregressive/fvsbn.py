r"""The fully visible sigmoid belief network, or logistic autoregression.

B. J. Frey, G. E. Hinton and P. Dayan, "Does the Wake-Sleep Algorithm Produce Good Density Estimators?", 1996; B. J.
Frey, "Graphical Models for Machine Learning and Digital Communication", 1998. The name is of R. M. Neal, "Connectionist
Learning of Belief Networks", 1992. Every conditional is a logistic regression on the entries before:

    l_d = b_d + Σ_{j<d} W_{jd} x_j,    p(x_d = 1 | x_<d) = σ(l_d).                                              (1)

So the logits are x times a matrix that is strictly triangular in the order of generation, D (D − 1) / 2 weights: a
`MaskedMLP` without hidden layers. With the entries as targets,

    −log p(x) = Σ_d [log(1 + exp l_d) − x_d l_d],    ∂/∂W_{jd} = (σ(l_d) − x_d) x_j,                            (2)

which is convex in W and b: there is one optimum, any start leads to it, and what is left to gain lies in the model, not
in its training. No choice of W makes x_3 the exclusive or of x_1 and x_2: that takes a hidden layer (`NADE`, `MADE`).

Cached sampling: each entry that is drawn adds its row of W to the logits of those after it, O(D²) for a whole image.
"""
from minigen import nn
from minigen.models.autoregressive.ordered import MaskedAutoregressive


class FVSBN(MaskedAutoregressive):
    """Logistic autoregression over bits.

        model = FVSBN(rng=0)
        for batch in loader:                                    # {"x": (N, 28, 28, 1)} of zeros and ones
            loss = -model.log_prob(batch["x"]).mean()           # nats per example
            optimizer.zero_grad(); loss.backward(); optimizer.step()

    Args:
        event_shape: of one x.
        order: of generation, a permutation of the positions in the flattened x; default: as they lie in memory.
        l2: λ of a Gaussian prior on the weights, in `objectives` (`minigen.models.autoregressive.ordered`).
        rng, weight_init: of the weights. They start at zero, where every bit is a fair coin.
    """

    def __init__(self, event_shape=(28, 28, 1), order=None, l2=0.0, *, rng=0, weight_init="zeros"):
        super().__init__(event_shape, l2)
        self.net = nn.MaskedMLP(self.features, (), order=order, rng=rng, weight_init=weight_init)

    @property
    def weight(self):
        """W of Eq. (1), (D, D): entry (j, d) says how x_j moves the logit of x_d. Zero where j does not precede d."""
        return self.net.layers[0].weight * self.net.layers[0].mask
