"""Energy-based models: Boltzmann machines on spaces small enough to sum over, and score matching."""
import itertools

import numpy as np

from minigen import ops
from minigen.check.chains import chain
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.gradients import gradient
from minigen.check.jacobians import hessian
from minigen.check.quadrature import integrate
from minigen.distributions.table import Table
from minigen.tensor import tensor

V, H = [np.array(list(itertools.product((0.0, 1.0), repeat=n))) for n in (4, 3)]       # all states of a 4 × 3 machine


def _machine(scale=1.0):
    """(W, b, c) of a restricted Boltzmann machine with E(v, h) = −vᵀWh − bᵀv − cᵀh."""
    rng = np.random.default_rng(0)
    return scale * rng.standard_normal((4, 3)), scale * rng.standard_normal(4), scale * rng.standard_normal(3)


def _energies(W, b, c):
    """E(v, h) of all states, (16, 8)."""
    return -(V @ W @ H.T + (V @ b)[:, None] + (H @ c)[None])


def _joint(W, b, c):
    """p(v, h) as a Table over the states."""
    return Table.normalised(np.exp(-_energies(W, b, c)), "v", "h")


def _correlations(p, h):
    """⟨v hᵀ⟩ = Σ_v p(v) v p(h | v)ᵀ, (4, 3)."""
    return np.einsum("n,ni,nj->ij", p, V, h)


def _hidden(W, c):
    """p(h_j = 1 | v) for all v, (16, 3)."""
    return 1 / (1 + np.exp(-(c + V @ W)))


@derivation("rbm-free-energy", source="P. Smolensky 1986; G. Hinton 2010, A practical guide to training RBMs")
def rbm_free_energy(v, W, b, c):
    """F(v) = −log Σ_h e^{−E(v, h)} = −bᵀv − Σ_j log(1 + e^{c_j + (Wᵀv)_j}), and p(v) ∝ e^{−F(v)}.

    F (N,) of visible states v (N, D), where E(v, h) = −vᵀWh − bᵀv − cᵀh.
    """
    return -v @ b - np.sum(np.logaddexp(0.0, c + v @ W), axis=1)


@rbm_free_energy.checked_by
def _(formula):
    report, (W, b, c) = new_report(), _machine()
    F = np.asarray(formula(V, W, b, c))
    terms = {"−bᵀv": -V @ b, "−Σ log(1 + e^…)": -np.sum(np.logaddexp(0.0, c + V @ W), axis=1)}
    equal(report, "F = −log Σ_h e^{−E}", F, -np.log(np.exp(-_energies(W, b, c)).sum(axis=1)), terms=terms)
    weights = np.exp(-F)
    equal(report, "e^{−F}/Z = p(v)", weights / weights.sum(), _joint(W, b, c).marginal("v").probabilities)
    return report


@derivation("rbm-conditionals", source="P. Smolensky 1986")
def rbm_conditionals(v, W, b, c):
    """p(h_j = 1 | v) = σ(c_j + (Wᵀv)_j), and the h_j are independent given v.

    The probabilities (N, K) for visible states v (N, D).
    """
    return 1 / (1 + np.exp(-(c + v @ W)))


@rbm_conditionals.checked_by
def _(formula):
    report, (W, b, c) = new_report(), _machine()
    given_v = _joint(W, b, c).given("v").probabilities.T                                     # p(h | v), (16, 8)
    equal(report, "p(h_j = 1 | v)", formula(V, W, b, c), given_v @ H, factors={"Wᵀv": V @ W})
    on = (given_v @ H)[:, None]                                                              # (16, 1, 3)
    factorised = np.prod(np.where(H == 1, on, 1 - on), axis=2)
    equal(report, "p(h | v) = Π_j p(h_j | v)", factorised, given_v)
    return report


@derivation("rbm-gradient", source="D. Ackley, G. Hinton, T. Sejnowski 1985; G. Hinton 2002")
def rbm_gradient(v, h, p_data, p_model):
    """∂/∂θ [−mean log p(v)] = ⟨∂F/∂θ⟩_data − ⟨∂F/∂θ⟩_model; for W it is −⟨v p(h | v)ᵀ⟩_data + ⟨v p(h | v)ᵀ⟩_model.

    The gradient (D, K) in W, from all states v (M, D), h = p(h = 1 | v) (M, K), and p(v) in data and model (M,).
    """
    return np.einsum("n,ni,nj->ij", p_model - p_data, v, h)


