r"""Check a divergence between two distributions that you derived.

    KL(p‖q)  = E_p[log p − log q]                                 "kl";  "reverse_kl" is KL(q‖p)                  (1)
    JSD      = ½ KL(p‖m) + ½ KL(q‖m),  m = ½ (p + q)              "jsd"                                            (2)
    Fisher   = E_p |∇ log p − ∇ log q|²                           "fisher"                                         (3)
    W_k      = (∫₀¹ |F⁻¹(u) − G⁻¹(u)|ᵏ du)^{1/k}  in 1-D          "w1", "w2": distances, not their squares         (4)

Ours is a sum on finite spaces, quadrature in one and two dimensions, and for diagonal Gaussians of any dimension the
sum of the divergences of their entries (KL, Fisher, and W2 squared add up over independent entries; JSD and W1 do not).
A Monte Carlo estimate with its confidence interval is the second witness, and the closed form of
`minigen.distributions`, where there is one, the third.
"""
import itertools

import numpy as np
from scipy import stats

from minigen.check.compare import Comparison, epsilon, relative_tolerance, to_host
from minigen.check.densities import Density
from minigen.check.diagnosis import Case, diagnose
from minigen.check.quadrature import Integral, integrate
from minigen.check.relations import constant_factor
from minigen.check.report import Diagnosis, Element, Report
from minigen.distributions import Bernoulli, Categorical, Normal, Table, kl_divergence
from minigen.random import as_generator

__all__ = ["divergence"]

NAMES = {"kl": "KL(p‖q)", "reverse_kl": "KL(q‖p)", "jsd": "JSD(p, q)", "fisher": "Fisher(p‖q)", "w1": "W1(p, q)",
         "w2": "W2(p, q)"}
GRID = 20_001                    # points of the distribution functions in Eq. (4)


def divergence(p, q, claimed=None, kind="kl", terms=None, n=50_000, rng=0, false_alarm=1e-6, rtol=None):
    """Check a divergence from p to q.

    Args:
        p, q: two `Table`s over the same variables, or two distributions (not batches) over the same events.
        claimed: your value: a number, or a function of (p, q) that returns it.
        kind: "kl", "reverse_kl", "jsd", "fisher", "w1" or "w2".
        terms: parts of your formula by name, so that a missing one can be named. For two Normals and "kl" they are
            known.
        n, rng: draws of the Monte Carlo estimate, and their generator or seed. false_alarm: the chance that it accuses
            a right value.
        rtol: relative tolerance of the comparison with yours.

    Returns a `Report`; ``report.values`` holds the divergence. Raises ValueError for an unknown kind, or one that
    cannot be computed for these two.
    """
    if kind not in NAMES:
        raise ValueError(f"divergence: kind must be one of {', '.join(NAMES)}; got {kind!r}")
    report = Report(f"divergence {NAMES[kind]}")
    if kind == "reverse_kl":
        p, q = q, p
    plain = "kl" if kind == "reverse_kl" else kind
    ours = _exact(p, q, plain)
    estimate = None if isinstance(p, Table) or plain in ("w1", "w2") else _monte_carlo(p, q, plain, n, rng)
    if ours is None and estimate is None:
        raise ValueError(f"divergence: {NAMES[kind]} of {p!r} and {q!r} can be computed neither by quadrature (1 or 2 "
                         f"dimensions) nor by sampling")
    if ours is not None and estimate is not None:
        z = stats.norm.isf(false_alarm / 2)
        report.add("ours", "quadrature = Monte Carlo", abs(ours - estimate[0]), z * estimate[1] + ours.error + 1e-9,
                   f"{n} draws, false alarms {false_alarm:g}",
                   Diagnosis("inconclusive", "quadrature and sampling disagree: do the samples of p come from its "
                                             "log_prob? (check.density)"), statistical=True)
    error = 0.0 if ours is None else ours.error
    if ours is None:
        ours, error = estimate[0], stats.norm.isf(false_alarm / 2) * estimate[1]
        report.note(f"ours is a Monte Carlo estimate from {n} draws, ± {error:.2g}")
    report.values[NAMES[kind]] = float(ours)
    _compare_closed_form(report, p, q, plain, ours, error)
    if claimed is not None:
        value = claimed(p, q) if callable(claimed) else claimed
        if kind == "reverse_kl" and callable(claimed):
            value = claimed(q, p)
        _compare(report, p, q, plain, value, ours, error, terms, rtol)
    return report


