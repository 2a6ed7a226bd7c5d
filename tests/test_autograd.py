"""The backward pass: right to any order, iterative, frugal, and never silently wrong."""
import numpy as np
import pytest
from helpers import assert_gradients, leaf
from hypothesis import given
from hypothesis.extra import numpy as hnp

import minigen as mg

both = pytest.mark.usefixtures("backend")


# ---- right -----------------------------------------------------------------------------------------------------------
@both
def test_first_example():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4] and x.grad.dtype == np.float32 and x.grad.is_leaf


@both
def test_a_function_of_everything():
    rng = np.random.default_rng(0)
    assert_gradients(lambda x, w, b: mg.tanh(mg.exp(-x) @ w + b) / (1 + (x * x).sum(axis=1, keepdims=True)),
                     rng.standard_normal((3, 2)), rng.standard_normal((2, 4)), rng.standard_normal(4))


@both
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0))
def test_broadcasting_is_undone(shapes):
    rng = np.random.default_rng(0)
    assert_gradients(lambda a, b: a * b + a, *map(rng.standard_normal, shapes.input_shapes))


@both
def test_derivatives_to_the_fourth_order():
    x = leaf([0.3, -0.7, 1.2])
    values, ones = [mg.tanh(x)], np.ones(3)
    for _ in range(4):
        values.append(mg.grad(values[-1], x, ones, create_graph=True))
    t = np.tanh([0.3, -0.7, 1.2])
    s = 1 - t * t                                          # t′ = s, s′ = −2 t s
    closed = [t, s, -2 * t * s, -2 * s * s + 4 * t * t * s, 16 * t * s * s - 8 * t ** 3 * s]
    for ours, theirs in zip(values, closed):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-12)


@both
def test_mixed_partial_derivatives():
    x, y = leaf(1.5), leaf(2.5)
    f, e = y * mg.exp(x * y), np.exp(1.5 * 2.5)
    fx, fy = mg.grad(f, [x, y], create_graph=True)
    fxy, fyx = mg.grad(fx, y, create_graph=True), mg.grad(fy, x, create_graph=True)
    assert fxy.item() == pytest.approx(e * (2 * 2.5 + 1.5 * 2.5 ** 2))                     # e^{xy} (2y + x y²)
    assert fyx.item() == pytest.approx(fxy.item())
    fxyx = mg.grad(fxy, x)
    assert fxyx.item() == pytest.approx(e * (3 * 2.5 ** 2 + 1.5 * 2.5 ** 3))               # e^{xy} (3y² + x y³)


@both
def test_a_freed_graph_below_a_gradient_raises_rather_than_being_left_out():
    x, y = leaf(1.5), leaf(2.5)
    f = y * mg.exp(x * y)
    fx = mg.grad(f, x, create_graph=True)
    mg.grad(mg.grad(f, y, create_graph=True), x)                                           # frees the graph of f
    with pytest.raises(RuntimeError, match="was used and freed"):
        mg.grad(fx, x)
    h = x * x
    g = h * 2
    mg.grad(h, x)
    with pytest.raises(RuntimeError, match="was used and freed"):
        mg.grad(g, [h, x])


@both
def test_gradient_of_a_gradient_penalty():
    """As in WGAN-GP: the parameters' gradient of (‖∂f/∂x‖ − 1)², against the closed form for f = wᵀx."""
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    slope = mg.grad((w * x).sum(), x, create_graph=True)
    penalty = (mg.sqrt((slope * slope).sum()) - 1) ** 2
    np.testing.assert_allclose(mg.grad(penalty, w).numpy(), 2 * (5 - 1) * np.array([3, 4]) / 5)


@both
def test_shared_subgraphs():
    x = leaf(3.0)
    h = x * x
    y = h * h + h                                           # x⁴ + x²
    assert mg.grad(y, h, retain_graph=True).item() == 2 * 9 + 1
    assert mg.grad(y, x).item() == 4 * 27 + 6


