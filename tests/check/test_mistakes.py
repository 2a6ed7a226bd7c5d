"""Planting mistakes in a backward pass: each must reproduce what a person who makes that mistake gets."""
import numpy as np
import pytest

import minigen as mg
from minigen.check import mistakes
from minigen.check.subject import Subject

pytestmark = pytest.mark.usefixtures("backend")
x = np.array([0.5, 1.0, 2.0, -0.3])


def outcomes(f, *point):
    """(kind, gradient of the first input) of all trials."""
    subject = Subject("test", f, point)
    graph = mistakes.record(subject, np.ones(subject.shape))
    gradient = subject.gradients(np.ones(subject.shape))[0]
    return [(d.kind, wrong) for d, wrong in mistakes.trials(graph, 0, gradient)]


def reproduces(f, wrong, kind, *point):
    return any(k == kind and g.shape == wrong.shape and np.allclose(g, wrong) for k, g in outcomes(f, *point))


def test_the_slips_of_one_op():
    f = lambda x: (mg.tanh(x) * 3).sum()
    assert reproduces(f, np.full(4, 3.0), "chain-factor", x)
    assert reproduces(f, np.roll(3 * (1 - np.tanh(x) ** 2), 1), "shift", x)
    assert reproduces(lambda x: (mg.exp(x)).sum(), np.exp(2 * x), "chain-factor", x)


def test_the_slips_of_a_sum_of_paths():
    f = lambda x: (mg.sin(x) * mg.cos(x)).sum()
    for wrong, kind in ((np.cos(x) ** 2, "missing-term"), (np.cos(x) ** 2 + np.sin(x) ** 2, "term-sign"),
                        (2 * np.cos(x) ** 2 - np.sin(x) ** 2, "term-factor"),
                        (0.5 * np.cos(x) ** 2 - np.sin(x) ** 2, "term-factor")):
        assert reproduces(f, wrong, kind, x)


def test_two_paths_forgotten_together():
    f = lambda x: (x * mg.exp(x) * mg.sin(x)).sum()
    assert reproduces(f, mg.exp(x).numpy() * np.sin(x), "missing-term", x)


def test_matrices_that_should_have_been_transposed():
    W, X = np.random.default_rng(0).standard_normal((2, 3, 3))
    assert reproduces(lambda X: (X @ mg.tensor(W)).sum(), np.ones((3, 3)) @ W, "transpose", X)
    assert reproduces(lambda W: (mg.tensor(X) @ W)[0].sum(), (X @ np.eye(3)[:, :1] @ np.ones((1, 3))), "transpose", W)


def test_a_sum_over_the_wrong_axis():
    g = np.random.default_rng(0).standard_normal((4, 4))
    f = lambda b: (mg.tensor(g) * (mg.zeros((4, 4), dtype="float64") + b)).sum()
    assert reproduces(f, g.sum(axis=1), "wrong-axis", x)


def test_lengths_kinds_and_limits():
    subject = Subject("test", lambda x: (mg.zeros((7, 4), dtype="float64") + x).mean(), (x,))
    graph = mistakes.record(subject, np.ones(()))
    assert mistakes.axis_lengths(graph)[7].startswith("the length of axis 0") and mistakes.axis_lengths(None) == {}
    assert list(mistakes.trials(None, 0, x)) == []
    long = Subject("test", lambda x: sum((x * float(i)).sum() for i in range(200)), (x,))
    assert mistakes.record(long, np.ones(())) is None
    infinite = Subject("test", lambda x: mg.exp(-mg.tensor([np.inf, 1.0, 1.0, 1.0]) * x).sum(), (np.abs(x),))
    assert mistakes.record(infinite, np.ones(())) is None
    assert list(mistakes.trials(mistakes.record(Subject("test", lambda x: mg.ones(3, dtype="float64"), (x,)),
                                                np.ones(3)), 0, 0 * x)) == []
