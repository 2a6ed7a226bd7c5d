"""Correct derivations, and a generator that plants one mistake in them.

`wrong_cases` yields ``(name, run, kinds)``: ``run()`` gives the Report of a claim with a planted mistake, and ``kinds``
are the diagnoses that would be right, or None where no simple relation exists (a caught mistake is enough, and anything
but "none" would be a guess). `right_cases` yields ``(name, run)`` with nothing wrong in them.
"""
import itertools

import numpy as np

import minigen as mg
from minigen import check
from minigen.distributions import Bernoulli, Categorical, Normal, Table

t = mg.tensor


class Problem:
    """A scalar function, a point, and its gradient derived by hand in NumPy.

    Attributes: ``f``, ``point``, ``names``, ``parts`` (name -> gradients of that term, which sum to the whole),
    ``unsummed`` (input -> its gradient before the sum over the batch), ``no_chain`` (input -> gradient without its
    chain factor), ``batch`` (N, or None).
    """

    def __init__(self, f, point, names, parts, unsummed=None, no_chain=None, batch=None, terms=None):
        self.f, self.point, self.names, self.parts = f, point, names, parts
        self.unsummed, self.no_chain, self.batch, self.terms = unsummed or {}, no_chain or {}, batch, terms or {}

    @property
    def gradients(self):
        return [sum(part[k] for part in self.parts.values()) for k in range(len(self.point))]

    def check(self, gradients, **options):
        return check.gradient(self.f, *self.point, claimed=tuple(gradients), names=self.names, terms=self.terms,
                              order=1, **options)


# ---- gradients derived by hand ---------------------------------------------------------------------------------------
def least_squares(rng):
    N, D, K = 7, 4, 4
    X, Y, W, b = rng.standard_normal((N, D)), rng.standard_normal((N,
                                                                   K)), rng.standard_normal((D, K)), rng.standard_normal(K)
    r = X @ W + b - Y
    data = lambda W, b: ((t(X) @ W + b - t(Y)) ** 2).sum() / N
    decay = lambda W, b: 0.3 * (W * W).sum()
    return Problem(lambda W, b: data(W, b) + decay(W, b), (W, b), ["W", "b"],
                   {"data": [2 * X.T @ r / N, 2 * r.sum(0) / N], "decay": [0.6 * W, np.zeros(K)]},
                   unsummed={"b": 2 * r / N}, batch=N, terms={"data": data, "decay": decay})


def tanh_regression(rng):
    N, D = 9, 5
    X, y, w, b = rng.standard_normal((N, D)), rng.standard_normal(N), rng.standard_normal(D), np.array(0.3)
    h = np.tanh(X @ w + b)
    r, slope = 2 * (h - y) / N, 1 - h * h
    return Problem(lambda w, b: ((mg.tanh(t(X) @ w + b) - t(y)) ** 2).mean(), (w, b), ["w", "b"],
                   {"loss": [X.T @ (r * slope), np.sum(r * slope)]},
                   unsummed={"w": X * (r * slope)[:, None], "b": r * slope}, no_chain={"w": X.T @ r, "b": np.sum(r)},
                   batch=N)


def logistic_regression(rng):
    N, D = 8, 3
    X, y, w = rng.standard_normal((N, D)), (rng.random(N) < 0.5) * 1.0, rng.standard_normal(D)
    s = 1 / (1 + np.exp(-X @ w))
    data = lambda w: mg.bce_with_logits(t(X) @ w, t(y)).mean()
    decay = lambda w: 0.05 * (w ** 2).sum()
    return Problem(lambda w: data(w) + decay(w), (w,), ["w"], {"data": [X.T @ (s - y) / N], "decay": [0.1 * w]},
                   batch=N, terms={"data": data, "decay": decay})


def brier_score(rng):
    N, D = 6, 3
    X, y, w = rng.standard_normal((N, D)), (rng.random(N) < 0.5) * 1.0, rng.standard_normal(D)
    s = 1 / (1 + np.exp(-X @ w))
    return Problem(lambda w: ((mg.sigmoid(t(X) @ w) - t(y)) ** 2).sum(), (w,), ["w"],
                   {"loss": [X.T @ (2 * (s - y) * s * (1 - s))]},
                   unsummed={"w": X * (2 * (s - y) * s * (1 - s))[:, None]}, no_chain={"w": X.T @ (2 * (s - y))})


