"""Updates in blocks, and compiled."""
import numpy as np
import pytest

from minigen import backend
from minigen.training import blocks


@blocks.Blockwise
def leak(xp, x, y, rate):
    x -= rate * y
    y *= 2.0


@pytest.mark.parametrize("shape", [(), (0,), (3,), (4,), (5, 4), (2, 3, 7)])
def test_every_element_once(shape, monkeypatch):
    monkeypatch.setattr(leak, "block", 4)
    x, y = np.full(shape, 1.0), np.full(shape, 3.0)
    assert leak(backend.get("numpy"), (x, y), 0.5) is None
    np.testing.assert_array_equal(x, np.full(shape, -0.5))
    np.testing.assert_array_equal(y, np.full(shape, 6.0))


def test_arrays_that_are_not_contiguous(monkeypatch):
    monkeypatch.setattr(leak, "block", 4)
    x, y = np.ones((6, 4)).T, np.full((4, 6), 3.0)
    leak(backend.get("numpy"), (x, y), 0.5)
    np.testing.assert_array_equal(x, np.full((4, 6), -0.5))


def test_a_backend_that_compiles_does_it_all():
    class Compiling(backend.NumpyBackend):
        def in_place(self, function, *arrays, numbers=()):
            called.append((function.__name__, len(arrays), numbers))
            return True

    called, x = [], np.ones((5, 4))
    leak(Compiling(), (x, x), 0.5)
    assert called == [("leak", 2, (0.5,))]
    np.testing.assert_array_equal(x, np.ones((5, 4)))


def test_cupy_compiles_once_under_a_name_that_a_kernel_can_have():
    class Module:
        fused = []

        def fuse(self, function):
            self.fused.append(function.__name__)
            return function

    xp = backend.CupyBackend.__new__(backend.CupyBackend)              # no CuPy is needed for this
    xp.module = Module()
    x, y = np.ones((5, 4)), np.full((5, 4), 3.0)
    for _ in range(2):
        leak(xp, (x, y), 0.5)
    assert xp.module.fused == ["leak"] and "leak".isidentifier()
    np.testing.assert_array_equal(x, np.full((5, 4), 1 - 1.5 - 3.0))
