r"""MADE, the masked autoencoder for distribution estimation, with one or several orders and masks.

M. Germain, K. Gregor, I. Murray and H. Larochelle, 2015, arXiv:1502.03509. An autoencoder maps x to D logits, trained
with the cross-entropy of x. Left alone it copies its input, and its outputs are the conditionals of nothing. Masks on
its weights (`minigen.nn.masked` derives them) cut every path from input j to output d unless j comes before d. Then

    l_d = f_d(x_<d),    log p(x) = Σ_d [x_d l_d − log(1 + exp l_d)]                                             (1)

is a normalised log-probability, at the price of one pass through an autoencoder.

**Several masks.** Which inputs meet in a hidden unit, and in which order the entries come, is arbitrary. With M sets of
masks (and orders) the one set of weights defines M models p_k. Train all, a set drawn afresh for each step,

    loss = E_k[−log p_k(x)],                                                                                    (2)

and at test time take the mixture of all M as the model:

    p(x) = 1/M Σ_k p_k(x).                                                                                      (3)

By Jensen's inequality −log p(x) is at most (2), so the mixture is never worse than its members on average. It samples
by choosing k, then sampling p_k.

Cached sampling (`minigen.nn.masked.Running`) passes every hidden unit on once, as soon as all it sees is drawn: a whole
image costs what one pass does, where the naive way costs D passes.
"""
import math

import numpy as np

import minigen as mg
from minigen import nn
from minigen.models.autoregressive.ordered import MaskedAutoregressive
from minigen.models.base import Objective


class MADE(MaskedAutoregressive):
    """MADE over bits.

        model = MADE(hidden=(500,), rng=0)
        for batch in loader:                                    # {"x": (N, 28, 28, 1)} of zeros and ones
            loss = -model.log_prob(batch["x"]).mean()           # nats per example
            optimizer.zero_grad(); loss.backward(); optimizer.step()

    Args:
        event_shape: of one x. hidden: widths of the hidden layers.
        order: of generation, positions in the flattened x; default: as they lie in memory. ``"random"``: one is drawn
            for each set of masks. Or an array (masks, D).
        masks: how many sets of masks, M.
        direct: connect inputs with outputs besides, as in `FVSBN`.
        l2: λ of a Gaussian prior on the weights, in `objectives` (`minigen.models.autoregressive.ordered`).
        rng: generator or seed of orders, masks and weights.

    The model is the mixture of Eq. (3). ``model.use(k)`` chooses the set that `conditionals`, `log_conditionals` and
    `complete` work with, and `objectives` draws one for each step.
    """

    def __init__(self, event_shape=(28, 28, 1), hidden=(500,), order=None, masks=1, direct=False, l2=0.0, *,
                 rng=0, activation=mg.relu):
        super().__init__(event_shape, l2)
        rng = mg.random.as_generator(rng)
        if isinstance(order, str):
            if order != "random":
                raise ValueError(f"MADE: the order is 'random', a permutation, or one for each set, got {order!r}")
            order = np.stack([rng.permutation(self.features).numpy() for _ in range(masks)])
        self.net = nn.MaskedMLP(self.features, hidden, order=order, masks=masks, direct=direct, activation=activation,
                                rng=rng)

    @property
    def masks(self):
        """M, the number of sets of masks."""
        return self.net.masks

    def use(self, k):
        """Let the k-th set of masks work from now on. Returns self."""
        self.net.use(k)
        return self

    # ---- the mixture ---------------------------------------------------------------------------------------------
    def log_prob(self, x):
        """log p(x) of the mixture, nats, (N,). Eq. (3).

        With several sets of masks the value cannot be differentiated, since they take turns in one network: train by
        `objectives`.
        """
        if self.masks == 1:
            return super().log_prob(x)
        active, members = int(self.net.active), []
        with mg.no_grad():
            for k in range(self.masks):
                self.use(k)
                members.append(super().log_prob(x))
        self.use(active)
        return mg.logsumexp(mg.stack(members), axis=0) - math.log(self.masks)

    def objectives(self):
        """One: minimise −log p_k(x), with k drawn for each step. Eq. (2)."""
        def loss(batch, rng):
            if self.masks > 1:
                self.use(int(rng.integers(self.masks)))
            return self._terms(batch["x"])

        return [Objective("nll", list(self.parameters()), loss)]

    def sample(self, n, *, rng=None, labels=None, eps=None, cached=True):
        """n draws from the mixture, (n, *event_shape); with ``eps`` from the set that works. See `Autoregressive`."""
        if self.masks == 1 or eps is not None or rng is None:
            return super().sample(n, rng=rng, labels=labels, eps=eps, cached=cached)
        rng, active, parts = mg.random.as_generator(rng), int(self.net.active), []
        chosen = np.bincount(rng.integers(self.masks, size=(n,)).numpy(), minlength=self.masks)
        for k in np.flatnonzero(chosen).tolist():
            self.use(k)
            parts.append(super().sample(int(chosen[k]), rng=rng, labels=labels, cached=cached))
        self.use(active)
        return mg.take(mg.concatenate(parts), rng.permutation(n), axis=0)