def softmax_regression(rng):
    N, D, K = 6, 5, 5
    X, W, labels = rng.standard_normal((N, D)), rng.standard_normal((D, K)), rng.integers(0, K, N)
    z = X @ W
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return Problem(lambda W: mg.cross_entropy(t(X) @ W, t(labels), "mean"), (W,), ["W"],
                   {"p": [X.T @ p / N], "onehot": [-X.T @ np.eye(K)[labels] / N]}, batch=N,
                   terms={"p": X.T @ p / N, "onehot": -X.T @ np.eye(K)[labels] / N})


def gaussian_nll(rng):
    N, D = 5, 3
    x, mean, log_std = rng.standard_normal((N, D)), rng.standard_normal(D), 0.4 * rng.standard_normal(D)
    eps, sigma = (x - mean) / np.exp(log_std), np.exp(log_std)
    return Problem(lambda mean, log_std: -Normal(mean, log_std).log_prob(t(x)).sum(), (mean, log_std),
                   ["mean", "log_std"],
                   {"squares": [-(eps / sigma).sum(0), -(eps ** 2).sum(0)],
                    "log σ": [np.zeros(D), np.full(D, float(N))]},
                   unsummed={"mean": -eps / sigma}, no_chain={"mean": -eps.sum(0)},
                   terms={"squares": lambda mean, log_std: 0.5 * (((t(x) - mean) * mg.exp(-log_std)) ** 2).sum(),
                          "log σ": lambda mean, log_std: N * log_std.sum()})


def vae_rate(rng):
    mu, s = rng.standard_normal((4, 3)), 0.5 * rng.standard_normal((4, 3))
    parts = {"μ²": [mu, np.zeros_like(s)], "σ²": [np.zeros_like(mu), np.exp(2 * s)],
             "log σ²": [np.zeros_like(mu), -np.ones_like(s)]}
    return Problem(lambda mu, s: -0.5 * (1 + 2 * s - mu ** 2 - mg.exp(2 * s)).sum(), (mu, s), ["mu", "log_std"], parts,
                   terms={name: tuple(part) for name, part in parts.items()})


def quadratic(rng):
    A, b, x = rng.standard_normal((5, 5)), rng.standard_normal(5), rng.standard_normal(5)
    return Problem(lambda x: x @ t(A) @ x + t(b) @ x, (x,), ["x"], {"A x": [A @ x], "Aᵀ x": [A.T @ x], "b": [b]},
                   terms={"A x": A @ x, "Aᵀ x": A.T @ x, "b": b})


def roughness(rng):
    x = rng.standard_normal(8)
    d = np.diff(x)
    return Problem(lambda x: ((x[1:] - x[:-1]) ** 2).sum(), (x,), ["x"],
                   {"ahead": [np.append(-2 * d, 0)], "behind": [np.append(0, 2 * d)]},
                   terms={"ahead": np.append(-2 * d, 0), "behind": np.append(0, 2 * d)})


def log_det(rng):
    A = rng.standard_normal((4, 4)) + 3 * np.eye(4)
    return Problem(lambda A: mg.slogdet(A)[1], (A,), ["A"], {"whole": [np.linalg.inv(A).T]})


def two_layers(rng):
    N, D = 5, 4
    X, W1, w2 = rng.standard_normal((N, D)), rng.standard_normal((D, D)), rng.standard_normal(D)
    h = np.tanh(X @ W1)
    back = np.outer(2 * (h @ w2) / N, w2)
    return Problem(lambda W1, w2: ((mg.tanh(t(X) @ W1) @ w2) ** 2).mean(), (W1, w2), ["W1", "w2"],
                   {"loss": [X.T @ (back * (1 - h * h)), h.T @ (2 * (h @ w2) / N)]},
                   no_chain={"W1": X.T @ back}, batch=N)


def entropy(rng):
    z = rng.standard_normal(6)
    p = np.exp(z) / np.exp(z).sum()
    H = -np.sum(p * np.log(p))
    return Problem(lambda z: -(mg.softmax(z) * mg.log_softmax(z)).sum(), (z,), ["z"],
                   {"−p log p": [-p * np.log(p)], "−p H": [-p * H]}, terms={"−p log p": -p * np.log(p), "−p H": -p * H})


