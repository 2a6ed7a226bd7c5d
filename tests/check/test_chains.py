"""check.chain: finite chains exactly, continuous ones by sampling (false alarms: one in a million, seeds fixed)."""
import numpy as np
import pytest

import minigen as mg
from minigen import check
from minigen.distributions import Normal

pi = np.array([0.1, 0.2, 0.3, 0.4])


def ring(ratio):
    """Random-walk Metropolis on a ring of four states."""
    P = np.zeros((4, 4))
    for i in range(4):
        for j in ((i - 1) % 4, (i + 1) % 4):
            P[i, j] += 0.5 * min(1, ratio(i, j))
        P[i, i] = 1 - P[i].sum()
    return P


GOOD = ring(lambda i, j: pi[j] / pi[i])


def kind(report):
    return report.findings[0].diagnosis.kind


def test_a_sound_chain():
    report = check.chain(GOOD, pi)
    assert report.ok and report.values["stationary distribution"] == pytest.approx(pi)
    assert report.values["spectral gap"] == pytest.approx(1 - np.sort(np.abs(np.linalg.eigvals(GOOD)))[-2])
    assert check.chain(GOOD).values["reversible"] is True and check.chain(mg.tensor(GOOD), mg.tensor(pi)).ok
    assert check.chain([[1.0]], [1.0]).ok


@pytest.mark.parametrize("P, target, expected", [
    (GOOD.T, pi, "transpose"), (GOOD - np.diag(np.diag(GOOD)), pi, "rows"),
                                                 (ring(lambda i, j: pi[i] / pi[j]), pi, "target"),
    (ring(lambda i, j: (pi[j] / pi[i]) ** 2), pi, "target"), (ring(lambda i, j: 1), pi, "periodic"),
                                                 (np.roll(np.eye(4), 1, 1), np.full(4, 0.25), "periodic"),
    (np.kron(np.eye(2), np.full((2, 2), 0.5)), pi, "reducible"),
                                                 (np.array([[0.5, 0.5], [0, 1.0]]), [0.0, 1.0], "reducible"),
    (np.array([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]), np.full(3, 1 / 3), "irreversible"),
    (GOOD, 2 * pi, "constant"), (GOOD, pi[::-1], "none"), (GOOD - 2 * np.eye(4), pi, "negative")])
def test_mistakes(P, target, expected):
    report = check.chain(P, target)
    assert not report.ok and kind(report) == expected, report


def test_what_the_chain_does_instead_is_told():
    assert "upside down" in str(check.chain(ring(lambda i, j: pi[i] / pi[j]), pi))
    assert "the square of the target" in str(check.chain(ring(lambda i, j: (pi[j] / pi[i]) ** 2), pi))
    assert "once in [1] the chain never leaves it" in str(check.chain(np.array([[0.5, 0.5], [0, 1.0]]), [0.0, 1.0]))


def test_stationary_without_detailed_balance():
    drift = np.array([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]])
    assert check.chain(drift, np.full(3, 1 / 3),
                       reversible=False).ok and check.chain(drift).values["reversible"] is False


# ---- continuous spaces -----------------------------------------------------------------------------------------------
normal = Normal(np.zeros(2), np.zeros(2))


def metropolis(x, rng, temperature=1.0):
    y = x + rng.standard_normal(x.shape)
    accept = mg.log(rng.random(len(x)) + 1e-30) < (normal.log_prob(y) - normal.log_prob(x)) / temperature
    return mg.where(accept.reshape((-1, 1)), y, x)


def test_continuous_chains():
    report = check.chain(metropolis, normal)
    assert report.ok and 0.3 < report.values["moved"] < 0.8
    assert check.chain(lambda x, rng: 0.9 * x + np.sqrt(0.19) * rng.standard_normal(x.shape), normal).ok
    assert check.chain(lambda x, rng: x, normal).notes == ["no state moved at all: the chain keeps any distribution, "
                                                           "and is not irreducible"]


def test_continuous_mistakes():
    assert kind(check.chain(lambda x, rng: metropolis(x, rng, 2.0), normal)) == "stationary"
    assert kind(check.chain(lambda x, rng: 0.9 * x + 0.5 * rng.standard_normal(x.shape), normal)) == "stationary"
    turn = mg.tensor(np.array([[0.6, -0.8], [0.8, 0.6]]))
    assert kind(check.chain(lambda x, rng: x @ turn, normal)) == "irreversible"
    assert check.chain(lambda x, rng: x @ turn, normal, reversible=False).ok


@pytest.mark.parametrize("run, message", [
    (lambda: check.chain(np.ones((2, 3))), "a square matrix of transition probabilities"),
                                          (lambda: check.chain(GOOD, pi[:3]),
                                           "one probability for each of the 4 states"),
    (lambda: check.chain(metropolis), "pass target="), (lambda: check.chain(lambda x, rng: x[:, :1], normal),
                                                        "a step keeps the shape")])
def test_misuse(run, message):
    with pytest.raises(ValueError, match=message):
        run()
