"""What the convolutional workloads share: weights by shape, and PyTorch's two memory layouts."""
import time

import numpy as np


def draw(rng, shape):
    """Weights of a layer, float32, scaled by what it reads; a vector (γ, β or a bias) lies around one half."""
    values = rng.standard_normal(shape)
    values = values / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else 0.5 + 0.1 * values
    return values.astype(np.float32)


def load(module, rng):
    """Fill a PyTorch module with what `draw` gives for our layouts, (KH, KW, in, out) and (in, out), in order."""
    import torch
    orders = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}                         # of our axes in PyTorch's parameters
    for parameter in module.parameters():
        order = orders[parameter.ndim]
        ours = [0] * parameter.ndim
        for axis, size in zip(order, parameter.shape):
            ours[axis] = size
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(draw(rng, tuple(ours))).permute(order))
    return module


def faster(make):
    """Of ``make(layout) -> (step, parameters, loss)``, channels-first and channels-last, the one with the faster step.

    The reported peak memory is the higher of the two.
    """
    import torch
    sides, seconds = [make(layout) for layout in (torch.contiguous_format, torch.channels_last)], []
    for step, _, _ in sides:
        step()
        start = time.perf_counter()
        for _ in range(5):
            step()
        seconds.append(time.perf_counter() - start)
    return sides[int(np.argmin(seconds))]
