"""What cannot be checked is refused in one sentence that says what to do."""
import numpy as np
import pytest

import minigen as mg
from minigen import check

pytestmark = pytest.mark.usefixtures("backend")
x = np.array([0.5, -1.0, 2.0])
noise = np.random.default_rng(0)


def overwrite(x):
    with mg.no_grad():
        x[0] = 1.0
    return (x * x).sum()


@pytest.mark.parametrize("run, kind, message", [
    (lambda: check.gradient(3.0, x), TypeError, "first argument must be the function, got a float"),
    (lambda: check.gradient(lambda x: x), TypeError, "pass the point too"),
    (lambda: check.gradient(lambda x: x.sum(), np.arange(3)), TypeError,
     "x has dtype int64, and whole numbers have no derivative"),
    (lambda: check.gradient(lambda x: x.sum(), "abc"), TypeError, "x has dtype <U3|x is a str"),
    (lambda: check.gradient(lambda x: x.sum(), np.array([1.0, np.nan])), ValueError,
     "x holds NaN; choose a finite point"),
    (lambda: check.gradient(lambda x: x.sum(), np.array([1.0, np.inf])), ValueError, "x holds infinity"),
    (lambda: check.gradient(lambda x: 3.0, x), TypeError, "f returned a float; it must return a Tensor"),
    (lambda: check.gradient(lambda x: (x, x), x), TypeError, "f returned a tuple"),
    (lambda: check.gradient(lambda x: x.astype("float32").sum(), x), TypeError,
     "f returned float32 for float64 inputs"),
    (lambda: check.gradient(lambda x: mg.log(x - 3).sum(), x), ValueError, "f is NaN at this point"),
    (lambda: check.gradient(lambda x: (1 / (x - 2)).sum(), x), ValueError, "f is infinite at this point"),
    (lambda: check.gradient(lambda x: (x * noise.standard_normal()).sum(), x), ValueError,
     "another value when called again.*eps="),
    (lambda: check.gradient(overwrite, x), ValueError, "overwrite changes its input x in place"),
    (lambda: check.gradient(lambda x: x.sum(), x, order=3), ValueError, "order must be 1 or 2, got 3"),
    (lambda: check.gradient(lambda x: x * 2, x, claimed=x), ValueError,
     r"f returned shape \(3,\), and a gradient belongs to one number"),
    (lambda: check.gradient(lambda x: x * 2, x, cotangent=np.ones(2)), ValueError,
     r"cotangent has shape \(2,\), the output of f \(3,\)"),
    (lambda: check.gradient(lambda a, b: (a * b).sum(), x, x, claimed=(x,)), ValueError,
     "2 inputs .a, b., and you claim 1"),
    (lambda: check.gradient(lambda a, b: (a * b).sum(), x, x, claimed={"c": x}), ValueError,
     "gradient for 'c', but the inputs are a, b"),
    (lambda: check.gradient(lambda x: x.sum(), x, claimed=np.array(["a"] * 3)), TypeError,
     "your gradient for x has dtype"),
    (lambda: check.gradient(lambda x: x.sum(), x, claimed=lambda x: x.nothing), TypeError,
     "your function failed at this point"),
    (lambda: check.gradient(lambda x: x.sum(), x, claimed=2 * x, terms={"part": lambda x: x * 2}), ValueError,
     "the term 'part' returned shape"),
    (lambda: check.hessian(lambda x: x * x, x), ValueError, "a Hessian belongs to one number"),
    (lambda: check.jacobian(lambda x: x * x, x, claimed=np.array("a")), TypeError, "your jacobian has dtype"),
])
def test_misuse(run, kind, message):
    with np.errstate(all="ignore"), pytest.raises(kind, match=message):
        run()
