r"""Divergences computed without a closed form: by a sum, by quadrature, by Monte Carlo.

    KL(p‖q)  = E_p[log p − log q]                                                                                (1)
    JSD      = ½ KL(p‖m) + ½ KL(q‖m),  m = ½ (p + q)                                                             (2)
    Fisher   = E_p |∇ log p − ∇ log q|²                                                                          (3)
    W_k      = (∫₀¹ |F⁻¹(u) − G⁻¹(u)|ᵏ du)^{1/k}  in one dimension, F and G the distribution functions           (4)
             = (E_p |x − G⁻¹(F(x))|ᵏ)^{1/k}                                                                      (5)
    W₁       = ∫ |F(x) − G(x)| dx, the same area read along the other axis                                       (6)
"""
import numpy as np

from minigen.check.compare import to_host
from minigen.check.densities import Density, support_of
from minigen.check.quadrature import Integral, integrate
from minigen.distributions import Normal, Table
from minigen.random import as_generator

__all__ = ["entropies", "exact", "monte_carlo"]

GRID = 20_001                    # points of the distribution functions in Eq. (4)


def exact(p, q, kind):
    """The divergence ("kl", "jsd", "fisher", "w1" or "w2") as an `Integral`, or None if no sum or quadrature can do it.

    Raises ValueError for a kind that is not defined on a discrete space.
    """
    support = None if isinstance(p, Table) else support_of(p)
    if isinstance(p, Table) or support is not None:
        if kind not in ("kl", "jsd"):
            raise ValueError(f"divergence: on a discrete space there is no gradient and no distance, so {kind!r} is "
                             f"not "
                             "defined; use 'kl', 'reverse_kl' or 'jsd'")
        return _table(p, q, kind) if support is None else _sum(p, q, kind, support)
    d = int(np.prod(p.event_shape))
    if d > 1 and isinstance(p, Normal) and isinstance(q, Normal) and kind in ("kl", "fisher", "w2"):
        return _entry_by_entry(p, q, kind)
    if d > 2 or kind in ("w1", "w2") and d > 1:
        return None
    return _wasserstein(p, q, 1 if kind == "w1" else 2) if kind in ("w1", "w2") else _quadrature(p, q, kind, d)


def _table(p, q, kind):
    return Integral(p.kl(q) if kind == "kl" else p.jsd(q), 1e-14)


def _sum(p, q, kind, support):
    """Over all outcomes."""
    log_p, log_q = [to_host(each.log_prob(support)).astype(np.float64) for each in (p, q)]
    return Integral(np.sum(_terms(log_p, log_q, kind)), 1e-12 * len(log_p))


def _entry_by_entry(p, q, kind):
    """For independent entries KL, Fisher and the square of W2 add up."""
    parts = []
    for each in (p, q):
        pairs = zip(to_host(each.mean).ravel(), to_host(each.log_std).ravel())
        parts.append([Normal(mean, log_std, event_ndim=0) for mean, log_std in pairs])
    values = [exact(a, b, kind) for a, b in zip(*parts)]
    total = sum(v ** 2 for v in values) ** 0.5 if kind == "w2" else sum(values)
    return Integral(total, sum(v.error for v in values))


def _terms(log_p, log_q, kind):
    """The integrand of KL or JSD; where p is 0 it contributes nothing."""
    p, q = np.exp(log_p), np.exp(log_q)
    with np.errstate(invalid="ignore"):
        if kind == "kl":
            return np.where(p > 0, p * (log_p - log_q), 0.0)                                                # Eq. (1)
        log_m = np.logaddexp(log_p, log_q) - np.log(2)
        above, below = np.where(p > 0, p * (log_p - log_m), 0.0), np.where(q > 0, q * (log_q - log_m), 0.0)
        return 0.5 * above + 0.5 * below                                                                    # Eq. (2)


