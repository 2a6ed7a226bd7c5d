"""check.estimator: bias and variance (false alarms: one in a million, seeds fixed)."""
import numpy as np
import pytest

from minigen import check

mu = 0.7


def reinforce(rng):
    z = mu + rng.standard_normal((8,)).numpy()
    return (z ** 2 * (z - mu)).mean()


def reparameterised(rng):
    return 2 * (mu + rng.standard_normal((8,)).numpy()).mean()


def test_two_unbiased_estimators_are_compared():
    report = check.estimator({"reinforce": reinforce, "reparameterised": reparameterised}, 2 * mu)
    assert report.ok and report.values["variance of reinforce"] > 3 * report.values["variance of reparameterised"]
    assert report.notes[0].startswith("reparameterised varies least; reinforce has ")
    assert report.values["variance of reparameterised"] == pytest.approx(4 / 8, rel=0.1)
    assert check.estimator(reparameterised, 2 * mu, n=200).claims[0].subject == "reparameterised"


@pytest.mark.parametrize("g, kind, words", [
    (lambda rng: reparameterised(rng) / 2, "factor", "about ½ times"),
                                            (lambda rng: -reparameterised(rng), "sign", "about −1 times"),
    (lambda rng: 0 * reparameterised(rng), "zero", "about 0 times"), (lambda rng: 1.7 * reparameterised(rng), "factor",
                                                                      "times the truth"),
    (lambda rng: reparameterised(rng) + np.nan, "nan", "NaN")])
def test_biased_ones(g, kind, words):
    found = check.estimator(g, 2 * mu, n=600).findings[0].diagnosis
    assert found.kind == kind and words in found.text


def test_arrays():
    truth = np.array([[1.0, 2.0], [-3.0, 0.5]])
    noisy = lambda rng: truth + 0.1 * rng.standard_normal((2, 2)).numpy()
    assert check.estimator(noisy, truth, n=300).ok
    assert check.estimator(lambda rng: noisy(rng).T, truth, n=300).findings[0].diagnosis.kind == "transpose"
    shifted = check.estimator(lambda rng: noisy(rng) + [[0.2, 0], [0, 0]], truth, n=300)
    assert shifted.findings[0].diagnosis.kind == "biased" and shifted.findings[0].elements[0].index == (0, 0)
    assert check.estimator(lambda rng: np.ones(2) + rng.standard_normal((2,)), np.zeros(2),
                           n=300).findings[0].diagnosis.kind == "biased"


def test_misuse():
    with pytest.raises(ValueError, match=r"g returned shape \(2,\), the truth has \(\)"):
        check.estimator(lambda rng: np.zeros(2), 1.0, n=3)
