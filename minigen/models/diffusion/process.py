r"""The forward process: data dissolves into noise, step by step, and every step is known in closed form.

J. Sohl-Dickstein et al., "Deep Unsupervised Learning using Nonequilibrium Thermodynamics", 2015, arXiv:1503.03585; J.
Ho, A. Jain and P. Abbeel, "Denoising Diffusion Probabilistic Models", 2020, arXiv:2006.11239; the cosine schedule is
from A. Nichol and P. Dhariwal, "Improved Denoising Diffusion Probabilistic Models", 2021, arXiv:2102.09672; v from T.
Salimans and J. Ho, "Progressive Distillation for Fast Sampling of Diffusion Models", 2022, arXiv:2202.00512.

**One step**, for t = 1 … T and variances 0 < β_t < 1, from z_0 = x, the data:

    q(z_t|z_{t−1}) = N(z_t; √(1 − β_t) z_{t−1}, β_t I).                                                          (1)

It keeps unit variance: (1 − β_t) · 1 + β_t = 1. **All steps at once.** Let α_t = 1 − β_t and ᾱ_t = α_1 ⋯ α_t, with
ᾱ_0 = 1. Sums of independent Gaussians are Gaussian, and if z_{t−1} has variance 1 − ᾱ_{t−1} around √ᾱ_{t−1} x, then
(1) makes of it α_t (1 − ᾱ_{t−1}) + β_t = 1 − ᾱ_t around √ᾱ_t x. By induction

    q(z_t|x) = N(z_t; √ᾱ_t x, (1 − ᾱ_t) I),    that is    z_t = √ᾱ_t x + √(1 − ᾱ_t) ε,    ε ~ N(0, I).          (2)

The signal-to-noise ratio falls with every step, since ᾱ_t does:

    SNR(t) = ᾱ_t / (1 − ᾱ_t).                                                                                    (3)

**One step back, if x is known.** By Bayes' rule q(z_{t−1}|z_t, x) ∝ q(z_t|z_{t−1}) q(z_{t−1}|x). Both factors are
Gaussian in z_{t−1}; precisions add, α_t/β_t + 1/(1 − ᾱ_{t−1}) = (1 − ᾱ_t) / (β_t (1 − ᾱ_{t−1})), and means average by
precision:

    q(z_{t−1}|z_t, x) = N(z_{t−1}; μ̃_t(z_t, x), β̃_t I),    β̃_t = β_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t),                  (4)
    μ̃_t(z_t, x) = √ᾱ_{t−1} β_t / (1 − ᾱ_t) · x + √α_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t) · z_t.                            (5)

At t = 1 it is x itself: β̃_1 = 0.

**Three names for one thing.** Given z_t, (2) ties x and ε to each other, so a network may tell either, or the mixture
v:

    v = √ᾱ_t ε − √(1 − ᾱ_t) x,                                                                                   (6)
    x = (z_t − √(1 − ᾱ_t) ε) / √ᾱ_t = √ᾱ_t z_t − √(1 − ᾱ_t) v,                                                   (7)
    ε = (z_t − √ᾱ_t x) / √(1 − ᾱ_t) = √(1 − ᾱ_t) z_t + √ᾱ_t v.                                                   (8)

(z_t, v) is (x, ε) turned by the angle arccos √ᾱ_t, which is why its inverse is as simple. An error in ε is an error
√(1 − ᾱ_t)/√ᾱ_t times as large in x, much at large t; v has no such trouble at either end.
"""
from numbers import Integral

import numpy as np

from minigen.distributions import Normal
from minigen.nn import Module
from minigen.ops.create import full_like, zeros_like
from minigen.ops.index import take
from minigen.tensor import Tensor, tensor

PREDICTIONS = ("eps", "x", "v")


# ---- schedules -------------------------------------------------------------------------------------------------------
def linear_schedule(T=1000, first=1e-4, last=0.02):
    """β_1 … β_T on a straight line, (T,) float64 (Ho et al., section 4).

    ``first`` and ``last`` are meant for T = 1000. For another T they are multiplied by 1000 / T, and cut at 0.999, so
    that ᾱ_T stays small. Raises ValueError unless T is an integer ≥ 1.
    """
    return np.minimum(np.linspace(first, last, _steps("linear_schedule", T)) * (1000 / T), 0.999)


