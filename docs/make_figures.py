"""Put the figures of the docs in place: run the demos named at the end, then ``python docs/make_figures.py``.

Draws those that no demo draws, and copies those that the demos have drawn into out/.
"""
import pathlib
import shutil

import minigen as mg

DOCS = pathlib.Path(__file__).resolve().parent
IMAGES = DOCS / "images"


def graph():
    """The graph of docs/engine.md."""
    x, w, b = (mg.tensor(mg.ones(3), requires_grad=True) for _ in range(3))
    x.name, w.name, b.name = "x", "w", "b"
    h = mg.tanh(x * w + b)
    mg.viz.draw_graph(h * h + x * mg.exp(h), IMAGES / "graph.png", title="y = h² + x eʰ,  h = tanh(x w + b)")


def copy(name):
    """The pictures of a demo, with its name in front."""
    for path in (DOCS.parent / "out" / name).glob("*.png"):
        shutil.copy(path, IMAGES / f"{name}_{path.name}")


if __name__ == "__main__":
    graph()
    copy("vae")
    copy("metrics")
    copy("gan_1d")
    copy("gan_2d")
    copy("ddpm_2d")
    copy("change_of_variables")
    copy("ar_forecast")
    copy("fvsbn_nade_made")
    copy("cnf_2d")
    copy("densities")
    copy("tables")
    copy("generative_classifier")
    copy("sampling")
    copy("markov_chains")
    copy("mcmc_2d")
    copy("variational_inference")
