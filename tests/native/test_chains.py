"""Recorded and compiled functions against the same functions run by NumPy in double precision."""
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigen as mg
from minigen import functional
from minigen.native import build, chains, record
from minigen.nn import moments
from minigen.ops import activations
from minigen.training import optim

pytestmark = pytest.mark.skipif(not build.compiler(), reason="there is no C compiler")
NUMPY = mg.backend.get("numpy")
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38, 1e-10, 1e-4, 0.3, 20.0, -20.0,
                    88.7, 88.8, -87.4, -103.9, -104.5, 1e4, -1e4, 3e38, -3e38], np.float32)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def filled(function, *arrays, numbers=(), threads=2):
    out, done = chains.chain(function, len(arrays), len(numbers)).fill(threads, arrays, numbers)
    assert done
    return out


def doubled(function, *arrays, numbers=()):
    """The function by NumPy, in double precision."""
    with np.errstate(all="ignore"):
        return function(NUMPY, *(a.astype(np.float64) for a in arrays), *numbers)


def assert_close(ours, exact, ulps):
    """Apart by at most so many roundings of the result, subnormal ones counting as the smallest normal."""
    assert ours.dtype == np.float32
    with np.errstate(over="ignore"):
        exact = exact.astype(np.float32)
    np.testing.assert_allclose(ours, exact, rtol=ulps * 2.0 ** -23, atol=ulps * 2.0 ** -149)


# ---- elementary functions --------------------------------------------------------------------------------------------
def exp(xp, x):
    return xp.exp(x)


def tanh(xp, x):
    return xp.tanh(x)


def log1p(xp, x):
    return xp.log1p(x)


def root(xp, x):
    return xp.sqrt(x)


def modulus(xp, x):
    return xp.abs(x)


def larger(xp, x, y):
    return xp.maximum(x, y)


def smaller(xp, x, y):
    return xp.minimum(x, y)


LINES = np.concatenate([SPECIAL, np.linspace(-110, 95, 20_011, dtype=np.float32), normal(0, 20_000) * 1e-3,
                        np.float32(10.0) ** np.arange(-44, 38, dtype=np.float32)])


@pytest.mark.parametrize("function, ulps", [(exp, 3), (tanh, 4), (log1p, 3), (root, 1), (modulus, 0)])
def test_elementary_functions_over_their_whole_range(function, ulps):
    assert_close(filled(function, LINES), doubled(function, LINES), ulps)


@pytest.mark.parametrize("function", [larger, smaller])
def test_the_larger_and_the_smaller_with_nan(function):
    x, y = np.repeat(SPECIAL, len(SPECIAL)), np.tile(SPECIAL, len(SPECIAL))
    np.testing.assert_array_equal(filled(function, x, y), function(np, x, y))


# ---- the functions of the house --------------------------------------------------------------------------------------
HOUSE = [                    # function, arrays, numbers, tolerance relative to the largest
    (activations._sigma, 1, (), 3e-7), (activations._x_sigma, 1, (), 4e-7), (activations._g_silu_slope, 2, (), 6e-7),
    (activations._relu, 1, (), 0), (activations._g_where_positive, 2, (), 0), (activations._larger, 1, (0.2,), 1e-7),
    (activations._g_leaky_slope, 2, (0.2,), 1e-7), (functional._exp_of_gap, 2, (), 1e-6),
    (functional._quotient, 2, (), 1e-6), (functional._weighted_excess, 3, (), 1e-6),
    (functional._bernoulli_nats, 2, (), 3e-7), (functional._g_excess_of_sigma, 3, (), 4e-7),
    (moments._affine, 3, (), 3e-7), (moments._times, 2, (), 1e-7), (activations._x_Phi_tanh, 1, (), 1e-6)]


@pytest.mark.parametrize("function, arrays, numbers, tolerance", HOUSE, ids=lambda p: getattr(p, "__name__", None))
@pytest.mark.parametrize("threads", [1, 3])
def test_functions_of_the_house(function, arrays, numbers, tolerance, threads):
    inputs = [3 * normal(k, 37, 61) for k in range(arrays)]
    exact = doubled(function, *inputs, numbers=numbers)
    ours = filled(function, *inputs, numbers=numbers, threads=threads)
    np.testing.assert_allclose(ours, exact, rtol=0, atol=tolerance * np.abs(exact).max())


UPDATES = [(optim._sgd.update, 2, (0.1,)), (optim._heavy_ball.update, 3, (0.1, 0.9)),
           (optim._nesterov.update, 3, (0.1, 0.9)), (optim._rmsprop.update, 3, (0.1, 0.99, 1e-8)),
           (optim._adam.update, 4, (1e-2, 0.9, 0.999, 1e-8)), (optim._adamw.update, 4, (1e-2, 0.9, 0.999, 1e-8, 0.99))]


@pytest.mark.parametrize("update, arrays, numbers", UPDATES, ids=lambda p: getattr(p, "__name__", None))
def test_updates_in_place(update, arrays, numbers):
    ours = [np.abs(normal(k, 5000)) for k in range(arrays)]
    exact = [array.astype(np.float64) for array in ours]
    kept = ours[1].copy()
    assert filled(update, *ours, numbers=numbers) is None
    update(NUMPY, *exact, *numbers)
    for a, b in zip(ours, exact):
        np.testing.assert_allclose(a, b, rtol=3e-6, atol=5e-7)               # θ − step rounds as θ does
    np.testing.assert_array_equal(ours[1], kept)                             # the gradient stays


def test_numbers_meet_in_double_precision():
    """1 − 0.999 in single precision is off by 5e-5."""
    def function(xp, x, a):
        return (1 - a) * x

    x = np.ones(10, np.float32)
    np.testing.assert_allclose(filled(function, x, numbers=(0.999,)), np.full(10, 0.001), rtol=1e-7)


