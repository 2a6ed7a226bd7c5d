"""One random generator over NumPy and CuPy, spelled as NumPy spells it.

    rng = mg.random.default_rng(0)
    eps = rng.standard_normal((128, 20))          # a float32 Tensor on the generator's backend

Randomness is explicit: everything that draws takes an ``rng``. The same seed gives the same bits on one backend. A
generator's `state` is a small JSON-able dict, so that a training run resumes exactly where it stopped.

On a GPU the bits come from a counter: CuPy cannot save its generators' state, so ours is (seed, number of draws), and
each draw has a generator of its own, seeded by both.
"""
import numpy as np

from minigen import backend
from minigen.tensor import Tensor, to_array


class Generator:
    """Draws Tensors. Make one with `default_rng`. ``backend`` names where they live."""

    def __init__(self, seed, backend_name):
        self.backend = backend_name
        self.seed, self.draws = int(seed), 0
        self._host = np.random.Generator(np.random.PCG64(self.seed)) if backend_name == "numpy" else None

    def _next(self):
        """The library's generator to draw from."""
        if self._host is not None:
            return self._host
        self.draws += 1
        words = np.random.SeedSequence([self.seed, self.draws]).generate_state(2, np.uint64)
        return backend.get(self.backend).generator(int(words[0]))

    # ---- drawing -------------------------------------------------------------------------------------------------
    def standard_normal(self, size=(), dtype="float32"):
        """ε ~ N(0, 1), independent, of shape ``size``."""
        return self._tensor(self._next().standard_normal(size, dtype=np.dtype(dtype)))

    def normal(self, loc=0.0, scale=1.0, size=(), dtype="float32"):
        """loc + scale · ε with ε ~ N(0, 1). loc and scale are numbers or Tensors that broadcast to ``size``."""
        return loc + scale * self.standard_normal(size, dtype)

    def random(self, size=(), dtype="float32"):
        """u ~ Uniform[0, 1)."""
        return self._tensor(self._next().random(size, dtype=np.dtype(dtype)))

    def uniform(self, low=0.0, high=1.0, size=(), dtype="float32"):
        """u ~ Uniform[low, high)."""
        return low + (high - low) * self.random(size, dtype)

    def integers(self, low, high=None, size=()):
        """Integers from [low, high), or [0, low) where ``high`` is left out; int64."""
        low, high = (0, low) if high is None else (low, high)
        if high <= low:
            raise ValueError(f"integers: wants low < high, got [{low}, {high})")
        u = self._next().random(size, dtype=np.dtype("float64"))
        return self._tensor(low + (u * (high - low)).astype("int64"))

    def permutation(self, n):
        """The numbers 0…n−1 in random order; int64."""
        xp = backend.get(self.backend)
        return self._tensor(xp.argsort(self._next().random(n, dtype=np.dtype("float64"))))

    def bernoulli(self, p, dtype="float32"):
        """1 with probability p, else 0, elementwise; of p's shape."""
        p = to_array(p, xp=backend.get(self.backend))
        return self._tensor((self._next().random(p.shape, dtype=np.dtype("float32")) < p).astype(dtype))

    def exponential(self, size=(), dtype="float32"):
        """−log(1 − u): Exponential with mean 1."""
        return self._tensor(-backend.get(self.backend).log1p(-self.random(size, dtype)._array))

    def gumbel(self, size=(), dtype="float32"):
        """−log E with E ~ Exponential(1): argmax(logits + gumbel) is a draw from the softmax."""
        tiny = np.finfo(dtype).tiny
        xp = backend.get(self.backend)
        return self._tensor(-xp.log(xp.maximum(self.exponential(size, dtype)._array, float(tiny))))

    def _tensor(self, array):
        return Tensor(backend.get(self.backend).asarray(array))

    # ---- state ---------------------------------------------------------------------------------------------------
    def state(self):
        """Everything needed to continue from here, as a JSON-able dict."""
        bits = self._host.bit_generator.state if self._host is not None else None
        return {"backend": self.backend, "seed": self.seed, "draws": self.draws, "bits": bits}

    def set_state(self, state):
        """Continue from `state`. Raises ValueError for the state of a generator on another backend."""
        if state.get("backend") != self.backend:
            raise ValueError(f"set_state: the state is of a generator on {state.get('backend')!r}, this one is on "
                             f"{self.backend!r}; the same bits cannot be had there")
        self.seed, self.draws = state["seed"], state["draws"]
        if self._host is not None:
            self._host.bit_generator.state = state["bits"]

    def spawn(self, n):
        """n new generators, independent of each other and of this one; which ones depends on this one's state."""
        return [Generator(seed, self.backend) for seed in self._seeds(n)]

    def _seeds(self, n):
        if self._host is not None:
            return [int(s) for s in self._host.integers(0, 2 ** 63, n)]
        self.draws += 1
        words = np.random.SeedSequence([self.seed, self.draws]).generate_state(n, np.uint64)
        return [int(w >> np.uint64(1)) for w in words]

    def __repr__(self):
        return f"<generator seed={self.seed} on {self.backend}>"


def default_rng(seed=0, backend_name=None):
    """A generator on ``backend_name`` (default: where new tensors live).

    Raises ValueError unless the seed is an integer ≥ 0.
    """
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"default_rng: the seed must be an integer ≥ 0, got {seed!r}")
    return Generator(seed, backend_name or backend.current().name)


def as_generator(rng):
    """``rng`` itself if it is a Generator, else `default_rng` of it (a seed)."""
    return rng if isinstance(rng, Generator) else default_rng(rng)


def seeded(rng):
    """As `as_generator`, where ``rng`` may be None because nothing need be drawn: None stays None."""
    return None if rng is None else as_generator(rng)
