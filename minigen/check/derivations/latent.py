"""Latent variables: the Gaussian divergences, the bound and its gap, its gradients, and tighter bounds."""
import itertools

import numpy as np

from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.divergences import divergence
from minigen.check.elbo import LinearGaussian, elbo
from minigen.distributions import Normal, Table

KINGMA = "D. Kingma, M. Welling 2013, arXiv:1312.6114"


@derivation("gaussian-kl-vae", source=KINGMA + ", appendix B")
def gaussian_kl_vae(mean, log_std):
    """KL(N(μ, σ²) ‖ N(0, I)) = −½ Σ (1 + log σ² − μ² − σ²).

    The rate of a VAE in nats, from mean and log σ, (D,) each.
    """
    return -0.5 * np.sum(1 + 2 * log_std - mean ** 2 - np.exp(2 * log_std))


@gaussian_kl_vae.checked_by
def _(formula):
    report = new_report()
    for mean, log_std in (([0.5, -1.0], [0.3, -0.7]), ([0.0, 2.0], [-2.0, 0.0]), ([1.0, 0.2, -0.4], [0.1, 0.2, 0.3])):
        mean, log_std, zero = np.array(mean), np.array(log_std), np.zeros(len(mean))
        report.include(divergence(Normal(mean, log_std), Normal(zero, zero), formula(mean, log_std), n=20_000))
    report.values.clear()
    return report


@derivation("gaussian-kl-cvae", source="standard; K. Sohn, H. Lee, X. Yan 2015 (conditional VAE)")
def gaussian_kl_cvae(m1, s1, m2, s2):
    """KL(N(μ₁, σ₁²) ‖ N(μ₂, σ₂²)) = Σ [log σ₂/σ₁ + (σ₁² + (μ₁ − μ₂)²)/2σ₂² − ½].

    The rate of a conditional VAE, between q(z | x, y) and p(z | y); m are means, s are log σ, (D,) each.
    """
    return np.sum(s2 - s1 + (np.exp(2 * s1) + (m1 - m2) ** 2) / (2 * np.exp(2 * s2)) - 0.5)


@gaussian_kl_cvae.checked_by
def _(formula):
    report, rng = new_report(), np.random.default_rng(0)
    for d in (1, 2, 4):
        m1, s1, m2, s2 = 0.7 * rng.standard_normal((4, d))
        report.include(divergence(Normal(m1, s1), Normal(m2, s2), formula(m1, s1, m2, s2), n=20_000))
    report.values.clear()
    return report


@derivation("elbo-identity", source="M. Jordan et al. 1999; " + KINGMA + ", eq. (1)–(3)")
def elbo_identity(p_xz, q):
    """log p(x) = E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)) + KL(q(z | x) ‖ p(z | x)).

    The ELBO, the first two terms, for each x (X,), from the joint p(x, z) and q(z | x), both with axes (x, z).
    """
    p_z = p_xz.sum(axis=0)
    return np.sum(q * (np.log(p_xz / p_z) - np.log(q / p_z)), axis=1)


@elbo_identity.checked_by
def _(formula):
    report = new_report()
    for seed in range(3):
        p, q = Table.random(seed, x=4, z=3), Table.random(seed + 10, z=3, x=4).given("x")
        report.include(elbo(p, q=q, claimed=formula(p.probabilities, q.probabilities.T)))
    report.values.clear()
    return report


@derivation("elbo-linear-gaussian", source="M. Tipping, C. Bishop 1999 (probabilistic PCA); the linear VAE")
def elbo_linear_gaussian(x, W, b, sigma, m, s):
    """E_q[log p(x | z)] = −½ D log 2πσ² − (|x − W m − b|² + Σ W_dk² s_k²)/2σ²
    for x | z ~ N(W z + b, σ² I) and q = N(m, diag s²).

    The reconstruction term for each example (N,); x (N, D), W (D, K), b (D,), m (N, K), s (K,).
    """
    squares = np.sum((x - m @ W.T - b) ** 2, axis=1) + np.sum(W ** 2 @ s ** 2)
    return -0.5 * x.shape[1] * np.log(2 * np.pi * sigma ** 2) - squares / (2 * sigma ** 2)


@elbo_linear_gaussian.checked_by
def _(formula):
    """Held against log p(x) − KL(q ‖ posterior) + KL(q ‖ prior), which does not know the reconstruction term."""
    rng = np.random.default_rng(0)
    W, b, A = rng.standard_normal((4, 2)), rng.standard_normal(4), 0.3 * rng.standard_normal((2, 4))
    sigma, s, x = 0.6, np.array([0.5, 0.8]), rng.standard_normal((6, 4))
    model = LinearGaussian(W, b, sigma, A, s)
    rate = model.terms(x)[1]
    spread = np.full(6, np.sum(W ** 2 @ s ** 2) / (2 * sigma ** 2))
    terms = {"the variance of q seen through W": -spread, "KL(q ‖ prior)": -rate}
    return elbo(model, x, claimed=formula(x, W, b, sigma, (x - b) @ A.T, s) - rate, terms=terms)


