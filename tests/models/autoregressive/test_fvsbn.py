"""FVSBN against logistic regression in NumPy, its gradient in closed form, and its one optimum."""
import numpy as np
import pytest
import scipy.optimize
from scipy.special import expit

import minigen as mg
from minigen.models.autoregressive import FVSBN
from minigen.training import Adam

pytestmark = pytest.mark.usefixtures("backend")


def data(n=60, D=5):
    return (np.random.default_rng(0).random((n, D)) < [0.2, 0.5, 0.7, 0.4, 0.9]).astype(float)


def random_model(order=None):
    rng, model = np.random.default_rng(1), FVSBN(5, order=order).astype("float64")
    values = {name: rng.standard_normal(p.shape) for name, p in model.named_parameters()}
    model.load_state_dict({**model.state_dict(), **values})
    return model


@pytest.mark.parametrize("order", [None, [3, 1, 4, 0, 2]])
def test_logits_and_gradient_in_closed_form(order):
    """Eqs. (1) and (2) in NumPy: the gradient is (σ(l) − x) x_j, and zero where j does not precede d."""
    model, x = random_model(order), data()
    place = np.argsort(model.order)
    W = np.where(place[:, None] < place, model.net.layers[0].weight.numpy(), 0)
    l = x @ W + model.net.layers[0].bias.numpy()
    np.testing.assert_allclose(model.conditionals(mg.tensor(x)).numpy(), l, rtol=1e-12)
    np.testing.assert_allclose(model.weight.numpy(), W)
    weight, bias = mg.grad(-model.log_prob(mg.tensor(x)).mean(), list(model.parameters()))
    np.testing.assert_allclose(weight.numpy(), np.where(place[:, None] < place, x.T @ (expit(l) - x) / len(x), 0),
                               atol=1e-14)
    np.testing.assert_allclose(bias.numpy(), (expit(l) - x).mean(axis=0), atol=1e-14)


def test_it_starts_as_fair_coins():
    np.testing.assert_allclose(FVSBN(5).log_prob(mg.tensor(data())).numpy(), -5 * np.log(2), rtol=1e-6)


def test_the_objective_is_convex():
    """Along random lines through parameter space the midpoint is never above the chord."""
    model, x, rng = random_model(), mg.tensor(data()), np.random.default_rng(2)

    def loss(values):
        model.load_state_dict({**model.state_dict(), **values})
        return float(-model.log_prob(x).mean())

    def point():
        return {name: 3 * rng.standard_normal(p.shape) for name, p in model.named_parameters()}

    for _ in range(20):
        a, b = point(), point()
        assert loss({name: (a[name] + b[name]) / 2 for name in a}) <= (loss(a) + loss(b)) / 2 + 1e-12


def test_any_start_leads_to_the_optimum_of_logistic_regressions(backend):
    """Each conditional by SciPy on its own; training all at once, from another start, comes within 1e-3 nats."""
    if backend != "numpy":
        pytest.skip("600 steps; the gradient itself is tested on every backend")
    x, best = data(), 0.0
    for d in range(5):
        X = np.concatenate([np.ones((len(x), 1)), x[:, :d]], axis=1)
        best += scipy.optimize.minimize(lambda w: (np.logaddexp(0, X @ w) - x[:, d] * (X @ w)).mean(),
                                        np.zeros(d + 1)).fun
    model = random_model()
    optimizer = Adam(model.parameters(), lr=lambda step: 0.1 * 0.99 ** step)
    for _ in range(600):
        optimizer.zero_grad()
        (-model.log_prob(mg.tensor(x)).mean()).backward()
        optimizer.step()
    reached = float(-model.log_prob(mg.tensor(x)).mean())
    assert best - 1e-9 < reached < best + 1e-3
