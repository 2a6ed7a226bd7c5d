"""A strict stand-in for CuPy where no GPU is: NumPy inside, CuPy's manners outside.

Code that runs here will run on a GPU, because this namespace is at least as hard to please as CuPy:

* it has no name, no keyword and no array method that CuPy lacks;
* NumPy arrays and NumPy scalars are refused as operands, arguments and indices, and nothing becomes a NumPy array
  implicitly; what comes out of a reduction or an index is a 0-d array, never a scalar;
* memory cannot be made read-only, arrays are unhashable, and the generator draws only what CuPy's does.

What makes the host wait for a GPU is counted in `transfers` (``item``, ``get``, ``float``, ``nonzero``, a boolean mask
as index …), what is copied to it in `uploads`. Python numbers are weak, as in NumPy.
"""
import operator as _operator
import types as _types

import numpy as _np

from minigen.backend import Backend as _Backend

transfers = 0        # times that the host waited for the device
uploads = 0          # times that values of the host were copied to the device

_UFUNCS = """abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_or
    bitwise_xor cbrt ceil copysign cos cosh deg2rad divide divmod equal exp exp2 expm1 fabs float_power floor
    floor_divide fmax fmin fmod frexp greater greater_equal heaviside hypot i0 invert isfinite isinf isnan ldexp
    left_shift less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or
    logical_xor maximum minimum mod modf multiply negative nextafter not_equal positive power rad2deg reciprocal
    remainder right_shift rint sign signbit sin sinc sinh sqrt square subtract tan tanh true_divide trunc""".split()
_FUNCTIONS = """all allclose amax amin any append argmax argmin argpartition argsort argwhere around array_equal
    array_split ascontiguousarray average bincount broadcast_to choose clip convolve copy corrcoef count_nonzero cov
    cross cumprod cumsum diag diagonal diff digitize dot expand_dims extract fill_diagonal flatnonzero flip gradient
    histogram inner interp isclose isin kron lexsort matmul max mean median min moveaxis nan_to_num nanmax nanmean
    nanmin nansum nonzero outer pad partition percentile prod put_along_axis quantile ravel repeat reshape roll
    rollaxis rot90 round searchsorted sort split squeeze std sum swapaxes take take_along_axis tensordot tile trace
    transpose tril triu unique unravel_index var vdot where""".split()          # first argument: an array
_MAKERS = """arange array atleast_1d atleast_2d atleast_3d broadcast_arrays column_stack concatenate einsum empty
    empty_like eye full full_like hstack identity indices linspace logspace meshgrid ones ones_like
    ravel_multi_index select stack tri tril_indices triu_indices vstack zeros zeros_like""".split()   # a shape, a list
_PLAIN = """broadcast_shapes can_cast finfo iinfo issubdtype isscalar may_share_memory ndim promote_types
    result_type shape shares_memory size""".split()                                       # these return no array
_CONSTANTS = """bool bool_ dtype e euler_gamma float16 float32 float64 floating generic inexact inf int16 int32
    int64 int8 integer intp nan newaxis number pi uint16 uint32 uint64 uint8""".split()
_LINALG = """cholesky det eigh eigvalsh inv lstsq matrix_power matrix_rank norm pinv qr slogdet solve svd tensorinv
    tensorsolve""".split()
_METHODS = """all any argmax argmin argpartition argsort astype choose clip compress conj copy cumprod cumsum
    diagonal dot fill flatten max mean min nonzero partition prod put ravel repeat reshape round searchsorted sort
    squeeze std sum swapaxes take trace transpose var view""".split()
_OPERATORS = "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift".split()
_DRAWS = {"random": 0, "standard_normal": 0, "standard_exponential": 0, "uniform": 2, "standard_gamma": 1, "beta": 2}
_READS = {"__bool__": bool, "__int__": int, "__float__": float, "get": _np.array, "tolist": _np.ndarray.tolist,
          "item": _np.ndarray.item}
_REFUSED = {"where", "initial", "correction", "like", "device", "subok", "stable", "hermitian", "rtol", "upper"}
_WAITS = {"allclose", "argwhere", "array_equal", "bincount", "compress", "extract", "flatnonzero", "histogram", "lstsq",
          "matrix_rank", "nonzero", "unique"}


