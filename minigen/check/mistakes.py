r"""Repeat a backward pass with one mistake planted, and see whether the wrong gradient comes out.

Reverse mode sends a cotangent along every edge of the graph of f, from the output ȳ of an op to its input,

    h = ȳ · ∂y/∂x,      and      x̄ = Σ over all edges into x of h.                                              (1)

Whoever differentiates by hand walks the same edges, and slips on one of them: forgets the local derivative (h = ȳ),
forgets the edge (h = 0), turns its sign, takes ½ for 2, σ for σ², the wrong axis. Everything behind the edge is linear
in h, so what comes out with h̃ in place of h is

    gradient + backward(h̃ − h),                                                                                 (2)

one more backward pass from that edge on. `trials` yields Eq. (2) for every edge and every slip; the one that equals the
person's gradient is the explanation, and the edge tells where in their formula it happened.
"""
import os

import numpy as np

from minigen import backend
from minigen.autograd import _unbroadcast, backpropagate
from minigen.check.report import Diagnosis
from minigen.primitive import Node, _set_mode, detect_anomaly
from minigen.tensor import tensor

__all__ = ["axis_lengths", "kinked_ops", "record", "trials"]

MOST_EDGES = 150        # larger graphs than this are not searched
MOST_NUMBERS = 200_000  # nor those with larger arrays

_DERIVATIVES = {"exp": "eˣ", "log": "1/x", "log1p": "1/(1 + x)", "sqrt": "1/(2√x)", "square": "2x", "sin": "cos x",
                "cos": "−sin x",
                "tanh": "1 − tanh² x", "sigmoid": "σ′(x) = σ(x)(1 − σ(x))", "softplus": "σ(x)", "log_sigmoid": "σ(−x)",
                "reciprocal": "−1/x²",
                "relu": "1[x > 0]", "abs": "sign x", "power": "n xⁿ⁻¹", "logsumexp": "softmax(x)",
                "erf": "2/√π e^(−x²)"}
_SCALES = ((0.0, "missing-term", "the part of the gradient that flows through {op} is missing"),
           (-1.0, "term-sign", "the part of the gradient that flows through {op} has the wrong sign"),
           (2.0, "term-factor", "the part of the gradient that flows through {op} enters twice"),
           (0.5, "term-factor", "the part of the gradient that flows through {op} enters with half its weight"))


class Graph:
    """One evaluation of f with its graph kept: the leaves, and for every edge the cotangents of Eq. (1)."""

    def __init__(self, subject, cotangent):
        with detect_anomaly():                                # so that every node knows the line that called it
            self.leaves = subject.leaves()
            out = subject.f(*self.leaves)
        start = tensor(np.asarray(cotangent, dtype=np.float64))._array
        self.edges = []
        if not isinstance(out.node, Node):
            return
        nodes = _nodes_behind(out.node)
        reached = backpropagate([out.node], [start], wanted=nodes, retain_graph=True)
        for node in sorted(reached, key=lambda node: -node.serial):
            self.edges += [(node, reached[node], edge) for edge in node.edges]

    def backward(self, source, h):
        """What a cotangent h at ``source`` adds to the gradient of each leaf, as NumPy arrays."""
        if any(source is leaf for leaf in self.leaves):
            found = {source: h}
        else:
            found = backpropagate([source], [h], wanted=self.leaves, retain_graph=True)
        return [backend.of(x._array).to_numpy(found[x]) if x in found else np.zeros(x.shape) for x in self.leaves]


def _nodes_behind(root):
    seen, todo = {root}, [root]
    while todo:
        for source in todo.pop().sources:
            if isinstance(source, Node) and source not in seen:
                seen.add(source)
                todo.append(source)
    return list(seen)


def record(subject, cotangent):
    """The `Graph` of f at its point, or None where f cannot be examined that way (too large, or not finite on the way).
    """
    try:
        graph = Graph(subject, cotangent)
    except FloatingPointError:
        return None
    numbers = sum(int(np.prod(node.shape)) for node, _, _ in graph.edges)
    return graph if len(graph.edges) <= MOST_EDGES and numbers <= MOST_NUMBERS else None


def axis_lengths(graph):
    """The lengths of all axes, and the numbers of elements, that occur on the way: a dict from number to phrase."""
    lengths = {}
    for node, _, (_, source, _, values) in graph.edges if graph else ():
        for shape in (source.shape, node.shape):
            lengths.setdefault(int(np.prod(shape)), f"the number of elements at {node.op.name}")
            for axis, n in enumerate(shape):
                lengths[n] = f"the length of axis {axis} at {node.op.name}"
    return {n: whose for n, whose in lengths.items() if n > 1}


