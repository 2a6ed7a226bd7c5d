"""A learned vector for each of finitely many symbols."""
import functools

from minigen.nn.init import initial, normal
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.ops.index import take
from minigen.tensor import Tensor, tensor


class Embedding(Module):
    """Look up row k of a learned table for each symbol k: integers (…) → vectors (…, features).

    Args:
        symbols: how many there are; they are called 0 … symbols − 1.
        features: length of each vector.
        rng, weight_init: as in `minigen.nn.Linear`; by default N(0, 1).

    Attributes:
        weight: (symbols, features).

    Raises TypeError for symbols that are not integers, and IndexError for those outside 0 … symbols − 1 (to see one, a
    GPU is waited for).
    """

    def __init__(self, symbols, features, *, rng, weight_init=functools.partial(normal, std=1.0)):
        if symbols < 1 or features < 1:
            raise ValueError(f"Embedding: wants at least one symbol and one feature, got {symbols} and {features}")
        self.symbols, self.features = symbols, features
        self.weight = Parameter(initial(weight_init, (symbols, features), rng))

    def forward(self, symbols):
        symbols = symbols if isinstance(symbols, Tensor) else tensor(symbols)
        if symbols.dtype.kind not in "iu":
            raise TypeError(f"{self.label()} wants integers, got {symbols.dtype} of shape {symbols.shape}")
        if symbols.size:
            low, high = int(symbols.min()), int(symbols.max())
            if low < 0 or high >= self.symbols:
                raise IndexError(f"{self.label()} knows the symbols 0 to {self.symbols - 1}, "
                                 f"got some from {low} to {high}")
        return take(self.weight, symbols, axis=0)

    def describe(self):
        return f"{self.symbols}, {self.features}"
