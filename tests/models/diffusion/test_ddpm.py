"""DDPM where the truth is known: Gaussian data, linear networks, exact denoisers of mixtures."""
import numpy as np
import pytest
from models.diffusion.gaussian import GaussianDenoiser, bound_at, divergence_from_standard, entropy, expected_bound
from scipy.stats import norm

import minigen as mg
from minigen import nn
from minigen.data.densities import ring
from minigen.models.diffusion import (DDIM, DDPM, ForwardProcess, MixtureDenoiser, MLPDenoiser, classifier_free,
                                      cosine_schedule, linear_schedule)
from minigen.training import Adam

pytestmark = pytest.mark.usefixtures("backend")
MEAN = 0.3


def mild(T):
    """A schedule that leaves some signal at z_T, so that nothing there is zero by luck."""
    return np.linspace(0.05, 0.3, T)


def gaussian(T, std, variance, schedule=mild):
    """A DDPM of one dimension with the best denoiser for N(MEAN, std²)."""
    beta = schedule(T)
    net = GaussianDenoiser(ForwardProcess(beta), MEAN, std, learned=variance == "learned")
    return DDPM(net, (1,), beta, prediction="x", variance=variance, loss="bound")


def draws(*shape, seed=0):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape))


# ---- the bound -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("T, std", [(2, 0.5), (7, 1.0), (7, 0.4), (20, 2.0)])
def test_with_the_best_mean_and_variance_only_the_prior_is_in_the_way(T, std):
    """For Gaussian data q(z_{t−1}|z_t) is Gaussian, so with Eq. (13) the reverse process is exact at any T. The bound
    on the mean of −log p(x) is then the entropy of the data plus KL(q(z_T) ‖ N(0, I)), which shrinks with ᾱ_T."""
    model = gaussian(T, std, "learned")
    a, s = model.process.signal[T], model.process.noise[T]
    left = divergence_from_standard(a * MEAN, a ** 2 * std ** 2 + s ** 2)
    assert expected_bound(model, MEAN, std).sum() == pytest.approx(entropy(std) + left, rel=1e-8)


def test_the_bound_is_tight_as_T_grows():
    """With σ_t² = β_t the gap to the exact −log p(x) falls as 1/T; with β̃_t, which no density wants, it stays."""
    def gap(T, variance):
        return expected_bound(gaussian(T, 0.8, variance, linear_schedule), MEAN, 0.8).sum() - entropy(0.8)

    gaps = {variance: [gap(T, variance) for T in (25, 100, 400)] for variance in ("large", "small")}
    large = gaps["large"]
    assert large[0] > 2.5 * large[1] > 6 * large[2] > 0 and large[2] < 0.01
    assert gaps["small"][2] > 0.1


def test_it_is_a_bound_for_a_wrong_network_too():
    """With x̂ = 0.4 z_t − 0.2, p_θ(x) is a Gaussian, found by pushing N(0, 1) through Eq. (9). The bound exceeds
    −log p_θ(x)."""
    beta = linear_schedule(12)
    model = DDPM(lambda z, t: 0.4 * z - 0.2, (1,), beta, prediction="x", variance="large")
    p, mean, variance = model.process, 0.0, 1.0
    for t in range(12, 0, -1):
        slope = p.at("from_x", t, None) * 0.4 + p.at("from_z", t, None)
        mean = slope * mean - 0.2 * p.at("from_x", t, None)
        variance = slope ** 2 * variance + p.beta[t]
    x = np.linspace(-3, 3, 7)
    exact = -norm.logpdf(x, mean, np.sqrt(variance))
    gap = bound_at(model, x) - exact
    assert np.all(gap > 0)
    at_mode = bound_at(model, np.array([mean]))[0] + norm.logpdf(mean, mean, np.sqrt(variance))
    assert at_mode < gap.max()


