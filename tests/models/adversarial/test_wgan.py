"""The Wasserstein GAN: the distance in closed form, the bound by any critic, and critics that reach it."""
import numpy as np
import pytest
from scipy import integrate, stats

import minigen as mg
from minigen.models.adversarial import WGAN, WGANGP, GradientPenalty, wasserstein_normal
from minigen.models.adversarial.penalties import input_gradient
from minigen.training import Adam, RMSprop

pytestmark = pytest.mark.usefixtures("backend")


@pytest.mark.parametrize("p, q", [((0, 1), (2.5, 1)), ((0, 1), (0, 3)), ((1, 0.5), (-0.7, 2)), ((0, 1), (0, 1)),
                                  ((-9, 1), (9, 1.1))])
def test_wasserstein_equals_the_integral_of_the_distribution_functions(p, q):
    """Eq. (4) against ∫ |F − G| dx, which is Eq. (1) on a line."""
    F, G = stats.norm(*p).cdf, stats.norm(*q).cdf
    wanted, _ = integrate.quad(lambda x: abs(F(x) - G(x)), -40, 40, limit=500, points=[p[0], q[0]])
    assert wasserstein_normal(*p, *q) == pytest.approx(wanted, abs=1e-6)


def draw(rng, n, D, mean, std):
    """Points (n, D): the Gaussian along the first axis, N(0, 1) along any other, which changes no distance.

    The best plan leaves the other axes alone. A second axis helps the gradient penalty to train: on a line a critic of
    the wrong sign stays there, since its slope would have to pass through 0, where the penalty is λ.
    """
    x = mean + std * rng.standard_normal((n, 1))
    return x if D == 1 else mg.concatenate([x, rng.standard_normal((n, D - 1))], axis=1)


def train_critic(model, optimizer, p, q, steps):
    """Train the critic of a model between two Gaussians; no generator moves."""
    rng, D = mg.random.default_rng(0), model.event_shape[0]
    for _ in range(steps):
        x, fake = draw(rng, 256, D, *p), draw(rng, 256, D, *q)
        loss = mg.mean(model.discriminate(fake)) - mg.mean(model.discriminate(x))
        if model.penalty:
            loss = loss + mg.mean(model.penalty(model.discriminate, x, fake, rng=rng))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with mg.no_grad():
            model.constrain()


def measured(model, p, q):
    """(E_p f − E_q f, K): from 20,000 draws each, by the same noise (standard error below 0.02), and the largest slope
    of f at them."""
    x, fake = (draw(mg.random.default_rng(1), 20_000, model.event_shape[0], *d) for d in (p, q))
    slopes = [mg.norm(input_gradient(model.discriminate, points), axis=1).numpy().max() for points in (x, fake)]
    f = model.discriminate(x).numpy().mean(dtype=np.float64) - model.discriminate(fake).numpy().mean(dtype=np.float64)
    return float(f), float(max(slopes))


CASES = [((0, 1), (2, 1)), ((0, 0.5), (0.5, 2))]                # shifted; and wider, where the best f changes direction


def test_a_critic_with_gradient_penalty_measures_the_distance(backend):
    """Between shifted Gaussians the best f is a plane of slope s, which maximises s W − λ (s − 1)²: s = 1 + W/(2λ).

    So the critic measures W (1 + W/(2λ)), here 2.2 for W₁ = 2: to 3 %. Deterministic.
    """
    if backend != "numpy":
        pytest.skip("a training run")
    (p, q), penalty = CASES[0], 10.0
    model = WGANGP(event_shape=(2,), hidden=(32, 32), penalty_weight=penalty, rng=0)
    train_critic(model, Adam(model.discriminator.parameters(), lr=3e-3, betas=(0.5, 0.9)), p, q, 400)
    difference, K = measured(model, p, q)
    W = wasserstein_normal(*p, *q)
    assert difference == pytest.approx(W * (1 + W / (2 * penalty)), rel=0.03)
    assert difference <= K * W                                   # Eq. (3)