def cosine_schedule(T=1000, s=0.008, largest=0.999):
    """β_t = min(1 − ᾱ_t / ᾱ_{t−1}, largest) with ᾱ_t ∝ cos²(½π (t/T + s) / (1 + s)), (T,) float64.

    Noise comes more slowly at both ends than with `linear_schedule` (Nichol and Dhariwal, Eq. 17). Raises ValueError
    unless T is an integer ≥ 1.
    """
    alpha_bar = np.cos(0.5 * np.pi * (np.arange(_steps("cosine_schedule", T) + 1) / T + s) / (1 + s)) ** 2
    return np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], largest)


def _steps(name, T):
    if not isinstance(T, Integral) or T < 1:
        raise ValueError(f"{name}: T, the number of steps, must be an integer ≥ 1, got {T}")
    return int(T)


# ---- the process -----------------------------------------------------------------------------------------------------
class ForwardProcess(Module):
    """q(z_1, …, z_T | x) for variances β_1 … β_T.

        process = ForwardProcess(cosine_schedule(200))
        z = process.marginal(x, 50).sample(rng=rng)        # x dissolved by 50 steps

    ``t`` is everywhere an int, or integers (N,), one for each example of a batch. Out of range it raises ValueError,
    except inside a Tensor on a GPU, which is not waited for.

    Args:
        beta: (T,) numbers between 0 and 1.

    Attributes (all float64 NumPy arrays (T + 1,), so that index t is the papers' t, and 0 is the data):
        beta, alpha_bar: β_t and ᾱ_t; β_0 = 0, ᾱ_0 = 1.
        snr: Eq. (3); infinite at 0.
        beta_tilde: β̃_t, Eq. (4); 0 at t = 1.

    Raises ValueError for an empty schedule, or one with a β outside (0, 1).
    """

    def __init__(self, beta):
        beta = np.asarray(beta, dtype=np.float64)
        if beta.ndim != 1 or not len(beta):
            raise ValueError(f"ForwardProcess: wants β_1 … β_T with T ≥ 1, got an array of shape {beta.shape}")
        if not np.all((beta > 0) & (beta < 1)):
            t = int(np.argmin((beta > 0) & (beta < 1)))
            raise ValueError(f"ForwardProcess: every β_t must lie between 0 and 1, got β_{t + 1} = {beta[t]}")
        self.T = len(beta)
        self.beta = np.concatenate([[0.0], beta])
        self.alpha_bar = np.cumprod(1 - self.beta)
        self.signal, self.noise = np.sqrt(self.alpha_bar), np.sqrt(1 - self.alpha_bar)
        now, before = 1 - self.alpha_bar[1:], 1 - self.alpha_bar[:-1]
        with np.errstate(divide="ignore"):
            self.snr = self.alpha_bar / (1 - self.alpha_bar)                                             # Eq. (3)
            self.beta_tilde = np.concatenate([[0.0], beta * before / now])                               # Eq. (4)
            tables = {"keep": np.sqrt(1 - self.beta), "log_std_step": 0.5 * np.log(self.beta),
                      "signal": self.signal, "noise": self.noise, "log_std": np.log(self.noise),
                      "from_x": np.concatenate([[0.0], self.signal[:-1] * beta / now]),                  # Eq. (5)
                      "from_z": np.concatenate([[0.0], np.sqrt(1 - beta) * before / now]),               # Eq. (5)
                      "log_std_posterior": 0.5 * np.log(self.beta_tilde)}
        # β̃_1 = 0 is no variance for a density; where one is needed β̃_2 stands in, as in Nichol and Dhariwal's code.
        second = tables["log_std_posterior"][2] if self.T > 1 else tables["log_std_step"][1]
        tables["log_std_small"] = np.concatenate([[-np.inf, second], tables["log_std_posterior"][2:]])
        self._host = tables
        self._tables = {name: tensor(values) for name, values in tables.items()}

    def at(self, name, t, x):
        """Entry t of a table, to be multiplied with x (N, …): a float for an int t, else (N, 1, …, 1) in x's dtype."""
        if isinstance(t, Integral):
            return float(self._host[name][t])
        return take(self._tables[name], t).astype(x.dtype).reshape((-1,) + (1,) * (x.ndim - 1))

    def times(self, t, x, first=1):
        """``t`` checked: an int, or a Tensor (N,) for x (N, …). Raises ValueError unless all are in first … T."""
        if isinstance(t, Integral):
            t = int(t)
            low = high = t
        else:
            t = t if isinstance(t, Tensor) else tensor(np.asarray(t))
            if t.shape != x.shape[:1] or t.dtype.kind not in "iu":
                raise ValueError(f"ForwardProcess: t is an int or integers ({x.shape[0]},), one for each example; got "
                                 f"{t.dtype} of shape {t.shape}")
            low, high = (int(t.min()), int(t.max())) if t.device == "cpu" and t.size else (first, self.T)
        if low < first or high > self.T:
            raise ValueError(f"ForwardProcess: t must lie in {first} … {self.T}, got {low}"
                             + (f" … {high}" if high != low else ""))
        return t

    # ---- its distributions ---------------------------------------------------------------------------------------
    def step(self, z, t):
        """q(z_t|z_{t−1}), a Normal, for z_{t−1} (N, *event). Eq. (1)."""
        t = self.times(t, z)
        return isotropic(self.at("keep", t, z) * z, self.at("log_std_step", t, z))

    def marginal(self, x, t):
        """q(z_t|x), a Normal, for x (N, *event) and t in 0 … T. Eq. (2)."""
        t = self.times(t, x, first=0)
        return isotropic(self.at("signal", t, x) * x, self.at("log_std", t, x))

    def diffuse(self, x, t, eps):
        """z_t for x (N, *event) and noise ε of x's shape. Eq. (2)."""
        t = self.times(t, x, first=0)
        return self.at("signal", t, x) * x + self.at("noise", t, x) * eps

    def posterior(self, z, x, t):
        """q(z_{t−1}|z_t, x), a Normal, for z_t and x (N, *event). Eq. (4). At t = 1 it is x, with log_std = −∞."""
        t = self.times(t, z)
        return isotropic(self.posterior_mean(z, x, t), self.at("log_std_posterior", t, z))

    def posterior_mean(self, z, x, t):
        """μ̃_t(z_t, x). Eq. (5)."""
        return self.at("from_x", t, z) * x + self.at("from_z", t, z) * z

    # ---- the three names -----------------------------------------------------------------------------------------
    def target(self, prediction, x, eps, t):
        """What a network that predicts "eps", "x" or "v" should say of z_t = √ᾱ_t x + √(1 − ᾱ_t) ε. Eq. (6)."""
        if prediction == "v":
            return self.at("signal", t, x) * eps - self.at("noise", t, x) * x
        return eps if prediction == "eps" else x

    def to_x(self, prediction, output, z, t):
        """x̂ from what a network says of z_t. Eq. (7)."""
        if prediction == "x":
            return output
        if prediction == "v":
            return self.at("signal", t, z) * z - self.at("noise", t, z) * output
        return (z - self.at("noise", t, z) * output) / self.at("signal", t, z)

    def to_eps(self, prediction, output, z, t):
        """ε̂ from what a network says of z_t. Eq. (8)."""
        if prediction == "eps":
            return output
        if prediction == "v":
            return self.at("noise", t, z) * z + self.at("signal", t, z) * output
        return (z - self.at("signal", t, z) * output) / self.at("noise", t, z)

    # ---- its end -------------------------------------------------------------------------------------------------
    def prior(self, like):
        """N(0, I) over the event of ``like`` (N, *event), where z_T ends."""
        return isotropic(zeros_like(like), 0.0)

    def describe(self):
        return f"T={self.T}, ᾱ_T={self.alpha_bar[-1]:.2g}"


def isotropic(mean, log_std):
    """The Normal over events of mean (N, *event), with log σ a float or a Tensor that broadcasts to it."""
    log_std = log_std if isinstance(log_std, Tensor) else full_like(mean, log_std)                     # keeps float64
    return Normal(mean, log_std, event_ndim=mean.ndim - 1)
