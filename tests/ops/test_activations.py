"""The logistic family and the activations: closed forms in float64, kinks, ±1e4 in float32 to second order."""
import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import minigen as mg
import numpy as np
import pytest
import scipy.special
import scipy.stats
from helpers import assert_gradients

pytestmark = pytest.mark.usefixtures("backend")

EXTREME = np.array([-1e4, -100, -20, -1, 0, 1, 20, 100, 1e4], np.float32)
S = scipy.special.expit
PHI, DENSITY = scipy.stats.norm.cdf, scipy.stats.norm.pdf


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))


# name: (op, f, f′, f″), each a closed form in float64; None where differences alone are the oracle
CASES = {
    "sigmoid": (mg.sigmoid, S, lambda x: S(x) * S(-x), lambda x: S(x) * S(-x) * (S(-x) - S(x))),
    "softplus": (mg.softplus, lambda x: np.logaddexp(0, x), S, lambda x: S(x) * S(-x)),
    "log_sigmoid": (mg.log_sigmoid, scipy.special.log_expit, lambda x: S(-x), lambda x: -S(x) * S(-x)),
    "relu": (mg.relu, lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0), np.zeros_like),
    "leaky_relu": (lambda x: mg.leaky_relu(x, 0.2), lambda x: np.where(x > 0, x, 0.2 * x),
                   lambda x: np.where(x > 0, 1, 0.2), np.zeros_like),
    "elu": (lambda x: mg.elu(x, 0.7), lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0))),
            lambda x: np.where(x > 0, 1, 0.7 * np.exp(np.minimum(x, 0))),
            lambda x: np.where(x > 0, 0, 0.7 * np.exp(np.minimum(x, 0)))),
    "silu": (mg.silu, lambda x: x * S(x), lambda x: S(x) * (1 + x * S(-x)),
             lambda x: S(x) * S(-x) * (2 + x * (S(-x) - S(x)))),
    "gelu": (mg.gelu, lambda x: x * PHI(x), lambda x: PHI(x) + x * DENSITY(x), lambda x: DENSITY(x) * (2 - x * x)),
    "gelu_tanh": (lambda x: mg.gelu(x, approximate="tanh"), gelu_tanh, None, None),
}


def derivatives(f, x):
    """f, f′ and f″ of an elementwise function, as NumPy arrays."""
    x = mg.tensor(x, requires_grad=True)
    y = f(x)
    dy = mg.grad(y, x, mg.ones_like(y), create_graph=True)
    return y.numpy(), dy.numpy(), mg.grad(dy, x, mg.ones_like(dy)).numpy()


@pytest.mark.parametrize("name", CASES)
def test_extreme_values_to_second_order(name):
    """No NaN, no warning; each value within a few float32 roundings of the exact one."""
    f, *oracles = CASES[name]
    with np.errstate(all="raise", under="ignore"):
        results = derivatives(f, EXTREME)
    for ours, oracle in zip(results, oracles):
        assert ours.dtype == np.float32 and np.isfinite(ours).all()
        if oracle is not None:
            np.testing.assert_allclose(ours, oracle(EXTREME.astype(np.float64)), rtol=2e-6, atol=4e-6)


@pytest.mark.parametrize("name", CASES)
@hypothesis.settings(max_examples=6)
@hypothesis.given(shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), seed=st.integers(0, 99))
def test_value_and_derivatives(name, shape, seed):
    f, oracle, *_ = CASES[name]
    x = np.random.default_rng(seed).uniform(0.01, 3, shape) * np.random.default_rng(seed + 1).choice([-1, 1], shape)
    y = f(mg.tensor(x))
    assert y.dtype == np.float64 and y.shape == shape
    np.testing.assert_allclose(y.numpy(), oracle(x), rtol=1e-12)
    assert_gradients(f, x, seed=seed)


def test_sigmoid_is_precise_in_its_tail():
    x = np.array([-85.0, -30.0, -5.0], np.float32)
    np.testing.assert_allclose(mg.sigmoid(mg.tensor(x)).numpy(), S(x.astype(np.float64)), rtol=1e-5)
    np.testing.assert_allclose(mg.softplus(mg.tensor(x)).numpy(), np.logaddexp(0, x.astype(np.float64)), rtol=1e-5)


def test_infinite_logits():
    x = np.array([-np.inf, np.inf], np.float32)
    with np.errstate(all="raise", under="ignore"):
        for f, values, slopes in [(mg.sigmoid, [0, 1], [0, 0]), (mg.softplus, [0, np.inf], [0, 1]),
                                  (mg.log_sigmoid, [-np.inf, 0], [1, 0]), (mg.relu, [0, np.inf], [0, 1])]:
            y, dy, _ = derivatives(f, x)
            np.testing.assert_array_equal(y, values)
            np.testing.assert_array_equal(dy, slopes)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "log_sigmoid", "leaky_relu", "elu", "silu", "gelu"])
def test_unsigned_integers_do_not_wrap(name):
    f, oracle, *_ = CASES[name]
    x = np.array([0, 1, 200], np.uint8)
    np.testing.assert_allclose(f(mg.tensor(x)).numpy(), oracle(x.astype(np.float64)), rtol=1e-6)


