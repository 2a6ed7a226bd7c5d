"""Large work on the CPU, shared out over its cores.

NumPy lets go of Python's lock inside a large operation, so Python threads run them side by side. Two things follow.

* Work that BLAS does not thread (copying, adding, comparing) can use every core.
* Matrix products gain too when they stand between such work: a product that BLAS splits over two cores leaves half of
  its result in the other core's cache. So each thread takes a share of the examples through *all* of its steps, with
  BLAS told to use one thread in each.

There are as many threads as BLAS would use: ``OPENBLAS_NUM_THREADS``, or the number of cores. Where the BLAS inside
NumPy cannot be asked or told (no OpenBLAS, or not on Linux) there is one, and all is as if this file were not there.
Handing work over costs some 50 µs, so small work stays in one piece. How work is cut up depends on its size and on the
number of threads alone, so the same seed still gives the same bits.
"""
import concurrent.futures
import ctypes
import os
import threading

import numpy  # noqa: F401  it brings the BLAS that is asked for below

from minigen.levers import openblas_libraries

SMALL = 1 << 18                      # numbers to handle below which work stays in one piece
SMALL_COMPILED = 1 << 15             # the same for compiled code, whose own threads are quicker to call (native/crew.c)

_running = threading.Lock()          # held while work is spread
_crew = None                         # the other threads, (process, executor)


class Blas:
    """The OpenBLAS inside NumPy: ``kernel``, the name of its kernels; ``threads()``; ``limit(n)``."""

    def __init__(self, kernel, threads, limit):
        self.kernel, self.threads, self.limit = kernel, threads, limit


def find_blas():
    """The `Blas` that NumPy has loaded, or None where it cannot be asked."""
    for library in openblas_libraries():
        for prefix, suffix in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
            core, threads, limit = (getattr(library, f"{prefix}openblas_{name}{suffix}", None)
                                    for name in ("get_corename", "get_num_threads", "set_num_threads"))
            if core and threads and limit:
                core.restype = ctypes.c_char_p
                return Blas(core().decode(), threads, limit)
    return None


blas = find_blas()


def count():
    """How many threads share large work."""
    return blas.threads() if blas else 1


def shares(n, numbers):
    """Cut range(n) into slices of nearly equal length, one a thread; into one if there are few ``numbers`` to
    handle."""
    parts = min(n, count()) if numbers >= SMALL else 1
    edges = [n * k // parts for k in range(parts + 1)] if n else [0, 0]
    return [slice(*pair) for pair in zip(edges, edges[1:])]


def spread(work, slices):
    """[work(s) for s in slices], each on a thread of its own and with one thread of BLAS. ``work`` must not spread."""
    if len(slices) == 1 or not _running.acquire(blocking=False):      # another thread of the user's was first
        return [work(s) for s in slices]
    before = blas.threads()
    try:
        blas.limit(1)
        others = [_executor().submit(work, s) for s in slices[1:]]
        try:
            first = work(slices[0])
        finally:
            concurrent.futures.wait(others)              # also when interrupted: they write into our arrays
        return [first, *(other.result() for other in others)]
    finally:
        blas.limit(before)
        _running.release()


def _executor():
    """The crew of this process; threads do not survive a fork."""
    global _crew
    if _crew is None or _crew[0] != os.getpid():
        _crew = os.getpid(), concurrent.futures.ThreadPoolExecutor(max(1, count()), "minigen")
    return _crew[1]
