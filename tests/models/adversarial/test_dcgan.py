"""The networks of DCGAN in every GAN: shapes, pixels, gradients, batch norm in training and evaluation, bad input."""
import numpy as np
import pytest
from helpers import central_difference

import minigen as mg
from minigen import data, nn
from minigen.models.adversarial import (ACGAN, DCGAN, GAN, SNGAN, WGAN, WGANGP, ConditionalGAN, ImageGenerator,
                                        LabelInput, ProjectionGAN, image_discriminator, image_heads)
from minigen.models.adversarial.dcgan import image_features, spherical
from minigen.models.adversarial.penalties import input_gradient
from minigen.training import Adam, Trainer, schedules

pytestmark = pytest.mark.usefixtures("backend")

SHAPE, K, F, CLASSES = (8, 12, 3), 5, 4, 3
RNG = np.random.default_rng(0)
X, Z, Y = RNG.random((6, *SHAPE)), RNG.standard_normal((6, K)), np.array([0, 2, 1, 1, 0, 2])


def generator(**settings):
    return ImageGenerator(K, SHAPE, F, rng=0, **settings)


def labelled(kind, discriminator):
    return kind(CLASSES, SHAPE, K, generator=generator(classes=CLASSES), discriminator=discriminator)


def with_label_input():
    wide = (*SHAPE[:2], SHAPE[2] + CLASSES)
    return ConditionalGAN(CLASSES, SHAPE, K,
                          generator=LabelInput(ImageGenerator(K + CLASSES, SHAPE, F, rng=0), CLASSES),
                          discriminator=LabelInput(image_discriminator(wide, F, rng=1), CLASSES))


def judge(norm):
    return image_discriminator(SHAPE, F, norm, rng=1)


PLAIN = {
    "DCGAN": lambda: DCGAN(SHAPE, K, F, rng=0),
    "GAN": lambda: GAN(SHAPE, K, generator=generator(), discriminator=judge(None), loss="least-squares"),
    "WGAN": lambda: WGAN(SHAPE, K, generator=generator(), discriminator=judge("batch")),
    "WGANGP": lambda: WGANGP(SHAPE, K, generator=generator(), discriminator=judge("layer")),
    "SNGAN": lambda: SNGAN(SHAPE, K, generator=generator(), discriminator=judge("spectral")),
}
CONDITIONAL = {
    "label input": with_label_input,
    "projection": lambda: labelled(ProjectionGAN, image_heads(CLASSES, SHAPE, F, rng=1)),
    "auxiliary classifier": lambda: labelled(ACGAN, image_heads(CLASSES, SHAPE, F, rng=1)),
}
EVERY = {**PLAIN, **CONDITIONAL}


def labels_of(name):
    return (Y,) if name in CONDITIONAL else ()


# ---- shapes and pixels -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", EVERY)
def test_images_come_out_and_logits(name):
    model = EVERY[name]()
    samples = model.sample(6, rng=0)
    assert samples.shape == (6, *SHAPE) and samples.dtype == np.float32
    assert 0 <= samples.numpy().min() and samples.numpy().max() <= 1
    assert model.discriminate(samples, *labels_of(name)).shape == (6,)


def test_the_sizes_are_those_of_the_paper_on_28_pixels():
    """Eqs. (2), (3): 64 → 7·7·128 → 14·14·64 → 28·28·1 and back, with no bias where batch norm follows."""
    sizes = {name: value.shape for name, value in DCGAN(rng=0).named_parameters()}
    assert list(sizes.values()) == [
        (64, 7 * 7 * 128), (128,), (128,), (64,), (64,), (4, 4, 64, 128), (4, 4, 1, 64), (1,),
        (4, 4, 1, 64), (64,), (4, 4, 64, 128), (128,), (128,), (7 * 7 * 128, 1), (1,)]


def test_weights_start_small():
    """N(0, 0.02²): the standard deviation of 131,072 draws is within 1 % (five standard errors)."""
    for name, w in DCGAN(rng=0).named_parameters():
        if w.ndim > 1 and w.size > 100_000:
            assert w.numpy().std() == pytest.approx(0.02, rel=0.01), name


