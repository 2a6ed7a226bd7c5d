"""Recipes of diffusion models on digits, pixels scaled to [−1, 1].

Both are told the class and sometimes not, so that one network serves with guidance and without. The small one has a
minute or two: it predicts x, which gives clean strokes soonest, and pays for it in the bound (docs/diffusion.md). The
long one predicts v and learns its variance, for pictures and bound alike.
"""
import dataclasses
import functools

import numpy as np

import minigen as mg
from minigen import data, viz
from minigen.models.diffusion import DDIM, DDPM, cosine_schedule
from minigen.nn import UNet
from minigen.recipes.evaluation import progress
from minigen.recipes.recipe import Recipe
from minigen.recipes.sets import bundled_digits, full_mnist
from minigen.training import Adam, schedules

SHAPE, STEPS, LONG_STEPS = (28, 28, 1), 1000, 8000
DDIM_STEPS, BOUND_IMAGES = 30, 500


def to_signed(x, rng=None):
    """8-bit pixels to float32 in [−1, 1]. Nothing is drawn."""
    return 2 * data.to_unit(x) - 1


def shown(x):
    """Images on the host from [−1, 1], or a little beyond, to [0, 1]."""
    x = x.numpy() if isinstance(x, mg.Tensor) else x
    return np.clip(0.5 * (x + 1), 0, 1)


def draw(samples, path, title=None):
    """The picture that ``minigen sample`` makes."""
    return viz.image_grid(shown(samples), path, title=title)


def evaluate(model, loader, rng):
    """`metrics.image_metrics` of DDIM's samples, as many of each class as the test set has, and the bound in bits/dim,
    given the label, of some test images, evenly spread."""
    sampler, real, fake, labels = DDIM(model, min(DDIM_STEPS, model.process.T)), [], [], []
    for batch in progress(loader, "sampling"):
        real.append(batch["x"].numpy())
        labels.append(batch["y"].numpy())
        fake.append(shown(sampler.sample(len(batch["y"]), rng=rng, labels=batch["y"])))
    real, labels = np.concatenate(real), np.concatenate(labels)
    some = np.linspace(0, len(real) - 1, min(BOUND_IMAGES, len(real))).astype(int)
    bits = [model.bits_per_dim(mg.tensor(real[i]), labels[i], rng=rng).numpy()
            for i in progress(np.array_split(some, -(-len(some) // 50)), "the bound")]
    return {**mg.metrics.image_metrics(shown(real), np.concatenate(fake)),
            "test_bits_per_dim": (float(np.concatenate(bits).mean()), "bits/dim, given the label")}


def _small(rng, T=200):
    network = UNet(SHAPE, base=32, multipliers=(1,), attention=(7,), heads=4, classes=10, patch=2, positions=True,
                   rng=rng)
    return DDPM(network, SHAPE, cosine_schedule(T), prediction="x", likelihood="discretised", classes=10,
                label_dropout=0.1, clip=1.0)


def _large(rng):
    network = UNet(SHAPE, base=48, multipliers=(1,), attention=(7,), heads=4, classes=10, out_channels=2, patch=2,
                   positions=True, rng=rng)
    return DDPM(network, SHAPE, cosine_schedule(250), prediction="v", variance="learned", loss="hybrid",
                likelihood="discretised", classes=10, label_dropout=0.15, clip=1.0)


RECIPES = (
    Recipe(
        name="ddpm", summary="DDPM with a small U-Net, class-conditional, on the bundled digits; a minute or two",
        build=_small,
        optimizer=lambda parameters: Adam(parameters, lr=schedules.warm_up(schedules.cosine(3e-3, STEPS), 50)),
        dataset=bundled_digits, transform=data.on(x=to_signed), test_transform=data.on(x=to_signed),
        evaluate_model=evaluate, batch_size=32, steps=STEPS, draw=draw,
        training={"ema": 0.995, "validate_every": STEPS // 3}),
    Recipe(
        name="ddpm-mnist", summary="DDPM with a U-Net, class-conditional, v and learned variance, on full MNIST",
        build=_large,
        optimizer=lambda parameters: Adam(parameters, lr=schedules.warm_up(schedules.cosine(1.5e-3, LONG_STEPS), 200)),
        dataset=full_mnist, transform=data.on(x=to_signed), test_transform=data.on(x=to_signed),
        evaluate_model=evaluate, batch_size=64, steps=LONG_STEPS, draw=draw,
        training={"ema": 0.999, "validate_every": LONG_STEPS // 4}),
)
# What a demo shows with --smoke: hardly trained, and few times t.
SMOKE = dataclasses.replace(RECIPES[0], build=functools.partial(_small, T=8), steps=4)
