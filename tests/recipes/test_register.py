"""Recipes: what is in the register, and that a run can be repeated, resumed, opened and measured."""
import dataclasses
import io
import sys

import numpy as np
import pytest

import minigen as mg
from minigen import data, recipes
from minigen.recipes import sets
from minigen.training import Adam, Trainer


def small(name="vae", examples=256, samples=2):
    """A recipe as it is, but with few images and few importance samples."""
    full = recipes.get(name)
    return dataclasses.replace(full, dataset=lambda split, folder: full.dataset(split, folder)[:examples],
                               batch_size=64, evaluate_model=recipes.evaluate_bounds(samples))


@pytest.fixture(autouse=True)
def small_register(monkeypatch):
    monkeypatch.setattr(recipes, "_ALL", (small("vae"), small("vae-mnist")))


@pytest.fixture(scope="session")
def mnist_folder(tmp_path_factory):
    """A folder with a tiny set in MNIST's files: digits of the package."""
    folder = tmp_path_factory.mktemp("mnist")
    for split, prefix in (("train", "train"), ("test", "t10k")):
        digits = data.digits(split)[:100]
        data.write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", digits["x"][..., 0])
        data.write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", digits["y"].astype(np.uint8))
    return folder


def train(out=None, steps=4, seed=0, **settings):
    trainer = recipes.get("vae").trainer(out, seed, progress=False, **settings)
    trainer.run(steps)
    return trainer


def parameters(model):
    return np.concatenate([array.ravel() for array in model.state_dict().values()])


# ---- the register ----------------------------------------------------------------------------------------------------
def test_names_are_unique_and_known():
    assert recipes.names() == ["vae", "vae-mnist"]
    assert all(recipes.get(name).name == name for name in recipes.names())


@pytest.mark.parametrize("wrong, message", [
    ("vea", "no recipe is called 'vea'; did you mean 'vae'\\? Known: vae, vae-mnist"),
    ("vae-minst", "did you mean 'vae-mnist'"),
    ("zzz", "no recipe is called 'zzz' Known: vae"),
    (None, "no recipe is called None"),
])
def test_a_bad_name_suggests_the_nearest(wrong, message):
    with pytest.raises(ValueError, match=message):
        recipes.get(wrong)


def test_vae_mnist_is_the_published_protocol():
    recipe = recipes.get("vae-mnist")
    model = recipe.build(mg.random.default_rng(0))
    assert recipe.steps == 30_000 and model.latents == 128
    assert [p.shape for p in model.encoder.parameters() if p.ndim == 2] == [(784, 256), (256, 256), (256, 256)]
    assert {t.metric: t.value for t in recipe.targets} == {"test_elbo": -106.64, "test_iwae_1000": -100.31}
    assert all(t.unit == "nats" and t.source for t in recipe.targets)


# ---- data ------------------------------------------------------------------------------------------------------------
def test_training_images_are_binarised_afresh_and_test_images_once():
    recipe = recipes.get("vae")
    images = [[next(iter(recipe.loader(split).epoch(k)))["x"].numpy() for k in (0, 1)] for split in ("train", "test")]
    assert all(set(np.unique(x)) == {0, 1} for pair in images for x in pair)
    assert not np.array_equal(*images[0]) and np.array_equal(*images[1])


def test_a_folder_replaces_the_bundled_digits(mnist_folder):
    for name in recipes.names():
        assert len(recipes.get(name).dataset("train", mnist_folder)) == 100
    one, two = (sets.fixed_mnist("train", mnist_folder)["x"] for _ in range(2))
    assert set(np.unique(one)) == {0, 255} and np.array_equal(one, two)


# ---- runs ------------------------------------------------------------------------------------------------------------
def test_same_seed_same_bits_and_another_seed_other_bits():
    first, again, other = train(), train(), train(seed=1)
    assert np.array_equal(parameters(first.model), parameters(again.model))
    assert not np.array_equal(parameters(first.model), parameters(other.model))


def test_a_run_in_two_parts_ends_with_the_same_bits(tmp_path):
    train(tmp_path / "parts", steps=3)
    second = train(tmp_path / "parts", steps=7, existing="resume")
    assert np.array_equal(parameters(second.model), parameters(train(tmp_path / "whole", steps=7).model))


def test_open_run_gives_back_what_was_trained(tmp_path):
    trainer = train(tmp_path, seed=3)
    run = recipes.open_run(tmp_path)
    assert (run.recipe.name, run.seed, run.step, run.folder) == ("vae", 3, 4, None)
    assert np.array_equal(parameters(run.model), parameters(trainer.model)) and not run.model.training
    assert run.seconds > 0


def test_the_folder_of_the_data_is_kept(tmp_path, mnist_folder):
    train(tmp_path, steps=1, folder=mnist_folder)
    assert recipes.open_run(tmp_path).folder == str(mnist_folder.resolve())


def test_a_run_of_another_recipe_is_not_resumed(tmp_path):
    train(tmp_path, steps=1)
    with pytest.raises(ValueError, match="holds a run of 'vae', not of 'vae-mnist'; choose another folder"):
        recipes.get("vae-mnist").trainer(tmp_path, existing="resume")


def test_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no run in .*: it has no checkpoint.mgc; train one with"):
        recipes.open_run(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere: it is no folder"):
        recipes.open_run(tmp_path / "nowhere")


def test_a_run_without_a_recipe(tmp_path):
    recipe = recipes.get("vae")
    model = recipe.build(mg.random.default_rng(0))
    Trainer(model, Adam(list(model.parameters())), recipe.loader(), out=tmp_path, progress=False).run(1)
    for use in (lambda: recipes.open_run(tmp_path), lambda: recipe.trainer(tmp_path, existing="resume")):
        with pytest.raises(ValueError, match="was not made by a recipe"):
            use()


# ---- evaluation ------------------------------------------------------------------------------------------------------
def test_evaluation_equals_the_bounds_by_hand():
    recipe = recipes.get("vae")
    model = recipe.build(mg.random.default_rng(0)).eval()
    figures = recipe.evaluate(model, seed=5)
    rng, elbo, rate, iwae = mg.random.default_rng(5), [], [], []
    for batch in recipe.loader("test").epoch(0):
        distortion, kl = model.terms(batch["x"], rng=rng)
        elbo += (-distortion - kl).numpy().tolist()
        rate += kl.numpy().tolist()
        iwae += model.iwae(batch["x"], 2, rng=rng).numpy().tolist()
    assert list(figures) == ["test_elbo", "test_rate", "test_iwae_2"] and len(elbo) == 256
    for name, values in (("test_elbo", elbo), ("test_rate", rate), ("test_iwae_2", iwae)):
        assert figures[name] == {"value": pytest.approx(np.mean(values), rel=1e-6), "unit": "nats"}
    assert figures == recipe.evaluate(model, seed=5) != recipe.evaluate(model, seed=6)


# ---- progress --------------------------------------------------------------------------------------------------------
class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_does_not_flood_a_log_file(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    assert list(recipes.progress(range(20_000), "counting")) == list(range(20_000))
    assert log.getvalue().count("counting") <= 2 and capsys.readouterr().out == ""


def test_progress_is_live_on_a_terminal(monkeypatch):
    for stream, interval in ((Terminal(), 0.1), (io.StringIO(), 10)):
        monkeypatch.setattr(sys, "stderr", stream)
        bar = recipes.progress(range(3), "counting")
        assert bar.mininterval == interval
        bar.close()
