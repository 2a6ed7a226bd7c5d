"""Curves and point clouds."""
import numpy as np

from minigen.viz.figure import INK, PALETTE, finish, host, new_figure, plain_axes


def curves(lines, path=None, xlabel="step", ylabel="nats per example", title=None, log=False, levels=None):
    """Plot lines against a common axis, each labelled at its end.

    Args:
        lines: {name: (x, y)} or {name: y}. levels: {name: value}, drawn as dashed horizontals (a target, a baseline).
    """
    figure = new_figure(6.4, 3.8)
    axes = plain_axes(figure.add_subplot())
    for colour, (name, line) in zip(PALETTE * 9, lines.items()):
        x, y = (host(v) for v in line) if isinstance(line, tuple) else (np.arange(len(line)), host(line))
        axes.plot(x, y, color=colour, linewidth=1.6, label=name)
    for colour, (name, level) in zip(PALETTE[::-1] * 9, (levels or {}).items()):
        axes.axhline(level, color=colour, linewidth=1, linestyle="--", label=name)
    axes.set_xlabel(xlabel, color=INK)
    axes.set_ylabel(ylabel, color=INK)
    if log:
        axes.set_yscale("log")
    if title:
        axes.set_title(title, fontsize=10, color=INK)
    axes.grid(color="#eeeeee")
    axes.legend(frameon=False, fontsize=9)
    return finish(figure, path)


def principal_plane(z):
    """The first two principal components of points (N, K): (N, 2) coordinates and the share of variance they carry."""
    centred = z - z.mean(axis=0)
    _, s, vt = np.linalg.svd(centred, full_matrices=False)
    return centred @ vt[:2].T, float((s[:2] ** 2).sum() / max((s ** 2).sum(), 1e-30))


def latent_map(z, labels=None, path=None, title=None):
    """Latents as points in the plane, coloured by class; more than two dimensions are shown in their principal plane.

    Args:
        z: (N, K) with K ≥ 2. labels: (N,) integers, optional.
    """
    z = host(z).astype(np.float64)
    if z.ndim != 2 or z.shape[1] < 2:
        raise ValueError(f"latent_map: wants latents (N, K) with K ≥ 2, got shape {z.shape}")
    share = None
    if z.shape[1] > 2:
        z, share = principal_plane(z)
    figure = new_figure(5.6, 4.8)
    axes = plain_axes(figure.add_subplot())
    kinds = np.zeros(len(z), int) if labels is None else host(labels)
    for colour, k in zip(PALETTE * 9, np.unique(kinds)):
        points = z[kinds == k]
        axes.scatter(*points.T, s=7, color=colour, alpha=0.55, linewidths=0, label=str(k))
        if labels is not None:
            axes.text(*np.median(points, axis=0), str(k), fontsize=13, weight="bold", ha="center", va="center", color=INK,
                      bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1.5})
    axes.set_aspect("equal", "datalim")
    name = "z[{}]" if share is None else "principal component {}"
    axes.set_xlabel(name.format(0 if share is None else 1), color=INK)
    axes.set_ylabel(name.format(1 if share is None else 2), color=INK)
    note = "" if share is None else f"principal plane, {share:.0%} of the variance"
    axes.set_title(", ".join(part for part in (title, note) if part), fontsize=10, color=INK)
    return finish(figure, path)
