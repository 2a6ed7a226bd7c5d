"""Scalar functions whose gradients were derived by hand in NumPy: the material in which mistakes are planted."""
import numpy as np

import minigen as mg
from minigen import check
from minigen.distributions import Normal

t = mg.tensor


class Problem:
    """A function, a point, and its gradient as a sum of parts.

    Attributes: ``f``, ``point``, ``names``; ``parts``: name -> gradients of that term (one array per input), which sum
    to the whole; ``terms``: what the checker is told of them; ``unsummed``: input -> its gradient before the sum over
    the batch;
    ``no_chain``: input -> its gradient without a chain factor; ``batch``: N, or None.
    """

    def __init__(self, f, point, names, parts, terms=None, unsummed=None, no_chain=None, batch=None):
        self.f, self.point, self.names, self.parts, self.batch = f, point, names, parts, batch
        self.terms, self.unsummed, self.no_chain = terms or {}, unsummed or {}, no_chain or {}

    @property
    def gradients(self):
        return [sum(part[k] for part in self.parts.values()) for k in range(len(self.point))]

    def check(self, gradients):
        return check.gradient(self.f, *self.point, claimed=tuple(gradients), names=self.names, terms=self.terms,
                              order=1)


def least_squares(rng):
    N, D, K = 7, 4, 4
    X, Y, b = rng.standard_normal((N, D)), rng.standard_normal((N, K)), rng.standard_normal(K)
    W = rng.standard_normal((D, K))
    r = 2 * (X @ W + b - Y) / N

    def data(W, b):
        return ((t(X) @ W + b - t(Y)) ** 2).sum() / N

    def decay(W, b):
        return 0.3 * (W * W).sum()

    parts = {"data": [X.T @ r, r.sum(0)], "decay": [0.6 * W, np.zeros(K)]}
    return Problem(lambda W, b: data(W, b) + decay(W, b), (W, b), ["W", "b"], parts, {"data": data, "decay": decay},
                   unsummed={"b": r}, batch=N)


def tanh_regression(rng):
    N, D = 9, 5
    X, y, w, b = rng.standard_normal((N, D)), rng.standard_normal(N), rng.standard_normal(D), np.array(0.3)
    h = np.tanh(X @ w + b)
    r = 2 * (h - y) / N
    back = r * (1 - h * h)
    return Problem(lambda w, b: ((mg.tanh(t(X) @ w + b) - t(y)) ** 2).mean(), (w, b), ["w", "b"],
                   {"loss": [X.T @ back, np.sum(back)]}, unsummed={"w": X * back[:, None], "b": back},
                   no_chain={"w": X.T @ r, "b": np.sum(r)}, batch=N)


def logistic_regression(rng):
    N, D = 8, 3
    X, y, w = rng.standard_normal((N, D)), (rng.random(N) < 0.5) * 1.0, rng.standard_normal(D)
    s = 1 / (1 + np.exp(-X @ w))

    def data(w):
        return mg.bce_with_logits(t(X) @ w, t(y)).mean()

    def decay(w):
        return 0.05 * (w ** 2).sum()

    return Problem(lambda w: data(w) + decay(w), (w,), ["w"], {"data": [X.T @ (s - y) / N], "decay": [0.1 * w]},
                   {"data": data, "decay": decay}, batch=N)


def brier_score(rng):
    N, D = 6, 3
    X, y, w = rng.standard_normal((N, D)), (rng.random(N) < 0.5) * 1.0, rng.standard_normal(D)
    s = 1 / (1 + np.exp(-X @ w))
    r = 2 * (s - y)
    back = r * s * (1 - s)
    return Problem(lambda w: ((mg.sigmoid(t(X) @ w) - t(y)) ** 2).sum(), (w,), ["w"], {"loss": [X.T @ back]},
                   unsummed={"w": X * back[:, None]}, no_chain={"w": X.T @ r})


