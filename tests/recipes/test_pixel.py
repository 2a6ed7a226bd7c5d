"""The recipes of pixel models: that each trains on bits, and what it reports."""
import dataclasses

import numpy as np
import pytest

import minigen as mg
from minigen import data, recipes
from minigen.recipes import pixel


def few(recipe):
    """The recipe's own data, or what stands in for full MNIST: a few of the bundled digits."""
    load = pixel.black_and_white if recipe.name.endswith("mnist") else recipe.dataset
    return lambda split, folder: load("test", None)[:40]


@pytest.mark.parametrize("recipe", pixel.RECIPES, ids=lambda recipe: recipe.name)
def test_a_few_steps_lower_the_loss_and_the_likelihood_is_reported(recipe):
    assert recipes.get(recipe.name) is recipe
    small = dataclasses.replace(recipe, dataset=few(recipe), batch_size=8, steps=5)
    trainer = small.trainer(seed=0, progress=False, log_every=1, validate_every=5)
    trainer.run(5)
    losses = [line["loss"] for line in trainer.history]
    assert losses[-1] < losses[0] < 0.9 * np.prod(trainer.model.event_shape)
    found = small.evaluate(trainer.model.eval())
    test = few(recipe)("test", None)
    x = mg.tensor(data.to_unit(test["x"]))
    log_p = trainer.model.log_prob(x, test["y"]) if trainer.model.classes else trainer.model.log_prob(x)
    assert set(found) == {"test_nll"} and found["test_nll"]["unit"] == "nats"
    np.testing.assert_allclose(found["test_nll"]["value"], -log_p.numpy().mean(), rtol=1e-5)


@pytest.mark.parametrize("load, side", [(pixel.black_and_white, 28), (pixel.small_black_and_white, 14)])
def test_digits_in_black_and_white(load, side):
    digits, grey = load("test", None), data.digits("test")
    assert digits["x"].shape == (2000, side, side, 1) and set(np.unique(digits["x"])) == {0, 255}
    np.testing.assert_array_equal(digits["y"], grey["y"])
    assert abs(digits["x"].mean() / 255 - grey["x"].mean() / 255) < 0.05                    # as much ink as before


def test_the_published_figures():
    targets = {target.value for target in recipes.get("pixelcnn-mnist").targets}
    assert targets == {81.30, 79.20}