def test_pixels_are_in_the_unit_interval_outside_and_centred_inside():
    """Eq. (4): without a bias, G(z) = ½ at h = 0, and D sees −1, 0, 1 where the image is 0, ½, 1."""
    G = generator().eval()
    with mg.no_grad():
        G.double[1].weight[...] = 0.0
    np.testing.assert_array_equal(G(mg.tensor(Z.astype("float32"))).numpy(), np.full((6, *SHAPE), 0.5))
    features, _ = image_features(SHAPE, F, None, rng=0)
    np.testing.assert_array_equal(features[0](mg.tensor([0.0, 0.5, 1.0])).numpy(), [-1.0, 0.0, 1.0])


def test_doubling_and_halving_are_adjoint():
    """Eq. (1), and ⟨conv x, y⟩ = ⟨x, convT y⟩ with one kernel."""
    G, x = generator().astype("float64"), mg.tensor(X)
    up = G.double[1]                                             # (4, 4, 3, F)
    y = mg.conv2d(x, up.weight, stride=2, padding=1)
    assert y.shape == (6, 4, 6, F)
    other = np.random.default_rng(1).standard_normal(y.shape)
    lhs = float(mg.sum(y * mg.tensor(other)))
    rhs = float(mg.sum(x * mg.conv2d_transpose(mg.tensor(other), up.weight, stride=2, padding=1)))
    assert lhs == pytest.approx(rhs, rel=1e-12)


# ---- gradients, saving -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", EVERY)
def test_every_weight_gets_a_gradient_from_its_own_player(name):
    """(Not every bias: the last of a critic cancels between data and fakes.)"""
    model, rng = EVERY[name]().astype("float64"), mg.random.default_rng(0)
    batch = {"x": mg.tensor(X), "y": mg.tensor(Y)}
    for objective in model.objectives():
        gradients = mg.grad(objective.loss(batch, rng)["loss"], objective.parameters)
        for parameter, gradient in zip(objective.parameters, gradients):
            assert gradient.dtype == np.float64 and np.isfinite(gradient.numpy()).all()
            assert np.any(gradient.numpy()) or parameter.ndim == 1, parameter.name


@pytest.mark.parametrize("name", EVERY)
def test_losses_equal_differences_along_a_random_direction(name):
    """dL/dt at θ + t d for each player, float64, by a step so small that hardly a ReLU switches. Deterministic."""
    model = EVERY[name]().astype("float64")
    rng = np.random.default_rng(1)
    z, alpha = mg.tensor(Z), mg.tensor(rng.random(6))
    y = [mg.tensor(label) for label in labels_of(name)]
    for module in model.modules():
        if isinstance(module, nn.SpectralNorm):
            for _ in range(200):
                module.sigma()                                   # the derivative of σ is exact once it has converged
    both = (lambda: model.discriminator_terms(mg.tensor(X), *y, z=z, alpha=alpha),
            lambda: model.generator_terms(mg.tensor(X), *y, z=z))
    for objective, terms in zip(model.objectives(), both):
        old = [p.numpy() for p in objective.parameters]
        d = [rng.standard_normal(v.shape) for v in old]

        def value(t):
            with mg.no_grad():
                for p, v, dv in zip(objective.parameters, old, d):
                    p[...] = mg.tensor(v + t * dv)
            return float(terms()["loss"])

        numeric, = central_difference(lambda t: value(float(t)), [np.zeros(())], step=1e-8)
        value(0.0)
        ours = mg.grad(terms()["loss"], objective.parameters)
        slope = sum(float(np.sum(g.numpy() * dv)) for g, dv in zip(ours, d))
        assert slope == pytest.approx(float(numeric), rel=2e-4)


@pytest.mark.parametrize("name", EVERY)
def test_a_saved_model_samples_the_same(name):
    model, twin = EVERY[name](), EVERY[name]()
    for _ in range(3):
        model.sample(6, rng=1)                                   # in training mode: moves the running statistics
    twin.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(model.eval().sample(4, rng=2).numpy(), twin.eval().sample(4, rng=2).numpy())