def _compare_closed_form(report, p, q, kind, ours, error):
    """The library's own closed form, where it has one."""
    if kind != "kl" or isinstance(p, Table):
        return
    try:
        value = to_host(kl_divergence(p, q))
    except NotImplementedError:
        return
    tolerance = relative_tolerance(value.dtype) * abs(ours) + 10 * epsilon(value.dtype) + error
    report.add("minigen", "closed form = ours", abs(float(value) - ours), tolerance, "kl_divergence")


def _compare(report, p, q, kind, value, ours, error, terms, rtol):
    yours = to_host(value)
    if yours.size != 1 or yours.dtype.kind not in "fiu":
        raise ValueError(f"divergence: you claim {yours.dtype} of shape {yours.shape}; the divergence of two "
                         f"distributions is one number (nats)")
    yours = yours.reshape(())
    r = max(relative_tolerance(yours.dtype) if rtol is None else rtol, 1e-5 if kind in ("w1", "w2") else 0.0)
    floor = 3 * error + 100 * epsilon(yours.dtype)
    comparison = Comparison(yours, float(ours), r * abs(ours) + floor)
    elements = [Element((), float(yours), float(ours))]
    report.add("yours", "yours = ours", *comparison.worst, "",
               lambda: _why(p, q, kind, yours, float(ours), r, floor, terms), elements)


def _why(p, q, kind, yours, ours, r, floor, terms):
    """A factor; another divergence; a missing term."""
    known = _gaussian_terms(p, q) if kind == "kl" and isinstance(p, Normal) and isinstance(q, Normal) else {}
    sizes = {} if isinstance(p, Table) else {int(np.prod(p.event_shape)): "the number of dimensions"}
    case = Case(yours, ours, r, floor, sizes=sizes, terms={name: np.asarray(float(np.asarray(t))) for name,
                                                           t in {**known, **(terms or {})}.items()})
    found = constant_factor(case)
    if found is not None:
        return Diagnosis(found.kind, found.text + (": bits, where nats are asked for (divide by log 2 once too often)"
                                                   if "1/log 2" in found.text else ""))
    for name, value in _alternatives(p, q, kind).items():
        if value is not None and np.isfinite(value) and case.same(yours, float(value)):
            return Diagnosis("other-divergence", f"yours is {name}")
    return diagnose(case)


def _alternatives(p, q, kind):
    """What people compute instead, by name."""
    found = {}
    if kind == "kl":
        found["KL(q‖p): the arguments are exchanged"] = _exact(q, p, "kl")
        entropy, cross = _entropies(p, q)
        found["the cross-entropy −E_p[log q]: the entropy of p is missing"] = cross
        found["minus the cross-entropy, E_p[log q]"] = -cross if cross is not None else None
        found["the entropy of p"] = entropy
        found["KL(p‖q) + KL(q‖p), the symmetrised divergence"] = _plus(_exact(p, q, "kl"), _exact(q, p, "kl"))
        if isinstance(p, Normal) and isinstance(q, Normal):
            for scale, text in ((0.5, "log σ is taken for log σ² (σ where σ² belongs)"),
                                (2.0, "log σ² is taken for log σ (σ² where σ belongs)")):
                found[f"what comes out if {text}"] = _exact(_rescaled(p, scale), _rescaled(q, scale), "kl")
    if kind == "jsd":
        found["KL(p‖q)"], found["KL(q‖p)"] = _exact(p, q, "kl"), _exact(q, p, "kl")
        found["½ KL(p‖q) + ½ KL(q‖p): the mixture m is missing"] = None if found["KL(p‖q)"] is None else (found["KL(p‖q)"] + found["KL(q‖p)"]) / 2
    if kind == "fisher":
        found["its square root"] = np.sqrt(_exact(p, q, "fisher"))
        found["Fisher(q‖p): the arguments are exchanged"] = _exact(q, p, "fisher")
    if kind in ("w1", "w2"):
        found[f"{kind.upper()}², the square of the distance"] = _exact(p, q, kind) ** 2
        found["W2" if kind == "w1" else "W1"] = _exact(p, q, "w2" if kind == "w1" else "w1")
    return found


