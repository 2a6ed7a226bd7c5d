"""A drawing of the graph behind a Tensor: the ops that made it, from the leaves on the left to the result on the right.

The layout is that of Sugiyama, Tagawa and Toda (1981). A node's column is the length of the longest path to it, so that
every arrow points right. An arrow that skips columns gets a waypoint in each, which takes room like a node. Points are
sorted within their columns by the mean height of their neighbours, swept back and forth a few times, which keeps
crossings few. Last, each column moves to the heights nearest to m, the means of its neighbours, one unit apart or more:

    minimise Σ_i (h_i − m_i)²   subject to   h_i ≥ h_{i+1} + 1,                                                 (1)

which straightens long arrows. With u_i = h_i + i the constraint reads u_i ≥ u_{i+1}: (1) is the projection on falling
sequences, found in one pass by pooling adjacent violators (Ayer, Brunk, Ewing, Reid and Silverman 1955).
"""
import operator

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from minigen.primitive import Node
from minigen.viz.figure import FAINT, INK, PALETTE, finish

ROW, BETWEEN, MARGIN = 0.62, 0.5, 0.15                 # inches: from row to row, between two columns, around it all
BOX, PADDING, HEAD = 0.4, 0.16, 0.1                    # inches: a box's height, room beside its text, an arrow's head
FONT = 8                                               # points
LEAF, RESULT, PLAIN = PALETTE[0], PALETTE[1], "#f2f2f2"


def draw_graph(tensor, path=None, title=None, limit=150):
    """Draw the ops and leaves that ``tensor`` was computed from: leaves in blue, the result in orange.

    Leaves are shown by their ``name``. Constants take no gradient, so they are not in the graph. Raises ValueError if
    the tensor has no history, if a backward pass has freed it, or if it is longer than ``limit`` nodes.
    """
    if tensor.node is None:
        raise ValueError(f"draw_graph: this tensor {tensor.shape} was not computed from anything that requires grad")
    items = _collect(tensor.node)
    if len(items) > limit:
        raise ValueError(f"draw_graph: {len(items)} nodes are too many to read (limit={limit}); draw a smaller model")
    column = _columns(items)
    routes = _routes(items, column)
    where, height = _heights(column, routes)
    lefts, rights = _edges(items, column)
    lowest = min(height.values())
    up = {point: MARGIN + BOX / 2 + ROW * (h - lowest) for point, h in height.items()}          # inches from the bottom
    across, down = rights[-1] + MARGIN, max(up.values()) + BOX / 2 + MARGIN + (0.25 if title else 0)
    figure = Figure(figsize=(across, down))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, across), ylim=(0, down))                      # one unit is an inch
    axes.set_axis_off()
    for route in routes:
        _draw_arrow(axes, [(where[p], up[p]) for p in route], lefts, rights)
    for item in items:
        c = column[id(item)]
        _draw_box(axes, item, lefts[c], rights[c], up[id(item)],
                  LEAF if type(item) is not Node else RESULT if item is tensor.node else PLAIN)
    if title:
        axes.text(MARGIN, down - MARGIN, title, fontsize=10, color=INK, va="top")
    return finish(figure, path)


def _collect(root):
    """All leaves and Nodes behind a root, inputs before outputs."""
    seen, todo = {}, [root]
    while todo:
        item = todo.pop()
        if type(item) is Node and item.edges is None:
            raise ValueError("draw_graph: a backward pass has freed this graph; draw it before, or give it "
                             "retain_graph=True")
        if id(item) not in seen:
            seen[id(item)] = item
            todo.extend(_sources(item))
    leaves = [item for item in seen.values() if type(item) is not Node]
    return leaves + sorted((n for n in seen.values() if type(n) is Node), key=operator.attrgetter("serial"))


def _sources(item):
    return item.sources if type(item) is Node else []


# ---- layout ----------------------------------------------------------------------------------------------------------
def _columns(items):
    """Column of each item, by id; a leaf stands just left of its first use."""
    column, first_use = {}, {}
    for item in items:
        column[id(item)] = 1 + max((column[id(s)] for s in _sources(item)), default=-1)
        for source in _sources(item):
            first_use[id(source)] = min(column[id(item)], first_use.get(id(source), column[id(item)]))
    return {id(item): column[id(item)] if type(item) is Node else first_use[id(item)] - 1 for item in items}


