r"""Exponential moving average of a module's parameters (Polyak and Juditsky 1992): samples by it are steadier.

After each step, with decay d close to 1,

    θ̄ ← θ̄ + (1 − d)(θ − θ̄).                                                                                    (1)

θ̄ starts at θ. With warm-up the decay at the t-th update is min(d, (1 + t) / (10 + t)), so that an average over
thousands of steps does not hold on to the random start.
"""
import contextlib

from minigen import backend
from minigen.training.blocks import Blockwise


@Blockwise
def _average(xp, mean, theta, rate):
    mean += rate * (theta - mean)                                               # Eq. (1)


class EMA:
    """The running average θ̄ of a module's parameters. Buffers are not averaged.

    Args:
        module: the `nn.Module`. decay: d in [0, 1). warm_up: let the decay grow from 2/11 to d.
    """

    def __init__(self, module, decay=0.999, *, warm_up=False):
        if not 0 <= decay < 1:
            raise ValueError(f"EMA: decay must be in [0, 1), got {decay}")
        self.decay, self.warm_up, self.updates, self._swapped = decay, warm_up, 0, False
        self.parameters = dict(module.named_parameters())
        self.mean = {name: p._array.copy() for name, p in self.parameters.items()}

    def update(self):
        """Take the parameters' present values into the average, Eq. (1). Call it after each step."""
        if self._swapped:
            raise RuntimeError("EMA.update: the module holds the average now; update outside the swapped() block")
        self.updates += 1
        decay = self.decay
        if self.warm_up:
            decay = min(decay, (1 + self.updates) / (10 + self.updates))
        for name, parameter in self.parameters.items():
            array = parameter._array
            _average(backend.of(array), (self.mean[name], array), 1 - decay)

    @contextlib.contextmanager
    def swapped(self):
        """Context manager: inside, the module has the averaged parameters; afterwards its own, whatever happened."""
        if self._swapped:
            raise RuntimeError("EMA.swapped: the average is in the module already; do not nest the blocks")
        self._swapped = True
        self._exchange()
        try:
            yield self
        finally:
            self._exchange()
            self._swapped = False

    def settle(self):
        """Leave the average in the module for good, as after training. Updates go on from there."""
        if self._swapped:
            raise RuntimeError("EMA.settle: the average is in the module already; settle outside the swapped() block")
        for name, parameter in self.parameters.items():
            parameter._array[...] = self.mean[name]
            parameter._version[0] += 1

    def _exchange(self):
        for name, parameter in self.parameters.items():
            theta = parameter._array.copy()
            parameter._array[...] = self.mean[name]
            parameter._version[0] += 1
            self.mean[name] = theta

    def state_dict(self):
        """The average as NumPy arrays, and the number of updates."""
        if self._swapped:
            raise RuntimeError("EMA.state_dict: the average is in the module now; save outside the swapped() block")
        return {"updates": self.updates, "mean": {name: backend.of(a).to_numpy(a) for name, a in self.mean.items()}}

    def load_state_dict(self, saved):
        """Continue from `state_dict`. Raises ValueError, and changes nothing, if names or shapes differ."""
        ours = {name: tuple(mean.shape) for name, mean in self.mean.items()}
        theirs = {name: tuple(mean.shape) for name, mean in saved["mean"].items()}
        if ours != theirs:
            wrong = sorted({name for name, _ in ours.items() ^ theirs.items()})
            raise ValueError(f"EMA: this average is of another module; it differs in {', '.join(wrong)}")
        self.updates = saved["updates"]
        for name, mean in saved["mean"].items():
            target = self.mean[name]
            target[...] = backend.of(target).from_numpy(mean.astype(target.dtype, copy=False))
