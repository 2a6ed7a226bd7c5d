"""The recipe of the classifier whose features the metrics compare (`minigen.metrics.classifier`).

The weights in the package are this recipe's, seed 0; ``docs/make_digit_classifier.py`` trains and writes them.
"""
import numpy as np

import minigen as mg
from minigen import data
from minigen.metrics.classifier import DigitClassifier
from minigen.models.base import Objective
from minigen.recipes.evaluation import progress
from minigen.recipes.recipe import Recipe, Target
from minigen.training import Adam, schedules

STEPS, SHIFT = 6000, 2
LECUN = "LeCun, Bottou, Bengio and Haffner 1998, LeNet-5 trained on distorted digits: 0.8 % errors"


class TrainableClassifier(DigitClassifier):
    """`DigitClassifier` with the objective that trains it."""

    def objectives(self):
        """One: minimise the cross-entropy −log p(y|x), nats per image."""
        def loss(batch, rng):
            logits = self(batch["x"])
            correct = mg.argmax(logits, axis=-1).numpy() == batch["y"].numpy()
            return {"loss": mg.cross_entropy(logits, batch["y"], "mean"), "accuracy": float(correct.mean())}

        return [Objective("cross_entropy", list(self.parameters()), loss)]

    def sample(self, n, *, rng, labels=None):
        """A classifier has none: NotImplementedError."""
        raise NotImplementedError("digit-classifier: it tells digits apart and draws none; sample a generative model")


def shifted(x, rng):
    """Each image moved by up to ``SHIFT`` pixels in either direction, zeros moving in: uint8 (N, H, W, C) alike."""
    N, H, W, _ = x.shape
    padded = np.pad(x, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    top, left = rng.integers(0, 2 * SHIFT + 1, (2, N, 1))
    rows, columns = top + np.arange(H), left + np.arange(W)                                # (N, H), (N, W)
    return padded[np.arange(N)[:, None, None], rows[:, :, None], columns[:, None, :]]


def evaluate_classifier(model, loader, rng):
    """Accuracy and cross-entropy on the test set."""
    logits, labels = [], []
    with mg.no_grad():
        for batch in progress(loader, "evaluating"):
            logits.append(model(batch["x"]).numpy())
            labels.append(batch["y"].numpy())
    logits, labels = np.concatenate(logits), np.concatenate(labels)
    nats = mg.cross_entropy(mg.tensor(logits), mg.tensor(labels), "mean")
    return {"test_accuracy": (100 * float((logits.argmax(axis=1) == labels).mean()), "% of images"),
            "test_cross_entropy": (float(nats), "nats")}


RECIPES = (
    Recipe(
        name="digit-classifier", summary="the classifier behind the digit metrics, on full MNIST with small shifts",
        build=lambda rng: TrainableClassifier(rng=rng),
        optimizer=lambda parameters: Adam(parameters, lr=schedules.cosine(2e-3, STEPS)),
        dataset=lambda split, folder: data.mnist(split, root=folder),
        transform=data.on(x=lambda x, rng: data.to_unit(shifted(x, rng))), test_transform=data.on(x=data.to_unit),
        evaluate_model=evaluate_classifier, batch_size=128, steps=STEPS,
        targets=(Target("test_accuracy", 99.2, "% of images", LECUN),)),
)
