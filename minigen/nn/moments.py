r"""Moments of groups of channels, and the affine map they steer: what batch, group and instance norm are made of.

Write x as (B, S, C): B blocks that are normalised apart, S positions, and C channels in G groups of C/G neighbours. All
sums are over the n = S · C/G entries of one block and one group:

    μ = Σ x / n,    v = Σ (x − μ)² / n,                                      one number per block and group,      (1)
    y = s x + t,    s = γ / √(v + ε),    t = β − s μ,                        one number per block and channel.    (2)

(2) is γ (x − μ) / √(v + ε) + β with the products of small arrays done first. The layers differ in what a block is:

    batch norm      B = 1,  S = all positions of all examples,  G = C
    group norm      B = N,  S = the positions of an example,    1 ≤ G ≤ C
    instance norm   B = N,  S = the positions of an example,    G = C

Derivatives. In dv the mean moves too, but x − μ sums to zero: dμ = Σ dx / n and dv = 2 Σ (x − μ) dx / n, so

    x̄ = (μ̄ + 2 v̄ (x − μ)) / n = k x + b,    k = 2 v̄ / n,    b = μ̄ / n − k μ,                                    (3)

which is of the form (2) again. And of (2) itself, now with sums over the positions of a block,

    x̄ = s ȳ,    s̄ = Σ ȳ x,    t̄ = Σ ȳ.                                                                           (4)

So `moments`, `scale_shift` and the two sums of (4) are closed under differentiation: the whole of a norm's gradient, to
any order, is (3), (4), and arithmetic on small arrays. Of the large ones only x is kept. Where |μ| ≫ √v the rounding of
s x + t is that of x itself, a few 2⁻²⁴ |μ| / √v; v is computed from x − μ, where E[x²] − μ² would square that ratio.
"""
from minigen.ops.elementwise import sqrt
from minigen.ops.reduce import broadcast_to, mean
from minigen.primitive import primitive

BLOCK = 256         # positions that one product with ones adds up; bounds the rounding error


# ---- sums over the positions -----------------------------------------------------------------------------------------
def _sum(xp, function, *arrays):
    """Σ_s of an elementwise function of arrays (B, S, C): (B, C). In one loop where that can be compiled; else as
    products with ones, which BLAS does faster than NumPy adds rows."""
    total = xp.sum_middle(function, *arrays)
    return _sum_by_products(xp, function(xp, *arrays)) if total is None else total


def _itself(xp, x):
    return x


def _product(xp, x, y):
    return x * y


def _squared_distance(xp, x, y):
    d = x - y
    d *= d
    return d


def _sum_by_products(xp, x):
    B, S, C = x.shape
    whole = S - S % BLOCK
    total = xp.matmul(xp.ones(S - whole, x.dtype), x[:, whole:])                                    # (B, C)
    if whole:
        blocks = xp.matmul(xp.ones(BLOCK, x.dtype), x[:, :whole].reshape(B, whole // BLOCK, BLOCK, C))
        total += blocks.sum(axis=1)
    return total


@primitive
def sum_positions(xp, x):
    """Σ_s x: (B, S, C) → (B, C)."""
    return _sum(xp, _itself, x)


sum_positions.vjp(lambda g, x_shape: broadcast_to(g[:, None, :], x_shape))


@primitive
def dot_positions(xp, x, y):
    """Σ_s x y: twice (B, S, C) → (B, C)."""
    return _sum(xp, _product, x, y)


dot_positions.vjp(lambda g, y: g[:, None, :] * y, lambda g, x: g[:, None, :] * x)


# ---- the two maps ----------------------------------------------------------------------------------------------------
@primitive
def scale_shift(xp, x, s, t):
    """s x + t, Eq. (2): (B, S, C), (B, C), (B, C) → (B, S, C)."""
    if x.ndim != 3 or not s.shape == t.shape == (x.shape[0], x.shape[2]):
        raise ValueError("wants x (B, S, C), s (B, C) and t (B, C)")
    return xp.elementwise(_affine, x, s[:, None, :], t[:, None, :])


def _affine(xp, x, s, t, out=None):
    y = xp.multiply(x, s, out=out)
    y += t
    return y


@primitive
def _scale(xp, x, s):
    """s x: (B, S, C), (B, C) → (B, S, C)."""
    return xp.elementwise(_times, x, s[:, None, :])


def _times(xp, x, s, out=None):
    return xp.multiply(x, s, out=out)


_scale.vjp(lambda g, s: _scale(g, s), lambda g, x: dot_positions(g, x))
scale_shift.vjp(lambda g, s: _scale(g, s),                                                                    # Eq. (4)
                lambda g, x: dot_positions(g, x),
                lambda g: sum_positions(g))


def spread(a, C):
    """One number per group as one per channel: (…, G) → (…, C)."""
    lead, G = a.shape[:-1], a.shape[-1]
    return a if G == C else broadcast_to(a[..., None], (*lead, G, C // G)).reshape((*lead, C))


@primitive
def moments(xp, x, *, groups):
    """(μ, v) of every block and group, Eq. (1): (B, S, C) → (2, B, G).

    Raises ValueError unless there is a position and ``groups`` divides C.
    """
    if x.ndim != 3 or not x.shape[1] or groups < 1 or x.shape[2] % groups:
        raise ValueError(f"wants x (B, S, C) with S ≥ 1 and C a multiple of groups = {groups}")
    B, S, C = x.shape

    def group_mean(total):                                                       # of (B, C) sums over the positions
        return total.reshape(B, groups, C // groups).mean(axis=2) / S

    mu = group_mean(_sum(xp, _itself, x))
    return xp.stack([mu, group_mean(_sum(xp, _squared_distance, x, _repeat(xp, mu, C)[:, None, :]))])


def _repeat(xp, a, C):
    return a if a.shape[-1] == C else xp.repeat(a, C // a.shape[-1], axis=-1)


def _moments_vjp(g, x, out, groups):
    _, S, C = x.shape
    n = S * C // groups
    k = 2 * g[1] / n
    return scale_shift(x, spread(k, C), spread(g[0] / n - k * out[0], C))                                     # Eq. (3)


moments.vjp(_moments_vjp)


# ---- the normalisation -----------------------------------------------------------------------------------------------
def steer(mu, v, eps, weight=None, bias=None):
    """s and t of Eq. (2), of the shape of mu and v: (B, C). Left out, weight γ and bias β (C,) are one and zero."""
    s = 1 / sqrt(v + eps)
    s = s if weight is None else s * weight
    return s, -s * mu if bias is None else bias - s * mu


def normalize_groups(x, groups, eps, weight=None, bias=None):
    """γ (x − μ) / √(v + ε) + β with the moments of each block and group: (B, S, C) → the same shape."""
    C = x.shape[-1]
    m = moments(x, groups)
    return scale_shift(x, *steer(spread(m[0], C), spread(m[1], C), eps, weight, bias))


def normalize_groups_composite(x, groups, eps, weight=None, bias=None):
    """`normalize_groups` by smaller ops."""
    B, S, C = x.shape
    grouped = x.reshape((B, S, groups, C // groups))
    centred = grouped - mean(grouped, axis=(1, 3), keepdims=True)
    y = (centred / sqrt(mean(centred * centred, axis=(1, 3), keepdims=True) + eps)).reshape(x.shape)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias
