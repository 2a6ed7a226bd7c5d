"""Every kernel leaves its target unchanged (checked by the tutor), and does what its equations say."""
import math

import numpy as np
import pytest

import minigen as mg
from minigen import check
from minigen.distributions import Mixture, MultivariateNormal, Normal
from minigen.samplers import (HMC, MALA, ULA, Gibbs, MetropolisHastings, Mixed, RandomWalk, flip_one, metropolis_chain,
                              run)

pytestmark = pytest.mark.usefixtures("backend")


def t(values):
    return mg.tensor(np.asarray(values, dtype=np.float64))


def correlated():
    return MultivariateNormal.from_covariance(t([1.0, -2.0]), t([[1.0, 0.8], [0.8, 1.5]]))


def two_modes():
    return Mixture(t([0.0, 0.7]), Normal(t([[-1.5, 0.0], [1.5, 0.5]]), t([[-0.5, 0.0], [0.0, -0.3]])))


def gibbs(scan):
    """The two conditionals of `correlated`: x₁|x₂ ~ N(μ₁ + ρ (x₂ − μ₂), s)."""
    def redraw(i, j, slope, std, mean):
        def step(x, rng):
            new = mean[i] + slope * (x[:, j] - mean[j]) + std * rng.standard_normal(len(x), dtype=x.dtype)
            return mg.stack([new, x[:, 1]] if i == 0 else [x[:, 0], new], axis=1)
        return step
    mean = (1.0, -2.0)
    return Gibbs([redraw(0, 1, 0.8 / 1.5, math.sqrt(1 - 0.64 / 1.5), mean),
                  redraw(1, 0, 0.8, math.sqrt(1.5 - 0.64), mean)], scan)


def drift(x, rng):
    """An asymmetric proposal: x′ ~ N(x/2 + 1, 1)."""
    new = 0.5 * x + 1 + rng.standard_normal(x.shape, dtype=x.dtype)
    there, back = new - 0.5 * x - 1, x - 0.5 * new - 1
    return new, 0.5 * mg.sum(there * there - back * back, axis=1)


KERNELS = {
    "random walk": (lambda p: RandomWalk(p.log_prob, 0.8), two_modes, True),
    "asymmetric": (lambda p: MetropolisHastings(p.log_prob, drift), two_modes, True),
    "MALA": (lambda p: MALA(p.log_prob, 0.9), two_modes, True),
    "HMC": (lambda p: HMC(p.log_prob, 0.5, 4), two_modes, True),
    "random Gibbs": (lambda p: gibbs("random"), correlated, True),
    "Gibbs sweep": (lambda p: gibbs("sweep"), correlated, False),
    "mixed": (lambda p: Mixed([RandomWalk(p.log_prob, 0.5), HMC(p.log_prob, 0.3, 3)]), two_modes, False),
}


@pytest.mark.parametrize("name", KERNELS)
def test_the_target_is_stationary(name):
    """`check.chain` at false-alarm rate 1e-6 a kernel, with a fixed seed; 10,000 draws."""
    make, target, reversible = KERNELS[name]
    report = check.chain(make(target()), target(), reversible=reversible, n=10_000, rng=1)
    assert report.ok, report
    assert name == "Gibbs sweep" or report.values["moved"] > 0.2


@pytest.mark.parametrize("name", ["MALA", "HMC"])
def test_long_chains_pass_a_two_sample_test(name, backend):
    """2,000 chains from one corner after 150 steps, against fresh draws: three Kolmogorov–Smirnov tests at level
    1e-4."""
    if backend != "numpy":
        pytest.skip("compared once")
    from scipy import stats
    make, target, _ = KERNELS[name]
    last = run(make(target()), t(np.full((2000, 2), 2.0)), 1, rng=0, warmup=150).x[-1]
    fresh = target().sample(2000, rng=1).numpy()
    for direction in ([1, 0], [0, 1], [1, -1]):
        assert stats.ks_2samp(last @ direction, fresh @ direction).pvalue > 1e-4