def softmax_regression(rng):
    N, D, K = 6, 5, 5
    X, W, labels = rng.standard_normal((N, D)), rng.standard_normal((D, K)), rng.integers(0, K, N)
    p = np.exp(X @ W) / np.exp(X @ W).sum(1, keepdims=True)
    parts = {"p": [X.T @ p / N], "onehot": [-X.T @ np.eye(K)[labels] / N]}
    return Problem(lambda W: mg.cross_entropy(t(X) @ W, t(labels), "mean"), (W,), ["W"], parts,
                   {name: part[0] for name, part in parts.items()}, batch=N)


def gaussian_likelihood(rng):
    N, D = 5, 3
    x, mean, log_std = rng.standard_normal((N, D)), rng.standard_normal(D), 0.4 * rng.standard_normal(D)
    sigma = np.exp(log_std)
    eps = (x - mean) / sigma

    def squares(mean, log_std):
        return 0.5 * (((t(x) - mean) * mg.exp(-log_std)) ** 2).sum()

    def scales(mean, log_std):
        return N * log_std.sum()

    parts = {"squares": [-(eps / sigma).sum(0), -(eps ** 2).sum(0)], "log σ": [np.zeros(D), np.full(D, float(N))]}
    return Problem(lambda mean, log_std: -Normal(mean, log_std).log_prob(t(x)).sum(), (mean, log_std),
                   ["mean", "log_std"], parts, {"squares": squares, "log σ": scales}, unsummed={"mean": -eps / sigma},
                   no_chain={"mean": -eps.sum(0)})


def vae_rate(rng):
    mu, s = rng.standard_normal((4, 3)), 0.5 * rng.standard_normal((4, 3))
    none = np.zeros((4, 3))
    parts = {"μ²": [mu, none], "σ²": [none, np.exp(2 * s)], "log σ²": [none, none - 1]}
    return Problem(lambda mu, s: -0.5 * (1 + 2 * s - mu ** 2 - mg.exp(2 * s)).sum(), (mu, s), ["mu", "log_std"], parts,
                   {name: tuple(part) for name, part in parts.items()})


def quadratic(rng):
    A, b, x = rng.standard_normal((5, 5)), rng.standard_normal(5), rng.standard_normal(5)
    parts = {"A x": [A @ x], "Aᵀ x": [A.T @ x], "b": [b]}
    return Problem(lambda x: x @ t(A) @ x + t(b) @ x, (x,), ["x"], parts, {n: part[0] for n, part in parts.items()})


def roughness(rng):
    x = rng.standard_normal(8)
    d = 2 * np.diff(x)
    parts = {"ahead": [np.append(-d, 0)], "behind": [np.append(0, d)]}
    return Problem(lambda x: ((x[1:] - x[:-1]) ** 2).sum(), (x,), ["x"], parts,
                   {n: part[0] for n, part in parts.items()})


def log_det(rng):
    A = rng.standard_normal((4, 4)) + 3 * np.eye(4)
    return Problem(lambda A: mg.slogdet(A)[1], (A,), ["A"], {"whole": [np.linalg.inv(A).T]})


def two_layers(rng):
    N, D = 5, 4
    X, W, w = rng.standard_normal((N, D)), rng.standard_normal((D, D)), rng.standard_normal(D)
    h = np.tanh(X @ W)
    r = 2 * (h @ w) / N
    back = np.outer(r, w)
    return Problem(lambda W, w: ((mg.tanh(t(X) @ W) @ w) ** 2).mean(), (W, w), ["W", "w"],
                   {"loss": [X.T @ (back * (1 - h * h)), h.T @ r]}, no_chain={"W": X.T @ back}, batch=N)


def entropy(rng):
    z = rng.standard_normal(6)
    p = np.exp(z) / np.exp(z).sum()
    parts = {"−p log p": [-p * np.log(p)], "−p H": [p * np.sum(p * np.log(p))]}
    return Problem(lambda z: -(mg.softmax(z) * mg.log_softmax(z)).sum(), (z,), ["z"], parts,
                   {n: part[0] for n, part in parts.items()})


PROBLEMS = [least_squares, tanh_regression, logistic_regression, brier_score, softmax_regression, gaussian_likelihood,
            vae_rate, quadratic, roughness, log_det, two_layers, entropy]
