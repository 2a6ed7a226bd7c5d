"""PixelRNN: LSTMs that read an image row by row, or along its diagonals, and draw it pixel by pixel.

Trains the Row LSTM and the Diagonal BiLSTM of minigen/models/autoregressive/pixelrnn.py on the bundled digits, in black
and white at 14 × 14, then draws: what a pixel sees with each; how skewing turns diagonals into columns; samples; digits
whose lower half is occluded, completed; and the likelihood as training goes on. The derivation is in
docs/autoregressive.md.
"""
import dataclasses

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.autoregressive import PixelCNN, PixelRNN
from minigen.models.autoregressive.pixelrnn import skew
from minigen.viz.figure import INK, finish

KINDS = {"row": "Row LSTM", "diagonal": "Diagonal BiLSTM"}
SIDE, GREY = 14, 0.5


def main():
    """Train both, measure, draw."""
    with Demo("pixelrnn", __doc__) as demo:
        draw_receptive_fields(demo.path("receptive_fields.png"))
        draw_skew(demo.path("skew.png"))
        test = mg.recipes.get("pixelrnn-row").dataset("test", demo.data)
        x, curves = mg.tensor(data.to_unit(test["x"])[:40 if demo.smoke else 2000]), {}
        models = {}
        for kind, name in KINDS.items():
            models[name], curves[name] = train(kind, x[:200], demo)
            demo.metric(f"test_nll_{kind}", nll(models[name], x), "nats")
        draw_samples(models, 10 if demo.smoke else 48, demo)
        firsts = [np.flatnonzero(test["y"][:len(x)] == digit)[0] for digit in range(10)]
        draw_completions(models, x.numpy()[firsts], 1 if demo.smoke else 4, demo)
        mg.viz.curves(curves, demo.path("curve.png"), ylabel="−log p, nats per test digit", log="x",
                      title="The likelihood of test digits, exact at every point")


def train(kind, x, demo):
    """A trained model, and (steps, test −log p) on the way."""
    recipe = mg.recipes.get(f"pixelrnn-{kind}")
    if demo.smoke:
        recipe = dataclasses.replace(recipe, steps=3, batch_size=8)
    trainer = recipe.trainer(seed=demo.seed, folder=demo.data, validate_every=max(1, recipe.steps // 15),
                             validate=lambda model: {"nll": nll(model, x)})
    trainer.run(recipe.steps)
    tested = [line for line in trainer.history if "validation/nll" in line]
    return trainer.model.eval(), ([line["step"] for line in tested], [line["validation/nll"] for line in tested])


def nll(model, x, size=200):
    """Mean −log p(x), nats."""
    with mg.no_grad():
        parts = [model.log_prob(x[k:k + size]).numpy() for k in range(0, len(x), size)]
    return -float(np.concatenate(parts).mean(dtype=np.float64))


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw_receptive_fields(path):
    """What a pixel of untrained networks depends on, by their derivatives."""
    shape, pixel, small = (15, 15, 1), (9, 6), dict(first_kernel=3, head_width=8)
    fields = {"Row LSTM, 1 layer": PixelRNN(shape, "row", hidden=8, layers=1, **small).sees(pixel),
              "Row LSTM, 4 layers": PixelRNN(shape, "row", hidden=8, layers=4, **small).sees(pixel),
              "PixelCNN, 5 layers": PixelCNN(shape, hidden=8, blocks=4, **small).sees(pixel),
              "Diagonal BiLSTM, 1 layer": PixelRNN(shape, "diagonal", hidden=8, layers=1, **small).sees(pixel)}
    mg.viz.receptive_fields(fields, pixel, path, title="What one pixel sees, by derivatives: the triangle of the Row "
                                                       "LSTM, and all that comes before with the Diagonal BiLSTM")


def draw_skew(path):
    """A small image coloured by diagonals, before and after row r has moved r places to the right."""
    height, width = 5, 7
    diagonals = np.add.outer(np.arange(height), np.arange(width)) + 1.0
    moved = skew(mg.tensor(diagonals[None, ..., None])).numpy()[:, 0, :, 0].T                   # (H, H + W − 1)
    figure = Figure(figsize=(7.2, 2.4), layout="constrained")
    panels = figure.subplots(1, 2, width_ratios=[width, height + width - 1])
    titles = ("pixels, numbered by diagonal", "skewed: a diagonal is a column, done in one step")
    for panel, values, title in zip(panels, (diagonals, moved), titles):
        panel.imshow(np.where(values > 0, values, np.nan), cmap="viridis", vmin=-4, vmax=height + width)
        for r, c in zip(*np.nonzero(values)):
            panel.text(c, r, f"{values[r, c]:.0f}", ha="center", va="center", fontsize=9, color="white")
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
        panel.set_title(title, fontsize=9.5, color=INK, loc="left")
    finish(figure, path)


def draw_samples(models, count, demo):
    """Samples of both."""
    rng = mg.random.default_rng(demo.seed)
    drawn = [model.sample(count, rng=rng).numpy() for model in models.values()]
    rows = -(-count // 16)
    labels = [label for name in models for label in [name] + [""] * (rows - 1)]
    mg.viz.image_grid(np.concatenate(drawn), demo.path("samples.png"), columns=-(-count // rows), labels=labels,
                      title="Samples, drawn pixel by pixel")


def draw_completions(models, x, times, demo):
    """The upper half given, the lower half drawn a few times by each."""
    rng, known = mg.random.default_rng(demo.seed + 1), np.zeros((SIDE, SIDE, 1), bool)
    known[:SIDE // 2] = True
    rows, labels = [x, np.where(known, x, GREY)], ["digit", "occluded"]
    for name, model in models.items():
        for k in range(times):
            rows.append(model.complete(mg.tensor(x), known, rng=rng).numpy())
            labels.append(name if k == 0 else "")
    mg.viz.image_grid(np.concatenate(rows), demo.path("completions.png"), columns=len(x), labels=labels,
                      title="Occluded digits completed: each row is one exact draw of p(lower | upper)")


if __name__ == "__main__":
    main()
