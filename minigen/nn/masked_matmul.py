r"""The product with a masked matrix, y = x (W ⊙ M), which leaves out what the mask makes zero.

The masks of an autoregressive network are staircases when its units stand in the order of their degrees: each column
begins or ends a little further on than the one before it, and half of the matrix is zero. Cut the columns into strips
C₁, C₂, …, and let R_s be the rows from the first to the last that strip s uses. Then

    y[:, C_s] = x[:, R_s] (W ⊙ M)[R_s, C_s]     for each strip s,                                               (1)

which with B strips costs (B + 1) / 2B of the whole product. With G of W's shape the derivatives are of the same kind,

    x̄ = ȳ (W ⊙ M)ᵀ,    W̄ = M ⊙ (xᵀ ȳ),                                                                          (2)

and so are theirs, so two primitives that are each other's derivatives give any order. A mask that is no staircase has
one strip, which is everything.
"""
import numpy as np

from minigen.primitive import primitive

STRIPS, NARROWEST = 8, 64      # at most so many strips, of at least so many columns: a product should be worth its call
WORTH = 0.85                   # strips are used where they cover at most this share of the matrix


def strips(mask):
    """The strips of a mask (in, out), a NumPy array, and of its transpose: ``(of M, of Mᵀ)``.

    Each is a tuple of ((first row, end of rows), (first column, end of columns)); their columns are all columns.
    """
    return _strips(mask), _strips(mask.T)


def _strips(mask):
    rows, columns = mask.shape
    count = max(1, min(STRIPS, columns // NARROWEST))
    cuts = [columns * s // count for s in range(count + 1)]
    found = []
    for a, b in zip(cuts, cuts[1:]):
        used = np.flatnonzero(mask[:, a:b].any(axis=1))
        found.append(((int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0), (a, b)))
    area = sum((r[1] - r[0]) * (c[1] - c[0]) for r, c in found)
    return tuple(found) if area <= WORTH * mask.size else (((0, rows), (0, columns)),)


def _times(xp, x, y, out=None):
    return xp.multiply(x, y, out=out)


@primitive
def masked_matmul(xp, x, W, mask, *, parts):
    """x (W ⊙ M), Eq. (1): (N, in), (in, out) → (N, out). ``parts`` are the `strips` of the mask."""
    if len(parts[0]) == 1:
        return xp.matmul(x, xp.elementwise(_times, W, mask))
    y = xp.zeros((x.shape[0], W.shape[1]), dtype=x.dtype)
    for (r, s), (a, b) in parts[0]:
        y[:, a:b] = xp.matmul(x[:, r:s], xp.elementwise(_times, W[r:s, a:b], mask[r:s, a:b]))
    return y


masked_matmul.vjp(lambda g, W, mask, parts: masked_matmul(g, W.T, mask.T, parts[::-1]),                      # Eq. (2)
                  lambda g, x, mask, parts: masked_outer(x, g, mask, parts),
                  None)


@primitive
def masked_outer(xp, x, g, mask, *, parts):
    """M ⊙ (xᵀ g): (N, in), (N, out) → (in, out)."""
    if len(parts[0]) == 1:
        return xp.elementwise(_times, xp.matmul(x.T, g), mask)
    out = xp.zeros((x.shape[1], g.shape[1]), dtype=x.dtype)
    for (r, s), (a, b) in parts[0]:
        out[r:s, a:b] = xp.elementwise(_times, xp.matmul(x[:, r:s].T, g[:, a:b]), mask[r:s, a:b])
    return out


masked_outer.vjp(lambda G, g, mask, parts: masked_matmul(g, G.T, mask.T, parts[::-1]),
                 lambda G, x, mask, parts: masked_matmul(x, G, mask, parts),
                 None)
