"""Score matching: the three objectives agree where they should, and recover a Gaussian's precision."""
import numpy as np
import pytest
from helpers import assert_gradients

import minigen as mg
from minigen import nn
from minigen.models.energy import ScoreModel, energy_score
from minigen.training import Adam, Trainer, schedules

pytestmark = pytest.mark.usefixtures("backend")
PRECISION = np.array([[2.0, 0.8], [0.8, 1.0]])
MEAN = np.array([0.5, -1.0])


def draws(n, seed=0):
    return (MEAN + np.random.default_rng(seed).standard_normal((n, 2)) @ np.linalg.cholesky(np.linalg.inv(PRECISION)).T
            ).astype(np.float32)


def mlp(seed=0):
    return nn.MLP([2, 8, 2], activation=mg.tanh, rng=seed).astype("float64")


def test_the_exact_objective_by_hand():
    """s = A x + b: J = ½ ‖s‖² + tr A."""
    net = nn.Linear(2, 2, rng=0).astype("float64")
    x = np.random.default_rng(0).standard_normal((5, 2))
    s = net(mg.tensor(x)).numpy()
    loss = ScoreModel(net, (2,), "exact").terms(mg.tensor(x), rng=0)["loss"].item()
    np.testing.assert_allclose(loss, 0.5 * (s ** 2).sum(axis=1).mean() + np.trace(net.weight.numpy()))


def test_slicing_is_exact_on_average():
    """Over the four directions v ∈ {±1}², vᵀ (∂s/∂x) v averages to the trace."""
    x, net = mg.tensor(np.random.default_rng(0).standard_normal((5, 2))), mlp()
    sliced = ScoreModel(net, (2,), "sliced")
    values = [sliced.terms(x, rng=0, noise=mg.tensor(np.tile([a, b], (5, 1)).astype(float)))["loss"].item()
              for a in (-1, 1) for b in (-1, 1)]
    np.testing.assert_allclose(np.mean(values), ScoreModel(net, (2,), "exact").terms(x, rng=0)["loss"].item(),
                               rtol=1e-9)


def test_the_denoising_objective_by_hand():
    x, eps = np.random.default_rng(0).standard_normal((2, 5, 2))
    model = ScoreModel(mlp(), (2,), noise=0.3)
    s = model.score(mg.tensor(x + 0.3 * eps)).numpy()
    np.testing.assert_allclose(model.terms(mg.tensor(x), rng=0, noise=mg.tensor(eps))["loss"].item(),
                               0.5 * ((s + eps / 0.3) ** 2).sum(axis=1).mean())


@pytest.mark.parametrize("method", ["exact", "sliced", "denoising"])
def test_gradients_of_the_objectives(method):
    """With respect to the weights: derivatives of derivatives, against central differences."""
    net, (x, v) = mlp(), np.random.default_rng(0).standard_normal((2, 4, 2))
    model = ScoreModel(net, (2,), method)

    def loss(weight):
        net[0].weight = weight
        return model.terms(mg.tensor(x), rng=0, noise=mg.tensor(v))["loss"]

    assert_gradients(loss, net[0].weight.numpy(), orders=1)


@pytest.mark.parametrize("method", ["exact", "sliced", "denoising"])
def test_the_precision_of_a_gaussian_is_recovered(method, backend):
    """A linear score −Λ (x − μ), fitted to 4,000 draws: Λ within 0.15, which is 4 standard errors; with noise σ the
    precision is that of Σ + σ² I."""
    if backend != "numpy":
        pytest.skip("trained once")
    net, x = nn.Linear(2, 2, rng=0), mg.tensor(draws(4000))
    optimizer = Adam(list(net.parameters()), lr=schedules.cosine(0.05, 500))
    Trainer(ScoreModel(net, (2,), method, noise=0.3), optimizer, lambda rng: {"x": x}, seed=0, progress=False).run(500)
    S = np.cov(x.numpy().T) + (0.09 * np.eye(2) if method == "denoising" else 0)
    np.testing.assert_allclose(-net.weight.numpy(), np.linalg.inv(S), atol=0.15)
    np.testing.assert_allclose(np.linalg.solve(-net.weight.numpy().T, net.bias.numpy()), MEAN, atol=0.15)


def test_the_score_of_an_energy_can_be_trained():
    """E = ½ xᵀ Λ x with Λ a parameter: the score is −Λ_s x, and J reaches Λ."""
    A = mg.tensor(np.array([[1.0, 0.2], [0.1, 0.5]]), requires_grad=True)
    score = energy_score(lambda x: 0.5 * mg.sum(x * mg.matmul(x, A), axis=1))
    x = np.random.default_rng(0).standard_normal((6, 2))
    symmetric = 0.5 * (A.numpy() + A.numpy().T)
    np.testing.assert_allclose(score(mg.tensor(x)).numpy(), -x @ symmetric)
    J = ScoreModel(score, (2,), "exact").terms(mg.tensor(x), rng=0)["loss"]
    np.testing.assert_allclose(J.item(), 0.5 * ((x @ symmetric) ** 2).sum(axis=1).mean() - np.trace(symmetric))
    assert np.abs(mg.grad(J, A).numpy()).max() > 0


def test_langevin_with_the_true_score_samples_the_density():
    """2,000 chains of 400 steps from N(0, I): the mean within 5 standard errors, the covariance within 10 %."""
    net = nn.Linear(2, 2, rng=0)
    net.load_state_dict({"weight": -PRECISION.astype(np.float32), "bias": (PRECISION @ MEAN).astype(np.float32)})
    x = ScoreModel(net, (2,), step_size=0.2, steps=400).sample(2000, rng=0).numpy()
    S = np.linalg.inv(PRECISION)
    assert (np.abs(x.mean(axis=0) - MEAN) < 5 * np.sqrt(np.diag(S) / 2000)).all()
    np.testing.assert_allclose(np.cov(x.T), S, atol=0.1 * np.abs(S).max())


@pytest.mark.parametrize("call, message", [
    (lambda: ScoreModel(mlp(), (2,), "magic"),
     "wants a method out of exact, sliced, denoising and noise > 0, got 'magic'"),
    (lambda: ScoreModel(nn.Linear(2, 3, rng=0), (2,)).score(mg.zeros((5, 2))),
     r"keeps its shape, got \(5, 2\) and \(5, 3\)"),
])
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
