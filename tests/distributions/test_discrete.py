"""Bernoulli and Categorical against SciPy, exact sums, and their own samples. Seeds fixed, false-alarm rates stated."""
import itertools

import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special, stats

import minigen as mg
from minigen.distributions import Bernoulli, Categorical

pytestmark = pytest.mark.usefixtures("backend")
logits = st.floats(-30, 30)


def log_prob(p, x):
    return p.log_prob(mg.tensor(np.asarray(x))).numpy()


# ---- Bernoulli -------------------------------------------------------------------------------------------------------
@given(logits)
def test_bernoulli_against_scipy(l):
    p, oracle = Bernoulli(mg.tensor(np.float64(l)), 0), stats.bernoulli(special.expit(l))
    probability, log_probability = special.expit([l, -l]), special.log_expit([l, -l])
    np.testing.assert_allclose([log_prob(p, 1.0), log_prob(p, 0.0)], log_probability, rtol=1e-12)
    np.testing.assert_allclose(p.mean.item(), oracle.mean(), rtol=1e-12)
    np.testing.assert_allclose(p.variance.item(), probability.prod(), rtol=1e-9)
    np.testing.assert_allclose(p.entropy().item(), -(probability * log_probability).sum(), rtol=1e-9)


@given(hnp.arrays(np.float64, st.integers(0, 6), elements=logits))
def test_bernoulli_sums_to_one(l):
    outcomes = np.array(list(itertools.product([0.0, 1.0], repeat=len(l)))).reshape(2 ** len(l), len(l))
    p = Bernoulli(mg.tensor(l))
    log_p = log_prob(p, outcomes)
    np.testing.assert_allclose(np.exp(log_p).sum(), 1, rtol=1e-12)
    np.testing.assert_allclose(p.entropy().item(), -(np.exp(log_p) * log_p).sum(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("l", [-1e4, -20.0, 0.0, 20.0, 1e4])
def test_bernoulli_keeps_its_digits_in_float32(l):
    leaf = mg.tensor([l], requires_grad=True)
    for x in (0.0, 1.0):
        value = Bernoulli(leaf).log_prob(mg.tensor([x]))
        np.testing.assert_allclose(value.item(), special.log_expit(l if x else -l), rtol=1e-6)
        np.testing.assert_allclose(mg.grad(value, leaf).numpy(), [x - special.expit(l)], rtol=1e-5, atol=2 ** -24)
    entropy = Bernoulli(leaf).entropy()
    expected = -special.expit(l) * special.log_expit(l) - special.expit(-l) * special.log_expit(-l)
    np.testing.assert_allclose(entropy.item(), expected, rtol=1e-5)
    assert np.isfinite(mg.grad(entropy, leaf).numpy()).all()


def test_bernoulli_sample_moments():
    """100,000 draws of each: means within 5 standard errors, false-alarm rate below 3e-6; always 0 and 1 at ±1e4."""
    l = np.array([-1e4, -2.0, 0.0, 0.5, 1e4])
    x = Bernoulli(l).sample(100_000, rng=0).numpy()
    assert set(np.unique(x)) == {0, 1} and x.dtype == np.float64
    p = special.expit(l)
    assert (np.abs(x.mean(axis=0) - p) <= 5 * np.sqrt(p * (1 - p) / 100_000)).all()


def test_bernoulli_injected_noise_is_a_threshold():
    p = Bernoulli(mg.zeros(4))
    assert p.sample(eps=mg.tensor([0.0, 0.49, 0.5, 0.99])).tolist() == [1, 1, 0, 0]
    assert not Bernoulli.reparameterised and not p.sample(rng=0).requires_grad


@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8", "float32"])
def test_bernoulli_takes_outcomes_of_any_dtype(dtype):
    value = Bernoulli(mg.tensor([1.0, -2.0])).log_prob(mg.tensor(np.array([1, 0], dtype=dtype)))
    assert value.dtype == np.float32
    np.testing.assert_allclose(value.item(), special.log_expit(1) + special.log_expit(2), rtol=1e-6)


def test_bernoulli_gradients():
    rng = np.random.default_rng(0)
    l, x = rng.standard_normal((2, 3)), rng.integers(0, 2, (4, 2, 3)).astype(float)
    assert_gradients(lambda l: Bernoulli(l).log_prob(mg.tensor(x)), l)
    assert_gradients(lambda l: Bernoulli(l).entropy(), l)


def test_bernoulli_distribution_function_against_scipy():
    l = np.array([-1.5, 0.0, 2.0])
    p, oracle = Bernoulli(mg.tensor(l)), stats.bernoulli(special.expit(l))
    for x in (-0.5, 0.0, 0.7, 1.0, 3.0):
        np.testing.assert_allclose(p.cdf(mg.full(3, x)).numpy(), oracle.cdf(x), rtol=1e-7)
    for u in (0.01, 0.3, 0.6, 0.99):
        np.testing.assert_array_equal(p.icdf(mg.full(3, u)).numpy(), oracle.ppf(u))


# ---- Categorical -----------------------------------------------------------------------------------------------------
@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), elements=logits))
def test_categorical_sums_to_one_and_equals_its_definition(l):
    p, K = Categorical(mg.tensor(l)), l.shape[-1]
    each = np.stack([log_prob(p, np.full(l.shape[:-1], k)) for k in range(K)], axis=-1)
    expected = l - special.logsumexp(l, axis=-1, keepdims=True)
    np.testing.assert_allclose(each, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.exp(each).sum(axis=-1), 1, rtol=1e-9)
    np.testing.assert_allclose(p.probs.numpy(), np.exp(expected), rtol=1e-9)
    np.testing.assert_allclose(p.entropy().numpy(), special.entr(np.exp(expected)).sum(axis=-1), rtol=1e-7, atol=1e-9)


