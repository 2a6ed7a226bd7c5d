"""The VAE against what is known exactly: its formula in NumPy, probabilistic PCA, and the order of its bounds."""
import numpy as np
import pytest
from scipy.special import expit, logsumexp

import minigen as mg
from minigen.models.latent import VAE
from minigen.training import Adam

pytestmark = pytest.mark.usefixtures("backend")


def small(likelihood="bernoulli", hidden=(7,), rng=0):
    return VAE(event_shape=(2, 3), latents=2, hidden=hidden, likelihood=likelihood, rng=rng)


def numbers(model):
    return {name: np.asarray(value, dtype=np.float64) for name, value in model.state_dict().items()}


def mlp(x, weights, prefix):
    """A multilayer perceptron in float64 NumPy, layers in the order of their names."""
    layers = [name[:-len(".weight")] for name in weights if name.startswith(prefix) and name.endswith(".weight")]
    for k, layer in enumerate(layers):
        x = (np.maximum(x, 0) if k else x) @ weights[layer + ".weight"] + weights[layer + ".bias"]
    return x


@pytest.mark.parametrize("likelihood", ["bernoulli", "normal"])
def test_terms_equal_the_formula_with_injected_noise(likelihood):
    rng = np.random.default_rng(0)
    model = small(likelihood)
    if likelihood == "normal":
        model.load_state_dict({**model.state_dict(), "log_std_x": np.float32(-0.3)})
    x, eps = (rng.random((5, 2, 3)) < 0.5).astype(np.float32), rng.standard_normal((5, 2)).astype(np.float32)
    distortion, rate = model.terms(mg.tensor(x), eps=mg.tensor(eps))

    w, flat = numbers(model), x.reshape(5, 6).astype(np.float64)
    mean, log_std = np.split(mlp(flat, w, "encoder"), 2, axis=1)
    f = mlp(mean + np.exp(log_std) * eps, w, "decoder")
    if likelihood == "bernoulli":
        log_p = np.where(flat == 1, np.log(expit(f)), np.log1p(-expit(f)))
    else:
        log_p = -0.5 * ((flat - f) / np.exp(-0.3)) ** 2 + 0.3 - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(distortion.numpy(), -log_p.sum(axis=1), rtol=1e-5)
    kl = -0.5 * (1 + 2 * log_std - mean ** 2 - np.exp(2 * log_std)).sum(axis=1)
    np.testing.assert_allclose(rate.numpy(), kl, rtol=1e-4, atol=1e-6)


def test_iwae_equals_the_formula_with_injected_noise():
    rng = np.random.default_rng(1)
    model, x = small(), (rng.random((4, 2, 3)) < 0.5).astype(np.float32)
    eps = rng.standard_normal((3, 4, 2)).astype(np.float32)
    ours = model.iwae(mg.tensor(x), 3, eps=mg.tensor(eps), chunk=2).numpy()

    w, flat = numbers(model), x.reshape(4, 6).astype(np.float64)
    mean, log_std = np.split(mlp(flat, w, "encoder"), 2, axis=1)
    z = mean + np.exp(log_std) * eps                                                            # (S, N, K)
    f = mlp(z, w, "decoder")
    log_p = np.where(flat == 1, np.log(expit(f)), np.log1p(-expit(f))).sum(axis=-1)
    log_w = log_p - 0.5 * (z ** 2).sum(-1) + (0.5 * eps.astype(np.float64) ** 2 + log_std).sum(-1)
    np.testing.assert_allclose(ours, logsumexp(log_w, axis=0) - np.log(3), rtol=1e-5)


def test_one_sample_iwae_is_the_elbo_without_the_closed_form():
    """With S = 1 the bound is log p(x|z) + log p(z) − log q(z|x), whose mean over noise is the ELBO.

    20,000 draws an image: the two means differ by less than 5 standard errors, false alarm below 1e-6 an image.
    """
    rng = np.random.default_rng(2)
    model, x = small(), mg.tensor((rng.random((1, 2, 3)) < 0.5).astype(np.float32))
    many = mg.broadcast_to(x, (20_000, 2, 3))
    a = model.iwae(many, 1, rng=mg.random.default_rng(0)).numpy()
    b = model.elbo(many, rng=mg.random.default_rng(1)).numpy()
    error = np.sqrt((a.var() + b.var()) / len(a))
    assert abs(a.mean() - b.mean()) < 5 * error