def _rescaled(p, scale):
    return Normal(p.mean, p.log_std * scale, event_ndim=p.event_ndim)


def _plus(a, b):
    return None if a is None or b is None else a + b


def _gaussian_terms(p, q):
    """The parts of KL = Σ log σ_q − log σ_p + σ_p²/2σ_q² + (μ_p − μ_q)²/2σ_q² − ½."""
    (mp, sp), (mq, sq) = [(to_host(d.mean).astype(np.float64), to_host(d.log_std).astype(np.float64)) for d in (p, q)]
    ratio, shift = np.exp(2 * (sp - sq)), (mp - mq) ** 2 * np.exp(-2 * sq)
    return {"log σ_q − log σ_p": np.sum(sq - sp), "σ_p²/2σ_q²": 0.5 * ratio.sum(),
            "(μ_p − μ_q)²/2σ_q²": 0.5 * shift.sum(), "−½": -0.5 * ratio.size}


# ---- ours
# --------------------------------------------------------------------------------------------------------------
def _exact(p, q, kind):
    """The divergence as an `Integral`, or None where neither a sum nor quadrature can do it."""
    if isinstance(p, Table):
        if kind not in ("kl", "jsd"):
            raise ValueError(f"divergence: a Table has no metric or gradient, so {NAMES[kind]} is not defined; use "
                             f"'kl', 'reverse_kl' or 'jsd'")
        return Integral(p.kl(q) if kind == "kl" else p.jsd(q), 1e-14)
    d, support = int(np.prod(p.event_shape)), _support(p)
    if support is not None:
        if kind not in ("kl", "jsd"):
            raise ValueError(f"divergence: {NAMES[kind]} is not defined for a discrete distribution; use 'kl', "
                             f"'reverse_kl' or 'jsd'")
        log_p, log_q = [to_host(each.log_prob(support)).astype(np.float64) for each in (p, q)]
        return Integral(np.sum(_terms(log_p, log_q, kind)), 1e-6 * len(log_p) * np.finfo(np.float32).eps)
    if d > 1 and isinstance(p, Normal) and isinstance(q, Normal) and kind in ("kl", "fisher", "w2"):
        parts = [_exact(a, b, kind) for a, b in zip(_entries(p), _entries(q))]
        total = sum(part ** 2 for part in parts) ** 0.5 if kind == "w2" else sum(parts)
        return Integral(total, sum(part.error for part in parts))
    if d > 2 or kind in ("w1", "w2") and d > 1:
        return None
    densities = [Density("divergence", each) for each in (p, q)]
    draws = np.concatenate([to_host(each.sample(4000, rng=0)).reshape(4000, d)
                            for each in ((p, q) if kind in ("jsd", "w1", "w2") else (p,))]).astype(np.float64)
    centre, scale = np.median(draws, axis=0), np.ptp(np.quantile(draws, [0.1, 0.9], axis=0), axis=0) + 1e-300
    if kind in ("w1", "w2"):
        return _wasserstein(*densities, draws, 1 if kind == "w1" else 2)
    if kind == "fisher":
        integrand = lambda x: densities[0].probability(x) * np.sum((densities[0].score(x)
                                                                    - densities[1].score(x)) ** 2, axis=1)  # noqa: E731
    else:
        integrand = lambda x: _terms(densities[0](x), densities[1](x), kind)  # noqa: E731
    with np.errstate(all="ignore"):
        return integrate(integrand, [(-np.inf, np.inf)] * d, centre, scale)


def _terms(log_p, log_q, kind):
    """The integrand of KL or JSD; where p is 0 it contributes nothing."""
    p, q = np.exp(log_p), np.exp(log_q)
    with np.errstate(invalid="ignore"):
        if kind == "kl":
            return np.where(p > 0, p * (log_p - log_q), 0.0)                                          # Eq. (1)
        log_m = np.logaddexp(log_p, log_q) - np.log(2)
        # Eq. (2)
        return 0.5 * np.where(p > 0, p * (log_p - log_m), 0.0) + 0.5 * np.where(q > 0, q * (log_q - log_m), 0.0)


