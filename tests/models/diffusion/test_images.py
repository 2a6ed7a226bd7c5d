"""Diffusion of images by a U-Net: it is the network of DDPM, DDIM and guidance as it stands, with a learned variance
too."""
import math

import numpy as np
import pytest
from scipy.stats import norm

import minigen as mg
from minigen import nn
from minigen.models.diffusion import (DDIM, DDPM, NoisyClassifier, classifier, classifier_free, cosine_schedule,
                                      linear_schedule)
from minigen.training import Adam

pytestmark = pytest.mark.usefixtures("backend")
SHAPE = (4, 4, 1)


def unet(seed=0, **settings):
    """A small U-Net with random parameters, so that nothing is zero."""
    rng = np.random.default_rng(seed)
    sizes = dict(event_shape=SHAPE, base=2, multipliers=(1, 2), attention=(2,), groups=2)
    net = nn.UNet(**{**sizes, **settings}, rng=0)
    net.load_state_dict({name: 0.3 * rng.standard_normal(a.shape) for name, a in net.state_dict().items()})
    return net


def learned(T=6, **settings):
    """A DDPM of 8-bit images with a learned variance."""
    settings = {"loss": "hybrid", "prediction": "v", **settings}
    return DDPM(unet(out_channels=2), SHAPE, cosine_schedule(T), variance="learned", likelihood="discretised",
                **settings)


def images(n=3, seed=0):
    """n images of 8-bit grey levels in [−1, 1], some at either end."""
    levels = np.random.default_rng(seed).choice([0, 0, 60, 200, 255], (n, *SHAPE))
    return mg.tensor((levels / 127.5 - 1).astype(np.float32))


def draws(*shape, seed=0):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


# ---- learned variance ------------------------------------------------------------------------------------------------
def test_the_bound_with_a_learned_variance_is_the_formula_pixel_by_pixel():
    """L_{t−1} and L_0 by SciPy and the closed form of KL, from the network's two outputs a pixel, in float64."""
    model, x = learned(), images().astype("float64")
    model.network.astype("float64")
    eps = draws(6, 3, *SHAPE).astype("float64")
    rows, p = model.bound(x, eps=eps).numpy(), model.process
    for t in range(1, 7):
        z = p.diffuse(x, t, eps[t - 1])
        v, f = np.split(model.network(z, mg.tensor([t] * 3)).numpy(), 2, axis=-1)
        a_t, a_s, beta = p.alpha_bar[t], p.alpha_bar[t - 1], p.beta[t]
        x_hat = np.sqrt(a_t) * z.numpy() - np.sqrt(1 - a_t) * v
        tilde = np.maximum(p.beta_tilde, p.beta_tilde[2])[t] if t == 1 else p.beta_tilde[t]
        log_variance = 0.5 * (f + 1) * np.log(beta) + 0.5 * (1 - f) * np.log(tilde)                    # Eq. (14)
        mean, true = ((np.sqrt(a_s) * beta * w + np.sqrt(1 - beta) * (1 - a_s) * z.numpy()) / (1 - a_t)
                      for w in (x_hat, x.numpy()))
        if t > 1:
            terms = 0.5 * (log_variance - np.log(tilde) - 1 + (tilde + (true - mean) ** 2) / np.exp(log_variance))
        else:
            std, d, at = np.exp(0.5 * log_variance), 1 / 255, x.numpy()
            cells = (np.where(at > 1 - d, 1, norm.cdf((at + d - mean) / std))
                     - np.where(at < -1 + d, 0, norm.cdf((at - d - mean) / std)))
            density = norm.logpdf(at, mean, std) + math.log(2 * d)
            terms = -np.where(cells > 1e-3, np.log(np.maximum(cells, 1e-3)), density)
        np.testing.assert_allclose(rows[t - 1], terms.sum(axis=(1, 2, 3)), rtol=1e-6)


def test_the_hybrid_loss_on_images_moves_both_halves_by_their_own_term():
    """By the bound the last convolution moves in its second half alone, by the simple loss in its first alone."""
    model = learned()
    terms = model.losses(images(), rng=mg.random.default_rng(0))
    bias = model.network.conv_out.bias
    by_bound = mg.grad(mg.sum(terms["bound"]), bias, retain_graph=True).numpy()
    by_simple = mg.grad(mg.sum(terms["simple"]), bias).numpy()
    assert by_bound[0] == 0 != by_bound[1] and by_simple[1] == 0 != by_simple[0]


