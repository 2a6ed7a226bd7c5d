"""Plants one mistake at a time in correct derivations of every kind.

`wrong_cases` yields ``(name, run, kinds)``: ``run()`` gives the Report on a claim with a planted mistake, and ``kinds``
are the diagnoses that would be right; empty where no simple relation exists, and any diagnosis would be a guess.
"""
import itertools
from functools import partial

import numpy as np
from check.problems import PROBLEMS

import minigen as mg
from minigen import check
from minigen.distributions import Bernoulli, Normal, Table

t = mg.tensor


# ---- gradients -------------------------------------------------------------------------------------------------------
def gradient_mistakes(problem, rng):
    """Every mistake that can be planted in a gradient derived by hand."""
    whole = problem.gradients
    for k, name in enumerate(problem.names):
        g = whole[k]
        terms = {n: part[k] for n, part in problem.parts.items() if np.abs(part[k]).max() > 0}
        for what, wrong, kinds in _slips(problem, name, g, terms if len(terms) > 1 else {}, rng):
            gradients = [wrong if i == k else other for i, other in enumerate(whole)]
            yield f"{name} {what}", partial(problem.check, gradients), kinds


def _slips(problem, name, g, terms, rng):
    yield "× 2", 2 * g, {"factor"}
    yield "× ½", 0.5 * g, {"factor"}
    yield "× −1", -g, {"sign"}
    if problem.batch:
        yield "sum for mean", problem.batch * g, {"sum-for-mean"}
        yield "mean for sum", g / problem.batch, {"mean-for-sum"}
    if g.ndim == 2 and g.shape[0] == g.shape[1]:
        yield "transposed", g.T.copy(), {"transpose"}
    if g.ndim and g.shape[0] > 2 and np.ptp(g, axis=0).max() > 1e-6:
        yield "off by one", np.roll(g, 1, axis=0), {"shift"}
    yield "detached", 0 * g, {"zero", "missing-term"}
    if name in problem.unsummed:
        yield "not summed over the batch", problem.unsummed[name], {"missing-sum"}
    if name in problem.no_chain:
        yield "without its chain factor", problem.no_chain[name], {"chain-factor"}
    for n, part in terms.items():
        yield f"lacks {n}", g - part, {"missing-term"}
        yield f"has {n} twice", g + part, {"extra-term"}
        yield f"has the wrong sign of {n}", g - 2 * part, {"term-sign"}
    yield "at random", rng.standard_normal(g.shape), set()


