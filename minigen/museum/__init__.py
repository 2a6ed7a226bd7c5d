"""The bug museum: well-known public mistakes as switches, each caught by a check that passes its clean twin.

    from minigen import museum
    museum.names()                               # what is on show
    exhibit = museum.get("max-ties")
    print(exhibit.wrong, exhibit.plausible)
    print(exhibit.check(exhibit.build(True)))    # the mistake: fails, and says how
    print(exhibit.check(exhibit.build(False)))   # the clean twin: holds

``minigen check --museum`` shows them all. The exhibits are grouped by family, a file each.
"""
import difflib

from minigen.museum import derivatives, diffusion, divergences, likelihoods, penalties
from minigen.museum.exhibit import Exhibit, Outcome, table

__all__ = ["EXHIBITS", "Exhibit", "Outcome", "get", "names", "run_all", "table"]

EXHIBITS = (*divergences.EXHIBITS, *likelihoods.EXHIBITS, *derivatives.EXHIBITS, *penalties.EXHIBITS,
            *diffusion.EXHIBITS)


def names():
    """The names of all exhibits, by family."""
    return [exhibit.name for exhibit in EXHIBITS]


def get(name):
    """The `Exhibit` of that name. Raises ValueError, naming the nearest, if there is none."""
    for exhibit in EXHIBITS:
        if exhibit.name == name:
            return exhibit
    near = difflib.get_close_matches(str(name), names(), 1)
    hint = f"did you mean {near[0]!r}?" if near else "museum.names() lists them"
    raise ValueError(f"no exhibit is called {name!r}; {hint}")


def run_all():
    """Check every exhibit and its clean twin. Returns a list of `Outcome`."""
    return [exhibit.run() for exhibit in EXHIBITS]
