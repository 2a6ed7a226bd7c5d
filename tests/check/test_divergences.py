"""check.divergence against closed forms typed in here, and the mistakes people make."""
import numpy as np
import pytest

from minigen import check
from minigen.check.exact import exact, monte_carlo
from minigen.distributions import Bernoulli, Categorical, Normal, Table

m, s = np.array([0.3, -1.0]), np.array([0.2, -0.5])
p, q = Normal(m, s), Normal(np.zeros(2), np.zeros(2))
a, b = Normal(0.5, 0.2, event_ndim=0), Normal(0.0, 0.0, event_ndim=0)
var = np.exp(2 * s)
KL = -0.5 * np.sum(1 + 2 * s - m ** 2 - var)
BACK = np.sum(s + (1 + m ** 2) / (2 * var) - 0.5)
CLOSED = {"kl": KL, "reverse_kl": BACK, "fisher": np.sum((var - 1) ** 2 / var + m ** 2),
          "w2": np.sqrt(np.sum(m ** 2 + (np.exp(s) - 1) ** 2))}


@pytest.mark.parametrize("kind", CLOSED)
def test_closed_forms_hold(kind):
    report = check.divergence(p, q, CLOSED[kind], kind, n=4000)
    assert report.ok and list(report.values.values())[0] == pytest.approx(CLOSED[kind], rel=1e-5)
    assert not check.divergence(p, q, CLOSED[kind] * 1.001, kind, n=4000).ok


def test_one_dimension():
    assert check.divergence(a, b, lambda p, q: -0.5 * (1 + 0.4 - 0.25 - np.exp(0.4)), n=4000).ok
    assert exact(b, Normal(2.0, 0.0, event_ndim=0), "w1") == pytest.approx(2.0, abs=1e-6)          # a shift
    assert exact(b, Normal(0.0, 0.7, event_ndim=0),
                 "w1") == pytest.approx((np.exp(0.7) - 1) * np.sqrt(2 / np.pi), abs=1e-6)
    assert exact(a, b, "w2") == pytest.approx(np.hypot(0.5, np.exp(0.2) - 1), rel=1e-5)
    assert exact(a, a, "jsd") == pytest.approx(0, abs=1e-12) and 0 < exact(a, b, "jsd") < np.log(2)


def test_discrete_distributions_and_tables():
    l, k = np.array([0.3, 1.0]), np.array([-0.3, 0.2])
    sigma = lambda z: 1 / (1 + np.exp(-z))
    value = np.sum(sigma(l) * np.log(sigma(l) / sigma(k)) + sigma(-l) * np.log(sigma(-l) / sigma(-k)))
    assert check.divergence(Bernoulli(l), Bernoulli(k), value, n=4000).ok
    assert check.divergence(Categorical(np.append(l, 0)), Categorical(np.append(k, 0)), kind="jsd", n=4000).ok
    x, y = Table.random(0, x=3, y=2), Table.random(1, x=3, y=2)
    assert check.divergence(x, y, x.kl(y)).ok and check.divergence(x, y, x.jsd(y), "jsd").ok


def test_many_dimensions_by_monte_carlo_alone():
    p, q = Normal(np.arange(6.0) / 6, np.zeros(6)), Normal(np.zeros(6), np.zeros(6))
    report = check.divergence(p, q, kind="jsd", n=4000)
    assert report.ok and "Monte Carlo estimate" in report.notes[0]
    assert check.divergence(p, q, np.sum((np.arange(6.0) / 6) ** 2) / 2,
                            n=4000).ok                # KL adds up over entries


@pytest.mark.parametrize("claimed, kind, words", [
    (2 * KL, "factor", "2 times"), (KL / 2, "factor", "½ of"), (-KL, "sign", "opposite"),
                                                  (KL / np.log(2), "factor", "bits"),
                                                  (BACK, "other-divergence", "KL(q‖p)"),
    (KL + np.sum(s + 0.5 + 0.5 * np.log(2 * np.pi)), "other-divergence", "cross-entropy"),
                                                  (KL + BACK, "other-divergence", "symmetrised"),
    (-0.5 * np.sum(1 + s - m ** 2 - np.exp(s)), "other-divergence", "log σ is taken for log σ²"),
                                                  (KL - 0.5 * np.sum(m ** 2), "missing-term", "(μ_p − μ_q)²/2σ_q²"),
    (KL + 1, "missing-term", "−½"), (KL - np.sum(m ** 2), "term-sign", "wrong sign"),
                                                  (KL + 0.5 * s.sum(), "term-factor", "½ times"),
                                                  (1.2345, "none", "no simple relation")])
def test_mistakes(claimed, kind, words):
    found = check.divergence(p, q, claimed, n=4000).findings[0].diagnosis
    assert found.kind == kind and words in found.text, found


def test_letters_follow_the_user_when_the_direction_is_reversed():
    found = check.divergence(p, q, KL, "reverse_kl", n=4000).findings[0].diagnosis
    assert found.text == "yours is KL(p‖q): the arguments are exchanged"


def test_other_mistakes():
    assert "W2², the square" in str(check.divergence(a, b, CLOSED["w2"] * 0 + exact(a, b, "w2") ** 2, "w2"))
    x, y = Table.random(0, x=4), Table.random(1, x=4)
    assert "the mixture m is missing" in str(check.divergence(x, y, 0.5 * x.kl(y) + 0.5 * y.kl(x), "jsd"))
    assert "its square root" in str(check.divergence(p, q, np.sqrt(CLOSED["fisher"]), "fisher", n=4000))
    mine = check.divergence(p, q, KL - 0.25, terms={"my term": 0.25}, n=4000)
    assert "the term 'my term' is missing" in str(mine)


def test_a_distribution_whose_samples_do_not_follow_it():
    class Liar(Normal):
        def sample(self, size=(), *, rng=None, eps=None):
            return 1 + super().sample(size, rng=rng, eps=eps)

    assert "do the samples of p come from its log_prob?" in str(check.divergence(Liar(m, s), q))


@pytest.mark.parametrize("run, message", [
    (lambda: check.divergence(p, q, kind="hellinger"), "kind must be one of kl"),
                                          (lambda: check.divergence(p, q, np.ones(2)), "is one number"),
    (lambda: check.divergence(Table.random(0, x=3), Table.random(1, x=3), kind="w1"), "on a discrete space"),
    (lambda: check.divergence(Bernoulli(m), Bernoulli(s), kind="fisher"), "on a discrete space"),
                                          (lambda: check.divergence(p, q, kind="w1"), "neither by quadrature"),
    (lambda: check.divergence(Normal(np.zeros((2, 1)), np.zeros((2, 1))), Normal(np.zeros((2, 1)), np.zeros((2, 1)))),
     "batch of distributions")])
def test_misuse(run, message):
    with pytest.raises(ValueError, match=message):
        run()


def test_monte_carlo_lies_within_its_error():
    for kind in ("kl", "fisher", "jsd"):
        estimate, error = monte_carlo(p, q, kind, 20_000, 0)
        assert abs(estimate - exact(p, q, kind)) < 5 * error < 0.2
