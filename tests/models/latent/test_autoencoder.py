"""Autoencoders: the linear one is PCA, the denoiser is the score, the refusals are clear."""
import numpy as np
import pytest
from helpers import assert_gradients

import minigen as mg
from minigen.models.latent import Autoencoder, DenoisingAutoencoder
from minigen.training import Adam, Trainer, schedules

pytestmark = pytest.mark.usefixtures("backend")


def train(model, batches, steps, lr=0.01):
    optimizer = Adam(list(model.parameters()), lr=schedules.cosine(lr, steps))
    Trainer(model, optimizer, batches, seed=0, progress=False).run(steps)
    return model


def test_a_linear_autoencoder_spans_the_subspace_of_pca(backend):
    """Its error is PCA's to 1e-3, and so is the projection it makes."""
    if backend != "numpy":
        pytest.skip("trained once")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 6)) * [3, 2, 1, 0.3, 0.2, 0.1] @ np.linalg.qr(rng.standard_normal((6, 6)))[0]
    x = (x - x.mean(axis=0)).astype(np.float32)
    model = train(Autoencoder((6,), 2, (), rng=0), lambda rng: {"x": mg.tensor(x)}, 2500, 0.02)
    _, _, V = np.linalg.svd(x, full_matrices=False)
    P = V[:2].T @ V[:2]
    best = 0.5 * ((x - x @ P) ** 2).sum(axis=1).mean()
    assert model.error(mg.tensor(x)).mean().item() < best * 1.001 + 1e-4
    np.testing.assert_allclose((model.encoder[0].weight.numpy() @ model.decoder[0].weight.numpy()), P, atol=0.02)


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_a_denoiser_of_a_gaussian_estimates_the_score(noise, backend):
    """Eq. (4) for x ~ N(μ, s² I): a linear denoiser learns E[x|x̃], so its score is −(x − μ)/(s² + σ²)."""
    if backend != "numpy":
        pytest.skip("trained once")
    mu, s = np.array([1.0, -2.0], np.float32), 0.8

    def batches(rng):
        return {"x": mg.tensor(mu) + s * rng.standard_normal((512, 2))}

    model = train(DenoisingAutoencoder((2,), 2, (), noise=noise, rng=0), batches, 1500)
    x = np.array([[0.0, 0.0], [2.0, -3.0], [1.0, -2.0]], np.float32)
    np.testing.assert_allclose(model.score(mg.tensor(x)).numpy(), -(x - mu) / (s ** 2 + noise ** 2), atol=0.08)


def test_the_losses_by_hand_and_their_gradients():
    model = DenoisingAutoencoder((3,), 2, (4,), activation=mg.tanh, noise=0.3, rng=0).astype("float64")
    x, eps = np.random.default_rng(0).standard_normal((2, 5, 3))
    r = model.reconstruct(mg.tensor(x + 0.3 * eps)).numpy()
    np.testing.assert_allclose(model.terms(mg.tensor(x), eps=mg.tensor(eps))["loss"].item(),
                               0.5 * ((r - x) ** 2).sum(axis=1).mean())
    assert_gradients(lambda x: model.error(x), x)


def test_masking_sets_entries_to_zero():
    model = DenoisingAutoencoder((100,), 2, (), masked=0.3)
    spoilt = model.spoil(mg.ones((50, 100)), rng=mg.random.default_rng(0)).numpy()
    assert set(np.unique(spoilt)) == {0, 1} and abs(spoilt.mean() - 0.7) < 5 * np.sqrt(0.21 / 5000)
    with pytest.raises(ValueError, match="holds for Gaussian noise, and this one masks"):
        model.score(mg.ones((1, 100)))


def test_denoisers_without_noise_or_generator():
    with pytest.raises(ValueError, match="masks or has none; build it with masked=0 and noise > 0"):
        DenoisingAutoencoder((3,), 2, noise=0.0).score(mg.ones((1, 3)))
    for settings in ({}, {"masked": 0.5}):
        with pytest.raises(ValueError, match="spoils at random, so it wants rng"):
            DenoisingAutoencoder((3,), 2, **settings).terms(mg.ones((1, 3)))


def test_images_and_squashing():
    model = Autoencoder((4, 4, 1), 3, (8,), squash=True, rng=0)
    x = mg.random.default_rng(0).random((5, 4, 4, 1))
    assert model.encode(x).shape == (5, 3) and model.reconstruct(x).shape == x.shape and model.energy(x).shape == (5,)
    assert 0 < model.reconstruct(x).min().item() and model.reconstruct(x).max().item() < 1


def test_refusals():
    with pytest.raises(ValueError, match=r"Autoencoder: wants examples \(N, 3\), got shape \(5, 4\)"):
        Autoencoder((3,), 2).encode(mg.zeros((5, 4)))
    with pytest.raises(NotImplementedError, match="an autoencoder has no distribution to draw from"):
        Autoencoder((3,), 2).sample(3, rng=0)
    with pytest.raises(ValueError, match="wants noise ≥ 0 and 0 ≤ masked < 1, got 0.3 and 1"):
        DenoisingAutoencoder((3,), 2, masked=1)