PROBLEMS = [least_squares, tanh_regression, logistic_regression, brier_score, softmax_regression, gaussian_nll,
            vae_rate, quadratic, roughness, log_det, two_layers, entropy]


def gradient_mistakes(problem, rng):
    """Every mistake that can be planted in this problem: (name, gradients, kinds)."""
    whole = problem.gradients
    for k, name in enumerate(problem.names):
        def put(value, k=k):
            return [value if i == k else g for i, g in enumerate(whole)]

        g = whole[k]
        yield f"{name} × 2", put(2 * g), {"factor"}
        yield f"{name} × ½", put(0.5 * g), {"factor"}
        yield f"{name} × −1", put(-g), {"sign"}
        if problem.batch:
            yield f"{name} sum for mean", put(problem.batch * g), {"sum-for-mean"}
            yield f"{name} mean for sum", put(g / problem.batch), {"mean-for-sum"}
        if g.ndim == 2 and g.shape[0] == g.shape[1]:
            yield f"{name} transposed", put(g.T.copy()), {"transpose"}
        if g.ndim and g.shape[0] > 2 and np.ptp(g, axis=0).max() > 1e-6:
            yield f"{name} off by one", put(np.roll(g, 1, axis=0)), {"shift"}
        yield f"{name} detached", put(0 * g), {"zero", "missing-term"}
        if name in problem.unsummed:
            yield f"{name} not summed", put(problem.unsummed[name]), {"missing-sum"}
        if name in problem.no_chain:
            yield f"{name} without chain factor", put(problem.no_chain[name]), {"chain-factor"}
        terms = {n: part[k] for n, part in problem.parts.items() if np.abs(part[k]).max() > 0}
        if len(terms) > 1:
            for n, part in terms.items():
                yield f"{name} lacks {n}", put(g - part), {"missing-term"}
                yield f"{name}, sign of {n}", put(g - 2 * part), {"term-sign"}
        yield f"{name} at random", put(rng.standard_normal(g.shape)), None


# ---- the other kinds -------------------------------------------------------------------------------------------------
def jacobian_mistakes(rng):
    A, x = rng.standard_normal((3, 4)), rng.standard_normal(4)
    f = lambda x: mg.tanh(t(A) @ x)
    J = (1 - np.tanh(A @ x) ** 2)[:, None] * A
    for name, claim, kinds in (("× 2", 2 * J, {"factor"}), ("sign", -J, {"sign"}), ("transposed", J.T, {"transpose"}),
                               ("no chain factor", A, {"chain-factor"}),
                               ("random", rng.standard_normal((3, 4)), None),
                               ("off by one", np.roll(J, 1, axis=0), {"shift"})):
        yield f"jacobian {name}", lambda claim=claim: check.jacobian(f, x, claimed=claim), kinds
    B, z = rng.standard_normal((4, 4)), rng.standard_normal(4)
    H = B + B.T - np.diag(np.sin(z))
    h = lambda x: x @ t(B) @ x + mg.sin(x).sum()
    for name, claim, kinds in (("× ½", H / 2, {"factor"}), ("one half", B - np.diag(np.sin(z)) / 2, {"symmetric"}),
                               ("diagonal only", np.diag(np.diag(H)), {"diagonal"}),
                               ("random", rng.standard_normal((4, 4)), {"none", "asymmetric"})):
        yield f"hessian {name}", lambda claim=claim: check.hessian(h, z, claimed=claim), kinds


def _coupling(rng):
    a, b = 0.5 * rng.standard_normal((2, 2)), rng.standard_normal((2, 2))

    def parts(x1):
        return mg.tanh(x1 @ t(a)), x1 @ t(b)

    def forward(x):
        s, m = parts(x[:, :2])
        return mg.concatenate([x[:, :2], x[:, 2:] * mg.exp(s) + m], axis=1)

    def inverse(y):
        s, m = parts(y[:, :2])
        return mg.concatenate([y[:, :2], (y[:, 2:] - m) * mg.exp(-s)], axis=1)

    return forward, inverse, lambda x: parts(t(x[:, :2]))[0].numpy()


