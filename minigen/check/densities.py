r"""Check a density: does it sum or integrate to one, and do its samples come from it?

*One.* Σ_x p(x) on a finite space; an adaptive integral with an error bound in one and two dimensions; above that
importance sampling,

    ∫ p(x) dx = E_{x~g}[p(x) / g(x)],                                                                            (1)

with its confidence interval, and g a wide Student t around the samples unless you give one.

*Samples.* On finite spaces and in one and two dimensions the samples are counted in cells, and the counts compared with
the probabilities of the cells (Pearson's χ²). Above that with Stein's identities, which hold for every p that falls off
smoothly on all of ℝᵈ, s = ∇ log p being the score:

    E[s_i] = 0,        E[s_i (x_j − m_j)] = −δ_ij.                                                               (2)

For a Gaussian −E[s_i (x_i − m_i)] is the variance of the samples over that of p, so a failure reads as "too wide by …".
Each test is made at a stated false-alarm rate: the chance to accuse a right sampler.
"""
import numpy as np
from scipy import stats

from minigen.autograd import grad
from minigen.check.compare import to_host
from minigen.check.diagnosis import nice
from minigen.check.quadrature import integrate
from minigen.check.report import Diagnosis, Report
from minigen.primitive import no_grad
from minigen.random import as_generator
from minigen.tensor import tensor

__all__ = ["Density", "density"]

CELLS = {1: 40, 2: 7}            # cells per axis of the χ² test


class Density:
    """log p as a function on NumPy points (n, d), whatever it was given as; counts what is not a number."""

    def __init__(self, check, p, event_shape=None):
        function = getattr(p, "log_prob", p)
        if not callable(function):
            raise TypeError(f"{check}: wants a function x ↦ log p(x) or a distribution, got a {type(p).__name__}")
        if getattr(p, "batch_shape", ()) != ():
            raise ValueError(f"{check}: {p!r} is a batch of distributions; check one at a time, with parameters of "
                             f"the event's shape")
        self.check, self.function = check, function
        self.name = repr(p) if hasattr(p,
                                       "log_prob") else "p" if getattr(p, "__name__",
                                                                       "<").startswith(("<", "log_prob")) else p.__name__
        self.event_shape = getattr(p, "event_shape", event_shape)

    def __call__(self, points):
        """log p at points (n, d), a float64 array (n,)."""
        with no_grad(), np.errstate(all="ignore"):
            x = tensor(np.reshape(points, (len(points), *self.event_shape)))
            values = np.asarray(to_host(self.function(x)), dtype=np.float64)
        if values.shape != (len(points),):
            raise ValueError(f"{self.check}: log_prob returned shape {values.shape} for {len(points)} points "
                             f"{x.shape}; it must return one number "
                             "per point (sum over the event, not over the batch)")
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
        log_prob: function of x (n, *event) that returns (n,) in nats, or a distribution, whose ``sample`` is then
            tested too.
        support: all points of a finite space, (M, …).
        bounds: for a density in one or two dimensions where x can be: (low, high) if x is (n,), a list of such pairs if
            x is (n, d). Infinite by default.
        sample: function ``(n, rng=…) -> (n, *event)`` whose draws should follow log_prob.
        proposal: for three or more dimensions a distribution to draw from, wider than p; by default it is fitted to the
            samples.
        constants: numbers by name that you may have forgotten to multiply by, such as {"σ": 0.3}.
        n: samples drawn. rng: generator or seed. false_alarm: of each statistical test.

    Returns a `Report`; ``report.values["total"]`` is the sum or integral. Raises ValueError where it is not said how to
    integrate, or log_prob gives anything but one number per point.
    """
    if sample is None and hasattr(log_prob, "log_prob"):
        sample = getattr(log_prob, "sample", None)
    draws = None
    if sample is not None:
        draws = to_host(sample(n, rng=as_generator(rng)))
        if draws.shape[:1] != (n,):
            raise ValueError(f"density: sample({n}) returned shape {draws.shape}; it must return ({n}, *event)")
    p = Density("density", log_prob, _event_shape(support, bounds, draws, proposal))
    report = Report(f"density {p.name}")
    if support is not None:
        _finite(report, p, to_host(support), draws, constants or {}, false_alarm)
        return report
    if p.event_shape is None:
        raise ValueError("density: say what x looks like: support= all points of a finite space, bounds= (low, high) "
                         "or a list of such pairs, "
                         "sample=, or proposal=")
    d = int(np.prod(p.event_shape))
    flat = None if draws is None else draws.reshape(n, d).astype(np.float64)
    if d in (1, 2):
        _continuous(report, p, d, bounds, flat, constants or {}, false_alarm)
    else:
        _high(report, p, d, flat, proposal, n, rng, constants or {}, false_alarm)
    return report


def _event_shape(support, bounds, draws, proposal):
    if support is not None:
        return np.shape(to_host(support))[1:]
    if draws is not None:
        return draws.shape[1:]
    if bounds is not None:
        return () if np.ndim(bounds) == 1 else (len(bounds),)
    return getattr(proposal, "event_shape", None)


# ---- a finite space
# ------------------------------------------------------------------------------------------------------
def _finite(report, p, points, draws, constants, false_alarm):
    """Σ p(x) = 1, and Pearson's χ² of the draws."""
    with no_grad():
        log_p = np.asarray(to_host(p.function(tensor(points))), dtype=np.float64)
    if log_p.shape != (len(points),):
        raise ValueError(f"density: log_prob returned shape {log_p.shape} for {len(points)} points; it must return "
                         f"one number per point")
    probability = np.exp(log_p)
    _total(report, float(probability.sum()), 1e-7 + 1e-12 * len(points), f"{len(points)} points", "Σ p(x) = 1",
           constants)
    if draws is None:
        return
    where = {tuple(np.ravel(x).tolist()): i for i, x in enumerate(points)}
    cells = np.array([where.get(tuple(np.ravel(x).tolist()), -1) for x in draws])
    if (cells < 0).any():
        stray = draws[int(np.argmin(cells))]
        report.add("sample", "draws lie in the support", float((cells < 0).mean()), 0.0, f"{len(draws)} draws",
                   Diagnosis("support", f"{stray.tolist()} was drawn, and is not among the points of the support"))
        return
    counts = np.bincount(cells, minlength=len(points))
    worst = int(np.argmax(np.abs(counts / len(cells) - probability)))
    _chi_square(report, counts, probability / probability.sum(), false_alarm,
                Diagnosis("none", f"farthest off at x = {points[worst].tolist()}: drawn with "
                f"frequency {counts[worst] / len(cells):.3g}, its probability is {probability[worst]:.3g}"))


