r"""What a GAN's players aim at, computed exactly: on finite spaces by sums, on the line by quadrature.

I. Goodfellow et al., "Generative Adversarial Networks", 2014, arXiv:1406.2661, section 4; on gradients M. Arjovsky and
L. Bottou, "Towards Principled Methods for Training GANs", 2017, arXiv:1701.04862. Write p for the density of the data,
q for that of G(z), and D = σ(a).

**The best discriminator.** Both expectations of the game are sums over the same x:

    V(G, D) = E_p[log D(x)] + E_q[log(1 − D(x))] = Σ_x p(x) log D(x) + q(x) log(1 − D(x)).                       (1)

Each term is concave in D(x), and its derivative p/D − q/(1 − D) vanishes at

    D*(x) = p(x) / (p(x) + q(x)),    that is    a*(x) = log p(x) − log q(x).                                     (2)

**What G then minimises.** Insert (2), and multiply and divide by 2: with m = ½(p + q),

    V(G, D*) = E_p[log p/(2m)] + E_q[log q/(2m)] = KL(p ‖ m) + KL(q ‖ m) − 2 log 2 = 2 JSD(p ‖ q) − log 4.       (3)

The JSD is zero only if q = p, where D* = ½ and V = −log 4.

**Moving q itself converges.** V(G, D*) = max_D V is a maximum of functions that are linear in q, hence convex in q, and
by the envelope theorem its derivative is that of (1) with D* held fixed:

    ∂V(G, D*)/∂q(x) = log(1 − D*(x)).                                                                            (4)

A step of exponentiated gradient descent with rate η, which keeps q a distribution, is

    q ← q e^{−η log(1 − D*)} / Z = q ((p + q)/q)^η / Z.                                                          (5)

At η = 1 it is q ← ½(p + q): the distance to p halves in each step, from anywhere with q > 0. (q is changed where it is;
no x can appear that G never makes, hence q > 0.)

**Moving a parameter may not.** Networks move θ, and V(G_θ, D*) is not convex in θ: where a G with one mode sits on the
smaller of two modes of the data, every small step away makes V larger, although a better θ exists. That is mode
collapse in its simplest form.

**The classification-error game** grades D by its error rate, which G wants large and D small:

    max_G min_D C,    C(G, D) = ½ E_p[1 − D(x)] + ½ E_q[D(x)].                                                   (6)

It is linear in D(x), so the best D is certain, D* = 1[p > q], and

    C(G, D*) = ½ Σ_x min(p, q) = ½ (1 − TV(p, q)),    TV = ½ Σ_x |p − q|,                                        (7)

at most ½, where q = p.

**Why the first loss saturates.** Let x = m + z: G moves its density by m. Through one sample, the gradient of a loss
g(a) is g′(a(x)) a′(x). For the minimax loss log(1 − D) and for the non-saturating −log D,

    g′(a) = −σ(a) = −D(x),        g′(a) = −(1 − D(x)).                                                           (8)

When D is sure of a fake, D ≈ 0: the first gradient vanishes where G has most to learn, the second does not. With D at
its best,

    E_q[∇ log(1 − D*)] = ∇ 2 JSD(p ‖ q)           (by the envelope theorem)                                     (9)
    E_q[∇ (−log D*)]   = ∇ [KL(q ‖ p) − 2 JSD(p ‖ q)]                                                           (10)

(Arjovsky and Bottou, Theorem 2.5). For p = N(0, 1) and q = N(m, 1), a* = −m x + ½m², and since pq/(p + q) ≤ ½√(pq),

    |E_q[∇ log(1 − D*)]| = |m| E_q[D*] ≤ ½ |m| e^{−m²/8},                                                        (11)

while (10) tends to |m|. Equation (10) pulls q into p by KL(q ‖ p), which does not mind modes left out.
"""
import numpy as np
from scipy.special import expit

import minigen as mg
from minigen.check.quadrature import integrate
from minigen.distributions import Table
from minigen.models.adversarial import losses


# ---- the best discriminator ------------------------------------------------------------------------------------------
def best_logit(p, q):
    """a* = log p − log q. Eq. (2).

    Args:
        p, q: two `Table`s over the same variables; or two densities on the line: each a distribution with ``log_prob``,
            or a function from x (n,) to log p(x) in nats (n,), both Tensors.

    Returns an array of p's shape for Tables (0 where neither has mass, since D does not matter there); for densities a
    function from x (n,) to a* (n,).
    """
    if not isinstance(p, Table):
        log_p, log_q = _log_density(p), _log_density(q)
        return lambda x: log_p(x) - log_q(x)                                                               # Eq. (2)
    P, Q = _arrays(p, q)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(P == Q, 0.0, np.log(P) - np.log(Q))                                                # Eq. (2)


def best_discriminator(p, q):
    """D* = p/(p + q), Eq. (2): an array for Tables, for densities a function from x (n,) to D* (n,), both NumPy."""
    a = best_logit(p, q)
    return expit(a) if isinstance(p, Table) else lambda x: expit(_host(a(_points(x))))


