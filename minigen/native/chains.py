r"""Elementwise functions compiled: one loop over memory instead of one for each operation.

`Chain` takes a function that is written for arrays::

    def descend(xp, theta, g, lr):
        theta -= lr * g

and calls it once with `Value`s in the place of arrays and numbers, and a `Recorder` in the place of NumPy. They compute
nothing, but note each operation as a line of C:

    for each i:
        float t1 = (float)lr * g[i];
        float t2 = theta[i] - t1;
        theta[i] = t2;

So the function remains the only definition of what is computed. What an array becomes in place is stored at the end,
and a returned Value goes into a new array. Numbers meet each other in double precision, as in Python, and arrays
rounded to theirs, as in NumPy. An array may be stretched over leading axes, as NumPy broadcasts.

A function that uses what is not known here, or whose course depends on values, cannot be recorded, and stays as it is.
"""
import ctypes
import functools
import inspect
import itertools
import math
from typing import NamedTuple

import numpy

from minigen.native import build

LOOPS = 3               # one inside the other; the innermost runs along memory
ITEM = 4                # bytes of a float32
ROWS = 8                # added up in single precision before they are added to a sum in double
PIECES = 1              # of work for each thread, so that one that is late does less


class CannotRecord(Exception):
    """A function did with a Value what cannot be written as a line of C here."""


class Value:
    """What an expression will be: ``text`` names it in C; ``kind`` is "real" (of an array), "double" or "int" (0, 1)."""
    __array_ufunc__ = None

    def __init__(self, lines, kind, text):
        self.lines, self.kind, self.text = lines, kind, text

    def _set(self, other):
        self.kind, self.text = other.kind, other.text
        return self

    dtype = "float32"

    def astype(self, dtype, copy=True):
        return _line(self.lines, "real", f"(real){self.text}")

    def __getattr__(self, name):
        raise CannotRecord(f"an array's {name}")

    def __bool__(self):
        raise CannotRecord("a choice that depends on values")

    def __neg__(self):
        return _line(self.lines, self.kind, f"-{self.text}")


def _line(lines, kind, expression):
    """Note a line that gives the expression a name; the Value of that name."""
    name = f"t{len(lines)}"
    lines.append(f"const {kind} {name} = {expression};")
    return Value(lines, kind, name)


def _operand(value, kind):
    """How an operand of an operation between this ``kind`` is written."""
    if isinstance(value, Value):
        return value.text if value.kind == kind else f"({kind}){value.text}"
    if isinstance(value, (int, float)):
        return f"({kind}){float(value)!r}"
    raise CannotRecord(f"an operand of type {type(value).__name__}")


def _kind(*values):
    kinds = {value.kind for value in values if isinstance(value, Value)}
    return "real" if kinds - {"double"} else "double"


def _combined(sign, x, y, result=None):
    lines, kind = (x if isinstance(x, Value) else y).lines, _kind(x, y)
    return _line(lines, result or kind, f"{_operand(x, kind)} {sign} {_operand(y, kind)}")


def _give_operators():
    for name, sign in {"add": "+", "sub": "-", "mul": "*", "truediv": "/"}.items():
        setattr(Value, f"__{name}__", lambda x, y, sign=sign: _combined(sign, x, y))
        setattr(Value, f"__r{name}__", lambda y, x, sign=sign: _combined(sign, x, y))
        setattr(Value, f"__i{name}__", lambda x, y, sign=sign: x._set(_combined(sign, x, y)))
    for name, sign in {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}.items():
        setattr(Value, f"__{name}__", lambda x, y, sign=sign: _combined(sign, x, y, "int"))


_give_operators()


class Recorder:
    """The functions of NumPy that a chain may use, on Values."""
    name = "chain"

    def __getattr__(self, name):
        raise CannotRecord(f"xp.{name}")


def _function(name):
    def call(x, *others, out=None):
        value = _call(f"c_{name}", x, *others)
        return value if out is None else out._set(value)
    return call


def _call(name, *values):
    lines = next(value.lines for value in values if isinstance(value, Value))
    return _line(lines, "real", f"{name}({', '.join(_operand(value, 'real') for value in values)})")


def _binary(sign):
    def call(x, y, out=None):
        value = _combined(sign, x, y)
        return value if out is None else out._set(value)
    return call


def _give_functions():
    for name in ("exp", "tanh", "log1p", "sqrt", "abs", "maximum", "minimum"):
        setattr(Recorder, name, staticmethod(_function(name)))
    for name, sign in {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}.items():
        setattr(Recorder, name, staticmethod(_binary(sign)))


_give_functions()


