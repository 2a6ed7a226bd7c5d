"""Annealed importance sampling against normalisers that are known."""
import math

import numpy as np
import pytest

import minigen as mg
from minigen.distributions import Mixture, Normal, Uniform
from minigen.samplers import HMC, annealed, annealed_back, sigmoid_schedule

pytestmark = pytest.mark.usefixtures("backend")
LOG_Z = 3.2


def target(x):
    """e^{3.2} times two narrow Gaussians in three dimensions, far apart."""
    p = Mixture(mg.zeros(2), Normal(mg.stack([mg.full(3, -2.0), mg.full(3, 2.0)]), mg.full((2, 3), -1.0)))
    return p.log_prob(x) + LOG_Z


def estimate(seed, steps=60, n=100):
    prior = Normal(mg.zeros(3), mg.full(3, 0.7))
    return annealed(target, prior, lambda f: HMC(f, 0.35, 3), sigmoid_schedule(steps), n, rng=seed)


def test_log_Z_within_its_stated_error(backend):
    """20 runs: |log Z − truth| < 2 standard errors in at least 15; with 95 % each, chance of fewer is below 3e-4."""
    if backend != "numpy":
        pytest.skip("compared once")
    runs = [estimate(seed) for seed in range(20)]
    assert sum(abs(r.log_Z - LOG_Z) < 2 * r.log_Z_error for r in runs) >= 15
    assert runs[0].log_Z_error < 0.3 and runs[0].effective_sample_size > 20


def test_more_steps_lower_the_variance(backend):
    if backend != "numpy":
        pytest.skip("compared once")
    assert estimate(0, 200).log_weights.std().item() < 0.7 * estimate(0, 12).log_weights.std().item()


def test_one_step_is_plain_importance_sampling():
    prior = Normal(mg.zeros(3), mg.full(3, 0.7))
    draws = annealed(target, prior, lambda f: HMC(f), [0, 1], 50, rng=0)
    expected = target(prior.sample(50, rng=0)) - prior.log_prob(prior.sample(50, rng=0))
    np.testing.assert_allclose(draws.log_weights.numpy(), expected.numpy(), rtol=1e-5, atol=1e-4)


def test_a_path_and_a_move_of_ones_own():
    """Temperatures are passed on; a move that stays put leaves one weight: the difference at the first draw."""
    seen = []

    def stay(x, beta, rng):
        seen.append(beta)
        return x

    prior = Normal(mg.zeros(3), mg.full(3, 0.7))

    def path(x, beta):
        return (1 - beta) * prior.log_prob(x) + beta * target(x) + 5.0

    draws = annealed(target, prior, stay, [0, 0.25, 0.5, 1], 50, rng=0, path=path)
    one = annealed(target, prior, stay, [0, 1], 50, rng=0, path=path)
    assert seen == [0.25, 0.5]
    np.testing.assert_allclose(draws.log_weights.numpy(), one.log_weights.numpy(), rtol=1e-4, atol=1e-3)


def test_the_walk_back_errs_to_the_other_side(backend):
    """2,000 chains, few temperatures: the mean log-weight is low forth and high back, each by more than 5 standard
    errors; the means of the weights are right within 5 of theirs."""
    if backend != "numpy":
        pytest.skip("compared once")
    p0, p1 = Normal(mg.zeros(1), 0.0), Normal(mg.full(1, 2.0), -0.5)

    def path(x, beta):
        return (1 - beta) * p0.log_prob(x) + beta * (p1.log_prob(x) + LOG_Z)

    def move(x, beta, rng):
        return HMC(lambda x: path(x, beta), 0.5, 3)(x, rng)

    betas = [0, 0.3, 0.7, 1]
    forth = annealed(None, p0, move, betas, 2000, rng=0, path=path)
    back = annealed_back(p1.sample(2000, rng=1), move, betas, rng=2, path=path)
    for weights, sign in ((forth, 1), (back, -1)):
        log_w = sign * weights.log_weights.numpy()
        assert sign * (LOG_Z - log_w.mean()) > 5 * log_w.std() / math.sqrt(2000)
        assert abs(sign * weights.log_Z - LOG_Z) < 5 * weights.log_Z_error < 0.5


def test_schedule():
    betas = sigmoid_schedule(10)
    assert betas.shape == (11,) and betas[0] == 0 and betas[-1] == 1 and (np.diff(betas) > 0).all()


@pytest.mark.parametrize("betas", [[0, 0.5], [0.1, 1], [0, 0.7, 0.3, 1], [1], [0, 0.5, 0.5, 1]])
def test_bad_schedules(betas):
    with pytest.raises(ValueError, match="annealed: betas must rise from 0 to 1, got"):
        annealed(target, Normal(mg.zeros(3), 0.0), lambda f: HMC(f), betas, 5, rng=0)
    with pytest.raises(ValueError, match="annealed_back: betas must rise from 0 to 1, got"):
        annealed_back(mg.zeros((5, 3)), None, betas, rng=0, path=None)


def test_a_start_without_support():
    with pytest.raises(ValueError, match=r"annealed: \d+ of 20 weights are not finite"):
        annealed(Uniform(mg.full(1, 0.5), 1.0, 1).log_prob, Uniform(mg.zeros(1), 1.0, 1), lambda f: HMC(f),
                 [0, 1], 20, rng=0)
    assert math.isfinite(LOG_Z)
