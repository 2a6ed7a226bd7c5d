r"""Change of variables, and the log-determinants of the simple flows. Each formula is held against slogdet of the dense
Jacobian.

The transforms are written out here, on a few numbers, so that the formulas stand on their own; autoregressive, spline
and continuous flows are in `minigen.check.derivations.transforms`.
"""
import numpy as np

from minigen import ops
from minigen.check.bijections import bijection
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.quadrature import integrate
from minigen.tensor import tensor

REZENDE = "D. Rezende, S. Mohamed 2015, arXiv:1505.05770"


def _points(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@derivation("change-of-variables", "p_y(y) = p_x(T⁻¹(y)) |dT⁻¹/dy|", "standard; " + REZENDE + ", eq. (5)",
            claim=lambda p_x, dx_dy: p_x * np.abs(dx_dy))
def change_of_variables(claim):
    """The density at y = T(x), from p_x at x = T⁻¹(y) and dx/dy there. T: sinh, and −exp, which turns the axis around.

    """
    report = new_report()
    p = lambda x: np.exp(-0.5 * x ** 2) / np.sqrt(2 * np.pi)  # noqa: E731
    for name, inverse, slope, bounds in (("sinh", np.arcsinh, lambda y: 1 / np.sqrt(1 + y * y), (-np.inf, np.inf)),
                                         ("−exp", lambda y: np.log(-y), lambda y: 1 / y, (-np.inf, 0.0))):
        density = lambda y: np.asarray(claim(p(inverse(y)), slope(y)))  # noqa: E731
        total = integrate(lambda y: density(y[:, 0]), [bounds])
        report.add("", f"{name}: integrates to one", abs(total - 1), 1e-6 + total.error)
        a, b = (-0.7, 1.1) if name == "sinh" else (-1.5, -0.4)
        part, from_x = integrate(lambda y: density(y[:, 0]),
                                 [(a, b)]), integrate(lambda x: p(x[:, 0]),
                                                      [tuple(sorted((float(inverse(a)), float(inverse(b)))))])
        equal(report, f"{name}: the probability of an interval is kept", part, from_x, 1e-8)
    return report


@derivation("planar-flow", "T(z) = z + u tanh(wᵀz + b): log |det| = log |1 + uᵀψ(z)|, ψ(z) = (1 − tanh²(wᵀz + b)) w",
            REZENDE + ", eq. (11)–(12)",
            claim=lambda z, u, w, b: np.log(np.abs(1 + ((1 - np.tanh(z @ w + b) ** 2)[:, None] * w) @ u)))
def planar_flow(claim):
    """log |det| for z (N, D)."""
    z, u, w, b = _points(5, 3), np.array([0.5, -0.4, 0.3]), np.array([0.8, 0.2, -0.5]), 0.3
    T = lambda z: z + tensor(u) * ops.tanh(z @ tensor(w) + b).reshape(-1, 1)  # noqa: E731
    return bijection(T, log_det=claim(z, u, w, b), x=z)


@derivation("radial-flow", "T(z) = z + β h (z − z₀), h = 1/(α + r), r = |z − z₀|: log |det| = (D − 1) log(1 + βh) + "
                           "log(1 + βh − βr h²)", REZENDE + ", eq. (14)",
            claim=lambda z, z0, alpha, beta, r, h: (z.shape[1] - 1) * np.log(1 + beta * h)
            + np.log(1 + beta * h - beta * r * h ** 2))
def radial_flow(claim):
    """log |det| for z (N, D); r and h are (N,)."""
    z, z0, alpha, beta = _points(5, 3), np.array([0.2, -0.1, 0.4]), 0.9, 0.7
    r = np.linalg.norm(z - z0, axis=1)

    def T(z):
        difference = z - tensor(z0)
        return z + beta * difference / (alpha + ops.sqrt((difference * difference).sum(axis=1, keepdims=True)))

    return bijection(T, log_det=claim(z, z0, alpha, beta, r, 1 / (alpha + r)), x=z)


def _network(x, rows, seed=1):
    """A small fixed network (N, rows) → (N, 2): what couplings compute their parameters with."""
    rng = np.random.default_rng(seed)
    return ops.tanh(x @ tensor(rng.standard_normal((rows, 4)))) @ tensor(0.5 * rng.standard_normal((4, 2)))


@derivation("nice-coupling", "y₁ = x₁, y₂ = x₂ + m(x₁): log |det| = 0; a final scaling y = e^s x adds Σ s",
            "L. Dinh, D. Krueger, Y. Bengio 2014, arXiv:1410.8516", claim=lambda x, s: np.full(len(x), np.sum(s)))
def nice_coupling(claim):
    """log |det| of an additive coupling followed by the scaling e^s; x (N, D), s (D,)."""
    x, s = _points(5, 4), np.array([0.3, -0.2, 0.5, 0.1])

    def T(x):
        return ops.concatenate([x[:, :2], x[:, 2:] + _network(x[:, :2], 2)], axis=1) * ops.exp(tensor(s))

    def inverse(y):
        y = y * ops.exp(-tensor(s))
        return ops.concatenate([y[:, :2], y[:, 2:] - _network(y[:, :2], 2)], axis=1)

    return bijection(T, inverse, claim(x, s), x)


@derivation("realnvp-coupling", "y₁ = x₁, y₂ = x₂ e^{s(x₁)} + t(x₁): log |det| = Σ s(x₁)",
            "L. Dinh, J. Sohl-Dickstein, S. Bengio 2016, arXiv:1605.08803, eq. (6)", claim=lambda s: np.sum(s, axis=1))
def realnvp_coupling(claim):
    """log |det| from the scales s(x₁), (N, D/2)."""
    x = _points(5, 4)

    def T(x):
        s, t = _network(x[:, :2], 2, 2), _network(x[:, :2], 2, 3)
        return ops.concatenate([x[:, :2], x[:, 2:] * ops.exp(s) + t], axis=1)

    def inverse(y):
        s, t = _network(y[:, :2], 2, 2), _network(y[:, :2], 2, 3)
        return ops.concatenate([y[:, :2], (y[:, 2:] - t) * ops.exp(-s)], axis=1)

    return bijection(T, inverse, claim(_network(tensor(x[:, :2]), 2, 2).numpy()), x)


@derivation("glow-actnorm", "y = s ⊙ x + b per channel of an H × W image: log |det| = H W Σ_c log |s_c|",
            "D. Kingma, P. Dhariwal 2018, arXiv:1807.03039, table 1", claim=lambda H, W,
            s: H * W * np.sum(np.log(np.abs(s))))
def glow_actnorm(claim):
    """log |det|, one number, the same for all images (N, H, W, C); s (C,)."""
    x, s, b = _points(2, 2, 3, 2), np.array([0.7, -1.6]), np.array([0.1, 0.5])
    return bijection(lambda x: x * tensor(s) + tensor(b), lambda y: (y - tensor(b)) / tensor(s),
                     np.full(2, claim(2, 3, s)), x)


@derivation("glow-1x1-convolution", "y = x W per pixel, W = P L (U + diag(s)): log |det| = H W Σ_c log |s_c|",
            "D. Kingma, P. Dhariwal 2018, arXiv:1807.03039, eq. (9)–(11)",
            claim=lambda H, W, s: H * W * np.sum(np.log(np.abs(s))))
def glow_convolution(claim):
    """log |det|, one number, of a 1×1 convolution whose matrix is given as P L (U + diag(s)); images (N, H, W, C)."""
    rng, x = np.random.default_rng(4), _points(2, 2, 2, 3)
    P, L, U, s = np.eye(3)[[2, 0, 1]], np.tril(rng.standard_normal((3, 3)),
                                               -1) + np.eye(3), np.triu(rng.standard_normal((3, 3)), 1), np.array([1.3, -0.6, 0.8])
    matrix = P @ L @ (U + np.diag(s))
    return bijection(lambda x: x @ tensor(matrix), lambda y: y @ tensor(np.linalg.inv(matrix)),
                     np.full(2, claim(2, 2, s)), x)


@derivation("logit-preprocessing", "y = logit(λ + (1 − 2λ) x): log |det| = Σ [log(1 − 2λ) − log p − log(1 − p)], p = λ "
                                   "+ (1 − 2λ) x", "L. Dinh et al. 2016, arXiv:1605.08803, section 4.1; G. "
                                                     "Papamakarios et al. 2017, arXiv:1705.07057",
            claim=lambda x, lam: np.sum(np.log(1 - 2 * lam) - np.log(lam + (1 - 2 * lam) * x)
                                        - np.log(1 - lam - (1 - 2 * lam) * x), axis=1))
def logit_preprocessing(claim):
    """log |det| of the map that takes pixels in [0, 1] to the real line; x (N, D)."""
    x, lam = np.random.default_rng(0).uniform(0.02, 0.98, (4, 3)), 0.05
    T = lambda x: ops.logit(lam + (1 - 2 * lam) * x)  # noqa: E731
    return bijection(T, lambda y: (ops.sigmoid(y) - lam) / (1 - 2 * lam), claim(x, lam), x)
