r"""What every invertible transform promises.

A density that is carried along by an invertible map y = T(x) rises where T shrinks space and falls where T widens it,
since the probability of a small region must stay what it was:

    p_y(y) = p_x(x) |det ∂y/∂x|⁻¹   at y = T(x).                                                                 (1)

So a transform gives two things at once, its value and log |det ∂y/∂x| in nats, and so does its inverse:

    forward(x) = (y, log |det ∂y/∂x|),    inverse(y) = (x, log |det ∂x/∂y|) = (T⁻¹(y), −log |det ∂y/∂x|).        (2)

**Shapes.** One event is the last ``event_ndim`` axes: 1 for vectors (…, D), 3 for images (…, H, W, C). Any number of
axes may stand in front, and there is one log-determinant for each event: its shape is ``x.shape[:-event_ndim]``.

**Context.** A conditional transform reads ``context`` (…, C), whose axes in front are those of x; others ignore it.

**Chains.** By the chain rule Jacobians multiply, so log-determinants add:

    T = T_K ∘ … ∘ T_1:    log |det ∂T/∂x| = Σ_k log |det ∂T_k/∂h_k|,    h_1 = x,   h_{k+1} = T_k(h_k).           (3)

A volume-preserving map has log |det| = 0 everywhere (permutations, rotations, additive couplings).
"""
import math

import numpy as np

from minigen.nn import Module
from minigen.ops.create import zeros_like
from minigen.ops.elementwise import exp
from minigen.ops.piecewise import isfinite, where
from minigen.ops.reduce import broadcast_to
from minigen.primitive import is_recording


class Transform(Module):
    """Base class: an invertible map with trainable parameters. Subclasses define `forward` and `inverse`, Eq. (2).

    Attributes:
        event_ndim: how many of the last axes are one event; 1 unless a subclass or an instance says otherwise.
    """
    event_ndim = 1

    def forward(self, x, context=None):
        """(y, log |det ∂y/∂x|) at x (…, *event), nats, shape (…)."""
        raise NotImplementedError(f"{type(self).__name__}: a transform must define forward(x, context=None)")

    def inverse(self, y, context=None):
        """(x, log |det ∂x/∂y|) at y (…, *event), nats, shape (…): minus what forward gives at x."""
        raise NotImplementedError(f"{type(self).__name__}: a transform must define inverse(y, context=None)")

    def forward_shape(self, event_shape):
        """The shape of an event of y, given that of x. The same, unless a subclass says otherwise."""
        return tuple(event_shape)

    def inverse_shape(self, event_shape):
        """The shape of an event of x, given that of y."""
        return tuple(event_shape)

    # ---- what subclasses share -----------------------------------------------------------------------------------
    def sum_event(self, values):
        """Sum over the event: from one log-slope for each entry (…, *event) to log-determinants (…)."""
        self.expect_event(values)
        return values.sum(axis=tuple(range(-self.event_ndim, 0)))

    def same_for_all(self, x, log_abs_det):
        """A log-determinant that does not depend on x, a scalar Tensor, for each event of x: shape (…)."""
        return broadcast_to(log_abs_det, x.shape[:x.ndim - self.event_ndim])

    def zero(self, x):
        """log |det| of a map that preserves volume, for each event of x: zeros (…)."""
        return zeros_like(x[(..., *[0] * self.event_ndim)])

    def expect_invertible(self, log_scale):
        """exp(log_scale). Raises ValueError unless all of it is positive and finite, or there would be no inverse.

        Where nobody `looks` it is NaN there instead, and so is the loss.
        """
        with np.errstate(over="ignore"):                         # infinity is refused in the next lines
            scale = exp(log_scale)
        good = (scale > 0) & isfinite(scale)
        if not self.looks(scale):
            return where(good, scale, math.nan)
        if not bool(good.all()):
            bad = log_scale.numpy()[~good.numpy()].flat[0]
            raise ValueError(f"{self.label()}: its parameters are not invertible: a log-scale of {bad:g} gives the "
                             f"scale {'NaN' if np.isnan(bad) else 0 if bad < 0 else 'infinity'} in {scale.dtype}")
        return scale

    def looks(self, x):
        """Whether to check the values of x. On a GPU that would make each training step wait for it, so only what is
        not recorded (`no_grad`) is checked there."""
        return x.device == "cpu" or not is_recording()

    def positions(self, x):
        """How many vectors of features there are in one event: 1, or H · W in an image."""
        return math.prod(x.shape[x.ndim - self.event_ndim:-1])

    def expect_event(self, x, features=None):
        """Raise ValueError unless x has the axes of an event, and ``features`` entries on the last one."""
        if x.ndim < self.event_ndim:
            raise ValueError(f"{self.label()}: one event has {self.event_ndim} axes, got an input of shape {x.shape}")
        if features is not None:
            self.expect_features(x, features)


