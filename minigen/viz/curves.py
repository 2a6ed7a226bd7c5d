"""Curves and point clouds."""
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from minigen.viz.figure import INK, PALETTE, finish, host, new_axes


def curves(lines, path=None, xlabel="step", ylabel="nats per example", title=None, log="", levels=None):
    """Plot lines on common axes.

    Args:
        lines: {name: (x, y)} or {name: y}. levels: {name: value}, broken horizontals, such as a target or a baseline.
        log: which axes are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
    """
    if log not in ("", "x", "y", "xy"):
        raise ValueError(f"curves: log says which axes are logarithmic, '', 'x', 'y' or 'xy', got {log!r}")
    figure, axes = new_axes(6.4, 3.8, xlabel, ylabel, title)
    for colour, (name, line) in zip(PALETTE * (1 + len(lines) // len(PALETTE)), lines.items()):
        x, y = line if isinstance(line, tuple) else (range(len(line)), line)
        x, y = host(x), host(y)
        if x.shape != y.shape or y.ndim != 1:
            raise ValueError(f"curves: {name!r} wants x and y of one length, got shapes {x.shape} and {y.shape}")
        axes.plot(x, y, color=colour, linewidth=1.6, marker="o" if len(y) < 8 else None, markersize=4, label=name)
    for k, (name, level) in enumerate((levels or {}).items()):
        axes.axhline(level, color=INK, linewidth=1, linestyle=("--", ":", "-.")[k % 3], label=name)
    for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        if name in log:
            axes.set(**{name + "scale": "log"})
            wide = axis.get_data_interval()[1] > 3000 * axis.get_minpos()            # labels at 2 and 5 would collide
            axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
            axis.set_major_formatter("{x:,g}")
            axis.set_minor_formatter(NullFormatter())
    if lines or levels:
        axes.legend(frameon=False, fontsize=9)
    return finish(figure, path)


def latent_map(z, labels=None, path=None, title=None):
    """Latents as points in the plane, coloured by class; more than two dimensions are shown in their principal plane.

    Args:
        z: (N, K) with K ≥ 2. labels: (N,) integers, optional.
    """
    z = host(z).astype(np.float64)
    if z.ndim != 2 or z.shape[1] < 2 or not len(z):
        raise ValueError(f"latent_map: wants latents (N, K), N ≥ 1, K ≥ 2, got shape {z.shape}")
    if not np.isfinite(z).all():
        raise ValueError(f"latent_map: {np.sum(~np.isfinite(z).all(axis=1))} of {len(z)} latents are not finite")
    classes = np.zeros(len(z), int) if labels is None else host(labels)
    if classes.shape != (len(z),):
        raise ValueError(f"latent_map: wants one label for each of {len(z)} latents, got shape {classes.shape}")
    names, note = ("z[0]", "z[1]"), ""
    if z.shape[1] > 2:
        z, share = principal_plane(z)
        names = ("principal component 1", "principal component 2")
        note = f"principal plane, {share:.0%} of the variance"
    figure, axes = new_axes(6.4, 5.6, *names, ", ".join(part for part in (title, note) if part))
    kinds = np.unique(classes)
    colours = np.array(PALETTE * (1 + len(kinds) // len(PALETTE)))[:len(kinds)]
    axes.scatter(*z.T, s=9, c=colours[np.searchsorted(kinds, classes)], alpha=0.6, linewidths=0)    # no class on top
    for k, colour in zip(kinds, colours) if labels is not None else ():
        axes.text(*np.median(z[classes == k], axis=0), str(k), fontsize=11, weight="bold", ha="center", va="center",
                  color=INK, bbox={"boxstyle": "circle", "facecolor": "white", "alpha": 0.85, "edgecolor": colour})
    axes.set_aspect("equal", "datalim")
    return finish(figure, path)


def principal_plane(z):
    """The first two principal components of points (N, K): (N, 2) coordinates and the share of variance they carry."""
    centred = z - z.mean(axis=0)
    variances, vectors = np.linalg.eigh(centred.T @ centred)                    # N × the variances, ascending
    variances = np.maximum(variances, 0)                                        # rounding may leave −1e-17
    share = variances[-2:].sum() / max(variances.sum(), np.finfo(float).tiny)
    return centred @ vectors[:, :-3:-1], float(share)
