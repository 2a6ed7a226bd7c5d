r"""Check a Markov chain: does it converge, and to what?

For a finite chain with transition probabilities P[i, j] = p(next = j | now = i),

    stochastic:        Σ_j P[i, j] = 1                                                                           (1)
    irreducible:       every state can be reached from every other                                               (2)
    aperiodic:         the greatest common divisor of the lengths of all closed paths is 1                       (3)
    stationary:        Σ_i π_i P[i, j] = π_j                                                                     (4)
    detailed balance:  π_i P[i, j] = π_j P[j, i]                                                                 (5)

(2) and (3) give a unique π to which the chain converges from anywhere, at the rate of the second largest eigenvalue:
the spectral gap is 1 − |λ₂|. (5) implies (4), and is what Metropolis–Hastings and Gibbs steps satisfy; a product of
several such steps keeps (4) but not (5).

On continuous spaces (5) says that for x ~ π and x′ ~ P(· | x) the pairs (x, x′) and (x′, x) have one distribution. So
for any functions a and b

    E[a(x) b(x′) − b(x) a(x′)] = 0,        and by (4)        E[a(x′) − a(x)] = 0,                               (6)

which is tested on draws of π, for a few bounded functions of each coordinate.
"""
import numpy as np
from scipy import sparse

from minigen.check.compare import to_host
from minigen.check.confidence import z_threshold
from minigen.check.report import NOTHING, Diagnosis, Element, Report
from minigen.primitive import no_grad
from minigen.random import as_generator
from minigen.tensor import Tensor, tensor

__all__ = ["chain"]


def chain(transition, target=None, reversible=True, n=20_000, rng=0, false_alarm=1e-6):
    """Check a Markov chain.

    Args:
        transition: a (K, K) array of probabilities, row i holding those from state i; or, on a continuous space, a
            function ``(x, rng) -> x′`` that moves each of the states (n, d) one step.
        target: the distribution it should leave unchanged: K probabilities, or, on a continuous space, a function ``(n,
            rng=…) -> (n, d)`` that draws from it (or a distribution, whose ``sample`` is used).
        reversible: whether detailed balance is claimed too; a sweep of several Gibbs steps, for instance, has only the
            target as stationary distribution.
        n, rng, false_alarm: draws, generator or seed, and false-alarm rate of the tests on a continuous space.

    Returns a `Report`. Of a finite chain ``report.values`` holds the stationary distribution and the spectral gap.
    Raises ValueError for shapes that do not fit.
    """
    if callable(transition):
        return _continuous(transition, target, reversible, n, rng, false_alarm)
    P = np.asarray(to_host(transition), dtype=np.float64)
    if P.ndim != 2 or P.shape[0] != P.shape[1] or not P.size:
        raise ValueError("chain: wants a square matrix of transition probabilities, or a function (x, rng) -> x′; got "
                         f"shape {P.shape}")
    report = Report(f"Markov chain on {len(P)} states")
    if not _stochastic(report, P):
        return report
    irreducible = _irreducible(report, P)
    period = _period(P) if irreducible else 1
    if irreducible:
        why = Diagnosis("periodic", f"the states fall into {period} classes that are visited in turn, so the chain "
                                    "never settles; let it stay where it is now and then")
        report.add("P", "is aperiodic", period - 1, 0, f"period {period}", why)
    pi = _stationary(P) if irreducible else None
    if pi is not None:
        report.values["stationary distribution"] = pi.round(6).tolist() if len(pi) <= 12 else f"{len(pi)} numbers"
        moduli = np.sort(np.abs(np.linalg.eigvals(P)))
        report.values["spectral gap"] = float(max(0.0, 1 - moduli[-2])) if len(P) > 1 else 1.0
    _target(report, P, pi, target, reversible)
    return report


