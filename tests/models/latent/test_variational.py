"""Variational inference on posteriors that are known: a linear-Gaussian model, and a table of bits."""
import itertools
import math

import numpy as np
import pytest

import minigen as mg
from minigen.distributions import Bernoulli, Categorical, MultivariateNormal, Normal, kl_divergence
from minigen.models.latent.variational import ESTIMATORS, Factorised, FullRank, MeanField, VariationalInference
from minigen.training import Adam, Trainer, schedules

pytestmark = pytest.mark.usefixtures("backend")
A = np.array([[1.0, 0.5], [0.3, -1.0], [1.5, 1.0]])                         # x = A z + 0.5 ε, z ~ N(0, I)
X = np.array([1.0, -0.5, 2.0])
PRECISION = np.eye(2) + A.T @ A / 0.25
COVARIANCE = np.linalg.inv(PRECISION)
MEAN = COVARIANCE @ A.T @ X / 0.25


def t(values):
    return mg.tensor(np.asarray(values, dtype=np.float64))


def log_joint(z):
    residual = t(X) - mg.matmul(z, t(A.T))
    log_x = -0.5 * mg.sum(residual ** 2, axis=-1) / 0.25 - 3 * (math.log(0.5) + 0.5 * math.log(2 * math.pi))
    return log_x - 0.5 * mg.sum(z * z, axis=-1) - math.log(2 * math.pi)


def evidence():
    cov = A @ A.T + 0.25 * np.eye(3)
    return -0.5 * (X @ np.linalg.solve(cov, X) + np.linalg.slogdet(cov)[1] + 3 * math.log(2 * math.pi))


def posterior():
    return MultivariateNormal.from_covariance(t(MEAN), t(COVARIANCE))


def random_family(kind, seed=0):
    family, rng = kind(2).astype("float64"), np.random.default_rng(seed)
    family.load_state_dict({name: 0.5 * rng.standard_normal(p.shape) for name, p in family.state_dict().items()})
    return family


@pytest.mark.parametrize("kind", [MeanField, FullRank])
@pytest.mark.parametrize("seed", range(3))
def test_evidence_is_bound_plus_divergence(kind, seed):
    """Eq. (1) exactly: for a quadratic log joint, L is a sum over the 2 D sigma points ±√D L e_i of q."""
    family = random_family(kind, seed)
    q = family()
    L = q.cholesky.numpy() if kind is FullRank else np.diag(q.std.numpy())
    points = q.mean.numpy() + np.sqrt(2) * np.concatenate([L.T, -L.T])
    bound = log_joint(t(points)).mean().item() + q.entropy().item()
    np.testing.assert_allclose(bound + kl_divergence(q, posterior()).item(), evidence(), rtol=1e-9)
    estimate, error = VariationalInference(log_joint, family).bound(20_000, rng=0)
    assert abs(estimate - bound) < 5 * error


def fit(kind, estimator, steps=1200):
    model = VariationalInference(log_joint, kind(2).astype("float64"), estimator, draws=16)
    Trainer(model, Adam(list(model.parameters()), lr=schedules.cosine(0.05, steps)), lambda rng: {}, seed=0,
            progress=False).run(steps)
    return model


@pytest.mark.parametrize("estimator", ["reparameterised", "score with baseline"])
def test_full_rank_finds_the_posterior(estimator, backend):
    if backend != "numpy":
        pytest.skip("trained once")
    q = fit(FullRank, estimator).family()
    assert kl_divergence(q, posterior()).item() < 0.01


def test_mean_field_is_too_narrow(backend):
    """Its optimum has the inverse of the precision's diagonal as variances: the conditional ones, below the
    marginal."""
    if backend != "numpy":
        pytest.skip("trained once")
    q = fit(MeanField, "reparameterised").family()
    np.testing.assert_allclose(q.mean.numpy(), MEAN, atol=0.02)
    np.testing.assert_allclose(q.variance.numpy(), 1 / np.diag(PRECISION), rtol=0.05)
    assert (q.variance.numpy() < np.diag(COVARIANCE)).all()


