"""Grids of images: samples, reconstructions, traversals, interpolations.

Images are (N, H, W, C) or (N, H, W), with C = 1 (shown in grey) or 3: floats, of which [0, 1] is shown and the rest
clipped, or uint8 from 0 to 255. NaN is painted vermilion. One pixel of an image becomes k × k pixels of the file, k an
integer, so that what is drawn is what the model made, neither blurred nor distorted.
"""
import math
import textwrap

import numpy as np
from matplotlib.figure import Figure

from minigen.viz.figure import DPI, INK, finish, host

GAP, BAND = 2, 4                    # pixels of an image: between two images; more of them between bands of rows
NAN = (0.835, 0.369, 0.0)           # the palette's vermilion
SIZE = 1000                        # pixels of the file that a picture's longer side is brought near to
CHARACTER = 10                      # pixels of the file that a letter of a label is wide, about


def image_grid(images, path=None, columns=None, title=None, labels=(), heads=()):
    """A grid of images, row by row; ``columns`` of them in a row, by default about as many as there are rows.

    Args: labels: texts beside the rows, one each, or none. heads: texts above the columns, one each, or none.
    """
    images = _as_images(images, "image_grid")
    columns = math.ceil(math.sqrt(len(images))) if columns is None else columns
    if columns < 1:
        raise ValueError(f"image_grid: columns must be at least 1, got {columns}")
    rows = [images[start:start + columns] for start in range(0, len(images), columns)]
    for name, texts, count in (("labels", labels, len(rows)), ("heads", heads, len(rows[0]))):
        if len(texts) not in (0, count):
            raise ValueError(f"image_grid: wants {count} {name} or none, got {len(texts)}")
    return finish(_show(rows, title, list(labels), list(heads)), path)


def reconstructions(originals, restored, path=None, title=None, labels=("data", "model")):
    """Originals above what the model makes of them, in bands of two rows and at most 16 columns."""
    a, b = _as_images(originals, "reconstructions"), _as_images(restored, "reconstructions")
    if a.shape != b.shape:
        raise ValueError(f"reconstructions: originals {a.shape} and restored {b.shape} must have one shape")
    bands = math.ceil(len(a) / 16)
    columns = math.ceil(len(a) / bands)
    rows = [half[k * columns:(k + 1) * columns] for k in range(bands) for half in (a, b)]
    return finish(_show(rows, title, list(labels) * bands, band=2), path)


def latent_traversal(decode, z, dimensions, path=None, span=3.0, steps=13, title=None):
    """Decode z while one coordinate at a time runs from −span to span.

    Args:
        decode: latents (N, K) as a NumPy array -> images (N, H, W, C).
        z: the point to start from, (K,). dimensions: which coordinates, one row each.
    """
    z, values, dimensions = host(z).astype(np.float32), np.linspace(-span, span, steps), list(dimensions)
    if z.ndim != 1 or not dimensions or not all(-len(z) <= k < len(z) for k in dimensions):
        raise ValueError("latent_traversal: wants a latent (K,) and coordinates of it, "
                         f"got shape {z.shape} and {dimensions}")
    points = np.tile(z, (len(dimensions), steps, 1))                                               # (rows, steps, K)
    for row, k in zip(points, dimensions):
        row[:, k] = values
    rows = _decoded(decode, points, "latent_traversal")
    return finish(_show(rows, title, [f"z[{k}]" for k in dimensions], [_signed(v) for v in values]), path)


def interpolation(decode, starts, ends, path=None, steps=11, title=None):
    """Decode the straight line between pairs of latents, one row a pair.

    Args:
        decode: latents (N, K) as a NumPy array -> images (N, H, W, C). starts, ends: latents (rows, K).
    """
    a, b = host(starts), host(ends)
    if a.shape != b.shape or a.ndim != 2 or not len(a):
        raise ValueError(f"interpolation: wants two arrays of latents (rows, K), got shapes {a.shape} and {b.shape}")
    t = np.linspace(0, 1, steps)
    points = a[:, None] + t[:, None] * (b - a)[:, None]                                            # (rows, steps, K)
    return finish(_show(_decoded(decode, points, "interpolation"), title, columns=[f"{v:.2g}" for v in t]), path)