def test_with_the_small_variance_each_term_is_a_difference_of_snr():
    """Eq. (11), for one noise each."""
    model = gaussian(9, 0.7, "small")
    x, eps = draws(5, 1), draws(9, 5, 1, seed=1)
    rows = model.bound(x, eps=eps).numpy()
    for t in range(2, 10):
        x_hat = model.predict(model.process.diffuse(x, t, eps[t - 1]), t).x
        weight = 0.5 * (model.process.snr[t - 1] - model.process.snr[t])
        np.testing.assert_allclose(rows[t - 1], weight * mg.sum((x - x_hat) ** 2, axis=1).numpy(), rtol=1e-8)


def test_the_last_term_is_the_divergence_from_the_prior():
    model, x = gaussian(9, 0.7, "large"), draws(4, 1)
    a, s = model.process.signal[9], model.process.noise[9]
    want = [divergence_from_standard(a * v, s ** 2) for v in x.numpy()[:, 0]]
    np.testing.assert_allclose(model.bound(x, eps=draws(9, 4, 1)).numpy()[9], want, rtol=1e-10)


@pytest.mark.parametrize("variance", ["small", "large", "learned"])
def test_one_time_at_random_estimates_the_bound_without_bias(variance):
    """The mean over all t of `losses` with that t is the whole bound, for the same noise."""
    model = gaussian(8, 0.7, variance)
    x, eps = draws(1, 1), draws(8, 1, 1, seed=1)
    whole = model.bound(x, eps=eps).numpy().sum()
    each = model.losses(mg.broadcast_to(x, (8, 1)), t=np.arange(1, 9), eps=eps.reshape(8, 1))["bound"]
    assert each.numpy().mean() == pytest.approx(whole, rel=1e-9)


def test_bits_per_dim_of_images_counts_grey_levels():
    """A network that always says mid-grey, and T = 1: L_1 is known from the prior, L_0 from the cells of Eq. (16)."""
    model = DDPM(lambda z, t: 0 * z, (2, 2, 1), [0.5], prediction="x", likelihood="discretised")
    x = mg.tensor(np.array([-1.0, 1.0, 1 / 255, 51 / 255]).reshape(1, 2, 2, 1))
    cells = norm.cdf((np.array([-1, 1, 1 / 255, 51 / 255])[:, None] + np.array([1, -1]) / 255) / np.sqrt(0.5))
    p = np.array([cells[0, 0], 1 - cells[1, 1], *(cells[2:, 0] - cells[2:, 1])])
    last = sum(divergence_from_standard(np.sqrt(0.5) * v, 0.5) for v in x.numpy().ravel())
    bits = model.bits_per_dim(x, eps=draws(1, 1, 2, 2, 1)).numpy()
    np.testing.assert_allclose(bits, (last - np.log(p).sum()) / (4 * np.log(2)), rtol=1e-6)


# ---- the predictions -------------------------------------------------------------------------------------------------
def test_eps_x_and_v_are_one_model():
    """The same function said in three ways gives the same samples and the same bound."""
    beta, z, x, eps = cosine_schedule(30), draws(20, 2), draws(6, 2, seed=1), draws(30, 6, 2, seed=2)
    found = {}
    for prediction in ("eps", "x", "v"):
        model = DDPM(MixtureDenoiser(ForwardProcess(beta), ring(), prediction), (2,), beta, prediction=prediction)
        *_, (_, sample) = model.path(20, rng=mg.random.default_rng(0), z=z)
        found[prediction] = sample.numpy(), model.bound(x, eps=eps).numpy()
    for prediction in ("x", "v"):
        for ours, theirs in zip(found[prediction], found["eps"]):
            np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-7)


# ---- the losses ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("prediction", ["eps", "x", "v"])
def test_the_simple_loss_is_the_formula(prediction):
    beta = np.array([0.1, 0.2, 0.4])
    model = DDPM(lambda z, t: 0.5 * z + 0.1 * t.astype(z.dtype)[:, None], (2,), beta, prediction=prediction)
    x, eps, t = np.random.default_rng(0).standard_normal((2, 3, 2)).tolist() + [np.array([3, 1, 2])]
    x, eps = np.array(x), np.array(eps)
    alpha_bar = np.cumprod(1 - beta)[t - 1][:, None]
    z = np.sqrt(alpha_bar) * x + np.sqrt(1 - alpha_bar) * eps
    target = {"eps": eps, "x": x, "v": np.sqrt(alpha_bar) * eps - np.sqrt(1 - alpha_bar) * x}[prediction]
    want = ((target - (0.5 * z + 0.1 * t[:, None])) ** 2).sum(axis=1)
    got = model.losses(mg.tensor(x), t=t, eps=mg.tensor(eps))
    assert list(got) == ["simple"]
    np.testing.assert_allclose(got["simple"].numpy(), want, rtol=1e-10)


