"""The theory of adversarial training, on tables and on one-dimensional Gaussians."""
import itertools

import numpy as np

from minigen import ops
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.gradients import gradient
from minigen.check.quadrature import integrate
from minigen.distributions import Normal, Table
from minigen.tensor import tensor

SOURCE = "I. Goodfellow et al. 2014, arXiv:1406.2661"


def _value(D, p, q):
    """V(D, G) = E_data[log D] + E_G[log(1 − D)] on a table."""
    return np.sum(p * np.log(D) + q * np.log(1 - D))


@derivation("optimal-discriminator", "argmax_D E_data[log D(x)] + E_G[log(1 − D(x))] = p_data / (p_data + p_G)",
            SOURCE + ", proposition 1", claim=lambda p_data, p_G: p_data / (p_data + p_G))
def optimal_discriminator(claim):
    """D*(x) for densities p_data and p_G at the same points.

    At D* the gradient of V vanishes, and every other D does worse.
    """
    report, p, q = new_report(), Table.random(0, x=6).probabilities, Table.random(1, x=6).probabilities
    D = np.asarray(claim(p, q), dtype=float)
    equal(report, "D* is a stationary point", D, p / (p + q), factors={"p_data": p, "p_G": q})
    slope = p / D - q / (1 - D)
    report.add("", "∂V/∂D = 0 at D*", np.abs(slope).max(), 1e-9)
    rng = np.random.default_rng(0)
    best = max(_value(np.clip(D + 0.1 * rng.standard_normal(6), 1e-3, 1 - 1e-3), p, q) for _ in range(200))
    report.add("", "no other D has a larger V", max(best - _value(D, p, q), 0.0), 1e-12)
    report.include(gradient(lambda D: (tensor(p) * ops.log(D) + tensor(q) * ops.log(1 - D)).sum(), np.full(6, 0.3),
                            claimed=p / 0.3 - q / 0.7))
    return report


@derivation("gan-value", "max_D V(D, G) = 2 JSD(p_data, p_G) − log 4", SOURCE + ", theorem 1",
            claim=lambda jsd: 2 * jsd - np.log(4))
def gan_value(claim):
    """The value of the game at the optimal discriminator, from the Jensen–Shannon divergence.

    On tables exactly, on Gaussians by quadrature.
    """
    report = new_report()
    for seed in range(3):
        p, q = Table.random(seed, x=5), Table.random(seed + 10, x=5)
        D = p.probabilities / (p.probabilities + q.probabilities)
        equal(report, "on a table", claim(p.jsd(q)), _value(D, p.probabilities, q.probabilities), 1e-10,
              terms={"−log 4": -np.log(4), "2 JSD": 2 * p.jsd(q)})
    p, q = Normal(0.0, 0.0, event_ndim=0), Normal(1.5, 0.4, event_ndim=0)
    density = lambda each: lambda x: np.exp(each.log_prob(tensor(x[:, 0])).numpy())  # noqa: E731
    log_m = lambda x: np.log(0.5 * (density(p)(x) + density(q)(x)))  # noqa: E731
    side = lambda each: integrate(lambda x: np.nan_to_num(density(each)(x) * (np.log(density(each)(x)) - log_m(x))),
                                  [(-20, 20)])  # noqa: E731
    value = lambda each: integrate(lambda x: np.nan_to_num(density(each)(x)
                                                           * np.log(density(each)(x) / (density(p)(x) + density(q)(x)))), [(-20, 20)])  # noqa: E731
    with np.errstate(all="ignore"):
        equal(report, "on two Gaussians", claim(0.5 * side(p) + 0.5 * side(q)), value(p) + value(q), 1e-6)
    report.add("", "at p_G = p_data the value is −log 4", abs(claim(0.0) + np.log(4)), 1e-12)
    return report


@derivation("gan-classification-error",
            "min_D ½ E_data[1 − D(x)] + ½ E_G[D(x)] = ½ − ½ TV(p_data, p_G), D: x ↦ {0, 1}",
            SOURCE + "; the game read as a classifier's error", claim=lambda tv: 0.5 - 0.5 * tv)
def gan_classification_error(claim):
    """The smallest error of a classifier that tells data from samples, from the total variation ½ Σ |p − q|;

    against all 2ᴷ classifiers.
    """
    report = new_report()
    for seed in range(3):
        p, q = Table.random(seed, x=6).probabilities, Table.random(seed + 10, x=6).probabilities
        errors = [0.5 * np.sum(p * (1 - np.array(D))) + 0.5 * np.sum(q * np.array(D))
                  for D in itertools.product((0, 1), repeat=6)]
        equal(report, "the best of all classifiers", claim(0.5 * np.abs(p - q).sum()), min(errors), 1e-12)
    return report


@derivation("gan-saturation", "∂/∂l log(1 − σ(l)) = −σ(l), while ∂/∂l [−log σ(l)] = −(1 − σ(l)): the first vanishes "
                              "where the discriminator wins", SOURCE + ", section 3", claim=lambda s: (-s, -(1 - s)))
def gan_saturation(claim):
    """(saturating, non-saturating) gradients of the generator's two losses with respect to the discriminator's logit l;

    s = σ(l).
    """
    l = np.array([-8.0, -2.0, 0.0, 1.5])
    saturating, other = claim(1 / (1 + np.exp(-l)))
    report = gradient(lambda l: ops.log_sigmoid(-l).sum(), l, claimed=saturating)
    report.include(gradient(lambda l: -ops.log_sigmoid(l).sum(), l, claimed=other))
    return report


@derivation("wgan-duality", "W1(p, q) = max over 1-Lipschitz f of E_p[f] − E_q[f] = Σ |F − G| on a line of unit steps",
            "L. Kantorovich 1942; M. Arjovsky et al. 2017, arXiv:1701.07875", claim=lambda F, G: np.sum(np.abs(F - G)))
def wgan_duality(claim):
    """W1 on the points 0…K−1 from the distribution functions;

    against the linear programme of transport, and against the critic f with slopes sign(G − F).
    """
    from scipy.optimize import linprog
    report, K = new_report(), 5
    p, q = Table.random(0, x=K).probabilities, Table.random(1, x=K).probabilities
    F, G = np.cumsum(p), np.cumsum(q)
    cost = np.abs(np.subtract.outer(np.arange(K), np.arange(K))).ravel().astype(float)
    sums = np.vstack([np.kron(np.eye(K), np.ones(K)), np.kron(np.ones(K), np.eye(K))])
    best = linprog(cost, A_eq=sums, b_eq=np.concatenate([p, q])).fun
    equal(report, "= the cheapest transport", claim(F, G), best, 1e-8)
    f = np.concatenate([[0.0], np.cumsum(np.sign(G - F)[:-1])])
    equal(report, "= the best critic", np.sum(f * p) - np.sum(f * q), best, 1e-8)
    return report
