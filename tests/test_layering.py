"""The floors: a file imports from its own part or from floors below, never upward, never in a circle. And layout."""
import ast
import pathlib

import pytest

import minigen

ROOT = pathlib.Path(minigen.__file__).parent
FLOORS = [                                             # lowest first; the parts of a floor do not see each other
    [{"backend", "levers", "errors", "threads", "native", "cache"}],
    [{"tensor", "primitive", "autograd"}],
    [{"ops"}],
    [{"random", "functional", "derivatives"}],
    [{"nn"}, {"distributions"}, {"check"}],
    [{"flows"}, {"samplers"}, {"data"}, {"viz"}],
    [{"models"}, {"metrics"}],
    [{"training"}],
    [{"recipes"}, {"museum"}],
    [{"cli", "__main__", "command", "demo", "doctor"}],
]
FLOOR = {name: i for i, floor in enumerate(FLOORS) for part in floor for name in part}
PART = {name: min(part) for floor in FLOORS for part in floor for name in part}
PACKAGE = 3                      # ``import minigen as mg`` brings what __init__ loads at once: all up to this floor
NEIGHBOURS = {("check", "distributions")}     # the one exception: the tutor knows distributions, for their divergences
SEPARATE = {"cupy", "cupyx"}     # for backend.py alone