def test_bounds_are_ordered():
    """ELBO ≤ IWAE₁₀ ≤ IWAE₁₀₀₀ ≤ log p(x), here by quadrature over the two latents on a 161 × 161 grid."""
    model = small(rng=3)
    x = mg.tensor((np.random.default_rng(3).random((6, 2, 3)) < 0.5).astype(np.float32))
    grid = np.linspace(-8, 8, 161)
    z = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    f = mlp(z, numbers(model), "decoder")                                                       # (G, D)
    flat = x.numpy().reshape(6, 6).astype(np.float64)
    log_p = flat @ np.log(expit(f)).T + (1 - flat) @ np.log(expit(-f)).T                        # (N, G)
    exact = logsumexp(log_p - 0.5 * (z ** 2).sum(1) - np.log(2 * np.pi), axis=1) + 2 * np.log(grid[1] - grid[0])
    many = mg.broadcast_to(x.reshape(1, 6, 2, 3), (2000, 6, 2, 3)).reshape(-1, 2, 3)
    elbo = model.elbo(many, rng=mg.random.default_rng(0)).numpy().reshape(2000, 6).mean()
    ten = np.mean([model.iwae(x, 10, rng=mg.random.default_rng(s)).numpy() for s in range(200)])
    many = model.iwae(x, 20_000, rng=mg.random.default_rng(1), chunk=5000).numpy()
    # Standard errors: 0.0014 and 0.0015 for the means, at most 0.004 for each of the last six; the gaps asserted are at
    # least five of them, false alarm below 1e-5.
    assert elbo + 0.03 < ten < exact.mean() + 0.03
    np.testing.assert_allclose(many, exact, atol=0.03)


def ppca_log_likelihood(x, K):
    """The maximum of probabilistic PCA's mean log-likelihood, nats (Tipping and Bishop, 1999, Eqs. 7 and 8)."""
    N, D = x.shape
    values = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    noise = values[K:].mean()
    return -0.5 * (D * np.log(2 * np.pi) + np.log(values[:K]).sum() + (D - K) * np.log(noise) + D)


def test_linear_vae_reaches_the_exact_likelihood_of_ppca(backend):
    """A linear VAE with normal likelihood is pPCA, and its diagonal posterior is exact at the optimum, once the latents
    are rotated to the principal axes (J. Lucas et al., 2019, arXiv:1911.02469): ELBO and log p(x) both reach the
    maximum, to 0.01 nats."""
    if backend != "numpy":
        pytest.skip("4,000 steps; the terms themselves are tested on every backend")
    rng = np.random.default_rng(0)
    D, K = 6, 2
    x = rng.standard_normal((400, K)) * [3.0, 1.5] @ rng.standard_normal((K, D)) + 0.5 * rng.standard_normal((400, D))
    x = (x - x.mean(axis=0)).astype(np.float32)
    best = ppca_log_likelihood(x.astype(np.float64), K)

    model = VAE(event_shape=(D,), latents=K, hidden=(), likelihood="normal", rng=0)
    draw, data = mg.random.default_rng(0), mg.tensor(x)
    optimizer = Adam(model.parameters(), lr=lambda step: 0.03 * 0.998 ** step)
    for _ in range(4000):
        optimizer.zero_grad()
        (-model.elbo(data, rng=draw).mean()).backward()
        optimizer.step()

    w = numbers(model)
    W, sigma = w["decoder.0.weight"], np.exp(w["log_std_x"])                                    # (K, D)
    C = W.T @ W + sigma ** 2 * np.eye(D)
    centred = x - w["decoder.0.bias"]
    log_p = -0.5 * (D * np.log(2 * np.pi) + np.linalg.slogdet(C)[1]
                    + (centred @ np.linalg.inv(C) * centred).sum(1).mean())
    elbo = np.mean([model.elbo(data, rng=draw).numpy().mean() for _ in range(300)])             # standard error ≈ 0.003
    assert best - 0.01 < log_p <= best + 1e-6
    assert best - 0.02 < elbo < best + 0.01


def test_gradient_flows_to_every_parameter():
    model = small()
    x = mg.tensor((np.random.default_rng(0).random((4, 2, 3)) < 0.5).astype(np.float32))
    (objective,) = model.objectives()
    terms = objective.loss({"x": x}, mg.random.default_rng(0))
    np.testing.assert_allclose(terms["loss"].numpy(), terms["distortion"].numpy() + terms["rate"].numpy(), rtol=1e-6)
    terms["loss"].backward()
    assert all(p.grad is not None and np.any(p.grad.numpy() != 0) for p in model.parameters())


def test_shapes_of_samples_codes_and_images():
    model, rng = small(), mg.random.default_rng(0)
    assert model.sample(4, rng=rng).shape == (4, 2, 3)
    drawn = model.sample(4, rng=rng, mean=False).numpy()
    assert set(np.unique(drawn)) <= {0.0, 1.0}
    assert model.encode(mg.zeros((5, 2, 3))).shape == (5, 2)
    assert model.decode(np.zeros((5, 2))).shape == (5, 2, 3)


@pytest.mark.parametrize("call, words", [
    (lambda: VAE(likelihood="poisson"), "'bernoulli' or 'normal', got 'poisson'"),
    (lambda: small().elbo(mg.zeros((4, 3, 2)), rng=mg.random.default_rng(0)), r"\(N, 2, 3\), got shape \(4, 3, 2\)"),
    (lambda: small().iwae(mg.zeros((4, 2, 3)), 0), "at least 1 sample, got 0"),
    (lambda: small().sample(3, rng=mg.random.default_rng(0), labels=[0, 1, 2]), "knows no labels"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
