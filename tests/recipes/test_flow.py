"""The recipes of flows: their data and protocol, that they learn, and what they report."""
import dataclasses

import numpy as np
import pytest

import minigen as mg
from minigen import data, recipes
from minigen.data import densities
from minigen.recipes import flow

PLANE = ["realnvp-8gaussians", "nsf-8gaussians", "nsf-checkerboard"]
MNIST = ["realnvp-mnist", "maf-mnist"]


def small(name, examples=2000):
    """A recipe with few examples."""
    full = recipes.get(name)
    dataset = full.dataset if name in PLANE else lambda split, folder: data.digits(split)
    return dataclasses.replace(full, dataset=lambda split, folder: dataset(split, folder)[:examples])


@pytest.mark.parametrize("name", PLANE)
def test_a_run_on_the_plane_learns_and_is_measured(name, tmp_path):
    recipe = small(name)
    trainer = recipe.trainer(seed=0, progress=False, log_every=5, validate=None)
    before = recipe.evaluate(trainer.model)
    trainer.run(15)
    figures = recipe.evaluate(trainer.model.eval())
    assert figures["test_gap"]["value"] < before["test_gap"]["value"]
    assert [t.metric for t in recipe.targets] == ["test_gap"] and set(figures) == {"test_nll", "test_gap"}
    x = trainer.model.sample(50, rng=mg.random.default_rng(0))
    recipe.draw(x, tmp_path / "points.png", title="Samples")
    assert (tmp_path / "points.png").stat().st_size > 1000


def test_the_gap_is_the_divergence():
    """Of the density itself it is 0, whatever the points; and NLL minus gap is −log p averaged over the same points."""
    class Truth:
        @staticmethod
        def log_prob(x):
            return mg.tensor(densities.get("8gaussians").log_density(x.numpy()))

    recipe = small("nsf-8gaussians")
    figures = recipe.evaluate(Truth())
    assert figures["test_gap"]["value"] == 0
    assert abs(figures["test_nll"]["value"] - densities.get("8gaussians").entropy().value) < 0.1      # σ ≈ 1/√2000


def test_points_are_drawn_once_and_differ_between_the_splits():
    one, two = (flow.points("moons")("test", None)["x"] for _ in range(2))
    assert one.shape == (100_000, 2) and np.array_equal(one, two)
    assert not np.array_equal(one[:100], flow.points("moons")("train", None)["x"][:100])


@pytest.mark.parametrize("name", MNIST)
def test_mnist_with_the_networks_of_mafs_authors(name):
    """Two hidden layers of 1,024, five layers, batches of 100, α = 1e-6, dequantised afresh each time; Adam up to
    5e-4."""
    recipe = recipes.get(name)
    model = recipe.build(mg.random.default_rng(0))
    assert model.logit.alpha == 1e-6 and recipe.batch_size == 100
    np.testing.assert_allclose(recipe.optimizer(model.parameters()).rate(), 5e-4 / 100)                # it warms up
    squares = [p for p in model.parameters() if p.shape == (1024, 1024)]
    assert len(squares) == 5
    loader = dataclasses.replace(recipe, dataset=lambda split, folder: data.digits(split)[:200]).loader()
    batches = [next(iter(loader.epoch(k)))["x"].numpy() for k in (0, 1)]
    assert all(x.shape == (100, 28, 28, 1) and 0 <= x.min() <= x.max() < 1 for x in batches)


def test_mnist_scores_of_a_small_model():
    recipe = dataclasses.replace(small("maf-mnist", 120), build=lambda rng: mg.models.flow.ImageFlow(
        mg.models.flow.MAF(784, layers=1, hidden=(8,), rng=rng), (28, 28, 1), alpha=1e-6))
    model = recipe.build(mg.random.default_rng(0))
    model.log_prob(mg.tensor(data.dequantise(data.digits()["x"][:200], np.random.default_rng(0))))
    model.eval()
    figures = recipe.evaluate(model)
    x = np.concatenate([batch["x"].numpy() for batch in recipe.loader("test").epoch(0)])
    np.testing.assert_allclose(figures["test_log_prob_logits"]["value"],
                               model.log_prob_of_logits(mg.tensor(x)).numpy().mean(), rtol=1e-5)
    np.testing.assert_allclose(figures["test_bits_per_dim"]["value"],
                               8 - model.log_prob(mg.tensor(x)).numpy().mean() / (784 * np.log(2)), rtol=1e-5)
    assert {t.metric for t in recipe.targets} <= set(figures)
