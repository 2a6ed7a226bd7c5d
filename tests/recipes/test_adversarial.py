"""The recipe of the DCGAN: its network, a few steps on few digits, and what it measures."""
import dataclasses

import numpy as np

import minigen as mg
from minigen import data, recipes
from minigen.recipes.evaluation import validate_digits


def small():
    """The recipe with 100 of the bundled digits."""
    return dataclasses.replace(recipes.get("dcgan-mnist"), dataset=lambda split, folder: data.digits(split)[:100],
                               batch_size=20)


def test_it_is_the_dcgan_of_width_64():
    recipe = recipes.get("dcgan-mnist")
    model = recipe.build(mg.random.default_rng(0))
    assert sum(p.size for p in model.parameters()) == 672_578
    rates = {name: make(list(getattr(model, name).parameters())).rate() for name, make in recipe.optimizer.items()}
    assert rates == {"discriminator": 3e-4, "generator": 1.2e-3}


def test_it_trains_validates_by_fid_and_measures_digits(tmp_path):
    recipe = small()
    trainer = recipe.trainer(tmp_path / "run", progress=False,
                             validate=lambda model: validate_digits(model, samples=100))
    last = trainer.run(2)
    assert np.isfinite(last["validation/digit_fid"]) and "generator/loss" in last
    run = recipes.open_run(tmp_path / "run")
    figures = recipe.evaluate(run.model)
    assert {"digit_fid", "digit_kid", "digit_precision", "digit_recall"} <= set(figures)
    assert all(np.isfinite(figure["value"]) for figure in figures.values())
    samples = run.model.sample(3, rng=mg.random.default_rng(0)).numpy()
    assert samples.shape == (3, 28, 28, 1) and 0 <= samples.min() and samples.max() <= 1


def test_validation_is_by_digit_fid_unless_told_otherwise():
    assert recipes.get("dcgan-mnist").training["validate"] is validate_digits