@both
def test_grad_frees_and_needs_only_what_it_passes_through():
    x = leaf(3.0)
    h = x * x
    assert mg.grad(h * 2, h).item() == 2                    # does not touch how h was made …
    assert mg.grad(h, x).item() == 6                        # … so that is still there, and now freed,
    assert mg.grad(h * 5, h).item() == 5                    # which does not matter here
    k = x * x
    y = k + 1
    z = y * y * k
    mg.grad(k, x)                                           # how k was made is freed …
    assert mg.grad(z, y).item() == 2 * 10 * 9               # … and does not matter to y, which is younger


@both
def test_the_same_tensor_twice_in_one_op():
    x = leaf(3.0)
    for y, slope in [(x * x, 6), (x + x, 2), (x / x, 0), (x - x, 0), (x ** x, 27 * (np.log(3) + 1))]:
        assert mg.grad(y, x).item() == pytest.approx(slope)


@both
def test_cotangents_of_every_kind():
    x = leaf([1.0, 2.0])
    for cotangent in ([1.0, 10.0], (1, 10), np.array([1, 10]), np.array([1, 10], "float32"), mg.tensor([1.0, 10.0])):
        if isinstance(cotangent, np.ndarray):
            cotangent = mg.tensor(cotangent)
        g = mg.grad(x * x, x, cotangent)
        assert g.tolist() == [2, 40] and g.dtype == np.float64


@both
def test_a_cotangent_may_be_differentiated():
    x, u = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    g = mg.grad(x * x, x, u, create_graph=True)             # 2 x u
    assert mg.grad(g, u, [1.0, 1.0]).tolist() == [2, 4]


@both
def test_the_gradient_has_the_dtype_of_its_input():
    x, w = mg.tensor([1.0, 2.0], requires_grad=True), leaf([3.0, 4.0])
    y = (x * w).sum()
    assert y.dtype == np.float64
    gx, gw = mg.grad(y, [x, w])
    assert (gx.dtype, gw.dtype) == (np.float32, np.float64)
    x.backward(mg.tensor([1.0, 1.0], dtype="float64"))
    assert x.grad.dtype == np.float32


# ---- grad ------------------------------------------------------------------------------------------------------------
@both
def test_grad_leaves_every_grad_alone():
    x = leaf([1.0, 2.0])
    g = mg.grad((x * x).sum(), x)
    assert x.grad is None and g.tolist() == [2, 4] and not g.requires_grad


@both
def test_grad_takes_a_tensor_or_a_sequence():
    x, y = leaf(2.0), leaf(3.0)
    assert mg.grad(x * y, x).item() == 3
    for inputs in ([x, y], (x, y), iter([x, y])):
        g = mg.grad(x * y, inputs)
        assert type(g) is tuple and [v.item() for v in g] == [3, 2]


@both
def test_zeros_where_the_output_does_not_depend():
    x, other = leaf([1.0, 2.0]), leaf(np.ones((2, 3)))
    gx, go = mg.grad((x * x).sum(), [x, other])
    assert gx.tolist() == [2, 4] and go.shape == (2, 3) and not go.numpy().any()
    assert mg.grad(mg.tensor(1.0), x).tolist() == [0, 0]
    _, go = mg.grad((x * x).sum(), [x, other], create_graph=True)
    assert not go.numpy().any()


@both
def test_grad_with_respect_to_what_is_in_the_middle():
    x = leaf([1.0, 2.0])
    h = mg.exp(x)
    y = (h * h).sum()
    gh, gx = mg.grad(y, [h, x])
    np.testing.assert_allclose(gh.numpy(), 2 * np.exp([1, 2]))
    np.testing.assert_allclose(gx.numpy(), 2 * np.exp([2, 4]))


@both
def test_grad_of_a_tensor_with_respect_to_itself():
    x, c = leaf([1.0, 2.0]), mg.tensor([3.0, 4.0], dtype="float64")
    h = x * 1.0
    for t in (x, h):
        g = mg.grad(t, t, c)
        assert g.tolist() == [3, 4]
        g[0] = 100.0
        assert c.tolist() == [3, 4]                         # the user's cotangent is the user's


