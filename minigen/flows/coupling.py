r"""Coupling layers: one part of x passes, and tells how the other part is moved.

L. Dinh, D. Krueger and Y. Bengio, NICE, 2014, arXiv:1410.8516; L. Dinh, J. Sohl-Dickstein and S. Bengio, Real NVP,
2016, arXiv:1605.08803. Divide the entries of x into A, which are kept, and B, which are moved. With any network, the
*conditioner*, and a monotone map f of one number (see `minigen.flows.scalar`),

    y_A = x_A,    y_i = f(x_i; θ_i)  for i in B,    θ = conditioner(x_A).                                        (1)

Whatever the network is, this is undone exactly, since y_A = x_A gives the same θ:

    x_A = y_A,    x_i = f⁻¹(y_i; θ_i).                                                                           (2)

Sorted with A first the Jacobian is block triangular, with an identity and a diagonal:

    ∂y/∂x = [ I  0 ; ∂y_B/∂x_A  diag f′(x_B; θ) ],    log |det ∂y/∂x| = Σ_{i∈B} log f′(x_i; θ_i).                (3)

The network's own derivative ∂y_B/∂x_A stands off the diagonal, so it is never needed: the network may be anything. The
price is that half the entries do not move; so layers alternate, A and B changing places.

**Masks** are True on A. A mask (D,) divides the last axis: features, or the channels of an image (`half_mask`,
`parity_mask`). The conditioner is then called with x_A alone. A mask (H, W, 1 or C) divides the pixels of an image
(`checkerboard_mask`): then the parts are no arrays of their own, and the conditioner is called with x ⊙ mask, zero on
B, and its answers on A are not used.
"""
import math

import numpy as np

from minigen.flows.base import Transform
from minigen.flows.scalar import AffineMap
from minigen.ops.index import take
from minigen.ops.join import concatenate
from minigen.ops.piecewise import where
from minigen.tensor import tensor