# ---- parts -----------------------------------------------------------------------------------------------------------
def _as_images(images, what):
    """Float images (N, H, W, C) on the host, in [0, 1] or NaN. Raises ValueError for anything else."""
    images = host(images)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"{what}: wants images (N, H, W) or (N, H, W, 1 or 3), N ≥ 1, got shape {images.shape}")
    if images.dtype.kind not in "fb" and images.dtype != np.uint8:
        raise ValueError(f"{what}: wants floats in [0, 1] or uint8, got {images.dtype}; divide or convert the images")
    return np.clip(images / 255.0 if images.dtype == np.uint8 else images.astype(np.float64), 0, 1)


def _decoded(decode, points, what):
    """Images of latents (rows, columns, K), as a list of rows."""
    rows, columns, k = points.shape
    images = _as_images(decode(points.reshape(-1, k).astype(np.float32)), what)
    if len(images) != rows * columns:
        raise ValueError(f"{what}: decode made {len(images)} images of {rows * columns} latents")
    return np.split(images, rows)


def _signed(value):
    """``+0.5``, ``−0.5``, ``0``."""
    return f"{value:+.2g}".replace("-", "−") if round(value, 9) else "0"


def _starts(count, size, band):
    """Where each of ``count`` images begins along an axis, and where the last one ends."""
    starts = [i * (size + GAP) + i // band * BAND for i in range(count)]
    return starts, starts[-1] + size


def _tile(rows, band=None):
    """Rows of images on a white ground: the picture (H', W', 3), and where its rows and its columns begin, in pixels.

    Args:
        rows: a list of images (n, H, W, C); shorter rows end early. band: rows in a band; after each the gap is wider.
    """
    (h, w), across = rows[0].shape[1:3], max(map(len, rows))
    ys, height = _starts(len(rows), h, band or len(rows))
    xs, width = _starts(across, w, across)
    picture = np.ones((height, width, 3))
    for y, row in zip(ys, rows):
        for x, image in zip(xs, row):
            picture[y:y + h, x:x + w] = np.where(np.isnan(image), NAN, image)              # grey (…, 1) becomes (…, 3)
    return picture, ys, xs


def _show(rows, title=None, labels=(), columns=(), band=None):
    """A figure of tiled images with ``labels`` beside the rows and above the ``columns``. All lengths are in pixels."""
    picture, ys, xs = _tile(rows, band)
    h, w = rows[0].shape[1:3]
    height, width = picture.shape[:2]
    k = min(12, max(1, round(SIZE / max(height, width))))
    margin = 12
    left = margin + CHARACTER * max((len(label) + 1 for label in labels), default=0)
    across = left + k * width + margin
    lines = textwrap.wrap(title or "", max(12, (across - left) // CHARACTER))
    top = margin + 6 * bool(lines) + 23 * len(lines) + 28 * bool(columns)
    down = top + k * height + margin

    figure = Figure(figsize=((across + 1e-3) / DPI, (down + 1e-3) / DPI), dpi=DPI)         # pixels are rounded down
    axes = figure.add_axes((left / across, margin / down, k * width / across, k * height / down))
    axes.imshow(picture, interpolation="nearest", vmin=0, vmax=1, aspect="auto")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8, labelcolor=INK)
    axes.xaxis.tick_top()
    every = math.ceil(CHARACTER * max((len(c) + 1 for c in columns), default=1) / (k * (w + GAP)))    # or they overlap
    axes.set_xticks([x + (w - 1) / 2 for x in xs[::every]] if columns else [], columns[::every])
    axes.set_yticks([y + (h - 1) / 2 for y in ys] if labels else [], labels)
    if lines:
        figure.text(left / across, 1 - margin / down, "\n".join(lines), fontsize=9, color=INK, va="top")
    return figure
