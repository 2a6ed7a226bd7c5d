r"""What every generative model has in common: objectives to train by, samples, and the scores its family can compute.

A model owns its objectives, never its optimisers. The loop that trains any of them, by hand::

    objective, = model.objectives()                         # a GAN has two: critic and generator
    optimizer = Adam(objective.parameters, lr=1e-3)
    for batch in loader.epoch(0):                           # {"x": (N, *event), "y": (N,)}
        terms = objective.loss(batch, rng)                  # {"loss": …, "kl": …}
        gradients = mg.grad(terms["loss"], objective.parameters)
        for parameter, gradient in zip(objective.parameters, gradients):
            parameter.grad = gradient
        optimizer.step()

`minigen.training.Trainer` is this loop with a log, checkpoints and a progress bar.
"""
import dataclasses
from collections.abc import Callable

from minigen.nn import Module
from minigen.tensor import Tensor


@dataclasses.dataclass
class Objective:
    """One player's goal: what it minimises, and the parameters it moves for that.

    Attributes:
        name: short, unique in the model: ``"elbo"``, ``"critic"``.
        parameters: the Parameters it moves, a list (any iterable is made one).
        loss: function ``(batch, rng) -> {"loss": scalar Tensor, …}``. Only "loss" is minimised; other entries (scalar
            Tensors or numbers) are logged. Everything random in it is drawn from ``rng``.
        every: it moves in every ``every``-th step only. A critic with ``every=1`` beside a generator with ``every=5``
            takes five steps, each on a batch of its own, for one of the generator's.
        after: function without arguments called after each of its moves, inside `no_grad`, such as WGAN's clipping of
            weights.

    Raises ValueError for an empty name, no parameters, or every < 1; TypeError for parameters that are no Tensors.
    """
    name: str
    parameters: list
    loss: Callable
    every: int = 1
    after: Callable | None = None

    def __post_init__(self):
        self.parameters = list(self.parameters)
        if not self.name or not isinstance(self.name, str):
            raise ValueError(f"Objective: the name must be a string that is not empty, got {self.name!r}")
        if not self.parameters:
            raise ValueError(f"Objective {self.name!r}: got no parameters to move; an iterator such as "
                             "model.parameters() is empty once it has been used")
        strangers = [p for p in self.parameters if not isinstance(p, Tensor)]
        if strangers:
            raise TypeError(f"Objective {self.name!r}: parameters must be Tensors, got a {type(strangers[0]).__name__}")
        if self.every < 1:
            raise ValueError(f"Objective {self.name!r}: every must be an integer ≥ 1, got {self.every}")


class GenerativeModel(Module):
    """A distribution p(x) learnt from examples. A family defines `objectives`, `sample` and the scores it truly has."""

    def objectives(self):
        """The model's `Objective`s, in the order in which they move within a step."""
        raise NotImplementedError(f"{type(self).__name__}: a model must define objectives()")

    def sample(self, n, *, rng, labels=None):
        """n draws from the model, (n, *event). ``labels``, (n,) integers, where the model is conditional."""
        raise NotImplementedError(f"{type(self).__name__}: a model must define sample(n, *, rng, labels=None)")

    def log_prob(self, x):
        """Exact log p(x) in nats, (N,)."""
        raise self._lacks("log_prob")

    def elbo(self, x, *, rng):
        """A lower bound of log p(x) in nats, (N,)."""
        raise self._lacks("elbo")

    def energy(self, x):
        """−log p(x) up to a constant in x, in nats, (N,)."""
        raise self._lacks("energy")

    @classmethod
    def scores(cls):
        """Which of "log_prob", "elbo" and "energy" this family has."""
        return [name for name in _SCORES if getattr(cls, name) is not getattr(GenerativeModel, name)]

    def _lacks(self, name):
        has = " and ".join(f"{score}() ({_SCORES[score]})" for score in self.scores())
        return NotImplementedError(f"{type(self).__name__} has no {name}() ({_SCORES[name]}); it has "
                                   f"{has or 'samples only'}")


_SCORES = {"log_prob": "exact, nats", "elbo": "a lower bound of log p(x), nats",
           "energy": "−log p(x) up to a constant, nats"}
