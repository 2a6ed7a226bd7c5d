"""A drawing of the graph behind a Tensor: the ops that made it, from the leaves on the left to the result on the right.

The layout is that of Sugiyama, Tagawa and Toda (1981). A node's column is the length of the longest path to it, so every
arrow points right. An arrow that skips columns gets a waypoint in each, which takes room like a node. Within the columns,
points are sorted by the mean height of their neighbours, swept back and forth a few times, which keeps crossings few.
"""
import operator

from minigen.primitive import Node
from minigen.viz.figure import FAINT, INK, PALETTE, finish, new_figure


def _collect(root):
    """All leaves and Nodes behind a root, inputs before outputs."""
    seen, todo = {}, [root]
    while todo:
        item = todo.pop()
        if id(item) not in seen:
            seen[id(item)] = item
            todo.extend(item.sources if type(item) is Node else ())
    leaves = [item for item in seen.values() if type(item) is not Node]
    return leaves + sorted((n for n in seen.values() if type(n) is Node), key=operator.attrgetter("serial"))


def _columns(items):
    """Column of each item, by id; a leaf stands just left of its first use."""
    column, first_use = {}, {}
    for item in items:
        sources = item.sources if type(item) is Node else ()
        column[id(item)] = 1 + max((column[id(s)] for s in sources), default=-1)
        for source in sources:
            first_use[id(source)] = min(column[id(item)], first_use.get(id(source), column[id(item)]))
    return {id(item): column[id(item)] if type(item) is Node else first_use[id(item)] - 1 for item in items}


def _routes(items, column):
    """The arrows, each a list of points from source to target: ids, and (source, target, column) for waypoints."""
    routes = []
    for item in items:
        for source in dict.fromkeys(item.sources if type(item) is Node else ()):
            between = range(column[id(source)] + 1, column[id(item)])
            routes.append([id(source), *((id(source), id(item), c) for c in between), id(item)])
    return routes


def _heights(items, column, routes):
    """Height of every point, centred on 0, one unit apart within its column."""
    where = {**column, **{p: p[2] for route in routes for p in route[1:-1]}}
    left, right, columns = {p: [] for p in where}, {p: [] for p in where}, {}
    for route in routes:
        for a, b in zip(route, route[1:]):
            left[b].append(a)
            right[a].append(b)
    for p, c in where.items():
        columns.setdefault(c, []).append(p)
    height = {}

    def settle(points):
        for k, p in enumerate(points):
            height[p] = (len(points) - 1) / 2 - k

    for points in columns.values():
        settle(points)
    for sweep in range(8):
        neighbours = right if sweep % 2 else left
        for c in sorted(columns, reverse=sweep % 2 == 1):
            def mean(p):
                near = neighbours[p]
                return -sum(height[n] for n in near) / len(near) if near else -height[p]
            columns[c].sort(key=mean)
            settle(columns[c])
    return where, height


def _label(item):
    shape = "scalar" if item.shape == () else " × ".join(map(str, item.shape))
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
    routes = _routes(items, column)
    where, height = _heights(items, column, routes)
    tall, wide = 2 * max(map(abs, height.values())) + 1, max(where.values()) + 1
    figure = new_figure(1.3 * wide + 0.3, 0.72 * tall + (0.45 if title else 0.2))
    axes = figure.add_subplot()
    axes.set_axis_off()
    for route in routes:
        xs, ys = [where[p] for p in route], [height[p] for p in route]
        axes.plot(xs[:-1], ys[:-1], color=FAINT, linewidth=1.2, zorder=1)
        axes.annotate("", xy=(xs[-1] - 0.27, ys[-1]), xytext=(xs[-2], ys[-2]), zorder=1,
                      arrowprops={"arrowstyle": "-|>", "color": FAINT, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0})
    for item in items:
        leaf = type(item) is not Node
        colour = PALETTE[0] if leaf else PALETTE[1] if item is tensor.node else "#f2f2f2"
        axes.text(where[id(item)], height[id(item)], _label(item), ha="center", va="center", fontsize=8, zorder=2,
                  color="white" if leaf else INK,
                  bbox={"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": FAINT, "linewidth": 0.8})
    axes.set_xlim(-0.55, wide - 0.45)
    axes.set_ylim(-tall / 2, tall / 2)
    if title:
        axes.set_title(title, fontsize=10, color=INK)
    return finish(figure, path)
