"""The Wasserstein GAN: the distance in closed form, the bound by any critic, and critics that reach it."""
import numpy as np
import pytest
from scipy import integrate, stats

import minigen as mg
from minigen.models.adversarial import WGAN, WGANGP, GradientPenalty, wasserstein_normal
from minigen.training import Adam, RMSprop

pytestmark = pytest.mark.usefixtures("backend")


@pytest.mark.parametrize("p, q", [((0, 1), (2.5, 1)), ((0, 1), (0, 3)), ((1, 0.5), (-0.7, 2)), ((0, 1), (0, 1)), ((-9, 1), (9, 1.1))])
def test_wasserstein_equals_the_integral_of_the_distribution_functions(p, q):
    """Eq. (4) against ∫ |F − G| dx, which is Eq. (1) on a line."""
    F, G = stats.norm(*p).cdf, stats.norm(*q).cdf
    wanted, _ = integrate.quad(lambda x: abs(F(x) - G(x)), -40, 40, limit=500, points=[p[0], q[0]])
    assert wasserstein_normal(*p, *q) == pytest.approx(wanted, abs=1e-6)


def critic_between(model, optimizer, p, q, steps, seed=0):
    """Train the critic of a model between two Gaussians on a line; no generator moves."""
    rng = mg.random.default_rng(seed)
    for _ in range(steps):
        x, fake = (mean + std * rng.standard_normal((256, 1)) for mean, std in (p, q))
        loss = mg.mean(model.discriminate(fake)) - mg.mean(model.discriminate(x))
        if model.penalty:
            loss = loss + mg.mean(model.penalty(model.discriminate, x, fake, rng=rng))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with mg.no_grad():
            model.constrain()


def measured(model, p, q):
    """(E_p f − E_q f, K): on 4,001 quantiles of each, and the largest slope of f between points of a grid."""
    u = (np.arange(4001) + 0.5) / 4001
    f = [model.discriminate(mg.tensor(stats.norm(*d).ppf(u)[:, None].astype(np.float32))).numpy() for d in (p, q)]
    grid = np.linspace(-8, 8, 2001, dtype=np.float32)
    values = model.discriminate(mg.tensor(grid[:, None])).numpy().astype(np.float64)
    return float(f[0].mean(dtype=np.float64) - f[1].mean(dtype=np.float64)), np.abs(np.diff(values) / np.diff(grid)).max()


CASES = [((0, 1), (2, 1)), ((0, 0.5), (0.5, 2))]                # shifted; and wider, where the best f changes direction


@pytest.mark.parametrize("p, q", CASES)
def test_a_critic_with_gradient_penalty_measures_the_distance(p, q, backend):
    """E_p f − E_q f is W₁ to 8 %, without dividing by any constant. Deterministic."""
    if backend != "numpy":
        pytest.skip("a training run")
    model = WGANGP(event_shape=(1,), hidden=(32, 32), rng=0)
    critic_between(model, Adam(model.discriminator.parameters(), lr=3e-3, betas=(0.5, 0.9)), p, q, 400)
    difference, K = measured(model, p, q)
    W = wasserstein_normal(*p, *q)
    assert difference == pytest.approx(W, rel=0.08)
    assert difference <= K * W * 1.01                            # Eq. (3)


@pytest.mark.parametrize("p, q, least", [(*CASES[0], 0.95), (*CASES[1], 0.7)])
def test_a_clipped_critic_measures_the_distance_up_to_its_slope(p, q, least, backend):
    """(E_p f − E_q f) / K is at most W₁, Eq. (3), and near it: clipping fits a line well and a bend less well. Deterministic."""
    if backend != "numpy":
        pytest.skip("a training run")
    model = WGAN(event_shape=(1,), hidden=(32, 32), clip=0.1, rng=0)
    critic_between(model, RMSprop(model.discriminator.parameters(), lr=3e-3), p, q, 400)
    difference, K = measured(model, p, q)
    W = wasserstein_normal(*p, *q)
    assert least * W < difference / K <= W * 1.01


@pytest.mark.parametrize("seed", range(5))
def test_no_critic_overshoots(seed):
    """Eq. (3) for critics of random weights."""
    p, q = CASES[1]
    model = WGANGP(event_shape=(1,), hidden=(16,), rng=seed)
    difference, K = measured(model, p, q)
    assert abs(difference) <= K * wasserstein_normal(*p, *q) * 1.01


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
