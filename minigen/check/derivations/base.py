"""What a derivation is: a formula, a statement, a source, and a check that takes the formula.

    @derivation("bayes-rule", source="T. Bayes 1763")
    def bayes_rule(likelihood, prior):
        '''p(z | x) = p(x | z) p(z) / Σ_z p(x | z) p(z).

        The posterior (x, z), from the likelihood with axes (x, z) and the prior (z,).
        '''
        ...                                    # our formula; the first paragraph above is the statement

    @bayes_rule.checked_by
    def check(formula): ...                    # returns a Report for ours, yours, anybody's formula
"""
import inspect

import numpy as np

from minigen.check.case import Case
from minigen.check.claims import result_of
from minigen.check.compare import compare, to_host
from minigen.check.diagnosis import diagnose
from minigen.check.report import Report

__all__ = ["Derivation", "derivation", "equal", "new_report", "registered"]

registered = {}          # name -> Derivation, in the order of definition


class Derivation:
    """One identity; calling it evaluates its formula.

    Attributes:
        name: short, in small letters. formula: the identity in words. source: authors, year, arXiv number.
        ours: the formula as a function; yours takes the same arguments. usage: what it takes and gives.
    """

    def __init__(self, name, source, ours):
        self.name, self.source, self.ours = name, source, ours
        formula, _, self.usage = inspect.getdoc(ours).partition("\n\n")
        self.formula = " ".join(formula.split()).rstrip(".")
        self._check = None

    def __call__(self, *args, **kwargs):
        return self.ours(*args, **kwargs)

    def checked_by(self, check):
        """Decorator: ``check(formula)`` returns the `Report` on a formula."""
        self._check = check
        self.usage += "\n" + inspect.getdoc(check) if check.__doc__ else ""
        return check

    def run(self, claimed=None):
        """Check it, with your formula in place of ours if you give one. Returns a `minigen.check.Result`."""
        report = self._check(claimed or self.ours)
        report.title = self.name if claimed is None else f"{self.name}, your formula"
        return result_of(self.name, report)

    def __str__(self):
        arguments = ", ".join(inspect.signature(self.ours).parameters)
        lines = [self.formula, f"source: {self.source}", f"yours: f({arguments})", *self.usage.splitlines()]
        return "\n    ".join([self.name, *lines])


def derivation(name, source):
    """Decorator: make a formula with a docstring a `Derivation` and register it."""
    def register(ours):
        registered[name] = Derivation(name, source, ours)
        return registered[name]
    return register


def new_report():
    """An empty report; `Derivation.run` gives it its title."""
    return Report("")


def equal(report, statement, yours, ours, tolerance=1e-9, terms=None, factors=None):
    """Add the claim that two arrays are equal, relative to the largest element, with a diagnosis if they are not."""
    yours, ours = _float(yours), _float(ours)
    floor = tolerance * (np.abs(ours).max(initial=0.0) + 1e-3)
    case = Case(yours, ours, tolerance, floor)
    case.terms = {name: _float(term) for name, term in (terms or {}).items()}
    case.factors = {name: _float(factor) for name, factor in (factors or {}).items()}
    if yours.shape != ours.shape:
        return report.add("", statement, np.inf, floor, "", lambda: diagnose(case))
    comparison = compare(yours, ours, tolerance, floor)
    return report.add("", statement, *comparison.worst, "", lambda: diagnose(case), comparison.elements(4),
                      comparison.severity)


def _float(values):
    return np.asarray(to_host(values), dtype=np.float64)
