"""Put the figures of the docs in place: run the demos, then ``python docs/make_figures.py``.

Draws those that no demo draws, and copies those that the demos have drawn into out/ and a page shows. Curves of long
runs are drawn from the logs in runs/, as ``minigen train NAME --out runs/NAME`` leaves them.
"""
import json
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


def copy_from_demos():
    """The pictures in out/ that a page shows, with the demo's name in front."""
    pages = "".join(page.read_text(encoding="utf-8") for page in (*DOCS.glob("*.md"), DOCS.parent / "README.md"))
    for path in (DOCS.parent / "out").glob("*/*.png"):
        name = f"{path.parent.name}_{path.name}"
        if f"images/{name}" in pages:
            shutil.copy(path, IMAGES / name)


def likelihood(name, levels):
    """−log p of training and of test images against passes over the data, from the log of a run; and some levels."""
    log = DOCS.parent / "runs" / name / "log.jsonl"
    if not log.exists():
        return
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [line for line in lines if "validation/loss" in line]
    epochs = [line["epoch"] for line in told]
    mg.viz.curves({"training images, as they come": (epochs, [line["loss"] for line in told]),
                   "test images": (epochs, [line["validation/loss"] for line in told])},
                  IMAGES / f"{name.replace('-', '_')}_curve.png", xlabel="passes over the training images",
                  ylabel="−log p, nats per image", levels=levels, title=f"{name}: the likelihood of MNIST, exact")


if __name__ == "__main__":
    graph()
    likelihood("nade-mnist", {"published, fixed binarisation": 88.33, "published, binarised afresh": 85.65})
    copy_from_demos()
