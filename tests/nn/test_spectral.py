"""Spectral normalisation against the singular value decomposition."""
import numpy as np
import pytest
from helpers import assert_gradients

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")


def matrix(layer):
    w = layer.layer.weight.numpy()
    return w.reshape(-1, w.shape[-1]).astype(np.float64)


LAYERS = [lambda: nn.Linear(7, 5, rng=0), lambda: nn.Linear(3, 9, rng=0), lambda: nn.Conv2d(2, 6, 3, rng=0),
          lambda: nn.ConvTranspose2d(6, 2, 3, rng=0), lambda: nn.Conv1d(2, 3, 3, rng=0),
          lambda: nn.Embedding(4, 3, rng=0)]


@pytest.mark.parametrize("make", LAYERS)
def test_the_largest_singular_value_becomes_one(make):
    layer = nn.SpectralNorm(make(), warm_up=300, rng=0)
    effective = layer.effective_weight().numpy()
    values = np.linalg.svd(effective.reshape(-1, effective.shape[-1]), compute_uv=False)
    assert abs(values[0] - 1) < 1e-4
    sigma = np.linalg.svd(matrix(layer), compute_uv=False)[0]
    np.testing.assert_allclose(sigma * effective, layer.layer.weight.numpy(), rtol=1e-3, atol=1e-5)


def test_the_state_tends_to_the_singular_vectors_one_step_a_call():
    layer = nn.SpectralNorm(nn.Linear(8, 6, rng=0), warm_up=1, rng=0)
    left, values, right = np.linalg.svd(matrix(layer))
    estimates = [layer.sigma().item() for _ in range(200)]
    assert all(a <= b * (1 + 1e-5) for a, b in zip(estimates, estimates[1:]))        # never falls
    assert max(estimates) <= values[0] * (1 + 1e-5)                                  # never above σ
    assert estimates[0] < 0.99 * estimates[-1] and abs(estimates[-1] / values[0] - 1) < 1e-5
    assert abs(abs(layer.v.numpy() @ left[:, 0]) - 1) < 1e-4 and abs(abs(layer.u.numpy() @ right[0]) - 1) < 1e-4


def test_more_steps_a_call():
    slow, fast = (nn.SpectralNorm(nn.Linear(8, 6, rng=0), steps, warm_up=1, rng=0) for steps in (1, 5))
    for _ in range(5):
        expected = slow.sigma().item()
    assert abs(fast.sigma().item() / expected - 1) < 1e-6


def test_the_layer_computes_with_the_normalised_weight_and_its_own_bias():
    layer, x = nn.SpectralNorm(nn.Linear(4, 3, rng=0), rng=0).eval(), np.random.default_rng(0).standard_normal((2, 4))
    expected = x @ layer.effective_weight().numpy() + layer.layer.bias.numpy()
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert isinstance(layer.layer.weight, nn.Parameter)                               # as it was


def test_evaluation_moves_nothing():
    layer = nn.SpectralNorm(nn.Linear(4, 3, rng=0), warm_up=1, rng=0).eval()
    before = layer.state_dict()
    assert sorted(before) == ["layer.bias", "layer.weight", "u", "v"]
    first, second = layer(mg.ones((1, 4))).numpy(), layer(mg.ones((1, 4))).numpy()
    np.testing.assert_array_equal(first, second)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    layer.train()(mg.ones((1, 4)))
    assert (layer.u.numpy() != before["u"]).any()


def test_a_restored_layer_goes_on_where_it_stopped():
    layer, twin = (nn.SpectralNorm(nn.Linear(4, 3, rng=seed), warm_up=1, rng=seed) for seed in (0, 1))
    twin.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(twin(mg.ones((1, 4))).numpy(), layer(mg.ones((1, 4))).numpy())


def test_gradients_with_the_vectors_held():
    """To second order in x, and to first in the weight."""
    layer = nn.SpectralNorm(nn.Linear(3, 2, rng=0).astype("float64"), warm_up=3, rng=0).eval()

    def f(x, weight):
        layer.layer.weight = weight
        return mg.tanh(layer(x))

    rng = np.random.default_rng(0)
    assert_gradients(f, rng.standard_normal((4, 3)), rng.standard_normal((3, 2)))