_KINKS = {"abs": lambda v: (v["x"] == 0).any(), "relu": lambda v: (v["out"] == 0).any(),
          "leaky_relu": lambda v: (v["x"] == 0).any(),
          "maximum": lambda v: (v["x"] == v["y"]).any(), "minimum": lambda v: (v["x"] == v["y"]).any(),
          "max": lambda v: (v["x"] == v["out"]).sum() > v["out"].size,
          "min": lambda v: (v["x"] == v["out"]).sum() > v["out"].size,
          "norm": lambda v: (v["out"] == 0).any(), "std": lambda v: (v["out"] == 0).any(),
          "clip": lambda v: (v["x"] == v["out"]).any(),
          "floor": lambda v: True, "ceil": lambda v: True, "round": lambda v: True, "sign": lambda v: True,
          "where": lambda v: True, "sort": lambda v: True}


def kinked_ops(graph):
    """Names of the ops on the way that have a kink, a tie or a jump and may be sitting on it."""
    names = set()
    for node, _, (_, _, derivative, values) in graph.edges if graph else ():
        test = _KINKS.get(node.op.name)
        try:
            if test and test(dict(zip(derivative.wants, values))):
                names.add(node.op.name)
        except KeyError:                                 # the op saves something else: then it may be
            names.add(node.op.name)
    return sorted(names)


def trials(graph, k, gradient):
    """Yield (Diagnosis, wrong gradient of input k) for every mistake of this kind."""
    for node, g, (i, source, derivative, values) in graph.edges if graph else ():
        with _set_mode(record=False, arrays=True):
            wide = derivative.function(g, *values)
            h = wide if wide.shape == source.shape else _unbroadcast(wide, source.shape, node.op)
        part = graph.backward(source, h)[k]
        if not np.abs(part).max(initial=0.0) > 0:
            continue                                                    # this edge does not lead to input k
        place = _place(node)
        if not np.array_equal(part, gradient):                          # else it would only scale the whole
            for scale, kind, text in _SCALES:
                yield Diagnosis(kind, text.format(op=place)), gradient + (scale - 1) * part
        for slipped, kind, text in _slips(node, i, g, wide, h, derivative, values):
            if slipped.shape == h.shape:
                # Eq. (2)
                yield Diagnosis(kind, text.format(op=place)), gradient + graph.backward(source, slipped - h)[k]


def _slips(node, i, g, wide, h, derivative, values):
    """Wrong cotangents (h̃, kind, sentence) for one edge."""
    name = node.op.name
    if g.shape == h.shape or g.size == 1:
        formula = _DERIVATIVES.get(name)
        yield g + 0 * h, "chain-factor", "the local derivative of {op} is missing" + (f": {formula}" if formula else "")
    for want, v in zip(derivative.wants, values):
        if backend.of(v) is None or v.dtype.kind != "f" or v.shape != h.shape:
            continue
        x = "its output" if want == "out" else f"its input {want}"
        for slipped, text in ((h * v, "has a factor too many: {x}"), (h / v, "lacks a factor: {x}"),
                              (h * v * v, "has two factors too many: {x}, squared"),
                              (h / (v * v), "lacks two factors: {x}, squared"),
                              (h / (1 - v), "lacks the factor 1 − y, y {x}"),
                              (h / (1 + v), "lacks the factor 1 + y, y {x}"),
                              (h / (1 - v * v), "lacks the factor 1 − y², y {x}")):
            if bool(backend.of(slipped).isfinite(slipped).all()):
                yield slipped, "chain-factor", "the derivative of {op} " + text.replace("{x}", x)
    if h.ndim == 2 and h.shape[0] == h.shape[1] > 1:
        yield h.T, "transpose", "what flows back through {op} is transposed"
        if name == "matmul" and values and getattr(values[0], "ndim",
                                                   0) == 2 and values[0].shape[0] == values[0].shape[1]:
            w = values[0]
            yield (g @ w if i == 0 else w @ g), "transpose", "the matrix beside it is not transposed in the derivative of {op}"
    if wide.ndim == 2 and wide.shape[0] == wide.shape[1] > 1 and h.ndim == 1:
        yield wide.sum(axis=1), "wrong-axis", "the sum over the axis along which {op} broadcast runs over the wrong axis"
    for axis in range(h.ndim):
        if h.shape[axis] > 2 and name not in ("sum", "mean"):
            for by in (1, -1):
                yield backend.of(h).roll(h, by,
                                         axis), "shift", "what flows back through {op} is off by one along axis " + str(axis)


def _place(node):
    """``tanh (h = mg.tanh(a), line 12 of my_file.py)``."""
    where = node.where or ""
    path, _, rest = where.partition(":")
    line, _, code = rest.partition(": ")
    if not code or not line.isdigit():
        return node.op.name
    return f"{node.op.name} (line {line} of {os.path.basename(path)}: {code[:70]})"
