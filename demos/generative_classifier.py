"""Discriminative against generative: logistic regression, Gaussian discriminant analysis and naive Bayes, side by side.

Decision boundaries on three data sets of the plane; the error against the number of examples, where the generative
assumption holds and where it does not; what only a generative classifier can do: draw examples, tell an outlier, answer
when a feature is missing. Then the same on bits: naive Bayes and logistic regression read digits, and half digits. The
derivations are in docs/probability.md.
"""
import itertools

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import minigen as mg
from minigen.data import GaussianMixture
from minigen.demo import Demo
from minigen.models.classifiers import BernoulliNaiveBayes, GaussianDiscriminant, GaussianNaiveBayes, LogisticRegression
from minigen.recipes.sets import bundled_digits
from minigen.training import Adam, Trainer
from minigen.viz.figure import FAINT, INK, PALETTE, save

DPI = 80                                                                # of the pictures: small files
CLASSIFIERS = {
    "logistic regression": LogisticRegression,
    "discriminant analysis,\none covariance for all": lambda D, K: GaussianDiscriminant(D, K, shared=True),
    "discriminant analysis,\na covariance for each": GaussianDiscriminant,
    "naive Bayes, Gaussian": GaussianNaiveBayes,
}
GENERATIVE = "discriminant analysis,\na covariance for each"
FAR = GaussianMixture([[-1.5, 0.0], [1.2, 0.0], [6.0, 1.5]], [0.8, 0.8, 0.5], [2, 1, 1], labels=[0, 1, 1])
WINDOW = {"one covariance": (-4.5, 4.5), "a covariance for each": (-4.5, 4.5), "one in two groups": (-4.5, 8.0)}


def main():
    """Fit, draw, count errors."""
    with Demo("generative_classifier", __doc__) as demo:
        sets = {"one covariance": blobs(True), "a covariance for each": blobs(False), "one in two groups": FAR.sample}
        draw_boundaries(sets, demo)
        draw_learning(sets, demo, 4 if demo.smoke else 100)
        draw_abilities(sets["a covariance for each"], demo)
        digits(demo)


# ---- data ------------------------------------------------------------------------------------------------------------
def blobs(shared):
    """A function (n, rng) -> (x (n, 2), y (n,)): three Gaussian classes, with one covariance or with three."""
    means = np.array([[-1.6, 0.0], [1.2, 1.2], [1.2, -1.4]])
    roots = np.array([[[1.0, 0.0], [0.5, 0.7]]] * 3 if shared else [[[0.4, 0.0], [0.3, 1.3]], [[1.3, 0.0], [-0.6, 0.3]],
                                                                     [[0.6, 0.0], [0.0, 0.5]]])

    def sample(n, rng):
        rng = np.random.default_rng(rng)
        y = rng.integers(3, size=n)
        x = means[y] + np.einsum("nij,nj->ni", roots[y], rng.standard_normal((n, 2)))
        return x.astype(np.float32), y
    return sample


def errors(model, x, y):
    """The share of wrong answers."""
    return float((model.predict(mg.tensor(x)).numpy() != y).mean())


def fit(make, x, y):
    """A classifier of these examples."""
    return make(x.shape[1], int(y.max()) + 1).fit(mg.tensor(x), mg.tensor(y))


# ---- boundaries ------------------------------------------------------------------------------------------------------
def grid(low, high, n=161):
    """Points of a square around y = 0, (n, n, 2), and its (left, right, bottom, top)."""
    half = (high - low) / 2
    x, y = np.linspace(low, high, n, dtype=np.float32), np.linspace(-half, half, n, dtype=np.float32)
    return np.stack(np.meshgrid(x, y), axis=-1), (low, high, -half, half)


def panels(rows, columns, title, size=2.5, extra=0.5):
    """(Figure, axes (rows, columns)) for pictures of the plane."""
    figure = Figure(figsize=(size * columns, size * rows + extra), layout="constrained")
    figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_color(FAINT)
    return figure, axes


def show_posterior(panel, model, window):
    """Colours mixed by p(y|x), and the boundaries."""
    points, extent = grid(*window)
    p = model.posterior(mg.tensor(points.reshape(-1, 2))).numpy().reshape(*points.shape[:2], -1)
    colours = np.array([to_rgb(c) for c in PALETTE[:p.shape[-1]]])
    mixed = 1 - 0.45 * (1 - p @ colours)
    panel.imshow(np.round(40 * mixed) / 40, extent=extent, origin="lower", interpolation="nearest")
    best = p.argmax(axis=-1)
    for k in range(p.shape[-1]):
        panel.contour(points[0, :, 0], points[:, 0, 1], best == k, [0.5], colors=INK, linewidths=0.6)


