"""Every classical identity holds, and a wrong formula in its place fails with the right diagnosis."""
import inspect
import re

import numpy as np
import pytest

from minigen.check import derivations

NAMES = derivations.names()
WRONG = {                                                    # name -> (a wrong formula, words of the diagnosis)
    "trace-trick": (lambda A, m, C: np.trace(A @ C), "the term 'μᵀ A μ' is missing"),
    "quadratic-gradient": (lambda A, x: 2 * A @ x, "'A x' once too often, and the term 'Aᵀ x' is missing"),
    "log-det-gradient": (lambda A: np.linalg.inv(A), "transposed"),
    "softmax-cross-entropy-gradient": (lambda p, y: p, "the term 'onehot' is missing"),
    "softmax-jacobian": (lambda p: np.diag(p * (1 - p)), "the diagonal of ours"),
    "logsumexp-hessian": (lambda p: np.outer(p, p) - np.diag(p), "opposite sign"),
    "bernoulli-logit-gradient": (lambda x, s: (s - x) * s * (1 - s), "a factor σ′(logits)"),
    "gaussian-score": (lambda x, m, P: P @ (x - m), "opposite sign"),
    "chain-rule": (lambda a, b, c: a[:, None, None] * c, ""),
    "bayes-rule": (lambda lik, prior: lik * prior, "a factor p(x) too many, or 1/(p(x)) is missing"),
    "markov-parameters": (lambda n: (2 ** n, n, 2 * n - 1), ""),
    "kl-chain-rule": (lambda px, a, b: a + b.sum(), ""),
    "jsd-entropy": (lambda m, p, q: m - p - q, "once too often"),
    "gaussian-kl-vae": (lambda m, s: -0.5 * np.sum(1 + s - m ** 2 - np.exp(s)), "log σ is taken for log σ²"),
    "gaussian-kl-cvae": (lambda m1, s1, m2,
                         s2: np.sum(s2 - s1 + (np.exp(2 * s1) + (m1 - m2) ** 2) / (2 * np.exp(2 * s2))),
                         "'−½' is missing"),
    "elbo-identity": (lambda p, q: np.sum(q * np.log(p), axis=1), "the entropy of q' is missing"),
    "elbo-linear-gaussian": (lambda x, W, b, sigma, m, s: -0.5 * x.shape[1] * np.log(2 * np.pi * sigma ** 2)
                             - np.sum((x - m @ W.T - b) ** 2, axis=1) / (2 * sigma ** 2),
                             "the variance of q seen through W' is missing"),
    "cvae-bound": (lambda p, pz, q: np.sum(q * np.log(p), axis=1), "'KL(q ‖ p(z | y))' is missing"),
    "reinforce-gradient": (lambda f, z, m, s: f * (z - m) / s, "σ"),
    "iwae-bound": (lambda w: np.mean(w), ""),
    "optimal-discriminator": (lambda p, q: q / (p + q), ""),
    "gan-value": (lambda jsd: jsd - np.log(4), "enters ½ times"),
    "gan-classification-error": (lambda tv: 0.5 - tv, ""),
    "gan-saturation": (lambda s: (-(1 - s), -s), ""),
    "wgan-duality": (lambda F, G: np.sum(F - G), ""),
    "change-of-variables": (lambda p, d: p / np.abs(d), ""),
    "planar-flow": (lambda z, u, w, b: -np.log(np.abs(1 + ((1 - np.tanh(z @ w + b) ** 2)[:, None] * w) @ u)),
                    "that of the inverse map"),
    "radial-flow": (lambda r, h, beta, D: D * np.log(1 + beta * h), ""),
    "nice-coupling": (lambda x, s: np.zeros(len(x)), "zero"),
    "realnvp-coupling": (lambda s: s, "the sum over the event is missing"),
    "glow-actnorm": (lambda H, W, s: np.sum(np.log(np.abs(s))), "1/6"),
    "glow-1x1-convolution": (lambda H, W, s: H * W * np.sum(np.abs(s)), ""),
    "logit-preprocessing": (lambda x,
                            lam: np.sum(-np.log(lam + (1 - 2 * lam) * x) - np.log(1 - lam - (1 - 2 * lam) * x),
                                        axis=1), "a constant"),
    "maf": (lambda a: np.sum(a, axis=1), "that of the inverse map"),
    "iaf": (lambda a: -np.sum(a, axis=1), "that of the inverse map"),
    "rational-quadratic-spline": (lambda xi, s, d0, d1: s + 0 * xi, ""),
    "continuous-flow": (lambda A, t: np.trace(A), "5/4 times"),
    "neural-ode-trace": (lambda d: -np.sum(d, axis=1), "that of the inverse map"),
    "hutchinson-trace": (lambda A, e: 0.5 * e @ A @ e, "½ of"),
    "diffusion-marginal": (lambda z, b: (b * z, np.sqrt(1 - b)), "√ᾱ too many"),
    "diffusion-posterior": (lambda zt, z0, beta, before,
                            bar: ((np.sqrt(before) * beta * z0 + np.sqrt(1 - beta) * (1 - before) * zt) / (1 - bar),
                                  beta), "(1 − ᾱ_{t−1})/(1 − ᾱ_t)"),
    "diffusion-bound": (lambda a, b, c: a + b[0] + c, "the term 'L_2' is missing"),
    "diffusion-epsilon-loss": (lambda beta, bar, s2: beta ** 2 / (2 * s2 * (1 - beta)), "1 − ᾱ_t"),
    "diffusion-score": (lambda e, b: -e / (1 - b), "√(1 − ᾱ)"),
    "rbm-free-energy": (lambda v, W, b, c: -np.sum(np.logaddexp(0, c + v @ W), axis=1), "'−bᵀv' is missing"),
    "rbm-conditionals": (lambda v, W, b, c: 1 / (1 + np.exp(-(v @ W))), ""),
    "rbm-gradient": (lambda v, h, d, m: -np.einsum("n,ni,nj->ij", d, v, h), "the term '⟨⟩_model' is missing"),
    "contrastive-divergence": (lambda T, p, k: p @ T, ""),
    "boltzmann-moments": (lambda p, E: (np.sum(p * E), np.sum(p * E ** 2)), "opposite sign"),
    "score-matching": (lambda s, d: 0.5 * s ** 2 - d, ""),
    "metropolis-hastings": (lambda a, b, f, g: np.minimum(1, b / a), "acceptance needs"),
    "gibbs-sampling": (lambda p, axis: p / p.sum(), ""),
    "importance-weights": (lambda p, q: q / p, ""),
    "rejection-sampling": (lambda p, q, M: p / q, ""),
    "inverse-transform": (lambda u, rate: -rate * np.log(1 - u), ""),
    "gumbel-max": (lambda z: np.exp(-z) / np.exp(-z).sum(), ""),
}


