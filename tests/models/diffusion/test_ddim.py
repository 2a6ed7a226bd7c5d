"""DDIM: against DDPM's step, the solution of its differential equation, and its own inverse."""
import numpy as np
import pytest
from models.diffusion.gaussian import GaussianDenoiser

import minigen as mg
from minigen.data.densities import ring
from minigen.models.diffusion import DDIM, DDPM, ForwardProcess, MixtureDenoiser, cosine_schedule, linear_schedule

pytestmark = pytest.mark.usefixtures("backend")


def draws(*shape, seed=0):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape))


def mixture(T=40, std=0.2, schedule=linear_schedule):
    """A DDPM with the exact denoiser of a ring of Gaussians."""
    beta = schedule(T)
    return DDPM(MixtureDenoiser(ForwardProcess(beta), ring(5, 1.0, std)), (2,), beta, variance="small")


def test_with_eta_one_it_is_ddpm():
    """The same noise gives the same step, at every t."""
    for schedule in (linear_schedule, cosine_schedule):
        model = mixture(schedule=schedule)
        sampler, z, eps = DDIM(model, steps=40, eta=1.0), draws(6, 2), draws(6, 2, seed=1)
        assert sampler.times == list(range(41))
        for t in range(1, 41):
            ours, theirs = sampler.step(z, t, t - 1, eps=eps), model.step(z, t, eps=eps)
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_every_eta_keeps_the_marginals(eta):
    """With a network that knows x, z_s given x has mean √ᾱ_s x and variance 1 − ᾱ_s, for any pair s < t."""
    beta, x = linear_schedule(40), 0.7
    model = DDPM(lambda z, t: 0 * z + x, (1,), beta, prediction="x")
    sampler = DDIM(model, steps=10, eta=eta)
    for t, s in ((40, 30), (25, 3), (2, 1), (7, 0)):
        def step(eps_t, eps):
            z = model.process.diffuse(mg.tensor(np.array([[x]])), t, mg.tensor(np.array([[eps_t]])))
            return float(sampler.step(z, t, s, eps=mg.tensor(np.array([[eps]]))))
        mean = step(0.0, 0.0)
        variance = (step(1.0, 0.0) - mean) ** 2 + (step(0.0, 1.0) - mean) ** 2          # linear in both noises
        assert mean == pytest.approx(np.sqrt(model.process.alpha_bar[s]) * x, abs=1e-10)
        assert variance == pytest.approx(1 - model.process.alpha_bar[s], abs=1e-10)


def test_without_noise_it_solves_its_differential_equation():
    """For data N(m, c²) the flow keeps each point at its place in units of the standard deviation,
    (z_t − √ᾱ_t m) / √(ᾱ_t c² + 1 − ᾱ_t). The error of S steps falls as 1/S, Eq. (23) being Euler's method."""
    m, c, beta = 0.3, 0.5, linear_schedule(800)
    model = DDPM(GaussianDenoiser(ForwardProcess(beta), m, c), (1,), beta, prediction="x")
    a, s = model.process.signal[-1], model.process.noise[-1]
    z = np.linspace(-2, 2, 5)[:, None]
    want = m + c * (z - a * m) / np.sqrt(a ** 2 * c ** 2 + s ** 2)
    errors = [np.abs(DDIM(model, S).sample(5, z=mg.tensor(z)).numpy() - want).max() for S in (50, 100, 200, 400)]
    assert errors[-1] < 0.01
    assert all(1.7 < coarse / fine < 2.5 for coarse, fine in zip(errors, errors[1:]))


@pytest.mark.parametrize("schedule", [linear_schedule, cosine_schedule])
def test_inversion_undoes_sampling(schedule):
    """Round trip on a known score: with one call a step the error falls as 1/T, with corrections it is gone."""
    z, off = draws(8, 2, seed=3), {}
    for T, corrections in ((50, 0), (100, 0), (50, 5), (50, 30)):
        sampler = DDIM(mixture(T, std=0.5, schedule=schedule), steps=T)
        back = sampler.invert(sampler.sample(8, z=z), corrections=corrections)
        off[T, corrections] = np.abs((back - z).numpy()).max()
    assert 1.6 < off[50, 0] / off[100, 0] < 2.6
    assert off[50, 5] < 1e-5 * off[50, 0] and off[50, 30] < 1e-12


def test_both_equations_of_the_inversion_undo_a_step():
    """Given what the network says of z_t, Eqs. (24) and (25) lead from z_s back to z_t, s on both sides of SNR 1."""
    model, z = mixture(), draws(6, 2)
    sampler = DDIM(model, 40)
    for s, t in ((0, 1), (3, 9), (30, 31), (25, 40)):
        back = sampler._back(sampler.step(z, t, s), s, t, model.predict(z, t))
        np.testing.assert_allclose(back.numpy(), z.numpy(), rtol=1e-7, atol=1e-8)
    assert model.process.snr[3] > 1 > model.process.snr[25]


def test_the_other_round_trip_too():
    """From data to noise and back: exact with corrections, with few steps as well."""
    x, _ = ring(5, 1.0, 0.5).sample(8, rng=0)
    sampler = DDIM(mixture(200, std=0.5), steps=20)
    z = sampler.invert(mg.tensor(x.astype("float64")), corrections=60)
    np.testing.assert_allclose(sampler.sample(8, z=z).numpy(), x, atol=1e-6)


def test_the_last_step_has_no_noise_and_none_is_asked_for():
    model, z = mixture(), draws(4, 2)
    sampler = DDIM(model, 10, eta=1.0)
    np.testing.assert_allclose(sampler.step(z, 4, 0).numpy(), model.predict(z, 4).x.numpy(), rtol=1e-9)
    assert all(sampler.sigma(t, 0) == 0 for t in (1, 4, 40))


@pytest.mark.parametrize("T, steps", [(40, 1), (40, 7), (1000, 50), (1000, 999)])
def test_times_run_from_the_data_to_noise_without_a_stop(T, steps):
    times = DDIM(mixture(T), steps).times
    assert times[0] == 0 and times[-1] == T and len(times) == steps + 1 and np.all(np.diff(times) > 0)
    assert np.ptp(np.diff(times)) <= 1


def test_few_steps_reach_the_data():
    """Twenty of 200 steps without noise put all but a few in a hundred of 300 samples within 4 σ of a mode."""
    x = DDIM(mixture(200), 20).sample(300, rng=mg.random.default_rng(0)).numpy()
    nearest = np.linalg.norm(x[:, None] - ring(5, 1.0).means, axis=-1).min(axis=1)
    assert np.mean(nearest < 0.8) > 0.95


@pytest.mark.parametrize("call, words", [
    (lambda: DDIM(mixture(), 0), "steps must lie in 1 … T = 40, got 0"),
    (lambda: DDIM(mixture(), 41), "steps must lie in 1 … T = 40, got 41"),
    (lambda: DDIM(mixture(), 10, eta=1.5), r"eta must lie in \[0, 1\], got 1.5"),
    (lambda: DDIM(mixture(), 10, eta=0.5).invert(draws(2, 2)), "eta=0; got eta=0.5"),
    (lambda: DDIM(mixture(), 10).sample(2), "rng .or the noise., got n=2 and rng=None"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
