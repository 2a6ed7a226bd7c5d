"""Schedules at the steps where one knows their values."""
import math

import pytest

from minigen.training import schedules


def test_constant_and_step():
    assert [schedules.constant(0.3)(t) for t in (0, 10 ** 6)] == [0.3, 0.3]
    rate = schedules.step(1.0, every=10, factor=0.5)
    assert [rate(t) for t in (0, 9, 10, 19, 20)] == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_cosine():
    rate = schedules.cosine(2.0, steps=100, end=1.0)
    assert rate(0) == 2.0 and rate(50) == pytest.approx(1.5) and rate(100) == rate(1000) == pytest.approx(1.0)
    assert rate(25) == pytest.approx(1.5 + 0.5 * math.cos(math.pi / 4))
    assert all(rate(t) > rate(t + 1) for t in range(100))


def test_warm_up_multiplies_any_other():
    rate = schedules.warm_up(0.8, steps=4)
    assert [rate(t) for t in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    cosine = schedules.cosine(1.0, steps=100)
    both = schedules.warm_up(cosine, steps=10)
    assert both(4) == pytest.approx(0.5 * cosine(4)) and both(60) == cosine(60)


def test_by_name():
    rate = schedules.make("cosine", lr=1.0, steps=100, warm_up_steps=10)
    assert rate(0) == pytest.approx(0.1) and rate(50) == pytest.approx(0.5)
    assert schedules.make("constant", lr=0.1)(7) == 0.1
    with pytest.raises(ValueError, match="no schedule is called 'cosin'; did you mean 'cosine'"):
        schedules.make("cosin", lr=1.0, steps=3)


def test_bad_settings():
    for make, message in [(lambda: schedules.constant(-1.0), "constant: lr must be a finite number ≥ 0, got -1.0"),
                          (lambda: schedules.cosine(1.0, steps=0), "cosine: steps must be a finite number > 0, got 0"),
                          (lambda: schedules.step(1.0, every=10, factor=float("inf")), "step: factor"),
                          (lambda: schedules.warm_up(1.0, steps=-3), "warm_up: steps")]:
        with pytest.raises(ValueError, match=message):
            make()