class Identity(Transform):
    """y = x."""

    def __init__(self, event_ndim=1):
        self.event_ndim = event_ndim

    def forward(self, x, context=None):
        self.expect_event(x)
        return x, self.zero(x)

    inverse = forward


class Inverse(Transform):
    """A transform the other way round: its forward is the inverse of ``transform``."""

    def __init__(self, transform):
        self.transform = _transform("Inverse", transform)
        self.event_ndim = transform.event_ndim

    def forward(self, x, context=None):
        return self.transform.inverse(x, context)

    def inverse(self, y, context=None):
        return self.transform.forward(y, context)

    def forward_shape(self, event_shape):
        return self.transform.inverse_shape(event_shape)

    def inverse_shape(self, event_shape):
        return self.transform.forward_shape(event_shape)


class Compose(Transform):
    """Transforms in a row, the first one first. Eq. (3).

    Index and iterate it as a list; parameters are named by position: ``0.shift``.

    Raises TypeError for what is no Transform, ValueError for an empty list or for events of different numbers of axes.
    """

    def __init__(self, transforms):
        self.transforms = [_transform(f"Compose: entry {i}", t) for i, t in enumerate(transforms)]
        if not self.transforms:
            raise ValueError("Compose: got no transforms; use Identity() for a map that does nothing")
        self.event_ndim = self.transforms[0].event_ndim
        for i, t in enumerate(self.transforms):
            if t.event_ndim != self.event_ndim:
                raise ValueError(f"Compose: all events must have equally many axes, but {type(t).__name__} at {i} has "
                                 f"event_ndim={t.event_ndim} and {type(self.transforms[0]).__name__} at 0 has "
                                 f"{self.event_ndim}; build it with event_ndim={self.event_ndim}")

    def forward(self, x, context=None):
        return _chain([t.forward for t in self.transforms], x, context)

    def inverse(self, y, context=None):
        return _chain([t.inverse for t in reversed(self.transforms)], y, context)

    def forward_shape(self, event_shape):
        for t in self.transforms:
            event_shape = t.forward_shape(event_shape)
        return event_shape

    def inverse_shape(self, event_shape):
        for t in reversed(self.transforms):
            event_shape = t.inverse_shape(event_shape)
        return event_shape

    def _attributes(self):
        others = [item for item in vars(self).items() if item[0] != "transforms"]
        return [*enumerate(self.transforms), *others]

    def __getitem__(self, index):
        return Compose(self.transforms[index]) if isinstance(index, slice) else self.transforms[index]

    def __len__(self):
        return len(self.transforms)

    def __iter__(self):
        return iter(self.transforms)

    def describe(self):
        return " → ".join(type(t).__name__ for t in self.transforms)


def _chain(maps, x, context):
    """Eq. (3)."""
    total = 0
    for T in maps:
        x, log_abs_det = T(x, context)
        total = total + log_abs_det
    return x, total


def _transform(who, transform):
    if not isinstance(transform, Transform):
        raise TypeError(f"{who}: wants a Transform, got a {type(transform).__name__}")
    return transform
