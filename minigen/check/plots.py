"""Pictures of a `Report`. Only here does `minigen.check` touch matplotlib, and only when asked."""
import numpy as np

__all__ = ["draw"]


def draw(report, path=None):
    """Draw every picture of a report side by side; see `Report.plot`."""
    if not report.pictures:
        raise ValueError(f"plot: the report {report.title!r} has nothing to draw; print it instead")
    from matplotlib.figure import Figure
    figure = Figure(figsize=(4.5 * len(report.pictures), 3.8), layout="constrained")
    axes = figure.subplots(1, len(report.pictures), squeeze=False)[0]
    for axis, (kind, title, *data) in zip(axes, report.pictures):
        (_curve if kind == "curve" else _map)(axis, *data)
        axis.set_title(title, fontsize=10)
    figure.suptitle(f"{report.title}: {report.verdict}", fontsize=11)
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def _curve(axis, steps, errors):
    """Error against step: falls as h² while truncation rules, rises as 1/h where rounding takes over."""
    errors = np.asarray(errors, dtype=float)
    seen = np.isfinite(errors)
    axis.loglog(np.asarray(steps)[seen], np.maximum(errors[seen], 1e-18), "o-", markersize=3)
    axis.set_xlabel("step h")
    axis.set_ylabel("|difference − ours|")
    axis.grid(alpha=0.3)


def _map(axis, array):
    """An array as a picture; more than two axes are folded into rows."""
    array = np.atleast_1d(np.asarray(array, dtype=float))
    array = array.reshape(1, -1) if array.ndim == 1 else array.reshape(-1, array.shape[-1])
    image = axis.imshow(array, cmap="magma_r", aspect="auto" if array.shape[0] > 4 * array.shape[1] else "equal",
                        vmin=0, interpolation="nearest")
    axis.figure.colorbar(image, ax=axis, shrink=0.8)
