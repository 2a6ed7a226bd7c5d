"""The energy-based GAN: its losses by hand, the margin, the pulling-away term, and energies of patterns."""
import numpy as np
import pytest
from helpers import assert_gradients

import minigen as mg
from minigen.models.energy import EBGAN
from minigen.models.energy.ebgan import pulling_away
from minigen.training import Adam, Trainer

pytestmark = pytest.mark.usefixtures("backend")


def small(**settings):
    return EBGAN((3,), 2, 2, (16,), squash=False, rng=0, **settings)


def test_the_losses_by_hand():
    model, x = small(margin=0.4), mg.random.default_rng(0).standard_normal((6, 3))
    data = model.energy(x).numpy()
    np.testing.assert_allclose(data, ((model.autoencoder.reconstruct(x) - x).numpy() ** 2).mean(axis=1), rtol=1e-6)
    fake_x = model.generator(mg.random.default_rng(1).standard_normal((6, 2)))
    fake = model.energy(fake_x).numpy()
    terms = model.discriminator_terms(x, rng=1)
    np.testing.assert_allclose(terms["loss"].item(), data.mean() + np.maximum(0, 0.4 - fake).mean(), rtol=1e-5)
    pull = pulling_away(model.autoencoder.encode(fake_x)).item()
    np.testing.assert_allclose(model.generator_terms(x, rng=1)["loss"].item(), fake.mean() + 0.1 * pull, rtol=1e-5)


def test_fakes_above_the_margin_send_no_gradient():
    model, x = small(margin=1e-9, pull=0.0), mg.random.default_rng(0).standard_normal((6, 3))
    with_fakes = mg.grad(model.discriminator_terms(x, rng=1)["loss"], list(model.autoencoder.parameters()))
    without = mg.grad(mg.mean(model.energy(x)), list(model.autoencoder.parameters()))
    for g, h in zip(with_fakes, without):
        np.testing.assert_allclose(g.numpy(), h.numpy(), atol=1e-7)


def test_pulling_away():
    S = np.random.default_rng(0).standard_normal((5, 3))
    unit = S / np.linalg.norm(S, axis=1, keepdims=True)
    expected = np.mean([(unit[i] @ unit[j]) ** 2 for i in range(5) for j in range(5) if i != j])
    np.testing.assert_allclose(pulling_away(mg.tensor(S)).item(), expected)
    np.testing.assert_allclose(pulling_away(mg.tensor(np.ones((4, 3)))).item(), 1)
    np.testing.assert_allclose(pulling_away(mg.tensor(np.eye(3))).item(), 0, atol=1e-15)
    assert_gradients(pulling_away, S)
    with pytest.raises(ValueError, match=r"wants codes \(N, K\) with N ≥ 2, got shape \(1, 3\)"):
        pulling_away(mg.ones((1, 3)))


def test_energies_are_low_on_patterns_and_samples_come_near(backend):
    """Four patterns: after training data lie below noise, and each sample is near a pattern."""
    if backend != "numpy":
        pytest.skip("trained once")
    patterns = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2], [-2, -2, 0]], np.float32)

    def batches(rng):
        k = rng.integers(4, size=(64,))
        return {"x": mg.take(mg.tensor(patterns), k, axis=0) + 0.05 * rng.standard_normal((64, 3))}

    model = EBGAN((3,), 2, 2, (64,), margin=0.5, squash=False, rng=0)
    optimizers = {o.name: Adam(o.parameters, lr=1e-3, betas=(0.5, 0.99)) for o in model.objectives()}
    Trainer(model, optimizers, batches, seed=0, progress=False).run(1500)
    noise = 2 * mg.random.default_rng(0).standard_normal((200, 3))
    with mg.no_grad():
        assert model.energy(mg.tensor(patterns)).mean().item() < 0.3 * model.energy(noise).mean().item()
    x = model.sample(200, rng=0).numpy()
    nearest = np.linalg.norm(x[:, None] - patterns, axis=2).min(axis=1)
    assert np.median(nearest) < 0.6


def test_images_and_refusals():
    model = EBGAN((4, 4, 1), 3, 4, (8,), rng=0)
    assert model.sample(5, rng=0).shape == (5, 4, 4, 1) and 0 < model.sample(5, rng=0).min().item()
    with pytest.raises(ValueError, match="EBGAN: wants margin > 0 and pull ≥ 0, got 0 and 0.1"):
        small(margin=0)
    with pytest.raises(ValueError, match="knows no labels, got 1"):
        model.sample(1, rng=0, labels=mg.tensor([0]))
