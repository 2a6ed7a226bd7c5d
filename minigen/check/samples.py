r"""Do samples come from a density? Pearson's χ² in few dimensions, Stein's identities in many.

For every p that falls off smoothly on all of ℝᵈ, with the score s = ∇ log p,

    E[s_i] = 0,        E[s_i (x_j − m_j)] = −δ_ij        for any constant m.                                     (1)

Proof: s_i p = ∂p/∂x_i; integrate by parts. For a Gaussian −E[s_i (x_i − m_i)] is the variance of the samples over that
of p, so a failure reads as "too wide by …". Each test is made at a stated false-alarm rate: the chance to accuse a
right sampler.
"""
import numpy as np

from minigen.check.confidence import chi_square_threshold, z_threshold
from minigen.check.quadrature import integrate
from minigen.check.report import Diagnosis

__all__ = ["chi_square", "compare_moments", "stein"]


def chi_square(report, counts, probability, false_alarm, why):
    """Pearson's χ² of counts against probabilities; cells that expect fewer than 5 draws are pooled."""
    expected = counts.sum() * probability
    order = np.argsort(expected)
    rare = int(np.searchsorted(np.cumsum(expected[order]), 5.0)) + 1 if expected.min() < 5 else 0
    few, many = order[:rare], order[rare:]
    o, e = counts[many].astype(float), expected[many]
    if rare:
        o, e = np.append(o, counts[few].sum()), np.append(e, expected[few].sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = float(np.sum(np.where(e > 0, (o - e) ** 2 / e, np.where(o > 0, np.inf, 0.0))))
    threshold = chi_square_threshold(false_alarm, len(o) - 1)
    detail = f"{int(counts.sum())} draws, {len(o)} cells, false alarms {false_alarm:g}"
    report.add("sample", "follows log_prob (χ²)", statistic, threshold, detail, why, statistical=True)


def compare_moments(p, draws, bounds, centre, scale, total):
    """How mean and standard deviation of the draws (n, d) differ from those of a density in one or two dimensions."""
    sentences, kind = [], "none"
    for a in range(draws.shape[1]):
        def expect(f, a=a):
            return integrate(lambda x: f(x[:, a]) * p.probability(x), bounds, centre, scale, rtol=1e-7) / total

        mean = expect(lambda x: x)
        std = np.sqrt(expect(lambda x, mean=mean: (x - mean) ** 2))
        seen, spread = draws[:, a].mean(), draws[:, a].std()
        error = 5 * std / np.sqrt(len(draws))
        where = f" in dimension {a}" if draws.shape[1] > 1 else ""
        if abs(spread / std - 1) > 0.03:
            kind = "scale"
            sentences.append(f"the samples' standard deviation{where} is {spread:.4g}, the density's {std:.4g}"
                             + _resembles(spread, std))
        elif abs(seen - mean) > error:
            kind = "location" if kind == "none" else kind
            turned = "; its sign is turned" if abs(seen + mean) < error else ""
            sentences.append(f"the samples' mean{where} is {seen:.4g}, the density's {mean:.4g}{turned}")
    return Diagnosis(kind, "; ".join(sentences) or "mean and standard deviation agree; the shape differs")


def _resembles(spread, std):
    """What was taken for the standard deviation, if it looks like something."""
    guesses = {"the square of that (the variance taken for it?)": std ** 2, "the root of that": np.sqrt(std),
               "twice that": 2 * std, "half of that": std / 2}
    return next((f"; about {text}" for text, value in guesses.items() if abs(spread / value - 1) < 0.03), "")


def stein(report, p, draws, false_alarm):
    """z-tests of Stein's identities, Eq. (1), at a joint false-alarm rate. Draws are (n, d)."""
    half = len(draws) // 2
    m, x = draws[:half].mean(axis=0), draws[half:]                # m from the other half, so that it is a constant
    n, d = x.shape
    s = p.score(x)
    identities = {("location", i, i): s[:, i] for i in range(d)}
    for i in range(d):
        for j in range(d) if d <= 8 else (i,):
            kind = "scale" if i == j else "correlation"
            identities[kind, i, j] = s[:, i] * (x[:, j] - m[j]) + (i == j)
    z = {key: v.mean() / max(v.std() / np.sqrt(n), 1e-300) for key, v in identities.items()}
    kind, i, j = max(z, key=lambda key: abs(z[key]))
    value = identities[kind, i, j].mean()
    text = {"location": f"the samples are shifted against the density in dimension {i} (E[∂ log p/∂x_{i}] = "
                        f"{value:.3g}, and should be 0)",
            "scale": f"in dimension {i} the samples' variance is about {1 - value:.3g} times that of the density",
            "correlation": f"dimensions {i} and {j} are correlated otherwise than in the density"}[kind]
    threshold = z_threshold(false_alarm, len(identities))
    detail = f"{n} draws, {len(identities)} identities, false alarms {false_alarm:g}"
    report.add("sample", "follows log_prob (Stein)", abs(z[kind, i, j]), threshold, detail, Diagnosis(kind, text),
               statistical=True)
