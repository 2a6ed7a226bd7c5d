"""check.causality: dependency structures read off, and every kind of leak."""
import numpy as np
import pytest

import minigen as mg
from minigen import check

pytestmark = pytest.mark.usefixtures("backend")
D = 6
rng = np.random.default_rng(0)
M, X = rng.uniform(0.5, 1.5, (D, D)) * rng.choice([-1, 1], (D, D)), rng.standard_normal((3, D))
STRICT = np.tril(np.ones((D, D)), -1)


def masked(mask):
    return lambda x: mg.tanh(x @ mg.tensor((mask * M).T))


def kind(report):
    return report.findings[0].diagnosis.kind


def test_a_causal_model():
    report = check.causality(masked(STRICT), X)
    assert report.ok and report.values["used of the allowed dependencies"] == "15 of 15"
    assert "■■■■■·" in str(report) and "✗" not in str(report) and report.pictures[0][0] == "map"


def test_any_order():
    order = rng.permutation(D)
    mask = np.zeros((D, D))
    mask[np.ix_(order, order)] = STRICT
    assert check.causality(masked(mask), X, order).ok
    assert not check.causality(masked(mask), X).ok


@pytest.mark.parametrize("mask, expected, words", [
    (np.tril(np.ones((D, D))), "own-input", "every output sees its own input"),
                                                   (STRICT + np.diag([0, 0, 1, 0, 0, 0]), "own-input",
                                                    "outputs [2] see"),
    (np.tril(np.ones((D, D)), 1), "look-ahead", "1 step ahead"),
                                                   (np.tril(np.ones((D, D)), 2), "look-ahead", "2 steps ahead"),
                                                   (STRICT.T, "reversed", "the wrong way"),
    (np.ones((D, D)), "no-mask", "nothing is masked"),
    (STRICT + np.outer(np.eye(D)[1], np.eye(D)[5]), "look-ahead", "output 1 sees input 5")])
def test_leaks(mask, expected, words):
    report = check.causality(masked(mask), X)
    assert kind(report) == expected and words in report.findings[0].diagnosis.text
    assert "✗" in str(report)
    whole = check.causality(masked(mask),
                            (X > 0).astype(int))                       # the same by changing whole numbers
    assert kind(whole) == expected


def test_images_and_several_parameters_per_entry():
    W = mg.tensor(np.tril(rng.standard_normal((D, D)), -1).T)

    def logits(x):
        h = x.reshape((len(x), D)) @ W
        return mg.stack([h, mg.sin(h)], axis=-1).reshape((len(x), 2, 3, 1, 2))

    assert check.causality(logits, X.reshape(3, 2, 3, 1)).ok


def test_blind_spots_are_mentioned_and_are_no_mistake():
    report = check.causality(masked(STRICT - np.outer(np.eye(D)[5], np.eye(D)[1])), X)
    assert report.ok and "output 5 never sees input 1" in report.notes[0]


def test_examples_that_see_each_other():
    report = check.causality(lambda x: masked(STRICT)(x - x.mean(axis=0)), X)
    assert [finding.diagnosis.kind for finding in report.findings] == ["crosstalk"]
    report = check.causality(lambda x: masked(STRICT)(x + x.sum(axis=0)), (X > 0).astype(int))
    assert "crosstalk" in [finding.diagnosis.kind for finding in report.findings]


@pytest.mark.parametrize("run, kind, message", [
    (lambda: check.causality(masked(STRICT), X[0]), ValueError, r"must hold a batch of examples"),
                                                (lambda: check.causality(lambda x: 1.0, X), TypeError,
                                                 "must return a Tensor"),
    (lambda: check.causality(lambda x: x[:, :5], X), ValueError, "not aligned with the inputs"),
                                                (lambda: check.causality(masked(STRICT), X, [0, 1, 1]), ValueError,
                                                 "permutation of 0…5"),
    (lambda: check.causality(lambda x: x, np.zeros((1, 5000))), ValueError, "5000 entries")])
def test_misuse(run, kind, message):
    with pytest.raises(kind, match=message):
        run()
