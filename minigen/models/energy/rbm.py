r"""The restricted Boltzmann machine.

P. Smolensky, 1986; G. Hinton, "Training products of experts by minimizing contrastive divergence", 2002; T. Tieleman,
2008 (persistent chains); R. Salakhutdinov and I. Murray, "On the quantitative analysis of deep belief networks", 2008
(AIS).

**Energy** of visible units v ∈ {0, 1}^D and hidden units h ∈ {0, 1}^H, with no connection within a layer:

    E(v, h) = −b·v − c·h − vᵀ W h,    p(v, h) = e^{−E(v, h)}/Z.                                                (1)

So each layer is independent given the other,

    p(h_j = 1|v) = σ(c_j + (vᵀW)_j),    p(v_i = 1|h) = σ(b_i + (W h)_i),                                       (2)

and the hidden units can be summed out of p(v) = e^{−F(v)}/Z, with ζ(a) = log(1 + eᵃ), giving the *free energy*

    F(v) = −log Σ_h e^{−E(v, h)} = −b·v − Σ_j ζ(c_j + (vᵀW)_j).                                               (3)

**Learning.** Since log Z = log Σ_v e^{−F(v)},

    ∂ log p(v)/∂θ = −∂F(v)/∂θ + E_{v′~p}[∂F(v′)/∂θ]:                                                          (4)

lower the free energy of data, raise that of the model's own draws. Those are made by Gibbs sampling, v → h → v → …,
with (2). *Contrastive divergence*, CD-k, starts at the data and stops after k steps; it tends to (4) as k grows.
*Persistent* CD goes on from where the chains were after the last update. Either way the loss

    L = mean F(v_data) − mean F(v_model),    v_model held fixed,                                              (5)

has (4) as its gradient (with the sign of a loss); its value says nothing about the likelihood.

**Log-likelihood.** With few hidden or few visible units log Z is a sum that can be done:

    log Z = log Σ_h exp(c·h + Σ_i ζ(b_i + (W h)_i))    (or the same with the layers exchanged).               (6)

Else annealed importance sampling, along a path from an RBM with W = 0 and biases a, which is exact to draw from:

    log p̃_β(v) = ((1 − β) a + β b)·v + Σ_j ζ(β (c_j + (vᵀW)_j)),    Z_0 = 2^H ∏_i (1 + e^{a_i}).               (7)

p̃_β is the free energy of an RBM with biases (1 − β) a + β b and β c, weights β W: so Gibbs steps (2) move under it.

**Real-valued v** (`GaussianRBM`; G. Hinton and R. Salakhutdinov, 2006), for data of unit variance:

    E(v, h) = ½ ‖v − b‖² − c·h − vᵀ W h,    p(v|h) = N(b + W h, I),    F(v) = ½ ‖v − b‖² − Σ_j ζ(c_j + (vᵀW)_j).   (8)
"""
import math

import numpy as np

import minigen as mg
from minigen.distributions import Bernoulli, Normal
from minigen.models.base import GenerativeModel, Objective
from minigen.nn import Buffer, Parameter
from minigen.random import as_generator
from minigen.samplers import annealed, annealed_back

MOST_STATES = 20        # units of a layer that is summed over


