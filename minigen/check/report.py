"""What every check returns: a `Report` of claims, and for each that fails a `Finding` that says where and how.

    report = check.gradient(f, x, claimed=g)
    print(report)                # or just leave it as the last line of a notebook cell
    report.ok                    # also its truth: ``if report: ...``
    report.raise_if_failed()     # in a test
    report.plot("check.png")     # error against step, wrong elements, dependencies
"""
import html
from dataclasses import dataclass, field

import numpy as np

__all__ = ["CheckFailed", "Claim", "Diagnosis", "Element", "Finding", "Report"]

SHOWN = 4       # worst elements printed per finding


class CheckFailed(AssertionError):
    """Raised by `Report.raise_if_failed`; its text is the report."""


@dataclass(frozen=True)
class Diagnosis:
    """What a mistake looks like: ``kind`` is one word for programs (see docs/check.md), ``text`` a sentence."""
    kind: str
    text: str

    def __str__(self):
        return self.text


NOTHING = Diagnosis("none", "no simple relation found")


@dataclass(frozen=True)
class Element:
    """One wrong element: its index, the value claimed, the value derived here, and the value measured (or None)."""
    index: tuple
    yours: float
    ours: float
    numeric: float | None = None


@dataclass(frozen=True)
class Claim:
    """One line of a report: of what, which statement, how far off at worst, and how far is tolerated there.

    ``statistical``: the tolerance is a confidence bound, and the error the luck of the draw.
    """
    subject: str
    statement: str
    error: float
    tolerance: float
    detail: str = ""
    statistical: bool = False

    @property
    def ok(self):
        """Whether it holds. An error of NaN means that we could not tell, and does not count as holding."""
        return bool(self.error <= self.tolerance)


@dataclass(frozen=True)
class Finding:
    """Why a claim fails: the worst elements first, a diagnosis, and a map of error / tolerance (or None)."""
    subject: str
    statement: str
    diagnosis: Diagnosis = NOTHING
    elements: tuple = ()
    map: np.ndarray | None = None

    def __str__(self):
        lines = [f"{self.subject}: {self.statement}"] if self.subject else [self.statement]
        return "\n".join(lines + _table(self.elements) + [f"→ {self.diagnosis}"])


