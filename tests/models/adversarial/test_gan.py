"""The GAN: losses in closed form with injected noise, whose parameters move, and short runs of every objective."""
import numpy as np
import pytest
from scipy.special import expit

import minigen as mg
from minigen import nn
from minigen.models.adversarial import GAN, LOSSES, R1, GradientPenalty
from minigen.training import Adam, Trainer

pytestmark = pytest.mark.usefixtures("backend")

RNG = np.random.default_rng(0)
X, Z = RNG.standard_normal((6, 2)), RNG.standard_normal((6, 3))


def small(loss="non-saturating", **settings):
    return GAN(event_shape=(2,), latents=3, hidden=(5,), loss=loss, rng=0, **settings).astype("float64")


def numbers(model):
    return model.state_dict()


def mlp(x, weights, prefix):
    """A multilayer perceptron with leaky ReLU in NumPy, layers in the order of their names."""
    layers = [name[:-len(".weight")] for name in weights if name.startswith(prefix) and name.endswith(".weight")]
    for k, layer in enumerate(layers):
        x = (np.maximum(x, 0.2 * x) if k else x) @ weights[layer + ".weight"] + weights[layer + ".bias"]
    return x


@pytest.mark.parametrize("loss", LOSSES)
def test_both_losses_equal_the_formula_with_injected_noise(loss):
    model = small(loss)
    w = numbers(model)
    fake = mlp(Z, w, "generator")
    a_real, a_fake = mlp(X, w, "discriminator")[:, 0], mlp(fake, w, "discriminator")[:, 0]
    D = expit(a_fake)
    wanted_D = {"minimax": -np.log(expit(a_real)).mean() - np.log(1 - D).mean(),
                "non-saturating": -np.log(expit(a_real)).mean() - np.log(1 - D).mean(),
                "classification-error": 0.5 * (1 - expit(a_real)).mean() + 0.5 * D.mean(),
                "least-squares": 0.5 * ((a_real - 1) ** 2).mean() + 0.5 * (a_fake ** 2).mean(),
                "hinge": np.maximum(0, 1 - a_real).mean() + np.maximum(0, 1 + a_fake).mean(),
                "wasserstein": a_fake.mean() - a_real.mean()}[loss]
    wanted_G = {"minimax": np.log(1 - D).mean(), "non-saturating": -np.log(D).mean(),
                "classification-error": -0.5 * D.mean(), "least-squares": 0.5 * ((a_fake - 1) ** 2).mean(),
                "hinge": -a_fake.mean(), "wasserstein": -a_fake.mean()}[loss]
    x, z = mg.tensor(X), mg.tensor(Z)
    terms = model.discriminator_terms(x, z=z)
    assert float(terms["loss"]) == pytest.approx(wanted_D, rel=1e-12)
    assert float(terms["real"]) == pytest.approx(a_real.mean(), rel=1e-12)
    assert float(terms["fake"]) == pytest.approx(a_fake.mean(), rel=1e-12)
    assert float(model.generator_terms(x, z=z)["loss"]) == pytest.approx(wanted_G, rel=1e-12)


def test_a_penalty_is_added_to_the_discriminators_loss_alone():
    x, z, alpha = mg.tensor(X), mg.tensor(Z), mg.tensor(RNG.random(6))
    plain, model = small(), small(penalty=GradientPenalty(4.0))
    terms = model.discriminator_terms(x, z=z, alpha=alpha)
    assert float(terms["penalty"]) > 0
    wanted = float(plain.discriminator_terms(x, z=z)["loss"]) + float(terms["penalty"])
    assert float(terms["loss"]) == pytest.approx(wanted, rel=1e-12)
    assert float(model.generator_terms(x, z=z)["loss"]) == float(plain.generator_terms(x, z=z)["loss"])


