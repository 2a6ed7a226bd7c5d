"""Sampling: Markov chains, importance weights, rejection, inverse transform."""
import numpy as np

from minigen.check.chains import chain
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.distributions.table import Table


@derivation("metropolis-hastings", "accept x → x′ with probability min(1, π(x′) q(x | x′) / (π(x) q(x′ | x))): then "
                                   "π(x) T(x′ | x) = π(x′) T(x | x′)", "N. Metropolis et al. 1953; W. Hastings 1970",
            claim=lambda pi_now, pi_new, q_forth, q_back: np.minimum(1.0, pi_new * q_back / (pi_now * q_forth)))
def metropolis_hastings(claim):
    """The acceptance probability, from π(x), π(x′), q(x′ | x) and q(x | x′); the proposal is not symmetric."""
    report = new_report()
    for seed in range(3):
        pi, q = Table.random(seed, x=5).probabilities, Table.random(seed + 10, new=5,
                                                                    # q[now, new]
                                                                    now=5).given("now").probabilities.T
        T = q * np.asarray(claim(pi[:, None], pi[None], q, q.T))
        np.fill_diagonal(T, 0.0)
        np.fill_diagonal(T, 1 - T.sum(axis=1))
        report.include(chain(T, pi))
    report.values.clear()
    return report


@derivation("gibbs-sampling", "replacing one coordinate by a draw from p(x_i | the rest) satisfies detailed balance "
                              "with p", "S. Geman, D. Geman 1984", claim=lambda joint,
            axis: joint / joint.sum(axis=axis, keepdims=True))
def gibbs_sampling(claim):
    """The full conditional p(x_axis | the rest), an array like the joint."""
    report, p = new_report(), Table.random(0, x=3, y=4)
    for axis in (0, 1):
        conditional = np.asarray(claim(p.probabilities, axis))
        T = np.zeros((3, 4, 3, 4))
        for x, y in np.ndindex(3, 4):
            if axis == 0:
                T[x, y, :, y] = conditional[:, y]
            else:
                T[x, y, x, :] = conditional[x]
        T = T.reshape(12, 12)
        flow = p.probabilities.ravel()[:, None] * T
        equal(report, f"detailed balance, coordinate {axis}", flow, flow.T, 1e-12)
        equal(report, f"rows sum to 1, coordinate {axis}", T.sum(axis=1), np.ones(12), 1e-12)
    return report


@derivation("importance-weights", "E_p[f] = E_q[w f] with w = p/q, E_q[w] = 1, and Var_q(w) = χ²(p ‖ q)",
            "H. Kahn, A. Marshall 1953; A. Owen 2013, chapter 9", claim=lambda p, q: p / q)
def importance_weights(claim):
    """The weights of draws from q that stand for draws from p."""
    report = new_report()
    for seed in range(3):
        p, q, f = Table.random(seed, x=6).probabilities, Table.random(seed + 10, x=6).probabilities, np.random.default_rng(seed).standard_normal(6)
        w = np.asarray(claim(p, q))
        equal(report, "E_q[w] = 1", np.sum(q * w), 1.0, 1e-12)
        equal(report, "E_q[w f] = E_p[f]", np.sum(q * w * f), np.sum(p * f), 1e-12)
        equal(report, "Var_q(w) = χ²(p ‖ q)", np.sum(q * w ** 2) - np.sum(q * w) ** 2, np.sum(p ** 2 / q) - 1, 1e-10)
    return report


@derivation("rejection-sampling", "accept x ~ q with probability p(x)/(M q(x)), M ≥ max p/q: accepted draws follow p, "
                                  "and 1/M of all are accepted", "J. von Neumann 1951", claim=lambda p, q,
            M: p / (M * q))
def rejection_sampling(claim):
    """The acceptance probability at each x."""
    report = new_report()
    for seed in range(3):
        p, q = Table.random(seed, x=6).probabilities, Table.random(seed + 10, x=6).probabilities
        M = 1.3 * np.max(p / q)
        accepted = q * np.asarray(claim(p, q, M))
        equal(report, "accepted draws follow p", accepted / accepted.sum(), p, 1e-12)
        equal(report, "acceptance rate = 1/M", accepted.sum(), 1 / M, 1e-12)
        report.add("", "is a probability", max(np.max(accepted / q) - 1, 0.0), 1e-12)
    return report


@derivation("inverse-transform", "F⁻¹(u) with u ~ U(0, 1) has distribution function F; Exponential(λ): −log(1 − u)/λ",
            "J. von Neumann 1947; L. Devroye 1986, section 2.2", claim=lambda u, rate: -np.log(1 - u) / rate)
def inverse_transform(claim):
    """A draw from Exponential(rate) made of u. Its distribution function at the draw must give u back."""
    report, u = new_report(), np.linspace(0.01, 0.99, 25)
    for rate in (0.5, 3.0):
        x = np.asarray(claim(u, rate))
        equal(report, f"F(F⁻¹(u)) = u, rate {rate}", 1 - np.exp(-rate * x), u, 1e-10)
    return report


@derivation("gumbel-max", "argmax_k (l_k + G_k), G_k = −log(−log u_k), is k with probability softmax(l)_k",
            "E. Gumbel 1954; C. Maddison et al. 2014", claim=lambda logits: np.exp(logits) / np.exp(logits).sum())
def gumbel_max(claim):
    """The probability of each class;

    against the integral ∫ g(t − l_k) Π_{j≠k} G(t − l_j) dt over the value t of the winner.
    """
    from minigen.check.quadrature import integrate
    report, logits = new_report(), np.array([0.3, -1.0, 1.2, 0.0])
    wins = []
    for k in range(4):
        def density(t, k=k):
            shifted = t - logits[None]                                                     # (n, 4)
            return np.exp(-shifted[:, k]) * np.exp(-np.exp(-shifted).sum(axis=1))          # g(t − l_k) Π G(t − l_j)
        wins.append(float(integrate(density, [(-8.0, 40.0)])))
    equal(report, "p(argmax = k)", claim(logits), np.array(wins), 1e-8)
    return report
