"""Recipes of generative adversarial networks."""
import functools

from minigen import data
from minigen.models.adversarial import DCGAN
from minigen.recipes.evaluation import evaluate_digits, validate_digits
from minigen.recipes.recipe import Recipe
from minigen.recipes.sets import full_mnist
from minigen.training import Adam, schedules

STEPS = 6000


def adam(lr):
    """Adam, whose rate falls from ``lr`` to zero."""
    return functools.partial(Adam, lr=schedules.cosine(lr, STEPS), betas=(0.5, 0.99))


RECIPES = (
    Recipe(
        name="dcgan-mnist", summary="DCGAN of width 64 with 64 latents on full MNIST; some 20 minutes on two cores",
        build=lambda rng: DCGAN(latents=64, width=64, rng=rng),
        optimizer={"discriminator": adam(3e-4), "generator": adam(1.2e-3)},       # at equal rates D gets far ahead
        dataset=full_mnist, transform=data.on(x=data.to_unit), test_transform=data.on(x=data.to_unit),
        evaluate_model=evaluate_digits, batch_size=64, steps=STEPS, training={"validate": validate_digits}),
)
