"""How the cost of a step grows: with the batch, the width, the side of an image, the depth of a graph.

A cost c · sᵏ is a straight line in log s, so its exponent k is the slope of the least-squares line through
(log s, log ms). Small steps are mostly overhead, which does not grow, so the slope over all sizes is below that of the
largest ones; a library with less overhead therefore has the steeper line. Both slopes are given.
"""
import dataclasses

import numpy as np

from sides import NAMES, compare
from tables import align, number

LARGEST = 3                              # sizes that the second slope is fitted to


@dataclasses.dataclass
class Series:
    """A workload whose ``setting`` takes several sizes, beside fixed settings."""
    workload: str
    setting: str
    sizes: tuple
    fixed: dict = dataclasses.field(default_factory=dict)


SERIES = {
    "batch": Series("vae_mlp", "batch", (16, 32, 64, 128, 256, 512, 1024)),
    "width": Series("vae_mlp", "width", (64, 128, 256, 512, 1024, 2048)),
    "side": Series("ebm_conv", "side", (14, 28, 56, 112), {"steps": 1}),
    "depth": Series("chain", "depth", (10, 100, 1000, 10_000)),
}


def exponent(sizes, milliseconds):
    """k of the best c · sᵏ: the least-squares slope in log–log coordinates."""
    return float(np.polyfit(np.log(sizes), np.log(milliseconds), 1)[0])


def measure(name, libraries, threads, turns, seconds):
    """One series: {"series", "workload", "sizes", and for each library "…_ms", "…_exponent", "…_exponent_largest"}."""
    series = SERIES[name]
    rows = [compare(series.workload, libraries, threads, turns, seconds, {**series.fixed, series.setting: size})
            for size in series.sizes]
    result = {"series": name, "workload": series.workload, "sizes": list(series.sizes)}
    for library in libraries:
        times = [row[f"{library}_ms"] for row in rows]
        result |= {f"{library}_ms": times, f"{library}_exponent": exponent(series.sizes, times),
                   f"{library}_exponent_largest": exponent(series.sizes[-LARGEST:], times[-LARGEST:])}
    return result


def table(result, libraries):
    """One series as aligned text."""
    head, others = [result["series"]], libraries[1:]
    for library in libraries:
        head += [f"{NAMES[library]} ms"] + (["ratio"] if library in others else [])
    lines = [head]
    for i, size in enumerate(result["sizes"]):
        cells = [str(size)]
        for library in libraries:
            cells.append(number(result[f"{library}_ms"][i], 3))
            if library in others:
                cells.append(number(result["minigen_ms"][i] / result[f"{library}_ms"][i], 2))
        lines.append(cells)
    for label, key in (("exponent", "exponent"), (f"of the last {LARGEST}", "exponent_largest")):
        cells = [label]
        for library in libraries:
            cells += [number(result[f"{library}_{key}"], 2)] + ([""] if library in others else [])
        lines.append(cells)
    return f"{result['workload']}, by {result['series']}\n" + align(lines, 16)