def _support(p):
    """All outcomes of a discrete distribution, if they are few."""
    shape = p.event_shape
    values = 2 if isinstance(p, Bernoulli) else p.classes if isinstance(p, Categorical) else 0
    if not values or values ** int(np.prod(shape)) > 4096:
        return None
    grid = np.array(list(itertools.product(range(values), repeat=int(np.prod(shape))))).reshape(-1, *shape)
    return grid if isinstance(p, Categorical) else grid.astype(np.float64)


def _entries(p):
    """The independent entries of a Normal, as one-dimensional Normals."""
    mean, log_std = to_host(p.mean).ravel(), to_host(p.log_std).ravel()
    return [Normal(m, s, event_ndim=0) for m, s in zip(mean, log_std)]


def _wasserstein(p, q, draws, k):
    """Eq. (4) from the distribution functions F and G on a grid that reaches far into the tails."""
    low, high = draws.min(), draws.max()
    x = np.linspace(low - 1.5 * (high - low), high + 1.5 * (high - low), GRID)
    h = x[1] - x[0]
    F, G = [_distribution_function(each, x, h) for each in (p, q)]
    if k == 1:
        # ∫ |F − G| dx is the same, turned by 90°
        return Integral(np.trapezoid(np.abs(F - G), dx=h), 1e-6 * h * GRID)
    inside = (F > 1e-13) & (F < 1 - 1e-13)
    rising = np.concatenate([[True], np.diff(G) > 0])
    partner = np.interp(F[inside], G[rising], x[rising])                              # G⁻¹(F(x)): where x is carried
    squared = np.trapezoid((x[inside] - partner) ** 2 * p.probability(x[inside][:, None]), dx=h)
    return Integral(np.sqrt(squared), 1e-5 * np.sqrt(squared) + 1e-9 * (high - low))


def _distribution_function(p, x, h):
    """∫_{−∞}^x p on a grid, by Simpson's rule in every interval."""
    f, middle = p.probability(x[:, None]), p.probability((x[:-1] + h / 2)[:, None])
    return np.concatenate([[0.0], np.cumsum(h / 6 * (f[:-1] + 4 * middle + f[1:]))])


def _entropies(p, q):
    """(entropy of p, cross-entropy −E_p[log q]), or None each."""
    if isinstance(p, Table):
        return p.entropy(), p.kl(q) + p.entropy()
    try:
        entropy = float(to_host(p.entropy()))
    except NotImplementedError:
        return None, None
    divergence = _exact(p, q, "kl")
    return entropy, None if divergence is None else divergence + entropy


# ---- Monte Carlo
# ---------------------------------------------------------------------------------------------------------
def _monte_carlo(p, q, kind, n, rng):
    """(estimate, standard error) from n draws of p (and of q for the JSD)."""
    rng = as_generator(rng)
    d = int(np.prod(p.event_shape))
    discrete = isinstance(p, (Bernoulli, Categorical))
    if kind == "fisher" and discrete:
        return None
    log_p, log_q = [lambda x, each=each: to_host(each.log_prob(x)).astype(np.float64) for each in (p, q)]
    x = p.sample(n, rng=rng)
    if kind == "kl":
        values = log_p(x) - log_q(x)
        return values.mean(), values.std() / np.sqrt(n)
    if kind == "fisher":
        points = to_host(x).reshape(n, d).astype(np.float64)
        values = np.sum((Density("divergence", p).score(points) - Density("divergence", q).score(points)) ** 2, axis=1)
        return values.mean(), values.std() / np.sqrt(n)
    y = q.sample(n, rng=rng)
    parts = [a(v) - np.logaddexp(log_p(v), log_q(v)) + np.log(2) for a, v in ((log_p, x), (log_q, y))]
    return 0.5 * sum(v.mean() for v in parts), 0.5 * np.sqrt(sum(v.var() / n for v in parts))
