"""no_grad, enable_grad and detect_anomaly: nested, as decorators, in threads and in coroutines."""
import asyncio
import threading

import numpy as np
import pytest
from helpers import leaf

import minigen as mg
from minigen.primitive import is_recording

both = pytest.mark.usefixtures("backend")


# ---- no_grad ---------------------------------------------------------------------------------------------------------
def test_no_grad_nests_and_ends_after_an_exception():
    with mg.no_grad():
        with mg.enable_grad():
            assert is_recording()
        with mg.no_grad():
            pass
        assert not is_recording()
    with pytest.raises(KeyError), mg.no_grad():
        raise KeyError
    assert is_recording()


def test_no_grad_is_a_decorator():
    @mg.no_grad()
    def predict(x):
        return x * 2, is_recording()

    x = mg.tensor([1.0], requires_grad=True)
    for _ in range(2):                                                   # more than once
        y, recording = predict(x)
        assert not recording and not y.requires_grad
    assert is_recording() and predict.__name__ == "predict"

    @mg.enable_grad()
    def train(x):
        return x * 2

    with mg.no_grad():
        assert train(x).requires_grad


def test_no_grad_is_local_to_its_thread():
    inside, seen = threading.Event(), threading.Event()
    results = {}

    def other():
        inside.wait(5)
        results["recording"] = (mg.tensor([1.0], requires_grad=True) * 2).requires_grad
        seen.set()

    thread = threading.Thread(target=other)
    thread.start()
    with mg.no_grad():
        inside.set()
        assert seen.wait(5)
        assert not is_recording()
    thread.join()
    assert results["recording"]


def test_no_grad_is_local_to_its_coroutine():
    async def quiet(order):
        with mg.no_grad():
            await asyncio.sleep(0)
            order.append(("quiet", is_recording()))
            await asyncio.sleep(0)

    async def loud(order):
        for _ in range(3):
            order.append(("loud", is_recording()))
            await asyncio.sleep(0)

    async def together():
        order = []
        await asyncio.gather(quiet(order), loud(order))
        return order

    assert all(recording == (who == "loud") for who, recording in asyncio.run(together()))


def test_threads_train_side_by_side():
    """Eight graphs built and differentiated at once give what one alone gives."""
    def work(k, results):
        x = mg.tensor([float(k), 1.0], requires_grad=True)
        y = x
        for _ in range(50):
            y = mg.tanh(y * x)
        results[k] = mg.grad(y.sum(), x).numpy()

    alone, together = {}, {}
    for k in range(8):
        work(k, alone)
    threads = [threading.Thread(target=work, args=(k, together)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(8):
        np.testing.assert_array_equal(alone[k], together[k])


# ---- what is cut ----------------------------------------------------------------------------------------------------
@both
def test_detach_cuts_the_graph():
    x = leaf(3.0)
    y = x * x
    assert mg.grad(y * y.detach(), x).item() == 9 * 6
    assert not y.detach().requires_grad and y.detach().item() == 9


@both
def test_no_grad_cuts_the_graph():
    x = leaf(3.0)
    with mg.no_grad():
        y = x * x
    assert not y.requires_grad and mg.grad(y * x, x).item() == 9


@both
def test_a_backward_pass_inside_no_grad_still_works():
    x = leaf(3.0)
    y = x * x
    with mg.no_grad():
        assert mg.grad(y, x, retain_graph=True).item() == 6
        assert not mg.grad(y, x, retain_graph=True).requires_grad
        y.backward()
    assert x.grad.item() == 6


# ---- detect_anomaly --------------------------------------------------------------------------------------------------
@both
def test_anomaly_in_the_forward_names_op_and_line():
    x = leaf([0.0, 1.0])
    with np.errstate(all="ignore"), mg.detect_anomaly():
        with pytest.raises(FloatingPointError) as error:
            y = mg.log(x)  # the culprit
            mg.exp(y)
    message = str(error.value)
    assert message.startswith("log: made the first infinity, shape (2,), called at ")
    assert __file__ in message and message.endswith("y = mg.log(x)  # the culprit")


@both
def test_anomaly_in_the_backward_names_op_and_the_line_of_the_forward():
    x = leaf([0.0, 1.0])
    with np.errstate(all="ignore"), mg.detect_anomaly():
        y = mg.sqrt(x)  # fine here, but its slope at 0 is infinite
        z = y.sum()
        with pytest.raises(FloatingPointError) as error:
            z.backward()
    message = str(error.value)
    assert message.startswith("sqrt (its gradient): made the first infinity") and "slope at 0 is infinite" in message


@both
def test_anomaly_finds_nan_and_leaves_integers_alone():
    with np.errstate(all="ignore"), mg.detect_anomaly():
        mg.tensor([1, 2]) + 1
        with pytest.raises(FloatingPointError, match="made the first NaN"):
            mg.tensor([np.inf]) * 0.0
    with np.errstate(all="ignore"):
        assert np.isnan((mg.tensor([np.inf]) * 0.0).item())            # outside nothing is looked at


@both
def test_anomaly_while_a_derivative_is_recorded():
    x = leaf([0.0])
    y = (x * mg.sqrt(x)).sum()
    with np.errstate(all="ignore"), mg.detect_anomaly():
        with pytest.raises(FloatingPointError) as error:
            mg.grad(y, x, create_graph=True)  # 1 / √0
    assert "made the first" in str(error.value) and "1 / √0" in str(error.value)