def bijection_mistakes(rng):
    forward, inverse, scales = _coupling(rng)
    x = rng.standard_normal((5, 4))
    s = scales(x)
    for name, claim, kinds in (("of the inverse", -s.sum(1), {"direction"}), ("not summed", s, {"missing-sum"}),
                               ("one per batch", s.sum(), {"per-batch"}), ("× 2", 2 * s.sum(1), {"factor"}),
                               ("the determinant itself", np.exp(s.sum(1)), {"function"}),
                               ("random", rng.standard_normal(5), None), ("averaged", s.mean(1), {"factor"})):
        yield f"log-det {name}", lambda claim=claim: check.bijection(forward, inverse, claim, x), kinds
    scale = rng.uniform(0.5, 2, 3)
    lacking = np.log(np.cosh(x[:, :3]))
    yield "log-det lacks a dimension", lambda: check.bijection(lambda x: mg.sinh(x), None, lacking[:, 1:].sum(1),
                                                               x[:, :3]), {"missing-term"}
    yield "inverse is forward", lambda: check.bijection(lambda x: x * t(scale) + 1, lambda y: y * t(scale) + 1, None,
                                                        x[:, :3]), {"direction"}
    yield "inverse with the wrong sign of t", lambda: check.bijection(lambda x: x * t(scale) + 1, lambda y: (y + 1)
                                                                      / t(scale), None, x[:, :3]), {"affine", "offset"}
    yield "log-det of the inverse not turned", lambda: check.bijection(lambda x: (x * t(scale), mg.log(t(scale)).sum() * mg.ones(5, dtype="float64")),
                                                                       lambda y: (y / t(scale), mg.log(t(scale)).sum() * mg.ones(5, dtype="float64")), x=x[:, :3]), {"direction"}


def density_mistakes(rng):
    mean, log_std = rng.standard_normal(), 0.3 + 0.4 * rng.random()
    sigma = np.exp(log_std)
    log_p = lambda x: -0.5 * ((x - mean) / sigma) ** 2 - log_std - 0.5 * np.log(2 * np.pi)
    everywhere = (-np.inf, np.inf)
    draw = lambda m, s: lambda n, rng: rng.normal(m, s, (n,))
    yield "density without ½ log 2π", lambda: check.density(lambda x: log_p(x) + 0.5 * np.log(2 * np.pi),
                                                            bounds=everywhere), {"constant"}
    yield "density without log σ", lambda: check.density(lambda x: log_p(x) + log_std, bounds=everywhere,
                                                         constants={"σ": sigma}), {"constant"}
    yield "density × 2", lambda: check.density(lambda x: log_p(x) + np.log(2), bounds=everywhere), {"constant"}
    yield "density with σ for σ²", lambda: check.density(lambda x: -0.5 * (x - mean) ** 2 / sigma - log_std - 0.5 * np.log(2 * np.pi), bounds=everywhere, constants={"σ": sigma}), {"constant"}
    yield "samples with σ² for σ", lambda: check.density(log_p, sample=draw(mean, sigma ** 2)), {"scale"}
    yield "samples shifted", lambda: check.density(log_p, sample=draw(mean + 0.5, sigma)), {"location"}
    m, s = rng.standard_normal(2), 0.3 * rng.standard_normal(2)
    yield "2-D samples too wide", lambda: check.density(Normal(m, s).log_prob, sample=lambda n,
                                                        rng: t(m) + 1.5 * np.exp(s) * rng.standard_normal((n, 2))), {"scale"}
    m5, s5 = rng.standard_normal(5), 0.3 * rng.standard_normal(5)
    yield "5-D samples shifted", lambda: check.density(Normal(m5, s5).log_prob, sample=lambda n, rng: t(m5) + 0.2
                                                       + np.exp(s5) * rng.standard_normal((n, 5))), {"location"}
    yield "5-D samples too narrow", lambda: check.density(Normal(m5, s5).log_prob, sample=lambda n,
                                                          rng: t(m5) + 0.8 * np.exp(s5) * rng.standard_normal((n, 5))), {"scale"}
    yield "5-D density without constant", lambda: check.density(lambda x: Normal(m5, s5).log_prob(x) + 2.5 * np.log(2 * np.pi), sample=Normal(m5, s5).sample), None
    support, logits = np.array(list(itertools.product((0.0, 1.0), repeat=3))), rng.standard_normal(3)
    yield "logits averaged as a likelihood", lambda: check.density(lambda x: Bernoulli(logits).log_prob(x) / 3,
                                                                   support=support), None
    yield "samples of 1 − x", lambda: check.density(Bernoulli(logits + 1).log_prob, support=support, sample=lambda n,
                                                    rng: 1 - Bernoulli(logits + 1).sample(n, rng=rng)), None


