r"""Check a density: does it sum or integrate to one, and do its samples come from it?

*One.* Σ_x p(x) on a finite space; an adaptive integral with an error bound in one and two dimensions; above that
importance sampling,

    ∫ p(x) dx = E_{x~g}[p(x) / g(x)],                                                                            (1)

with its confidence interval, and g a wide Student t around the samples unless you give one. *Samples* are tested as
told in `minigen.check.samples`: by counting them in cells where those can be summed or integrated, by Stein's
identities elsewhere.
"""
import itertools

import numpy as np

from minigen.autograd import grad
from minigen.check.case import nice
from minigen.check.compare import to_host
from minigen.check.confidence import student_t, z_threshold
from minigen.check.quadrature import integrate
from minigen.check.report import Diagnosis, Report
from minigen.check.samples import chi_square, compare_moments, stein
from minigen.distributions import Bernoulli, Categorical
from minigen.primitive import no_grad
from minigen.random import as_generator
from minigen.tensor import tensor

__all__ = ["Density", "density", "support_of"]

CELLS = {1: 40, 2: 7}            # cells per axis of the χ² test
EVERYWHERE = (-np.inf, np.inf)


class Density:
    """log p as a function of NumPy points (n, d), whether it was given as a function of Tensors or as a distribution.
    """

    def __init__(self, check, p, event_shape=None):
        self.check, self.function = check, getattr(p, "log_prob", p)
        if not callable(self.function):
            raise TypeError(f"{check}: wants a function x ↦ log p(x) or a distribution, got a {type(p).__name__}")
        if getattr(p, "batch_shape", ()) != ():
            raise ValueError(f"{check}: {p!r} is a batch of distributions; check one at a time, with parameters of the "
                             "event's shape")
        name = getattr(p, "__name__", "p")
        self.name = repr(p) if hasattr(p, "log_prob") else "p" if name in ("<lambda>", "log_prob") else name
        self.event_shape = getattr(p, "event_shape", event_shape)

    def __call__(self, points):
        """log p at points (n, d), a float64 array (n,)."""
        return self.at(np.reshape(points, (len(points), *self.event_shape)))

    def at(self, x):
        """log p at events (n, *event)."""
        with no_grad(), np.errstate(all="ignore"):
            values = np.asarray(to_host(self.function(tensor(x))), dtype=np.float64)
        if values.shape != (len(x),):
            raise ValueError(f"{self.check}: log_prob returned shape {values.shape} for {len(x)} points {x.shape}; it "
                             "must return one number per point (sum over the event, not over the batch)")
        return values

    def probability(self, points):
        """p at points (n, d)."""
        with np.errstate(over="ignore"):
            return np.exp(self(points))

    def score(self, points):
        """∇ log p at points, (n, d)."""
        x = tensor(np.reshape(points, (len(points), *self.event_shape)), requires_grad=True)
        return grad(self.function(x).sum(), x).numpy().reshape(len(points), -1)


def density(log_prob, support=None, bounds=None, sample=None, proposal=None, constants=None, n=20_000, rng=0,
            false_alarm=1e-6):
    """Check that a density is one, and that samples come from it.

    Args:
        log_prob: function of x (n, *event) that returns (n,) in nats; or a distribution, and its ``sample`` is tested
            too.
        support: all points of a finite space, (M, *event). Known for Bernoulli and Categorical.
        bounds: for one or two dimensions, where x can be: (low, high) if x is (n,), a list of such pairs if x is
            (n, d). By default everywhere.
        sample: function ``(n, rng=…) -> (n, *event)`` whose draws should follow log_prob.
        proposal: for three or more dimensions a distribution to draw from, wider than p; by default it is fitted to the
            samples.
        constants: numbers by name that you may have forgotten to divide by, such as {"σ": 0.3}.
        n: how many samples are drawn. rng: generator or seed. false_alarm: of each statistical test.

    Returns a `Report`; ``report.values["total"]`` is the sum or integral. Raises ValueError where it is not said how to
    integrate, or log_prob gives anything but one number per point.
    """
    if hasattr(log_prob, "log_prob"):
        sample = sample or getattr(log_prob, "sample", None)
        support = support_of(log_prob) if support is None else support
    draws = None if sample is None else to_host(sample(n, rng=as_generator(rng)))
    if draws is not None and draws.shape[:1] != (n,):
        raise ValueError(f"density: sample({n}) returned shape {draws.shape}; it must return ({n}, *event)")
    p = Density("density", log_prob, _event_shape(support, bounds, draws, proposal))
    report = Report(f"density {p.name}")
    constants = constants or {}
    if support is not None:
        _finite(report, p, to_host(support), draws, constants, false_alarm)
        return report
    if p.event_shape is None:
        raise ValueError("density: say what x looks like: support= all points of a finite space, bounds= (low, high) "
                         "or "
                         "a list of such pairs, sample=, or proposal=")
    d = int(np.prod(p.event_shape))
    flat = None if draws is None else draws.reshape(n, d).astype(np.float64)
    if d in (1, 2):
        bounds = [EVERYWHERE] * d if bounds is None else [bounds] if np.ndim(bounds) == 1 else list(bounds)
        _continuous(report, p, bounds, flat, constants, false_alarm)
    else:
        _high(report, p, d, flat, proposal, n, rng, constants, false_alarm)
        if flat is not None:
            stein(report, p, flat, false_alarm)
    return report


