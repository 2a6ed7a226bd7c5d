"""RNADE: a density that integrates to one, against its definition in NumPy, and against SciPy's mixtures."""
import numpy as np
import pytest
from helpers import assert_gradients
from scipy.special import logsumexp, softmax
from scipy.stats import norm

import minigen as mg
from minigen.models.autoregressive import RNADE

pytestmark = pytest.mark.usefixtures("backend")


def random_rnade(D, hidden=6, components=3, order=None, block=16, seed=0, std=0.6):
    rng, model = np.random.default_rng(seed), RNADE(D, hidden, components, order=order, block=block).astype("float64")
    model.load_state_dict({name: std * rng.standard_normal(p.shape) for name, p in model.named_parameters()})
    return model


def naive(model, x):
    """Eqs. (1) to (3) as they are written: (log p(x_d | x_<d) (N, D), the parameters (N, D, 3K))."""
    w, K = {name: p.numpy() for name, p in model.named_parameters()}, model.components
    log_p, parameters = np.zeros(x.shape), np.zeros((*x.shape, 3 * K))
    for t, d in enumerate(model.order):
        a = w["c"] + sum((x[:, [j]] * w["W"][s] for s, j in enumerate(model.order[:t])), start=np.zeros((len(x), 1)))
        out = w["b"][t] + np.maximum(np.exp(w["log_rho"][t]) * a, 0) @ w["V"][t]
        alpha, mu, s = np.split(out, 3, axis=1)
        log_p[:, d] = logsumexp(norm(mu, np.exp(s)).logpdf(x[:, [d]]), b=softmax(alpha, axis=1), axis=1)
        parameters[:, d] = out
    return log_p, parameters


@pytest.mark.parametrize("order", [None, [3, 0, 4, 2, 1]])
@pytest.mark.parametrize("block", [1, 2, 16])
def test_log_density_equals_the_definition(order, block):
    model, x = random_rnade(5, order=order, block=block), np.random.default_rng(1).standard_normal((7, 5))
    log_p, parameters = naive(model, x)
    np.testing.assert_allclose(model.conditionals(mg.tensor(x)).numpy(), parameters, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(model.log_conditionals(mg.tensor(x)).numpy(), log_p, rtol=1e-10)
    np.testing.assert_allclose(model.log_prob(mg.tensor(x)).numpy(), log_p.sum(axis=1), rtol=1e-10)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_it_integrates_to_one_in_the_plane(order):
    """The trapezoidal rule, 0.08 apart; every σ here is above 0.2, and the density vanishes at the border."""
    model, at = random_rnade(2, order=order, std=0.3), np.linspace(-12, 12, 301)
    plane = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    with mg.no_grad():
        p = np.exp(model.log_prob(mg.tensor(plane)).numpy()).reshape(301, 301)
        assert float(model.conditionals(mg.tensor(plane[p.ravel() > 1e-9]))[..., 6:].min()) > np.log(0.2)
    assert p[[0, -1]].max() < 1e-9 and p[:, [0, -1]].max() < 1e-9
    assert abs(p.sum() * 0.08 ** 2 - 1) < 1e-6


def test_an_output_sees_what_comes_before_it_and_nothing_else():
    model, x = random_rnade(5, hidden=30, order=[3, 0, 4, 2, 1]), np.random.default_rng(2).standard_normal((6, 5))
    assert mg.check.causality(model.conditionals, x, order=model.order)
    jacobian = np.stack([mg.jacobian(lambda v: model.conditionals(v[None])[0], mg.tensor(row)).numpy() for row in x])
    seen = (jacobian != 0).any(axis=(0, 2))[np.ix_(model.order, model.order)]
    np.testing.assert_array_equal(seen, np.tril(np.ones((5, 5), bool), -1))


@pytest.mark.parametrize("order", [None, [3, 0, 4, 2, 1]])
def test_cached_sampling_equals_naive_sampling_bit_for_bit(order):
    """Draws are real numbers, so the sums must be added in the same order: in blocks of one entry they are. In larger
    blocks the two agree to rounding."""
    model = random_rnade(5, order=order, block=1)
    cached, naive = (model.sample(40, rng=mg.random.default_rng(3), cached=c).numpy() for c in (True, False))
    np.testing.assert_array_equal(cached, naive)
    model.block = 3
    np.testing.assert_allclose(model.sample(40, rng=mg.random.default_rng(3), cached=False).numpy(), cached, rtol=1e-9)
    x = mg.tensor(cached)
    done = [model.complete(x, 2, rng=mg.random.default_rng(4), cached=c).numpy() for c in (True, False)]
    np.testing.assert_allclose(*done, rtol=1e-9)
    np.testing.assert_array_equal(done[0][:, model.order[:2]], cached[:, model.order[:2]])


def test_samples_follow_the_density():
    """20,000 draws through the distribution functions of their conditionals are uniform (Rosenblatt): Kolmogorov and
    Smirnov's test on each entry, false alarm 1e-6."""
    model = random_rnade(3, std=0.3)
    x = model.sample(20_000, rng=mg.random.default_rng(0)).numpy()
    alpha, mu, s = np.split(naive(model, x)[1], 3, axis=-1)
    u = (softmax(alpha, axis=-1) * norm(mu, np.exp(s)).cdf(x[..., None])).sum(axis=-1)
    distance = np.abs(np.sort(u, axis=0) - (np.arange(20_000)[:, None] + 0.5) / 20_000).max(axis=0)
    assert (distance * np.sqrt(20_000) < 2.69).all()                           # 2 exp(−2 · 2.69²) = 1e-6


def test_gradients_with_respect_to_everything():
    model = random_rnade(3, hidden=2, components=2, block=2)
    names, x = [name for name, _ in model.named_parameters()], np.random.default_rng(3).standard_normal((1, 3))

    def f(x, *values):
        for name, value in zip(names, values):
            setattr(model, name, value)
        return model.log_prob(x)

    assert_gradients(f, x, *[p.numpy() for p in model.parameters()])


def test_far_away_the_density_underflows_and_its_logarithm_does_not():
    log_p = RNADE(2, rng=0).log_prob(mg.full((1, 2), 1e5)).numpy()
    assert np.isfinite(log_p).all() and log_p[0] < -1e9


@pytest.mark.parametrize("call, words", [
    (lambda: RNADE(2, components=0), "at least one hidden unit, component and entry in a block"),
    (lambda: RNADE(2, order=[1, 1]), "RNADE: the order must be a permutation of 0 … 1"),
    (lambda: RNADE(2).log_prob(mg.full((3, 2), np.nan)), "finite numbers, got NaN or infinity"),
    (lambda: RNADE(2).log_prob(mg.zeros((3, 3))), r"wants observations \(N, 2\), got shape \(3, 3\)"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
