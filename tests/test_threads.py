"""Large work shared out over cores: every share done once, in order, and the process left as it was."""
import multiprocessing
import threading
import time

import numpy as np
import pytest

import minigen as mg
from minigen import threads
from minigen.native import build


class TwoThreads:
    """A BLAS that would use two threads, and that keeps what it was told."""
    kernel = "pretended"

    def __init__(self):
        self.n, self.told = 2, []

    def threads(self):
        return self.n

    def limit(self, n):
        self.n = n
        self.told.append(n)


@pytest.fixture
def blas(monkeypatch):
    pretended = TwoThreads()
    monkeypatch.setattr(threads, "blas", pretended)
    return pretended


def test_shares_cover_everything_once(blas):
    for n in (1, 2, 3, 7, 64):
        for cores in (1, 2, 3, 16):
            blas.n = cores
            slices = threads.shares(n, threads.SMALL)
            lengths = [s.stop - s.start for s in slices]
            assert np.concatenate([np.arange(n)[s] for s in slices]).tolist() == list(range(n))
            assert len(slices) == min(n, cores) and max(lengths) - min(lengths) <= 1


def test_small_work_and_no_work_stay_in_one_piece(blas):
    assert threads.shares(64, threads.SMALL - 1) == [slice(0, 64)]
    assert threads.shares(0, threads.SMALL) == [slice(0, 0)]


def test_a_blas_that_cannot_be_asked_means_one_thread(monkeypatch):
    monkeypatch.setattr(threads, "blas", None)
    assert threads.count() == 1 and threads.shares(64, 1 << 30) == [slice(0, 64)]


def test_work_runs_on_several_threads_and_comes_back_in_order(blas):
    seen = {}

    def work(s):
        seen[s.start] = threading.get_ident(), blas.n
        time.sleep(0.02 if s.start == 0 else 0)
        return s.start

    assert threads.spread(work, [slice(0, 5), slice(5, 9), slice(9, 12)]) == [0, 5, 9]
    assert seen[0][0] == threading.get_ident() != seen[5][0]
    assert {n for _, n in seen.values()} == {1} and blas.told == [1, 2]      # limited meanwhile, and put back


@pytest.mark.parametrize("where", [0, 5])
def test_an_error_in_a_share_comes_out_once_all_are_done(blas, where):
    done = []

    def work(s):
        if s.start == where:
            raise ValueError(f"share {where}")
        time.sleep(0.02)
        done.append(s.start)

    with pytest.raises(ValueError, match=f"share {where}"):
        threads.spread(work, [slice(0, 5), slice(5, 9)])
    assert done == [5 - where] and blas.n == 2
    assert threads.spread(lambda s: s.start, [slice(0, 5), slice(5, 9)]) == [0, 5]      # and it can be used again


def test_work_within_work_stays_in_one_piece(blas):
    inner = threads.spread(lambda s: threads.shares(64, threads.SMALL), threads.shares(8, threads.SMALL))
    assert inner == [[slice(0, 64)], [slice(0, 64)]]


def test_a_second_thread_of_the_users_does_not_wait(blas):
    outcome = []

    def work(s):
        halves = [slice(0, 1), slice(1, 2)]
        other = threading.Thread(target=lambda: outcome.append(threads.spread(lambda t: t.start, halves)))
        if s.start == 0:
            other.start()
            other.join(5)

    threads.spread(work, [slice(0, 1), slice(1, 2)])
    assert outcome == [[0, 1]]


def _in_a_child(queue):
    queue.put(threads.spread(lambda s: s.start, [slice(0, 5), slice(5, 9)]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_makes_threads_of_its_own(blas):
    threads.spread(lambda s: None, [slice(0, 1), slice(1, 2)])                  # the parent has its crew
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_a_child, args=(queue,))
    child.start()
    assert queue.get(timeout=20) == [0, 5]
    child.join(5)


@pytest.mark.parametrize("options", [{}, {"groups": 2}, {"stride": 2}, {"dilation": 2}])
def test_a_convolution_on_two_threads_is_the_same_convolution(blas, monkeypatch, options):
    rng = np.random.default_rng(0)
    groups = options.get("groups", 1)
    x, w = rng.standard_normal((5, 8, 8, 4)), rng.standard_normal((3, 3, 4 // groups, 6))
    calls = []
    spread = threads.spread

    def everything():
        xt, wt = (mg.tensor(a, requires_grad=True) for a in (x, w))
        y = mg.conv2d(xt, wt, padding=1, **options)
        cotangent = mg.tensor(np.random.default_rng(1).standard_normal(y.shape))
        return [y.numpy(), *(g.numpy() for g in mg.grad(y, [xt, wt], cotangent))]

    whole = everything()
    monkeypatch.setattr(build, "on", False)                                     # compiled code has threads of its own
    monkeypatch.setattr(threads, "SMALL", 1)
    monkeypatch.setattr(threads, "spread", lambda work, slices: calls.append(len(slices)) or spread(work, slices))
    for one, shared in zip(whole, everything()):
        np.testing.assert_allclose(shared, one, rtol=1e-12, atol=1e-12)
    assert len(calls) >= 3 and set(calls) == {2}
