"""A training step makes no host transfer: nothing in a model, its objective or its optimiser waits for the device.

The strict namespace counts every wait and every upload. The only waits of a run are those that read the logged numbers.
"""
import numpy as np
import pytest
import strict

import minigen as mg
from minigen import nn
from minigen.models import adversarial, autoregressive, diffusion, energy, flow, latent
from minigen.training import SGD, Adam, Trainer

IMAGE = (8, 8, 1)


def _deep_ebm(**settings):
    net = energy.conv_energy(IMAGE, channels=(2, 3, 4), rng=0)
    return energy.DeepEBM(net, IMAGE, steps=3, replay=16, rng=0, **settings)


def _ddpm(**settings):
    net = nn.UNet(IMAGE, base=8, attention=(4,), heads=1, groups=2, rng=0)
    return diffusion.DDPM(net, IMAGE, diffusion.linear_schedule(10), **settings)


FAMILIES = {                                              # name -> (the model, shape of an example)
    "VAE": (lambda: latent.VAE(event_shape=(6,), latents=2, hidden=(5,), rng=0), (6,)),
    "DCGAN": (lambda: adversarial.DCGAN(IMAGE, latents=3, width=2, rng=0), IMAGE),
    "WGAN with gradient penalty": (lambda: adversarial.WGANGP((6,), latents=3, hidden=(5,), rng=0), (6,)),
    "Real NVP": (lambda: flow.RealNVP(2, couplings=2, hidden=(4,), rng=0), (2,)),
    "Glow": (lambda: flow.Glow(IMAGE, levels=2, steps=1, width=4, rng=0), IMAGE),
    "NICE": (lambda: flow.NICE(4, couplings=2, hidden=(4,), rng=0), (4,)),
    "spline flow": (lambda: flow.NSF(4, layers=2, hidden=(4,), rng=0), (4,)),
    "multi-scale Real NVP": (lambda: flow.MultiScaleRealNVP(IMAGE, couplings=2, width=4, rng=0), IMAGE),
    "MADE": (lambda: autoregressive.MADE(event_shape=(6,), hidden=(5,), rng=0), (6,)),
    "gated PixelCNN": (lambda: autoregressive.GatedPixelCNN(IMAGE, features=4, layers=1, head_width=4, rng=0), IMAGE),
    "RBM": (lambda: energy.RBM(6, 4, rng=0), (6,)),
    "RBM with persistent chains": (lambda: energy.RBM(6, 4, persistent=4, rng=0), (6,)),
    "deep EBM": (_deep_ebm, IMAGE),
    "DDPM": (_ddpm, IMAGE),
}


@pytest.fixture
def on_strict():
    with mg.use("strict"):
        yield


def batch_of(shape, n=4):
    """{"x": (n, *shape)} of zeros and ones, on the device."""
    return {"x": mg.tensor((np.random.default_rng(0).random((n, *shape)) < 0.5).astype(np.float32))}


def waits_and_uploads(model, batch, optimizer):
    """(waits, uploads) of steps 2 to 11 of the one loop, with clipping and averaged weights, and one line of log. The
    first step may make things that stay."""
    trainer = Trainer(model, lambda p: optimizer(p, lr=1e-3), lambda rng: batch, log_every=100, clip=1.0, ema=0.9,
                      progress=False)
    trainer.run(1)
    before = strict.transfers, strict.uploads
    line = trainer.run(11)
    assert line["step"] == 11 and any(name.endswith("loss") for name in line)
    return strict.transfers - before[0], strict.uploads - before[1]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("optimizer", [Adam, SGD])
def test_ten_steps_wait_once_for_the_one_line_of_the_log(on_strict, family, optimizer):
    make, shape = FAMILIES[family]
    assert waits_and_uploads(make(), batch_of(shape), optimizer) == (1, 0)


def test_a_wait_and_an_upload_in_a_step_are_found(on_strict):
    class Curious(latent.VAE):
        def terms(self, x, **noise):
            distortion, rate = super().terms(x, **noise)
            assert distortion.sum().item() > 0                                      # waits
            return distortion + mg.tensor(np.zeros(1, np.float32)), rate            # uploads

    model = Curious(event_shape=(6,), latents=2, hidden=(5,), rng=0)
    assert waits_and_uploads(model, batch_of((6,)), Adam) == (11, 10)
