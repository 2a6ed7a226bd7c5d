"""Tensor: an array, the op that produced it, its gradient, and a count of the changes made to its memory.

A `Tensor` never shows its memory writable. `Tensor.data` is a read-only view, `Tensor.numpy` a copy, and the one way to
change a tensor in place is ``t[index] = value``, which counts the change in ``_version``. Ops remember the count of
what they saved; `minigen.autograd` compares before it uses it, so a gradient is never computed from an overwritten
array.

Operators and NumPy's methods (``t + 1``, ``t.sum()``) are attached by `minigen.ops`, one floor up.
"""
import operator

import numpy as np

from minigen import backend


class Tensor:
    """An n-dimensional array that remembers how it was made.

    Make one with `tensor`; ops make the others. ``_version`` is ``[changes, shared]``: how often the memory has been
    changed in place, and whether someone outside can change it without telling us. Views share the list.

    Attributes:
        requires_grad: whether derivatives with respect to this tensor are recorded.
        grad: the accumulated gradient, a Tensor of the same shape, or None. Only on leaves.
        node: the record of the op that produced this tensor (`minigen.autograd.Node`), or None for a leaf.
        name: shown in error messages; `minigen.nn.Module` names its parameters.
    """
    __slots__ = ("_array", "node", "requires_grad", "grad", "_version", "name", "__weakref__")
    __hash__ = object.__hash__       # == is elementwise

    def __init__(self, array, node=None, requires_grad=False):
        self._array = array
        self.node = node
        self.requires_grad = requires_grad
        self.grad = None
        self._version = [0, False]
        self.name = None

    # ---- what it is ----------------------------------------------------------------------------------------------
    @property
    def shape(self):
        """Length of each axis."""
        return self._array.shape

    @property
    def ndim(self):
        """Number of axes."""
        return self._array.ndim

    @property
    def size(self):
        """Number of elements."""
        return self._array.size

    @property
    def dtype(self):
        """NumPy dtype of the elements."""
        return self._array.dtype

    @property
    def backend(self):
        """The `minigen.backend.Backend` this tensor lives on."""
        return backend.of(self._array)

    @property
    def device(self):
        """Where it lives: ``"cpu"``, ``"cuda:0"``."""
        return self.backend.device(self._array)

    @property
    def data(self):
        """The array, read-only (on a GPU: a copy). To change a tensor in place write ``t[...] = value``."""
        return self.backend.view(self._array)

    def __repr__(self):
        values = np.array2string(self.numpy(), separator=", ", prefix="tensor(", threshold=60, edgeitems=3, precision=5)
        facts = [f"shape={self.shape}", f"dtype={self.dtype}", f"device={self.device}"]
        if self.node is not None:
            facts.append(f"op={self.node.op.name}")
        elif self.requires_grad:
            facts.append("requires_grad=True")
        if self.name:
            facts.append(f"name={self.name!r}")
        return f"tensor({values}, {', '.join(facts)})"

    # ---- leaving minigen -----------------------------------------------------------------------------------------
    def numpy(self):
        """Copy to a NumPy array on the host, yours to change. The copy is outside the graph."""
        return self.backend.to_numpy(self._array)

    def item(self):
        """The value of a one-element tensor as a Python number. Raises ValueError for any other size."""
        if self.size != 1:
            raise ValueError(f"item: wants a tensor with one element, got shape {self.shape}")
        return self._array.item()

    def tolist(self):
        """The values as nested Python lists."""
        return self.numpy().tolist()

    def __array__(self, dtype=None, copy=None):
        why = None
        if self.requires_grad:
            why = "it requires grad, which an ndarray cannot carry; write t.detach() first, or t.numpy()"
        elif self.backend.name != "numpy":
            why = f"it lives on {self.backend.name}, and no array leaves a device implicitly; write t.numpy()"
        if why:
            raise TypeError(f"np.asarray: this tensor {self.shape} cannot become an ndarray: {why}")
        converts = dtype is not None and dtype != self.dtype
        if converts and copy is False:
            raise ValueError(f"np.asarray: a {self.dtype} tensor cannot become {np.dtype(dtype)} without a copy")
        return np.array(self._array, dtype=dtype) if copy or converts else self.data

    def __dlpack__(self, **options):
        """Share the memory with another library (DLPack). Whatever was recorded with it can no longer be trusted."""
        if self.requires_grad:
            raise BufferError(f"dlpack: this tensor {self.shape} requires grad; export t.detach() instead")
        self._version[0] += 1
        self._version[1] = True
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()

    def __bool__(self):
        if self.size != 1:
            raise ValueError(f"bool: the truth of a tensor with shape {self.shape} is ambiguous; use .any() or .all()")
        return bool(self._array)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        return operator.index(self.item())

    def __format__(self, spec):
        return format(self.item(), spec) if spec and self.size == 1 else format(repr(self), spec)

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("len: a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __contains__(self, value):
        return bool((self.detach() == value).any())

    def __deepcopy__(self, memo):
        if self.node is not None:
            raise TypeError(f"deepcopy: this tensor was produced by {self.node.op.name}; copy t.detach() instead")
        twin = type(self)(self._array.copy(), requires_grad=self.requires_grad)
        twin.name, twin.grad = self.name, None
        return twin

    # ---- staying -------------------------------------------------------------------------------------------------
    def detach(self):
        """The same memory without its history: a leaf that requires no grad."""
        twin = Tensor(self._array)
        twin._version = self._version
        return twin

    def copy(self):
        """A leaf with its own memory, the same values, and no history."""
        return Tensor(self._array.copy())

    @property
    def is_leaf(self):
        """Whether no recorded op produced this tensor."""
        return self.node is None


def tensor(values, requires_grad=False, dtype=None):
    """Copy values into a new leaf Tensor on the current backend (see `minigen.use`).

    Args:
        values: a number, nested lists, a NumPy or CuPy array, or a Tensor (copied without its history).
        requires_grad: record derivatives with respect to it. Floating dtypes only.
        dtype: of the result. By default an array keeps its own, and Python floats become float32.

    Raises TypeError for values that are not numeric, and when an integer tensor is asked to require grad.
    """
    array = to_array(values, dtype, copy=True)
    if requires_grad and array.dtype.kind != "f":
        raise TypeError(f"tensor: only floating dtypes can require grad, got {array.dtype}; pass dtype='float32'")
    return Tensor(array, None, bool(requires_grad))


def to_array(values, dtype=None, copy=False, xp=None):
    """Return values as an array of backend ``xp`` (default: the current one); Python numbers and lists of floats become
    float32.

    Moves an array that lives elsewhere. Copies if asked to, else only where it must. Raises TypeError if not numeric.
    """
    xp = xp or backend.current()
    if isinstance(values, Tensor):
        values = values._array
    home = backend.of(values)
    if home is None:
        values, home, copy = _from_python(values, explicit=copy), backend.get("numpy"), False
        dtype = dtype or ("float32" if values.dtype.kind == "f" else None)
    if isinstance(values, np.generic):
        values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"tensor: wants real numbers or booleans, got dtype {values.dtype}")
    values = values.astype(dtype or values.dtype, copy=copy)
    return values if home is xp else xp.from_numpy(home.to_numpy(values))


