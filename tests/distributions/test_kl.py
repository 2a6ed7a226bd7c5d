"""Every closed-form KL against quadrature or an exact sum, against Monte Carlo, and its gradients."""
import math

import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, special

import minigen as mg
from minigen.distributions import Bernoulli, Categorical, Distribution, Normal, kl, kl_divergence, kl_monte_carlo
from minigen.distributions import register_kl

pytestmark = pytest.mark.usefixtures("backend")
logits = st.floats(-20, 20)


def t(values):
    return mg.tensor(np.asarray(values, dtype=np.float64))


def random_pair(family, rng, shape=(3, 2)):
    """Two distributions of a family in float64; batch + event have this shape, and the last axis is the event."""
    def draw(*more):
        return t(rng.standard_normal((*shape, *more)))

    make = {Normal: lambda: Normal(draw(), draw()), Bernoulli: lambda: Bernoulli(draw()),
            Categorical: lambda: Categorical(draw(4), 1)}[family]
    return make(), make()


FAMILIES = pytest.mark.parametrize("family", [Normal, Bernoulli, Categorical])


# ---- against exact numbers -------------------------------------------------------------------------------------------
@given(*[st.floats(-3, 3)] * 4)
def test_normal_against_quadrature(mean_p, log_std_p, mean_q, log_std_q):
    p, q = Normal(t(mean_p), t(log_std_p), 0), Normal(t(mean_q), t(log_std_q), 0)
    x = mean_p + math.exp(log_std_p) * np.linspace(-12, 12, 2001)        # Simpson's rule; what is left out is < 1e-28
    log_p, log_q = p.log_prob(t(x)).numpy(), q.log_prob(t(x)).numpy()
    expected = integrate.simpson(np.exp(log_p) * (log_p - log_q), x=x)
    np.testing.assert_allclose(kl_divergence(p, q).item(), expected, rtol=1e-8, atol=1e-9)


@given(logits, logits)
def test_bernoulli_against_its_sum(a, b):
    probability = special.expit([a, -a])
    expected = (probability * (special.log_expit([a, -a]) - special.log_expit([b, -b]))).sum()
    value = kl_divergence(Bernoulli(t(a), 0), Bernoulli(t(b), 0)).item()
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)


@given(st.integers(1, 5).flatmap(lambda K: hnp.arrays(np.float64, (2, 3, K), elements=logits)))
def test_categorical_against_its_sum(l):
    p, q = special.softmax(l, axis=-1)
    value = kl_divergence(Categorical(t(l[0]), 1), Categorical(t(l[1]), 1)).item()
    np.testing.assert_allclose(value, special.rel_entr(p, q).sum(), rtol=1e-7, atol=1e-9)


@given(hnp.arrays(np.float64, (2, 5), elements=st.floats(-3, 3)))
def test_the_term_of_the_variational_autoencoder(parameters):
    """KL(N(μ, σ²)‖N(0, I)) = −½ Σ (1 + log σ² − μ² − σ²)."""
    mean, log_std = parameters
    expected = -0.5 * np.sum(1 + 2 * log_std - mean ** 2 - np.exp(2 * log_std))
    prior = Normal(t(np.zeros(5)), t(np.zeros(5)))
    np.testing.assert_allclose(kl_divergence(Normal(t(mean), t(log_std)), prior).item(), expected, rtol=1e-9, atol=1e-9)


# ---- against Monte Carlo ---------------------------------------------------------------------------------------------
@FAMILIES
def test_monte_carlo_agrees(family):
    """20,000 draws for 3 pairs: within 4.5 standard errors, false-alarm rate below 3e-5 a family."""
    p, q = random_pair(family, np.random.default_rng(2))
    estimate, error = kl_monte_carlo(p, q, 20_000, rng=0)
    assert estimate.shape == error.shape == (3,) and (error.numpy() > 0).all()
    assert (np.abs((estimate - kl_divergence(p, q)).numpy()) < 4.5 * error.numpy()).all()


