r"""Functions made of several ops: normalisers, losses on logits, distances, the affine map.

What models spend their time in is *fused*: one primitive computes the value in few passes and has a short derivative.
Beside each stands its ``…_composite``, the same function written with smaller ops; the tests equate the two in value,
first and second derivative. With p = softmax(z), s = σ(z), and t the target:

    softmax(z)ₖ = e^(zₖ − m) / Σⱼ e^(zⱼ − m),  m = max z  z̄ = p (p̄ − Σ p p̄)                       (1)
    log_softmax(z)ₖ = zₖ − m − log Σⱼ e^(zⱼ − m)          z̄ = ȳ − p Σ ȳ                           (2)
    L = −Σₖ tₖ log pₖ                                     z̄ = L̄ (p Σ t − t),  t̄ = −L̄ log p        (3)
    L = −t log s − (1 − t) log(1 − s)
      = max(z, 0) − z t + log(1 + e^(−|z|))               z̄ = L̄ (s − t),  t̄ = −L̄ z                (4)
    y = x W + b                                           x̄ = ȳ Wᵀ,  W̄ = Σ xᵀ ȳ,  b̄ = Σ ȳ         (5)

Losses are in nats (or squared units), one per example or element: they are not added up unless ``reduction`` is "sum"
or "mean", for a bound sums over the event and averages over the batch. A target never broadcasts silently.
"""
import math

import numpy as np

from minigen.ops.activations import _sigma, sigmoid, softplus
from minigen.ops.create import astype
from minigen.ops.elementwise import exp, sqrt, square
from minigen.ops.index import lift
from minigen.ops.linalg import matmul
from minigen.ops.piecewise import abs, clip, maximum, where
from minigen.ops.reduce import logsumexp, mean, sum
from minigen.primitive import primitive
from minigen.random import as_generator

__all__ = ["softmax", "log_softmax", "one_hot", "softmax_cross_entropy", "sigmoid_cross_entropy", "cross_entropy",
           "bce_with_logits", "mse_loss", "l1_loss", "huber_loss", "normalize", "cosine_similarity", "linear",
           "dropout"]


# ---- normalisers -----------------------------------------------------------------------------------------------------
@primitive
def softmax(xp, x, *, axis=-1):
    """eˣ / Σ eˣ along an axis: probabilities from logits. A logit of −∞ gets probability 0."""
    p = xp.elementwise(_exp_of_gap, x, xp.max(x, axis=axis, keepdims=True))                         # Eq. (1)
    return xp.elementwise(_quotient, p, _total(xp, _itself, p, axis=axis))


def _exp_of_gap(xp, x, m, out=None):
    return xp.exp(xp.subtract(x, m, out=out), out=out)


def _quotient(xp, x, y, out=None):
    return xp.divide(x, y, out=out)


def _itself(xp, x):
    return x


def _total(xp, function, *arrays, axis):
    """The sum along an axis, which stays with length one, of an elementwise function of arrays of one shape; the last
    axis in one loop where that can be compiled."""
    total = xp.sum_last(function, *arrays) if axis in (-1, arrays[0].ndim - 1) else None
    return xp.sum(function(xp, *arrays), axis=axis, keepdims=True) if total is None else total


@primitive
def _softmax_pullback(xp, g, p, *, axis):
    """p (g − Σ g p), Eq. (1)."""
    return xp.elementwise(_weighted_excess, g, p, _total(xp, _product, g, p, axis=axis))


def _product(xp, x, y):
    return x * y


def _weighted_excess(xp, g, p, mean, out=None):
    y = xp.subtract(g, mean, out=out)
    y *= p
    return y


softmax.vjp(lambda g, out, axis: _softmax_pullback(g, out, axis))
_softmax_pullback.vjp(lambda u, p, axis: _softmax_pullback(u, p, axis),
                      lambda u, g, p, axis: (u * (g - sum(g * p, axis=axis, keepdims=True))
                                             - g * sum(u * p, axis=axis, keepdims=True)))


def softmax_composite(x, axis=-1):
    """`softmax` by smaller ops."""
    return exp(x - logsumexp(x, axis=axis, keepdims=True))


@primitive
def log_softmax(xp, x, *, axis=-1):
    """log(eˣ / Σ eˣ) along an axis: log-probabilities from logits, exact also where the probability underflows."""
    z = x - xp.max(x, axis=axis, keepdims=True)                                                     # Eq. (2)
    return z - xp.log(xp.sum(xp.exp(z), axis=axis, keepdims=True))


log_softmax.vjp(lambda g, out, axis: g - exp(out) * sum(g, axis=axis, keepdims=True))


def log_softmax_composite(x, axis=-1):
    """`log_softmax` by smaller ops."""
    return x - logsumexp(x, axis=axis, keepdims=True)


