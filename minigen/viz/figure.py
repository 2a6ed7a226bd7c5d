"""What all pictures share: a Figure without global state, atomic saving, and arrays brought to the host."""
import os
import tempfile
import textwrap

import numpy as np
from matplotlib.figure import Figure

from minigen import backend
from minigen.tensor import Tensor

DPI = 150                                                                    # pixels an inch, of what `save` writes
INK, FAINT = "#222222", "#bbbbbb"
# Okabe and Ito's palette, which colour-blind readers can tell apart (jfly.uni-koeln.de/color, 2008), and more
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6D1F", "#000000", "#7F7F7F", "#B8B000"]


def new_axes(width, height, xlabel, ylabel, title=None):
    """(Figure, Axes) of this size in inches, for curves and points: no box, a faint grid, a title never cut off."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9, color=FAINT)
    axes.grid(color="#eeeeee")
    axes.set_axisbelow(True)
    axes.set_xlabel(xlabel, color=INK)
    axes.set_ylabel(ylabel, color=INK)
    if title:
        axes.set_title(textwrap.fill(title, int(13 * width)), fontsize=10, color=INK, loc="left")
    return figure, axes


def save(figure, path, dpi=DPI):
    """Write a figure; the file appears complete or not at all. The suffix of ``path`` chooses the format. Returns path.

    Raises ValueError for a format that matplotlib cannot write, OSError where the file cannot be written.
    """
    folder, suffix = os.path.dirname(os.path.abspath(path)), os.path.splitext(path)[1]
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=suffix)
    try:
        with os.fdopen(handle, "wb") as file:
            figure.savefig(file, dpi=dpi, format=suffix[1:] or "png", facecolor="white")
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def _umask():
    """What this process forbids on new files; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def finish(figure, path):
    """Save if there is a path; return the figure."""
    if path is not None:
        save(figure, path)
    return figure


def host(values):
    """A NumPy array of a Tensor, of an array of any backend, or of a list."""
    if isinstance(values, Tensor):
        return values.numpy()
    home = backend.of(values)
    return home.to_numpy(values) if home else np.asarray(values)
