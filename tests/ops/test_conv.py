"""Convolutions against naive loops and PyTorch; closed under their adjoints to third order; what is refused."""
import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from helpers import assert_gradients, leaf
from hypothesis import given, settings

import minigen as mg
from minigen.ops.conv import conv2d_composite

pytestmark = pytest.mark.usefixtures("backend")
RNG = np.random.default_rng(11)


def normal(*shape):
    return RNG.standard_normal(shape)


def naive(x, w, b=0, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    """Eq. (1), one output pixel and tap after the other."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)))
    (KH, KW, C, O), o = w.shape, w.shape[3] // groups
    H, W = ((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[1:3], (KH, KW), stride, dilation))
    y = np.zeros((x.shape[0], H, W, O))
    for h, v, i, j, g in itertools.product(range(H), range(W), range(KH), range(KW), range(groups)):
        pixel = x[:, stride[0] * h + dilation[0] * i, stride[1] * v + dilation[1] * j, g * C:(g + 1) * C]
        y[:, h, v, g * o:(g + 1) * o] += pixel @ w[i, j, :, g * o:(g + 1) * o]
    return y + b


@st.composite
def convolutions(draw, even=False):
    """(x, w, b, settings) of a convolution with at least one window; ``even``: with the same padding on both sides."""
    number = lambda low, high: draw(st.integers(low, high))                                 # noqa: E731
    G, C, O = draw(st.sampled_from([(1, 1, 1), (1, 3, 2), (1, 9, 1), (1, 1, 9), (2, 4, 2), (2, 2, 4), (3, 3, 3)]))
    kernel, dilation = (number(1, 4), number(1, 3)), (number(1, 2), number(1, 3))
    before = number(0, 3), number(0, 3)
    padding = tuple((p, p if even else number(0, 3)) for p in before)
    least = [d * (k - 1) + 1 - sum(p) for d, k, p in zip(dilation, kernel, padding)]
    size = [max(1, n) + number(0, 5) for n in least]
    rng = np.random.default_rng(number(0, 2**16))
    x, w, b = (rng.standard_normal(shape) for shape in ((number(0, 3), *size, C), (*kernel, C // G, O), O))
    return x, w, b, dict(stride=(number(1, 3), number(1, 3)), dilation=dilation, padding=padding, groups=G)


def room(x, w, chosen):
    """The output_padding with which the adjoint finds x's size again."""
    return tuple((n + sum(p) - d * (k - 1) - 1) % s for n, k, s, p, d in
                 zip(x.shape[1:3], w.shape, chosen["stride"], chosen["padding"], chosen["dilation"]))


# ---- values ----------------------------------------------------------------------------------------------------------
@settings(max_examples=40)
@given(convolutions())
def test_conv2d_and_its_adjoints_against_loops(backend, drawn):
    x, w, b, chosen = drawn
    y = mg.conv2d(mg.tensor(x), mg.tensor(w), mg.tensor(b), **chosen)
    expected = naive(x, w, b, **chosen)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-12)
    c = np.random.default_rng(1).standard_normal(expected.shape)
    x_bar = mg.conv2d_transpose(mg.tensor(c), mg.tensor(w), output_padding=room(x, w, chosen), **chosen)
    w_bar = mg.conv2d_weight_grad(mg.tensor(x), mg.tensor(c), w.shape[:2], **chosen)
    assert x_bar.shape == x.shape and w_bar.shape == w.shape
    u, v = np.random.default_rng(2).standard_normal(x.shape), np.random.default_rng(3).standard_normal(w.shape)
    np.testing.assert_allclose(np.sum(x_bar.numpy() * u), np.sum(c * naive(u, w, **chosen)), atol=1e-9)
    np.testing.assert_allclose(np.sum(w_bar.numpy() * v), np.sum(c * naive(x, v, **chosen)), atol=1e-9)


