r"""Elementwise functions compiled: one loop over memory instead of one for each operation.

The function, written for arrays, stays the only definition of what is computed: `minigen.native.record` notes as lines
of C what it does, and around them stand three loops, of which the innermost runs along memory:

    for i, j:  for l:
        const float x0 = p0[l], x1 = p1[l];             arrays may be stretched, as NumPy broadcasts them
        …                                               the recorded lines
        p0[l] = t1;                                     what an array became; or a new one; or a sum over j or l

One of the loops is cut into parts for the crew (``crew.c``). float32 alone: float64 is for checks, which need no speed.
"""
import ctypes
import functools
import itertools
import math
from typing import NamedTuple

import numpy

from minigen.native import build
from minigen.native.record import CannotRecord, record

LOOPS = 3               # the depth of the nest
ITEM = 4                # bytes of a float32
ROWS = 8                # added up in single precision before they are added to a sum in double


class Chain:
    """``function(xp, *arrays, *numbers)``, elementwise in so many arrays, recorded and compiled for float32; with
    ``summed`` = 1 or 2, what it returns is summed over the middle or the last axis of three.

    Raises CannotRecord if that cannot be done.
    """

    def __init__(self, function, arrays, numbers, summed=0):
        self.lines, stores = record(function, arrays, numbers)
        self.returns, self.summed, self.name = arrays in stores, summed, function.__name__.strip("_")
        sums = {arrays: ("part +=", "total +=")[summed - 1]} if summed else {}
        self.lines += [f"{sums.get(k, f'p{k}[l] =')} {value};" for k, value in stores.items()]
        self.types = ["real"] * arrays + (["double" if summed else "real"] if self.returns else [])
        self.arrays, self.numbers, self.pointers = arrays, ctypes.c_double * numbers, ctypes.c_void_p * len(self.types)
        self.loops = {}                                              # arrays that do not change along it -> compiled
        self._loop(())

    def _loop(self, steady):
        """The loops compiled for arrays of which the ``steady`` ones (their numbers) do not change along the innermost.
        Raises CannotRecord without a compiler."""
        if steady not in self.loops:
            library = build.compiled(_source(self.lines, self.arrays, self.types, steady, self.summed), self.name, "f")
            if library is None or build.crew() is None:
                raise CannotRecord("there is no compiler")
            long, pointer = ctypes.c_long, ctypes.c_void_p
            library.chain.restype = None
            library.chain.argtypes = [pointer, long, long, pointer, pointer, long, *[pointer] * 3, long, pointer]
            self.loops[steady] = library.chain
        return self.loops[steady]

    def fill(self, threads, arrays, numbers=()):
        """Run over float32 arrays, of the shape of the first or stretched to it, on so many threads.

        Return (the new array, or None if the function changes arrays in place; True), or (None, False) without doing
        anything where the arrays do not lie in memory as the loops go through it.
        """
        shape = arrays[0].shape
        layout = _layout(shape, self.returns, *[(array.shape, array.strides) for array in arrays])
        if layout is None:
            return None, False
        out = numpy.empty(shape, numpy.float32) if self.returns else None
        self._run(layout, threads, numbers, [*arrays, out] if self.returns else arrays)
        return out, True

    def sum(self, threads, arrays):
        """Of what the function makes of float32 arrays (B, S, C), or stretched to that, Σ_s (B, C) or Σ_c (B, S), added
        up in double precision; None where the last axis does not lie side by side."""
        shape = arrays[0].shape
        layout = _sum_layout(shape, self.summed, *[(array.shape, array.strides) for array in arrays])
        if layout is None:
            return None
        apart = self.summed == layout.axis                            # the sum is cut: each part has sums of its own
        sums = numpy.zeros((threads if apart else 1, shape[0], shape[3 - self.summed]))
        self._run(layout, threads, (), [*arrays, sums])
        return sums.sum(axis=0, dtype=numpy.float32) if apart else sums[0].astype(numpy.float32)

    def _run(self, layout, threads, numbers, arrays):
        """Call `chain` of chain.h."""
        parts = max(1, min(threads, layout.lengths[layout.axis]))
        self._loop(layout.steady)(build.crew(), threads, parts, layout.lengths, layout.strides, layout.axis,
                                  layout.steps, layout.apart, self.numbers(*numbers), len(arrays),
                                  self.pointers(*map(build.address, arrays)))


class Layout(NamedTuple):
    """How three loops go through arrays. All but ``axis`` and ``steady`` are C arrays."""
    lengths: ctypes.Array       # of the loops
    strides: ctypes.Array       # of the two outer ones in each array, in numbers
    axis: int                   # the loop that is cut into parts
    steps: ctypes.Array         # of that loop in each array, in bytes
    apart: ctypes.Array         # bytes from what one part writes to what the next does
    steady: tuple               # arrays that do not change along the innermost loop


