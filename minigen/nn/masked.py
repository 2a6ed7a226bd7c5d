r"""Linear layers and networks with masked weights: output d sees only the inputs that come before it in an order.

M. Germain, K. Gregor, I. Murray and H. Larochelle, "MADE: Masked Autoencoder for Distribution Estimation", 2015,
arXiv:1502.03509. A layer whose weights are multiplied by zeros and ones,

    y = x (W ⊙ M) + b,                                                                                           (1)

has no connection where M is zero. Let input d stand at place m⁰(d) ∈ 1 … D of the order, and give each hidden unit k of
layer l a *degree* mˡ(k) ∈ 1 … D − 1: it may see the first mˡ(k) inputs, and nothing else. So the masks are

    Mˡ_{k k′} = 1  if  mˡ(k′) ≥ mˡ⁻¹(k),      between the input, the hidden layers, …                            (2)
    M_{k d}   = 1  if  m⁰(d) > mᴸ(k),         and from the last of them to output d.                             (3)

Along a path from input j to output d the degrees never fall, and at its end they rise: m⁰(j) ≤ m¹ ≤ … ≤ mᴸ < m⁰(d). No
path, no dependence: output d is a function of the inputs before d alone, whatever the weights are, and one pass
computes all D conditionals. Outputs count as K numbers each, the parameters of p(x_d | x_<d).

Which inputs meet in a hidden unit is arbitrary. One network can serve many choices, so many orders too: train it on one
set of degrees after another, and at test time average the models that the sets define (the paper's Section 4).

A *context* is given, not modelled: every hidden unit sees all of it, so that the network computes the parameters of
p(x_d | x_<d, c). Then degrees start at 0: such units see the context only, without them p(x_d | c) of the first d would
be linear in c.

Where the paper leaves the degrees to chance, one set of masks has them evenly spread, so that no conditional is starved
of units; more sets than one are drawn, mˡ(k) uniform on min mˡ⁻¹ … D − 1.
"""
import math

import numpy as np

from minigen import backend
from minigen.nn.linear import Linear
from minigen.nn.masked_matmul import masked_matmul, strips
from minigen.nn.module import Module
from minigen.nn.parameter import Buffer
from minigen.ops.activations import relu
from minigen.ops.index import take
from minigen.ops.linalg import matmul
from minigen.ops.reduce import broadcast_to
from minigen.random import as_generator
from minigen.tensor import tensor


class MaskedLinear(Linear):
    """Eq. (1) on the last axis: (…, in_features) → (…, out_features).

    Args:
        mask: (in_features, out_features), zeros and ones (or booleans): where it is zero nothing is connected.
        bias, rng, weight_init: as in `Linear`.

    Attributes:
        mask: a Buffer of the weight's shape, changed by `set_mask`.

    Raises ValueError for a mask of another shape, or one that is not of zeros and ones.
    """

    def __init__(self, in_features, out_features, mask, bias=True, *, rng, weight_init="torch"):
        super().__init__(in_features, out_features, bias, rng=rng, weight_init=weight_init)
        self.mask, self._seen = Buffer(self.weight.detach()), None
        self.set_mask(mask)

    def set_mask(self, mask):
        """Connect differently from now on. A graph made before refuses to be differentiated after."""
        mask = mask.numpy() if hasattr(mask, "numpy") else np.asarray(mask)
        if mask.shape != self.weight.shape or not ((mask == 0) | (mask == 1)).all():
            raise ValueError(f"{self.label()}: the mask must be of zeros and ones and of shape {self.weight.shape}, "
                             f"got shape {mask.shape} with values from {mask.min(initial=0)} to {mask.max(initial=0)}")
        with backend.use(self.mask.backend.name):
            self.mask[...] = tensor(mask, dtype=self.mask.dtype)

    def forward(self, x):
        self.expect_features(x, self.in_features)
        rows = x.reshape((math.prod(x.shape[:-1]), self.in_features))                          # (M, in)
        y = masked_matmul(rows, self.weight, self.mask, self._parts())                                        # Eq. (1)
        y = y if self.bias is None else y + self.bias
        return y.reshape((*x.shape[:-1], self.out_features))

    def _parts(self):
        """The strips of the mask as it is now: `load_state_dict` changes it as well."""
        if self._seen != self.mask._version[0]:
            self._strips, self._seen = strips(self.mask.numpy()), self.mask._version[0]
        return self._strips


