r"""NADE, the neural autoregressive distribution estimator.

H. Larochelle and I. Murray, "The Neural Autoregressive Distribution Estimator", 2011; B. Uria, M.-A. Côté, K. Gregor,
I. Murray and H. Larochelle, "Neural Autoregressive Distribution Estimation", 2016, arXiv:1605.02226. Each conditional
is a network with one hidden layer of H units, and all share the weights W that lead into it:

    a_d = c + Σ_{j<d} x_j W_j,    h_d = σ(a_d),                                                                 (1)
    l_d = b_d + V_d · h_d,        p(x_d = 1 | x_<d) = σ(l_d).                                                   (2)

W_j and V_d are rows of W and V, both (D, H). Computed as written, (1) costs O(D H) for each d and O(D² H) in all. But
neighbours differ by one term,

    a_1 = c,    a_{d+1} = a_d + x_d W_d,                                                                        (3)

so that all D hidden layers, and with them log p(x) and its gradient, cost O(D H). That sharing is the model's point:
the D networks have as many weights as two layers.

Sampling uses (3) as it is, a step for each entry drawn. For training D small steps are too many; and since a bit that
is 0 changes nothing in (3), most are not needed: a digit has some hundred ones among its 784 bits, so only so many
different hidden layers. We go through the entries in blocks of B. Within a block that begins at s, let the rows r be
the pairs (n_r, i_r) of an image and a place where its sum is new: i = 0, or the entry s + i − 1 is not 0. With T the
B × B matrix of ones strictly below its diagonal,

    a_r = a_s[n_r] + Σ_j T[i_r, j] x_{s+j}[n_r] W_{s+j},    l_{s+i}[n] = b_{s+i} + V_{s+i} · σ(a_r)             (4)

where r is the last row of image n with i_r ≤ i. Everything in (4) is a product of matrices over the rows. Nothing is
approximated, but the place where x_j is 0 is where ∂l/∂x_j would be lost; so if x itself is to be differentiated, each
pair (n, i) is a row.
"""
import numpy as np

import minigen as mg
from minigen import nn
from minigen.models.autoregressive.ordered import Autoregressive, checked_order


class NADE(Autoregressive):
    """NADE over bits.

        model = NADE(hidden=500, rng=0)
        for batch in loader:                                    # {"x": (N, 28, 28, 1)} of zeros and ones
            loss = -model.log_prob(batch["x"]).mean()           # nats per example
            optimizer.zero_grad(); loss.backward(); optimizer.step()

    Args:
        event_shape: of one x. hidden: H.
        order: of generation, positions in the flattened x; default: as they lie in memory.
        block: B of Eq. (4). It changes speed and memory, not the result.
        l2: λ of a Gaussian prior on the weights, in `objectives` (`minigen.models.autoregressive.ordered`).
        rng: generator or seed of the weights.

    Attributes:
        W, V: (D, H), c: (H,), b: (D,) of Eqs. (1) and (2); row t belongs to the t-th entry in the order.
    """

    def __init__(self, event_shape=(28, 28, 1), hidden=500, order=None, block=28, l2=0.0, *, rng=0):
        super().__init__(event_shape, l2)
        if hidden < 1 or block < 1:
            raise ValueError(f"NADE: wants at least one hidden unit and blocks of at least one entry, got "
                             f"hidden={hidden}, block={block}")
        self._order, self.hidden, self.block = checked_order(order, self.features, "NADE"), hidden, block
        rng, D = mg.random.as_generator(rng), self.features
        with mg.use(rng.backend):
            self.W = nn.Parameter(rng.uniform(-D ** -0.5, D ** -0.5, (D, hidden)))
            self.c = nn.Parameter(mg.zeros(hidden))
            self.V = nn.Parameter(rng.uniform(-hidden ** -0.5, hidden ** -0.5, (D, hidden)))
            self.b = nn.Parameter(mg.zeros(D))

    @property
    def order(self):
        """Positions in the flattened x, in the order of generation, (D,)."""
        return self._order

    def conditionals(self, x):
        """Logits l, (N, D) → (N, D). Eq. (4)."""
        x = in_order(x, self._order)
        with mg.use(x.backend.name):
            start, blocks = mg.broadcast_to(self.c, (len(x), self.hidden)), []
            for s in range(0, self.features, self.block):
                x_part, W, V = x[:, s:s + self.block], self.W[s:s + self.block], self.V[s:s + self.block]
                blocks.append(_block(x_part, W, V, start))
                start = start + mg.matmul(x_part, W)                                           # a at the next block
        return as_they_lie(mg.concatenate(blocks, axis=1) + self.b, self._order)

    # ---- one entry after another -----------------------------------------------------------------------------------
    def _begin(self, n):
        return Sums(mg.broadcast_to(self.c, (n, self.hidden)))

    def _output(self, state, d):
        t = state.t
        return mg.matmul(mg.sigmoid(state.a), self.V[t]) + self.b[t]                                          # Eq. (2)

    def _feed(self, state, d, x):
        state.feed(x, self.W)


def _block(x, W, V, start):
    """Logits without b of a block: x (N, B), W and V (B, H), a at its start (N, H) → (N, B). Eq. (4)."""
    N, B = x.shape
    new = mg.full((N, B), True) if x.requires_grad else mg.concatenate([mg.ones((N, 1)), x[:, :-1]], axis=1) != 0
    n, i = mg.nonzero(new)                                                                     # (R,) each
    row = mg.cumsum(new.astype("int64")).reshape((N, B)) - 1                                   # r of each (n, i)
    T = mg.tril(mg.ones((B, B), dtype=x.dtype), -1)
    a = mg.matmul(x[n] * T[i], W) + start[n]                                                   # (R, H)
    return mg.matmul(mg.sigmoid(a), V.T)[row, mg.arange(B)]                                    # (R, B) → (N, B)


class Sums:
    """Eq. (3) on its way: t entries are known, and a (N, H) is a_{t+1}."""

    def __init__(self, a):
        self.a, self.t = a, 0

    def feed(self, x, W):
        """Add the next entry, x (N,)."""
        self.a, self.t = self.a + x[:, None] * W[self.t], self.t + 1                                          # Eq. (3)


def in_order(x, order):
    """The columns of x in the order of generation."""
    return x if _natural(order) else x[:, order]


def as_they_lie(values, order):
    """Values (N, D, …) that stand in the order of generation, back in the order of memory."""
    return values if _natural(order) else values[:, np.argsort(order)]


def _natural(order):
    return (order == np.arange(len(order))).all()
