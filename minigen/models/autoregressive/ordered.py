r"""What models that write a vector one entry after another have in common.

Any distribution of D entries is a product of conditionals, in any order o of the entries:

    p(x) = ∏_t p(x_o(t) | x_o(1), …, x_o(t−1)).                                                                 (1)

An autoregressive model gives each conditional a simple form, here

    x_d ~ Bernoulli(σ(l_d)),    log p(x_d | x_<d) = x_d l_d − log(1 + exp l_d),                                 (2)

with logits l_d that are a function of the entries before d, which x_<d stands for. So log p(x) is exact: a sum of D
terms, all computed in one pass, since all entries are known. To *sample*, the entries are drawn one after another, and
each draw is fed back. The naive way is a full pass for each entry; the cached way keeps what a pass has computed and
only adds what the newest entry changes. To *complete* an image whose first entries are given, start drawing after them:
that is exact too, p(rest | given), but only where the given entries come first in the order.

Where two pixels are seldom on together, few images decide on what connects them, and what is best for those is too
large for others. A Gaussian prior N(0, 1/λ) on the weights, the biases left alone, draws such weights to zero. It adds

    λ/2 Σ W²                                                                                                    (3)

to the mean of −log p(x), so λ counts in examples: 1/(number of examples) is one prior for the whole training set.
"""
import math

import numpy as np

import minigen as mg
from minigen.functional import sigmoid_cross_entropy
from minigen.models.base import GenerativeModel, Objective


