"""Smooth elementwise ops: values against NumPy and SciPy, derivatives against differences, the edges of domains."""
import math

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import minigen as mg
import numpy as np
import pytest
import scipy.special
from helpers import assert_gradients

pytestmark = pytest.mark.usefixtures("backend")

UNARY = {       # op: (oracle, low, high), a range in which it is smooth and of moderate size
    "negative": (np.negative, -3, 3), "positive": (np.positive, -3, 3), "reciprocal": (lambda x: 1 / x, 0.3, 3),
    "square": (np.square, -3, 3), "sqrt": (np.sqrt, 0.2, 4), "exp": (np.exp, -3, 3), "expm1": (np.expm1, -2, 2),
    "log": (np.log, 0.2, 5), "log1p": (np.log1p, -0.7, 3), "sin": (np.sin, -4, 4), "cos": (np.cos, -4, 4),
    "tan": (np.tan, -1.2, 1.2), "arctan": (np.arctan, -4, 4), "sinh": (np.sinh, -2, 2), "cosh": (np.cosh, -2, 2),
    "tanh": (np.tanh, -3, 3), "erf": (scipy.special.erf, -2, 2), "lgamma": (scipy.special.gammaln, 0.3, 5),
    "digamma": (scipy.special.digamma, 0.5, 5),
}
BINARY = {
    "add": (np.add, -3, 3), "subtract": (np.subtract, -3, 3), "multiply": (np.multiply, -3, 3),
    "divide": (np.divide, 0.4, 3), "power": (np.power, 0.4, 3),
}


def uniform(shape, low, high, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)


def derivatives(f, x):
    """f, f′ and f″ of an elementwise function, as NumPy arrays."""
    x = mg.tensor(x, requires_grad=True)
    y = f(x)
    dy = mg.grad(y, x, mg.ones_like(y), create_graph=True)
    return y.numpy(), dy.numpy(), mg.grad(dy, x, mg.ones_like(dy)).numpy()


# ---- all ops alike ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unary_value_and_dtype(name, dtype):
    oracle, low, high = UNARY[name]
    for shape in [(), (0,), (2, 0), (7,), (2, 3, 4)]:
        x = mg.tensor(uniform(shape, low, high, dtype), requires_grad=True)
        y = getattr(mg, name)(x)
        assert y.shape == shape and y.dtype == dtype
        exact = oracle(x.numpy().astype(np.float64))
        np.testing.assert_allclose(y.numpy(), exact, rtol=8 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)
        g = mg.grad(y, x, np.ones(shape, dtype))
        assert g.shape == shape and g.dtype == dtype


@pytest.mark.parametrize("name", UNARY)
@hypothesis.settings(max_examples=5)
@hypothesis.given(shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), seed=st.integers(0, 99))
def test_unary_derivatives(name, shape, seed):
    _, low, high = UNARY[name]
    assert_gradients(getattr(mg, name), uniform(shape, low, high, seed=seed), seed=seed)


@pytest.mark.parametrize("name", BINARY)
@hypothesis.settings(max_examples=8)
@hypothesis.given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0),
                  seed=st.integers(0, 99))
def test_binary_value_and_derivatives(name, shapes, seed):
    oracle, low, high = BINARY[name]
    a, b = (uniform(shape, low, high, seed=seed + k) for k, shape in enumerate(shapes.input_shapes))
    np.testing.assert_allclose(getattr(mg, name)(mg.tensor(a), mg.tensor(b)).numpy(), oracle(a, b), rtol=1e-14)
    assert_gradients(getattr(mg, name), a, b, seed=seed)


@pytest.mark.parametrize("name", BINARY)
def test_binary_keeps_float32_beside_python_numbers(name):
    op = getattr(mg, name)
    for other in (2, 1.5):
        x = mg.tensor(uniform((2, 3), 0.5, 2, np.float32), requires_grad=True)
        for y in (op(x, other), op(other, x), op(x, x)):
            assert y.dtype == np.float32
            assert mg.grad(y, x, np.ones((2, 3), np.float32), create_graph=True).dtype == np.float32
        np.testing.assert_allclose(op(x, other).numpy(), BINARY[name][0](x.numpy(), other), rtol=1e-6)
        np.testing.assert_allclose(op(other, x).numpy(), BINARY[name][0](other, x.numpy()), rtol=1e-6)