class ndarray:
    """An array on the pretended device; ``_host`` is its memory."""
    __slots__ = ("_host", "__weakref__")
    __array_ufunc__ = None              # numpy_array + ours: NumPy steps back, and our __radd__ refuses
    __hash__ = None

    def __init__(self, host):
        self._host = host

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy "
                        "array explicitly.")

    def __getattr__(self, name):
        raise AttributeError(f"strict.ndarray: {name!r} is no attribute of CuPy's, or tests/strict.py does not list it")

    @property
    def base(self):
        """The array whose memory this one views, or None."""
        return None if self._host.base is None else ndarray(_np.asarray(self._host.base))

    @property
    def flags(self):
        """CuPy's flags: there is no ``writeable``."""
        flags = self._host.flags
        return _types.SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous)

    def __getitem__(self, index):
        index = _index(index)
        parts = index if isinstance(index, tuple) else (index,)
        if any(getattr(part, "dtype", None) == bool for part in parts):      # how many are True? the host must know
            _count("transfers")
        result = self._host[index]
        return ndarray(self._host[(*parts, ...)] if isinstance(result, _np.generic) else result)     # … : a 0-d view

    def __setitem__(self, index, value):
        self._host[_index(index)] = _inside(value, "ndarray.__setitem__", sequences=False)

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self._host)))

    def __repr__(self):
        return f"strict.{self._host!r}"


# ---- crossing the border ---------------------------------------------------------------------------------------------
def _count(what):
    globals()[what] += 1


def _index(index):
    if isinstance(index, list):
        _count("uploads")
    return _inside(index, "ndarray.__getitem__")


def _inside(value, where, sequences=True):
    """What NumPy gets to see of an argument. Raises TypeError for what CuPy refuses."""
    kind = type(value)
    if kind is ndarray:
        return value._host
    if kind in (tuple, list) and sequences:
        return kind(_inside(v, where) for v in value)
    if kind is slice and ndarray not in map(type, (value.start, value.stop, value.step)):
        return slice(*(_inside(v, where) for v in (value.start, value.stop, value.step)))
    weak = value is None or value is ... or kind in (bool, int, float, complex, str, range)
    if weak or isinstance(value, (type, _np.dtype)):
        return value
    raise TypeError(f"strict.{where}: Unsupported type {kind}; CuPy takes its own arrays and Python numbers")


def _outside(value):
    """A result of NumPy as CuPy would give it: 0-d arrays instead of scalars, plain tuples of arrays."""
    if isinstance(value, (_np.ndarray, _np.generic)):
        return ndarray(_np.asarray(value))
    if isinstance(value, (tuple, list)):
        return (tuple if isinstance(value, tuple) else list)(map(_outside, value))
    return value


def guard(function, name, sequences=True, array_first=False):
    """``function`` of NumPy or SciPy under CuPy's rules. Its first argument may have to be an array."""
    def guarded(*args, **settings):
        refused = sorted(_REFUSED & set(settings)) if name not in ("isclose", "allclose") else ()
        if refused or (array_first and args and type(args[0]) is not ndarray):
            raise TypeError(f"strict.{name}: CuPy's function takes no {', '.join(refused)}" if refused else
                            f"strict.{name}: Unsupported type {type(args[0])} where CuPy wants an array")
        if name in _WAITS or (name == "where" and len(args) == 1):
            _count("transfers")
        settings = {key: _inside(value, name) for key, value in settings.items()}
        result = function(*(_inside(a, name, sequences) for a in args), **settings)
        if isinstance(result, bool):
            result = _np.asarray(result)                                      # allclose, array_equal
        return _outside(result)
    guarded.__name__ = guarded.__qualname__ = name
    return guarded


def _ufunc(name):
    function, ours = getattr(_np, name), guard(getattr(_np, name), name, sequences=False)
    if hasattr(function, "at"):
        ours.at = guard(function.at, name + ".at", array_first=True)
    return ours


def asarray(values, dtype=None, copy=None):
    """The one door into the device: NumPy arrays and Python numbers are copied; our own arrays pass."""
    if type(values) is ndarray:
        same = dtype is None or values.dtype == dtype
        return values if same and not copy else values.astype(dtype or values.dtype)
    _count("uploads")
    if isinstance(values, (list, tuple)):
        values = [v._host if type(v) is ndarray else v for v in values]
    return ndarray(_np.array(values, dtype=dtype))


# ---- the classes and the module, filled from the lists ---------------------------------------------------------------
def _method(name):
    def method(self, *args, **settings):
        result = guard(getattr(self._host, name), name)(*args, **settings)
        return self if type(result) is ndarray and result._host is self._host else result
    return method


def _attribute(name):
    def read(self):
        value = getattr(self._host, name)
        return ndarray(value) if isinstance(value, _np.ndarray) else value    # T is an array, shape is not
    return read


