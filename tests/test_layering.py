"""The floors: a file imports from its own part or from floors below, never upward, never in a circle."""
import ast
import pathlib

import minigen

ROOT = pathlib.Path(minigen.__file__).parent
FLOORS = [                                                     # each floor: its parts, each a set of modules or folders
    [{"backend", "levers", "errors"}],
    [{"tensor", "primitive", "autograd"}],
    [{"ops"}],
    [{"functional"}, {"random"}, {"derivatives"}, {"__init__"}],
    [{"nn"}, {"distributions"}, {"check"}],
    [{"flows"}, {"samplers"}, {"data"}, {"viz"}],
    [{"models"}, {"metrics"}],
    [{"training"}],
    [{"recipes"}, {"museum"}],
    [{"cli", "__main__"}],
]
FLOOR = {name: i for i, floor in enumerate(FLOORS) for part in floor for name in part}
PART = {name: min(part) for floor in FLOORS for part in floor for name in part}


def module_name(path, root):
    """``minigen/ops/reduce.py`` → ``ops.reduce``; a package's ``__init__`` is the package itself."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports(path, root, top):
    """All modules below ``top`` that a file imports, wherever in the file: (line, module without the top name)."""
    found, known = [], {module_name(p, root) for p in root.rglob("*.py")}
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([top, *package[:len(package) + 1 - node.level]]) if node.level else ""
            base = ".".join(filter(None, [base, node.module]))
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.append((node.lineno, inner if inner.removeprefix(top + ".") in known else base))
    inside = [(line, name) for line, name in found if name == top or name.startswith(top + ".")]
    outside = {(line, name.split(".")[0]) for line, name in found if not (name == top or name.startswith(top + "."))}
    return [(line, name.removeprefix(top).lstrip(".") or "__init__") for line, name in inside], outside


def violations(root, top="minigen", floors=FLOORS):
    """Sentences, one for every import that breaks the plan."""
    broken, graph = [], {}
    for path in sorted(root.rglob("*.py")):
        module = module_name(path, root)
        part = module.split(".")[0]
        where = f"{path.relative_to(root)}"
        if part not in floors:
            broken.append(f"{where}: the part {part!r} has no floor; give it one in the plan")
            continue
        inside, outside = imports(path, root, top)
        for line, package in sorted(outside):
            if package in ("cupy", "cupyx") and module != "backend":
                broken.append(f"{where}:{line} imports {package}; only backend.py may")
        for line, other in inside:
            target = other.split(".")[0]
            if target not in floors:
                broken.append(f"{where}:{line} imports {other!r}, which has no floor")
            elif target != part and floors[target] > floors[part]:
                broken.append(f"{where}:{line} imports upward: {part} (floor {floors[part]}) from {target} (floor {floors[target]})")
            if other != module:
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


# ---- the test is tested: planted violations must be found ----------------------------------------------------------------
def plant(tmp_path, **files):
    root = tmp_path / "minigen"
    root.mkdir()
    for name, text in files.items():
        path = root / (name.replace("__in__", "/") + ".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return violations(root)


def test_a_clean_house_passes(tmp_path):
    assert plant(tmp_path, backend="import importlib\nimport cupy", tensor="from minigen import backend",
                 nn__in____init__="from minigen.nn.linear import Linear", nn__in__linear="from minigen.tensor import Tensor") == []


def test_an_upward_import_is_found(tmp_path):
    assert plant(tmp_path, tensor="from minigen import nn", nn__in____init__="") == [
        "tensor.py:1 imports upward: tensor (floor 1) from nn (floor 4)"]


def test_an_upward_import_inside_a_function_is_found(tmp_path):
    found = plant(tmp_path, nn__in____init__="", nn__in__linear="def f():\n    import minigen.models.base as b", models__in__base="")
    assert found == ["nn/linear.py:2 imports upward: nn (floor 4) from models (floor 6)"]


def test_a_relative_upward_import_is_found(tmp_path):
    found = plant(tmp_path, nn__in____init__="", nn__in__linear="from ..models import base\nfrom . import conv", nn__in__conv="",
                  models__in____init__="", models__in__base="")
    assert found == ["nn/linear.py:1 imports upward: nn (floor 4) from models (floor 6)"]


def test_importing_the_whole_package_from_below_is_found(tmp_path):
    assert plant(tmp_path, __init__="", nn__in__linear="import minigen as mg") == [
        "nn/linear.py:1 imports upward: nn (floor 4) from __init__ (floor 9)"]


def test_circles_are_found_within_a_part_and_across(tmp_path):
    found = plant(tmp_path, ops__in__shape="from minigen.ops.index import take", ops__in__index="from minigen.ops import shape",
                  ops__in____init__="")
    assert found == ["a circle of imports: ops.index → ops.shape → ops.index"]
    (tmp_path / "more").mkdir()
    found = plant(tmp_path / "more", tensor="from minigen import primitive", primitive="def f():\n    from minigen.tensor import Tensor")
    assert found == ["a circle of imports: primitive → tensor → primitive"]


def test_cupy_outside_the_backend_is_found(tmp_path):
    assert plant(tmp_path, tensor="def f():\n    import cupy.linalg") == ["tensor.py:2 imports cupy; only backend.py may"]
    (tmp_path / "more").mkdir()
    assert plant(tmp_path / "more", tensor="from cupyx.scipy import special") == ["tensor.py:1 imports cupyx; only backend.py may"]


def test_a_part_without_a_floor_is_found(tmp_path):
    assert plant(tmp_path, gadgets="") == ["gadgets.py: the part 'gadgets' has no floor; give it one in the plan"]
