r"""Discriminative against generative: logistic regression beside Gaussian discriminant analysis and naive Bayes.

C. Bishop, "Pattern Recognition and Machine Learning", 2006, section 4.2; A. Ng and M. Jordan, "On Discriminative vs.
Generative Classifiers", 2001.

Examples x (D,) belong to classes y ∈ {0 … K − 1}. A *discriminative* classifier models the answer only. Logistic
regression:

    p(y = k|x) = softmax_k(xᵀW + b).                                                                          (1)

A *generative* one models how examples come about, a class and then an example of it, and answers by Bayes' rule:

    p(x, y = k) = π_k p_k(x),                                                                                 (2)
    p(y = k|x)  = π_k p_k(x) / Σ_j π_j p_j(x) = softmax_k(log p(x, y = k)).                                    (3)

So it can do more: draw examples by (2), know an outlier by its

    log p(x) = logsumexp_k log p(x, y = k),                                                                   (4)

and answer when features are missing, by (3) with the marginals

    p_k(x_seen) = ∫ p_k(x) dx_missing.                                                                        (5)

**Fitting.** log p(x, y) is a sum of terms that share no parameters, so maximum likelihood is counting and averaging
within each class. With N_k of N examples in class k,

    π_k = N_k/N,    μ_k = Σ_{y_n=k} x_n / N_k.                                                                (6)

*Gaussian discriminant analysis*: p_k = N(μ_k, Σ_k), with a covariance for each class, or one for all:

    Σ_k = Σ_{y_n=k} (x_n − μ_k)(x_n − μ_k)ᵀ / N_k,        Σ = Σ_k π_k Σ_k.                                    (7)

*Naive Bayes*: features are independent within a class, p_k(x) = Π_d p_kd(x_d). For real numbers p_kd = N(μ_kd, σ_kd²),
with the diagonal of Σ_k. For bits, with a pseudo-counts on either side (the optimum with a Beta(1 + a, 1 + a) prior),

    p_kd(1) = (a + Σ_{y_n=k} x_nd) / (2a + N_k).                                                              (8)

**The same posterior.** With one covariance −½ xᵀΣ⁻¹x is common to all classes, and cancels in (3). What is left is (1),
with

    W_k = Σ⁻¹μ_k,    b_k = log π_k − ½ μ_kᵀΣ⁻¹μ_k.                                                            (9)

Both can express the same answers, and they find different ones: (1) is fitted to p(y|x), (9) to p(x, y). Where classes
are Gaussian, (9) needs fewer examples; where they are not, (1) is better in the end.
"""
import copy

import minigen as mg
from minigen.distributions import Bernoulli, Categorical, MultivariateNormal, Normal
from minigen.models.base import GenerativeModel, Objective
from minigen.nn import Module, Parameter
from minigen.random import as_generator

__all__ = ["BernoulliNaiveBayes", "GaussianDiscriminant", "GaussianNaiveBayes", "GenerativeClassifier",
           "LogisticRegression"]