class Autoregressive(GenerativeModel):
    """Base of models of Eq. (1). A family defines ``conditionals``, ``_begin``, ``_output`` and ``_feed``.

    Attributes:
        event_shape: of one x. features: D, the entries of it. l2: λ of Eq. (3).
        order: the entries in the order of generation, positions in the flattened x, a NumPy array (D,).
    """

    def __init__(self, event_shape, l2=0.0):
        self.event_shape = (event_shape,) if isinstance(event_shape, int) else tuple(event_shape)
        self.features, self.l2 = math.prod(self.event_shape), l2
        if self.features < 1 or not l2 >= 0:
            raise ValueError(f"{type(self).__name__}: an observation must have entries, and l2 be a number ≥ 0, got "
                             f"shape {self.event_shape} and l2={l2}")

    # ---- what a family defines -----------------------------------------------------------------------------------
    def conditionals(self, x):
        """The parameters of all conditionals in one pass: flat x (N, D) → (N, D), or (N, D, K)."""
        raise NotImplementedError(f"{type(self).__name__}: a model must define conditionals(x)")

    def _begin(self, n):
        """What n examples know before anything is drawn."""
        raise NotImplementedError(f"{type(self).__name__}: a model must define _begin(n)")

    def _output(self, state, d):
        """The parameters of p(x_d | what was fed), (N,) or (N, K)."""
        raise NotImplementedError(f"{type(self).__name__}: a model must define _output(state, d)")

    def _feed(self, state, d, x):
        """Feed x_d (N,) into the state."""
        raise NotImplementedError(f"{type(self).__name__}: a model must define _feed(state, d, x)")

    def _weights(self):
        """The matrices that the prior of Eq. (3) is on."""
        return [p for p in self.parameters() if p.ndim > 1]

    # ---- Bernoulli conditionals; other families say otherwise ------------------------------------------------------
    def _log_conditional(self, parameters, x):
        """log p(x_d | x_<d) for x of any shape and its parameters."""
        return -sigmoid_cross_entropy(parameters, x)                                                          # Eq. (2)

    def _noise(self, rng, shape, dtype):
        """What the draws of this shape are made of."""
        return rng.random(shape, dtype)

    def _draw(self, parameters, eps):
        """x_d from its parameters and its noise."""
        return (eps < mg.sigmoid(parameters)).astype(eps.dtype)

    def _check_values(self, x):
        """Raise ValueError for x that the model gives no probability."""
        if not bool(mg.all((x == 0) | (x == 1))):
            raise ValueError(f"{type(self).__name__}: wants bits, 0 and 1, got values from {float(x.min()):.4g} to "
                             f"{float(x.max()):.4g}; binarise first (mg.data.binarise), for a grey pixel has no "
                             "probability here")

    # ---- likelihood ----------------------------------------------------------------------------------------------
    def log_conditionals(self, x):
        """log p(x_d | x_<d) of every entry, nats: x (N, *event_shape) → the same shape."""
        flat = self._flat(x)
        return self._log_conditional(self.conditionals(flat), flat).reshape(x.shape)

    def log_prob(self, x):
        """Exact log p(x) in nats, (N,). Eq. (1). Raises ValueError for x of a wrong shape, or not of zeros and ones."""
        return mg.sum(self.log_conditionals(x).reshape((len(x), self.features)), axis=1)

    def objectives(self):
        """One: minimise −log p(x), and the prior of Eq. (3) where there is one."""
        return [Objective("nll", list(self.parameters()), lambda batch, rng: self._terms(batch["x"]))]

    def _terms(self, x):
        """{"loss"}, with a prior also {"nll"}, by the conditionals of one pass. On a GPU the values of x go unchecked
        here: looking at them would make every step wait for it."""
        flat = self._flat(x, look=x.device == "cpu")
        nll = -mg.sum(self._log_conditional(self.conditionals(flat), flat), axis=1).mean()                    # Eq. (1)
        if not self.l2:
            return {"loss": nll}
        squares = sum(mg.sum(mg.square(W)) for W in self._weights())
        return {"loss": nll + 0.5 * self.l2 * squares, "nll": nll}                                            # Eq. (3)

    # ---- generation ----------------------------------------------------------------------------------------------
    def sample(self, n, *, rng=None, labels=None, eps=None, cached=True):
        """n draws, (n, *event_shape). ``eps`` replaces the noise: uniform numbers (n, D), one for each entry.

        ``cached=False`` makes a full pass for each entry, the naive way; it draws the same.
        """
        if labels is not None:
            raise ValueError(f"{type(self).__name__}.sample: this model knows no labels")
        like = next(self.parameters())
        with mg.use(like.backend.name):
            return self.complete(mg.zeros((n, *self.event_shape), dtype=like.dtype), 0, rng=rng, eps=eps, cached=cached)

    def complete(self, x, known, *, rng=None, eps=None, cached=True):
        """Draw the entries of x (N, *event_shape) that are not known, given those that are.

        Args:
            known: how many entries are given, the first of the order; or booleans (*event_shape), true where given.
            eps, cached: as in `sample`.

        Raises ValueError if the given entries are not the first of the order, for then no pass yields p(rest | given).
        """
        with mg.no_grad():
            flat = mg.tensor(self._flat(x, first := self._prefix(known)))                # a copy, filled entry by entry
            if eps is None:
                if rng is None:
                    raise ValueError(f"{type(self).__name__}: needs an rng to draw with, or the noise as eps=")
                eps = self._noise(mg.random.as_generator(rng), flat.shape, flat.dtype)
            elif eps.shape[:2] != flat.shape:
                raise ValueError(f"{type(self).__name__}: wants noise for each of {flat.shape[0]} × {flat.shape[1]} "
                                 f"entries, got shape {eps.shape}")
            state = self._begin(len(flat)) if cached else None
            for t, d in enumerate(self.order.tolist()):
                if t >= first:
                    parameters = self._output(state, d) if cached else self.conditionals(flat)[:, d]
                    flat[:, d] = self._draw(parameters, eps[:, d])
                if cached:
                    self._feed(state, d, flat[:, d])
            return flat.reshape(x.shape)

    def _prefix(self, known):
        """How many entries are known, checked to be the first of the order."""
        if isinstance(known, (int, np.integer)) and not isinstance(known, bool):
            if not 0 <= known <= self.features:
                raise ValueError(f"{type(self).__name__}.complete: has {self.features} entries, so that many or fewer "
                                 f"are known, not {known}")
            return int(known)
        mask = known.numpy() if isinstance(known, mg.Tensor) else np.asarray(known)
        if mask.shape != self.event_shape or mask.dtype != bool:
            raise ValueError(f"{type(self).__name__}.complete: known must be a number or booleans of shape "
                             f"{self.event_shape}, got {mask.dtype} {mask.shape}")
        first = int(mask.sum())
        if not mask.ravel()[self.order[:first]].all():
            raise ValueError(f"{type(self).__name__}.complete: the {first} known entries are not the first {first} in "
                             "the order of generation; make a model with an order that begins with them")
        return first

    # ---- inside --------------------------------------------------------------------------------------------------
    def _flat(self, x, known=None, look=True):
        """x as (N, D), checked, its values if ``look``; of ``known`` entries only those first in the order must have
        any."""
        if x.shape[1:] != self.event_shape or x.ndim != 1 + len(self.event_shape):
            wanted = ", ".join(map(str, self.event_shape))
            raise ValueError(f"{type(self).__name__}: wants observations (N, {wanted}), got shape {x.shape}")
        flat = mg.reshape(x, (len(x), self.features))
        if known is None:
            if look:
                self._check_values(flat)
            return flat
        given = np.zeros(self.features, dtype=bool)
        given[self.order[:known]] = True
        with mg.use(flat.backend.name):
            flat = mg.where(mg.tensor(given), flat, 0)                       # what is unknown may be anything, even NaN
        self._check_values(flat)
        return flat


class MaskedAutoregressive(Autoregressive):
    """Base of models whose conditionals are one `minigen.nn.MaskedMLP`, called ``net``."""

    @property
    def order(self):
        """Positions in the flattened x, in the order of generation, (D,)."""
        return self.net.order

    def conditionals(self, x):
        """Logits l of all entries, (N, D) → (N, D)."""
        return self.net(x)[..., 0]

    def _weights(self):
        """Only what is connected: a masked weight has no other gradient, and would decay until it underflows."""
        layers = [*self.net.layers, *([self.net.skip] if self.net.skip else [])]
        return [layer.weight * layer.mask for layer in layers]

    def _begin(self, n):
        return self.net.running(n)

    def _output(self, state, d):
        return state.output(d)[:, 0]

    def _feed(self, state, d, x):
        state.feed(d, x)


def checked_order(order, features, name):
    """An order of generation as a NumPy array (D,); default: as the entries lie in memory."""
    order = np.arange(features) if order is None else np.asarray(order.numpy() if hasattr(order, "numpy") else order)
    if order.shape != (features,) or sorted(order.tolist()) != list(range(features)):
        raise ValueError(f"{name}: the order must be a permutation of 0 … {features - 1}, got shape {order.shape}")
    return order.astype(np.int64)
