"""The face that every model has."""
import math

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.models.base import GenerativeModel, Objective

pytestmark = pytest.mark.usefixtures("backend")


class Location(GenerativeModel):
    """N(μ, 1) in one dimension, fitted by its log-density."""

    def __init__(self):
        self.mu = nn.Parameter(mg.zeros((1,)))

    def log_prob(self, x):
        return mg.sum(-0.5 * (x - self.mu) ** 2 - 0.5 * math.log(2 * math.pi), axis=-1)

    def objectives(self):
        def loss(batch, rng):
            return {"loss": -mg.mean(self.log_prob(batch["x"]))}
        return [Objective("likelihood", self.parameters(), loss)]

    def sample(self, n, *, rng, labels=None):
        return self.mu + rng.standard_normal((n, 1))


def test_the_manual_loop_of_the_docstring():
    model = Location()
    objective, = model.objectives()
    batch = {"x": mg.tensor(np.float32([[1.0], [3.0]]))}
    for _ in range(20):
        terms = objective.loss(batch, mg.random.default_rng(0))
        gradient, = mg.grad(terms["loss"], objective.parameters)
        with mg.no_grad():
            model.mu[...] = model.mu - 0.5 * gradient
    assert model.mu.item() == pytest.approx(2.0, abs=1e-4)
    assert model.sample(5, rng=mg.random.default_rng(1)).shape == (5, 1)


def test_scores_that_a_family_lacks_say_what_it_has():
    model = Location()
    assert model.scores() == ["log_prob"] and GenerativeModel.scores() == []
    with pytest.raises(NotImplementedError, match=r"Location has no elbo\(\) .* it has log_prob\(\) \(exact, nats\)"):
        model.elbo(None, rng=None)
    with pytest.raises(NotImplementedError, match="Location has no energy"):
        model.energy(None)

    class Implicit(GenerativeModel):
        pass

    with pytest.raises(NotImplementedError, match=r"Implicit has no log_prob\(\).*; it has samples only"):
        Implicit().log_prob(None)
    with pytest.raises(NotImplementedError, match=r"must define objectives\(\)"):
        Implicit().objectives()
    with pytest.raises(NotImplementedError, match="must define sample"):
        Implicit().sample(3, rng=None)


def test_objective():
    p = nn.Parameter(mg.zeros((1,)))
    objective = Objective("critic", iter([p]), lambda batch, rng: {}, every=5, after=print)
    assert objective.parameters == [p] and objective.every == 5 and objective.after is print
    for arguments, kind, message in [(("", [p], print), ValueError, "name must be a string that is not empty"),
                                     (("a", [], print), ValueError, "'a': got no parameters"),
                                     (("a", [3], print), TypeError, "must be Tensors, got a int"),
                                     (("a", [p], print, 0), ValueError, "every must be an integer ≥ 1, got 0")]:
        with pytest.raises(kind, match=message):
            Objective(*arguments)
