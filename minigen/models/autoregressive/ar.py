r"""AR(p), the linear autoregression of a series: by maximum likelihood, least squares, and Yule and Walker's equations.

G. U. Yule, "On a Method of Investigating Periodicities in Disturbed Series", 1927; G. Walker, 1931; G. E. P. Box and G.
M. Jenkins, "Time Series Analysis", 1970. Each value is a weighted sum of the p before it, and noise:

    y_t = c + Σ_{i=1}^p φ_i y_{t−i} + ε_t,    ε_t ~ N(0, σ²).                                                   (1)

**Stationary.** Write z for the roots of z^p − φ_1 z^{p−1} − … − φ_p. A disturbance dies out like the powers of the
roots, so the series forgets where it started, and has one law for all times, exactly if

    |z| < 1 for every root.                                                                                     (2)

Then it has mean μ = c / (1 − Σ φ_i), and multiplying (1) by y_{t−k} − μ and taking expectations gives the
autocovariances γ_k = Cov[y_t, y_{t−k}], a linear system for γ_0 … γ_p and a recurrence beyond:

    γ_k = Σ_i φ_i γ_|k−i| + σ² [k = 0].                                                                         (3)

**Fitting.** Given the first p values the others have the log-density

    log p(y_{p+1}, …, y_T | y_1, …, y_p) = Σ_t log N(y_t; c + Σ_i φ_i y_{t−i}, σ²),                             (4)

whose maximum over c and φ is *least squares*, and σ² the mean squared residual. *Yule–Walker* puts the series' own
autocovariances γ̂_k = 1/T Σ_t (y_t − ȳ)(y_{t−k} − ȳ) into (3) and solves k = 1 … p for φ, then k = 0 for σ². It is a
little biased towards 0, and its solution is always stationary. `log_prob` is exact, (4) plus the log-density of the
first p values under the stationary law, a Gaussian with mean μ and covariance γ_|i−j|:

    log p(y) = log N(y_1 … y_p; μ, Γ) + (4).                                                                    (5)

**Forecast.** Unroll (1) to y_{T+h} = (something known at T) + Σ_{j<h} ψ_j ε_{T+h−j}, where

    ψ_0 = 1,    ψ_j = Σ_{i=1}^{min(j, p)} φ_i ψ_{j−i},                                                          (6)

so the best forecast follows (1) with ε = 0, and its error has the standard deviation

    std_h = σ √(Σ_{j<h} ψ_j²),                                                                                  (7)

which grows from σ to the standard deviation of the series, √γ_0. (φ and σ are taken as known.)
"""
import dataclasses
import math
import statistics

import numpy as np

import minigen as mg
from minigen import nn
from minigen.distributions import Normal
from minigen.models.base import GenerativeModel, Objective


