"""Compiled products of matrices, and convolutions, against NumPy in double precision."""
import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import minigen as mg
from minigen import threads
from minigen.native import build, sums
from minigen.ops import conv_arrays
from minigen.ops.conv_geometry import axes_over, phases

pytestmark = pytest.mark.skipif(not build.compiler(), reason="there is no C compiler")
NUMPY = mg.backend.get("numpy")
DTYPES = {"float32": 2e-6, "float64": 1e-14}               # rounding beside the sum of magnitudes


def normal(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.fixture
def any_size(monkeypatch):
    """Products of any size are compiled."""
    monkeypatch.setattr(sums, "LEAST", 0)


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(threads, "count", lambda: 2)
    monkeypatch.setattr(threads, "SMALL_COMPILED", 1)


def assert_product(a, b, bias=None, threads=2):
    z = sums.matmul(a, b, bias, threads)
    A, B = a.astype(float), b.astype(float)
    exact, size = A @ B, np.abs(A) @ np.abs(B) + 1
    if bias is not None:
        exact = exact + bias
    assert z.dtype == a.dtype and z.shape == exact.shape and z.flags.c_contiguous
    assert np.all(np.abs(z - exact) <= DTYPES[str(a.dtype)] * size)


# ---- matrices --------------------------------------------------------------------------------------------------------
LENGTHS = [5, 6, 7, 12, 15, 16, 17, 31, 33, 48, 63, 64, 65, 80, 130, 257]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("N", LENGTHS)
def test_every_width_of_a_tile(any_size, N, dtype):
    for M, K in itertools.product((5, 13, 14, 15, 30), (1, 2, 70)):
        assert_product(normal(0, M, K, dtype=dtype), normal(1, K, N, dtype=dtype), normal(2, N, dtype=dtype))


VIEWS = ["plain", "transposed", "every other", "backwards"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("of_a, of_b", list(itertools.product(VIEWS, repeat=2)))
def test_views(any_size, of_a, of_b, dtype):
    def view(seed, rows, columns, how):
        if how == "transposed":
            return normal(seed, columns, rows, dtype=dtype).T
        if how == "every other":
            return normal(seed, 2 * rows, 2 * columns, dtype=dtype)[::2, 1::2]
        whole = normal(seed, rows, columns, dtype=dtype)
        return whole[::-1, ::-1] if how == "backwards" else whole

    for M, K, N in ((70, 33, 150), (9, 50, 6)):
        assert_product(view(0, M, K, of_a), view(1, K, N, of_b))


@pytest.mark.parametrize("M, K, N", [(6, 1024, 8), (6, 1025, 20), (40, 3000, 40), (5, 4096, 7), (300, 2100, 6),
                                     (8, 5, 1500), (700, 9, 70)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_long_sums_and_every_way_to_cut(M, K, N, threads):
    assert_product(normal(0, M, K), normal(1, K, N), normal(2, N), threads)
    assert_product(normal(0, K, M).T, normal(1, N, K).T, None, threads)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(5, 20), st.integers(1, 20), st.integers(5, 20),
       st.data())
def test_stacks(front, M, K, N, data):
    least, sums.LEAST = sums.LEAST, 0
    try:
        a, b = normal(0, *front, M, K), normal(1, *front, K, N)
        if data.draw(st.booleans()):
            a = normal(0, *front, K, M).swapaxes(-1, -2)
        if data.draw(st.booleans()):
            b = normal(1, *front, N, K).swapaxes(-1, -2)
        if data.draw(st.booleans()):
            a = a[(0,) * len(front)]                                         # one for all of them
        assert_product(a, b, None, data.draw(st.integers(1, 3)))
    finally:
        sums.LEAST = least


def test_heads_that_lie_between_positions(any_size):
    """(N, T, heads, D) seen as (N, heads, T, D): the stack does not go through memory in even steps."""
    q, k = (normal(s, 3, 10, 4, 8).swapaxes(1, 2) for s in (0, 1))
    assert sums.matmul(q, k.swapaxes(-1, -2), None, 2) is None
    np.testing.assert_allclose(NUMPY.matmul(q, k.swapaxes(-1, -2)), q.astype(float) @ k.swapaxes(-1, -2), atol=1e-5)


def test_what_is_left_to_numpy():
    a = normal(0, 100, 100)
    for x, y in ((a, a.astype(float)), (a[:4, :4], a[:4, :4]), (a[0], a), (a, a[:, 0]), (a.astype(int), a.astype(int)),
                 (a[None], a), (a, a[:50]), (a.astype("float16"), a.astype("float16"))):
        assert sums.matmul(x, y, None, 2) is None


def test_infinities_and_nan_stay_in_their_row(any_size):
    a, b = normal(0, 30, 20), normal(1, 20, 37)
    a[3, 4], a[7, 1] = np.nan, np.inf
    z = sums.matmul(a, b, None, 1)
    assert np.isnan(z[3]).all() and np.isinf(z[7]).all() and np.isfinite(np.delete(z, (3, 7), axis=0)).all()


def test_the_same_bits_every_time():
    a, b = normal(0, 300, 784), normal(1, 784, 400)
    first = sums.matmul(a, b, None, 2)
    for _ in range(20):
        assert sums.matmul(a, b, None, 2).tobytes() == first.tobytes()


def test_affine_maps_of_the_backend():
    x, W, b = normal(0, 60, 70), normal(1, 70, 80), normal(2, 80)
    np.testing.assert_allclose(NUMPY.affine(x, W, b), x.astype(float) @ W + b, atol=1e-4)
    assert NUMPY.affine(x, W, b.astype(float)).dtype == np.float32                 # NumPy adds in place


# ---- convolutions ----------------------------------------------------------------------------------------------------
@st.composite
def convolutions(draw):
    """(x, w, b, axes, groups), with channels around the lengths of a vector."""
    number = lambda low, high: draw(st.integers(low, high))                                 # noqa: E731
    groups, channels = draw(st.sampled_from([1, 1, 1, 2])), st.sampled_from([1, 2, 3, 8, 15, 16, 17, 32, 40, 70])
    C, O, dtype = draw(channels) * groups, draw(channels) * groups, draw(st.sampled_from(list(DTYPES)))
    kernel, stride, dilation = ((number(1, 4), number(1, 4)) for _ in range(3))
    padding = tuple((number(0, 4), number(0, 4)) for _ in range(2))
    size = [max(1, d * (k - 1) + 1 - sum(p)) + number(0, 6) for d, k, p in zip(dilation, kernel, padding)]
    x, w = normal(0, number(0, 3), *size, C, dtype=dtype), normal(1, *kernel, C // groups, O, dtype=dtype)
    return x, w, normal(2, O, dtype=dtype), axes_over("f", size, kernel, stride, padding, dilation), groups


@settings(max_examples=150)
@given(convolutions())
def test_convolutions_equal_those_of_numpy(two_threads_for_all, drawn):
    """The three sums, compiled and not; the latter are tested against naive loops and PyTorch."""
    x, w, b, axes, groups = drawn
    y = normal(3, len(x), axes[0].Y, axes[1].Y, w.shape[3], dtype=x.dtype)
    c = normal(4, x.shape[3], dtype=x.dtype)
    calls = [(conv_arrays.convolve, (x, w, b)), (conv_arrays.convolve, (x, w, None)),
             (conv_arrays.transpose, (y, w, c)), (conv_arrays.transpose, (y, w, None)),
             (conv_arrays.weight_grad, (x, y))]
    for function, arguments in calls:
        ours = function(NUMPY, *arguments, *axes, groups)
        exact = function(BY_NUMPY, *(a if a is None else a.astype(float) for a in arguments), *axes, groups)
        size = function(BY_NUMPY, *(a if a is None else np.abs(a).astype(float) for a in arguments), *axes, groups)
        assert ours.dtype == x.dtype and ours.shape == exact.shape
        assert np.all(np.abs(ours - exact) <= DTYPES[str(x.dtype)] * (size + 1)), function.__name__


class ByNumPy(mg.backend.NumpyBackend):
    """NumPy without compiled sums."""

    def sums(self, dtype):
        return None


BY_NUMPY = ByNumPy()


@pytest.fixture(scope="module")
def two_threads_for_all():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "count", lambda: 2)
        patch.setattr(threads, "SMALL_COMPILED", 1)
        yield


def test_what_a_picture_holds_beyond_32_bits_is_left_to_numpy(monkeypatch):
    monkeypatch.setattr(conv_arrays.compiled, "ROOM", 100)
    monkeypatch.setattr(sums.Code, "__call__", None)                         # would raise if it were called
    x, w = normal(0, 2, 10, 10, 3), normal(1, 3, 3, 3, 4)
    axes = axes_over("f", (10, 10), (3, 3), 1, 1)
    assert conv_arrays.convolve(NUMPY, x, w, None, *axes, 1).shape == (2, 10, 10, 4)


def test_gradients_on_both_cores_equal_those_on_one(two_threads, monkeypatch):
    x, w = normal(0, 5, 12, 12, 16), normal(1, 3, 3, 16, 24)
    axes = axes_over("f", (12, 12), (3, 3), 1, 1)
    y = conv_arrays.convolve(NUMPY, x, w, None, *axes, 1)
    both = conv_arrays.weight_grad(NUMPY, x, y, *axes, 1)
    monkeypatch.setattr(threads, "count", lambda: 1)
    assert conv_arrays.convolve(NUMPY, x, w, None, *axes, 1).tobytes() == y.tobytes()
    np.testing.assert_allclose(both, conv_arrays.weight_grad(NUMPY, x, y, *axes, 1), rtol=1e-3, atol=1e-3)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 5),
       st.integers(0, 5))
def test_phases_meet_what_the_axis_meets(X, K, s, d, before, after):
    """Every (place of x, tap, place of y) of the axis belongs to one phase, and there to the same tap and places."""
    if d * (K - 1) + 1 > before + X + after:
        return
    axis, = axes_over("f", (X,), (K,), s, (before, after), d)
    wanted = {(axis.start + s * h + d * k, k, h) for h in range(axis.Y) for k in range(K)}
    wanted = {(p, k, h) for p, k, h in wanted if 0 <= p < X}
    found = []
    for phase, taps, first in phases(axis):
        assert phase.X == axis.Y and phase.stride == 1
        for i, (j, k) in itertools.product(range(phase.Y), enumerate(range(K)[taps])):
            h = phase.start + i + phase.dilation * j
            if 0 <= h < axis.Y:
                found.append((first + s * i, k, h))
    assert sorted(found) == sorted(wanted)
