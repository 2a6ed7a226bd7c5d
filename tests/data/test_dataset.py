"""Dataset: slicing, subsets and splits keep the arrays together."""
import numpy as np
import pytest

from minigen.data import Dataset


@pytest.fixture
def data():
    return Dataset({"x": np.arange(20).reshape(10, 2), "y": np.arange(10) * 10})


def test_reads_like_a_dict_of_arrays(data):
    assert len(data) == 10 and "x" in data and "z" not in data and list(data.keys()) == ["x", "y"]
    assert data["y"][3] == 30 and set(dict(data)) == {"x", "y"}
    assert repr(data) == "Dataset(x: (10, 2) int64, y: (10,) int64)"


def test_slice_is_a_view(data):
    part = data[2:8:2]
    assert isinstance(part, Dataset) and part["y"].tolist() == [20, 40, 60]
    assert np.shares_memory(part["x"], data["x"]) and len(data[20:]) == 0


def test_subset(data):
    assert data.subset([3, 3, -1])["y"].tolist() == [30, 30, 90]
    assert data.subset(data["y"] > 60)["x"][:, 0].tolist() == [14, 16, 18]
    assert len(data.subset([])) == 0


@pytest.mark.parametrize("indices, reason", [
    ([10], "indices run from 10 to 10"), ([-11], "there are 10"), ([[1]], "1-d array"), ([0.5], "integers or a mask"),
    ([True, False], "the mask has 2 entries")])
def test_subset_refuses(data, indices, reason):
    with pytest.raises(IndexError, match=reason):
        data.subset(indices)


def test_split_is_a_partition_and_repeatable(data):
    first, rest = data.split(0.3, seed=1)
    assert len(first) == 3 and len(rest) == 7
    assert sorted([*first["y"], *rest["y"]]) == data["y"].tolist()
    assert (first["x"][:, 0] * 5 == first["y"]).all()
    assert data.split(0.3, seed=1)[0]["y"].tolist() == first["y"].tolist()
    assert data.split(0.3, seed=2)[0]["y"].tolist() != first["y"].tolist()


@pytest.mark.parametrize("fraction", [0, 1, 0.01, -0.5, 1.5])
def test_split_refuses_an_empty_part(data, fraction):
    with pytest.raises(ValueError, match="split: a fraction of"):
        data.split(fraction)


@pytest.mark.parametrize("arrays, reason", [
    ({}, "at least one array"), ({"x": 3}, "'x' must be an array"), ({"x": np.array(["a"])}, "array of numbers"),
    ({"x": [1, 2], "y": [1]}, "{'x': 2, 'y': 1}")])
def test_construction_refuses(arrays, reason):
    with pytest.raises(ValueError, match=reason):
        Dataset(arrays)


def test_wrong_keys(data):
    with pytest.raises(KeyError, match="no array is called 'z'; it has x, y"):
        data["z"]
    with pytest.raises(TypeError, match="use subset"):
        data[3]
