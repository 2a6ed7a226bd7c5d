"""Each metric failing on purpose: real digits spoilt in five ways, from a little to a lot, and what every metric says.

Half of the bundled test digits stand for the data. The other half, which is as good as samples can be, is made noisy,
blurred, short of classes, short of different digits, or mixed two by two; FID, KID, precision, recall and the Inception
score compare it with the data in the features of a small digit classifier (minigen/metrics/classifier.py). Two more
pictures: how FID depends on the number of samples, and the balls behind precision and recall. The derivations are in
docs/metrics.md.
"""
import dataclasses
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from scipy.ndimage import gaussian_filter

import minigen as mg
from minigen.demo import Demo
from minigen.metrics import digit_features, fid, image_metrics, kid, precision_recall
from minigen.metrics.frechet import expected_bias
from minigen.metrics.manifolds import covered
from minigen.recipes.sets import bundled_digits
from minigen.viz.figure import FAINT, INK, PALETTE, finish, new_axes

DPI = 110


@dataclasses.dataclass(frozen=True)
class Metric:
    """How pictures show a metric: its label, the format of its numbers, and its axis."""
    label: str
    form: str
    limits: tuple
    log: bool = False


METRICS = {
    "digit_fid": Metric("FID", ".2f", (0.5, 150), log=True),
    "digit_kid": Metric("KID", ".3f", (0.005, 15), log=True),
    "digit_precision": Metric("precision, %", ".1f", (-4, 104)),
    "digit_recall": Metric("recall, %", ".1f", (-4, 104)),
    "digit_inception_score": Metric("Inception score", ".2f", (0.7, 10.3)),
}


# ---- five ways to spoil digits: (images (N, 28, 28, 1), labels (N,), strength, rng) -> images ------------------------
def add_noise(x, y, std, rng):
    """Gaussian noise on every pixel."""
    return np.clip(x + std * rng.standard_normal(x.shape), 0, 1)


def blur(x, y, width, rng):
    """A Gaussian blur."""
    return gaussian_filter(x, (0, width, width, 0))


def drop_classes(x, y, kept, rng):
    """Only the first classes, each of their digits as often as it takes to make up the number."""
    return x[np.resize(np.flatnonzero(y < kept), len(x))]


def repeat(x, y, distinct, rng):
    """A few digits, over and over."""
    return x[np.resize(rng.permutation(len(x))[:distinct], len(x))]


def mix(x, y, weight, rng):
    """Each digit with another shining through."""
    return (1 - weight) * x + weight * x[rng.permutation(len(x))]


@dataclasses.dataclass(frozen=True)
class Spoiler:
    """A way to spoil digits, its strengths from weak to strong, and how a picture calls one of them."""
    apply: Callable
    strengths: tuple
    caption: str


SPOILERS = {
    "noise": Spoiler(add_noise, (0.05, 0.1, 0.2, 0.4), "noise, std {:g}"),
    "blur": Spoiler(blur, (0.4, 0.7, 1.0, 1.6), "blur, width {:g} px"),
    "dropping": Spoiler(drop_classes, (9, 7, 4, 1), "{} of 10 classes"),
    "repeating": Spoiler(repeat, (500, 200, 50, 10), "{} different digits"),
    "mixing": Spoiler(mix, (0.1, 0.2, 0.3, 0.5), "{:.0%} of another digit"),
}