def _total(report, total, tolerance, detail, statement, constants, statistical=False):
    """The claim that the total is one, and what is missing if not."""
    report.values["total"] = float(total)
    report.add("p", statement, abs(total - 1), tolerance, detail, lambda: _why_total(total, tolerance, constants),
               statistical=statistical)


def _why_total(total, tolerance, constants):
    if not np.isfinite(total):
        return Diagnosis("nan", "the total is NaN or infinite: log_prob is not a number somewhere, or the density is "
                                "not integrable")
    relative = max(tolerance / max(abs(total), 1e-300), 1e-8)
    gaussian = {1.0: "", np.sqrt(2 * np.pi): "√(2π)", 2 * np.pi: "2π", 1 / np.sqrt(2 * np.pi): "1/√(2π)",
                0.5 / np.pi: "1/2π"}
    powers = {1.0: "{}", -1.0: "1/{}", 2.0: "{}²", -2.0: "1/{}²", 0.5: "√{}", -0.5: "1/√{}"}
    candidates = {value: text for value, text in gaussian.items() if text}
    for name, value in constants.items():
        candidates.update({value ** k * c: " · ".join(filter(None, (shown.format(name), text))) for k,
                           shown in powers.items() for c, text in gaussian.items()})
    for value, text in candidates.items():
        if abs(total / value - 1) < 10 * relative:
            more = " (½ log 2π per dimension, the constant of the Gaussian)" if "π" in text else ""
            return Diagnosis("constant", f"the total is {total:.6g} = {text}: log_prob lacks −log of that{more}")
    text = nice(total, relative) if relative < 1e-4 else None
    return Diagnosis("constant", f"the total is {total:.6g} = {text}") if text else Diagnosis("none", f"the total is {total:.6g}; no simple relation found")


