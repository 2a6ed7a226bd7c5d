"""What an exhibit is: one mistake as a switch, and the check that tells the mistake from its clean twin."""
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import minigen as mg
from minigen.check.report import Report

__all__ = ["Exhibit", "Outcome", "backward", "table"]


@dataclass(frozen=True)
class Exhibit:
    """One well-known mistake.

    Attributes:
        name: short, in small letters.
        wrong: the mistake in one sentence, with the formula. plausible: why it looks right.
        typical_of: the kind of public code in which to look for it.
        caught_by: the function of `minigen.check` that finds it.
        build: ``build(buggy)`` returns the object, wrong or right: a function, a layer or a small model.
        check: ``check(object)`` returns a `minigen.check.Report`; the same for both.
    """
    name: str
    wrong: str
    plausible: str
    typical_of: str
    caught_by: str
    build: Callable
    check: Callable

    def run(self):
        """Check the mistake and its clean twin. Returns an `Outcome`."""
        return Outcome(self, self.check(self.build(True)), self.check(self.build(False)))


@dataclass(frozen=True)
class Outcome:
    """The two reports on an exhibit: on the mistake, and on its clean twin."""
    exhibit: Exhibit
    bug: Report = field(repr=False)
    twin: Report = field(repr=False)

    @cached_property
    def caught(self):
        """Whether the check accuses the mistake; that it "cannot tell" is not enough."""
        return any(not claim.ok and not math.isnan(claim.error) for claim in self.bug.claims)

    @property
    def passes(self):
        """Whether the clean twin passes."""
        return self.twin.ok

    @property
    def ok(self):
        """Whether the check can tell the two apart."""
        return self.caught and self.passes

    @property
    def finding(self):
        """What the check says of the mistake: the first finding with a diagnosis, else the first; "" if there is none.
        """
        findings = self.bug.findings
        told = [f for f in findings if f.diagnosis.kind != "none"] or findings
        if not told:
            return ""
        subject = f"{told[0].subject}: " if told[0].subject else ""
        return f"{subject}{told[0].statement}? {told[0].diagnosis}"

    def as_dict(self):
        """For JSON: the exhibit in words, and the verdicts."""
        words = {key: getattr(self.exhibit, key) for key in ("name", "wrong", "plausible", "typical_of", "caught_by")}
        return {**words, "bug_caught": self.caught, "twin_passes": self.passes, "finding": self.finding}


def backward(f):
    """The gradient of Σ f(x) by the backward pass, as a function of x: what a training loop would get from f."""
    def gradient(x):
        leaf = mg.tensor(x, requires_grad=True)
        return mg.grad(mg.sum(f(leaf)), leaf)
    return gradient


def table(outcomes):
    """Outcomes as text: exhibit, where to look for it, what catches it, the two verdicts, and what the check says."""
    header = ("exhibit", "typical of", "caught by", "bug", "clean twin")
    rows = [header] + [(o.exhibit.name, o.exhibit.typical_of, o.exhibit.caught_by, "caught" if o.caught else "MISSED",
                        "passes" if o.passes else "FAILS") for o in outcomes]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    told = [f"{o.exhibit.name}\n    {o.exhibit.wrong}\n    → {o.finding or 'nothing was found'}" for o in outcomes]
    right = sum(o.ok for o in outcomes)
    accused = [f"\n{o.exhibit.name}, the clean twin, is accused:\n{o.twin}" for o in outcomes if not o.passes]
    return "\n".join([*lines, f"{right} of {len(outcomes)} bugs caught with a clean twin that passes", "", *told,
                      *accused])
