"""Dropout (Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014) as a layer.

In training each entry is kept with probability 1 − p and scaled so that nothing changes on average; in evaluation
nothing is done:

    y = x · m / (1 − p),   m ~ Bernoulli(1 − p) independently,   so that   E[y] = x.                        (1)
"""
from minigen.functional import dropout
from minigen.nn.module import Module
from minigen.random import as_generator, default_rng


class Dropout(Module):
    """Zero entries at random in training, Eq. (1); the identity after ``eval()``.

    The masks come from a generator of the layer's own, spawned from ``rng``: two layers made from one generator draw
    independently, and no one else's draws change the masks. Its state belongs to what a run needs to resume exactly:
    `Module.named_generators` finds it. After ``to(backend)`` the layer goes on with a generator there.

    Args:
        p: probability that an entry is dropped, in [0, 1).
    """

    def __init__(self, p, *, rng):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p is the probability to drop an entry and lies in [0, 1), got {p}")
        self.p = p
        self.rng, = as_generator(rng).spawn(1)

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        if self.rng.backend != x.backend.name:                              # the model has moved
            self.rng = default_rng(self.rng.integers(2 ** 31).item(), x.backend.name)
        return dropout(x, self.p, self.rng)                                 # Eq. (1)

    def describe(self):
        return f"p={self.p}"