def chain_rule_mistakes(rng):
    """Slips inside a formula, with no hint given: (f, x, wrong gradient, kinds)."""
    x, w = rng.uniform(0.3, 2.0, 6), rng.standard_normal(6)
    X, v, (A, B) = rng.standard_normal((5, 4)), rng.standard_normal(4), rng.standard_normal((2, 4, 4))
    th, e, r = np.tanh(x), np.exp(-x * x / 2), np.sqrt(x * x + 1)
    p = np.exp(x) / np.exp(x).sum()
    h, slope, centred = np.maximum(X @ A, 0), 1 - np.tanh(X @ A) ** 2, w - w.mean()
    z = (x - x.mean()) / x.std()
    chain, missing = {"chain-factor"}, {"missing-term"}
    yield "tanh² without tanh′", lambda x: (mg.tanh(x) ** 2).sum(), x, 2 * th, chain
    yield "tanh² with 1 − tanh", lambda x: (mg.tanh(x) ** 2).sum(), x, 2 * th * (1 - th), chain
    yield "e^(−x²/2) without −x", lambda x: mg.exp(-x * x / 2).sum(), x, e, chain
    yield "e^(−x²/2) without −", lambda x: mg.exp(-x * x / 2).sum(), x, x * e, {"sign"}
    yield "√(x² + 1) without 1/2√", lambda x: mg.sqrt(x * x + 1).sum(), x, 2 * x, chain
    yield "√(x² + 1) without 2x", lambda x: mg.sqrt(x * x + 1).sum(), x, 1 / (2 * r), chain
    yield "log σ with σ", lambda x: mg.log(mg.sigmoid(x)).sum(), x, 1 / (1 + np.exp(-x)), chain
    yield "sin cos, half of the product rule", lambda x: (mg.sin(x) * mg.cos(x)).sum(), x, np.cos(x) ** 2, missing
    yield "sin cos, sign", lambda x: (mg.sin(x) * mg.cos(x)).sum(), x, np.cos(x) ** 2 + np.sin(x) ** 2, {"term-sign"}
    yield "w/x² as w/x", lambda x: (t(w) / (x * x)).sum(), x, -2 * w / x ** 2, chain
    yield "x log x without 1", lambda x: (x * mg.log(x)).sum(), x, np.log(x), missing | {"offset"}
    yield "softmax taken for elementwise", lambda x: (mg.softmax(x) * t(w)).sum(), x, p * w, missing | chain
    yield "normalisation, mean detached", lambda x: (t(w) * (x - x.mean())).sum(), x, w, missing | {"offset"}
    yield "normalisation, σ detached", lambda x: (t(w) * (x - x.mean()) / x.std()).sum(), x, centred / x.std(), missing
    yield "relu without its mask", lambda A: (mg.relu(t(X) @ A) @ t(v)).sum(), A, X.T @ np.outer(np.ones(5), v), chain
    yield "relu², mask and no 2", lambda A: (mg.relu(t(X) @ A) ** 2 @ t(v)).sum(), A, X.T @ (h * v), {"factor"}
    yield "B for Bᵀ", lambda A: (mg.tanh(t(X) @ A) @ t(B)).sum(), A, X.T @ (slope * B.sum(0)), {"transpose"}
    yield "xᵢ xᵢ₊₁, one neighbour", lambda x: (x[1:] * x[:-1]).sum(), x, np.append(x[1:], 0), missing | {"shift"}
    yield "variance, 2/n", lambda x: x.var() * 6, x, x - x.mean(), {"factor"}
    yield "z², normalised", lambda x: (t(w) * ((x - x.mean()) / x.std()) ** 2).sum(), x, 2 * w * z / x.std(), missing


def formula_mistakes(rng):
    """`chain_rule_mistakes` as cases."""
    for name, f, x, wrong, kinds in chain_rule_mistakes(rng):
        yield f"formula: {name}", partial(check.gradient, f, x, claimed=wrong, order=1), kinds


def op_mistakes(rng):
    """Custom ops with wrong derivatives; nothing is claimed, the checker measures."""
    x = rng.uniform(0.5, 1.5, (3, 3))
    for name, vjp, kinds in (("half", lambda g, x: g * 1.5 * x ** 2, {"factor"}),
                             ("negative", lambda g, x: g * -3 * x ** 2, {"sign"}),
                             ("without chain factor", lambda g, x: g * 3 * x, {"chain-factor"}),
                             ("detached", lambda g, x: 0 * g * x, {"zero"}),
                             ("transposed", lambda g, x: (g * 3 * x ** 2).T, {"transpose"})):
        @mg.primitive
        def cube(xp, x):
            return x * x * x

        cube.vjp(vjp)
        yield f"op {name}", partial(check.gradient, cube, x, cotangent=np.ones((3, 3))), kinds


def jacobian_mistakes(rng):
    A, x = rng.standard_normal((3, 4)), rng.standard_normal(4)
    J = (1 - np.tanh(A @ x) ** 2)[:, None] * A
    for name, claimed, kinds in (("× 2", 2 * J, {"factor"}), ("sign", -J, {"sign"}), ("transposed", J.T, {"transpose"}),
                                 ("no chain factor", A, {"chain-factor"}),
                                 ("at random", rng.standard_normal((3, 4)), set()),
                                 ("off by one", np.roll(J, 1, axis=0), {"shift"})):
        yield f"Jacobian {name}", partial(check.jacobian, lambda x: mg.tanh(t(A) @ x), x, claimed), kinds
    B, z = rng.standard_normal((4, 4)), rng.standard_normal(4)
    H = B + B.T - np.diag(np.sin(z))
    for name, claimed, kinds in (("× ½", H / 2, {"factor"}),
                                 ("one half of it", B - np.diag(np.sin(z)) / 2, {"symmetric"}),
                                 ("diagonal only", np.diag(np.diag(H)), {"diagonal"}),
                                 ("not symmetric", rng.standard_normal((4, 4)), {"asymmetric"})):
        yield f"Hessian {name}", partial(check.hessian, lambda x: x @ t(B) @ x + mg.sin(x).sum(), z, claimed), kinds


