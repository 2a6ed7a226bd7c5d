"""The only file that knows NumPy from CuPy.

Everything above this floor computes through a `Backend`: an array library's own functions under their NumPy names
(``xp.exp``, ``xp.linalg.inv``), plus the few things that every library spells differently (`Backend.erf`,
`Backend.scatter_add`, `Backend.generator`, …). Two rules keep the floors above honest:

* ops follow their inputs: `of` finds the backend of an array by its type, with one dictionary look-up;
* new arrays live where `use` says: NumPy unless the user chose otherwise.

A third library joins by a subclass and a line in `register`. The test-suite does just that with a strict stand-in for
CuPy.
"""
import contextvars
import difflib
import functools
import importlib
import importlib.util
import os

import numpy as np

from minigen import native, threads


class BackendError(RuntimeError):
    """A backend was asked for that is unknown, not installed, or has no device."""


class Backend:
    """An array library: its functions under their NumPy names, and a common spelling for what differs.

    Attributes: ``name``; ``array_type``, the class of its arrays; ``linalg`` and every public name of ``module``.
    """
    tf32 = False      # do float32 matrix products round their factors to 10 bits?

    def __init__(self, name, module, array_type):
        vars(self).update({key: value for key, value in vars(module).items() if not key.startswith("_")})
        self.name, self.module, self.array_type = name, module, array_type

    def __repr__(self):
        return f"<minigen backend {self.name}>"

    # ---- moving --------------------------------------------------------------------------------------------------
    def to_numpy(self, array):
        """Copy an array of this backend to a NumPy array on the host (waits for the device)."""
        raise NotImplementedError

    def from_numpy(self, array):
        """Copy a NumPy array to this backend."""
        raise NotImplementedError

    def view(self, array):
        """Return what may be shown to the world: a read-only view where the library has one, else a copy."""
        raise NotImplementedError

    def device(self, array):
        """Name the device of an array: ``"cpu"``, ``"cuda:0"``."""
        return "cpu"

    # ---- what is spelled differently ------------------------------------------------------------------------------
    special = "scipy.special"        # the module that holds erf, gammaln, polygamma
    triangular = "scipy.linalg"      # the module that holds solve_triangular

    def _from(self, module, function):
        return getattr(importlib.import_module(module), function)

    def erf(self, x):
        """The error function, elementwise."""
        return self._from(self.special, "erf")(x)

    def lgamma(self, x):
        """log |Γ(x)|, elementwise."""
        return self._from(self.special, "gammaln")(x)

    def polygamma(self, n, x):
        """ψ⁽ⁿ⁾(x), the n-th derivative of digamma, in x's dtype."""
        if n == 0:
            return self._from(self.special, "digamma")(x)
        order = self.full((), n, dtype=x.dtype)                     # CuPy's polygamma takes arrays alone
        return self._from(self.special, "polygamma")(order, x).astype(x.dtype, copy=False)

    def special_function(self, name):
        """A function of ``scipy.special``, by its name there."""
        return self._from(self.special, name)

    def solve_triangular(self, a, b, lower, trans):
        """Solve a x = b (``trans``: aᵀ x = b) for one (D, D) triangular a and a (D, K) right side."""
        solve = self._from(self.triangular, "solve_triangular")
        return solve(a, b, lower=lower, trans=1 if trans else 0, check_finite=False)

    def scatter_add(self, target, index, values):
        """target[index] += values in place, adding once for every repetition of an index."""
        raise NotImplementedError

    def generator(self, seed):
        """The library's own random generator; `minigen.random` wraps it."""
        raise NotImplementedError

    def spread(self, work, n, numbers):
        """[work(s)] for slices s that cover range(n); on a CPU several, side by side, for many ``numbers``."""
        return [work(slice(0, n))]

    def elementwise(self, function, *arrays, numbers=()):
        """function(xp, *arrays, *numbers, out), whose result is like the first array, to which the others stretch; on a
        CPU large arrays are shared out over the cores, in one loop where it can be compiled. ``function`` belongs to a
        module: what is compiled for it is kept."""
        return function(self, *arrays, *numbers, out=None)

    def in_place(self, function, *arrays, numbers=()):
        """The same for a function that changes some of the arrays, which have one shape. Return whether it was done:
        only where the library compiles, else it is up to the caller."""
        return False

    def sum_middle(self, function, *arrays):
        """Σ_s of function(xp, *arrays), elementwise in arrays that stretch to (B, S, C): (B, C); None where nothing is
        compiled."""
        return None

    def sum_last(self, function, *arrays):
        """Σ of function(xp, *arrays), elementwise in arrays of one shape (…, K), along the last axis: (…, 1); None
        where nothing is compiled."""
        return None

    def sums(self, dtype):
        """The compiled sums of `minigen.native.sums` for numbers of ``dtype``; None where there are none."""
        return None

    def affine(self, a, b, bias):
        """a b + bias for matrices (M, K), (K, N) and a row (N,)."""
        z = self.matmul(a, b)
        z += bias
        return z

    def synchronize(self):
        """Wait until all queued work is done (nothing to wait for on a CPU)."""

    def memory(self):
        """(free, total) bytes on the device, or None where the library has no device of its own."""


