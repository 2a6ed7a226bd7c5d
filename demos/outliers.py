"""Outliers: models learn nine digits, and are asked which images are unlike anything they have seen.

Each model of minigen/recipes/outliers.py scores test images, and images of the digit that was held out. Pictures: the
most and the least typical images of several models; the scores of one model digit by digit; the curve of false alarms
and finds; the area under it for every model and every held-out digit. By default eight scores and three digits; with
--full all sixteen scores and all ten digits, which takes some ten minutes. The chapter is docs/autoencoders.md.
"""
import time

import numpy as np
from matplotlib.figure import Figure

import minigen as mg
from minigen.demo import Demo
from minigen.metrics import roc_curve
from minigen.recipes.outliers import DETECTORS, held_out
from minigen.recipes.sets import bundled_digits
from minigen.viz.figure import FAINT, INK, PALETTE, finish, new_axes, save

QUICK = ("ink", "autoencoder", "PCA, probabilistic", "factor analysis", "40 Bernoullis", "VAE", "MADE", "MADE, ratio")
SHOWN, CLOSE = 4, "MADE"                                 # the held-out digit of the pictures, and the model looked at


def main():
    """Fit every model without every digit, draw, tell the areas."""
    with Demo("outliers", __doc__, full="all scores and all digits: ten minutes") as demo:
        train, test = (bundled_digits(split, demo.data) for split in ("train", "test"))
        share, digits = (0.005, (1, SHOWN)) if demo.smoke else (1.0, range(10) if demo.full else (0, 1, SHOWN))
        if demo.smoke:
            train, test = train[:600], test[:300]
        areas, scores = {}, {}
        for name in DETECTORS if demo.full else QUICK:
            began = time.perf_counter()
            for digit in digits:
                area, error, *both = held_out(name, digit, train, test, demo.seed, share)
                areas[name, digit] = area, error
                if digit == SHOWN:
                    scores[name] = both
            told = ", ".join(f"{digit}: {areas[name, digit][0]:.3f}" for digit in digits)
            print(f"{name:<22}{told}   {time.perf_counter() - began:.0f} s", flush=True)
            demo.metric(name, np.mean([areas[name, digit][0] for digit in digits]), "mean AUROC")
        draw_table(areas, demo.path("table.png"))
        draw_roc(scores, demo.path("roc.png"))
        images, labels = fresh(train, test)
        draw_typical({name: np.concatenate(both) for name, both in scores.items()}, images, labels,
                     demo.path("typical.png"))
        draw_scores(np.concatenate(scores[CLOSE]), labels, demo.path("by_digit.png"))


def fresh(train, test):
    """(images, labels) in the order of `held_out`'s scores: known test images, then all of the held-out digit."""
    parts = [(test, test["y"] != SHOWN), (train, train["y"] == SHOWN), (test, test["y"] == SHOWN)]
    return [np.concatenate([part[name][which] for part, which in parts]) for name in ("x", "y")]


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw_table(areas, path):
    """AUROC of every score (rows) and every held-out digit (columns), and the mean over digits."""
    names, digits = list(dict.fromkeys(n for n, _ in areas)), sorted({d for _, d in areas})
    table = np.array([[areas[name, digit][0] for digit in digits] for name in names])
    table = np.concatenate([table, table.mean(axis=1, keepdims=True)], axis=1)
    figure = Figure(figsize=(2.6 + 0.52 * table.shape[1], 0.9 + 0.27 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(table, cmap="RdBu", vmin=0, vmax=1, aspect="auto")
    for (i, j), area in np.ndenumerate(table):
        axes.text(j, i, f"{area:.2f}", ha="center", va="center", fontsize=8.5,
                  weight="bold" if j == len(digits) else None, color="white" if abs(area - 0.5) > 0.33 else INK)
    axes.set_xticks(range(table.shape[1]), [*map(str, digits), "mean"])
    axes.set_yticks(range(len(names)), [f"{name}: {DETECTORS[name].kind}" for name in names])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=8.5, colors=INK)
    axes.spines[:].set_visible(False)
    figure.suptitle("AUROC, digit held out: ½ is guessing, below it the unknown is taken for more typical", fontsize=9,
                    color=INK)
    save(figure, path, dpi=90)


def draw_roc(scores, path):
    """False alarms and finds, for the held-out digit that is shown."""
    figure, axes = new_axes(6.0, 4.6, "known digits taken for outliers", f"images of the unknown {SHOWN} found",
                            f"The digit {SHOWN} held out: what each score finds, at the price of false alarms")
    chosen = [name for name in QUICK if name in scores]
    for name, colour in zip(chosen, PALETTE):
        axes.plot(*roc_curve(*scores[name]), color=colour, linewidth=1.6, label=name)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle="--")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    finish(figure, path)


def draw_typical(scores, images, labels, path, count=14):
    """The images of lowest and of highest score of each model."""
    rows, texts, rng = [], [], np.random.default_rng(0)
    few = np.concatenate([np.flatnonzero(labels != SHOWN), rng.permutation(np.flatnonzero(labels == SHOWN))
                          [:max(1, int((labels != SHOWN).sum() / 9))]])              # ten digits, equally often
    for name, score in scores.items():
        order = few[np.argsort(score[few], kind="stable")]
        rows += [images[order[:count]], images[order[::-1][:count]]]
        texts += [f"{name}: most typical", "least typical"]
    mg.viz.image_grid(np.concatenate(rows), path, columns=count, labels=texts,
                      title=f"Test images of all ten digits; {SHOWN} was never shown to any model")


def draw_scores(score, labels, path):
    """How the score of one model is spread, digit by digit."""
    figure, axes = new_axes(6.4, 3.6, "digit", f"−log p of {CLOSE}, nats",
                            f"Learnt without {SHOWN}, which is unlikely; but each digit has a price of its own, and a "
                            "1 is the cheapest")
    order = sorted(range(10), key=lambda digit: np.median(score[labels == digit]))
    boxes = axes.boxplot([score[labels == digit] for digit in order], widths=0.6, patch_artist=True, whis=(5, 95),
                         showfliers=False, medianprops={"color": INK})
    for digit, box in zip(order, boxes["boxes"]):
        box.set(facecolor=PALETTE[3] if digit == SHOWN else PALETTE[5], edgecolor=INK, linewidth=0.8)
    axes.set_xticks(range(1, 11), [f"{digit}\nunknown" if digit == SHOWN else str(digit) for digit in order])
    finish(figure, path)


if __name__ == "__main__":
    main()
