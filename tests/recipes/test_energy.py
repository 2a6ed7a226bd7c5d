"""The recipes of RBMs: that each trains on bits, and that the likelihood it reports is the model's, where that can be
summed."""
import dataclasses

import numpy as np
import pytest

import minigen as mg
from minigen import data, recipes
from minigen.models.energy import RBM
from minigen.recipes import energy
from minigen.recipes.sets import fixed_digits


def bits(split, folder):
    """A few of the bundled digits, binarised once."""
    images = fixed_digits("test", None)[:120]
    return images if split == "test" else data.Dataset({"x": images["x"], "y": images["y"]})


@pytest.mark.parametrize("recipe", energy.RECIPES, ids=lambda recipe: recipe.name)
def test_a_few_steps_train_and_the_bias_starts_at_the_data(recipe):
    assert recipes.get(recipe.name) is recipe
    small = dataclasses.replace(recipe, dataset=bits, batch_size=20, steps=3, training={"validate": None})
    trainer = small.trainer(seed=0, progress=False, log_every=1)
    assert trainer.model.k == {"rbm": 5, "rbm-mnist-cd1": 1, "rbm-mnist-cd25": 25, "rbm-mnist-pcd": 1}[recipe.name]
    assert trainer.model.weight.shape == (784, 500)
    np.testing.assert_array_equal(trainer.model.visible_bias.numpy(), energy.base_biases().numpy())
    before = trainer.model.weight.numpy().copy()
    trainer.run(3)
    assert np.abs(trainer.model.weight.numpy() - before).max() > 1e-4


def test_the_published_figures_are_there():
    assert [[(t.metric, t.value) for t in recipe.targets] for recipe in energy.RECIPES] == [
        [], [("test_log_likelihood", -125.53)], [("test_log_likelihood", -86.34)],
        [("test_log_likelihood", -86.34)]]


def test_the_evaluation_reports_the_exact_likelihood_within_its_interval():
    """With 4 hidden units log Z is a sum: both walks within 4 of their standard errors, the interval holds the mean of
    log p (false alarms below 3e-3)."""
    model = RBM((28, 28, 1), 4, rng=0)
    rng = np.random.default_rng(0)
    model.load_state_dict({"weight": 0.1 * rng.standard_normal((784, 4)).astype(np.float32),
                           "hidden_bias": np.zeros(4, np.float32), "visible_bias": energy.base_biases().numpy()})
    recipe = dataclasses.replace(energy.RECIPES[0], dataset=bits,
                                 evaluate_model=energy.evaluate(np.linspace(0, 1, 300), 50))
    found = {name: figure["value"] for name, figure in recipe.evaluate(model).items()}
    x = mg.tensor(np.stack(list(bits("test", None)["x"])).astype(np.float32) / 255)
    exact = model.log_Z().item()
    assert abs(found["log_Z"] - exact) < 4 * found["log_Z_error"] < 1
    assert abs(found["log_Z_back"] - exact) < 4 * found["log_Z_back_error"] < 1
    likelihood = model.log_prob(x).numpy().mean()
    assert found["test_log_likelihood_low"] < likelihood < found["test_log_likelihood_high"]
    assert found["test_log_likelihood_low"] < found["test_log_likelihood"] < found["test_log_likelihood_high"]


def test_the_figure_while_training_is_of_the_same_kind():
    figures = energy.validate(RBM((28, 28, 1), 2, rng=0))
    assert set(figures) == {"log_likelihood", "log_Z_error"} and -560 < figures["log_likelihood"] < -500