def _layout_of(loops, axis, steady, steps=None, apart=None):
    """The Layout of loops [(length, the stride in bytes in each array), …]."""
    lengths, strides = [length for length, *_ in loops], zip(*(strides for _, *strides in loops[:-1]))
    steps = steps or loops[axis][1:]
    return Layout(_longs(lengths), _longs([stride // ITEM for pair in strides for stride in pair]), axis, _longs(steps),
                  _longs(apart or [0] * len(steps)), steady)


def _longs(values):
    return (ctypes.c_long * len(values))(*values)


@functools.lru_cache(1024)
def _layout(shape, returns, *forms):
    """The Layout for float32 arrays of these forms, (shape, strides in bytes) each, stretched to one shape, and for a
    new array of that shape; None where the innermost loop would not run along memory, or there are more than LOOPS."""
    rows = [_stretched(shape, *form) for form in forms]
    if returns:
        rows.append([ITEM * math.prod(shape[d + 1:]) for d in range(len(shape))])
    if None in rows:
        return None
    loops = []                                                        # (length, stride in each array), outermost first
    for length, *steps in zip(shape, *rows):
        if length == 1:
            continue
        if loops and all(before == length * step for before, step in zip(loops[-1][1:], steps)):
            loops[-1] = (loops[-1][0] * length, *steps)
        else:
            loops.append((length, *steps))
    if len(loops) > LOOPS or loops and any(step not in (0, ITEM) for step in loops[-1][1:]):
        return None
    loops = [(1, *[0] * len(rows))] * (LOOPS - max(1, len(loops))) + (loops or [(1, *[ITEM] * len(rows))])
    axis = next((d for d in range(LOOPS) if loops[d][0] > 1), LOOPS - 1)
    return _layout_of(loops, axis, tuple(k for k, step in enumerate(loops[-1][1:]) if not step))


@functools.lru_cache(1024)
def _sum_layout(shape, summed, *forms):
    """The same for sums over one axis of three, into (B, C) or (B, S) doubles, for each part if it is that axis that is
    cut."""
    rows = [_stretched(shape, *form) for form in forms]
    if any(row is None or row[2] not in (0, ITEM) for row in rows):
        return None
    B, S, C = shape
    steady, axis = tuple(k for k, row in enumerate(rows) if not row[2]), 0 if B > 1 else 1
    of_sums = (C, 0, 1) if summed == 1 else (S, 1, 0)                 # numbers from one sum to the next
    loops = [(length, *(row[d] for row in rows), of_sums[d] * ITEM) for d, length in enumerate(shape)]
    steps = [*(row[axis] for row in rows), 2 * ITEM * of_sums[axis]]
    apart = [0] * len(rows) + [2 * ITEM * B * C if summed == axis else 0]
    return _layout_of(loops, axis, steady, steps, apart)


def _stretched(shape, own, strides):
    """The strides of an array with its ``own`` shape, stretched to ``shape``; None if it does not stretch."""
    missing = len(shape) - len(own)
    if missing < 0 or any(mine not in (1, length) for mine, length in zip(own, shape[missing:])):
        return None
    return [0] * missing + [0 if mine == 1 else stride for mine, stride in zip(own, strides)]


def _source(lines, inputs, types, steady, summed):
    """The whole text in C."""
    starts = [f"{kind} *restrict p{k} = ({kind} *)arrays[{k}] + i * strides[{2 * k}] + j * strides[{2 * k + 1}];"
              for k, kind in enumerate(types)]

    def places(row):
        """What is done at place l of a row."""
        further = [f"{row} * strides[{2 * k + 1}] + " if row else "" for k in range(inputs)]
        loads = [f"const real x{k} = p{k}[{further[k]}{0 if k in steady else 'l'}];" for k in range(inputs)]
        return ["{", *loads, *lines, "}"]

    def loop(rows, before="", first="", last="", after=""):
        """Over j, some rows together, and over l."""
        return [f"for (; j + {rows} <= shape[1]; j += {rows}) {{", *starts, before,
                "for (long l = 0; l < shape[2]; l++) {", first, *itertools.chain(*map(places, range(rows))), last, "}",
                after, "}"]

    if summed == 1:                     # ROWS rows together, so that the sums travel less
        inner = [line for rows in (ROWS, 1) for line in loop(rows, "", "real part = 0;", f"p{inputs}[l] += part;")]
    elif summed == 2:
        inner = loop(1, 'double total = 0; _Pragma("omp simd reduction(+:total)")', after=f"*p{inputs} = total;")
    else:
        inner = loop(1, '_Pragma("GCC ivdep")')
    return "\n".join([build.text("elementary.h"), build.text("chain.h"),
                      "static void loops(const long *shape, const long *strides, const double *numbers, "
                      "char *const *arrays) {",
                      "for (long i = 0; i < shape[0]; i++) {", "long j = 0;", *inner, "}", "}", ""])


@functools.cache
def chain(function, arrays, numbers=0, summed=0):
    """The `Chain` of a function of so many arrays and numbers; None if it cannot be recorded or compiled."""
    try:
        return Chain(function, arrays, numbers, summed)
    except CannotRecord:
        return None
