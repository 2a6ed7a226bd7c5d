"""The theory of adversarial training, on tables and on one-dimensional Gaussians."""
import itertools

import numpy as np
from scipy.optimize import linprog

from minigen import ops
from minigen.check.densities import Density
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.gradients import gradient
from minigen.check.quadrature import integrate
from minigen.distributions import Normal, Table
from minigen.tensor import tensor

GOODFELLOW = "I. Goodfellow et al. 2014, arXiv:1406.2661"


def _pair(seed, n=5):
    """Two probability vectors."""
    return Table.random(seed, x=n).probabilities, Table.random(seed + 10, x=n).probabilities


def _value(D, p, q):
    """V(D, G) = E_data[log D] + E_G[log(1 − D)] on a table."""
    return np.sum(p * np.log(D) + q * np.log(1 - D))


@derivation("optimal-discriminator", source=GOODFELLOW + ", proposition 1")
def optimal_discriminator(p_data, p_G):
    """argmax_D E_data[log D(x)] + E_G[log(1 − D(x))] = p_data/(p_data + p_G).

    D*(x) at points x, from the two densities there.
    """
    return p_data / (p_data + p_G)


@optimal_discriminator.checked_by
def _(formula):
    report, (p, q) = new_report(), _pair(0, 6)
    D = np.clip(np.asarray(formula(p, q), dtype=float), 1e-9, 1 - 1e-9)
    report.add("", "∂V/∂D = p/D − q/(1 − D) = 0 at D*", np.abs(p / D - q / (1 - D)).max(), 1e-7)
    equal(report, "D* = the zero of ∂V/∂D", D, p / (p + q), factors={"p_data": p, "p_G": q})
    rng = np.random.default_rng(0)
    others = [np.clip(D + 0.1 * rng.standard_normal(6), 1e-3, 1 - 1e-3) for _ in range(200)]
    best = max(_value(other, p, q) for other in others)
    report.add("", "no other D has a larger V", max(best - _value(D, p, q), 0.0), 1e-12, "200 tried")
    report.include(gradient(lambda D: (tensor(p) * ops.log(D) + tensor(q) * ops.log(1 - D)).sum(), np.full(6, 0.3),
                            claimed=p / 0.3 - q / 0.7, names=["D"]))
    return report


@derivation("gan-value", source=GOODFELLOW + ", theorem 1")
def gan_value(jsd):
    """max_D V(D, G) = 2 JSD(p_data, p_G) − log 4.

    The value of the game at the optimal discriminator, from the Jensen–Shannon divergence.
    """
    return 2 * jsd - np.log(4)


@gan_value.checked_by
def _(formula):
    report = new_report()
    for seed in range(3):
        p, q = _pair(seed)
        jsd = Table(p, "x").jsd(Table(q, "x"))
        terms = {"−log 4": -np.log(4), "2 JSD": 2 * jsd}
        equal(report, "on a table", formula(jsd), _value(p / (p + q), p, q), 1e-10, terms)
    p, q = [Density("gan-value", Normal(mean, log_std, event_ndim=0)) for mean, log_std in ((0.0, 0.0), (1.5, 0.4))]

    def expect(log_ratio):
        """∫ p log_ratio(p, q) + q log_ratio(q, p) dx."""
        return integrate(lambda x: p.probability(x) * log_ratio(p(x), q(x)) + q.probability(x) * log_ratio(q(x), p(x)),
                         [(-20, 20)])

    jsd = 0.5 * expect(lambda a, b: a - np.logaddexp(a, b) + np.log(2))
    equal(report, "on two Gaussians", formula(jsd), expect(lambda a, b: a - np.logaddexp(a, b)), 1e-8)
    report.add("", "at p_G = p_data it is −log 4", abs(formula(0.0) + np.log(4)), 1e-12)
    return report


@derivation("gan-classification-error", source=GOODFELLOW + "; the game read as a classifier's error")
def gan_classification_error(total_variation):
    """min_D ½ E_data[1 − D(x)] + ½ E_G[D(x)] = ½ − ½ TV(p_data, p_G) over all D: x ↦ {0, 1}.

    The smallest error of a classifier that tells data from samples, from TV = ½ Σ |p − q|.
    """
    return 0.5 - 0.5 * total_variation


@gan_classification_error.checked_by
def _(formula):
    report = new_report()
    for seed in range(3):
        p, q = _pair(seed, 6)
        classifiers = np.array(list(itertools.product((0, 1), repeat=6)))
        errors = 0.5 * (1 - classifiers) @ p + 0.5 * classifiers @ q
        equal(report, "the best of all 64 classifiers", formula(0.5 * np.abs(p - q).sum()), errors.min(), 1e-12)
    return report


@derivation("gan-saturation", source=GOODFELLOW + ", section 3")
def gan_saturation(s):
    """∂/∂l log(1 − σ(l)) = −σ(l) vanishes where the discriminator wins; ∂/∂l [−log σ(l)] = −(1 − σ(l)) does not.

    The generator's two gradients (saturating, non-saturating) with respect to the discriminator's logit l; s = σ(l).
    """
    return -s, -(1 - s)


@gan_saturation.checked_by
def _(formula):
    logits = np.array([-8.0, -2.0, 0.0, 1.5])
    saturating, other = formula(1 / (1 + np.exp(-logits)))
    report = gradient(lambda logits: ops.log_sigmoid(-logits).sum(), logits, claimed=saturating)
    report.include(gradient(lambda logits: -ops.log_sigmoid(logits).sum(), logits, claimed=other))
    return report


@derivation("wgan-duality", source="L. Kantorovich 1942; M. Arjovsky et al. 2017, arXiv:1701.07875")
def wgan_duality(F, G):
    """W1(p, q) = max over 1-Lipschitz f of E_p[f] − E_q[f] = Σ |F − G| on a line of unit steps.

    W1 from the two distribution functions at 0, 1, …, K − 1.
    """
    return np.sum(np.abs(F - G))


@wgan_duality.checked_by
def _(formula):
    report, K, (p, q) = new_report(), 5, _pair(0)
    F, G, points = np.cumsum(p), np.cumsum(q), np.arange(K)
    cost = np.abs(points[:, None] - points).ravel().astype(float)
    rows_and_columns = np.vstack([np.kron(np.eye(K), np.ones(K)), np.kron(np.ones(K), np.eye(K))])
    cheapest = linprog(cost, A_eq=rows_and_columns, b_eq=np.concatenate([p, q])).fun
    equal(report, "= the cheapest transport from p to q", formula(F, G), cheapest, 1e-8)
    critic = np.concatenate([[0.0], np.cumsum(np.sign(G - F)[:-1])])                # slopes ±1 where mass must move
    equal(report, "= the best critic", np.sum(critic * (p - q)), cheapest, 1e-8)
    return report
