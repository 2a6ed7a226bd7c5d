"""The forward process: closed forms against composition and quadrature, the posterior against Bayes' rule."""
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import minigen as mg
from minigen.models.diffusion import ForwardProcess, cosine_schedule, linear_schedule

pytestmark = pytest.mark.usefixtures("backend")
SCHEDULES = {"linear": linear_schedule(60), "cosine": cosine_schedule(60), "own": np.array([0.3, 0.05, 0.6])}
each_schedule = pytest.mark.parametrize("beta", SCHEDULES.values(), ids=SCHEDULES)


def column(*values):
    """Numbers as a float64 batch (N, 1)."""
    return mg.tensor(np.array(values, dtype=np.float64)[:, None])


def moments(p):
    """Mean and standard deviation of a Normal over (N, 1), as NumPy arrays (N,)."""
    return p.mean.numpy()[:, 0], np.exp(p.log_std.numpy()[:, 0])


@each_schedule
def test_the_closed_form_is_the_composition_of_steps(beta):
    """Eq. (2) from Eq. (1): push the mean and the variance of z_{t−1} through each step."""
    process, mean, variance = ForwardProcess(beta), 1.7, 0.0
    for t in range(1, process.T + 1):
        at_zero, std = moments(process.step(column(0.0), t))
        slope = moments(process.step(column(1.0), t))[0] - at_zero
        mean, variance = at_zero[0] + slope[0] * mean, slope[0] ** 2 * variance + std[0] ** 2
        closed_mean, closed_std = moments(process.marginal(column(1.7), t))
        np.testing.assert_allclose([closed_mean[0], closed_std[0]], [mean, np.sqrt(variance)], rtol=1e-11)


@each_schedule
def test_the_closed_form_is_the_integral_over_the_step_between(beta):
    """q(z_t|x) = ∫ q(z_t|z_{t−1}) q(z_{t−1}|x) dz_{t−1}, for t = 2 and 3, by quadrature."""
    process, x, z = ForwardProcess(beta), 0.8, 0.5
    for t in (2, 3):
        mean, std = (m[0] for m in moments(process.marginal(column(x), t - 1)))
        keep, step = np.sqrt(1 - beta[t - 1]), np.sqrt(beta[t - 1])
        whole = quad(lambda u: norm.pdf(z, keep * u, step) * norm.pdf(u, mean, std), mean - 12 * std, mean + 12 * std,
                     epsabs=0, epsrel=1e-10, points=[mean, z / keep], limit=200)[0]
        ours = float(process.marginal(column(x), t).log_prob(column(z)))
        assert ours == pytest.approx(np.log(whole), abs=1e-8)


@each_schedule
def test_snr_falls_at_every_step(beta):
    process = ForwardProcess(beta)
    assert process.snr[0] == np.inf and np.all(np.diff(process.snr[1:]) < 0)
    np.testing.assert_allclose(process.snr[1:], np.cumprod(1 - beta) / (1 - np.cumprod(1 - beta)), rtol=1e-11)


@each_schedule
def test_unit_variance_is_kept(beta):
    process = ForwardProcess(beta)
    np.testing.assert_allclose(process.signal ** 2 + process.noise ** 2, 1, rtol=1e-14)


@each_schedule
def test_the_posterior_obeys_bayes_rule(beta):
    """log q(z_{t−1}|z_t, x) = log q(z_t|z_{t−1}) + log q(z_{t−1}|x) − log q(z_t|x), at points for every t ≥ 2."""
    process, rng = ForwardProcess(beta), np.random.default_rng(0)
    for t in range(2, process.T + 1):
        x, before, z = (mg.tensor(rng.standard_normal((6, 2))) for _ in range(3))
        bayes = (process.step(before, t).log_prob(z) + process.marginal(x, t - 1).log_prob(before)
                 - process.marginal(x, t).log_prob(z))
        ours = process.posterior(z, x, t).log_prob(before)
        np.testing.assert_allclose(ours.numpy(), bayes.numpy(), rtol=1e-8, atol=1e-8)


@each_schedule
def test_one_step_before_the_data_the_posterior_is_the_data(beta):
    process, x = ForwardProcess(beta), column(0.3, -2.0)
    mean, std = moments(process.posterior(column(5.0, 1.0), x, 1))
    np.testing.assert_allclose(mean, [0.3, -2.0], rtol=1e-12)
    assert np.all(std == 0)
    assert process.beta_tilde[1] == 0 and np.all(process.beta_tilde[2:] < process.beta[2:])


