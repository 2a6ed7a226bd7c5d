"""What every distribution can do, and how its axes are named.

The shape of a draw is read from the right:

    sample size (S, …)  +  batch (N, …)  +  event (H, W, C or D or nothing)

* **event**: the axes of one outcome. log_prob and entropy are of the whole event, so these axes are gone from them. How
  many there are is the argument ``event_ndim``: 1 for vectors of features, 3 for images, 0 for plain numbers.
* **batch**: the axes in front of it: different distributions of one family, and one result for each.
* **sample size**: what ``sample(size)`` puts in front: independent draws from each.

    p = Normal(mean, log_std)           # both (128, 20): a batch of 128 Gaussians in 20 dimensions
    z = p.sample(5, rng=rng)            # (5, 128, 20)
    p.log_prob(z)                       # (5, 128), in nats

Parameters are Tensors, and gradients flow to them through log_prob, entropy and KL. They flow through `sample` too
where ``reparameterised`` is True: the draw is then a smooth function of the parameters and of the noise ``eps``.
"""
import math

import numpy as np

from minigen.ops.reduce import broadcast_to
from minigen.random import as_generator
from minigen.tensor import Tensor, tensor


class Distribution:
    """Base class. A family calls ``_set_shapes`` and defines ``_log_prob``, ``entropy``, ``_noise`` and ``_draw``.

    Attributes:
        batch_shape, event_shape: tuples. event_ndim: the number of event axes.
        reparameterised: whether gradients flow through `sample`.
        mean, variance: of each entry, of shape batch + event; None where they are in no closed form.
        support: (low, high), numbers or Tensors: each entry lies between them.
    """
    reparameterised = False
    support = (-math.inf, math.inf)
    mean = variance = None

    def _set_shapes(self, shape, event_ndim):
        """Split the shape of the parameters into batch and event."""
        if not 0 <= event_ndim <= len(shape):
            raise ValueError(f"{type(self).__name__}: event_ndim={event_ndim} asks for that many axes, and the "
                             f"parameters have shape {tuple(shape)}; pass event_ndim=0 for plain numbers, or "
                             "parameters with more axes")
        cut = len(shape) - event_ndim
        self.batch_shape, self.event_shape, self.event_ndim = tuple(shape[:cut]), tuple(shape[cut:]), event_ndim

    # ---- what a family defines -----------------------------------------------------------------------------------
    def _log_prob(self, x):
        """log p(x) of whole events, for x of the right shape."""
        raise NotImplementedError(f"{type(self).__name__}: it has no log_prob")

    def entropy(self):
        """H = −E[log p(x)] in nats, of the batch's shape. Of a density it can be negative."""
        raise NotImplementedError(f"{type(self).__name__}: it has no entropy in closed form")

    def cdf(self, x):
        """P(X ≤ x) for each entry, of x's shape: (…, *batch, *event)."""
        raise NotImplementedError(f"{type(self).__name__}: it has no distribution function in closed form")

    def icdf(self, u):
        """The x with cdf(x) = u for each entry, u in (0, 1): (…, *batch, *event)."""
        raise NotImplementedError(f"{type(self).__name__}: its distribution function has no inverse in closed form")

    def parameter_count(self):
        """How many real numbers can be chosen freely for one event."""
        raise NotImplementedError(f"{type(self).__name__}: its free parameters are not counted")

    def _noise(self, rng, shape):
        """The noise from which draws are made, of this shape."""
        raise NotImplementedError(f"{type(self).__name__}: it cannot be sampled")

    def _draw(self, eps):
        """The draws made from this noise."""
        raise NotImplementedError(f"{type(self).__name__}: it cannot be sampled")

    def _noise_shape(self, shape):
        """The shape of the noise for draws of this shape."""
        return shape

    # ---- what users call -----------------------------------------------------------------------------------------
    def log_prob(self, x):
        """log p(x) in nats: (…, *batch, *event) → (…, *batch).

        ``x`` broadcasts against the batch, never against the event. Raises ValueError if it does not fit.
        """
        x = x if isinstance(x, Tensor) else tensor(x)
        lead = x.ndim - self.event_ndim
        if lead < 0 or x.shape[lead:] != self.event_shape or not broadcastable(x.shape[:lead], self.batch_shape):
            raise ValueError(f"log_prob: {self!r} wants x of shape (…, *batch, *event), got {x.shape}")
        return self._log_prob(x)

    def sample(self, size=(), *, rng=None, eps=None):
        """Draw: (*size, *batch, *event).

        Args:
            size: an int or a tuple: so many independent draws from each distribution of the batch.
            rng: a Generator or a seed. Not needed with ``eps``, which is the noise itself; each family says what it is.

        Raises ValueError if neither rng nor eps is given, or if eps has another shape.
        """
        size = (size,) if isinstance(size, (int, np.integer)) else tuple(size)
        if any(n < 0 for n in size):
            raise ValueError(f"sample: {self!r} cannot draw size={size}; it counts draws")
        shape = self._noise_shape(size + self.batch_shape + self.event_shape)
        if eps is None and rng is None:
            raise ValueError(f"sample: {self!r} needs something to draw with; pass rng= a Generator or a seed, or the "
                             "noise as eps=")
        if eps is None:
            eps = self._noise(as_generator(rng), shape)
        elif np.shape(eps) != shape:
            raise ValueError(f"sample: {self!r} wants noise of shape {shape} for size={size}, got {np.shape(eps)}")
        return self._draw(eps if isinstance(eps, Tensor) else tensor(eps))

    @property
    def event_size(self):
        """How many numbers one event has."""
        return math.prod(self.event_shape)

    def sum_event(self, values):
        """Sum over the event axes, the last ``event_ndim``: from entries that are independent to the whole event."""
        return values.sum(axis=tuple(range(-self.event_ndim, 0))) if self.event_ndim else values

    def __repr__(self):
        return f"{type(self).__name__}(batch_shape={self.batch_shape}, event_shape={self.event_shape})"


# ---- what families share ---------------------------------------------------------------------------------------------
def broadcastable(a, b):
    """Whether two shapes broadcast to one."""
    return all(i == j or 1 in (i, j) for i, j in zip(reversed(a), reversed(b)))


def parameters(family, **values):
    """The parameters of a family as floating Tensors of one shape, broadcast where they differ.

    Numbers and lists become float32. Raises TypeError for Tensors of integers, ValueError for shapes that do not
    broadcast.
    """
    for name, value in values.items():
        if not isinstance(value, Tensor):
            value = tensor(value)
            value = value if value.dtype.kind == "f" else value.astype("float32")
        if value.dtype.kind != "f":
            raise TypeError(f"{family}: {name} must be floating, got {value.dtype} of shape {value.shape}")
        values[name] = value
    try:
        shape = np.broadcast_shapes(*(value.shape for value in values.values()))
    except ValueError:
        got = " and ".join(f"{name} {value.shape}" for name, value in values.items())
        raise ValueError(f"{family}: its parameters must broadcast, got {got}") from None
    return [value if value.shape == shape else broadcast_to(value, shape) for value in values.values()]