def test_operators():
    a, b = np.array([3.0, -2.0, 5.5]), np.array([2.0, 4.0, -1.5])
    x, y = mg.tensor(a), mg.tensor(b)
    for ours, numpys in [
            (x + y, a + b), (x - y, a - b), (x * y, a * b), (x / y, a / b), (x // y, a // b), (x % y, a % b),
            (x ** 2, a ** 2), (-x, -a), (+x, a), (abs(x), abs(a)), (1 + x, 1 + a), (1 - x, 1 - a), (2 * x, 2 * a),
            (2 / x, 2 / a), (2 // x, 2 // a), (7 % x, 7 % a), (2 ** x, 2 ** a)]:
        np.testing.assert_allclose(ours.numpy(), numpys, rtol=1e-14)


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_torch_agrees_to_second_order(name):
    torch = pytest.importorskip("torch")
    _, low, high = {**UNARY, **BINARY}[name]
    arrays = [uniform((4,), low, high, seed=k) for k in range(1 if name in UNARY else 2)]
    ours, theirs = [], []
    leaves = [mg.tensor(a, requires_grad=True) for a in arrays]
    y = getattr(mg, name)(*leaves)
    first = mg.grad(y, leaves, np.ones(4), create_graph=True)
    total = mg.sum(sum(g * (k + 2) for k, g in enumerate(first)) * y)
    ours += [y, *first, *mg.grad(total, leaves)]
    leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = getattr(torch, "pow" if name == "power" else name)(*leaves)
    first = torch.autograd.grad(y, leaves, torch.ones(4, dtype=torch.float64), create_graph=True)
    total = (sum(g * (k + 2) for k, g in enumerate(first)) * y).sum()
    theirs += [y, *first, *torch.autograd.grad(total, leaves)]
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-7, atol=1e-12)


# ---- power at its edges ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("exponent, first, second", [
    (0, [0, 0, 0], [0, 0, 0]), (1, [1, 1, 1], [0, 0, 0]), (2, [-4, 0, 6], [2, 2, 2]), (3, [12, 0, 27], [-12, 0, 18]),
    (4.0, [-32, 0, 108], [48, 0, 108])])
@pytest.mark.parametrize("kind", ["number", "tensor"])
def test_power_with_integer_exponents_at_zero_and_below(exponent, first, second, kind):
    b = exponent if kind == "number" else mg.tensor(np.float64(exponent))
    with np.errstate(all="raise"):
        y, dy, d2y = derivatives(lambda x: mg.power(x, b), np.array([-2.0, 0.0, 3.0]))
    np.testing.assert_allclose(y, np.array([-2.0, 0.0, 3.0]) ** exponent)
    np.testing.assert_allclose(dy, first)
    np.testing.assert_allclose(d2y, second)


def test_power_moves_with_its_exponent():
    a, b = mg.tensor([0.0, 0.0, 2.0]), mg.tensor([0.0, 2.0, 3.0], requires_grad=True)
    with np.errstate(all="raise"):
        y = mg.power(a, b)
        g = mg.grad(y, b, np.ones(3, np.float32), create_graph=True)
        h = mg.grad(g, b, np.ones(3, np.float32))
    np.testing.assert_allclose(y.numpy(), [1, 0, 8])
    np.testing.assert_allclose(g.numpy(), [0, 0, 8 * math.log(2)], rtol=1e-6)
    np.testing.assert_allclose(h.numpy(), [0, 0, 8 * math.log(2) ** 2], rtol=1e-6)


def test_power_mixed_derivative_at_exponent_zero():
    """∂²aᵇ/∂a∂b = aᵇ⁻¹ (1 + b log a), which is 1/a at b = 0, although ∂f/∂a = 0 there."""
    a, b = mg.tensor([2.0, 4.0], requires_grad=True), mg.tensor([0.0, 0.0], requires_grad=True)
    da = mg.grad(mg.power(a, b), a, np.ones(2, np.float32), create_graph=True)
    np.testing.assert_allclose(da.numpy(), 0)
    np.testing.assert_allclose(mg.grad(da, b, np.ones(2, np.float32)).numpy(), [0.5, 0.25], rtol=1e-6)


def test_power_of_a_negative_base_has_no_derivative_in_the_exponent():
    b = mg.tensor([3.0], requires_grad=True)
    with np.errstate(invalid="ignore"):
        y = mg.power(mg.tensor([-2.0]), b)
        assert y.item() == -8 and math.isnan(mg.grad(y, b).item())
        y = mg.power(-2.0, b)
        assert y.item() == -8 and math.isnan(mg.grad(y, b).item())