class Two(nn.Module):
    """A network whose mean and variance have a parameter each."""

    def __init__(self):
        self.mean, self.spread = nn.Parameter(mg.full((2,), 0.3)), nn.Parameter(mg.full((2,), 0.1))

    def forward(self, z, t):
        return mg.concatenate([z * self.mean, 0 * z + self.spread], axis=-1)


def test_in_the_hybrid_loss_the_bound_moves_the_variance_only():
    model = DDPM(Two(), (2,), linear_schedule(20), variance="learned", loss="hybrid")
    terms = model.losses(draws(8, 2).astype("float32"), rng=mg.random.default_rng(0))
    by_bound = mg.grad(mg.sum(terms["bound"]), list(model.parameters()), retain_graph=True)
    by_simple = mg.grad(mg.sum(terms["simple"]), list(model.parameters()))
    assert not by_bound[0].numpy().any() and by_bound[1].numpy().all()
    assert by_simple[0].numpy().all() and not by_simple[1].numpy().any()
    objective, = model.objectives()
    logged = objective.loss({"x": draws(8, 2).astype("float32")}, mg.random.default_rng(1))
    assert float(logged["loss"]) == pytest.approx(float(logged["simple"]) + 0.001 * float(logged["bound"]), rel=1e-5)


@pytest.mark.parametrize("f, square", [(1.0, "beta"), (-1.0, "beta_tilde")])
def test_the_learned_variance_lies_between_the_two(f, square):
    """Eq. (14): f = 1 gives β_t, f = −1 gives β̃_t."""
    model = DDPM(lambda z, t: mg.concatenate([z, 0 * z + f], axis=-1), (2,), linear_schedule(20), variance="learned",
                 loss="bound")
    for t in (2, 20):
        std = np.exp(model.predict(draws(3, 2), t).log_std.numpy())
        np.testing.assert_allclose(std ** 2, getattr(model.process, square)[t], rtol=1e-9)


def test_training_approaches_the_exact_denoiser(backend):
    """The exact denoiser has the least simple loss there is; 300 steps bring a small network within a quarter of it."""
    if backend != "numpy":
        pytest.skip("300 steps; the losses themselves are tested on every backend")
    data, beta = ring(3, std=0.2), linear_schedule(50)
    x, y = data.sample(2000, rng=0)
    model = DDPM(MLPDenoiser(2, hidden=64, blocks=2, classes=3, rng=0), (2,), beta, classes=3, label_dropout=0.1)
    best = DDPM(MixtureDenoiser(model.process, data), (2,), beta, classes=3, label_dropout=0.1)
    objective, = model.objectives()
    optimizer, rng, picks = Adam(model.parameters(), lr=3e-3), mg.random.default_rng(0), np.random.default_rng(0)
    for _ in range(300):
        i = picks.integers(0, len(x), 128)
        optimizer.zero_grad()
        objective.loss({"x": mg.tensor(x[i]), "y": mg.tensor(y[i])}, rng)["loss"].backward()
        optimizer.step()
    def mean_loss(m):
        with mg.no_grad():
            return float(m.losses(mg.tensor(x), y, rng=mg.random.default_rng(1))["simple"].mean())

    ours, least = mean_loss(model), mean_loss(best)
    assert 0.97 * least < ours < 1.25 * least