# ---- the two games ---------------------------------------------------------------------------------------------------
def value(p, q, a=None, **box):
    """V(G, D) in nats, Eq. (1), a float; V(G, D*) if the discriminator is left out.

    Args:
        p, q: as in `best_logit`. a: the discriminator as a logit, of the kind that `best_logit` returns.
        box: ``bounds=(low, high)``, ``centre``, ``scale`` of the quadrature, where the mass is elsewhere than around 0.
    """
    def terms(P, Q, a):
        return _times(P, -np.logaddexp(0.0, -a)) + _times(Q, -np.logaddexp(0.0, a))    # log D, log(1 − D)    Eq. (1)

    return _sum(terms, p, q, best_logit(p, q) if a is None else a, box)


def classification_error(p, q, a=None, **box):
    """C(G, D), Eq. (6), a float between 0 and 1; C(G, D*), Eq. (7), if D is left out. Arguments as in `value`."""
    if a is None:
        return _sum(lambda P, Q, a: 0.5 * np.minimum(P, Q), p, q, best_logit(p, q), box)                   # Eq. (7)
    return _sum(lambda P, Q, a: 0.5 * P * expit(-a) + 0.5 * Q * expit(a), p, q, a, box)                    # Eq. (6)


# ---- how q moves -----------------------------------------------------------------------------------------------------
def step(p, q, rate=1.0):
    """One step of exponentiated gradient descent on q itself, against the best discriminator. Eq. (5).

    Args: p, q: Tables. rate: η > 0; 1 halves the distance. Returns the new q, a Table.
    """
    if not rate > 0:
        raise ValueError(f"step: the rate must be positive, got {rate}")
    P, Q = _arrays(p, q)
    lost = int(((P > 0) & (Q == 0)).sum())
    if lost:
        raise ValueError(f"step: q is 0 at {lost} points where p is not; what G never makes cannot grow, so start from "
                         "q > 0")
    ratio = np.divide(P + Q, Q, out=np.ones_like(Q), where=Q > 0)
    return Table.normalised(Q * ratio ** rate, *p.names)                                                   # Eq. (5)


def generator_gradient(p, q, loss, **box):
    """d/dm E_q[g(a*(x))] for G that moves q by m, x = m + z, with D* held fixed. Eqs. (8)-(11).

    Args:
        p, q: densities on the line, as in `best_logit`. loss: name of a loss in `losses`, or a `Loss`.
        box: as in `value`.
    """
    a, g, log_q = best_logit(p, q), losses.get(loss).generator, _log_density(q)

    def integrand(x):
        leaf = mg.tensor(x[:, 0], requires_grad=True)
        slope = mg.grad(mg.sum(g(a(leaf))), leaf)                                # g′(a(x)) a′(x)
        return np.exp(_host(log_q(leaf))) * slope.numpy()

    return float(_integral(integrand, **box))


# ---- sums and integrals ----------------------------------------------------------------------------------------------
def _sum(h, p, q, a, box):
    """Σ_x or ∫ dx of h(p(x), q(x), a(x))."""
    if isinstance(p, Table):
        P, Q = _arrays(p, q)
        if np.shape(a) != P.shape:
            raise ValueError(f"theory: the discriminator must have a logit for each of p's entries {P.shape}, got "
                             f"shape {np.shape(a)}")
        return float(np.sum(h(P, Q, np.asarray(a, dtype=np.float64))))
    log_p, log_q = _log_density(p), _log_density(q)

    def integrand(x):
        x = _points(x[:, 0])                                                     # (n, 1) → (n,)
        return h(np.exp(_host(log_p(x))), np.exp(_host(log_q(x))), _host(a(x)))

    return float(_integral(integrand, **box))


def _times(weight, term):
    """weight · term, with 0 · ∞ = 0."""
    return np.where(weight > 0, weight, 0.0) * np.where(weight > 0, term, 0.0)


def _integral(f, bounds=(-np.inf, np.inf), centre=0.0, scale=1.0):
    return integrate(f, [bounds], [centre], [scale])


def _arrays(p, q):
    """The entries of two Tables, axes in p's order. Raises ValueError if they do not fit."""
    if not isinstance(q, Table) or p.sizes != q.sizes or p.conditions or q.conditions:
        raise ValueError(f"theory: p and q must be Tables over the same variables, got {p} {p.sizes} and {q} "
                         f"{getattr(q, 'sizes', '')}")
    order = [q.names.index(name) for name in p.names]
    return p.probabilities, np.transpose(q.probabilities, order)


def _log_density(p):
    """A function from x (n,) to log p(x) (n,)."""
    if isinstance(p, Table):
        raise ValueError(f"theory: p and q must be of one kind, got a Table {p} beside a density")
    if getattr(p, "event_shape", ()) == (1,):
        return lambda x: p.log_prob(mg.reshape(x, (-1, 1)))                      # (n,) → (n, 1)
    return p.log_prob if hasattr(p, "log_prob") else p


def _points(x):
    return mg.tensor(np.asarray(x, dtype=np.float64))


def _host(values):
    return values.numpy() if isinstance(values, mg.Tensor) else np.asarray(values)
