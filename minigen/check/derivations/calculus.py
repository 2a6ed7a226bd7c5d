"""Derivatives that everything else is made of."""
import numpy as np

from minigen import functional, ops
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.gradients import gradient
from minigen.check.jacobians import hessian, jacobian
from minigen.tensor import tensor


def _rng():
    return np.random.default_rng(0)


def _softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


@derivation("trace-trick", source="standard; used for every expected quadratic form")
def trace_trick(A, mean, covariance):
    """xᵀ A x = tr(x xᵀ A), and so E[xᵀ A x] = tr(A Σ) + μᵀ A μ.

    E[xᵀ A x], a number, for x with this mean (D,) and covariance (D, D).
    """
    return np.trace(A @ covariance) + mean @ A @ mean


@trace_trick.checked_by
def _(formula):
    report, rng = new_report(), _rng()
    A, points, p = rng.standard_normal((4, 4)), rng.standard_normal((6, 4)), rng.dirichlet(np.ones(6))
    x = points[0]
    equal(report, "xᵀ A x = tr(x xᵀ A)", np.trace(np.outer(x, x) @ A), x @ A @ x)
    mean = p @ points
    covariance = (points - mean).T @ np.diag(p) @ (points - mean)
    average = np.sum(p * np.einsum("ni,ij,nj->n", points, A, points))        # over six points of probability p
    terms = {"tr(A Σ)": np.trace(A @ covariance), "μᵀ A μ": mean @ A @ mean}
    equal(report, "E[xᵀ A x]", formula(A, mean, covariance), average, terms=terms)
    return report


@derivation("quadratic-gradient", source="standard")
def quadratic_gradient(A, x):
    """∇ₓ xᵀ A x = (A + Aᵀ) x and ∇²ₓ xᵀ A x = A + Aᵀ.

    The gradient (D,) of a quadratic form whose matrix need not be symmetric.
    """
    return (A + A.T) @ x


@quadratic_gradient.checked_by
def _(formula):
    rng = _rng()
    A, x = rng.standard_normal((4, 4)), rng.standard_normal(4)

    def f(x):
        return x @ tensor(A) @ x

    report = gradient(f, x, claimed=formula(A, x), terms={"A x": A @ x, "Aᵀ x": A.T @ x})
    report.include(hessian(f, x, claimed=A + A.T))
    return report


@derivation("log-det-gradient", source="standard; D. Kingma, P. Dhariwal 2018, arXiv:1807.03039 (1×1 convolutions)")
def log_det_gradient(A):
    """∇_A log |det A| = (A⁻¹)ᵀ.

    The gradient (D, D) with respect to the matrix.
    """
    return np.linalg.inv(A).T


@log_det_gradient.checked_by
def _(formula):
    A = _rng().standard_normal((4, 4))
    return gradient(lambda A: ops.slogdet(A)[1], A, claimed=formula(A))


@derivation("softmax-cross-entropy-gradient", source="J. Bridle 1990")
def softmax_cross_entropy_gradient(p, onehot):
    """∇_z −log softmax(z)_y = softmax(z) − onehot(y).

    The gradient (N, K) with respect to the logits of N examples, summed; p = softmax(z), both (N, K).
    """
    return p - onehot


@softmax_cross_entropy_gradient.checked_by
def _(formula):
    z, labels = _rng().standard_normal((5, 4)), np.array([0, 3, 1, 1, 2])
    p, onehot = _softmax(z), np.eye(4)[labels]
    return gradient(lambda z: functional.cross_entropy(z, tensor(labels), "sum"), z, claimed=formula(p, onehot),
                    terms={"softmax": p, "onehot": -onehot})


@derivation("softmax-jacobian", source="J. Bridle 1990")
def softmax_jacobian(p):
    """∂softmax(z)_i / ∂z_j = p_i (δ_ij − p_j).

    The Jacobian (K, K) at p = softmax(z).
    """
    return np.diag(p) - np.outer(p, p)


@softmax_jacobian.checked_by
def _(formula):
    z = _rng().standard_normal(5)
    return jacobian(functional.softmax, z, claimed=formula(_softmax(z)))


@derivation("logsumexp-hessian", source="S. Boyd, L. Vandenberghe 2004, section 3.1.5")
def logsumexp_hessian(p):
    """∇² log Σ eᶻ = diag(p) − p pᵀ with p = softmax(z), so logsumexp is convex.

    The Hessian (K, K).
    """
    return np.diag(p) - np.outer(p, p)


@logsumexp_hessian.checked_by
def _(formula):
    z = _rng().standard_normal(4)
    report = hessian(ops.logsumexp, z, claimed=formula(_softmax(z)))
    report.add("", "is positive semidefinite", max(0.0, -np.linalg.eigvalsh(formula(_softmax(z))).min()), 1e-12)
    return report


@derivation("bernoulli-logit-gradient", source="standard; C. Bishop 2006, section 4.3.2")
def bernoulli_logit_gradient(x, s):
    """∂/∂l [−x log σ(l) − (1 − x) log(1 − σ(l))] = σ(l) − x.

    The gradient with respect to logits, elementwise; s = σ(l).
    """
    return s - x


@bernoulli_logit_gradient.checked_by
def _(formula):
    logits, x = 3 * _rng().standard_normal(6), np.array([0.0, 1.0, 1.0, 0.0, 0.3, 1.0])
    s = 1 / (1 + np.exp(-logits))
    return gradient(lambda logits: functional.bce_with_logits(logits, tensor(x)).sum(), logits, claimed=formula(x, s),
                    factors={"σ′(l)": s * (1 - s)})


@derivation("gaussian-score", source="standard; A. Hyvärinen 2005")
def gaussian_score(x, mean, precision):
    """∇ₓ log N(x; μ, Σ) = −Σ⁻¹ (x − μ).

    The score (D,) of a Gaussian; precision = Σ⁻¹ (D, D).
    """
    return -precision @ (x - mean)


@gaussian_score.checked_by
def _(formula):
    rng = _rng()
    x, mean, L = rng.standard_normal(3), rng.standard_normal(3), np.tril(rng.standard_normal((3, 3))) + 2 * np.eye(3)

    def log_density(x):
        return -0.5 * (x - tensor(mean)) @ tensor(L @ L.T) @ (x - tensor(mean))      # up to a constant

    return gradient(log_density, x, claimed=formula(x, mean, L @ L.T))
