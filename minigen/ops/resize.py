r"""Resizing images (N, H, W, C), and moving pixels between space and channels.

**Resizing** is a linear map along each axis, y = A x. A pixel is a square, so with X pixels resized to Y the centre of
pixel i of y lies at

    u = (i + ½) X / Y − ½                                                                                       (1)

in pixels of x (half-pixel centres: OpenCV's convention, and PyTorch's with ``align_corners=False``). Row i of A has

    nearest:     1 at ⌊u + ½⌋                                                                                   (2)
    bilinear:    1 − t at ⌊u⌋ and t at ⌊u⌋ + 1, with t = u − ⌊u⌋; outside of x its border goes on               (3)

The matrices are small, two products with them resize a batch, and two with their transposes are the exact adjoint.

**Pixel shuffle** (Shi et al., 2016, arXiv:1609.05158) only moves values; flows know its inverse as *squeeze* (Dinh et
al., 2016, arXiv:1605.08803). With a factor r,

    y[n, r h + i, r w + j, c] = x[n, h, w, (c r + i) r + j].                                                    (4)
"""
import functools

import numpy as np

from minigen import backend
from minigen.ops.conv_geometry import per_axis
from minigen.ops.indices import home_of, lift
from minigen.ops.linalg import matmul
from minigen.ops.shape import reshape, transpose
from minigen.tensor import to_array

__all__ = ["resize", "pixel_shuffle", "pixel_unshuffle"]


# ---- resize ----------------------------------------------------------------------------------------------------------
def resize(x, size, mode="bilinear"):
    """x (N, H, W, C) with another number of pixels: (N, *size, C).

    Args:
        size: the new H and W, an int or a pair.
        mode: ``"bilinear"``, Eq. (3), or ``"nearest"``, Eq. (2): PyTorch's ``"nearest-exact"``, which for whole
            multiples is its ``"nearest"`` too. Neither smooths before it makes an image smaller; `avg_pool2d` does.

    A NaN or an infinity spreads along its row and column. Raises ValueError for another mode, and for no pixels.
    """
    x, = lift(x)
    size = per_axis("resize", "size", size, 2)
    if x.ndim != 4 or 0 in x.shape[1:3]:
        raise ValueError(f"resize: wants images (N, H, W, C) with H, W ≥ 1, got {x.shape}")
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"resize: mode {mode!r} is none of 'nearest', 'bilinear'")
    (N, H, W, C), home = x.shape, home_of(x).name
    dtype = x.dtype.name if x.dtype.kind == "f" else "float32"
    y = matmul(_matrix(H, size[0], mode, dtype, home), reshape(x, (N, H, W * C)))                 # (N, H′, W C)
    y = matmul(_matrix(W, size[1], mode, dtype, home), reshape(y, (N * size[0], W, C)))           # (N H′, W′, C)
    return reshape(y, (N, *size, C))


@functools.lru_cache(maxsize=256)
def _matrix(X, Y, mode, dtype, home):
    """A (Y, X) on the backend called ``home``."""
    A, i = np.zeros((Y, X), dtype), np.arange(Y)
    if mode == "nearest":
        A[i, (2 * i + 1) * X // (2 * Y)] = 1                                                      # Eq. (2), in integers
    else:
        u = (i + 0.5) * (X / Y) - 0.5                                                             # Eq. (1)
        low = np.floor(u).astype(int)
        np.add.at(A, (i, np.clip(low, 0, X - 1)), 1 - (u - low))                                  # Eq. (3)
        np.add.at(A, (i, np.clip(low + 1, 0, X - 1)), u - low)
    return to_array(A, xp=backend.get(home))


# ---- pixel shuffle ---------------------------------------------------------------------------------------------------
def pixel_shuffle(x, factor):
    """Channels to space, Eq. (4): (N, H, W, C r²) → (N, H r, W r, C) with r = ``factor``.

    The r² channels of one result lie together, as in PyTorch. Raises ValueError if r² does not divide the channels.
    """
    x, r = _images("pixel_shuffle", x, factor)
    N, H, W, C = x.shape
    if C % (r * r):
        raise ValueError(f"pixel_shuffle: {C} channels of x {x.shape} do not divide by factor² = {r * r}")
    y = transpose(reshape(x, (N, H, W, C // (r * r), r, r)), (0, 1, 4, 2, 5, 3))                  # (N, H, r, W, r, C)
    return reshape(y, (N, H * r, W * r, C // (r * r)))


def pixel_unshuffle(x, factor):
    """Space to channels, the inverse of `pixel_shuffle`: (N, H, W, C) → (N, H / r, W / r, C r²) with r = ``factor``.

    Raises ValueError if r does not divide H and W.
    """
    x, r = _images("pixel_unshuffle", x, factor)
    N, H, W, C = x.shape
    if H % r or W % r:
        raise ValueError(f"pixel_unshuffle: H = {H} and W = {W} of x {x.shape} do not both divide by factor = {r}; pad "
                         "or crop x first")
    y = transpose(reshape(x, (N, H // r, r, W // r, r, C)), (0, 1, 3, 5, 2, 4))                 # (N, H/r, W/r, C, r, r)
    return reshape(y, (N, H // r, W // r, C * r * r))


def _images(name, x, factor):
    x, = lift(x)
    if x.ndim != 4:
        raise ValueError(f"{name}: wants images (N, H, W, C), got {x.shape}")
    return x, per_axis(name, "factor", factor, 1)[0]