def _event_shape(support, bounds, draws, proposal):
    """What one x looks like, from whatever was given."""
    if support is not None:
        return np.shape(to_host(support))[1:]
    if draws is not None:
        return draws.shape[1:]
    if bounds is not None:
        return () if np.ndim(bounds) == 1 else (len(bounds),)
    return getattr(proposal, "event_shape", None)


def support_of(p, most=4096):
    """All outcomes of a Bernoulli or Categorical, (M, *event), or None for anything else, or for more than ``most``."""
    values = 2 if isinstance(p, Bernoulli) else p.classes if isinstance(p, Categorical) else 0
    d = int(np.prod(getattr(p, "event_shape", ())))
    if not values or values ** d > most:
        return None
    grid = np.array(list(itertools.product(range(values), repeat=d))).reshape(-1, *p.event_shape)
    return grid if isinstance(p, Categorical) else grid.astype(np.float64)


# ---- the total -------------------------------------------------------------------------------------------------------
def _total(report, total, tolerance, detail, statement, constants, statistical=False):
    """The claim that the total is one, and what is missing if not."""
    report.values["total"] = float(total)
    report.add("p", statement, abs(total - 1), tolerance, detail, lambda: _why(total, tolerance, constants),
               statistical=statistical)


def _why(total, tolerance, constants):
    """Which constant the total is."""
    if not np.isfinite(total):
        return Diagnosis("nan", "the total is NaN or infinite: log_prob is not a number somewhere, or the density is "
                                "not integrable")
    relative = max(tolerance / max(abs(total), 1e-300), 1e-8)
    for value, text in _known_constants(constants).items():
        if abs(total / value - 1) < 10 * relative:
            more = " (½ log 2π per dimension, the constant of the Gaussian)" if "π" in text else ""
            return Diagnosis("constant", f"the total is {total:.6g} = {text}: log_prob lacks −log of that{more}")
    text = nice(total, relative) if relative < 1e-4 else None
    if text:
        return Diagnosis("constant", f"the total is {total:.6g} = {text}")
    return Diagnosis("none", f"the total is {total:.6g}; no simple relation found")


def _known_constants(constants):
    """Powers of the offered constants, with and without those of the Gaussian: a dict from value to text."""
    root = np.sqrt(2 * np.pi)
    gaussian = {1.0: "", root: "√(2π)", root ** 2: "2π", 1 / root: "1/√(2π)", root ** -2: "1/2π"}
    powers = {1.0: "{}", -1.0: "1/{}", 2.0: "{}²", -2.0: "1/{}²", 0.5: "√{}", -0.5: "1/√{}"}
    known = {value: text for value, text in gaussian.items() if text}
    for (name, value), (k, shown), (c, text) in itertools.product(constants.items(), powers.items(), gaussian.items()):
        known[value ** k * c] = shown.format(name) + (f" · {text}" if text else "")
    return known


# ---- finite spaces, few dimensions, many dimensions ------------------------------------------------------------------
def _finite(report, p, points, draws, constants, false_alarm):
    """Σ p(x) = 1, and the draws counted."""
    probability = np.exp(p.at(points))
    tolerance = 1e-7 + 1e-12 * len(points)
    _total(report, float(probability.sum()), tolerance, f"{len(points)} points", "Σ p(x) = 1", constants)
    if draws is None:
        return
    where = {tuple(np.ravel(x).tolist()): i for i, x in enumerate(points)}
    cells = np.array([where.get(tuple(np.ravel(x).tolist()), -1) for x in draws])
    if (cells < 0).any():
        why = Diagnosis("support", f"{draws[int(np.argmin(cells))].tolist()} was drawn, and is not in the support")
        report.add("sample", "draws lie in the support", float((cells < 0).mean()), 0.0, f"{len(draws)} draws", why)
        return
    counts = np.bincount(cells, minlength=len(points))
    worst = int(np.argmax(np.abs(counts / len(cells) - probability)))
    why = Diagnosis("none", f"farthest off at x = {points[worst].tolist()}: drawn with frequency "
                            f"{counts[worst] / len(cells):.3g}, its probability is {probability[worst]:.3g}")
    chi_square(report, counts, probability / probability.sum(), false_alarm, why)


