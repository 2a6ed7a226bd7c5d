r"""Has a chain converged, and how much is it worth? All on the host, for draws x (n, N, *event) of N chains.

**Autocorrelation.** ρ_t = Cov(x_s, x_{s+t}) / Var(x), by one Fourier transform (Wiener–Khinchin).

**Effective sample size.** The variance of a mean of n dependent draws is Var(x)/n · τ with

    τ = 1 + 2 Σ_{t≥1} ρ_t,    ESS = n N / τ.                                                                  (1)

The sum of estimated ρ_t is noise after a while. Of a reversible chain ρ_{2t} + ρ_{2t+1} is positive and decreasing
(C. Geyer, 1992), so it is cut off where that first fails. ρ comes from all chains together: with W the mean variance
within them, B/n the variance between their means, and V = (n − 1)/n W + B/n,

    ρ_t = 1 − (W − mean_m Cov_t^{(m)}) / V,                                                                   (2)

so that chains which disagree have a small ESS (A. Vehtari et al., 2021, arXiv:1903.08008, eq. 10).

**R̂** compares the same two variances, with each chain cut in half, so that a drift counts too:

    R̂ = √(V / W) → 1.                                                                                        (3)

Above 1.01 the chains have not mixed (ibid.).
"""
import numpy as np

from minigen.tensor import Tensor

__all__ = ["autocorrelation", "effective_sample_size", "r_hat"]


def _draws(name, x):
    """x as float64 (n, N, D)."""
    x = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
    if x.ndim < 2 or x.shape[0] < 4:
        raise ValueError(f"{name}: wants draws (n, N, *event) with n ≥ 4 of N chains, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: {(~np.isfinite(x)).sum()} of the draws {x.shape} are not finite; the chains "
                         "diverged")
    return x.reshape(*x.shape[:2], -1).astype(np.float64)


def _autocovariance(x):
    """Cov_t of each chain and entry, (n, N, D), with 1/n as the paper has it."""
    n = len(x)
    padded = np.fft.rfft(x - x.mean(axis=0), 2 * n, axis=0)
    return np.fft.irfft(padded * padded.conj(), axis=0)[:n] / n


def autocorrelation(x, lags=None):
    """ρ_t for t = 0 … lags − 1 (by default all), averaged over the chains: (lags, *event)."""
    draws = _draws("autocorrelation", x)
    covariance = _autocovariance(draws).mean(axis=1)[:lags]
    return (covariance / covariance[0]).reshape(-1, *np.shape(x)[2:])


def effective_sample_size(x):
    """How many independent draws have the same variance of the mean as these: (*event). Eqs. (1) and (2)."""
    draws = _draws("effective_sample_size", x)
    n, N, D = draws.shape
    covariance = _autocovariance(draws)
    W = covariance[0].mean(axis=0) * n / (n - 1)
    between = draws.mean(axis=0).var(axis=0, ddof=1) if N > 1 else 0.0
    V = (n - 1) / n * W + between
    rho = 1 - (W - covariance.mean(axis=1)) / np.where(V > 0, V, 1)                                         # Eq. (2)
    rho[0] = 1
    pairs = rho[:n // 2 * 2].reshape(n // 2, 2, D).sum(axis=1)
    ended = np.logical_or.accumulate(pairs <= 0, axis=0)
    pairs = np.minimum.accumulate(np.where(ended, 0, pairs), axis=0)                      # Geyer's monotone sequence
    tau = np.maximum(2 * pairs.sum(axis=0) - 1, 1 / np.log10(max(n * N, 10)))             # and never absurdly small
    ess = np.where(V > 0, n * N / tau, 1.0)                                                                 # Eq. (1)
    return ess.reshape(np.shape(x)[2:])


def r_hat(x):
    """R̂ of each entry, (*event), Eq. (3); 1 where the chains agree, infinite where none moves and they differ."""
    draws = _draws("r_hat", x)
    half = len(draws) // 2
    halves = np.concatenate([draws[:half], draws[-half:]], axis=1)
    W, between = halves.var(axis=0, ddof=1).mean(axis=0), halves.mean(axis=0).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(((half - 1) / half * W + between) / W)                                              # Eq. (3)
    return np.where((W == 0) & (between == 0), 1.0, ratio).reshape(np.shape(x)[2:])
