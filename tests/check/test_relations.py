"""What can be said of two arrays, and what may not be said."""
import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigen.check.case import Case, nice
from minigen.check.diagnosis import diagnose

rng = np.random.default_rng(0)
A, S, v = rng.standard_normal((4, 3)), rng.standard_normal((4, 4)), rng.standard_normal(6)


@pytest.mark.parametrize("yours, ours, kind, words", [
    (2 * A, A, "factor", "2 times ours"), (A / 2, A, "factor", "½ of ours"), (-A, A, "sign", "opposite sign"),
    (A / 3, A, "factor", "⅓ of ours"), (A * np.sqrt(2 * np.pi), A, "factor", "√(2π) times"),
                                                      (A / np.log(2), A, "factor", "1/log 2"),
    (0.7312 * A, A, "factor", "0.7312 times"), (A / np.linalg.norm(A), A, "factor", "normalised"),
    (A.T, A, "transpose", "shape (3, 4) instead of (4, 3)"), (-2 * A.T, A, "transpose", "−2 times too large"),
    (S.T, S, "transpose", "transposed"), (S, S + S.T, "symmetric", "plus its transpose"),
                                                      (np.diag(np.diag(S)), S, "diagonal", "diagonal"),
    (A, A.sum(0), "missing-sum", "the sum over axis 0 is missing"), (A, A.sum(1), "missing-sum", "axis 1"),
    (A, A.mean(0), "missing-mean", "the mean over axis 0 is missing"), (A.sum(0), A, "extra-sum", "summed over axis 0"),
    (A.mean(1), A, "extra-mean", "averaged over axis 1"), (A[None], A, "shape", "right numbers in the wrong shape"),
    (A.ravel(), A, "shape", "wrong shape"), (rng.standard_normal(7), A, "shape", "no simple relation found"),
    (np.roll(v, 1), v, "shift", "off by one along axis 0: yours[i] is ours[i − 1]"),
                                                      (np.roll(v, -1), v, "shift", "ours[i + 1]"),
    (v[::-1], v, "reversed", "reversed"), (np.append(v[:-1], 0), v, "edge", "index 5"),
                                                      (np.append(0, v[1:]), v, "edge", "the first element"),
    (np.full(6, v.sum()), v, "extra-sum", "summed over axis 0 and spread back"),
                                                      (v ** 2, v, "function", "the square of ours"),
    (np.exp(v), v, "function", "exp of ours"), (1 / v, v, "function", "one over ours"),
                                                      (np.abs(v) + 1e-30, v, "function", "absolute value"),
    (v + 3, v, "offset", "ours + 3"), (v - 3 * np.log(2 * np.pi), v, "offset", "6 · ½ log 2π"),
                                                      (v + 0.3177, v, "offset", "0.3177"),
    (0 * v, v, "zero", "zero everywhere"), (v, 0 * v, "independent", "does not depend"),
                                                      (v * np.nan, v, "nan", "NaN or infinite at 6 of 6"),
])
def test_relations(yours, ours, kind, words):
    found = diagnose(Case(yours, ours))
    assert (found.kind, words in found.text) == (kind, True), found


def test_sizes_turn_a_factor_into_sum_or_mean():
    sizes = {4: "the length of axis 0 of X", 2: "the number of dimensions"}
    found = diagnose(Case(4 * v, v, sizes=sizes))
    assert found.kind == "sum-for-mean" and found.text.endswith("4 is the length of axis 0 of X: summed where it "
                                                                "should be averaged")
    assert diagnose(Case(v / 4, v, sizes=sizes)).kind == "mean-for-sum"
    assert diagnose(Case(2 * v, v, sizes=sizes)).kind == "factor"          # 2 may be a dimension, or just a 2


def test_terms():
    a, b = rng.standard_normal(6), rng.standard_normal(6)
    for yours, kind in ((v - a, "missing-term"), (v + a, "extra-term"), (v - 2 * a, "term-sign"),
                        (v - 0.5 * a, "term-factor"),
                        (v + 3 * a, "term-factor"), (v - a - b, "term"), (v - a + b, "term")):
        assert diagnose(Case(yours, v, terms={"first": a, "second": b})).kind == kind


def test_chain_factors():
    x, s = rng.uniform(0.2, 2, 6), lambda x: 1 / (1 + np.exp(-x))
    for h, words in ((x, "x"), (x ** 2, "x²"), (s(x) * (1 - s(x)), "σ′(x)"), (1 - np.tanh(x) ** 2, "tanh′(x)"),
                     (np.exp(x), "exp(x)"), (np.cos(x), "cos(x)")):
        missing, extra = diagnose(Case(v, v * h, factors={"x": x})), diagnose(Case(v * h, v, factors={"x": x}))
        assert missing.kind == extra.kind == "chain-factor" and words in missing.text and words in extra.text
    two = diagnose(Case(v, v * x / s(x), factors={"x": x, "1 + s": s(x)}))
    assert two.text == "the factor (x)/(1 + s) is missing"


@given(st.integers(0, 10 ** 6), st.sampled_from([(1,), (5,), (3, 3), ()]), st.sampled_from([1e-7, 1e-4]))
def test_it_never_guesses(seed, shape, rtol):
    random = np.random.default_rng(seed)
    yours, ours, x = random.standard_normal((3, *shape))
    case = Case(yours, ours, rtol, terms={"a": random.standard_normal(shape)},
                factors={"x": x, "y": random.standard_normal(shape)},
                sizes={7: "the batch"})
    assert diagnose(case).kind == "none"


def test_numbers_people_write():
    for c, text in ((2, "2"), (-1, "−1"), (0.5, "½"), (1 / 60, "1/60"), (0.75, "¾"), (1.5, "3/2"), (np.pi, "π"),
                    (1 / np.sqrt(2 * np.pi), "1/√(2π)"),
                    (-np.log(2), "−log 2"), (1.2345, None), (np.nan, None), (0.0, None), (137.0, "137"),
                    (137.003, None)):
        assert nice(c, 1e-7) == text
    assert nice(137.0, 1e-4) is None and nice(2.0003, 1e-4) == "2"         # imprecise numbers could be anything
