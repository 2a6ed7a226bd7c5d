"""What a mistake looks like: try the simple explanations, the most plausible first; keep one if it explains everything.

A *relation* is a function ``(case) -> Diagnosis or None``. It may only speak when its hypothesis reproduces all of
yours from ours, to the precision in which yours arrived; a coincidence is then out of the question. Where no relation
speaks, the answer is "no simple relation found", never a guess. The relations between arrays are in
`minigen.check.relations` and `minigen.check.parts`; `minigen.check.mistakes` goes back to the graph of f, and repeats
the backward pass with one mistake planted after another.
"""
import numpy as np

from minigen.check import relations
from minigen.check.case import Case
from minigen.check.report import NOTHING

__all__ = ["Case", "diagnose"]

SHARP = 3e-6         # relative precision that float32 arithmetic usually keeps


def diagnose(case):
    """The first relation that explains the whole disagreement, or `NOTHING`."""
    if case.rtol > SHARP and case.loud(case.ours).sum() < 3:       # a few imprecise numbers agree with too much
        case = case.with_ours(case.ours, rtol=SHARP, floor=case.floor * SHARP / case.rtol)
    with np.errstate(all="ignore"):
        for relation in relations.IN_ORDER:
            found = relation(case)
            if found is not None:
                return found
    return NOTHING
