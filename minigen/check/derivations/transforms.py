"""The log-determinants of autoregressive, spline and continuous flows, against slogdet of the dense Jacobian."""
import itertools

import numpy as np
from scipy.linalg import expm

from minigen import ops
from minigen.check.bijections import bijection
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.tensor import tensor

D = 4


def _conditioner(x, seed):
    """(α, μ), (N, D) each, whose i-th entries depend on the entries of x before i only."""
    rng = np.random.default_rng(seed)
    before = np.triu(np.ones((D, D)), 1)                                # x @ before: column i sees rows above i
    alpha = 0.5 * ops.tanh(x @ tensor(rng.standard_normal((D, D)) * before))
    return alpha, ops.sin(x @ tensor(rng.standard_normal((D, D)) * before))


def _one_after_the_other(y, seed, solve):
    """x with x_i = solve(y_i, α_i(x_{<i}), μ_i(x_{<i})), for i = 1 … D."""
    x = ops.zeros_like(y)
    for i in range(D):
        alpha, mu = _conditioner(x, seed)
        x = ops.concatenate([x[:, :i], solve(y, alpha, mu)[:, i:i + 1], x[:, i + 1:]], axis=1)
    return x


@derivation("maf", source="G. Papamakarios, T. Pavlakou, I. Murray 2017, arXiv:1705.07057")
def maf(alpha):
    """u_i = (x_i − μ_i(x_{<i})) e^{−α_i(x_{<i})} has log |det ∂u/∂x| = −Σ α_i.

    log |det| (N,) in the direction of density evaluation, from α (N, D).
    """
    return -np.sum(alpha, axis=1)


@maf.checked_by
def _(formula):
    x = np.random.default_rng(0).standard_normal((5, D))

    def T(x):
        alpha, mu = _conditioner(x, 5)
        return (x - mu) * ops.exp(-alpha)

    def inverse(u):
        return _one_after_the_other(u, 5, lambda u, alpha, mu: u * ops.exp(alpha) + mu)

    return bijection(T, inverse, formula(_conditioner(tensor(x), 5)[0].numpy()), x)


@derivation("iaf", source="D. Kingma et al. 2016, arXiv:1606.04934")
def iaf(alpha):
    """x_i = u_i e^{α_i(u_{<i})} + μ_i(u_{<i}) has log |det ∂x/∂u| = Σ α_i; it is the inverse of a MAF.

    log |det| (N,) in the direction of sampling, from α (N, D).
    """
    return np.sum(alpha, axis=1)


@iaf.checked_by
def _(formula):
    u = np.random.default_rng(1).standard_normal((5, D))

    def T(u):
        alpha, mu = _conditioner(u, 6)
        return u * ops.exp(alpha) + mu

    def inverse(x):
        return _one_after_the_other(x, 6, lambda x, alpha, mu: (x - mu) * ops.exp(-alpha))

    return bijection(T, inverse, formula(_conditioner(tensor(u), 6)[0].numpy()), u)


@derivation("rational-quadratic-spline", source="C. Durkan et al. 2019, arXiv:1906.04032, eq. (4)–(5)")
def rational_quadratic_spline(xi, s, d0, d1):
    """dy/dx = s² [δ₁ ξ² + 2 s ξ(1 − ξ) + δ₀ (1 − ξ)²]/[s + (δ₁ + δ₀ − 2 s) ξ(1 − ξ)]².

    The slope inside a bin, from the position ξ in it, the slope s of its chord, and the slopes δ₀, δ₁ at its ends.
    """
    numerator = d1 * xi ** 2 + 2 * s * xi * (1 - xi) + d0 * (1 - xi) ** 2
    return s ** 2 * numerator / (s + (d1 + d0 - 2 * s) * xi * (1 - xi)) ** 2