@derivation("cvae-bound", source="K. Sohn, H. Lee, X. Yan 2015")
def cvae_bound(px_zy, pz_y, q):
    """log p(x | y) ≥ E_q[log p(x | z, y)] − KL(q(z | x, y) ‖ p(z | y)), and the gap is KL(q ‖ p(z | x, y)).

    The bound with axes (x, y), from p(x | z, y) and q(z | x, y) with axes (x, z, y) and p(z | y) with axes (z, y).
    """
    return np.sum(q * (np.log(px_zy) - np.log(q / pz_y)), axis=1)


@cvae_bound.checked_by
def _(formula):
    report = new_report()
    p, q = Table.random(3, x=3, z=2, y=2), Table.random(4, z=2, x=3, y=2).given("x", "y")
    q, posterior = [np.swapaxes(t.probabilities, 0, 1) for t in (q, p.given("x", "y"))]              # (x, z, y)
    pz_y, px_zy = p.marginal("z", "y").given("y").probabilities, p.given("z", "y").probabilities
    log_p = np.log(p.marginal("x", "y").given("y").probabilities)
    bound, gap = formula(px_zy, pz_y, q), np.sum(q * np.log(q / posterior), axis=1)
    terms = {"KL(q ‖ p(z | y))": -np.sum(q * np.log(q / pz_y), axis=1), "KL(q ‖ p(z | x, y))": gap}
    equal(report, "bound + KL(q ‖ p(z | x, y)) = log p(x | y)", bound + gap, log_p, 1e-10, terms)
    report.add("", "bound ≤ log p(x | y)", max(np.max(bound - log_p), 0.0), 1e-12)
    return report


@derivation("reinforce-gradient", source="R. Williams 1992; " + KINGMA + ", section 2.4")
def reinforce_gradient(f, z, mean, sigma):
    """∇_μ E[f(z)] = E[f(z) (z − μ)/σ²] = E[f′(μ + σ ε)] for z ~ N(μ, σ²), z = μ + σ ε.

    The score-function integrand at points z, where f holds the values f(z).
    """
    return f * (z - mean) / sigma ** 2


@reinforce_gradient.checked_by
def _(formula):
    """Gauss–Hermite quadrature, against the reparameterised form."""
    report = new_report()
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    for mean, sigma in ((0.4, 0.7), (-1.2, 1.5)):
        z = mean + sigma * nodes
        estimate = np.sum(weights * formula(z ** 3 + np.sin(z), z, mean, sigma))
        equal(report, f"score function = reparameterised, σ = {sigma}", estimate,
              np.sum(weights * (3 * z ** 2 + np.cos(z))), factors={"σ": sigma, "σ²": sigma ** 2})
    return report


@derivation("iwae-bound", source="Y. Burda, R. Grosse, R. Salakhutdinov 2015, arXiv:1509.00519, theorem 1")
def iwae_bound(log_w):
    """log p(x) ≥ L_S = E log (1/S) Σ_s p(x, z_s)/q(z_s | x) ≥ L_{S−1}, and L_1 = ELBO.

    log of the average weight, from S log-weights (S,).
    """
    return np.log(np.mean(np.exp(log_w)))


@iwae_bound.checked_by
def _(formula):
    """Its expectation over all sets of S draws from a table; the gap falls like Var(w)/(2 S p(x)²)."""
    report, p, q = new_report(), Table.random(0, x=2, z=3), Table.random(7, z=3, x=2).given("x")
    for x in range(2):
        joint, weights = p.probabilities[x], q.probabilities[:, x]
        log_w, log_p, bounds = np.log(joint / weights), np.log(joint.sum()), {}
        for S in (1, 2, 4, 6):
            draws = [list(zs) for zs in itertools.product(range(3), repeat=S)]
            bounds[S] = sum(np.prod(weights[zs]) * formula(log_w[zs]) for zs in draws)
        equal(report, f"x = {x}: L_1 = ELBO", bounds[1], np.sum(weights * log_w), 1e-12)
        rising = np.diff([*bounds.values(), log_p])
        report.add("", f"x = {x}: L_1 ≤ L_2 ≤ L_4 ≤ L_6 ≤ log p(x)", max(0.0, -rising.min()), 1e-12)
        variance = np.sum(weights * np.exp(2 * (log_w - log_p))) - 1
        ratio = 6 * (log_p - bounds[6]) / (variance / 2)
        report.add("", f"x = {x}: S · gap → ½ Var(w)/p(x)²", abs(ratio - 1), 0.5, "S = 6", statistical=True)
    return report
