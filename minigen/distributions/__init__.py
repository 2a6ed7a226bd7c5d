"""Probability distributions: log-densities, draws, entropies, divergences. All in nats, on Tensors, with gradients.

`base` says how axes are named (sample, batch, event); then one family a file; `kl` holds the divergences. `Table`
stands apart: the exact joint of a few discrete variables, where everything is computed by summing.
"""
from minigen.distributions.base import Distribution
from minigen.distributions.discrete import Bernoulli, Categorical
from minigen.distributions.kl import kl_divergence, kl_monte_carlo, register_kl
from minigen.distributions.normal import Normal
from minigen.distributions.table import Table

__all__ = ["Bernoulli", "Categorical", "Distribution", "Normal", "Table", "kl_divergence", "kl_monte_carlo",
           "register_kl"]
