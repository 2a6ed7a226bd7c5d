"""Sampling: Markov chains, importance weights, rejection, inverse transform."""
import numpy as np

from minigen.check.chains import chain
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.quadrature import integrate
from minigen.distributions.table import Table


def _pair(seed, n=6):
    """Two probability vectors: a target and a proposal."""
    return Table.random(seed, x=n).probabilities, Table.random(seed + 10, x=n).probabilities


@derivation("metropolis-hastings", source="N. Metropolis et al. 1953; W. Hastings 1970")
def metropolis_hastings(pi_now, pi_new, q_forth, q_back):
    """Accepting x → x′ with probability min(1, π(x′) q(x | x′)/(π(x) q(x′ | x))) gives detailed balance with π.

    The acceptance probability, from π(x), π(x′), q(x′ | x) and q(x | x′), elementwise.
    """
    return np.minimum(1.0, pi_new * q_back / (pi_now * q_forth))


@metropolis_hastings.checked_by
def _(formula):
    report = new_report()
    for seed in range(3):
        pi = Table.random(seed, x=5).probabilities
        q = Table.random(seed + 10, new=5, now=5).given("now").probabilities.T              # q[now, new], not symmetric
        T = q * np.asarray(formula(pi[:, None], pi[None], q, q.T))
        np.fill_diagonal(T, 0.0)
        np.fill_diagonal(T, 1 - T.sum(axis=1))
        report.include(chain(T, pi))
    report.values.clear()
    return report


@derivation("gibbs-sampling", source="S. Geman, D. Geman 1984")
def gibbs_sampling(joint, axis):
    """Replacing one coordinate by a draw from p(x_i | the rest) satisfies detailed balance with p.

    The conditional of the variable on this axis given all others, an array like the joint.
    """
    return joint / joint.sum(axis=axis, keepdims=True)


@gibbs_sampling.checked_by
def _(formula):
    report, p = new_report(), Table.random(0, x=3, y=4).probabilities
    for axis, same in ((0, np.eye(4)), (1, np.eye(3))):
        conditional = np.asarray(formula(p, axis))
        # T[x, y, x′, y′]: the other coordinate stays, this one is drawn anew
        spec = ("ay,yb->xyab", "xb,xa->xyab")[axis]
        T = np.einsum(spec.replace("->", ",xy->"), conditional, same, np.ones((3, 4))).reshape(12, 12)
        flow = p.ravel()[:, None] * T
        equal(report, f"detailed balance, coordinate {axis}", flow, flow.T, 1e-12)
        equal(report, f"rows sum to 1, coordinate {axis}", T.sum(axis=1), np.ones(12), 1e-12)
    return report


@derivation("importance-weights", source="H. Kahn, A. Marshall 1953; A. Owen 2013, chapter 9")
def importance_weights(p, q):
    """E_p[f] = E_q[w f] with w = p/q; E_q[w] = 1 and Var_q(w) = χ²(p ‖ q).

    The weights of draws from q that stand for draws from p, at points with these probabilities.
    """
    return p / q


@importance_weights.checked_by
def _(formula):
    report = new_report()
    for seed in range(3):
        (p, q), f = _pair(seed), np.random.default_rng(seed).standard_normal(6)
        w = np.asarray(formula(p, q))
        equal(report, "E_q[w] = 1", np.sum(q * w), 1.0, 1e-12)
        equal(report, "E_q[w f] = E_p[f]", np.sum(q * w * f), np.sum(p * f), 1e-12)
        equal(report, "Var_q(w) = χ²(p ‖ q)", np.sum(q * w ** 2) - np.sum(q * w) ** 2, np.sum(p ** 2 / q) - 1, 1e-10)
    return report


@derivation("rejection-sampling", source="J. von Neumann 1951")
def rejection_sampling(p, q, M):
    """Accepting x ~ q with probability p(x)/(M q(x)), M ≥ max p/q, leaves draws from p, and 1/M of all are accepted.

    The acceptance probability at each x.
    """
    return p / (M * q)


@rejection_sampling.checked_by
def _(formula):
    report = new_report()
    for seed in range(3):
        p, q = _pair(seed)
        M = 1.3 * np.max(p / q)
        accepted = q * np.asarray(formula(p, q, M))
        equal(report, "accepted draws follow p", accepted / accepted.sum(), p, 1e-12)
        equal(report, "acceptance rate = 1/M", accepted.sum(), 1 / M, 1e-12)
        report.add("", "is a probability", max(np.max(accepted / q) - 1, 0.0), 1e-12)
    return report


@derivation("inverse-transform", source="J. von Neumann 1947; L. Devroye 1986, section 2.2")
def inverse_transform(u, rate):
    """F⁻¹(u) with u ~ U(0, 1) has the distribution function F; for Exponential(λ) it is −log(1 − u)/λ.

    Draws from Exponential(rate) made of u.
    """
    return -np.log(1 - u) / rate


@inverse_transform.checked_by
def _(formula):
    report, u = new_report(), np.linspace(0.01, 0.99, 25)
    for rate in (0.5, 3.0):
        F = 1 - np.exp(-rate * np.asarray(formula(u, rate)))
        equal(report, f"F(F⁻¹(u)) = u, rate {rate}", F, u, 1e-10)
    return report


@derivation("gumbel-max", source="E. Gumbel 1954; C. Maddison, D. Tarlow, T. Minka 2014, arXiv:1411.0030")
def gumbel_max(logits):
    """argmax_k (l_k + G_k) with G_k = −log(−log u_k) is k with probability softmax(l)_k.

    The probability of each class (K,).
    """
    return np.exp(logits) / np.exp(logits).sum()


@gumbel_max.checked_by
def _(formula):
    """k wins at the value t with density g(t − l_k) Π_{j≠k} G(t − l_j), G(s) = exp(−e^{−s}) and g = G′."""
    report, logits = new_report(), np.array([0.3, -1.0, 1.2, 0.0])

    def win(t, k):
        s = t - logits                                                                     # (n, K)
        return np.exp(-s[:, k] - np.exp(-s).sum(axis=1))

    wins = [float(integrate(lambda t, k=k: win(t, k), [(-8.0, 40.0)])) for k in range(4)]
    equal(report, "p(argmax = k)", formula(logits), wins, 1e-8)
    return report