class GenerativeClassifier(GenerativeModel):
    """What the three generative ones share: Eqs. (2) to (6). A family defines `conditional`, `_fit` and `_keep`.

        model = GaussianDiscriminant(features=2, classes=3).fit(x, y)
        model.posterior(x), model.log_prob(x), model.sample(10, rng=0, labels=y[:10])
        model.marginal([0]).posterior(x[:, :1])                         # the same, seeing feature 0 only
    """

    def __init__(self, features, classes):
        if features < 1 or classes < 2:
            raise ValueError(f"{type(self).__name__}: wants at least 1 feature and 2 classes, got {features} and "
                             f"{classes}")
        self.features, self.classes = features, classes
        self.logits = Parameter(mg.zeros(classes))

    # ---- what a family defines -----------------------------------------------------------------------------------
    def conditional(self):
        """p_k: a batch of K distributions over vectors (D,)."""
        raise NotImplementedError(f"{type(self).__name__}: a generative classifier must define conditional()")

    def _fit(self, x, member, N_k):
        """Set the parameters of p_k from x (N, D), member (N, K) of zeros and ones, and N_k (K,)."""
        raise NotImplementedError(f"{type(self).__name__}: a generative classifier must define _fit(x, member, N_k)")

    def _keep(self, features):
        """{name: value} of p_k's parameters for these features only."""
        raise NotImplementedError(f"{type(self).__name__}: a generative classifier must define _keep(features)")

    # ---- what all of them do -------------------------------------------------------------------------------------
    def log_joint(self, x):
        """log p(x, y = k) in nats: (N, D) → (N, K). Eq. (2)."""
        _check(self, x)
        return mg.log_softmax(self.logits) + self.conditional().log_prob(mg.expand_dims(x, 1))

    def posterior(self, x):
        """p(y = k|x): (N, D) → (N, K). Eq. (3)."""
        return mg.softmax(self.log_joint(x))

    def predict(self, x):
        """The most probable class: (N, D) → (N,) int64."""
        return mg.argmax(self.log_joint(x), axis=1)

    def log_prob(self, x):
        """log p(x) in nats: (N, D) → (N,). Eq. (4); low for an outlier."""
        return mg.logsumexp(self.log_joint(x), axis=1)

    def sample(self, n, *, rng, labels=None):
        """n examples (n, D), of these classes (n,) or of classes drawn by π. Eq. (2)."""
        with mg.no_grad():
            rng = as_generator(rng)
            k = Categorical(self.logits).sample(n, rng=rng) if labels is None else labels
            every = self.conditional().sample(n, rng=rng)                                              # (n, K, D)
            index = mg.broadcast_to(mg.reshape(k, (n, 1, 1)), (n, 1, self.features))
            return mg.take_along_axis(every, index, axis=1)[:, 0]

    def fit(self, x, y):
        """Maximum likelihood in closed form, for x (N, D) and y (N,) int64. Returns self.

        Raises ValueError for shapes that do not fit, or a class without examples.
        """
        _check(self, x, y)
        with mg.no_grad():
            member = mg.one_hot(y, self.classes).astype(x.dtype)                                       # (N, K)
            N_k = mg.sum(member, axis=0)
            empty = [k for k, count in enumerate(N_k.tolist()) if count == 0]
            if empty:
                raise ValueError(f"{type(self).__name__}.fit: class {empty[0]} of {self.classes} has no example")
            self.logits[...] = mg.log(N_k / len(x))                                                         # Eq. (6)
            self._fit(x, member, N_k)
        return self

    def marginal(self, features):
        """The classifier that sees these features only, a list of indices; the others are integrated out. Eq. (5)."""
        if not features or not all(0 <= d < self.features for d in features) or len(set(features)) < len(features):
            raise ValueError(f"{type(self).__name__}.marginal: wants distinct features from 0 to {self.features - 1}, "
                             f"at least one, got {features}")
        part = copy.copy(self)
        part.features = len(features)
        with mg.no_grad():
            for name, value in {"logits": self.logits, **self._keep(list(features))}.items():
                setattr(part, name, Parameter(value))
        return part

    def objectives(self):
        """One: the mean of −log p(x, y) in nats. Its minimum is what `fit` computes at once."""
        def loss(batch, rng):
            right = mg.take_along_axis(self.log_joint(batch["x"]), mg.expand_dims(batch["y"], 1), axis=1)
            return {"loss": -mg.mean(right)}

        return [Objective("joint", self.parameters(), loss)]