# ---- batch norm ------------------------------------------------------------------------------------------------------
def test_in_evaluation_a_sample_depends_on_its_own_noise_alone():
    model = DCGAN(SHAPE, K, F, rng=0)
    for _ in range(5):
        model.sample(64, rng=1)
    z = mg.tensor(Z.astype("float32"))
    first = model.generate(z[:2]).numpy()
    assert not np.allclose(first, model.generate(z).numpy()[:2], atol=1e-4)         # training: the batch matters
    model.eval()
    before = model.state_dict()
    np.testing.assert_allclose(model.generate(z[:2]).numpy(), model.generate(z).numpy()[:2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.generate(z[:1]).numpy(), model.generate(z).numpy()[:1], rtol=1e-5, atol=1e-6)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])       # and sampling leaves no trace


def test_running_statistics_tend_to_those_of_a_batch():
    """After 150 calls with one batch, evaluation normalises it as training does, but for M/(M − 1) in the variance,
    M = 240. Before, it does not."""
    G = generator().astype("float64")
    z = mg.tensor(np.random.default_rng(1).standard_normal((40, K)))
    fresh = G.eval()(z).numpy()
    G.train()
    for _ in range(150):
        trained = G(z).numpy()
    error = [np.abs(images - trained).max() / np.abs(trained - 0.5).max() for images in (fresh, G.eval()(z).numpy())]
    assert error[0] > 0.1 and error[1] < 0.005


def test_data_and_fakes_are_normalised_apart():
    """D's logits on data do not depend on the fakes."""
    model, x = DCGAN(SHAPE, K, F, rng=0).astype("float64"), mg.tensor(X)
    real = [float(model.discriminator_terms(x, z=mg.tensor(z))["real"]) for z in (Z, 3.0 * Z)]
    assert real[0] == real[1]


@pytest.mark.parametrize("norm", ["layer", "spectral", None])
def test_critics_for_a_penalty_judge_each_example_alone(norm):
    D, x = judge(norm).astype("float64").eval(), mg.tensor(X)
    np.testing.assert_allclose(D(x).numpy()[:1], D(x[:1]).numpy(), rtol=1e-9)
    together, alone = (input_gradient(lambda v: D(v)[:, 0], part).numpy() for part in (x, x[:1]))
    np.testing.assert_allclose(together[:1], alone, rtol=1e-9, atol=1e-14)


def test_the_spectral_critic_has_no_large_singular_value():
    layers = [m for m in judge("spectral").astype("float64").modules() if isinstance(m, nn.SpectralNorm)]
    assert len(layers) == 3
    for layer in layers:
        for _ in range(200):
            layer.sigma()
        w = layer.effective_weight().numpy()
        assert np.linalg.svd(w.reshape(-1, w.shape[-1]), compute_uv=False)[0] == pytest.approx(1.0, abs=1e-6)


# ---- classes ---------------------------------------------------------------------------------------------------------
def test_each_class_has_its_own_gamma_and_beta():
    """In a conditional batch norm the entries of class k have γ_k times the deviation that they had once normalised
    over all classes, and their mean times γ_k plus β_k. Changing β_1 changes the samples of class 1 alone."""
    model = CONDITIONAL["projection"]().astype("float64")
    norm, rng = model.generator.norms[1], np.random.default_rng(1)
    with mg.no_grad():
        norm.weight.weight[...] = mg.tensor(rng.uniform(0.5, 2, (CLASSES, F)))
        norm.bias.weight[...] = mg.tensor(rng.standard_normal((CLASSES, F)))
    h, y = mg.tensor(rng.standard_normal((300, 2, 3, F))), np.arange(300) % CLASSES
    plain, out = norm.norm(h).numpy(), norm(h, mg.tensor(y)).numpy()
    for k in range(CLASSES):
        gamma, beta = norm.weight.weight.numpy()[k], norm.bias.weight.numpy()[k]
        np.testing.assert_allclose(out[y == k].mean(axis=(0, 1, 2)), gamma * plain[y == k].mean(axis=(0, 1, 2)) + beta)
        np.testing.assert_allclose(out[y == k].std(axis=(0, 1, 2)), gamma * plain[y == k].std(axis=(0, 1, 2)))
    model.eval()
    for norm in model.generator.norms:
        before = model.sample(6, rng=3, labels=Y).numpy()
        with mg.no_grad():
            norm.bias.weight[1] = norm.bias.weight[1] + 1.0
        changed = np.any(model.sample(6, rng=3, labels=Y).numpy() != before, axis=(1, 2, 3))
        np.testing.assert_array_equal(changed, Y == 1)


