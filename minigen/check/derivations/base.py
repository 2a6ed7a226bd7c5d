"""What a derivation is: a statement, a formula, a source, and a check that takes the formula."""
import inspect
from dataclasses import dataclass
from typing import Callable

import numpy as np

from minigen.check.claims import Result, result_of
from minigen.check.compare import compare, to_host
from minigen.check.diagnosis import Case, diagnose
from minigen.check.report import Report

__all__ = ["Derivation", "derivation", "equal", "registered"]

registered = {}          # name -> Derivation, in the order of definition


@dataclass(frozen=True)
class Derivation:
    """One identity.

    Attributes:
        name: short, in small letters. formula: the statement. source: authors, year, arXiv number.
        claim: our formula as a function; yours takes the same arguments.
        check: function from a formula to a `Report`.
    """
    name: str
    formula: str
    source: str
    claim: Callable
    check: Callable

    def run(self, claimed=None):
        """Check it, with your formula in place of ours if you give one. Returns a `Result`."""
        report = self.check(claimed or self.claim)
        report.title = self.name if claimed is None else f"{self.name}, your formula"
        return result_of(self.name, report)

    def __str__(self):
        arguments = ", ".join(inspect.signature(self.claim).parameters)
        about = inspect.getdoc(self.claim) or inspect.getdoc(self.check) or ""
        return f"{self.name}\n    {self.formula}\n    {self.source}\n    your formula: f({arguments})\n" + "".join(f"    {line}\n" for line in about.splitlines())


def derivation(name, formula, source, claim):
    """Decorator: register a check, a function from the formula to a `Report`."""
    def add(check):
        registered[name] = Derivation(name, formula, source, claim, check)
        return registered[name]
    return add


def equal(report, statement, yours, ours, tolerance=1e-9, terms=None, factors=None, subject="", detail=""):
    """Add the claim that two arrays are equal, with a diagnosis if they are not.

    The tolerance is relative to the largest element.
    """
    yours, ours = np.asarray(to_host(yours), dtype=np.float64), np.asarray(to_host(ours), dtype=np.float64)
    floor = tolerance * (np.abs(ours).max(initial=0.0) + 1e-3)
    case = Case(yours, ours, tolerance, floor, terms={k: np.asarray(to_host(v), dtype=np.float64) for k,
                                                      v in (terms or {}).items()},
                factors={k: np.asarray(to_host(v), dtype=np.float64) for k, v in (factors or {}).items()})
    if yours.shape != ours.shape:
        return report.add(subject, statement, np.inf, floor, detail, lambda: diagnose(case))
    comparison = compare(yours, ours, tolerance, floor)
    return report.add(subject, statement, *comparison.worst, detail, lambda: diagnose(case), comparison.elements(4),
                      comparison.severity)


def new_report():
    """An empty report; `Derivation.run` gives it its title."""
    return Report("")
