"""Time drawing 28 × 28 binary images from autoregressive models, with the cache and naively.

    python tests/bench/sampling.py                  # a table
    python tests/bench/sampling.py --json

With the cache a step computes only what the newest pixel changes; naively it is a pass of the whole network over the
whole image. Both draw from the same noise, and their images are compared bit by bit. Seconds are the median over runs,
one run on the naive side, which draws a few images only where it is slow; the ratio is for those. What a step costs
does not depend on the weights, so no model is trained.
"""
import argparse
import json
import os
import statistics
import time

THREADS = os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")                     # before NumPy is loaded

import minigen as mg  # noqa: E402
from minigen.models.autoregressive import MADE, NADE, GatedPixelCNN, PixelCNN  # noqa: E402

SHAPE, RUNS = (28, 28, 1), 3
CASES = (                                            # name, model, images cached, images also drawn naively
    ("NADE, 500 units", lambda: NADE(SHAPE, hidden=500, rng=0), 64, 16),
    ("MADE, 500 units", lambda: MADE(SHAPE, hidden=(500,), rng=0), 64, 64),
    ("PixelCNN, 7 blocks of 16", lambda: PixelCNN(SHAPE, hidden=16, blocks=7, rng=0), 64, 16),
    ("gated PixelCNN, 7 layers of 32", lambda: GatedPixelCNN(SHAPE, features=32, layers=7, rng=0), 64, 16),
)


def draw(model, eps, cached, runs):
    """(median seconds, images) of drawing with this noise."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        images = model.sample(len(eps), eps=eps, cached=cached)
        times.append(time.perf_counter() - began)
    return statistics.median(times), images.numpy()


def measure(name, build, images, naive_images):
    """One row of the table."""
    model = build()
    noise = mg.random.default_rng(0).random((images, *SHAPE))
    eps = noise if hasattr(model, "head") else noise.reshape((images, 784))      # pixel models want noise like images
    cached, drawn = draw(model, eps, True, RUNS)
    if naive_images < images:
        few, drawn = draw(model, eps[:naive_images], True, RUNS)
    else:
        few = cached
    naive, slowly = draw(model, eps[:naive_images], False, 1)
    return {"model": name, "images": images, "cached_s": cached, "naive_images": naive_images, "naive_s": naive,
            "times_faster": naive / few, "different_bits": int((drawn != slowly).sum())}


def main():
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", help="a part of a model's name")
    arguments = parser.parse_args()
    rows = [measure(*case) for case in CASES if (arguments.only or "") in case[0]]
    if arguments.json:
        print(json.dumps({"threads": int(THREADS), "rows": rows}, indent=1))
        return
    print("| model | images | cached s | naive s | cached is … times faster | different bits |\n"
          "|---|---|---|---|---|---|")
    for row in rows:
        naive = f"{row['naive_s']:.1f}" + ("" if row["naive_images"] == row["images"]
                                           else f" ({row['naive_images']} images)")
        print(f"| {row['model']} | {row['images']} | {row['cached_s']:.2f} | {naive} | {row['times_faster']:.0f} | "
              f"{row['different_bits']} |")


if __name__ == "__main__":
    main()
