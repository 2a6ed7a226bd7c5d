r"""Activation normalisation, and how it starts from the data.

D. P. Kingma and P. Dhariwal, "Glow: Generative Flow with Invertible 1×1 Convolutions", 2018, arXiv:1807.03039, section
3.1. It is an affine map of each channel, y = s ⊙ x + b. Batch norm's statistics would couple the examples of a batch,
and there would be no density of one example; so the statistics of the *first* batch alone set the parameters,

    s = 1 / std(x),    b = −s mean(x),                                                                           (1)

over all examples and positions, which gives that batch mean 0 and variance 1 in every channel. From then on s and b are
trained like any other parameter.
"""
import math

from minigen.flows.elementwise import Affine
from minigen.nn import Buffer
from minigen.ops.create import zeros
from minigen.ops.elementwise import log
from minigen.ops.piecewise import maximum
from minigen.primitive import no_grad


class ActNorm(Affine):
    """An `Affine` that sets its parameters by Eq. (1) at its first forward pass in training mode.

    Args:
        features: channels, on the last axis. event_ndim: 1 for vectors, 3 for images.
        eps: the least standard deviation that counts, for a channel that is constant in the first batch.

    Attributes:
        shift, log_scale: Parameters (features,), b and log s. Until they are set, the map is the identity.
        initialised: Buffer (), 1 once they are. It is saved, so a flow that was loaded is not set again.

    Raises ValueError for a first batch with fewer than two entries of each channel, and as `Affine` does.
    """

    def __init__(self, features, event_ndim=1, eps=1e-6):
        super().__init__(features, event_ndim=event_ndim)
        self.eps, self.initialised = eps, Buffer(zeros(()))
        self._seen = -1, False                               # how often the buffer had changed when read, and its value

    def forward(self, x, context=None):
        self.expect_event(x, self.features)
        if self.training and not self.is_initialised():
            self.initialise(x)
        return super().forward(x, context)

    def is_initialised(self):
        """Whether the parameters have been set. Reads the buffer only when it has changed: on a GPU reading waits."""
        changes = self.initialised._version[0]
        if self._seen[0] != changes:
            self._seen = changes, bool(self.initialised.item())
        return self._seen[1]

    def initialise(self, x):
        """Set the parameters from this batch, (…, features). Eq. (1)."""
        rows = x.detach().reshape((math.prod(x.shape[:-1]), self.features))
        if len(rows) < 2:
            raise ValueError(f"{self.label()} sets its scale from the first batch, and wants at least two entries of "
                             f"each channel, got an input of shape {x.shape}; begin with a larger batch")
        with no_grad():
            log_scale = -log(maximum(rows.std(axis=0), self.eps))
            self.log_scale[...] = log_scale
            self.shift[...] = -rows.mean(axis=0) * log_scale.exp()                            # Eq. (1)
            self.initialised[...] = 1.0
        self._seen = self.initialised._version[0], True
