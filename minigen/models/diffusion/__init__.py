"""Diffusion models: `process` adds the noise, `ddpm` learns to take it away, `ddim` in fewer steps, `guidance` to
order.

Read them in that order. `networks` has a denoiser for vectors, `minigen.nn.UNet` is the one for images; `exact` is one
that needs no training, since its data is a mixture of Gaussians: the truth that models, samplers and guidance are
compared with. `noisy_classifier` is what guidance by a classifier asks.
"""
from minigen.models.diffusion.ddim import DDIM
from minigen.models.diffusion.ddpm import DDPM
from minigen.models.diffusion.exact import MixtureDenoiser
from minigen.models.diffusion.guidance import classifier, classifier_free
from minigen.models.diffusion.networks import MLPDenoiser
from minigen.models.diffusion.noisy_classifier import NoisyClassifier
from minigen.models.diffusion.process import ForwardProcess, cosine_schedule, linear_schedule

__all__ = ["DDIM", "DDPM", "ForwardProcess", "MLPDenoiser", "MixtureDenoiser", "NoisyClassifier", "classifier",
           "classifier_free", "cosine_schedule", "linear_schedule"]