class MaskedMLP(Module):
    """A multilayer perceptron whose output d depends only on the inputs before d: x (…, D) → (…, D, outputs).

        net = MaskedMLP(features=784, hidden=(500,), outputs=1, rng=0)
        logits = net(x)[..., 0]                                 # of p(x_d = 1 | x_<d), for all d at once

    Args:
        features: D.
        hidden: widths of the hidden layers. Empty: each output is linear in the inputs before it.
        outputs: K, the numbers that each conditional takes.
        order: the inputs in the order of generation, a permutation of 0 … D − 1 (default: as they stand); or one for
            each set of masks, (masks, D).
        context_features: C, the length of the context, if there is one.
        masks: how many sets of degrees; `use` chooses the one that works.
        direct: connect the inputs with the outputs besides (the paper's direct connections).
        activation: a function or module between the layers. rng, weight_init: as in `Linear`; out_init: of the weights
            that lead to the outputs, where they should start differently (``"zeros"``).

    Attributes:
        layers: the MaskedLinears. skip: the direct one, or None. context: the Linear of the context, or None.
        orders: Buffer (masks, D). degrees: a Buffer (masks, width) for each hidden layer.
        active: Buffer (), the set that works.

    Raises ValueError for sizes below 1 and for an order that is no permutation.
    """

    def __init__(self, features, hidden, outputs=1, order=None, context_features=0, masks=1, direct=False, *, rng,
                 activation=relu, weight_init="torch", out_init=None):
        if min(features, outputs, masks, *hidden) < 1 or context_features < 0:
            raise ValueError(f"MaskedMLP: wants at least one feature, output, mask and unit, got features={features}, "
                             f"hidden={tuple(hidden)}, outputs={outputs}, masks={masks}")
        rng = as_generator(rng)
        self.features, self.outputs, self.activation = features, outputs, activation
        sizes, last = [features, *hidden, features * outputs], len(hidden)
        with backend.use(rng.backend):
            self.orders = Buffer(tensor(_orders(order, masks, features)))
            self.degrees = [Buffer(tensor(d)) for d in _degrees(features, hidden, masks, context_features > 0, rng)]
            self.active = Buffer(tensor(0))
        self.layers = [MaskedLinear(a, b, np.ones((a, b)), rng=rng, weight_init=(out_init or weight_init) if k == last
                                    else weight_init) for k, (a, b) in enumerate(zip(sizes, sizes[1:]))]
        self.skip = MaskedLinear(features, sizes[-1], np.ones((features, sizes[-1])), bias=False, rng=rng,
                                 weight_init=out_init or weight_init) if direct else None
        self.context = Linear(context_features, sizes[1], bias=False, rng=rng,
                              weight_init=weight_init) if context_features else None
        self.use(0)

    def forward(self, x, context=None):
        """x (…, D), context (…, C) → (…, D, outputs)."""
        self.expect_features(x, self.features)
        if (context is None) != (self.context is None):
            raise ValueError(f"{self.label()}: " + ("a context is missing; it was made with context_features"
                             if context is None else "it was made without context_features, and got a context"))
        h = self.layers[0](x)
        if context is not None:
            h = h + self.context(context)
        for layer in self.layers[1:]:
            h = layer(self.activation(h))
        if self.skip is not None:
            h = h + self.skip(x)
        return h.reshape((*h.shape[:-1], self.features, self.outputs))

    # ---- orders and masks ----------------------------------------------------------------------------------------
    @property
    def masks(self):
        """How many sets of degrees there are."""
        return self.orders.shape[0]

    @property
    def order(self):
        """The order of the set that works, a NumPy array (D,)."""
        return self.orders.numpy()[int(self.active)]

    def use(self, k):
        """Let the k-th set of degrees work from now on. Returns self."""
        if not 0 <= k < self.masks:
            raise ValueError(f"{self.label()}: has {self.masks} sets of masks, numbered from 0; got {k}")
        self.active[...] = int(k)
        place = 1 + np.argsort(self.order)                                                     # m⁰, (D,)
        degrees = [place, *(d.numpy()[k] for d in self.degrees)]
        masks = [a[:, None] <= b for a, b in zip(degrees, degrees[1:])]                                       # Eq. (2)
        self._set(masks + [degrees[-1][:, None] < place], place[:, None] < place)                             # Eq. (3)
        return self

    def set_masks(self, masks):
        """Work with masks of your own: a list of (in, out) matrices, the last of them (width, D).

        Raises ValueError if they do not fit, or let an output see an input that does not come before it.
        """
        masks = [np.asarray(mask) != 0 for mask in masks]
        widths = [self.features, *(d.shape[1] for d in self.degrees), self.features]
        if [mask.shape for mask in masks] != list(zip(widths, widths[1:])):
            raise ValueError(f"{self.label()}: wants masks of shapes {list(zip(widths, widths[1:]))}, got "
                             f"{[mask.shape for mask in masks]}")
        check_causal(masks, self.order)
        place = np.argsort(self.order)
        self._set(masks, place[:, None] < place)

    def _set(self, masks, skip):
        for layer, mask in zip(self.layers, masks[:-1]):
            layer.set_mask(mask)
        self.layers[-1].set_mask(np.repeat(masks[-1], self.outputs, axis=1))                   # K numbers an output
        if self.skip is not None:
            self.skip.set_mask(np.repeat(skip, self.outputs, axis=1))

    def running(self, n, context=None):
        """The network for n examples whose inputs become known one after another: a `Running`."""
        return Running(self, n, context)

    def describe(self):
        widths = [self.features, *(layer.out_features for layer in self.layers[:-1])]
        return f"{' → '.join(map(str, widths))} → {self.features} × {self.outputs}"


