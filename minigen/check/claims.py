'''Files of claims: what you derived, a few lines each, checked by ``minigen check my_file.py``.

    """my_file.py"""
    import minigen as mg
    from minigen import check

    @check.claim
    def softplus_has_the_sigmoid_as_derivative():
        """d/dx log(1 + eˣ) = σ(x)"""
        return check.gradient(lambda x: mg.softplus(x).sum(), [0.5, -1.0], claimed=lambda x: mg.sigmoid(x))

A claim returns a `Report`, a pair ``(yours, ours)`` of arrays that should be equal, or True or False. Its name is the
function's, its statement the docstring. The file is your own code and is run as such: check no file of people whom you
would not let use your computer.
'''
import math
import pathlib
import runpy
from dataclasses import dataclass, field

import numpy as np

from minigen.check.compare import Comparison, relative_tolerance, to_host
from minigen.check.diagnosis import Case, diagnose
from minigen.check.report import Diagnosis, Report

__all__ = ["Result", "claim", "result_of", "run_file", "table"]

_collected = []          # claims of the file that is being read


@dataclass(frozen=True)
class Result:
    """The outcome of one identity or claim: its worst error, the tolerance there, and "holds" or "fails"."""
    name: str
    error: float
    tolerance: float
    verdict: str
    report: Report = field(repr=False)

    def as_dict(self):
        """``{"name", "error", "tolerance", "verdict"}`` for JSON; an error that is no finite number is None."""
        finite = lambda value: value if math.isfinite(value) else None  # noqa: E731
        return {"name": self.name, "error": finite(self.error), "tolerance": finite(self.tolerance),
                "verdict": self.verdict}


def result_of(name, report):
    """Condense a report to its worst claim."""
    worst = report.worst
    error, tolerance = (0.0, 0.0) if worst is None else (worst.error, worst.tolerance)
    return Result(name, error, tolerance, report.verdict, report)


def claim(function):
    """Decorator: this function, without arguments, is a claim to be checked by ``minigen check FILE``."""
    _collected.append(function)
    return function


def run_file(path):
    """Run a file of claims. Returns a list of `Result`.

    A claim that raises counts as failed, with the exception in its report. Raises FileNotFoundError if there is no such
    file, and ValueError if it does not run, or holds no claim.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"check: there is no file {path}")
    _collected.clear()
    try:
        runpy.run_path(str(path))
    except (Exception, SystemExit) as error:
        raise ValueError(f"check: {path.name} does not run: {type(error).__name__}: {error}") from error
    claims = list(_collected)
    _collected.clear()
    if not claims:
        raise ValueError(f"check: {path.name} holds no claim; put @check.claim above each function that states one")
    return [_run(function) for function in claims]


def _run(function):
    """Evaluate one claim."""
    name = function.__name__
    try:
        outcome = function()
    # the user's code: whatever it raises is the outcome of this claim, not of the file
    except Exception as error:
        report = Report(name)
        report.add(name, "runs", math.nan, 0.0, "", Diagnosis("error", f"{type(error).__name__}: {error}"))
        return result_of(name, report)
    if isinstance(outcome, Report):
        return result_of(name, outcome)
    report = Report(name)
    statement = (function.__doc__ or "holds").strip().splitlines()[0]
    if isinstance(outcome, (bool, np.bool_)):
        report.add(name, statement, 0.0 if outcome else 1.0, 0.0)
    elif isinstance(outcome, tuple) and len(outcome) == 2:
        _compare(report, name, statement, *outcome)
    else:
        report.add(name, statement, math.nan, 0.0, "", Diagnosis("error", f"a claim returns a Report, a pair (yours, "
                                                                          f"ours), True or False; got "
                                                                          f"{type(outcome).__name__}"))
    return result_of(name, report)


def _compare(report, name, statement, yours, ours):
    yours, ours = to_host(yours), to_host(ours)
    r = max(relative_tolerance(yours.dtype), relative_tolerance(ours.dtype))
    case = Case(yours, ours, r, r * 1e-3 * float(np.abs(ours).max(initial=0.0)))
    if yours.shape != ours.shape:
        report.add(name, statement, math.inf, r, "", lambda: diagnose(case))
        return
    comparison = Comparison(yours, ours, r * np.abs(ours) + case.floor)
    report.add(name, statement, *comparison.worst, "", lambda: diagnose(case), comparison.elements(4),
               comparison.severity)


def table(results):
    """Results as text: identity, worst error, tolerance, verdict; below it, what is wrong with those that fail."""
    width = max([len(r.name) for r in results] + [8])
    lines = [f"{'identity':<{width}}   {'error':>8}   {'tolerance':>9}   verdict"]
    for r in results:
        error = f"{r.error:8.1e}" if math.isfinite(r.error) else f"{'–':>8}"
        lines.append(f"{r.name:<{width}}   {error}   {r.tolerance:9.1e}   {r.verdict}")
    failed = [r for r in results if r.verdict != "holds"]
    lines.append(f"{len(results) - len(failed)} of {len(results)} hold")
    return "\n".join(lines + [f"\n{r.report}" for r in failed])
