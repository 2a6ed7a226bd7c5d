"""Claims with nothing wrong in them, chosen to tempt the checker:

extreme scales, float32, kinks, ties, zeros, empty inputs.
"""
from functools import partial

import numpy as np
from check.mutations import coupling, metropolis
from check.problems import PROBLEMS, Problem

import minigen as mg
from minigen import check
from minigen.distributions import Bernoulli, Categorical, Normal, Table

t = mg.tensor


def gradients(seed):
    """Each problem as derived, in float64 and float32, and at extreme scales."""
    for i, problem in enumerate(PROBLEMS):
        case, name = problem(np.random.default_rng([seed, i, 7])), problem.__name__
        yield name, partial(case.check, case.gradients)
        yield f"{name} in float32", partial(case.check, [np.float32(g) for g in case.gradients])
        for scale in (1e-30, 1e30):
            scaled = Problem(lambda *x, case=case, scale=scale: scale * case.f(*x), case.point, case.names,
                             {"all": [scale * g for g in case.gradients]})
            yield f"{name} × {scale:g}", partial(scaled.check, scaled.gradients)


def corners(rng):
    """Ties, kinks, zero gradients, empty inputs, tiny and huge points, noise."""
    x, one = rng.standard_normal(5), check.gradient
    x[1] = 0.0
    either = np.where(x == 0, rng.choice([-1.0, 0.0, 1.0, 0.3]), np.sign(x))
    yield "|x| at 0", partial(one, lambda x: mg.abs(x).sum(), x, claimed=either)
    yield "max with a tie", partial(one, lambda x: x.max(), np.array([1.0, 3.0, 3.0, 2.0]),
                                    claimed=np.array([0.0, 1.0, 0.0, 0.0]))
    yield "relu at 0", partial(one, lambda x: (mg.relu(x) ** 2 + mg.relu(x)).sum(), x, claimed=2 * np.maximum(x, 0)
                               + (x >= 0))
    yield "relu at zeros only", partial(one, lambda x: (mg.relu(x) * 3).sum(), np.zeros(4))
    yield "a sum that is constant", partial(one, lambda x: mg.softmax(x).sum(), x, claimed=np.zeros(5))
    yield "the same, with noise", partial(one, lambda x: mg.softmax(x).sum(), x, claimed=1e-17 * rng.standard_normal(5))
    yield "a constant", partial(one, lambda x: 0 * x.sum() + 5.0, x, claimed=np.zeros(5))
    yield "an unused input", partial(one, lambda x, y: (x * x).sum(), x, np.ones(3), claimed=(2 * x, np.zeros(3)))
    yield "an empty input", partial(one, lambda x: (x * x).sum(), np.zeros((0, 3)), claimed=np.zeros((0, 3)))
    X, y = rng.standard_normal((12, 3)), rng.standard_normal(12)
    best = np.linalg.lstsq(X, y, rcond=None)[0]
    optimum = partial(one, lambda w: ((t(X) @ w - t(y)) ** 2).mean(), best)
    yield "the optimum", partial(optimum, claimed=2 * X.T @ (X @ best - y) / 12)
    yield "the optimum in float32", partial(optimum, claimed=2 * X.T.astype("f4") @ (X @ best - y).astype("f4")
                                            / np.float32(12))
    for name, point in (("tiny", x * 10.0 ** rng.uniform(-150, -100)), ("huge", x * 10.0 ** rng.uniform(100, 120))):
        yield f"a {name} point", partial(one, lambda x: (x * x).sum(), point, claimed=2 * point)
    mixed = np.array([1e-8, 1.0, 1e8]) * rng.uniform(1, 2, 3)
    yield "mixed scales", partial(one, lambda x: mg.log(x).sum(), mixed, claimed=1 / mixed)
    far = 1e6 + rng.standard_normal(4)
    yield "cancellation", partial(one, lambda x: ((x - 1e6) ** 2).sum(), far, claimed=2 * (far - 1e6))
    yield "a steep function", partial(one, lambda x: mg.sin(1e4 * x).sum(), x, claimed=1e4 * np.cos(1e4 * x))
    e = np.exp(500 * x - np.max(500 * x))
    yield "large logits", partial(one, mg.logsumexp, 500 * x, claimed=e / e.sum())


