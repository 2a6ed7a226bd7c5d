"""Convolution layers: the op with the layer's own kernel, its start, its gradients, and what it refuses."""
import math

import numpy as np
import pytest
from helpers import assert_gradients

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def loop(x, w, b, stride, padding):
    """y[n, h, l] = Σ x[n, s h + i − p, s l + j − p] w[i, j] + b, one output after the other."""
    KH, KW = w.shape[:2]
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    H, W = (x.shape[1] - KH) // stride + 1, (x.shape[2] - KW) // stride + 1
    y = np.empty((len(x), H, W, w.shape[3]))
    for h in range(H):
        for k in range(W):
            window = x[:, stride * h:stride * h + KH, stride * k:stride * k + KW]
            y[:, h, k] = np.tensordot(window, w, 3) + b
    return y


@pytest.mark.parametrize("kernel, stride, padding", [(3, 1, 1), (4, 2, 1), ((2, 3), 1, 0), (1, 1, 0)])
def test_conv2d_value(kernel, stride, padding):
    layer = nn.Conv2d(3, 5, kernel, stride, padding, rng=0)
    x = draw(2, 6, 7, 3)
    expected = loop(x, layer.weight.numpy(), layer.bias.numpy(), stride, padding)
    out = layer(mg.tensor(x.astype(np.float32)))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_each_group_reads_its_own_channels():
    layer, x = nn.Conv2d(4, 6, 3, groups=2, bias=False, rng=0), draw(1, 5, 5, 4)
    assert layer.weight.shape == (3, 3, 2, 6)
    w = layer.weight.numpy()
    expected = np.concatenate([loop(x[..., :2], w[..., :3], 0, 1, 0), loop(x[..., 2:], w[..., 3:], 0, 1, 0)], axis=-1)
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_the_transposed_layer_is_the_adjoint_of_the_layer_with_its_kernel():
    """⟨conv(x), y⟩ = ⟨x, transposed(y)⟩."""
    down, up = nn.Conv2d(2, 3, 4, 2, 1, bias=False, rng=0), nn.ConvTranspose2d(3, 2, 4, 2, 1, bias=False, rng=1)
    assert up.weight.shape == down.weight.shape == (4, 4, 2, 3)
    up.weight = down.weight
    x, y = draw(2, 6, 8, 2), draw(2, 3, 4, 3, seed=1)
    np.testing.assert_allclose((down(mg.tensor(x)).numpy() * y).sum(), (x * up(mg.tensor(y)).numpy()).sum(), rtol=1e-6)


@pytest.mark.parametrize("output_padding, size", [(0, 5), (1, 6)])
def test_output_padding(output_padding, size):
    layer = nn.ConvTranspose2d(2, 1, 3, stride=2, padding=1, output_padding=output_padding, rng=0)
    assert layer(mg.zeros((1, 3, 3, 2))).shape == (1, size, size, 1)


def test_conv1d_is_conv2d_along_one_axis():
    line, image = nn.Conv1d(2, 3, 3, stride=2, padding=1, rng=0), nn.Conv2d(2, 3, (3, 1), (2, 1), (1, 0), rng=0)
    image.load_state_dict({"weight": line.weight.numpy()[:, None], "bias": line.bias.numpy()})
    x = draw(2, 7, 2)
    np.testing.assert_allclose(line(mg.tensor(x)).numpy(), image(mg.tensor(x[:, :, None])).numpy()[:, :, 0], rtol=1e-6,
                               atol=1e-7)


def test_a_causal_layer_does_not_look_ahead():
    layer, x = nn.Conv1d(2, 3, 3, padding="causal", dilation=2, rng=0), draw(1, 8, 2)
    out = layer(mg.tensor(x)).numpy()
    x[:, 5:] = 9
    np.testing.assert_array_equal(layer(mg.tensor(x)).numpy()[:, :5], out[:, :5])


def test_reflection():
    layer, x = nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect", rng=0), draw(1, 4, 4, 1)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    expected = loop(padded, layer.weight.numpy(), layer.bias.numpy(), 1, 0)
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-6)


