"""The table that gives Tensor its operators and its NumPy methods. Each is an op under another name."""
import numpy as np

from minigen.tensor import Tensor

OPERATORS = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
             "mod": "remainder", "pow": "power", "matmul": "matmul", "and": "logical_and", "or": "logical_or",
             "xor": "logical_xor"}
COMPARISONS = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
               "ge": "greater_equal"}
UNARY = {"neg": "negative", "pos": "positive", "abs": "abs", "invert": "logical_not", "round": "round"}
METHODS = """sum mean var std prod max min argmax argmin all any cumsum swapaxes squeeze flatten ravel repeat diagonal
trace
             clip take round astype to sort argsort""".split()
DIFFERENTIABLE = """exp expm1 log log1p sqrt square abs sign sin cos tan sinh cosh tanh sigmoid relu logsumexp norm
                    expand_dims broadcast_to moveaxis flip softmax log_softmax""".split()


def attach(ops):
    """Give Tensor the operators and methods for which ``ops`` (name -> function) has a function."""
    for dunder, name in {**OPERATORS, **COMPARISONS, **UNARY}.items():
        if name in ops:
            setattr(Tensor, f"__{dunder}__", ops[name])
    for dunder, name in OPERATORS.items():
        if name in ops:
            setattr(Tensor, f"__r{dunder}__", _reflected(ops[name]))
    for name in METHODS + DIFFERENTIABLE:
        if name in ops:
            setattr(Tensor, name, ops[name])
    if "reshape" in ops:
        def reshape(self, *shape):
            """The same elements in another shape: ``t.reshape(2, -1)`` or ``t.reshape((2, -1))``."""
            return ops["reshape"](self, _as_tuple(shape))

        def transpose(self, *axes):
            """The axes in another order, by default reversed: ``t.transpose(1, 0)`` or ``t.transpose((1, 0))``."""
            return ops["transpose"](self, _as_tuple(axes) or None)

        Tensor.reshape, Tensor.transpose = reshape, transpose
        Tensor.T = property(ops["transpose"], doc="The tensor with its axes reversed.")
    if "getitem" in ops:
        Tensor.__getitem__, Tensor.__setitem__ = ops["getitem"], ops["setitem"]
    Tensor.__array_ufunc__ = _ufunc(ops)


def _reflected(op):
    return lambda self, other: op(other, self)


def _as_tuple(values):
    """``t.reshape(2, 3)`` and ``t.reshape((2, 3))`` mean the same."""
    if len(values) == 1 and (values[0] is None or isinstance(values[0], (tuple, list))):
        return values[0]
    return values


def _ufunc(ops):
    """NumPy's ufuncs, met with a Tensor (``np.exp(t)``, ``ndarray * t``), become our ops."""
    names = {"true_divide": "divide", "absolute": "abs"}

    def __array_ufunc__(self, ufunc, method, *inputs, **settings):
        op = ops.get(names.get(ufunc.__name__, ufunc.__name__))
        if op is None or method != "__call__" or settings:
            how = "" if method == "__call__" else f".{method}"
            raise TypeError(f"np.{ufunc.__name__}{how} has no derivative here; use a minigen op, or pass t.numpy()")
        return op(*(x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x for x in inputs))    # its own scalars

    return __array_ufunc__