@rbm_gradient.checked_by
def _(formula):
    """Against automatic differentiation of the exact likelihood, log Z included."""
    W, b, c = _machine()
    p_data, p_model = np.random.default_rng(1).dirichlet(np.ones(16)), _joint(W, b, c).marginal("v").probabilities

    def negative_log_likelihood(W):
        minus_F = tensor(V @ b) + ops.softplus(tensor(c) + tensor(V) @ W).sum(axis=1)
        return ops.logsumexp(minus_F) - (tensor(p_data) * minus_F).sum()

    h = _hidden(W, c)
    terms = {"⟨⟩_data": -_correlations(p_data, h), "⟨⟩_model": _correlations(p_model, h)}
    return gradient(negative_log_likelihood, W, claimed=formula(V, h, p_data, p_model), terms=terms)


@derivation("contrastive-divergence", source="G. Hinton 2002; M. Carreira-Perpiñán, G. Hinton 2005")
def contrastive_divergence(T, p_data, k):
    """⟨∂F/∂θ⟩_data − ⟨∂F/∂θ⟩ after k Gibbs steps from the data → ∂/∂θ [−mean log p(v)] as k → ∞.

    The distribution of v (M,) after k steps, from T[i, j] = p(v′ = j | v = i) and the distribution of the data.
    """
    return p_data @ np.linalg.matrix_power(T, k)


@contrastive_divergence.checked_by
def _(formula):
    report, (W, b, c) = new_report(), _machine(0.7)
    p = _joint(W, b, c)
    T, model = p.given("v").probabilities.T @ p.given("h").probabilities.T, p.marginal("v").probabilities
    report.include(chain(T, model), "block Gibbs: ")
    report.values.clear()
    p_data, h, errors = np.random.default_rng(1).dirichlet(np.ones(16)), _hidden(W, c), []
    exact = _correlations(model - p_data, h)
    for k in (1, 5, 20, 400):
        estimate = _correlations(np.asarray(formula(T, p_data, k)) - p_data, h)
        errors.append(float(np.abs(estimate - exact).max()))
    falling = " → ".join(f"{e:.0e}" for e in errors)
    report.add("", "the error of CD-k falls: k = 1, 5, 20, 400", max(0.0, np.diff(errors).max()), 1e-12, falling)
    equal(report, "CD-400 = the likelihood's gradient", estimate, exact, 1e-6)
    return report


@derivation("boltzmann-moments", source="L. Boltzmann 1868; J. Gibbs 1902")
def boltzmann_moments(p, E):
    """p ∝ e^{−βE} has ∂ log Z/∂β = −⟨E⟩ and ∂² log Z/∂β² = Var(E).

    The two derivatives of log Z, from the probabilities and the energies of all states.
    """
    mean = np.sum(p * E)
    return -mean, np.sum(p * E ** 2) - mean ** 2


@boltzmann_moments.checked_by
def _(formula):
    E, beta = np.random.default_rng(0).standard_normal(7), np.array(0.8)
    p = Table.normalised(np.exp(-beta * E), "x").probabilities

    def log_Z(beta):
        return ops.logsumexp(-beta * tensor(E))

    first, second = formula(p, E)
    report = gradient(log_Z, beta, claimed=np.asarray(first))
    report.include(hessian(log_Z, beta, claimed=np.asarray(second)))
    return report


@derivation("score-matching", source="A. Hyvärinen 2005, theorem 1")
def score_matching(s, divergence):
    """½ E_p|s − ∇ log p|² = E_p[½ |s|² + ∇·s] + a constant without s.

    The integrand of the right side in one dimension, from a model's score s(x) and its derivative s′(x).
    """
    return 0.5 * s ** 2 + divergence


@score_matching.checked_by
def _(formula):
    """Differences between models, where the constant cancels; p(x) ∝ exp(−x⁴/4 + 0.3 x)."""
    report, line = new_report(), [(-8, 8)]
    models = ((lambda x: -x, lambda x: -np.ones_like(x)), (lambda x: 1 - x ** 3 / 2, lambda x: -1.5 * x ** 2),
              (np.sin, np.cos))                                                              # (s, s′)

    def expect(f):
        return integrate(lambda x: np.exp(-x[:, 0] ** 4 / 4 + 0.3 * x[:, 0]) * f(x[:, 0]), line)

    Z = expect(np.ones_like)
    left = [expect(lambda x, s=s: 0.5 * (s(x) + x ** 3 - 0.3) ** 2) / Z for s, _ in models]
    right = [expect(lambda x, s=s, slope=slope: formula(s(x), slope(x))) / Z for s, slope in models]
    equal(report, "differences between models", np.diff(right), np.diff(left), 1e-7)
    return report
