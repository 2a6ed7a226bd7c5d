"""Glow: samples at several temperatures, and straight lines between digits in the space of its latents.

Trains the flow of minigen/models/flow/glow.py on digits of 16 × 16 pixels for about two minutes. Pictures: samples
from z ~ N(0, τ² I) of the same noise for several τ; interpolations of test digits through all latents, beside those of
the pixels; a digit edited by moving it along the difference of two class means; what each step of the flow does to
digits; the training curve. The derivation is in docs/flows.md.
"""
import dataclasses

import numpy as np

import minigen as mg
from minigen import recipes
from minigen.demo import Demo

TEMPERATURES = (0.0, 0.4, 0.6, 0.8, 1.0, 1.2)


def main():
    """Train, measure, draw."""
    with Demo("glow", __doc__) as demo:
        recipe, every = recipes.get("glow-digits"), {"log_every": 50, "validate_every": 200}
        if demo.smoke:
            recipe, every = dataclasses.replace(recipe, steps=8), {"log_every": 4, "validate_every": 4}
        trainer = recipe.trainer(seed=demo.seed, folder=demo.data, **every)
        trainer.run(recipe.steps)
        model = trainer.model.eval()
        for name, figure in recipe.evaluate(model, demo.data, demo.seed).items():
            demo.metric(name, figure["value"], figure["unit"])
        batch = next(iter(recipe.loader("test", demo.data)))
        draw(model, batch["x"], batch["y"].numpy(), trainer.history, demo)


def draw(model, x, y, history, demo):
    """Every picture of this demo."""
    with mg.no_grad():
        z = model.encode(x)
    draw_temperatures(model, demo.path("temperature.png"), demo.seed)
    firsts = [np.flatnonzero(y == digit)[0] for digit in range(10)]
    draw_interpolation(model, x.numpy()[firsts], z.numpy()[firsts], demo.path("interpolation.png"))
    draw_editing(model, x.numpy(), z.numpy(), y, demo.path("editing.png"))
    draw_curve(history, demo.path("curve.png"))


def decoded(model, z):
    """Images of latents (N, 16, 16, 1), a NumPy array."""
    return model.decode(mg.tensor(z.astype(np.float32))).numpy()


def draw_temperatures(model, path, seed, columns=14):
    """The same noise, scaled, and the log-probability of what it becomes."""
    eps = mg.random.default_rng(seed).standard_normal((columns, 16, 16, 1))
    rows, labels = [], []
    for tau in TEMPERATURES:
        images = model.sample(columns, eps=eps, temperature=tau)
        rows.append(images.numpy())
        with mg.no_grad():
            labels.append(f"τ = {tau:g}, {model.bits_per_dim(images).numpy().mean():.2f}")
    mg.viz.image_grid(np.concatenate(rows), path, columns=columns, labels=labels,
                      title="One noise at several temperatures, and the mean bits/dim of what it becomes")


def draw_interpolation(model, x, z, path, steps=11):
    """From each digit to the next: through the latents, and below for comparison a mixture of the pixels."""
    rows = []
    for a in range(0, 10, 2):
        b = (a + 1) % 10
        t = np.linspace(0, 1, steps)[:, None, None, None]
        rows += [decoded(model, (1 - t) * z[a] + t * z[b]), (1 - t) * x[a] + t * x[b]]
    mg.viz.image_grid(np.concatenate(rows), path, columns=steps,
                      title="Between two test digits: a straight line between their latents, and below it one between "
                            "their pixels, which only fades")


def draw_editing(model, x, z, y, path):
    """Move digits along the difference of two class means of the latents."""
    means = np.stack([z[y == digit].mean(axis=0) for digit in range(10)])
    rows = []
    for source, target in ((4, 9), (3, 8), (1, 7), (5, 6)):
        for i in np.flatnonzero(y == source)[:2]:
            t = np.linspace(0, 1.5, 10)[:, None, None, None]
            rows.append(np.concatenate([x[i:i + 1], decoded(model, z[i] + t * (means[target] - means[source]))]))
    mg.viz.image_grid(np.concatenate(rows), path, columns=11,
                      title="A digit, then T⁻¹(z + t (mean z of another class − mean z of its own)), t from 0 to 1.5; "
                            "4 to 9, 3 to 8, 1 to 7, 5 to 6")


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