# ---- masks -----------------------------------------------------------------------------------------------------------
def half_mask(features, flip=False):
    """True on the first half of the features, (D,); with an odd number the second half is larger. ``flip``: negated."""
    return (np.arange(features) < features // 2) ^ flip


def parity_mask(features, flip=False):
    """True on features 0, 2, 4, …, (D,): NICE's division. ``flip``: negated."""
    return (np.arange(features) % 2 == 0) ^ flip


def checkerboard_mask(height, width, flip=False):
    """True where row + column is even, (H, W, 1): Real NVP's division of the pixels. ``flip``: negated."""
    return ((np.arange(height)[:, None] + np.arange(width)) % 2 == 0)[..., None] ^ flip


# ---- layers ----------------------------------------------------------------------------------------------------------
class Coupling(Transform):
    """Eqs. (1) to (3) with a mask over the last axis.

    Args:
        mask: (D,) booleans, True on the entries that are kept; of both kinds at least one.
        conditioner: a Module from x_A (…, |A|), and the context where there is one, to |B| · P numbers, (…, |B| P).
        map: a ScalarMap with P parameters; by default Real NVP's.
        event_ndim: 1 for vectors, 3 for images, whose channels are divided.

    Raises ValueError for a mask that leaves nothing to move or nothing to keep, and where the conditioner returns
    another shape.
    """

    def __init__(self, mask, conditioner, map=None, event_ndim=1):
        mask = _checked("Coupling", mask, ndim=1)
        self.features, self.event_ndim, self.conditioner = len(mask), event_ndim, conditioner
        self.map = AffineMap() if map is None else map
        kept, moved = np.flatnonzero(mask), np.flatnonzero(~mask)
        self.kept, self.moved, self.count = _as_slice(kept), _as_slice(moved), len(moved)
        self.kept_first = bool(mask[0])                                          # how A and B are laid side by side,
        order = np.argsort(np.concatenate([kept, moved] if mask[0] else [moved, kept]))
        self.order = None if (np.diff(order) > 0).all() else tensor(order)       # and how then sorted to be as x was

    def forward(self, x, context=None):
        return self._apply(self.map.forward, x, context)

    def inverse(self, y, context=None):
        return self._apply(self.map.inverse, y, context)

    def _apply(self, direction, x, context):
        self.expect_event(x, self.features)
        kept, moved = x[..., self.kept], x[..., self.moved]
        theta = _parameters(self, kept, context, moved.shape)
        moved, log_slope = direction(moved, theta)                                                       # Eqs. (1), (2)
        y = concatenate([kept, moved] if self.kept_first else [moved, kept], axis=-1)
        return y if self.order is None else take(y, self.order, axis=-1), self.sum_event(log_slope)      # Eq. (3)

    def describe(self):
        return f"{self.features - self.count} keep, {self.count} move, {self.map}"


class MaskedCoupling(Transform):
    """Eqs. (1) to (3) for images (…, H, W, C), with a mask over the pixels.

    Args:
        mask: (H, W, 1) or (H, W, C) booleans, True on the entries that are kept; of both kinds at least one.
        conditioner: a Module from x ⊙ mask (…, H, W, C), and the context, to C · P numbers on the last axis.
        map: a ScalarMap with P parameters; by default Real NVP's.

    Raises ValueError as `Coupling` does, and for images of another size than the mask.
    """
    event_ndim = 3

    def __init__(self, mask, conditioner, map=None):
        mask = _checked("MaskedCoupling", mask, ndim=3)
        self.mask, self.conditioner = tensor(mask), conditioner
        self.map = AffineMap() if map is None else map

    def forward(self, x, context=None):
        return self._apply(self.map.forward, x, context)

    def inverse(self, y, context=None):
        return self._apply(self.map.inverse, y, context)

    def _apply(self, direction, x, context):
        self.expect_event(x)
        if x.shape[-3:-1] != self.mask.shape[:2] or self.mask.shape[2] not in (1, x.shape[-1]):
            raise ValueError(f"{self.label()} has a mask of shape {self.mask.shape}, got images of shape "
                             f"{x.shape[-3:]}")
        theta = _parameters(self, where(self.mask, x, 0.0), context, x.shape)
        y, log_slope = direction(x, theta)                                                               # Eqs. (1), (2)
        return where(self.mask, x, y), self.sum_event(where(self.mask, 0.0, log_slope))                  # Eq. (3)

    def describe(self):
        return f"mask {self.mask.shape}, {self.map}"


# ---- what both do ----------------------------------------------------------------------------------------------------
def _parameters(layer, seen, context, shape):
    """θ, (*shape, P), of the entries of this shape."""
    lead, event = seen.shape[:-layer.event_ndim], seen.shape[-layer.event_ndim:]
    if len(lead) != 1:                                            # convolutions want one batch axis, so all get one
        seen = seen.reshape((math.prod(lead), *event))
        context = None if context is None else context.reshape((math.prod(lead), context.shape[-1]))
    out = layer.conditioner(seen) if context is None else layer.conditioner(seen, context)
    P, (*places, count) = layer.map.parameters, shape[len(lead):]
    if out.shape != (len(seen), *places, count * P):
        raise ValueError(f"{layer.label()}: the conditioner must return {P} numbers for each of {count} entries, "
                         f"{(len(seen), *places, count * P)}, for an input {seen.shape}; it returned {out.shape}")
    return out.reshape((*shape, P))


def _checked(name, mask, ndim):
    """The mask as a NumPy array of booleans."""
    mask = np.asarray(mask.numpy() if hasattr(mask, "numpy") else mask)
    if mask.ndim != ndim or not np.isin(mask, (0, 1)).all():
        raise ValueError(f"{name}: the mask must hold booleans on {ndim} axes, got {mask.dtype} {mask.shape}")
    mask = mask.astype(bool)
    if mask.all() or not mask.any():
        what = "nothing to move: it is True everywhere" if mask.all() else "nothing to keep: it is True nowhere"
        raise ValueError(f"{name}: the mask {mask.shape} leaves {what}; True marks the entries that pass unchanged")
    return mask


def _as_slice(positions):
    """The positions as a slice where they are evenly spaced, which is read as a view; else as they are."""
    step = int(positions[1] - positions[0]) if len(positions) > 1 else 1
    if (np.diff(positions) == step).all():
        return slice(int(positions[0]), int(positions[-1]) + 1, step)
    return positions
