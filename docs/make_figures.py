"""Draw the figures of the docs that are not written by a demo: ``python docs/make_figures.py``."""
import pathlib

import minigen as mg

IMAGES = pathlib.Path(__file__).resolve().parent / "images"


def graph():
    """The graph of docs/engine.md."""
    x, w, b = (mg.tensor(mg.ones(3), requires_grad=True) for _ in range(3))
    x.name, w.name, b.name = "x", "w", "b"
    h = mg.tanh(x * w + b)
    mg.viz.draw_graph(h * h + x * mg.exp(h), IMAGES / "graph.png", title="y = h² + x eʰ,  h = tanh(x w + b)")


if __name__ == "__main__":
    graph()
