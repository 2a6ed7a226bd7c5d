"""Fused functions equal their composites to second order; losses equal closed forms; bad targets are named."""
import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import minigen as mg
import numpy as np
import pytest
import scipy.special
from helpers import assert_gradients

pytestmark = pytest.mark.usefixtures("backend")


def normal(shape, seed=0, scale=2.0):
    return scale * np.random.default_rng(seed).standard_normal(shape)


def assert_same_to_second_order(fused, composite, *arrays, seed=0):
    """Value, every first derivative, and every derivative of a random combination of those."""
    results = []
    for f in (fused, composite):
        rng = np.random.default_rng(seed)
        leaves = [mg.tensor(a, requires_grad=True) for a in arrays]
        y = f(*leaves)
        first = mg.grad(y, leaves, rng.standard_normal(y.shape), create_graph=True)
        total = sum(mg.sum(g * mg.tensor(rng.standard_normal(g.shape))) for g in first)
        results.append([y, *first, *mg.grad(total, leaves)])
    for a, b in zip(*results):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-11)


# ---- softmax ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name, oracle", [("softmax", scipy.special.softmax),
                                          ("log_softmax", scipy.special.log_softmax)])
@hypothesis.settings(max_examples=8)
@hypothesis.given(shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), data=st.data())
def test_softmax(name, oracle, shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    fused, composite, x = getattr(mg, name), getattr(mg.functional, name + "_composite"), normal(shape, sum(shape))
    np.testing.assert_allclose(fused(mg.tensor(x), axis).numpy(), oracle(x, axis=axis), rtol=1e-12)
    assert_same_to_second_order(lambda t: fused(t, axis=axis), lambda t: composite(t, axis=axis), x)
    assert_gradients(lambda t: fused(t, axis=axis), x)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_is_stable(name):
    x = mg.tensor(np.array([[1e4, -1e4, 0], [1e4, 1e4, -1e4]], np.float32), requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        y = getattr(mg, name)(x)
        g = mg.grad(y, x, np.ones((2, 3), np.float32) * np.array([1, 2, 3], np.float32), create_graph=True)
        h = mg.grad(mg.sum(g * g), x)
    p = np.array([[1, 0, 0], [0.5, 0.5, 0]])
    value = p if name == "softmax" else np.array([[0, -2e4, -1e4], [-np.log(2), -np.log(2), -2e4 - np.log(2)]])
    np.testing.assert_allclose(y.numpy(), value, rtol=1e-6)
    for array in (y, g, h):
        assert array.dtype == np.float32 and np.isfinite(array.numpy()).all()


def test_softmax_of_masked_logits_of_integers_and_of_nothing():
    x = mg.tensor([1.0, -np.inf, 1.0], requires_grad=True)
    for f in (mg.softmax, lambda t: mg.exp(mg.log_softmax(t))):
        y = f(x)
        np.testing.assert_allclose(y.numpy(), [0.5, 0, 0.5], rtol=1e-6)
        np.testing.assert_allclose(mg.grad(y, x, np.array([1, 1, 0], np.float32)).numpy(), [0.25, 0, -0.25], rtol=1e-6)
    np.testing.assert_allclose(mg.softmax([0, 0]).numpy(), [0.5, 0.5])
    assert mg.softmax(mg.zeros((0, 3))).shape == mg.log_softmax(mg.zeros((0, 3))).shape == (0, 3)
    with pytest.raises(ValueError, match=r"softmax: .*got x \(3, 0\)"):
        mg.softmax(mg.zeros((3, 0)))


# ---- classes ---------------------------------------------------------------------------------------------------------
def test_one_hot():
    labels = np.array([[0, 2], [1, 1]])
    for dtype in ("float32", "int64", "float64"):
        encoded = mg.one_hot(mg.tensor(labels), 3, dtype=dtype)
        assert encoded.dtype == dtype
        np.testing.assert_array_equal(encoded.numpy(), np.eye(3)[labels])
    assert mg.one_hot(mg.tensor(labels), 3).dtype == np.float32
    assert mg.one_hot(mg.zeros((0,), "int64"), 3).shape == (0, 3)
    np.testing.assert_array_equal(mg.one_hot(1, 2).numpy(), [0, 1])
    np.testing.assert_array_equal(mg.one_hot(mg.tensor(np.array([2], np.uint8)), 300).numpy()[0, :4], [0, 0, 1, 0])


@pytest.mark.parametrize("label", [-1, 10])
def test_labels_out_of_range(label):
    labels = mg.tensor([3, label, 0])
    with pytest.raises(ValueError, match=f"one_hot: label {label} is out of range: 10 classes have the labels 0 to 9"):
        mg.one_hot(labels, 10)
    with pytest.raises(ValueError, match=f"softmax_cross_entropy: label {label} is out of range"):
        mg.cross_entropy(mg.zeros((3, 10)), labels)
    with pytest.raises(TypeError, match="one_hot: labels must be integers, not float32"):
        mg.one_hot(mg.tensor([1.0]), 10)


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 5), (0, 3)])
def test_cross_entropy_with_labels(shape):
    z = normal(shape)
    labels = np.random.default_rng(1).integers(0, shape[-1], shape[:-1])
    loss = mg.cross_entropy(mg.tensor(z), mg.tensor(labels))
    expected = -np.take_along_axis(scipy.special.log_softmax(z, -1), labels[..., None], -1)[..., 0]
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-12)
    assert_same_to_second_order(lambda t: mg.softmax_cross_entropy(t, mg.tensor(labels)),
                                lambda t: mg.functional.softmax_cross_entropy_composite(t, mg.tensor(labels)), z)
    assert_gradients(lambda t: mg.cross_entropy(t, mg.tensor(labels)), z)


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 2, 3)])
def test_cross_entropy_with_probabilities(shape):
    z, t = normal(shape), np.random.default_rng(1).random(shape)         # weights that need not sum to one
    expected = -(t * scipy.special.log_softmax(z, -1)).sum(-1)
    np.testing.assert_allclose(mg.cross_entropy(mg.tensor(z), mg.tensor(t)).numpy(), expected, rtol=1e-12)
    assert_same_to_second_order(mg.softmax_cross_entropy, mg.functional.softmax_cross_entropy_composite, z, t)
    assert_gradients(mg.softmax_cross_entropy, z, t)