def test_a_variance_for_every_pixel():
    found = learned().predict(draws(2, *SHAPE), 3)
    assert found.log_std.shape == (2, *SHAPE) and found.log_std.numpy().std() > 0


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_samples_are_images_and_repeat(sampler):
    model = learned(clip=1.0)
    made = model if sampler == "ddpm" else DDIM(model, 3)
    x = made.sample(2, rng=mg.random.default_rng(0)).numpy()
    assert x.shape == (2, *SHAPE) and x.dtype == np.float32 and np.isfinite(x).all() and np.abs(x).max() <= 1
    assert np.array_equal(x, made.sample(2, rng=mg.random.default_rng(0)).numpy())


def test_bits_per_dim_of_images_count_all_terms():
    model, x, eps = learned(), images(), draws(6, 3, *SHAPE)
    bits = model.bits_per_dim(x, eps=eps).numpy()
    np.testing.assert_allclose(bits, model.bound(x, eps=eps).numpy().sum(axis=0) / (16 * math.log(2)), rtol=1e-5)


# ---- the U-Net as the network ----------------------------------------------------------------------------------------
def test_the_gradient_of_the_loss_reaches_every_parameter():
    model = DDPM(unet(classes=3), SHAPE, linear_schedule(10), classes=3, label_dropout=0.5)
    objective, = model.objectives()
    batch = {"x": images(6), "y": mg.tensor([0, 1, 2, 0, 1, 2])}
    objective.loss(batch, mg.random.default_rng(0))["loss"].backward()
    idle = [name for name, p in model.named_parameters() if not p.grad.numpy().any()]
    assert all(name.endswith("key.bias") for name in idle)           # a shift of all keys shifts all logits of a query


def test_no_label_is_the_label_k_in_training_and_in_sampling():
    model = DDPM(unet(classes=3), SHAPE, linear_schedule(10), classes=3, label_dropout=0.5)
    z = draws(2, *SHAPE)
    told = model.network(z, mg.tensor([4, 4]), mg.tensor([3, 3])).numpy()
    np.testing.assert_array_equal(model.predict(z, 4).eps.numpy(), told)
    assert np.abs(model.predict(z, 4, [0, 1]).eps.numpy() - told).max() > 1e-3


def test_guidance_without_a_classifier_is_its_formula_on_images():
    """Eq. (30) from two calls of the U-Net."""
    model = DDPM(unet(classes=3), SHAPE, linear_schedule(10), classes=3, label_dropout=0.5)
    z, labels = draws(3, *SHAPE), np.array([0, 1, 2])
    given, free = (model.predict(z, 5, y).eps.numpy() for y in (labels, None))
    guided = model.predict(z, 5, labels, classifier_free(2.0)).eps.numpy()
    np.testing.assert_allclose(guided, 3 * given - 2 * free, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_ddim_with_all_steps_and_eta_one_is_ddpm_with_a_unet(eta):
    model = DDPM(unet(), SHAPE, linear_schedule(8), variance="small")
    z, eps = draws(2, *SHAPE), draws(2, *SHAPE, seed=1)
    for t in (8, 4, 2):
        ours, theirs = DDIM(model, 8, eta).step(z, t, t - 1, eps=eps).numpy(), model.step(z, t, eps=eps).numpy()
        assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-4) == (eta == 1)


def test_inversion_undoes_sampling_of_images():
    """The round trip of images through noise: with corrections the error is gone, in float64. The last convolution is
    shrunk until the corrections contract."""
    model = DDPM(unet(), SHAPE, cosine_schedule(6), prediction="v")
    model.network.astype("float64")
    with mg.no_grad():
        model.network.conv_out.weight[...] = 0.1 * model.network.conv_out.weight
    sampler, z = DDIM(model, 6), draws(2, *SHAPE).astype("float64")
    x = sampler.sample(2, z=z)
    off = [np.abs((sampler.invert(x, corrections=c) - z).numpy()).max() for c in (0, 3, 12)]
    assert off[0] > 10 * off[1] > 100 * off[2] and off[2] < 1e-8