def test_the_first_conditional_norm_gives_each_class_a_shape():
    """It acts on all H/4 · W/4 · 2F numbers, the second on F channels."""
    shapes = [norm.bias.weight.shape for norm in CONDITIONAL["projection"]().generator.norms]
    assert shapes == [(CLASSES, 2 * 3 * 2 * F), (CLASSES, F)]


PATTERNS = np.full((CLASSES, 4, 4, 1), 0.2, np.float32)         # bright: the left half, the upper half, the middle
PATTERNS[0, :, :2], PATTERNS[1, :2], PATTERNS[2, 1:3, 1:3] = 0.8, 0.8, 0.8


def patches(rng):
    """4 × 4 images: the pattern of the class, and noise of 0.15 in every pixel."""
    y = rng.integers(CLASSES, size=(32,))
    return {"x": mg.take(mg.tensor(PATTERNS), y, axis=0) + 0.15 * rng.standard_normal((32, 4, 4, 1)), "y": y}


@pytest.mark.parametrize("kind", [ProjectionGAN, ACGAN])
def test_samples_of_each_class_have_its_statistics(kind, backend):
    """With conditional batch norm: after 200 steps the mean image of each class lies nearest to its own pattern, within
    0.25 (root mean square over pixels; the patterns are 0.3 to 0.42 apart), and no class is a point. Deterministic."""
    if backend != "numpy":
        pytest.skip("a training run")
    shape = (4, 4, 1)
    model = kind(CLASSES, shape, K, generator=ImageGenerator(K, shape, 8, CLASSES, rng=0),
                 discriminator=image_heads(CLASSES, shape, 8, "spectral", rng=1))
    Trainer(model, lambda p: Adam(p, lr=schedules.cosine(5e-3, 200), betas=(0.5, 0.99)), patches, seed=0,
            progress=False).run(200)
    model.eval()
    for k in range(CLASSES):
        images = model.sample(200, rng=1, labels=np.full(200, k)).numpy()
        gaps = np.sqrt(np.mean((images.mean(axis=0) - PATTERNS) ** 2, axis=(1, 2, 3)))
        assert gaps.argmin() == k and gaps[k] < 0.25
        assert images.std(axis=0).mean() > 0.02


def test_label_input_repeats_the_one_hot_label_at_every_position():
    seen = LabelInput(lambda v: v, CLASSES)(mg.tensor(X), mg.tensor(Y)).numpy()
    assert seen.shape == (6, 8, 12, 3 + CLASSES)
    np.testing.assert_array_equal(seen[..., :3], X)
    np.testing.assert_array_equal(seen[..., 3:], np.broadcast_to(np.eye(3)[Y][:, None, None], (6, 8, 12, CLASSES)))
    rows = LabelInput(lambda v: v, CLASSES, flat=True)(mg.tensor(X), mg.tensor(Y)).numpy()
    assert rows.shape == (6, 8 * 12 * 3 + CLASSES)


# ---- convolutions pay ------------------------------------------------------------------------------------------------
REAL = data.to_unit(data.digits("test")["x"])


def trained_fid(model, steps, batch, seed):
    """Digit FID of 1,000 samples against the bundled test digits, after so many steps on the training digits."""
    loader = data.Loader(data.digits("train"), batch, seed=seed, drop_last=True, shuffle=True, prefetch=0,
                         transform=data.on(x=data.to_unit))
    Trainer(model, lambda p: Adam(p, lr=2e-3, betas=(0.5, 0.999)), loader, seed=seed, progress=False).run(steps)
    fake = np.clip(model.eval().sample(1000, rng=seed).numpy(), 0, 1)
    return mg.metrics.fid(*(mg.metrics.digit_features(images)[0] for images in (REAL, fake)))