@both
def test_grad_computes_no_more_than_it_is_asked_for():
    called = []

    @mg.primitive
    def watched(xp, a, b):
        return a + b

    def watch(name):
        def vjp(g):
            called.append(name)
            return g
        return vjp

    watched.vjp(watch("a"), watch("b"))
    x, y, z = leaf(1.0), leaf(2.0), leaf(3.0)
    out = watched(watched(x, y), z)
    mg.grad(out, z, retain_graph=True)
    assert called == ["b"]                                  # of the outer op alone
    called.clear()
    mg.grad(out, y)
    assert called == ["a", "b"]


@both
@pytest.mark.parametrize("bad, message", [
    (lambda x: mg.grad(x.sum(), mg.tensor([1.0, 2.0])), r"grad: input 0 is a Tensor \(2,\) that requires no grad"),
    (lambda x: mg.grad(x.sum(), [x, 3.0]), "grad: input 1 is a float"),
    (lambda x: mg.tensor(1.0).backward(), r"backward: this tensor \(\) was computed from nothing that requires grad"),
    (lambda x: x.detach().sum().backward(), "computed from nothing that requires grad")])
def test_asking_for_what_is_not_recorded(bad, message):
    with pytest.raises(RuntimeError, match=message):
        bad(leaf([1.0, 2.0]))


@both
def test_cotangents_are_checked():
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"backward: the output has shape \(2,\); pass a cotangent of that"):
        (x * x).backward()
    with pytest.raises(ValueError, match=r"grad: the cotangent has shape \(3,\), the output \(2,\); they must"):
        mg.grad(x * x, x, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"grad: the cotangent has shape \(\), the output \(2,\)"):
        mg.grad(x * x, x, 1.0)


def test_a_cotangent_on_another_device_is_refused():
    x = leaf([1.0, 2.0])
    with mg.use("strict"):
        c = mg.tensor([1.0, 1.0], dtype="float64")
    with pytest.raises(TypeError, match="grad: the cotangent lives on strict, the output on numpy"):
        mg.grad(x * x, x, c)


# ---- accumulation ----------------------------------------------------------------------------------------------------
@both
def test_backward_accumulates_and_none_starts_afresh():
    x = leaf([1.0, 2.0])
    for expected in ([2, 4], [4, 8]):
        (x * x).sum().backward()
        assert x.grad.tolist() == expected
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]


@both
def test_backward_on_a_leaf():
    x = leaf([1.0, 2.0])
    x.backward([3.0, 4.0])
    x.backward([3.0, 4.0])
    assert x.grad.tolist() == [6, 8]


@both
def test_gradients_do_not_share_memory():
    a, b, c = leaf([1.0, 2.0]), leaf([1.0, 2.0]), mg.tensor([1.0, 1.0], dtype="float64")
    (a + b).backward(c)
    a.grad[0] = 50.0
    assert b.grad.tolist() == [1, 1] and c.tolist() == [1, 1]
    before = a.grad
    (a + b).backward(c)
    assert before.tolist() == [50, 1] and a.grad.tolist() == [51, 2]            # a new tensor, the old one untouched


@both
@pytest.mark.parametrize("make", [lambda a, b: a + b, lambda a, b: a.reshape(1, 2) + b, lambda a, b: mg.stack([a, b])])
def test_gradients_of_any_input_do_not_share_memory(make):
    a, b = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    for inputs in ([a, b], [a * 1, b * 1]):
        ga, gb = mg.grad(make(*inputs).sum() * 1.0, inputs)
        kept = gb.tolist()
        ga[...] = 50.0
        assert gb.tolist() == kept


@both
def test_what_was_saved_is_not_overwritten_by_accumulation():
    """Cotangents that meet are added up in a buffer that is neither a saved array nor the user's cotangent."""
    x = leaf([1.0, 2.0])
    y = mg.exp(x)
    saved = y.tolist()
    z = y * y + y + y.reshape(1, 2)[0] + y
    c = mg.tensor([1.0, 1.0], dtype="float64")
    for _ in range(2):
        np.testing.assert_allclose(mg.grad(z, x, c, retain_graph=True).numpy(), 2 * np.exp([2, 4]) + 3 * np.exp([1, 2]))
    assert y.tolist() == saved and c.tolist() == [1, 1] and x.tolist() == [1, 2]