def _chi_square(report, counts, probability, false_alarm, why):
    """Pearson's χ² of counts against probabilities; cells that expect fewer than 5 are pooled."""
    expected = counts.sum() * probability
    order = np.argsort(expected)
    small = order[: int(np.searchsorted(np.cumsum(expected[order]), 5.0)) + 1] if expected.min() < 5 else order[:0]
    keep = np.setdiff1d(np.arange(len(counts)), small)
    o, e = counts[keep].astype(float), expected[keep]
    if len(small):
        o, e = np.append(o, counts[small].sum()), np.append(e, expected[small].sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = float(np.sum(np.where(e > 0, (o - e) ** 2 / e, np.where(o > 0, np.inf, 0.0))))
    threshold = stats.chi2.isf(false_alarm, max(len(o) - 1, 1))
    report.add("sample", "follows log_prob (χ²)", statistic, threshold,
               f"{int(counts.sum())} draws, {len(o)} cells, false alarms {false_alarm:g}", why, statistical=True)


# ---- one and two dimensions
# ----------------------------------------------------------------------------------------------
def _continuous(report, p, d, bounds, draws, constants, false_alarm):
    """∫ p = 1 by quadrature, and Pearson's χ² of the draws in cells whose probabilities are integrals."""
    bounds = [(-np.inf, np.inf)] * d if bounds is None else [bounds] if np.ndim(bounds) == 1 else list(bounds)
    centre, scale = (np.zeros(d), np.ones(d)) if draws is None else (np.median(draws, axis=0), np.ptp(np.quantile(draws, [0.1, 0.9], axis=0), axis=0) + 1e-300)
    total = integrate(p.probability, bounds, centre, scale)
    if total < 1e-6 and draws is None and np.isinf(bounds).any():
        report.add("p", "∫ p(x) dx = 1", np.nan, 0.0, "quadrature",
                   Diagnosis("inconclusive", "quadrature found no mass near 0; say where to look with bounds=, "
                   "or pass sample="))
        return
    _total(report, total, 1e-6 + total.error, f"quadrature, its error ≤ {total.error:.1e}", "∫ p(x) dx = 1", constants)
    if draws is None:
        return
    half = len(draws) // 2                                    # one half chooses the cells, the other is counted
    inner = [np.unique(np.quantile(draws[:half, a], np.linspace(0, 1, CELLS[d] + 1)[1:-1])) for a in range(d)]
    edges = [np.concatenate([[low], e[(e > low) & (e < high)], [high]]) for e, (low, high) in zip(inner, bounds)]
    boxes = [[(a, b) for a, b in zip(e[:-1], e[1:])] for e in edges]
    cells = [[i] for i in boxes[0]] if d == 1 else [[i, j] for i in boxes[0] for j in boxes[1]]
    probability = np.array([integrate(p.probability, cell, centre, scale, rtol=1e-6, atol=1e-9, start=2)
                            for cell in cells])
    outside = ((draws < [b[0] for b in bounds]) | (draws > [b[1] for b in bounds])).any(axis=1)
    if outside.any():
        report.add("sample", "draws lie within the bounds", float(outside.mean()), 0.0, f"{len(draws)} draws",
                   Diagnosis("support", f"{draws[outside][0].tolist()} was drawn"))
        return
    counts = np.histogramdd(draws[half:], bins=[np.clip(e, -1e300, 1e300) for e in edges])[0].ravel()
    why = lambda: _why_samples(p, draws, bounds, centre, scale, float(total))  # noqa: E731
    _chi_square(report, counts, probability / max(probability.sum(), 1e-300), false_alarm, why)


def _why_samples(p, draws, bounds, centre, scale, total):
    """Compare mean and spread of the draws with those of the density."""
    d, sentences = draws.shape[1], []
    for a in range(d):
        moment = lambda f: integrate(lambda x: f(x[:, a]) * p.probability(x), bounds, centre, scale,
                                     rtol=1e-7) / total  # noqa: E731
        mean = moment(lambda x: x)
        std = np.sqrt(moment(lambda x: (x - mean) ** 2))
        seen, spread = draws[:, a].mean(), draws[:, a].std()
        error = 5 * std / np.sqrt(len(draws))
        where = f" in dimension {a}" if d > 1 else ""
        if abs(spread / std - 1) > 0.03:
            guesses = {"the square of its standard deviation (the variance taken for it?)": std ** 2,
                       "the root of its standard deviation": np.sqrt(std),
                       "twice its standard deviation": 2 * std, "half its standard deviation": std / 2}
            near = next((text for text, value in guesses.items() if abs(spread / value - 1) < 0.03), None)
            sentences.append(f"the samples' standard deviation{where} is {spread:.4g}, the density's {std:.4g}"
                             + (f"; about {near}" if near else ""))
        elif abs(seen - mean) > error:
            near = "; its sign is turned" if abs(seen + mean) < error else ""
            sentences.append(f"the samples' mean{where} is {seen:.4g}, the density's {mean:.4g}{near}")
    kind = "scale" if any("deviation" in s for s in sentences) else "location" if sentences else "none"
    return Diagnosis(kind, "; ".join(sentences) or "mean and standard deviation agree; the shape differs")


# ---- three dimensions and more
# -------------------------------------------------------------------------------------------
def _high(report, p, d, draws, proposal, n, rng, constants, false_alarm):
    """Eq. (1) by importance sampling, and Eq. (2) on the draws."""
    if draws is None and proposal is None:
        raise ValueError(f"density: in {d} dimensions the integral is estimated by sampling; pass sample=, or a "
                         f"proposal= that is wider than p")
    if proposal is not None:
        x = to_host(proposal.sample(n, rng=as_generator(rng))).reshape(n, d).astype(np.float64)
        log_g = Density("density", proposal)(x)
    else:
        g = stats.multivariate_t(draws.mean(axis=0), 1.5 * np.cov(draws, rowvar=False) + 1e-12 * np.eye(d), df=5,
                                 seed=0)
        x = g.rvs(n)
        log_g = g.logpdf(x)
    with np.errstate(over="ignore"):
        weights = np.exp(p(x) - log_g)
    total, error = weights.mean(), weights.std() / np.sqrt(n)
    ess = weights.sum() ** 2 / max(np.sum(weights ** 2), 1e-300)
    z = stats.norm.isf(false_alarm / 2)
    detail = f"importance sampling, {n} draws worth {ess:.0f}, false alarms {false_alarm:g}"
    if ess < 200:
        report.add("p", "∫ p(x) dx = 1", np.nan, 0.0, detail,
                   Diagnosis("inconclusive", f"only {ess:.0f} of {n} draws carry weight; pass a proposal= nearer to p"))
    else:
        _total(report, total, z * error + 1e-6, detail, "∫ p(x) dx = 1", constants, True)
    if draws is not None:
        _stein(report, p, draws, false_alarm)


def _stein(report, p, draws, false_alarm):
    """z-tests of Stein's identities, Eq. (2), at a joint false-alarm rate."""
    half = len(draws) // 2
    # m from the other half, so that it is a constant
    centre, x = draws[:half].mean(axis=0), draws[half:]
    s = p.score(x)
    n, d = x.shape
    identities = {("mean", i, i): s[:, i] for i in range(d)}
    pairs = [(i, j) for i in range(d) for j in range(d)] if d <= 8 else [(i, i) for i in range(d)]
    identities.update({("scale" if i == j else "correlation", i, j): s[:, i] * (x[:, j] - centre[j]) + (i == j) for i,
                       j in pairs})
    threshold = stats.norm.isf(false_alarm / 2 / len(identities))
    z = {key: v.mean() / max(v.std() / np.sqrt(n), 1e-300) for key, v in identities.items()}
    what, i, j = max(z, key=lambda key: abs(z[key]))
    value = identities[what, i, j].mean()
    text = {"mean": f"the samples are shifted against the density in dimension {i} (E[∂ log p/∂x_{i}] = {value:.3g}, "
                    f"not 0)",
            "scale": f"in dimension {i} the samples' variance is about {1 - value:.3g} times that of the density",
            "correlation": f"dimensions {i} and {j} are correlated otherwise than in the density"}[what]
    kind = {"mean": "location", "scale": "scale", "correlation": "correlation"}[what]
    report.add("sample", "follows log_prob (Stein)", abs(z[what, i, j]), threshold,
               f"{n} draws, {len(identities)} identities, false alarms {false_alarm:g}",
               Diagnosis(kind, text), statistical=True)