def module_name(path, root):
    """``minigen/ops/reduce.py`` → ``ops.reduce``. An ``__init__`` is its package; the root's is ``""``."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path, root, known):
    """What a file imports, anywhere in it: (line, full name). ``mg.nn`` after ``import minigen as mg`` counts too."""
    tree, nicknames = ast.parse(path.read_text(encoding="utf-8")), set()
    package = path.relative_to(root.parent).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
            nicknames |= {alias.asname or alias.name for alias in node.names if alias.name == root.name}
        elif isinstance(node, ast.ImportFrom):
            start = package[:len(package) + 1 - node.level] if node.level else ()
            base = ".".join(filter(None, [*start, node.module]))
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield node.lineno, inner if inner.partition(".")[2] in known else base
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in nicknames:
            if node.attr in PART and node.attr in known:
                yield node.lineno, f"{root.name}.{node.attr}"


def complaint(module, other):
    """Why ``module`` may not import ``other`` (names below the package), or None."""
    part, target = module.split(".")[0], other.split(".")[0]
    if not module:
        return None if not target or FLOOR[target] <= PACKAGE else f"loads {target} (floor {FLOOR[target]}) at once"
    if not target:
        return None if FLOOR[part] > PACKAGE else "imports the whole package from below"
    if PART[part] == PART[target] or FLOOR[target] < FLOOR[part] or (part, target) in NEIGHBOURS:
        return None
    how = "upward" if FLOOR[target] > FLOOR[part] else "sideways"
    return f"imports {how}: {part} (floor {FLOOR[part]}) from {target} (floor {FLOOR[target]})"


def violations(root):
    """Sentences, one for every import that breaks the plan."""
    paths = sorted(root.rglob("*.py"))
    known = {module_name(path, root) for path in paths}
    homeless = sorted({name.split(".")[0] for name in known if name} - set(FLOOR))
    if homeless:
        return [f"the part {part!r} has no floor; give it one in the plan" for part in homeless]
    broken, graph = [], {}
    for path in paths:
        module, where = module_name(path, root), path.relative_to(root)
        for line, name in sorted(set(imports(path, root, known))):
            top, _, other = name.partition(".")
            if top in SEPARATE and module != "backend":
                broken.append(f"{where}:{line} imports {top}; only backend.py may")
            if top != root.name:
                continue
            while other and other not in known:                          # a function, not a module
                other = other.rpartition(".")[0]
            reason = complaint(module, other)
            broken += [f"{where}:{line} {reason}"] if reason else []
            if other != module and other:
                graph.setdefault(module, set()).add(other)
    return broken + [f"a circle of imports: {' → '.join(circle)}" for circle in circles(graph)]


def circles(graph):
    """Every module that can reach itself through ``graph``, told once as a path."""
    found, told = [], set()
    for start in sorted(graph):
        stack, seen = [(start, (start,))], set()
        while stack:
            module, path = stack.pop()
            for other in sorted(graph.get(module, ())):
                if other == start and frozenset(path) not in told:
                    told.add(frozenset(path))
                    found.append((*path, start))
                elif other not in seen:
                    seen.add(other)
                    stack.append((other, (*path, other)))
    return found


def test_imports_keep_to_the_floors():
    assert violations(ROOT) == []


# ---- the test is tested: planted violations must be found ------------------------------------------------------------
def plant(tmp_path, **files):
    """The violations of a small package: ``nn__linear="…"`` is the text of nn/linear.py."""
    root = tmp_path / "minigen"
    for name, text in {"_init": "", **files}.items():
        path = root / (name.replace("__", "/").replace("_init", "__init__") + ".py")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return violations(root)


def test_a_clean_house_passes(tmp_path):
    assert plant(tmp_path,
                 _init="from minigen import tensor\nfrom minigen.backend import use",
                 backend="import cupy, importlib",
                 tensor="from minigen import backend\nimport numpy as np",
                 nn___init="from minigen.nn.linear import Linear",
                 nn__linear="import minigen as mg\nfrom minigen.tensor import Tensor\ny = mg.exp(1)",
                 models___init="import minigen as mg\nlayer = mg.nn.Linear") == []


UPWARD = "imports upward: nn (floor 4) from models (floor 6)"
PLANTED = {
    "a plain upward import": (dict(tensor="from minigen import nn", nn__linear="", nn___init=""),
                              "tensor.py:1 imports upward: tensor (floor 1) from nn (floor 4)"),
    "inside a function": (dict(nn__linear="def f():\n    import minigen.models.base as b", models__base=""),
                          f"nn/linear.py:2 {UPWARD}"),
    "a relative one": (dict(nn__linear="from . import conv\nfrom ..models import base", nn__conv="", models__base=""),
                       f"nn/linear.py:2 {UPWARD}"),
    "a name from a module": (dict(nn__linear="from minigen.models.base import Objective", models__base=""),
                             f"nn/linear.py:1 {UPWARD}"),
    "a lazy attribute": (dict(nn__linear="import minigen as mg\n\ndef f():\n    mg.models.base", models___init=""),
                         f"nn/linear.py:4 {UPWARD}"),
    "the same floor": (dict(nn__linear="from minigen.check import gradients", check__gradients="", check___init=""),
                       "nn/linear.py:1 imports sideways: nn (floor 4) from check (floor 4)"),
    "the whole package": (dict(ops__shape="import minigen as mg"),
                          "ops/shape.py:1 imports the whole package from below"),
    "too much at once": (dict(_init="from minigen import nn", nn___init=""),
                         "__init__.py:1 loads nn (floor 4) at once"),
    "a circle in a part": (dict(ops___init="", ops__shape="from minigen.ops.index import take",
                                ops__index="from minigen.ops import shape"),
                           "a circle of imports: ops.index → ops.shape → ops.index"),
    "a circle in a function": (dict(tensor="from minigen import primitive",
                                    primitive="def f():\n    from minigen.tensor import Tensor"),
                               "a circle of imports: primitive → tensor → primitive"),
    "cupy": (dict(tensor="def f():\n    import cupy.linalg"), "tensor.py:2 imports cupy; only backend.py may"),
    "cupyx": (dict(ops__linalg="from cupyx.scipy import special"),
              "ops/linalg.py:1 imports cupyx; only backend.py may"),
    "a part without a floor": (dict(gadgets=""), "the part 'gadgets' has no floor; give it one in the plan"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_violation_is_found(what, tmp_path):
    files, expected = PLANTED[what]
    assert plant(tmp_path, **files) == [expected]


def test_a_circle_of_three_is_told_once(tmp_path):
    found = plant(tmp_path, ops__a="from minigen.ops import b", ops__b="from minigen.ops import c",
                  ops__c="from minigen.ops import a", ops___init="from minigen.ops import a, b, c")
    assert found == ["a circle of imports: ops.a → ops.b → ops.c → ops.a"]


def test_lines_can_be_read_without_scrolling():
    """At most 120 characters, in the package and beside it."""
    top = ROOT.parent
    files = [path for folder in ("minigen", "tests", "demos") for path in sorted((top / folder).rglob("*.*"))
             if path.suffix in (".py", ".c", ".h")]
    long = [f"{path.relative_to(top)}:{number}" for path in files
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if len(line) > 120]
    assert files and not long, f"lines of more than 120 characters: {', '.join(long)}"