class Running:
    """A `MaskedMLP` that is fed one input at a time, for the price of one pass in all.

        running = net.running(n)                                # inside no_grad
        for d in net.order:
            parameters = running.output(d)                      # (n, K): of p(x_d | what was fed)
            running.feed(d, draw(parameters))                   # (n,)

    Every layer keeps its sums Σ x (W ⊙ M) + b over what is known so far. A unit whose inputs are all known is finished:
    its value is added to the sums of the next layer, once. The activation must be elementwise.
    """

    def __init__(self, net, n, context=None):
        self.net, self.fed, layers = net, 0, net.layers
        self.weights = [layer.weight * layer.mask for layer in layers]
        self.skip = None if net.skip is None else net.skip.weight * net.skip.mask
        self.sums = [broadcast_to(layer.bias, (n, layer.out_features)) for layer in layers]
        if context is not None:
            self.sums[0] = self.sums[0] + net.context(context)
        self.order, ready = net.order, 1 + np.argsort(net.order)       # input d is known once so many were fed
        self.finished = []                                             # of each hidden layer: {fed: units}
        with backend.use(layers[0].mask.backend.name):
            for layer in layers[:-1]:
                ready = np.where(layer.mask.numpy() != 0, ready[:, None], 0).max(axis=0)
                self.finished.append({int(t): tensor(np.flatnonzero(ready == t)) for t in np.unique(ready)})
        self._finish()

    def output(self, d):
        """The numbers of output d, (n, K)."""
        K = self.net.outputs
        return self.sums[-1][:, d * K:(d + 1) * K]

    def feed(self, d, x):
        """Make input d known: x (n,). Raises ValueError unless d is the next in the order."""
        if self.fed == len(self.order) or d != self.order[self.fed]:
            raise ValueError(f"Running: input {d} is not the next in the order, after {self.fed} of {len(self.order)}")
        column = x[:, None]
        self.sums[0] = self.sums[0] + column * self.weights[0][d]
        if self.skip is not None:
            self.sums[-1] = self.sums[-1] + column * self.skip[d]
        self.fed += 1
        self._finish()

    def _finish(self):
        """Pass on the units that have just become known."""
        for k, finished in enumerate(self.finished):
            units = finished.get(self.fed)
            if units is not None:
                h = self.net.activation(take(self.sums[k], units, axis=1))
                self.sums[k + 1] = self.sums[k + 1] + matmul(h, take(self.weights[k + 1], units, axis=0))


def check_causal(masks, order=None):
    """Raise ValueError if a chain of masks (D, H₁), (H₁, H₂), …, (H, D) lets output d see an input not before d.

    Args:
        order: the inputs in the order of generation; default: as they stand.
    """
    paths = np.asarray(masks[0], dtype=bool)
    for mask in masks[1:]:
        paths = paths.astype(np.float32) @ np.asarray(mask, dtype=np.float32) > 0              # is there any path?
    place = np.argsort(_orders(order, 1, len(paths))[0])
    wrong = np.argwhere(paths & (place[:, None] >= place))
    if len(wrong):
        j, d = wrong[0]
        what = "itself" if j == d else f"input {j}, which comes later in the order"
        raise ValueError(f"MaskedMLP: these masks break causality: output {d} sees {what} ({len(wrong)} such pairs); "
                         "a path may lead only from an input to the outputs after it, Eqs. (2) and (3)")


def _orders(order, masks, D):
    """One order for each set of masks, (masks, D)."""
    order = np.arange(D) if order is None else np.asarray(order.numpy() if hasattr(order, "numpy") else order)
    if order.shape not in ((D,), (masks, D)) or not (np.sort(order, axis=-1) == np.arange(D)).all():
        raise ValueError(f"MaskedMLP: an order must be a permutation of 0 … {D - 1}, or one for each of {masks} sets "
                         f"of masks, got shape {order.shape}")
    return np.array(np.broadcast_to(order, (masks, D)), dtype=np.int64)


def _degrees(D, hidden, masks, context, rng):
    """Degrees of each hidden layer, a list of (masks, width): evenly spread if there is one set, else drawn."""
    lowest, end = (0 if context else 1), max(D, 1 if context else 2)                           # mˡ(k) in lowest … end−1
    if masks == 1:
        return [lowest + (np.arange(width) * (end - lowest) // width)[None] for width in hidden]
    layers, low = [], np.full((masks, 1), lowest)
    for width in hidden:
        u = rng.random((masks, width), dtype="float64").numpy()
        layers.append(low + np.floor(u * (end - low)).astype(np.int64))
        low = layers[-1].min(axis=1, keepdims=True)
    return layers
