"""The ways to compute a convolution: in pieces that fit the cache, by runs, by shifts; each gives the same sums."""
import itertools
import tracemalloc

import numpy as np
import pytest

import minigen as mg
from minigen.native import build
from minigen.ops import conv_arrays
from minigen.ops.conv_geometry import axes_over

RNG = np.random.default_rng(3)
NUMPY = mg.backend.get("numpy")


@pytest.fixture(autouse=True, params=["by NumPy", "compiled"])
def way(request, monkeypatch):
    """Both ways to compute: on NumPy, and by compiled sums where there is a compiler."""
    monkeypatch.setattr(build, "on", request.param == "compiled")
    return request.param


CASES = {                            # N, H, W, C, O, G, kernel, stride, padding, dilation
    "dense": (3, 7, 6, 4, 5, 1, (3, 3), 1, 1, 1),
    "stride": (3, 9, 8, 4, 4, 1, (4, 3), (2, 3), 2, 1),
    "dilation": (2, 9, 9, 5, 4, 1, 3, 1, (2, 1), (2, 3)),
    "stride and dilation": (2, 11, 10, 4, 4, 1, 3, (2, 4), 1, (3, 2)),
    "a common factor": (2, 11, 10, 4, 4, 1, 3, 4, 3, 2),
    "a stride that skips": (2, 9, 8, 4, 4, 1, 2, 3, 0, 1),
    "padding beyond the kernel": (2, 4, 4, 4, 5, 1, 2, 1, 3, 1),
    "groups": (3, 6, 6, 6, 9, 3, 3, 1, 1, 1),
    "depthwise": (3, 7, 6, 5, 5, 5, 3, 2, 1, 1),
    "pointwise": (3, 4, 5, 4, 6, 1, 1, 1, 0, 1),
    "pointwise with stride": (3, 5, 5, 4, 6, 1, 1, 2, 0, 1),
    "narrow": (3, 6, 6, 1, 4, 1, 3, 1, 1, 1),
    "few results": (3, 6, 7, 16, 2, 1, 3, 1, (1, 0), (1, 2)),
    "few sources": (3, 6, 7, 2, 16, 1, (3, 2), (2, 1), 1, 1),
}


def operands(case):
    N, H, W, C, O, G, kernel, stride, padding, dilation = CASES[case]
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    axes = axes_over("f", (H, W), kernel, stride, padding, dilation)
    x, w = RNG.standard_normal((N, H, W, C)), RNG.standard_normal((*kernel, C // G, O))
    y = RNG.standard_normal((N, axes[0].Y, axes[1].Y, O))
    return x, w, y, axes, G


def by_the_book(x, w, y, axes, groups):
    """Eqs. (2), (3) and (4), one pair of places after the other."""
    C, O = x.shape[3] // groups, y.shape[3] // groups
    x_out, w_out, y_out = np.zeros_like(x), np.zeros_like(w), np.zeros_like(y)
    rows, cols = ([(axis.start + axis.stride * h + axis.dilation * k, k, h)
                   for k in range(axis.K) for h in range(axis.Y)] for axis in axes)
    for (p, i, h), (q, j, v), k in itertools.product(rows, cols, range(groups)):
        if 0 <= p < axes[0].X and 0 <= q < axes[1].X:
            c, o = slice(k * C, (k + 1) * C), slice(k * O, (k + 1) * O)
            y_out[:, h, v, o] += x[:, p, q, c] @ w[i, j, :, o]
            x_out[:, p, q, c] += y[:, h, v, o] @ w[i, j, :, o].T
            w_out[i, j, :, o] += x[:, p, q, c].T @ y[:, h, v, o]
    return x_out, w_out, y_out


def assert_all_three(x, w, y, axes, groups):
    bx, by = RNG.standard_normal(x.shape[3]), RNG.standard_normal(y.shape[3])
    x_out, w_out, y_out = by_the_book(x, w, y, axes, groups)
    for b in (None, by):
        ours = conv_arrays.convolve(NUMPY, x, w, b, *axes, groups)
        np.testing.assert_allclose(ours, y_out + (0 if b is None else b), atol=1e-12)
    for b in (None, bx):
        ours = conv_arrays.transpose(NUMPY, y, w, b, *axes, groups)
        np.testing.assert_allclose(ours, x_out + (0 if b is None else b), atol=1e-12)
    np.testing.assert_allclose(conv_arrays.weight_grad(NUMPY, x, y, *axes, groups), w_out, atol=1e-12)


@pytest.mark.parametrize("cache", [1, 1500, 20000, 1 << 20], ids="{} bytes".format)
@pytest.mark.parametrize("case", CASES)
def test_pieces_of_any_size_give_the_same_sums(case, cache, monkeypatch):
    monkeypatch.setattr(conv_arrays, "CACHE_BYTES", cache)          # a line, a band, an image, several images at a time
    assert_all_three(*operands(case))


@pytest.mark.parametrize("few, narrow", [(1000, 0), (0, 0), (0, 1000)], ids=["by windows", "by shifts", "tap by tap"])
@pytest.mark.parametrize("case", CASES)
def test_every_way_gives_the_same_sums(case, few, narrow, monkeypatch):
    monkeypatch.setattr(conv_arrays, "FEW", few)
    monkeypatch.setattr(conv_arrays, "NARROW", narrow)
    assert_all_three(*operands(case))


@pytest.mark.parametrize("case", ["stride", "groups", "depthwise", "pointwise", "few results", "few sources"])
def test_arrays_that_do_not_lie_in_a_row(case):
    x, w, y, axes, groups = operands(case)
    strided = [np.repeat(array, 2, axis=-1)[..., ::2] for array in (x, w, y)]
    assert_all_three(*strided, axes, groups)
    turned = [array.transpose(3, 1, 0, 2).copy().transpose(2, 1, 3, 0) for array in (x, w, y)]
    assert_all_three(*turned, axes, groups)
    stretched = np.broadcast_to(y[:1, :1], y.shape)                  # the cotangent of a sum looks like this
    assert_all_three(x, w, stretched, axes, groups)


def test_pieces_cover_the_batch_once(monkeypatch):
    monkeypatch.setattr(conv_arrays, "CACHE_BYTES", 3 * 4 * 9 * 8)       # three lines of four places with nine numbers
    rows, cols = axes_over("f", (7, 4), (3, 3), 1, 1)
    pieces = list(conv_arrays._windows_as_rows(NUMPY, np.zeros((2, 7, 4, 1)), rows, cols))
    assert [(a.start, lines.start, lines.stop, len(m)) for a, lines, m in pieces] == [
        (n, h, min(h + 3, 7), 4 * min(3, 7 - h)) for h in (0, 3, 6) for n in (0, 1)]


@pytest.mark.parametrize("op", ["convolve", "transpose", "weight_grad"])
@pytest.mark.parametrize("stride", [1, 2])
def test_no_windows_of_the_whole_batch_are_stored(op, stride):
    """All windows of this batch would take 24 MB (6 MB with stride 2); what is stored beside the result is far less."""
    x, w = np.ones((40, 64, 64, 4), np.float32), np.ones((3, 3, 4, 4), np.float32)
    axes = axes_over("f", (64, 64), (3, 3), stride, 1)
    y = conv_arrays.convolve(NUMPY, x, w, None, *axes, 1)
    first, second = {"convolve": (x, w), "transpose": (y, w), "weight_grad": (x, y)}[op]
    tracemalloc.start()
    try:
        out = getattr(conv_arrays, op)(NUMPY, first, second, *([] if op == "weight_grad" else [None]), *axes, 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - out.nbytes < 2.5 * conv_arrays.CACHE_BYTES
