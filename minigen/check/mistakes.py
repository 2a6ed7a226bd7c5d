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
import itertools
import os

import numpy as np

from minigen import backend
from minigen.autograd import _unbroadcast, backpropagate
from minigen.check.report import Diagnosis
from minigen.primitive import Node, _set_mode, detect_anomaly
from minigen.tensor import tensor

__all__ = ["axis_lengths", "record", "trials"]

MOST_EDGES = 150        # larger graphs than this are not searched
MOST_NUMBERS = 200_000  # nor those with larger arrays

_DERIVATIVES = {"exp": "eˣ", "log": "1/x", "log1p": "1/(1 + x)", "sqrt": "1/(2√x)", "square": "2x", "power": "n xⁿ⁻¹",
                "reciprocal": "−1/x²", "sin": "cos x", "cos": "−sin x", "tanh": "1 − tanh² x", "abs": "sign x",
                "sigmoid": "σ′(x) = σ(x)(1 − σ(x))", "softplus": "σ(x)", "log_sigmoid": "σ(−x)", "relu": "1[x > 0]",
                "logsumexp": "softmax(x)", "erf": "2/√π e^(−x²)"}
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
    """All nodes that the root was made from, itself included."""
    seen, todo = {root}, [root]
    while todo:
        for source in todo.pop().sources:
            if isinstance(source, Node) and source not in seen:
                seen.add(source)
                todo.append(source)
    return list(seen)


def record(subject, cotangent):
    """The `Graph` of f at its point, or None where f is too large for that, or not finite on the way."""
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


def trials(graph, k, gradient):
    """Yield (Diagnosis, wrong gradient of input k) for every mistake: the plain ones first, on all edges."""
    edges = list(_edges_to(graph, k)) if graph else []
    for place, part, *_ in edges:
        if not np.array_equal(part, gradient):                          # else it would only scale the whole
            for scale, kind, text in _SCALES:
                yield Diagnosis(kind, text.format(op=place)), gradient + (scale - 1) * part
    for slips in (_plain_slips, _odd_slips):
        for place, _, node, g, wide, h, (i, source, derivative, values) in edges:
            for slipped, kind, text in slips(node, i, g, wide, h, derivative, values):
                if slipped.shape == h.shape:
                    wrong = gradient + graph.backward(source, slipped - h)[k]                               # Eq. (2)
                    yield Diagnosis(kind, text.format(op=place)), wrong
    for (one, a, *_), (two, b, *_) in itertools.combinations(edges, 2):
        text = f"two parts of the gradient are missing, the one that flows through {one} and the one through {two}"
        yield Diagnosis("missing-term", text), gradient - a - b


def _edges_to(graph, k):
    """For every edge that leads to input k: its place in words, what it adds to the gradient, and its cotangents."""
    for node, g, edge in graph.edges:
        _, source, derivative, values = edge
        with _set_mode(record=False, arrays=True):
            wide = derivative.function(g, *values)
            h = wide if wide.shape == source.shape else _unbroadcast(wide, source.shape, node.op)
        part = graph.backward(source, h)[k]
        if np.abs(part).max(initial=0.0) > 0:
            yield _place(node), part, node, g, wide, h, edge


def _plain_slips(node, i, g, wide, h, derivative, values):
    """Wrong cotangents for one edge: (h̃, kind, sentence). ``wide`` is h before the sum over what was broadcast."""
    name = node.op.name
    if g.shape == h.shape or g.size == 1:
        formula = f": {_DERIVATIVES[name]}" if name in _DERIVATIVES else ""
        yield g + 0 * h, "chain-factor", "the local derivative of {op} is missing" + formula
    if name == "softmax" and g.shape == h.shape:
        p = values[derivative.wants.index("out")]
        yield g * p, "missing-term", "the derivative of {op} lacks the part that comes from its normaliser, −p ⟨p, g⟩"
        yield g * p * (1 - p), "missing-term", "the derivative of {op} is taken as p (1 − p), as if it were elementwise"
    beside = next(filter(_square, values), None)
    if name == "matmul" and beside is not None and g.ndim == 2:
        wrong = g @ beside if i == 0 else beside @ g
        yield wrong, "transpose", "in the derivative of {op} the matrix beside it is not transposed"
    if _square(h):
        yield h.T, "transpose", "what flows back through {op} is transposed"
    if h.ndim == 1 and _square(wide):
        yield wide.sum(axis=1), "wrong-axis", "what {op} broadcasts along axis 0 is summed over axis 1 instead"


def _odd_slips(node, i, g, wide, h, derivative, values):
    """Wrong cotangents as in `_plain_slips`: a factor too many or too few, or an index that is off by one."""
    for want, v in zip(derivative.wants, values):
        if backend.of(v) is not None and v.dtype.kind == "f" and v.shape == h.shape:
            x = "its output" if want == "out" else f"its input {want}"
            with np.errstate(all="ignore"):
                factors = list(_factors(h, v, x))
            for slipped, text in factors:
                if bool(backend.of(slipped).isfinite(slipped).all()):
                    yield slipped, "chain-factor", "the derivative of {op} " + text
    for axis in range(h.ndim if node.op.name not in ("sum", "mean") else 0):
        for by in (1, -1) if h.shape[axis] > 2 else ():
            text = f"what flows back through {{op}} is off by one along axis {axis}"
            yield backend.of(h).roll(h, by, axis), "shift", text


def _factors(h, v, x):
    """h with a factor made of v too many or too few, and what to say of it; x is what v is called."""
    yield h * v, f"has a factor too many: {x}"
    yield h / v, f"lacks a factor: {x}"
    yield h * v * v, f"has two factors too many: {x}, squared"
    yield h / (v * v), f"lacks two factors: {x}, squared"
    yield h / (1 - v), f"lacks the factor 1 − y, where y is {x}"
    yield h / (1 + v), f"lacks the factor 1 + y, where y is {x}"
    yield h / (1 - v * v), f"lacks the factor 1 − y², where y is {x}"


def _square(array):
    return getattr(array, "ndim", 0) == 2 and array.shape[0] == array.shape[1] > 1


def _place(node):
    """``tanh (h = mg.tanh(a), line 12 of my_file.py)``."""
    where = node.where or ""
    path, _, rest = where.partition(":")
    line, _, code = rest.partition(": ")
    if not code or not line.isdigit():
        return node.op.name
    code = code if len(code) <= 60 else code[:59] + "…"
    return f"{node.op.name} (line {line} of {os.path.basename(path)}: {code})"