def _routes(items, column):
    """The arrows, each a list of points from source to target: ids, and (source, column) for waypoints.

    Arrows from one source share their waypoints, so that a leaf used in many places is one line with branches.
    """
    routes = []
    for item in items:
        for source in {id(s): s for s in _sources(item)}:                          # h · h is one arrow
            routes.append([source, *((source, c) for c in range(column[source] + 1, column[id(item)])), id(item)])
    return routes


def _heights(column, routes):
    """({point: column}, {point: height}), at least one unit apart within a column."""
    where = {**column, **{p: p[1] for route in routes for p in route[1:-1]}}
    left, right, columns = {p: [] for p in where}, {p: [] for p in where}, {}
    for a, b in dict.fromkeys(pair for route in routes for pair in zip(route, route[1:])):
        left[b].append(a)
        right[a].append(b)
    for p, c in where.items():
        columns.setdefault(c, []).append(p)
    height = {p: -i for points in columns.values() for i, p in enumerate(points)}

    def wish(p, near):
        return sum(height[n] for n in near) / len(near) if near else height[p]

    for sweep in range(8):                                                         # sort
        near = right if sweep % 2 else left
        for c in sorted(columns, reverse=sweep % 2 == 1):
            columns[c].sort(key=lambda p: -wish(p, near[p]))
            height.update((p, (len(columns[c]) - 1) / 2 - i) for i, p in enumerate(columns[c]))
    for sweep in range(8):                                                         # straighten
        for c in sorted(columns, reverse=sweep % 2 == 0):
            wishes = [wish(p, left[p] + right[p]) for p in columns[c]]
            height.update(zip(columns[c], _apart(wishes)))
    return where, height


def _apart(wishes):
    """The heights nearest to these, in this order from the top, one unit apart or more. Eq. (1)."""
    pools = []                                                                     # [sum, count] of equal u
    for i, m in enumerate(wishes):
        pools.append([m + i, 1])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] < pools[-1][0] * pools[-2][1]:         # the mean rises
            total, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += count
    u = [total / count for total, count in pools for _ in range(count)]
    return [value - i for i, value in enumerate(u)]


def _edges(items, column):
    """Left and right edges of the boxes of each column, in inches: all as wide as the longest label there asks."""
    widths = [0.0] * (1 + max(column.values()))
    for item in items:
        wide = max(TextPath((0, 0), line, size=FONT).get_extents().width for line in _label(item)) / 72 + 2 * PADDING
        widths[column[id(item)]] = max(widths[column[id(item)]], wide)
    lefts = [MARGIN + sum(widths[:c]) + BETWEEN * c for c in range(len(widths))]
    return lefts, [left + width for left, width in zip(lefts, widths)]


# ---- drawing ---------------------------------------------------------------------------------------------------------
def _label(item):
    return (item.op.name if type(item) is Node else item.name or "leaf"), str(item.shape)


def _draw_box(axes, item, left, right, y, colour):
    """A box around the item's name and shape, centred at height y."""
    plain = colour == PLAIN
    axes.add_patch(FancyBboxPatch((left, y - BOX / 2), right - left, BOX, boxstyle="round,pad=0,rounding_size=0.07",
                                  facecolor=colour, edgecolor=FAINT if plain else colour, linewidth=0.8))
    ink = "white" if colour == LEAF else INK
    for line, offset, size in zip(_label(item), (0.075, -0.085), (FONT, FONT - 1)):
        axes.text((left + right) / 2, y + offset, line, fontsize=size, color=ink, ha="center", va="center")


def _draw_arrow(axes, points, lefts, rights):
    """An arrow through points (column, y): level across the columns, curved between them."""
    vertices, codes = [(rights[points[0][0]], points[0][1])], [Path.MOVETO]
    for (a, y_a), (b, y_b) in zip(points, points[1:]):
        end = lefts[b] - (HEAD if b == points[-1][0] else 0)
        middle = (rights[a] + end) / 2
        vertices += [(middle, y_a), (middle, y_b), (end, y_b), (rights[b], y_b)]
        codes += [Path.CURVE4] * 3 + [Path.LINETO]                                 # the last LINETO would cross the box
    axes.add_patch(PathPatch(Path(vertices[:-1], codes[:-1]), facecolor="none", edgecolor=FAINT, linewidth=1.2))
    x, y = vertices[-2]
    axes.add_patch(Polygon([(x + HEAD, y), (x, y + HEAD / 2.5), (x, y - HEAD / 2.5)], facecolor=FAINT, linewidth=0))