class NumpyBackend(Backend):
    """NumPy on the CPU: the reference."""

    def __init__(self):
        super().__init__("numpy", np, np.ndarray)
        self.where, self.maximum = _where, _maximum
        del self.__dict__["matmul"]                               # it is a method here

    def to_numpy(self, array):
        return np.array(array)

    def from_numpy(self, array):
        return np.array(array)

    def view(self, array):
        view = array.view()
        view.flags.writeable = False
        return view

    def spread(self, work, n, numbers):
        return threads.spread(work, threads.shares(n, numbers))

    def threads(self, numbers):
        """On how many threads compiled code should handle so many numbers."""
        return threads.count() if numbers >= threads.SMALL_COMPILED else 1

    def elementwise(self, function, *arrays, numbers=()):
        out, done = self._compiled(function, arrays, numbers)
        if done:
            return out
        like = arrays[0]
        if like.size < threads.SMALL or any(a.shape != like.shape or a.dtype != like.dtype for a in arrays):
            return function(self, *arrays, *numbers, out=None)
        out = np.empty_like(like)

        def work(rows):
            function(self, *(array[rows] for array in arrays), *numbers, out=out[rows])

        self.spread(work, len(like), like.size)
        return out

    def in_place(self, function, *arrays, numbers=()):
        return self._compiled(function, arrays, numbers)[1]

    def _compiled(self, function, arrays, numbers):
        """(Result, whether it was done) of a function compiled, for large arrays of float32."""
        if not native.build.on or arrays[0].size < _LARGE or any(a.dtype != np.float32 for a in arrays):
            return None, False
        chain = native.chain(function, len(arrays), len(numbers))
        return chain.fill(self.threads(arrays[0].size), arrays, numbers) if chain else (None, False)

    def sum_middle(self, function, *arrays):
        return self._compiled_sum(function, arrays, 1)

    def sum_last(self, function, *arrays):
        shape = arrays[0].shape
        if any(array.shape != shape or not array.flags.c_contiguous for array in arrays):
            return None
        total = self._compiled_sum(function, [array.reshape(1, -1, shape[-1]) for array in arrays], 2)
        return None if total is None else total.reshape(*shape[:-1], 1)

    def _compiled_sum(self, function, arrays, summed):
        if not native.build.on or arrays[0].size < _LARGE or any(a.dtype != np.float32 for a in arrays):
            return None
        chain = native.chain(function, len(arrays), summed=summed)
        return chain.sum(self.threads(arrays[0].size), arrays) if chain else None

    def sums(self, dtype):
        return native.sums.code(dtype.char) if native.build.on else None

    def matmul(self, a, b, **options):
        """``np.matmul``, compiled where that is faster."""
        z = None if options or not native.build.on else native.sums.matmul(a, b, None, threads.count())
        return _matmul(a, b, **options) if z is None else z

    def affine(self, a, b, bias):
        fits = native.build.on and bias.dtype == a.dtype
        z = native.sums.matmul(a, b, bias, threads.count()) if fits else None
        return super().affine(a, b, bias) if z is None else z

    def scatter_add(self, target, index, values):
        np.add.at(target, index, values)

    def generator(self, seed):
        return np.random.default_rng(seed)


def _where(condition, x, y):
    """``np.where`` without its branches, which a CPU mispredicts on random masks: five times faster there, same bits.

    The mask as an integer is 0 or −1, all its bits alike, so x ⊕ y under the mask turns y into x.
    """
    like = x if type(x) is np.ndarray else y
    fits = type(like) is np.ndarray and like.size >= _LARGE and like.dtype.kind == "f" and like.itemsize in (4, 8)
    for value in (x, y):
        fits = fits and (type(value) in (int, float) or (value.dtype == like.dtype and value.flags.c_contiguous
                                                         and value.shape == np.shape(condition)))
    if not fits or condition.dtype != bool:
        return np.where(condition, x, y)
    bits = np.int32 if like.itemsize == 4 else np.int64
    x, y = (v.view(bits) if type(v) is np.ndarray else like.dtype.type(v).view(bits) for v in (x, y))
    out = np.negative(condition.astype(bits))
    out &= x ^ y
    out ^= y
    return out.view(like.dtype)


def _maximum(x, y, **options):
    """``np.maximum``, whose fast loop wants two arrays: a number beside a large array is made a row of them."""
    if type(y) in (int, float) and x.size >= _LARGE and x.shape[-1] >= 64 and x.dtype.kind == "f":
        y = np.full(x.shape[-1], y, x.dtype)
    return np.maximum(x, y, **options)


def _matmul(a, b, **options):
    """``np.matmul``, which is slow where the inner axes have length one: there the product has no sum."""
    if not options and a.ndim > 1 and b.ndim > 1 and a.shape[-1] == b.shape[-2] == 1:
        return np.multiply(a, b)
    return np.matmul(a, b, **options)


