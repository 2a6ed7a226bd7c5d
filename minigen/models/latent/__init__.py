"""Autoencoders and latent-variable models, one system a file; `variational` fits an approximate posterior to any
joint."""
from minigen.models.latent.aae import AdversarialAutoencoder
from minigen.models.latent.autoencoder import Autoencoder, DenoisingAutoencoder
from minigen.models.latent.beta_vae import BetaVAE
from minigen.models.latent.cvae import ConditionalVAE
from minigen.models.latent.linear_gaussian import FactorAnalysis, ProbabilisticPCA
from minigen.models.latent.mixtures import BernoulliMixture, GaussianMixtureModel
from minigen.models.latent.vae import VAE
from minigen.models.latent.variational import FullRank, MeanField, VariationalInference

__all__ = ["AdversarialAutoencoder", "Autoencoder", "BernoulliMixture", "BetaVAE", "ConditionalVAE",
           "DenoisingAutoencoder", "FactorAnalysis", "FullRank", "GaussianMixtureModel", "MeanField",
           "ProbabilisticPCA", "VAE", "VariationalInference"]
