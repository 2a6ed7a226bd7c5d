"""Generative classifiers and logistic regression: closed-form fits, Bayes' rule, equal posteriors, missing features."""
import itertools

import numpy as np
import pytest
from scipy import integrate, special, stats

import minigen as mg
from minigen.models.classifiers import (BernoulliNaiveBayes, GaussianDiscriminant, GaussianNaiveBayes,
                                        GenerativeClassifier, LogisticRegression)

pytestmark = pytest.mark.usefixtures("backend")
K, D = 3, 2


def t(values):
    return mg.tensor(np.asarray(values, dtype=np.float64))


def examples(n=300, seed=0, bits=False):
    """(x (n, D), y (n,)): three classes of correlated points, unequally frequent; or three bits each."""
    rng = np.random.default_rng(seed)
    y = rng.choice(K, n, p=[0.5, 0.3, 0.2])
    if bits:
        return (rng.random((n, 3)) < np.array([[0.2, 0.5, 0.8], [0.7, 0.4, 0.3], [0.5, 0.9, 0.4]])[y]).astype(float), y
    means, roots = rng.standard_normal((K, D)), 0.7 * rng.standard_normal((K, D, D))
    return means[y] + np.einsum("nij,nj->ni", roots[y], rng.standard_normal((n, D))), y


MAKE = {"per class": lambda: GaussianDiscriminant(D, K, floor=0), "naive": lambda: GaussianNaiveBayes(D, K, floor=0),
        "shared": lambda: GaussianDiscriminant(D, K, shared=True, floor=0),
        "bits": lambda: BernoulliNaiveBayes(3, K, pseudo_count=0)}
all_four = pytest.mark.parametrize("name", MAKE)


def fitted(name, n=300):
    """(the model in float64, x, y)."""
    x, y = examples(n, bits=name == "bits")
    return MAKE[name]().astype("float64").fit(t(x), mg.tensor(y)), x, y


def log_joint(name, x, y, at):
    """log p(x, y = k) at points (M, D) by SciPy, from the means and covariances of x, y."""
    columns = []
    for k in range(K):
        mine = x[y == k]
        covariance = {"per class": lambda: np.cov(mine.T, bias=True), "naive": lambda: np.diag(mine.var(axis=0)),
                      "shared": lambda: sum(np.cov(x[y == j].T, bias=True) * np.mean(y == j) for j in range(K))}
        if name == "bits":
            log_p = stats.bernoulli(mine.mean(axis=0)).logpmf(at).sum(axis=1)
        else:
            log_p = stats.multivariate_normal(mine.mean(axis=0), covariance[name]()).logpdf(at)
        columns.append(np.log(np.mean(y == k)) + log_p)
    return np.stack(columns, axis=1)


# ---- Bayes' rule and the fits ----------------------------------------------------------------------------------------
@all_four
def test_the_posterior_is_the_softmax_of_the_log_joint(name):
    model, x, y = fitted(name)
    expected = log_joint(name, x, y, x[:20])
    np.testing.assert_allclose(model.log_joint(t(x[:20])).numpy(), expected, rtol=1e-8)
    np.testing.assert_allclose(model.posterior(t(x[:20])).numpy(), special.softmax(expected, axis=1), rtol=1e-7)
    np.testing.assert_allclose(model.log_prob(t(x[:20])).numpy(), special.logsumexp(expected, axis=1), rtol=1e-8)
    np.testing.assert_array_equal(model.predict(t(x[:20])).numpy(), expected.argmax(axis=1))


@all_four
def test_the_fit_is_the_optimum(name):
    """At the closed form the gradient of the mean log p(x, y) is zero, and no move of the parameters raises it."""
    model, x, y = fitted(name)
    objective, = model.objectives()
    batch = {"x": t(x), "y": mg.tensor(y)}
    best = objective.loss(batch, None)["loss"]
    for gradient in mg.grad(best, objective.parameters):
        np.testing.assert_allclose(gradient.numpy(), 0, atol=1e-12)
    state, rng = model.state_dict(), np.random.default_rng(0)
    for _ in range(5):
        model.load_state_dict({key: value + 0.1 * rng.standard_normal(value.shape) for key, value in state.items()})
        assert objective.loss(batch, None)["loss"].item() > best.item()


def test_pseudo_counts():
    x, y = examples(bits=True)
    model = BernoulliNaiveBayes(3, K, pseudo_count=2.0).astype("float64").fit(t(x), mg.tensor(y))
    expected = [(2 + x[y == k].sum(axis=0)) / (4 + np.sum(y == k)) for k in range(K)]
    np.testing.assert_allclose(model.conditional().mean.numpy(), expected, rtol=1e-12)