def divergence_mistakes(rng):
    m, s = 0.3 + rng.random(2), 0.2 + 0.3 * rng.random(2)
    p, q = Normal(m, s), Normal(np.zeros(2), np.zeros(2))
    rate = lambda m, s: -0.5 * (1 + 2 * s - m ** 2 - np.exp(2 * s)).sum()
    kl = rate(m, s)
    back = np.sum(s + (1 + m ** 2) / (2 * np.exp(2 * s)) - 0.5)
    for name, claim, kinds in (("halved", kl / 2, {"factor", "mean-for-sum"}),
                               ("doubled", 2 * kl, {"factor", "sum-for-mean"}), ("negative", -kl, {"sign"}),
                               ("reversed", back, {"other-divergence"}),
                               ("in bits", kl / np.log(2), {"factor"}),
                               ("without μ²", kl - 0.5 * np.sum(m ** 2), {"missing-term"}),
                               ("without −½", kl + 1, {"missing-term"}),
                               ("log σ for log σ²", kl + s.sum() / 2, {"term-factor"}),
                               ("sign of μ²", kl - np.sum(m ** 2), {"term-sign"}),
                               ("σ for σ²", rate(m, s / 2), {"other-divergence"}),
                               ("at random", rng.random() + 1.2345, None)):
        yield f"KL {name}", lambda claim=claim: check.divergence(p, q, claim, n=4000), kinds
    a, b = Table.random(int(rng.integers(1e6)), x=5), Table.random(int(rng.integers(1e6)), x=5)
    yield "JSD without the mixture", lambda: check.divergence(a, b, 0.5 * a.kl(b) + 0.5 * b.kl(a),
                                                              "jsd"), {"other-divergence"}
    yield "JSD doubled", lambda: check.divergence(a, b, 2 * a.jsd(b), "jsd"), {"factor"}
    yield "table KL reversed", lambda: check.divergence(a, b, b.kl(a)), {"other-divergence"}
    yield "cross-entropy for KL", lambda: check.divergence(a, b, a.kl(b) + a.entropy()), {"other-divergence"}
    w = np.sqrt(m[0] ** 2 + (np.exp(s[0]) - 1) ** 2)
    p1, q1 = Normal(m[0], s[0], event_ndim=0), Normal(0.0, 0.0, event_ndim=0)
    yield "W2 squared", lambda: check.divergence(p1, q1, w ** 2, "w2"), {"other-divergence"}
    fisher = np.sum((np.exp(2 * s) - 1) ** 2 / np.exp(2 * s) + m ** 2)
    yield "Fisher halved", lambda: check.divergence(p, q, fisher / 2, "fisher", n=4000), {"factor", "mean-for-sum"}


def elbo_mistakes(rng):
    p, q = Table.random(int(rng.integers(1e6)), x=4, z=3), Table.random(int(rng.integers(1e6)), z=3, x=4).given("x")
    P, Q = p.probabilities, q.probabilities.T
    pz = P.sum(0)
    reconstruction, rate = (Q * np.log(P / pz)).sum(1), (Q * np.log(Q / pz)).sum(1)
    good = reconstruction - rate
    for name, claim, kinds in (("without KL", reconstruction, {"missing-term"}),
                               ("KL doubled", good - rate, {"extra-term"}),
                               ("KL added", reconstruction + rate, {"term-sign"}),
                               ("without entropy", (Q * np.log(P)).sum(1), {"missing-term"}),
                               ("log p(x) itself", np.log(P.sum(1)), {"log-prob"}), ("negative", -good, {"sign"}),
                               ("halved KL", reconstruction - rate / 2, {"term-factor"}),
                               ("at random", good - rng.random(4), None)):
        yield f"ELBO {name}", lambda claim=claim: check.elbo(p, q=q, claimed=claim), kinds


