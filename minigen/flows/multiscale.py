r"""Images at several scales: squeeze, split, and the architecture made of both.

L. Dinh, J. Sohl-Dickstein and S. Bengio, "Density estimation using Real NVP", 2016, arXiv:1605.08803, section 3.6.
*Squeeze* trades space for channels: each block of 2 × 2 pixels becomes one pixel with four times the channels. After a
few layers *split* lets half of the channels go: they are noise already, and are handed to the base; only the others
go on, to the next scale. With h₁ the channels that leave, and T all that is still to come,

    y = (h₁, T(h₂)),    ∂y/∂h = blockdiag(I, ∂T/∂h₂),    log |det ∂y/∂h| = log |det ∂T/∂h₂|.                     (1)

So split is nothing but T applied to the second half of the channels, and the architecture nests:

    M_1 = S⁻¹ ∘ T_1 ∘ S,      M_l = S⁻¹ ∘ split(M_{l+1}) ∘ T_l ∘ S,                                              (2)

with S the squeeze and T_l the layers of level l. Both S and its inverse only move numbers, so log |det S| = 0. The last
S⁻¹ of a level lays its latents out as an image again; thus z has the shape of x, every number of it belongs to a place,
and density and sampling are exact by Eq. (3) of `minigen.flows.base`, with a base as simple as N(0, I).
"""
from minigen.flows.base import Compose, Inverse, Transform
from minigen.ops.join import concatenate
from minigen.ops.resize import pixel_shuffle, pixel_unshuffle


class Squeeze(Transform):
    """Space to channels: (…, H, W, C) → (…, H / r, W / r, C r²), with r = ``factor``.

    Raises ValueError where r does not divide H and W.
    """
    event_ndim = 3

    def __init__(self, factor=2):
        if factor < 1:
            raise ValueError(f"Squeeze: the factor must be at least 1, got {factor}")
        self.factor = factor

    def forward(self, x, context=None):
        self.expect_event(x)
        return _on_images(pixel_unshuffle, x, self.factor, self.forward_shape(x.shape[-3:])), self.zero(x)

    def inverse(self, y, context=None):
        self.expect_event(y)
        return _on_images(pixel_shuffle, y, self.factor, self.inverse_shape(y.shape[-3:])), self.zero(y)

    def forward_shape(self, event_shape):
        (H, W, C), r = event_shape, self.factor
        if H % r or W % r:
            raise ValueError(f"{self.label()}: a height of {H} and a width of {W} do not both divide by {r}; pad or "
                             "crop the images, or use fewer levels")
        return H // r, W // r, C * r * r

    def inverse_shape(self, event_shape):
        (H, W, C), r = event_shape, self.factor
        if C % (r * r):
            raise ValueError(f"{self.label()}: its inverse wants channels that divide by {r * r}, got {C}")
        return H * r, W * r, C // (r * r)

    def describe(self):
        return f"{self.factor}"


def _on_images(op, x, factor, event_shape):
    """An op on (N, H, W, C), for any axes in front."""
    return op(x.reshape((-1, *x.shape[-3:])), factor).reshape((*x.shape[:-3], *event_shape))


class Split(Transform):
    """Eq. (1): the first half of the last axis leaves as it is, ``transform`` maps the second. Of an odd number the
    second half has one more.

    Raises ValueError for fewer than two features.
    """

    def __init__(self, transform):
        self.transform, self.event_ndim = transform, transform.event_ndim

    def forward(self, x, context=None):
        leaves, stays = self._halves(x)
        y, log_abs_det = self.transform.forward(stays, context)
        return concatenate([leaves, y], axis=-1), log_abs_det                                   # Eq. (1)

    def inverse(self, y, context=None):
        left, stays = self._halves(y)
        x, log_abs_det = self.transform.inverse(stays, context)
        return concatenate([left, x], axis=-1), log_abs_det

    def _halves(self, x):
        self.expect_event(x)
        half = x.shape[-1] // 2
        if not half:
            raise ValueError(f"{self.label()}: one feature cannot be split, got an input of shape {x.shape}; squeeze "
                             "first")
        return x[..., :half], x[..., half:]


class MultiScale(Compose):
    """Eq. (2), for images (…, H, W, C) whose sides divide by 2 as often as there are levels.

    Args:
        levels: for each scale, the finest first, its layers: one Transform with event_ndim=3 which keeps the shape. On
            level l it meets (H / 2ˡ, W / 2ˡ, 2ˡ⁺¹ C): squeezing makes 4 times the channels, splitting half of them.

    Raises TypeError and ValueError as `Compose`, and ValueError for no levels.
    """

    def __init__(self, levels):
        if not levels:
            raise ValueError("MultiScale: wants the layers of at least one level, got none")
        layers, *deeper = levels
        below = [Split(MultiScale(deeper))] if deeper else []
        super().__init__([Squeeze(), layers, *below, Inverse(Squeeze())])                       # Eq. (2)