def test_a_floor_bears_a_constant_feature():
    x, y = examples()
    x[:, 1] = 3.0
    for model in (GaussianDiscriminant(D, K), GaussianDiscriminant(D, K, shared=True), GaussianNaiveBayes(D, K)):
        model.fit(mg.tensor(x.astype(np.float32)), mg.tensor(y))
        assert np.isfinite(model.log_prob(mg.tensor(x[:5].astype(np.float32))).numpy()).all()


@all_four
def test_it_is_a_density(name):
    model, _, _ = fitted(name)
    if name == "bits":
        total = np.exp(model.log_prob(t(list(itertools.product([0.0, 1.0], repeat=3)))).numpy()).sum()
    else:
        a = np.linspace(-14, 14, 561)
        grid = np.stack(np.meshgrid(a, a), axis=-1).reshape(-1, 2)
        total = np.exp(model.log_prob(t(grid)).numpy()).sum() * (a[1] - a[0]) ** 2
    np.testing.assert_allclose(total, 1, rtol=1e-6)


# ---- what only the generative ones can do ----------------------------------------------------------------------------
@all_four
def test_a_missing_feature_is_integrated_out(name):
    model, x, _ = fitted(name)
    part, seen = model.marginal([1]), t(x[:4, [1]])
    if name == "bits":
        whole = [t(np.concatenate([np.tile([a], (4, 1)), x[:4, [1]], np.tile([b], (4, 1))], axis=1))
                 for a, b in itertools.product([0.0, 1.0], repeat=2)]
        expected = sum(np.exp(model.log_joint(w).numpy()) for w in whole)
    else:
        a = np.linspace(-14, 14, 2801)
        grid = np.stack(np.broadcast_arrays(a, x[:4, [1]]), axis=-1)                                      # (4, 2801, 2)
        joint = np.exp(model.log_joint(t(grid.reshape(-1, 2))).numpy()).reshape(4, -1, K)
        expected = integrate.simpson(joint, x=a, axis=1)
    np.testing.assert_allclose(np.exp(part.log_joint(seen).numpy()), expected, rtol=1e-6)


@all_four
def test_a_marginal_may_reorder_and_leaves_the_model_alone(name):
    model, x, _ = fitted(name)
    before, order = model.state_dict(), list(reversed(range(model.features)))
    swapped = model.marginal(order)
    np.testing.assert_allclose(swapped.log_joint(t(x[:5, order])).numpy(), model.log_joint(t(x[:5])).numpy(), rtol=1e-8)
    assert all(np.array_equal(before[key], value) for key, value in model.state_dict().items())


@all_four
def test_samples_of_each_class(name):
    """20,000 draws: frequencies, and each class's mean, within 5 standard errors; false-alarm rate below 1e-5."""
    model, _, _ = fitted(name)
    n, p = 20_000, model.conditional()
    labels = np.repeat(np.arange(K), [n // 2, n // 4, n // 4])
    x = model.sample(n, rng=0, labels=mg.tensor(labels)).numpy()
    for k in range(K):
        mine, error = x[labels == k], np.sqrt(p.variance.numpy()[k] / np.sum(labels == k))
        assert (np.abs(mine.mean(axis=0) - p.mean.numpy()[k]) < 5 * error).all()
    drawn = model.sample(n, rng=1)
    weights = np.exp(model.logits.numpy())
    mean = weights @ p.mean.numpy()
    variance = weights @ (p.variance.numpy() + p.mean.numpy() ** 2) - mean ** 2
    assert (np.abs(drawn.numpy().mean(axis=0) - mean) < 5 * np.sqrt(variance / n)).all()


def test_an_outlier_is_known_to_the_one_and_not_to_the_other():
    """Far out along the axes, logistic regression is certain, and log p(x) far below that of all 300 examples."""
    model, x, y = fitted("shared")
    far = t([[40.0, 0.0], [0.0, 40.0], [-40.0, 0.0], [0.0, -40.0]])
    assert model.log_prob(far).max().item() < model.log_prob(t(x)).min().item() - 100
    judge = LogisticRegression(D, K).astype("float64").fit(t(x), mg.tensor(y))
    assert judge.posterior(far).max(axis=1).min().item() > 0.999


# ---- logistic regression ---------------------------------------------------------------------------------------------
def test_a_shared_covariance_is_a_logistic_regression():
    model, x, y = fitted("shared")
    twin = model.logistic_regression()
    np.testing.assert_allclose(twin.posterior(t(x)).numpy(), model.posterior(t(x)).numpy(), rtol=1e-9)
    shared = sum(np.cov(x[y == k].T, bias=True) * np.mean(y == k) for k in range(K))
    means = np.array([x[y == k].mean(axis=0) for k in range(K)])
    W = np.linalg.solve(shared, means.T)
    np.testing.assert_allclose(twin.weight.numpy(), W, rtol=1e-9)
    b = np.log(np.bincount(y) / len(y)) - 0.5 * (means.T * W).sum(axis=0)
    np.testing.assert_allclose(twin.bias.numpy(), b, rtol=1e-9)
    with pytest.raises(ValueError, match="with a covariance for each class the boundaries are quadrics"):
        fitted("per class")[0].logistic_regression()


@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_newton_finds_the_optimum(penalty):
    """The loss is convex, so a gradient of zero is the optimum; it is below that of the generative twin."""
    x, y = examples()
    model = LogisticRegression(D, K, penalty).astype("float64").fit(t(x), mg.tensor(y))
    objective, = model.objectives()
    batch = {"x": t(x), "y": mg.tensor(y)}
    for gradient in mg.grad(objective.loss(batch, None)["loss"], objective.parameters):
        np.testing.assert_allclose(gradient.numpy(), 0, atol=1e-7)
    logits = x @ model.weight.numpy() + model.bias.numpy()
    nll = -special.log_softmax(logits, axis=1)[np.arange(len(y)), y].mean()
    expected = nll + 0.5 * penalty * np.sum(model.weight.numpy() ** 2)
    np.testing.assert_allclose(objective.loss(batch, None)["loss"].item(), expected, rtol=1e-10)
    if penalty == 0:
        twin = fitted("shared")[0].logistic_regression()
        assert nll < -np.log(twin.posterior(t(x)).numpy()[np.arange(len(y)), y]).mean()


def test_classes_that_a_plane_parts():
    """The penalty keeps W finite; without it the loss still falls towards 0, and nothing overflows."""
    x, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1])
    for penalty in (0.0, 1e-4):
        model = LogisticRegression(1, 2, penalty).fit(mg.tensor(x.astype(np.float32)), mg.tensor(y))
        posterior = model.posterior(mg.tensor(x.astype(np.float32))).numpy()
        assert np.isfinite(model.weight.numpy()).all() and posterior[np.arange(4), y].min() > 0.98


