r"""Monotone maps of one number, whose parameters a network computes.

Coupling layers and autoregressive layers do the same thing: a network reads some entries of x and tells, for each of
the others, the P parameters θ_i of an increasing map of that entry alone,

    y_i = f(x_i; θ_i),    so    log |det ∂y/∂x| = Σ_i log f′(x_i; θ_i),                                          (1)

since θ_i depends only on entries that come before x_i in some order, and the Jacobian is triangular. Here are the maps;
`minigen.flows.spline` has one more. All of them are the identity at θ = 0, where a network whose last layer is zero
starts.

    AdditiveMap      y = x + t                                                                                   (2)
    AffineMap        y = x e^s + t                                                                               (3)
    StandardiseMap   y = (x − μ) e^(−α)                                                                          (4)

(2) is of L. Dinh, D. Krueger and Y. Bengio, NICE, 2014, arXiv:1410.8516; (3) of L. Dinh, J. Sohl-Dickstein and S.
Bengio, Real NVP, 2016, arXiv:1605.08803; (4) of G. Papamakarios, T. Pavlakou and I. Murray, MAF, 2017,
arXiv:1705.07057: if x ~ N(μ, e^(2α)) then y ~ N(0, 1).

**Bounds.** A log-scale that nothing holds back grows with the input, so that for one example far from the others e^s is
infinite. Real NVP takes s = γ tanh(a) of the network's a, with a trained γ; MAF takes α = a. We let both be

    c tanh(a / c),                                                                                               (5)

with a fixed c: the slope at 0 is one, and however large a is the scale stays between e^(−c) and e^c.
"""
from minigen.ops.create import zeros_like
from minigen.ops.elementwise import exp, tanh


class ScalarMap:
    """Base class. ``parameters`` is P, how many numbers θ the map takes for each entry.

    Both directions take entries (…) and θ (…, P), and return the value and the log-slope of that direction, each (…).
    """
    parameters = 1

    def forward(self, x, theta):
        """(y, log dy/dx)."""
        raise NotImplementedError(f"{type(self).__name__}: a map must define forward(x, theta)")

    def inverse(self, y, theta):
        """(x, log dx/dy)."""
        raise NotImplementedError(f"{type(self).__name__}: a map must define inverse(y, theta)")

    def __repr__(self):
        return f"{type(self).__name__}()"


class AdditiveMap(ScalarMap):
    """Eq. (2). It preserves volume."""

    def forward(self, x, theta):
        return x + theta[..., 0], zeros_like(x)

    def inverse(self, y, theta):
        return y - theta[..., 0], zeros_like(y)


class _Bounded(ScalarMap):
    """A map with a log-scale and a shift. ``bound`` is c of Eq. (5); None: no bound."""
    parameters = 2

    def __init__(self, bound):
        if bound is not None and not bound > 0:
            raise ValueError(f"{type(self).__name__}: the bound of the log-scale must be positive, or None for none, "
                             f"got {bound}")
        self.bound = bound

    def log_scale(self, a):
        """Eq. (5)."""
        return a if self.bound is None else self.bound * tanh(a / self.bound)

    def __repr__(self):
        return f"{type(self).__name__}(bound={self.bound})"


class AffineMap(_Bounded):
    """Eq. (3), with θ = (t, a) and s by Eq. (5)."""

    def __init__(self, bound=2.0):
        super().__init__(bound)

    def forward(self, x, theta):
        t, s = theta[..., 0], self.log_scale(theta[..., 1])
        return x * exp(s) + t, s

    def inverse(self, y, theta):
        t, s = theta[..., 0], self.log_scale(theta[..., 1])
        return (y - t) * exp(-s), -s


class StandardiseMap(_Bounded):
    """Eq. (4), with θ = (μ, a) and α by Eq. (5)."""

    def __init__(self, bound=4.0):
        super().__init__(bound)

    def forward(self, x, theta):
        mu, alpha = theta[..., 0], self.log_scale(theta[..., 1])
        return (x - mu) * exp(-alpha), -alpha

    def inverse(self, y, theta):
        mu, alpha = theta[..., 0], self.log_scale(theta[..., 1])
        return y * exp(alpha) + mu, alpha
