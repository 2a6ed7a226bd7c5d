"""Latent variables: the Gaussian divergences, the bound and its gap, its gradients, and tighter bounds."""
import itertools

import numpy as np

from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.divergences import divergence
from minigen.check.elbo import LinearGaussian, elbo
from minigen.distributions import Normal, Table


@derivation("gaussian-kl-vae", "KL(N(μ, σ²) ‖ N(0, I)) = −½ Σ (1 + log σ² − μ² − σ²)",
            "D. Kingma, M. Welling 2013, arXiv:1312.6114, appendix B",
            claim=lambda mean, log_std: -0.5 * np.sum(1 + 2 * log_std - mean ** 2 - np.exp(2 * log_std)))
def gaussian_kl_vae(claim):
    """The rate of a VAE, from mean and log σ (D,), against quadrature, Monte Carlo and the registry."""
    report = new_report()
    for mean, log_std in (([0.5, -1.0], [0.3, -0.7]), ([0.0, 2.0], [-2.0, 0.0]), ([1.0, 0.2, -0.4], [0.1, 0.2, 0.3])):
        mean, log_std = np.array(mean), np.array(log_std)
        zero = np.zeros_like(mean)
        report.include(divergence(Normal(mean, log_std), Normal(zero, zero), claim(mean, log_std), n=20_000))
    report.values.clear()
    return report


@derivation("gaussian-kl-cvae", "KL(N(μ₁, σ₁²) ‖ N(μ₂, σ₂²)) = Σ [log σ₂/σ₁ + (σ₁² + (μ₁ − μ₂)²)/2σ₂² − ½]",
            "K. Sohn et al. 2015 (conditional VAE); standard",
            claim=lambda m1, s1, m2, s2: np.sum(s2 - s1 + (np.exp(2 * s1) + (m1 - m2) ** 2) / (2 * np.exp(2 * s2))
                                                - 0.5))
def gaussian_kl_cvae(claim):
    """The rate of a conditional VAE, between q(z | x, y) and p(z | y); m are means, s are log σ, (D,)."""
    report, rng = new_report(), np.random.default_rng(0)
    for d in (1, 2, 4):
        m1, s1, m2, s2 = 0.7 * rng.standard_normal((4, d))
        report.include(divergence(Normal(m1, s1), Normal(m2, s2), claim(m1, s1, m2, s2), n=20_000))
    report.values.clear()
    return report


@derivation("elbo-identity", "log p(x) = E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)) + KL(q(z | x) ‖ p(z | x))",
            "M. Jordan et al. 1999; D. Kingma, M. Welling 2013, arXiv:1312.6114, eq. (1)–(3)",
            claim=lambda p_xz, q: np.sum(q * (np.log(p_xz / p_xz.sum(axis=0)) - np.log(q) + np.log(p_xz.sum(axis=0))),
                                         axis=1))
def elbo_identity(claim):
    """The ELBO for each x (X,), from the joint p(x, z) and q(z | x), both with axes (x, z); exact on a table."""
    report = new_report()
    for seed in range(3):
        p, q = Table.random(seed, x=4, z=3), Table.random(seed + 10, z=3, x=4).given("x")
        report.include(elbo(p, q=q, claimed=claim(p.probabilities, q.probabilities.T)))
    report.values.clear()
    return report


@derivation("elbo-linear-gaussian", "E_q[log p(x | z)] for x | z ~ N(Wz + b, σ²I), q = N(m, diag s²): −(D/2) log 2πσ² "
                                    "− (|x − Wm − b|² + Σ_dk W_dk² s_k²)/2σ²",
            "M. Tipping, C. Bishop 1999 (probabilistic PCA); the linear VAE", claim=lambda x, W, b, sigma, m,
            s: -0.5 * x.shape[1] * np.log(2 * np.pi * sigma ** 2)
            - (np.sum((x - m @ W.T - b) ** 2, axis=1) + np.sum(W ** 2 @ s ** 2)) / (2 * sigma ** 2))
def elbo_linear_gaussian(claim):
    """The distortion for each example (N,); m is (N, K), s (K,).

    Held against log p(x) − KL(q ‖ posterior) + KL(q ‖ prior), which uses neither.
    """
    rng = np.random.default_rng(0)
    W, b, A, s = rng.standard_normal((4,
                                      2)), rng.standard_normal(4), 0.3 * rng.standard_normal((2, 4)), np.array([0.5, 0.8])
    model, x = LinearGaussian(W, b, 0.6, A, s), rng.standard_normal((6, 4))
    m, rate = (x - b) @ A.T, model.terms(x)[1]
    spread = np.full(6, np.sum(W ** 2 @ s ** 2) / (2 * 0.36))
    return elbo(model, x, claimed=claim(x, W, b, 0.6, m, s) - rate,
                terms={"the variance of q seen through W": -spread, "KL(q ‖ prior)": -rate})


