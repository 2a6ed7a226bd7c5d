r"""Read the dependency structure of an autoregressive model off its Jacobian.

A model of p(x) = Π_t p(x_{o(t)} | x_{o(1)}, …, x_{o(t−1)}) in the order o computes, for each i, the parameters of p(x_i
| …) in one pass. They may depend on the entries that come before i in the order, and on nothing else:

    ∂ output_i / ∂ x_j = 0    unless j comes before i.                                                           (1)

Otherwise the model sees what it should predict; it trains to a splendid likelihood, and its samples are noise. For
inputs that are whole numbers the derivative is replaced by what changes in the outputs when x_j is changed.
"""
import numpy as np

from minigen.autograd import grad
from minigen.check.compare import to_host
from minigen.check.report import Diagnosis, Element, Report
from minigen.primitive import no_grad
from minigen.tensor import Tensor, tensor

__all__ = ["causality"]

LARGEST = 4096          # entries of x that are tested one by one
DRAWN = 32              # up to so many entries the matrix is printed as text


def causality(logits, x, order=None, seed=0):
    """Check that output i depends only on the inputs before i, and show which it depends on.

    Args:
        logits: function of x (N, *event) that returns (N, *event) or (N, *event, K): the parameters of each entry's
            conditional.
        x: a few examples, (N, *event), floating (then derivatives are used) or whole numbers (then changes are). Use
            several, since a dead ReLU hides a dependence.
        order: the entries (as positions in the flattened event) in the order in which they are generated; default: as
            they lie in memory.
        seed: of the random weights of the K parameters.

    Returns a `Report`; its picture is the matrix of dependencies, rows and columns in the order given. Raises
    ValueError for outputs that are not aligned with the event, and for an order that is no permutation.
    """
    x = to_host(x)
    if x.ndim < 2:
        raise ValueError(f"causality: x must hold a batch of examples, (N, *event), got shape {x.shape}")
    n, d = x.shape[0], int(np.prod(x.shape[1:]))
    if d > LARGEST:
        raise ValueError(f"causality: an event has {d} entries, more than {LARGEST} backward passes; check a smaller "
                         "one")
    order = np.arange(d) if order is None else np.asarray(to_host(order)).ravel()
    if sorted(order.tolist()) != list(range(d)):
        raise ValueError(f"causality: the order must be a permutation of 0…{d - 1}, got {len(order)} numbers")
    rng = np.random.default_rng(seed)
    strength, crosstalk = (_derivatives if x.dtype.kind == "f" else _changes)(logits, x, d, rng)
    matrix = strength[np.ix_(order, order)]                              # rows and columns in order of generation
    report = Report(f"causality of {d} entries")
    forbidden = np.triu(matrix)
    top = matrix.max(initial=0.0)
    threshold = 1e-12 * top
    wrong = [(int(i), int(j)) for i, j in zip(*np.unravel_index(np.argsort(-forbidden, axis=None), forbidden.shape))
             if forbidden[i, j] > threshold]
    elements = [Element((int(order[i]), int(order[j])), forbidden[i, j], 0.0) for i, j in wrong[:4]]
    report.add("output_i", "depends on earlier inputs only", forbidden.max(initial=0.0), threshold,
               f"{n} examples, {len(wrong)} forbidden pairs (i, j)",
               lambda: _why(matrix, threshold, order), elements)
    report.pictures.append(("map", "dependencies: row depends on column", matrix / (top or 1)))
    if crosstalk > 1e-12 * top:
        report.add("examples", "do not see each other", crosstalk, 1e-12 * top, "",
                   Diagnosis("crosstalk", "outputs depend on another example of the batch (batch statistics, or a "
                                          "reshape that mixes axes?)"))
    _tell(report, matrix, threshold, order, d)
    return report