def test_categorical_log_prob_broadcasts_samples_against_the_batch():
    l = np.random.default_rng(0).standard_normal((2, 3, 5))
    expected = l - special.logsumexp(l, axis=-1, keepdims=True)
    x = np.random.default_rng(1).integers(0, 5, (4, 2, 3))
    each = np.take_along_axis(np.broadcast_to(expected, (4, 2, 3, 5)), x[..., None], axis=-1)[..., 0]
    for event_ndim, total in enumerate([each, each.sum(axis=-1), each.sum(axis=(-1, -2))]):
        np.testing.assert_allclose(log_prob(Categorical(mg.tensor(l), event_ndim), x), total, rtol=1e-9)
    np.testing.assert_allclose(log_prob(Categorical(mg.tensor(l)), 2), expected[..., 2], rtol=1e-9)
    np.testing.assert_allclose(log_prob(Categorical(mg.tensor(l[0, 0])), x), expected[0, 0][x], rtol=1e-9)


@pytest.mark.parametrize("l", [[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4], [1e4, 1e4, 0.0]])
def test_categorical_is_stable_in_float32(l):
    leaf = mg.tensor(l, requires_grad=True)
    expected = special.log_softmax(np.array(l))
    for k in range(3):
        value = Categorical(leaf).log_prob(k)
        np.testing.assert_allclose(value.item(), expected[k], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(mg.grad(value, leaf).numpy(), np.eye(3)[k] - np.exp(expected), atol=1e-6)
    entropy = Categorical(leaf).entropy()
    np.testing.assert_allclose(entropy.item(), special.entr(np.exp(expected)).sum(), atol=1e-6)
    assert np.isfinite(mg.grad(entropy, leaf).numpy()).all()


def test_categorical_samples_pass_a_chi_square_test():
    """20,000 draws of 5 classes at level 1e-4: the false-alarm rate, were the seed not fixed."""
    p = Categorical(mg.tensor([0.0, 1.0, -1.0, 2.0, -3.0]))
    x = p.sample(20_000, rng=3)
    assert x.dtype == np.int64 and x.shape == (20_000,) and not Categorical.reparameterised
    counts = np.bincount(x.numpy(), minlength=5)
    assert stats.chisquare(counts, 20_000 * special.softmax([0.0, 1.0, -1.0, 2.0, -3.0])).pvalue > 1e-4


def test_categorical_injected_gumbel_noise_moves_the_argmax():
    assert Categorical(mg.tensor([0.0, 1.0])).sample(2, eps=mg.tensor([[0.5, 0.0], [1.5, 0.0]])).tolist() == [1, 0]


def test_categorical_gradients():
    rng = np.random.default_rng(0)
    l, x = rng.standard_normal((2, 4)), rng.integers(0, 4, (3, 2))
    assert_gradients(lambda l: Categorical(l).log_prob(mg.tensor(x)), l)
    assert_gradients(lambda l: Categorical(l).entropy(), l)


def test_categorical_distribution_function():
    """F against sums, F⁻¹ by its definition, also where rounding leaves F(K − 1) below 1."""
    l = np.random.default_rng(0).standard_normal((2, 3, 4))
    p, probs = Categorical(mg.tensor(l)), special.softmax(l, axis=-1)
    for x in (-1, 0, 1.5, 3, 7):
        expected = probs[..., :max(0, int(np.floor(x)) + 1)].sum(axis=-1)
        np.testing.assert_allclose(p.cdf(mg.full((2, 3), x, dtype="float64")).numpy(), expected, rtol=1e-12)
    u = np.random.default_rng(1).random((50, 2, 3))
    k = p.icdf(mg.tensor(u)).numpy()
    F = np.cumsum(probs, axis=-1)
    at = np.take_along_axis(np.broadcast_to(F, (50, 2, 3, 4)), k[..., None], axis=-1)[..., 0]
    below = at - np.take_along_axis(np.broadcast_to(probs, (50, 2, 3, 4)), k[..., None], axis=-1)[..., 0]
    assert k.dtype == np.int64 and (at >= u - 1e-12).all() and (below < u).all()
    assert p.icdf(mg.ones((2, 3))).numpy().max() == 3


def test_categorical_refuses():
    p = Categorical(mg.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"log_prob: Categorical.* has the classes 0 to 2, got some from -1 to 3"):
        p.log_prob([-1, 3])
    with pytest.raises(TypeError, match=r"Categorical.* wants classes as integers, got float32 of shape \(2,\)"):
        p.log_prob([0.0, 1.0])
    with pytest.raises(ValueError, match=r"Categorical: wants logits of shape \(…, K\) with K ≥ 1 .* got \(2, 0\)"):
        Categorical(mg.zeros((2, 0)))


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    l, x = np.random.default_rng(0).standard_normal((3, 4)), np.array([0, 3, 2])
    theirs = torch.distributions.Categorical(logits=torch.tensor(l))
    np.testing.assert_allclose(log_prob(Categorical(mg.tensor(l)), x), theirs.log_prob(torch.tensor(x)), rtol=1e-9)
    np.testing.assert_allclose(Categorical(mg.tensor(l)).entropy().numpy(), theirs.entropy(), rtol=1e-9)
    theirs = torch.distributions.Bernoulli(logits=torch.tensor(l))
    np.testing.assert_allclose(Bernoulli(mg.tensor(l), 0).entropy().numpy(), theirs.entropy(), rtol=1e-9)
    x = np.eye(3, 4)
    np.testing.assert_allclose(log_prob(Bernoulli(mg.tensor(l), 0), x), theirs.log_prob(torch.tensor(x)), rtol=1e-9)
