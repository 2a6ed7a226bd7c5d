"""Module: a thing with parameters, and the few rules by which they are found.

    class Affine(nn.Module):
        def __init__(self, features):
            self.scale = nn.Parameter(mg.ones((features,)))        # trained, and saved
            self.calls = nn.Buffer(mg.zeros(()))                   # saved, but not trained

        def forward(self, x):
            return x * self.scale

There is no registration: a Module *is* its attributes. Whoever asks for its parameters gets those found by walking the
attributes in the order of their first assignment, through other Modules, lists, tuples and dicts, to any depth. A
Parameter met twice is yielded once, under its first name (``encoder.0.weight``). One that sits where the walk does not
go (a set, an object that is no Module) would silently be left out of training, so it raises TypeError instead. Only the
variables of a function are not looked into: ``self.teacher = lambda x: net(x)`` keeps ``net`` out on purpose.

What a Module may hold:

=====================================  =======  ===================  ======================
kind                                   trained  in ``state_dict()``  moved by ``to(backend)``
=====================================  =======  ===================  ======================
`Parameter`                            yes      yes                  yes
`Buffer` (a running mean)              no       yes                  yes
another leaf Tensor (a mask)           no       no                   yes
`minigen.random.Generator` (Dropout)   no       no: see `Module.named_generators`
=====================================  =======  ===================  ======================
"""
import gc
import types

import numpy as np

from minigen import backend
from minigen.nn.parameter import Buffer, Parameter, State
from minigen.random import Generator
from minigen.tensor import Tensor


