"""The rules of probability, on tables where every number can be summed."""
import numpy as np

from minigen.check.derivations.base import derivation, equal, new_report
from minigen.distributions.table import Table, product


@derivation("chain-rule", "p(x, y, z) = p(x) p(y | x) p(z | x, y)", "definition of conditional probability",
            claim=lambda px, py_x, pz_xy: px[:, None, None] * py_x[:, :, None] * pz_xy)
def chain_rule(claim):
    """The joint (x, y, z) from its factors; py_x has the axes (x, y), pz_xy the axes (x, y, z)."""
    report, p = new_report(), Table.random(0, x=2, y=3, z=4)
    a, b, c = p.chain("x", "y", "z")
    joint = claim(a.probabilities, b.probabilities.T, np.transpose(c.probabilities, (1, 2, 0)))
    equal(report, "product of the factors = joint", joint, p.probabilities, 1e-12)
    return report


@derivation("bayes-rule", "p(z | x) = p(x | z) p(z) / Σ_z p(x | z) p(z)", "T. Bayes 1763", claim=lambda likelihood,
            prior: likelihood * prior / (likelihood * prior).sum(axis=1, keepdims=True))
def bayes_rule(claim):
    """The posterior (x, z) from the likelihood p(x | z), axes (x, z), and the prior (z,)."""
    report, p = new_report(), Table.random(0, x=4, z=3)
    likelihood, prior = p.given("z").probabilities, p.marginal("z").probabilities
    equal(report, "posterior = p(x, z) / p(x)", claim(likelihood, prior), p.given("x").probabilities.T, 1e-12,
          factors={"p(x)": p.marginal("x").probabilities[:, None], "p(z)": prior[None]})
    return report


@derivation("markov-parameters", "n binary variables: 2ⁿ − 1 free numbers in a joint, n if independent, 2n − 1 in a "
                                 "first-order Markov chain", "counting; first-order Markov",
            claim=lambda n: (2 ** n - 1, n, 2 * n - 1))
def markov_parameters(claim):
    """(joint, independent, Markov):

    against the rank of the map from free parameters to the 2ⁿ probabilities, found numerically.
    """
    report, rng = new_report(), np.random.default_rng(0)
    for n in range(1, 6):
        names = [f"x{i}" for i in range(n)]

        def joint(theta):
            return np.append(theta, 1 - theta.sum())

        def independent(theta):
            return product([Table([1 - t, t], name) for name, t in zip(names, theta)]).probabilities.ravel()

        def markov(theta):
            factors = [Table([1 - theta[0], theta[0]], names[0])]
            for i in range(1, n):
                t = theta[2 * i - 1:2 * i + 1]
                factors.append(Table([1 - t, t], names[i], names[i - 1], conditions=1))
            return product(factors).probabilities.ravel()

        ranks = []
        for family, size in ((joint, 2 ** n - 1), (independent, n), (markov, 2 * n - 1)):
            theta, h = rng.uniform(0.1, 0.9, size) / (size if family is joint else 1), 1e-6
            columns = [(family(theta + h * e) - family(theta - h * e)) / (2 * h) for e in np.eye(size)]
            ranks.append(np.linalg.matrix_rank(np.stack(columns, axis=1), tol=1e-6))
        equal(report, f"dimension of the families, n = {n}", np.array(claim(n), dtype=float),
              np.array(ranks, dtype=float))
    return report


@derivation("kl-chain-rule", "KL(p(x, z) ‖ q(x, z)) = KL(p(x) ‖ q(x)) + E_p(x) KL(p(z | x) ‖ q(z | x))",
            "T. Cover, J. Thomas 2006, theorem 2.5.3",
            claim=lambda px, kl_x, kl_z_given_x: kl_x + np.sum(px * kl_z_given_x))
def kl_chain_rule(claim):
    """KL of a joint from KL(p(x) ‖ q(x)), a number, and KL(p(z | x) ‖ q(z | x)), one number per x.

    So dropping a variable never raises a divergence.
    """
    report, p, q = new_report(), Table.random(0, x=3, z=4), Table.random(1, x=3, z=4)
    px = p.marginal("x").probabilities
    conditional = np.array([p.given(x=x).kl(q.given(x=x)) for x in range(3)])
    kl_x = p.marginal("x").kl(q.marginal("x"))
    equal(report, "KL of the joint", claim(px, kl_x, conditional), p.kl(q), 1e-12,
          terms={"KL(p(x) ‖ q(x))": kl_x, "E_p(x) KL(p(z | x) ‖ q(z | x))": np.sum(px * conditional)})
    return report


@derivation("jsd-entropy", "JSD(p, q) = H(½ (p + q)) − ½ H(p) − ½ H(q)", "J. Lin 1991", claim=lambda h_m, h_p,
            h_q: h_m - 0.5 * h_p - 0.5 * h_q)
def jsd_entropy(claim):
    """The Jensen–Shannon divergence from three entropies."""
    report, p, q = new_report(), Table.random(0, x=5), Table.random(1, x=5)
    m = Table(0.5 * (p.probabilities + q.probabilities), "x")
    equal(report, "from entropies = from the KLs", claim(m.entropy(), p.entropy(), q.entropy()), p.jsd(q), 1e-12,
          terms={"H(m)": m.entropy(), "−½ H(p)": -0.5 * p.entropy(), "−½ H(q)": -0.5 * q.entropy()})
    return report
