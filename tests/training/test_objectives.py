"""Matching and checking a model's objectives; the Trainer's own tests cover the rest."""
import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.models.base import Objective
from minigen.training import SGD
from minigen.training.objectives import average_terms, check_terms, match_optimizers


def test_terms_must_be_scalars_with_a_loss():
    p = nn.Parameter(mg.zeros(1))
    check_terms("a", {"loss": 2.0 * p, "kl": 3, "rate": np.float64(2.0)})
    with pytest.raises(ValueError, match="objective 'a': the loss depends on nothing that requires grad"):
        check_terms("a", {"loss": (2.0 * p).detach()})
    with pytest.raises(TypeError, match="objective 'a': loss.* got NoneType"):
        check_terms("a", None)
    with pytest.raises(ValueError, match=r"objective 'a': the term 'kl' has shape \(2,\)"):
        check_terms("a", {"loss": mg.tensor(1.0), "kl": mg.tensor([1.0, 2.0])})


def test_each_objective_gets_the_optimizer_of_its_name():
    a, b = nn.Parameter(mg.zeros(2)), nn.Parameter(mg.zeros(3))
    objectives = [Objective("a", [a], print), Objective("b", [b], print)]
    made = match_optimizers(objectives, {"b": SGD([b]), "a": SGD})
    assert made["a"].parameters == [a] and made["b"].parameters == [b]
    with pytest.raises(ValueError, match="different names, got"):
        match_optimizers([objectives[0], objectives[0]], SGD)
    with pytest.raises(ValueError, match=r"different names, got \[\]"):
        match_optimizers([], SGD)
    with pytest.raises(ValueError, match="optimiser of 'a' has 1 parameters that are not the 1 of the objective"):
        match_optimizers(objectives, {"a": SGD([b]), "b": SGD})


def test_average_weighs_examples():
    class Two:
        def epoch(self, k):
            return iter([{"x": np.ones((3, 1))}, {"x": np.full((1, 1), 5.0)}])

    p = nn.Parameter(mg.zeros(1))
    objective = Objective("a", [p], lambda batch, rng: {"loss": float(batch["x"].mean())})
    assert average_terms([objective], Two(), None) == {"loss": 2.0}
    other = Objective("b", [p], lambda batch, rng: {"loss": mg.tensor(1.0)})
    assert average_terms([objective, other], Two(), None) == {"a/loss": 2.0, "b/loss": 1.0}
