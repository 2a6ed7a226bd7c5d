"""AR(p): its law against dense Gaussians and closed forms, its three fits, its forecasts."""
import numpy as np
import pytest
import scipy.optimize
from helpers import assert_gradients
from hypothesis import assume, given, strategies as st
from scipy.stats import chi2, multivariate_normal

import minigen as mg
from minigen.models.autoregressive import AR
from minigen.training import Adam

pytestmark = pytest.mark.usefixtures("backend")
CASES = {1: [0.8], 2: [1.3, -0.7], 3: [0.4, -0.3, 0.5], 5: [0.2, 0.1, -0.4, 0.3, 0.25]}


def model_of(p, length=200, c=0.6, std=0.7):
    return AR(p, length, np.array(CASES[p]), c, std)


def toeplitz(gamma):
    return gamma[np.abs(np.subtract.outer(np.arange(len(gamma)), np.arange(len(gamma))))]


def phi_of(roots):
    """φ from the roots of the characteristic polynomial."""
    return -np.real(np.poly(roots))[1:]


# ---- the stationary law ----------------------------------------------------------------------------------------------
def test_autocovariances_in_closed_form():
    """AR(1): γ_k = σ² φᵏ / (1 − φ²). AR(2): Box and Jenkins (1970), Eq. (3.2.28)."""
    np.testing.assert_allclose(model_of(1).autocovariance(4), 0.49 / (1 - 0.64) * 0.8 ** np.arange(5), rtol=1e-12)
    a, b = CASES[2]
    g0 = 0.49 * (1 - b) / ((1 + b) * ((1 - b) ** 2 - a ** 2))
    np.testing.assert_allclose(model_of(2).autocovariance(2), g0 * np.array([1, a / (1 - b), a * a / (1 - b) + b]))