def test_a_thousand_chains_in_ten_dimensions():
    """HMC on N(0, diag(1, 4, … 100)) in float32: 1,000 chains move, and have the variances within 5 standard errors."""
    std = np.arange(1.0, 11.0)
    p = Normal(mg.zeros(10), mg.tensor(np.log(std).astype(np.float32)))
    chains = run(HMC(p.log_prob, 1.3, 12), p.sample(1000, rng=0), 12, rng=1)
    assert chains.x.shape == (12, 1000, 10) and chains.x.dtype == np.float32 and 0.5 < chains.acceptance < 1
    assert (np.abs(chains.x[-1].var(axis=0) / std ** 2 - 1) < 5 * np.sqrt(2 / 1000)).all()
    assert abs(np.corrcoef(chains.x[0].ravel(), chains.x[-1].ravel())[0, 1]) < 0.5


def test_a_kernel_that_forgets_its_correction_is_caught():
    """The same test has power: the asymmetric proposal without q fails it."""
    p = two_modes()
    wrong = MetropolisHastings(p.log_prob, lambda x, rng: (drift(x, rng)[0], 0))
    assert not check.chain(wrong, p, n=10_000, rng=1).ok


@pytest.mark.parametrize("step_size", [0.5, 1.0])
def test_the_bias_of_ula_is_the_one_derived(step_size):
    """Variance 1/(1 − ε²/4) of N(0, 1): 4,000 chains of 60 steps from that distribution, within 5 standard errors."""
    expected = 1 / (1 - step_size ** 2 / 4)
    x = math.sqrt(expected) * mg.random.default_rng(0).standard_normal((4000, 5), dtype="float64")
    last = run(ULA(lambda x: -0.5 * mg.sum(x * x, axis=1), step_size), x, 60, rng=1).x[-1]
    assert abs(last.var() / expected - 1) < 5 * math.sqrt(2 / last.size)


def test_the_bias_of_ula_falls_linearly_with_the_time_of_a_step(backend):
    """ε² halved twice, 600,000 chains of N(0, 1): the variance's excess over 1 is ε²/4 (1 + O(ε²)), as Eq. (3) has it,
    within 5 standard errors, √(2/600,000) = 0.0018 each, a twelfth of the least of them (false alarms below 2e-6)."""
    if backend != "numpy":
        pytest.skip("compared once")
    times = np.array([0.4, 0.2, 0.1])
    bias = []
    for time in times:
        x = mg.random.default_rng(0).standard_normal((3000, 200))
        chains = run(ULA(lambda x: -0.5 * mg.sum(x * x, axis=1), math.sqrt(time)), x, 1, rng=1, warmup=int(8 / time))
        bias.append(chains.x[-1].var(dtype=np.float64) - 1)
    np.testing.assert_allclose(bias, times / 4 / (1 - times / 4), atol=5 * math.sqrt(2 / 600_000))
    halves = np.array(bias[:-1]) / bias[1:]
    assert ((1.5 < halves) & (halves < 2.8)).all()                               # √2 were it ε, 4 were it ε⁴


def test_ula_is_not_exact_and_the_tutor_says_so():
    """The power of `check.chain`: a step of 0.9 on two modes is caught, where MALA with the same step passes."""
    assert not check.chain(ULA(two_modes().log_prob, 0.9), two_modes(), n=10_000, rng=1).ok


def test_ula_diverges_beyond_twice_the_deviation():
    with pytest.warns(UserWarning, match="ULA: 5 of 5 chains diverged with step size 2.5; take a smaller one"):
        x = run(ULA(lambda x: -0.5 * mg.sum(x * x, axis=1), 2.5), t(np.ones((5, 1))), 2000, rng=0, progress=False).x
    assert not np.isfinite(x[-1]).any()


def test_ula_at_zero_temperature_climbs():
    x = run(ULA(lambda x: -0.5 * mg.sum((x - 3) ** 2, axis=1), 1.0, temperature=0), t([[0.0]]), 60, rng=0).x
    np.testing.assert_allclose(x[-1], 3, atol=1e-8)