@derivation("cvae-bound", "log p(x | y) ≥ E_q[log p(x | z, y)] − KL(q(z | x, y) ‖ p(z | y))",
            "K. Sohn et al. 2015, eq. (4)",
            claim=lambda px_zy, pz_y, q: np.sum(q * (np.log(px_zy) - np.log(q) + np.log(pz_y[None])), axis=1))
def cvae_bound(claim):
    """The bound for every (x, y), from p(x | z, y) and q(z | x, y) with axes (x, z, y) and p(z | y) with axes (z, y).

    It equals log p(x | y) minus the gap.
    """
    report = new_report()
    p, q = Table.random(3, x=3, z=2, y=2), Table.random(4, z=2, x=3, y=2).given("x", "y")
    weights = np.transpose(q.probabilities, (1, 0, 2))                                       # (x, z, y)
    posterior = np.transpose(p.given("x", "y").probabilities, (1, 0, 2))
    bound = claim(p.given("z", "y").probabilities, p.marginal("z", "y").given("y").probabilities, weights)
    gap = np.sum(weights * np.log(weights / posterior), axis=1)
    log_p = np.log(p.marginal("x", "y").given("y").probabilities)
    prior = -np.sum(weights * np.log(weights / p.marginal("z", "y").given("y").probabilities[None]), axis=1)
    equal(report, "bound + KL(q ‖ p(z | x, y)) = log p(x | y)", bound + gap, log_p, 1e-10,
          terms={"KL(q ‖ p(z | y))": prior, "KL(q ‖ p(z | x, y))": gap})
    report.add("", "bound ≤ log p(x | y)", max(np.max(bound - log_p), 0.0), 1e-12)
    return report


@derivation("reinforce-gradient", "∇_μ E_{N(μ, σ²)}[f(z)] = E[f(z) (z − μ)/σ²] = E[f′(μ + σ ε)]",
            "R. Williams 1992; D. Kingma, M. Welling 2013, arXiv:1312.6114, section 2.4",
            claim=lambda f, z, mean, sigma: f * (z - mean) / sigma ** 2)
def reinforce_gradient(claim):
    """The integrand whose mean over z ~ N(μ, σ²) is the gradient; f holds the values f(z).

    Gauss–Hermite quadrature against the reparameterised form.
    """
    report = new_report()
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    for mean, sigma in ((0.4, 0.7), (-1.2, 1.5)):
        z = mean + sigma * nodes
        f, slope = z ** 3 + np.sin(z), 3 * z ** 2 + np.cos(z)
        equal(report, "score function = reparameterised", np.sum(weights * claim(f, z, mean, sigma)),
              np.sum(weights * slope), 1e-9, factors={"σ": np.array(sigma), "σ²": np.array(sigma ** 2)})
    return report


@derivation("iwae-bound", "log p(x) ≥ L_S = E log (1/S) Σ_s p(x, z_s)/q(z_s | x) ≥ L_{S−1}, with L_1 = ELBO",
            "Y. Burda, R. Grosse, R. Salakhutdinov 2015, arXiv:1509.00519, theorem 1",
            claim=lambda log_w: np.log(np.mean(np.exp(log_w))))
def iwae_bound(claim):
    """The bound for one set of S log-weights (S,).

    Its expectation, over all sets of draws on a table, must rise with S from the ELBO towards log p(x).
    """
    report, p, q = new_report(), Table.random(0, x=2, z=3), Table.random(7, z=3, x=2).given("x")
    joint, weights = p.probabilities, q.probabilities.T
    for x in range(2):
        log_w, log_p = np.log(joint[x] / weights[x]), np.log(joint[x].sum())
        bounds = [sum(np.prod(weights[x, list(zs)]) * claim(log_w[list(zs)])
                      for zs in itertools.product(range(3), repeat=S)) for S in (1, 2, 4, 6)]
        equal(report, f"x = {x}: L_1 = ELBO", bounds[0], np.sum(weights[x] * log_w), 1e-12)
        report.add("", f"x = {x}: L_1 ≤ L_2 ≤ L_4 ≤ L_6 ≤ log p(x)", max(0.0, -np.diff([*bounds, log_p]).min()), 1e-12)
        # the gap falls like Var(w) / 2 S p(x)²
        slope = [S * (log_p - bound) for S, bound in zip((4, 6), bounds[2:])]
        chi = np.sum(weights[x] * (np.exp(log_w) / np.exp(log_p)) ** 2) - 1
        report.add("", f"x = {x}: S · gap → ½ Var(w)/p(x)²", abs(slope[1] - chi / 2) / (chi / 2), 0.5, "S = 6",
                   statistical=True)
    return report