def _operation(function, swap=False, inplace=False):
    def method(self, *other):
        if other and type(other[0]) not in (ndarray, bool, int, float, complex) and not hasattr(other[0], "dtype"):
            return NotImplemented
        values = (self._host, *(_inside(v, function.__name__) for v in other))
        result = function(*(reversed(values) if swap else values))
        return self if inplace else _outside(result)
    return method


def _to_host(read):
    def method(self):
        _count("transfers")
        return read(self._host)
    return method


def _fill_classes():
    for name in _OPERATORS:
        dunder, function = name.strip("_"), getattr(_operator, name)
        setattr(ndarray, f"__{dunder}__", _operation(function))
        setattr(ndarray, f"__r{dunder}__", _operation(function, swap=True))
        if name != "matmul":
            setattr(ndarray, f"__i{dunder}__", _operation(getattr(_operator, "i" + dunder), inplace=True))
    for name in "eq ne lt le gt ge neg pos abs invert".split():
        setattr(ndarray, f"__{name}__", _operation(getattr(_operator, name)))
    for name in "shape ndim size dtype itemsize nbytes T real imag".split():
        setattr(ndarray, name, property(_attribute(name)))
    for name in _METHODS:
        setattr(ndarray, name, _method(name))
    for name, parameters in _DRAWS.items():                               # the number of parameters before the size
        setattr(Generator, name, _draw(name, parameters))
    Generator.poisson = _draw("poisson", 1, _np.int64)
    for name, read in _READS.items():
        setattr(ndarray, name, _to_host(read))


def _names():
    """The whole namespace: name -> function or constant."""
    names = {name: _ufunc(name) for name in _UFUNCS}
    names |= {name: guard(getattr(_np, name), name, array_first=True) for name in _FUNCTIONS}
    names |= {name: guard(getattr(_np, name), name) for name in _MAKERS}
    names |= {name: lambda *args, f=getattr(_np, name): f(*(_inside(a, f.__name__) for a in args)) for name in _PLAIN}
    names |= {name: getattr(_np, name) for name in _CONSTANTS}
    linalg = {name: guard(getattr(_np.linalg, name), name, array_first=True) for name in _LINALG}
    names["linalg"] = _types.SimpleNamespace(**linalg, LinAlgError=_np.linalg.LinAlgError)
    names["random"] = _types.SimpleNamespace(default_rng=Generator, Generator=Generator)
    windows = guard(_np.lib.stride_tricks.sliding_window_view, "sliding_window_view", array_first=True)
    names["lib"] = _types.SimpleNamespace(stride_tricks=_types.SimpleNamespace(sliding_window_view=windows))
    return names | {"ndarray": ndarray, "asarray": asarray}


class Generator:
    """The draws that CuPy's Generator offers, with its ``dtype`` arguments; no normal, choice, permutation or state."""

    def __init__(self, seed=None):
        self._rng = _np.random.default_rng(_inside(seed, "random.default_rng"))

    def integers(self, low, high=None, size=None, dtype=_np.int64, endpoint=False):
        return _outside(_np.asarray(self._rng.integers(low, high, size, dtype, endpoint)))


def _draw(name, parameters, dtype=_np.float64):
    def draw(self, *args, size=None, dtype=dtype, **named):
        size = args[parameters] if len(args) > parameters else size
        args = [_inside(a, name) for a in args[:parameters]]
        return _outside(_np.asarray(getattr(self._rng, name)(*args, size=size, **named), dtype=dtype))
    return draw


class StrictBackend(_Backend):
    """The strict namespace as a backend of minigen."""

    def __init__(self):
        super().__init__("strict", _types.SimpleNamespace(**_NAMES), ndarray)

    def __getattr__(self, name):
        raise AttributeError(f"strict: {name!r} is no function of CuPy, or tests/strict.py does not list it")

    def to_numpy(self, array):
        return array.get()

    def from_numpy(self, array):
        return asarray(array)

    def view(self, array):
        return array.copy()

    def device(self, array):
        return "strict:0"

    def _from(self, module, function):
        return guard(super()._from(module, function), function, sequences=False, array_first=True)

    def scatter_add(self, target, index, values):
        self.module.add.at(target, index, values)

    def generator(self, seed):
        return Generator(seed)


_fill_classes()
_NAMES = _names()


def __getattr__(name):
    """``strict.exp``. Kept out of the module's own names, where it would hide Python's ``any`` and ``bool``."""
    if name in _NAMES:
        return _NAMES[name]
    raise AttributeError(f"strict: {name!r} is no name of CuPy, or tests/strict.py does not list it")