@pytest.mark.parametrize("seed", range(3))
def test_a_dcgan_beats_perceptrons_in_the_same_time(seed, backend):
    """300 steps of batch 32 of a small DCGAN took 12.0 to 14.1 s of CPU time, and 800 steps of batch 64 of a GAN of
    perceptrons with the same learning rate 12.0 to 12.5 s. FID there: 19 to 26 against 34 to 39."""
    if backend != "numpy":
        pytest.skip("a training run")
    ours = trained_fid(DCGAN(width=16, rng=seed), 300, 32, seed)
    theirs = trained_fid(GAN((28, 28, 1), 64, (256, 256), rng=seed), 800, 64, seed)
    assert ours < 0.8 * theirs


# ---- between two latents ---------------------------------------------------------------------------------------------
def test_the_arc_keeps_the_length_and_turns_evenly():
    """Eq. (5) between unit vectors: length 1 everywhere, at t the angle is t Ω."""
    rng, t = np.random.default_rng(1), np.linspace(0, 1, 6)
    z0, z1 = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.standard_normal((2, 4, 7)))
    arc = spherical(mg.tensor(z0), mg.tensor(z1), mg.tensor(t)).numpy()
    np.testing.assert_allclose(np.linalg.norm(arc, axis=2), 1.0, rtol=1e-12)
    np.testing.assert_allclose(arc[:, 0], z0, rtol=1e-12)
    np.testing.assert_allclose(arc[:, -1], z1, rtol=1e-12)
    omega = np.arccos(np.sum(z0 * z1, axis=1))
    angles = np.arccos(np.clip(np.sum(arc * z0[:, None], axis=2), -1, 1))
    np.testing.assert_allclose(angles, omega[:, None] * t, atol=1e-7)


def test_the_arc_between_equal_directions_is_a_line():
    z = mg.tensor([[1.0, 2.0]])
    np.testing.assert_allclose(spherical(z, 3.0 * z, mg.tensor([0.0, 0.5, 1.0])).numpy(), [[[1, 2], [2, 4], [3, 6]]],
                               rtol=1e-5)


# ---- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, words", [
    (lambda: DCGAN((30, 28, 1), rng=0), r"H and W divisible by 4, .* got \(30, 28, 1\)"),
    (lambda: image_discriminator((28, 27, 1), rng=0), r"divisible by 4, .* got \(28, 27, 1\)"),
    (lambda: ImageGenerator(K, (28, 28), rng=0), r"wants images \(H, W, C\) .* got \(28, 28\)"),
    (lambda: judge("bach"), "norm must be one of 'batch', 'layer', 'spectral', None; got 'bach'"),
    (lambda: PLAIN["DCGAN"]().discriminate(mg.zeros((2, 8, 12, 1))), r"\(N, 8, 12, 3\), got shape \(2, 8, 12, 1\)"),
    (lambda: judge("batch")(mg.zeros((2, 8, 12, 1))), r"wants 3 features on the last axis, .* \(2, 8, 12, 1\)"),
    (lambda: generator()(mg.zeros((2, K + 1))), r"wants 5 features on the last axis, .* \(2, 6\)"),
    (lambda: PLAIN["DCGAN"]().discriminator_terms(mg.zeros((2, *SHAPE)), z=mg.zeros((2, 7))), r"\(2, 5\), .* \(2, 7\)"),
    (lambda: generator()(mg.zeros((2, K)), mg.tensor([0, 1])), r"made with classes=None, .* labels of shape \(2,\)"),
    (lambda: generator(classes=3)(mg.zeros((2, K))), "made with classes=3, and called with no labels"),
    (lambda: CONDITIONAL["projection"]().sample(2, rng=0, labels=[0, 3]), "labels 0 to 2, got some from 0 to 3"),
    (lambda: CONDITIONAL["label input"]().sample(2, rng=0, labels=[-1, 2]), "labels 0 to 2, got some from -1 to 2"),
    (lambda: spherical(mg.zeros((2, 3)), mg.zeros((3, 3)), 0.5), r"\(N, K\), got shapes \(2, 3\) and \(3, 3\)"),
    (lambda: WGANGP(SHAPE, K, discriminator=judge("batch")), "batch norm, .* use norm='layer'"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
