"""Check what you derived: gradients, log-determinants, densities, divergences, bounds, chains.

You write down a claim, and a `Report` says whether it holds, where it fails, and what the failure looks like:

    report = check.gradient(f, x, claimed=my_gradient)
    print(report)

The guide is docs/check.md. `minigen.check.derivations` holds the classical identities as checkable statements.
"""
from minigen.check.gradients import gradient
from minigen.check.report import CheckFailed, Diagnosis, Finding, Report

__all__ = ["CheckFailed", "Diagnosis", "Finding", "Report", "gradient"]
