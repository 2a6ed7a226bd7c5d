r"""Attention.

A. Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762. T queries q_i ask L keys k_j; the answer to each
is a mean of the values v_j, weighted by how well query and key agree. With Q (T, D), K (L, D) and V (L, E),

    A = softmax(Q Kᵀ / √D),    attention(Q, K, V) = A V.                                                          (1)

Every row of A is a distribution over the keys: A_ij ≥ 0 and Σ_j A_ij = 1. Were the entries of q and k independent with
mean 0 and variance 1, q · k would have variance D; the root keeps the softmax from saturating as D grows.

A mask says which keys a query may see; the others get the logit −∞, hence the weight 0. *Causal* attention lets
position i see the positions 0 … i.

Several heads ask different questions at once. With learned W^Q_h, W^K_h, W^V_h for head h of width D/heads,

    head_h = attention(x W^Q_h, c W^K_h, c W^V_h),    y = concatenate(head_1, head_2, …) W^O.                     (2)

It is *self-attention* where the context c is x itself. The maps of all heads stand side by side in one matrix.
"""
import math

import numpy as np

from minigen.functional import softmax
from minigen.nn.groupnorm import GroupNorm
from minigen.nn.linear import Linear
from minigen.nn.module import Module
from minigen.ops.linalg import matmul
from minigen.ops.piecewise import where
from minigen.ops.shape import tril
from minigen.primitive import primitive
from minigen.random import as_generator


@primitive
def _hide_future(xp, logits):
    """Logits (…, T, T) with −∞ above the diagonal: position i sees the positions 0 … i."""
    T, L = logits.shape[-2:]
    if T != L:
        raise ValueError(f"causal attention wants as many keys as queries, got {T} queries and {L} keys")
    return xp.where(xp.tri(T, dtype=bool), logits, -math.inf)


_hide_future.vjp(lambda g: tril(g))


def attention_weights(query, key, mask=None, causal=False):
    """A of Eq. (1): queries (…, T, D) and keys (…, L, D) → (…, T, L), rows that sum to one.

    Args:
        mask: booleans that broadcast to (…, T, L), true where the query may see the key.
        causal: let query i see the keys 0 … i only; T = L.

    Raises ValueError for shapes that do not fit and for a query that may see no key, TypeError for a mask that is not
    boolean.
    """
    _check("attention_weights", query, key)
    logits = matmul(query * (1 / math.sqrt(query.shape[-1])), key.swapaxes(-1, -2))                           # Eq. (1)
    if mask is not None:
        logits = where(_fitting(mask, logits.shape), logits, -math.inf)
    return softmax(_hide_future(logits) if causal else logits)


def scaled_dot_product_attention(query, key, value, mask=None, causal=False):
    """Eq. (1): queries (…, T, D), keys (…, L, D), values (…, L, E) → (…, T, E). The rest as in `attention_weights`."""
    _check("scaled_dot_product_attention", query, key, value)
    return matmul(attention_weights(query, key, mask, causal), value)


def _check(name, query, key, value=None):
    shapes = [x.shape for x in (query, key, value) if x is not None]
    if min(map(len, shapes)) < 2 or query.shape[-1] != key.shape[-1] or len({shape[-2] for shape in shapes[1:]}) > 1:
        wanted = "(…, T, D), (…, L, D)" + (" and (…, L, E)" if value is not None else "")
        raise ValueError(f"{name}: wants queries, keys and values {wanted}, got {', '.join(map(str, shapes))}")


def _fitting(mask, shape):
    """The mask, checked against logits of this shape."""
    if mask.dtype != bool:
        raise TypeError(f"attention_weights: the mask must be boolean (true: visible), got {mask.dtype}; compare it, "
                        "as in mask > 0")
    if len(mask.shape) > len(shape) or any(m not in (1, d) for m, d in zip(mask.shape[::-1], shape[::-1])):
        raise ValueError(f"attention_weights: the mask {mask.shape} does not broadcast to (…, T, L) = {shape}")
    if not bool(mask.any(axis=-1).all()):
        raise ValueError("attention_weights: the mask hides all keys from some query, and weights over nothing cannot "
                         "sum to one; let it see at least one key")
    return mask


class MultiHeadAttention(Module):
    """Eq. (2): x (…, T, features) → the same shape.

    Args:
        heads: they divide ``features``.
        context_features: length of the vectors of a context, where it is not x.
        causal: let each position see itself and those before it only.
        rng, weight_init: as in `Linear`; out_init: of W^O. With ``"zeros"`` the output starts at zero.

    Raises ValueError for sizes that do not fit.
    """

    def __init__(self, features, heads=1, context_features=None, causal=False, *, rng, weight_init="torch",
                 out_init=None):
        if features < 1 or heads < 1 or features % heads:
            raise ValueError(f"MultiHeadAttention: wants {features} features in heads of equal width, got {heads} "
                             f"heads; choose a number that divides {features}")
        rng = as_generator(rng)
        self.features, self.heads, self.causal = features, heads, causal
        self.context_features = context_features or features
        self.query = Linear(features, features, rng=rng, weight_init=weight_init)
        self.key = Linear(self.context_features, features, rng=rng, weight_init=weight_init)
        self.value = Linear(self.context_features, features, rng=rng, weight_init=weight_init)
        self.out = Linear(features, features, rng=rng, weight_init=out_init or weight_init)

    def forward(self, x, context=None, mask=None):
        """``context`` (…, L, context_features), x itself if left out; ``mask`` broadcasts to (…, T, L)."""
        context = x if context is None else context
        heads = matmul(self.weights(x, context, mask), self._split(self.value(context)))       # (…, heads, T, d)
        return self.out(heads.swapaxes(-2, -3).reshape((*x.shape[:-1], self.features)))                       # Eq. (2)

    def weights(self, x, context=None, mask=None):
        """A of each head, (…, heads, T, L), to look at."""
        context = x if context is None else context
        self.expect_features(x, self.features)
        if np.shape(context)[-1:] != (self.context_features,):
            raise ValueError(f"{self.label()} wants a context with {self.context_features} features on the last axis, "
                             f"got one of shape {np.shape(context)}")
        if mask is not None and mask.ndim > 2:
            mask = mask[..., None, :, :]                                                       # (…, 1, T, L)
        return attention_weights(self._split(self.query(x)), self._split(self.key(context)), mask, self.causal)

    def _split(self, x):
        """(…, T, features) → (…, heads, T, features / heads)."""
        return x.reshape((*x.shape[:-1], self.heads, self.features // self.heads)).swapaxes(-2, -3)

    def describe(self):
        return f"{self.features}, heads={self.heads}" + (", causal=True" if self.causal else "")


class SelfAttention(Module):
    """x + attention(group norm x), where all positions of an image ask all: (N, …, features) → the same shape.

    The block of Ho et al. (2020, arXiv:2006.11239). It starts as the identity, since W^O starts at zero. Memory and
    time grow with the square of the number of positions.

    Args:
        heads, rng: as in `MultiHeadAttention`; groups: of the norm.
    """

    def __init__(self, features, heads=1, groups=8, *, rng):
        self.norm = GroupNorm(groups, features)
        self.attention = MultiHeadAttention(features, heads, rng=rng, out_init="zeros")

    def forward(self, x):
        return x + self.attention(self._positions(x)).reshape(x.shape)

    def weights(self, x):
        """A of each head, (N, heads, H W, H W), to look at: row i is where position i looks."""
        return self.attention.weights(self._positions(x))

    def _positions(self, x):
        return self.norm(x).reshape((x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1]))       # (N, H W, C)

    def describe(self):
        return self.attention.describe()
