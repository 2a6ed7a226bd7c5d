"""β-VAE and free bits: β = 1 is the VAE, the rates add up, free bits have no gradient, annealing is saved."""
import numpy as np
import pytest

import minigen as mg
from minigen.models.latent import VAE, BetaVAE
from minigen.training import Adam, Trainer, schedules

pytestmark = pytest.mark.usefixtures("backend")
NETS = {"event_shape": (6,), "latents": 3, "hidden": (8,), "rng": 0}


def bits(n=64, seed=0):
    rng = np.random.default_rng(seed)
    return mg.tensor((rng.random((n, 1)) < 0.5).astype(np.float32) * np.ones((1, 6), np.float32))


def loss(model, x, seed=1):
    return model.objectives()[0].loss({"x": x}, mg.random.default_rng(seed))


def test_beta_one_is_the_vae():
    x = bits()
    assert loss(BetaVAE(**NETS), x)["loss"].item() == loss(VAE(**NETS), x)["loss"].item()


@pytest.mark.parametrize("beta", [0.0, 0.5, 4.0])
def test_the_loss_is_distortion_and_beta_times_rate(beta):
    model, x = BetaVAE(beta=beta, **NETS), bits()
    terms = loss(model, x)
    np.testing.assert_allclose(terms["loss"].item(), (terms["distortion"] + beta * terms["rate"]).item(), rtol=1e-6)
    np.testing.assert_allclose(model.rates(x).numpy().sum(axis=1),
                               model.terms(x, rng=mg.random.default_rng(0))[1].numpy(), rtol=1e-4, atol=1e-6)


def test_free_bits_cost_nothing():
    """Below λ nats the rate has no gradient: that of the loss is the distortion's alone."""
    x, free, plain = bits(), BetaVAE(free_bits=50.0, **NETS), BetaVAE(beta=0.0, **NETS)
    gradients = [mg.grad(loss(model, x)["loss"], list(model.encoder.parameters())) for model in (free, plain)]
    for g, h in zip(*gradients):
        np.testing.assert_allclose(g.numpy(), h.numpy(), atol=1e-6)
    np.testing.assert_allclose(loss(free, x)["loss"].item() - loss(free, x)["distortion"].item(), 150, rtol=1e-5)


def test_a_larger_beta_has_a_lower_rate_and_may_collapse(backend):
    if backend != "numpy":
        pytest.skip("trained once")
    x, rates = bits(256), []
    for beta in (0.2, 1.0, 20.0):
        model = BetaVAE(beta=beta, **NETS)
        Trainer(model, Adam(list(model.parameters()), lr=0.01), lambda rng: {"x": x}, seed=0, progress=False).run(300)
        rates.append(model.rates(x).mean(axis=0).sum().item())
        active = model.active_units(x)
    assert rates[0] > rates[1] > rates[2] and rates[1] > 0.5 and rates[2] < 0.05 and active == 0


@pytest.mark.parametrize("beta", [1.0, 4.0])
def test_a_linear_one_is_reverse_water_filling(beta, backend):
    """With σ_x = 1 fixed, on Gaussian data with variances λ: R_k = ½ log max(λ_k/β, 1), Shannon's reverse water-filling
    at the level β, and ‖x − E[x|z]‖² what the water leaves; each rate within 0.05 nats. The test data are 20,000 draws,
    so their own error is 0.01 nats."""
    if backend != "numpy":
        pytest.skip("trained once")
    rng = np.random.default_rng(0)
    values = np.array([9.0, 5.0, 2.5, 0.5])
    root = mg.tensor((np.sqrt(values) * np.linalg.qr(rng.standard_normal((4, 4)))[0]).T.astype(np.float32))
    model = BetaVAE((4,), 4, (), likelihood="normal", beta=beta, rng=1)
    model.log_std_x = mg.nn.Buffer(mg.zeros(()))
    Trainer(model, lambda p: Adam(p, lr=schedules.cosine(0.02, 1500)),
            lambda rng: {"x": mg.matmul(rng.standard_normal((512, 4)), root)}, seed=0, progress=False).run(1500)
    x = mg.matmul(mg.random.default_rng(1).standard_normal((20_000, 4)), root)
    found = np.sort(model.rates(x).mean(axis=0).numpy())[::-1]
    np.testing.assert_allclose(found, 0.5 * np.log(np.maximum(values / beta, 1)), atol=0.05)
    distortion = model.terms(x, rng=mg.random.default_rng(2))[0].mean().item()
    assert abs(2 * distortion - 4 * np.log(2 * np.pi) - np.minimum(values, beta).sum()) < 0.15
    assert model.active_units(x, threshold=0.05) == (values > beta).sum()


def test_annealing_counts_steps_and_is_saved():
    model, x = BetaVAE(beta=lambda step: min(1.0, step / 4), **NETS), bits()
    assert [loss(model, x)["beta"] for _ in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    other = BetaVAE(beta=lambda step: min(1.0, step / 4), **NETS)
    other.load_state_dict(model.state_dict())
    assert loss(other, x)["beta"] == 1


def test_bad_weights():
    with pytest.raises(ValueError, match="BetaVAE: wants beta ≥ 0 and free_bits ≥ 0 nats, got -1 and 0"):
        BetaVAE(beta=-1, **NETS)
