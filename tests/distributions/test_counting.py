"""Counts of free parameters, compared with the dimension of each family: the rank of parameters → probabilities."""
import numpy as np
import pytest

import minigen as mg
from minigen.distributions import independent_parameters, joint_parameters, markov_parameters

SIZES = [(2,), (2, 2), (2, 2, 2), (2, 3), (3, 2, 4), (2, 2, 2, 2)]


def dimension(sizes, parents):
    """The rank, at a random point, of the map from logits of p(x_i | x of its parents) to the joint's probabilities."""
    shapes = [tuple(sizes[j] for j in parents(i)) + (sizes[i],) for i in range(len(sizes))]
    cuts = np.cumsum([0] + [int(np.prod(s)) for s in shapes])

    def joint(theta):
        total = mg.zeros(sizes, dtype="float64")
        for i, shape in enumerate(shapes):
            axes = [*parents(i), i]
            factor = mg.log_softmax(theta[cuts[i]:cuts[i + 1]].reshape(shape))
            total = total + factor.reshape([sizes[j] if j in axes else 1 for j in range(len(sizes))])
        return mg.exp(total).reshape(-1)

    theta = mg.tensor(np.random.default_rng(0).standard_normal(cuts[-1]))
    return np.linalg.matrix_rank(mg.jacobian(joint, theta).numpy(), tol=1e-9)


@pytest.mark.parametrize("sizes", SIZES)
def test_counts_are_dimensions(sizes):
    assert joint_parameters(sizes) == dimension(sizes, lambda i: range(i))
    assert independent_parameters(sizes) == dimension(sizes, lambda i: [])
    assert markov_parameters(sizes) == dimension(sizes, lambda i: range(max(0, i - 1), i))


@pytest.mark.parametrize("n", range(1, 11))
def test_bits(n):
    bits = [2] * n
    assert (joint_parameters(bits), independent_parameters(bits), markov_parameters(bits)) == (2 ** n - 1, n, 2 * n - 1)


def test_a_pixel_of_three_bytes():
    assert joint_parameters([256] * 3) == 16_777_215 and independent_parameters([256] * 3) == 765


@pytest.mark.parametrize("sizes", [[], [2, 0], [2.0]])
def test_bad_sizes(sizes):
    for count in (joint_parameters, independent_parameters, markov_parameters):
        with pytest.raises(ValueError, match=f"{count.__name__}: wants for each variable how many values it has"):
            count(sizes)
