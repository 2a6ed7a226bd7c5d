"""The adversarial autoencoder: its losses by hand, who moves what, and the codes it ends with."""
import numpy as np
import pytest

import minigen as mg
from minigen.metrics import gaussian_kernel, mmd
from minigen.models.latent.aae import AdversarialAutoencoder, ring_prior, swiss_roll_prior
from minigen.training import Adam, Trainer

pytestmark = pytest.mark.usefixtures("backend")


def small(**settings):
    return AdversarialAutoencoder((4,), 2, (16,), discriminator_hidden=(32,), rng=0, **settings)


def test_the_losses_by_hand():
    model, x = small(), mg.random.default_rng(0).random((5, 4))
    fake = model.discriminate(model.encode(x)).numpy()
    real = model.discriminate(mg.random.default_rng(3).standard_normal((5, 2))).numpy()
    terms = model.discriminator_terms(x, rng=mg.random.default_rng(3))
    np.testing.assert_allclose(terms["loss"].item(), np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean(),
                               rtol=1e-5)
    np.testing.assert_allclose(terms["accuracy"].item(), 0.5 * (real > 0).mean() + 0.5 * (fake < 0).mean())
    np.testing.assert_allclose(model.encoder_terms(x)["loss"].item(), np.log1p(np.exp(-fake)).mean(), rtol=1e-5)


def test_each_player_moves_its_own():
    model = small()
    names = {o.name: [p.name for p in o.parameters] for o in model.objectives() if list(model.named_parameters())}
    assert list(names) == ["reconstruction", "discriminator", "encoder"]
    assert all(n.startswith(("encoder", "decoder")) for n in names["reconstruction"])
    assert all(n.startswith("discriminator") for n in names["discriminator"])
    assert all(n.startswith("encoder") for n in names["encoder"])
    x = mg.random.default_rng(0).random((5, 4))
    loss = model.discriminator_terms(x, rng=mg.random.default_rng(0))["loss"]
    loss.backward()
    assert model.encoder[0].weight.grad is None and model.discriminator[0].weight.grad is not None


def test_the_aggregate_of_codes_becomes_the_prior(backend):
    """MMD² between codes and prior: far apart before training, near after it."""
    if backend != "numpy":
        pytest.skip("trained once")
    rng = np.random.default_rng(0)
    x = mg.tensor((rng.standard_normal((600, 2)) @ rng.standard_normal((2, 4)) + 3).astype(np.float32))
    model = small()

    def distance():
        with mg.no_grad():
            prior = np.random.default_rng(5).standard_normal((600, 2))
            return mmd(model.encode(x), prior, gaussian_kernel(1.0))

    before = distance()
    optimizers = {o.name: Adam(o.parameters, lr=2e-3, betas=(0.5, 0.9)) for o in model.objectives()}
    Trainer(model, optimizers, lambda rng: {"x": mg.take(x, rng.integers(600, size=(128,)), axis=0)}, seed=0,
            progress=False).run(1200)
    after = distance()
    assert after < 0.1 * before and model.sample(7, rng=0).shape == (7, 4)
    assert model.error(x).mean().item() < 0.5


@pytest.mark.parametrize("prior", [ring_prior(), swiss_roll_prior()])
def test_priors_in_the_plane(prior):
    z = prior(500, mg.random.default_rng(0))
    assert z.shape == (500, 2) and 1 < np.abs(z.numpy()).max() < 12
    assert small(prior=prior).sample(3, rng=0).shape == (3, 4)


def test_a_prior_of_another_dimension():
    with pytest.raises(ValueError, match=r"prior\(n, rng\) must return \(3, 2\) draws, got \(3, 5\)"):
        small(prior=lambda n, rng: rng.standard_normal((n, 5))).sample(3, rng=0)
    with pytest.raises(ValueError, match="this model knows no labels, got 1"):
        small().sample(1, rng=0, labels=mg.tensor([0]))