def test_the_trainer_takes_them():
    from minigen.training import Adam, Trainer
    x, y = examples()
    batch = {"x": mg.tensor(x.astype(np.float32)), "y": mg.tensor(y)}
    model = LogisticRegression(D, K)
    trainer = Trainer(model, lambda p: Adam(p, lr=0.1), lambda rng: batch, progress=False)
    trainer.run(200)
    best = LogisticRegression(D, K).fit(batch["x"], batch["y"])
    value, optimum = (m.objectives()[0].loss(batch, None)["loss"].item() for m in (model, best))
    assert optimum - 1e-6 <= value < optimum + 1e-3


# ---- bad input -------------------------------------------------------------------------------------------------------
X, Y = np.zeros((4, 2), np.float32), np.array([0, 1, 2, 0])


@pytest.mark.parametrize("misuse, message", [
    (lambda: GaussianDiscriminant(0, 2), "GaussianDiscriminant: wants at least 1 feature and 2 classes, got 0 and 2"),
    (lambda: BernoulliNaiveBayes(2, 2, -1), "wants a pseudo_count ≥ 0, got -1"),
    (lambda: GaussianNaiveBayes(2, 4).fit(mg.tensor(X), mg.tensor(Y)), "Bayes.fit: class 3 of 4 has no example"),
    (lambda: BernoulliNaiveBayes(2, 3, 0).fit(mg.tensor(X), mg.tensor(Y)), "some bit never changes within a class"),
    (lambda: GaussianNaiveBayes(3, 3).fit(mg.tensor(X), mg.tensor(Y)), r"wants examples \(N, 3\), got shape \(4, 2\)"),
    (lambda: LogisticRegression(2, 3).fit(mg.tensor(X), mg.tensor(Y[:2])), r"one class for each of 4 .* shape \(2,\)"),
    (lambda: GaussianNaiveBayes(2, 3).log_prob(mg.tensor(X[0])), r"GaussianNaiveBayes: wants examples \(N, 2\)"),
    (lambda: GaussianNaiveBayes(2, 3).marginal([2]), r"wants distinct features from 0 to 1, at least one, got \[2\]"),
    (lambda: GaussianNaiveBayes(2, 3).marginal([]), "at least one, got"),
])
def test_bad_input(misuse, message):
    with pytest.raises(ValueError, match=message):
        misuse()


def test_a_family_must_define_its_parts():
    for ask in ("conditional", "_fit", "_keep"):
        with pytest.raises(NotImplementedError, match="GenerativeClassifier: a generative classifier must define"):
            getattr(GenerativeClassifier(2, 2), ask)(*[None] * {"conditional": 0, "_fit": 3, "_keep": 1}[ask])
