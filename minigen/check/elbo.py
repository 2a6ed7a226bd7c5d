r"""Check a variational bound against the identity that every bound comes from.

For a joint p(x, z) and any q(z | x),

    log p(x) = ELBO(x) + KL(q(z | x) ‖ p(z | x)),       ELBO(x) = E_q[log p(x, z) − log q(z | x)]                 (1)
                                                                = E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)).        (2)

It can be checked wherever all three parts of (1) are computable: exactly on a `Table`, and in closed form where
everything is linear and Gaussian, as in `LinearGaussian`; its marginal is p(x) = N(b, W Wᵀ + σ² I) and its posterior

    p(z | x) = N(M⁻¹ Wᵀ (x − b), σ² M⁻¹),    M = Wᵀ W + σ² I                                                    (3)

(M. Tipping, C. Bishop 1999, "Probabilistic principal component analysis").
"""
import inspect

import numpy as np

from minigen.check.compare import to_host
from minigen.check.confidence import z_threshold
from minigen.check.diagnosis import Case, diagnose
from minigen.check.report import NOTHING, Diagnosis, Element, Report
from minigen.distributions.table import Table
from minigen.primitive import no_grad
from minigen.random import as_generator
from minigen.tensor import tensor

__all__ = ["LinearGaussian", "elbo"]


class LinearGaussian:
    """z ~ N(0, I), x | z ~ N(W z + b, σ² I), q(z | x) = N(A (x − b), diag(s²)): every part of Eq. (1) in closed form.

    Args:
        W: (D, K). b: (D,). sigma: a number. A: (K, D) and s: (K,), the approximate posterior.

    Methods take x (N, D) and return NumPy arrays (N,), in nats.
    """

    def __init__(self, W, b, sigma, A, s):
        self.W, self.b, self.A, self.s = [np.asarray(to_host(v), dtype=np.float64) for v in (W, b, A, s)]
        self.sigma = float(sigma)
        self.M = self.W.T @ self.W + self.sigma ** 2 * np.eye(self.W.shape[1])

    def log_prob(self, x):
        """log p(x)."""
        covariance = self.W @ self.W.T + self.sigma ** 2 * np.eye(len(self.b))
        r = to_host(x) - self.b
        squares = np.einsum("nd,nd->n", r, np.linalg.solve(covariance, r.T).T)
        return -0.5 * (squares + np.linalg.slogdet(covariance)[1] + len(self.b) * np.log(2 * np.pi))

    def terms(self, x):
        """(E_q[log p(x | z)], KL(q ‖ p(z))): the two parts of Eq. (2)."""
        r = to_host(x) - self.b
        m = r @ self.A.T                                                              # (N, K), the mean of q
        D = len(self.b)
        squares = np.sum((r - m @ self.W.T) ** 2, axis=1) + np.sum(self.W ** 2 @ self.s ** 2)
        likelihood = -0.5 * D * np.log(2 * np.pi * self.sigma ** 2) - 0.5 * squares / self.sigma ** 2
        return likelihood, 0.5 * np.sum(m ** 2 + self.s ** 2 - 1 - 2 * np.log(self.s), axis=1)

    def elbo(self, x):
        """Eq. (2)."""
        likelihood, rate = self.terms(x)
        return likelihood - rate

    def gap(self, x):
        """KL(q ‖ p(z | x)), with the posterior of Eq. (3)."""
        r = to_host(x) - self.b
        inverse = np.linalg.inv(self.M)
        difference = r @ self.A.T - r @ self.W @ inverse
        precision = self.M / self.sigma ** 2
        _, log_det = np.linalg.slogdet(precision)
        shift = np.einsum("nk,kl,nl->n", difference, precision, difference)
        return 0.5 * (np.sum(np.diag(precision) * self.s ** 2) + shift - len(self.s)
                      - log_det - 2 * np.log(self.s).sum())


def elbo(model, x=None, q=None, claimed=None, log_prob=None, gap=None, terms=None, n=500, rng=0, false_alarm=1e-6):
    """Check that log p(x) = ELBO(x) + KL(q ‖ posterior), and that the ELBO is a lower bound.

    Args:
        model: a `Table` over observed and latent variables; or an object with ``elbo(x)`` or ``elbo(x, rng=…)`` and
            ``log_prob(x)``, and ``gap(x)`` = KL(q(z | x) ‖ p(z | x)) if it is known.
        x: for a model: the points (N, …). For a Table: not needed.
        q: for a Table: the Table q(z | x), whose conditions are the observed variables.
        claimed: your ELBO: an array, or a function of x (for a Table: an array over the values of the observed
            variables).
        log_prob, gap: functions of x that replace the model's own.
        terms: parts of your ELBO by name (arrays), so that a missing one can be named.
        n, rng, false_alarm: an ELBO that draws is averaged over n calls, and tested at this false-alarm rate.

    Returns a `Report`. Raises ValueError if parts are missing or shapes differ.
    """
    if isinstance(model, Table):
        return _table(model, q, claimed, terms or {})
    log_prob, gap = log_prob or getattr(model, "log_prob", None), gap or getattr(model, "gap", None)
    bound = claimed if claimed is not None else getattr(model, "elbo", None)
    if log_prob is None or bound is None or x is None:
        raise ValueError("elbo: needs points x, the exact log_prob(x), and an elbo(x); pass those that the model does "
                         "not have as arguments")
    point = tensor(np.asarray(to_host(x), dtype=np.float64))
    with no_grad():
        log_p = to_host(log_prob(point)).astype(np.float64)
        values, error = _average(bound, point, n, as_generator(rng))
        distance = None if gap is None else to_host(gap(point)).astype(np.float64)
    if values.shape != log_p.shape:
        raise ValueError(f"elbo: the ELBO has shape {values.shape}, log p(x) {log_p.shape}; give one number per "
                         "example")
    report = Report("variational bound")
    allowed = 1e-6 * (1 + np.abs(log_p)) + z_threshold(false_alarm, log_p.size) * error
    detail = f"{len(log_p)} examples" + (f", {n} draws each" if np.any(error) else "")
    _judge(report, values, log_p, distance, allowed, terms or {}, detail)
    return report


