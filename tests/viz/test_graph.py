"""The drawing of a graph: what it shows, and that its layout keeps its promises."""
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch, Polygon
from scipy.optimize import minimize

import minigen as mg
from minigen.viz import draw_graph, graph as g
from minigen.viz.figure import PALETTE


def leaf(name=None, shape=(3,)):
    tensor = mg.tensor(np.ones(shape, np.float32), requires_grad=True)
    tensor.name = name
    return tensor


def example():
    """y = h² + x eʰ with h = tanh(x w + b): 3 leaves, 7 nodes."""
    x, w, b = leaf("x"), leaf("w"), leaf("b")
    h = mg.tanh(x * w + b)
    return h * h + x * mg.exp(h)


def layout(tensor):
    """(items, routes, columns, heights) of a drawing."""
    items = g._collect(tensor.node)
    column = g._columns(items)
    routes = g._routes(items, column)
    return items, routes, *g._heights(column, routes)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def assert_layout_keeps_its_promises(tensor):
    items, routes, where, height = layout(tensor)
    edges = {(id(s), id(item)) for item in items for s in g._sources(item)}
    assert {(route[0], route[-1]) for route in routes} == edges and len(routes) == len(edges)
    for route in routes:                                                # every arrow goes right, through every column
        assert [where[p] for p in route] == list(range(where[route[0]], where[route[-1]] + 1)) and len(route) > 1
    by_column = {}
    for p, c in where.items():
        by_column.setdefault(c, []).append(height[p])
    for heights in by_column.values():                                  # no two boxes or lines touch
        assert np.all(np.diff(sorted(heights)) > 1 - 1e-9)
    assert {id(item) for item in items} <= set(where) and min(where.values()) == 0


# ---- what it shows ---------------------------------------------------------------------------------------------------
def test_every_op_and_leaf_is_drawn_once(tmp_path):
    figure = draw_graph(example(), tmp_path / "graph.png", title="y")
    names = texts(figure)
    assert sorted(names) == sorted(["x", "w", "b", "multiply", "add", "tanh", "multiply", "exp", "multiply", "add"]
                                   + ["(3,)"] * 10 + ["y"])
    boxes = [p for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]
    colours = [to_hex(p.get_facecolor()) for p in boxes]
    assert (colours.count(PALETTE[0].lower()), colours.count(PALETTE[1].lower()), len(colours)) == (3, 1, 10)
    heads = [p for p in figure.axes[0].patches if isinstance(p, Polygon)]
    assert len(heads) == 11                                             # h · h is one arrow: 12 edges less one
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")


def test_boxes_do_not_overlap_and_lie_inside():
    figure = draw_graph(example(), title="y")
    boxes = [p.get_bbox() for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]
    for i, a in enumerate(boxes):
        assert 0 <= a.x0 and a.x1 <= figure.get_figwidth() and 0 <= a.y0 and a.y1 <= figure.get_figheight() - 0.25
        assert not any(a.overlaps(b) for b in boxes[i + 1:])


def test_labels_fit_their_boxes():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    figure = draw_graph(mg.sum(leaf("a parameter with a very long name", (128, 784)) * 2.0))
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [p.get_window_extent(renderer) for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]
    for text in figure.axes[0].texts:
        t = text.get_window_extent(renderer)
        assert any(b.x0 <= t.x0 and t.x1 <= b.x1 and b.y0 <= t.y0 and t.y1 <= b.y1 for b in boxes), text


def test_names_and_shapes():
    names = texts(draw_graph(mg.sum(leaf(None, (2, 3)) * leaf("encoder.weight", (2, 3)))))
    assert {"leaf", "encoder.weight", "(2, 3)", "()", "sum"} <= set(names)


def test_constants_are_left_out():
    assert sorted(texts(draw_graph(leaf("x") + mg.tensor([1.0, 2.0, 3.0])))) == ["(3,)", "(3,)", "add", "x"]


def test_the_loss_of_a_model():
    from minigen.models.latent import VAE
    model = VAE(event_shape=(6,), latents=2, hidden=(5,), rng=0)
    parameters = dict(model.named_parameters())                          # listing names them, as an optimiser does
    loss = -mg.mean(model.elbo(mg.tensor(np.full((4, 6), 0.5, np.float32)), rng=mg.random.default_rng(0)))
    names = texts(draw_graph(loss))
    assert set(parameters) <= set(names)
    assert_layout_keeps_its_promises(loss)


# ---- layout ----------------------------------------------------------------------------------------------------------
def test_the_example_keeps_the_promises():
    assert_layout_keeps_its_promises(example())


def test_a_leaf_stands_just_left_of_its_first_use():
    x, late = leaf(), leaf()
    y = mg.exp(mg.exp(mg.exp(x)))
    items, _, where, _ = layout(y + late)
    assert where[id(late)] == where[id(y.node)] and where[id(x)] == 0


def test_a_chain_is_a_straight_line():
    y = x = leaf()
    for _ in range(100):
        y = mg.sin(y)
    _, routes, where, height = layout(y)
    assert where[id(y.node)] == 100 and where[id(x)] == 0 and set(height.values()) == {0}


def test_a_very_long_chain_needs_no_recursion():
    y = leaf()
    for _ in range(5000):
        y = mg.sin(y)
    assert len(g._collect(y.node)) == 5001


def test_arrows_from_one_source_share_their_way():
    x = y = leaf()
    for _ in range(10):
        y = mg.sin(y) + x
    _, _, where, _ = layout(y)
    assert len(where) == 1 + 20 + 19                                    # leaf, nodes, one waypoint a column between
    assert_layout_keeps_its_promises(y)


@hypothesis.given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=20))
def test_any_graph_keeps_the_promises(pairs):
    made = [leaf(), leaf(), leaf()]
    for i, j in pairs:
        made.append(made[i % len(made)] + made[j % len(made)])
    assert_layout_keeps_its_promises(made[-1])


@hypothesis.given(st.lists(st.floats(-5, 5), min_size=1, max_size=7))
def test_apart_is_the_nearest_feasible_point(wishes):
    """Eq. (1) in another way: SciPy's solver, with the constraints written out."""
    ours = np.array(g._apart(wishes))
    assert np.all(ours[:-1] - ours[1:] > 1 - 1e-9)
    start = np.arange(len(wishes), 0, -1.0) * 1.5
    apart = [{"type": "ineq", "fun": lambda h: h[:-1] - h[1:] - 1}] if len(wishes) > 1 else []
    theirs = minimize(lambda h: np.sum((h - wishes) ** 2), start, jac=lambda h: 2 * (h - np.array(wishes)),
                      method="SLSQP", options={"ftol": 1e-12}, constraints=apart)
    np.testing.assert_allclose(ours, theirs.x, atol=1e-4)


# ---- refusals --------------------------------------------------------------------------------------------------------
def test_a_tensor_without_history_is_refused():
    with pytest.raises(ValueError, match=r"this tensor \(2,\) was not computed from anything that requires grad"):
        draw_graph(mg.tensor([1.0, 2.0]) * 2.0)


def test_a_freed_graph_is_refused():
    y = mg.sum(mg.exp(leaf()))
    y.backward()
    with pytest.raises(ValueError, match="a backward pass has freed this graph"):
        draw_graph(y)


def test_too_long_a_graph_is_refused():
    y = leaf()
    for _ in range(20):
        y = mg.sin(y)
    with pytest.raises(ValueError, match=r"21 nodes are too many to read \(limit=20\)"):
        draw_graph(y, limit=20)
    assert draw_graph(y, limit=21)
