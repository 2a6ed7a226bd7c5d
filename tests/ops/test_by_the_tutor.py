"""The ops under `minigen.check.gradient`, the same function that users call: a second judge beside tests/helpers.py."""
import numpy as np
import pytest

import minigen as mg
from minigen import check

pytestmark = pytest.mark.usefixtures("backend")

RNG = np.random.default_rng(0)
A, B, POSITIVE = RNG.standard_normal((3, 4)), RNG.standard_normal((1, 4)), RNG.uniform(0.5, 2, (3, 4))
SQUARE = RNG.standard_normal((3, 3)) + 3 * np.eye(3)

CASES = {
    "add": (mg.add, A, B), "multiply": (mg.multiply, A, B), "divide": (mg.divide, A, POSITIVE),
    "power": (mg.power, POSITIVE, A), "exp": (mg.exp, A), "log": (mg.log, POSITIVE), "tanh": (mg.tanh, A),
    "erf": (mg.erf, A), "lgamma": (mg.lgamma, POSITIVE), "softplus": (mg.softplus, A), "gelu": (mg.gelu, A),
    "maximum": (mg.maximum, A, B), "sum": (lambda x: mg.sum(x, axis=0), A), "var": (lambda x: mg.var(x, axis=1), A),
    "logsumexp": (lambda x: mg.logsumexp(x, axis=1), A), "norm": (mg.norm, A), "softmax": (mg.softmax, A),
    "transpose": (mg.transpose, A), "concatenate": (lambda x, y: mg.concatenate([x, y]), A, B),
    "getitem": (lambda x: x[[0, 0, 2], 1:], A), "matmul": (lambda x, y: x @ mg.transpose(y), A, POSITIVE),
    "einsum": (lambda x, y: mg.einsum("ij,kj->ik", x, y), A, B), "inv": (mg.inv, SQUARE),
    "cholesky": (lambda x: mg.cholesky(x @ mg.transpose(x)), SQUARE),
    "logabsdet": (lambda x: mg.slogdet(x)[1], SQUARE),
    "conv2d": (lambda x, w: mg.conv2d(x, w, padding=1), RNG.standard_normal((1, 4, 4, 2)),
               RNG.standard_normal((3, 3, 2, 2))),
}


@pytest.mark.parametrize("name", CASES)
def test_gradient_to_second_order(name):
    f, *inputs = CASES[name]
    report = check.gradient(f, *inputs)
    assert report.ok, str(report)