def _continuous(report, p, bounds, draws, constants, false_alarm):
    """∫ p = 1 by quadrature, and the draws counted in cells whose probabilities are integrals."""
    d, statement = len(bounds), "∫ p(x) dx = 1"
    centre, scale = np.zeros(d), np.ones(d)
    if draws is not None:
        centre, scale = np.median(draws, axis=0), np.ptp(np.quantile(draws, [0.1, 0.9], axis=0), axis=0) + 1e-300
    total = integrate(p.probability, bounds, centre, scale)
    if total < 1e-6 and draws is None and np.isinf(bounds).any():
        why = Diagnosis("inconclusive", "quadrature found no mass near 0; say where to look with bounds=, or pass "
                                        "sample=")
        report.add("p", statement, np.nan, 0.0, "quadrature", why)
        return
    _total(report, total, 1e-6 + total.error, f"quadrature, its error ≤ {total.error:.1e}", statement, constants)
    if draws is None:
        return
    outside = ((draws < [low for low, _ in bounds]) | (draws > [high for _, high in bounds])).any(axis=1)
    if outside.any():
        why = Diagnosis("support", f"{draws[outside][0].tolist()} was drawn")
        report.add("sample", "draws lie within the bounds", float(outside.mean()), 0.0, f"{len(draws)} draws", why)
        return
    half = len(draws) // 2                                    # one half chooses the cells, the other is counted
    edges = [_edges(draws[:half, a], CELLS[d], *bounds[a]) for a in range(d)]
    cells = itertools.product(*[list(zip(e[:-1], e[1:])) for e in edges])
    probability = [integrate(p.probability, cell, centre, scale, rtol=1e-6, atol=1e-9, start=2) for cell in cells]
    probability = np.array(probability) / max(np.sum(probability), 1e-300)
    counts = np.histogramdd(draws[half:], bins=[np.clip(e, -1e300, 1e300) for e in edges])[0].ravel()
    chi_square(report, counts, probability, false_alarm,
               lambda: compare_moments(p, draws, bounds, centre, scale, float(total)))


def _edges(x, cells, low, high):
    """Edges of cells that hold about as many of the x each, from low to high."""
    inner = np.unique(np.quantile(x, np.linspace(0, 1, cells + 1)[1:-1]))
    return np.concatenate([[low], inner[(inner > low) & (inner < high)], [high]])


def _high(report, p, d, draws, proposal, n, rng, constants, false_alarm):
    """∫ p = 1 by importance sampling, Eq. (1)."""
    if proposal is not None:
        x = to_host(proposal.sample(n, rng=as_generator(rng))).reshape(n, d).astype(np.float64)
        log_g = Density("density", proposal)(x)
    elif draws is not None:
        covariance = 1.4 * np.cov(draws, rowvar=False)
        covariance += np.diag(0.1 * np.diag(covariance) + 1e-12)              # so that it has an inverse
        x, log_g = student_t(n, draws.mean(axis=0), covariance)
    else:
        raise ValueError(f"density: in {d} dimensions the integral is estimated by sampling; pass sample=, or a "
                         "proposal= that is wider than p")
    with np.errstate(over="ignore"):
        weights = np.exp(p(x) - log_g)
    ess = weights.sum() ** 2 / max(np.sum(weights ** 2), 1e-300)
    detail, statement = f"importance sampling, {n} draws worth {ess:.0f}, false alarms {false_alarm:g}", "∫ p(x) dx = 1"
    if ess < 200:
        why = Diagnosis("inconclusive", f"only {ess:.0f} of {n} draws carry weight; pass a proposal= nearer to p")
        report.add("p", statement, np.nan, 0.0, detail, why)
        return
    tolerance = z_threshold(false_alarm) * weights.std() / np.sqrt(n) + 1e-6
    _total(report, weights.mean(), tolerance, detail, statement, constants, True)