@rational_quadratic_spline.checked_by
def _(formula):
    x0, width, y0, height, d0, d1 = -0.5, 1.4, 0.2, 1.5, 0.6, 2.1
    s, bend, x = height / width, d0 + d1 - 2 * height / width, np.linspace(-0.47, 0.87, 9)[:, None]

    def T(x):
        xi = (x - x0) / width
        return y0 + height * (s * xi * xi + d0 * xi * (1 - xi)) / (s + bend * xi * (1 - xi))

    def inverse(y):
        a = height * (s - d0) + (y - y0) * bend                               # a ξ² + b ξ + c = 0
        b, c = height * d0 - (y - y0) * bend, -s * (y - y0)
        return x0 + width * 2 * c / (-b - ops.sqrt(b * b - 4 * a * c))

    return bijection(T, inverse, np.log(formula((x[:, 0] - x0) / width, s, d0, d1)), x)


@derivation("continuous-flow", source="R. Chen et al. 2018, arXiv:1806.07366, theorem 1")
def continuous_flow(A, t):
    """dz/dt = A z has z(t) = e^{At} z(0) and log |det ∂z(t)/∂z(0)| = t tr A: a trace in place of a determinant.

    log |det|, one number, of the linear field A (D, D) after time t.
    """
    return t * np.trace(A)


@continuous_flow.checked_by
def _(formula):
    A, t, z = np.random.default_rng(3).standard_normal((3, 3)), 0.8, np.random.default_rng(0).standard_normal((4, 3))
    forth, back = tensor(expm(t * A).T), tensor(expm(-t * A).T)
    return bijection(lambda z: z @ forth, lambda z: z @ back, np.full(4, formula(A, t)), z)


@derivation("neural-ode-trace", source="R. Chen et al. 2018, arXiv:1806.07366, eq. (8)")
def neural_ode_trace(diagonal):
    """d log p(z(t))/dt = −tr ∂f/∂z along dz/dt = f(z).

    −d log p/dt (N,), from the diagonal entries ∂f_i/∂z_i (N, D) of the Jacobian of f.
    """
    return np.sum(diagonal, axis=1)


@neural_ode_trace.checked_by
def _(formula):
    """f(z) = tanh(z W), and the rate integrated along the path, both by Runge–Kutta in 40 steps."""
    W, z = np.random.default_rng(2).standard_normal((3, 3)), np.random.default_rng(0).standard_normal((4, 3))

    def field(z):
        return ops.tanh(z @ tensor(W))

    def rate(z):
        return np.asarray(formula((1 - np.tanh(z @ W) ** 2) * np.diag(W)))

    def field_and_rate(state):
        z = state[:, :3]
        return np.concatenate([np.tanh(z @ W), rate(z)[:, None]], axis=1)

    path = _runge_kutta(field_and_rate, np.concatenate([z, np.zeros((4, 1))], axis=1))
    return bijection(lambda z: _runge_kutta(field, z), log_det=path[:, 3], x=z, rtol=1e-5)


def _runge_kutta(f, z, steps=40):
    """z(1) of dz/dt = f(z), by the classical method of order 4."""
    h = 1 / steps
    for _ in range(steps):
        k1 = f(z)
        k2 = f(z + h / 2 * k1)
        k3 = f(z + h / 2 * k2)
        k4 = f(z + h * k3)
        z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return z


@derivation("hutchinson-trace", source="M. Hutchinson 1990; W. Grathwohl et al. 2018, arXiv:1810.01367")
def hutchinson_trace(A, eps):
    """E[εᵀ A ε] = tr A for E[ε εᵀ] = I; with random signs its variance is 2 Σ_{i≠j} ((A + Aᵀ)/2)²_ij.

    The estimate from one draw ε (D,).
    """
    return eps @ A @ eps


@hutchinson_trace.checked_by
def _(formula):
    report, A = new_report(), np.random.default_rng(0).standard_normal((5, 5))
    estimates = [formula(A, np.array(signs)) for signs in itertools.product((-1.0, 1.0), repeat=5)]
    symmetric = (A + A.T) / 2
    equal(report, "mean over all ε ∈ {−1, 1}ᴰ", np.mean(estimates), np.trace(A), 1e-10)
    equal(report, "variance", np.var(estimates), 2 * np.sum((symmetric - np.diag(np.diag(A))) ** 2), 1e-10)
    return report
