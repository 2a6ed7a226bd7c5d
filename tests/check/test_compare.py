"""What counts as equal."""
import numpy as np
import pytest

import minigen as mg
from minigen.check.compare import Comparison, compare, epsilon, relative_tolerance, to_host


def test_to_host_takes_anything(backend):
    assert to_host(mg.tensor([1.0, 2.0], requires_grad=True)).tolist() == [1.0, 2.0]
    assert to_host([1, 2]).dtype.kind == "i" and to_host(3.0).shape == ()


def test_precision_follows_the_dtype():
    assert relative_tolerance(np.float64) < relative_tolerance(np.float32) < relative_tolerance(np.float16)
    assert relative_tolerance(np.int64) == relative_tolerance(np.float64) and epsilon(np.int32) == np.finfo(float).eps


@pytest.mark.parametrize("yours, ours, wrong", [
    ([1.0, 2.0], [1.0, 2.0], []), ([1.0, 2.1], [1.0, 2.0], [(1,)]), ([np.nan, 1.0], [1.0, 1.0], [(0,)]),
                                                ([np.nan], [np.nan], []),
    ([np.inf, -np.inf], [np.inf, np.inf], [(1,)]), ([1e-300], [2e-300], [(0,)]), (np.float32([0.1]), [0.1], []),
    ([0.1 + 1e-6], [0.1], [(0,)])])
def test_elements(yours, ours, wrong):
    assert compare(yours, ours).indices() == wrong


def test_the_worst_comes_first_and_is_measured():
    comparison = Comparison([[1.0, 2.0], [3.0, 9.0]], [[1.0, 2.5], [3.0, 4.0]], 1e-3)
    assert not comparison.ok and comparison.worst == (5.0, 1e-3)
    first, second = comparison.elements(4, numeric=lambda index: 7.0)
    assert (first.index, first.yours, first.ours, first.numeric) == ((1, 1), 9.0, 4.0, 7.0) and second.index == (0, 1)


def test_empty_arrays_agree():
    comparison = Comparison(np.zeros((0, 3)), np.zeros((0, 3)), 0.0)
    assert comparison.ok and comparison.worst == (0.0, 0.0) and comparison.elements(4) == []
