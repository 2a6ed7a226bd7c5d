"""check.bijection: round trips, and log-determinants against the dense Jacobian."""
import numpy as np
import pytest

import minigen as mg
from minigen import check

pytestmark = pytest.mark.usefixtures("backend")
rng = np.random.default_rng(0)
x, scale = rng.standard_normal((5, 3)), np.array([0.5, 2.0, 3.0])
log_det = np.full(5, np.log(scale).sum())


def forward(x):
    return x * mg.tensor(scale) + 1


def inverse(y):
    return (y - 1) / mg.tensor(scale)


def sinh(x):
    return mg.sinh(x), mg.log(mg.cosh(x)).sum(axis=-1)


def arcsinh(y):
    x = mg.log(y + mg.sqrt(y * y + 1))
    return x, -mg.log(mg.cosh(x)).sum(axis=-1)


def test_right_ones_hold():
    assert check.bijection(forward, inverse, log_det, x).ok
    report = check.bijection(sinh, arcsinh, x=x)
    assert report.ok and [c.subject for c in report.claims][:4] == ["log|det ∂y/∂x|", "x → y → x", "y → x → y",
                                                                    "log|det ∂x/∂y|"]
    assert check.bijection(lambda x: x.reshape((5, 3)), lambda y: y.reshape((5, 1, 3)), np.zeros(5),
                           x.reshape(5, 1, 3)).ok


@pytest.mark.parametrize("forward, inverse, claimed, kind, words", [
    (forward, inverse, -log_det, "direction", "opposite sign"), (forward, inverse, log_det.sum(), "per-batch",
                                                                 "one per example"),
    (forward, inverse, np.log(np.tile(scale, (5, 1))), "missing-sum", "the sum over the event is missing"),
    (forward, inverse, np.exp(log_det), "function", "take its logarithm"),
                                                                    (forward, inverse, 2 * log_det, "factor",
                                                                     "2 times"),
    (forward, forward, log_det, "direction",
     "the forward map once more"), (forward, lambda y: (y + 1) / mg.tensor(scale), log_det, "affine",
                                    "shifted by [4.0, 1.0, 0.66667]"),
    (forward, lambda y: y - 1, log_det, "affine",
     "multiplied by [0.5, 2.0, 3.0]"), (forward, lambda y: y[:, :2], log_det, "shape", "should give (5, 3)"),
    (lambda x: x * mg.tensor([1.0, 0.0, 1.0]), None, np.zeros(5), "singular", "not invertible"),
    (lambda x: x - x.mean(axis=0), None, np.zeros(5), "crosstalk", "evaluation mode"),
    (lambda x: (mg.sinh(x), mg.log(mg.cosh(x))[:, 1:].sum(axis=-1)), None, None, "missing-term", "dimension 0"),
    (sinh, lambda y: (arcsinh(y)[0], -arcsinh(y)[1]), None, "direction", "the inverse needs a minus"),
    (lambda x: -x, None, np.full(5, np.nan), "nan", "take log |det|, not log det"),
])
def test_mistakes(forward, inverse, claimed, kind, words):
    report = check.bijection(forward, inverse, claimed, x)
    assert not report.ok
    found = report.findings[0].diagnosis
    assert found.kind == kind and words in found.text, found


def test_a_determinant_in_place_of_its_logarithm():
    report = check.bijection(lambda x: sinh(x)[0], None, np.cosh(x).prod(1), x)
    assert report.findings[0].diagnosis.text == "yours is the determinant itself: take its logarithm"


def test_a_map_that_refuses_its_own_values():
    def sqrt(x):
        if bool((x < 0).any()):
            raise ValueError("no root")
        return mg.sqrt(x) - 5

    p = rng.uniform(1, 4, (5, 3))
    assert check.bijection(sqrt, lambda y: (y + 5) ** 2, x=p).ok
    found = check.bijection(sqrt, lambda y: (y + 5) ** 2 + 1, x=p).findings[0].diagnosis
    assert "what returns is what went in + 1 everywhere" in found.text, found


@pytest.mark.parametrize("run, message", [
    (lambda: check.bijection(forward, x=np.ones(3)), r"x must hold a batch of examples, \(N, \*event\), got shape "
                                                     r"\(3,\)"),
    (lambda: check.bijection(forward), "got shape None"),
    (lambda: check.bijection(lambda x: x[:, :2], x=x), "keeps the batch axis and the number of elements"),
    (lambda: check.bijection(mg.exp, x=np.ones((1, 2000))), "an event has 2000 numbers"),
])
def test_misuse(run, message):
    with pytest.raises(ValueError, match=message):
        run()