def _metropolis(pi, proposal, ratio):
    T = proposal * np.minimum(1, ratio)
    np.fill_diagonal(T, 0)
    return T + np.diag(1 - T.sum(1))


def chain_mistakes(rng):
    K = 5
    pi = rng.dirichlet(np.full(K, 5.0))
    q = rng.dirichlet(np.full(K, 5.0), size=K)
    ratio = pi[None] * q.T / (pi[:, None] * q)
    good = _metropolis(pi, q, ratio)
    uniform = np.full((K, K), 1 / K)
    for name, T, kinds in (("transposed", good.T, {"transpose"}),
                           ("without q(x | x′)", _metropolis(pi, q, pi[None] / pi[:, None]), None),
                           ("ratio upside down", _metropolis(pi, uniform, pi[:, None] / pi[None]), {"target"}),
                           ("staying put forgotten", good - np.diag(np.diag(good)), {"rows"}),
                           ("always accepts", uniform, {"target"}),
                           ("two halves", np.kron(np.eye(2), np.full((2, 2), 0.5)), {"reducible"}),
                           ("period 3", np.roll(np.eye(3), 1, 1), {"periodic"})):
        target = pi if len(T) == K else np.full(len(T), 1 / len(T))
        yield f"chain {name}", lambda T=T, target=target: check.chain(T, target, reversible=False), kinds
    drift = rng.dirichlet(np.ones(3))
    yield "chain with a drift", lambda: check.chain(sum(w * np.roll(np.eye(3), k, 1) for k, w in enumerate(drift)),
                                                    np.full(3, 1 / 3)), {"irreversible"}


def estimator_mistakes(rng):
    mu = 0.5 + rng.random()
    for name, c, kinds in (("half", 0.5, {"factor"}), ("negative", -1.0, {"sign"}), ("doubled", 2.0, {"factor"})):
        yield f"estimator {name}", lambda c=c: check.estimator(lambda r: c * 2 * (mu + r.standard_normal((50,)).numpy()).mean(), 2 * mu, n=400), kinds
    yield "estimator ignores the derivative of q", lambda: check.estimator(lambda r: 0 * r.standard_normal((2,)).numpy(), np.array([2 * mu, 1.0]), n=50), {"zero", "factor"}
    yield "estimator biased", lambda: check.estimator(lambda r: np.array([2 * mu + 0.3, 1.0])
                                                      + 0.1 * r.standard_normal((2,)).numpy(), np.array([2 * mu, 1.0]),
                                                      n=400), None


def causality_mistakes(rng):
    D = 6
    M = rng.uniform(0.5, 1.5, (D, D)) * rng.choice([-1, 1], (D, D))
    x = rng.standard_normal((2, D))
    strict = np.tril(np.ones((D, D)), -1)
    for name, mask, kinds in (("own input", np.tril(np.ones((D, D))), {"own-input"}),
                              ("one ahead", np.tril(np.ones((D, D)), 1), {"look-ahead"}),
                              ("reversed", strict.T, {"reversed"}),
                              ("no mask", np.ones((D, D)), {"no-mask"}),
                              ("one leak", strict + np.eye(D)[[1]].T @ np.eye(D)[[4]], {"look-ahead"})):
        yield f"mask: {name}", lambda mask=mask: check.causality(lambda x: mg.tanh(x @ t((mask * M).T)), x), kinds
    yield "mask: wrong order", lambda: check.causality(lambda x: x @ t((strict * M).T), x,
                                                       order=np.arange(D)[::-1]), {"reversed"}


OTHERS = [jacobian_mistakes, bijection_mistakes, density_mistakes, divergence_mistakes, elbo_mistakes, chain_mistakes,
          estimator_mistakes, causality_mistakes]


def wrong_cases(seeds=2):
    """At least 300 planted mistakes: (name, run, kinds)."""
    for seed in range(seeds):
        for problem in PROBLEMS:
            rng = np.random.default_rng([seed, PROBLEMS.index(problem)])
            case = problem(rng)
            for name, gradients, kinds in gradient_mistakes(case, rng):
                yield f"{problem.__name__}, {name}, seed {seed}", lambda case=case, gradients=gradients: case.check(gradients), kinds
        for others in OTHERS:
            rng = np.random.default_rng([seed, 100 + OTHERS.index(others)])
            for name, run, kinds in others(rng):
                yield f"{name}, seed {seed}", run, kinds


