"""A diffusion model draws digits: it learns to take noise away, and starts from nothing but noise.

Trains a small class-conditional U-Net (recipe ``ddpm``) on the bundled digits, or shows the model of ``--model``.
Draws: digits dissolving, the way from noise to digits with the network's guess on the way, samples of each class, the
loss against the step, and, for every t, the simple loss beside the terms of the variational bound, which care about
different t. The derivation is in docs/diffusion.md.
"""
import numpy as np

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.diffusion import DDIM
from minigen.recipes.diffusion import SMOKE, shown, to_signed
from minigen.recipes.sets import bundled_digits


def main():
    """Train, measure, draw."""
    with Demo("ddpm", __doc__, recipe="ddpm") as demo:
        model, history = demo.trained(SMOKE)
        test, rng = bundled_digits("test", demo.data), mg.random.default_rng(demo.seed)
        firsts = [int(np.flatnonzero(test["y"] == digit)[0]) for digit in range(10)]
        draw_forward(model.process, to_signed(test["x"][firsts[2:8]]), rng, demo.path("forward.png"))
        draw_path(model, rng, demo.path("path.png"))
        draw_samples(model, 1 if demo.smoke else 10, rng, demo)
        draw_terms(model, test, 1 if demo.smoke else 24, demo)
        draw_curve(history, demo.path("curve.png"))
        measure(model, data.to_unit(test["x"]), 100 if demo.smoke else 400, 2 if demo.smoke else 20, rng, demo)


def some_times(T, count):
    """``count`` times from 0 to T, or all of them, evenly spaced."""
    return [int(t) for t in np.linspace(0, T, min(count, T + 1)).round()]


def draw_forward(process, x, rng, path):
    """Digits (rows, *event) dissolving, the same noise in a row."""
    times, eps = some_times(process.T, 11), rng.standard_normal(x.shape)
    rows = np.stack([process.diffuse(mg.tensor(x), t, eps).numpy() for t in times], axis=1)
    mg.viz.image_grid(shown(rows.reshape(-1, *x.shape[1:])), path, columns=len(times), heads=[str(t) for t in times],
                      title="Forward: digits dissolve in noise. Above each column its t")


def draw_path(model, rng, path):
    """From noise to digits: z_t, and below it the guess x̂ of the network at that time."""
    labels, wanted, columns = np.array([2, 5, 8]), some_times(model.process.T, 11)[::-1], []
    for t, z in model.path(len(labels), rng=rng, labels=labels):
        if t in wanted:
            with mg.no_grad():
                guess = model.predict(z, t, labels).x if t else z
            columns.append(np.stack([z.numpy(), guess.numpy()], axis=1))                          # (digits, 2, *event)
    rows = np.stack(columns, axis=2)                                                    # (digits, 2, times, *event)
    mg.viz.image_grid(shown(rows.reshape(-1, *model.event_shape)), path, columns=len(wanted),
                      heads=[str(t) for t in wanted], labels=["$z_t$", r"$\hat x$"] * len(labels),
                      title="Sampling: noise becomes a digit. Under each $z_t$ what the network takes it for, at first "
                            "the mean of all that it could be. Above each column its t")


def draw_samples(model, rows, rng, demo):
    """Samples of every class, and how many of them the digit classifier reads as what was asked for."""
    labels = np.tile(np.arange(10), rows)
    x = shown(model.sample(len(labels), rng=rng, labels=labels))
    _, logits = mg.metrics.digit_features(x)
    demo.metric("sample_accuracy", 100 * np.mean(logits.argmax(axis=1) == labels), "% read as their label")
    mg.viz.image_grid(x, demo.path("samples.png"), columns=10, heads=[str(k) for k in range(10)],
                      title=f"DDPM: {model.process.T} steps from noise. A column for each class, no guidance")


def draw_terms(model, test, n, demo):
    """For every t, the squared error that training sees, and the term of the bound, of n test digits."""
    some = np.linspace(0, len(test) - 1, n).astype(int)
    x, labels, T = mg.tensor(to_signed(test["x"][some])), test["y"][some], model.process.T
    rng, D = mg.random.default_rng(demo.seed), np.prod(model.event_shape)
    bits = model.bound(x, labels, rng=rng).numpy().mean(axis=1) / (D * np.log(2))                       # (T + 1,)
    errors = np.array([simple_loss(model, x, labels, t, rng) for t in range(1, T + 1)]) / D
    demo.metric("simple_loss", D * errors.mean(), f"squared error in {model.prediction}, a sum over pixels")
    demo.metric("bits_per_dim", bits.sum(), "bits/dim, given the label")
    demo.metric("bits_per_dim_from_t_10", bits[10:].sum(), "bits/dim of the terms L_10 … L_T")
    t = np.arange(1, T + 1)
    mg.viz.curves({f"error in {model.prediction}": (t, errors)}, demo.path("simple_by_t.png"), xlabel="t",
                  ylabel="squared error, mean over pixels", log="y",
                  title="What training sees: all t count the same, and most of the error lies where most is noise")
    mg.viz.curves({"$L_{t-1}$": (t, bits[:-1])}, demo.path("bound_by_t.png"), xlabel="t", ylabel="bits/dim",
                  log="xy",
                  title=f"What the bound sees: of its {bits.sum():.1f} bits/dim the last steps to the data, t = 1 … "
                        f"10, take {bits[:10].sum():.1f}")


def simple_loss(model, x, labels, t, rng):
    """L_simple at one t, a sum over pixels, for x (N, *event), mean over N."""
    with mg.no_grad():
        eps = rng.standard_normal(x.shape)
        z = model.process.diffuse(x, t, eps)
        found = model.predict(z, t, labels)
        target = model.process.target(model.prediction, x, eps, t)
        output = model.process.target(model.prediction, found.x, found.eps, t)
        return float(mg.sum((target - output) ** 2) / len(x))


def draw_curve(history, path):
    """The training loss."""
    mg.viz.curves({"training": ([line["step"] for line in history], [line["loss"] for line in history])}, path,
                  ylabel="loss, a sum over pixels", log="xy", title="Training")


def measure(model, real, n, steps, rng, demo):
    """Digit FID and its companions, of n samples of DDIM, which is faster, beside as many test digits."""
    labels = np.arange(n) % 10
    parts = [DDIM(model, steps).sample(len(some), rng=rng, labels=some).numpy()
             for some in np.array_split(labels, n // 50)]
    spread = np.linspace(0, len(real) - 1, n).astype(int)
    for name, (value, unit) in mg.metrics.image_metrics(real[spread], shown(np.concatenate(parts))).items():
        demo.metric(name, value, unit)


if __name__ == "__main__":
    main()