def test_a_critic_with_gradient_penalty_bends_where_it_must(backend):
    """Between a narrow and a wide Gaussian, W₁ = 1.26: to 5 %. Deterministic."""
    if backend != "numpy":
        pytest.skip("a training run")
    p, q = CASES[1]
    model = WGANGP(event_shape=(2,), hidden=(32, 32), rng=0)
    train_critic(model, Adam(model.discriminator.parameters(), lr=3e-3, betas=(0.5, 0.9)), p, q, 500)
    difference, K = measured(model, p, q)
    W = wasserstein_normal(*p, *q)
    assert difference == pytest.approx(W, rel=0.05)
    assert difference <= K * W


def test_a_clipped_linear_critic_measures_c_times_the_distance(backend):
    """Among f(x) = w x with |w| ≤ c the best is w = ±c, and E_p f − E_q f = c W₁ for shifted Gaussians."""
    if backend != "numpy":
        pytest.skip("a training run")
    p, q = CASES[0]
    model = WGAN(event_shape=(1,), hidden=(), clip=0.1, rng=0)
    train_critic(model, RMSprop(model.discriminator.parameters(), lr=3e-3), p, q, 100)
    difference, K = measured(model, p, q)
    assert K == pytest.approx(0.1, rel=1e-6)
    assert difference / K == pytest.approx(wasserstein_normal(*p, *q), rel=1e-5)


@pytest.mark.parametrize("p, q", CASES)
def test_a_clipped_network_stays_below_the_distance(p, q, backend):
    """0.7 W₁ < (E_p f − E_q f) / K ≤ W₁, Eq. (3). It does not come nearer: clipping bounds every weight, and the best
    critic among those is not the best among functions of slope K. Deterministic."""
    if backend != "numpy":
        pytest.skip("a training run")
    model = WGAN(event_shape=(1,), hidden=(64,), clip=0.1, rng=0)
    train_critic(model, RMSprop(model.discriminator.parameters(), lr=3e-3), p, q, 300)
    difference, K = measured(model, p, q)
    assert 0.7 < difference / K / wasserstein_normal(*p, *q) <= 1.0


@pytest.mark.parametrize("seed", range(5))
def test_no_critic_overshoots(seed):
    """Eq. (3) for critics of random weights."""
    p, q = CASES[1]
    model = WGANGP(event_shape=(2,), hidden=(16,), rng=seed)
    difference, K = measured(model, p, q)
    assert abs(difference) <= K * wasserstein_normal(*p, *q)


def test_weights_are_clipped_at_the_start_and_after_each_move():
    model = WGAN(clip=0.03, rng=0)
    D = list(model.discriminator.parameters())
    assert max(float(mg.max(mg.abs(w))) for w in D) == pytest.approx(0.03)
    with mg.no_grad():
        D[0][...] = D[0] * 100.0
    before = [w.numpy() for w in model.generator.parameters()]
    critic, generator = model.objectives()
    with mg.no_grad():
        critic.after()
    assert max(float(mg.max(mg.abs(w))) for w in D) == pytest.approx(0.03)
    for w, old in zip(model.generator.parameters(), before):
        np.testing.assert_array_equal(w.numpy(), old)            # the generator is never clipped
    assert (critic.every, generator.every) == (1, 5)


def test_wgan_gp_is_the_wasserstein_loss_with_the_penalty():
    model = WGANGP(hidden=(4,), penalty_weight=3.0, rng=0)
    assert model.loss.name == "wasserstein" and model.penalty == GradientPenalty(3.0)
    x = mg.tensor(np.random.default_rng(0).standard_normal((5, 2)).astype(np.float32))
    terms = {name: float(value) for name, value in model.discriminator_terms(x, rng=mg.random.default_rng(0)).items()}
    assert terms["loss"] == pytest.approx(terms["fake"] - terms["real"] + terms["penalty"], rel=1e-6)


def test_bad_clip_is_told():
    with pytest.raises(ValueError, match="clip must be positive, got -0.1"):
        WGAN(clip=-0.1)
