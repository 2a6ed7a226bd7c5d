r"""Check a divergence between two distributions that you derived: KL, reverse KL, JSD, Fisher, W1, W2 (`NAMES`).

Ours is a sum on finite spaces, quadrature in one and two dimensions, and for diagonal Gaussians of any dimension the
sum over their entries. A Monte Carlo estimate with its confidence interval is the second witness, and the closed form
of `minigen.distributions`, where there is one, the third. The definitions are in `minigen.check.exact`.
"""
import numpy as np

from minigen.check.case import Case
from minigen.check.compare import Comparison, epsilon, relative_tolerance, to_host
from minigen.check.confidence import z_threshold
from minigen.check.densities import Density
from minigen.check.diagnosis import diagnose
from minigen.check.exact import entropies, exact, monte_carlo
from minigen.check.relations import constant_factor
from minigen.check.report import Diagnosis, Element, Report
from minigen.distributions import Normal, Table, kl_divergence

__all__ = ["divergence"]

NAMES = {"kl": "KL(p‖q)", "reverse_kl": "KL(q‖p)", "jsd": "JSD(p, q)", "fisher": "Fisher(p‖q)", "w1": "W1(p, q)",
         "w2": "W2(p, q)"}


def divergence(p, q, claimed=None, kind="kl", terms=None, n=50_000, rng=0, false_alarm=1e-6, rtol=None):
    """Check a divergence from p to q.

    Args:
        p, q: two `Table`s over the same variables, or two distributions (not batches) over the same events.
        claimed: your value in nats: a number, or a function of (p, q) that returns it.
        kind: "kl", "reverse_kl", "jsd", "fisher", "w1" or "w2". The last two are distances, not their squares.
        terms: parts of your formula by name, so that a missing one can be named. Known for the KL of two Normals.
        n, rng: draws of the Monte Carlo estimate, and their generator or seed. false_alarm: the chance that it
            contradicts a right value.
        rtol: relative tolerance of the comparison with yours.

    Returns a `Report`; ``report.values`` holds the divergence. Raises ValueError for an unknown kind, or one that
    cannot be computed for these two.
    """
    if kind not in NAMES:
        raise ValueError(f"divergence: kind must be one of {', '.join(NAMES)}; got {kind!r}")
    for each in (p, q) if not isinstance(p, Table) else ():
        Density("divergence", each)                              # refuses what is no single distribution
    report, value = Report(f"divergence {NAMES[kind]}"), claimed(p, q) if callable(claimed) else claimed
    letters = "qp" if kind == "reverse_kl" else "pq"
    if kind == "reverse_kl":
        p, q, kind = q, p, "kl"
    ours, estimate = exact(p, q, kind), monte_carlo(p, q, kind, n, rng)
    if ours is None and estimate is None:
        raise ValueError(f"divergence: {NAMES[kind]} of {p!r} and {q!r} can be computed neither by quadrature (in 1 or "
                         "2 dimensions) nor by sampling")
    z = z_threshold(false_alarm)
    if ours is None:
        ours, error = estimate[0], z * estimate[1]
        report.note(f"ours is a Monte Carlo estimate from {n} draws, ± {error:.2g}")
    else:
        error = ours.error
    if estimate is not None and error != z * estimate[1]:
        why = Diagnosis("inconclusive", "quadrature and sampling disagree: do the samples of p come from its log_prob? "
                                        "(see check.density)")
        report.add("ours", "quadrature = Monte Carlo", abs(ours - estimate[0]), z * estimate[1] + error + 1e-9,
                   f"{n} draws, false alarms {false_alarm:g}", why, statistical=True)
    report.values[report.title.removeprefix("divergence ")] = float(ours)
    _compare_closed_form(report, p, q, kind, ours, error)
    if value is not None:
        _compare(report, p, q, kind, to_host(value), float(ours), error, terms or {}, rtol, letters)
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


