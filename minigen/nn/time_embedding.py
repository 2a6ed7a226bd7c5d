r"""Numbers as vectors: what a network that depends on a time, a noise level or a position is given to read.

A network sees little in one number t between 0 and 1000. In a vector of sines and cosines of many frequencies,

    e(t) = (sin ω_0 t, …, sin ω_{F−1} t, cos ω_0 t, …, cos ω_{F−1} t),     D = 2 F,                                (1)

slow entries tell far times apart and fast ones near times, and a shift is a rotation that does not depend on t:

    sin ω(t + s) = cos ωs · sin ωt + sin ωs · cos ωt,    cos ω(t + s) = cos ωs · cos ωt − sin ωs · sin ωt,        (2)
    so that   ⟨e(t), e(s)⟩ = Σ_i cos ω_i (t − s)   is a function of t − s alone.                                  (3)

Vaswani et al. (2017, arXiv:1706.03762) take wavelengths in a geometric sequence from 2π to 2π · max_period:

    ω_i = max_period^(−i/F),   i = 0 … F − 1.                                                                    (4)

Random Fourier features (A. Rahimi and B. Recht, 2007; for times and coordinates M. Tancik et al., 2020,
arXiv:2006.10739, and Y. Song et al., 2021, arXiv:2011.13456) draw the frequencies of x ∈ R^d from a Gaussian once:

    e(x) = (sin 2π x B, cos 2π x B),    B (d, F) with entries ~ N(0, scale²).                                    (5)

The mean of cos 2π b·(x − y) over b ~ N(0, scale² I) is the Gaussian's characteristic function, so (3) becomes

    ⟨e(x), e(y)⟩ / F → exp(−2 π² scale² ‖x − y‖²)   as F grows:                                                   (6)

points look alike within about 1 / (2π scale) of each other.
"""
import math

from minigen.nn.containers import Sequential
from minigen.nn.linear import Linear
from minigen.nn.module import Module
from minigen.nn.parameter import Buffer
from minigen.ops.activations import silu
from minigen.ops.create import astype
from minigen.ops.elementwise import cos, sin
from minigen.ops.index import lift
from minigen.ops.join import concatenate
from minigen.primitive import primitive
from minigen.random import as_generator


def _waves(angles):
    """(…, F) → (…, 2 F): all sines, then all cosines."""
    return concatenate([sin(angles), cos(angles)], axis=-1)


@primitive
def _frequencies(xp, t, *, count, max_period):
    """The ω of Eq. (4), (count,), on the backend of t and of its dtype."""
    return xp.exp(xp.arange(count) * (-math.log(max_period) / count)).astype(t.dtype)


def sinusoidal_embedding(t, features, max_period=10_000.0):
    """Eq. (1) with the frequencies (4): times (…) → (…, features). Integer times give float32.

    Raises ValueError for an odd number of features, or a period that is not above one.
    """
    if features < 2 or features % 2:
        raise ValueError(f"sinusoidal_embedding: features come in pairs of a sine and a cosine, got {features}; use an "
                         "even number")
    if not max_period > 1:
        raise ValueError(f"sinusoidal_embedding: max_period must be above 1, got {max_period}")
    t, = lift(t)
    t = t if t.dtype.kind == "f" else astype(t, "float32")
    return _waves(t[..., None] * _frequencies(t, features // 2, max_period))


class RandomFourierFeatures(Module):
    """Eq. (5): (…, in_features) → (…, features).

    Args:
        scale: of the frequencies: large where x must be resolved finely.
        rng: generator or seed of B.

    Attributes:
        frequencies: B, a Buffer (in_features, features / 2): saved, but not trained.

    Raises ValueError for an odd number of features, or an input whose last axis is not in_features long.
    """

    def __init__(self, in_features, features, scale=1.0, *, rng):
        if in_features < 1 or features < 2 or features % 2:
            raise ValueError("RandomFourierFeatures: wants at least one feature in and an even number out, got "
                             f"{in_features} and {features}")
        self.in_features, self.features, self.scale = in_features, features, scale
        self.frequencies = Buffer(as_generator(rng).normal(0.0, scale, (in_features, features // 2)))

    def forward(self, x):
        self.expect_features(x, self.in_features)
        return _waves(2 * math.pi * (x @ self.frequencies))                                                   # Eq. (5)

    def describe(self):
        return f"{self.in_features}, {self.features}, scale={self.scale}"


class TimeEmbedding(Module):
    """Times (N,) → (N, out_features): Eq. (1), Linear, SiLU, Linear, as in Ho et al. (2020, arXiv:2006.11239).

    Args:
        features: D, how many sines and cosines; even.
        out_features: what the network is given to read.
        max_period: of Eq. (4), for times that run to about a thousand. Scale times in [0, 1] up before.
    """

    def __init__(self, features, out_features, max_period=10_000.0, *, rng):
        rng = as_generator(rng)
        self.features, self.out_features, self.max_period = features, out_features, max_period
        self.layers = Sequential(Linear(features, out_features, rng=rng), silu,
                                 Linear(out_features, out_features, rng=rng))

    def forward(self, t):
        return self.layers(sinusoidal_embedding(t, self.features, self.max_period))

    def describe(self):
        return f"{self.features}, {self.out_features}"