LAYERS = {"Conv1d": (lambda: nn.Conv1d(2, 2, 3, 2, 1, rng=0), (2, 5, 2)),
          "Conv2d": (lambda: nn.Conv2d(2, 2, 2, 2, 1, groups=2, rng=0), (1, 3, 4, 2)),
          "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 2, 3, 2, 1, rng=0), (1, 2, 3, 2))}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_with_respect_to_input_weight_and_bias(name):
    make, shape = LAYERS[name]
    layer = make()

    def f(x, weight, bias):
        layer.weight, layer.bias = weight, bias
        return mg.tanh(layer(x))

    assert_gradients(f, draw(*shape), draw(*layer.weight.shape, seed=1), draw(2, seed=2))


def test_a_gradient_penalty_through_a_convolution():
    """The derivative with respect to the kernel of ‖∇ₓ critic‖²."""
    layer, x = nn.Conv2d(1, 2, 2, rng=0).astype("float64"), draw(2, 3, 3, 1)

    def penalty(weight):
        layer.weight = weight
        at = mg.tensor(x, requires_grad=True)
        gradient = mg.grad(mg.sum(mg.tanh(layer(at))), at, create_graph=True)
        return mg.square(mg.norm(gradient.reshape((2, 9)), axis=1) - 1)

    assert_gradients(penalty, draw(2, 2, 1, 2), orders=1)


@pytest.mark.parametrize("make", [lambda init: nn.Conv2d(16, 100, 5, rng=0, groups=2, weight_init=init),
                                  lambda init: nn.ConvTranspose2d(100, 16, 5, rng=0, groups=2, weight_init=init)])
def test_starts(make):
    """20,000 draws with fan_in 5 · 5 · 8 = 200. Mean of squares within 5 standard errors, false-alarm rate 1e-6."""
    n, fan_in = 20_000, 200
    layer = make("torch")
    values = layer.weight.numpy() * math.sqrt(fan_in)
    assert values.size == n and np.abs(values).max() <= 1 + 1e-6
    assert np.abs(layer.bias.numpy()).max() <= fan_in ** -0.5 * (1 + 1e-6)
    assert abs((values ** 2).mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / n)
    layer = make("kaiming_normal")
    assert abs((layer.weight.numpy() ** 2).mean() * fan_in / 2 - 1) < 5 * math.sqrt(2 / n)
    assert (layer.bias.numpy() == 0).all()


def test_one_generator_gives_different_layers_and_a_seed_equal_ones():
    rng = mg.random.default_rng(4)
    first, second, third = nn.Conv2d(1, 2, 3, rng=rng), nn.Conv2d(1, 2, 3, rng=rng), nn.Conv2d(1, 2, 3, rng=4)
    assert (first.weight.numpy() != second.weight.numpy()).all()
    np.testing.assert_array_equal(first.weight.numpy(), third.weight.numpy())


# ---- bad input -------------------------------------------------------------------------------------------------------
def test_wrong_channels_name_the_layer():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, rng=0))
    list(model.parameters())
    with pytest.raises(ValueError) as error:
        model(mg.zeros((2, 8, 8, 1)))
    assert str(error.value) == ("Conv2d(3, 4, 3) '0' wants 3 features on the last axis, got an input of shape "
                                "(2, 8, 8, 1)")


@pytest.mark.parametrize("call, message", [
    (lambda: nn.Conv2d(3, 4, 5, padding=1, rng=0)(mg.zeros((1, 2, 9, 3))),
     r"Conv2d\(3, 4, 5, padding=1\): conv2d: along H a kernel of 5 taps .* x has 2, 4 with its padding"),
    (lambda: nn.Conv1d(3, 4, 5, rng=0)(mg.zeros((1, 4, 3))), r"Conv1d\(3, 4, 5\): conv1d: along T a kernel of 5 taps"),
    (lambda: nn.Conv2d(3, 4, 5, rng=0)(mg.zeros((8, 8, 3))),
     r"Conv2d\(3, 4, 5\): conv2d: wants an input \(N, H, W, C\)"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2, rng=0),
     "Conv2d: wants .* groups that divide both, got 3 and 4 channels, groups=2"),
    (lambda: nn.Conv2d(0, 4, 3, rng=0), "got 0 and 4 channels"),
    (lambda: nn.Conv2d(3, 4, (3, 3, 3), rng=0),
     r"Conv2d: kernel_size must be an int ≥ 1 or 2 of them, got \(3, 3, 3\)"),
    (lambda: nn.Conv2d(3, 4, 3, rng=0, weight_init="xavier"), "'xavier'"),
    (lambda: nn.ConvTranspose2d(2, 1, 3, 2, output_padding=2, rng=0)(mg.zeros((1, 2, 2, 2))),
     r"ConvTranspose2d\(2, 1, 3, stride=2, output_padding=2\): conv2d_transpose: output_padding=2 must be less"),
])
def test_bad_sizes(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_repr():
    assert repr(nn.Conv2d(1, 2, 3, rng=0)) == "Conv2d(1, 2, 3)"
    assert repr(nn.Conv2d(2, 2, (3, 5), stride=2, padding="same", groups=2, bias=False, rng=0)) == (
        "Conv2d(2, 2, (3, 5), stride=2, padding='same', groups=2, bias=False)")


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    x = draw(2, 6, 6, 4).astype(np.float32)
    for ours, theirs in ((nn.Conv2d(4, 6, 4, 2, 1, groups=2, rng=0), torch.nn.Conv2d(4, 6, 4, 2, 1, groups=2)),
                         (nn.ConvTranspose2d(4, 6, 4, 2, 1, groups=2, rng=0),
                          torch.nn.ConvTranspose2d(4, 6, 4, 2, 1, groups=2))):
        theirs.bias.data = torch.tensor(ours.bias.numpy())
        theirs.weight.data = torch.tensor(ours.weight.numpy()).permute(3, 2, 0, 1).contiguous()
        expected = theirs(torch.tensor(x).movedim(-1, 1)).movedim(1, -1).detach().numpy()
        np.testing.assert_allclose(ours(mg.tensor(x)).numpy(), expected, rtol=1e-4, atol=1e-5)