class GaussianDiscriminant(GenerativeClassifier):
    """Gaussian discriminant analysis, Eq. (7).

    Args:
        features: D. classes: K. shared: one covariance for all classes; boundaries between them are then straight.
        floor: added to each variance when fitting, so that few examples or a constant feature are no disaster.
    """

    def __init__(self, features, classes, shared=False, floor=1e-6):
        super().__init__(features, classes)
        batch = () if shared else (classes,)
        self.shared, self.floor = shared, floor
        self.mean = Parameter(mg.zeros((classes, features)))
        self.log_std = Parameter(mg.zeros((*batch, features)))
        self.lower = Parameter(mg.zeros((*batch, features, features)))

    def conditional(self):
        return MultivariateNormal(self.mean, self.log_std, self.lower)

    def _fit(self, x, member, N_k):
        self.mean[...] = mg.matmul(member.T, x) / mg.expand_dims(N_k, 1)                                    # Eq. (6)
        offset = x - mg.matmul(member, self.mean)                                    # from its own class's mean, (N, D)
        weight = mg.expand_dims(member.T, 2) / (len(x) if self.shared else mg.reshape(N_k, (-1, 1, 1)))     # (K, N, 1)
        covariance = mg.matmul((weight * offset).swapaxes(1, 2), offset)                            # (K, D, D), Eq. (7)
        if self.shared:
            covariance = mg.sum(covariance, axis=0)
        for name, value in self._factor(covariance + self.floor * mg.eye(self.features, dtype=x.dtype)).items():
            getattr(self, name)[...] = value

    def _keep(self, features):
        p = MultivariateNormal(self.mean[0], self.log_std, self.lower) if self.shared else self.conditional()
        covariance = p.covariance[..., features, :][..., features]
        return {"mean": self.mean[:, features], **self._factor(covariance)}

    def _factor(self, covariance):
        """{log_std, lower} of a covariance."""
        L = mg.cholesky(covariance)
        return {"log_std": mg.log(mg.diagonal(L, axis1=-2, axis2=-1)), "lower": mg.tril(L, -1)}

    def logistic_regression(self):
        """The `LogisticRegression` with the same posterior, Eq. (9). Raises ValueError unless ``shared``."""
        if not self.shared:
            raise ValueError("GaussianDiscriminant.logistic_regression: with a covariance for each class the "
                             "boundaries are quadrics; fit with shared=True")
        with mg.no_grad():
            L = MultivariateNormal(self.mean[0], self.log_std, self.lower).cholesky
            white = mg.solve_triangular(L, self.mean.T, lower=True)                                     # L⁻¹μ_k, (D, K)
            model = LogisticRegression(self.features, self.classes)
            model.weight = Parameter(mg.solve_triangular(L, white, lower=True, trans=True))
            model.bias = Parameter(mg.log_softmax(self.logits) - 0.5 * mg.sum(white ** 2, axis=0))          # Eq. (9)
        return model


class GaussianNaiveBayes(GenerativeClassifier):
    """Naive Bayes with a normal distribution for each feature and class. Args as for `GaussianDiscriminant`."""

    def __init__(self, features, classes, floor=1e-6):
        super().__init__(features, classes)
        self.floor = floor
        self.mean, self.log_std = Parameter(mg.zeros((classes, features))), Parameter(mg.zeros((classes, features)))

    def conditional(self):
        return Normal(self.mean, self.log_std)

    def _fit(self, x, member, N_k):
        self.mean[...] = mg.matmul(member.T, x) / mg.expand_dims(N_k, 1)                                    # Eq. (6)
        squares = (x - mg.matmul(member, self.mean)) ** 2
        variance = mg.matmul(member.T, squares) / mg.expand_dims(N_k, 1) + self.floor               # Eq. (7)'s diagonal
        self.log_std[...] = 0.5 * mg.log(variance)

    def _keep(self, features):
        return {"mean": self.mean[:, features], "log_std": self.log_std[:, features]}


