r"""How many free numbers a distribution over n discrete variables has, and what an assumption saves.

For variables with K_1 … K_n values:

* a joint has one number for each outcome, and they sum to one:         ∏ K_i − 1                                (1)
* independent variables need one table each:                            Σ (K_i − 1)                              (2)
* a first-order Markov chain, x_i depending on x_{i−1} alone:            K_1 − 1 + Σ_{i>1} K_{i−1} (K_i − 1)      (3)

For n bits these are 2ⁿ − 1, n, and 2n − 1. A pixel of three bytes has 256³ − 1 = 16,777,215 as a joint and 765 with
independent channels. The numbers are *dimensions*: those of the families as surfaces in the space of all joints. That
is how the tests count them, as the rank of the map from parameters to probabilities.
"""
import math

__all__ = ["independent_parameters", "joint_parameters", "markov_parameters"]


def joint_parameters(sizes):
    """Eq. (1): of any joint over variables with these numbers of values."""
    return math.prod(_checked("joint_parameters", sizes)) - 1


def independent_parameters(sizes):
    """Eq. (2): of a joint in which all variables are independent."""
    return sum(size - 1 for size in _checked("independent_parameters", sizes))


def markov_parameters(sizes):
    """Eq. (3): of a first-order Markov chain through the variables, in this order."""
    sizes = _checked("markov_parameters", sizes)
    return sizes[0] - 1 + sum(before * (size - 1) for before, size in zip(sizes, sizes[1:]))


def _checked(name, sizes):
    sizes = list(sizes)
    if not sizes or any(not isinstance(size, int) or size < 1 for size in sizes):
        raise ValueError(f"{name}: wants for each variable how many values it has, integers ≥ 1, got {sizes}")
    return sizes