@pytest.mark.parametrize("name", NAMES)
def test_ours_holds(name):
    result = derivations.run(name)
    assert result.verdict == "holds", result.report
    assert result.error <= result.tolerance < 1e-3, "an identity should be checked to more than statistical accuracy"


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_formula_fails_and_is_explained(name):
    formula, words = WRONG[name]
    with np.errstate(all="ignore"):
        result = derivations.run(name, claimed=formula)
    assert result.verdict == "fails"
    assert any(words in str(finding.diagnosis) for finding in result.report.findings), result.report


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_states_where_it_is_from_and_what_to_write(name):
    entry = derivations.get(name)
    assert re.fullmatch(r"[a-z0-9-]+", name) and len(entry.formula) > 15 and len(entry.source) > 5 and entry.usage
    shown = re.search(r"yours: f\((.*)\)", str(entry))[1].split(", ")
    assert list(inspect.signature(entry.ours).parameters) == shown


def test_the_list_covers_the_subjects():
    text = " ".join(NAMES)
    for part in ("gaussian-kl-vae", "gaussian-kl-cvae", "elbo", "cvae", "discriminator", "gan-value",
                 "change-of-variables", "planar", "radial", "nice", "realnvp", "glow", "maf", "iaf",
                 "spline", "continuous", "diffusion-marginal", "diffusion-posterior", "diffusion-bound",
                 "rbm-free-energy", "rbm-gradient", "contrastive", "metropolis", "importance", "trace"):
        assert part in text


def test_running_all_reports_progress():
    seen = []
    results = derivations.run_all(progress=seen.append)
    assert results == seen and [r.name for r in results] == NAMES and all(r.verdict == "holds" for r in results)
    assert f"{len(NAMES)} of {len(NAMES)} hold" in derivations.table(results)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'bayes-rule'"):
        derivations.get("bayes-rules")
    with pytest.raises(ValueError, match="lists them"):
        derivations.run("zzzzz")
