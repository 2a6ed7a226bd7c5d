r"""Noise-contrastive estimation: a normaliser learnt by telling data from noise.

M. Gutmann and A. Hyvärinen, "Noise-contrastive estimation", 2010; 2012 (JMLR 13).

Give the unnormalised model a free constant c for log Z,

    log p_θ(x) = −E_θ(x) − c,                                                                                 (1)

and mix ν draws of a known noise q to each example. By Bayes' rule x is data with probability σ(G(x)),

    G(x) = log p_θ(x) − log q(x) − log ν.                                                                     (2)

So p_θ is fitted by logistic regression,

    L = −E_{x~data}[log σ(G(x))] − ν E_{x~q}[log σ(−G(x))].                                                   (3)

For each x the best G is log(p_data/ν q), so at the optimum p_θ = p_data, *normalised*, and c = log Z. As ν grows the
estimate becomes that of maximum likelihood. Noise that is never near the data makes (3) easy, and then it teaches
nothing.
"""
import math

import minigen as mg
from minigen import nn
from minigen.models.base import GenerativeModel, Objective
from minigen.random import as_generator

__all__ = ["NCE"]


class NCE(GenerativeModel):
    """Eqs. (1) to (3).

    Args:
        net: Module (N, *event) → (N,) or (N, 1): E in nats.
        noise: q, a Distribution over events, without batch: as near to the data as can be.
        ratio: ν, draws of noise for each example.
    """

    def __init__(self, net, noise, ratio=1):
        if ratio < 1:
            raise ValueError(f"NCE: wants at least one draw of noise for each example, got ratio={ratio}")
        self.net, self.ratio = net, ratio
        self.noise, self.log_Z = lambda: noise, nn.Parameter(mg.zeros(()))      # a function: the noise is not trained

    def energy(self, x):
        """E(x) in nats, (N,)."""
        return mg.reshape(self.net(x), (len(x),))

    def log_prob(self, x):
        """log p_θ(x), nats, (N,): normalised as far as c has been learnt. Eq. (1)."""
        return -self.energy(x) - self.log_Z

    def logit(self, x):
        """G(x), (N,). Eq. (2)."""
        return self.log_prob(x) - self.noise().log_prob(x) - math.log(self.ratio)

    def terms(self, x, *, rng, fake=None):
        """{"loss", "accuracy", "log_Z"}: Eq. (3), how often G has the right sign, and c. ``fake`` replaces the
        noise."""
        fake = self.noise().sample(len(x) * self.ratio, rng=as_generator(rng)).detach() if fake is None else fake
        G_data, G_noise = self.logit(x), self.logit(fake)
        loss = mg.mean(mg.softplus(-G_data)) + self.ratio * mg.mean(mg.softplus(G_noise))                   # Eq. (3)
        right = mg.sum((G_data > 0).astype(x.dtype)) + mg.sum((G_noise < 0).astype(x.dtype))
        return {"loss": loss, "accuracy": right / (len(x) + len(fake)), "log_Z": self.log_Z.detach()}

    def objectives(self):
        """One: Eq. (3), for the network and c."""
        return [Objective("contrast", [*self.net.parameters(), self.log_Z],
                          lambda batch, rng: self.terms(batch["x"], rng=rng))]

    def sample(self, n, *, rng, labels=None):
        """n draws (n, *event) by importance resampling: 50 n draws of the noise, of which n are kept by their
        weights."""
        if labels is not None:
            raise ValueError(f"NCE: this model knows no labels, got {len(labels)} of them")
        rng = as_generator(rng)
        with mg.no_grad():
            x = self.noise().sample(50 * n, rng=rng)
            weights = mg.reshape(self.logit(x), (n, 50))
            k = mg.argmax(weights + rng.gumbel((n, 50), dtype=weights.dtype), axis=1)
            return mg.take(x, 50 * mg.arange(n) + k, axis=0)