# ---- sampling --------------------------------------------------------------------------------------------------------
def test_a_step_is_the_formula_and_the_last_one_has_no_noise():
    """Eq. (17): the mean is Eq. (5) with x̂, the noise is σ_t ε; at t = 1 the result is x̂, whatever the noise."""
    model, z, eps = gaussian(10, 0.7, "large"), draws(4, 1), draws(4, 1, seed=1)
    for t in range(2, 11):
        p = model.process
        want = (np.sqrt(p.alpha_bar[t - 1]) * p.beta[t] * model.predict(z, t).x.numpy()
                + np.sqrt(1 - p.beta[t]) * (1 - p.alpha_bar[t - 1]) * z.numpy()) / (1 - p.alpha_bar[t])
        want = want + np.sqrt(p.beta[t]) * eps.numpy()
        np.testing.assert_allclose(model.step(z, t, eps=eps).numpy(), want, rtol=1e-9)
    x_hat = model.predict(z, 1).x.numpy()
    np.testing.assert_allclose(model.step(z, 1).numpy(), x_hat, rtol=1e-9)                    # no rng is asked for
    np.testing.assert_array_equal(model.step(z, 1, eps=1000 * eps).numpy(), model.step(z, 1).numpy())


def test_samples_are_distributed_as_the_data():
    """4,000 draws of N(0.3, 0.8²) with 60 steps. With the best mean and variance the reverse process is exact up to the
    last step, which gives x̂ without its noise of variance 0.0017, for which 1 % is allowed. Beyond it mean and
    variance of the draws lie within 5 standard errors: false alarm below 1e-6 each."""
    model = gaussian(60, 0.8, "learned", linear_schedule)
    x = model.sample(4000, rng=mg.random.default_rng(0)).numpy().astype(np.float64)
    assert abs(x.mean() - MEAN) < 5 * 0.8 / np.sqrt(4000)
    assert abs(x.var() / 0.64 - 1) < 0.01 + 5 * np.sqrt(2 / 4000)


def test_the_path_runs_from_noise_to_the_sample():
    model, z = gaussian(6, 0.7, "large"), draws(3, 1)
    path = list(model.path(3, rng=mg.random.default_rng(0), z=z))
    assert [t for t, _ in path] == [6, 5, 4, 3, 2, 1, 0]
    assert np.array_equal(path[0][1].numpy(), z.numpy())
    drawn = model.sample(3, rng=mg.random.default_rng(1)).numpy()
    assert np.array_equal(drawn, model.sample(3, rng=mg.random.default_rng(1)).numpy()) and drawn.shape == (3, 1)


def test_clipping_keeps_x_hat_in_range_and_eps_in_step():
    model = DDPM(lambda z, t: 3 * z, (2,), linear_schedule(10), prediction="x", clip=1.0)
    z = draws(5, 2)
    found = model.predict(z, 4)
    assert np.abs(found.x.numpy()).max() <= 1
    back = model.process.signal[4] * found.x.numpy() + model.process.noise[4] * found.eps.numpy()
    np.testing.assert_allclose(back, z.numpy(), rtol=1e-9)


# ---- labels ----------------------------------------------------------------------------------------------------------
class Recorder:
    """A network that notes the labels it was given."""

    def __call__(self, z, t, labels=None):
        self.labels = None if labels is None else labels.numpy()
        return 0 * z


def test_labels_are_hidden_as_often_as_asked():
    """10,000 labels with probability 0.3: 0.3 ± 5 standard errors, false alarm below 1e-6; the others stay."""
    net, labels = Recorder(), np.arange(10_000) % 4
    model = DDPM(net, (1,), [0.1, 0.2], classes=4, label_dropout=0.3)
    model.losses(mg.zeros((10_000, 1)), labels, rng=mg.random.default_rng(0))
    hidden = net.labels == 4
    assert abs(hidden.mean() - 0.3) < 5 * np.sqrt(0.21 / 10_000)
    assert np.array_equal(net.labels[~hidden], labels[~hidden]) and net.labels.dtype == np.int64
    model.predict(mg.zeros((2, 1)), 1)
    assert net.labels.tolist() == [4, 4]
    model.predict(mg.zeros((2, 1)), 1, [3, 0])
    assert net.labels.tolist() == [3, 0]


def simple(**settings):
    return DDPM(lambda z, t, labels=None: 0 * z, (2,), [0.1, 0.2], **settings)


Z = np.zeros((2, 2), dtype="float32")


