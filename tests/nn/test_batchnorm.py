"""Batch norm: its formula, its running averages, evaluation, derivatives to second order, classes."""
import numpy as np
import pytest
from helpers import assert_gradients, leaf
from hypothesis import given, strategies as st

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")


def formula(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    return gamma * (x - x.mean(axes)) / np.sqrt(x.var(axes) + eps) + beta


def fitted(layer, seed=1):
    """The layer with random γ, β and running averages, and what these are."""
    rng = np.random.default_rng(seed)
    values = {name: rng.uniform(0.5, 2.0, array.shape) for name, array in layer.state_dict().items()}
    layer.load_state_dict(values)
    return layer, values


@given(st.integers(1, 4), st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_training_value(features, lead):
    lead[0] += 1                                                       # two entries at least
    layer, values = fitted(nn.BatchNorm(features))
    x = np.random.default_rng(0).standard_normal((*lead, features))
    expected = formula(x, values["weight"], values["bias"])
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 2), (3, 2, 2), (2, 1, 3, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_with_respect_to_everything(shape, training):
    layer, _ = fitted(nn.BatchNorm(2, eps=0.1).astype("float64"))
    layer.train(training)

    def f(x, weight, bias):
        layer.weight, layer.bias = weight, bias
        return layer(x)

    rng = np.random.default_rng(0)
    assert_gradients(f, rng.standard_normal(shape), rng.standard_normal(2), rng.standard_normal(2))


def test_a_gradient_penalty_through_batch_norm():
    """The derivative with respect to γ of ‖∇ₓ critic‖², which needs the second derivative of the statistics."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((5, 3)), mg.tensor(rng.standard_normal((3, 1)))
    layer = nn.BatchNorm(3, eps=0.1).astype("float64")

    def penalty(weight):
        layer.weight = weight
        at = leaf(x)
        score = mg.tanh(layer(at)) @ w
        return mg.sum(mg.square(mg.grad(score, at, mg.ones((5, 1)), create_graph=True)))

    assert_gradients(penalty, rng.standard_normal(3), orders=1)


def test_running_averages():
    layer, rng = nn.BatchNorm(2, momentum=0.3), np.random.default_rng(0)
    mean, var = np.zeros(2), np.ones(2)
    for _ in range(3):
        x = (2 * rng.standard_normal((4, 3, 2)) + 1).astype(np.float32)
        layer(mg.tensor(x))
        mean = 0.7 * mean + 0.3 * x.mean((0, 1))
        var = 0.7 * var + 0.3 * x.var((0, 1), ddof=1)                  # unbiased: 12 entries
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-5)


def test_the_running_averages_tend_to_the_moments_of_the_data():
    """2,000 batches of 8 from N(3, 4) with m = 0.01, within 5 standard deviations: false-alarm rate 1e-6 each.

    An average has m / (2 − m) of the variance of one batch's value: 4/8 for the mean and 2·4²/7 for the variance.
    """
    layer, rng = nn.BatchNorm(1, momentum=0.01), np.random.default_rng(0)
    for x in 3 + 2 * rng.standard_normal((2000, 8, 1)).astype(np.float32):
        layer(mg.tensor(x))
    share = 0.01 / 1.99
    assert abs(layer.running_mean.item() - 3) < 5 * np.sqrt(share * 4 / 8)
    assert abs(layer.running_var.item() - 4) < 5 * np.sqrt(share * 2 * 16 / 7)


def test_evaluation_uses_the_running_averages_and_leaves_them_alone():
    layer, values = fitted(nn.BatchNorm(3))
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    out = layer.eval()(mg.tensor(x)).numpy()
    expected = values["weight"] * (x - values["running_mean"]) / np.sqrt(values["running_var"] + 1e-5) + values["bias"]
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(layer(mg.tensor(x[:1])).numpy(), out[:1], rtol=1e-6)        # no neighbours
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, values[name].astype(np.float32))


def test_training_after_an_evaluation_leaves_its_graph_whole():
    layer, x = nn.BatchNorm(2), mg.tensor(np.eye(2), requires_grad=True)
    out = layer.eval()(x)
    layer.train()(x + 3)
    gradients = mg.grad(out, [x, layer.weight, layer.bias], mg.ones((2, 2)))
    for ours, expected in zip(gradients, (1, 1, 2)):                     # μ_run = 0 and v_run = 1, as they were
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-4)


def test_two_batches_before_one_backward():
    layer, rng = nn.BatchNorm(2), np.random.default_rng(0)
    x, y = mg.tensor(rng.standard_normal((4, 2))), mg.tensor(rng.standard_normal((4, 2)))
    (mg.sum(layer(x) * x) + mg.sum(layer(y) * y)).backward()
    assert np.isfinite(layer.weight.grad.numpy()).all()


def test_a_constant_feature_becomes_the_bias_with_a_finite_gradient():
    layer, x = nn.BatchNorm(2), mg.tensor(np.full((3, 2), 7.0, dtype=np.float32), requires_grad=True)
    y = layer(x)
    np.testing.assert_allclose(y.numpy(), 0, atol=1e-3)
    assert np.isfinite(mg.grad(y, x, mg.ones((3, 2))).numpy()).all()


def test_without_weight_and_bias():
    layer, x = nn.BatchNorm(2, affine=False), np.random.default_rng(0).standard_normal((4, 2))
    assert list(layer.parameters()) == [] and sorted(layer.state_dict()) == ["running_mean", "running_var"]
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), formula(x, 1, 0), rtol=1e-5, atol=1e-6)


# ---- conditional -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lead", [(4,), (4, 3), (4, 2, 3)])
def test_conditional_value_takes_each_examples_own_class(lead):
    layer, values = fitted(nn.ConditionalBatchNorm(2, classes=3))
    x, labels = np.random.default_rng(0).standard_normal((*lead, 2)), np.array([0, 2, 2, 1])
    ones = [1] * (len(lead) - 1)
    gamma, beta = (values[f"{name}.weight"][labels].reshape(4, *ones, 2) for name in ("weight", "bias"))
    expected = gamma * formula(x, 1, 0) + beta
    np.testing.assert_allclose(layer(mg.tensor(x), mg.tensor(labels)).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_conditional_statistics_per_class():
    """Of a batch with one class alone, the output has that class's β as mean and its γ as deviation."""
    layer, values = fitted(nn.ConditionalBatchNorm(2, classes=3, eps=0.0))
    x = mg.tensor(np.random.default_rng(0).standard_normal((6, 5, 2)))
    for k in range(3):
        y = layer(x, mg.full((6,), k)).numpy()
        np.testing.assert_allclose(y.mean((0, 1)), values["bias.weight"][k], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(y.std((0, 1)), values["weight.weight"][k], rtol=1e-4)


def test_conditional_gradients():
    layer = nn.ConditionalBatchNorm(2, classes=3, eps=0.1).astype("float64")

    def f(x, weight, bias):
        layer.weight.weight, layer.bias.weight = weight, bias
        return layer(x, [2, 0, 2])

    rng = np.random.default_rng(0)
    assert_gradients(f, rng.standard_normal((3, 2, 2)), rng.standard_normal((3, 2)), rng.standard_normal((3, 2)))


# ---- bad input, and the second oracle --------------------------------------------------------------------------------
def test_bad_input():
    layer = nn.BatchNorm(4)
    with pytest.raises(ValueError, match=r"BatchNorm\(4\) wants 4 features on the last axis, got .* shape \(4, 3\)"):
        layer(mg.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"BatchNorm\(4\) wants at least two .* got 1: an input of 1 × 4; use .*eval"):
        layer(mg.zeros((1, 4)))
    layer.eval()(mg.zeros((1, 4)))
    with pytest.raises(ValueError, match="at least one feature, got 0"):
        nn.BatchNorm(0)
    with pytest.raises(ValueError, match=r"momentum .* in \[0, 1\], got 1.5"):
        nn.BatchNorm(2, momentum=1.5)


def test_bad_labels():
    layer = nn.ConditionalBatchNorm(4, classes=3)
    with pytest.raises(ValueError, match=r"ConditionalBatchNorm\(4, classes=3\) wants one label per example: x is "
                                         r"\(2, 4\), the labels \(3,\)"):
        layer(mg.zeros((2, 4)), mg.tensor([0, 1, 2]))
    with pytest.raises(IndexError, match="knows the symbols 0 to 2, got some from 0 to 3"):
        layer(mg.zeros((2, 4)), mg.tensor([0, 3]))


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    ours, theirs = nn.BatchNorm(3), torch.nn.BatchNorm2d(3)
    rng = np.random.default_rng(0)
    for _ in range(2):
        x, g = rng.standard_normal((2, 2, 4, 5, 3)).astype(np.float32)
        leaf_x, torch_x = mg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, torch_y = ours(leaf_x), theirs(torch_x.movedim(-1, 1)).movedim(1, -1)
        torch_y.backward(torch.tensor(g))
        np.testing.assert_allclose(y.numpy(), torch_y.detach().numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(mg.grad(y, leaf_x, mg.tensor(g)).numpy(), torch_x.grad.numpy(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(ours.running_mean.numpy(), theirs.running_mean.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours.running_var.numpy(), theirs.running_var.numpy(), rtol=1e-4)