# ---- how arrays lie --------------------------------------------------------------------------------------------------
def combined(xp, x, y):
    return x * 2 - y


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.data())
def test_stretched_arrays(shape, data):
    own = [n if data.draw(st.booleans()) else 1 for n in shape][data.draw(st.integers(0, len(shape))):]
    x, y = normal(0, *shape), normal(1, *own)
    chain = chains.chain(combined, 2)
    out, done = chain.fill(data.draw(st.integers(1, 4)), (x, y))
    if done:
        np.testing.assert_array_equal(out, 2 * x - y)
    assert done or len(shape) > 3                        # three loops do for any way to stretch over three axes


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[:, ::2], lambda x: x[::-1, :], lambda x: x[2:, 3:]])
def test_views(view):
    x, y = view(normal(0, 12, 12)), view(normal(1, 12, 12))
    out, done = chains.chain(combined, 2).fill(2, (x, y))
    if done:
        np.testing.assert_array_equal(out, 2 * x - y)
    else:
        assert out is None and x.strides[-1] != 4                            # not along memory: left to NumPy


def test_what_does_not_stretch_is_left_to_numpy():
    assert chains.chain(combined, 2).fill(1, (normal(0, 3, 4), normal(1, 2, 4))) == (None, False)
    assert chains.chain(combined, 2).fill(1, (normal(0, 3), normal(1, 3, 3))) == (None, False)


# ---- sums ------------------------------------------------------------------------------------------------------------
def gap_squared(xp, x, y):
    d = x - y
    d *= d
    return d


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 5), (1, 1000, 33), (4, 8, 16), (5, 9, 40), (3, 1, 2), (2, 300, 1)])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_sums_over_the_middle_and_the_last_axis(shape, threads):
    x, y = normal(0, *shape) + 10, normal(1, shape[0], 1, shape[2])
    exact = (x.astype(float) - y) ** 2
    middle = chains.chain(gap_squared, 2, summed=1).sum(threads, (x, y))
    last = chains.chain(gap_squared, 2, summed=2).sum(threads, (x, y))
    assert middle.dtype == last.dtype == np.float32
    np.testing.assert_allclose(middle, exact.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(last, exact.sum(axis=2), rtol=1e-6)


def test_a_long_sum_keeps_its_precision():
    """A million times 0.1: added one by one in single precision it would be off by a hundredth."""
    def itself(xp, x):
        return x

    x = np.full((1, 1_000_000, 2), 0.1, np.float32)
    np.testing.assert_allclose(chains.chain(itself, 1, summed=1).sum(2, (x,)), np.full((1, 2), 1e5), rtol=1e-6)
    np.testing.assert_allclose(chains.chain(itself, 1, summed=2).sum(2, (x.reshape(1, 2, -1),)), np.full((1, 2), 1e5),
                               rtol=1e-6)


# ---- what cannot be recorded -----------------------------------------------------------------------------------------
UNKNOWN = {
    "xp.cumsum": lambda xp, x: xp.cumsum(x),
    "an array's mean": lambda xp, x: x - x.mean(),
    "a choice that depends on values": lambda xp, x: x if x > 0 else -x,
    "an operand of type ndarray": lambda xp, x: x * np.ones(3),
    "unsupported operand type": lambda xp, x: x ** 2,
    "object is not subscriptable": lambda xp, x: x[0],
}


@pytest.mark.parametrize("reason", UNKNOWN)
def test_what_cannot_be_recorded_stays_as_it_is(reason):
    with pytest.raises(record.CannotRecord, match=reason):
        record.record(UNKNOWN[reason], 1, 0)
    assert chains.chain(UNKNOWN[reason], 1) is None


def test_what_is_recorded():
    def descend(xp, theta, g, lr):
        theta -= lr * g

    lines, stores = record.record(descend, 2, 1)
    assert lines == ["const real t0 = (real)numbers[0] * x1;", "const real t1 = x0 - t0;"]
    assert stores == {0: "t1"}


# ---- the backend chooses ---------------------------------------------------------------------------------------------
def test_the_backend_compiles_large_float32_alone(monkeypatch):
    called = []
    monkeypatch.setattr(chains.Chain, "fill", lambda chain, *rest: called.append(chain.name) or (None, True))
    NUMPY.elementwise(activations._relu, normal(0, 100, 100))
    NUMPY.elementwise(activations._relu, normal(0, 10, 10))                                          # small
    NUMPY.elementwise(activations._relu, normal(0, 100, 100).astype(np.float64))
    monkeypatch.setattr(build, "on", False)
    NUMPY.elementwise(activations._relu, normal(0, 100, 100))
    assert called == ["relu"]


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("shape", [(3, 5), (1, 7), (0, 4), (1001, 263), (2, 400, 400)])
def test_elementwise_work_is_the_same_however_it_is_done(on, shape, monkeypatch):
    monkeypatch.setattr(build, "on", on)
    x, y = normal(0, *shape), normal(1, *shape)

    def function(xp, x, y, out=None):
        return xp.subtract(xp.exp(-x) * y, x, out=out)

    out = NUMPY.elementwise(function, x, y)
    assert out.dtype == np.float32 and out.shape == shape
    np.testing.assert_allclose(out, function(NUMPY, x, y), rtol=1e-5, atol=1e-5)


def test_elementwise_work_on_arrays_that_differ_is_done_by_numpy():
    x, y = np.ones((600, 600), np.float32), np.ones((600, 1))
    np.testing.assert_array_equal(NUMPY.elementwise(lambda xp, a, b, out: a + b, x, y), x + y)
