r"""Change of variables, and the log-determinants of the simple flows, each against slogdet of the dense Jacobian.

The transforms are written out here, on a few numbers, so that the formulas stand on their own. Autoregressive, spline
and continuous flows are in `minigen.check.derivations.transforms`.
"""
import numpy as np

from minigen import ops
from minigen.check.bijections import bijection
from minigen.check.derivations.base import derivation, equal, new_report
from minigen.check.quadrature import integrate
from minigen.tensor import tensor

REZENDE = "D. Rezende, S. Mohamed 2015, arXiv:1505.05770"
DINH = "L. Dinh, J. Sohl-Dickstein, S. Bengio 2016, arXiv:1605.08803"
GLOW = "D. Kingma, P. Dhariwal 2018, arXiv:1807.03039"


def _points(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@derivation("change-of-variables", source="standard; " + REZENDE)
def change_of_variables(p_x, dx_dy):
    """p_y(y) = p_x(T⁻¹(y)) |dT⁻¹/dy|.

    The density at y = T(x), from p_x at x = T⁻¹(y) and dx/dy there.
    """
    return p_x * np.abs(dx_dy)


@change_of_variables.checked_by
def _(formula):
    """T is sinh, and −exp, which turns the axis around; x is standard normal."""
    report = new_report()

    def p(x):
        return np.exp(-0.5 * x ** 2) / np.sqrt(2 * np.pi)

    for name, inverse, slope, bounds, (a, b) in (
            ("sinh", np.arcsinh, lambda y: 1 / np.sqrt(1 + y * y), (-np.inf, np.inf), (-0.7, 1.1)),
            ("−exp", lambda y: np.log(-y), lambda y: 1 / y, (-np.inf, 0.0), (-1.5, -0.4))):
        def density(y, inverse=inverse, slope=slope):
            return np.asarray(formula(p(inverse(y[:, 0])), slope(y[:, 0])))

        total = integrate(density, [bounds])
        report.add("", f"{name}: integrates to one", abs(total - 1), 1e-6 + total.error)
        interval = tuple(sorted((float(inverse(a)), float(inverse(b)))))
        equal(report, f"{name}: the probability of an interval is kept", integrate(density, [(a, b)]),
              integrate(lambda x: p(x[:, 0]), [interval]), 1e-8)
    return report


@derivation("planar-flow", source=REZENDE + ", eq. (11)–(12)")
def planar_flow(z, u, w, b):
    """T(z) = z + u tanh(wᵀz + b) has log |det| = log |1 + uᵀψ(z)| with ψ(z) = (1 − tanh²(wᵀz + b)) w.

    log |det| (N,) for z (N, D); u and w are (D,).
    """
    psi = (1 - np.tanh(z @ w + b) ** 2)[:, None] * w
    return np.log(np.abs(1 + psi @ u))


@planar_flow.checked_by
def _(formula):
    z, u, w, b = _points(5, 3), np.array([0.5, -0.4, 0.3]), np.array([0.8, 0.2, -0.5]), 0.3

    def T(z):
        return z + tensor(u) * ops.tanh(z @ tensor(w) + b).reshape(-1, 1)

    return bijection(T, log_det=formula(z, u, w, b), x=z)


@derivation("radial-flow", source=REZENDE + ", eq. (14)")
def radial_flow(r, h, beta, D):
    """T(z) = z + β h (z − z₀), h = 1/(α + r), r = |z − z₀|: log |det| = (D − 1) log(1 + βh) + log(1 + βh − βr h²).

    log |det| (N,) from r (N,), h (N,), β and the dimension D.
    """
    return (D - 1) * np.log(1 + beta * h) + np.log(1 + beta * h - beta * r * h ** 2)


@radial_flow.checked_by
def _(formula):
    z, centre, alpha, beta = _points(5, 3), np.array([0.2, -0.1, 0.4]), 0.9, 0.7

    def T(z):
        difference = z - tensor(centre)
        r = ops.sqrt((difference * difference).sum(axis=1, keepdims=True))
        return z + beta * difference / (alpha + r)

    r = np.linalg.norm(z - centre, axis=1)
    return bijection(T, log_det=formula(r, 1 / (alpha + r), beta, 3), x=z)


def _network(x, seed):
    """A small fixed network (N, 2) → (N, 2): what couplings compute their parameters with."""
    rng = np.random.default_rng(seed)
    return ops.tanh(x @ tensor(rng.standard_normal((2, 4)))) @ tensor(0.5 * rng.standard_normal((4, 2)))


@derivation("nice-coupling", source="L. Dinh, D. Krueger, Y. Bengio 2014, arXiv:1410.8516")
def nice_coupling(x, s):
    """y₁ = x₁, y₂ = x₂ + m(x₁) has log |det| = 0, and a final scaling by e^s adds Σ s.

    log |det| (N,) of an additive coupling followed by the scaling; x (N, D), s (D,).
    """
    return np.full(len(x), np.sum(s))


@nice_coupling.checked_by
def _(formula):
    x, s = _points(5, 4), np.array([0.3, -0.2, 0.5, 0.1])

    def T(x):
        y = ops.concatenate([x[:, :2], x[:, 2:] + _network(x[:, :2], 1)], axis=1)
        return y * ops.exp(tensor(s))

    def inverse(y):
        y = y * ops.exp(-tensor(s))
        return ops.concatenate([y[:, :2], y[:, 2:] - _network(y[:, :2], 1)], axis=1)

    return bijection(T, inverse, formula(x, s), x)


@derivation("realnvp-coupling", source=DINH + ", eq. (6)")
def realnvp_coupling(s):
    """y₁ = x₁, y₂ = x₂ e^{s(x₁)} + t(x₁) has log |det| = Σ s(x₁).

    log |det| (N,) from the scales s(x₁), (N, D/2).
    """
    return np.sum(s, axis=1)


@realnvp_coupling.checked_by
def _(formula):
    x = _points(5, 4)

    def T(x):
        s, t = _network(x[:, :2], 2), _network(x[:, :2], 3)
        return ops.concatenate([x[:, :2], x[:, 2:] * ops.exp(s) + t], axis=1)

    def inverse(y):
        s, t = _network(y[:, :2], 2), _network(y[:, :2], 3)
        return ops.concatenate([y[:, :2], (y[:, 2:] - t) * ops.exp(-s)], axis=1)

    return bijection(T, inverse, formula(_network(tensor(x[:, :2]), 2).numpy()), x)


@derivation("glow-actnorm", source=GLOW + ", table 1")
def glow_actnorm(H, W, s):
    """y = s ⊙ x + b per channel of an H × W image has log |det| = H W Σ_c log |s_c|.

    log |det|, one number, the same for all images; s (C,).
    """
    return H * W * np.sum(np.log(np.abs(s)))


@glow_actnorm.checked_by
def _(formula):
    x, s, b = _points(2, 2, 3, 2), np.array([0.7, -1.6]), np.array([0.1, 0.5])                    # x: (N, H, W, C)
    return bijection(lambda x: x * tensor(s) + tensor(b), lambda y: (y - tensor(b)) / tensor(s),
                     np.full(2, formula(2, 3, s)), x)


@derivation("glow-1x1-convolution", source=GLOW + ", eq. (9)–(11)")
def glow_convolution(H, W, s):
    """y = x M per pixel with M = P L (U + diag(s)) has log |det| = H W Σ_c log |s_c|.

    log |det|, one number. P permutes, L has ones and U zeros on the diagonal; s (C,).
    """
    return H * W * np.sum(np.log(np.abs(s)))


@glow_convolution.checked_by
def _(formula):
    rng, x, s = np.random.default_rng(4), _points(2, 2, 2, 3), np.array([1.3, -0.6, 0.8])
    P = np.eye(3)[[2, 0, 1]]
    L, U = np.tril(rng.standard_normal((3, 3)), -1) + np.eye(3), np.triu(rng.standard_normal((3, 3)), 1)
    M = P @ L @ (U + np.diag(s))
    return bijection(lambda x: x @ tensor(M), lambda y: y @ tensor(np.linalg.inv(M)), np.full(2, formula(2, 2, s)), x)


@derivation("logit-preprocessing", source=DINH + ", section 4.1; G. Papamakarios et al. 2017, arXiv:1705.07057")
def logit_preprocessing(x, lam):
    """y = logit(p), p = λ + (1 − 2λ) x, has log |det| = Σ [log(1 − 2λ) − log p − log(1 − p)].

    log |det| (N,) of the map that takes pixels x (N, D) in [0, 1] to the real line.
    """
    p = lam + (1 - 2 * lam) * x
    return np.sum(np.log(1 - 2 * lam) - np.log(p) - np.log(1 - p), axis=1)


@logit_preprocessing.checked_by
def _(formula):
    x, lam = np.random.default_rng(0).uniform(0.02, 0.98, (4, 3)), 0.05
    return bijection(lambda x: ops.logit(lam + (1 - 2 * lam) * x), lambda y: (ops.sigmoid(y) - lam) / (1 - 2 * lam),
                     formula(x, lam), x)