def test_cross_entropy_of_one_example_and_of_extreme_logits():
    assert abs(mg.cross_entropy(mg.tensor([0.0, 0.0]), 1).item() - np.log(2)) < 1e-6
    z = mg.tensor(np.array([[1e4, -1e4], [0, 0]], np.float32), requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        loss = mg.cross_entropy(z, [1, 0])
        g = mg.grad(loss, z, np.ones(2, np.float32), create_graph=True)
        h = mg.grad(mg.sum(g * g), z)
    assert loss.dtype == g.dtype == h.dtype == np.float32
    np.testing.assert_allclose(loss.numpy(), [2e4, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(g.numpy(), [[1, -1], [-0.5, 0.5]])
    np.testing.assert_allclose(h.numpy(), [[0, 0], [-0.5, 0.5]])


def test_cross_entropy_misshaped():
    z = mg.zeros((4, 3))
    message = r"integer labels must have the shape \(4,\) for these logits; got logits \(4, 3\)"
    with pytest.raises(ValueError, match=message):
        mg.cross_entropy(z, mg.zeros((4, 1), "int64"))
    with pytest.raises(ValueError, match=r"probabilities must have the shape \(4, 3\).*target \(3,\) float32"):
        mg.cross_entropy(z, mg.zeros(3))


# ---- binary ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3)])
def test_bce_with_logits(shape):
    z, t = normal(shape), np.random.default_rng(1).random(shape)
    expected = -t * scipy.special.log_expit(z) - (1 - t) * scipy.special.log_expit(-z)
    loss = mg.bce_with_logits(mg.tensor(z), mg.tensor(t))
    assert loss.dtype == np.float64
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-10)
    for number in (0, 1.0):                                             # a discriminator's loss: all fake, or all real
        np.testing.assert_allclose(mg.bce_with_logits(mg.tensor(z), number).numpy(), np.logaddexp(0, z) - number * z)
    assert_gradients(mg.bce_with_logits, z, t)
    for logits in (z, normal((2, *shape))):
        assert_same_to_second_order(mg.sigmoid_cross_entropy, mg.functional.sigmoid_cross_entropy_composite, logits, t)


def test_bce_is_stable():
    z = mg.tensor(np.array([-1e4, -1e4, 0, 1e4, 1e4], np.float32), requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        loss = mg.bce_with_logits(z, [0, 1, 1, 0, 1])
        g = mg.grad(loss, z, np.ones(5, np.float32), create_graph=True)
        h = mg.grad(g, z, np.ones(5, np.float32))
    assert loss.dtype == g.dtype == h.dtype == np.float32
    np.testing.assert_allclose(loss.numpy(), [0, 1e4, np.log(2), 1e4, 0], rtol=1e-6)
    np.testing.assert_allclose(g.numpy(), [0, -1, -0.5, 1, 0])
    np.testing.assert_allclose(h.numpy(), [0, 0, 0.25, 0, 0])


# ---- elementwise losses ----------------------------------------------------------------------------------------------
def huber(d, delta):
    return np.where(np.abs(d) <= delta, d * d / 2, delta * (np.abs(d) - delta / 2))


@pytest.mark.parametrize("f, oracle", [
    (mg.mse_loss, np.square), (mg.l1_loss, np.abs), (mg.huber_loss, lambda d: huber(d, 1)),
    (lambda x, t, **k: mg.huber_loss(x, t, 0.3, **k), lambda d: huber(d, 0.3))])
def test_elementwise_losses(f, oracle):
    x, t = normal((3, 4), 1), normal((3, 4), 2)
    np.testing.assert_allclose(f(mg.tensor(x), mg.tensor(t)).numpy(), oracle(x - t), rtol=1e-12)
    np.testing.assert_allclose(f(mg.tensor(x), mg.tensor(t), reduction="sum").item(), oracle(x - t).sum(), rtol=1e-12)
    np.testing.assert_allclose(f(mg.tensor(x), mg.tensor(t), reduction="mean").item(), oracle(x - t).mean(), rtol=1e-12)
    np.testing.assert_allclose(f(mg.tensor(x), 0.5).numpy(), oracle(x - 0.5), rtol=1e-12)
    assert f(mg.tensor(x, dtype="float32"), mg.tensor(np.ones((3, 4), np.int64))).dtype == np.float32
    assert_gradients(f, x, t)


def test_huber_at_its_bound_and_far_out():
    x = mg.tensor(np.array([-1e4, -1, 0, 1, 1e4], np.float32), requires_grad=True)
    loss = mg.huber_loss(x, 0.0)
    np.testing.assert_array_equal(loss.numpy(), [9999.5, 0.5, 0, 0.5, 9999.5])
    np.testing.assert_array_equal(mg.grad(loss, x, np.ones(5, np.float32)).numpy(), [-1, -1, 0, 1, 1])


@pytest.mark.parametrize("loss", [mg.bce_with_logits, mg.mse_loss, mg.l1_loss, mg.huber_loss])
def test_a_target_never_broadcasts_silently(loss):
    name = loss.__name__
    message = rf"{name}: the target has shape \(4,\), the prediction \(4, 1\); they must be equal"
    with pytest.raises(ValueError, match=message):
        loss(mg.zeros((4, 1)), mg.zeros(4))
    with pytest.raises(ValueError, match=f'{name}: reduction must be "none", "sum" or "mean", got \'average\''):
        loss(mg.zeros(4), mg.zeros(4), reduction="average")
    for delta in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="huber_loss: delta must be positive, got"):
            mg.huber_loss(mg.zeros(2), mg.zeros(2), delta)


# ---- vectors ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("axis", [-1, 0])
def test_normalize_and_cosine_similarity(axis):
    x, y = normal((3, 4), 1), normal((3, 4), 2)
    norm = np.linalg.norm
    unit = x / norm(x, axis=axis, keepdims=True)
    np.testing.assert_allclose(mg.normalize(mg.tensor(x), axis).numpy(), unit, rtol=1e-12)
    cosine = (x * y).sum(axis) / norm(x, axis=axis) / norm(y, axis=axis)
    np.testing.assert_allclose(mg.cosine_similarity(mg.tensor(x), mg.tensor(y), axis).numpy(), cosine, rtol=1e-12)
    assert_gradients(lambda t: mg.normalize(t, axis), x)
    assert_gradients(lambda s, t: mg.cosine_similarity(s, t, axis), x, y)


def test_zero_vectors_make_no_nan():
    x = mg.tensor(np.array([[0, 0], [3, 4], [1e4, 0]], np.float32), requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        y, c = mg.normalize(x), mg.cosine_similarity(x, mg.zeros((3, 2)))
        g = mg.grad(y, x, np.ones((3, 2), np.float32), create_graph=True)
        h = mg.grad(mg.sum(g), x)
    np.testing.assert_allclose(y.numpy(), [[0, 0], [0.6, 0.8], [1, 0]], rtol=1e-6)
    np.testing.assert_array_equal(c.numpy(), 0)
    np.testing.assert_allclose(g.numpy()[0], 1e12, rtol=1e-5)
    assert np.isfinite(h.numpy()).all()


# ---- linear ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lead", [(), (5,), (2, 3), (0,), (2, 1, 2)])
def test_linear(lead):
    x, W, b = normal((*lead, 3), 1), normal((3, 2), 2), normal((2,), 3)
    y = mg.linear(mg.tensor(x), mg.tensor(W), mg.tensor(b))
    np.testing.assert_allclose(y.numpy(), x @ W + b, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(mg.linear(mg.tensor(x), mg.tensor(W)).numpy(), x @ W, rtol=1e-12, atol=1e-14)
    assert_same_to_second_order(mg.linear, mg.functional.linear_composite, x, W, b)
    assert_gradients(mg.linear, x, W, b)
    leaves = [mg.tensor(a.astype(np.float32), requires_grad=True) for a in (x, W, b)]
    y = mg.linear(*leaves)
    assert all(t.dtype == np.float32 for t in (y, *mg.grad(mg.sum(y * y), leaves)))


def test_linear_misshaped():
    for W, b in [((4, 2), (2,)), ((3, 2), (3,)), ((3,), (2,)), ((3, 2), (1,))]:
        with pytest.raises(ValueError, match=r"linear: wants x \(…, D\), W \(D, O\) and b \(O,\); got x \(5, 3\) "):
            mg.linear(mg.zeros((5, 3)), mg.zeros(W), mg.zeros(b))


# ---- dropout ---------------------------------------------------------------------------------------------------------
def test_dropout_with_a_mask_and_its_derivatives():
    x, mask = normal((3, 4)), np.random.default_rng(1).random((3, 4)) < 0.6
    np.testing.assert_allclose(mg.dropout(mg.tensor(x), 0.4, mask=mg.tensor(mask)).numpy(), np.where(mask, x / 0.6, 0))
    assert_gradients(lambda t: mg.dropout(t * t, 0.4, mask=mg.tensor(mask[:, :1])), x)


def test_dropout_draws_from_its_rng():
    """Of n = 10,000 elements 30 % fall: the count lies within 5 standard deviations, false alarm 6e-7, seed fixed."""
    x = mg.ones((100, 100), requires_grad=True)
    y = mg.dropout(x, 0.3, mg.random.default_rng(0))
    dropped = int((y.numpy() == 0).sum())
    assert y.dtype == np.float32 and abs(dropped - 3000) < 5 * np.sqrt(10_000 * 0.3 * 0.7)
    np.testing.assert_allclose(np.unique(y.numpy()), [0, 1 / 0.7], rtol=1e-6)
    np.testing.assert_array_equal(mg.grad(mg.sum(y), x).numpy(), y.numpy())
    np.testing.assert_array_equal(mg.dropout(x, 0.3, 0).numpy(), y.numpy())          # same seed, same bits
    np.testing.assert_array_equal(mg.dropout(x, 0, 0).numpy(), 1)


def test_dropout_bad_input():
    x = mg.ones((2, 3))
    for p in (-0.1, 1, float("nan")):
        with pytest.raises(ValueError, match=r"dropout: p must lie in \[0, 1\), got"):
            mg.dropout(x, p, 0)
    with pytest.raises(ValueError, match="dropout: wants an rng to draw the mask with, or a mask"):
        mg.dropout(x, 0.5)
    for shape in [(4,), (5, 2, 3)]:
        with pytest.raises(ValueError, match=r"dropout: the mask \(.*\) does not broadcast to x \(2, 3\)"):
            mg.dropout(x, 0.5, mask=mg.ones(shape))


# ---- peers -----------------------------------------------------------------------------------------------------------
def test_torch_agrees_on_losses():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    z, t, labels = normal((6, 4)), np.random.default_rng(1).random((6, 4)), np.array([0, 3, 1, 1, 2, 0])
    ours_t, theirs_t, ours_k, theirs_k = mg.tensor(t), torch.tensor(t), mg.tensor(labels), torch.tensor(labels)
    cases = [
        (lambda x: mg.cross_entropy(x, ours_k, "mean"), lambda x: F.cross_entropy(x, theirs_k)),
        (lambda x: mg.cross_entropy(x, ours_t, "sum"), lambda x: F.cross_entropy(x, theirs_t, reduction="sum")),
        (lambda x: mg.bce_with_logits(x, ours_t, "mean"), lambda x: F.binary_cross_entropy_with_logits(x, theirs_t)),
        (lambda x: mg.mse_loss(x, ours_t, "mean"), lambda x: F.mse_loss(x, theirs_t)),
        (lambda x: mg.huber_loss(x, ours_t, 0.7, "mean"), lambda x: F.huber_loss(x, theirs_t, delta=0.7)),
        (lambda x: mg.sum(mg.cosine_similarity(x, ours_t)), lambda x: F.cosine_similarity(x, theirs_t, -1).sum()),
        (lambda x: mg.sum(mg.normalize(x, 0) * ours_t), lambda x: (F.normalize(x, dim=0) * theirs_t).sum()),
    ]
    for ours, theirs in cases:
        x, y = mg.tensor(z, requires_grad=True), torch.tensor(z, requires_grad=True)
        a, b = ours(x), theirs(y)
        np.testing.assert_allclose(a.item(), b.item(), rtol=1e-10)
        np.testing.assert_allclose(mg.grad(a, x).numpy(), torch.autograd.grad(b, y)[0].numpy(), rtol=1e-9, atol=1e-12)
