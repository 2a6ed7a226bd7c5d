"""Ctrl-C is noted where that is possible, and left alone where it is not."""
import signal
import threading

import pytest

from minigen.training.interrupt import Interruption


@pytest.fixture(autouse=True)
def handler():
    before = signal.getsignal(signal.SIGINT)
    yield before
    signal.signal(signal.SIGINT, before)


def test_first_is_noted_second_raises(handler, capsys):
    with pytest.raises(KeyboardInterrupt, match="stopped at once"), Interruption() as ctrl_c:
        assert not ctrl_c.requested
        signal.raise_signal(signal.SIGINT)
        assert ctrl_c.requested and "stopping after this step" in capsys.readouterr().err
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is handler


def test_who_ignores_it_goes_on_ignoring_it():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interruption() as ctrl_c:
        signal.raise_signal(signal.SIGINT)
    assert not ctrl_c.requested and signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_outside_the_main_thread(handler):
    seen = []

    def work():
        with Interruption() as ctrl_c:
            seen.append((ctrl_c.requested, signal.getsignal(signal.SIGINT)))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, handler)]