# ---- losses on logits ------------------------------------------------------------------------------------------------
@primitive
def one_hot(xp, labels, *, num_classes, dtype="float32"):
    """(…, K) with 1 at each label and 0 elsewhere, for integer labels (…) in 0 … K − 1, K = ``num_classes``.

    Raises TypeError for labels that are not integers, ValueError for a label out of range.
    """
    _check_labels(labels, num_classes)
    return (labels[..., None] == xp.arange(num_classes)).astype(dtype)


def _check_labels(labels, K):
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, not {labels.dtype}")
    outside = (labels < 0) | (labels >= K)
    if outside.any():
        raise ValueError(f"label {int(labels[outside][0])} is out of range: {K} classes have the labels 0 to {K - 1}")


@primitive
def softmax_cross_entropy(xp, logits, target):
    """−Σₖ tₖ log softmax(logits)ₖ over the last axis, Eq. (3): (…, K) → (…), in nats. See `cross_entropy`."""
    target, K = xp.asarray(target), logits.shape[-1]
    labels = _are_labels(target)
    wanted = logits.shape[:-1] if labels else logits.shape
    if target.shape != wanted:
        kind = "integer labels" if labels else "probabilities"
        raise ValueError(f"{kind} must have the shape {wanted} for these logits")
    z = logits - xp.max(logits, axis=-1, keepdims=True)
    log_sum = xp.log(xp.sum(xp.exp(z), axis=-1))
    if labels:
        _check_labels(target, K)
        return log_sum - xp.take_along_axis(z, target[..., None], axis=-1)[..., 0]
    return xp.sum(target * (log_sum[..., None] - z), axis=-1)


softmax_cross_entropy.vjp(lambda g, logits, target: g[..., None] * _excess(logits, target),         # Eq. (3)
                          lambda g, logits: -g[..., None] * log_softmax(logits))


def _are_labels(target):
    return getattr(target, "dtype", np.dtype(int)).kind in "iu"


def _excess(logits, target):
    """p Σ t − t: how much more probability each class has than it should."""
    p = softmax(logits)
    if _are_labels(target):
        return p - one_hot(target, logits.shape[-1], logits.dtype)
    return p * sum(target, axis=-1, keepdims=True) - target


def softmax_cross_entropy_composite(logits, target):
    """`softmax_cross_entropy` by smaller ops."""
    t = one_hot(target, logits.shape[-1], logits.dtype) if _are_labels(target) else target
    return -sum(t * log_softmax_composite(logits), axis=-1)


def cross_entropy(logits, target, reduction="none"):
    """Cross-entropy −Σₖ tₖ log softmax(logits)ₖ over the last axis, in nats, per example: (…, K) → (…).

    Args:
        target: integer labels (…), or probabilities (…, K), through which gradients flow too.
        reduction: "none", "sum" or "mean" over the examples.

    Raises ValueError for a label out of range, a misshaped target and an unknown reduction.
    """
    return _reduced(softmax_cross_entropy(logits, target), "cross_entropy", reduction)


@primitive
def sigmoid_cross_entropy(xp, logits, target):
    """−t log σ(z) − (1 − t) log(1 − σ(z)), Eq. (4), elementwise with broadcasting, in nats. See `bce_with_logits`."""
    if getattr(target, "shape", None) != logits.shape or logits.dtype != target.dtype:
        return _bernoulli_nats(xp, logits, target)
    return xp.elementwise(_bernoulli_nats, logits, target)


def _bernoulli_nats(xp, z, t, out=None):
    log_term = xp.multiply(-1.0, xp.abs(z))
    log_term = xp.log1p(xp.exp(log_term))
    return xp.add(xp.maximum(z, 0) - z * t, log_term, out=out)                # the bracket first: it is often exactly 0


@primitive
def _bernoulli_pullback(xp, g, z, t):
    """g (σ(z) − t)."""
    if not g.shape == z.shape == getattr(t, "shape", None):
        return g * (_sigma(xp, z) - t)
    return xp.elementwise(_g_excess_of_sigma, g, z, t)


def _g_excess_of_sigma(xp, g, z, t, out=None):
    y = _sigma(xp, z, out)
    y -= t
    y *= g
    return y


_bernoulli_pullback.vjp(lambda u, z, t: _bernoulli_pullback(u, z, t),
                        lambda u, g, z: u * g * (sigmoid(z) * (1 - sigmoid(z))),
                        lambda u, g: -u * g)
sigmoid_cross_entropy.vjp(lambda g, logits, target: _bernoulli_pullback(g, logits, target),         # Eq. (4)
                          lambda g, logits: -g * logits)


def sigmoid_cross_entropy_composite(logits, target):
    """`sigmoid_cross_entropy` by smaller ops."""
    return softplus(logits) - logits * target


def bce_with_logits(logits, target, reduction="none"):
    """Binary cross-entropy −t log σ(z) − (1 − t) log(1 − σ(z)) in nats, per element.

    Args:
        target: probabilities in [0, 1], of the logits' shape, or one number. Gradients flow through it too.
        reduction: "none", "sum" or "mean" over all elements.

    Raises ValueError for a misshaped target and an unknown reduction.
    """
    logits, target = _fitting("bce_with_logits", logits, target)
    return _reduced(sigmoid_cross_entropy(logits, target), "bce_with_logits", reduction)