# ---- flows and densities ---------------------------------------------------------------------------------------------
def coupling(rng):
    """(forward, inverse, scales) of an affine coupling on (N, 4)."""
    a, b = 0.5 * rng.standard_normal((2, 2)), rng.standard_normal((2, 2))

    def forward(x):
        s, m = mg.tanh(x[:, :2] @ t(a)), x[:, :2] @ t(b)
        return mg.concatenate([x[:, :2], x[:, 2:] * mg.exp(s) + m], axis=1)

    def inverse(y):
        s, m = mg.tanh(y[:, :2] @ t(a)), y[:, :2] @ t(b)
        return mg.concatenate([y[:, :2], (y[:, 2:] - m) * mg.exp(-s)], axis=1)

    return forward, inverse, lambda x: np.tanh(x[:, :2] @ a)


def bijection_mistakes(rng):
    forward, inverse, scales = coupling(rng)
    x = rng.standard_normal((5, 4))
    s = scales(x)
    for name, claimed, kinds in (("of the inverse", -s.sum(1), {"direction"}), ("not summed", s, {"missing-sum"}),
                                 ("one per batch", s.sum(), {"per-batch"}), ("× 2", 2 * s.sum(1), {"factor"}),
                                 ("the determinant itself", np.exp(s.sum(1)), {"function"}),
                                 ("averaged", s.mean(1), {"factor"}), ("at random", rng.standard_normal(5), set())):
        yield f"log-det {name}", partial(check.bijection, forward, inverse, claimed, x), kinds
    lacking = np.log(np.cosh(x))[:, 1:].sum(1)
    yield "log-det lacks a dimension", partial(check.bijection, mg.sinh, None, lacking, x), {"missing-term"}
    scale, log_det = rng.uniform(0.5, 2, 4), np.zeros(5)

    def stretch(x):
        return x * t(scale) + 1

    yield "inverse is forward", partial(check.bijection, stretch, stretch, x=x), {"direction"}
    yield "inverse adds the shift", partial(check.bijection, stretch, lambda y: (y + 1) / t(scale), x=x), {"affine"}
    log_det = np.log(scale).sum() + log_det
    yield "inverse's log-det not turned", partial(check.bijection, stretch, lambda y: ((y - 1) / t(scale), t(log_det)),
                                                  x=x), {"direction"}


def density_mistakes(rng):
    mean, log_std, half_log_2pi = rng.standard_normal(), 0.3 + 0.4 * rng.random(), 0.5 * np.log(2 * np.pi)
    sigma, line = np.exp(log_std), (-np.inf, np.inf)

    def log_p(x, variance=sigma ** 2, constant=log_std + half_log_2pi):
        return -0.5 * (x - mean) ** 2 / variance - constant

    for name, wrong in (("without ½ log 2π", partial(log_p, constant=log_std)),
                        ("without log σ", partial(log_p, constant=half_log_2pi)),
                        ("without either", partial(log_p, constant=0.0)),
                        ("with σ for σ²", partial(log_p, variance=sigma)),
                        ("× 2", partial(log_p, constant=log_std + half_log_2pi - np.log(2)))):
        yield f"density {name}", partial(check.density, wrong, bounds=line, constants={"σ": sigma}), {"constant"}
    for name, m, s, kind in (("with σ² for σ", mean, sigma ** 2, "scale"), ("shifted", mean + 0.5, sigma, "location")):
        draw = lambda n, rng, m=m, s=s: rng.normal(m, s, (n,))
        yield f"samples {name}", partial(check.density, log_p, sample=draw), {kind}
    for d, shift, stretch, kind in ((2, 0.0, 1.5, "scale"), (5, 0.2, 1.0, "location"), (5, 0.0, 0.8, "scale")):
        p = Normal(rng.standard_normal(d), 0.3 * rng.standard_normal(d))
        move = lambda x, m=p.mean, shift=shift, stretch=stretch: m + shift + stretch * (x - m)
        draw = lambda n, rng, p=p, move=move: move(p.sample(n, rng=rng))
        yield f"{d}-D samples + {shift}, × {stretch}", partial(check.density, p.log_prob, sample=draw), {kind}
    yield "5-D density without constant", partial(check.density, lambda x: p.log_prob(x) + 5 * half_log_2pi,
                                                  sample=p.sample), set()
    q, support = Bernoulli(rng.standard_normal(3) + 1), np.array(list(itertools.product((0.0, 1.0), repeat=3)))
    yield "logits averaged as a likelihood", partial(check.density, lambda x: q.log_prob(x) / 3, support=support), set()
    yield "samples of 1 − x", partial(check.density, q.log_prob, support=support, sample=lambda n,
                                      rng: 1 - q.sample(n, rng=rng)), set()


