"""Attention: the formula, distributions over the keys, masks, heads, symmetries, derivatives."""
import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st

import minigen as mg
from minigen import nn
from minigen.nn.attention import _hide_future

pytestmark = pytest.mark.usefixtures("backend")


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def formula(q, k, v, visible=None):
    """Query by query, for one (T, D), (L, D), (L, E)."""
    out, weights = np.zeros((len(q), v.shape[1])), np.zeros((len(q), len(k)))
    for i in range(len(q)):
        for j in range(len(k)):
            seen = visible is None or visible[i, j]
            weights[i, j] = np.exp(q[i] @ k[j] / np.sqrt(q.shape[1])) if seen else 0
        weights[i] /= weights[i].sum()
        out[i] = weights[i] @ v
    return out, weights


# ---- one head --------------------------------------------------------------------------------------------------------
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_value(T, L, D, E):
    q, k, v = draw((2, T, D), (2, L, D), (2, L, E))
    out = nn.scaled_dot_product_attention(mg.tensor(q), mg.tensor(k), mg.tensor(v)).numpy()
    for n in range(2):
        np.testing.assert_allclose(out[n], formula(q[n], k[n], v[n])[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("settings", [{}, {"causal": True}, {"mask": np.eye(5, dtype=bool) | (np.arange(5) == 2)}])
def test_rows_sum_to_one_also_where_logits_are_huge(settings):
    q, k = draw((3, 5, 4), (3, 5, 4))
    settings = {name: mg.tensor(x) if name == "mask" else x for name, x in settings.items()}
    weights = nn.attention_weights(mg.tensor((1e4 * q).astype(np.float32)), mg.tensor(k.astype(np.float32)), **settings)
    assert weights.shape == (3, 5, 5) and (weights.numpy() >= 0).all()
    np.testing.assert_allclose(weights.numpy().sum(-1), 1, rtol=1e-6)


def test_a_mask_hides_keys():
    q, k, v = draw((3, 2), (4, 2), (4, 2))
    visible = np.array([[1, 0, 0, 0], [1, 1, 0, 1], [0, 0, 1, 1]], dtype=bool)
    out = nn.scaled_dot_product_attention(*map(mg.tensor, (q, k, v)), mask=mg.tensor(visible)).numpy()
    np.testing.assert_allclose(out, formula(q, k, v, visible)[0], rtol=1e-9)
    np.testing.assert_allclose(out[0], v[0], rtol=1e-9)                             # sees one key: its value


def test_causal_is_a_triangular_mask():
    q, k, v = (mg.tensor(a) for a in draw((2, 4, 3), (2, 4, 3), (2, 4, 3)))
    triangle = mg.tensor(np.tri(4, dtype=bool))
    np.testing.assert_array_equal(nn.scaled_dot_product_attention(q, k, v, causal=True).numpy(),
                                  nn.scaled_dot_product_attention(q, k, v, mask=triangle).numpy())


def test_what_lies_in_the_future_gets_no_gradient():
    x, (c,) = mg.zeros((2, 3, 3), dtype="float64", requires_grad=True), draw((2, 3, 3))
    np.testing.assert_array_equal(mg.grad(_hide_future(x), x, mg.tensor(c)).numpy(), np.tril(c))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_gradients(causal, masked):
    mask = mg.tensor(np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1]], dtype=bool)) if masked else None
    assert_gradients(lambda q, k, v: nn.scaled_dot_product_attention(q, k, v, mask, causal),
                     *draw((2, 3, 2), (2, 3, 2), (2, 3, 2)))


def test_the_scale_keeps_logits_of_unit_variance():
    """For logits ~ N(0, 1) and L keys, Σ eˢ s / Σ eˢ → 1 and log Σ eˢ → log L + ½, so the entropy → log L − ½.

    The standard error over 400 queries of 64 keys, measured below, is about 0.01, and the bias of a finite L less than
    0.05; without the root the entropy would be near 0. The seed is fixed.
    """
    q, k = draw((400, 100), (400, 64, 100))
    w = nn.attention_weights(mg.tensor(q[:, None]), mg.tensor(k)).numpy()[:, 0]
    entropy = -(w * np.log(w)).sum(-1)
    assert abs(entropy.mean() - (np.log(64) - 0.5)) < 0.05 + 5 * entropy.std() / 20


# ---- many heads ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_heads_side_by_side_equal_heads_one_by_one(heads, causal):
    layer = nn.MultiHeadAttention(4, heads, causal=causal, rng=0)
    x, = draw((2, 3, 4))
    p, d = layer.state_dict(), 4 // heads
    visible = np.tri(3, dtype=bool) if causal else None
    for n in range(2):
        q, k, v = (x[n] @ p[f"{name}.weight"] + p[f"{name}.bias"] for name in ("query", "key", "value"))
        parts = [formula(*(a[:, h * d:(h + 1) * d] for a in (q, k, v)), visible) for h in range(heads)]
        expected = np.concatenate([out for out, _ in parts], axis=1) @ p["out.weight"] + p["out.bias"]
        np.testing.assert_allclose(layer(mg.tensor(x)).numpy()[n], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layer.weights(mg.tensor(x)).numpy()[n], [w for _, w in parts], rtol=1e-5, atol=1e-6)


def test_a_context_of_another_length_and_width():
    layer = nn.MultiHeadAttention(4, 2, context_features=3, rng=0)
    x, context = (mg.tensor(a) for a in draw((2, 5, 4), (2, 7, 3)))
    assert layer(x, context).shape == (2, 5, 4) and layer.weights(x, context).shape == (2, 2, 5, 7)