class AR(GenerativeModel):
    """AR(p). Series are (N, T), or (T,) for `fit` and `forecast`.

        model = AR.least_squares(y, order=2)                    # or AR.yule_walker, or by gradient:
        model = AR(order=2)
        loss = -model.conditional_log_prob(y).mean()            # nats per series
        forecast = model.forecast(y, steps=20)                  # forecast.mean, forecast.interval(0.95)

    Args:
        order: p ≥ 1. length: T ≥ p of what `sample` draws.
        phi, c, std: where to start; default: white noise of variance 1.

    Attributes:
        phi: (p,), c: (), log_std: (), log σ. Parameters, float64 if phi is.

    Methods that speak of the stationary law (`log_prob`, `sample`, `autocovariance`, `mean`) raise ValueError where
    Eq. (2) does not hold.
    """

    def __init__(self, order, length=200, phi=None, c=0.0, std=1.0):
        phi = np.zeros(max(order, 0), dtype=np.float32) if phi is None else np.asarray(phi)
        if not 1 <= order <= length or phi.shape != (order,) or not std > 0:
            raise ValueError(f"AR: wants an order ≥ 1, as many φ, a length of at least that and a std > 0, got "
                             f"order={order}, φ of shape {phi.shape}, length={length}, std={std}")
        phi = phi if phi.dtype.kind == "f" else phi.astype(np.float32)
        self.order, self.length = order, length
        self.phi = nn.Parameter(mg.tensor(phi))
        self.c = nn.Parameter(mg.tensor(c, dtype=phi.dtype))
        self.log_std = nn.Parameter(mg.tensor(math.log(std), dtype=phi.dtype))

    # ---- likelihood ----------------------------------------------------------------------------------------------
    def conditional_log_prob(self, y):
        """log p(y_{p+1} … y_T | y_1 … y_p) in nats: (N, T) → (N,). Eq. (4)."""
        self._check(y)
        p, T = self.order, y.shape[1]
        past = mg.stack([y[:, p - i:T - i] for i in range(1, p + 1)], axis=-1)                 # (N, T − p, p)
        return Normal(self.c + mg.matmul(past, self.phi), self.log_std).log_prob(y[:, p:])

    def log_prob(self, y):
        """Exact log p(y) of the stationary series in nats: (N, T) → (N,). Eq. (5)."""
        rest = self.conditional_log_prob(y)
        L = mg.cholesky(self._covariance())
        z = mg.solve_triangular(L, (y[:, :self.order] - self._mean()).T, lower=True)           # (p, N)
        log_det = 2 * mg.sum(mg.log(mg.diagonal(L)))
        return rest - 0.5 * (mg.sum(z * z, axis=0) + log_det + self.order * math.log(2 * math.pi))

    def objectives(self):
        """One: minimise −log p(y_{p+1} … | y_1 … y_p) per value, which needs no stationarity on the way."""
        def loss(batch, rng):
            y = batch["x"]
            return {"loss": -self.conditional_log_prob(y).mean() / (y.shape[1] - self.order)}

        return [Objective("nll", list(self.parameters()), loss)]

    # ---- the stationary law --------------------------------------------------------------------------------------
    def roots(self):
        """Roots z of the characteristic polynomial, complex (p,), the largest first."""
        z = np.roots(np.concatenate([[1.0], -self.phi.numpy().astype(np.float64)]))
        z = np.concatenate([z, np.zeros(self.order - len(z))])                               # a trailing φ of 0: root 0
        return z[np.argsort(-np.abs(z))]

    def is_stationary(self):
        """Eq. (2)."""
        return bool(np.abs(self.roots()).max() < 1)

    def mean(self):
        """μ of the stationary law."""
        return float(self._mean())

    def autocovariance(self, lags):
        """γ_0 … γ_lags, float64 (lags + 1,). Eq. (3)."""
        gamma, phi = list(self._gamma().numpy().astype(np.float64)), self.phi.numpy().astype(np.float64)
        while len(gamma) <= lags:
            gamma.append(float(phi @ gamma[-1:-self.order - 1:-1]))
        return np.array(gamma[:lags + 1])

    def _mean(self):
        self._need_stationary()
        return self.c / (1 - mg.sum(self.phi))

    def _gamma(self):
        """γ_0 … γ_p: the linear system (3)."""
        self._need_stationary()
        p = self.order
        k, i = np.arange(p + 1)[:, None], np.arange(1, p + 1)
        places = (np.abs(k - i)[..., None] == np.arange(p + 1)).astype(self.phi.dtype)         # (k, i, lag)
        with mg.use(self.phi.backend.name):
            A = mg.eye(p + 1, dtype=self.phi.dtype) - mg.einsum("kil,i->kl", mg.tensor(places), self.phi)
            return mg.solve(A, mg.exp(2 * self.log_std) * mg.eye(p + 1, dtype=self.phi.dtype)[0])

    def _covariance(self):
        """Γ_ij = γ_|i−j|, (p, p)."""
        lag = np.abs(np.subtract.outer(np.arange(self.order), np.arange(self.order)))
        return self._gamma()[lag]

    def _need_stationary(self):
        largest = float(np.abs(self.roots()).max())
        if not largest < 1:
            raise ValueError(f"AR: the stationary law was asked for, but a root of this AR({self.order}) has modulus "
                             f"{largest:.4g}, not below 1: a disturbance would never die out; use conditional_log_prob "
                             "and forecast, which do not need it")

    # ---- generation ----------------------------------------------------------------------------------------------
    def sample(self, n, *, rng=None, labels=None, eps=None):
        """n series (n, length) of the stationary law. ``eps`` (n, length) replaces the standard normal noise."""
        if labels is not None:
            raise ValueError("AR.sample: this model knows no labels")
        with mg.no_grad():
            if eps is None:
                eps = mg.random.as_generator(rng).standard_normal((n, self.length), self.phi.dtype)
            L, p = mg.cholesky(self._covariance()), self.order
            y = [*(self._mean() + mg.matmul(eps[:, :p], L.T)).T]                               # the first p, (n,) each
            std = mg.exp(self.log_std)
            for t in range(p, self.length):
                y.append(self.c + sum(self.phi[i] * y[t - 1 - i] for i in range(p)) + std * eps[:, t])        # Eq. (1)
            return mg.stack(y, axis=1)

    def psi(self, steps):
        """ψ_0 … ψ_{steps−1}, float64: what a disturbance adds so many steps later. Eq. (6)."""
        phi, psi = self.phi.numpy().astype(np.float64), [1.0]
        for j in range(1, steps):
            psi.append(sum(phi[i] * psi[j - 1 - i] for i in range(min(j, self.order))))
        return np.array(psi[:steps])

    def forecast(self, y, steps):
        """The law of the next ``steps`` values of series (T,) or (N, T): a `Forecast`. Eqs. (1), (6) and (7)."""
        known = _series(y)
        if known.shape[-1] < self.order:
            raise ValueError(f"AR.forecast: AR({self.order}) wants at least {self.order} values to go on from, got a "
                             f"series of {known.shape[-1]}")
        phi, c = self.phi.numpy().astype(np.float64), float(self.c)
        for _ in range(steps):
            following = c + known[..., -1:-self.order - 1:-1] @ phi                            # the newest first
            known = np.concatenate([known, following[..., None]], axis=-1)
        std = math.exp(float(self.log_std)) * np.sqrt(np.cumsum(self.psi(steps) ** 2))                        # Eq. (7)
        return Forecast(known[..., known.shape[-1] - steps:], std)

    # ---- fitting in closed form ----------------------------------------------------------------------------------
    @classmethod
    def least_squares(cls, y, order, length=200):
        """The maximum of Eq. (4) over series (T,) or (N, T). Raises ValueError if they are too short."""
        y = np.atleast_2d(_series(y))
        _long_enough("AR.least_squares", y.shape[1], order, 2 * order + 2)
        past = np.stack([y[:, order - i:y.shape[1] - i] for i in range(1, order + 1)], axis=-1).reshape(-1, order)
        now = y[:, order:].ravel()
        X = np.concatenate([np.ones((len(now), 1)), past], axis=1)                             # (M, 1 + p)
        solution = np.linalg.lstsq(X, now, rcond=None)[0]
        return cls(order, length, solution[1:], solution[0], _std(((now - X @ solution) ** 2).mean()))

    @classmethod
    def yule_walker(cls, y, order, length=200):
        """Eq. (3) with the autocovariances of a series (T,) or of several, (N, T)."""
        y = np.atleast_2d(_series(y))
        T = y.shape[1]
        _long_enough("AR.yule_walker", T, order, order + 1)
        z = y - y.mean()
        gamma = np.array([(z[:, k:] * z[:, :T - k]).sum() / z.size for k in range(order + 1)])
        Gamma = gamma[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
        if not gamma[0] > 0:
            raise ValueError("AR.yule_walker: the series is constant, its autocovariances are 0; there is nothing to "
                             "fit")
        phi = np.linalg.solve(Gamma, gamma[1:])
        return cls(order, length, phi, y.mean() * (1 - phi.sum()), _std(gamma[0] - phi @ gamma[1:]))

    def _check(self, y):
        if y.ndim != 2:
            raise ValueError(f"AR: wants series (N, T), got shape {y.shape}")
        _long_enough("AR", y.shape[1], self.order, self.order + 1)

    def describe(self):
        return f"order={self.order}"


@dataclasses.dataclass(frozen=True)
class Forecast:
    """Normal laws of the values to come: mean (…, steps), std (steps,), NumPy float64."""
    mean: np.ndarray
    std: np.ndarray

    def interval(self, level=0.95):
        """(low, high): each value lies between them with this probability. Raises ValueError unless 0 < level < 1."""
        if not 0 < level < 1:
            raise ValueError(f"interval: level is a probability between 0 and 1, got {level}")
        reach = statistics.NormalDist().inv_cdf(0.5 + level / 2) * self.std
        return self.mean - reach, self.mean + reach


def _series(y):
    """Series as a float64 NumPy array."""
    y = np.asarray(y.numpy() if isinstance(y, mg.Tensor) else y, dtype=np.float64)
    if y.ndim not in (1, 2) or not np.isfinite(y).all():
        raise ValueError(f"AR: wants a series (T,) or several, (N, T), of finite numbers, got shape {y.shape}")
    return y


def _long_enough(name, T, order, least):
    if T < least:
        raise ValueError(f"{name}: a series of {T} values is too short for AR({order}), which wants at least {least}; "
                         "give a longer one, or lower the order")


def _std(variance):
    """σ, and not 0 where the fit is perfect: log σ must be a number."""
    return math.sqrt(max(float(variance), np.finfo(np.float64).tiny))
