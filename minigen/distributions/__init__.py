"""Probability distributions: log-densities, draws, entropies, divergences. All in nats, on Tensors, with gradients.

`base` says how axes are named (sample, batch, event); then one family a file; `kl` and `kl_moments` hold the
divergences, `counting` the numbers of free parameters. `Table` stands apart: the exact joint of a few discrete
variables, where everything is computed by summing.
"""
from minigen.distributions import kl_moments as _kl_moments  # noqa: F401  it registers its pairs
from minigen.distributions.base import Distribution
from minigen.distributions.composed import Independent, Mixture, Transformed
from minigen.distributions.counting import independent_parameters, joint_parameters, markov_parameters
from minigen.distributions.discrete import Bernoulli, Categorical
from minigen.distributions.gamma import Beta, Gamma
from minigen.distributions.kl import kl_divergence, kl_monte_carlo, register_kl
from minigen.distributions.logistic_mixture import DiscretizedLogisticMixture
from minigen.distributions.multivariate import MultivariateNormal
from minigen.distributions.normal import Normal
from minigen.distributions.table import Table
from minigen.distributions.univariate import Exponential, Laplace, Logistic, Uniform

__all__ = ["Bernoulli", "Beta", "Categorical", "DiscretizedLogisticMixture", "Distribution", "Exponential", "Gamma",
           "Independent", "Laplace", "Logistic", "Mixture", "MultivariateNormal", "Normal", "Table", "Transformed",
           "Uniform", "independent_parameters", "joint_parameters", "kl_divergence", "kl_monte_carlo",
           "markov_parameters", "register_kl"]
