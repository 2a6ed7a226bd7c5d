"""The U-Net: its size, its start, what each input does to the output, derivatives, what it refuses."""
import numpy as np
import pytest

from helpers import central_difference

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")
TINY = dict(event_shape=(4, 4, 1), base=2, multipliers=(1, 2), attention=(2, 1), groups=2)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def tiny(seed=0, **settings):
    """A small U-Net with random parameters, so that nothing is zero."""
    net, rng = nn.UNet(**{**TINY, **settings}, rng=0), np.random.default_rng(seed)
    net.load_state_dict({name: 0.5 * rng.standard_normal(a.shape) for name, a in net.state_dict().items()})
    return net


def count(net):
    return sum(p.size for p in net.parameters())


def test_parameters():
    """Added up by hand: a convolution from a to b channels has 9 a b + b, a linear map a b + b, a norm 2 a."""
    def conv(a, b):
        return 9 * a * b + b

    def linear(a, b):
        return a * b + b

    def block(a, b):
        return 2 * a + conv(a, b) + linear(128, b) + 2 * b + conv(b, b) + (linear(a, b) if a != b else 0)

    attention = 2 * 64 + 4 * linear(64, 64)
    time = linear(32, 128) + linear(128, 128)
    down = conv(1, 32) + block(32, 32) + conv(32, 32) + block(32, 64) + attention + conv(64, 64)
    middle = block(64, 64) + attention + block(64, 64)
    up = conv(64, 64) + block(128, 64) + attention + conv(64, 32) + block(64, 32) + 2 * 32 + conv(32, 1)
    assert count(nn.UNet(rng=0)) == time + down + middle + up == 588_481
    assert count(nn.UNet(classes=10, rng=0)) == 588_481 + 11 * 128
    assert count(nn.UNet(positions=True, rng=0)) == 588_481 + 28 * 28 * 32
    patched = nn.UNet(patch=2, multipliers=(1,), attention=(7,), rng=0)
    assert patched.conv_in.weight.shape == (3, 3, 4, 32) and patched.conv_out.weight.shape == (3, 3, 32, 4)


def test_shape_dtype_and_start_on_digits():
    net, x = nn.UNet(rng=0), mg.tensor(draw(2, 28, 28, 1).astype(np.float32))
    y = net(x, mg.tensor([0, 999]))
    assert y.shape == (2, 28, 28, 1) and y.dtype == np.float32 and (y.numpy() == 0).all()


@pytest.mark.parametrize("settings", [{"blocks": 2}, {"multipliers": (1,), "attention": ()},
                                      {"multipliers": (2, 1), "groups": 1}, {"out_channels": 2}, {"heads": 2},
                                      {"event_shape": (4, 8, 3)}, {"dropout": 0.2}, {"positions": True},
                                      {"patch": 2, "multipliers": (1,), "attention": (2,), "groups": 1},
                                      {"patch": 2, "event_shape": (8, 16, 3), "groups": 1, "positions": True}])
def test_other_sizes(settings):
    net = tiny(**settings)
    y = net(mg.tensor(draw(2, *net.event_shape)), mg.tensor([3, 4]))
    assert y.shape == (2, *net.event_shape[:2], settings.get("out_channels", net.event_shape[2]))
    assert np.isfinite(y.numpy()).all()


def test_every_parameter_is_used():
    net = tiny(classes=2, blocks=2, attention=(2,), positions=True)
    x, t, labels = mg.tensor(draw(3, 4, 4, 1)), mg.tensor([1, 50, 900]), mg.tensor([0, 1, 2])
    mg.sum(net(x, t, labels) * mg.tensor(draw(3, 4, 4, 1, seed=1))).backward()
    unused = [name for name, p in net.named_parameters() if not p.grad.numpy().any()]
    assert all(name.endswith("key.bias") for name in unused)         # a shift of all keys shifts all logits of a query


def test_every_pixel_sees_every_pixel():
    net, x = tiny(), mg.tensor(draw(1, 4, 4, 1), requires_grad=True)
    for h, w in np.ndindex(4, 4):
        assert (mg.grad(net(x, mg.tensor([5]))[0, h, w, 0], x).numpy() != 0).all()


