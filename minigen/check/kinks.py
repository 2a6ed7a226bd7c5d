"""Where a function has no derivative: telling of kinks, ties, jumps and edges, and of the op that causes them.

|x| at 0, a tie in max, relu at 0: there the slopes from the left and from the right differ, and every value between
them is a valid choice. So such elements are reported and left out of comparisons, never called wrong.
"""
from minigen.check import mistakes

__all__ = ["kinked_ops", "tell_of_kinks"]

TOLD = 3                          # kinks described one by one


def tell_of_kinks(report, form, kinks):
    """One note for each of the first kinks, one for the rest. ``kinks``: (input, index) -> (`Slope`, yours or None)."""
    if not kinks:
        return
    culprits = kinked_ops(mistakes.record(form.subject, form.c))
    by = f" (of {' or '.join(culprits)})" if culprits else ""
    for (k, index), (seen, yours) in list(kinks.items())[:TOLD]:
        place = f"{form.subject.names[k]}{list(index) if index else ''} = {form.subject.point[k][index]:.6g}"
        if seen.kind == "kink":
            choice = f"ours, {form.gradients[k][index]:.4g}"
            choice += ", lies between" if yours is None else f", and yours, {yours:.4g}, are both valid choices"
            report.note(f"{place} is at a kink or tie{by}: slope {seen.left:.4g} from the left, {seen.right:.4g} from "
                        f"the right; {choice}")
        elif seen.kind == "jump":
            report.note(f"{place} is at a jump{by}: there is no derivative to compare with")
        else:
            report.note(f"{place} is at the edge of where {form.subject.name} is finite, so it was not compared")
    if len(kinks) > TOLD:
        report.note(f"{len(kinks) - TOLD} more elements like these")


def _zero(name):
    return lambda v: (v[name] == 0).any()


def _tied(v):
    return (v["x"] == v["out"]).sum() > v["out"].size


def _equal(v):
    return (v["x"] == v["y"]).any()


_SITS_ON_IT = {"abs": _zero("x"), "leaky_relu": _zero("x"), "relu": _zero("out"), "norm": _zero("out"),
               "std": _zero("out"), "max": _tied, "min": _tied, "maximum": _equal, "minimum": _equal,
               "clip": lambda v: (v["x"] == v["out"]).any()}
_MAY = {"floor", "ceil", "round", "sign", "where", "sort", "floor_divide", "remainder"}


def kinked_ops(graph):
    """Names of the ops in a `mistakes.Graph` (or None) that have a kink, a tie or a jump, and may be sitting on it."""
    names = set()
    for node, _, (_, _, derivative, values) in graph.edges if graph else ():
        test = _SITS_ON_IT.get(node.op.name)
        known = dict(zip(derivative.wants, values))
        if node.op.name in _MAY or test and (not {"x", "y", "out"} & set(known) or test(known)):
            names.add(node.op.name)
    return sorted(names)
