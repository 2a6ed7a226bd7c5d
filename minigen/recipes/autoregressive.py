"""Recipes of fully connected autoregressive models.

Published figures are for the fixed binarisation of MNIST that was drawn in 2011 and is distributed as files; ours is
our own draw (`minigen.data.binarise_once`), comparable in distribution. For NADE with images binarised afresh in each
epoch, which is more data, EugenHotaj/pytorch-generative reports 85.65.
"""
from minigen import data
from minigen.models.autoregressive import FVSBN, MADE, NADE
from minigen.recipes.evaluation import evaluate_log_prob
from minigen.recipes.recipe import Recipe, Target
from minigen.recipes.sets import fixed_mnist
from minigen.training import SGD, Adam, schedules

NADE_PAPER = "Uria et al. 2016, arXiv:1605.02226, fixed binarisation"
UNIT = data.on(x=data.to_unit)                    # images of 0 and 255 become bits
RECIPES = (
    Recipe(
        name="fvsbn-mnist", summary="FVSBN (logistic autoregression) on full MNIST with one fixed binarisation",
        build=lambda rng: FVSBN(l2=1 / (60_000 * 0.3 ** 2), rng=rng),   # the prior N(0, 0.3²) on each weight
        optimizer=lambda parameters: SGD(parameters, lr=schedules.cosine(0.1, 12_000), momentum=0.9),
        dataset=fixed_mnist, transform=UNIT, test_transform=UNIT, evaluate_model=evaluate_log_prob,
        batch_size=100, steps=12_000, targets=(Target("test_nll", 97.45, "nats", NADE_PAPER),)),
    Recipe(
        name="made-mnist", summary="MADE, 500 units, one mask, on full MNIST with one fixed binarisation",
        build=lambda rng: MADE(hidden=(500,), order="random", l2=1e-4, rng=rng),
        optimizer=lambda parameters: Adam(parameters, lr=schedules.cosine(1e-3, 30_000)),
        dataset=fixed_mnist, transform=UNIT, test_transform=UNIT, evaluate_model=evaluate_log_prob,
        batch_size=100, steps=30_000,
        targets=(Target("test_nll", 94.5, "nats", "karpathy/pytorch-made, 500 units, one mask, fixed binarisation"),)),
    Recipe(
        name="nade-mnist", summary="NADE, 500 units, on full MNIST with one fixed binarisation",
        build=lambda rng: NADE(hidden=500, rng=rng),
        optimizer=lambda parameters: Adam(parameters, lr=schedules.cosine(1e-3, 18_000)),
        dataset=fixed_mnist, transform=UNIT, test_transform=UNIT, evaluate_model=evaluate_log_prob,
        batch_size=100, steps=18_000,
        targets=(Target("test_nll", 88.33, "nats", NADE_PAPER),)),
)
