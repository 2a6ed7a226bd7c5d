"""The theory of GANs on finite spaces, where sums are exact, and on the line, by quadrature."""
import math

import numpy as np
import pytest

import minigen as mg
from minigen.check.divergences import divergence
from minigen.distributions import Normal, Table
from minigen.models.adversarial import theory

TABLES = [(Table.random(0, x=5), Table.random(1, x=5)),
          (Table.random(2, x=2, y=3), Table.random(3, x=2, y=3)),
          (Table([0.5, 0.5, 0.0, 0.0], "x"), Table([0.0, 0.5, 0.5, 0.0], "x")),      # half apart; neither has x = 3
          (Table([1.0, 0.0], "x"), Table([0.0, 1.0], "x"))]                          # wholly apart


def gaussian(mean, std):
    return Normal(np.float64(mean), np.float64(math.log(std)), event_ndim=0)


GAUSSIANS = [(gaussian(0, 1), gaussian(1.5, 0.7)), (gaussian(0, 1), gaussian(0, 1)),
             (gaussian(-1, 0.5), gaussian(2, 0.4))]


# ---- the best discriminator ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p, q", TABLES)
def test_best_discriminator_of_tables(p, q):
    """D* = p/(p + q), Eq. (2), ½ where neither has mass."""
    total = p.probabilities + q.probabilities
    wanted = np.where(total > 0, p.probabilities / np.where(total > 0, total, 1), 0.5)
    np.testing.assert_allclose(theory.best_discriminator(p, q), wanted, atol=1e-14)


def test_axes_are_matched_by_name():
    p, q = TABLES[1]
    turned = Table(q.probabilities.T, "y", "x")
    np.testing.assert_array_equal(theory.best_logit(p, turned), theory.best_logit(p, q))


def test_best_discriminator_of_gaussians():
    """For equal widths a* is the line −m x + ½ m², and D* its sigmoid."""
    x = np.linspace(-5, 5, 31)
    D = theory.best_discriminator(gaussian(0, 1), gaussian(1.5, 1))(x)
    np.testing.assert_allclose(D, 1 / (1 + np.exp(1.5 * x - 0.5 * 1.5 ** 2)), rtol=1e-12)
    vector = Normal(np.array([1.5]), np.array([0.0]))                                # event of shape (1,)
    np.testing.assert_allclose(theory.best_discriminator(gaussian(0, 1), vector)(x), D, rtol=1e-12)


@pytest.mark.parametrize("p, q", TABLES[:2])
def test_no_discriminator_does_better_on_tables(p, q):
    """100 random steps away from a* all lower V, and it is flat there, Eq. (2)."""
    best, a = theory.value(p, q), theory.best_logit(p, q)
    rng = np.random.default_rng(0)
    for _ in range(100):
        move = rng.standard_normal(a.shape)
        assert theory.value(p, q, a + move) < best
        assert abs(theory.value(p, q, a + 1e-5 * move) - best) < 1e-9


def test_no_discriminator_does_better_on_gaussians():
    p, q = GAUSSIANS[0]
    a = theory.best_logit(p, q)
    for other in (lambda x: a(x) + 0.3, lambda x: 0.8 * a(x), lambda x: a(x) + mg.sin(x), lambda x: 0 * x):
        assert theory.value(p, q, other) < theory.value(p, q) - 1e-4


# ---- the two games ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p, q", TABLES)
def test_value_is_twice_jsd_minus_log_4_on_tables(p, q):
    """Eq. (3), against `Table.jsd`."""
    assert theory.value(p, q) == pytest.approx(2 * p.jsd(q) - math.log(4), abs=1e-13)


@pytest.mark.parametrize("p, q", GAUSSIANS)
def test_value_is_twice_jsd_minus_log_4_on_gaussians(p, q):
    """Eq. (3), against the quadrature of `check.divergences`."""
    jsd = divergence(p, q, kind="jsd", n=1000).values["JSD(p, q)"]
    assert theory.value(p, q) == pytest.approx(2 * jsd - math.log(4), abs=1e-8)


def test_a_fair_coin_is_worth_minus_log_4():
    for p, q in TABLES[:2]:
        assert theory.value(p, q, np.zeros(p.probabilities.shape)) == pytest.approx(-math.log(4), abs=1e-14)
        assert theory.classification_error(p, q, np.zeros(p.probabilities.shape)) == pytest.approx(0.5, abs=1e-14)


@pytest.mark.parametrize("p, q", TABLES)
def test_classification_error_is_half_of_one_minus_total_variation(p, q):
    """Eq. (7), and no random discriminator errs less."""
    tv = 0.5 * np.abs(p.probabilities - q.probabilities).sum()
    best = theory.classification_error(p, q)
    assert best == pytest.approx(0.5 * (1 - tv), abs=1e-14)
    certain = np.where(p.probabilities > q.probabilities, np.inf, -np.inf)
    assert theory.classification_error(p, q, certain) == pytest.approx(best, abs=1e-14)
    for a in np.random.default_rng(1).standard_normal((50, *p.probabilities.shape)) * 3:
        assert theory.classification_error(p, q, a) >= best