class Module:
    """Base class of layers and models: give it attributes in ``__init__`` and a ``forward``. See the top of this file.

    Attributes:
        training: what Dropout and batch norm look at; set by `train` and `eval`.
    """
    training = True

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name, value in vars(cls).items():
            if isinstance(value, (State, Module)):
                raise TypeError(f"{cls.__name__}.{name}: a {type(value).__name__} set on the class would be shared by "
                                "all its instances and found in none; set it in __init__")

    def __call__(self, *inputs, **options):
        return self.forward(*inputs, **options)

    def forward(self, *inputs, **options):
        """What the module computes. Subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__}: it has no forward; define forward(self, x)")

    # ---- what it holds -------------------------------------------------------------------------------------------
    def _attributes(self):
        """The (name, value) pairs that are walked. A container overrides it to rename what it holds."""
        return vars(self).items()

    def _find(self, kind):
        """{name: thing} for everything of this kind, in order. Raises TypeError if something hides from the walk."""
        found, others = {}, []
        for name, value in _walk(self, "", set()):
            if not isinstance(value, _KINDS):
                others.append((name, value))
            elif name in found:
                raise ValueError(f"{type(self).__name__}: two things are both called {name!r}; rename an attribute or "
                                 "a dict key")
            else:
                found[name] = value
        _refuse_hidden(self, others, {id(value) for value in found.values()})
        for name, value in found.items():
            if isinstance(value, State) and (value.name is None or name.endswith("." + value.name)):
                value.name = name                                # the outermost module names it, for error messages
        return {name: value for name, value in found.items() if isinstance(value, kind)}

    def named_parameters(self):
        """Iterate over (name, Parameter), each once, frozen ones included. Raises TypeError for a hidden one."""
        return iter(self._find(Parameter).items())

    def parameters(self):
        """Iterate over the Parameters, as `named_parameters` does."""
        return iter(self._find(Parameter).values())

    def named_buffers(self):
        """Iterate over (name, Buffer)."""
        return iter(self._find(Buffer).items())

    def buffers(self):
        """Iterate over the Buffers."""
        return iter(self._find(Buffer).values())

    def named_modules(self):
        """Iterate over (name, Module): this one, called ``""``, and all below it."""
        return iter(self._find(Module).items())

    def modules(self):
        """Iterate over this module and all below it."""
        return iter(self._find(Module).values())

    def named_generators(self):
        """Iterate over (name, Generator): what layers such as Dropout draw from.

        A run that must resume exactly saves each one's ``state()``. It is not in `state_dict`, because weights move
        between backends and the state of a generator cannot.
        """
        return iter(self._find(Generator).items())

    # ---- what can be done to all of it ---------------------------------------------------------------------------
    def apply(self, function):
        """Call ``function(module)`` on this module and all below it. Returns self."""
        for module in self.modules():
            function(module)
        return self

    def train(self, mode=True):
        """Switch this module and all below it to training (or evaluation). Returns self."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self):
        """Switch to evaluation: no dropout, batch norm by its running statistics. Returns self."""
        return self.train(False)

    def requires_grad_(self, flag=True):
        """Freeze (False) or unfreeze all parameters. A frozen one gets no gradient. Returns self."""
        for parameter in self.parameters():
            parameter.requires_grad = bool(flag)
        return self

    def zero_grad(self):
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, backend_name):
        """Move every Tensor it holds to a backend, in place, and forget the gradients. Returns self.

        Raises BackendError if the backend is unknown or cannot run here.
        """
        home = backend.get(backend_name)
        return self._convert(lambda t: t._array if t.backend is home else home.from_numpy(t.numpy()))

    def astype(self, dtype):
        """Convert every floating Tensor it holds, in place (float64 for checks). Forgets gradients; returns self."""
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"astype: a module's tensors are floating, got {np.dtype(dtype)}; use float32 or float64")
        return self._convert(lambda t: t._array.astype(dtype) if t.dtype.kind == "f" else t._array)

    def _convert(self, convert):
        for t in self._find(Tensor).values():
            if t.node is None:                                   # a cached result is left as it was computed
                t._array, t.grad = convert(t), None
                t._version[0] += 1
        return self

    # ---- saving --------------------------------------------------------------------------------------------------
    def state_dict(self):
        """{name: NumPy array} of all Parameters and Buffers, copied to the host, in order of assignment."""
        return {name: state.numpy() for name, state in self._find(State).items()}

    def load_state_dict(self, values):
        """Set all Parameters and Buffers from {name: array}, keeping their dtype and backend.

        Raises ValueError that lists every name which is missing, unexpected, misshaped or of a dtype that cannot be
        converted; then nothing was changed.
        """
        states = self._find(State)
        arrays = {name: v.numpy() if isinstance(v, Tensor) else np.asarray(v) for name, v in values.items()}
        both = [name for name in states if name in arrays]
        wrong = {
            "missing": [f"{name} {s.shape}" for name, s in states.items() if name not in arrays],
            "unexpected": [f"{name} {a.shape}" for name, a in arrays.items() if name not in states],
            "misshaped": [f"{name} {arrays[name].shape}, which here is {states[name].shape}" for name in both
                          if arrays[name].shape != states[name].shape],
            "of a wrong dtype": [f"{name} {arrays[name].dtype}, which here is {states[name].dtype}" for name in both
                                 if not np.can_cast(arrays[name].dtype, states[name].dtype, "same_kind")],
        }
        if any(wrong.values()):
            what = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in wrong.items() if names)
            raise ValueError(f"load_state_dict: these values do not fit {type(self).__name__}, which is unchanged; "
                             + what)
        for name in both:
            state = states[name]
            state._array[...] = state.backend.from_numpy(arrays[name].astype(state.dtype))
            state._version[0] += 1                               # a graph that saved the old values must not use these

    # ---- showing -------------------------------------------------------------------------------------------------
    def describe(self):
        """The settings shown between the parentheses of its repr; subclasses say more."""
        return ""

    def __repr__(self):
        modules = [(name, value) for name, value in _walk(self, "", set()) if isinstance(value, Module)]
        lines = [f"{name}: {type(module).__name__}({module.describe()})" for name, module in modules]
        return "\n  ".join([lines[0].removeprefix(": "), *lines[1:]])

    def label(self):
        """How error messages call it: its settings, and where it is: ``Linear(784, 400) 'encoder.0'``."""
        names = [value.name for value in vars(self).values() if isinstance(value, State) and value.name]
        place = names[0].rpartition(".")[0] if names else ""
        return f"{type(self).__name__}({self.describe()})" + (f" {place!r}" if place else "")

    def expect_features(self, x, features):
        """Raise ValueError unless the last axis of ``x`` has this many entries."""
        if np.shape(x)[-1:] != (features,):
            raise ValueError(f"{self.label()} wants {features} features on the last axis, got an input of shape "
                             f"{np.shape(x)}")

    def summary(self):
        """A table of all Parameters and Buffers: name, shape, numbers, bytes, with totals, as text to print."""
        rows = [("name", "shape", "numbers", "bytes", "")]
        totals, total_bytes = {"trained": 0, "frozen": 0, "buffer": 0}, 0
        for name, state in self._find(State).items():
            kind = "buffer" if isinstance(state, Buffer) else "trained" if state.requires_grad else "frozen"
            totals[kind] += state.size
            total_bytes += state._array.nbytes
            rows.append((name, str(state.shape), f"{state.size:,}", f"{state._array.nbytes:,}", kind))
        rows.append(("total", "", f"{sum(totals.values()):,}", f"{total_bytes:,}",
                     ", ".join(f"{count:,} {kind}" for kind, count in totals.items() if count)))
        wide = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = ["  ".join([name.ljust(wide[0]), shape.ljust(wide[1]), count.rjust(wide[2]), size.rjust(wide[3]), kind])
                 for name, shape, count, size, kind in rows]
        return "\n".join([f"{type(self).__name__}({self.describe()})", *(line.rstrip() for line in lines)])