def test_each_example_can_have_a_q_of_its_own(backend):
    """Four observations at once, z (S, 4, 2): the sum of their bounds is, up to 0.02 nats, what mean field can reach;
    an encoder that gives all four the same q (the best one) stays below by its amortisation gap."""
    if backend != "numpy":
        pytest.skip("trained once")
    x = X + np.random.default_rng(0).standard_normal((4, 3))
    means, variances = x @ (COVARIANCE @ A.T / 0.25).T, 1 / np.diag(PRECISION)

    def log_joint_of_all(z):
        residual = t(x) - mg.matmul(z, t(A.T))
        return -0.5 * mg.sum(residual ** 2, axis=(-2, -1)) / 0.25 - 0.5 * mg.sum(z * z, axis=(-2, -1))

    def below_the_optimum(mean, variance):
        """The bound's distance from that of the best mean field, in closed form: a quadratic, and log variances."""
        offset, ratio = mean - means, variance / variances
        return 0.5 * np.einsum("ni,ij,nj->", offset, PRECISION, offset) + 0.5 * np.sum(ratio - 1 - np.log(ratio))

    model = VariationalInference(log_joint_of_all, MeanField((4, 2)).astype("float64"), draws=16)
    Trainer(model, Adam(list(model.parameters()), lr=schedules.cosine(0.05, 800)), lambda rng: {}, seed=0,
            progress=False).run(800)
    q = model.family()
    assert (q.batch_shape, q.event_shape) == ((), (4, 2))
    assert below_the_optimum(q.mean.numpy(), q.variance.numpy()) < 0.02
    together = means.mean(axis=0, keepdims=True)
    assert below_the_optimum(np.repeat(together, 4, axis=0), np.tile(variances, (4, 1))) > 1


def gradients(estimator, runs, draws=4):
    """`runs` estimates of ∇L with respect to (μ, log σ) of a mean field, (runs, 4)."""
    model = VariationalInference(log_joint, random_family(MeanField), estimator, draws)
    rng, parameters = mg.random.default_rng(0), list(model.parameters())
    return np.array([np.concatenate([g.numpy() for g in mg.grad(-model.terms(rng=rng)["loss"], parameters)])
                     for _ in range(runs)])


def exact_gradient():
    q = random_family(MeanField)()
    m, s = q.mean.numpy(), q.std.numpy()
    return np.concatenate([PRECISION @ (MEAN - m), 1 - np.diag(PRECISION) * s ** 2])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_gradients_are_unbiased(estimator, backend):
    """2,000 runs: each entry's mean within 5 standard errors of the gradient in closed form."""
    if backend != "numpy":
        pytest.skip("compared once")
    g = gradients(estimator, 2000)
    assert (np.abs(g.mean(axis=0) - exact_gradient()) < 5 * g.std(axis=0) / math.sqrt(2000)).all()


def test_their_variances_are_in_the_known_order(backend):
    if backend != "numpy":
        pytest.skip("compared once")
    spread = [gradients(estimator, 300).std(axis=0).mean() for estimator in ESTIMATORS]
    assert 2 * spread[0] < spread[2] < spread[1]


# ---- discrete --------------------------------------------------------------------------------------------------------
BITS = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
LOG_TABLE = np.log(np.random.default_rng(1).dirichlet(np.ones(8))) - 2.0           # log p(x, z) for one x: sums to e⁻²


def log_table(z):
    return mg.take(t(LOG_TABLE), mg.sum(z * t([4.0, 2, 1]), axis=-1).astype("int64"), axis=0)


def test_evidence_is_bound_plus_divergence_on_a_table(backend):
    """The score estimator on bits, by summing over all of them: its expectation is ∇L, and L + KL = log p(x)."""
    logits = t([0.4, -0.3, 0.8])
    q = Bernoulli(logits)
    weights = mg.exp(q.log_prob(t(BITS))).numpy()
    f = LOG_TABLE - np.log(weights)
    posterior = np.exp(LOG_TABLE) / np.exp(LOG_TABLE).sum()
    np.testing.assert_allclose((weights * f).sum() + (weights * np.log(weights / posterior)).sum(), -2, rtol=1e-9)


def test_bits_are_fitted_by_the_score_estimator(backend):
    if backend != "numpy":
        pytest.skip("trained once")
    family = Factorised(lambda p: Categorical(p), mg.zeros(8)).astype("float64")
    model = VariationalInference(lambda z: mg.take(t(LOG_TABLE), z, axis=0), family, "score with baseline", draws=16)
    Trainer(model, Adam(list(model.parameters()), lr=schedules.cosine(0.1, 800)), lambda rng: {}, seed=0,
            progress=False).run(800)
    bound, error = model.bound(4000, rng=0)
    assert -2 - bound < 0.05 + 5 * error and model.sample(5, rng=0).shape == (5,)


@pytest.mark.parametrize("settings, message", [
    ({"estimator": "magic"}, "estimator 'magic' is none of 'reparameterised', 'score', 'score with baseline'"),
    ({"estimator": "score with baseline", "draws": 1}, "the mean of the others; got draws=1")])
def test_bad_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        VariationalInference(log_joint, MeanField(2), **settings)


def test_a_family_that_gives_a_batch():
    """A log joint (S,) and entries (S, D) would broadcast where S = D, into another gradient."""
    with pytest.raises(ValueError, match=r"wants one q over all of z, got the batch Normal\(batch_shape=\(2,\)"):
        VariationalInference(log_joint, lambda: Normal(mg.zeros(2), 0.0, 0))


def test_bits_cannot_be_reparameterised():
    with pytest.raises(ValueError, match="are no smooth function of its parameters; use the score estimator"):
        VariationalInference(log_table, Factorised(lambda p: Bernoulli(p), mg.zeros(3)))
