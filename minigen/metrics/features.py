"""What the metrics of two sets of features share: checking them, and going through their pairs chunk by chunk."""
import numpy as np

from minigen.tensor import Tensor

CHUNK = 1000                        # rows at once: against 10,000 others that is a table of 80 MB


def as_features(name, *sets, least=2):
    """Each set as float64 (n, D) on the host. Raises ValueError, in the name of a metric, for what cannot be compared.

    Args:
        least: how many samples a set must have.
    """
    sets = [np.asarray(x.numpy() if isinstance(x, Tensor) else x, dtype=np.float64) for x in sets]
    shapes = " and ".join(str(x.shape) for x in sets)
    if any(x.ndim != 2 or not x.shape[1] for x in sets) or len({x.shape[1] for x in sets}) > 1:
        raise ValueError(f"{name}: wants features (n, D), the same D ≥ 1 in each set, got {shapes}; flatten images or "
                         "compute features of them first")
    if min(map(len, sets)) < least:
        raise ValueError(f"{name}: wants at least {least} sample{'s' * (least > 1)} in each set, got {shapes}")
    bad = sum(int((~np.isfinite(x)).any(axis=1).sum()) for x in sets)
    if bad:
        raise ValueError(f"{name}: {bad} samples are not finite; find where the model made them")
    return sets


def chunks(n, what, size=CHUNK):
    """Slices that cut n rows into pieces, with a progress bar on a terminal when it takes longer than two seconds."""
    from tqdm.auto import tqdm                              # here, since it takes a while to load
    starts = tqdm(range(0, n, size), desc=what, leave=False, delay=2, disable=None)
    return (slice(start, min(start + size, n)) for start in starts)
