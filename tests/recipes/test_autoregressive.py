"""The recipes of fully connected autoregressive models: that each trains on bits, and what it reports."""
import dataclasses

import numpy as np
import pytest

import minigen as mg
from minigen import data, recipes
from minigen.recipes import autoregressive
from minigen.recipes.sets import fixed_digits


def bits(split, folder):
    """A few of the bundled digits, binarised once."""
    images = fixed_digits("test", None)[:120]
    return images if split == "test" else data.Dataset({"x": images["x"], "y": images["y"]})


@pytest.mark.parametrize("recipe", autoregressive.RECIPES, ids=lambda recipe: recipe.name)
def test_a_few_steps_lower_the_loss_and_the_likelihood_is_reported(recipe):
    assert recipes.get(recipe.name) is recipe
    small = dataclasses.replace(recipe, dataset=bits, batch_size=20, steps=6)
    trainer = small.trainer(seed=0, progress=False, log_every=1, validate_every=6)
    trainer.run(6)
    losses = [line["loss"] for line in trainer.history]
    assert losses[-1] < losses[0] < 560
    found = small.evaluate(trainer.model.eval())
    x = np.stack([image for image in bits("test", None)["x"]]).astype(np.float32) / 255
    assert set(found) == {"test_nll"} and found["test_nll"]["unit"] == "nats"
    np.testing.assert_allclose(found["test_nll"]["value"], -trainer.model.log_prob(mg.tensor(x)).numpy().mean(),
                               rtol=1e-5)