class BernoulliNaiveBayes(GenerativeClassifier):
    """Naive Bayes for bits, 0 or 1, Eq. (8).

    Args:
        features: D. classes: K. pseudo_count: a ≥ 0; with 0 (maximum likelihood) what was never seen is impossible.
    """

    def __init__(self, features, classes, pseudo_count=1.0):
        super().__init__(features, classes)
        if not pseudo_count >= 0:
            raise ValueError(f"BernoulliNaiveBayes: wants a pseudo_count ≥ 0, got {pseudo_count}")
        self.pseudo_count = pseudo_count
        self.bit_logits = Parameter(mg.zeros((classes, features)))

    def conditional(self):
        return Bernoulli(self.bit_logits)

    def _fit(self, x, member, N_k):
        ones = self.pseudo_count + mg.matmul(member.T, x)
        zeros = 2 * self.pseudo_count + mg.expand_dims(N_k, 1) - ones
        if not mg.all(ones * zeros > 0):
            raise ValueError("BernoulliNaiveBayes.fit: some bit never changes within a class, so another value would "
                             f"have probability 0 there; take a pseudo_count > 0, got {self.pseudo_count}")
        self.bit_logits[...] = mg.log(ones / zeros)                                                         # Eq. (8)

    def _keep(self, features):
        return {"bit_logits": self.bit_logits[:, features]}


class LogisticRegression(Module):
    """Eq. (1). It has no log_prob and no sample: it knows nothing of x.

    Args:
        features: D. classes: K. penalty: λ, of ½ λ ‖W‖² added to the loss. Without it, W grows for ever where planes
            part the classes.
    """

    def __init__(self, features, classes, penalty=1e-4):
        self.features, self.classes, self.penalty = features, classes, penalty
        self.weight, self.bias = Parameter(mg.zeros((features, classes))), Parameter(mg.zeros(classes))

    def posterior(self, x):
        """p(y = k|x): (N, D) → (N, K). Eq. (1)."""
        return mg.softmax(self.scores(x))

    def predict(self, x):
        """The most probable class: (N, D) → (N,) int64."""
        return mg.argmax(self.scores(x), axis=1)

    def scores(self, x):
        """xᵀW + b, (N, K)."""
        _check(self, x)
        return mg.linear(x, self.weight, self.bias)

    def objectives(self):
        """One: the mean of −log p(y|x) in nats, with the penalty."""
        return [Objective("conditional", self.parameters(), lambda batch, rng: {
            "loss": self._loss(batch["x"], batch["y"], self.weight, self.bias)})]

    def fit(self, x, y, steps=25):
        """Newton's method on x (N, D), y (N,) int64, for few features: a step solves for all (D + 1) K numbers at once.

        The loss is convex. A step that would raise it is halved until it does not. Returns self.
        """
        _check(self, x, y)
        theta = mg.concatenate([self.weight, mg.expand_dims(self.bias, 0)]).detach()                   # (D + 1, K)

        def loss(theta):
            return self._loss(x, y, theta[:-1], theta[-1])

        value = loss(theta).item()
        for _ in range(steps):
            theta.requires_grad = True
            g = mg.grad(loss(theta), theta)
            theta = theta.detach()
            H = mg.reshape(mg.hessian(loss, theta), (g.size, g.size))
            H = H + 1e-6 * mg.eye(g.size, dtype=g.dtype)         # the same number added to all biases changes nothing
            step = mg.reshape(mg.solve(H, mg.reshape(g, -1)), g.shape)
            while not (new := loss(theta - step).item()) <= value and mg.max(mg.abs(step)).item() > 1e-9:
                step = 0.5 * step
            if not new < value:
                break
            theta, value = theta - step, new
        with mg.no_grad():
            self.weight[...], self.bias[...] = theta[:-1], theta[-1]
        return self

    def _loss(self, x, y, weight, bias):
        return mg.cross_entropy(mg.linear(x, weight, bias), y, "mean") + 0.5 * self.penalty * mg.sum(weight ** 2)


def _check(model, x, y=None):
    name, D = type(model).__name__, model.features
    if x.ndim != 2 or x.shape[1] != D:
        raise ValueError(f"{name}: wants examples (N, {D}), got shape {x.shape}")
    if y is not None and y.shape != x.shape[:1]:
        raise ValueError(f"{name}: wants one class for each of {len(x)} examples, got shape {y.shape}")
