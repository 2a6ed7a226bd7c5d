"""Generative adversarial networks: the theory, the losses and penalties, and one system a file."""
from minigen.models.adversarial import losses, theory
from minigen.models.adversarial.conditional import ACGAN, ConditionalGAN, LabelInput, ProjectionGAN
from minigen.models.adversarial.dcgan import DCGAN, ImageGenerator, image_discriminator, image_heads
from minigen.models.adversarial.gan import GAN
from minigen.models.adversarial.losses import LOSSES, Loss
from minigen.models.adversarial.penalties import R1, GradientPenalty
from minigen.models.adversarial.sngan import SNGAN, spectral_mlp
from minigen.models.adversarial.wgan import WGAN, WGANGP, wasserstein_normal

__all__ = ["ACGAN", "ConditionalGAN", "DCGAN", "GAN", "GradientPenalty", "ImageGenerator", "LOSSES", "LabelInput",
           "Loss", "ProjectionGAN", "R1", "SNGAN", "WGAN", "WGANGP", "image_discriminator", "image_heads", "losses",
           "spectral_mlp", "theory", "wasserstein_normal"]
