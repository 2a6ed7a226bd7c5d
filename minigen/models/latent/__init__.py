"""Autoencoders and latent-variable models, one system a file; `variational` fits an approximate posterior to any joint."""
from minigen.models.latent.vae import VAE
from minigen.models.latent.variational import FullRank, MeanField, VariationalInference

__all__ = ["FullRank", "MeanField", "VAE", "VariationalInference"]