def _compare(report, p, q, kind, yours, ours, error, terms, rtol, letters):
    """Yours against ours."""
    if yours.size != 1 or yours.dtype.kind not in "fiu":
        raise ValueError(f"divergence: you claim {yours.dtype} of shape {yours.shape}; the divergence of two "
                         "distributions is one number (in nats)")
    yours = yours.reshape(())
    single = not isinstance(p, Table) and to_host(p.sample(1, rng=0)).dtype == np.float32
    least = 1e-5 if single or kind in ("w1", "w2") else 0.0      # 0.2 in float32 is 0.200000003, and so is its KL
    r = max(relative_tolerance(yours.dtype) if rtol is None else rtol, least)
    floor = 3 * error + 100 * epsilon(yours.dtype)
    comparison = Comparison(yours, ours, r * abs(ours) + floor)
    case = Case(yours, ours, r, floor)
    report.add("yours", "yours = ours", *comparison.worst, "", lambda: _why(p, q, kind, case, terms, letters),
               [Element((), float(yours), ours)])


# ---- what else it could be -------------------------------------------------------------------------------------------
def _why(p, q, kind, case, terms, letters):
    """A factor; another divergence; a missing term."""
    if not isinstance(p, Table):
        case.sizes = {int(np.prod(p.event_shape)): "the number of dimensions"}
    found = constant_factor(case)
    if found is not None:
        bits = ": bits, where nats are asked for" if "1/log 2" in found.text else ""
        return Diagnosis(found.kind, found.text + bits)
    for name, value in _alternatives(p, q, kind, *letters).items():
        if value is not None and np.isfinite(value) and case.same(case.yours, float(value)):
            return Diagnosis("other-divergence", f"yours is {name}")
    if kind == "kl" and isinstance(p, Normal) and isinstance(q, Normal):
        terms = {**_gaussian_terms(p, q), **terms}
    case.terms = {name: np.float64(to_host(t)) for name, t in terms.items()}
    return diagnose(case)


def _alternatives(p, q, kind, a, b):
    """What people compute instead, by name; a and b are the letters by which the user knows p and q."""
    if kind in ("w1", "w2"):
        other = "w2" if kind == "w1" else "w1"
        square = f"{kind.upper()}², the square of the distance"
        return {square: exact(p, q, kind) ** 2, other.upper(): exact(p, q, other)}
    if kind == "fisher":
        ours = exact(p, q, kind)
        return {f"Fisher({b}‖{a}): the arguments are exchanged": exact(q, p, kind),
                "its square root": None if ours is None else np.sqrt(ours)}
    forth, back = exact(p, q, "kl"), exact(q, p, "kl")
    both = None if forth is None or back is None else forth + back
    if kind == "jsd":
        return {f"KL({a}‖{b})": forth, f"KL({b}‖{a})": back,
                f"½ KL({a}‖{b}) + ½ KL({b}‖{a}): the mixture m is missing": None if both is None else both / 2}
    entropy, cross = entropies(p, q)
    found = {f"KL({b}‖{a}): the arguments are exchanged": back,
             f"the cross-entropy −E_{a}[log {b}]: the entropy of {a} is missing": cross,
             f"minus the cross-entropy, E_{a}[log {b}]": None if cross is None else -cross,
             f"the entropy of {a}": entropy,
             f"KL({a}‖{b}) + KL({b}‖{a}), the symmetrised divergence": both}
    if isinstance(p, Normal) and isinstance(q, Normal):
        for scale, text in ((0.5, "log σ is taken for log σ² (σ where σ² belongs)"),
                            (2.0, "log σ² is taken for log σ (σ² where σ belongs)")):
            slipped = [Normal(each.mean, each.log_std * scale, event_ndim=each.event_ndim) for each in (p, q)]
            found[f"what comes out if {text}"] = exact(*slipped, "kl")
    return found


def _gaussian_terms(p, q):
    """The parts of KL = Σ log σ_q − log σ_p + σ_p²/2σ_q² + (μ_p − μ_q)²/2σ_q² − ½."""
    (mp, sp), (mq, sq) = [(to_host(d.mean).astype(np.float64), to_host(d.log_std).astype(np.float64)) for d in (p, q)]
    ratio, shift = np.exp(2 * (sp - sq)), (mp - mq) ** 2 * np.exp(-2 * sq)
    return {"log σ_q − log σ_p": np.sum(sq - sp), "σ_p²/2σ_q²": 0.5 * ratio.sum(),
            "(μ_p − μ_q)²/2σ_q²": 0.5 * shift.sum(), "−½": -0.5 * ratio.size}
