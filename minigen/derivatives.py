r"""Derivatives of functions: vjp, jvp, jacobian, hessian, hvp, and checkpointing. All stand on `minigen.autograd.grad`.

For f: ℝⁿ → ℝᵐ with Jacobian J (m×n), reverse mode gives u ↦ uᵀJ for the price of a few evaluations of f. The rest
follows.

*Forward mode from reverse mode.* uᵀJ is linear in u, so its own vjp with respect to u, in direction v, is

    ∂/∂u (uᵀJ v) = J v,                                                                                          (1)

the Jacobian-vector product: two reverse passes, and no second set of rules (J. Townsend, "A new trick for calculating
Jacobian vector products", 2017).

*Hessian-vector product.* With a scalar f and g = ∇f,

    H v = ∇ ⟨g, v⟩ = vᵀ ∂g/∂x,                                                                                   (2)

the vjp of the gradient (B. Pearlmutter, 1994): a few evaluations of f, never an n×n matrix.
"""
from types import SimpleNamespace

from minigen import backend, ops
from minigen.autograd import backpropagate, grad
from minigen.primitive import Node, _serial, _set_mode, is_recording
from minigen.tensor import Tensor, tensor


def _leaves(inputs):
    """The inputs as Tensors that require grad; one that already does is kept, so that results stay connected to it."""
    leaves = []
    for x in inputs:
        if not (isinstance(x, Tensor) and x.requires_grad):
            x = x.detach() if isinstance(x, Tensor) else tensor(x)
            if x.dtype.kind != "f":
                raise TypeError(f"derivative of a function at a {x.dtype} tensor {x.shape}: pass a floating dtype")
            x.requires_grad = True
        leaves.append(x)
    return leaves


def _evaluate(name, f, leaves, record=True):
    with _set_mode(record=record, arrays=False):        # a derivative is asked for, even inside no_grad
        out = f(*leaves)
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}: the function must return a Tensor, got {type(out).__name__}")
    return out


def vjp(f, *inputs):
    """Evaluate ``f(*inputs)`` and return ``(output, pull)``, where ``pull(u)`` is uᵀJ.

    ``pull`` takes a cotangent of the output's shape and returns one Tensor for one input, else a tuple. It can be
    called any number of times.
    """
    leaves = _leaves(inputs)
    out = _evaluate("vjp", f, leaves)

    def pull(u):
        gradients = grad(out, leaves, u, retain_graph=True)
        return gradients[0] if len(inputs) == 1 else gradients

    return out.detach(), pull


def jvp(f, inputs, tangents):
    """Evaluate f and its derivative along ``tangents``: return ``(f(*inputs), J v)``, both of the output's shape. Eq.
    (1).

    Args:
        inputs, tangents: a Tensor each, or two sequences of equal length and shapes.

    Raises ValueError where a tangent's shape differs from its input's.
    """
    if isinstance(inputs, Tensor) or not isinstance(inputs, (tuple, list)):
        inputs, tangents = (inputs,), (tangents,)
    leaves = _leaves(inputs)
    tangents = [v if isinstance(v, Tensor) else tensor(v, dtype=x.dtype) for x, v in zip(leaves, tangents)]
    if [x.shape for x in leaves] != [v.shape for v in tangents]:
        raise ValueError(f"jvp: inputs have shapes {[x.shape for x in leaves]}, tangents "
                         f"{[v.shape for v in tangents]}; they must be equal")
    out = _evaluate("jvp", f, leaves)
    u = ops.zeros_like(out)
    u.requires_grad = True
    rows = grad(out, leaves, u, create_graph=True) if out.requires_grad else ()                 # uᵀJ, linear in u
    roots = [(row.node or row, v) for row, v in zip(rows, tangents) if row.requires_grad]
    along = backpropagate([r for r, _ in roots], [v._array for _, v in roots], wanted=[u]).get(u)
    return out.detach(), ops.zeros_like(out) if along is None else Tensor(backend.of(out._array).asarray(along))


def jacobian(f, *inputs, create_graph=False):
    """J[i…, j…] = ∂f(x)[i…] / ∂x[j…], of shape ``f(x).shape + x.shape``; a tuple of them for several inputs.

    One reverse pass per element of the output.
    """
    leaves = _leaves(inputs)
    out = _evaluate("jacobian", f, leaves)
    units = backend.of(out._array).eye(out.size, dtype=out.dtype).reshape(out.size, *out.shape)
    rows = [grad(out, leaves, Tensor(unit), create_graph=create_graph, retain_graph=True) for unit in units]
    found = []
    for k, x in enumerate(leaves):
        row = [r[k] for r in rows]
        shape = out.shape + x.shape
        found.append(ops.reshape(ops.stack(row), shape) if row else ops.zeros(shape, dtype=out.dtype))
    return found[0] if len(inputs) == 1 else tuple(found)