class RBM(GenerativeModel):
    """Eqs. (1) to (7): binary visible units.

        model = RBM(784, 500, rng=0)
        optimizer = SGD(model.parameters(), lr=0.05)
        for batch in loader:                                                  # {"x": (N, *event)} of zeros and ones
            optimizer.zero_grad()
            model.terms(batch["x"], rng=rng)["loss"].backward()               # Eq. (5)
            optimizer.step()

    Args:
        visible: D, or the shape of an event with D entries. hidden: H.
        k: Gibbs steps for each update. persistent: 0 for CD, or how many chains PCD keeps.
        rng: generator or seed of the initial weights, N(0, 0.01²); biases start at 0 (see `set_bias`).
    """

    def __init__(self, visible, hidden, k=1, persistent=0, *, rng=0):
        rng = as_generator(rng)
        self.event_shape = (visible,) if isinstance(visible, int) else tuple(visible)
        D = math.prod(self.event_shape)
        if k < 1 or hidden < 1 or D < 1:
            raise ValueError(f"{type(self).__name__}: wants k ≥ 1 and units in both layers, got k={k}, {D} visible and "
                             f"{hidden} hidden")
        self.k = k
        self.weight = Parameter(0.01 * rng.standard_normal((D, hidden)))
        self.visible_bias, self.hidden_bias = Parameter(mg.zeros(D)), Parameter(mg.zeros(hidden))
        self.persistent = persistent
        if persistent:
            self.particles = Buffer(self._noise_events(persistent, rng))

    def set_bias(self, x):
        """Set b to the log-odds of the data's means (Hinton, "A practical guide", 2010, section 8.1)."""
        mean = mg.clip(mg.mean(self._rows(x), axis=0), 0.01, 0.99)
        with mg.no_grad():
            self.visible_bias[...] = mg.logit(mean)

    # ---- the distribution ----------------------------------------------------------------------------------------
    def energy(self, x):
        """The free energy F(v) in nats, (N,): −log p(v) − log Z. Eq. (3)."""
        v = self._rows(x)
        return self._visible_term(v) - mg.sum(mg.softplus(self._drive(v)), axis=1)

    def _visible_term(self, v):
        return -mg.matmul(v, self.visible_bias)

    def _drive(self, v):
        """c + vᵀW, (N, H)."""
        return mg.linear(v, self.weight, self.hidden_bias)

    def hidden_given(self, x):
        """p(h = 1|v), (N, H): the features. Eq. (2)."""
        return mg.sigmoid(self._drive(self._rows(x)))

    def visible_given(self, h):
        """p(v|h) for h (N, H), a Distribution over D units. Eq. (2)."""
        return Bernoulli(self.visible_bias + mg.matmul(h, self.weight.T))

    # ---- learning ------------------------------------------------------------------------------------------------
    def terms(self, x, *, rng):
        """{"loss"}: Eq. (5), and "reconstruction": mean squared error per unit after the first Gibbs step from data."""
        v, rng = self._rows(x), as_generator(rng)
        with mg.no_grad():
            first = self.gibbs(v, 1, rng=rng)
            start = self.particles if self.persistent else first
            steps = self.k if self.persistent else self.k - 1
            model = self.gibbs(start, steps, rng=rng)
            if self.persistent:
                self.particles[...] = model
        loss = mg.mean(self.energy(v)) - mg.mean(self.energy(model))                                        # Eq. (5)
        return {"loss": loss, "reconstruction": mg.mean((v - first) ** 2)}

    def objectives(self):
        """One: Eq. (5)."""
        return [Objective("contrastive divergence", self.parameters(),
                          lambda batch, rng: self.terms(batch["x"], rng=rng))]

    # ---- draws ---------------------------------------------------------------------------------------------------
    def gibbs(self, v, steps, *, rng, known=None):
        """``steps`` times v → h → v, Eq. (2), for v (N, D). Where ``known`` (D,) or (N, D) is true, v is kept."""
        rng = as_generator(rng)
        start = v
        for _ in range(steps):
            h = rng.bernoulli(mg.sigmoid(self._drive(v)), dtype=v.dtype)
            v = self.visible_given(h).sample(rng=rng)
            if known is not None:
                v = mg.where(known, start, v)
        return v

    def sample(self, n, *, rng, labels=None, steps=1000):
        """n draws (n, *event) after ``steps`` Gibbs steps from noise, or from the persistent chains: "fantasies"."""
        if labels is not None:
            raise ValueError(f"{type(self).__name__}: this model knows no labels, got {len(labels)} of them")
        rng = as_generator(rng)
        with mg.no_grad():
            start = self._noise_events(n, rng)
            if self.persistent:
                start = mg.take(self.particles, rng.integers(self.persistent, size=(n,)), axis=0)
            return mg.reshape(self.gibbs(start, steps, rng=rng), (n, *self.event_shape))

    def complete(self, x, known, *, rng, steps=200):
        """x (N, *event) with what is not ``known`` (*event, bool) filled in, by Gibbs steps with the rest held
        fixed."""
        v, known = self._rows(x), mg.reshape(known, (-1,))
        with mg.no_grad():
            rng = as_generator(rng)
            v = mg.where(known, v, self._noise_events(len(v), rng))
            return mg.reshape(self.gibbs(v, steps, rng=rng, known=known), x.shape)

    def _noise_events(self, n, rng):
        return rng.bernoulli(mg.full((n, math.prod(self.event_shape)), 0.5), dtype=self.weight.dtype)

    # ---- likelihood ----------------------------------------------------------------------------------------------
    def log_Z(self):
        """Exact log Z, a Tensor through which gradients flow. Eq. (6). Raises ValueError if both layers are too
        large."""
        D, H = self.weight.shape
        if min(D, H) > MOST_STATES:
            raise ValueError(f"log_Z: {D} visible and {H} hidden units are too many to sum over (one layer must have "
                             f"at most {MOST_STATES}); estimate it with ais()")
        if H <= D:
            h = _all_states(H, self.weight.dtype)
            return mg.logsumexp(mg.matmul(h, self.hidden_bias) + self._sum_over_visible(mg.matmul(h, self.weight.T)))
        return mg.logsumexp(-self.energy(mg.reshape(_all_states(D, self.weight.dtype), (-1, *self.event_shape))))

    def _sum_over_visible(self, drive):
        """log Σ_v e^{b·v + drive·v} for drive (N, D)."""
        return mg.sum(mg.softplus(self.visible_bias + drive), axis=1)

    def log_prob(self, x):
        """Exact log p(v), (N,), where log Z can be computed; else see `ais`. Eq. (6)."""
        return -self.energy(x) - self.log_Z()

    def ais(self, n=100, betas=None, base=None, *, rng, progress=None):
        """(log Z, its standard error) by annealed importance sampling with n chains, Eq. (7).

        Args:
            betas: rising from 0 to 1; by default the 14,500 of Salakhutdinov and Murray: fine near 1.
            base: a (D,), the biases of the first RBM: the log-odds of the data's means serve best. By default b.
        """
        betas = paper_betas() if betas is None else betas
        a = self.visible_bias.detach() if base is None else base
        log_Z0 = self._log_Z0(a)
        weights = annealed(None, Bernoulli(a), lambda v, beta, rng: self._anneal(v, beta, a, rng), betas, n, rng=rng,
                           path=lambda v, beta: self._path(v, beta, a), progress=progress)
        return log_Z0 + weights.log_Z, weights.log_Z_error

    def ais_back(self, x, betas=None, base=None, *, rng, progress=None):
        """(log Z, its standard error) by annealing from draws x of this model (n, *event) back to β = 0.

        It errs upwards where `ais` errs downwards (`minigen.samplers.annealed`, Eq. 3), provided that x are draws of
        the model; ends of long chains are so only nearly. ``betas``, ``base`` as for `ais`.
        """
        betas = paper_betas() if betas is None else betas
        a = self.visible_bias.detach() if base is None else base
        log_Z0 = self._log_Z0(a)
        weights = annealed_back(self._rows(x), lambda v, beta, rng: self._anneal(v, beta, a, rng), betas, rng=rng,
                                path=lambda v, beta: self._path(v, beta, a), progress=progress)
        return log_Z0 - weights.log_Z, weights.log_Z_error

    def _log_Z0(self, a):
        if a.shape != self.visible_bias.shape:
            raise ValueError(f"ais: base wants one bias for each of {self.visible_bias.size} visible units, got shape "
                             f"{a.shape}")
        return self.weight.shape[1] * math.log(2) + mg.sum(mg.softplus(a)).item()                           # Eq. (7)

    def _path(self, v, beta, a):
        bias = (1 - beta) * a + beta * self.visible_bias
        return mg.matmul(v, bias) + mg.sum(mg.softplus(beta * self._drive(v)), axis=1)                      # Eq. (7)

    def _anneal(self, v, beta, a, rng):
        """A Gibbs step (2) of the RBM at beta."""
        h = rng.bernoulli(mg.sigmoid(beta * self._drive(v)), dtype=v.dtype)
        drive = (1 - beta) * a + beta * (self.visible_bias + mg.matmul(h, self.weight.T))
        return rng.bernoulli(mg.sigmoid(drive), dtype=v.dtype)

    # ---- shapes --------------------------------------------------------------------------------------------------
    def _rows(self, x):
        """(N, *event) or (N, D) → (N, D)."""
        D = math.prod(self.event_shape)
        if x.shape[1:] not in (self.event_shape, (D,)):
            raise ValueError(f"{type(self).__name__}: wants visible units "
                             f"(N, {', '.join(map(str, self.event_shape))}), got shape {x.shape}")
        return mg.reshape(x, (len(x), D))


