"""The recipes of diffusion: their networks, a few steps on few digits, what they measure, and the average they keep."""
import dataclasses

import numpy as np
import pytest

import minigen as mg
from minigen import data, recipes
from minigen.models.diffusion import DDPM
from minigen.recipes import diffusion


def test_pixels_go_to_minus_one_and_one_and_back():
    x = np.array([0, 51, 255], np.uint8)
    np.testing.assert_allclose(diffusion.to_signed(x), [-1, -0.6, 1], rtol=1e-6)
    np.testing.assert_allclose(diffusion.shown(diffusion.to_signed(x)), x / 255, atol=1e-7)
    assert diffusion.shown(mg.tensor([-3.0, 3.0])).tolist() == [0, 1]


@pytest.mark.parametrize("name, parameters", [("ddpm", 155_972), ("ddpm-mnist", 343_976)])
def test_the_networks_know_ten_classes_and_none(name, parameters):
    model = recipes.get(name).build(mg.random.default_rng(0))
    assert sum(p.size for p in model.parameters()) == parameters and model.network.no_label == model.classes == 10
    x, rng = mg.tensor(diffusion.to_signed(data.digits("test")["x"][:2])), mg.random.default_rng(0)
    terms = model.losses(x, [3, 4], rng=rng)
    assert all(np.isfinite(term.numpy()).all() for term in terms.values())
    assert set(terms) == ({"simple"} if name == "ddpm" else {"simple", "bound"})


def test_it_trains_measures_and_opens_with_the_average(tmp_path):
    """Two steps on 40 digits with 8 times t."""
    recipe = dataclasses.replace(diffusion.SMOKE, dataset=lambda split, folder: data.digits(split)[:40], batch_size=20)
    trainer = recipe.trainer(tmp_path, progress=False)
    trainer.run(2)
    run = recipes.open_run(tmp_path)
    parameters = run.model.state_dict()
    assert all(np.array_equal(trainer.ema.mean[name], parameters[name]) for name in trainer.ema.mean)
    assert any(not np.array_equal(array, parameters[name]) for name, array in trainer.model.state_dict().items())
    with pytest.warns(UserWarning):                                             # fewer images than features
        figures = recipe.evaluate(trainer.model)
    assert {"digit_fid", "digit_kid", "digit_precision", "digit_recall", "test_bits_per_dim"} <= set(figures)
    assert all(np.isfinite(figure["value"]) for figure in figures.values())


def test_the_picture_of_samples_is_in_grey_levels(tmp_path):
    model = diffusion.SMOKE.build(mg.random.default_rng(0))
    assert isinstance(model, DDPM)
    diffusion.draw(model.sample(4, rng=mg.random.default_rng(0)), tmp_path / "samples.png", title="four")
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")
