"""Causal convolutions: their masks, what they see, the memory, and what they refuse."""
import numpy as np
import pytest
from helpers import assert_gradients

import minigen as mg
from minigen import nn
from minigen.nn.masked_conv import Memory, everywhere, groups

pytestmark = pytest.mark.usefixtures("backend")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def seen(layer, height=5, width=5):
    """{(dy, dx, channel in, channel out)} that the output in the middle of an image depends on."""
    layer = layer.astype("float64")
    x, found = mg.tensor(draw(1, height, width, layer.in_channels), requires_grad=True), set()
    for o in range(layer.out_channels):
        g = mg.grad(layer(x)[0, height // 2, width // 2, o], x).numpy()[0]
        found |= {(y - height // 2, z - width // 2, c, o) for y, z, c in np.argwhere(g).tolist()}
    return found


def places(found):
    return {place[:2] for place in found}


ABOVE = {(-1, -1), (-1, 0), (-1, 1)}


# ---- masks -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("make, expected", [
    (lambda: nn.MaskedConv2d(1, 1, 3, "A", rng=0), ABOVE | {(0, -1)}),
    (lambda: nn.MaskedConv2d(1, 1, 3, "B", rng=0), ABOVE | {(0, -1), (0, 0)}),
    (lambda: nn.MaskedConv2d(1, 1, (1, 5), "A", rng=0), {(0, -2), (0, -1)}),
    (lambda: nn.MaskedConv2d(2, 2, 1, "B", rng=0), {(0, 0)}),
    (lambda: nn.VerticalConv2d(1, 1, 3, "A", rng=0), ABOVE),
    (lambda: nn.VerticalConv2d(1, 1, 3, "B", rng=0), ABOVE | {(0, -1), (0, 0), (0, 1)}),
    (lambda: nn.VerticalConv2d(1, 1, (5, 1), "A", rng=0), {(-2, 0), (-1, 0)}),
    (lambda: nn.MaskedConv2d(1, 1, 3, [[1, 0, 0], [0, 1, 0], [0, 0, 0]], rng=0), {(-1, -1), (0, 0)}),
    (lambda: nn.MaskedConv2d(1, 1, 3, [[0, 0, 1], [1, 0, 0], [0, 0, 0]], rng=0), {(-1, 1), (0, -1)})])
def test_what_a_pixel_sees(make, expected):
    assert places(seen(make())) == expected


@pytest.mark.parametrize("mask, own", [("A", {(0, 1), (0, 2), (1, 2)}),
                                       ("B", {(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)})])
def test_colours_of_a_pixel_see_those_before(mask, own):
    """R, G, B with two features each, in two parts (the halves of a gate): Eq. (2) in both, other pixels in full."""
    found = seen(nn.MaskedConv2d(3, 12, 3, mask, channels=3, parts=2, rng=0))
    channel = lambda feature: feature % 6 // 2                                            # noqa: E731
    assert {(a, channel(o)) for y, x, a, o in found if (y, x) == (0, 0)} == own
    assert {place for place in found if place[:2] == (-1, 1)} == {(-1, 1, a, o) for a in range(3) for o in range(12)}


def test_groups_are_equal_runs():
    assert groups(6, 3).tolist() == [0, 0, 1, 1, 2, 2] and groups(3, 1).tolist() == [0, 0, 0]
    assert groups(7, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_it_is_the_convolution_with_the_masked_kernel():
    layer = nn.MaskedConv2d(2, 3, (3, 5), "A", rng=0).astype("float64")
    full = nn.Conv2d(2, 3, (3, 5), padding=(1, 2), rng=0).astype("float64")
    kernel = np.zeros((3, 5, 2, 3))
    kernel[0], kernel[1, :2] = layer.weight.numpy()[0], layer.weight.numpy()[1, :2]
    full.load_state_dict({"weight": kernel, "bias": layer.bias.numpy()})
    x = mg.tensor(draw(2, 6, 4, 2))
    np.testing.assert_allclose(layer(x).numpy(), full(x).numpy(), rtol=1e-12, atol=1e-14)
    assert layer.reach == (1, 2) and repr(layer) == "MaskedConv2d(2, 3, (3, 5), mask='A')"


def test_masked_weights_get_no_gradient():
    layer = nn.MaskedConv2d(1, 1, 3, "A", rng=0)
    mg.sum(layer(mg.tensor(draw(2, 4, 4, 1).astype(np.float32)))).backward()
    assert ((layer.weight.grad.numpy() != 0) == (layer.mask.numpy() != 0)).all()


@pytest.mark.parametrize("make", [lambda: nn.MaskedConv2d(2, 4, 3, "A", channels=2, rng=0),
                                  lambda: nn.VerticalConv2d(2, 4, 3, rng=0), lambda: nn.MaskedConv2d(2, 4, 1, rng=0)])
def test_gradients(make):
    layer = make()

    def f(x, weight, bias):
        layer.weight, layer.bias = weight, bias
        return mg.tanh(layer(x))

    assert_gradients(f, draw(1, 3, 2, 2), draw(*layer.weight.shape, seed=1), draw(4, seed=2))


# ---- memory ----------------------------------------------------------------------------------------------------------
class Net(nn.Module):
    """Two masked convolutions after one of mask A, and a 1 × 1."""

    def __init__(self, kernel):
        rng = mg.random.default_rng(0)
        self.layers = [nn.MaskedConv2d(1, 3, kernel, "A", rng=rng), nn.MaskedConv2d(3, 2, kernel, rng=rng),
                       nn.MaskedConv2d(2, 3, 1, rng=rng), nn.MaskedConv2d(3, 2, kernel, rng=rng)]

    def forward(self, x, conv=everywhere):
        for layer in self.layers:
            x = mg.tanh(conv(layer, x))
        return x


@pytest.mark.parametrize("kernel", [3, (3, 5), (1, 3)])
@mg.no_grad()
def test_pixel_by_pixel_is_everywhere(kernel):
    net, x = Net(kernel).astype("float64"), draw(2, 4, 5, 1)
    whole, memory = net(mg.tensor(x)).numpy(), Memory(4, 5)
    for r, c in np.ndindex(4, 5):
        known = np.where(np.arange(20).reshape(4, 5) < r * 5 + c, x[..., 0], 7.0)[..., None]      # the rest is not read
        part = net(mg.tensor(known), memory.at(slice(r, r + 1), slice(c, c + 1)))
        np.testing.assert_allclose(part.numpy()[:, 0, 0], whole[:, r, c], rtol=1e-12, atol=1e-14)


@mg.no_grad()
def test_rows_then_pixels_is_everywhere():
    net, x = Net(3).astype("float64"), mg.tensor(draw(2, 4, 5, 1))
    whole, memory = net(x).numpy(), Memory(4, 5)
    top = net(x, memory.at(slice(0, 2), slice(0, 5)))
    np.testing.assert_allclose(top.numpy(), whole[:, :2], rtol=1e-12, atol=1e-14)
    for c in range(5):
        part = net(x, memory.at(slice(2, 3), slice(c, c + 1)))
        np.testing.assert_allclose(part.numpy()[:, 0, 0], whole[:, 2, c], rtol=1e-12, atol=1e-14)


@mg.no_grad()
def test_a_vertical_stack_row_by_row():
    first, second = nn.VerticalConv2d(1, 2, 3, "A", rng=0), nn.VerticalConv2d(2, 1, 5, rng=1)
    x, memory = mg.tensor(draw(2, 4, 5, 1)), Memory(4, 5)
    whole = second(first(x)).numpy()
    for r in range(4):
        memory.at(slice(r, r + 1), slice(0, 5))
        np.testing.assert_allclose(memory(second, memory(first, x)).numpy()[:, 0], whole[:, r], rtol=1e-12, atol=1e-14)


def test_the_part_of_a_map():
    memory, x = Memory(4, 5).at(slice(1, 2), slice(2, 4)), mg.tensor(draw(1, 4, 5, 3))
    np.testing.assert_array_equal(memory.part(x).numpy(), x.numpy()[:, 1:2, 2:4])
    bias = mg.zeros((2, 1, 1, 3))
    assert memory.part(bias) is bias and memory.part(0) == 0 and everywhere.part(x) is x


# ---- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, words", [
    (lambda: nn.MaskedConv2d(1, 1, 3, [[1, 1, 1], [1, 1, 1], [0, 0, 0]], rng=0),
     "this mask breaks causality: it shows the pixel 0 rows below and 1 columns right of the centre, one of 1 that"),
    (lambda: nn.MaskedConv2d(1, 1, 3, np.ones((3, 3)), rng=0), "breaks causality: .* one of 4 that come after it"),
    (lambda: nn.MaskedConv2d(1, 1, 3, np.ones((2, 3)), rng=0), r"mask of the kernel's shape \(3, 3\), got \(2, 3\)"),
    (lambda: nn.MaskedConv2d(1, 1, 3, "C", rng=0), "the mask is 'A', 'B' or an array of booleans, got 'C'"),
    (lambda: nn.MaskedConv2d(1, 1, 4, rng=0), r"a kernel with a centre \(odd sizes\), .* kernel_size=4"),
    (lambda: nn.MaskedConv2d(3, 2, 3, channels=3, rng=0), "a group of features for each of 3 channels, .* 2 out"),
    (lambda: nn.MaskedConv2d(3, 9, 3, parts=2, rng=0), "in each of 2 parts, .* from 3 channels in and 9 out"),
    (lambda: nn.VerticalConv2d(1, 1, (1, 3), "A", rng=0), r"the mask 'A' \(with a kernel of 3 rows or more\)"),
    (lambda: nn.VerticalConv2d(1, 1, 3, "up", rng=0), "or 'B', got 'up'"),
    (lambda: nn.MaskedConv2d(3, 3, 3, rng=0)(mg.zeros((2, 4, 4, 1))), r"wants 3 features on the last axis"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