def test_monte_carlo_is_the_mean_and_its_standard_error():
    p, q = random_pair(Normal, np.random.default_rng(0))
    x = p.sample(5, rng=1)
    difference = (p.log_prob(x) - q.log_prob(x)).numpy()
    estimate, error = kl_monte_carlo(p, q, 5, rng=1)
    np.testing.assert_allclose(estimate.numpy(), difference.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(error.numpy(), difference.std(axis=0, ddof=1) / math.sqrt(5), rtol=1e-9)


def test_the_standard_error_of_monte_carlo_is_calibrated():
    """400 runs of 100 draws: the 95 % interval holds the truth in 92 % to 98 %; false-alarm rate below 1 %."""
    p, q = Normal(mg.zeros(400), mg.zeros(400), 0), Normal(mg.full(400, 0.5), mg.full(400, 0.2), 0)
    estimate, error = kl_monte_carlo(p, q, 100, rng=0)
    inside = np.abs((estimate - kl_divergence(p, q)).numpy()) < 1.96 * error.numpy()
    assert 0.92 <= inside.mean() <= 0.98


# ---- what every KL obeys ---------------------------------------------------------------------------------------------
@FAMILIES
@given(seed=st.integers(0, 1000))
def test_it_is_positive_and_zero_for_equals(family, seed):
    p, q = random_pair(family, np.random.default_rng(seed))
    assert (kl_divergence(p, q).numpy() > 0).all()
    np.testing.assert_allclose(kl_divergence(p, p).numpy(), 0, atol=1e-14)


class Repeating:
    """Draws one row, and repeats it along the batch."""

    def __init__(self, rng):
        self.rng = rng

    def standard_normal(self, shape):
        return np.repeat(self.rng.standard_normal((1, *shape[1:])), shape[0], axis=0)


@FAMILIES
def test_batches_broadcast(family):
    p, _ = random_pair(family, np.random.default_rng(0), (1, 2))
    q, _ = random_pair(family, np.random.default_rng(1), (3, 2))
    repeated, _ = random_pair(family, Repeating(np.random.default_rng(0)), (3, 2))
    np.testing.assert_allclose(kl_divergence(p, q).numpy(), kl_divergence(repeated, q).numpy(), rtol=1e-12)
    wide, _ = random_pair(family, np.random.default_rng(0), (4, 1, 2))
    assert kl_divergence(wide, q).shape == kl_divergence(q, wide).shape == (4, 3)


def test_gradients():
    rng = np.random.default_rng(0)
    m, s, n, u = rng.standard_normal((4, 2, 3))
    assert_gradients(lambda m, s, n, u: kl_divergence(Normal(m, s), Normal(n, u)), m, s, n, u[0])
    assert_gradients(lambda a, b: kl_divergence(Bernoulli(a), Bernoulli(b)), m, n)
    assert_gradients(lambda a, b: kl_divergence(Categorical(a), Categorical(b)), m, n[0])


@pytest.mark.parametrize("a, b, expected", [(1e4, -1e4, 1e4), (-1e4, 1e4, 1e4), (1e4, 1e4, 0),
                                            (0.0, 1e4, 5000 - math.log(2))])
def test_extreme_logits_stay_finite_in_float32(a, b, expected):
    for family, pack in ((Bernoulli, lambda l: l), (Categorical, lambda l: mg.stack([l, mg.zeros_like(l)], axis=-1))):
        leaves = mg.tensor([a], requires_grad=True), mg.tensor([b], requires_grad=True)
        value = kl_divergence(*(family(pack(leaf)) for leaf in leaves))
        np.testing.assert_allclose(value.numpy().sum(), expected, rtol=1e-5)
        assert all(np.isfinite(g.numpy()).all() for g in mg.grad(value.sum(), leaves))


def test_near_equal_normals_keep_their_digits_in_float32():
    """KL ≈ δ² for σ_p = σ_q e^δ: the float32 result is within 2⁻²² δ of the exact one."""
    for delta in (1e-2, 1e-3):
        exact = 0.5 * math.expm1(2 * delta) - delta
        value = kl_divergence(Normal(0.0, delta, 0), Normal(0.0, 0.0, 0)).item()
        assert abs(value - exact) < 2 ** -22 * delta


# ---- refusals, and new pairs -----------------------------------------------------------------------------------------
def test_an_unknown_pair_is_named():
    with pytest.raises(NotImplementedError, match="known for Normal‖Bernoulli; estimate it with kl_monte_carlo"):
        kl_divergence(Normal(0, 0, 0), Bernoulli(0.0, 0))


@pytest.mark.parametrize("p, q", [((3,), (4,)), ((2, 3), (4, 3)), ((3, 1), (3, 3))])
def test_shapes_must_fit(p, q):
    with pytest.raises(ValueError, match="Bernoulli‖Bernoulli wants equal events and batches that broadcast"):
        kl_divergence(Bernoulli(mg.zeros(p)), Bernoulli(mg.zeros(q)))


def test_numbers_of_classes_must_be_equal():
    with pytest.raises(ValueError, match="wants as many classes on both sides, got 3 and 1"):
        kl_divergence(Categorical(mg.zeros(3)), Categorical(mg.zeros(1)))


def test_monte_carlo_refuses_too_few_draws_and_a_larger_batch_of_q():
    p = Normal(mg.zeros(2), mg.zeros(2))
    for q, n in ((p, 1), (Normal(mg.zeros((3, 2)), 0.0), 10)):
        with pytest.raises(ValueError, match="kl_monte_carlo: wants n ≥ 2 draws of a p with at least as many batch"):
            kl_monte_carlo(p, q, n, rng=0)


def test_a_pair_can_be_registered_and_subclasses_inherit(monkeypatch):
    monkeypatch.setattr(kl, "_closed_forms", dict(kl._closed_forms))

    class Point(Distribution):
        def __init__(self, at):
            self.at = mg.tensor(at)
            self._set_shapes(self.at.shape, 0)

    class Shifted(Normal):
        pass

    @register_kl(Point, Normal)
    def surprise(p, q):
        return -q.log_prob(p.at)

    value = kl_divergence(Point([0.0]), Shifted(mg.zeros(1), 0.0, 0)).item()
    assert math.isclose(value, 0.5 * math.log(2 * math.pi), rel_tol=1e-6)
    np.testing.assert_allclose(kl_divergence(Shifted(1.0, 0.0, 0), Normal(0.0, 0.0, 0)).item(), 0.5, rtol=1e-6)


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    m, s, n, u = np.random.default_rng(0).standard_normal((4, 5))
    p, q = (torch.distributions.Normal(torch.tensor(a), torch.tensor(b).exp()) for a, b in ((m, s), (n, u)))
    theirs = torch.distributions.kl_divergence(p, q)
    np.testing.assert_allclose(kl_divergence(Normal(t(m), t(s), 0), Normal(t(n), t(u), 0)).numpy(), theirs, rtol=1e-9)