def others(rng):
    """Bijections, densities, divergences, bounds, chains, estimators and masks."""
    forward, inverse, scales = coupling(rng)
    x = rng.standard_normal((4, 4)) * 10.0 ** rng.uniform(-3, 2)
    for dtype in (np.float64, np.float32):
        yield f"a coupling, {dtype.__name__}", partial(check.bijection, forward, inverse, dtype(scales(x).sum(1)), x)
    A, z = rng.standard_normal((4, 4)), rng.standard_normal(4)
    yield "a linear map", partial(check.bijection, lambda x: x @ t(A), lambda y: y @ mg.inv(t(A)),
                                  np.full(4, np.linalg.slogdet(A)[1]), x)
    yield "a Jacobian", partial(check.jacobian, lambda x: mg.tanh(t(A) @ x), z, (1 - np.tanh(A @ z) ** 2)[:, None] * A)
    yield "a Hessian", partial(check.hessian, lambda x: x @ t(A) @ x, z, A + A.T)
    m, s, logits = rng.standard_normal(2) * 10.0 ** rng.uniform(-2,
                                                                2), rng.uniform(-4, 4, 2), 3 * rng.standard_normal(3)
    for p in (Normal(m[0], s[0], event_ndim=0), Normal(m, s), Normal(rng.standard_normal(5), rng.uniform(-2, 2, 5)),
              Bernoulli(logits), Categorical(logits)):
        yield f"the density {p!r}", partial(check.density, p, n=8000, rng=1)
    m, s = rng.standard_normal(2), rng.uniform(-1.5, 1.0, 2)
    p, q, kl = Normal(m, s), Normal(np.zeros(2), np.zeros(2)), -0.5 * (1 + 2 * s - m ** 2 - np.exp(2 * s)).sum()
    yield "KL", partial(check.divergence, p, q, kl, n=4000, rng=6)
    yield "KL in float32", partial(check.divergence, p, q, np.float32(kl), n=4000, rng=6)
    yield "KL of equals", partial(check.divergence, p, p, 0.0, n=4000, rng=6)
    yield "JSD", partial(check.divergence, p, q, kind="jsd", n=4000, rng=7)
    yield "W2", partial(check.divergence, p, q, np.sqrt(np.sum(m ** 2 + (np.exp(s) - 1) ** 2)), "w2")
    joint, q = Table.random(int(rng.integers(1e6)), x=4, z=3), Table.random(int(rng.integers(1e6)), z=3, x=4).given("x")
    P, Q = joint.probabilities, q.probabilities.T
    yield "ELBO", partial(check.elbo, joint, q=q, claimed=(Q * np.log(P / Q)).sum(1))
    pi, proposal = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5), size=5)
    T = metropolis(proposal, pi[None] * proposal.T / (pi[:, None] * proposal))
    yield "Metropolis–Hastings", partial(check.chain, T, pi)
    mu, mask = rng.standard_normal(), np.tril(rng.standard_normal((5, 5)), -1)
    yield "an estimator", partial(check.estimator, lambda rng: 2 * (mu + rng.standard_normal((4,))),
                                  np.full(4, 2 * mu), n=300)
    yield "a mask", partial(check.causality, lambda x: mg.tanh(x @ t(mask.T)), rng.standard_normal((2, 5)))


def right_cases(seeds):
    """(name, run) of every correct claim, for each seed."""
    for seed in seeds:
        for name, run in gradients(seed):
            yield f"{name}, seed {seed}", run
        for family in (corners, others):
            for name, run in family(np.random.default_rng([seed, 55])):
                yield f"{name}, seed {seed}", run
