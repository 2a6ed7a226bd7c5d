r"""RNADE, the real-valued NADE: mixtures of Gaussians as conditionals.

B. Uria, I. Murray and H. Larochelle, "RNADE: The Real-Valued Neural Autoregressive Density-Estimator", 2013,
arXiv:1306.0186. The recurrence is NADE's (`minigen.models.autoregressive.nade`), the hidden units are rectified and
scaled, and each conditional is a mixture of K Gaussians:

    a_{d+1} = a_d + x_d W_d,    h_d = max(0, ρ_d a_d),                                                          (1)
    (α_d, μ_d, s_d) = b_d + V_dᵀ h_d,                                                                           (2)
    p(x_d | x_<d) = Σ_k softmax(α_d)_k N(x_d; μ_dk, exp(s_dk)²).                                                (3)

a_d is a sum of d terms, so it grows with d; the learned ρ_d undoes that. s is log σ, kept within ±10: it is linear in
h and so in x, and far away would say σ = 0 or ∞. The density is computed as

    log p(x_d | x_<d) = log Σ_k exp(log softmax(α_d)_k − ½ ((x_d − μ_dk) / σ_dk)² − s_dk − ½ log 2π),           (4)

by logsumexp, so that a point far from every component has a very small density, and a finite log-density. A draw picks
k by Gumbel's trick, k = argmax_k (α_k + G_k), and returns μ_k + σ_k ε.

Differences from the paper: it rescales the gradient of μ by σ, which helped its SGD; with Adam that is not needed. The
K components start spread over −1 … 1, so give standardised data.
"""
import numpy as np

import minigen as mg
from minigen import nn
from minigen.distributions.normal import HALF_LOG_2PI
from minigen.functional import log_softmax, one_hot
from minigen.models.autoregressive.nade import Sums, as_they_lie, in_order
from minigen.models.autoregressive.ordered import Autoregressive, checked_order


class RNADE(Autoregressive):
    """RNADE over real vectors.

        model = RNADE(event_shape=2, hidden=50, components=10, rng=0)
        loss = -model.log_prob(batch["x"]).mean()               # nats per example; x (N, 2), standardised

    Args:
        event_shape: of one x. hidden: H. components: K.
        order, block, rng: as in `minigen.models.autoregressive.NADE`.

    Attributes:
        W: (D, H), c: (H,), log_rho: (D,), V: (D, H, 3K), b: (D, 3K): α, μ and s side by side.

    The noise ``eps`` of `sample` and `complete` is (n, D, K + 1): K Gumbels that choose, and a standard normal.
    """

    def __init__(self, event_shape, hidden=50, components=10, order=None, block=16, *, rng=0):
        super().__init__(event_shape)
        if min(hidden, components, block) < 1:
            raise ValueError(f"RNADE: wants at least one hidden unit, component and entry in a block, got "
                             f"hidden={hidden}, components={components}, block={block}")
        self._order, self.hidden, self.block = checked_order(order, self.features, "RNADE"), hidden, block
        rng, D, self.components = mg.random.as_generator(rng), self.features, components
        spread = np.zeros((D, 3 * components), dtype=np.float32)
        spread[:, components:2 * components] = np.linspace(-1, 1, components) if components > 1 else 0
        with mg.use(rng.backend):
            self.W = nn.Parameter(rng.uniform(-D ** -0.5, D ** -0.5, (D, hidden)))
            self.c = nn.Parameter(rng.uniform(-1, 1, hidden))           # zero would be the kink of h_1
            self.log_rho = nn.Parameter(mg.zeros(D))
            self.V = nn.Parameter(rng.uniform(-hidden ** -0.5, hidden ** -0.5, (D, hidden, 3 * components)))
            self.b = nn.Parameter(mg.tensor(spread))

    @property
    def order(self):
        """Positions in the flattened x, in the order of generation, (D,)."""
        return self._order

    def conditionals(self, x):
        """α, μ and s of all mixtures, (N, D) → (N, D, 3K). Eq. (2)."""
        blocks = [mg.matmul(mg.relu(mg.exp(self.log_rho[part])[:, None, None] * a), self.V[part])             # Eq. (1)
                  for part, a in running_sums(in_order(x, self._order), self.W, self.c, self.block)]
        return as_they_lie(mg.concatenate(blocks).swapaxes(0, 1) + self.b, self._order)                       # Eq. (2)

    # ---- the mixture ---------------------------------------------------------------------------------------------
    def _split(self, parameters):
        """α, μ and s, (…, K) each."""
        K = self.components
        return parameters[..., :K], parameters[..., K:2 * K], mg.clip(parameters[..., 2 * K:], -10, 10)

    def _log_conditional(self, parameters, x):
        alpha, mu, s = self._split(parameters)
        eps = (x[..., None] - mu) * mg.exp(-s)
        return mg.logsumexp(log_softmax(alpha) - 0.5 * eps * eps - s - HALF_LOG_2PI, axis=-1)                 # Eq. (4)

    def _noise(self, rng, shape, dtype):
        return mg.concatenate([rng.gumbel((*shape, self.components), dtype), rng.standard_normal((*shape, 1), dtype)],
                              axis=-1)

    def _draw(self, parameters, eps):
        alpha, mu, s = self._split(parameters)
        chosen = one_hot(mg.argmax(alpha + eps[..., :-1], axis=-1), self.components, alpha.dtype)
        return mg.sum(chosen * (mu + mg.exp(s) * eps[..., -1:]), axis=-1)

    def _check_values(self, x):
        if not bool(mg.all(mg.isfinite(x))):
            raise ValueError("RNADE: wants finite numbers, got NaN or infinity")

    # ---- one entry after another -----------------------------------------------------------------------------------
    def _begin(self, n):
        return Sums(mg.broadcast_to(self.c, (n, self.hidden)))

    def _output(self, state, d):
        t = state.t
        h = mg.relu(mg.exp(self.log_rho[t]) * state.a)                                                        # Eq. (1)
        return mg.matmul(h, self.V[t]) + self.b[t]                                                            # Eq. (2)

    def _feed(self, state, d, x):
        state.feed(x, self.W)


def running_sums(x, W, c, block):
    """a_d of Eq. (1) for all entries, in blocks: yields (slice of d, a of shape (B, N, H)).

    Args:
        x: (N, D), in the order of generation. W: (D, H). c: (H,). block: B, how many entries at a time.
    """
    D, start = W.shape[0], mg.broadcast_to(c, (len(x), W.shape[1]))
    for s in range(0, D, block):
        part = slice(s, min(s + block, D))
        x_part, W_part = x[:, part], W[part]                                                   # (N, B), (B, H)
        B = W_part.shape[0]
        with mg.use(x.backend.name):
            T = mg.tril(mg.ones((B, B), dtype=x.dtype), -1)                                    # T_ij = 1 where j < i
        yield part, mg.matmul(x_part * T[:, None], W_part) + start
        start = start + mg.matmul(x_part, W_part)                                              # a at the next block
