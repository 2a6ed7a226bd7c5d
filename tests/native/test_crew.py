"""Threads that share work: every part done once, whatever else goes on."""
import ctypes
import os
import threading
import time

import pytest

from minigen.native import build

pytestmark = pytest.mark.skipif(not build.compiler(), reason="there is no C compiler")
PART = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_long)


@pytest.fixture(scope="module")
def share():
    library = build.compiled(build.text("crew.c"), "crew", "f")
    library.share.restype, library.share.argtypes = None, [PART, ctypes.c_void_p, ctypes.c_long, ctypes.c_long]
    return library.share


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("parts", [0, 1, 2, 3, 7, 100, 70_000])
def test_every_part_is_done_once(share, parts, threads):
    done = [0] * parts
    share(PART(lambda job, k: done.__setitem__(k, done[k] + 1)), None, parts, threads)
    assert done == [1] * parts


@pytest.mark.parametrize("pause", [0, 0.2])
def test_several_threads_take_part(share, pause):
    """Also members that went to sleep."""
    time.sleep(pause)
    meeting, who = threading.Barrier(3, timeout=20), set()

    def part(job, k):
        who.add(threading.get_ident())
        meeting.wait()                                   # nobody can do two of these

    share(PART(part), None, 3, 3)
    assert len(who) == 3


def test_work_in_quick_succession(share):
    counts = [0, 0]
    part = PART(lambda job, k: counts.__setitem__(k, counts[k] + 1))
    for _ in range(20_000):
        share(part, None, 2, 2)
    assert counts == [20_000, 20_000]


def test_two_callers_at_once(share):
    """The second does its work alone."""
    totals = []

    def caller():
        done = [0] * 50
        part = PART(lambda job, k: done.__setitem__(k, done[k] + 1))
        for _ in range(200):
            share(part, None, 50, 2)
        totals.append(done)

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert totals == [[200] * 50] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_hires_its_own(share):
    part = PART(lambda job, k: None)
    share(part, None, 4, 2)
    child = os.fork()
    if child == 0:
        share(part, None, 4, 2)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
