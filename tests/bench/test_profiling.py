"""The profile counts every call, its times sum to the whole, and it leaves nothing behind."""
import time

import pytest
from profiling import BETWEEN, Profile, table

import minigen as mg
from minigen.training import Adam, SGD


@mg.primitive
def slow(xp, x):
    """The identity, taking 2 ms."""
    time.sleep(0.002)
    return x.copy()


@mg.primitive
def _helper(xp, x):
    time.sleep(0.002)
    return x.copy()


def _slow_vjp(g):
    time.sleep(0.004)
    return _helper(g)


slow.vjp(_slow_vjp)


def profiled(function, steps=1):
    with Profile() as profile:
        for _ in range(steps):
            function()
    report = profile.report(steps)
    return report, {row["op"]: row for row in report["rows"]}


def test_calls_and_times_of_an_op_forward_and_backward():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    report, rows = profiled(lambda: mg.sum(slow(slow(x))).backward(), steps=3)
    assert rows["slow"]["calls"] == rows["slow"]["calls_back"] == 2 and rows["sum"]["calls"] == 1
    assert rows["slow"]["forward"] >= 4 and rows["slow"]["backward"] >= 12           # 2 · 2 and 2 · (4 + 2) ms
    assert "helper" not in rows                                                      # its time is the derivative's
    assert report["rows"][0]["op"] == "slow"


def test_rows_sum_to_the_step():
    model, x = mg.nn.MLP([5, 7, 1], rng=0), mg.ones((3, 5))
    optimizer, rng = Adam(model.parameters(), lr=1e-3), mg.random.default_rng(0)

    def step():
        loss = mg.mean(model(x + rng.standard_normal((3, 5))) ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    report, rows = profiled(step, steps=20)
    assert sum(row["total"] for row in report["rows"]) == pytest.approx(report["ms"])
    assert sum(row["share"] for row in report["rows"]) == pytest.approx(100)
    assert all(row["forward"] >= 0 and row["backward"] >= 0 for row in report["rows"])
    assert rows["optimiser"]["calls"] == rows["random numbers"]["calls"] == 1
    assert rows[BETWEEN]["forward"] > 0 and rows[BETWEEN]["backward"] > 0
    totals = [row["total"] for row in report["rows"]]
    assert totals == sorted(totals, reverse=True)


def test_second_derivatives_are_not_counted_twice():
    x = mg.tensor([1.0, 2.0], requires_grad=True)

    def step():
        g = mg.grad(mg.sum(mg.exp(x)), x, create_graph=True)
        mg.grad(mg.sum(g), x)

    report, rows = profiled(step)
    assert rows["exp"]["calls"] == 1 and sum(row["total"] for row in report["rows"]) == pytest.approx(report["ms"])


def test_nothing_is_left_behind_even_after_an_error():
    cell = dict(zip(mg.exp.__code__.co_freevars, mg.exp.__closure__))["forward"]
    before = (cell.cell_contents, mg.exp.op.derivatives[0].function, SGD.step, mg.autograd.backpropagate,
              mg.random.Generator.random)
    with pytest.raises(KeyError), Profile():
        assert cell.cell_contents is not before[0] and mg.autograd.backpropagate is not before[3]
        raise KeyError
    assert before == (cell.cell_contents, mg.exp.op.derivatives[0].function, SGD.step, mg.autograd.backpropagate,
                      mg.random.Generator.random)


def test_table_is_sorted_and_ends_with_the_step():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    report, _ = profiled(lambda: mg.sum(slow(x)).backward())
    title, head, first, *_, last = table("a title", report).splitlines()
    assert title == "a title" and head.split()[:3] == ["op", "calls", "back"]
    assert first.split()[:3] == ["slow", "1.0", "1.0"] and first.endswith("%") and last.startswith("a step")
