r"""Check an estimator of a known quantity: is it unbiased, how much does it vary, and which of several varies least?

For S independent estimates g_s of a truth t (arrays of one shape),

    bias = mean_s g_s − t,   with standard error   s / √S,   s the standard deviation of the g_s.                 (1)

Every element is tested at once, at a joint false-alarm rate. Two unbiased estimators differ by their variance alone:
REINFORCE, f(z) ∇ log q(z), and the reparameterised gradient, ∇ f(z(ε)), are the classic pair.
"""
import numpy as np

from minigen.check.case import nice
from minigen.check.compare import Comparison, to_host
from minigen.check.confidence import z_threshold
from minigen.check.report import Diagnosis, Report
from minigen.random import as_generator

__all__ = ["estimator"]


def estimator(g, truth, n=2_000, rng=0, false_alarm=1e-6):
    """Check that estimates scatter around the truth.

    Args:
        g: function of a Generator that returns one estimate (of the truth's shape); or a dict of several by name, to be
            compared.
        truth: the quantity they estimate: a number or an array.
        n: estimates drawn from each. rng: generator or seed. false_alarm: the chance that an unbiased estimator is
            accused.

    Returns a `Report`; ``report.values`` holds the variance (summed over the elements) of each. Raises ValueError for
    estimates of another shape.
    """
    truth = np.asarray(to_host(truth), dtype=np.float64)
    several = g if isinstance(g, dict) else {getattr(g, "__name__", "g").strip("<>").replace("lambda", "g"): g}
    report = Report("estimator" if len(several) == 1 else "estimators")
    rng = as_generator(rng)
    for name, draw in several.items():
        estimates = np.stack([to_host(draw(rng)).astype(np.float64) for _ in range(n)])
        if estimates.shape[1:] != truth.shape:
            raise ValueError(f"estimator: {name} returned shape {estimates.shape[1:]}, the truth has {truth.shape}; "
                             "they must be equal")
        _test(report, name, estimates, truth, false_alarm)
    if len(several) > 1 and len(report.values) > 1:
        order = sorted(report.values, key=report.values.get)
        least, most = report.values[order[0]], report.values[order[-1]]
        if least > 0:
            report.note(f"{order[0].removeprefix('variance of ')} varies least; "
                        f"{order[-1].removeprefix('variance of ')} has {most / least:.3g} times its variance")
    return report


def _test(report, name, estimates, truth, false_alarm):
    """Eq. (1) for every element."""
    n = len(estimates)
    mean, error = estimates.mean(axis=0), estimates.std(axis=0, ddof=1) / np.sqrt(n)
    report.values[f"variance of {name}"] = float(estimates.var(axis=0, ddof=1).sum())
    allowed = z_threshold(false_alarm, truth.size) * error + 1e-6 * np.abs(truth) + 1e-300
    if not np.isfinite(mean).all():
        report.add(name, "is unbiased", np.inf, 0.0, f"{n} estimates",
                   Diagnosis("nan", "some estimates are NaN or infinite"))
        return
    comparison = Comparison(mean, truth, allowed)
    report.add(name, "is unbiased", *comparison.worst, f"{n} estimates, false alarms {false_alarm:g}",
               lambda: _why(mean, truth, allowed), comparison.elements(4), comparison.severity, statistical=True)


def _why(mean, truth, allowed):
    """A relation that holds within the statistical error; said with "about", for it is no more than that."""
    loud = np.abs(truth) > 5 * allowed
    if not loud.any():
        return Diagnosis("biased", "the truth is near zero, the mean of the estimates is not")
    weights = np.where(loud, 1 / allowed ** 2, 0.0)
    c = float(np.sum(weights * mean * truth) / np.sum(weights * truth * truth))
    spread = float(1 / np.sqrt(np.sum(weights * truth * truth)))
    if (np.abs(mean - c * truth) <= 2 * allowed).all() and abs(c - 1) > spread:
        exact = [v for v in (-1.0, 2.0, 0.5, 0.0, -2.0, -0.5, 3.0, 4.0, 0.25) if abs(c - v) <= spread]
        shown = nice(exact[0], 1e-9) or "0" if exact else f"{c:.3g}"
        kind = "sign" if exact[:1] == [-1.0] else "zero" if exact[:1] == [0.0] else "factor"
        return Diagnosis(kind, f"its mean is about {shown} times the truth (± {spread:.1g})")
    if mean.ndim == 2 and mean.T.shape == truth.shape and (np.abs(mean.T - truth) <= allowed + allowed.T).all():
        return Diagnosis("transpose", "its mean is about the transpose of the truth")
    return Diagnosis("biased", "no simple relation found")
