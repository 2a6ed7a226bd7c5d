"""Primitives: a forward on arrays, the derivatives beside it, and the Node that a call leaves behind.

`primitive` is the one decorator with which every op of minigen is made, and with which you make your own. How the
Nodes are used is told in `minigen.autograd`. Here is also the engine's only global state, the `Mode`.
"""
import contextlib
import contextvars
import inspect
import itertools
from typing import NamedTuple

from minigen import backend, errors
from minigen.backend import BY_TYPE
from minigen.tensor import Tensor, to_array


class Mode(NamedTuple):
    """How primitives behave here and now. The engine's only global state, and local to the thread."""
    record: bool = True       # leave nodes behind
    arrays: bool = False      # inside a first-order backward pass: arrays in, arrays out
    anomaly: bool = False     # look for NaN and infinity after every op


_mode = contextvars.ContextVar("minigen_mode", default=Mode())
_serial = itertools.count()


@contextlib.contextmanager
def _set_mode(**changes):
    token = _mode.set(_mode.get()._replace(**changes))
    try:
        yield
    finally:
        _mode.reset(token)


def no_grad():
    """Context manager and decorator: record nothing inside."""
    return _set_mode(record=False)


def enable_grad():
    """Context manager and decorator: record again, inside a `no_grad` block."""
    return _set_mode(record=True)


def detect_anomaly():
    """Context manager: the first NaN or infinity raises FloatingPointError naming the op and the line that called it.

    Looks at every value and every cotangent, so it is slow (and on a GPU waits for it); for hunting, not for training.
    """
    return _set_mode(anomaly=True)


def is_recording():
    """Whether ops called here and now leave a graph behind."""
    return _mode.get().record


# ---- primitives ------------------------------------------------------------------------------------------------------
class Derivative:
    """The vjp for one input: the function, and what it reads after the cotangent.

    ``wants`` names it, ``reads`` lists the inputs whose values it needs, and ``gather(out, arrays, settings, i)`` picks
    it out of a call.
    """
    __slots__ = ("function", "wants", "reads", "reads_out", "gather")

    def __init__(self, function, op):
        self.function, self.wants = function, list(inspect.signature(function).parameters)[1:]
        known = {"out", *op.inputs, *op.settings, *(name + "_shape" for name in op.inputs)}
        known |= {"i"} if op.variadic else set()
        if not set(self.wants) <= known:
            raise TypeError(f"{op.name}.vjp: a derivative asks for {sorted(set(self.wants) - known)}; after the "
                            f"cotangent it can ask for {sorted(known)}")
        self.reads = [op.inputs.index(w) for w in self.wants if w in op.inputs]
        self.reads_out = "out" in self.wants
        self.gather = self._gather(op)

    def _gather(self, op):
        wants = self.wants
        if not wants:                                         # the common cases, quickly
            return lambda out, arrays, settings, i: ()
        if wants == ["out"]:
            return lambda out, arrays, settings, i: (out,)
        if len(wants) == 1 and self.reads and not op.variadic:
            k = self.reads[0]
            return lambda out, arrays, settings, i: (arrays[k],)

        if op.variadic:
            def gather(out, arrays, settings, i):
                arrays = tuple(arrays)
                name = op.inputs[0]
                values = {**settings, name: arrays, name + "_shape": _shapes(arrays), "out": out, "i": i}
                return tuple([values[w] for w in wants])
        else:
            getters = [_getter(w, op) for w in wants]

            def gather(out, arrays, settings, i):
                return tuple([get(out, arrays, settings) for get in getters])

        return gather


def _getter(wanted, op):
    """A function of (out, arrays, settings) that picks out what a derivative wants."""
    if wanted == "out":
        return lambda out, arrays, settings: out
    if wanted in op.settings:
        return lambda out, arrays, settings: settings[wanted]
    if wanted in op.inputs:
        k = op.inputs.index(wanted)
        return lambda out, arrays, settings: arrays[k]
    k = op.inputs.index(wanted.removesuffix("_shape"))
    return lambda out, arrays, settings: _shapes(arrays[k])


def _shapes(array):
    return tuple(map(_shapes, array)) if isinstance(array, tuple) else getattr(array, "shape", ())


class Op:
    """What the engine knows of a primitive: its forward, and one Derivative (or None) per input."""

    def __init__(self, forward):
        parameters = list(inspect.signature(forward).parameters.values())[1:]            # the first is xp
        self.name, self.forward, self.derivatives = forward.__name__.strip("_"), forward, ()
        self.view = False                # may the result share its first input's memory?
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.inputs = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self.settings = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        self.required = {name for name, default in self.settings.items() if default is inspect.Parameter.empty}
        self.arity = -1 if self.variadic or self.settings else len(self.inputs)          # -1: always bind
        if not self.variadic:
            parameters = [p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in parameters]
        self.signature = inspect.Signature(parameters)

    def set_vjp(self, *functions):
        """Give the op its derivatives: one function ``(g, *wanted) -> cotangent`` per input, None where there is none.

        A variadic op has a single one for all its inputs, which may ask for ``i``, the position of the input.
        """
        self.derivatives = tuple(f and Derivative(f, self) for f in functions)
        if self.variadic and len(functions) != 1 or len(functions) > len(self.inputs):
            raise TypeError(f"{self.name}.vjp: got {len(functions)} derivatives for the inputs "
                            f"{', '.join(self.inputs)}")

    def bind(self, args, settings):
        """Split a call into (tensor inputs, complete settings). Raises TypeError as Python does for a bad call."""
        if self.variadic:
            return args, {**self.settings, **settings}
        count, names = len(self.inputs), self.settings.keys()
        by_place = dict(zip(names, args[count:]))
        given = {**by_place, **settings}
        if (count <= len(args) <= count + len(names) and len(given) == len(by_place) + len(settings)
                and self.required <= given.keys() <= names):                              # the usual way to call it
            return args[:count], {**self.settings, **given}
        try:
            bound = self.signature.bind(*args, **settings)                # by name, or wrong: Python finds out which
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}; its signature is {self.name}{self.signature}") from None
        bound.apply_defaults()
        values = bound.arguments
        return [values[name] for name in self.inputs], {name: values[name] for name in self.settings}


