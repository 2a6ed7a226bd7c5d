"""A drawing of the graph behind a Tensor: the ops that made it, from the leaves on the left to the result on the right.

A node's column is the length of the longest path to it from a leaf, so every arrow points to the right. Within a column,
nodes are ordered by the average height of what they stand on, swept a few times (the barycentre heuristic of Sugiyama,
Tagawa and Toda, 1981), which keeps crossings few.
"""
import operator

from minigen.primitive import Node
from minigen.viz.figure import FAINT, INK, PALETTE, finish, new_figure


def _collect(root):
    """All Nodes and leaves behind a root, inputs before outputs."""
    seen, todo = {}, [root]
    while todo:
        item = todo.pop()
        if id(item) not in seen:
            seen[id(item)] = item
            todo.extend(item.sources if type(item) is Node else ())
    leaves = [item for item in seen.values() if type(item) is not Node]
    return leaves + sorted((n for n in seen.values() if type(n) is Node), key=operator.attrgetter("serial"))


def _columns(items):
    """Column of each item, by id: leaves stand just left of their first use."""
    column = {}
    for item in items:
        sources = item.sources if type(item) is Node else ()
        column[id(item)] = 1 + max((column[id(s)] for s in sources), default=-1)
    for item in reversed(items):
        if type(item) is not Node:
            uses = [column[id(n)] for n in items if type(n) is Node and any(s is item for s in n.sources)]
            column[id(item)] = min(uses, default=1) - 1
    return column


def _heights(items, column):
    """Vertical position of each item, by id, in [0, 1]."""
    groups = {}
    for item in items:
        groups.setdefault(column[id(item)], []).append(item)
    height = {id(item): (k + 0.5) / len(group) for group in groups.values() for k, item in enumerate(group)}
    users = {id(item): [n for n in items if type(n) is Node and any(s is item for s in n.sources)] for item in items}
    for sweep in range(6):
        for c in sorted(groups, reverse=sweep % 2 == 1):
            def neighbours(item):
                near = users[id(item)] if sweep % 2 else (item.sources if type(item) is Node else [])
                return sum(height[id(n)] for n in near) / len(near) if near else height[id(item)]
            groups[c].sort(key=neighbours)
            for k, item in enumerate(groups[c]):
                height[id(item)] = (k + 0.5) / len(groups[c])
    return height


def _label(item):
    shape = "×".join(map(str, item.shape)) or "scalar"
    return (item.op.name if type(item) is Node else item.name or "leaf") + f"\n{shape}"


def draw_graph(tensor, path=None, title=None, limit=150):
    """Draw the ops and leaves that ``tensor`` was computed from: leaves that take a gradient in blue, the result in orange.

    Constants take no gradient, so they are not in the graph. Raises ValueError if the tensor has no history, or one of
    more than ``limit`` nodes.
    """
    if tensor.node is None:
        raise ValueError(f"draw_graph: this tensor {tensor.shape} was not computed from anything that requires grad")
    items = _collect(tensor.node)
    if len(items) > limit:
        raise ValueError(f"draw_graph: {len(items)} nodes are too many to read (limit={limit}); draw a smaller model")
    column = _columns(items)
    height = _heights(items, column)
    rows = max(sum(c == k for c in column.values()) for k in set(column.values()))
    figure = new_figure(1.25 * (max(column.values()) + 1) + 0.4, max(0.75 * rows, 1.2) + (0.3 if title else 0))
    axes = figure.add_subplot()
    axes.set_axis_off()
    place = {key: (column[key], height[key] * rows) for key in column}
    for item in items:
        for source in item.sources if type(item) is Node else ():
            axes.annotate("", xy=place[id(item)], xytext=place[id(source)],
                          arrowprops={"arrowstyle": "-|>", "color": FAINT, "shrinkA": 24, "shrinkB": 24, "lw": 1.2})
    for item in items:
        colour = PALETTE[0] if type(item) is not Node else PALETTE[1] if item is tensor.node else "#f2f2f2"
        ink = "white" if type(item) is not Node else INK
        axes.text(*place[id(item)], _label(item), ha="center", va="center", fontsize=8, color=ink,
                  bbox={"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": FAINT, "linewidth": 0.8})
    axes.set_xlim(-0.6, max(column.values()) + 0.6)
    axes.set_ylim(-0.1, rows + 0.1)
    if title:
        axes.set_title(title, fontsize=10, color=INK)
    return finish(figure, path)
