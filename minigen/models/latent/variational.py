r"""Variational inference: a posterior that cannot be computed, replaced by the nearest member of a family.

M. Jordan et al., 1999; A. Kucukelbir et al., "Automatic differentiation variational inference", 2016, arXiv:1603.00788.

Given a joint p(x, z) with x observed, and a family q_φ(z),

    log p(x) = L(φ) + KL(q_φ(z) ‖ p(z|x)),    L(φ) = E_{z~q}[log p(x, z) − log q_φ(z)],                        (1)

so raising the *evidence lower bound* L brings q to the posterior. Only the joint is needed, and z = (z_1 … z_D) may be
anything real. Two families:

    mean field   q = N(μ, diag σ²)      2 D numbers; misses every correlation, and so is too narrow             (2)
    full rank    q = N(μ, L Lᵀ)         D + D (D + 1)/2 numbers; exact if the posterior is normal               (3)

Two ways to the gradient of an expectation under the very distribution that is to be changed:

*Reparameterised.* With z = z_φ(ε), ε ~ N(0, I), differentiate inside:

    ∇L = E_ε[∇_φ log p(x, z_φ(ε))] + ∇H(q_φ).                                                                 (4)

*Score function* (REINFORCE; R. Williams, 1992). Since E[∇ log q] = 0, for any constant b, the *baseline*,

    ∇L = E_{z~q}[(f(z) − b) ∇_φ log q_φ(z)],    f(z) = log p(x, z) − log q_φ(z).                               (5)

It needs no derivative of p, so z may be discrete; its variance is larger, the more so the more dimensions. With S draws
take for each the mean of f over the others, which is independent of it:

    b_s = 1/(S − 1) Σ_{r≠s} f(z_r)    (W. Kool, H. van Hoof and M. Welling, 2019).                              (6)
"""
import minigen as mg
from minigen.distributions import Independent, MultivariateNormal, Normal
from minigen.models.base import GenerativeModel, Objective
from minigen.nn import Module, Parameter
from minigen.random import as_generator

ESTIMATORS = ("reparameterised", "score", "score with baseline")


class MeanField(Module):
    """Eq. (2) on D dimensions, starting at N(mean, e^{2 log_std} I).

    D may be a shape, such as (N, K) for the latents of N examples, each with a q of its own: one event, of N K entries.
    """

    def __init__(self, D, mean=0.0, log_std=-1.0):
        self.mean, self.log_std = Parameter(mg.full(D, mean)), Parameter(mg.full(D, log_std))

    def forward(self):
        """q, a Distribution over vectors (D,)."""
        return Normal(self.mean, self.log_std, event_ndim=self.mean.ndim)


class FullRank(Module):
    """Eq. (3) on D dimensions, starting at N(mean, e^{2 log_std} I)."""

    def __init__(self, D, mean=0.0, log_std=-1.0):
        self.mean, self.log_std = Parameter(mg.full(D, mean)), Parameter(mg.full(D, log_std))
        self.lower = Parameter(mg.zeros((D, D)))

    def forward(self):
        """q, a Distribution over vectors (D,)."""
        return MultivariateNormal(self.mean, self.log_std, self.lower)


class VariationalInference(GenerativeModel):
    """Fits ``family`` to the posterior of ``log_joint``, Eq. (1).

        model = VariationalInference(log_joint, FullRank(2))
        Trainer(model, Adam(list(model.parameters()), lr=0.02), lambda rng: {}).run(2000)
        model.sample(1000, rng=0)                                                # from q, (1000, D)

    Args:
        log_joint: function z (S, D) -> log p(x, z) (S,), in nats, with x fixed inside it. Normalised, the bound is one
            on log p(x); else it is one up to the same constant. For N examples at once z is (S, N, K), and the sum over
            them is wanted.
        family: Module whose call gives q, a Distribution: `MeanField`, `FullRank`, or your own.
        estimator: one of `ESTIMATORS`: Eq. (4), or Eq. (5) without or with the baseline of Eq. (6).
        draws: S for each step.

    Raises ValueError for another estimator, for a family that gives a batch, for draws that cannot be differentiated
    where that is wanted, or for a baseline from a single draw.
    """

    def __init__(self, log_joint, family, estimator="reparameterised", draws=8):
        q = family()
        if estimator not in ESTIMATORS:
            raise ValueError(f"VariationalInference: estimator {estimator!r} is none of "
                             f"{', '.join(map(repr, ESTIMATORS))}")
        if q.batch_shape:
            raise ValueError(f"VariationalInference: wants one q over all of z, got the batch {q!r}; wrap it in "
                             "Independent, or raise its event_ndim")
        if estimator == "reparameterised" and not q.reparameterised:
            raise ValueError(f"VariationalInference: draws of {q!r} are no smooth function of its parameters; use the "
                             "score estimator")
        if estimator == "score with baseline" and draws < 2:
            raise ValueError("VariationalInference: the baseline of one draw is the mean of the others; got "
                             f"draws={draws}")
        self.log_joint, self.family, self.estimator, self.draws = log_joint, family, estimator, draws

    def terms(self, *, rng, eps=None):
        """{"loss"}: a scalar whose gradient estimates −∇L, and "elbo", an estimate of L in nats. ``eps``: q's noise."""
        q = self.family()
        if self.estimator == "reparameterised":
            z = q.sample(self.draws, rng=rng, eps=eps)
            elbo = mg.mean(self.log_joint(z)) + q.entropy()                                                 # Eq. (4)
            return {"loss": -elbo, "elbo": elbo}
        z = q.sample(self.draws, rng=rng, eps=eps).detach()
        log_q = q.log_prob(z)
        with mg.no_grad():
            f = self.log_joint(z) - log_q
            b = (mg.sum(f) - f) / (self.draws - 1) if self.estimator == "score with baseline" else 0.0      # Eq. (6)
        return {"loss": -mg.mean((f - b) * log_q), "elbo": mg.mean(f)}                                      # Eq. (5)

    def objectives(self):
        """One: −L."""
        return [Objective("elbo", self.family.parameters(), lambda batch, rng: self.terms(rng=rng))]

    def bound(self, n, *, rng):
        """(L, its standard error) from n draws of q, in nats."""
        with mg.no_grad():
            q = self.family()
            z = q.sample(n, rng=as_generator(rng))
            f = self.log_joint(z) - q.log_prob(z)
            return f.mean().item(), f.std(ddof=1).item() / n ** 0.5

    def sample(self, n, *, rng, labels=None):
        """n draws of q, (n, D)."""
        with mg.no_grad():
            return self.family().sample(n, rng=as_generator(rng))


class Factorised(Module):
    """A family of one's own, of a Parameter: ``Factorised(lambda p: Bernoulli(p), mg.zeros(3))``.

    Args: make: Parameter -> Distribution; a batch is read as independent parts of one event. start: its initial value.
    """

    def __init__(self, make, start):
        self.value = Parameter(start)
        self.make = make

    def forward(self):
        """q."""
        q = self.make(self.value)
        return Independent(q, len(q.batch_shape)) if q.batch_shape else q
