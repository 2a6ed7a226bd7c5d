"""Masked layers: value, gradients, which input every output sees, and what is refused."""
import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st

import minigen as mg
from minigen import nn
from minigen.nn.masked import check_causal

pytestmark = pytest.mark.usefixtures("backend")
STRICTLY_BEFORE = np.tril(np.ones((6, 6), bool), -1)         # row d, column j, in the order of generation


def dependencies(f, x):
    """Which output d (row) depends on which input j (column), by differences: our own, without `minigen.check`."""
    base = f(mg.tensor(x)).numpy()
    seen = np.zeros((x.shape[1], x.shape[1]), bool)
    for j in range(x.shape[1]):
        moved = x.copy()
        moved[:, j] += 0.7
        seen[:, j] = (f(mg.tensor(moved)).numpy() != base).any(axis=(0, 2))
    return seen


def points(D=6, n=5, seed=0):
    return np.random.default_rng(seed).standard_normal((n, D))


# ---- one layer -------------------------------------------------------------------------------------------------------
@given(st.lists(st.integers(0, 3), max_size=2), st.integers(1, 4), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_a_masked_layer_is_a_linear_layer_with_zeros(lead, features, following, bias, seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((features, following)) < 0.5
    layer = nn.MaskedLinear(features, following, mask, bias, rng=0)
    x = rng.standard_normal((*lead, features)).astype(np.float32)
    expected = x @ np.where(mask, layer.weight.numpy(), 0) + (layer.bias.numpy() if bias else 0)
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_gradients_of_a_masked_layer(lead):
    mask, rng = np.array([[1, 0], [1, 1], [0, 1]]), np.random.default_rng(0)

    def f(x, weight, bias):
        layer = nn.MaskedLinear(3, 2, mask, rng=0).astype("float64")
        layer.weight, layer.bias = weight, bias
        return mg.tanh(layer(x))

    assert_gradients(f, rng.standard_normal((*lead, 3)), rng.standard_normal((3, 2)), rng.standard_normal(2))


def test_what_is_masked_gets_no_gradient():
    layer = nn.MaskedLinear(3, 2, np.array([[1, 0], [1, 1], [0, 1]]), rng=0)
    mg.sum(layer(mg.ones((4, 3)))).backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy() != 0, layer.mask.numpy() != 0)


def test_a_graph_made_before_a_change_of_masks_refuses():
    layer = nn.MaskedLinear(3, 2, np.ones((3, 2)), rng=0)
    loss = mg.sum(layer(mg.ones((4, 3))))
    layer.set_mask(np.zeros((3, 2)))
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


# ---- the network -----------------------------------------------------------------------------------------------------
NETWORKS = {
    "no hidden layer": dict(hidden=()), "one": dict(hidden=(8,)), "fewer units than inputs": dict(hidden=(3, 3)),
    "three": dict(hidden=(8, 9, 8)), "direct": dict(hidden=(8,), direct=True),
    "two numbers": dict(hidden=(8,), outputs=2), "drawn": dict(hidden=(40, 40), masks=5),
    "an order": dict(hidden=(8,), order=[3, 1, 5, 0, 4, 2]),
    "drawn, several orders": dict(hidden=(40, 40), masks=3, order=[[3, 1, 5, 0, 4, 2], [5, 4, 3, 2, 1, 0], range(6)]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_an_output_sees_the_inputs_before_it_and_nothing_else(name):
    settings = dict(NETWORKS[name])
    if name == "drawn, several orders":
        settings["order"] = np.array([list(o) for o in settings["order"]])
    net = nn.MaskedMLP(6, activation=mg.tanh, rng=0, **settings).astype("float64")
    for k in range(net.masks):
        order = net.use(k).order
        seen = dependencies(net, points())[np.ix_(order, order)]
        assert not (seen & ~STRICTLY_BEFORE).any()
        if name != "fewer units than inputs":
            assert (seen == STRICTLY_BEFORE).all()
        assert mg.check.causality(net, points(), order=order)


def test_with_enough_units_every_allowed_pair_is_connected_in_the_masks():
    """The masks alone, Eqs. (2) and (3), as the paper's Figure 1 counts paths."""
    net = nn.MaskedMLP(6, (5, 5), rng=0)
    paths = np.eye(6)
    for layer in net.layers:
        paths = paths @ layer.mask.numpy()
    np.testing.assert_array_equal(paths > 0, STRICTLY_BEFORE.T)


@given(st.integers(1, 7), st.lists(st.integers(1, 9), max_size=3), st.integers(1, 3), st.integers(0, 2),
       st.integers(1, 3), st.booleans(), st.randoms())
def test_any_sizes_are_causal(D, hidden, outputs, context, masks, direct, random):
    order = random.sample(range(D), D)
    net = nn.MaskedMLP(D, hidden, outputs, order, context, masks, direct, rng=random.randrange(99))
    c = mg.ones((3, context)) if context else None
    place = np.argsort(order)
    for k in range(masks):
        net.use(k)
        seen = dependencies(lambda x: net(x, c), points(D, 3).astype(np.float32))
        assert not (seen & (place[None] >= place[:, None])).any()


def test_every_output_sees_the_context_beyond_a_straight_line():
    net = nn.MaskedMLP(4, (12,), outputs=2, context_features=1, activation=mg.tanh, rng=0).astype("float64")
    x = mg.tensor(points(4, 1))
    at = [net(x, mg.tensor([[c]], dtype="float64")).numpy() for c in (-1.0, 0.0, 1.0)]
    assert (np.abs(at[0] - 2 * at[1] + at[2]) > 1e-6).all()
    assert net(mg.zeros((3, 2, 4), dtype="float64"), mg.zeros((3, 2, 1), dtype="float64")).shape == (3, 2, 4, 2)


def test_gradients_of_the_network():
    def f(x, c, weight):
        net = nn.MaskedMLP(3, (5,), outputs=2, context_features=2, activation=mg.tanh, direct=True, rng=0)
        net.astype("float64").layers[0].weight = weight
        return net(x, c)

    rng = np.random.default_rng(0)
    assert_gradients(f, rng.standard_normal((2, 3)), rng.standard_normal((2, 2)), rng.standard_normal((3, 5)))


def test_evenly_spread_degrees():
    assert nn.MaskedMLP(5, (8,), rng=0).degrees[0].tolist() == [[1, 1, 2, 2, 3, 3, 4, 4]]
    assert nn.MaskedMLP(5, (5,), context_features=1, rng=0).degrees[0].tolist() == [[0, 1, 2, 3, 4]]


def test_drawn_degrees_are_uniform_above_the_least_below():
    """Each of the 4 values of 4,000 drawn degrees: a count within 5 standard deviations, false alarm 3e-6 in all."""
    net = nn.MaskedMLP(5, (100, 7), masks=40, rng=0)
    first, second = (d.numpy() for d in net.degrees)
    counts = np.bincount(first.ravel(), minlength=5)
    assert counts[0] == 0 and np.abs(counts[1:] - 1000).max() < 5 * np.sqrt(4000 * 3 / 16)
    assert (second >= first.min(axis=1, keepdims=True)).all() and second.max() <= 4


def test_masks_and_orders_are_saved(backend):
    order = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])
    net = nn.MaskedMLP(4, (6,), order=order, masks=2, rng=0).use(1)
    twin = nn.MaskedMLP(4, (6,), order=order[::-1], masks=2, rng=5)
    twin.load_state_dict(net.state_dict())
    x = mg.tensor(points(4).astype(np.float32))
    np.testing.assert_array_equal(twin(x).numpy(), net(x).numpy())
    assert twin.order.tolist() == [3, 2, 1, 0]
    np.testing.assert_array_equal(twin.use(0)(x).numpy(), net.use(0)(x).numpy())


def test_masks_of_ones_own():
    net = nn.MaskedMLP(3, (2,), outputs=2, rng=0, activation=mg.tanh).astype("float64")
    net.set_masks([[[1, 0], [0, 0], [0, 0]], [[0, 1, 1], [0, 0, 0]]])                   # all see the first input only
    seen = dependencies(net, points(3))
    assert seen.tolist() == [[False] * 3, [True, False, False], [True, False, False]]


# ---- one input after another -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("context", [0, 2])
def test_running_computes_what_a_full_pass_does(name, context):
    settings = dict(NETWORKS[name])
    if name == "drawn, several orders":
        settings["order"] = np.array([list(o) for o in settings["order"]])
    net = nn.MaskedMLP(6, context_features=context, activation=mg.tanh, rng=0, **settings).astype("float64")
    x, c = mg.tensor(points()), mg.tensor(points(context)) if context else None
    net.use(net.masks - 1)
    full, running = net(x, c).numpy(), net.running(5, c)
    for d in net.order:
        np.testing.assert_allclose(running.output(int(d)).numpy(), full[:, d], atol=1e-13)
        running.feed(d, x[:, int(d)])


def test_running_follows_masks_of_ones_own():
    net = nn.MaskedMLP(3, (2,), rng=0, activation=mg.tanh).astype("float64")
    net.set_masks([[[1, 0], [0, 0], [0, 0]], [[0, 1, 1], [0, 0, 0]]])
    x, running = mg.tensor(points(3)), net.running(5)
    for d in range(3):
        np.testing.assert_allclose(running.output(d).numpy(), net(x).numpy()[:, d], atol=1e-13)
        running.feed(d, x[:, d])
    with pytest.raises(ValueError, match="input 0 is not the next in the order, after 3 of 3"):
        running.feed(0, x[:, 0])


# ---- bad input -------------------------------------------------------------------------------------------------------
def test_masks_that_break_causality_are_told():
    net = nn.MaskedMLP(3, (2,), rng=0)
    with pytest.raises(ValueError, match=r"output 0 sees itself \(6 such pairs\)"):
        net.set_masks([np.ones((3, 2)), np.ones((2, 3))])
    with pytest.raises(ValueError, match="output 1 sees input 2, which comes later"):
        net.set_masks([[[0, 0], [0, 0], [1, 0]], [[0, 1, 0], [0, 0, 0]]])
    check_causal([[[0, 0], [0, 0], [1, 0]], [[0, 1, 0], [0, 0, 0]]], order=[2, 1, 0])          # fine in that order
    with pytest.raises(ValueError, match="order must be a permutation"):
        check_causal([np.zeros((3, 3))], order=[0, 0, 1])


@pytest.mark.parametrize("call, words", [
    (lambda: nn.MaskedLinear(3, 2, np.ones((2, 3)), rng=0),
     r"zeros and ones and of shape \(3, 2\), got shape \(2, 3\)"),
    (lambda: nn.MaskedLinear(3, 2, np.full((3, 2), 0.5), rng=0), "zeros and ones"),
    (lambda: nn.MaskedMLP(3, (0,), rng=0),
     r"at least one feature, output, mask and unit, got features=3, hidden=\(0,\)"),
    (lambda: nn.MaskedMLP(3, (4,), order=[0, 2, 2], rng=0), "an order must be a permutation of 0 … 2"),
    (lambda: nn.MaskedMLP(3, (4,), order=[0, 1], rng=0), r"permutation of 0 … 2, .* got shape \(2,\)"),
    (lambda: nn.MaskedMLP(3, (4,), masks=2, rng=0).use(2), "has 2 sets of masks, numbered from 0; got 2"),
    (lambda: nn.MaskedMLP(3, (4,), rng=0)(mg.zeros((2, 4))), "wants 3 features on the last axis"),
    (lambda: nn.MaskedMLP(3, (4,), rng=0)(mg.zeros((2, 3)), mg.zeros((2, 1))), "made without context_features"),
    (lambda: nn.MaskedMLP(3, (4,), context_features=1, rng=0)(mg.zeros((2, 3))), "a context is missing"),
    (lambda: nn.MaskedMLP(3, (4,), rng=0).set_masks([np.ones((3, 3)), np.ones((3, 3))]), r"wants masks of shapes"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    net = nn.MaskedMLP(5, (7,), rng=0)
    w = {name: torch.tensor(value) for name, value in net.state_dict().items() if "degrees" not in name}
    x = points(5).astype(np.float32)
    h = torch.relu(torch.tensor(x) @ (w["layers.0.weight"] * w["layers.0.mask"]) + w["layers.0.bias"])
    theirs = h @ (w["layers.1.weight"] * w["layers.1.mask"]) + w["layers.1.bias"]
    np.testing.assert_allclose(net(mg.tensor(x)).numpy()[..., 0], theirs.numpy(), rtol=1e-5, atol=1e-6)
