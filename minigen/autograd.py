r"""Reverse-mode differentiation to any order.

Calling a primitive on Tensors computes its forward on plain arrays and, if any input requires grad, leaves a `Node`:
the op, where its inputs came from, and just what its derivatives will ask for. `backpropagate` walks the nodes from the
output back. For y = f(x) and a scalar loss L, writing x̄ = ∂L/∂x (the *cotangent* of x), each node turns ȳ into

    x̄ = ȳ · ∂f/∂x,                                                                                              (1)

the *vector-Jacobian product* (vjp) that stands beside the forward. Three ideas do the work:

1. **One derivative, two speeds.** A vjp is written once, with the public ops. Handed arrays, those ops compute on
   arrays; handed Tensors, they record. So the same line gives a fast first derivative and, with ``create_graph``, a
   differentiable one: the second derivative is the vjp of the vjp, and so on to any order.
2. **A derivative names what it needs.** ``exp.vjp(lambda g, out: g * out)`` asks for the cotangent and the output;
   ``log.vjp(lambda g, x: g / x)`` for the input; ``x_shape`` for a shape alone. The engine saves exactly that.
3. **Newest first.** Nodes are numbered as they are made. Whatever uses a node's output was made after it, so when the
   node with the highest number is taken next, its cotangent is already complete. A heap is the whole topological sort.

Broadcasting is undone here, once, for all ops: an input of shape (3, 1) that was stretched to (3, 4) receives the sum
over the axis it was stretched along.
"""
import heapq
import operator

from minigen import backend, errors
from minigen.primitive import Node, _mode, _set_mode
from minigen.tensor import Tensor, to_array

LARGE = 1 << 15           # numbers from which adding up cotangents is worth a look whether that can be compiled


# ---- the backward pass -----------------------------------------------------------------------------------------------
def backpropagate(roots, cotangents, wanted=None, create_graph=False, retain_graph=False, until=0):
    """Carry cotangents from ``roots`` back to where they came from.

    Args:
        roots: Nodes or leaf Tensors. cotangents: an array for each (a Tensor with ``create_graph``).
        wanted: Nodes and leaves whose cotangents to return; branches that lead to none of them are not computed.
            None: every leaf.
        until: treat nodes with a lower serial number as leaves.

    Returns a dict from Node or leaf to its cotangent. Raises RuntimeError for a graph that was freed or changed.
    """
    keep = set(wanted or ())
    needed = None if wanted is None else keep | _between(roots, wanted)
    pending, ours, found, heap = {}, set(), {}, []        # ours: cotangents whose buffer nobody else holds

    def deliver(target, h, owned):
        if target not in pending:
            pending[target] = h
            if type(target) is Node and target.serial >= until:
                heapq.heappush(heap, (-target.serial, target))
        elif target in ours:
            if h.size < LARGE or not backend.of(h).in_place(_plus, pending[target], h):
                pending[target] += h                     # add in place
            return
        else:
            pending[target], owned = pending[target] + h, not create_graph
        if owned:
            ours.add(target)

    for root, cotangent in zip(roots, cotangents):
        deliver(root, cotangent, False)
    with _set_mode(record=create_graph, arrays=not create_graph):
        anomaly = _mode.get().anomaly
        while heap:
            node = heapq.heappop(heap)[1]
            g = pending.pop(node)
            if node in keep:
                found[node] = g if create_graph or node in ours else g.copy()
            if needed is not None and node in keep and needed.isdisjoint(node.sources):
                continue                                  # nothing wanted below it: leave the rest of its graph alone
            _check(node)
            for i, source, derivative, values in node.edges:
                if needed is not None and source not in needed:
                    continue
                if create_graph:
                    values = _revive(node, derivative, values)
                h = derivative.function(g, *values)                                              # Eq. (1)
                if not create_graph and isinstance(h, Tensor):        # a vjp that used a Tensor from outside
                    h = h._array.copy()
                if h.shape != source.shape or h.dtype is not source.dtype:
                    h = _like(h, source, node.op)
                if anomaly:
                    errors.look_for_anomaly(node.op.name + " (its gradient)", h, node)
                deliver(source, h, not create_graph and h is not g and h.base is None)
            if not (retain_graph or create_graph):
                node.edges, node.versions = None, ()
    for leaf, g in pending.items():                       # only leaves are left
        if wanted is None or leaf in keep:
            found[leaf] = g if create_graph or leaf in ours else g.copy()
    return found


