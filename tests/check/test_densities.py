"""check.density: totals, and samplers. Statistical tests accuse a right sampler once in a million; seeds are fixed."""
import itertools

import numpy as np
import pytest

import minigen as mg
from minigen import check
from minigen.check.densities import Density, support_of
from minigen.distributions import Bernoulli, Categorical, Normal

pytestmark = pytest.mark.usefixtures("backend")
LINE = (-np.inf, np.inf)
HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def kind(report):
    return report.findings[0].diagnosis.kind


@pytest.mark.parametrize("make", [
    lambda: Normal(1.0, -1.0, event_ndim=0), lambda: Normal(np.array([3.0]), np.array([2.0])),
                                  lambda: Normal(np.array([1.0, -50.0]), np.array([-2.0, 1.0])),
    lambda: Normal(np.arange(4.0), -np.arange(4.0)), lambda: Bernoulli(np.array([0.3, -1.0])),
                                  lambda: Bernoulli(np.array(0.3), event_ndim=0),
    lambda: Categorical(np.array([0.3, -1.0, 2.0])), lambda: Categorical(np.zeros((2, 3)), event_ndim=1)])
def test_distributions_of_the_library(make):
    report = check.density(make(), n=6000)
    assert report.ok and len(report.claims) == 2 and report.values["total"] == pytest.approx(1, abs=0.05)


def test_functions_with_bounds():
    assert check.density(lambda x: -x, bounds=(0.0, np.inf)).ok
    assert check.density(lambda x: 0 * x, bounds=(0.0, 1.0), sample=lambda n, rng: rng.random((n,))).ok
    assert check.density(lambda x: -0.5 * (x * x).sum(axis=-1) - 2 * HALF_LOG_2PI, bounds=[LINE, LINE]).ok
    report = check.density(lambda x: 0 * x - np.log(2), bounds=(0.0, 1.0))
    assert not report.ok and report.findings[0].diagnosis.text == "the total is 0.5 = ½"


@pytest.mark.parametrize("constant, words", [(0.0, "σ · √(2π)"), (np.log(0.3), "√(2π)"), (HALF_LOG_2PI, "= σ"),
                                             (0.123, "no simple relation")])
def test_the_missing_constant_is_named(constant, words):
    report = check.density(lambda x: -0.5 * (x / 0.3) ** 2 - constant, bounds=LINE, constants={"σ": 0.3})
    assert not report.ok and words in report.findings[0].diagnosis.text


def test_samplers_that_are_wrong():
    p = Normal(np.array([1.0]), np.log([0.5]))
    wide = check.density(p.log_prob, sample=lambda n, rng: 1.0 + 0.25 * rng.standard_normal((n, 1)))
    assert kind(wide) == "scale" and "the variance taken for it" in str(wide)
    assert "its sign is turned" in str(check.density(p.log_prob, sample=lambda n,
                                                     rng: -1.0 + 0.5 * rng.standard_normal((n, 1))))
    p = Normal(np.arange(4.0), np.zeros(4))
    correlated = check.density(p.log_prob, sample=lambda n,
                               rng: p.mean + (lambda e: mg.concatenate([e, e], axis=1))(rng.standard_normal((n, 2))))
    assert kind(correlated) == "correlation"
    flat = check.density(lambda x: 0 * x, bounds=(0.0, 1.0), sample=lambda n, rng: 2 * rng.random((n,)) - 0.5)
    assert kind(flat) == "support"
    q = Bernoulli(np.array([2.0, 1.0]))
    assert "farthest off at x" in str(check.density(q.log_prob, support=support_of(q), sample=lambda n,
                                                    rng: 1 - q.sample(n, rng=rng)))
    assert kind(check.density(q.log_prob, support=support_of(q), sample=lambda n,
                              rng: 2 * q.sample(n, rng=rng))) == "support"


def test_it_admits_what_it_cannot_tell():
    far = check.density(lambda x: -0.5 * ((x - 500) / 0.01) ** 2, bounds=LINE)
    assert kind(far) == "inconclusive" and "bounds=" in str(far)
    p = Normal(np.zeros(40), np.zeros(40))
    poor = check.density(p.log_prob, proposal=Normal(np.full(40, 3.0), np.zeros(40)), n=2000)
    assert kind(poor) == "inconclusive" and "nearer to p" in str(poor)


def test_a_proposal_in_three_dimensions():
    p, wide = Normal(np.zeros(3), np.zeros(3)), Normal(np.zeros(3), np.full(3, 0.3))
    assert check.density(p.log_prob, proposal=wide).ok
    assert not check.density(lambda x: p.log_prob(x) + 0.2, proposal=wide).ok


@pytest.mark.parametrize("run, kind, message", [
    (lambda: check.density(3.0, bounds=LINE), TypeError,
     "wants a function x ↦ log p.x. or a distribution, got a float"),
    (lambda: check.density(lambda x: x), ValueError, "say what x looks like"),
    (lambda: check.density(lambda x: x.sum(), bounds=LINE), ValueError, "must return one number per point"),
    (lambda: check.density(Normal(np.zeros((2, 3)), np.zeros((2, 3)))), ValueError, "is a batch of distributions"),
    (lambda: check.density(lambda x: x[:, 0], sample=lambda n, rng: np.zeros((3, 1))), ValueError,
     r"must return \(20000, \*event\)"),
    (lambda: check.density(lambda x: x.sum(axis=-1), bounds=[LINE] * 3), ValueError,
     "in 3 dimensions the integral is estimated by sampling"),
])
def test_misuse(run, kind, message):
    with pytest.raises(kind, match=message):
        run()


def test_support_and_score():
    assert support_of(Bernoulli(np.zeros((2, 2)),
                                event_ndim=2)).shape == (16, 2,
                                                         2) and support_of(Normal(0.0, 0.0, event_ndim=0)) is None
    assert support_of(Bernoulli(np.zeros(20))) is None
    assert support_of(Categorical(np.zeros(5))).tolist() == [0, 1, 2, 3, 4]
    p = Density("test", Normal(np.array([1.0, 2.0]), np.log([2.0, 0.5])))
    np.testing.assert_allclose(p.score(np.array([[2.0, 2.0], [1.0, 3.0]])), [[-0.25, 0], [0, -4.0]], atol=1e-12)


def test_every_point_of_a_product_space_once():
    points = support_of(Categorical(np.zeros((2, 3)), event_ndim=1))
    assert sorted(map(tuple, points.tolist())) == sorted(itertools.product(range(3), repeat=2))
