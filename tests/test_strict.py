"""The stand-in for CuPy is itself tested: what it refuses, what it lacks, what it counts."""
import numpy as np
import pytest
import strict

from minigen import backend as backends


REFUSED = {
    "NumPy operand": lambda x: x + np.ones(3), "NumPy operand on the left": lambda x: np.ones(3) * x,
    "NumPy scalar": lambda x: x * np.float32(2), "NumPy scalar on the left": lambda x: np.float64(2) - x,
    "implicit conversion": np.asarray, "NumPy function": np.exp, "NumPy index": lambda x: x[np.array([0])],
    "NumPy argument": lambda x: strict.maximum(x, np.ones(3)), "list operand": lambda x: strict.add(x, [1, 2, 3]),
    "NumPy value": lambda x: x.__setitem__(0, np.float64(1)), "keyword": lambda x: strict.sum(x, initial=0.0),
    "hash": hash,
    "tuple of keys": lambda x: strict.lexsort((x, x)), "number for an array": lambda x: strict.sum(1.0),
    "array in a slice": lambda x: x[:strict.asarray(2)], "NumPy seed": lambda x: strict.random.default_rng(np.int64(3)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_strict_refuses(what):
    with pytest.raises(TypeError):
        REFUSED[what](strict.asarray([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("missing", [lambda x: strict.geomspace, lambda x: x.searchsorted_, lambda x: x.flags.writeable,
                                     lambda x: strict.random.default_rng(0).normal, lambda x: strict.linalg.eig_banded,
                                     lambda x: backends.get("strict").bitwise_not_there])
def test_strict_has_no_name_that_cupy_lacks(missing):
    with pytest.raises(AttributeError):
        missing(strict.asarray([1.0]))


def test_strict_gives_0d_arrays():
    x = strict.asarray([[1.0, 2.0], [3.0, 4.0]])
    for result in (x.sum(), strict.max(x), x[0, 1], x[0][1], strict.allclose(x, x), *strict.linalg.slogdet(x)):
        assert type(result) is strict.ndarray and result.shape == ()
    corner = x[1, 1]
    corner += 1.0                                                     # a view, as in CuPy
    assert x.tolist() == [[1.0, 2.0], [3.0, 5.0]]


def test_strict_keeps_python_numbers_weak():
    x = strict.asarray([1.0, 2.0], dtype="float32")
    for result in (x * 2.0, 1 - x, strict.maximum(x, 0.0), strict.where(x > 1, x, 0.0)):
        assert result.dtype == "float32"


@pytest.mark.parametrize("wait", [lambda x: x.item(), lambda x: x.get(), lambda x: x.tolist(), bool, int, float,
                                  lambda x: strict.flatnonzero(x), lambda x: x[x > 0], lambda x: f"{float(x):.2f}"])
def test_strict_counts_transfers(wait):
    x = strict.ones(())
    before = strict.transfers
    wait(x)
    assert strict.transfers == before + 1


def test_strict_counts_no_transfer_in_computing():
    before = strict.transfers, strict.uploads
    x = strict.ones((3, 4))
    strict.linalg.inv(strict.exp(x - x.mean(axis=0)) @ x.T + strict.eye(3))[1:].sum()
    assert (strict.transfers, strict.uploads) == before
