"""The CNF as a model: a density at every time, and one that learns."""
import numpy as np
import pytest

import minigen as mg
from minigen.flows.ode import AdaptiveSteps, FixedSteps
from minigen.models.flow.continuous import CNF
from minigen.training import Adam

pytestmark = pytest.mark.usefixtures("backend")


def shaken(**options):
    model = CNF(2, (8,), rng=0, **options).astype("float64")
    rng = np.random.default_rng(1)
    with mg.no_grad():
        for p in model.parameters():
            p[...] = p + mg.tensor(0.4 * rng.standard_normal(p.shape))
    return model


def plane(half=7.0, n=71):
    at = np.linspace(-half, half, n)
    return mg.tensor(np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)), (at[1] - at[0]) ** 2


@pytest.mark.parametrize("t", [0.0, 0.4, 1.0])
def test_the_density_of_every_time_integrates_to_one(t):
    model = shaken(solver=FixedSteps(10))
    x, area = plane()
    with mg.no_grad():
        log_p = model.log_prob_at(x, t).numpy()
        assert abs(np.exp(log_p).sum() * area - 1) < 1e-4
        if t == 0.0:
            np.testing.assert_allclose(log_p, model.log_prob(x).numpy(), rtol=1e-12)
        if t == 1.0:
            np.testing.assert_allclose(log_p, -0.5 * (x.numpy() ** 2).sum(axis=1) - np.log(2 * np.pi), rtol=1e-12)


def test_samples_are_the_noise_carried_back():
    """decode undoes encode, and −log p over samples is the entropy by quadrature: 5 standard errors of 4,000 draws,
    false alarm below 1e-6."""
    model = shaken(solver=FixedSteps(10))
    z = np.random.default_rng(2).standard_normal((4000, 2))
    x = model.sample(4000, eps=mg.tensor(z))
    with mg.no_grad():
        np.testing.assert_allclose(model.encode(x).numpy(), z, atol=1e-4)
        drawn = -model.log_prob(x).numpy()
        points, area = plane()
        log_p = model.log_prob(points).numpy()
    entropy = -(np.exp(log_p) * log_p).sum() * area
    assert abs(drawn.mean() - entropy) < 5 * drawn.std() / np.sqrt(4000) + 1e-4


@pytest.mark.parametrize("options", [dict(gradient="adjoint", solver=AdaptiveSteps(1e-2, 1e-2)),
                                     dict(trace="hutchinson", solver=FixedSteps(3))])
def test_it_learns(options):
    """A Gaussian off the centre: its entropy is reached to 0.1 nats in 60 steps."""
    std, shift = np.array([0.3, 1.5]), np.array([1.0, -0.5])
    rng = np.random.default_rng(3)
    model = CNF(2, (16,), rng=0, **options)
    objective, = model.objectives()
    optimizer = Adam(objective.parameters, lr=2e-2)

    def batch(n):
        return {"x": mg.tensor((shift + std * rng.standard_normal((n, 2))).astype(np.float32))}
    for _ in range(60):
        optimizer.zero_grad()
        objective.loss(batch(64), None)["loss"].backward()
        optimizer.step()
    model.ode.trace, model.ode.solver = "exact", AdaptiveSteps()
    with mg.no_grad():
        nll = -model.log_prob(batch(2000)["x"]).mean().item()
    entropy = 1 + np.log(2 * np.pi) + np.log(std).sum()
    assert nll < entropy + 0.1


def test_a_context_moves_the_density():
    model = CNF(2, (8,), context_features=1, solver=FixedSteps(4), rng=0)
    x, c = mg.zeros((2, 2)), mg.tensor([[0.0], [3.0]])
    a, b = model.log_prob(x, c).numpy()
    assert a != b
    assert model.sample(2, rng=mg.random.default_rng(0), context=c).shape == (2, 2)
    with pytest.raises(ValueError, match="knows no labels"):
        model.sample(2, rng=mg.random.default_rng(0), labels=[0, 1])