def _plus(xp, total, h):
    total += h


def _between(roots, wanted):
    """The nodes that lie on a path from a root to something wanted."""
    oldest = min((w.serial if type(w) is Node else -1 for w in wanted), default=-1)      # nothing older leads there
    seen, stack = set(), [r for r in roots if type(r) is Node]
    while stack:
        node = stack.pop()
        if node not in seen and node.serial >= oldest:
            seen.add(node)
            if node.edges is None and not (len(wanted) == 1 and wanted[0] is node):
                # what was below it can no longer be known
                raise RuntimeError(_freed(node))
            stack.extend(source for source in node.sources if type(source) is Node)
    reached, between = set(wanted), set()
    for node in sorted(seen, key=operator.attrgetter("serial")):        # inputs before outputs
        if not reached.isdisjoint(node.sources):
            reached.add(node)
            between.add(node)
    return between


def _check(node):
    """Raise RuntimeError if what a node has saved is gone, or was changed in place since."""
    if node.edges is None:
        raise RuntimeError(_freed(node))
    for version, count, j in node.versions:
        if version[0] != count:
            raise RuntimeError(_changed(node, j, version[0] - count))


def _freed(node):
    """What to say about a node that a backward pass has used up."""
    return (f"backward: the graph through {node.op.name} was used and freed; pass retain_graph=True to the first "
            "backward to use it twice")


def _changed(node, j, times):
    """What to say when the memory of input j (−1: the output) was changed after it was saved."""
    source = next((source for i, source, _, _ in node.edges if i == j), None)
    inputs = node.op.inputs
    what = "its output" if j < 0 else f"its input {getattr(source, 'name', None) or inputs[min(j, len(inputs) - 1)]!r}"
    return (f"backward: {node.op.name} {node.shape} saved {what} for its gradient, and that tensor was changed in "
            f"place afterwards ({times} times); change a copy of it, or call backward first")


def _revive(node, derivative, values):
    """What a derivative asked for, as Tensors that continue the graph."""
    sources = {i: source for i, source, _, _ in node.edges}
    versions = {j: version for version, _, j in node.versions}
    inputs, revived = node.op.inputs, []
    for want, value in zip(derivative.wants, values):
        if want == "out":
            value = _continue(value, node, versions[-1])
        elif want in inputs and node.op.variadic:
            value = tuple(_continue(v, sources.get(j), versions.get(j)) for j, v in enumerate(value))
        elif want in inputs:
            j = inputs.index(want)
            value = _continue(value, sources.get(j), versions.get(j))
        revived.append(value)
    return revived


def _continue(value, source, version):
    """A saved array as the Tensor it was; ``source`` is the Node that made it, the leaf itself, or None if constant."""
    if isinstance(source, Tensor):
        if source._array is not value:
            raise RuntimeError(f"backward: a leaf {source.shape} shares its memory with another library, so it has no "
                               "second derivative here; use its .copy()")
        return source
    if backend.of(value) is None:
        return value
    tensor = Tensor(value, source, source is not None)
    tensor._version = version or tensor._version
    return tensor


def _like(h, source, op):
    """A cotangent with the shape and the dtype of what it belongs to."""
    if h.shape != source.shape:
        h = _unbroadcast(h, source.shape, op)
    return h if h.dtype == source.dtype else h.astype(source.dtype)


def _unbroadcast(h, shape, op):
    """Sum ``h`` over the axes along which an input of this shape was stretched."""
    lead = h.ndim - len(shape)
    stretched = [i for i, d in enumerate(shape) if lead >= 0 and d == 1 and h.shape[lead + i] != 1]
    axes = (*range(lead), *(lead + i for i in stretched))
    if lead < 0 or any(h.shape[lead + i] != d for i, d in enumerate(shape) if i not in stretched):
        raise RuntimeError(f"{op.name}: its vjp returned a cotangent of shape {h.shape} for an input of shape {shape}")
    return h.sum(axis=axes).reshape(shape)