@settings(max_examples=25)
@given(convolutions(even=True))                                                    # PyTorch pads both sides alike
def test_conv2d_and_its_adjoints_against_torch(backend, drawn):
    torch = pytest.importorskip("torch")
    x, w, b, chosen = drawn
    (top, _), (left, _) = chosen["padding"]
    xt = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    wt, bt = (torch.tensor(a, requires_grad=True) for a in (w.transpose(3, 2, 0, 1), b))
    yt = torch.nn.functional.conv2d(xt, wt, bt, chosen["stride"], (top, left), chosen["dilation"], chosen["groups"])
    leaves = [leaf(a) for a in (x, w, b)]
    y = mg.conv2d(*leaves, **chosen)
    np.testing.assert_allclose(y.numpy(), yt.detach().numpy().transpose(0, 2, 3, 1), atol=1e-12)
    c = np.random.default_rng(1).standard_normal(y.shape)
    yt.backward(torch.tensor(c.transpose(0, 3, 1, 2)))
    for ours, theirs, order in zip(mg.grad(y, leaves, c), (xt, wt, bt), ((0, 2, 3, 1), (2, 3, 1, 0), (0,))):
        np.testing.assert_allclose(ours.numpy(), theirs.grad.numpy().transpose(order), atol=1e-12)
    if len(x) == 0:
        return                                                       # PyTorch has no transposed convolution of nothing
    ct = torch.tensor(c.transpose(0, 3, 1, 2))
    arguments = chosen["stride"], (top, left), room(x, w, chosen), chosen["groups"], chosen["dilation"]
    theirs = torch.nn.functional.conv_transpose2d(ct, wt, None, *arguments).detach().numpy()
    ours = mg.conv2d_transpose(mg.tensor(c), mg.tensor(w), output_padding=room(x, w, chosen), **chosen)
    np.testing.assert_allclose(ours.numpy(), theirs.transpose(0, 2, 3, 1), atol=1e-12)


PADDINGS = {"valid": ((0, 0), (0, 0)), "same": ((2, 2), (0, 1)), 2: ((2, 2), (2, 2)), (1, 2): ((1, 1), (2, 2)),
            ((1, 0), (2, 1)): ((1, 0), (2, 1))}


@pytest.mark.parametrize("padding, pairs", PADDINGS.items(), ids=str)
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_padding(padding, pairs, mode):
    x, w = normal(2, 5, 6, 2), normal(3, 2, 2, 3)
    y = mg.conv2d(mg.tensor(x), mg.tensor(w), None, 1, padding, (2, 1), padding_mode=mode)
    mirrored = np.pad(x, ((0, 0), *pairs, (0, 0)), **{"mode": "constant" if mode == "zeros" else "reflect"})
    np.testing.assert_allclose(y.numpy(), naive(mirrored, w, dilation=(2, 1)), atol=1e-12)


def test_same_with_a_stride_divides_the_size():
    x, w = mg.tensor(normal(1, 7, 8, 1)), mg.tensor(normal(4, 4, 1, 2))
    y = mg.conv2d(x, w, None, 2, "same")
    assert y.shape == (1, 4, 4, 2)
    assert mg.conv2d_transpose(y, w, None, 2, "same").shape == (1, 8, 8, 1)


def test_a_transposed_convolution_adds_its_bias():
    y, w, b = normal(2, 3, 3, 4), normal(2, 2, 3, 4), normal(3)
    with_bias, without = (mg.conv2d_transpose(mg.tensor(y), mg.tensor(w), bias, 3).numpy()
                          for bias in (mg.tensor(b), None))
    assert with_bias.shape == (2, 8, 8, 3)
    np.testing.assert_allclose(with_bias, without + b, atol=1e-12)
    np.testing.assert_allclose(with_bias[:, 2::3], np.broadcast_to(b, (2, 2, 8, 3)))          # rows that no tap reaches


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_are_kept(dtype):
    shapes = (2, 5, 5, 2), (3, 3, 2, 4), (4,)
    x, w, b = (mg.tensor(normal(*shape), requires_grad=True, dtype=dtype) for shape in shapes)
    for y in (mg.conv2d(x, w, b, 2, 1), mg.conv2d(x, w), mg.conv2d(x, w[:, :, :1, :2], None, groups=2)):
        assert y.dtype == dtype
        assert all(g.dtype == dtype for g in mg.grad(y, [x, w], y))
    back = mg.conv2d_transpose(mg.conv2d(x, w), w, None, 2)
    assert back.dtype == mg.conv2d_weight_grad(x, mg.conv2d(x, w), 3).dtype == dtype