# ---- finite chains ---------------------------------------------------------------------------------------------------
def _stochastic(report, P):
    """Eq. (1)."""
    if P.min() < 0 or not np.isfinite(P).all():
        i, j = np.unravel_index(np.argmin(P), P.shape)
        error = -P.min() if np.isfinite(P).all() else np.inf
        return report.add("P", "is a matrix of probabilities", error, 0.0, "",
                          Diagnosis("negative", f"P[{i}, {j}] = {P[i, j]:.4g} is no probability"))
    error = np.abs(P.sum(axis=1) - 1)
    columns = np.abs(P.sum(axis=0) - 1).max() < 1e-6
    if columns:
        why = Diagnosis("transpose", "its columns sum to 1: it is transposed; P[i, j] is the probability from i to j")
    else:
        i = int(np.argmax(error))
        why = Diagnosis("rows", f"row {i} sums to {P[i].sum():.6g}; is the probability of staying put missing?")
    return report.add("P", "rows sum to 1", error.max(), 1e-6, "", why)


def _irreducible(report, P):
    """Eq. (2), by strongly connected components."""
    number, labels = sparse.csgraph.connected_components(sparse.csr_array(P > 0), connection="strong")
    text = ""
    if number > 1:
        closed = next(c for c in range(number) if not (P[np.ix_(labels == c, labels != c)] > 0).any())
        states = np.flatnonzero(labels == closed)[:8].tolist()
        text = f"{number} classes of states: once in {states} the chain never leaves it"
    return report.add("P", "is irreducible", number - 1, 0, f"{number} class{'' if number == 1 else 'es'}",
                      Diagnosis("reducible", text))


def _period(P):
    """Eq. (3): the gcd of level[i] + 1 − level[j] over all edges i → j of a breadth-first tree."""
    order, parents = sparse.csgraph.breadth_first_order(sparse.csr_array(P > 0), 0)
    level = np.zeros(len(P), dtype=int)
    for state in order[1:]:
        level[state] = level[parents[state]] + 1
    i, j = np.nonzero(P > 0)
    return int(np.gcd.reduce(level[i] + 1 - level[j]))


def _stationary(P):
    """π with π P = π, Eq. (4), by least squares together with Σ π = 1."""
    K = len(P)
    A = np.vstack([P.T - np.eye(K), np.ones((1, K))])
    return np.linalg.lstsq(A, np.append(np.zeros(K), 1.0), rcond=None)[0].clip(0)


def _target(report, P, pi, target, reversible):
    """Eq. (4) and (5) for the target, or reversibility of whatever is stationary."""
    if target is None:
        if pi is not None:
            flow = pi[:, None] * P
            report.values["reversible"] = bool(np.abs(flow - flow.T).max() < 1e-9)
        return
    t = np.asarray(to_host(target), dtype=np.float64)
    if t.shape != (len(P),):
        raise ValueError(f"chain: the target has shape {t.shape}; it must hold one probability for each of the "
                         f"{len(P)} states")
    if abs(t.sum() - 1) > 1e-6 or t.min() < 0:
        report.add("target", "sums to 1", abs(t.sum() - 1), 1e-6, "",
                   Diagnosis("constant", f"it sums to {t.sum():.6g}; divide by that"))
        t = np.abs(t) / np.abs(t).sum()
    error = np.abs(t @ P - t)
    why, elements = NOTHING, []
    if pi is not None and error.max() > 1e-7:
        why, elements = _why_not(P, pi, t), [Element((int(i),), t[i], pi[i]) for i in np.argsort(-np.abs(t - pi))[:4]]
    stationary = report.add("target", "is stationary", error.max(), 1e-7, "", why, elements)
    if reversible and stationary:
        flow = t[:, None] * P
        i, j = np.unravel_index(np.argmax(np.abs(flow - flow.T)), flow.shape)
        why = Diagnosis("irreversible", f"the flow {i} → {j} is {flow[i, j]:.4g}, back it is {flow[j, i]:.4g}; the "
                                        "target is stationary all the same (pass reversible=False if that is all you "
                                        "claim)")
        report.add("target", "detailed balance", abs(flow[i, j] - flow[j, i]), 1e-7, "", why)


