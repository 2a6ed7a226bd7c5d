"""Real NVP learns handwritten digits at two scales, and every number it gives is exact.

Trains the multi-scale flow of minigen/models/flow/realnvp.py on digits of 16 × 16 pixels for about a minute. Pictures:
samples; reconstructions, which are perfect; what each scale holds, by drawing the latents of one scale anew; the way
from digit to digit through the latents; how much each test digit surprises the model; the training curve. The
derivation is in docs/flows.md.
"""
import dataclasses

import numpy as np

import minigen as mg
from minigen import recipes
from minigen.demo import Demo


def main():
    """Train, measure, draw."""
    with Demo("realnvp_digits", __doc__) as demo:
        recipe, every = recipes.get("realnvp-digits"), {"log_every": 50, "validate_every": 200}
        if demo.smoke:
            recipe, every = dataclasses.replace(recipe, steps=12), {"log_every": 4, "validate_every": 6}
        trainer = recipe.trainer(seed=demo.seed, folder=demo.data, **every)
        trainer.run(recipe.steps)
        model = trainer.model.eval()
        for name, figure in recipe.evaluate(model, demo.data, demo.seed).items():
            demo.metric(name, figure["value"], figure["unit"])
        draw(model, trainer.history, recipe.loader("test", demo.data), demo)


def draw(model, history, test, demo):
    """Every picture of this demo."""
    viz, rng, batch = mg.viz, mg.random.default_rng(demo.seed), next(iter(test))
    x, y = batch["x"], batch["y"].numpy()
    with mg.no_grad():
        z = model.encode(x)
    viz.image_grid(model.sample(120, rng=rng), demo.path("samples.png"), columns=15,
                   title="Samples: z ~ N(0, I), carried back through the flow")
    back = model.decode(z[:32])
    viz.reconstructions(x[:32], back, demo.path("reconstructions.png"),
                        title="Digits, and what comes back from their latents: a flow loses nothing")
    demo.metric("round_trip", np.abs(back.numpy() - x[:32].numpy()).max(), "largest error of a pixel in [0, 1]")
    draw_scales(model, z, rng, demo.path("scales.png"))
    firsts = [np.flatnonzero(y == digit)[0] for digit in range(10)]
    ends = z.numpy()[firsts].reshape(10, -1)
    viz.interpolation(lambda points: model.decode(mg.tensor(points.reshape(-1, 16, 16, 1))), ends,
                      np.roll(ends, -1, axis=0), demo.path("interpolation.png"),
                      title="From each digit to the next: straight lines between latents, both ends exact")
    draw_surprise(model, test, demo.path("surprise.png"))
    draw_curve(history, demo.path("curve.png"))


def draw_scales(model, z, rng, path, count=6):
    """Keep the latents of one scale of a digit, and draw those of the other anew.

    In blocks of 2 × 2 latents, which one pixel of the coarse scale was squeezed from, the upper two left at the split.
    """
    fine = np.zeros((16, 16, 1), bool)
    fine[::2] = True
    fine, rows = mg.tensor(fine), []
    for k in range(count):
        noise = rng.standard_normal((7, 16, 16, 1))
        images = [model.decode(z[k:k + 1])]
        for redrawn in (fine, mg.logical_not(fine)):
            images.append(model.decode(mg.where(redrawn, noise, z[k])))
        rows.append(np.concatenate([i.numpy() for i in images]))
    mg.viz.image_grid(np.concatenate(rows), path, columns=15,
                      title="A digit; seven times with the latents of its fine scale drawn anew; seven times with "
                            "those of its coarse scale: the coarse ones hold what digit it is")


def draw_surprise(model, loader, path):
    """The test digits that the model finds most and least likely, in bits/dim."""
    images, bits = [], []
    with mg.no_grad():
        for batch in loader.epoch(0):
            images.append(batch["x"].numpy())
            bits.append(model.bits_per_dim(batch["x"]).numpy())
    images, bits = np.concatenate(images), np.concatenate(bits)
    order = np.argsort(bits)
    shown = np.concatenate([images[order[:30]], images[order[-30:]]])
    mg.viz.image_grid(shown, path, columns=15,
                      title=f"Test digits: the 30 least surprising, {bits[order[29]]:.2f} bits/dim or less, and the 30 "
                            f"most surprising, {bits[order[-30]]:.2f} or more")


def draw_curve(history, path):
    """Bits/dim on training and on test images against the step."""
    lines = {}
    for name, key in (("training digits", "bits_per_dim"), ("test digits", "validation/bits_per_dim")):
        told = [line for line in history if key in line]
        lines[name] = ([line["step"] for line in told], [line[key] for line in told])
    mg.viz.curves(lines, path, ylabel="bits/dim", log="x",
                  title="10,000 digits: what training has seen, and what it has not")


if __name__ == "__main__":
    main()