def test_silu_is_precise_to_a_few_roundings_of_its_argument():
    x = np.linspace(-90, 90, 100_001, dtype=np.float32)
    y, slope, _ = derivatives(mg.silu, x)
    _, exact, exact_slope, _ = CASES["silu"]
    assert (np.abs(y - exact(x.astype(np.float64))) <= 4 * 2.0 ** -24 * np.maximum(1, np.abs(x))).all()
    assert (np.abs(slope - exact_slope(x.astype(np.float64))) <= 8 * 2.0 ** -24 * np.maximum(1, np.abs(x))).all()


def test_kinks():
    for f, slope in [(mg.relu, 0), (mg.leaky_relu, 0.01), (lambda x: mg.elu(x, 0.5), 0.5), (mg.elu, 1)]:
        y, dy, _ = derivatives(f, np.zeros(1))
        np.testing.assert_allclose([y[0], dy[0]], [0, slope])


def test_logit():
    p = np.array([1e-6, 0.2, 0.5, 0.9], np.float32)
    exact = scipy.special.logit(p.astype(np.float64))
    np.testing.assert_allclose(mg.logit(mg.tensor(p)).numpy(), exact, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(mg.sigmoid(mg.logit(mg.tensor(p))).numpy(), p, rtol=1e-5)
    assert_gradients(mg.logit, np.array([[0.2, 0.5], [0.7, 0.9]]))
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(mg.logit(mg.tensor([0.0, 1.0])).numpy(), [-np.inf, np.inf])


# ---- logaddexp -------------------------------------------------------------------------------------------------------
@hypothesis.settings(max_examples=8)
@hypothesis.given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0),
                  seed=st.integers(0, 99))
def test_logaddexp(shapes, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.uniform(-3, 3, shape) for shape in shapes.input_shapes)
    np.testing.assert_allclose(mg.logaddexp(mg.tensor(a), mg.tensor(b)).numpy(), np.logaddexp(a, b), rtol=1e-14)
    assert_gradients(mg.logaddexp, a, b, seed=seed)


def test_logaddexp_at_ties_and_extremes():
    values = np.array([-np.inf, -1e4, 0, 1e4, np.inf], np.float32)
    a, b = (v.ravel() for v in np.meshgrid(values, values))
    x, y = mg.tensor(a, requires_grad=True), mg.tensor(b, requires_grad=True)
    one = np.ones(a.shape, np.float32)
    with np.errstate(all="raise", under="ignore"):
        out = mg.logaddexp(x, y)
        gx, gy = mg.grad(out, (x, y), one, create_graph=True)
        h = mg.grad(gx, (x, y), one)
    np.testing.assert_allclose(out.numpy(), np.where(a == b, a + np.float32(np.log(2)), np.maximum(a, b)))
    np.testing.assert_array_equal(gx.numpy(), np.where(a == b, 0.5, a > b))
    np.testing.assert_array_equal((gx + gy).numpy(), 1)
    np.testing.assert_array_equal(h[0].numpy(), np.where(a == b, 0.25, 0))        # σ′(0) = ¼
    np.testing.assert_array_equal(h[1].numpy(), -h[0].numpy())


def test_logaddexp_with_a_number_is_softplus():
    x = mg.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    for y in (mg.logaddexp(x, 0), mg.logaddexp(0, x)):
        g = mg.grad(y, x, np.ones(3, np.float32), create_graph=True)
        assert y.dtype == g.dtype == np.float32
        np.testing.assert_allclose(y.numpy(), mg.softplus(x).numpy(), rtol=1e-6)
        np.testing.assert_allclose(g.numpy(), mg.sigmoid(x).numpy(), rtol=1e-6)


# ---- settings and peers ----------------------------------------------------------------------------------------------
def test_bad_settings():
    with pytest.raises(ValueError, match=r"elu: alpha must not be negative; got x \(1,\) float32.*, alpha=-1"):
        mg.elu(mg.tensor([1.0]), -1)
    with pytest.raises(ValueError, match='gelu: approximate must be "none" or "tanh".*approximate=\'erf\''):
        mg.gelu(mg.tensor([1.0]), approximate="erf")


@pytest.mark.parametrize("name, settings", [
    ("sigmoid", {}), ("softplus", {}), ("logsigmoid", {}), ("relu", {}), ("leaky_relu", {"negative_slope": 0.3}),
    ("elu", {"alpha": 1.3}), ("silu", {}), ("gelu", {}), ("gelu", {"approximate": "tanh"})])
def test_torch_agrees_to_second_order(name, settings):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal(20) * 3
    op = getattr(mg, "log_sigmoid" if name == "logsigmoid" else name)
    ours = derivatives(lambda t: op(t, **settings), x)
    t = torch.tensor(x, requires_grad=True)
    y = getattr(torch.nn.functional, name)(t, **settings)
    dy, = torch.autograd.grad(y.sum(), t, create_graph=True)
    d2y = torch.autograd.grad(dy.sum(), t)[0] if dy.grad_fn is not None else torch.zeros(20)
    for a, b in zip(ours, (y, dy, d2y)):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-9, atol=1e-12)
