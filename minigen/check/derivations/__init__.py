"""The classical identities of generative modelling as statements that can be checked, and exercises that can be graded.

Every entry holds a formula, where it comes from, and a check that compares the formula with something that does not
know it: a sum over all states, quadrature, automatic differentiation, the dense Jacobian. Put in your own formula:

    from minigen.check import derivations
    derivations.names()                                            # what there is
    print(derivations.get("gaussian-kl-vae"))                      # the statement, its source, what to write
    derivations.run("gaussian-kl-vae")                             # ours: holds
    derivations.run("gaussian-kl-vae", claimed=my_formula).report  # yours, with a diagnosis if it fails

``minigen check`` runs them all. They are grouped by subject, a file each: `SUBJECTS`.
"""
import difflib
import importlib

from minigen.check.claims import Result, table
from minigen.check.derivations.base import Derivation, registered

__all__ = ["Derivation", "Result", "get", "names", "run", "run_all", "table"]

SUBJECTS = ("calculus", "probability", "latent", "adversarial", "flows", "transforms", "diffusion", "energy",
            "sampling")


def _load():
    for subject in SUBJECTS:
        importlib.import_module(f"minigen.check.derivations.{subject}")
    return registered


def names():
    """The names of all derivations, by subject."""
    return list(_load())


def get(name):
    """The `Derivation` of that name. Raises ValueError, naming the nearest, if there is none."""
    found = _load().get(name)
    if found is None:
        near = difflib.get_close_matches(str(name), registered, 1)
        hint = f"did you mean {near[0]!r}?" if near else "derivations.names() lists them"
        raise ValueError(f"no derivation is called {name!r}; {hint}")
    return found


def run(name, claimed=None):
    """Check one derivation, with your formula in place of ours if you give one. Returns a `Result`.

    A ``claimed`` formula takes the arguments shown by ``print(get(name))``, which are NumPy arrays and numbers.
    """
    return get(name).run(claimed)


def run_all(progress=None):
    """Check all of them. Returns a list of `Result`; ``progress`` is called with each as it comes."""
    results = []
    for name in names():
        results.append(run(name))
        if progress:
            progress(results[-1])
    return results
