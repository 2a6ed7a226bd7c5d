"""Recipes of pixel models.

Published figures are for the fixed binarisation of MNIST that was drawn in 2011 and is distributed as files; ours is
our own draw (`minigen.data.binarise_once`), comparable in distribution.
"""
import numpy as np

import minigen as mg
from minigen import data
from minigen.models.autoregressive import GatedPixelCNN, PixelRNN
from minigen.recipes.evaluation import evaluate_log_prob, progress
from minigen.recipes.recipe import Recipe, Target
from minigen.recipes.sets import bundled_digits, fixed_mnist
from minigen.training import Adam, schedules

PAPER = "van den Oord et al. 2016, arXiv:1601.06759, Table 4"
UNIT = data.on(x=data.to_unit)                    # images of 0 and 255 become bits


def black_and_white(split, folder):
    """Digits whose pixels are black below the middle grey and white from there on, 0 and 255."""
    digits = bundled_digits(split, folder)
    return data.Dataset({"x": np.where(digits["x"] < 128, np.uint8(0), np.uint8(255)), "y": digits["y"]})


def small_black_and_white(split, folder):
    """The same at half the size, 14 × 14: blocks of 2 × 2 averaged first."""
    digits = bundled_digits(split, folder)
    x = digits["x"].reshape(-1, 14, 2, 14, 2, 1).mean(axis=(2, 4))                          # (N, 14, 14, 1)
    return data.Dataset({"x": np.where(x < 100, np.uint8(0), np.uint8(255)), "y": digits["y"]})


def evaluate_conditional(model, loader, rng):
    """An evaluation: the mean of −log p(x | label), exact."""
    with mg.no_grad():
        parts = [model.log_prob(batch["x"], batch["y"]).numpy() for batch in progress(loader, "evaluating")]
    return {"test_nll": (-float(np.concatenate(parts).mean(dtype=np.float64)), "nats")}


def _pixelrnn(kind, steps):
    return Recipe(
        name=f"pixelrnn-{kind}", summary=f"PixelRNN, {kind} LSTM, on the bundled digits at 14 × 14; about a minute",
        build=lambda rng: PixelRNN((14, 14, 1), kind, hidden=24, layers=2, rng=rng),
        optimizer=lambda parameters: Adam(parameters, lr=schedules.cosine(4e-3, steps)),
        dataset=small_black_and_white, transform=UNIT, test_transform=UNIT, evaluate_model=evaluate_log_prob,
        batch_size=16, steps=steps)


RECIPES = (
    Recipe(
        name="pixelcnn", summary="gated PixelCNN given the class, on the bundled digits in black and white",
        build=lambda rng: GatedPixelCNN(features=16, layers=5, kernel=5, classes=10, head_width=32, places=True,
                                        rng=rng),
        optimizer=lambda parameters: Adam(parameters, lr=schedules.cosine(4e-3, 700)),
        dataset=black_and_white, transform=UNIT, test_transform=UNIT, evaluate_model=evaluate_conditional,
        batch_size=16, steps=700),
    _pixelrnn("row", 900), _pixelrnn("diagonal", 600),
    Recipe(
        name="pixelcnn-mnist", summary="gated PixelCNN on full MNIST with one fixed binarisation",
        build=lambda rng: GatedPixelCNN(features=24, layers=6, kernel=5, head_width=64, places=True, rng=rng),
        optimizer=lambda parameters: Adam(parameters, lr=schedules.cosine(3e-3, 9000)),
        dataset=fixed_mnist, transform=UNIT, test_transform=UNIT, evaluate_model=evaluate_log_prob,
        batch_size=16, steps=9000, targets=(Target("test_nll", 81.30, "nats", PAPER + ", PixelCNN"),
                                            Target("test_nll", 79.20, "nats", PAPER + ", Diagonal BiLSTM"))),
)