def hessian(f, x):
    """H[i…, j…] = ∂²f / ∂x[i…] ∂x[j…] of a scalar function, of shape ``x.shape + x.shape``."""
    def gradient(x):
        return grad(_scalar("hessian", f, x), x, create_graph=True)

    return jacobian(gradient, x)


def hvp(f, x, v):
    """H v of a scalar function f at x, of x's shape, without forming H. Eq. (2)."""
    (x,) = _leaves([x])
    gradient = grad(_scalar("hvp", f, x), x, create_graph=True)
    v = v if isinstance(v, Tensor) else tensor(v, dtype=x.dtype)
    return grad(gradient, x, v)


def _scalar(name, f, x):
    out = _evaluate(name, f, [x])
    if out.size != 1:
        raise ValueError(f"{name}: the function must return one number, got shape {out.shape}")
    return out


# ---- checkpointing ---------------------------------------------------------------------------------------------------
def checkpoint(f, *inputs, rng=None):
    """Evaluate ``f(*inputs)`` without keeping its graph; the backward pass computes it again.

    Trades one more evaluation of f for the memory of everything inside it (T. Chen et al., 2016, arXiv:1604.06174). f
    may use any other tensors, such as the parameters of a module: they receive their gradients too. Derivatives of any
    order work.

    Args:
        rng: the generator that f draws from, if it does; it is put back to the same state for the second evaluation.

    Raises RuntimeError in the backward pass if the second evaluation gives another result.
    """
    state = rng.state() if rng is not None else None
    start = next(_serial)
    first = _evaluate("checkpoint", f, inputs, record=is_recording())
    if first.node is None or first.node.serial < start:            # nothing was recorded inside
        return first
    xp, sources = backend.of(first._array), _sources(first.node, start)
    fingerprint, recent = first._array.sum(), {}            # no closure below may hold ``first``: it holds the graph

    def again():
        """Evaluate f a second time, recording."""
        now = rng.state() if rng is not None else None
        if rng is not None:
            rng.set_state(state)
        begin, out = next(_serial), _evaluate("checkpoint", f, inputs)
        if rng is not None:
            rng.set_state(now)
        total = out._array.sum()
        if not bool((total == fingerprint) | ((total != total) & (fingerprint != fingerprint))):
            raise RuntimeError("checkpoint: the function gave another result when it was evaluated again; pass the "
                               "generator it draws from as rng=, and do not change its parameters in between")
        return out, begin

    def pull(g, source):
        if recent.get("g") is not g or source not in recent["left"]:     # one evaluation serves all sources of a pass
            out, begin = again()
            found = backpropagate([out.node], [g], create_graph=isinstance(g, Tensor), until=begin)
            recent.update(g=g, found=found, left=set(sources))
        recent["left"].remove(source)
        h = recent["found"].pop(source, None)
        if not recent["left"]:
            recent.clear()
        if h is not None:
            return h
        zeros = xp.zeros(source.shape, dtype=source.dtype)
        return Tensor(zeros) if isinstance(g, Tensor) else zeros

    return _one_node(first, inputs, sources, pull)


def _one_node(first, inputs, sources, pull):
    """The value of ``first`` with a single node in place of its graph."""
    def derivative(source):
        return SimpleNamespace(function=lambda g: pull(g, source), wants=())

    edges = [(i, source, derivative(source), ()) for i, source in enumerate(sources)]
    versions = [(x._version, x._version[0], i) for i, x in enumerate([*sources, *inputs]) if isinstance(x, Tensor)]
    op = SimpleNamespace(name="checkpoint", variadic=False, inputs=["x"])
    result = Tensor(first._array, Node(op, edges, versions, first.shape, first.dtype), True)
    result._version = first._version
    return result


def _sources(node, start):
    """What the graph made since ``start`` stands on: leaves, and nodes older than that."""
    seen, todo, sources = set(), [node], []
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        if type(current) is Node and current.serial >= start:
            todo.extend(current.sources)
        else:
            sources.append(current)
    return sources
