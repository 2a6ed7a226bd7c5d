"""What a pixel of a left-to-right image model sees of the image, beside what it might see and does not."""
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from minigen.viz.figure import FAINT, INK, PALETTE, finish, host

SEEN, BLIND, LATER = PALETTE[0], PALETTE[3], "#ececec"


def receptive_fields(fields, pixel, path=None, title=None):
    """A panel for each model: the pixel, what it sees, what comes before it unseen, and what comes after it.

    Args:
        fields: {name: booleans (H, W)}, true where the model's output at the pixel depends on the input.
        pixel: (row, column), of the output.

    Raises ValueError for fields of different shapes, and a pixel that lies outside.
    """
    fields = {name: host(field).astype(bool) for name, field in fields.items()}
    shape = next(iter(fields.values())).shape
    if len(shape) != 2 or any(field.shape != shape for field in fields.values()):
        raise ValueError("receptive_fields: wants fields (H, W) of one shape, got "
                         f"{', '.join(str(field.shape) for field in fields.values())}")
    if not (0 <= pixel[0] < shape[0] and 0 <= pixel[1] < shape[1]):
        raise ValueError(f"receptive_fields: the pixel {tuple(pixel)} lies outside of the fields {shape}")
    before = np.arange(shape[0] * shape[1]).reshape(shape) < pixel[0] * shape[1] + pixel[1]
    figure = Figure(figsize=(2.3 * len(fields), 3.0), layout="constrained")
    for panel, (name, field) in zip(figure.subplots(1, len(fields), squeeze=False)[0], fields.items()):
        kinds = np.where(field, 1, np.where(before, 2, 0))
        kinds[tuple(pixel)] = 3
        panel.pcolormesh(kinds, cmap=ListedColormap([LATER, SEEN, BLIND, INK]), vmin=0, vmax=3, edgecolors="white",
                         linewidth=0.6)
        panel.set(xticks=[], yticks=[], aspect="equal")
        panel.invert_yaxis()
        panel.spines[:].set_visible(False)
        seen = (field & before).sum() / max(1, before.sum())
        panel.set_title(f"{name}\nsees {seen:.0%} of what comes before", fontsize=8.5, color=INK)
    names = {"the pixel": INK, "seen": SEEN, "before it, not seen": BLIND, "after it": LATER}
    figure.legend(handles=[Patch(facecolor=colour, edgecolor=FAINT, label=name) for name, colour in names.items()],
                  loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    figure.get_layout_engine().set(h_pad=0.09)                                       # inches, also below the title
    if title:
        figure.suptitle(title, fontsize=10, color=INK, x=0.01, ha="left")
    return finish(figure, path)