@dataclass
class Report:
    """The outcome of one check. Printing it says what was verified, to which tolerance, and what is wrong.

    Attributes:
        title: what was checked.
        claims: every line, in order. findings: one for each claim that fails.
        notes: what else you should know (kinks, ties, what was sampled rather than tested in full).
        values: named numbers that the check computed (an integral, a spectral gap).
        pictures: what `plot` draws: ``("curve", title, steps, errors)`` or ``("map", title, array)``.
    """
    title: str
    claims: list = field(default_factory=list)
    findings: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    values: dict = field(default_factory=dict)
    pictures: list = field(default_factory=list)

    # ---- building ------------------------------------------------------------------------------------------------
    def add(self, subject, statement, error, tolerance, detail="", diagnosis=NOTHING, elements=(), map=None,
            statistical=False):
        """Add a claim, and the finding that goes with it if it fails. Returns whether it holds."""
        claim = Claim(subject, statement, float(error), float(tolerance), detail, statistical)
        self.claims.append(claim)
        if not claim.ok:
            diagnosis = diagnosis() if callable(diagnosis) else diagnosis
            self.findings.append(Finding(subject, statement, diagnosis, tuple(elements), map))
            if map is not None and np.ndim(map):
                self.pictures.append(("map", f"{subject}: error / tolerance", np.asarray(map)))
        return claim.ok

    def note(self, text):
        """Add a remark, once."""
        if text not in self.notes:
            self.notes.append(text)

    def include(self, other, prefix=""):
        """Take over everything another report says."""
        rename = lambda item: type(item)(**{**vars(item), "subject": f"{prefix}{item.subject}"})  # noqa: E731
        self.claims += map(rename, other.claims)
        self.findings += map(rename, other.findings)
        for text in other.notes:
            self.note(text)
        self.pictures += other.pictures
        self.values.update({f"{prefix}{name}": value for name, value in other.values.items()})

    # ---- asking --------------------------------------------------------------------------------------------------
    @property
    def ok(self):
        """Whether every claim holds."""
        return not self.findings

    def __bool__(self):
        return self.ok

    @property
    def verdict(self):
        """``"holds"`` or ``"fails"``."""
        return "holds" if self.ok else "fails"

    @property
    def worst(self):
        """The claim with the largest error for its tolerance (a statistical one only if it fails), or None."""
        sharp = [claim for claim in self.claims if not (claim.statistical and claim.ok)]
        return max(sharp or self.claims, key=_severity, default=None)

    def raise_if_failed(self):
        """Raise `CheckFailed` with this report as its text unless everything holds. Returns the report."""
        if not self.ok:
            raise CheckFailed(str(self))
        return self

    # ---- showing -------------------------------------------------------------------------------------------------
    def __str__(self):
        columns = [max((len(text) for text in column), default=0)
                   for column in zip(*((c.subject, c.statement, c.detail) for c in self.claims))]
        findings = iter(self.findings)
        lines = [f"{self.title}: {'holds' if self.ok else 'FAILS'}"]
        for claim in self.claims:
            cells = [text.ljust(width) for text, width in zip((claim.subject, claim.statement, claim.detail), columns)
                     if width]
            lines.append("  ".join([f"  {_mark(claim)}", *cells, _sizes(claim)]))
            if not claim.ok:
                finding = next(findings)
                lines += [f"      {line}" for line in [*_table(finding.elements), f"→ {finding.diagnosis}"]]
        lines += [f"  {name} = {_number(value)}" for name, value in self.values.items()]
        return "\n".join(lines + [f"  note: {text}" for text in self.notes])

    def __repr__(self):
        return str(self)

    def _repr_html_(self):
        """What a notebook shows."""
        findings, rows = iter(self.findings), []
        for claim in self.claims:
            cells = [_mark(claim), claim.subject, claim.statement, claim.detail, _sizes(claim)]
            colour = "#1a7f37" if claim.ok else "#cf222e"
            rows.append(f'<tr style="color:{colour}">' + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>")
            if not claim.ok:
                finding = next(findings)
                body = html.escape("\n".join([*_table(finding.elements), f"→ {finding.diagnosis}"]))
                rows.append(f'<tr><td></td><td colspan="4"><pre>{body}</pre></td></tr>')
        notes = [f"<p>{html.escape(f'{n} = {_number(v)}')}</p>" for n, v in self.values.items()]
        notes += [f"<p><em>{html.escape(text)}</em></p>" for text in self.notes]
        title = html.escape(f"{self.title}: {self.verdict}")
        return f"<p><strong>{title}</strong></p><table>{''.join(rows)}</table>{''.join(notes)}"

    def plot(self, path=None):
        """Draw what there is to draw (matplotlib): curves of error against step, maps of errors or of dependencies.

        Saves to ``path`` if given. Returns the matplotlib figure. Raises ValueError if this report has no picture.
        """
        from minigen.check.plots import draw
        return draw(self, path)


def _severity(claim):
    """error / tolerance, with "cannot tell" worst of all."""
    if np.isnan(claim.error):
        return np.inf
    return claim.error / claim.tolerance if claim.tolerance > 0 else np.inf * claim.error if claim.error else 0.0


def _mark(claim):
    return "✓" if claim.ok else "?" if np.isnan(claim.error) else "✗"


def _sizes(claim):
    if np.isnan(claim.error):
        return "cannot tell"
    return f"error {claim.error:.1e}   tolerance {claim.tolerance:.1e}"


def _number(value):
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, (int, float, np.number)) else str(value)


def _table(elements):
    """The worst elements, in columns."""
    if not elements:
        return []
    rows = [("index", "yours", "ours", "numeric")]
    rows += [(str(list(e.index)), _number(e.yours), _number(e.ours), _number(e.numeric)) for e in elements[:SHOWN]]
    kept = [i for i in range(4) if any(row[i] for row in rows[1:])]
    rows = [[row[i] for i in kept] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["   ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows]
