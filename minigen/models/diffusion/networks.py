r"""A small denoiser for vectors: a residual multilayer perceptron that knows the time, and the class if there is one.

The time t enters as sines and cosines of frequencies from 1 down to 1/10,000 (A. Vaswani et al., 2017,
arXiv:1706.03762):

    τ(t) = (sin ω_i t, cos ω_i t),    ω_i = 10000^{−i/F},    i = 0 … F − 1.                                     (1)

With c = Linear(SiLU(Linear(τ(t)))) + Embedding(label), each block adds to its input

    h ← h + Linear(SiLU(Linear(h) + Linear(SiLU(c)))).                                                          (2)
"""
import math

import minigen as mg
from minigen import nn


class MLPDenoiser(nn.Module):
    """A network f(z_t, t, labels=None) on vectors (N, D), for `minigen.models.diffusion.DDPM`.

    Args:
        features: D of the input. outputs: of the output, by default D; 2 D where the variance is learned.
        hidden: width. blocks: how many times Eq. (2).
        classes: K, where it is conditional; label K, or labels=None, stands for no class.
        rng: generator or seed of the initial weights.
    """

    def __init__(self, features, outputs=None, hidden=128, blocks=3, classes=None, *, rng):
        if hidden < 2 or hidden % 2 or blocks < 1:
            raise ValueError(f"MLPDenoiser: wants an even hidden ≥ 2 and blocks ≥ 1, got hidden={hidden} and "
                             f"blocks={blocks}")
        rng = mg.random.as_generator(rng)
        self.hidden, self.classes = hidden, classes
        self.first = nn.Linear(features, hidden, rng=rng)
        self.time = nn.MLP([hidden, hidden, hidden], activation=mg.silu, rng=rng)
        if classes is not None:
            self.label = nn.Embedding(classes + 1, hidden, rng=rng)
        self.blocks = [{"enter": nn.Linear(hidden, hidden, rng=rng), "condition": nn.Linear(hidden, hidden, rng=rng),
                        "leave": nn.Linear(hidden, hidden, rng=rng)} for _ in range(blocks)]
        self.last = nn.Linear(hidden, outputs or features, rng=rng)

    def forward(self, z, t, labels=None):
        """(N, D), integers (N,), integers (N,) or None → (N, outputs)."""
        c = self.time(time_features(t, self.hidden, z))
        if self.classes is not None:
            c = c + self.label(mg.full_like(t, self.classes) if labels is None else labels)
        elif labels is not None:
            raise ValueError(f"MLPDenoiser: got labels of shape {labels.shape}, but it was made without classes=")
        h, c = self.first(z), mg.silu(c)
        for block in self.blocks:
            h = h + block["leave"](mg.silu(block["enter"](h) + block["condition"](c)))                 # Eq. (2)
        return self.last(mg.silu(h))


def time_features(t, features, like):
    """τ(t), (N, features), in the dtype and on the backend of ``like``. Eq. (1)."""
    with mg.use(like.backend.name):
        omega = mg.exp(-math.log(10_000) * mg.arange(0, features // 2, dtype=like.dtype) / (features // 2))
    angles = t.astype(like.dtype)[:, None] * omega                                                     # (N, F)
    return mg.concatenate([mg.sin(angles), mg.cos(angles)], axis=-1)