def test_mixed_dtypes_and_lists():
    x = np.arange(9).reshape(1, 3, 3, 1)
    y = mg.conv2d(mg.tensor(x.astype("float32")), mg.tensor(np.ones((2, 2, 1, 1))), [0.5])
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y.numpy()[0, :, :, 0], [[8.5, 12.5], [20.5, 24.5]])
    whole = mg.conv2d(mg.tensor(x), mg.tensor(np.ones((2, 2, 1, 1), int)))
    assert whole.dtype.kind == "i" and whole.numpy()[0, 1, 1, 0] == 24
    assert mg.conv1d([[[1.0], [2.0], [4.0]]], [[[1.0]], [[-1.0]]]).tolist() == [[[-1.0], [-2.0]]]


def test_an_empty_batch():
    x, w, b = leaf(normal(0, 5, 5, 2)), leaf(normal(3, 3, 2, 4)), leaf(normal(4))
    y = mg.conv2d(x, w, b, 2, 1)
    assert y.shape == (0, 3, 3, 4)
    x_bar, w_bar, b_bar = mg.grad(y, [x, w, b], np.zeros(y.shape))
    assert x_bar.shape == x.shape and not w_bar.numpy().any() and not b_bar.numpy().any()


# ---- derivatives -----------------------------------------------------------------------------------------------------
GRADIENTS = {                    # shapes of x and w, settings
    "3×3": ((1, 3, 4, 2), (3, 3, 2, 2), dict(padding=1)),
    "stride and output padding": ((1, 4, 4, 1), (2, 3, 1, 2), dict(stride=(3, 2), padding=((1, 0), (1, 1)))),
    "dilation": ((1, 5, 3, 1), (2, 2, 1, 2), dict(dilation=(3, 2), padding=1)),
    "stride and dilation": ((1, 6, 5, 1), (2, 2, 1, 1), dict(stride=(4, 2), dilation=(2, 3), padding=(1, 2))),
    "groups": ((1, 3, 3, 4), (2, 2, 2, 4), dict(groups=2)),
    "depthwise": ((1, 3, 3, 3), (2, 2, 1, 3), dict(groups=3, padding=1, stride=2)),
    "1×1": ((2, 2, 2, 3), (1, 1, 3, 2), {}),
    "few results": ((1, 3, 3, 8), (2, 2, 8, 1), dict(padding=1)),
    "reflect": ((1, 3, 3, 1), (3, 3, 1, 2), dict(padding=2, padding_mode="reflect")),
    "an empty batch": ((0, 3, 3, 1), (2, 2, 1, 2), {}),
}


@pytest.mark.parametrize("case", GRADIENTS)
def test_gradients_of_conv2d(case):
    x, w, chosen = GRADIENTS[case]
    assert_gradients(lambda x, w, b: mg.conv2d(x * x, w, b, **chosen), normal(*x), normal(*w), normal(w[3]))


@pytest.mark.parametrize("case", ["3×3", "stride and dilation", "groups", "depthwise"])
def test_gradients_of_the_adjoints(case):
    x, w, chosen = GRADIENTS[case]
    y, extra = mg.conv2d(mg.tensor(normal(*x)), mg.tensor(normal(*w)), **chosen).shape, 1 if "stride" in chosen else 0
    assert_gradients(lambda y, w, b: mg.conv2d_transpose(y * y, w, b, output_padding=extra, **chosen),
                     normal(*y), normal(*w), normal(x[3]))
    assert_gradients(lambda x, y: mg.conv2d_weight_grad(x * x, y, w[:2], **chosen), normal(*x), normal(*y))