@pytest.mark.parametrize("lead", [(), (3,)])
def test_a_mask_for_all_heads(lead):
    layer, visible = nn.MultiHeadAttention(4, 2, rng=0), np.random.default_rng(0).random((*lead, 5, 5)) < 0.4
    visible |= np.eye(5, dtype=bool)
    weights = layer.weights(mg.tensor(draw((3, 5, 4))[0]), mask=mg.tensor(visible)).numpy()
    assert (weights[~np.broadcast_to(visible[..., None, :, :], weights.shape)] == 0).all() and (weights > 0).any()


def test_self_attention_permutes_with_its_input():
    layer, (x,) = nn.MultiHeadAttention(4, 2, rng=0), draw((2, 5, 4))
    order = np.array([3, 1, 4, 0, 2])
    np.testing.assert_allclose(layer(mg.tensor(x[:, order])).numpy(), layer(mg.tensor(x)).numpy()[:, order], rtol=1e-6,
                               atol=1e-9)


def test_a_causal_layer_does_not_look_ahead():
    layer, (x,) = nn.MultiHeadAttention(4, 2, causal=True, rng=0), draw((1, 5, 4))
    at = mg.tensor(x, requires_grad=True)
    for i in range(5):
        gradient = mg.grad(mg.sum(layer(at)[0, i]), at).numpy()[0]
        assert (gradient[i + 1:] == 0).all() and (gradient[:i + 1] != 0).any(axis=1).all()


def test_gradients_with_respect_to_the_maps():
    layer = nn.MultiHeadAttention(2, 2, rng=0)

    def f(x, query, key, value, out):
        layer.query.weight, layer.key.weight, layer.value.weight, layer.out.weight = query, key, value, out
        return layer(x)

    assert_gradients(f, *draw((1, 3, 2), (2, 2), (2, 2), (2, 2), (2, 2)))


# ---- on images -------------------------------------------------------------------------------------------------------
def test_self_attention_on_images_starts_as_the_identity():
    layer, (x,) = nn.SelfAttention(8, heads=2, groups=4, rng=0), draw((2, 3, 5, 8))
    np.testing.assert_array_equal(layer(mg.tensor(x)).numpy(), x)
    weights = layer.weights(mg.tensor(x))
    assert weights.shape == (2, 2, 15, 15)
    np.testing.assert_allclose(weights.numpy().sum(-1), 1, rtol=1e-6)


def test_self_attention_on_images_is_attention_over_their_positions():
    layer, (x,) = nn.SelfAttention(4, groups=2, rng=0), draw((2, 2, 3, 4))
    layer.attention = nn.MultiHeadAttention(4, rng=1)
    flat = layer.norm(mg.tensor(x)).reshape((2, 6, 4))
    expected = x + layer.attention(flat).numpy().reshape(x.shape)
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), expected, rtol=1e-12)
    assert_gradients(layer, x[:1, :2, :2])


# ---- bad input -------------------------------------------------------------------------------------------------------
Q = (2, 3, 4)


@pytest.mark.parametrize("call, error, message", [
    (lambda: nn.attention_weights(mg.zeros(Q), mg.zeros((2, 3, 5))), ValueError,
     r"attention_weights: wants queries, keys and values \(…, T, D\), \(…, L, D\), got \(2, 3, 4\), \(2, 3, 5\)"),
    (lambda: nn.scaled_dot_product_attention(mg.zeros(Q), mg.zeros(Q), mg.zeros((2, 4, 4))), ValueError,
     r"scaled_dot_product_attention: wants .* got \(2, 3, 4\), \(2, 3, 4\), \(2, 4, 4\)"),
    (lambda: nn.attention_weights(mg.zeros(4), mg.zeros(Q)), ValueError, r"got \(4,\), \(2, 3, 4\)"),
    (lambda: nn.attention_weights(mg.zeros(Q), mg.zeros((2, 5, 4)), causal=True), ValueError, "3 queries and 5 keys"),
    (lambda: nn.attention_weights(mg.zeros(Q), mg.zeros(Q), mask=mg.ones((3, 3))), TypeError,
     "the mask must be boolean .* got float32"),
    (lambda: nn.attention_weights(mg.zeros(Q), mg.zeros(Q), mask=mg.ones((2, 3), dtype="bool")), ValueError,
     r"the mask \(2, 3\) does not broadcast to \(…, T, L\) = \(2, 3, 3\)"),
    (lambda: nn.attention_weights(mg.zeros(Q), mg.zeros(Q), mask=mg.tensor([[True], [False], [True]])), ValueError,
     "hides all keys from some query"),
    (lambda: nn.MultiHeadAttention(4, 3, rng=0), ValueError, "4 features in heads of equal width, got 3 heads"),
    (lambda: nn.MultiHeadAttention(4, 2, rng=0)(mg.zeros((2, 3))), ValueError,
     r"MultiHeadAttention\(4, heads=2\) wants 4 features on the last axis, got an input of shape \(2, 3\)"),
    (lambda: nn.MultiHeadAttention(4, 2, context_features=5, rng=0)(mg.zeros(Q), mg.zeros(Q)), ValueError,
     r"MultiHeadAttention\(4, heads=2\) wants a context with 5 features .* \(2, 3, 4\)"),
])
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    q, k, v = (a.astype(np.float32) for a in draw((2, 4, 3), (2, 4, 3), (2, 4, 3)))
    theirs = torch.nn.functional.scaled_dot_product_attention(*map(torch.tensor, (q, k, v)), is_causal=True)
    ours = nn.scaled_dot_product_attention(*map(mg.tensor, (q, k, v)), causal=True)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)