def test_patches_are_pixels_regrouped():
    """With the U-Net of the regrouped images inside: only the shape of what it reads and says differs."""
    settings = dict(multipliers=(1,), attention=(2,), groups=1)
    patched, inner = tiny(patch=2, **settings), tiny(event_shape=(2, 2, 4), **settings)
    x, t = mg.tensor(draw(2, 4, 4, 1)), mg.tensor([3, 40])
    want = mg.pixel_shuffle(inner(mg.pixel_unshuffle(x, 2), t), 2)
    np.testing.assert_array_equal(patched(x, t).numpy(), want.numpy())


def test_two_outputs_a_pixel_stay_apart_in_patches():
    """Of the 2 C features of a pixel, the first come from the first half of the last convolution."""
    net = tiny(patch=2, multipliers=(1,), attention=(2,), groups=1, out_channels=2)
    before = net(mg.tensor(draw(1, 4, 4, 1)), mg.tensor([3])).numpy()
    with mg.no_grad():
        net.conv_out.bias[:4] = net.conv_out.bias[:4] + 1.0
    moved = net(mg.tensor(draw(1, 4, 4, 1)), mg.tensor([3])).numpy() - before
    np.testing.assert_allclose(moved[..., 0], 1, rtol=1e-5)
    np.testing.assert_array_equal(moved[..., 1], 0)


def test_positions_tell_where_a_flat_image_is():
    """A convolution sees only the border of a flat image; with positions all pixels of a large one differ."""
    settings = dict(event_shape=(8, 8, 1), multipliers=(1,), attention=())
    net, x = tiny(**settings, positions=True), mg.zeros((1, 8, 8, 1))
    assert len(np.unique(net(x, mg.tensor([3])).numpy())) == 64


def test_examples_do_not_see_each_other():
    net, x, t = tiny(), draw(3, 4, 4, 1), np.array([1, 20, 300])
    whole = net(mg.tensor(x), mg.tensor(t)).numpy()
    np.testing.assert_allclose(net(mg.tensor(x[1:2]), mg.tensor(t[1:2])).numpy(), whole[1:2], rtol=1e-6, atol=1e-9)


def test_time_and_class_matter():
    net, x = tiny(classes=3), mg.tensor(np.repeat(draw(1, 4, 4, 1), 4, axis=0))
    by_time = net(x, mg.tensor([0, 1, 10, 500]), mg.tensor([0, 0, 0, 0])).numpy()
    by_class = net(x, mg.tensor([7, 7, 7, 7]), mg.tensor([0, 1, 2, 3])).numpy()
    for y in (by_time, by_class):
        assert min(np.abs(a - b).max() for i, a in enumerate(y) for b in y[:i]) > 1e-3


def test_no_label_is_the_label_left_out():
    net, x, t = tiny(classes=3), mg.tensor(draw(2, 4, 4, 1)), mg.tensor([4, 5])
    assert net.no_label == 3 and nn.UNet(**TINY, rng=0).no_label is None
    np.testing.assert_array_equal(net(x, t).numpy(), net(x, t, mg.tensor([3, 3])).numpy())


def test_float_times():
    net, x = tiny(), mg.tensor(draw(2, 4, 4, 1))
    np.testing.assert_allclose(net(x, mg.tensor([3.0, 4.0])).numpy(), net(x, mg.tensor([3, 4])).numpy(), rtol=1e-6)


def test_gradient_with_respect_to_the_image():
    net, x, c = tiny().astype("float64"), draw(1, 4, 4, 1), draw(1, 4, 4, 1, seed=1)
    at, t = mg.tensor(x, requires_grad=True), mg.tensor([12.0], dtype="float64")
    ours = mg.grad(net(at, t), at, mg.tensor(c)).numpy()
    numeric, = central_difference(lambda moved: float((c * net(mg.tensor(moved), t).numpy()).sum()), [x])
    np.testing.assert_allclose(ours, numeric, rtol=1e-5, atol=1e-6)


