"""Autoencoders and latent-variable models, one system a file."""
from minigen.models.latent.vae import VAE

__all__ = ["VAE"]
