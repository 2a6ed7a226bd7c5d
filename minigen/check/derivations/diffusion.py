"""Diffusion: the forward process composed, its posterior, and the three-part bound."""
import numpy as np

from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.quadrature import integrate
from minigen.distributions.table import Table

SOURCE = "J. Ho, A. Jain, P. Abbeel 2020, arXiv:2006.11239"
BETA = np.linspace(0.02, 0.3, 8)


def _normal(x, mean, variance):
    return np.exp(-0.5 * (x - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)


@derivation("diffusion-marginal", "q(z_t | z_0) = N(√ᾱ_t z_0, (1 − ᾱ_t) I), ᾱ_t = Π_{s≤t} (1 − β_s)",
            SOURCE + ", eq. (4)", claim=lambda z0, alpha_bar: (np.sqrt(alpha_bar) * z0, 1 - alpha_bar))
def diffusion_marginal(claim):
    """(mean, variance) of z_t given z_0; against composing q(z_t | z_{t−1}) = N(√(1 − β_t) z_{t−1}, β_t) step by step.

    """
    report, z0, mean, variance, alpha_bar = new_report(), 1.7, 1.7, 0.0, 1.0
    composed, claims = [], []
    for beta in BETA:
        mean, variance, alpha_bar = np.sqrt(1 - beta) * mean, (1 - beta) * variance + beta, alpha_bar * (1 - beta)
        composed.append((mean, variance))
        claims.append(claim(z0, alpha_bar))
    claims, composed, bars = np.array(claims), np.array(composed), np.cumprod(1 - BETA)
    equal(report, "mean", claims[:, 0], composed[:, 0], 1e-12, factors={"ᾱ": bars, "√ᾱ": np.sqrt(bars)})
    equal(report, "variance", claims[:, 1], composed[:, 1], 1e-12,
          factors={"ᾱ": bars, "1 − ᾱ": 1 - bars, "√(1 − ᾱ)": np.sqrt(1 - bars)})
    return report


@derivation("diffusion-posterior", "q(z_{t−1} | z_t, z_0) = N(√ᾱ_{t−1} β_t/(1 − ᾱ_t) z_0 + √α_t (1 − ᾱ_{t−1})/(1 − "
                                   "ᾱ_t) z_t,  β_t (1 − ᾱ_{t−1})/(1 − ᾱ_t))", SOURCE + ", eq. (6)–(7)",
            claim=lambda zt, z0, beta, bar_before,
            bar: (np.sqrt(bar_before) * beta / (1 - bar) * z0 + np.sqrt(1 - beta) * (1 - bar_before) / (1 - bar) * zt,
                  beta * (1 - bar_before) / (1 - bar)))
def diffusion_posterior(claim):
    """(mean, variance) from z_t, z_0, β_t, ᾱ_{t−1} and ᾱ_t; against Bayes' rule by quadrature over z_{t−1}."""
    report, bars = new_report(), np.cumprod(1 - BETA)
    ours, yours, parts = [], [], []
    for t in range(1, len(BETA)):
        z0, zt = 0.8 - 0.3 * t, 0.1 * t - 0.5
        weight = lambda z: _normal(zt, np.sqrt(1 - BETA[t]) * z,
                                   BETA[t]) * _normal(z, np.sqrt(bars[t - 1]) * z0, 1 - bars[t - 1])  # noqa: E731
        total = integrate(lambda x: weight(x[:, 0]), [(-9, 9)])
        mean = integrate(lambda x: x[:, 0] * weight(x[:, 0]), [(-9, 9)]) / total
        variance = integrate(lambda x: (x[:, 0] - mean) ** 2 * weight(x[:, 0]), [(-9, 9)]) / total
        ours.append((mean, variance))
        yours.append(claim(zt, z0, BETA[t], bars[t - 1], bars[t]))
        parts.append((np.sqrt(bars[t - 1]) * BETA[t] / (1 - bars[t]) * z0, np.sqrt(1 - BETA[t]) * (1 - bars[t - 1])
                      / (1 - bars[t]) * zt))
    ours, yours, parts = np.array(ours), np.array(yours), np.array(parts)
    equal(report, "mean", yours[:, 0], ours[:, 0], 1e-7,
          terms={"the part of z_0": parts[:, 0], "the part of z_t": parts[:, 1]})
    equal(report, "variance", yours[:, 1], ours[:, 1], 1e-7,
          factors={"1 − ᾱ_t": 1 - bars[1:], "1 − ᾱ_{t−1}": 1 - bars[:-1], "β_t": BETA[1:]})
    return report


@derivation("diffusion-bound", "E_q[log q(z_{1:T} | z_0)/p(z_{0:T})] = KL(q(z_T | z_0) ‖ p(z_T)) + Σ_{t≥2} E_q "
                               "KL(q(z_{t−1} | z_t, z_0) ‖ p(z_{t−1} | z_t)) − E_q log p(z_0 | z_1) ≥ −log p(z_0)",
            "J. Sohl-Dickstein et al. 2015, arXiv:1503.03585; " + SOURCE + ", eq. (5)", claim=lambda L_T, L_between,
            L_0: L_T + sum(L_between) + L_0)
def diffusion_bound(claim):
    """The bound from L_T, the list of L_{t−1}, and L_0 = −E log p(z_0 | z_1). Any Markov chains do:

    here all states of a chain with T = 3 are summed.
    """
    report, K = new_report(), 3
    # q(z_t | z_{t−1}): [old, new]
    forth = [Table.random(seed, new=K, old=K).given("old").probabilities.T for seed in range(3)]
    # p(z_{t−1} | z_t): [z_t, z_{t−1}]
    back = [Table.random(seed + 10, new=K, old=K).given("old").probabilities.T for seed in range(3)]
    prior = Table.random(20, z=K).probabilities
    # p(z0, z1, z2, z3)
    p = np.einsum("d,dc,cb,ba->abcd", prior, back[2], back[1], back[0])
    for z0 in range(K):
        # q(z1, z2, z3 | z0)
        q = np.einsum("b,bc,cd->bcd", forth[0][z0], forth[1], forth[2])
        whole = np.sum(q * (np.log(q) - np.log(p[z0])))
        q3 = q.sum(axis=(0, 1))
        L_T = np.sum(q3 * np.log(q3 / prior))
        L_0 = -np.sum(q.sum(axis=(1, 2)) * np.log(back[0][:, z0]))
        between = []
        # q(z_{t−1}, z_t | z0)
        for t, pair in ((2, q.sum(axis=2)), (3, q.sum(axis=0))):
            # q(z_{t−1} | z_t, z0)
            posterior = pair / pair.sum(axis=0)
            between.append(np.sum(pair * (np.log(posterior) - np.log(back[t - 1].T))))
        terms = {"L_T": L_T, "L_1": between[0], "L_2": between[1], "L_0": L_0}
        bound = claim(L_T, between, L_0)
        equal(report, f"three parts = the whole, z_0 = {z0}", bound, whole, 1e-10, terms=terms)
        report.add("", f"bound ≥ −log p(z_0 = {z0})", max(-np.log(p[z0].sum()) - bound, 0.0), 1e-12)
    return report


@derivation("diffusion-epsilon-loss", "KL(q(z_{t−1} | z_t, z_0) ‖ N(μ_θ, σ²)) = β_t²/(2σ² α_t (1 − ᾱ_t)) |ε − ε_θ|² + "
                                      "constant, μ_θ = (z_t − β_t/√(1 − ᾱ_t) ε_θ)/√α_t", SOURCE + ", eq. (11)–(12)",
            claim=lambda beta, bar, sigma2: beta ** 2 / (2 * sigma2 * (1 - beta) * (1 - bar)))
def diffusion_epsilon_loss(claim):
    """The weight of |ε − ε_θ|²; against the KL between the two Gaussians, (μ̃ − μ_θ)²/2σ² up to terms without θ."""
    report, bars, rng = new_report(), np.cumprod(1 - BETA), np.random.default_rng(0)
    t = np.arange(1, len(BETA))
    z0, eps, eps_theta = rng.standard_normal((3, len(t)))
    zt = np.sqrt(bars[t]) * z0 + np.sqrt(1 - bars[t]) * eps
    tilde = np.sqrt(bars[t - 1]) * BETA[t] / (1
                                              - bars[t]) * z0 + np.sqrt(1 - BETA[t]) * (1 - bars[t - 1]) / (1 - bars[t]) * zt
    mu = (zt - BETA[t] / np.sqrt(1 - bars[t]) * eps_theta) / np.sqrt(1 - BETA[t])
    for name, sigma2 in (("σ² = β", BETA[t]), ("σ² = β̃", BETA[t] * (1 - bars[t - 1]) / (1 - bars[t]))):
        equal(report, name, claim(BETA[t], bars[t], sigma2) * (eps - eps_theta) ** 2, (tilde - mu) ** 2 / (2 * sigma2),
              1e-9,
              factors={"α_t": 1 - BETA[t], "1 − ᾱ_t": 1 - bars[t], "σ²": sigma2, "β_t": BETA[t]})
    return report


@derivation("diffusion-score", "∇_{z_t} log q(z_t) = −E[ε | z_t]/√(1 − ᾱ_t)",
            "P. Vincent 2011; Y. Song et al. 2021, arXiv:2011.13456; H. Robbins 1956 (Tweedie's formula)",
            claim=lambda mean_eps, bar: -mean_eps / np.sqrt(1 - bar))
def diffusion_score(claim):
    """The score of the noised data, from the best prediction E[ε | z_t] of the noise;

    data are a mixture of three points.
    """
    report, bar, points, weights = new_report(), 0.6, np.array([-1.0, 0.3, 2.0]), np.array([0.2, 0.5, 0.3])
    z = np.linspace(-2.5, 2.5, 11)
    # q(z_t, z_0), (11, 3)
    joint = weights * _normal(z[:, None], np.sqrt(bar) * points, 1 - bar)
    eps = (z[:, None] - np.sqrt(bar) * points) / np.sqrt(1 - bar)
    score = np.sum(joint * -(z[:, None] - np.sqrt(bar) * points) / (1 - bar), axis=1) / joint.sum(axis=1)
    equal(report, "score", claim(np.sum(joint * eps, axis=1) / joint.sum(axis=1), bar), score, 1e-10,
          factors={"1 − ᾱ": np.array(1 - bar)})
    h = 1e-4
    log_q = lambda z: np.log(np.sum(weights * _normal(z[:, None], np.sqrt(bar) * points, 1 - bar),
                                    axis=1))  # noqa: E731
    equal(report, "score = difference of log q", score, (log_q(z + h) - log_q(z - h)) / (2 * h), 1e-6)
    return report
