"""What all pictures share: a Figure without global state, atomic saving, and arrays brought to the host."""
import os
import tempfile

import numpy as np
from matplotlib.figure import Figure

from minigen.tensor import Tensor

INK, FAINT = "#222222", "#bbbbbb"
# Okabe and Ito's palette, which colour-blind readers can tell apart (jfly.uni-koeln.de/color, 2008), and two greys
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6D1F", "#000000", "#7F7F7F", "#B8B000"]


def new_figure(width, height):
    """An empty Figure of this size in inches, laid out so that nothing overlaps."""
    return Figure(figsize=(width, height), layout="constrained")


def save(figure, path, dpi=150):
    """Write a figure; the file appears complete or not at all. The suffix of ``path`` chooses the format. Returns path."""
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=os.path.splitext(path)[1] or ".png")
    try:
        with os.fdopen(handle, "wb") as file:
            figure.savefig(file, dpi=dpi, format=os.path.splitext(path)[1][1:] or "png", facecolor="white")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def finish(figure, path):
    """Save if there is a path; return the figure."""
    if path is not None:
        save(figure, path)
    return figure


def host(values):
    """A NumPy array of a Tensor, an array or a list."""
    return values.numpy() if isinstance(values, Tensor) else np.asarray(values)


def plain_axes(axes):
    """Axes without a box, for curves."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    return axes
