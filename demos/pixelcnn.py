"""A gated PixelCNN draws digits pixel by pixel, of the class it is told.

Trains the gated PixelCNN of minigen/models/autoregressive/gated_pixelcnn.py on the bundled digits in black and white,
told the class, then draws: what a pixel sees, with the blind spot of the plain PixelCNN and without; digits of each
class; how they come to be; what the network expects of each pixel; what it makes of the upper half of a digit, told the
truth or another class; and the likelihood as training goes on. The derivation is in docs/autoregressive.md.
"""
import dataclasses

import numpy as np

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.autoregressive import GatedPixelCNN, PixelCNN

GREY, HALF = 0.5, 14


def main():
    """Train, measure, draw."""
    with Demo("pixelcnn", __doc__) as demo:
        recipe, watched = mg.recipes.get("pixelcnn"), 200
        if demo.smoke:
            recipe, watched = dataclasses.replace(recipe, steps=3, batch_size=8), 10
        draw_receptive_fields(demo.path("receptive_fields.png"))
        test = recipe.dataset("test", demo.data)
        x, y = mg.tensor(data.to_unit(test["x"])), mg.tensor(test["y"])
        trainer = recipe.trainer(seed=demo.seed, folder=demo.data, log_every=10,
                                 validate_every=max(1, recipe.steps // 10),
                                 validate=lambda model: {"nll": nll(model, x[:watched], y[:watched])})
        trainer.run(recipe.steps)
        model = trainer.model.eval()
        count = 5 * watched
        demo.metric("test_nll", nll(model, x[:count], y[:count]), "nats given the class")
        wrong = mg.tensor((test["y"][:count] + 5) % 10)
        demo.metric("test_nll_wrong", nll(model, x[:count], wrong), "nats given another class")
        named = most_probable_class(model, x[:watched])
        demo.metric("named_by_bayes", 100 * (named == test["y"][:watched]).mean(), "% of test digits named right")
        draw(model, x.numpy(), test["y"], demo)
        draw_curve(trainer.history, demo.path("curve.png"))


def nll(model, x, labels, size=100):
    """Mean −log p(x | label), nats."""
    with mg.no_grad():
        parts = [model.log_prob(x[k:k + size], labels[k:k + size]).numpy() for k in range(0, len(x), size)]
    return -float(np.concatenate(parts).mean(dtype=np.float64))


def most_probable_class(model, x):
    """The class under which each digit is most probable, by Bayes' rule with equal priors: argmax_y p(x | y), (N,)."""
    with mg.no_grad():
        log_p = [model.log_prob(x, np.full(len(x), digit)).numpy() for digit in range(10)]
    return np.argmax(log_p, axis=0)


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw_receptive_fields(path):
    """What a pixel of untrained networks with 3 × 3 kernels depends on, by their derivatives."""
    shape, pixel, small = (15, 15, 1), (9, 6), dict(first_kernel=3, head_width=8)
    fields = {f"PixelCNN, {layers} layers": PixelCNN(shape, hidden=8, blocks=layers - 1, **small).sees(pixel)
              for layers in (5, 10, 20)}
    fields |= {f"gated PixelCNN, {layers} layers": GatedPixelCNN(shape, features=8, layers=layers, **small).sees(pixel)
               for layers in (5, 10)}
    mg.viz.receptive_fields(fields, pixel, path, title="What one pixel sees, by derivatives. The blind spot of the "
                                                       "plain PixelCNN does not go away with depth")


def draw(model, x, y, demo):
    """The pictures of the trained model."""
    viz, rng = mg.viz, mg.random.default_rng(demo.seed + 1)
    rows = 1 if demo.smoke else 8
    digits = np.tile(np.arange(10), rows)
    samples = model.sample(len(digits), rng=rng, labels=digits).numpy()
    viz.image_grid(samples, demo.path("samples.png"), columns=10, heads=[str(digit) for digit in range(10)],
                   title="Digits drawn pixel by pixel, told their class")
    draw_path(samples[:10], demo.path("path.png"))
    firsts = np.array([np.flatnonzero(y == digit)[0] for digit in range(10)])
    draw_expected(model, x[firsts], demo.path("expected.png"))
    draw_completions(model, x[firsts], rng, 1 if demo.smoke else 5, demo.path("completions.png"))
    draw_other_labels(model, x[firsts[[4, 7, 8, 3][:1 if demo.smoke else 4]]], rng, demo.path("other_labels.png"))


def draw_path(samples, path):
    """The same draws at some moments: in raster order, so what is not yet drawn is what comes later."""
    pixels = np.arange(28 * 28).reshape(28, 28, 1)
    moments = [28 * row + 14 for row in (4, 7, 10, 13, 16, 19, 22)]
    stages = [np.where(pixels < moment, samples, GREY) for moment in moments] + [samples]
    mg.viz.image_grid(np.concatenate(stages), path, columns=len(samples), labels=[str(m) for m in moments] + ["784"],
                      title="How they come to be: after so many pixels; grey is not drawn yet")


def draw_expected(model, x, path):
    """Test digits, the probability that each pixel is white given those before it, and the price of each pixel."""
    with mg.no_grad():
        p = mg.sigmoid(model.logits(mg.tensor(x), np.arange(10))).numpy()
    price = -np.log(np.where(x == 1, p, 1 - p))
    mg.viz.image_grid(np.concatenate([x, p, price / 3]), path, columns=10, labels=["digit", "expected", "surprise"],
                      title="A test digit; how white each pixel is expected to be, given all before it; and what it "
                            "costs to tell it, from 0 (black) to 3 nats (white)")


def draw_completions(model, x, rng, times, path):
    """The upper half given, and the class."""
    known = np.arange(28)[:, None, None] < np.full((28, 28, 1), HALF)
    rows = [model.complete(mg.tensor(x), known, rng=rng, labels=np.arange(10)).numpy() for _ in range(times)]
    mg.viz.image_grid(np.concatenate([x, np.where(known, x, GREY), *rows]), path, columns=10,
                      labels=["digit", "given"] + ["drawn"] + [""] * (times - 1),
                      title="The upper half and the class are given; each row is an exact draw of p(lower | upper, "
                            "class)")


def draw_other_labels(model, x, rng, path):
    """The upper half of a few digits given, with every class in turn."""
    known = np.arange(28)[:, None, None] < np.full((28, 28, 1), HALF)
    drawn = model.complete(mg.tensor(np.repeat(x, 10, axis=0)), known, rng=rng, labels=np.tile(np.arange(10), len(x)))
    rows = [np.concatenate([np.where(known, digit, GREY)[None], images])
            for digit, images in zip(x, drawn.numpy().reshape(len(x), 10, 28, 28, 1))]
    mg.viz.image_grid(np.concatenate(rows), path, columns=11, heads=["given", *map(str, range(10))],
                      title="The upper half given, and the rest drawn as if it were a 0, 1, … 9")


def draw_curve(history, path):
    """The loss on training and on test images against the step."""
    steps, losses = [line["step"] for line in history], [line["loss"] for line in history]
    tested = [line for line in history if "validation/nll" in line]
    mg.viz.curves({"training digits": (steps, losses),
                   "test digits": ([line["step"] for line in tested], [line["validation/nll"] for line in tested])},
                  path, ylabel="−log p(x | class), nats per digit", log="xy",
                  title="The likelihood of digits, exact at every point")


if __name__ == "__main__":
    main()
