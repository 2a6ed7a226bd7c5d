r"""What all pixel models share: the factorisation, the likelihood, and images drawn and completed pixel by pixel.

A. van den Oord, N. Kalchbrenner and K. Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759.

Pixels are in raster order, row by row from the left, and within pixel i its channels, each given all before it:

    p(x) = Π_i Π_k p(x_{i,k} | x_{<i}, x_{i,<k}).                                                                (1)

The factors are discrete: of K values, a softmax over K logits (one logit where K = 2). A causal network computes the
logits of all factors in one pass, so that log p(x) is exact and costs as much as the pass:

    log p(x) = Σ_{i,k} log softmax(l_{i,k}(x))[x_{i,k}].                                                         (2)

To draw an image is not as quick: each value must be known before the next can be drawn. With u uniform on [0, 1),

    x_{i,k} = the smallest v with  u < p(0) + … + p(v);    for K = 2:  x_{i,k} = [u < σ(l_{i,k})].               (3)

The same noise u gives the same image however the logits are computed: by a pass over the whole image for each value
(``cached=False``), or by computing the new pixel alone and remembering the rest (see `minigen.nn.masked_conv.Memory`).

The values after a known beginning are drawn in the same way, and then it is an exact draw from p(rest | beginning).
"""
import numpy as np

import minigen as mg
from minigen import nn
from minigen.distributions import Bernoulli, Categorical
from minigen.models.base import GenerativeModel, Objective
from minigen.random import as_generator


