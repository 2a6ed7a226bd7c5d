r"""The Kullback–Leibler divergence: closed forms by pair of families, and Monte Carlo for all others.

    KL(p‖q) = E_{x~p}[log p(x) − log q(x)] ≥ 0, in nats, and 0 only if p = q.                               (1)

Where the entries of an event are independent, log p and log q are sums over them, and so is the divergence. The forms
below are for one entry.

Normal. log p(x) − log q(x) = ½ ε_q² − ½ ε_p² + log σ_q − log σ_p with ε_p = (x − μ_p)/σ_p. Under p, E[ε_p²] = 1 and
E[(x − μ_q)²] = σ_p² + (μ_p − μ_q)², so

    KL = log(σ_q/σ_p) + (σ_p² + (μ_p − μ_q)²) / (2 σ_q²) − ½                                                (2)
       = ½ (e^{2δ} − 1) − δ + ½ ((μ_p − μ_q)/σ_q)²,   δ = log σ_p − log σ_q.                                (3)

With expm1, the rounding error of (3) shrinks with δ, where that of (2) stays. For q = N(0, I), (2) is the term of the
variational autoencoder,

    KL(N(μ, σ²)‖N(0, I)) = −½ Σ_d (1 + log σ_d² − μ_d² − σ_d²).                                             (4)

Bernoulli. x is 1 with probability σ(a) and 0 with σ(−a); the log-probabilities are −ζ(−l) and −ζ(l), ζ = softplus:

    KL = σ(a) (ζ(−b) − ζ(−a)) + σ(−a) (ζ(b) − ζ(a)),   a, b the logits of p and q.                          (5)

Categorical.

    KL = Σ_k p_k (log p_k − log q_k).                                                                       (6)

Monte Carlo. The mean over n draws estimates (1) with standard error

    s / √n,   s the standard deviation of log p(x) − log q(x).                                              (7)
"""
import math

from minigen.distributions.base import broadcastable
from minigen.distributions.discrete import Bernoulli, Categorical
from minigen.distributions.normal import Normal
from minigen.ops.activations import sigmoid, softplus
from minigen.ops.elementwise import exp, expm1

_closed_forms = {}        # (family of p, family of q) -> function


def register_kl(P, Q):
    """Decorator: the function ``(p, q) -> KL(p‖q) in nats, of the batch's shape`` is the closed form of these families.

    Subclasses of P and Q use it too, unless they have their own.
    """
    def add(function):
        _closed_forms[P, Q] = function
        return function
    return add


def kl_divergence(p, q):
    """KL(p‖q) in nats, in closed form: a Tensor of the shape to which the two batches broadcast.

    Raises ValueError if the events differ or the batches do not broadcast, and NotImplementedError for a pair that has
    no closed form.
    """
    name = f"{type(p).__name__}‖{type(q).__name__}"
    pairs = [(P, Q) for P in type(p).__mro__ for Q in type(q).__mro__ if (P, Q) in _closed_forms]
    if not pairs:
        raise NotImplementedError(f"kl_divergence: no closed form is known for {name}; estimate it with "
                                  "kl_monte_carlo(p, q, n, rng=…), or register one with @register_kl")
    if p.event_shape != q.event_shape or not broadcastable(p.batch_shape, q.batch_shape):
        raise ValueError(f"kl_divergence: {name} wants equal events and batches that broadcast, got {p!r} and {q!r}")
    return _closed_forms[pairs[0]](p, q)


def kl_monte_carlo(p, q, n, *, rng):
    """Estimate KL(p‖q) for any two distributions from n draws of p: (estimate, standard error), Eq. (1) and (7).

    Both Tensors have p's batch shape; the true value lies within ±1.96 standard errors in about 95 of 100 runs. Raises
    ValueError for n < 2, or if q has more batch axes than p.
    """
    if n < 2 or len(q.batch_shape) > len(p.batch_shape):
        raise ValueError("kl_monte_carlo: wants n ≥ 2 draws of a p with at least as many batch axes as q, "
                         f"got n={n}, {p!r} and {q!r}")
    x = p.sample(n, rng=rng)
    difference = p.log_prob(x) - q.log_prob(x)
    s = difference.detach().std(axis=0, ddof=1)
    return difference.mean(axis=0), s * (1 / math.sqrt(n))


# ---- the closed forms ------------------------------------------------------------------------------------------------
@register_kl(Normal, Normal)
def _normal_normal(p, q):
    delta, shift = p.log_std - q.log_std, (p.mean - q.mean) * exp(-q.log_std)
    return p.sum_event(0.5 * expm1(2 * delta) - delta + 0.5 * shift * shift)                                # Eq. (3)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli_bernoulli(p, q):
    a, b = p.logits, q.logits
    return p.sum_event(sigmoid(a) * (softplus(-b) - softplus(-a))
                       + sigmoid(-a) * (softplus(b) - softplus(a)))                                         # Eq. (5)


@register_kl(Categorical, Categorical)
def _categorical_categorical(p, q):
    if p.classes != q.classes:
        raise ValueError("kl_divergence: Categorical‖Categorical wants as many classes on both sides, "
                         f"got {p.classes} and {q.classes}")
    log_p = p.log_probs
    return p.sum_event((exp(log_p) * (log_p - q.log_probs)).sum(axis=-1))                                   # Eq. (6)