# ---- what users call -------------------------------------------------------------------------------------------------
def _start(name, output, cotangent, create_graph):
    """The cotangent to start from, checked: ones for a scalar."""
    array = output._array
    if cotangent is None:
        if array.size != 1:
            raise ValueError(f"{name}: the output has shape {array.shape}; pass a cotangent of that shape, or sum it "
                             "first")
        cotangent = Tensor(backend.of(array).ones_like(array))
    elif isinstance(cotangent, Tensor):
        home, xp = backend.of(cotangent._array), backend.of(array)
        if home is not xp:
            raise TypeError(f"{name}: the cotangent lives on {home.name}, the output on {xp.name}; move it with "
                            f".to({xp.name!r})")
        cotangent = cotangent if cotangent.dtype == array.dtype else cotangent.astype(array.dtype)
    else:
        cotangent = Tensor(to_array(cotangent, array.dtype, xp=backend.of(array)))
    if cotangent.shape != array.shape:
        raise ValueError(f"{name}: the cotangent has shape {cotangent.shape}, the output {array.shape}; they must be "
                         "equal")
    return cotangent if create_graph else cotangent._array


def backward(output, cotangent=None, retain_graph=False):
    """Add ∂output/∂leaf to ``leaf.grad`` of every leaf that requires grad, and free the graph.

    Args:
        cotangent: weights of the output's elements, of its shape; optional for one element.
        retain_graph: keep the graph for another backward. For higher derivatives use `grad` with ``create_graph=True``.

    Raises RuntimeError if the output requires no grad, the graph was freed, or a saved tensor was changed in place;
    ValueError if the cotangent is missing or misshaped.
    """
    if not output.requires_grad:
        raise RuntimeError(f"backward: this tensor {output.shape} was computed from nothing that requires grad; make "
                           "the inputs with requires_grad=True, outside no_grad()")
    start = _start("backward", output, cotangent, False)
    for leaf, g in backpropagate([output.node or output], [start], retain_graph=retain_graph).items():
        g = backend.of(leaf._array).asarray(g)
        if leaf.grad is not None:
            g = leaf.grad._array + g
        leaf.grad = Tensor(g)


Tensor.backward = backward


def grad(output, inputs, cotangent=None, create_graph=False, retain_graph=False):
    """The gradient of ``output`` with respect to ``inputs``, leaving every ``.grad`` alone.

    Args:
        inputs: one Tensor, or a sequence of them; leaves or not.
        cotangent: weights of the output's elements, of its shape; optional for one element.
        create_graph: record the computation, so that the result can be differentiated again. Keeps the graph.
        retain_graph: keep the graph all the same.

    Returns one Tensor per input, of its shape (a Tensor for a Tensor, a tuple for a sequence); zeros where the output
    does not depend on it. Raises RuntimeError and ValueError as `backward` does, and if an input requires no grad.
    """
    single = isinstance(inputs, Tensor)
    inputs = (inputs,) if single else tuple(inputs)
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor) or not x.requires_grad:
            what = f"a Tensor {x.shape} that requires no grad" if isinstance(x, Tensor) else f"a {type(x).__name__}"
            raise RuntimeError(f"grad: input {i} is {what}; make it with requires_grad=True")
    targets = [x.node or x for x in inputs]
    found = {}
    if output.requires_grad:
        start = _start("grad", output, cotangent, create_graph)
        found = backpropagate([output.node or output], [start], targets, create_graph, retain_graph)
    results = []
    for x, target in zip(inputs, targets):
        xp, g = backend.of(x._array), found.get(target)
        g = xp.zeros_like(x._array) if g is None else g
        results.append(g if isinstance(g, Tensor) else Tensor(xp.asarray(g)))
    return results[0] if single else tuple(results)
