"""check.jacobian and check.hessian."""
import numpy as np
import pytest

import minigen as mg
from minigen import check

pytestmark = pytest.mark.usefixtures("backend")
rng = np.random.default_rng(0)
A, B, x = rng.standard_normal((3, 4)), rng.standard_normal((4, 4)), rng.standard_normal(4)
J = (1 - np.tanh(A @ x) ** 2)[:, None] * A


def f(x):
    return mg.tanh(mg.tensor(A) @ x)


def quadratic(x):
    return x @ mg.tensor(B) @ x


@pytest.mark.parametrize("claimed, kind", [(J, None), (lambda x: (1 - np.tanh(A @ x) ** 2)[:, None] * A, None),
                                           (J.astype("f4"), None), (None, None), (2 * J, "factor"),
                                           (J.T, "transpose"), (2 * J.T, "transpose"), (A, "chain-factor"),
                                           (J[:2], "shape")])
def test_jacobian(claimed, kind):
    report = check.jacobian(f, x, claimed)
    assert report.ok == (kind is None)
    assert kind is None or report.findings[0].diagnosis.kind == kind


def test_transposed_and_doubled_are_both_told():
    assert "besides, yours is 2 times ours everywhere" in str(check.jacobian(f, x, 2 * J.T))


def test_jacobian_of_matrices():
    X = rng.standard_normal((2, 3))
    claimed = np.einsum("ik,jl->ijkl", np.eye(2), np.eye(3)) * np.exp(X)[..., None, None]
    assert check.jacobian(mg.exp, X, claimed).ok
    report = check.jacobian(mg.exp, X, claimed + 1)
    worst = report.findings[0].elements[0]
    assert not report.ok and worst.numeric == pytest.approx(worst.ours, abs=1e-6)


@pytest.mark.parametrize("claimed, kind", [(B + B.T, None), (None, None), (B, "symmetric"), ((B + B.T) / 2, "factor"),
                                           (np.diag(np.diag(B + B.T)), "diagonal"),
                                           (rng.standard_normal((4, 4)), "asymmetric")])
def test_hessian(claimed, kind):
    report = check.hessian(quadratic, x, claimed)
    assert report.ok == (kind is None)
    for finding in report.findings:
        worst = finding.elements[0]
        assert finding.diagnosis.kind == kind and worst.numeric == pytest.approx(worst.ours, abs=1e-5)


def test_a_kink_is_told():
    assert "kink" in check.jacobian(mg.abs, np.array([0.0, 1.0])).notes[0]