_LARGE = 4096      # elements from which `_where` and `_maximum` are worth it


class CupyBackend(Backend):
    """CuPy on one CUDA device. Raises BackendError when CuPy is absent or finds no GPU.

    With CUPY_TF32=1 in the environment, tensor cores take the factors of float32 matrix products (and so convolutions)
    rounded to 10 bits, an error of about 1e-3; ``tf32`` tells. float64, in which we check, stays as it is.
    """
    special, triangular = "cupyx.scipy.special", "cupyx.scipy.linalg"

    def __init__(self):
        if importlib.util.find_spec("cupy") is None:
            raise BackendError("backend 'cupy' needs CuPy, which is not installed: "
                               "pip install 'minigen[cuda12]' (or cuda13), or stay with mg.use('numpy')")
        try:
            cupy = importlib.import_module("cupy")
        except ImportError as error:
            raise BackendError(f"backend 'cupy': CuPy is installed but cannot be imported ({error}); "
                               "reinstall it, or stay with mg.use('numpy')") from None
        try:
            devices = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise BackendError(f"backend 'cupy': CuPy {cupy.__version__} is installed but finds no usable GPU "
                               f"({error}); check the driver with nvidia-smi, or stay with mg.use('numpy')") from None
        if devices == 0:
            raise BackendError(f"backend 'cupy': CuPy {cupy.__version__} is installed but this machine has no GPU; "
                               "stay with mg.use('numpy')")
        super().__init__("cupy", cupy, cupy.ndarray)
        self.tf32 = int(os.environ.get("CUPY_TF32", 0)) > 0                      # as CuPy reads it

    def to_numpy(self, array):
        return self.module.asnumpy(array)

    def from_numpy(self, array):
        return self.module.asarray(array)

    def view(self, array):
        return array.copy()

    def device(self, array):
        return f"cuda:{array.device.id}"

    def scatter_add(self, target, index, values):
        self.module.add.at(target, index, values)

    def generator(self, seed):
        return self.module.random.default_rng(seed)

    def in_place(self, function, *arrays, numbers=()):
        _cuda_kernel(self, function)(*arrays, *numbers)
        return True

    def synchronize(self):
        self.module.cuda.Device().synchronize()

    def memory(self):
        return self.module.cuda.runtime.memGetInfo()


@functools.cache
def _cuda_kernel(xp, function):
    """An elementwise function compiled by CuPy."""
    def kernel(*arguments):
        function(xp, *arguments)
    kernel.__name__ = function.__name__                                       # the compiled kernel's name
    return xp.module.fuse(kernel)


# ---- the register ----------------------------------------------------------------------------------------------------
_makers = {}         # name -> function that makes the backend, at its first use
_loaded = {}         # name -> backend
BY_TYPE = {}        # type of array (or of a NumPy scalar) -> backend


def register(name, make):
    """Make a backend known under ``name``; ``make()`` returns it and is called once, at its first use."""
    _makers[name] = make


def get(name):
    """Return the backend called ``name``. Raises BackendError if it is unknown or cannot run here."""
    if name not in _loaded:
        if name not in _makers:
            near = difflib.get_close_matches(str(name), _makers, 1)
            raise BackendError(f"no backend is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                               + f" Known: {', '.join(sorted(_makers))}")
        backend = _makers[name]()
        _loaded[name] = BY_TYPE[backend.array_type] = backend
    return _loaded[name]


def names():
    """The names of all registered backends."""
    return sorted(_makers)


def of(array):
    """Return the backend an array lives on, or None for anything that is not an array (a Python number, a list)."""
    backend = BY_TYPE.get(type(array))
    if backend is None:
        for kind, candidate in BY_TYPE.items():
            if isinstance(array, kind):          # a subclass, such as np.memmap
                return candidate
    return backend


NUMBERS = (int, float, np.generic)      # Python's and NumPy's scalars

register("numpy", NumpyBackend)
register("cupy", CupyBackend)
_numpy = get("numpy")
BY_TYPE.update({scalar: _numpy for scalar in set(np.sctypeDict.values())})     # 0-d results are NumPy scalars

_calls = []                                                             # of `use`: the last one holds for the process
_chosen = contextvars.ContextVar("minigen_backend", default=None)       # of a ``with`` block


class use:
    """Choose where new tensors live: ``mg.use("cupy")`` from here on, ``with mg.use("numpy"):`` for one block.

    The call sets the default of the whole process; the block is local to its thread. Ops follow their inputs whatever
    is chosen. Raises BackendError if the backend is unknown, not installed, or has no device.
    """

    def __init__(self, name):
        self.backend = get(name)
        self._token = _chosen.set(self.backend.name)
        _calls.append(self)

    def __enter__(self):
        _calls.remove(self)              # a block, not a call: the process stays as it was
        return self.backend

    def __exit__(self, *exception):
        _chosen.reset(self._token)


def current():
    """The backend on which new tensors are made."""
    return get(_chosen.get() or (_calls[-1].backend.name if _calls else "numpy"))