def test_a_number_to_the_power_of_a_tensor():
    for base, slope in [(2, math.log(2) * 8), (0, 0.0)]:
        y, dy, d2y = derivatives(lambda x: base ** x, np.array([3.0]))
        np.testing.assert_allclose([y[0], dy[0]], [base ** 3, slope])
        np.testing.assert_allclose(d2y[0], slope * math.log(base) if base else 0)


def test_power_of_integers():
    assert (mg.tensor([2, 3]) ** 2).dtype == np.int64
    with pytest.raises(ValueError, match=r"power: Integers to negative integer powers.*a \(2,\) int64"):
        mg.tensor([2, 3]) ** -1


# ---- extreme values and special functions ----------------------------------------------------------------------------
@pytest.mark.parametrize("name, slopes", [("tanh", [0, 1, 0]), ("arctan", [1e-8, 1, 1e-8]),
                                          ("erf", [0, 2 / math.sqrt(math.pi), 0])])
def test_saturating_functions_are_stable(name, slopes):
    with np.errstate(all="raise", under="ignore"):
        y, dy, d2y = derivatives(getattr(mg, name), np.array([-1e4, 0, 1e4], np.float32))
    np.testing.assert_allclose(y, UNARY[name][0](np.array([-1e4, 0, 1e4])), rtol=1e-6)
    np.testing.assert_allclose(dy, slopes, rtol=1e-6, atol=1e-20)
    np.testing.assert_allclose(d2y, 0, atol=1e-11)


@pytest.mark.parametrize("name", ["exp", "expm1"])
def test_exponentials_vanish_without_a_nan(name):
    with np.errstate(all="raise", under="ignore"):
        y, dy, d2y = derivatives(getattr(mg, name), np.array([-1e4, 0], np.float32))
    np.testing.assert_array_equal([y[0], dy[0], d2y[0]], [-1 if name == "expm1" else 0, 0, 0])
    np.testing.assert_array_equal([dy[1], d2y[1]], [1, 1])


def test_precision_near_zero():
    tiny = np.array([1e-30, -1e-30], np.float32)
    for name in ("expm1", "log1p", "sin", "tan", "arctan", "sinh", "tanh"):
        np.testing.assert_allclose(getattr(mg, name)(mg.tensor(tiny)).numpy(), tiny, rtol=1e-6, err_msg=name)


def test_sqrt_rises_vertically_at_zero():
    x = mg.tensor([0.0, 4.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(mg.grad(mg.sqrt(x), x, np.ones(2, np.float32)).numpy(), [np.inf, 0.25])


def test_lgamma_and_digamma_keep_going():
    x = np.array([0.5, 1.0, 30.0, 1e4])
    _, dy, d2y = derivatives(mg.lgamma, x)
    np.testing.assert_allclose(dy, scipy.special.digamma(x))
    np.testing.assert_allclose(d2y, scipy.special.polygamma(1, x))
    for n in range(3):
        y, dy, d2y = derivatives(lambda t: mg.polygamma(n, t), x.astype(np.float32))
        assert y.dtype == dy.dtype == d2y.dtype == np.float32
        for k, values in enumerate((y, dy, d2y)):
            np.testing.assert_allclose(values, scipy.special.polygamma(n + k, x), rtol=1e-5)


def test_polygamma_of_integers_is_real():
    np.testing.assert_allclose(mg.polygamma(1, [1, 2]).numpy(), scipy.special.polygamma(1, [1, 2]))


@pytest.mark.parametrize("n", [-1, 0.5, "1"])
def test_polygamma_wants_an_order(n):
    with pytest.raises(ValueError, match="polygamma: n must be an integer ≥ 0, got"):
        mg.polygamma(n, mg.tensor([1.0]))


def test_reciprocal_of_an_integer_is_a_real_number():
    np.testing.assert_allclose(mg.reciprocal([2, 4]).numpy(), [0.5, 0.25])


def test_positive_has_its_own_memory():
    x = mg.tensor([1.0, 2.0])
    y = +x
    x[0] = 5.0
    np.testing.assert_array_equal(y.numpy(), [1, 2])


def test_shapes_that_do_not_broadcast():
    with pytest.raises(ValueError, match=r"^add: .*; got a \(2,\) float32.* and b \(3,\) float32"):
        mg.tensor([1.0, 2.0]) + mg.tensor([1.0, 2.0, 3.0])