def _draws(distributions, d, n=4000):
    """Where the mass is."""
    return np.concatenate([to_host(each.sample(n, rng=0)).reshape(n, d) for each in distributions]).astype(np.float64)


def _quadrature(p, q, kind, d):
    """Eq. (1) to (3) over the line or the plane."""
    draws = _draws((p, q) if kind == "jsd" else (p,), d)
    centre, scale = np.median(draws, axis=0), np.ptp(np.quantile(draws, [0.1, 0.9], axis=0), axis=0) + 1e-300
    f, g = Density("divergence", p), Density("divergence", q)

    def integrand(x):
        if kind == "fisher":
            return f.probability(x) * np.sum((f.score(x) - g.score(x)) ** 2, axis=1)                        # Eq. (3)
        return _terms(f(x), g(x), kind)

    with np.errstate(all="ignore"):
        return integrate(integrand, [(-np.inf, np.inf)] * d, centre, scale)


def _wasserstein(p, q, k):
    """Eq. (5) and (6), from the distribution functions on a grid that reaches far into the tails."""
    draws = _draws((p, q), 1)
    low, high = draws.min(), draws.max()
    x = np.linspace(low - 1.5 * (high - low), high + 1.5 * (high - low), GRID)
    h = x[1] - x[0]
    f, g = Density("divergence", p), Density("divergence", q)
    F, G = _distribution_function(f, x, h), _distribution_function(g, x, h)
    if k == 1:
        return Integral(np.trapezoid(np.abs(F - G), dx=h), 1e-6 * (high - low))                             # Eq. (6)
    inside = (F > 1e-13) & (F < 1 - 1e-13)
    rising = np.concatenate([[True], np.diff(G) > 0])
    partner = np.interp(F[inside], G[rising], x[rising])                         # G⁻¹(F(x)): where x is carried
    square = np.trapezoid((x[inside] - partner) ** 2 * f.probability(x[inside][:, None]), dx=h)             # Eq. (5)
    return Integral(np.sqrt(square), 1e-5 * np.sqrt(square) + 1e-9 * (high - low))


def _distribution_function(p, x, h):
    """∫_{−∞}^x p on a grid, by Simpson's rule in every interval."""
    f, middle = p.probability(x[:, None]), p.probability((x[:-1] + h / 2)[:, None])
    return np.concatenate([[0.0], np.cumsum(h / 6 * (f[:-1] + 4 * middle + f[1:]))])


def entropies(p, q):
    """(entropy of p, cross-entropy −E_p[log q]), or None each."""
    if isinstance(p, Table):
        return p.entropy(), p.kl(q) + p.entropy()
    try:
        entropy = float(to_host(p.entropy()))
    except NotImplementedError:
        return None, None
    kl = exact(p, q, "kl")
    return entropy, None if kl is None else kl + entropy


def monte_carlo(p, q, kind, n, rng):
    """(estimate, standard error) from n draws of p (and of q for the JSD); None for a distance, or on a Table."""
    if isinstance(p, Table) or kind in ("w1", "w2") or kind == "fisher" and support_of(p) is not None:
        return None
    rng = as_generator(rng)

    def log_density(each, x):
        return to_host(each.log_prob(x)).astype(np.float64)

    x = p.sample(n, rng=rng)
    if kind == "jsd":
        parts = []
        for each, draws in ((p, x), (q, q.sample(n, rng=rng))):
            log_p, log_q = log_density(p, draws), log_density(q, draws)
            parts.append(log_density(each, draws) - np.logaddexp(log_p, log_q) + np.log(2))
        return 0.5 * sum(v.mean() for v in parts), 0.5 * np.sqrt(sum(v.var() / n for v in parts))
    if kind == "fisher":
        points = to_host(x).reshape(n, -1).astype(np.float64)
        values = np.sum((Density("divergence", p).score(points) - Density("divergence", q).score(points)) ** 2, axis=1)
    else:
        values = log_density(p, x) - log_density(q, x)
    return values.mean(), values.std() / np.sqrt(n)