class Chain:
    """``function(xp, *arrays, *numbers)``, elementwise in so many arrays, recorded and compiled for float32; with
    ``summed`` = 1 or 2, what it returns is summed over the middle or the last axis of three.

    Raises CannotRecord if that cannot be done.
    """

    def __init__(self, function, arrays, numbers, summed=0):
        lines = []
        inputs = [Value(lines, "real", f"x{k}") for k in range(arrays)]
        given = [Value(lines, "double", f"numbers[{k}]") for k in range(numbers)]
        out = {"out": None} if "out" in inspect.signature(function).parameters else {}
        try:
            result = function(Recorder(), *inputs, *given, **out)
        except TypeError as error:                                   # an operator that Values have not
            raise CannotRecord(str(error)) from None
        lines += [f"p{k}[l] = {value.text};" for k, value in enumerate(inputs) if value.text != f"x{k}"]
        self.returns, self.summed, self.name = result is not None, summed, function.__name__.strip("_")
        self.types = ["real"] * arrays + (["double" if summed else "real"] if self.returns else [])
        if self.returns:
            where = ("p{}[l] =", "part +=", "total +=")[summed].format(arrays)
            lines.append(f"{where} {_operand(result, 'real')};")
        self.lines, self.arrays = lines, arrays
        self.numbers, self.pointers = ctypes.c_double * numbers, ctypes.c_void_p * len(self.types)
        self.loops = {}                                              # arrays that do not change along it -> compiled
        self._loop(())

    def _loop(self, steady):
        """The loops compiled for arrays of which the ``steady`` ones (their numbers) do not change along the innermost.
        Raises CannotRecord without a compiler."""
        if steady not in self.loops:
            library = build.compiled(_source(self.lines, self.arrays, self.types, steady, self.summed), self.name, "f")
            if library is None or build.crew() is None:
                raise CannotRecord("there is no compiler")
            library.chain.restype, library.chain.argtypes = None, _ARGUMENTS
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
        self._run(layout, threads, PIECES * threads, numbers, [*arrays, out] if self.returns else arrays)
        return out, True

    def sum(self, threads, arrays):
        """Of what the function makes of float32 arrays (B, S, C), or stretched to that, Σ_s (B, C) or Σ_c (B, S), added
        up in double precision; None where the last axis does not lie side by side."""
        shape = arrays[0].shape
        layout = _sum_layout(shape, self.summed, *[(array.shape, array.strides) for array in arrays])
        if layout is None:
            return None
        apart = self.summed == layout.axis                            # what is cut is summed: each part has its own sums
        parts = threads if apart else PIECES * threads
        sums = numpy.zeros((parts if apart else 1, shape[0], shape[3 - self.summed]))
        self._run(layout, threads, parts, (), [*arrays, sums])
        return sums.sum(axis=0, dtype=numpy.float32) if apart else sums[0].astype(numpy.float32)

    def _run(self, layout, threads, parts, numbers, arrays):
        addresses = self.pointers(*map(build.address, arrays))
        parts = max(1, min(parts, layout.lengths[layout.axis]))
        self._loop(layout.steady)(build.crew(), threads, parts, layout.lengths, layout.strides, layout.axis, layout.steps,
                                  layout.apart, self.numbers(*numbers), len(arrays), addresses)


_ARGUMENTS = [ctypes.c_void_p, ctypes.c_long, ctypes.c_long, *[ctypes.c_void_p] * 2, ctypes.c_long, *[ctypes.c_void_p] * 3,
              ctypes.c_long, ctypes.c_void_p]                                                    # of `chain` in chain.h


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
    """The whole text in C: three loops, the innermost over what lies side by side."""
    starts = [f"{kind} *restrict p{k} = ({kind} *)arrays[{k}] + i * strides[{2 * k}] + j * strides[{2 * k + 1}];"
              for k, kind in enumerate(types)]

    def body(row=0):
        """The lines for place l, or for l of a row further on."""
        further = [f"{row} * strides[{2 * k + 1}] + " if row else "" for k in range(inputs)]
        return [f"const real x{k} = p{k}[{further[k]}{'0' if k in steady else 'l'}];" for k in range(inputs)] + lines

    along = "for (long l = 0; l < shape[2]; l++) {"
    if summed == 1:                     # ROWS rows at a time, so that the sums travel less
        add = f"p{inputs}[l] += part;"
        inner = [f"for (; j + {ROWS} <= shape[1]; j += {ROWS}) {{", *starts, along, "real part = 0;",
                 *itertools.chain(*(["{", *body(row), "}"] for row in range(ROWS))), add, "}", "}",
                 "for (; j < shape[1]; j++) {", *starts, along, "real part = 0;", *body(), add, "}", "}"]
        inner = ["long j = 0;", *inner]
    else:
        before, after = ('_Pragma("GCC ivdep")', "") if not summed else \
            ('double total = 0; _Pragma("omp simd reduction(+:total)")', f"*p{inputs} = total;")
        inner = ["for (long j = 0; j < shape[1]; j++) {", *starts, before, along, *body(), "}", after, "}"]
    return "\n".join([build.text("elementary.h"), build.text("chain.h"),
                      "static void loops(const long *shape, const long *strides, const double *numbers, "
                      "char *const *arrays) {",
                      "for (long i = 0; i < shape[0]; i++) {", *inner, "}", "}", ""])


@functools.cache
def chain(function, arrays, numbers=0, summed=0):
    """The `Chain` of a function of so many arrays and numbers; None if it cannot be recorded or compiled."""
    try:
        return Chain(function, arrays, numbers, summed)
    except CannotRecord:
        return None
