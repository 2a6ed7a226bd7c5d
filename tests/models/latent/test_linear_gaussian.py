"""Factor analysis and probabilistic PCA: against dense Gaussians, closed forms, and PCA itself."""
import numpy as np
import pytest
from scipy import stats

import minigen as mg
from minigen.models.latent.linear_gaussian import FactorAnalysis, ProbabilisticPCA

pytestmark = pytest.mark.usefixtures("backend")
BOTH = pytest.mark.parametrize("kind", [FactorAnalysis, ProbabilisticPCA])


def data(n=300, D=5, K=2, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    W, scales = rng.standard_normal((D, K)) * 1.5, noise * np.linspace(0.6, 1.4, D)
    return mg.tensor(rng.standard_normal((n, K)) @ W.T + rng.standard_normal(D) + scales * rng.standard_normal((n, D)))


def random_model(kind, D=5, K=2, seed=0):
    model, rng = kind(K, (D,)).astype("float64"), np.random.default_rng(seed)
    model.load_state_dict({name: 0.7 * rng.standard_normal(p.shape) for name, p in model.state_dict().items()})
    return model


def dense(model):
    W, mean, log_std = (p.numpy() for p in (model.weight, model.mean, model.log_std))
    return W, mean, np.exp(2 * np.broadcast_to(log_std, mean.shape))


@BOTH
def test_log_prob_is_the_dense_gaussian(kind):
    model, x = random_model(kind), data(20)
    W, mean, psi = dense(model)
    oracle = stats.multivariate_normal(mean, W @ W.T + np.diag(psi))
    np.testing.assert_allclose(model.log_prob(x).numpy(), oracle.logpdf(x.numpy()), rtol=1e-9)


@BOTH
def test_the_posterior_is_the_conditional_of_the_joint(kind):
    model, x = random_model(kind), data(20)
    W, mean, psi = dense(model)
    gain = W.T @ np.linalg.inv(W @ W.T + np.diag(psi))
    q = model.posterior(x)
    np.testing.assert_allclose(q.mean.numpy(), (x.numpy() - mean) @ gain.T, rtol=1e-8)
    np.testing.assert_allclose(q.covariance.numpy()[3], np.eye(2) - gain @ W, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(model.encode(x).numpy(), q.mean.numpy(), rtol=1e-8)


@BOTH
def test_em_never_lowers_the_likelihood_and_ends_where_the_gradient_vanishes(kind):
    model, x = kind(2, (5,), rng=1).astype("float64"), data()
    trace = model.fit(x, steps=3000, tolerance=1e-14)
    assert (np.diff(trace) > -1e-12).all()
    gradients = mg.grad(mg.mean(model.log_prob(x)), list(model.parameters()))
    assert max(np.abs(g.numpy()).max() for g in gradients) < 1e-4


def test_em_finds_the_closed_form_of_ppca():
    x = data()
    exact, em = ProbabilisticPCA(2, (5,)).astype("float64"), ProbabilisticPCA(2, (5,), rng=3).astype("float64")
    best = exact.fit_exact(x)
    np.testing.assert_allclose(em.fit(x, steps=3000, tolerance=1e-14)[-1], best, rtol=1e-8)
    for product in (lambda m: m.weight.numpy() @ m.weight.numpy().T, lambda m: m.log_std.numpy()):     # W up to R
        np.testing.assert_allclose(product(em), product(exact), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_beats_the_closed_form(seed):
    x, model = data(), ProbabilisticPCA(2, (5,)).astype("float64")
    best, rng = model.fit_exact(x), np.random.default_rng(seed)
    model.load_state_dict({name: p + 0.02 * rng.standard_normal(p.shape) for name, p in model.state_dict().items()})
    assert model.log_prob(x).mean().item() < best


def test_without_noise_it_is_pca():
    x = data(noise=1e-3)
    model = ProbabilisticPCA(2, (5,)).astype("float64")
    model.fit_exact(x)
    rows = x.numpy() - x.numpy().mean(axis=0)
    _, _, V = np.linalg.svd(rows, full_matrices=False)
    np.testing.assert_allclose(model.decode(model.encode(x)).numpy() - x.numpy().mean(axis=0), rows @ V[:2].T @ V[:2],
                               atol=5e-3)


def test_draws_have_the_covariance():
    """50,000 draws: each entry of the covariance within 5 standard errors."""
    model = random_model(FactorAnalysis)
    W, mean, psi = dense(model)
    S, x = W @ W.T + np.diag(psi), model.sample(50_000, rng=0).numpy()
    error = np.sqrt((S ** 2 + np.outer(np.diag(S), np.diag(S))) / 50_000)
    assert (np.abs(np.cov(x.T) - S) < 5 * error).all()


def test_images_keep_their_shape():
    model = ProbabilisticPCA(3, (4, 4, 1))
    x = mg.random.default_rng(0).random((30, 4, 4, 1))
    model.fit(x, steps=3)
    assert model.sample(5, rng=0).shape == (5, 4, 4, 1) and model.encode(x).shape == (30, 3)


@pytest.mark.parametrize("x, told", [(np.zeros((1, 5)), "at least 2, got 1, and 0"),
                                     (np.full((4, 5), np.inf), "got 4, and 20 entries that are not finite")])
def test_examples_of_which_no_covariance_can_be_taken(x, told):
    for fit in (ProbabilisticPCA(2, (5,)).fit_exact, FactorAnalysis(2, (5,)).fit):
        with pytest.raises(ValueError, match=told):
            fit(mg.tensor(x))


@pytest.mark.parametrize("K", [0, 5, 6])
def test_bad_numbers_of_latents(K):
    with pytest.raises(ValueError, match=f"ProbabilisticPCA: wants 0 < K < D latents, got K={K} for D=5"):
        ProbabilisticPCA(K, (5,))
