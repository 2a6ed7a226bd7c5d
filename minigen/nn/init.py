r"""How weights start: initialisers by name.

Write y = x W with W of shape (in, out), x of mean 0, and weights drawn independently with mean 0. Then forwards, and
backwards for x̄ = ȳ Wᵀ,

    Var[y_j] = Σ_i Var[W_ij] E[x_i²] = fan_in · Var[W] · E[x²],                                             (1)
    Var[x̄_i] = fan_out · Var[W] · E[ȳ²].                                                                   (2)

A deep network keeps its signal alive if neither product is far from one.

Glorot and Bengio (2010): an activation that is near linear at 0 keeps E[x²] = Var[x]. Then (1) asks for
Var[W] = 1/fan_in and (2) for 1/fan_out, and the compromise is

    Var[W] = 2 / (fan_in + fan_out).                                                                        (3)

He, Zhang, Ren and Sun (2015, arXiv:1502.01852): if x = relu(y′) with y′ symmetric around 0, then E[x²] = ½ Var[y′], and
(1) asks for

    Var[W] = 2 / fan_in.                                                                                    (4)

A uniform law on (−a, a) has variance a²/3, so a = √3 · std.                                                (5)

The last axis of a weight is what it makes, the one before it what it reads; those further in front (the window of a
convolution) add to both: fan_in = ∏ shape[:−1], fan_out = ∏ shape[:−2] · shape[−1].

An initialiser is any function ``(shape, rng) -> Tensor``. Layers take one, or the name of one of these.
"""
import difflib
import math

import numpy as np

from minigen import backend
from minigen.random import as_generator
from minigen.tensor import tensor


def initial(how, shape, rng):
    """A first value for a parameter: a float32 Tensor of this shape on the backend of ``rng``.

    Args:
        how: the name of an initialiser of this file, or a function ``(shape, rng) -> Tensor``.
        rng: a `minigen.random.Generator`, or a seed.

    Raises ValueError for an unknown name, or if a function returns another shape.
    """
    if not callable(how) and how not in INITIALISERS:
        near = difflib.get_close_matches(str(how), INITIALISERS, 1)
        raise ValueError(f"initial: no initialiser is called {how!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                         + f" Known: {', '.join(INITIALISERS)}; or pass a function (shape, rng) -> Tensor")
    value = (how if callable(how) else INITIALISERS[how])(tuple(shape), as_generator(rng))
    if value.shape != tuple(shape):
        raise ValueError(f"initial: {getattr(how, '__name__', how)} returned the shape {value.shape}, "
                         f"wanted {tuple(shape)}")
    return value


def fans(shape):
    """(fan_in, fan_out) of a weight of this shape. Raises ValueError below two axes."""
    if len(shape) < 2:
        raise ValueError(f"fans: a weight has at least two axes (in, out), got the shape {shape}; start it with zeros, "
                         "ones, normal or uniform")
    return math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]


def _place(values, rng):
    with backend.use(rng.backend):
        return tensor(values, dtype="float32")


# ---- laws that ask for no fan ----------------------------------------------------------------------------------------
def zeros(shape, rng):
    """All zero."""
    return _place(np.zeros(shape), rng)


def ones(shape, rng):
    """All one."""
    return _place(np.ones(shape), rng)


def normal(shape, rng, std=0.02):
    """N(0, std²). The default is that of DCGAN (Radford et al., 2015, arXiv:1511.06434)."""
    return rng.normal(0.0, std, shape)


def uniform(shape, rng, bound=0.05):
    """U(−bound, bound)."""
    return rng.uniform(-bound, bound, shape)


def truncated_normal(shape, rng, std=0.02):
    """N(0, std²) given |w| ≤ 2 std: what falls outside is drawn again, so the spread that remains is 0.88 std."""
    draws = rng.standard_normal(shape).numpy()
    while (far := np.abs(draws) > 2).any():
        draws[far] = rng.standard_normal(int(far.sum())).numpy()
    return _place(std * draws, rng)


# ---- laws that keep the signal alive ---------------------------------------------------------------------------------
def xavier_uniform(shape, rng, gain=1.0):
    """Uniform with the variance of Eq. (3), times gain²."""
    return uniform(shape, rng, gain * math.sqrt(6 / sum(fans(shape))))                      # Eq. (5)


def xavier_normal(shape, rng, gain=1.0):
    """Normal with the variance of Eq. (3), times gain²."""
    return normal(shape, rng, gain * math.sqrt(2 / sum(fans(shape))))


def kaiming_uniform(shape, rng, gain=math.sqrt(2)):
    """Uniform with variance gain² / fan_in; the gain √2 is that of a ReLU, Eq. (4)."""
    return uniform(shape, rng, gain * math.sqrt(3 / fans(shape)[0]))                        # Eq. (5)


def kaiming_normal(shape, rng, gain=math.sqrt(2)):
    """Normal with variance gain² / fan_in; the gain √2 is that of a ReLU, Eq. (4)."""
    return normal(shape, rng, gain / math.sqrt(fans(shape)[0]))


def torch(shape, rng):
    """U(−1/√fan_in, 1/√fan_in): what PyTorch's Linear and Conv layers start from, so that results compare with it."""
    return uniform(shape, rng, 1 / math.sqrt(fans(shape)[0]))


def orthogonal(shape, rng, gain=1.0):
    """gain · Q with QᵀQ = I (or QQᵀ = I if wide), uniform over such matrices (Saxe et al., 2013, arXiv:1312.6120).

    Q of the QR decomposition of a Gaussian matrix is uniform once its columns' signs are those that make diag(R) > 0
    (Mezzadri, 2006, arXiv:math-ph/0609050). The axes before the last are taken as one.
    """
    rows, columns = fans(shape)[0], shape[-1]
    gaussian = rng.standard_normal((max(rows, columns), min(rows, columns)), dtype="float64").numpy()
    q, r = np.linalg.qr(gaussian)
    q = q * np.sign(np.diag(r))
    return _place(gain * (q if rows >= columns else q.T).reshape(shape), rng)


INITIALISERS = {f.__name__: f for f in (zeros, ones, normal, uniform, truncated_normal, xavier_uniform, xavier_normal,
                                        kaiming_uniform, kaiming_normal, torch, orthogonal)}
