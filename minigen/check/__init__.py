"""Check what you derived: gradients, log-determinants, densities, divergences, bounds, chains.

You write down a claim, and a `Report` says whether it holds, where it fails, and what the failure looks like:

    report = check.gradient(f, x, claimed=my_gradient)
    print(report)

The guide is docs/check.md. `minigen.check.derivations` holds the classical identities as checkable statements, and
`claim` marks your own, in a file for ``minigen check my_file.py``.
"""
import importlib as _importlib

from minigen.check.bijections import bijection
from minigen.check.causality import causality
from minigen.check.chains import chain
from minigen.check.claims import Result, claim, run_file, table
from minigen.check.densities import density
from minigen.check.divergences import divergence
from minigen.check.elbo import LinearGaussian, elbo
from minigen.check.estimators import estimator
from minigen.check.gradients import gradient
from minigen.check.jacobians import hessian, jacobian
from minigen.check.report import CheckFailed, Diagnosis, Finding, Report

__all__ = ["CheckFailed", "Diagnosis", "Finding", "LinearGaussian", "Report", "Result", "bijection", "causality",
           "chain", "claim", "density", "derivations",
           "divergence", "elbo", "estimator", "gradient", "hessian", "jacobian", "run_file", "table"]


def __getattr__(name):
    if name == "derivations":                      # loaded when asked for: it states every identity
        return _importlib.import_module("minigen.check.derivations")
    raise AttributeError(f"module 'minigen.check' has no attribute {name!r}")