@settings(max_examples=20)
@given(convolutions())
def test_fused_equals_composite_to_second_order(backend, drawn):
    x, w, b, chosen = drawn
    results = []
    for f in (mg.conv2d, conv2d_composite):
        rng, leaves = np.random.default_rng(0), [leaf(a) for a in (x, w, b)]
        y = f(*leaves, **chosen)
        first = mg.grad(y, leaves, rng.standard_normal(y.shape), create_graph=True)
        total = sum((mg.sum(g * mg.tensor(rng.standard_normal(g.shape))) for g in first), start=leaf(0))
        results.append([y, *first, *mg.grad(total, leaves)])
    for a, b in zip(*results):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-9)


TRILINEAR = {
    "conv2d": lambda x, w, y, chosen: mg.sum(mg.conv2d(x, w, **chosen) * y),
    "conv2d_transpose": lambda x, w, y, chosen: mg.sum(mg.conv2d_transpose(y, w, output_padding=(1, 0), **chosen) * x),
    "conv2d_weight_grad": lambda x, w, y, chosen: mg.sum(mg.conv2d_weight_grad(x, y, w.shape[:2], **chosen) * w),
}


@pytest.mark.parametrize("groups, channels", [(1, (3, 2)), (2, (4, 2)), (3, (3, 3))])
@pytest.mark.parametrize("op", TRILINEAR)
def test_third_derivatives_close_under_the_adjoints(op, groups, channels):
    """D³T along three directions is the sum of T over the 6 ways to hand one part of each to x, w and y."""
    (C, O), chosen = channels, dict(stride=2, padding=((1, 0), (2, 1)), dilation=(1, 2), groups=groups)
    shapes = (2, 6, 6, C), (2, 3, C // groups, O), (2, 3, 3, O)
    point, *directions = [[normal(*shape) for shape in shapes] for _ in range(4)]
    leaves = [leaf(a) for a in point]
    f = TRILINEAR[op](*leaves, chosen)
    for direction in directions:
        gradients = mg.grad(f, leaves, create_graph=True)
        f = sum((mg.sum(g * mg.tensor(d)) for g, d in zip(gradients, direction)), start=leaf(0))
    chosen = dict(chosen, stride=(2, 2))
    expected = sum(np.sum(naive(a[0], b[1], **chosen) * c[2]) for a, b, c in itertools.permutations(directions))
    assert f.item() == pytest.approx(expected, rel=1e-10)


def test_a_gradient_penalty_has_its_second_derivative():
    """∇_w of ‖∇ₓ Σ tanh(conv(x, w))‖², as a critic's penalty asks for."""
    def penalty(x, w):
        g = mg.grad(mg.sum(mg.tanh(mg.conv2d(x, w, None, 2, 1))), x, create_graph=True)
        return mg.sum(g * g, axis=(1, 2, 3))

    assert_gradients(penalty, normal(2, 3, 3, 1), 0.5 * normal(2, 2, 1, 2), orders=1)


# ---- one dimension ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("padding, pair", [(2, (2, 2)), ((1, 3), (1, 3)), ("same", (2, 2)), ("causal", (4, 0))],
                         ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_conv1d_against_loops(padding, pair, groups):
    x, w, b = normal(2, 7, 4), normal(3, 4 // groups, 2), normal(2)
    y = mg.conv1d(mg.tensor(x), mg.tensor(w), mg.tensor(b), 1, padding, 2, groups)
    expected = naive(x[:, None], w[None], b, padding=((0, 0), pair), dilation=(1, 2), groups=groups)[:, 0]
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-12)


def test_conv1d_against_torch():
    torch = pytest.importorskip("torch")
    x, w, b, y = normal(2, 9, 4), normal(3, 2, 6), normal(6), normal(2, 4, 6)
    xt, wt, yt = (torch.tensor(a.transpose(order)) for a, order in ((x, (0, 2, 1)), (w, (2, 1, 0)), (y, (0, 2, 1))))
    theirs = torch.nn.functional.conv1d(xt, wt, torch.tensor(b), 2, 1, 2, 2).numpy().transpose(0, 2, 1)
    ours = mg.conv1d(mg.tensor(x), mg.tensor(w), mg.tensor(b), 2, 1, 2, 2)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-12)
    theirs = torch.nn.functional.conv_transpose1d(yt, wt, None, 2, 1, 1, 2, 2).numpy().transpose(0, 2, 1)
    ours = mg.conv1d_transpose(mg.tensor(y), mg.tensor(w), None, 2, 1, 2, 2, 1)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-12)