# ---- the leapfrog ----------------------------------------------------------------------------------------------------
def leapfrog(kernel, z):
    """(x, v) (N, 2D) → (x′, v′)."""
    D = z.shape[1] // 2
    x, _, _, v = kernel.trajectory(kernel.start(z[:, :D]), z[:, D:], 0.3)
    return mg.concatenate([x, v], axis=1)


def test_a_trajectory_runs_backwards_and_keeps_volume():
    kernel = HMC(two_modes().log_prob, steps=7)
    z = np.random.default_rng(0).standard_normal((3, 4))
    there = leapfrog(kernel, t(z)).numpy()
    back = leapfrog(kernel, t(there * [1, 1, -1, -1])).numpy()
    np.testing.assert_allclose(back * [1, 1, -1, -1], z, atol=1e-10)
    h = 1e-5
    columns = [(leapfrog(kernel, t(z[:1] + h * e)).numpy() - leapfrog(kernel, t(z[:1] - h * e)).numpy())[0] / (2 * h)
               for e in np.eye(4)]
    np.testing.assert_allclose(np.linalg.det(np.array(columns)), 1, rtol=1e-6)


def test_the_energy_error_is_of_second_order():
    kernel = HMC(two_modes().log_prob, steps=1)
    start = kernel.start(t([[0.3, -0.2]]))
    v = t([[0.7, 1.1]])
    errors = []
    for size in (0.1, 0.05):
        kernel.steps = int(1 / size)
        _, log_prob, _, v_end = kernel.trajectory(start, v, size)
        errors.append(abs((log_prob - start.log_prob - 0.5 * mg.sum(v_end ** 2 - v ** 2)).item()))
    assert 3.5 < errors[0] / errors[1] < 4.5


# ---- discrete --------------------------------------------------------------------------------------------------------
def test_flipping_bits_samples_a_table():
    """χ² of 3,000 chains' last states over the 8 states of 3 bits at level 1e-4, from a start that is far off."""
    from scipy import stats
    weights = np.arange(1.0, 9.0)
    log_w = t(np.log(weights))

    def log_prob(x):
        return mg.take(log_w, mg.sum(x * t([4.0, 2.0, 1.0]), axis=1).astype("int64"), axis=0)

    x = run(MetropolisHastings(log_prob, flip_one), t(np.zeros((3000, 3))), 60, rng=0).x[-1]
    counts = np.bincount((x @ [4, 2, 1]).astype(int), minlength=8)
    assert stats.chisquare(counts, 3000 * weights / weights.sum()).pvalue > 1e-4


def test_the_finite_chain_is_what_the_kernel_does():
    """The transition matrix of Metropolis on 3 states, against frequencies of 20,000 steps from each: within 5 s.e."""
    target, q = np.array([0.2, 0.3, 0.5]), np.array([[0.1, 0.6, 0.3], [0.5, 0.1, 0.4], [0.3, 0.3, 0.4]])
    P, log_q, log_p = metropolis_chain(target, q).P, t(np.log(q)), t(np.log(target))

    def propose(x, rng):
        new = mg.argmax(mg.take(log_q, x[:, 0], axis=0) + rng.gumbel((len(x), 3), dtype="float64"), axis=1)
        back = mg.reshape(log_q, (9,))
        forth = mg.take(back, 3 * x[:, 0] + new, axis=0)
        return mg.reshape(new, (-1, 1)), mg.take(back, 3 * new + x[:, 0], axis=0) - forth

    kernel = MetropolisHastings(lambda x: mg.take(log_p, x[:, 0], axis=0), propose)
    for i in range(3):
        x = kernel(mg.tensor(np.full((20_000, 1), i)), 0).numpy()[:, 0]
        frequencies = np.bincount(x, minlength=3) / 20_000
        assert (np.abs(frequencies - P[i]) < 5 * np.sqrt(P[i] * (1 - P[i]) / 20_000)).all()


def test_bad_arguments():
    with pytest.raises(ValueError, match="HMC: wants steps ≥ 1 and 0 ≤ jitter < 1, got 0 and 0.2"):
        HMC(lambda x: x, steps=0)
    with pytest.raises(ValueError, match="Gibbs: scan is 'sweep' or 'random', got 'both'"):
        Gibbs([], "both")
