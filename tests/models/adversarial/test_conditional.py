"""Conditional GANs: losses in closed form with injected noise, statistics of each class, and labels that are
refused."""
import numpy as np
import pytest
from scipy.special import expit, log_softmax

import minigen as mg
from minigen.models.adversarial import ACGAN, ConditionalGAN, GradientPenalty, ProjectionGAN
from minigen.training import Adam, Trainer

pytestmark = pytest.mark.usefixtures("backend")

KINDS = [ConditionalGAN, ProjectionGAN, ACGAN]
RNG = np.random.default_rng(0)
X, Z, Y = RNG.standard_normal((6, 2)), RNG.standard_normal((6, 3)), np.array([0, 2, 1, 1, 0, 2])
ONE_HOT = np.eye(3)[Y]


def small(kind, **settings):
    return kind(classes=3, event_shape=(2,), latents=3, hidden=(5,), rng=0, **settings).astype("float64")


def leaky(x):
    return np.maximum(x, 0.2 * x)


def affine(x, w, name):
    return x @ w[name + ".weight"] + w.get(name + ".bias", 0.0)


def fakes(w):
    """G(z, y) in NumPy."""
    return affine(leaky(affine(np.concatenate([Z, ONE_HOT], axis=1), w, "generator.net.0")), w, "generator.net.2")


def judged(kind, x, w):
    """(a(x, y), class logits or None) in NumPy."""
    if kind is ConditionalGAN:
        h = leaky(affine(np.concatenate([x, ONE_HOT], axis=1), w, "discriminator.net.0"))
        return affine(h, w, "discriminator.net.2")[:, 0], None
    phi = leaky(affine(x, w, "discriminator.features.1.0"))
    psi, inner = affine(phi, w, "discriminator.source")[:, 0], affine(phi, w, "discriminator.of_class")
    return (psi, inner) if kind is ACGAN else (psi + inner[np.arange(6), Y], None)


@pytest.mark.parametrize("kind", KINDS)
def test_both_losses_equal_the_formula_with_injected_noise(kind):
    model = small(kind)
    w = model.state_dict()
    (a_real, c_real), (a_fake, c_fake) = judged(kind, X, w), judged(kind, fakes(w), w)
    wanted_D, wanted_G = -np.log(expit(a_real)).mean() - np.log(1 - expit(a_fake)).mean(), -np.log(expit(a_fake)).mean()
    if kind is ACGAN:                                            # Eq. (6)
        on_real, on_fake = (-log_softmax(c, axis=1)[np.arange(6), Y].mean() for c in (c_real, c_fake))
        wanted_D, wanted_G = wanted_D + on_real + on_fake, wanted_G + on_fake
    x, z, y = mg.tensor(X), mg.tensor(Z), mg.tensor(Y)
    assert float(model.discriminator_terms(x, y, z=z)["loss"]) == pytest.approx(wanted_D, rel=1e-12)
    assert float(model.generator_terms(x, y, z=z)["loss"]) == pytest.approx(wanted_G, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient_from_its_own_player(kind):
    model, rng = small(kind, penalty=GradientPenalty()), mg.random.default_rng(0)
    batch = {"x": mg.tensor(X), "y": mg.tensor(Y)}
    for objective in model.objectives():
        terms = objective.loss(batch, rng)
        gradients = mg.grad(terms["loss"], objective.parameters)
        assert all(np.any(g.numpy()) for g in gradients)


def test_the_label_enters_the_projection_as_an_inner_product():
    """Eq. (4): a(x, y) − a(x, y′) = (v_y − v_y′)ᵀ φ(x)."""
    model = small(ProjectionGAN)
    x = mg.tensor(X)
    a = [model.discriminate(x, np.full(6, y)).numpy() for y in range(3)]
    phi = model.discriminator.features(x).numpy()
    v = model.discriminator.of_class.weight.numpy()              # (F, classes)
    np.testing.assert_allclose(a[0] - a[2], phi @ (v[:, 0] - v[:, 2]), rtol=1e-10)


def test_only_the_label_input_and_projection_see_the_label():
    x = mg.tensor(X)
    for kind in KINDS:
        model = small(kind)
        first, second = (model.discriminate(x, np.full(6, y)).numpy() for y in (0, 1))
        assert np.array_equal(first, second) == (kind is ACGAN)


CENTRES = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.2]], dtype=np.float32)


def batches(rng):
    y = rng.integers(3, size=(64,))
    with mg.use(y.backend.name):
        return {"x": mg.take(mg.tensor(CENTRES), y, axis=0) + 0.3 * rng.standard_normal((64, 2)), "y": y}


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_each_class_come_to_its_own_data(kind, backend):
    """After 400 steps the mean of each class lies nearest to the centre of its own data. Deterministic."""
    if backend != "numpy":
        pytest.skip("a training run; the terms themselves are tested on every backend")
    model = kind(classes=3, hidden=(32,), rng=0)
    Trainer(model, lambda p: Adam(p, lr=3e-3, betas=(0.5, 0.9)), batches, seed=0, progress=False).run(400)
    for y in range(3):
        mean = model.sample(300, rng=mg.random.default_rng(1), labels=np.full(300, y)).numpy().mean(axis=0)
        assert np.linalg.norm(CENTRES - mean, axis=1).argmin() == y
        assert np.linalg.norm(CENTRES[y] - mean) < 0.6


def test_samples_without_labels_draw_them():
    model = small(ConditionalGAN)
    assert model.sample(7, rng=0).shape == (7, 2)
    assert model.sample(2, rng=0, labels=[2, 0]).shape == (2, 2)


@pytest.mark.parametrize("call, error, words", [
    (lambda: small(ConditionalGAN).sample(2, rng=0, labels=[0, 3]), ValueError, "labels 0 to 2, got some from 0 to 3"),
    (lambda: small(ProjectionGAN).discriminate(mg.tensor(X), Y - 1), ValueError, "0 to 2, got some from -1 to 1"),
    (lambda: small(ACGAN).discriminator_terms(mg.tensor(X), Y + 1, z=mg.tensor(Z)), ValueError, "got some from 1 to 3"),
    (lambda: small(ACGAN).generator_terms(mg.tensor(X), Y[:4], z=mg.tensor(Z)), ValueError, r"6 examples, .* \(4,\)"),
    (lambda: small(ConditionalGAN).discriminate(mg.tensor(X)), ValueError, "pass 6 labels from 0 to 2"),
    (lambda: small(ConditionalGAN).sample(2, rng=0, labels=[0.0, 1.0]), TypeError, "must be integers, got float64"),
    (lambda: small(ProjectionGAN).discriminate(mg.zeros((4, 3)), Y[:4]), ValueError, r"\(N, 2\), got shape \(4, 3\)"),
    (lambda: small(ConditionalGAN).objectives()[0].loss({"x": X}, None), ValueError, r"labels 'y' .* got \['x'\]"),
    (lambda: ConditionalGAN(classes=0), ValueError, "at least one class, got 0"),
    (lambda: ProjectionGAN(classes=2, hidden=()), ValueError, r"at least one hidden layer, got hidden=\(\)"),
    (lambda: ACGAN(classes=2, class_weight=0), ValueError, "class_weight must be positive, got 0"),
])
def test_bad_input_is_told(call, error, words):
    with pytest.raises(error, match=words):
        call()
