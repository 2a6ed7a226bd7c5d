"""Diffusion: the forward process composed, its posterior, the three-part bound, and what predicting the noise means."""
import numpy as np

from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.quadrature import integrate
from minigen.distributions.table import Table

HO = "J. Ho, A. Jain, P. Abbeel 2020, arXiv:2006.11239"
BETA = np.linspace(0.02, 0.3, 8)
ALPHA_BAR = np.cumprod(1 - BETA)


def _normal(x, mean, variance):
    return np.exp(-0.5 * (x - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)


@derivation("diffusion-marginal", source=HO + ", eq. (4)")
def diffusion_marginal(z0, alpha_bar):
    """q(z_t | z_0) = N(√ᾱ_t z_0, (1 − ᾱ_t) I) with ᾱ_t = Π_{s≤t} (1 − β_s).

    (mean, variance) of z_t given z_0.
    """
    return np.sqrt(alpha_bar) * z0, 1 - alpha_bar


@diffusion_marginal.checked_by
def _(formula):
    """Against composing q(z_t | z_{t−1}) = N(√(1 − β_t) z_{t−1}, β_t) step by step."""
    report, z0 = new_report(), 1.7
    mean, variance, composed = z0, 0.0, []
    for beta in BETA:
        mean, variance = np.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        composed.append((mean, variance))
    means, variances = np.array(composed).T
    yours = np.array([formula(z0, bar) for bar in ALPHA_BAR])
    factors = {"ᾱ": ALPHA_BAR, "1 − ᾱ": 1 - ALPHA_BAR}
    equal(report, "mean", yours[:, 0], means, 1e-12, factors=factors)
    equal(report, "variance", yours[:, 1], variances, 1e-12, factors=factors)
    return report


@derivation("diffusion-posterior", source=HO + ", eq. (6)–(7)")
def diffusion_posterior(zt, z0, beta, bar_before, bar):
    """q(z_{t−1} | z_t, z_0) is normal with mean (√ᾱ_{t−1} β_t z_0 + √α_t (1 − ᾱ_{t−1}) z_t)/(1 − ᾱ_t)
    and variance β_t (1 − ᾱ_{t−1})/(1 − ᾱ_t).

    (mean, variance) from z_t, z_0, β_t, ᾱ_{t−1} and ᾱ_t.
    """
    mean = (np.sqrt(bar_before) * beta * z0 + np.sqrt(1 - beta) * (1 - bar_before) * zt) / (1 - bar)
    return mean, beta * (1 - bar_before) / (1 - bar)


@diffusion_posterior.checked_by
def _(formula):
    """Against Bayes' rule, by quadrature over z_{t−1}."""
    report, ours, yours, parts = new_report(), [], [], []
    for t in range(1, len(BETA)):
        z0, zt, before, bar = 0.8 - 0.3 * t, 0.1 * t - 0.5, ALPHA_BAR[t - 1], ALPHA_BAR[t]

        def weight(z, t=t, z0=z0, zt=zt, before=before):
            return _normal(zt, np.sqrt(1 - BETA[t]) * z, BETA[t]) * _normal(z, np.sqrt(before) * z0, 1 - before)

        total, mean, square = [integrate(lambda z, k=k: z[:, 0] ** k * weight(z[:, 0]), [(-9, 9)]) for k in (0, 1, 2)]
        ours.append((mean / total, square / total - (mean / total) ** 2))
        yours.append(formula(zt, z0, BETA[t], before, bar))
        parts.append((np.sqrt(before) * BETA[t] * z0 / (1 - bar), np.sqrt(1 - BETA[t]) * (1 - before) * zt / (1 - bar)))
    ours, yours, parts = np.array(ours), np.array(yours), np.array(parts)
    factors = {"1 − ᾱ_t": 1 - ALPHA_BAR[1:], "1 − ᾱ_{t−1}": 1 - ALPHA_BAR[:-1], "β_t": BETA[1:]}
    terms = {"the part of z_0": parts[:, 0], "the part of z_t": parts[:, 1]}
    equal(report, "mean", yours[:, 0], ours[:, 0], 1e-7, terms)
    equal(report, "variance", yours[:, 1], ours[:, 1], 1e-7, factors=factors)
    return report


@derivation("diffusion-bound", source="J. Sohl-Dickstein et al. 2015, arXiv:1503.03585; " + HO + ", eq. (5)")
def diffusion_bound(L_T, L_between, L_0):
    """−log p(z_0) ≤ KL(q(z_T | z_0) ‖ p(z_T)) + Σ_{t≥2} E_q KL(q(z_{t−1} | z_t, z_0) ‖ p(z_{t−1} | z_t))
    − E_q log p(z_0 | z_1).

    The bound from L_T, the list of the L_{t−1}, and L_0 = −E log p(z_0 | z_1).
    """
    return L_T + sum(L_between) + L_0


@diffusion_bound.checked_by
def _(formula):
    """Against E_q[log q(z_{1:T} | z_0)/p(z_{0:T})], summed over all paths of a chain of K states with T = 3."""
    report, K = new_report(), 3
    steps = [Table.random(seed, new=K, old=K).given("old").probabilities.T for seed in range(6)]      # [old, new]
    (q1, q2, q3), (p1, p2, p3) = steps[:3], steps[3:]                                       # p_t[z_t, z_{t−1}]
    prior = Table.random(20, z=K).probabilities
    p = np.einsum("d,dc,cb,ba->abcd", prior, p3, p2, p1)                                    # p(z_0, z_1, z_2, z_3)
    for z0 in range(K):
        q = np.einsum("b,bc,cd->bcd", q1[z0], q2, q3)                                       # q(z_1, z_2, z_3 | z_0)
        last = q.sum(axis=(0, 1))
        L_T, L_0 = np.sum(last * np.log(last / prior)), -np.sum(q.sum(axis=(1, 2)) * np.log(p1[:, z0]))
        between = []
        for pair, back in ((q.sum(axis=2), p2), (q.sum(axis=0), p3)):                       # q(z_{t−1}, z_t | z_0)
            posterior = pair / pair.sum(axis=0)                                             # q(z_{t−1} | z_t, z_0)
            between.append(np.sum(pair * np.log(posterior / back.T)))
        bound, whole = formula(L_T, between, L_0), np.sum(q * np.log(q / p[z0]))
        terms = {"L_T": L_T, "L_1": between[0], "L_2": between[1], "L_0": L_0}
        equal(report, f"three parts = the whole, z_0 = {z0}", bound, whole, 1e-10, terms)
        report.add("", f"bound ≥ −log p(z_0 = {z0})", max(-np.log(p[z0].sum()) - bound, 0.0), 1e-12)
    return report


@derivation("diffusion-epsilon-loss", source=HO + ", eq. (11)–(12)")
def diffusion_epsilon_loss(beta, bar, sigma2):
    """(μ̃ − μ_θ)²/2σ² = β_t²/(2σ² α_t (1 − ᾱ_t)) (ε − ε_θ)² if μ_θ = (z_t − β_t/√(1 − ᾱ_t) ε_θ)/√α_t.

    The weight of (ε − ε_θ)² in the KL of one step, from β_t, ᾱ_t and σ².
    """
    return beta ** 2 / (2 * sigma2 * (1 - beta) * (1 - bar))


@diffusion_epsilon_loss.checked_by
def _(formula):
    report, rng = new_report(), np.random.default_rng(0)
    beta, before, bar = BETA[1:], ALPHA_BAR[:-1], ALPHA_BAR[1:]
    z0, eps, eps_theta = rng.standard_normal((3, len(beta)))
    zt = np.sqrt(bar) * z0 + np.sqrt(1 - bar) * eps
    mu_tilde = (np.sqrt(before) * beta * z0 + np.sqrt(1 - beta) * (1 - before) * zt) / (1 - bar)
    mu_theta = (zt - beta / np.sqrt(1 - bar) * eps_theta) / np.sqrt(1 - beta)
    for name, sigma2 in (("σ² = β", beta), ("σ² = β̃", beta * (1 - before) / (1 - bar))):
        factors = {"α_t": 1 - beta, "1 − ᾱ_t": 1 - bar, "σ²": sigma2, "β_t": beta}
        loss, kl = formula(beta, bar, sigma2) * (eps - eps_theta) ** 2, (mu_tilde - mu_theta) ** 2 / (2 * sigma2)
        equal(report, name, loss, kl, factors=factors)
    return report


@derivation("diffusion-score", source="H. Robbins 1956; P. Vincent 2011; Y. Song et al. 2021, arXiv:2011.13456")
def diffusion_score(mean_eps, bar):
    """∇_{z_t} log q(z_t) = −E[ε | z_t]/√(1 − ᾱ_t): the best prediction of the noise is the score (Tweedie's formula).

    The score at z_t, from E[ε | z_t] and ᾱ_t.
    """
    return -mean_eps / np.sqrt(1 - bar)


@diffusion_score.checked_by
def _(formula):
    """Data are a mixture of three points, so everything can be summed."""
    report, bar, points, weights = new_report(), 0.6, np.array([-1.0, 0.3, 2.0]), np.array([0.2, 0.5, 0.3])

    def joint(z):
        """q(z_t, z_0), (n, 3)."""
        return weights * _normal(z[:, None], np.sqrt(bar) * points, 1 - bar)

    z, h = np.linspace(-2.5, 2.5, 11), 1e-4
    posterior = joint(z) / joint(z).sum(axis=1, keepdims=True)
    eps = (z[:, None] - np.sqrt(bar) * points) / np.sqrt(1 - bar)
    score = (np.log(joint(z + h).sum(axis=1)) - np.log(joint(z - h).sum(axis=1))) / (2 * h)
    equal(report, "= the slope of log q(z_t)", formula(np.sum(posterior * eps, axis=1), bar), score, 1e-6,
          factors={"1 − ᾱ": np.full(11, 1 - bar)})
    return report