# ---- nothing wrong ---------------------------------------------------------------------------------------------------
def right_gradients(seed):
    """Each problem as derived, in float64 and float32, and at an extreme scale."""
    for problem in PROBLEMS:
        case = problem(np.random.default_rng([seed, PROBLEMS.index(problem), 7]))
        name = problem.__name__
        yield name, lambda case=case: case.check(case.gradients)
        yield f"{name} in float32", lambda case=case: case.check([np.float32(g) for g in case.gradients])
        for scale in (1e-30, 1e30):
            scaled = Problem(lambda *x, case=case, scale=scale: scale * case.f(*x), case.point, case.names,
                             {"all": [scale * g for g in case.gradients]})
            yield f"{name} × {scale:g}", lambda scaled=scaled: scaled.check(scaled.gradients)


def corner_gradients(rng):
    """Ties, kinks, zero gradients, empty inputs, tiny and huge points, noise."""
    x = rng.standard_normal(5)
    x[1] = 0.0
    either = np.where(x == 0, rng.choice([-1.0, 0.0, 1.0, 0.3]), np.sign(x))
    yield "|x| with a kink", lambda: check.gradient(lambda x: mg.abs(x).sum(), x, claimed=either)
    tied = np.array([1.0, 3.0, 3.0, 2.0])
    yield "max with a tie", lambda: check.gradient(lambda x: x.max(), tied, claimed=np.array([0.0, 1.0, 0.0, 0.0]))
    yield "relu at zero", lambda: check.gradient(lambda x: (mg.relu(x) ** 2 + mg.relu(x)).sum(), x,
                                                 claimed=2 * np.maximum(x, 0) + (x >= 0))
    yield "relu network at exact zeros", lambda: check.gradient(lambda x: (mg.relu(x) * 3).sum(), np.zeros(4))
    yield "softmax sums to one", lambda: check.gradient(lambda x: mg.softmax(x).sum(), x, claimed=np.zeros(5))
    yield "softmax sums to one, with noise", lambda: check.gradient(lambda x: mg.softmax(x).sum(), x,
                                                                    claimed=1e-17 * rng.standard_normal(5))
    X, y = rng.standard_normal((12, 3)), rng.standard_normal(12)
    best = np.linalg.lstsq(X, y, rcond=None)[0]
    yield "gradient at the optimum", lambda: check.gradient(lambda w: ((t(X) @ w - t(y)) ** 2).mean(), best,
                                                            claimed=2 * X.T @ (X @ best - y) / 12)
    yield "at the optimum, in float32", lambda: check.gradient(lambda w: ((t(X) @ w - t(y)) ** 2).mean(), best, claimed=np.float32(2 * X.T.astype("f4") @ (X @ best - y).astype("f4") / 12))
    yield "empty input", lambda: check.gradient(lambda x: (x * x).sum(), np.zeros((0, 3)), claimed=np.zeros((0, 3)))
    yield "no dependence", lambda: check.gradient(lambda x, y: (x * x).sum(), x, np.ones(3),
                                                  claimed=(2 * x, np.zeros(3)))
    tiny = x * 10.0 ** rng.uniform(-150, -100)
    yield "tiny point", lambda: check.gradient(lambda x: (x * x).sum(), tiny, claimed=2 * tiny)
    huge = x * 10.0 ** rng.uniform(100, 120)
    yield "huge point", lambda: check.gradient(lambda x: (x * x).sum(), huge, claimed=2 * huge)
    mixed = np.array([1e-8, 1.0, 1e8]) * rng.uniform(1, 2, 3)
    yield "mixed scales", lambda: check.gradient(lambda x: mg.log(x).sum(), mixed, claimed=1 / mixed)
    far = 1e6 + rng.standard_normal(4)
    yield "cancellation", lambda: check.gradient(lambda x: ((x - 1e6) ** 2).sum(), far, claimed=2 * (far - 1e6))
    yield "steep", lambda: check.gradient(lambda x: mg.sin(1e4 * x).sum(), x, claimed=1e4 * np.cos(1e4 * x))
    yield "large logits", lambda: check.gradient(lambda x: mg.logsumexp(x), 500 * x,
                                                 claimed=mg.softmax(t(500 * x)).numpy())
    yield "a constant", lambda: check.gradient(lambda x: 0 * x.sum() + 5.0, x, claimed=np.zeros(5))


