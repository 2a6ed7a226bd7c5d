"""Energy losses: values by hand, gradients, which ones collapse, and what a small loss proves."""
import math

import numpy as np
import pytest
from helpers import assert_gradients
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

import minigen as mg
from minigen.models.energy import LOSSES, decide
from minigen.models.energy.decisions import hinge, offending

pytestmark = pytest.mark.usefixtures("backend")
losses = pytest.mark.parametrize("name", LOSSES)
BY_HAND = {                                  # of energies (E⁺, E⁻) and possibly a third, higher one
    "energy": lambda r, w, E: r, "perceptron": lambda r, w, E: r - min(E), "hinge": lambda r, w, E: max(0, 1 + r - w),
    "log": lambda r, w, E: math.log(1 + math.exp(r - w)), "LVQ2": lambda r, w, E: min(1, max(0, r - w)),
    "MCE": lambda r, w, E: 1 / (1 + math.exp(w - r)), "square-square": lambda r, w, E: r ** 2 + max(0, 1 - w) ** 2,
    "square-exponential": lambda r, w, E: r ** 2 + math.exp(-w),
    "NLL": lambda r, w, E: r + math.log(sum(math.exp(-e) for e in E)),
    "MEE": lambda r, w, E: 1 - math.exp(-r) / sum(math.exp(-e) for e in E)}


@losses
@given(energies=hnp.arrays(np.float64, (3,), elements=st.floats(-4, 4)), label=st.integers(0, 2))
def test_values(name, energies, label):
    right, wrong = energies[label], min(np.delete(energies, label))
    ours = LOSSES[name](mg.tensor(energies[None]), mg.tensor([label])).item()
    np.testing.assert_allclose(ours, BY_HAND[name](right, wrong, list(energies)), rtol=1e-9, atol=1e-9)


@losses
def test_gradients(name):
    E = np.random.default_rng(0).standard_normal((4, 3))
    assert_gradients(lambda E: LOSSES[name](E, mg.tensor([0, 1, 2, 1])), E)


@losses
def test_which_losses_collapse(name):
    """At a flat surface E = 0 the gradient parts right from wrong just where the table says so."""
    E = mg.tensor(np.zeros((1, 3)), requires_grad=True)
    loss = LOSSES[name](E, mg.tensor([0]))
    g = mg.grad(loss.sum(), E).numpy()[0]
    apart = g[0] - g[1:].min() > 1e-6                     # a step against g lowers E⁺ against some wrong energy
    if name in ("energy", "perceptron", "LVQ2"):
        assert not LOSSES[name].margin
        flat = LOSSES[name](mg.tensor(np.zeros((1, 3))), mg.tensor([0])).item()
        assert flat == 0                                   # the flat surface reaches the least value with E ≥ 0
    else:
        assert LOSSES[name].margin and apart


@losses
@given(energies=hnp.arrays(np.float64, (4,), elements=st.floats(-5, 5)), label=st.integers(0, 3))
def test_a_loss_below_its_certificate_means_a_right_answer(name, energies, label):
    loss = LOSSES[name]
    value = loss(mg.tensor(energies[None]), mg.tensor([label])).item()
    if loss.certificate is not None and value < loss.certificate - 1e-9:
        assert decide(mg.tensor(energies[None])).item() == label


def test_the_certificates_are_sharp():
    """A tie between right and wrong reaches the certificate, so no larger value would do."""
    for loss in LOSSES.values():
        if loss.certificate is not None:
            tie = mg.tensor(np.array([[1.0, 1.0]]))
            np.testing.assert_allclose(loss(tie, mg.tensor([0])).item(), loss.certificate)


def test_other_margins_and_offenders():
    E = mg.tensor([[0.0, 3.0, 1.0], [2.0, 1.0, 5.0]])
    np.testing.assert_allclose(offending(E, mg.tensor([0, 1])).numpy(), [1, 2])
    np.testing.assert_allclose(hinge(2.5)(E, mg.tensor([0, 1])).numpy(), [1.5, 1.5])
    assert decide(E).numpy().tolist() == [0, 1]


@pytest.mark.parametrize("E, labels", [((3,), (3,)), ((3, 1), (3,)), ((3, 2), (2,))])
def test_bad_shapes(E, labels):
    with pytest.raises(ValueError, match=r"EnergyLoss: wants energies \(N, K\) with K ≥ 2 answers and labels \(N,\), "
                                         "got"):
        LOSSES["log"](mg.zeros(E), mg.zeros(labels, dtype="int64"))