@pytest.mark.parametrize("call, words", [
    (lambda: simple(prediction="score"), "prediction is one of eps, x, v, got 'score'"),
    (lambda: simple(variance="tiny"), "variance is one of small, large, learned, got 'tiny'"),
    (lambda: simple(variance="learned"), "so cannot learn it; take loss='hybrid'"),
    (lambda: simple(loss="hybrid"), "variance='learned', got 'large'"),
    (lambda: simple(label_dropout=0.1), "needs classes=, got 0.1 and classes=None"),
    (lambda: DDPM(lambda z, t: z, (2,), linear_schedule(0)), "integer ≥ 1, got 0"),
    (lambda: simple().predict(mg.zeros((2, 3)), 1), r"\(N, 2\) with N ≥ 1, got shape \(2, 3\)"),
    (lambda: simple().predict(mg.tensor(Z), 3), "t must lie in 1 … 2, got 3"),
    (lambda: simple().predict(mg.tensor(Z), 1, [0, 1]), "got 2 labels, but the model was made without classes="),
    (lambda: simple(classes=3).predict(mg.tensor(Z), 1), r"of 3 classes always saw labels .* \(label_dropout=0\)"),
    (lambda: simple(classes=3).predict(mg.tensor(Z), 1, [0, 3]), "labels must lie in 0 … 2, got some from 0 to 3"),
    (lambda: simple(classes=3).predict(mg.tensor(Z), 1, [-1, 2]), "labels must lie in 0 … 2, got some from -1 to 2"),
    (lambda: simple(classes=3).losses(mg.tensor(Z), [0, 3], rng=mg.random.default_rng(0)), "0 … 2, got .* 0 to 3"),
    (lambda: simple(classes=3).predict(mg.tensor(Z), 1, [0]), r"wants 2 labels, integers \(2,\), got int64 \(1,\)"),
    (lambda: simple(classes=3, label_dropout=0.1).predict(mg.tensor(Z), 1, guide=classifier_free(1.0)),
     "guidance wants labels, 2 of them.* labels=None"),
    (lambda: simple().losses(mg.tensor(Z)), "pass rng= a Generator, or the noise as eps="),
    (lambda: simple().losses(mg.tensor(Z), eps=mg.zeros((2, 1))), r"noise of shape \(2, 2\), got \(2, 1\)"),
    (lambda: simple().sample(0, rng=mg.random.default_rng(0)), "n ≥ 1 and an rng .*, got n=0"),
    (lambda: list(simple().path(3, z=mg.tensor(Z))), "n=3 starting points, got 2"),
    (lambda: DDPM(lambda z, t: z[:, :1], (2,), [0.1]).predict(mg.tensor(Z), 1), r"must return \(2, 2\), got \(2, 1\)"),
    (lambda: DDPM(lambda z, t: z, (2,), [0.1], variance="learned", loss="bound").predict(mg.tensor(Z), 1),
     r"return \(2, 4\), got \(2, 2\)"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_integers_are_told():
    with pytest.raises(TypeError, match="wants floats, .* got uint8; of 8-bit pixels take 2 \\* data.to_unit"):
        simple().losses(mg.tensor(np.zeros((2, 2), "uint8")), rng=0)


def test_a_seed_will_do_for_a_generator():
    model, x = simple(), mg.tensor(Z)
    for draw in (lambda rng: model.sample(3, rng=rng), lambda rng: model.losses(x, rng=rng)["simple"],
                 lambda rng: model.elbo(x, rng=rng), lambda rng: DDIM(model, 2, eta=1.0).sample(3, rng=rng)):
        assert np.array_equal(draw(5).numpy(), draw(mg.random.default_rng(5)).numpy())


def test_a_batch_without_labels_is_told():
    model = DDPM(MLPDenoiser(2, hidden=4, blocks=1, classes=3, rng=0), (2,), [0.1, 0.2], classes=3)
    objective, = model.objectives()
    with pytest.raises(ValueError, match="model of 3 classes wants labels 'y' in the batch; it has x"):
        objective.loss({"x": mg.tensor(Z)}, mg.random.default_rng(0))