def right_others(rng):
    """Densities, bijections, divergences, bounds, chains, estimators and masks with nothing wrong in them."""
    forward, inverse, scales = _coupling(rng)
    x = rng.standard_normal((4, 4)) * 10.0 ** rng.uniform(-3, 2)
    yield "bijection", lambda: check.bijection(forward, inverse, scales(x).sum(1), x)
    yield "bijection in float32", lambda: check.bijection(forward, inverse, np.float32(scales(x).sum(1)), x)
    A = rng.standard_normal((3, 3))
    yield "linear bijection", lambda: check.bijection(lambda x: x @ t(A), lambda y: y @ mg.inv(t(A)),
                                                      np.full(4, np.linalg.slogdet(A)[1]), x[:, :3])
    yield "jacobian", lambda: check.jacobian(lambda x: mg.tanh(t(A) @ x), x[0, :3],
                                             claimed=(1 - np.tanh(A @ x[0, :3]) ** 2)[:, None] * A)
    yield "hessian", lambda: check.hessian(lambda x: x @ t(A) @ x, x[0, :3], claimed=A + A.T)
    m, s = rng.standard_normal(2) * 10.0 ** rng.uniform(-2, 2), rng.uniform(-4, 4, 2)
    yield "1-D normal", lambda: check.density(Normal(m[0], s[0], event_ndim=0), rng=1)
    yield "2-D normal", lambda: check.density(Normal(m, s), rng=2)
    yield "5-D normal", lambda: check.density(Normal(rng.standard_normal(5), rng.uniform(-2, 2, 5)), n=8000, rng=3)
    logits = 3 * rng.standard_normal(3)
    yield "Bernoulli", lambda: check.density(Bernoulli(logits),
                                             support=np.array(list(itertools.product((0.0, 1.0), repeat=3))), rng=4)
    yield "Categorical", lambda: check.density(Categorical(logits), support=np.arange(3), rng=5)
    m, s = rng.standard_normal(2), rng.uniform(-1.5, 1.0, 2)
    kl = -0.5 * (1 + 2 * s - m ** 2 - np.exp(2 * s)).sum()
    p, q = Normal(m, s), Normal(np.zeros(2), np.zeros(2))
    yield "KL", lambda: check.divergence(p, q, kl, n=4000, rng=6)
    yield "KL in float32", lambda: check.divergence(p, q, np.float32(kl), n=4000, rng=6)
    yield "KL of equals", lambda: check.divergence(p, p, 0.0, n=4000, rng=6)
    yield "JSD", lambda: check.divergence(p, q, kind="jsd", n=4000, rng=7)
    yield "W2", lambda: check.divergence(p, q, np.sqrt(np.sum(m ** 2 + (np.exp(s) - 1) ** 2)), "w2")
    table, approximate = Table.random(int(rng.integers(1e6)), x=4,
                                      z=3), Table.random(int(rng.integers(1e6)), z=3, x=4).given("x")
    P, Q = table.probabilities, approximate.probabilities.T
    yield "ELBO", lambda: check.elbo(table, q=approximate, claimed=(Q * (np.log(P) - np.log(Q))).sum(1))
    pi, proposal = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5), size=5)
    yield "Metropolis–Hastings", lambda: check.chain(_metropolis(pi, proposal,
                                                                 pi[None] * proposal.T / (pi[:, None] * proposal)), pi)
    mu = rng.standard_normal()
    yield "estimator", lambda: check.estimator(lambda r: 2 * (mu + r.standard_normal((4,)).numpy()),
                                               np.full(4, 2 * mu), n=300, rng=8)
    mask = np.tril(rng.standard_normal((5, 5)), -1)
    yield "mask", lambda: check.causality(lambda x: mg.tanh(x @ t(mask.T)), rng.standard_normal((2, 5)))


def right_cases():
    """At least 300 correct derivations: (name, run)."""
    for seed in range(3):
        for name, run in right_gradients(seed):
            yield f"{name}, seed {seed}", run
    for seed in range(5):
        for family in (corner_gradients, right_others):
            for name, run in family(np.random.default_rng([seed, 55])):
                yield f"{name}, seed {seed}", run