def _why_not(P, pi, target):
    """What the chain converges to instead of the target."""
    candidates = {"uniform": np.ones(len(pi)), "proportional to the square of the target": target ** 2,
                  "proportional to the root of the target": np.sqrt(target)}
    with np.errstate(divide="ignore"):
        candidates["proportional to 1/target: the ratio in the acceptance is upside down"] = 1 / target
    for text, weights in candidates.items():
        if np.isfinite(weights).all() and np.abs(weights / weights.sum() - pi).max() < 1e-6:
            return Diagnosis("target", f"the chain's stationary distribution is {text}")
    flow = pi[:, None] * P
    how = "" if np.abs(flow - flow.T).max() < 1e-9 else ", and is not reversible"
    return Diagnosis("none", f"the chain has another stationary distribution (under ours){how}; if the proposal is not "
                             "symmetric, the acceptance needs q(x | x′)/q(x′ | x)")


# ---- continuous spaces -----------------------------------------------------------------------------------------------
_FUNCTIONS = {"tanh(z)": np.tanh, "cos(z)": np.cos, "1/(1 + z²)": lambda z: 1 / (1 + z * z),
              "sin(2z)": lambda z: np.sin(2 * z)}


def _continuous(transition, target, reversible, n, rng, false_alarm):
    """Eq. (6) on n draws."""
    draw = getattr(target, "sample", target)
    if not callable(draw):
        raise ValueError("chain: on a continuous space pass target= a function (n, rng=…) that draws from the target, "
                         "or a distribution")
    rng, report = as_generator(rng), Report("Markov chain on a continuous space")
    with no_grad():
        start = draw(n, rng=rng)
        moved = transition(start if isinstance(start, Tensor) else tensor(start), rng)
    x, y = [to_host(v).astype(np.float64).reshape(n, -1) for v in (start, moved)]
    if x.shape != y.shape:
        raise ValueError(f"chain: the transition turned states of shape {np.shape(start)} into {np.shape(moved)}; a "
                         "step keeps the shape")
    centre, scale = np.median(x, axis=0), x.std(axis=0) + 1e-300
    a, b = [{f"{name} of coordinate {i}": f((v[:, i] - centre[i]) / scale[i]) for i in range(min(x.shape[1], 8))
             for name, f in _FUNCTIONS.items()} for v in (x, y)]
    names = list(a)
    drift = {name: b[name] - a[name] for name in names}
    _z_test(report, "is stationary", drift, false_alarm, "stationary",
            "after one step the mean of {} (z is x, standardised) has changed by {:.3g}: the target is not left "
            "unchanged")
    if reversible:
        flow = {f"{s}, {t}": a[s] * b[t] - a[t] * b[s] for k, s in enumerate(names) for t in names[k + 1:]}
        _z_test(report, "detailed balance", flow, false_alarm, "irreversible",
                "pairs (x, x′) and (x′, x) differ: {} are exchanged with a net flow of {:.3g}")
    stayed = float((x == y).all(axis=1).mean())
    report.values["moved"] = round(1 - stayed, 4)
    if stayed == 1:
        report.note("no state moved at all: the chain keeps any distribution, and is not irreducible")
    return report


def _z_test(report, statement, samples, false_alarm, kind, text):
    """All means are zero, at a joint false-alarm rate."""
    n = len(next(iter(samples.values())))
    z = {name: v.mean() * np.sqrt(n) / max(v.std(), 1e-12) for name, v in samples.items()}
    worst = max(z, key=lambda name: abs(z[name]))
    report.add("target", statement, abs(z[worst]), z_threshold(false_alarm, len(z)),
               f"{n} draws, {len(z)} z-tests, false alarms {false_alarm:g}",
               Diagnosis(kind, text.format(worst, samples[worst].mean())), statistical=True)
