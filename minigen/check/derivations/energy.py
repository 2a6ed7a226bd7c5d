"""Energy-based models: Boltzmann machines on spaces small enough to sum over, and score matching."""
import itertools

import numpy as np

from minigen import ops
from minigen.check.chains import chain
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.gradients import gradient
from minigen.distributions.table import Table
from minigen.tensor import tensor

BITS = {n: np.array(list(itertools.product((0.0, 1.0), repeat=n))) for n in (3, 4)}
V, H = BITS[4], BITS[3]                          # all visible and hidden states of a 4 × 3 machine


def _machine(seed=0):
    """(W, b, c) of a small restricted Boltzmann machine, E(v, h) = −vᵀWh − bᵀv − cᵀh."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal(3)


def _joint(W, b, c):
    """p(v, h) as a Table over the 16 × 8 states."""
    minus_energy = V @ W @ H.T + (V @ b)[:, None] + (H @ c)[None]
    return Table.normalised(np.exp(minus_energy), "v", "h")


def _softplus(x):
    return np.logaddexp(0.0, x)


@derivation("rbm-free-energy", "F(v) = −log Σ_h e^{−E(v, h)} = −bᵀv − Σ_j log(1 + e^{c_j + (Wᵀv)_j}),  p(v) ∝ e^{−F(v)}", "P. Smolensky 1986; G. Hinton 2010, 'A practical guide to training RBMs'",
            claim=lambda v, W, b, c: -v @ b - np.sum(_softplus(c + v @ W), axis=1))
def rbm_free_energy(claim):
    """F for visible states v (N, 4), against the sum over all hidden states; and p(v) against the table."""
    report = new_report()
    W, b, c = _machine()
    F = np.asarray(claim(V, W, b, c))
    hidden = np.sum(_softplus(c + V @ W), axis=1)
    energies = V @ W @ H.T + (V @ b)[:, None] + (H @ c)[None]
    equal(report, "F = −log Σ_h e^{−E}", F, -np.log(np.exp(energies).sum(axis=1)),
          terms={"−bᵀv": -V @ b, "−Σ softplus": -hidden})
    weights = np.exp(-F)
    equal(report, "e^{−F}/Z = p(v)", weights / weights.sum(), _joint(W, b, c).marginal("v").probabilities)
    return report


@derivation("rbm-conditionals", "p(h_j = 1 | v) = σ(c_j + (Wᵀv)_j), and the h_j are independent given v",
            "P. Smolensky 1986", claim=lambda v, W, b, c: 1 / (1 + np.exp(-(c + v @ W))))
def rbm_conditionals(claim):
    """p(h_j = 1 | v) for all visible states (16, 3)."""
    report = new_report()
    W, b, c = _machine()
    p = _joint(W, b, c).given("v").probabilities.T                                        # (v, h)
    probabilities = np.asarray(claim(V, W, b, c))
    equal(report, "p(h_j = 1 | v)", probabilities, p @ H, factors={"v W": V @ W})
    factorised = np.prod(np.where(H[None] == 1, (p @ H)[:, None], 1 - (p @ H)[:, None]), axis=2)
    equal(report, "p(h | v) = Π_j p(h_j | v)", factorised, p)
    return report


@derivation("rbm-gradient", "∂/∂θ [−mean log p(v)] = ⟨∂F/∂θ⟩_data − ⟨∂F/∂θ⟩_model;  for W: −⟨v σ(c + Wᵀv)ᵀ⟩_data + "
                            "⟨…⟩_model", "D. Ackley, G. Hinton, T. Sejnowski 1985; G. Hinton 2002",
            claim=lambda v, h, p_data, p_model: -np.einsum("n,ni,nj->ij", p_data, v, h)
            + np.einsum("n,ni,nj->ij", p_model, v, h))
def rbm_gradient(claim):
    """∂/∂W of the mean negative log-likelihood, from all states v (16, 4), h = p(h | v) (16, 3), and the probabilities
    of v in the data and the model (16,).

    Against automatic differentiation of the exact likelihood, log Z included.
    """
    W, b, c = _machine()
    p_data = np.random.default_rng(1).dirichlet(np.ones(16))

    def nll(W):
        minus_F = tensor(V) @ tensor(b) + ops.softplus(tensor(c) + tensor(V) @ W).sum(axis=1)
        return -(tensor(p_data) * minus_F).sum() + ops.logsumexp(minus_F)

    p_model = _joint(W, b, c).marginal("v").probabilities
    h = 1 / (1 + np.exp(-(c + V @ W)))
    phases = {"data": -np.einsum("n,ni,nj->ij", p_data, V, h), "model": np.einsum("n,ni,nj->ij", p_model, V, h)}
    return gradient(nll, W, claimed=claim(V, h, p_data, p_model), terms=phases, names=["W"])


@derivation("contrastive-divergence", "⟨∂F/∂θ⟩_data − ⟨∂F/∂θ⟩_{k Gibbs steps} → ∂/∂θ [−mean log p] as k → ∞, at the "
                                      "rate |λ₂|ᵏ", "G. Hinton 2002; M. Carreira-Perpiñán, G. Hinton 2005",
            claim=lambda T, p_data, k: p_data @ np.linalg.matrix_power(T, k))
def contrastive_divergence(claim):
    """The distribution of v after k steps of block Gibbs sampling started at the data, from the transition matrix T
    (16, 16): T[i, j] = p(j | i).
    """
    report = new_report()
    W, b, c = (0.7 * part for part in _machine())
    p = _joint(W, b, c)
    T = p.given("v").probabilities.T @ p.given("h").probabilities.T                        # Σ_h p(h | v) p(v′ | h)
    model = p.marginal("v").probabilities
    report.include(chain(T, model), "block Gibbs: ")
    p_data, h = np.random.default_rng(1).dirichlet(np.ones(16)), 1 / (1 + np.exp(-(c + V @ W)))
    exact = np.einsum("n,ni,nj->ij", model - p_data, V, h)
    errors = []
    for k in (1, 5, 20, 400):
        cd = np.einsum("n,ni,nj->ij", np.asarray(claim(T, p_data, k)) - p_data, V, h)
        errors.append(float(np.abs(cd - exact).max()))
    report.add("", "the error of CD-k falls: k = 1, 5, 20, 400", max(0.0, np.diff(errors).max()), 1e-12,
               " → ".join(f"{e:.1e}" for e in errors))
    equal(report, "CD-400 = the likelihood's gradient", cd, exact, 1e-6)
    report.values.clear()
    return report


@derivation("boltzmann-moments", "∂ log Z/∂β = −⟨E⟩,  ∂² log Z/∂β² = Var(E),  p ∝ e^{−βE}",
            "L. Boltzmann 1868; J. Gibbs 1902", claim=lambda p,
            E: (-np.sum(p * E), np.sum(p * E ** 2) - np.sum(p * E) ** 2))
def boltzmann_moments(claim):
    """(first, second) derivative of log Z in the inverse temperature, from the probabilities and energies of all
    states.
    """
    E, beta = np.random.default_rng(0).standard_normal(7), 0.8
    p = Table.normalised(np.exp(-beta * E), "x").probabilities
    first, second = claim(p, E)
    from minigen.check.jacobians import hessian
    log_z = lambda beta: ops.logsumexp(-beta * tensor(E))  # noqa: E731
    report = gradient(log_z, np.array(beta), claimed=np.array(first), terms={"⟨E⟩": np.array(-np.sum(p * E))},
                      names=["β"])
    report.include(hessian(log_z, np.array(beta), claimed=np.array(second)))
    return report


@derivation("score-matching", "½ E_p|s − ∇ log p|² = E_p[½ |s|² + ∇·s] + constant", "A. Hyvärinen 2005, theorem 1",
            claim=lambda s, divergence: 0.5 * s ** 2 + divergence)
def score_matching(claim):
    """The integrand of the right side, from a model score s(x) and its derivative s′(x) in one dimension;

    differences between two models must agree.
    """
    from minigen.check.quadrature import integrate
    report, log_p = new_report(), (lambda x: -0.25 * x ** 4 + 0.3 * x)
    Z = integrate(lambda x: np.exp(log_p(x[:, 0])), [(-8, 8)])
    p = lambda x: np.exp(log_p(x)) / Z  # noqa: E731
    score = lambda x: -x ** 3 + 0.3  # noqa: E731
    models = [(lambda x: -x, lambda x: -np.ones_like(x)), (lambda x: -0.5 * x ** 3 + 1, lambda x: -1.5 * x ** 2),
              (lambda x: np.sin(x), lambda x: np.cos(x))]
    left = [integrate(lambda x, s=s: 0.5 * p(x[:, 0]) * (s(x[:, 0]) - score(x[:, 0])) ** 2, [(-8, 8)]) for s,
            _ in models]
    right = [integrate(lambda x, s=s, ds=ds: p(x[:, 0]) * claim(s(x[:, 0]), ds(x[:, 0])), [(-8, 8)]) for s,
             ds in models]
    equal(report, "differences between models", np.diff(right), np.diff(left), 1e-7)
    return report
