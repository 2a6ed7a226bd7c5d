"""The geometry of windows against counting: every pair of places that a tap brings together, there and back."""
import hypothesis.strategies as st
import pytest
from hypothesis import assume, given, settings

from minigen.ops.conv_geometry import Axis, axes_over, axes_under, explicit, per_axis, taps


@st.composite
def any_axis(draw):
    small = st.integers(1, 4)
    X, K, Y = draw(st.integers(1, 9)), draw(small), draw(st.integers(1, 5))
    return Axis(X, K, Y, draw(st.integers(-6, 4)), draw(small), draw(small))


def pairs(axis):
    """(p, k, h) with p = a + s h + d k inside of x."""
    found = [(axis.start + axis.stride * h + axis.dilation * k, k, h) for k in range(axis.K) for h in range(axis.Y)]
    return {(p, k, h) for p, k, h in found if 0 <= p < axis.X}


@settings(max_examples=200)
@given(any_axis())
def test_meet_finds_every_pair_of_a_tap(axis):
    found = set()
    for k in range(axis.K):
        in_x, in_y = (list(range(n))[part] for n, part in zip((axis.X, axis.Y), axis.meet(k)))
        assert len(in_x) == len(in_y)
        found |= {(p, k, h) for p, h in zip(in_x, in_y)}
    assert found == pairs(axis)


@settings(max_examples=200)
@given(any_axis())
def test_a_turned_axis_reads_the_same_pairs_backwards(axis):
    axis = axis._replace(stride=1)
    assert {(p, axis.K - 1 - m, h) for h, m, p in pairs(axis.turned)} == pairs(axis)
    assert axis.turned.turned == axis


@given(any_axis())
def test_span_and_reach_and_plain(axis):
    places = [axis.start + axis.stride * h + axis.dilation * k for k in range(axis.K) for h in range(axis.Y)]
    assert axis.span == max(places) - min(places) + 1
    assert axis.reach == axis.dilation * (axis.K - 1) + 1
    assert axis.plain == (axis.K == 1 and axis.X == axis.Y and places == list(range(axis.X)) and axis.stride == 1)


def test_taps_are_all_there():
    row, column = Axis(3, 2, 2, 0, 1, 1), Axis(4, 3, 2, 0, 1, 1)
    assert [tap for tap, _, _ in taps(row, column)] == [(i, j) for i in range(2) for j in range(3)]


# ---- what a user writes ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("padding, pairs", [
    (1, ((1, 1), (1, 1))), ((1, 2), ((1, 1), (2, 2))), ([(1, 2), (0, 3)], ((1, 2), (0, 3))),
    ("valid", ((0, 0), (0, 0))), ("same", ((1, 1), (1, 2)))], ids=str)
def test_every_way_to_write_a_padding(padding, pairs):
    assert explicit("f", (5, 6), (3, 4), 1, padding, 1) == ((1, 1), pairs, (1, 1))


@pytest.mark.parametrize("padding, pairs", [(2, ((2, 2),)), ((1, 2), ((1, 2),)), ("causal", ((4, 0),)),
                                            ("same", ((2, 2),))], ids=str)
def test_every_way_to_write_a_padding_of_a_sequence(padding, pairs):
    assert explicit("f", (7,), (3,), 1, padding, 2) == ((1,), pairs, (2,))


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_same_divides_the_size_by_the_stride(X, K, s, d):
    axis, = axes_over("f", (X,), (K,), s, "same", d)
    assert axis.Y == -(-X // s)
    back, = axes_under("f", (axis.Y,), (K,), s, "same", d, 0)
    assert back.X == axis.Y * s and back == axes_over("f", (back.X,), (K,), s, "same", d)[0]


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3), st.integers(0, 3))
def test_under_undoes_over(X, K, s, d, before, after):
    assume(before + X + after >= d * (K - 1) + 1)
    axis, = axes_over("f", (X,), (K,), s, (before, after), d)
    left_over = X - (axis.span - before - after)
    assert axes_under("f", (axis.Y,), (K,), s, (before, after), d, left_over) == [axis]


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", (1,), (1, 2, 3), (1, 0), None, (1, "2")], ids=str)
def test_a_bad_number_per_axis_is_named(value):
    with pytest.raises(ValueError, match=r"f: stride must be an int ≥ 1 or 2 of them, got "):
        per_axis("f", "stride", value, 2)


@pytest.mark.parametrize("padding", [-1, 1.5, (1,), (1, 2, 3), (1, -2), ((1, 2), (3,)), ((1, 2), "34"), None], ids=str)
def test_a_bad_padding_is_named(padding):
    with pytest.raises(ValueError, match="f: padding must be an int ≥ 0, "):
        explicit("f", (5, 5), (3, 3), 1, padding, 1)


@pytest.mark.parametrize("D, word", [(2, "causal"), (2, "full"), (1, "SAME")])
def test_a_bad_word_is_named(D, word):
    known = "'valid', 'same'" + (", 'causal'" if D == 1 else "$")
    with pytest.raises(ValueError, match=f"f: padding='{word}' is none of {known}"):
        explicit("f", (5,) * D, (3,) * D, 1, word, 1)
