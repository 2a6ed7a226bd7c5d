"""The rules of probability, on tables where every number can be summed."""
import numpy as np

from minigen.check.derivations.base import derivation, equal, new_report
from minigen.distributions.table import Table, product


@derivation("chain-rule", source="definition of conditional probability")
def chain_rule(px, py_x, pz_xy):
    """p(x, y, z) = p(x) p(y | x) p(z | x, y).

    The joint with axes (x, y, z), from factors with axes (x,), (x, y) and (x, y, z).
    """
    return px[:, None, None] * py_x[:, :, None] * pz_xy


@chain_rule.checked_by
def _(formula):
    report, p = new_report(), Table.random(0, x=2, y=3, z=4)
    a, b, c = [factor.probabilities for factor in p.chain("x", "y", "z")]
    equal(report, "product of the factors = joint", formula(a, b.T, np.moveaxis(c, 0, -1)), p.probabilities, 1e-12)
    return report


@derivation("bayes-rule", source="T. Bayes 1763")
def bayes_rule(likelihood, prior):
    """p(z | x) = p(x | z) p(z) / Σ_z p(x | z) p(z).

    The posterior with axes (x, z), from the likelihood with axes (x, z) and the prior (z,).
    """
    joint = likelihood * prior
    return joint / joint.sum(axis=1, keepdims=True)


@bayes_rule.checked_by
def _(formula):
    report, p = new_report(), Table.random(0, x=4, z=3)
    likelihood, prior = p.given("z").probabilities, p.marginal("z").probabilities
    factors = {"p(x)": p.marginal("x").probabilities[:, None], "p(z)": prior[None]}
    equal(report, "posterior = p(x, z)/p(x)", formula(likelihood, prior), p.given("x").probabilities.T, 1e-12,
          factors=factors)
    return report


@derivation("markov-parameters", source="counting")
def markov_parameters(n):
    """n binary variables have 2ⁿ − 1 free numbers in a joint, n if independent, 2n − 1 as a first-order Markov chain.

    The three counts (joint, independent, Markov).
    """
    return 2 ** n - 1, n, 2 * n - 1


@markov_parameters.checked_by
def _(formula):
    """The dimension of a family is the rank of the map from its parameters to the 2ⁿ probabilities."""
    report, rng = new_report(), np.random.default_rng(0)
    for n in range(1, 6):
        ranks = []
        for family, size in ((_any_joint, 2 ** n - 1), (_independent, n), (_markov, 2 * n - 1)):
            theta, h = rng.uniform(0.1, 0.9, size) / (size if family is _any_joint else 1), 1e-6
            columns = [(family(theta + h * unit) - family(theta - h * unit)) / (2 * h) for unit in np.eye(size)]
            ranks.append(np.linalg.matrix_rank(np.stack(columns, axis=1), tol=1e-6))
        equal(report, f"dimensions of the families, n = {n}", formula(n), ranks)
    return report


def _any_joint(theta):
    return np.append(theta, 1 - theta.sum())


def _independent(theta):
    return product([Table([1 - t, t], f"x{i}") for i, t in enumerate(theta)]).probabilities.ravel()


def _markov(theta):
    factors = [Table([1 - theta[0], theta[0]], "x0")]
    for i in range(1, (len(theta) + 1) // 2):
        t = theta[2 * i - 1:2 * i + 1]                                   # p(x_i = 1 | x_{i−1} = 0 and 1)
        factors.append(Table([1 - t, t], f"x{i}", f"x{i - 1}", conditions=1))
    return product(factors).probabilities.ravel()


@derivation("kl-chain-rule", source="T. Cover, J. Thomas 2006, theorem 2.5.3")
def kl_chain_rule(px, kl_x, kl_z_given_x):
    """KL(p(x, z) ‖ q(x, z)) = KL(p(x) ‖ q(x)) + E_p(x) KL(p(z | x) ‖ q(z | x)); dropping z never raises a KL.

    The KL of the joints, from p(x) (X,), the KL of the marginals, and the KLs of the conditionals, one per x (X,).
    """
    return kl_x + np.sum(px * kl_z_given_x)


@kl_chain_rule.checked_by
def _(formula):
    report, p, q = new_report(), Table.random(0, x=3, z=4), Table.random(1, x=3, z=4)
    px, kl_x = p.marginal("x").probabilities, p.marginal("x").kl(q.marginal("x"))
    conditional = np.array([p.given(x=x).kl(q.given(x=x)) for x in range(3)])
    terms = {"KL(p(x) ‖ q(x))": kl_x, "E_p(x) KL(p(z | x) ‖ q(z | x))": np.sum(px * conditional)}
    equal(report, "KL of the joints", formula(px, kl_x, conditional), p.kl(q), 1e-12, terms)
    return report


@derivation("jsd-entropy", source="J. Lin 1991")
def jsd_entropy(h_m, h_p, h_q):
    """JSD(p, q) = H(½ (p + q)) − ½ H(p) − ½ H(q).

    The Jensen–Shannon divergence from three entropies.
    """
    return h_m - 0.5 * h_p - 0.5 * h_q


@jsd_entropy.checked_by
def _(formula):
    report, p, q = new_report(), Table.random(0, x=5), Table.random(1, x=5)
    m = Table(0.5 * (p.probabilities + q.probabilities), "x")
    terms = {"H(m)": m.entropy(), "−½ H(p)": -0.5 * p.entropy(), "−½ H(q)": -0.5 * q.entropy()}
    equal(report, "entropies = KLs", formula(m.entropy(), p.entropy(), q.entropy()), p.jsd(q), 1e-12, terms)
    return report
