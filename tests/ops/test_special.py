"""Distribution functions and their inverses: against SciPy, against each other, and by central differences."""
import numpy as np
import pytest
import scipy.special
from helpers import assert_gradients
from hypothesis import given, strategies as st

import minigen as mg

pytestmark = pytest.mark.usefixtures("backend")
shapes, probabilities = st.floats(0.2, 20), st.floats(0.01, 0.99)


def t(value):
    return mg.tensor(np.asarray(value, dtype=np.float64))


@given(shapes, shapes, st.floats(-6, 6), probabilities)
def test_values_are_scipys(a, b, x, p):
    for ours, theirs in [(mg.ndtr(t(x)), scipy.special.ndtr(x)), (mg.ndtri(t(p)), scipy.special.ndtri(p)),
                         (mg.gammainc(t(a), t(abs(x))), scipy.special.gammainc(a, abs(x))),
                         (mg.gammaincinv(t(a), t(p)), scipy.special.gammaincinv(a, p)),
                         (mg.betainc(t(a), t(b), t(p)), scipy.special.betainc(a, b, p)),
                         (mg.betaincinv(t(a), t(b), t(p)), scipy.special.betaincinv(a, b, p))]:
        np.testing.assert_allclose(ours.item(), theirs, rtol=1e-12)


@given(shapes, shapes, probabilities)
def test_the_inverses_invert(a, b, p):
    np.testing.assert_allclose(mg.ndtr(mg.ndtri(t(p))).item(), p, rtol=1e-9)
    np.testing.assert_allclose(mg.gammainc(t(a), mg.gammaincinv(t(a), t(p))).item(), p, rtol=1e-7)
    np.testing.assert_allclose(mg.betainc(t(a), t(b), mg.betaincinv(t(a), t(b), t(p))).item(), p, rtol=1e-7)


def test_gradients():
    p, a = np.array([0.1, 0.5, 0.8]), np.array([[0.7], [3.0]])
    assert_gradients(mg.ndtr, np.array([-2.0, 0.0, 1.5]))
    assert_gradients(mg.ndtri, p)
    assert_gradients(lambda x: mg.gammainc(t(a), x), 4 * p)
    assert_gradients(lambda p: mg.gammaincinv(t(a), p), p)
    assert_gradients(lambda x: mg.betainc(t(a), t(2.0), x), p)
    assert_gradients(lambda p: mg.betaincinv(t(a), t(2.0), p), p)


@pytest.mark.parametrize("f, n", [(mg.gammainc, 2), (mg.gammaincinv, 2), (mg.betainc, 3), (mg.betaincinv, 3)])
def test_the_derivatives_that_are_missing_say_so(f, n):
    leaves = [mg.tensor(np.float64(0.5), requires_grad=True) for _ in range(n)]
    with pytest.raises(NotImplementedError, match=f"{f.op.name}: its derivative with respect to a is no elementary"):
        mg.grad(f(*leaves), leaves[0])
    mg.grad(f(*(leaf.detach() for leaf in leaves[:-1]), leaves[-1]), leaves[-1])          # and the others do not


def test_float32_stays():
    x = mg.tensor([0.3])
    assert {f.dtype.name for f in (mg.ndtr(x), mg.ndtri(x), mg.gammainc(x, x), mg.betainc(x, x, x))} == {"float32"}
