"""Derivatives that everything else is made of."""
import numpy as np

from minigen import functional, ops
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.gradients import gradient
from minigen.check.jacobians import hessian, jacobian
from minigen.tensor import tensor


def _rng():
    return np.random.default_rng(0)


@derivation("trace-trick", "xᵀ A x = tr(x xᵀ A), and so E[xᵀ A x] = tr(A Σ) + μᵀ A μ",
            "standard; used for every expected quadratic form",
            claim=lambda A, mean, covariance: np.trace(A @ covariance) + mean @ A @ mean)
def trace_trick(claim):
    """E[xᵀ A x] for x with mean and covariance, against the average over all points of a discrete distribution."""
    report, rng = new_report(), _rng()
    A, points, p = rng.standard_normal((4, 4)), rng.standard_normal((6, 4)), rng.dirichlet(np.ones(6))
    x = points[0]
    equal(report, "xᵀ A x = tr(x xᵀ A)", np.trace(np.outer(x, x) @ A), x @ A @ x)
    mean = p @ points
    covariance = (points - mean).T @ np.diag(p) @ (points - mean)
    parts = {"tr(A Σ)": np.trace(A @ covariance), "μᵀ A μ": mean @ A @ mean}
    equal(report, "E[xᵀ A x]", claim(A, mean, covariance), np.sum(p * np.einsum("ni,ij,nj->n", points, A, points)),
          terms=parts)
    return report


@derivation("quadratic-gradient", "∇ₓ xᵀ A x = (A + Aᵀ) x,  ∇²ₓ xᵀ A x = A + Aᵀ", "standard", claim=lambda A,
            x: (A + A.T) @ x)
def quadratic_gradient(claim):
    """The gradient of a quadratic form whose matrix is not symmetric."""
    rng = _rng()
    A, x = rng.standard_normal((4, 4)), rng.standard_normal(4)
    f = lambda x: x @ tensor(A) @ x  # noqa: E731
    report = gradient(f, x, claimed=claim(A, x), factors={"A x": A @ x, "Aᵀ x": A.T @ x})
    report.include(hessian(f, x, claimed=A + A.T))
    return report


@derivation("log-det-gradient", "∇_A log |det A| = (A⁻¹)ᵀ", "standard; Kingma, Dhariwal 2018, arXiv:1807.03039 (the "
                                                            "1×1 convolution)", claim=lambda A: np.linalg.inv(A).T)
def log_det_gradient(claim):
    """The gradient of log |det A| with respect to the matrix."""
    A = _rng().standard_normal((4, 4))
    return gradient(lambda A: ops.slogdet(A)[1], A, claimed=claim(A))


@derivation("softmax-cross-entropy-gradient", "∇_z −log softmax(z)_y = softmax(z) − onehot(y)", "J. Bridle 1990",
            claim=lambda p, onehot: p - onehot)
def softmax_cross_entropy_gradient(claim):
    """The gradient with respect to the logits; p = softmax(z). Both (N, K), summed over the N examples."""
    z, labels = _rng().standard_normal((5, 4)), np.array([0, 3, 1, 1, 2])
    p, onehot = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), np.eye(4)[labels]
    return gradient(lambda z: functional.cross_entropy(z, tensor(labels), "sum"), z, claimed=claim(p, onehot),
                    terms={"softmax": p, "onehot": -onehot})


@derivation("softmax-jacobian", "∂softmax(z)_i / ∂z_j = p_i (δ_ij − p_j)", "J. Bridle 1990", claim=lambda p: np.diag(p)
            - np.outer(p, p))
def softmax_jacobian(claim):
    """The Jacobian of p = softmax(z)."""
    z = _rng().standard_normal(5)
    return jacobian(functional.softmax, z, claimed=claim(np.exp(z) / np.exp(z).sum()))


@derivation("bernoulli-logit-gradient", "∂/∂l [−x log σ(l) − (1 − x) log(1 − σ(l))] = σ(l) − x",
            "standard; C. Bishop 2006, section 4.3.2", claim=lambda x, s: s - x)
def bernoulli_logit_gradient(claim):
    """The gradient of the cross-entropy with respect to logits; s = σ(l)."""
    l, x = 3 * _rng().standard_normal(6), np.array([0.0, 1.0, 1.0, 0.0, 0.3, 1.0])
    s = 1 / (1 + np.exp(-l))
    return gradient(lambda l: functional.bce_with_logits(l, tensor(x)).sum(), l, claimed=claim(x, s),
                    factors={"σ′(l)": s * (1 - s)})


@derivation("logsumexp-hessian", "∇² log Σ eᶻ = diag(p) − p pᵀ, p = softmax(z)",
            "S. Boyd, L. Vandenberghe 2004, section 3.1.5", claim=lambda p: np.diag(p) - np.outer(p, p))
def logsumexp_hessian(claim):
    """The Hessian of logsumexp, positive semidefinite: logsumexp is convex."""
    z = _rng().standard_normal(4)
    return hessian(ops.logsumexp, z, claimed=claim(np.exp(z) / np.exp(z).sum()))


@derivation("gaussian-score", "∇ₓ log N(x; μ, Σ) = −Σ⁻¹ (x − μ)", "standard; A. Hyvärinen 2005 calls it the score",
            claim=lambda x, mean, precision: -precision @ (x - mean))
def gaussian_score(claim):
    """The score of a full-covariance Gaussian."""
    rng = _rng()
    x, mean, L = rng.standard_normal(3), rng.standard_normal(3), np.tril(rng.standard_normal((3, 3))) + 2 * np.eye(3)
    P = L @ L.T
    f = lambda x: -0.5 * (x - tensor(mean)) @ tensor(P) @ (x - tensor(mean))  # noqa: E731
    return gradient(f, x, claimed=claim(x, mean, P))