# ---- the walk --------------------------------------------------------------------------------------------------------
_KINDS = (Module, Tensor, Generator)                            # what the walk finds
_CONTAINERS = (list, tuple, dict)                               # what it looks into, beside Modules


def _walk(value, name, seen):
    """Yield (name, value) for everything at or below ``value``, in order, each once; of a container what it holds.

    What is no Tensor, Module or Generator is yielded too, for `_refuse_hidden` to look into.
    """
    if isinstance(value, _KINDS + _CONTAINERS):
        if id(value) in seen:
            return
        seen.add(id(value))
    if not isinstance(value, _CONTAINERS) or hasattr(value, "__dict__"):      # a subclass of list may have attributes
        yield name, value
    for key, child in _children(value):
        yield from _walk(child, f"{name}.{key}" if name else str(key), seen)
    if isinstance(value, dict):
        yield name, value.keys()


def _children(value):
    if isinstance(value, Module):
        return value._attributes()
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, (list, tuple)) else ()


# Nothing that a Module owns hangs below these: code, plain values, graphs of other computations.
_OPAQUE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, str, bytes, int, float, Tensor,
           Generator, backend.Backend)


def _refuse_hidden(root, others, known):
    """Raise TypeError if one of these (name, value) pairs holds a Parameter, Buffer or Module that is not known."""
    seen = set()
    for name, holder in others:
        stack = [holder]
        while stack:
            value = stack.pop()
            if isinstance(value, (State, Module)) and id(value) not in known:
                raise TypeError(f"{type(root).__name__}.{name}: a {type(value).__name__} is hidden in a "
                                f"{type(holder).__name__}, where it would be neither trained nor saved; keep it in an "
                                "attribute, a list, a tuple, a dict or a Module")
            if not isinstance(value, _OPAQUE + (Module,)) and id(value) not in seen:
                seen.add(id(value))
                stack.extend(_held_by(value))


def _held_by(value):
    """The objects that an object refers to. The garbage collector knows; asking it runs none of the object's code."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value.ravel().tolist()
    return gc.get_referents(value)
