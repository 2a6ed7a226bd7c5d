"""The exact denoiser against quadrature: E[x|z_t] and p(y|z_t) by summing over a grid of x."""
import numpy as np
import pytest

import minigen as mg
from minigen.data.densities import GaussianMixture
from minigen.models.diffusion import ForwardProcess, MixtureDenoiser, linear_schedule

pytestmark = pytest.mark.usefixtures("backend")
MIXTURE = GaussianMixture([[-1.0], [1.5], [0.5]], [0.3, 0.4, 0.2], [2, 1, 1], labels=[0, 1, 1])
GRID = np.linspace(-4, 5, 20_001)


def by_grid(process, z, t, label=None):
    """(E[x|z_t], p(z_t)) from Eq. (2) and the data's density, the latter of one class if a label is given."""
    data = np.exp((MIXTURE if label is None else MIXTURE.given(label)).log_density(GRID[:, None]))
    a, s = process.signal[t], process.noise[t]
    weight = data * np.exp(-0.5 * ((z - a * GRID) / s) ** 2) / (s * np.sqrt(2 * np.pi))
    return (weight * GRID).sum() / weight.sum(), weight.sum() * (GRID[1] - GRID[0])


@pytest.mark.parametrize("t", [3, 20, 50])
def test_it_is_the_conditional_mean(t):
    process, z = ForwardProcess(linear_schedule(50)), np.array([-1.2, 0.1, 0.9])
    net = MixtureDenoiser(process, MIXTURE)
    ours = net.denoised(mg.tensor(z[:, None]), t).numpy()[:, 0]
    np.testing.assert_allclose(ours, [by_grid(process, v, t)[0] for v in z], rtol=1e-6)
    for label in range(2):
        told = net.denoised(mg.tensor(z[:, None]), t, mg.tensor([label] * 3)).numpy()[:, 0]
        np.testing.assert_allclose(told, [by_grid(process, v, t, label)[0] for v in z], rtol=1e-6)


def test_the_classifier_is_bayes_rule():
    process, z = ForwardProcess(linear_schedule(50)), np.array([-1.2, 0.1, 0.9])
    log_p = MixtureDenoiser(process, MIXTURE).log_prob_labels(mg.tensor(z[:, None]), 20).numpy()
    evidence = np.array([[0.5 * by_grid(process, v, 20, label)[1] for label in range(2)] for v in z])
    np.testing.assert_allclose(log_p, np.log(evidence / evidence.sum(axis=1, keepdims=True)), rtol=1e-6, atol=1e-8)


def test_no_label_and_the_label_of_none_are_one():
    process = ForwardProcess(linear_schedule(50))
    net, z = MixtureDenoiser(process, MIXTURE), mg.tensor([[0.3], [1.0]])
    np.testing.assert_array_equal(net(z, 20).numpy(), net(z, 20, mg.tensor([2, 2])).numpy())


@pytest.mark.parametrize("prediction", ["eps", "x", "v"])
def test_it_tells_what_it_is_asked_for(prediction):
    process = ForwardProcess(linear_schedule(50))
    net, z, t = MixtureDenoiser(process, MIXTURE, prediction), mg.tensor(np.array([[0.3], [1.0]])), mg.tensor([4, 40])
    x = process.to_x(prediction, net(z, t), z, t)
    np.testing.assert_allclose(x.numpy(), net.denoised(z, t).numpy(), rtol=1e-9)


def test_an_unknown_prediction_is_told():
    with pytest.raises(ValueError, match="eps, x, v, got 'score'"):
        MixtureDenoiser(ForwardProcess([0.1]), MIXTURE, "score")
