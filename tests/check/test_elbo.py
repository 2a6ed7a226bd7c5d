"""check.elbo on tables and on linear Gaussian models, where everything is known."""
import numpy as np
import pytest

import minigen as mg
from minigen import check
from minigen.distributions import Normal, Table, kl_divergence

p, q = Table.random(0, x=3, z=2), Table.random(1, z=2, x=3).given("x")
P, Q = p.probabilities, q.probabilities.T
rng = np.random.default_rng(0)
W, b, A, s = rng.standard_normal((4,
                                  2)), rng.standard_normal(4), 0.2 * rng.standard_normal((2, 4)), np.array([0.4, 0.3])
model, x = check.LinearGaussian(W, b, 0.5, A, s), rng.standard_normal((5, 4))
likelihood, rate = model.terms(x)


def kind(report):
    return report.findings[0].diagnosis.kind


def test_the_identity_on_a_table():
    report = check.elbo(p, q=q)
    assert report.ok and report.values["mean gap"] > 0
    assert check.elbo(p, q=p.given("x")).values["mean gap"] == pytest.approx(0, abs=1e-12)     # q is the posterior
    assert check.elbo(p, q=q, claimed=(Q * np.log(P / Q)).sum(1)).ok
    y = Table.random(2, x=3, z=2, w=2)
    assert check.elbo(y, q=y.marginal("x",
                                      "w").given("x") * y.marginal("z", "x").given("x")).ok     # two latent variables


@pytest.mark.parametrize("claimed, expected", [
    ((Q * np.log(P)).sum(1), "missing-term"), ((Q * np.log(P / P.sum(0))).sum(1), "missing-term"),
                                               (np.log(P.sum(1)), "log-prob"),
    ((Q * (np.log(P / P.sum(0)) + np.log(Q / P.sum(0)))).sum(1), "term-sign"),
                                               (np.log(P.sum(1)) + [0.1, 0.2, 0.4], "not-a-bound"),
    (-(Q * np.log(P / Q)).sum(1), "sign")])
def test_mistakes_on_a_table(claimed, expected):
    assert kind(check.elbo(p, q=q, claimed=claimed)) == expected


def test_the_linear_gaussian_model_agrees_with_distributions():
    zero = np.zeros(2)
    np.testing.assert_allclose(rate,
                               [kl_divergence(Normal(m, np.log(s)), Normal(zero, zero)).item() for m in (x - b) @ A.T],
                               atol=1e-6)
    eps = rng.standard_normal((40_000, 2))
    z = (x[0] - b) @ A.T + s * eps
    draws = Normal(np.zeros(4), np.full(4, np.log(0.5))).log_prob(x[0] - b - z @ W.T).numpy()
    assert draws.mean() == pytest.approx(likelihood[0], abs=5 * draws.std() / 200)


@pytest.mark.parametrize("claimed, expected", [(likelihood + rate, "not-a-bound"), (likelihood, "missing-term"),
                                               (likelihood - 2 * rate, "extra-term"),
                                               (likelihood - rate + 2 * np.log(2 * np.pi), "offset"),
                                               (likelihood - rate + [5, 1, 2, 3, 4], "not-a-bound")])
def test_mistakes_on_a_linear_gaussian_model(claimed, expected):
    terms = {"KL(q ‖ prior)": -rate} if expected in ("missing-term", "extra-term") else {}
    assert kind(check.elbo(model, x, claimed=claimed, terms=terms)) == expected


def test_models_by_duck_typing():
    assert check.elbo(model, x).ok

    class Sampled:
        """Its ELBO draws z."""
        log_prob, gap = staticmethod(model.log_prob), staticmethod(model.gap)

        def elbo(self, points, rng):
            z = (x - b) @ A.T + s * rng.standard_normal((5, 2), dtype="float64").numpy()
            r = x - b - z @ W.T
            return -2 * np.log(2 * np.pi * 0.25) - 0.5 * np.sum(r * r, axis=1) / 0.25 - rate

    report = check.elbo(Sampled(), x, n=400)
    assert report.ok and "400 draws each" in str(report)
    bound_only = check.elbo(None, x, claimed=likelihood - rate, log_prob=model.log_prob)
    assert bound_only.ok and "only the bound was tested" in bound_only.notes[0]
    assert kind(check.elbo(None, x, claimed=model.log_prob(x) + 1, log_prob=model.log_prob)) == "not-a-bound"
    assert check.elbo(None, mg.tensor(x), claimed=lambda x: likelihood - rate, log_prob=model.log_prob,
                      gap=model.gap).ok


@pytest.mark.parametrize("run, message", [
    (lambda: check.elbo(p, q=p), "q must be the Table of its latent variables given the observed ones"),
                                          (lambda: check.elbo(p, q=q, claimed=np.zeros(2)),
                                           "one number per value of x"),
    (lambda: check.elbo(None, x), "needs points x"), (lambda: check.elbo(model, x, claimed=np.zeros(3)),
                                                      "one number per example")])
def test_misuse(run, message):
    with pytest.raises(ValueError, match=message):
        run()
