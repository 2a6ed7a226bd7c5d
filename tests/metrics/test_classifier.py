"""The classifier in the package: its accuracy on digits it has not seen, and its features.

The test on the whole of MNIST looks for its IDX files where MINIGEN_DATA says, else in a folder ``shared/data`` beside
the repository.
"""
import os
import pathlib

import numpy as np
import pytest

import minigen as mg
from minigen import data
from minigen.metrics import DigitClassifier, classifier, digit_classifier, digit_features
from minigen.recipes.metrics import shifted

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
REAL = pathlib.Path(os.environ.get("MINIGEN_DATA") or REPOSITORY / "../shared/data")
needs_mnist = pytest.mark.skipif(not [*REAL.glob("t10k-images-idx3*"), *REAL.glob("mnist/t10k-images-idx3*")],
                                 reason="needs MNIST's IDX files: set MINIGEN_DATA")


def accuracy(dataset):
    """Share of the digits that the classifier in the package reads as they are labelled."""
    _, logits = digit_features(data.to_unit(dataset["x"]))
    return np.mean(logits.argmax(axis=1) == dataset["y"])


def test_accuracy_on_the_bundled_test_digits():
    """The floor is what the project promises; the weights in the package do better."""
    assert accuracy(data.digits("test")) >= 0.99


@needs_mnist
def test_accuracy_on_the_whole_test_set():
    assert accuracy(data.mnist("test", root=REAL)) >= 0.99


def test_features_are_in_standard_deviations_of_the_training_data():
    """Mean 0 and standard deviation 1 over training digits with the shifts of training, to 0.15: of 5,000 digits a mean
    is known to 0.014 (five of them: 0.07), and the running averages of batch norm lag a little behind the weights."""
    x = shifted(data.digits("train")["x"][::2], np.random.default_rng(0))
    features, _ = digit_features(data.to_unit(x))
    assert features.shape == (5000, DigitClassifier.feature_count)
    assert np.abs(features.mean(axis=0)).max() < 0.15 and np.abs(features.std(axis=0) - 1).max() < 0.15
    assert np.linalg.matrix_rank(np.cov(features.T)) == DigitClassifier.feature_count


def test_the_file_holds_arrays_alone():
    assert classifier.WEIGHTS.stat().st_size < 600_000
    with np.load(classifier.WEIGHTS, allow_pickle=False) as arrays:
        shapes = {name: arrays[name].shape for name in arrays}
    assert shapes == {name: array.shape for name, array in DigitClassifier(rng=0).state_dict().items()}


def test_a_measuring_instrument_does_not_learn(backend):
    model = digit_classifier()
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    x = mg.zeros((3, 28, 28, 1))
    before = model.state_dict()
    logits = model(x)
    assert logits.backend.name == backend and logits.shape == (3, 10)
    np.testing.assert_allclose(logits.numpy(), model.classify(model.features(x)).numpy())
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_an_image_is_measured_alone(backend):
    """Its features do not depend on the batch around it."""
    x = mg.tensor(data.to_unit(data.digits("test")["x"][:8]))
    model = digit_classifier()
    np.testing.assert_allclose(model.features(x).numpy()[:3], model.features(x[:3]).numpy(), rtol=1e-4, atol=1e-5)


def test_gradients_flow_to_the_image():
    """As guidance by a classifier wants."""
    x = mg.tensor(data.to_unit(data.digits("test")["x"][:2]), requires_grad=True)
    g = mg.grad(digit_classifier()(x).sum(), x)
    assert g.shape == x.shape and np.abs(g.numpy()).max() > 0


def test_bad_input_is_told(backend, monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"DigitClassifier: wants images \(N, 28, 28, 1\), got shape \(2, 28, 28\)"):
        digit_classifier()(mg.zeros((2, 28, 28)))
    monkeypatch.setattr(classifier, "WEIGHTS", tmp_path / "digit_classifier.npz")
    with pytest.raises(FileNotFoundError, match="digit_classifier.npz is missing: the installation is damaged"):
        digit_classifier()
