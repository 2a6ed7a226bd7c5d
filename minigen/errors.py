"""Error messages: one clear sentence with the op, what it got, and where the user called it."""
import linecache
import os
import sys

from minigen import backend

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def describe(op, arrays):
    """``x (2, 3) float32 and y (3,) float64``: the inputs of a call."""
    names = [op.inputs[0] + f"[{i}]" for i in range(len(arrays))] if op.variadic else op.inputs
    parts = []
    for name, array in zip(names, arrays):
        home = backend.of(array)
        parts.append(f"{name} {array.shape} {array.dtype}" + (f" on {home.name}" if home.name != "numpy" else "")
                     if home else f"{name} = {array!r}")
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts) or "nothing"


def explain(op, arrays, settings, error):
    """The exception that an op raises when its forward failed: same kind, with the op and what it got."""
    kind = next((k for k in (IndexError, ValueError, TypeError) if isinstance(error, k)), ValueError)
    homes = {home.name for home in map(backend.of, arrays) if home}
    reason = str(error).strip().rstrip(".") or type(error).__name__
    if len(homes) > 1:
        kind = TypeError
        reason = f"its inputs live on different devices ({', '.join(sorted(homes))}); move one with .to(...)"
    given = "".join(f", {name}={value!r}" for name, value in settings.items() if not (value is None or value is False))
    return kind(f"{op.name}: {reason}; got {describe(op, arrays)}{given}")


def user_line():
    """``file:line: code`` of the innermost frame outside this package, skipping Python's own machinery."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not os.path.abspath(path).startswith(_HERE) and os.path.basename(path) != "contextlib.py":
            code = linecache.getline(path, frame.f_lineno).strip()
            return f"{path}:{frame.f_lineno}" + (f": {code}" if code else "")
        frame = frame.f_back
    return "an unknown place"


def look_for_anomaly(name, array, node):
    """Raise FloatingPointError if an op's result holds a NaN or an infinity; else note on the node who called it."""
    where = user_line() if node is None or node.where is None else node.where
    if node is not None:
        node.where = where
    xp = backend.of(getattr(array, "_array", array))
    array = getattr(array, "_array", array)
    if array.dtype.kind == "f" and not xp.isfinite(array).all():
        what = "NaN" if xp.isnan(array).any() else "infinity"
        raise FloatingPointError(f"{name}: made the first {what}, shape {array.shape}, called at {where}")