def test_after_convergence_the_gradient_is_that_of_the_true_norm():
    """Central differences of ⟨c, W / σ(W)⟩ with σ from the decomposition."""
    layer = nn.SpectralNorm(nn.Linear(4, 3, rng=0).astype("float64"), warm_up=2000, rng=0)
    W, c = layer.layer.weight.numpy(), np.random.default_rng(0).standard_normal((4, 3))
    numeric = np.empty_like(W)
    for index in np.ndindex(W.shape):
        def value(step):
            moved = W.copy()
            moved[index] += step
            return (c * moved).sum() / np.linalg.svd(moved, compute_uv=False)[0]
        numeric[index] = (value(1e-6) - value(-1e-6)) / 2e-6
    ours = mg.grad(layer.effective_weight(), layer.layer.weight, mg.tensor(c)).numpy()
    np.testing.assert_allclose(ours, numeric, rtol=1e-6, atol=1e-7)


def test_two_batches_before_one_backward():
    """Real and fake through one critic: the second call must not spoil what the first one saved."""
    layer = nn.SpectralNorm(nn.Linear(3, 1, rng=0), rng=0)
    (mg.sum(layer(mg.ones((2, 3)))) - mg.sum(layer(mg.zeros((2, 3))))).backward()
    assert np.isfinite(layer.layer.weight.grad.numpy()).all() and layer.layer.weight.grad.shape == (3, 1)


def test_training_after_an_evaluation_leaves_its_graph_whole():
    layer = nn.SpectralNorm(nn.Linear(3, 2, rng=0), warm_up=1, rng=0)
    out = layer.eval()(mg.ones((1, 3)))
    expected = mg.grad(layer(mg.ones((1, 3))), layer.layer.weight, mg.tensor([[1.0, 2.0]])).numpy()
    layer.train()(mg.ones((1, 3)))
    np.testing.assert_array_equal(mg.grad(out, layer.layer.weight, mg.tensor([[1.0, 2.0]])).numpy(), expected)


def test_a_critic_of_such_layers_stretches_no_distance():
    rng = np.random.default_rng(0)
    critic = nn.Sequential(*[nn.SpectralNorm(nn.Linear(a, b, rng=k), warm_up=300, rng=k)
                             for k, (a, b) in enumerate(((6, 8), (8, 8), (8, 1)))]).eval()
    x, y = rng.standard_normal((2, 200, 6))
    rise = np.abs((critic(mg.tensor(x)) - critic(mg.tensor(y))).numpy())[:, 0]
    assert (rise <= np.linalg.norm(x - y, axis=1) * (1 + 1e-4)).all()


def test_a_convolution_stretches_images_by_at_most_the_root_of_its_window():
    layer = nn.SpectralNorm(nn.Conv2d(1, 2, 3, padding=1, bias=False, rng=0), warm_up=300, rng=0).eval()
    operator = layer(mg.tensor(np.eye(25).reshape(25, 5, 5, 1))).numpy().reshape(25, 50)
    assert np.linalg.norm(operator, 2) <= 3 * (1 + 1e-4)


def test_a_zero_weight_stays_zero():
    layer = nn.SpectralNorm(nn.Linear(3, 2, rng=0, weight_init="zeros"), rng=0)
    assert (layer(mg.ones((1, 3))).numpy() == 0).all()


def test_bad_input():
    with pytest.raises(TypeError, match="SpectralNorm: wants a layer with a Parameter called weight, .* got a ReLU"):
        nn.SpectralNorm(nn.ReLU(), rng=0)
    with pytest.raises(ValueError, match="at least one step of power iteration, got steps=0"):
        nn.SpectralNorm(nn.Linear(2, 2, rng=0), steps=0, rng=0)
    with pytest.raises(ValueError, match=r"Linear\(3, 2\).* wants 3 features"):
        nn.SpectralNorm(nn.Linear(3, 2, rng=0), rng=0)(mg.zeros((1, 4)))


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    layer = nn.SpectralNorm(nn.Linear(5, 4, rng=0), warm_up=300, rng=0)
    theirs = torch.nn.Linear(5, 4)
    theirs.weight.data = torch.tensor(layer.layer.weight.numpy().T.copy())
    theirs = torch.nn.utils.parametrizations.spectral_norm(theirs, n_power_iterations=300)
    np.testing.assert_allclose(layer.effective_weight().numpy(), theirs.weight.detach().numpy().T, rtol=1e-4, atol=1e-5)