def _average(bound, x, n, rng):
    """(mean, standard error) of a bound: numbers, a function of x, or a function of x that draws noise."""
    if not callable(bound):
        return to_host(bound).astype(np.float64), 0.0
    if "rng" not in inspect.signature(bound).parameters:
        return to_host(bound(x)).astype(np.float64), 0.0
    draws = np.stack([to_host(bound(x, rng=rng)).astype(np.float64) for _ in range(n)])
    return draws.mean(axis=0), draws.std(axis=0, ddof=1) / np.sqrt(n)


def _judge(report, values, log_p, gap, allowed, terms, detail):
    """The bound, and the identity if the gap is known."""
    excess = values - log_p
    worst = int(np.argmax(excess / allowed))
    above = Diagnosis("not-a-bound", f"at example {worst} the ELBO is {values[worst]:.6g}, above log p(x) = "
                                     f"{log_p[worst]:.6g}")
    if gap is None:
        report.add("ELBO", "≤ log p(x)", max(excess[worst], 0.0), allowed[worst], detail, above)
        report.note("KL(q ‖ posterior) is not known, so only the bound was tested, not the identity")
        return
    ours = log_p - gap
    error = np.abs(values - ours)
    worst = int(np.argmax(error / allowed))
    elements = [Element((int(i),), values[i], ours[i]) for i in np.argsort(-error / allowed)[:4]
                if error[i] > allowed[i]]
    report.add("ELBO", "+ KL(q ‖ posterior) = log p(x)", error[worst], allowed[worst], detail,
               lambda: _why(values, ours, gap, allowed, terms), elements)


def _why(values, ours, gap, allowed, terms):
    """What is missing from an ELBO."""
    floor = float(np.max(allowed))
    found = diagnose(Case(values, ours, 1e-7, floor, terms={**terms, "KL(q ‖ posterior)": gap}))
    if found.kind == "extra-term" and "posterior" in found.text:
        return Diagnosis("log-prob", "yours is log p(x) itself, not the bound")
    if found is NOTHING and (values > ours + gap + allowed).any():
        return Diagnosis("not-a-bound", "it exceeds log p(x), so it is no lower bound; is KL(q ‖ p(z)) added where it "
                                        "should be subtracted?")
    return found


# ---- on a Table ------------------------------------------------------------------------------------------------------
def _table(joint, q, claimed, terms):
    """Every part of Eq. (1) by summing, for every value of the observed variables."""
    if not isinstance(q, Table) or set(q.names) != set(joint.variables) or not q.conditions:
        raise ValueError(f"elbo: for a Table {joint}, q must be the Table of its latent variables given the observed "
                         f"ones, such as p.given('x'); got {q}")
    observed, latent = q.conditions, q.variables
    axes = tuple(range(len(latent)))
    p = np.transpose(joint.probabilities, [joint.names.index(name) for name in q.names])              # p(z, x), z first
    weights = q.probabilities
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = lambda values: np.sum(np.where(weights > 0, weights * values, 0.0), axis=axes)  # noqa: E731
        px, pz = p.sum(axis=axes, keepdims=True), p.sum(axis=tuple(range(len(latent), p.ndim)), keepdims=True)
        log_p, bound = np.log(px)[(0,) * len(latent)], mean(np.log(p) - np.log(weights))               # Eq. (1)
        gap = mean(np.log(weights) - np.log(p / px))
        parts = {"E_q[log p(x | z)]": mean(np.log(p / pz)), "KL(q ‖ p(z))": -mean(np.log(weights) - np.log(pz)),
                 "the entropy of q": -mean(np.log(weights))}
    report = Report(f"variational bound of {joint} with q({', '.join(latent)} | {', '.join(observed)})")
    possible = np.isfinite(log_p) & np.isfinite(bound)
    detail = f"{int(possible.sum())} values of {', '.join(observed)}"
    yours = bound if claimed is None else to_host(claimed).astype(np.float64)
    if yours.shape != bound.shape:
        raise ValueError(f"elbo: your ELBO has shape {yours.shape}; it must have one number per value of "
                         f"{', '.join(observed)}, {bound.shape}")
    allowed = 1e-9 * (1 + np.abs(log_p[possible]))
    two = parts["E_q[log p(x | z)]"] + parts["KL(q ‖ p(z))"]
    report.add("ours", "Eq. (1) = Eq. (2)", float(np.abs(two - bound)[possible].max(initial=0.0)), 1e-9, detail)
    _judge(report, yours[possible], log_p[possible], gap[possible], allowed,
           {**{k: v[possible] for k, v in parts.items()}, **terms}, detail)
    report.values["mean gap"] = float(np.sum(px.reshape(gap.shape)[possible] * gap[possible]))
    return report
