"""Grids of images: samples, reconstructions, traversals, interpolations.

Images are (N, H, W, C) with C = 1 (shown in grey) or 3, values in [0, 1] (floats) or 0…255 (uint8).
"""
import math

import numpy as np

from minigen.viz.figure import INK, finish, host, new_figure


def _tile(images, rows, columns, gap=2):
    """One picture (rows·(H+gap)+gap, columns·(W+gap)+gap, 3) of a batch of images, row by row, on a light ground."""
    n, h, w, c = images.shape
    picture = np.full((rows * (h + gap) + gap, columns * (w + gap) + gap, 3), 0.93)
    for k in range(n):
        y, x = gap + (k // columns) * (h + gap), gap + (k % columns) * (w + gap)
        picture[y:y + h, x:x + w] = images[k]                         # a grey channel broadcasts to three
    return picture


def _as_images(images, what):
    """Float images in [0, 1] on the host. Raises ValueError for any other layout."""
    images = host(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"{what}: wants images (N, H, W, 1 or 3), got shape {images.shape}")
    return np.clip(images / 255.0 if images.dtype == np.uint8 else images.astype(np.float64), 0, 1)


def _show(picture, title, row_labels=(), column_labels=(), gap=2, cell=None):
    """A figure of a tiled picture with labels beside its rows and above its columns."""
    height, width = picture.shape[:2]
    scale = 0.34 / 28                                                       # inches a pixel: a digit is a third of an inch
    scale = max(scale, 3.2 / width)
    figure = new_figure(width * scale + (0.9 if row_labels else 0.1), height * scale + (0.35 if title else 0.1))
    axes = figure.add_subplot()
    axes.imshow(picture, interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8, colors=INK)
    centres = (lambda count, step: [gap + step * (i + 0.5) - gap / 2 for i in range(count)])
    axes.set_yticks(centres(len(row_labels), cell[0]) if row_labels else [], row_labels)
    axes.set_xticks(centres(len(column_labels), cell[1]) if column_labels else [], column_labels)
    axes.xaxis.tick_top()
    if title:
        axes.set_title(title, fontsize=10, color=INK)
    return figure


def image_grid(images, path=None, columns=None, title=None):
    """A grid of images, row by row. ``columns`` defaults to a square grid."""
    images = _as_images(images, "image_grid")
    columns = columns or math.ceil(math.sqrt(len(images)))
    return finish(_show(_tile(images, math.ceil(len(images) / columns), columns), title), path)


def reconstructions(originals, restored, path=None, title=None, labels=("data", "model")):
    """Originals above what the model makes of them, two rows a band; as many columns as fit 16."""
    a, b = _as_images(originals, "reconstructions"), _as_images(restored, "reconstructions")
    if a.shape != b.shape:
        raise ValueError(f"reconstructions: originals {a.shape} and restored {b.shape} must have one shape")
    columns = min(16, len(a))
    bands = len(a) // columns
    order = [half[band * columns:(band + 1) * columns] for band in range(bands) for half in (a, b)]
    picture = _tile(np.concatenate(order), 2 * bands, columns)
    return finish(_show(picture, title, list(labels) * bands, cell=(a.shape[1] + 2, a.shape[2] + 2)), path)


def latent_traversal(decode, z, dimensions, path=None, span=3.0, steps=13, title=None):
    """Decode z while one coordinate at a time runs from −span to span.

    Args:
        decode: latents (N, K) as a NumPy array -> images (N, H, W, C).
        z: the point to start from, (K,). dimensions: which coordinates, one row each.
    """
    z, values = host(z), np.linspace(-span, span, steps)
    points = np.repeat(z[None], len(dimensions) * steps, axis=0)
    for row, k in enumerate(dimensions):
        points[row * steps:(row + 1) * steps, k] = values
    images = _as_images(decode(points.astype(np.float32)), "latent_traversal")
    figure = _show(_tile(images, len(dimensions), steps), title, [f"z[{k}]" for k in dimensions],
                   [f"{v:+.1f}" for v in values], cell=(images.shape[1] + 2, images.shape[2] + 2))
    return finish(figure, path)


def interpolation(decode, starts, ends, path=None, steps=11, title=None):
    """Decode the straight line between pairs of latents, one row a pair.

    Args:
        decode: latents (N, K) as a NumPy array -> images (N, H, W, C). starts, ends: latents (rows, K).
    """
    a, b = host(starts), host(ends)
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"interpolation: wants two (rows, K) arrays of latents, got {a.shape} and {b.shape}")
    t = np.linspace(0, 1, steps)[None, :, None]
    points = ((1 - t) * a[:, None] + t * b[:, None]).reshape(-1, a.shape[1])
    images = _as_images(decode(points.astype(np.float32)), "interpolation")
    figure = _show(_tile(images, len(a), steps), title, column_labels=[f"{v:.1f}" for v in t.ravel()],
                   cell=(images.shape[1] + 2, images.shape[2] + 2))
    return finish(figure, path)


