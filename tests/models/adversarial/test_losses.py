"""Each loss in closed form, and what it makes the best discriminator and the generator aim at, on a finite space."""
import numpy as np
import pytest
from scipy.special import expit

import minigen as mg
from minigen.distributions import Table
from minigen.models.adversarial import LOSSES, Loss
from minigen.models.adversarial.losses import get, least_squares

pytestmark = pytest.mark.usefixtures("backend")

A = np.array([-3.0, -0.4, 0.0, 0.7, 2.5])
D = expit(A)
WANTED = {                                                      # name: (real, fake, generator), from the papers
    "minimax": (-np.log(D), -np.log(1 - D), np.log(1 - D)),
    "non-saturating": (-np.log(D), -np.log(1 - D), -np.log(D)),
    "classification-error": ((1 - D) / 2, D / 2, -D / 2),
    "least-squares": ((A - 1) ** 2 / 2, A ** 2 / 2, (A - 1) ** 2 / 2),
    "hinge": (np.maximum(0, 1 - A), np.maximum(0, 1 + A), -A),
    "wasserstein": (-A, A, -A),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_three_functions_equal_the_papers(name):
    loss, a = LOSSES[name], mg.tensor(A)
    for ours, wanted in zip((loss.real(a), loss.fake(a), loss.generator(a)), WANTED[name], strict=True):
        np.testing.assert_allclose(ours.numpy(), wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["minimax", "non-saturating"])
def test_far_logits_stay_finite(name):
    loss, a = LOSSES[name], mg.tensor([-200.0, 200.0])
    np.testing.assert_allclose(loss.real(a).numpy(), [200.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(loss.fake(a).numpy(), [0.0, 200.0], atol=1e-6)


P = Table([0.1, 0.2, 0.3, 0.4], "x").probabilities
Q = Table([0.4, 0.3, 0.25, 0.05], "x").probabilities
TV = 0.5 * np.abs(P - Q).sum()


def discriminator_loss(loss, a):
    """Σ p real(a) + q fake(a), Eq. (1), a Tensor."""
    return mg.sum(mg.tensor(P) * loss.real(a) + mg.tensor(Q) * loss.fake(a))


@pytest.mark.parametrize("loss, best", [
    (LOSSES["minimax"], np.log(P / Q)),
    (LOSSES["least-squares"], P / (P + Q)),
    (least_squares(1, -1, 0), (P - Q) / (P + Q)),
    (least_squares(0.3, -0.5, 2), (0.3 * P - 0.5 * Q) / (P + Q)),
])
def test_a_smooth_loss_is_flat_at_the_best_discriminator(loss, best):
    """Eqs. (2), (5): the derivative vanishes there, and 50 random steps away from it are all worse."""
    a = mg.tensor(best, requires_grad=True)
    least = discriminator_loss(loss, a)
    np.testing.assert_allclose(mg.grad(least, a, retain_graph=True).numpy(), 0.0, atol=1e-12)
    for move in np.random.default_rng(0).standard_normal((50, 4)):
        assert float(discriminator_loss(loss, mg.tensor(best + move))) > float(least)


def test_hinge_is_least_at_the_sign_and_measures_total_variation():
    """Eq. (6): min L_D = 2 Σ min(p, q) = 2 (1 − TV)."""
    best = np.sign(P - Q)
    least = float(discriminator_loss(LOSSES["hinge"], mg.tensor(best)))
    assert least == pytest.approx(2 * (1 - TV), abs=1e-12)
    for move in np.random.default_rng(1).standard_normal((50, 4)):
        assert float(discriminator_loss(LOSSES["hinge"], mg.tensor(best + move))) >= least - 1e-12


def test_least_squares_minimises_half_of_pearsons_chi_squared():
    """b = 1, c₀ = −1, c = 0: ½ E_p (a* − c)² + ½ E_q (a* − c)² = ½ χ²(p + q ‖ 2q)."""
    best = (P - Q) / (P + Q)
    ours = np.sum((P + Q) * least_squares(1, -1, 0).generator(mg.tensor(best)).numpy())
    chi_squared = np.sum((2 * Q - (P + Q)) ** 2 / (P + Q))
    assert ours == pytest.approx(0.5 * chi_squared, abs=1e-14)


def test_get_takes_names_and_losses_and_refuses_others():
    mine = Loss("mine", *[lambda a: a] * 3)
    assert get(mine) is mine and get("hinge") is LOSSES["hinge"]
    with pytest.raises(ValueError, match="no loss is called 'hing'; did you mean 'hinge'"):
        get("hing")