def main():
    """Spoil, measure, draw."""
    with Demo("metrics", __doc__) as demo:
        digits = bundled_digits("test", demo.data)[:400 if demo.smoke else 2000]
        x, y, rng = mg.data.to_unit(digits["x"]), digits["y"], np.random.default_rng(demo.seed)
        real, fake, labels = x[::2], x[1::2], y[1::2]
        clean, images, found = image_metrics(real, fake), {}, {}
        for name, spoiler in SPOILERS.items():
            strengths = spoiler.strengths[-1:] if demo.smoke else spoiler.strengths
            images[name] = [(spoiler.caption.format(s), spoiler.apply(fake, labels, s, rng)) for s in strengths]
            found[name] = [image_metrics(real, spoilt) for _, spoilt in mg.recipes.progress(images[name], name)]
        strongest = {name: rows[-1] for name, rows in found.items()}
        copies = image_metrics(real, real)
        for suffix, figures in {"clean": clean, **strongest, "copies": copies}.items():
            for metric, (value, unit) in figures.items():
                demo.metric(f"{metric.removeprefix('digit_')}_{suffix}", value, unit)
        draw_digits(fake, images, demo.path("spoilt.png"))
        draw_curves(clean, found, demo.path("curves.png"))
        captions = [caption for cells in images.values() for caption, _ in cells]
        draw_table({"as they are": clean, **dict(zip(captions, sum(found.values(), []))), "the data, copied": copies},
                   len(captions) // len(images), demo.path("table.png"))
        draw_sizes(demo, rng)
        draw_balls(demo.path("balls.png"), np.random.default_rng(demo.seed))


# ---- pictures --------------------------------------------------------------------------------------------------------
def mosaic(x, columns, rows=2):
    """The first digits as one picture."""
    tiles = x[:rows * columns, ..., 0].reshape(rows, columns, 28, 28)
    return tiles.transpose(0, 2, 1, 3).reshape(28 * rows, 28 * columns)


def draw_digits(fake, images, path):
    """Some digits of each kind, stronger to the right. Lengths are in pixels of the file, two for each of a digit."""
    columns, wide, high, head, gap = 5, 280, 112, 26, 12
    across = len(images["noise"])
    width, height = across * (wide + gap) + gap, (1 + len(images)) * (high + head) + gap
    figure = Figure(figsize=((width + 1e-3) / DPI, (height + 1e-3) / DPI), dpi=DPI)         # pixels are rounded down
    cells = [(0, 0, "as they are", mosaic(fake, across * columns))]
    cells += [(i, j, caption, mosaic(x, columns)) for i, row in enumerate(images.values(), 1)
              for j, (caption, x) in enumerate(row)]
    for i, j, caption, picture in cells:
        left, low = gap + j * (wide + gap), height - (i + 1) * (high + head)
        panel = figure.add_axes((left / width, low / height, 2 * picture.shape[1] / width, high / height))
        panel.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        panel.set_title(caption, fontsize=8, color=INK, loc="left", pad=4)
        panel.set_axis_off()
    mg.viz.save(figure, path, DPI)


def draw_curves(clean, found, path):
    """A panel for each metric: a line for each way to spoil, from none to the strongest."""
    figure = Figure(figsize=(12, 2.9), layout="constrained")
    for panel, (name, metric) in zip(figure.subplots(1, len(METRICS)), METRICS.items()):
        for (way, rows), colour in zip(found.items(), PALETTE):
            values = [figures[name][0] for figures in (clean, *rows)]
            panel.plot(values, color=colour, marker="o", markersize=3.5, linewidth=1.6, label=way)
        panel.set_title(metric.label, fontsize=10, color=INK, loc="left")
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(FAINT)
        panel.grid(color="#eeeeee")
        if metric.log:
            panel.set_yscale("log", nonpositive="clip")
        panel.set(xticks=range(1 + len(found["noise"])), ylim=metric.limits)
        panel.set_xlabel("strength (0: as they are)", fontsize=8, color=INK)
        panel.tick_params(labelsize=8, color=FAINT)
        panel.minorticks_off()
    figure.legend(*panel.get_legend_handles_labels(), loc="outside upper center", ncols=len(found), frameon=False)
    mg.viz.save(figure, path, DPI)


def draw_table(rows, strengths, path):
    """{what was measured: its figures} as a table, darker the worse; a gap after the first row and every kind."""
    values = np.array([[figures[metric][0] for metric in METRICS] for figures in rows.values()])       # (rows, 5)
    worst = np.where([metric.log for metric in METRICS.values()], values.max(axis=0), values.min(axis=0))
    damage = np.clip((values - values[0]) / (worst - values[0]), 0, 1)          # 0: as clean digits, 1: as the worst
    figure = Figure(figsize=(7.4, 0.7 + 0.27 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(np.sqrt(damage), cmap="Oranges", vmin=0, vmax=1.6, aspect="auto")                # small damage shows
    for (i, j), metric in np.ndenumerate(np.broadcast_to(list(METRICS.values()), values.shape)):
        text = f"{values[i, j]:{metric.form}}".replace("-", "−")
        axes.text(j, i, text, ha="center", va="center", fontsize=9, color=INK)
    axes.set_xticks(range(len(METRICS)), [metric.label for metric in METRICS.values()], fontsize=9, color=INK)
    axes.set_yticks(range(len(rows)), rows, fontsize=9, color=INK)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for i in range(0, len(rows) - 1, strengths):
        axes.axhline(i + 0.5, color="white", linewidth=4)
    axes.set_title("Darker: worse than digits as they are", fontsize=10, color=INK, loc="left")
    mg.viz.save(figure, path, DPI)


def draw_sizes(demo, rng):
    """FID and KID between two disjoint sets of n training digits, whose true distance is 0, against n."""
    digits = bundled_digits("train", demo.data)[:800 if demo.smoke else 10_000]
    features, _ = digit_features(mg.data.to_unit(digits["x"]))
    sizes = (100, 400) if demo.smoke else (100, 200, 500, 1000, 2000, 5000)
    distances, kernels = [], []
    for n in sizes:
        halves = [rng.permutation(features)[:2 * n].reshape(2, n, -1) for _ in range(4)]
        distances.append(np.mean([fid(a, b) for a, b in halves]))
        kernels.append(kid(*halves[0]))
    bias = [expected_bias(np.cov(features, rowvar=False), n) for n in sizes]
    demo.metric(f"fid_same_{sizes[0]}", distances[0], f"at n = {sizes[0]}, true distance 0")
    demo.metric(f"fid_same_{sizes[-1]}", distances[-1], f"at n = {sizes[-1]}, true distance 0")
    mg.viz.curves({"FID, mean of four draws": (sizes, distances), "expected of n draws of one Gaussian": (sizes, bias)},
                  demo.path("sizes_fid.png"), xlabel="n, digits in each set", ylabel="FID", log="xy",
                  title="Two sets of training digits: FID is not 0, and falls as 1/n")
    figure, axes = new_axes(6.4, 3.8, "n, digits in each set", "KID",
                            "Two sets of training digits: KID scatters about 0 (bars: standard error, at most)")
    axes.errorbar(sizes, [k.value for k in kernels], [k.standard_error for k in kernels], color=PALETTE[0], fmt="o",
                  capsize=3)
    axes.axhline(0, color=INK, linewidth=1, linestyle="--")
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{n:,}" for n in sizes])
    axes.minorticks_off()
    finish(figure, demo.path("sizes_kid.png"))


def draw_balls(path, rng):
    """Precision and recall in the plane: three blobs of data, of which samples miss one and add some junk."""
    means = np.array([[0.0, 0.0], [4.0, 0.5], [1.5, 3.5]])
    real = means[rng.integers(3, size=60)] + 0.6 * rng.standard_normal((60, 2))
    fake = np.concatenate([means[rng.integers(2, size=50)] + 0.6 * rng.standard_normal((50, 2)),
                           rng.uniform([4.5, 2.5], [7, 5], (10, 2))])
    precision, recall = precision_recall(real, fake)
    figure = Figure(figsize=(9.4, 4.4), layout="constrained")
    data, samples = ("data", real, "o", 13), ("samples", fake, "D", 14)
    panels = ((data, samples, f"precision {precision:.0%}: samples in the balls around data"),
              (samples, data, f"recall {recall:.0%}: data in the balls around samples"))
    for panel, ((name, support, marker, size), tested, title) in zip(figure.subplots(1, 2), panels):
        radii = np.sort(np.linalg.norm(support[:, None] - support, axis=-1), axis=1)[:, 3]
        for centre, radius in zip(support, radii):
            panel.add_patch(Circle(centre, radius, color=PALETTE[5], alpha=0.13, linewidth=0))
        panel.scatter(*support.T, s=size, color=PALETTE[8], marker=marker, label=name, linewidths=0)
        name, points, marker, size = tested
        inside = np.array([covered(point[None], support, 3) for point in points]) > 0
        for chosen, colour, where in ((inside, PALETTE[2], "inside"), (~inside, PALETTE[3], "outside")):
            panel.scatter(*points[chosen].T, s=size, color=colour, marker=marker, label=f"{name}, {where}")
        panel.set(xlim=(-2.6, 8), ylim=(-2.8, 6.2), xticks=[], yticks=[], aspect="equal")
        panel.set_title(title, fontsize=10, color=INK, loc="left")
        panel.legend(frameon=False, fontsize=8, loc="lower right")
        panel.spines[:].set_color(FAINT)
    mg.viz.save(figure, path, DPI)


if __name__ == "__main__":
    main()