class GaussianRBM(RBM):
    """Eq. (8): real-valued visible units, for data whose entries have variance about 1."""

    def set_bias(self, x):
        """Set b to the data's means."""
        with mg.no_grad():
            self.visible_bias[...] = mg.mean(self._rows(x), axis=0)

    def _visible_term(self, v):
        return 0.5 * mg.sum((v - self.visible_bias) ** 2, axis=1)

    def visible_given(self, h):
        return Normal(self.visible_bias + mg.matmul(h, self.weight.T), 0.0)

    def _noise_events(self, n, rng):
        return self.visible_bias + rng.standard_normal((n, math.prod(self.event_shape)), dtype=self.visible_bias.dtype)

    def log_Z(self):
        """Exact log Z, by a sum over the hidden units. Raises ValueError if those are too many."""
        D, H = self.weight.shape
        if H > MOST_STATES:
            raise ValueError(f"log_Z: {H} hidden units are too many to sum over (at most {MOST_STATES})")
        h = _all_states(H, self.weight.dtype)
        drive = mg.matmul(h, self.weight.T)
        gain = mg.sum(drive * (self.visible_bias + 0.5 * drive), axis=1)              # ∫ e^{−½‖v−b‖² + v·drive} dv
        return mg.logsumexp(mg.matmul(h, self.hidden_bias) + gain) + 0.5 * D * math.log(2 * math.pi)

    def ais(self, *args, **settings):
        """Not for real-valued units: the path of Eq. (7) is one between binary RBMs."""
        raise NotImplementedError("GaussianRBM.ais: the annealing path is for binary units; log_Z() is exact for up to "
                                  f"{MOST_STATES} hidden ones")


def paper_betas():
    """The β of Salakhutdinov and Murray (2008): 500 steps to 0.5, 4,000 to 0.9, 10,000 to 1."""
    return np.concatenate([np.linspace(0, 0.5, 501)[:-1], np.linspace(0.5, 0.9, 4001)[:-1],
                           np.linspace(0.9, 1, 10_001)])


def _all_states(n, dtype):
    """All 2ⁿ states of n bits, (2ⁿ, n)."""
    return mg.tensor((np.arange(2 ** n)[:, None] >> np.arange(n) & 1).astype(dtype))