def primitive(forward):
    """Make a differentiable op out of a function on arrays. Your own ops are made the same way as ours::

        @mg.primitive
        def cube(xp, x):                          # xp: NumPy or CuPy, whichever x belongs to
            return x * x * x

        cube.vjp(lambda g, x: g * 3 * x ** 2)     # one function per input, written with public ops

    Parameters before a ``*`` are tensors, those after it are settings (an axis, a shape). A vjp takes the cotangent g
    and then, by name, what it needs: an input, ``out``, a setting, or ``<input>_shape``. An op without vjp passes no
    gradient.
    """
    op = Op(forward)

    def call(*args, **settings):
        recording, as_arrays, anomaly = _mode.get()
        if settings or len(args) != op.arity:
            args, settings = op.bind(args, settings)
        arrays, tracked, tensors, plain = [], False, False, True
        for arg in args:
            if isinstance(arg, Tensor):
                tensors = True
                arrays.append(arg._array)
                if arg.requires_grad:
                    tracked = True
            else:
                arrays.append(arg)
                if type(arg) not in _WEAK:
                    plain = as_arrays
        xp = BY_TYPE.get(type(arrays[0]) if arrays else None)
        if xp is None or not plain:
            xp, arrays = _to_arrays(op, arrays)
        try:
            out = forward(xp, *arrays, **settings)
        except (ValueError, TypeError, IndexError, ArithmeticError) as error:
            raise errors.explain(op, arrays, settings, error) from None
        if as_arrays and not tensors:
            return out
        if type(out) is not xp.array_type:
            out = (BY_TYPE.get(type(out)) or xp).asarray(out)                       # a scalar, or moved by `to`
        result = Tensor(out)
        if op.view and (out.base is not None or out is arrays[0]):              # one memory, one count of its changes
            result._version = args[0]._version if isinstance(args[0], Tensor) else [0, True]
        if tracked and recording and op.derivatives:
            record(op, args, arrays, settings, result)
        if anomaly:
            errors.look_for_anomaly(op.name, out, result.node)
        return result

    call.op, call.vjp = op, op.set_vjp
    call.__name__ = call.__qualname__ = op.name
    call.__doc__, call.__module__, call.__signature__ = forward.__doc__, forward.__module__, op.signature
    return call


_WEAK = {float, int, bool}        # Python numbers take the dtype of the array beside them


def _to_arrays(op, arrays):
    """(backend, inputs as arrays) of a call with inputs that are not Tensors: numbers, lists, arrays."""
    others = [value for value in arrays if not isinstance(value, backend.NUMBERS)]
    homes = {home.name: home for home in map(backend.of, others) if home}
    if len(homes) > 1:
        raise TypeError(f"{op.name}: {errors.describe(op, arrays)} live on different devices ({', '.join(homes)}); "
                        "move one with .to(...)")
    home = next(iter(homes.values())) if homes else backend.current()
    for i, value in enumerate(arrays):
        if homes and isinstance(value, backend.NUMBERS):                # weak beside an array, also one of NumPy's
            arrays[i] = value if type(value) in _WEAK else value.item()
        elif type(value) is not home.array_type:
            arrays[i] = to_array(value, xp=home)
    return home, arrays


class Node:
    """The record of one call: for each input that takes a gradient an *edge* ``(i, source, derivative, values)``.

    ``i`` is the position of the input, ``source`` the Node that made it or the leaf Tensor itself, ``values`` what the
    derivative asked for. ``versions`` tells how often each saved memory had been changed by then: (counter, count,
    position; −1 for the output). A node never holds the Tensor it produced, so graphs contain no reference cycle. A
    freed node has no edges (None).
    """
    __slots__ = ("op", "edges", "versions", "shape", "dtype", "serial", "where", "__weakref__")

    def __init__(self, op, edges, versions, shape, dtype):
        self.op = op
        self.edges = edges
        self.versions = versions
        self.shape = shape
        self.dtype = dtype
        self.serial = next(_serial)
        self.where = None

    @property
    def sources(self):
        """Where the inputs that take a gradient came from: Nodes and leaf Tensors."""
        return [source for _, source, _, _ in self.edges or ()]


def record(op, args, arrays, settings, result):
    """Attach to ``result`` the Node of the call that computed it."""
    out, edges, versions = result._array, [], []
    derivatives = op.derivatives * len(args) if op.variadic else op.derivatives
    for i, derivative in enumerate(derivatives):
        arg = args[i]
        if derivative is None or not isinstance(arg, Tensor) or not arg.requires_grad:
            continue
        for j in (range(len(args)) if op.variadic and derivative.reads else derivative.reads):
            memory = args[j]._version if isinstance(args[j], Tensor) else _CONSTANT
            if not memory[1]:
                versions.append((memory, memory[0], j))
            elif backend.of(arrays[j]) is not None:     # someone outside shares this memory and could change it unseen
                arrays[j] = arrays[j].copy()
        if derivative.reads_out:
            versions.append((result._version, result._version[0], -1))
        edges.append((i, arg.node or arg, derivative, derivative.gather(out, arrays, settings, i)))
    if edges:
        result.node = Node(op, edges, versions, out.shape, out.dtype)
        result.requires_grad = True


_CONSTANT = [0, True]       # the version of what is not a Tensor: nobody counts its changes