def divergence_mistakes(rng):
    m, s = 0.3 + rng.random(2), 0.2 + 0.3 * rng.random(2)
    p, q = Normal(m, s), Normal(np.zeros(2), np.zeros(2))

    def rate(m, s):
        return -0.5 * (1 + 2 * s - m ** 2 - np.exp(2 * s)).sum()

    kl, back = rate(m, s), np.sum(s + (1 + m ** 2) / (2 * np.exp(2 * s)) - 0.5)
    for name, claimed, kinds in (("halved", kl / 2, {"factor"}), ("doubled", 2 * kl, {"factor"}),
                                 ("negative", -kl, {"sign"}),
                                 ("reversed", back, {"other-divergence"}), ("in bits", kl / np.log(2), {"factor"}),
                                 ("without μ²", kl - 0.5 * np.sum(m ** 2), {"missing-term"}),
                                 ("without −½", kl + 1, {"missing-term"}),
                                 ("with half of log σ", kl + s.sum() / 2, {"term-factor"}),
                                 ("with the sign of μ² turned", kl - np.sum(m ** 2), {"term-sign"}),
                                 ("with σ for σ²", rate(m, s / 2), {"other-divergence"}),
                                 ("at random", rng.random() + 1.2345, set())):
        yield f"KL {name}", partial(check.divergence, p, q, claimed, n=4000), kinds
    fisher = np.sum((np.exp(2 * s) - 1) ** 2 / np.exp(2 * s) + m ** 2)
    yield "Fisher halved", partial(check.divergence, p, q, fisher / 2, "fisher", n=4000), {"factor"}
    a, b = [Normal(mean, log_std, event_ndim=0) for mean, log_std in ((m[0], s[0]), (0.0, 0.0))]
    squared = m[0] ** 2 + (np.exp(s[0]) - 1) ** 2
    yield "W2 squared", partial(check.divergence, a, b, squared, "w2"), {"other-divergence"}
    a, b = [Table.random(int(rng.integers(1e6)), x=5) for _ in range(2)]
    for name, kind, claimed, kinds in (("JSD without the mixture", "jsd", 0.5 * a.kl(b) + 0.5 * b.kl(a),
                                        {"other-divergence"}),
                                       ("JSD doubled", "jsd", 2 * a.jsd(b), {"factor"}),
                                       ("KL reversed", "kl", b.kl(a), {"other-divergence"}),
                                       ("cross-entropy", "kl", a.kl(b) + a.entropy(), {"other-divergence"})):
        yield f"{name} on a table", partial(check.divergence, a, b, claimed, kind), kinds


def elbo_mistakes(rng):
    p, q = Table.random(int(rng.integers(1e6)), x=4, z=3), Table.random(int(rng.integers(1e6)), z=3, x=4).given("x")
    P, Q = p.probabilities, q.probabilities.T
    reconstruction, rate = (Q * np.log(P / P.sum(0))).sum(1), (Q * np.log(Q / P.sum(0))).sum(1)
    good = reconstruction - rate
    for name, claimed, kinds in (("without KL", reconstruction, {"missing-term"}),
                                 ("with KL doubled", good - rate, {"extra-term"}),
                                 ("with KL added", reconstruction + rate, {"term-sign"}), ("negative", -good, {"sign"}),
                                 ("with KL halved", reconstruction - rate / 2, {"term-factor"}),
                                 ("without entropy", (Q * np.log(P)).sum(1), {"missing-term"}),
                                 ("is log p(x)", np.log(P.sum(1)), {"log-prob"}),
                                 ("at random", good - rng.random(4), set())):
        yield f"ELBO {name}", partial(check.elbo, p, q=q, claimed=claimed), kinds


