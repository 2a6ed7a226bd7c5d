r"""What an elementwise function does, noted instead of done: the first half of `minigen.native.chains`.

A function that is written for arrays,

    def descend(xp, theta, g, lr):
        theta -= lr * g

is called once with `Value`s in the place of arrays and numbers, and a `Recorder` in the place of NumPy. They compute
nothing, but note each operation as a line of C:

    const float t0 = (float)numbers[0] * x1;
    const float t1 = x0 - t0;

What an array became in place is stored at the end, here t1 into the first, and so is a returned Value into a new array.
Numbers meet each other in double precision, as in Python, and take the precision of an array beside them, as in NumPy.

A function that uses what is not known here, or whose course depends on values, cannot be recorded.
"""
import inspect


class CannotRecord(Exception):
    """A function did with a Value what cannot be written as a line of C here."""


class Value:
    """What an expression will be: ``text`` names it in C; ``kind`` is "real" (of arrays), "double" or "int" (0, 1)."""
    __array_ufunc__ = None
    dtype = "float32"

    def __init__(self, lines, kind, text):
        self.lines, self.kind, self.text = lines, kind, text

    def become(self, other):
        """Be what another Value is from here on: what happens to an array in place."""
        self.kind, self.text = other.kind, other.text
        return self

    def astype(self, dtype):
        """The truth of a comparison as a number."""
        return _noted(self.lines, "real", f"(real){self.text}")

    def __getattr__(self, name):
        raise CannotRecord(f"an array's {name}")

    def __bool__(self):
        raise CannotRecord("a choice that depends on values")

    def __neg__(self):
        return _noted(self.lines, self.kind, f"-{self.text}")


SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
FUNCTIONS = {"exp", "tanh", "log1p", "sqrt", "abs", "maximum", "minimum"}              # of elementary.h


class Recorder:
    """The functions of NumPy that can be recorded, on Values."""
    name = "recorder"

    def __getattr__(self, name):
        if name in SIGNS:
            return _operator(SIGNS[name])
        if name in FUNCTIONS:
            return _function(name)
        raise CannotRecord(f"xp.{name}")


def record(function, arrays, numbers):
    """(Lines of C, {which array: what is stored in it}) of ``function(xp, *arrays, *numbers)``; a new array counts as
    one more. In C the arrays' numbers are x0, x1, …

    Raises CannotRecord.
    """
    lines = []
    inputs = [Value(lines, "real", f"x{k}") for k in range(arrays)]
    given = [Value(lines, "double", f"numbers[{k}]") for k in range(numbers)]
    out = {"out": None} if "out" in inspect.signature(function).parameters else {}
    try:
        result = function(Recorder(), *inputs, *given, **out)
    except TypeError as error:                                       # an operator that Values have not
        raise CannotRecord(str(error)) from None
    stores = {k: value.text for k, value in enumerate(inputs) if value.text != f"x{k}"}
    return lines, stores if result is None else {**stores, arrays: _written(result, "real")}


# ---- operations ------------------------------------------------------------------------------------------------------
def _noted(lines, kind, expression):
    """Note a line that gives the expression a name; the Value of that name."""
    name = f"t{len(lines)}"
    lines.append(f"const {kind} {name} = {expression};")
    return Value(lines, kind, name)


def _written(value, kind):
    """How a Value or a number is written among operands of this kind."""
    if isinstance(value, Value):
        return value.text if value.kind == kind else f"({kind}){value.text}"
    if isinstance(value, (int, float)):
        return f"({kind}){float(value)!r}"
    raise CannotRecord(f"an operand of type {type(value).__name__}")


def _combined(sign, x, y, result=None):
    """x and y combined by an operator of C."""
    kinds = {value.kind for value in (x, y) if isinstance(value, Value)}
    kind = "double" if kinds == {"double"} else "real"
    return _noted(_lines(x, y), result or kind, f"{_written(x, kind)} {sign} {_written(y, kind)}")


def _lines(*values):
    return next(value.lines for value in values if isinstance(value, Value))


def _operator(sign):
    def call(x, y, out=None):
        value = _combined(sign, x, y)
        return value if out is None else out.become(value)
    return call


def _function(name):
    def call(*values, out=None):
        value = _noted(_lines(*values), "real", f"c_{name}({', '.join(_written(v, 'real') for v in values)})")
        return value if out is None else out.become(value)
    return call


def _give_operators():
    for name, sign in {"add": "+", "sub": "-", "mul": "*", "truediv": "/"}.items():
        setattr(Value, f"__{name}__", lambda x, y, sign=sign: _combined(sign, x, y))
        setattr(Value, f"__r{name}__", lambda y, x, sign=sign: _combined(sign, x, y))
        setattr(Value, f"__i{name}__", lambda x, y, sign=sign: x.become(_combined(sign, x, y)))
    for name, sign in {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}.items():
        setattr(Value, f"__{name}__", lambda x, y, sign=sign: _combined(sign, x, y, "int"))


_give_operators()