def test_second_derivative_along_a_line():
    """vᵀ H u of ⟨c, net⟩ in the image, against differences of its gradient."""
    net, (x, c, u, v) = tiny().astype("float64"), (draw(1, 4, 4, 1, seed=k) for k in range(4))
    t = mg.tensor([12.0], dtype="float64")

    def slope(moved, create_graph=False):
        at = mg.tensor(moved, requires_grad=True)
        return at, mg.sum(mg.grad(net(at, t), at, mg.tensor(c), create_graph=create_graph) * mg.tensor(u))

    at, along = slope(x, create_graph=True)
    ours = (mg.grad(along, at).numpy() * v).sum()
    numeric = (slope(x + 1e-5 * v)[1].item() - slope(x - 1e-5 * v)[1].item()) / 2e-5
    np.testing.assert_allclose(ours, numeric, rtol=1e-5)


X = (2, 4, 4, 1)


@pytest.mark.parametrize("settings, message", [
    ({"event_shape": (6, 4, 1)},
     r"UNet: 2 levels halve H and W 2 times, so both must be multiples of 4, got \(6, 4, 1\)"),
    ({"attention": (3,)}, r"UNet: attention at the heights \(3,\), but the images are \[4, 2, 1\] high"),
    ({"event_shape": (4, 4)}, r"wants an event_shape \(H, W, C\), .* got \(4, 4\)"),
    ({"blocks": 0}, "a block at least, .* 0 blocks"),
    ({"multipliers": ()}, r"a level .* multipliers \(\)"),
    ({"patch": 0}, "patch 0"),
    ({"patch": 2}, r"2 levels halve H and W 2 times, after patches of 2 × 2, so both must be multiples of 8, got "),
    ({"event_shape": (27, 27, 1)}, r"multiples of 4, got \(27, 27, 1\); pad the images"),
    ({"patch": 2, "multipliers": (1,), "attention": (4,)}, r"heights \(4,\), but the images are \[2, 1\] high"),
    ({"groups": 4}, "GroupNorm: wants the 2 features in groups of equal size, got 4 groups"),
])
def test_bad_sizes(settings, message):
    with pytest.raises(ValueError, match=message):
        nn.UNet(**{**TINY, **settings}, rng=0)


@pytest.mark.parametrize("inputs, error, message", [
    (((2, 8, 8, 1), [1, 2]), ValueError, r"UNet\(\(4, 4, 1\), .*\) wants images \(N, 4, 4, 1\) and one time for each, "
                                         r"got x \(2, 8, 8, 1\) and t \(2,\)"),
    ((X, [1]), ValueError, r"got x \(2, 4, 4, 1\) and t \(1,\)"),
    ((X, [1, 2], [0]), ValueError, r"one label per image, got x \(2, 4, 4, 1\) and labels \(1,\)"),
    ((X, [1, 2], [0, 4]), IndexError, "knows the symbols 0 to 3, got some from 0 to 4"),
    (((2, 4, 4, 3), [1, 2]), ValueError, r"got x \(2, 4, 4, 3\) and t \(2,\)"),
    (((2, 1, 4, 4), [1, 2]), ValueError, r"got x \(2, 1, 4, 4\) and t \(2,\)"),
    ((X, [1, 2], [-1, 0]), IndexError, "knows the symbols 0 to 3, got some from -1 to 0"),
])
def test_bad_inputs(inputs, error, message):
    shape, t, *labels = inputs
    with pytest.raises(error, match=message):
        nn.UNet(**TINY, classes=3, rng=0)(mg.zeros(shape), mg.tensor(t), *map(mg.tensor, labels))


def test_a_negative_time_is_told_on_the_cpu():
    net, t = nn.UNet(**TINY, rng=0), mg.tensor([1, -2])
    if t.device != "cpu":
        pytest.skip("a GPU is not waited for")
    with pytest.raises(ValueError, match="wants times from 0 on, got one of -2"):
        net(mg.zeros(X), t)


def test_labels_without_classes():
    with pytest.raises(ValueError, match="UNet: it got labels, but knows no classes; make it with classes=K"):
        nn.UNet(**TINY, rng=0)(mg.zeros(X), mg.tensor([1, 2]), mg.tensor([0, 1]))
