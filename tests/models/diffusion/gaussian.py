"""Diffusion of Gaussian data, where all is known: the best denoiser, its variance, and expectations over noise
without error.

Every term of the bound is a polynomial of degree two in x and in the noise, so Gauss–Hermite quadrature with three
nodes averages it exactly.
"""
import math

import numpy as np

import minigen as mg

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(3)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class GaussianDenoiser:
    """E[x|z_t] for x ~ N(mean, std² I), and, ``learned``, the variance of ddpm's Eq. (13) as the f of its Eq. (14)."""

    def __init__(self, process, mean, std, learned=False):
        self.process, self.mean, self.std, self.learned = process, mean, std, learned

    def __call__(self, z, t, labels=None):
        p = self.process
        a, s = p.at("signal", t, z), p.at("noise", t, z)
        spread = a ** 2 * self.std ** 2 + s ** 2
        x = self.mean + a * self.std ** 2 / spread * (z - a * self.mean)
        if not self.learned:
            return x
        uncertain = self.std ** 2 * s ** 2 / spread                                     # Var(x|z_t)
        best = mg.exp(2 * p.at("log_std_posterior", t, z)) + p.at("from_x", t, z) ** 2 * uncertain
        small, large = p.at("log_std_small", t, z), p.at("log_std_step", t, z)
        f = 2 * (0.5 * mg.log(best) - small) / (large - small) - 1
        return mg.concatenate([x, mg.broadcast_to(f, x.shape)], axis=-1)


def expected_bound(model, mean, std):
    """E over data N(mean, std²) and all noise of each term of the bound, (T + 1,), for a model of one dimension."""
    x = np.repeat(mean + std * _NODES, 3)[:, None]
    eps = np.broadcast_to(np.tile(_NODES, 3)[:, None], (model.process.T, 9, 1)).copy()
    return model.bound(mg.tensor(x), eps=mg.tensor(eps)).numpy() @ np.outer(_WEIGHTS, _WEIGHTS).ravel()


def bound_at(model, x):
    """E over the noise of the bound −ELBO at each x (N,), (N,)."""
    eps = np.broadcast_to(np.tile(_NODES, len(x))[:, None], (model.process.T, 3 * len(x), 1)).copy()
    elbo = model.elbo(mg.tensor(np.repeat(x, 3)[:, None]), eps=mg.tensor(eps)).numpy()
    return -elbo.reshape(len(x), 3) @ _WEIGHTS


def entropy(std):
    """−E[log p(x)] of N(mean, std²), nats: the best that a bound can reach."""
    return 0.5 * math.log(2 * math.pi * math.e * std ** 2)


def divergence_from_standard(mean, variance):
    """KL(N(mean, variance) ‖ N(0, 1)), nats."""
    return 0.5 * (variance + mean ** 2 - 1 - math.log(variance))