def draw_boundaries(sets, demo, n=150):
    """A row for each data set, a column for each classifier, with the error on fresh examples."""
    told = f"{n} examples, and what each classifier makes of them. The colour is p(y | x)"
    figure, axes = panels(len(sets), len(CLASSIFIERS), told, extra=1.0)
    for (i, (name, sample)), (j, (title, make)) in itertools.product(enumerate(sets.items()),
                                                                     enumerate(CLASSIFIERS.items())):
        x, y = sample(n, demo.seed)
        model, panel = fit(make, x, y), axes[i, j]
        wrong = errors(model, *sample(20_000, demo.seed + 1))
        show_posterior(panel, model, WINDOW[name])
        panel.scatter(*x.T, c=[PALETTE[k] for k in y], s=7, edgecolors="white", linewidths=0.3)
        panel.set(xlim=WINDOW[name], ylim=(np.array(WINDOW[name]) - np.mean(WINDOW[name])))
        panel.set_title((f"{title}\n" if i == 0 else "") + f"{wrong:.1%} wrong", fontsize=9, color=INK)
        if j == 0:
            panel.set_ylabel(f"classes: {name}", fontsize=9, color=INK)
        demo.metric(f"wrong_{i + 1}_{j + 1}", 100 * wrong, f"%, {title.split(',')[-1].strip()}; classes: {name}")
    save(figure, demo.path("boundaries.png"), DPI)


# ---- how many examples -----------------------------------------------------------------------------------------------
def draw_learning(sets, demo, repeats):
    """Mean error on fresh examples against the number of examples."""
    sizes = np.array([6, 10, 16, 25, 40, 100, 250, 1000])
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    figure.suptitle("Errors against examples: fewer parameters need fewer of them, and an assumption that does not "
                    "hold costs for ever", fontsize=11, color=INK, x=0.01, ha="left")
    for panel, (name, sample) in zip(figure.subplots(1, 3), sets.items()):
        fresh = sample(4000, demo.seed + 1)
        for (title, make), colour in zip(CLASSIFIERS.items(), PALETTE):
            curve = [np.mean([errors(fit(make, *enough(sample, n, seed)), *fresh) for seed in range(few(repeats, n))])
                     for n in sizes]
            panel.semilogx(sizes, 100 * np.array(curve), "o-", color=colour, markersize=3, linewidth=1.4,
                           label=title.replace("\n", " "))
        panel.set_title(f"classes: {name}", fontsize=9, color=INK, loc="left")
        panel.set(xlabel="examples", ylim=0)
        panel.xaxis.set_major_formatter("{x:,g}")
        panel.tick_params(which="both", colors=INK, labelsize=8, color=FAINT)
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(FAINT)
        panel.grid(color="#eeeeee")
    figure.axes[0].set_ylabel("wrong, %")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), frameon=False, fontsize=8, ncols=4,
                  loc="outside lower center")
    save(figure, demo.path("learning.png"), DPI)


