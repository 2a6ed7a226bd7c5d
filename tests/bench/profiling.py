"""Where a step's time goes: milliseconds of every op, forward and backward, of the optimiser, and between them.

    with Profile() as profile:
        for _ in range(100):
            step()
    print(table("my step", profile.report(100)))

While the block runs, every primitive's forward and every derivative is replaced by one that looks at the clock; so
without it nothing costs anything. A derivative is computed by ops: their time is the derivative's, not theirs. What
is left over is the engine (nodes, the walk back, freeing memory) and Python between the ops.
"""
import contextlib
import functools
import gc
import time
import types

from minigen import autograd
from minigen.primitive import Op
from minigen.random import Generator
from minigen.training.optim import Optimizer
from tables import align, number

BETWEEN = "between the ops"


class Profile:
    """Times of everything that runs inside the block. See the top of this file."""

    def __init__(self):
        self.rows = {}                   # (name, "forward" | "backward" | "other") -> [calls, seconds]
        self._busy = False               # inside something that is being timed
        self._walk = None                # seconds timed within the backward pass that is under way, or None
        self._undo = contextlib.ExitStack()

    def __enter__(self):
        for call in _primitives():
            op = call.op
            cell = dict(zip(call.__code__.co_freevars, call.__closure__))["forward"]
            self._replace(cell, "cell_contents", op.name, "forward")
            for derivative in filter(None, op.derivatives):
                self._replace(derivative, "function", op.name, "backward")
        for kind in {Optimizer, *_descendants(Optimizer)}:
            if "step" in vars(kind):
                self._replace(kind, "step", "optimiser", "other")
        for name, method in list(vars(Generator).items()):
            if isinstance(method, types.FunctionType) and not name.startswith("_"):
                self._replace(Generator, name, "random numbers", "other")
        self._set(autograd, "backpropagate", self._timed_walk(autograd.backpropagate))
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exception):
        self.seconds = time.perf_counter() - self._start
        self._undo.close()

    def _set(self, owner, attribute, value):
        self._undo.callback(setattr, owner, attribute, getattr(owner, attribute))
        setattr(owner, attribute, value)

    def _replace(self, owner, attribute, name, kind):
        self._set(owner, attribute, self._timed(getattr(owner, attribute), name, kind))

    def _timed(self, function, name, kind):
        """The function, timed unless something around it is."""
        @functools.wraps(function)
        def timed(*args, **settings):
            if self._busy:
                return function(*args, **settings)
            self._busy, start = True, time.perf_counter()
            try:
                return function(*args, **settings)
            finally:
                self._add(name, kind, time.perf_counter() - start)
                self._busy = False

        return timed

    def _add(self, name, kind, seconds, calls=1):
        row = self.rows.setdefault((name, kind), [0, 0.0])
        row[0] += calls
        row[1] += seconds
        if self._walk is not None:
            self._walk += seconds

    def _timed_walk(self, walk):
        """`autograd.backpropagate`: what it takes beyond the derivatives in it is the engine's."""
        def timed(*args, **settings):
            if self._busy or self._walk is not None:
                return walk(*args, **settings)
            self._walk, start = 0.0, time.perf_counter()
            try:
                return walk(*args, **settings)
            finally:
                inside, self._walk = self._walk, None
                self._add(BETWEEN, "backward", time.perf_counter() - start - inside, calls=0)

        return timed

    def report(self, steps):
        """{"ms": of a step, "rows": [{"op", "calls", "calls_back", "forward", "backward", "total" (ms), "share"}]}, for
        one step of ``steps``, by falling total; the rows sum to the step."""
        rest = self.seconds - sum(seconds for _, seconds in self.rows.values())
        parts = {**self.rows, (BETWEEN, "forward"): [0, rest]}
        rows = []
        for name in dict.fromkeys(name for name, _ in parts):
            found = {kind: parts.get((name, kind), (0, 0.0)) for kind in ("forward", "backward", "other")}
            times = {kind: 1e3 * seconds / steps for kind, (_, seconds) in found.items()}
            total = sum(times.values())
            rows.append({"op": name, "calls": (found["forward"][0] + found["other"][0]) / steps,
                         "calls_back": found["backward"][0] / steps, "forward": times["forward"],
                         "backward": times["backward"], "total": total, "share": total / (10 * self.seconds / steps)})
        return {"ms": 1e3 * self.seconds / steps, "rows": sorted(rows, key=lambda row: -row["total"])}


def _primitives():
    """Every primitive there is: ours, and those that somebody else has made."""
    return [f for f in gc.get_objects() if type(f) is types.FunctionType and isinstance(vars(f).get("op"), Op)]


def _descendants(kind):
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)


def table(title, report):
    """A report as aligned text. ``share`` is in percent."""
    lines = [["op", "calls", "back", "forward ms", "backward ms", "total ms", "share"]]
    for row in report["rows"]:
        times = [number(row[key] or None, 4) for key in ("forward", "backward")]
        calls = [number(row[key] or None, 1) for key in ("calls", "calls_back")]
        lines.append([row["op"], *calls, *times, number(row["total"], 4), f"{row['share']:.1f} %"])
    lines.append(["a step", "", "", "", "", number(report["ms"], 4), "100.0 %"])
    return f"{title}\n" + align(lines, 24)