class PixelModel(GenerativeModel):
    """Base of the pixel models. A subclass defines ``network``, which ends with its ``head``, and ``_walk`` if it can
    do better than pass after pass.

        for batch in loader:                                    # {"x": (N, 28, 28, 1)}
            loss = -model.log_prob(batch["x"]).mean()           # nats per image
            optimizer.zero_grad(); loss.backward(); optimizer.step()

    Args:
        event_shape: (H, W, C).
        values: K. With 2, x is of floats 0 and 1; with more, of integers 0 … K − 1.
        classes: how many labels the model is conditioned on, called 0 … classes − 1; None: it knows no labels.
    """

    def __init__(self, event_shape, values=2, classes=None):
        name = type(self).__name__
        if len(event_shape) != 3 or min(event_shape) < 1:
            raise ValueError(f"{name}: wants an event_shape (H, W, C), got {tuple(event_shape)}")
        if values < 2 or (classes is not None and classes < 1):
            raise ValueError(f"{name}: wants 2 values or more, and a class or more (or None), got values={values}, "
                             f"classes={classes}")
        self.event_shape, self.values, self.classes = tuple(event_shape), values, classes

    def network(self, x, labels):
        """What a subclass computes: x (N, H, W, C), scaled to [0, 1] → (N, H, W, C · K), or (N, H, W, C) if K = 2."""
        raise NotImplementedError(f"{type(self).__name__}: a pixel model must define network(x, labels)")

    # ---- likelihood ----------------------------------------------------------------------------------------------
    def logits(self, x, labels=None):
        """The logits of every factor of Eq. (1): (N, H, W, C) if K = 2, else (N, H, W, C, K)."""
        self._check_shape(x)
        return self._shaped(self.network(self._scaled(x), self._checked(labels, x)))

    def log_conditionals(self, x, labels=None):
        """log p of every value given those before it, nats: x (N, H, W, C) → the same shape. The terms of Eq. (2).

        Raises ValueError for values out of range and labels that do not fit, TypeError for K > 2 values that are no
        integers.
        """
        if self.values == 2 and not bool(mg.all((x == 0) | (x == 1))):
            raise ValueError(f"{type(self).__name__}: wants bits, 0 and 1, got values from {float(x.min()):.4g} to "
                             f"{float(x.max()):.4g}; binarise first (mg.data.binarise), or model values=256 of them")
        return self._unchecked_log_conditionals(x, labels)

    def _unchecked_log_conditionals(self, x, labels):
        kind = Bernoulli if self.values == 2 else Categorical
        return kind(self.logits(x, labels), event_ndim=0).log_prob(x)

    def log_prob(self, x, labels=None):
        """Exact log p(x), or log p(x | label), nats, (N,). Eq. (2). Raises as `log_conditionals` does."""
        return mg.sum(self.log_conditionals(x, labels), axis=(1, 2, 3))

    def objectives(self):
        """One: minimise −log p(x), nats. On a GPU bits go unchecked here: looking makes every step wait for it."""
        def loss(batch, rng):
            x, labels = batch["x"], self._labels_of(batch)
            log_conditionals = self.log_conditionals if x.device == "cpu" else self._unchecked_log_conditionals
            return {"loss": -mg.sum(log_conditionals(x, labels), axis=(1, 2, 3)).mean()}

        return [Objective("nll", list(self.parameters()), loss)]

    def sees(self, pixel, images=4, rng=0):
        """Which pixels the logits of one pixel (row, column) depend on: booleans (H, W), a NumPy array.

        Read off the derivatives at a few random images, since at one of them a ReLU may be closed.
        """
        x = as_generator(rng).standard_normal((images, *self.event_shape))
        x.requires_grad = True
        labels = None if self.classes is None else np.arange(images) % self.classes
        logits = self._shaped(self.network(x, self._checked(labels, x)))[:, pixel[0], pixel[1]]
        return (mg.grad(logits.sum(), x).numpy() != 0).any(axis=(0, 3))

    # ---- drawing -------------------------------------------------------------------------------------------------
    def sample(self, n, *, rng=None, labels=None, eps=None, cached=True):
        """n images (n, H, W, C), floats if K = 2, else int64. Eq. (3).

        Args:
            labels: (n,); a conditional model draws them uniformly where they are missing.
            eps: the noise u of Eq. (3), (n, H, W, C), in place of rng.
            cached: False passes the whole image through the network for each value: slow, and the same image.
        """
        weight = self.head[-1].weight
        with mg.use(weight.backend.name):
            blank = mg.zeros((n, *self.event_shape), weight.dtype if self.values == 2 else "int64")
        if self.classes is not None and labels is None:
            labels = as_generator(_need(rng)).integers(self.classes, size=(n,))
        return self._fill(blank, 0, rng, labels, eps, cached)

    def complete(self, x, known, *, rng=None, labels=None, eps=None, cached=True):
        """Images x (N, H, W, C) with what is not known drawn anew, given what is: exact draws from p(unknown | known).

        Args:
            known: how many values are known, the first in the order; or booleans (H, W) or (H, W, C), true for the
                first of them alone: what is known further on a left-to-right model cannot take into account.
            rng, labels, eps, cached: as in `sample`.

        Raises ValueError for known values that do not come first, and for shapes that do not fit.
        """
        self._check_shape(x)
        start = self._prefix(known)
        given = (np.arange(np.prod(self.event_shape)) < start).reshape(self.event_shape)
        with mg.use(x.backend.name):
            x = mg.where(mg.tensor(given), x, 0)                                  # what is unknown may be anything
        return self._fill(x, start, rng, labels, eps, cached)

    def _prefix(self, known):
        """How many values are known, checked to be the first in the order."""
        name, size = type(self).__name__, int(np.prod(self.event_shape))
        if isinstance(known, (int, np.integer)) and not isinstance(known, bool):
            if not 0 <= known <= size:
                raise ValueError(f"{name}.complete: an image has {size} values, so that many or fewer are known, not "
                                 f"{known}")
            return int(known)
        mask = known.numpy() if isinstance(known, mg.Tensor) else np.asarray(known)
        if mask.dtype != bool or mask.shape not in (self.event_shape, self.event_shape[:2]):
            raise ValueError(f"{name}.complete: known must be a number or booleans {self.event_shape} or "
                             f"{self.event_shape[:2]}, got {mask.dtype} {mask.shape}")
        mask = np.broadcast_to(mask.reshape((*mask.shape, 1)[:3]), self.event_shape).ravel()
        start = int(mask.sum())
        if not mask[:start].all():
            raise ValueError(f"{name}.complete: the {start} known values must come first, row by row from the left, "
                             f"for each is drawn given those before it; value {int(mask.argmin())} is not known, and "
                             "a later one is")
        return start

    def _fill(self, x, start, rng, labels, eps, cached):
        """Draw the values of x from number ``start`` on, in place."""
        u = as_generator(_need(rng)).random(x.shape) if eps is None else eps
        if u.shape != x.shape:
            raise ValueError(f"{type(self).__name__}: wants noise eps of shape {x.shape}, got {u.shape}")
        labels, walk = self._checked(labels, x), self._walk if cached else self._walk_naively
        with mg.no_grad():
            for place, logits in walk(x, labels, start // (self.event_shape[1] * self.event_shape[2])):
                if np.ravel_multi_index(place, self.event_shape) >= start:
                    x[(slice(None), *place)] = self._draw(logits, u[(slice(None), *place)])
        return x

    def _walk_naively(self, x, labels, first_row):
        """Yield (place (r, c, k), its logits (N,) or (N, K)) in order, from a row on. x is written in between."""
        for r in range(first_row, self.event_shape[0]):
            for c, k in np.ndindex(self.event_shape[1:]):
                yield (r, c, k), self._shaped(self.network(self._scaled(x), labels))[:, r, c, k]

    _walk = _walk_naively

    def _draw(self, logits, u):
        """Eq. (3): logits (N,) or (N, K), noise (N,) → values (N,)."""
        if self.values == 2:
            return u < mg.sigmoid(logits)
        below = mg.cumsum(mg.softmax(logits), axis=-1) <= u[:, None]                          # (N, K)
        return mg.minimum(mg.sum(below, axis=-1), self.values - 1)                            # sums may end below 1

    # ---- parts ---------------------------------------------------------------------------------------------------
    def _check_shape(self, x):
        if x.shape[1:] != self.event_shape:
            wanted = ", ".join(map(str, self.event_shape))
            raise ValueError(f"{type(self).__name__}: wants images (N, {wanted}), got shape {x.shape}")

    def _scaled(self, x):
        """Values 0 … K − 1 as floats from 0 to 1."""
        x = x if x.dtype.kind == "f" else x.astype(self.head[-1].weight.dtype)
        return x if self.values == 2 else x * (1 / (self.values - 1))

    def _shaped(self, h):
        return h if self.values == 2 else h.reshape((*h.shape[:3], self.event_shape[2], self.values))

    def _outputs(self):
        """How many numbers the network ends with at each pixel."""
        return self.event_shape[2] * (1 if self.values == 2 else self.values)

    def _labels_of(self, batch):
        if self.classes is not None and "y" not in batch:
            raise ValueError(f"{type(self).__name__}: wants batches with labels 'y' beside 'x', got {sorted(batch)}")
        return None if self.classes is None else batch["y"]

    def _checked(self, labels, x):
        """Labels as a Tensor (N,) beside x, or None for a model without. Raises ValueError if they do not fit."""
        name = type(self).__name__
        if self.classes is None and labels is None:
            return None
        if self.classes is None:
            raise ValueError(f"{name}: this model knows no labels; make it with classes=, where it takes them")
        if labels is None:
            raise ValueError(f"{name}: this model is conditional; pass {len(x)} labels from 0 to {self.classes - 1}")
        if not isinstance(labels, mg.Tensor):
            with mg.use(x.backend.name):
                labels = mg.tensor(np.asarray(labels))
        if labels.shape != (len(x),) or labels.dtype.kind not in "iu":
            raise ValueError(f"{name}: wants an integer label for each of {len(x)} images, got {labels.dtype} "
                             f"{labels.shape}")
        low, high = (int(labels.min()), int(labels.max())) if len(x) else (0, 0)
        if low < 0 or high >= self.classes:
            raise ValueError(f"{name}: knows the labels 0 to {self.classes - 1}, got some from {low} to {high}")
        return labels


def head(features, width, outputs, channels, rng):
    """The end of every network: two 1 × 1 convolutions of mask B, each after a ReLU (the paper's Table 1)."""
    return nn.Sequential(mg.relu, nn.MaskedConv2d(features, width, 1, channels=channels, rng=rng),
                         mg.relu, nn.MaskedConv2d(width, outputs, 1, channels=channels, rng=rng))


def _need(rng):
    if rng is None:
        raise ValueError("pixel models draw: pass rng=, a Generator or a seed, or the noise as eps=")
    return rng