def _from_python(values, explicit):
    """NumPy array of a number or of nested lists of numbers, arrays and (where the copy is ``explicit``) Tensors."""
    try:
        return np.asarray(_without_tensors(values, explicit))
    except ValueError as error:
        raise TypeError(f"tensor: the nested lists are ragged ({error})") from None


def _without_tensors(values, explicit):
    if isinstance(values, (list, tuple)):
        return [_without_tensors(v, explicit) for v in values]
    if isinstance(values, Tensor):
        if values.requires_grad or not explicit:       # never cut a graph, or leave a device, without a word
            what = "a Tensor that requires grad" if values.requires_grad else "a Tensor"
            raise TypeError(f"tensor: the list holds {what}; join Tensors with mg.stack or mg.concatenate, or pass "
                        "t.numpy()")
        return values.numpy()
    return values


def from_dlpack(source):
    """Share the memory of another library's array (anything with ``__dlpack__``) as a leaf Tensor.

    Its owner can change it behind our back, so an op that must save it for its gradient saves a copy. Raises TypeError
    if no loaded backend can take the array.
    """
    try:
        kind, _ = source.__dlpack_device__()
        xp = backend.get("cupy") if kind == 2 else backend.get("numpy")          # 2: kDLCUDA
        shared = Tensor(xp.from_dlpack(source))
    except (AttributeError, TypeError, BufferError, RuntimeError) as error:
        raise TypeError(f"from_dlpack: cannot take {type(source).__name__}: {error}") from None
    shared._version[1] = True
    return shared