@pytest.mark.parametrize("chosen", [dict(padding="causal", dilation=2), dict(stride=2, padding=(1, 0), groups=2)],
                         ids=str)
def test_gradients_in_one_dimension(chosen):
    w, b = normal(2, 2 // chosen.get("groups", 1), 2), normal(2)
    assert_gradients(lambda x, w, b: mg.conv1d(x * x, w, b, **chosen), normal(2, 5, 2), w, b)
    chosen = dict(chosen, padding=(0, 1))
    assert_gradients(lambda y, w, b: mg.conv1d_transpose(y * y, w, b, **chosen), normal(2, 3, 2), w, b)


def test_causal_padding_never_looks_ahead():
    x, w = normal(1, 8, 2), mg.tensor(normal(3, 2, 3))
    y = mg.conv1d(mg.tensor(x), w, padding="causal", dilation=2).numpy()
    for t in range(8):
        moved = x.copy()
        moved[:, t] += 1
        change = np.abs(mg.conv1d(mg.tensor(moved), w, padding="causal", dilation=2).numpy() - y).max(axis=(0, 2))
        assert not change[:t].any() and change[t] > 1e-3


def test_reflect_padding_in_one_dimension():
    x, w = normal(1, 5, 2), normal(3, 2, 1)
    y = mg.conv1d(mg.tensor(x), mg.tensor(w), padding=(2, 1), padding_mode="reflect")
    mirrored = np.pad(x, ((0, 0), (2, 1), (0, 0)), mode="reflect")
    np.testing.assert_allclose(y.numpy(), naive(mirrored[:, None], w[None])[:, 0], atol=1e-12)


# ---- bad input -------------------------------------------------------------------------------------------------------
def zeros(*shape):
    return mg.zeros(shape)


def on_image(op, *arguments, **chosen):
    """The op called with x (1, 5, 5, 2) and w (3, 3, 2, 4), or with what it takes for x."""
    C = 4 if op is mg.conv2d_transpose else 2
    return lambda: op(zeros(1, 5, 5, C), zeros(3, 3, 2, 4), *arguments, **chosen)


REFUSED = {
    r"conv2d: wants an input \(N, H, W, C\) and a kernel \(KH, KW, C/G, O\), got \(5, 5, 2\) and \(3, 3, 2, 4\)":
        lambda: mg.conv2d(zeros(5, 5, 2), zeros(3, 3, 2, 4)),
    r"conv2d: the input \(1, 5, 5, 3\) has 3 channels, but the kernel \(3, 3, 2, 4\) with groups=1 takes 2":
        lambda: mg.conv2d(zeros(1, 5, 5, 3), zeros(3, 3, 2, 4)),
    r"conv2d: groups=3 must divide the channels, which are 6 of x and 4 of y": on_image(mg.conv2d, groups=3),
    r"conv2d: groups must be an int ≥ 1, got 0": on_image(mg.conv2d, groups=0),
    r"conv2d: groups must be an int ≥ 1, got None": on_image(mg.conv2d, groups=None),
    r"conv2d: the kernel \(3, 3, 2, 4\) with groups=1 wants a bias \(4,\), got \(2,\)": on_image(mg.conv2d, [1.0, 2]),
    r"conv2d: along H a kernel of 3 taps with dilation 2 reaches over 5 places, but x has 2, 4 with its padding":
        lambda: mg.conv2d(zeros(1, 2, 9, 2), zeros(3, 3, 2, 4), None, 1, 1, 2),
    r"conv2d: along W a kernel of 3 taps with dilation 1 reaches over 3 places, but x has 2":
        lambda: mg.conv2d(zeros(1, 9, 2, 2), zeros(3, 3, 2, 4)),
    r"conv2d: along H a kernel of 0 taps": lambda: mg.conv2d(zeros(1, 9, 2, 2), zeros(0, 1, 2, 4)),
    r"conv2d: stride must be an int ≥ 1 or 2 of them, got 0": on_image(mg.conv2d, None, 0),
    r"conv2d: dilation must be an int ≥ 1 or 2 of them, got \(1, -1\)": on_image(mg.conv2d, dilation=(1, -1)),
    r"conv2d: padding='full' is none of 'valid', 'same'": on_image(mg.conv2d, padding="full"),
    r"conv2d: padding_mode 'mirror' is none of": on_image(mg.conv2d, padding_mode="mirror"),
    r"can reflect 4 elements at most, not \(5, 5\)": on_image(mg.conv2d, padding=5, padding_mode="reflect"),
    r"conv2d_transpose: the input \(1, 5, 5, 2\) has 2 channels, but the kernel \(3, 3, 2, 4\) with groups=1 takes 4":
        lambda: mg.conv2d_transpose(zeros(1, 5, 5, 2), zeros(3, 3, 2, 4)),
    r"conv2d_transpose: the kernel \(3, 3, 2, 4\) with groups=2 wants a bias \(4,\), got \(2,\)":
        on_image(mg.conv2d_transpose, [1.0, 2], groups=2),
    r"conv2d_transpose: output_padding=2 must be less than the stride \(2, 2\)":
        on_image(mg.conv2d_transpose, None, 2, output_padding=2),
    r"conv2d_transpose: output_padding=1 .* and 0 with padding 'same'":
        on_image(mg.conv2d_transpose, None, 2, "same", output_padding=1),
    r"conv2d_transpose: along H 5 places and a kernel of 3 taps give -1 places after the padding \(4, 4\) is cut off":
        on_image(mg.conv2d_transpose, None, 1, 4),
    r"conv2d_transpose: along W 0 places": lambda: mg.conv2d_transpose(zeros(1, 1, 0, 4), zeros(3, 3, 2, 4)),
    r"conv2d_weight_grad: wants x \(N, H, W, C\) and y \(N, H′, W′, O\), got \(1, 5, 5, 2\) and \(2, 3, 3, 4\)":
        lambda: mg.conv2d_weight_grad(zeros(1, 5, 5, 2), zeros(2, 3, 3, 4), 3),
    r"conv2d_weight_grad: a kernel \(2, 2\) takes x \(1, 5, 5, 2\) to \(N, 4, 4, O\), but y is \(1, 3, 3, 4\)":
        lambda: mg.conv2d_weight_grad(zeros(1, 5, 5, 2), zeros(1, 3, 3, 4), 2),
    r"conv2d_weight_grad: groups=3 must divide":
        lambda: mg.conv2d_weight_grad(zeros(1, 5, 5, 2), zeros(1, 3, 3, 4), 3, groups=3),
    r"conv1d: wants an input \(N, T, C\) and a kernel \(K, C/G, O\), got \(1, 5, 5, 2\) and \(3, 2, 4\)":
        lambda: mg.conv1d(zeros(1, 5, 5, 2), zeros(3, 2, 4)),
    r"conv1d: along T a kernel of 6 taps with dilation 1 reaches over 6 places, but x has 5":
        lambda: mg.conv1d(zeros(1, 5, 2), zeros(6, 2, 4)),
    r"conv1d: the input \(1, 5, 3\) has 3 channels": lambda: mg.conv1d(zeros(1, 5, 3), zeros(3, 2, 4)),
    r"conv1d: padding must be an int ≥ 0, \(before, after\)":
        lambda: mg.conv1d(zeros(1, 5, 2), zeros(3, 2, 4), padding=-1),
    r"conv1d_transpose: padding 'causal' would look ahead":
        lambda: mg.conv1d_transpose(zeros(1, 5, 4), zeros(3, 2, 4), padding="causal"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()


def test_devices_do_not_mix(backend):
    if backend != "numpy":
        with mg.use("numpy"):
            x = mg.zeros((1, 5, 5, 2))
        with pytest.raises(TypeError, match="conv2d: .* live on different devices"):
            mg.conv2d(x, zeros(3, 3, 2, 4))
