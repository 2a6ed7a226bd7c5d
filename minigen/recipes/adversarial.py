"""Recipes of generative adversarial networks."""
from minigen import data
from minigen.models.adversarial import DCGAN
from minigen.recipes.evaluation import evaluate_digits, validate_digits
from minigen.recipes.recipe import Recipe
from minigen.recipes.sets import full_mnist
from minigen.training import Adam, schedules

STEPS = 8000

RECIPES = (
    Recipe(
        name="dcgan-mnist", summary="DCGAN of width 64 with 64 latents on full MNIST; some 20 minutes on two cores",
        build=lambda rng: DCGAN(latents=64, width=64, rng=rng),
        optimizer=lambda parameters: Adam(parameters, lr=schedules.cosine(2e-4, STEPS), betas=(0.5, 0.999)),
        dataset=full_mnist, transform=data.on(x=data.to_unit), test_transform=data.on(x=data.to_unit),
        evaluate_model=evaluate_digits, batch_size=64, steps=STEPS, training={"validate": validate_digits}),
)