def few(repeats, n):
    """Large sets vary less: fewer repetitions do."""
    return max(2, repeats * 6 // n) if n > 25 else max(2, repeats // 4)


def enough(sample, n, seed):
    """n examples with at least two of each class."""
    rng = np.random.default_rng(1000 + seed)
    while True:
        x, y = sample(n, rng)
        if np.bincount(y).min() >= 2:
            return x, y


# ---- only generative ones --------------------------------------------------------------------------------------------
def draw_abilities(sample, demo):
    """Draw examples; know an outlier; do without a feature."""
    x, y = sample(300, demo.seed)
    model, judge = fit(CLASSIFIERS[GENERATIVE], x, y), fit(LogisticRegression, x, y)
    figure, axes = panels(1, 4, "What only the generative one can do", 3.0, 0.7)
    labels = np.repeat([0, 1, 2], 100)
    drawn = model.sample(300, rng=demo.seed, labels=mg.tensor(labels)).numpy()
    shown = {"300 examples it has seen": (x, y),
             "draw: 300 examples from\np(x | y), 100 of each class": (drawn, labels)}
    for panel, (title, (points, kinds)) in zip(axes[0], shown.items()):
        panel.scatter(*points.T, c=[PALETTE[k] for k in kinds], s=7, linewidths=0)
        panel.set_title(title, fontsize=9, color=INK)
        panel.set(xlim=(-6, 6), ylim=(-6, 6), aspect="equal")
    show_outliers(axes[0, 2], model, judge, x, demo)
    show_missing(axes[0, 3], model, sample, demo)
    save(figure, demo.path("abilities.png"), DPI)


def show_outliers(panel, model, judge, x, demo):
    """log p(x), and where logistic regression is sure although nothing was ever seen there."""
    points, extent = grid(-6.0, 6.0)
    flat = mg.tensor(points.reshape(-1, 2))
    log_p = model.log_prob(flat).numpy().reshape(points.shape[:2])
    sure = judge.posterior(flat).max(axis=1).numpy().reshape(points.shape[:2])
    panel.imshow(np.maximum(log_p, -25), extent=extent, origin="lower", cmap="bone")
    low = np.quantile(model.log_prob(mg.tensor(x)).numpy(), 0.01)
    panel.contour(points[0, :, 0], points[:, 0, 1], log_p, [low], colors=PALETTE[1], linewidths=1.4, linestyles="solid")
    outside = np.mean(sure[log_p < low] > 0.99)
    panel.set_title("tell outliers: 99 % of the examples have log p(x)\nabove the line. Outside it, logistic "
                    f"regression\nis 99 % sure in {outside:.0%} of the square", fontsize=9, color=INK)
    demo.metric("sure_outside", 100 * outside, "% of the outside, where logistic regression is sure")


def show_missing(panel, model, sample, demo):
    """p(y | x₁) with x₂ integrated out, over the frequencies of many examples."""
    a = np.linspace(-4, 4, 81, dtype=np.float32)
    p = model.marginal([0]).posterior(mg.tensor(a[:, None])).numpy()
    x, y = sample(200_000, demo.seed + 1)
    edges = np.linspace(-4, 4, 41)
    total = np.histogram(x[:, 0], edges)[0]
    for k in range(p.shape[1]):
        share = np.histogram(x[y == k, 0], edges)[0] / np.maximum(total, 1)
        panel.plot(0.5 * (edges[1:] + edges[:-1])[total > 50], share[total > 50], ".", color=PALETTE[k], markersize=4,
                   alpha=0.6)
        panel.plot(a, p[:, k], color=PALETTE[k], linewidth=1.5)
    both, one = (100 * errors(m, part, y) for m, part in ((model, x), (model.marginal([0]), x[:, :1])))
    panel.set_title("answer without x₂: p(y | x₁) (lines) and what\n200,000 examples say (dots). "
                    f"Wrong: {one:.0f} %;\nwith both features {both:.0f} %", fontsize=9, color=INK)
    panel.set(xlabel="x₁", xticks=[-4, -2, 0, 2, 4], yticks=[0, 0.5, 1], xlim=(-4, 4))
    panel.tick_params(labelsize=8)


# ---- digits ----------------------------------------------------------------------------------------------------------
def digits(demo):
    """Naive Bayes and logistic regression on digits of bits, whole and with the lower half missing."""
    (x, y), (x_test, y_test) = (bits(split, demo) for split in ("train", "test"))
    model = BernoulliNaiveBayes(784, 10).fit(mg.tensor(x), mg.tensor(y))
    judge = LogisticRegression(784, 10)
    trainer = Trainer(judge, lambda p: Adam(p, lr=3e-3), batches(x, y), seed=demo.seed, progress=False)
    trainer.run(60 if demo.smoke else 1500)
    upper = list(range(392))
    blank = np.where(np.arange(784) < 392, x_test, 0)
    wrong = {"naive_bayes": errors(model, x_test, y_test), "logistic": errors(judge, x_test, y_test),
             "naive_bayes_half": errors(model.marginal(upper), x_test[:, upper], y_test),
             "naive_bayes_blank": errors(model, blank, y_test), "logistic_blank": errors(judge, blank, y_test)}
    units = {"half": "% wrong, the lower half integrated out", "blank": "% wrong, the lower half taken for black"}
    for name, value in wrong.items():
        demo.metric(f"digits_{name}", 100 * value, units.get(name.split("_")[-1], "% wrong"))
    draw_digits(model, judge, wrong, demo)


def bits(split, demo):
    """(x (N, 784) of 0 and 1, y (N,))."""
    data = bundled_digits(split, demo.data)
    data = data[:1500] if demo.smoke else data
    return mg.data.binarise(data["x"], threshold=128).reshape(len(data), -1), data["y"]


def batches(x, y):
    """A function rng -> batch of 256."""
    x, y = mg.tensor(x), mg.tensor(y)

    def draw(rng):
        rows = rng.integers(len(x), size=(256,))
        return {"x": mg.take(x, rows, axis=0), "y": mg.take(y, rows, axis=0)}
    return draw


def draw_digits(model, judge, wrong, demo):
    """What each has learnt of each digit: p(pixel | y), a draw of it, and logistic regression's weights."""
    labels = mg.tensor(np.arange(10))
    w = judge.weight.numpy().T
    rows = {f"naive Bayes, p(pixel = 1 | y)\n{wrong['naive_bayes']:.1%} wrong; upper half only: "
            f"{wrong['naive_bayes_half']:.1%}": (model.conditional().mean.numpy(), "gray", (0, 1)),
            "a draw from p(x | y): each pixel\nby itself, and so no digit": (
                model.sample(10, rng=demo.seed, labels=labels).numpy(), "gray", (0, 1)),
            f"logistic regression's weights\n{wrong['logistic']:.1%} wrong; lower half black: "
            f"{wrong['logistic_blank']:.1%}": (w, "RdBu_r", (-np.abs(w).max() / 2, np.abs(w).max() / 2))}
    figure, axes = panels(len(rows), 10, "One knows how each digit looks, the other only what sets it apart", 0.95, 0.0)
    for row, (title, (images, colours, limits)) in zip(axes, rows.items()):
        for panel, image in zip(row, images):
            panel.imshow(image.reshape(28, 28), cmap=colours, vmin=limits[0], vmax=limits[1])
            panel.spines[:].set_visible(False)
        row[0].set_ylabel(title, fontsize=7.5, color=INK, rotation=0, ha="right", va="center")
    save(figure, demo.path("digits.png"), DPI)


if __name__ == "__main__":
    main()