def test_classification_error_of_shifted_gaussians():
    """Bayes' error of N(0, 1) against N(m, 1) is Φ(−m/2)."""
    for m in (0.5, 2.0, 4.0):
        wanted = 0.5 * math.erfc(m / 2 / math.sqrt(2))
        assert theory.classification_error(gaussian(0, 1), gaussian(m, 1)) == pytest.approx(wanted, abs=1e-7)


# ---- how q moves -----------------------------------------------------------------------------------------------------
def test_the_derivative_by_q_is_log_one_minus_D():
    """Eq. (4): differences of 2 JSD along directions that keep Σ q = 1."""
    p, q = TABLES[0]
    slope = np.log1p(-theory.best_discriminator(p, q))
    for move in np.random.default_rng(2).standard_normal((5, 5)):
        move -= move.mean()
        above, below = (theory.value(p, Table(q.probabilities + h * move, "x")) for h in (1e-6, -1e-6))
        assert (above - below) / 2e-6 == pytest.approx(slope @ move, abs=1e-8)


def test_moving_q_itself_converges_to_p():
    """Eq. (5): with η = 1 the difference halves in each step; with η = ½ V falls in each and reaches −log 4."""
    p, q = Table([0.7, 0.2, 0.1, 0.0], "x"), Table([0.05, 0.05, 0.1, 0.8], "x")
    first, halved = p.difference(q), q
    for t in range(1, 31):
        halved = theory.step(p, halved)
        assert p.difference(halved) == pytest.approx(first / 2 ** t, abs=1e-12)
    values = [theory.value(p, q)]
    for _ in range(100):
        q = theory.step(p, q, rate=0.5)
        values.append(theory.value(p, q))
        assert values[-1] <= values[-2] + 1e-14
    assert values[-1] == pytest.approx(-math.log(4), abs=1e-9)


def test_moving_a_parameter_may_stop_at_the_smaller_mode():
    """p has modes of weight 0.3 at −3 and 0.7 at 3; q_θ = N(θ, ½²). V(G_θ, D*) has a minimum at each; one is better."""
    small, large, log_weights = gaussian(-3, 0.5), gaussian(3, 0.5), (math.log(0.3), math.log(0.7))

    def p(x):
        return mg.logaddexp(log_weights[0] + small.log_prob(x), log_weights[1] + large.log_prob(x))

    def V(theta):
        return theory.value(p, gaussian(theta, 0.5), scale=3.0)

    theta, h = -2.0, 1e-3
    for _ in range(100):                                        # gradient descent on θ
        theta -= 0.5 * (V(theta + h) - V(theta - h)) / (2 * h)
    assert abs(theta + 3) < 1e-3                                # at the smaller mode
    assert min(V(theta - 0.1), V(theta + 0.1)) > V(theta)       # a minimum
    assert V(3.0) < V(theta) - 0.1                              # not the best


# ---- gradients -------------------------------------------------------------------------------------------------------
P = gaussian(0, 1)


def kl(q, p):
    return divergence(q, p, kind="kl", n=1000).values["KL(p‖q)"]


def difference(f, m, h=1e-4):
    return (f(m + h) - f(m - h)) / (2 * h)


@pytest.mark.parametrize("m, std", [(0.7, 1.0), (2.0, 0.6), (-3.0, 1.5)])
def test_minimax_gradient_is_that_of_the_jsd(m, std):
    """Eq. (9): D* held fixed, yet the derivative of V(G_m, D*) in full."""
    ours = theory.generator_gradient(P, gaussian(m, std), "minimax")
    assert ours == pytest.approx(difference(lambda t: theory.value(P, gaussian(t, std)), m), abs=1e-6)


@pytest.mark.parametrize("m, std", [(0.7, 1.0), (2.0, 0.6), (-3.0, 1.5)])
def test_non_saturating_gradient_is_of_kl_minus_twice_jsd(m, std):
    """Eq. (10). KL(N(m, s²) ‖ N(0, 1)) has the derivative m."""
    ours = theory.generator_gradient(P, gaussian(m, std), "non-saturating")
    jsd = difference(lambda t: theory.value(P, gaussian(t, std)), m)
    assert ours == pytest.approx(m - jsd, abs=1e-6)
    assert difference(lambda t: kl(gaussian(t, std), P), m) == pytest.approx(m, abs=1e-5)


def test_the_first_loss_saturates_and_the_second_does_not():
    """Eq. (11): bounded by ½ m e^{−m²/8}, while the other tends to m."""
    for m in (1.0, 4.0, 10.0, 20.0):
        first, second = (theory.generator_gradient(P, gaussian(m, 1), loss, centre=m / 2, scale=m)
                         for loss in ("minimax", "non-saturating"))
        assert 0 < first <= 0.5 * m * math.exp(-m * m / 8)
        assert second == pytest.approx(m - first, rel=1e-6)


# ---- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, words", [
    (lambda: theory.value(TABLES[0][0], TABLES[1][0]), "Tables over the same variables"),
    (lambda: theory.value(TABLES[0][0], TABLES[0][1], np.zeros(4)), r"entries \(5,\), got shape \(4,\)"),
    (lambda: theory.value(P, TABLES[0][0]), r"got a Table p\(x\) beside a density"),
    (lambda: theory.step(TABLES[3][0], TABLES[3][1]), "q is 0 at 1 points where p is not"),
    (lambda: theory.step(*TABLES[0], rate=0), "rate must be positive, got 0"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
