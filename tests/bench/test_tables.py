"""Tables, means and exponents: figures in, text out."""
import numpy as np
import pytest
import scaling
import tables

ROWS = [{"workload": "a", "minigen_ms": 1.0, "minigen_mb": 2.0, "torch_ms": 4.0, "ratio": 0.25, "torch_mb": 9.5},
        {"workload": "b", "minigen_ms": 3.0, "minigen_mb": None, "torch_ms": 3.0, "ratio": 1.0, "torch_mb": 1.0}]


def test_geometric_mean():
    assert tables.geometric_mean([0.25, 1.0]) == 0.5
    assert tables.geometric_mean([]) is None


def test_comparison_shows_every_figure_and_the_geometric_mean():
    lines = tables.comparison(ROWS, ["minigen", "torch"]).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["a", "1.0000", "4.0000", "0.25", "2.0", "9.5"], ["b", "3.0000", "3.0000", "1.00", "–", "1.0"],
        ["geometric", "mean", "0.50"]]
    assert lines[0].index("ratio") + len("ratio") == lines[1].index("0.25") + len("0.25")        # in one column
    assert lines[3].index("0.50") == lines[1].index("0.25")


def test_comparison_without_another_library():
    rows = [{"workload": "a", "minigen_ms": 1.0, "minigen_mb": 2.0}]
    assert tables.comparison(rows, ["minigen"]).split() == "workload minigen ms minigen MB a 1.0000 2.0".split()


def test_a_library_without_the_workload_has_dashes_and_no_part_in_the_mean():
    rows = [ROWS[0], {**ROWS[1], "jax_ms": 1.5, "jax_ratio": 2.0, "jax_mb": 7.0}]
    lines = tables.comparison(rows, ["minigen", "torch", "jax"]).splitlines()
    assert lines[1].split() == ["a", "1.0000", "4.0000", "0.25", "–", "–", "2.0", "9.5", "–"]
    assert lines[3].split() == ["geometric", "mean", "0.50", "2.00"]


@pytest.mark.parametrize("k", [0.0, 0.5, 1.0, 2.0])
def test_exponent_of_a_power_is_exact(k):
    sizes = np.array([16, 32, 64, 128])
    assert scaling.exponent(sizes, 0.3 * sizes ** k) == pytest.approx(k, abs=1e-12)


def test_exponent_of_noisy_times_lies_within_four_standard_errors():
    """False-alarm rate 6e-5 for a fresh seed: the slope under noise σ has the standard error σ / √Σ(log s − mean)²."""
    rng, sizes = np.random.default_rng(0), 2.0 ** np.arange(4, 11)
    spread = np.log(sizes) - np.log(sizes).mean()
    found = scaling.exponent(sizes, 5e-3 * sizes ** 1.3 * np.exp(0.05 * rng.standard_normal(7)))
    assert abs(found - 1.3) < 4 * 0.05 / np.sqrt((spread ** 2).sum())


def test_overhead_flattens_the_slope_over_all_sizes_but_less_that_of_the_largest():
    sizes = np.array([10, 100, 1000, 10_000])
    times = 1.0 + 0.01 * sizes
    assert scaling.exponent(sizes, times) < scaling.exponent(sizes[-3:], times[-3:]) < 1.0


def test_scaling_table():
    result = {"series": "depth", "workload": "chain", "sizes": [10, 100], "minigen_ms": [1.0, 10.0],
              "torch_ms": [2.0, 10.0], "minigen_exponent": 1.0, "torch_exponent": 0.7, "minigen_exponent_largest": 1.0,
              "torch_exponent_largest": 0.71}
    title, head, *lines = scaling.table(result, ["minigen", "torch"]).splitlines()
    assert title == "chain, by depth" and head.split() == ["depth", "minigen", "ms", "PyTorch", "ms", "ratio"]
    assert [line.split() for line in lines] == [["10", "1.000", "2.000", "0.50"], ["100", "10.000", "10.000", "1.00"],
                                                ["exponent", "1.00", "0.70"],
                                                ["of", "the", "last", "3", "1.00", "0.71"]]