@each_schedule
@pytest.mark.parametrize("prediction", ["eps", "x", "v"])
def test_the_three_predictions_tell_the_same(beta, prediction):
    """Eqs. (7) and (8) undo Eq. (6), at every t."""
    process, rng = ForwardProcess(beta), np.random.default_rng(1)
    t = mg.tensor(np.arange(1, process.T + 1))
    x, eps = (mg.tensor(rng.standard_normal((process.T, 2))) for _ in range(2))
    z = process.diffuse(x, t, eps)
    told = process.target(prediction, x, eps, t)
    worst = 1e-12 * (process.noise[1:] / process.signal[1:]).max()
    np.testing.assert_allclose(process.to_x(prediction, told, z, t).numpy(), x.numpy(), atol=1e-12 + worst)
    np.testing.assert_allclose(process.to_eps(prediction, told, z, t).numpy(), eps.numpy(), atol=1e-10)


def test_v_is_the_derivative_of_z_by_the_angle():
    """With φ = arccos √ᾱ_t, z = cos φ x + sin φ ε, and v = dz/dφ (Salimans and Ho, 2022, appendix D)."""
    process, t, h = ForwardProcess(linear_schedule(60)), 20, 1e-6
    phi = np.arccos(process.signal[t])
    slope = (np.cos(phi + h) - np.cos(phi - h)) / (2 * h) * 0.7 + (np.sin(phi + h) - np.sin(phi - h)) / (2 * h) * -1.1
    assert float(process.target("v", column(0.7), column(-1.1), t)) == pytest.approx(slope, abs=1e-9)


def test_a_batch_of_times_is_the_times_one_by_one():
    process, rng = ForwardProcess(SCHEDULES["cosine"]), np.random.default_rng(2)
    x, z = (mg.tensor(rng.standard_normal((4, 3, 2)).astype("float32")) for _ in range(2))
    times = [1, 60, 7, 30]
    for call in (lambda x, z, t: process.marginal(x, t).mean, lambda x, z, t: process.marginal(x, t).log_std,
                 lambda x, z, t: process.posterior_mean(z, x, t), lambda x, z, t: process.to_x("v", x, z, t)):
        together = call(x, z, process.times(times, x))
        assert together.dtype == np.float32
        for i, t in enumerate(times):
            alone = call(x[i:i + 1], z[i:i + 1], t).numpy()[0]
            np.testing.assert_allclose(np.broadcast_to(together.numpy()[i], (3, 2)), alone, rtol=2e-6, atol=1e-6)


def test_the_data_are_time_zero():
    process, x = ForwardProcess(SCHEDULES["own"]), column(1.0, 2.0)
    assert np.array_equal(process.diffuse(x, 0, column(9.0, 9.0)).numpy(), x.numpy())


def test_schedules_are_those_of_the_papers():
    beta = linear_schedule(1000)
    np.testing.assert_allclose([beta[0], beta[499], beta[-1]], [1e-4, 1e-4 + 499 * 0.0199 / 999, 0.02])
    alpha_bar = np.cos((np.arange(51) / 50 + 0.008) / 1.008 * np.pi / 2) ** 2
    cosine = cosine_schedule(50)
    np.testing.assert_allclose(np.cumprod(1 - cosine)[:-1], alpha_bar[1:-1] / alpha_bar[0], rtol=1e-10)
    assert cosine[-1] == 0.999
    for T in (20, 100, 1000, 4000):
        for schedule in (linear_schedule, cosine_schedule):
            assert schedule(T).shape == (T,) and ForwardProcess(schedule(T)).alpha_bar[-1] < 1e-3


X = [[0.0], [1.0]]


@pytest.mark.parametrize("call, words", [
    (lambda p: linear_schedule(0), "linear_schedule: T, the number of steps, must be an integer ≥ 1, got 0"),
    (lambda p: cosine_schedule(0), "cosine_schedule: T, the number of steps, must be an integer ≥ 1, got 0"),
    (lambda p: linear_schedule(2.5), "integer ≥ 1, got 2.5"),
    (lambda p: ForwardProcess([]), r"T ≥ 1, got an array of shape \(0,\)"),
    (lambda p: ForwardProcess([0.1, 1.5]), r"between 0 and 1, got β_2 = 1.5"),
    (lambda p: p.marginal(mg.tensor(X), 4), "t must lie in 0 … 3, got 4"),
    (lambda p: p.posterior(mg.tensor(X), mg.tensor(X), 0), "t must lie in 1 … 3, got 0"),
    (lambda p: p.step(mg.tensor(X), [1, 2, 3]), r"one for each example; got int64 of shape \(3,\)"),
    (lambda p: p.step(mg.tensor(X), [0.5, 1.5]), r"integers \(2,\)"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call(ForwardProcess(SCHEDULES["own"]))


def test_a_time_out_of_a_batch_is_told_on_the_cpu(backend):
    if mg.tensor(0.0).device != "cpu":
        pytest.skip("inside a Tensor on a GPU it is not looked for")
    with pytest.raises(ValueError, match="t must lie in 1 … 3, got 1 … 4"):
        ForwardProcess(SCHEDULES["own"]).step(mg.tensor(X), [1, 4])