# ---- chains, estimators, masks ---------------------------------------------------------------------------------------
def metropolis(proposal, ratio):
    """A transition matrix: propose, accept with probability min(1, ratio), else stay."""
    T = proposal * np.minimum(1, ratio)
    np.fill_diagonal(T, 0)
    return T + np.diag(1 - T.sum(1))


def chain_mistakes(rng):
    K = 5
    pi, q, even = rng.dirichlet(np.full(K, 5.0)), rng.dirichlet(np.full(K, 5.0), size=K), np.full((K, K), 1 / K)
    good = metropolis(q, pi[None] * q.T / (pi[:, None] * q))
    drift = sum(w * np.roll(np.eye(K), k, 1) for k, w in enumerate(rng.dirichlet(np.ones(K))))
    for name, T, target, kinds in (("transposed", good.T, pi, {"transpose"}),
                                   ("staying put forgotten", good - np.diag(np.diag(good)), pi, {"rows"}),
                                   ("without q(x | x′)", metropolis(q, pi[None] / pi[:, None]), pi, set()),
                                   ("with the ratio upside down", metropolis(even, pi[:, None] / pi[None]), pi,
                                    {"target"}),
                                   ("that always accepts", even, pi, {"target"}),
                                   ("with a drift", drift, even[0], {"irreversible"}),
                                   ("in two halves", np.kron(np.eye(2), np.full((2, 2), 0.5)), np.full(4, 0.25),
                                    {"reducible"}),
                                   ("of period 3", np.roll(np.eye(3), 1, 1), np.full(3, 1 / 3), {"periodic"})):
        yield f"chain {name}", partial(check.chain, T, target), kinds


def estimator_mistakes(rng):
    truth = 2 * (0.5 + rng.random())
    for name, c, kinds in (("half", 0.5, {"factor"}), ("negative", -1.0, {"sign"}), ("doubled", 2.0, {"factor"}),
                           ("zero", 0.0, {"zero"})):
        draw = lambda rng, c=c: c * (truth + rng.standard_normal((50,)).numpy().mean())
        yield f"estimator {name}", partial(check.estimator, draw, truth, n=400), kinds
    pair = np.array([truth, 1.0])
    yield "estimator biased", partial(check.estimator, lambda rng: pair + [0.3, 0.0]
                                      + 0.1 * rng.standard_normal((2,)).numpy(), pair, n=400), set()


def causality_mistakes(rng):
    D = 6
    M, x = rng.uniform(0.5, 1.5, (D, D)) * rng.choice([-1, 1], (D, D)), rng.standard_normal((2, D))
    strict, leak = np.tril(np.ones((D, D)), -1), np.zeros((D, D))
    leak[1, 4] = 1.0
    for name, mask, order, kinds in (("own input", np.tril(np.ones((D, D))), None, {"own-input"}),
                                     ("one ahead", np.tril(np.ones((D, D)), 1), None, {"look-ahead"}),
                                     ("transposed", strict.T, None, {"reversed"}),
                                     ("none", np.ones((D, D)), None, {"no-mask"}),
                                     ("one leak", strict + leak, None, {"look-ahead"}),
                                     ("another order", strict, np.arange(D)[::-1], {"reversed"})):
        f = lambda x, weights=(mask * M).T: mg.tanh(x @ t(weights))
        yield f"mask: {name}", partial(check.causality, f, x, order), kinds


OTHERS = [formula_mistakes, op_mistakes, jacobian_mistakes, bijection_mistakes, density_mistakes, divergence_mistakes,
          elbo_mistakes,
          chain_mistakes, estimator_mistakes, causality_mistakes]


def wrong_cases(seeds):
    """(name, run, kinds) of every planted mistake, for each seed."""
    for seed in seeds:
        for i, problem in enumerate(PROBLEMS):
            rng = np.random.default_rng([seed, i])
            for name, run, kinds in gradient_mistakes(problem(rng), rng):
                yield f"{problem.__name__}: {name}, seed {seed}", run, kinds
        for i, others in enumerate(OTHERS):
            for name, run, kinds in others(np.random.default_rng([seed, 100 + i])):
                yield f"{name}, seed {seed}", run, kinds
