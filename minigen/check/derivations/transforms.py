"""The log-determinants of autoregressive, spline and continuous flows, against slogdet of the dense Jacobian."""
import itertools

import numpy as np
from scipy.linalg import expm

from minigen import ops
from minigen.check.bijections import bijection
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.tensor import tensor

D = 4


def _autoregressive(x, seed):
    """(α, μ), (N, D) each; the i-th depends on the entries before i only."""
    rng = np.random.default_rng(seed)
    # x @ strict-upper: column i sees rows before i
    strict = np.triu(np.ones((D, D)), 1)
    alpha = 0.5 * ops.tanh(x @ tensor(rng.standard_normal((D, D)) * strict))
    return alpha, ops.sin(x @ tensor(rng.standard_normal((D, D)) * strict))


def _one_by_one(y, seed, combine):
    """Solve x_i = combine(y_i, α_i(x_{<i}), μ_i(x_{<i})) for i = 1…D."""
    x = ops.zeros_like(y)
    for i in range(D):
        alpha, mu = _autoregressive(x, seed)
        x = ops.concatenate([x[:, :i], combine(y, alpha, mu)[:, i:i + 1], x[:, i + 1:]], axis=1)
    return x


def _points(seed=0):
    return np.random.default_rng(seed).standard_normal((5, D))


@derivation("maf", "u_i = (x_i − μ_i(x_{<i})) e^{−α_i(x_{<i})}: log |det ∂u/∂x| = −Σ α_i",
            "G. Papamakarios, T. Pavlakou, I. Murray 2017, arXiv:1705.07057, eq. (5)",
            claim=lambda alpha: -np.sum(alpha, axis=1))
def maf(claim):
    """log |det ∂u/∂x|, the direction of density evaluation, from α (N, D).

    The inverse is computed one entry after the other.
    """
    x = _points()

    def T(x):
        alpha, mu = _autoregressive(x, 5)
        return (x - mu) * ops.exp(-alpha)

    return bijection(T, lambda u: _one_by_one(u, 5, lambda u, alpha, mu: u * ops.exp(alpha) + mu),
                     claim(_autoregressive(tensor(x), 5)[0].numpy()), x)


@derivation("iaf", "x_i = u_i e^{α_i(u_{<i})} + μ_i(u_{<i}): log |det ∂x/∂u| = Σ α_i; an IAF is the inverse of a MAF",
            "D. Kingma et al. 2016, arXiv:1606.04934", claim=lambda alpha: np.sum(alpha, axis=1))
def iaf(claim):
    """log |det ∂x/∂u|, the direction of sampling, from α (N, D)."""
    u = _points(1)

    def T(u):
        alpha, mu = _autoregressive(u, 6)
        return u * ops.exp(alpha) + mu

    return bijection(T, lambda x: _one_by_one(x, 6, lambda x, alpha, mu: (x - mu) * ops.exp(-alpha)),
                     claim(_autoregressive(tensor(u), 6)[0].numpy()), u)


@derivation("rational-quadratic-spline", "dy/dx = s² [δ₁ ξ² + 2s ξ(1 − ξ) + δ₀ (1 − ξ)²] / [s + (δ₁ + δ₀ − 2s) ξ(1 − "
                                         "ξ)]²", "C. Durkan et al. 2019, arXiv:1906.04032, eq. (4)–(5)",
            claim=lambda xi, s, d0, d1: s ** 2 * (d1 * xi ** 2 + 2 * s * xi * (1 - xi) + d0 * (1 - xi) ** 2)
            / (s + (d1 + d0 - 2 * s) * xi * (1 - xi)) ** 2)