def _fitting(name, x, target):
    """(x, target) with the target of x's shape or one number, and as floating as x."""
    x, target = lift(x, target)
    if target.shape not in (x.shape, ()):
        raise ValueError(f"{name}: the target has shape {target.shape}, the prediction {x.shape}; they must be equal, "
                         "or the target one number; reshape or broadcast it first")
    return x, target if target.dtype.kind == "f" else astype(target, x.dtype)


def _reduced(loss, name, reduction):
    if reduction not in ("none", "sum", "mean"):
        raise ValueError(f'{name}: reduction must be "none", "sum" or "mean", got {reduction!r}')
    return loss if reduction == "none" else sum(loss) if reduction == "sum" else mean(loss)


# ---- distances -------------------------------------------------------------------------------------------------------
def mse_loss(x, target, reduction="none"):
    """(x − t)² per element. The target has x's shape or is one number; ``reduction`` as in `bce_with_logits`."""
    x, target = _fitting("mse_loss", x, target)
    return _reduced(square(x - target), "mse_loss", reduction)


def l1_loss(x, target, reduction="none"):
    """|x − t| per element, with derivative 0 where they are equal. Arguments as in `mse_loss`."""
    x, target = _fitting("l1_loss", x, target)
    return _reduced(abs(x - target), "l1_loss", reduction)


def huber_loss(x, target, delta=1.0, reduction="none"):
    """½ d² for |d| ≤ δ, else δ (|d| − ½ δ), with d = x − t, per element (Huber, 1964). Arguments as in `mse_loss`."""
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta}")
    x, target = _fitting("huber_loss", x, target)
    d = x - target
    c = clip(d, -delta, delta)
    return _reduced(c * (d - 0.5 * c), "huber_loss", reduction)         # c = d inside, ±δ outside


def normalize(x, axis=-1, eps=1e-12):
    """x / max(‖x‖₂, ε) along an axis: vectors of length one. A zero vector stays zero, and its derivative is 1/ε."""
    return x / _length(x, axis, eps)


def cosine_similarity(x, y, axis=-1, eps=1e-8):
    """⟨x, y⟩ / (max(‖x‖, ε) max(‖y‖, ε)) along an axis, in [−1, 1]; 0 for a zero vector."""
    return sum(normalize(x, axis, eps) * normalize(y, axis, eps), axis=axis)


def _length(x, axis, eps):
    """max(‖x‖, ε), with the maximum taken under the root, whose slope at 0 is infinite."""
    return sqrt(maximum(sum(square(x), axis=axis, keepdims=True), eps * eps))


# ---- layers ----------------------------------------------------------------------------------------------------------
def linear(x, W, b=None):
    """x W + b, Eq. (5): (…, D), (D, O), (O,) → (…, O); without b, x W.

    Raises ValueError if the shapes do not fit.
    """
    return matmul(x, W) if b is None else _linear(x, W, b)


def linear_composite(x, W, b):
    """`linear` by smaller ops."""
    return matmul(x, W) + b


@primitive
def _linear(xp, x, W, b):
    if x.ndim == 0 or W.ndim != 2 or x.shape[-1] != W.shape[0] or b.shape != W.shape[1:]:
        raise ValueError("wants x (…, D), W (D, O) and b (O,)")
    return xp.affine(_rows(x), W, b).reshape(*x.shape[:-1], W.shape[1])


_linear.vjp(lambda g, W, x_shape: matmul(_rows(g), W.T).reshape(x_shape),                           # Eq. (5)
            lambda g, x: matmul(_rows(x).T, _rows(g)),
            lambda g: sum(_rows(g), axis=0))


def _rows(x):
    """(…, D) as (M, D), since NumPy would multiply the matrices of a stack one by one."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def dropout(x, p, rng=None, mask=None):
    """x with each element set to 0 with probability p and the others divided by 1 − p, so that the mean is x's.

    Args:
        p: in [0, 1).
        rng: Generator or seed to draw the mask with.
        mask: draw nothing and keep x where this is true instead; broadcasts to x's shape.

    (Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, 2014.) Raises ValueError for p out of range, without rng
    or mask, and for a mask that does not fit.
    """
    if not 0 <= p < 1:
        raise ValueError(f"dropout: p must lie in [0, 1), got {p}")
    if mask is None:
        if rng is None:
            raise ValueError("dropout: wants an rng to draw the mask with, or a mask")
        mask = as_generator(rng).random(x.shape) >= p
    elif mask.ndim > x.ndim or any(m not in (1, d) for m, d in zip(mask.shape[::-1], x.shape[::-1])):
        raise ValueError(f"dropout: the mask {mask.shape} does not broadcast to x {x.shape}")
    return where(mask, x, 0) / (1 - p)
