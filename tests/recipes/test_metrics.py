"""The recipe of the digit classifier: its data, its augmentation, that it learns, and what it reports."""
import dataclasses

import numpy as np
import pytest

import minigen as mg
from minigen import data, recipes
from minigen.metrics import DigitClassifier
from minigen.recipes.metrics import SHIFT, shifted

RECIPE = recipes.get("digit-classifier")


def tiny(steps=30):
    """The recipe on 640 of the bundled digits."""
    return dataclasses.replace(RECIPE, dataset=lambda split, folder: data.digits(split)[:640], batch_size=32,
                               steps=steps)


@pytest.fixture(scope="module")
def trainer():
    recipe = tiny()
    trainer = recipe.trainer(seed=0, progress=False, log_every=10, validate_every=recipe.steps)
    trainer.run(recipe.steps)
    return trainer


def test_shifts_move_images_whole():
    """One bright pixel moves by up to two in each direction, by every amount, and nothing else appears."""
    x = np.zeros((500, 28, 28, 1), np.uint8)
    x[:, 14, 14] = 200
    y = shifted(x, np.random.default_rng(0))
    assert y.shape == x.shape and y.dtype == np.uint8 and (y.sum(axis=(1, 2, 3)) == 200).all()
    _, rows, columns, _ = np.nonzero(y)
    moves = set(zip(rows - 14, columns - 14))
    assert moves == {(i, j) for i in range(-SHIFT, SHIFT + 1) for j in range(-SHIFT, SHIFT + 1)}
    for image, row, column in zip(y[:5], rows, columns):
        np.testing.assert_array_equal(np.roll(x[0], (row - 14, column - 14), axis=(0, 1)), image)


def test_training_images_are_shifted_and_test_images_are_not():
    train, test = (next(iter(tiny().loader(split).epoch(0))) for split in ("train", "test"))
    assert train["x"].shape == test["x"].shape == (32, 28, 28, 1)
    np.testing.assert_array_equal(test["x"].numpy(), data.to_unit(data.digits("test")["x"][:32]))
    assert 0 <= float(train["x"].min()) and float(train["x"].max()) <= 1


def test_it_learns(trainer):
    """30 steps on 640 digits: from log 10 = 2.3 nats and 10 % to far better in the last ten."""
    first, last = trainer.history[0], trainer.history[-1]
    assert last["loss"] < 0.7 * first["loss"] and last["accuracy"] > 0.6


def test_evaluation_counts_the_test_set(trainer):
    """Against the whole test set at once; the running averages of batch norm are still young here."""
    figures, test = tiny().evaluate(trainer.model.eval()), data.digits("test")[:640]
    logits = trainer.model(mg.tensor(data.to_unit(test["x"]))).numpy()
    correct = logits.argmax(axis=1) == test["y"]
    assert figures["test_accuracy"] == {"value": pytest.approx(100 * correct.mean()), "unit": "% of images"}
    assert figures["test_cross_entropy"] == {"value": pytest.approx(trainer.history[-1]["validation/loss"], rel=1e-4),
                                             "unit": "nats"}
    assert figures["test_accuracy"]["value"] == pytest.approx(100 * trainer.history[-1]["validation/accuracy"])


def test_its_weights_fit_the_classifier_of_the_package(trainer):
    model = DigitClassifier(rng=1)
    model.load_state_dict(trainer.model.state_dict())
    x = mg.tensor(data.to_unit(data.digits("test")["x"][:4]))
    np.testing.assert_array_equal(model.eval()(x).numpy(), trainer.model.eval()(x).numpy())


def test_a_classifier_draws_no_digits(trainer):
    with pytest.raises(NotImplementedError, match="tells digits apart and draws none"):
        trainer.model.sample(3, rng=mg.random.default_rng(0))


def test_the_folder_is_mnist(tmp_path):
    with pytest.raises(data.DataError, match="holds no pair train-images"):
        RECIPE.loader("train", tmp_path)
    assert RECIPE.targets[0].value == 99.2 and RECIPE.targets[0].unit == "% of images"