def test_each_player_has_its_own_parameters_and_no_gradient_from_the_other():
    model = small()
    D, G = model.objectives()
    assert {id(p) for p in D.parameters} | {id(p) for p in G.parameters} == {id(p) for p in model.parameters()}
    assert not {id(p) for p in D.parameters} & {id(p) for p in G.parameters}
    rng = mg.random.default_rng(0)
    D.loss({"x": mg.tensor(X)}, rng)["loss"].backward()
    assert all(p.grad is None for p in G.parameters) and all(np.any(p.grad.numpy()) for p in D.parameters)
    G.loss({"x": mg.tensor(X)}, rng)["loss"].backward()
    assert all(np.any(p.grad.numpy()) for p in G.parameters)


def test_any_networks_and_images_will_do():
    rng = mg.random.default_rng(0)
    G = nn.Sequential(nn.Linear(4, 6, rng=rng), mg.tanh)
    D = nn.Sequential(lambda x: mg.reshape(x, (-1, 6)), nn.Linear(6, 1, rng=rng))
    model = GAN(event_shape=(2, 3, 1), latents=4, generator=G, discriminator=D)
    assert model.generator is G and model.discriminator is D
    assert model.sample(5, rng=rng).shape == (5, 2, 3, 1)
    assert model.discriminate(mg.zeros((7, 2, 3, 1))).shape == (7,)


def batches(rng):
    return {"x": 1.5 + 0.7 * rng.standard_normal((64, 2))}


SETTINGS = {loss: dict(loss=loss) for loss in LOSSES} | {"R1": dict(penalty=R1(1.0))}
SETTINGS["wasserstein"] |= dict(penalty=GradientPenalty(), discriminator_steps=2)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_a_short_run_moves_samples_to_the_data(settings, backend):
    """The data lie around (1.5, 1.5), 1.8 away. The players circle around each other, so we look at every 25th of 250
    steps: the mean comes nearer than 0.9 at least once. Deterministic."""
    if backend != "numpy":
        pytest.skip("a training run; the terms themselves are tested on every backend")
    model = GAN(hidden=(16,), rng=0, **settings)
    trainer = Trainer(model, lambda p: Adam(p, lr=0.005, betas=(0.5, 0.9)), batches, seed=0, progress=False)
    distances = []
    for steps in range(0, 251, 25):
        trainer.run(steps)
        mean = model.sample(500, rng=mg.random.default_rng(1)).numpy().mean(axis=0)
        distances.append(float(np.linalg.norm(mean - 1.5)))
    assert distances[0] > 1.8 and min(distances) < 0.9


def test_the_manual_loop_of_the_docstring_trains_as_the_trainer_does(backend):
    if backend != "numpy":
        pytest.skip("a training run")
    ours, theirs = GAN(hidden=(8,), rng=0), GAN(hidden=(8,), rng=0)
    trainer = Trainer(ours, lambda p: Adam(p, lr=0.01), batches, seed=0, progress=False)
    rng = mg.random.default_rng(0)
    rng.set_state(trainer.rng.state())
    trainer.run(5)
    D, G = Adam(theirs.discriminator.parameters(), lr=0.01), Adam(theirs.generator.parameters(), lr=0.01)
    for _ in range(5):
        x = batches(rng)["x"]
        for player, terms in (D, theirs.discriminator_terms), (G, theirs.generator_terms):
            player.zero_grad()
            terms(x, rng=rng)["loss"].backward()
            player.step()
    for name, value in numbers(ours).items():
        np.testing.assert_allclose(numbers(theirs)[name], value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("call, words", [
    (lambda: GAN(loss="mini-max"), "no loss is called 'mini-max'; did you mean 'minimax'"),
    (lambda: small().discriminate(mg.zeros((4, 3))), r"examples \(N, 2\), got shape \(4, 3\)"),
    (lambda: small().discriminator_terms(mg.tensor(X), z=mg.tensor(Z[:, :2])), r"shape \(6, 3\), got \(6, 2\)"),
    (lambda: small().sample(3, rng=mg.random.default_rng(0), labels=[0, 1, 2]), "knows no labels, got 3"),
    (lambda: GAN((3,), generator=nn.Linear(2, 4, rng=0)).sample(5, rng=0), r"must return \(5, 3\) .* got \(5, 4\)"),
    (lambda: GAN(discriminator=nn.Linear(2, 2, rng=0)).discriminate(mg.zeros((5, 2))), r"5 examples, .* \(5, 2\)"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
