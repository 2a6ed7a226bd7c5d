r"""From 8-bit pixels to what a likelihood is defined on.

A pixel x is an integer from 0 to 255. A model decides what kind of random variable that is:

* **a number in [0, 1]**, x / 255 (`to_unit`);
* **a bit** that is 1 with probability x / 255, for Bernoulli likelihoods: drawn afresh each time an image is seen
  (`binarise`), or once and for all (`binarise_once`);
* **a real number**, y = (x + u) / 256 with u ~ U[0, 1)^D, for densities p(y) on [0, 1]^D (`dequantise`). Every x owns a
  cell of volume 256^−D, and what the density puts there is the probability of x:

      log P(x) = log ∫ p((x + u) / 256) 256^−D du  ≥  E_u[ log p(y) ] − D log 256,                                 (1)

  by Jensen. In bits per dimension the bound reads −E_u[log₂ p(y)] / D + 8, and the uniform density scores 8. (Benigno
  Uria, Iain Murray, Hugo Larochelle: RNADE, arXiv 1306.0186, 2013; Lucas Theis, Aäron van den Oord, Matthias Bethge,
  arXiv 1511.01844, 2015.)

All but `binarise_once` are functions of ``(x, rng)``; `on` makes of them the transform that a `minigen.data.Loader`
takes. They run on the host, on NumPy arrays.
"""
import numpy as np

LARGEST_U = np.float32(1 - 2.0 ** -16)      # beyond it, 255 + u rounds up to 256 in float32 and leaves its cell


def on(**functions):
    """The Loader transform that applies ``function(array, rng)`` to the arrays it names: ``on(x=binarise)``."""
    def transform(batch, rng):
        for name in functions:
            if name not in batch:
                raise KeyError(f"on: the batch has no {name!r}; it has {', '.join(batch)}")
        return {**batch, **{name: function(batch[name], rng) for name, function in functions.items()}}
    return transform


def to_unit(x, rng=None):
    """x / 255: uint8 pixels (…) to float32 in [0, 1] (…). Nothing is drawn."""
    return _pixels("to_unit", x) / np.float32(255)


def binarise(x, rng=None, *, threshold=None):
    """Draw bits b ~ Bernoulli(x / 255), uint8 pixels (…) to float32 0 or 1 (…).

    Args:
        x: pixels.
        rng: a NumPy Generator.
        threshold: what rng would draw, integers k uniform on 0…254 (…), as uint8. Exact: P(k < x) = x / 255.
    """
    x = _pixels("binarise", x)
    if threshold is None:
        threshold = _need("binarise", rng).integers(0, 255, x.shape, dtype=np.uint8)
    return (threshold < x).astype(np.float32)


def binarise_once(x, seed=0):
    """A fixed binarisation: b ~ Bernoulli(x / 255) drawn once from ``seed``, as 8-bit images of 0 and 255 only.

    So the result goes wherever images go, and `to_unit` and `binarise` both turn it into the same bits 0 and 1. The
    generator is NumPy's frozen MT19937 stream, hence these are the same bits in every release of NumPy. The binarised
    MNIST of the literature (Hugo Larochelle, Iain Murray, 2011) was drawn once in the same way by others, with a seed
    that is not known, and is distributed as its own files: likelihoods on our draw are comparable with theirs in
    distribution, not image by image.
    """
    x = _pixels("binarise_once", x)
    threshold = np.random.RandomState(seed).randint(0, 255, x.shape, dtype=np.uint8)
    return np.where(threshold < x, np.uint8(255), np.uint8(0))


def dequantise(x, rng=None, *, u=None):
    """y = (x + u) / 256, uint8 pixels (…) to float32 in [0, 1) (…), Eq. (1); so floor(256 y) = x.

    Args:
        x: pixels.
        rng: a NumPy Generator.
        u: the noise, uniform on [0, 1) (…); drawn from rng if None.
    """
    x = _pixels("dequantise", x)
    if u is None:
        u = _need("dequantise", rng).random(x.shape, dtype=np.float32)
    return (x + np.minimum(np.float32(u), LARGEST_U)) / np.float32(256)


def _pixels(function, x):
    x = np.asarray(x)
    if x.dtype != np.uint8:
        raise TypeError(f"{function}: wants 8-bit pixels (uint8), got {x.dtype} {x.shape}; has it been scaled before?")
    return x


def _need(function, rng):
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{function}: draws, so it wants a NumPy Generator as rng, got {type(rng).__name__}; "
                        "pass np.random.default_rng(seed)")
    return rng