@pytest.mark.parametrize("p", CASES)
def test_autocovariances_are_those_of_the_moving_average(p):
    """y_t − μ = Σ_j ψ_j ε_{t−j}, so γ_k = σ² Σ_j ψ_j ψ_{j+k}: another way, through Eq. (6)."""
    psi = model_of(p).psi(2000)
    expected = [0.49 * (psi[:len(psi) - k] * psi[k:]).sum() for k in range(9)]
    np.testing.assert_allclose(model_of(p).autocovariance(8), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("p", CASES)
def test_log_prob_is_that_of_the_dense_gaussian(p):
    model, T = model_of(p), 9
    y = np.random.default_rng(0).standard_normal((6, T))
    dense = multivariate_normal(np.full(T, 0.6 / (1 - sum(CASES[p]))), toeplitz(model.autocovariance(T - 1)))
    np.testing.assert_allclose(model.log_prob(mg.tensor(y)).numpy(), dense.logpdf(y), rtol=1e-9)
    first = multivariate_normal(np.full(p, model.mean()), toeplitz(model.autocovariance(p - 1)))
    rest = dense.logpdf(y) - np.atleast_1d(first.logpdf(y[:, :p]))
    np.testing.assert_allclose(model.conditional_log_prob(mg.tensor(y)).numpy(), rest, rtol=1e-9)


@given(st.lists(st.tuples(st.floats(0.05, 1.6), st.floats(0, np.pi)), min_size=1, max_size=3))
def test_stationary_exactly_if_all_roots_lie_in_the_unit_circle(pairs):
    """From roots to φ and back (a root met six times is found to 2 % only); and a disturbance dies out, or it grows."""
    roots = np.concatenate([[r * np.exp(1j * a), r * np.exp(-1j * a)] for r, a in pairs])
    largest = np.abs(roots).max()
    assume(abs(largest - 1) > 0.05)
    phi = phi_of(roots)
    model = AR(len(phi), phi=phi)
    np.testing.assert_allclose(np.abs(model.roots()).max(), largest, rtol=0.02)
    assert model.is_stationary() == (largest < 1)
    with np.errstate(over="ignore", invalid="ignore"):
        last = np.abs(model.psi(1500)[-20:])
    assert (last < 1e-6).all() if largest < 1 else not (last < 1e6).all()


def test_a_trailing_phi_of_zero_is_a_root_at_zero():
    np.testing.assert_allclose(np.sort(np.abs(AR(3, phi=[0.5, 0.0, 0.0]).roots())), [0, 0, 0.5])


@pytest.mark.parametrize("p", CASES)
def test_samples_have_the_stationary_law(p):
    """20,000 series of 8: yᵀ Γ⁻¹ y has mean 8 and variance 16, and means and covariances lie within 5 standard errors;
    false alarm below 1e-4 in all."""
    model, n = model_of(p, length=8), 20_000
    z = model.sample(n, rng=mg.random.default_rng(1)).numpy() - model.mean()
    Gamma = toeplitz(model.autocovariance(7))
    assert abs((z @ np.linalg.inv(Gamma) * z).sum(axis=1).mean() - 8) < 5 * np.sqrt(16 / n)
    assert (np.abs(z.mean(axis=0)) < 5 * np.sqrt(Gamma[0, 0] / n)).all()
    error = np.sqrt((Gamma[0, 0] ** 2 + Gamma ** 2) / n)                       # of a covariance of Gaussians
    assert (np.abs(z.T @ z / n - Gamma) < 5 * error).all()


def test_sampling_with_injected_noise_follows_the_recursion():
    model, eps = model_of(2, length=6), np.random.default_rng(0).standard_normal((3, 6))
    y = model.sample(3, eps=mg.tensor(eps)).numpy()
    np.testing.assert_allclose(y[:, 2:], 0.6 + 1.3 * y[:, 1:-1] - 0.7 * y[:, :-2] + 0.7 * eps[:, 2:], rtol=1e-10)


# ---- fits ------------------------------------------------------------------------------------------------------------
def test_yule_walker_in_closed_form():
    """AR(1): φ = ρ_1. AR(2): φ_1 = ρ_1 (1 − ρ_2) / (1 − ρ_1²), φ_2 = (ρ_2 − ρ_1²) / (1 − ρ_1²)."""
    y = np.random.default_rng(0).standard_normal(50).cumsum()
    z = y - y.mean()
    g = np.array([(z[k:] * z[:50 - k]).sum() / 50 for k in range(3)])
    r1, r2 = g[1] / g[0], g[2] / g[0]
    one, two = AR.yule_walker(y, 1), AR.yule_walker(y, 2)
    np.testing.assert_allclose(one.phi.numpy(), [r1], rtol=1e-12)
    np.testing.assert_allclose(np.exp(2 * float(one.log_std)), g[0] * (1 - r1 ** 2), rtol=1e-12)
    phi = np.array([r1 * (1 - r2), r2 - r1 ** 2]) / (1 - r1 ** 2)
    np.testing.assert_allclose(two.phi.numpy(), phi, rtol=1e-10)
    np.testing.assert_allclose(np.exp(2 * float(two.log_std)), g[0] - phi @ g[1:], rtol=1e-10)
    np.testing.assert_allclose(two.mean(), y.mean(), rtol=1e-10)


def test_yule_walker_turns_the_model_s_autocovariances_back_into_the_model():
    """Its solution has the autocovariances that it was given, γ_0 … γ_p, and is stationary for any series."""
    for seed in range(20):
        y = np.random.default_rng(seed).standard_normal(30).cumsum().cumsum()
        model, z = AR.yule_walker(y, 3), y - y.mean()
        assert model.is_stationary()
        np.testing.assert_allclose(model.autocovariance(3), [(z[k:] * z[:30 - k]).sum() / 30 for k in range(4)],
                                   rtol=1e-5)


@pytest.mark.parametrize("p", CASES)
def test_fits_recover_phi(p):
    """4,000 values: φ̂ − φ is about normal with covariance σ² Γ⁻¹ / T (Box and Jenkins), so its squared length in that
    metric is χ² with p degrees of freedom. False alarm 1e-6 for each fit; the bias of Yule–Walker is below 0.1 of
    it."""
    T = 4000
    truth = model_of(p, length=T)
    y = truth.sample(1, rng=mg.random.default_rng(p)).numpy()[0]
    for fit in (AR.least_squares, AR.yule_walker):
        model = fit(y, p)
        error = model.phi.numpy() - np.array(CASES[p])
        assert T / 0.49 * error @ toeplitz(truth.autocovariance(p - 1)) @ error < chi2.isf(1e-6, p)
        assert abs(np.exp(float(model.log_std)) / 0.7 - 1) < 5 / np.sqrt(2 * T)
        assert abs(model.mean() - truth.mean()) < 5 * 0.7 / (1 - sum(CASES[p])) / np.sqrt(T)


def test_gradient_descent_finds_the_least_squares_solution(backend):
    if backend != "numpy":
        pytest.skip("600 steps; the gradient itself is tested on every backend")
    y = model_of(2).sample(5, rng=mg.random.default_rng(0)).numpy()
    exact, model = AR.least_squares(y, 2), AR(2, phi=np.zeros(2))
    (objective,) = model.objectives()
    optimizer = Adam(objective.parameters, lr=lambda step: 0.05 * 0.99 ** step)
    for _ in range(600):
        optimizer.zero_grad()
        objective.loss({"x": mg.tensor(y)}, None)["loss"].backward()
        optimizer.step()
    for name in ("phi", "c", "log_std"):
        np.testing.assert_allclose(getattr(model, name).numpy(), getattr(exact, name).numpy(), atol=2e-3)


def test_least_squares_has_a_zero_gradient():
    y = model_of(3).sample(4, rng=mg.random.default_rng(0)).numpy()
    model = AR.least_squares(y, 3)
    for g in mg.grad(model.conditional_log_prob(mg.tensor(y)).sum(), list(model.parameters())):
        np.testing.assert_allclose(g.numpy(), 0, atol=1e-8)


def test_the_exact_likelihood_can_be_maximised_too(backend):
    """For three short series the maximum of Eq. (5), by SciPy with our gradient, beats least squares in it."""
    y = mg.tensor(model_of(1, length=12).sample(3, rng=mg.random.default_rng(0)).numpy())

    def loss(v):
        model = AR(1, phi=v[:1], c=v[1], std=np.exp(v[2]))
        value = -model.log_prob(y).sum()
        gradients = {name: g.numpy() for name, g in zip(("phi", "c", "log_std"),
                                                        mg.grad(value, list(model.parameters())))}
        return float(value), np.array([gradients["phi"][0], gradients["c"], gradients["log_std"]])

    start = AR.least_squares(y, 1)
    v = np.array([*start.phi.numpy(), float(start.c), float(start.log_std)])
    found = scipy.optimize.minimize(loss, v, jac=True, bounds=[(-0.99, 0.99), (None, None), (None, None)])
    assert found.success and found.fun < loss(v)[0] - 1e-3 and np.abs(found.jac).max() < 1e-3


@pytest.mark.parametrize("method", ["log_prob", "conditional_log_prob"])
def test_gradients_with_respect_to_everything(method):
    y = np.random.default_rng(0).standard_normal((2, 5))

    def f(y, phi, c, log_std):
        model = model_of(2)
        model.phi, model.c, model.log_std = phi, c, log_std
        return getattr(model, method)(y)

    assert_gradients(f, y, np.array([0.5, -0.3]), np.array(0.2), np.array(-0.1))


# ---- forecasts -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p", CASES)
def test_forecast_is_the_conditional_law_of_the_dense_gaussian(p):
    """Mean and standard deviation of each of the next 5 values given 8 known ones, by Schur's complement."""
    model, y = model_of(p), np.random.default_rng(0).standard_normal((3, 8))
    Gamma, mu = toeplitz(model.autocovariance(12)), model.mean()
    A = Gamma[8:, :8] @ np.linalg.inv(Gamma[:8, :8])
    forecast = model.forecast(y, 5)
    np.testing.assert_allclose(forecast.mean, mu + (y - mu) @ A.T, rtol=1e-8)
    np.testing.assert_allclose(forecast.std, np.sqrt(np.diag(Gamma[8:, 8:] - A @ Gamma[:8, 8:])), rtol=1e-9)
    np.testing.assert_allclose(model.forecast(y[1], 5).mean, forecast.mean[1])


def test_the_interval_covers_as_often_as_it_says():
    """4,000 series, 12 steps ahead: the number covered at each step is binomial; within 5 standard deviations of 90 %,
    false alarm 7e-6 in all."""
    model, n = model_of(3, length=30), 4000
    y = model.sample(n, rng=mg.random.default_rng(0)).numpy()
    low, high = model.forecast(y[:, :18], 12).interval(0.9)
    covered = ((low < y[:, 18:]) & (y[:, 18:] < high)).mean(axis=0)
    assert (np.abs(covered - 0.9) < 5 * np.sqrt(0.9 * 0.1 / n)).all()


def test_far_ahead_the_forecast_is_the_stationary_law():
    model = model_of(2)
    forecast = model.forecast([5.0, 5.0], 300)
    np.testing.assert_allclose(forecast.mean[-1], model.mean(), rtol=1e-9)
    np.testing.assert_allclose(forecast.std[-1] ** 2, model.autocovariance(0)[0], rtol=1e-9)


def test_a_random_walk_can_be_forecast():
    """φ = 1 is not stationary; its forecast stays where it is, and its error grows with the root of the time."""
    forecast = AR(1, phi=[1.0], std=2.0).forecast([3.0, 4.0], 4)
    np.testing.assert_allclose(forecast.mean, 4.0)
    np.testing.assert_allclose(forecast.std, 2 * np.sqrt([1, 2, 3, 4]), rtol=1e-6)


# ---- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, words", [
    (lambda: AR(0), "wants an order ≥ 1"),
    (lambda: AR(2, phi=[0.1]), r"as many φ, .* φ of shape \(1,\)"),
    (lambda: AR(2, std=0.0), "std > 0"),
    (lambda: AR(5, length=4), "a length of at least that"),
    (lambda: AR(5).log_prob(mg.zeros((2, 5))), r"AR: a series of 5 values is too short for AR\(5\), .* at least 6"),
    (lambda: AR(5).log_prob(mg.zeros(7)), r"wants series \(N, T\), got shape \(7,\)"),
    (lambda: AR(5).forecast(np.zeros(4), 3), r"AR\(5\) wants at least 5 values to go on from, got a series of 4"),
    (lambda: AR.least_squares(np.zeros(5), 2), r"AR.least_squares: a series of 5 values is too short for AR\(2\)"),
    (lambda: AR.yule_walker(np.zeros(2), 2), r"AR.yule_walker: a series of 2 values is too short"),
    (lambda: AR.yule_walker(np.ones(20), 2), "the series is constant"),
    (lambda: AR.least_squares([1.0, np.nan, 2.0, 3.0, 4.0], 1), "of finite numbers"),
    (lambda: AR(1, phi=[1.0]).sample(2, rng=0), r"a root of this AR\(1\) has modulus 1, not below 1"),
    (lambda: AR(1, phi=[1.1]).log_prob(mg.zeros((2, 5))), "has modulus 1.1, not below 1"),
    (lambda: AR(1).sample(2, rng=0, labels=[1, 2]), "knows no labels"),
    (lambda: AR(1).forecast([0.0], 2).interval(95), "a probability between 0 and 1, got 95"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