@pytest.mark.parametrize("call, error, words", [
    (lambda: DDPM(unet(classes=3), SHAPE, [0.1], classes=2), ValueError, "made with classes=3, the model .*classes=2"),
    (lambda: DDPM(unet(), SHAPE, [0.1], classes=2), ValueError, "made with classes=None, the model with classes=2"),
    (lambda: DDPM(unet(), (8, 8, 1), [0.1]).predict(draws(1, 8, 8, 1), 1), ValueError, r"wants images \(N, 4, 4, 1\)"),
    (lambda: DDPM(unet(), SHAPE, [0.1]).predict(draws(1, 4, 4, 3), 1), ValueError, r"wants \(N, 4, 4, 1\) with N ≥ 1"),
    (lambda: DDPM(unet(), SHAPE, linear_schedule(0)), ValueError, "integer ≥ 1, got 0"),
    (lambda: DDPM(unet(), SHAPE, [0.1, 0.2]).predict(draws(1, *SHAPE), 0), ValueError, "t must lie in 1 … 2, got 0"),
    (lambda: DDPM(unet(), SHAPE, [0.1], variance="learned", loss="hybrid").predict(draws(1, *SHAPE), 1), ValueError,
     r"must return \(1, 4, 4, 2\), got \(1, 4, 4, 1\)"),
    (lambda: DDPM(unet(classes=3), SHAPE, [0.1], classes=3, label_dropout=0.1).sample(
        2, rng=mg.random.default_rng(0), guide=classifier_free()), ValueError, "guidance wants labels, 2 of them"),
])
def test_bad_input_is_told(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---- the classifier of noised images ---------------------------------------------------------------------------------
def two_kinds(n, seed=0):
    """Images (n, 4, 4, 1) that are bright at the left (class 0) or at the right (class 1), and their labels."""
    y = np.arange(n) % 2
    x = np.where((np.arange(4) // 2)[None, None, :, None] == y[:, None, None, None], 1.0, -1.0)
    return mg.tensor(np.broadcast_to(x, (n, 4, 4, 1)).astype(np.float32)), y


def judge(T=20, **settings):
    process = DDPM(unet(), SHAPE, cosine_schedule(T)).process
    return NoisyClassifier(process, SHAPE, **{**dict(classes=2, base=4, multipliers=(1,), groups=2), **settings}, rng=0)


def test_it_gives_log_probabilities_that_know_the_time():
    net, z = judge(classes=3), draws(2, *SHAPE)
    log_p = net(z, 5)
    assert log_p.shape == (2, 3)
    np.testing.assert_allclose(np.exp(log_p.numpy()).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(net(z, mg.tensor([5, 5])).numpy(), log_p.numpy())
    moved = [p for name, p in net.named_parameters() if name.endswith("conv2.weight")]     # they start at zero
    with mg.no_grad():
        for p in moved:
            p[...] = draws(*p.shape)
    assert np.abs(net(z, 19).numpy() - net(z, 5).numpy()).max() > 1e-4


def test_its_loss_is_the_cross_entropy_at_z_t():
    net, (x, y), eps = judge(), two_kinds(3), draws(3, *SHAPE)
    t = mg.tensor([1, 10, 20])
    log_p = net(net.process.diffuse(x, t, eps), t).numpy()
    np.testing.assert_allclose(net.losses(x, y, t=t, eps=eps).numpy(), -log_p[np.arange(3), y], rtol=1e-6)


def test_it_learns_what_noise_leaves_and_leads_there(backend):
    """60 steps teach it two kinds of images: near the data it is sure, at T it cannot be. Led by it, a model that knows
    the mean of the data alone, x̂ = 0, makes images of the wanted kind: 7 in 10 of 64, by chance less than once in
    1,000."""
    if backend != "numpy":
        pytest.skip("60 steps; what is computed is tested on every backend")
    net, rng = judge(), mg.random.default_rng(0)
    objective, = net.objectives()
    optimizer = Adam(objective.parameters, lr=1e-2)
    x, y = two_kinds(64)
    for _ in range(60):
        optimizer.zero_grad()
        objective.loss({"x": x, "y": mg.tensor(y)}, rng)["loss"].backward()
        optimizer.step()
    near, far = (net.losses(x, y, t=np.full(64, t), rng=rng).numpy().mean() for t in (2, 20))
    assert near < 0.05 and far > 0.9 * math.log(2)
    plain = DDPM(lambda z, t: 0 * z, SHAPE, net.process.beta[1:], prediction="x")
    made = DDIM(plain, 20).sample(64, rng=rng, labels=y, guide=classifier(net, 20.0))
    left, right = (made.numpy()[:, :, side].mean(axis=(1, 2, 3)) for side in (slice(0, 2), slice(2, 4)))
    assert np.mean((right > left) == (y == 1)) > 0.7


@pytest.mark.parametrize("call, words", [
    (lambda: judge(multipliers=(1, 2, 4)), r"halves H and W 3 times, so both must be multiples of 8, got \(4, 4, 1\)"),
    (lambda: judge(classes=1), "at least two classes to tell apart, got 1"),
    (lambda: judge()(draws(2, 8, 8, 1), 3), r"images \(N, 4, 4, 1\), N ≥ 1, got shape \(2, 8, 8, 1\)"),
    (lambda: judge()(draws(2, *SHAPE), 21), "t must lie in 1 … 20, got 21"),
    (lambda: judge().losses(images(2), [0, 2], rng=mg.random.default_rng(0)), "0 … 1, got some from 0 to 2"),
])
def test_what_the_classifier_refuses(call, words):
    with pytest.raises(ValueError, match=words):
        call()
