"""Class labels on their way to a conditional network: checked, sometimes hidden, and K for none."""
import numpy as np

import minigen as mg


def as_labels(labels, z, classes):
    """Labels as a Tensor (N,) of integers beside z (N, …). ``classes`` is K, or None if any label will do.

    Raises ValueError unless there are N of them in 0 … K − 1 (to see that, a GPU is waited for).
    """
    with mg.use(z.backend.name):
        labels = labels if isinstance(labels, mg.Tensor) else mg.tensor(np.asarray(labels))
    if labels.shape != (len(z),) or labels.dtype.kind not in "iu":
        raise ValueError(f"DDPM: wants {len(z)} labels, integers ({len(z)},), got {labels.dtype} {labels.shape}")
    low, high = int(labels.min()), int(labels.max())
    if classes is not None and (low < 0 or high >= classes):
        raise ValueError(f"DDPM: labels must lie in 0 … {classes - 1}, got some from {low} to {high}")
    return labels


def hide(labels, classes, dropout, rng):
    """Labels, each replaced by K, "none", with probability ``dropout``."""
    return mg.where(rng.random(labels.shape) < dropout, classes, labels) if dropout else labels


def told(labels, z, classes, dropout):
    """What the network is told: the labels, or K for all of z (N, …), or None if it knows no classes.

    Raises ValueError for labels that it cannot use, and where it has always seen labels and now gets none.
    """
    if classes is None and labels is not None:
        raise ValueError(f"DDPM: got {len(labels)} labels, but the model was made without classes=")
    if classes is None or labels is not None:
        return labels
    if not dropout:
        raise ValueError(f"DDPM: this model of {classes} classes always saw labels in training (label_dropout=0), so "
                         "it wants them here too; to do without, train it with label_dropout=0.1")
    with mg.use(z.backend.name):
        return mg.full((len(z),), classes, dtype="int64")
