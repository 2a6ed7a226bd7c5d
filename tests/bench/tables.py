"""Figures as aligned text."""
import math

from sides import NAMES, ratio_key


def align(rows, first):
    """Rows of cells as lines: the first cell on the left, ``first`` characters wide, the others on the right."""
    widths = [max(map(len, column)) + 2 for column in zip(*(row[1:] for row in rows))]
    return "\n".join((f"{row[0]:<{first}}" + "".join(f"{cell:>{w}}" for cell, w in zip(row[1:], widths))).rstrip()
                     for row in rows)


def number(value, digits):
    """A number, or a dash for one that is not there."""
    return "–" if value is None else f"{value:.{digits}f}"


def geometric_mean(values):
    """(∏ v)^(1/n), or None of nothing."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def comparison(rows, libraries):
    """The table of workloads, with the geometric mean of each column of ratios."""
    others = [library for library in libraries if library != "minigen"]
    head = ["workload", "minigen ms"]
    for library in others:
        head += [f"{NAMES[library]} ms", "ratio"]
    lines = [head + [f"{NAMES[library]} MB" for library in libraries]]
    for row in rows:
        cells = [row["workload"], number(row["minigen_ms"], 4)]
        for library in others:
            cells += [number(row.get(f"{library}_ms"), 4), number(row.get(ratio_key(library)), 2)]
        lines.append(cells + [number(row.get(f"{library}_mb"), 1) for library in libraries])
    if others and len(rows) > 1:
        lines.append(["geometric mean", ""])
        for library in others:
            lines[-1] += ["", number(geometric_mean(ratios(rows, library)), 2)]
        lines[-1] += [""] * len(libraries)
    return align(lines, 16)


def ratios(rows, library):
    """minigen's time over this library's, where both were measured."""
    return [row[ratio_key(library)] for row in rows if ratio_key(library) in row]


def imports(times):
    """One line of import times."""
    return "import           " + "   ".join(f"{NAMES[library]} {ms:.0f} ms" for library, ms in times.items())