def rational_quadratic_spline(claim):
    """The derivative inside a bin, from the position ξ in it, the slope s of its chord, and the slopes δ₀, δ₁ at its
    ends.
    """
    x0, x1, y0, y1, d0, d1 = -0.5, 0.9, 0.2, 1.7, 0.6, 2.1
    s, x = (y1 - y0) / (x1 - x0), np.linspace(x0 + 0.03, x1 - 0.03, 9)[:, None]

    def T(x):
        xi = (x - x0) / (x1 - x0)
        return y0 + (y1 - y0) * (s * xi * xi + d0 * xi * (1 - xi)) / (s + (d1 + d0 - 2 * s) * xi * (1 - xi))

    def inverse(y):
        a = (y1 - y0) * (s - d0) + (y - y0) * (d1 + d0 - 2 * s)
        b, c = (y1 - y0) * d0 - (y - y0) * (d1 + d0 - 2 * s), -s * (y - y0)
        return x0 + (x1 - x0) * (2 * c / (-b - ops.sqrt(b * b - 4 * a * c)))

    xi = (x[:, 0] - x0) / (x1 - x0)
    return bijection(T, inverse, np.log(claim(xi, s, d0, d1)), x)


@derivation("continuous-flow", "dz/dt = A z for time t: z(t) = e^{At} z(0), and log |det ∂z(t)/∂z(0)| = t tr A",
            "R. Chen et al. 2018, arXiv:1806.07366, theorem 1 (instantaneous change of variables)", claim=lambda A,
            t: t * np.trace(A))
def continuous_flow(claim):
    """log |det| of a linear field, one number; the trace takes the place of the determinant."""
    A, t, z = np.random.default_rng(3).standard_normal((3, 3)), 0.8, np.random.default_rng(0).standard_normal((4, 3))
    forth, back = expm(t * A).T, expm(-t * A).T
    return bijection(lambda z: z @ tensor(forth), lambda z: z @ tensor(back), np.full(4, claim(A, t)), z)


@derivation("neural-ode-trace", "d log p(z(t))/dt = −tr ∂f/∂z along dz/dt = f(z)",
            "R. Chen et al. 2018, arXiv:1806.07366, eq. (8)", claim=lambda diagonal: np.sum(diagonal, axis=1))
def neural_ode_trace(claim):
    """−d log p/dt from the diagonal ∂f_i/∂z_i (N, D) of a field that is not linear;

    integrated with z by Runge–Kutta, 60 steps.
    """
    W = np.random.default_rng(2).standard_normal((3, 3))
    z, steps, h = np.random.default_rng(0).standard_normal((4, 3)), 60, 1 / 60
    field = lambda z: ops.tanh(z @ tensor(W))  # noqa: E731

    def T(z):
        for _ in range(steps):
            k1 = field(z)
            k2 = field(z + h / 2 * k1)
            k3 = field(z + h / 2 * k2)
            z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + field(z + h * k3))
        return z

    f = lambda z: np.tanh(z @ W)  # noqa: E731
    rate = lambda z: np.asarray(claim((1 - f(z) ** 2) * np.diag(W)))  # noqa: E731
    path, total = z.copy(), np.zeros(4)
    # the same Runge–Kutta for z and for the integral of the trace
    for _ in range(steps):
        k1 = f(path)
        k2 = f(path + h / 2 * k1)
        k3 = f(path + h / 2 * k2)
        k4 = f(path + h * k3)
        total = total + h / 6 * (rate(path) + 2 * rate(path + h / 2 * k1) + 2 * rate(path + h / 2 * k2)
                                 + rate(path + h * k3))
        path = path + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return bijection(T, log_det=total, x=z, rtol=1e-5)


@derivation("hutchinson-trace", "E[εᵀ A ε] = tr A for E[ε εᵀ] = I",
            "M. Hutchinson 1990; W. Grathwohl et al. 2018, arXiv:1810.01367", claim=lambda A, eps: eps @ A @ eps)
def hutchinson_trace(claim):
    """The estimate of tr A from one draw ε; its mean over all 2ᴰ sign vectors is the trace exactly."""
    report, A = new_report(), np.random.default_rng(0).standard_normal((5, 5))
    signs = [np.array(s, dtype=float) for s in itertools.product((-1, 1), repeat=5)]
    equal(report, "mean over all ε ∈ {−1, 1}ᴰ", np.mean([claim(A, eps) for eps in signs]), np.trace(A), 1e-10)
    variance = np.var([eps @ A @ eps for eps in signs])
    off = (A + A.T) / 2 - np.diag(np.diag(A))
    equal(report, "its variance, 2 Σ_{i≠j} ((A + Aᵀ)/2)²_ij", variance, 2 * np.sum(off ** 2), 1e-10)
    return report
