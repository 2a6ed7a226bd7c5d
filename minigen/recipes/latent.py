"""Recipes of latent variable models."""
from minigen import data
from minigen.models.latent import VAE
from minigen.recipes.evaluation import evaluate_bounds
from minigen.recipes.recipe import Recipe, Target
from minigen.recipes.sets import fixed_digits, fixed_mnist
from minigen.training import Adam, RMSprop

JAANLI = "jaanli/variational-autoencoder, MLP, 30,000 steps"
RECIPES = (
    Recipe(
        name="vae", summary="MLP VAE, 20 latents, on the bundled digits, binarised afresh each time; about a minute",
        build=lambda rng: VAE(latents=20, hidden=(400,), rng=rng),
        optimizer=lambda parameters: Adam(parameters, lr=1e-3),
        dataset=fixed_digits, transform=data.on(x=data.binarise), test_transform=data.on(x=data.to_unit),
        evaluate_model=evaluate_bounds(100), batch_size=128, steps=3000),
    Recipe(
        name="vae-mnist", summary="MLP VAE 256-256, 128 latents, on full MNIST with one fixed binarisation",
        build=lambda rng: VAE(latents=128, hidden=(256, 256), rng=rng),
        optimizer=lambda parameters: RMSprop(parameters, lr=1e-3),
        dataset=fixed_mnist, transform=data.on(x=data.to_unit), test_transform=data.on(x=data.to_unit),
        evaluate_model=evaluate_bounds(1000), batch_size=128, steps=30_000,
        targets=(Target("test_elbo", -106.64, "nats", JAANLI), Target("test_iwae_1000", -100.31, "nats", JAANLI))),
)
