"""The running average against its closed form."""
import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.training import EMA

pytestmark = pytest.mark.usefixtures("backend")


class Two(nn.Module):
    def __init__(self, a=0.0, b=(1.0, 2.0)):
        self.a, self.b = nn.Parameter(mg.tensor(a)), nn.Parameter(mg.tensor(list(b)))
        self.count = nn.Buffer(mg.tensor(5.0))


def put(model, value):
    with mg.no_grad():
        model.a[...] = value


def test_closed_form():
    """θ̄ₜ = dᵗ θ₀ + (1 − d) Σₛ dᵗ⁻ˢ θₛ."""
    model, d, values = Two(a=3.0), 0.8, [1.0, -2.0, 5.0, 4.0]
    ema = EMA(model, d)
    for value in values:
        put(model, value)
        ema.update()
    expected = d ** 4 * 3.0 + (1 - d) * sum(d ** (4 - s) * value for s, value in enumerate(values, 1))
    with ema.swapped():
        assert model.a.item() == pytest.approx(expected, rel=1e-6)
        np.testing.assert_allclose(model.b.numpy(), [1.0, 2.0], rtol=1e-6)
        assert model.count.item() == 5.0
    assert model.a.item() == 4.0


def test_warm_up_holds_on_less_to_the_start():
    model = Two(a=1.0)
    ema = EMA(model, 0.999, warm_up=True)
    put(model, 0.0)
    for _ in range(3):
        ema.update()
    expected = 2 / 11 * 3 / 12 * 4 / 13
    with ema.swapped():
        assert model.a.item() == pytest.approx(expected, rel=1e-5)
    ema.updates = 10 ** 6
    ema.update()
    with ema.swapped():
        assert model.a.item() == pytest.approx(expected * 0.999, rel=1e-5)


def test_settle_leaves_the_average_in_the_module():
    model = Two(a=1.0)
    ema = EMA(model, 0.5)
    put(model, 3.0)
    ema.update()
    loss = model.a * model.a
    ema.settle()
    assert model.a.item() == 2.0 and ema.mean["a"] is not model.a._array
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()
    with pytest.raises(RuntimeError, match="settle outside the swapped"), ema.swapped():
        ema.settle()


def test_swap_is_undone_by_an_exception_and_counted():
    model = Two(a=1.0)
    ema = EMA(model, 0.5)
    put(model, 3.0)
    ema.update()
    loss = model.a * model.a
    with pytest.raises(KeyError), ema.swapped():
        assert model.a.item() == 2.0
        raise KeyError
    assert model.a.item() == 3.0
    with pytest.raises(RuntimeError, match="changed in place"):              # the graph saw the parameter change
        loss.backward()
    with ema.swapped():
        for wrong in (ema.update, ema.state_dict, lambda: ema.swapped().__enter__()):
            with pytest.raises(RuntimeError, match="EMA"):
                wrong()


def test_resumes_exactly():
    model, twin = Two(a=1.0), Two(a=9.0)
    ema, resumed = EMA(model, 0.9, warm_up=True), EMA(twin, 0.9, warm_up=True)
    for value in (2.0, 3.0):
        put(model, value)
        ema.update()
    resumed.load_state_dict(ema.state_dict())
    for m, average in ((model, ema), (twin, resumed)):
        put(m, 7.0)
        average.update()
    np.testing.assert_equal(resumed.state_dict(), ema.state_dict())


def test_bad_input():
    model = Two()
    with pytest.raises(ValueError, match=r"EMA: decay must be in \[0, 1\), got 1"):
        EMA(model, 1.0)
    saved = EMA(Two(b=(1.0, 2.0, 3.0)), 0.9).state_dict()
    with pytest.raises(ValueError, match="another module; it differs in b"):
        EMA(model, 0.9).load_state_dict(saved)