def _evaluate(logits, x, n, d):
    """The outputs as (N, D, K) with their own Tensor."""
    out = logits(x)
    if not isinstance(out, Tensor):
        raise TypeError(f"causality: the function must return a Tensor, got {type(out).__name__}")
    if out.shape[0] != n or out.size % max(n * d, 1):
        raise ValueError(f"causality: the outputs {out.shape} are not aligned with the inputs {x.shape}; they must be "
                         "(N, *event) or (N, *event, K)")
    return out, out.reshape((n, d, out.size // (n * d)))


def _derivatives(logits, x, d, rng):
    """max |∂ output_i / ∂ x_j| over the examples, (D, D), the K parameters weighted at random; and between examples."""
    leaf = tensor(x.astype(np.float64), requires_grad=True)
    n = len(x)
    with np.errstate(all="ignore"):
        _, out = _evaluate(logits, leaf, n, d)
        matrix, crosstalk = np.zeros((d, d)), 0.0
        for i in range(d):
            c = np.zeros(out.shape)
            c[:, i] = rng.standard_normal((n, out.shape[2]))
            g = grad(out, leaf, tensor(c.astype(out.dtype)), retain_graph=True).numpy().reshape(n, d)
            matrix[i] = np.abs(g).max(axis=0)
        if n > 1:
            c = np.zeros(out.shape)
            c[0] = rng.standard_normal(c[0].shape)
            crosstalk = np.abs(grad(out, leaf, tensor(c.astype(out.dtype)), retain_graph=True).numpy()[1:]).max()
    return matrix, float(crosstalk)


def _changes(logits, x, d, rng):
    """max |change of output_i| when x_j takes the next value that occurs."""
    n, values = len(x), np.unique(x)
    following = np.roll(values, -1) if len(values) > 1 else values + 1
    step = dict(zip(values.tolist(), following.tolist()))
    with no_grad():
        before = _evaluate(logits, tensor(x), n, d)[1].numpy()
        matrix = np.zeros((d, d))
        for j in range(d):
            moved = x.reshape(n, d).copy()
            moved[:, j] = [step[v] for v in moved[:, j].tolist()]
            after = _evaluate(logits, tensor(moved.reshape(x.shape)), n, d)[1].numpy()
            matrix[:, j] = np.abs(after - before).max(axis=(0, 2))
        moved = x.copy()
        moved[0] = np.vectorize(step.get)(x[0])
        crosstalk = np.abs(_evaluate(logits, tensor(moved), n, d)[1].numpy()[1:] - before[1:]).max(initial=0.0)
    return matrix, float(crosstalk)


def _why(matrix, threshold, order):
    """What kind of look-ahead it is."""
    used = matrix > threshold
    d = len(used)
    above = np.triu(used, 1)
    if not above.any():
        whole = np.diag(used)
        some = f"outputs {order[whole][:6].tolist()} see their own input"
        which = "every output sees its own input" if whole.all() else some
        return Diagnosis("own-input", f"{which}: the first layer must exclude it (mask A, strict inequality, shift by "
                                      "one)")
    if not np.tril(used).any():
        return Diagnosis("reversed", "every dependence points the wrong way: the order is reversed, or the mask "
                                     "transposed")
    reach = max(int(k) for k in range(d) if np.diagonal(used, k).any())
    if reach <= 2 and d > 4:
        return Diagnosis("look-ahead", f"outputs see up to {reach} step{'s' * (reach > 1)} ahead: an index is off")
    full = used.mean()
    if full == 1:
        return Diagnosis("no-mask", "every output depends on every input: nothing is masked")
    i, j = np.argwhere(above)[0]
    return Diagnosis("look-ahead", f"for instance output {order[i]} sees input {order[j]}, which comes {j - i} steps "
                                   f"later; {int(above.sum())} such pairs")


def _tell(report, matrix, threshold, order, d):
    """Blind spots, and the matrix itself."""
    used, allowed = matrix > threshold, np.tril(np.ones((d, d), bool), -1)
    report.values["used of the allowed dependencies"] = f"{int((used & allowed).sum())} of {int(allowed.sum())}"
    blind = np.argwhere(allowed & ~used)
    if 0 < len(blind) and (used & allowed).any():
        i, j = blind[-1]
        report.note(f"{len(blind)} allowed dependencies are not used, for instance output {order[i]} never sees input "
                    f"{order[j]}: a limited receptive field, a blind spot, or a dead unit at these examples")
    if d <= DRAWN:
        rows = ["".join("■" if u and a else "✗" if u else "·" for u, a in zip(used[i], allowed[i])) for i in range(d)]
        report.values["dependencies (row sees column)"] = "\n    " + "\n    ".join(rows)
