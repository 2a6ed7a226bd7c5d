"""Running chains: warm-up, thinning, going on, what is refused and what is warned of."""
import numpy as np
import pytest

import minigen as mg
from minigen.samplers import HMC, MALA, ULA, RandomWalk, effective_sample_size, r_hat, run
from minigen.samplers.chain import Kernel

pytestmark = pytest.mark.usefixtures("backend")


def log_prob(x):
    return -0.5 * mg.sum(x * x * mg.tensor([1.0, 0.01]), axis=1)


def start(N=20, seed=0):
    return mg.random.default_rng(seed).standard_normal((N, 2))


@pytest.mark.parametrize("make", [RandomWalk, MALA, HMC])
def test_warm_up_tunes_the_acceptance(make):
    """From 5, with which hardly a step is accepted. Near the limit of stability HMC's acceptance is a steep
    function."""
    kernel = make(log_prob, 5.0)
    chains = run(kernel, start(), 200, rng=0, warmup=300)
    assert abs(chains.acceptance - kernel.optimum) < 0.2 and chains.step_size == kernel.step_size != 5.0


@pytest.mark.parametrize("warmup", [20, 60])
def test_every_kept_step_is_taken_with_the_tuned_size(warmup):
    """Also the first one after warm-up."""
    class Noting(RandomWalk):
        sizes = []

        def step(self, state, rng):
            self.sizes.append(self.step_size)
            return super().step(state, rng)

    kernel = Noting(log_prob, 5.0)
    Noting.sizes = []
    run(kernel, start(), 5, rng=0, warmup=warmup)
    assert Noting.sizes[warmup:] == [kernel.step_size] * 5 and kernel.step_size not in Noting.sizes[1:warmup]


def test_without_warm_up_the_step_size_stays():
    assert run(HMC(log_prob, 0.3), start(), 5, rng=0).step_size == 0.3


def test_shapes_and_thinning():
    whole = run(RandomWalk(log_prob), start(), 6, rng=0)
    thinned = run(RandomWalk(log_prob), start(), 3, rng=0, thin=2)
    assert whole.x.shape == (6, 20, 2) and np.array_equal(whole.x[1::2], thinned.x)


def test_going_on_from_a_state_gives_the_same_bits():
    rng = mg.random.default_rng(0)
    first = run(HMC(log_prob, 0.5), start(), 3, rng=rng)
    second = run(HMC(log_prob, 0.5), first.last, 4, rng=rng)
    whole = run(HMC(log_prob, 0.5), start(), 7, rng=0)
    assert np.array_equal(np.concatenate([first.x, second.x]), whole.x)


def test_many_short_chains_and_long_ones_agree_on_the_variance():
    """HMC on variances 1 and 100: the mean square within 5 standard errors, by the effective sample size."""
    chains = run(HMC(log_prob, 1.0, 15), 5 * start(40), 300, rng=1, warmup=200)
    assert (r_hat(chains.x) < 1.02).all()
    ess = effective_sample_size(chains.x ** 2)
    variance = np.array([1.0, 100.0])
    assert (np.abs((chains.x ** 2).mean(axis=(0, 1)) / variance - 1) < 5 * np.sqrt(2 / ess)).all()


def test_a_step_size_that_is_too_large_is_named_with_the_acceptance():
    with pytest.warns(UserWarning, match=r"RandomWalk: 0\.\d+% of the steps are accepted with step size 1e\+03"):
        chains = run(RandomWalk(log_prob, 1e3), start(), 50, rng=0)
    assert chains.acceptance < 0.01


def test_a_start_outside_the_support():
    def half(x):
        return mg.where(x[:, 0] > 0, 0.0, -np.inf)

    with pytest.raises(ValueError, match="RandomWalk cannot start where log_prob is not finite, as it is for 2 of 3 "
                                         "chains"):
        run(RandomWalk(half), mg.tensor([[1.0], [-1.0], [-2.0]]), 5, rng=0)


@pytest.mark.parametrize("make", [RandomWalk, ULA, MALA, HMC])
@pytest.mark.parametrize("size", [0.0, -0.1, np.nan, np.inf])
def test_a_step_size_that_is_none(make, size):
    with pytest.raises(ValueError, match=rf"run: {make.__name__} wants a step size > 0, got "):
        run(make(log_prob, size), start(), 5, rng=0)


@pytest.mark.parametrize("make", [RandomWalk, ULA, MALA, HMC])
def test_integers_are_no_start_for_real_steps(make):
    with pytest.raises(TypeError, match=rf"run: {make.__name__} moves real numbers, got a start of int64"):
        run(make(log_prob), np.zeros((4, 2), np.int64), 5, rng=0)


@pytest.mark.parametrize("make", [RandomWalk, ULA, MALA, HMC])
@pytest.mark.parametrize("wrong, shape", [(lambda x: -0.5 * mg.sum(x * x), r"\(\)"),
                                          (lambda x: -0.5 * x * x, r"\(20, 2\)")])
def test_a_log_prob_of_the_wrong_shape(make, wrong, shape):
    """A sum over all chains would make them accept together, and nobody would see it."""
    with pytest.raises(ValueError, match=rf"one number for each of the 20 chains, \(20,\), got shape {shape}"):
        run(make(wrong), start(), 5, rng=0)


@pytest.mark.parametrize("make, size", [(MALA, 200.0), (HMC, 50.0)])
def test_steps_that_diverge_are_rejected_and_told_with_the_acceptance(make, size):
    with pytest.warns(UserWarning, match=rf"{make.__name__}: 0\.00% of the steps are accepted with step size {size:g}"):
        chains = run(make(log_prob, size), start(), 20, rng=0)
    assert np.isfinite(chains.x).all()


@pytest.mark.parametrize("settings", [{"n": 0}, {"n": 1, "thin": 0}, {"n": 1, "warmup": -1}])
def test_bad_numbers(settings):
    with pytest.raises(ValueError, match="run: wants n ≥ 1, thin ≥ 1 and warmup ≥ 0, got"):
        run(RandomWalk(log_prob), start(), rng=0, **settings)


def test_a_kernel_must_define_a_step():
    with pytest.raises(NotImplementedError, match="Kernel: a kernel must define step"):
        run(Kernel(), start(), 1, rng=0)


def test_a_long_run_shows_progress(capsys):
    run(RandomWalk(log_prob), start(2), 10, rng=0, progress=True)
    assert "RandomWalk" in capsys.readouterr().err
    run(RandomWalk(log_prob), start(2), 10, rng=0)
    assert capsys.readouterr().err == ""
