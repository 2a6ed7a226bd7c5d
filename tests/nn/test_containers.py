"""Sequential and MLP."""
import numpy as np
import pytest
from hypothesis import given, strategies as st

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")


def test_layers_are_applied_in_order_and_may_be_functions():
    model = nn.Sequential(lambda x: x + 1, mg.square, nn.Identity())
    assert model(mg.tensor([1.0, 2.0])).tolist() == [4, 9]
    assert nn.Sequential()(mg.ones(2)).tolist() == [1, 1]


def test_it_is_indexed_sliced_and_iterated_as_a_list():
    layers = [nn.Linear(2, 3, rng=0), mg.relu, nn.Linear(3, 1, rng=0)]
    model = nn.Sequential(*layers)
    assert len(model) == 3 and list(model) == layers and model[0] is layers[0] and model[-1] is layers[2]
    assert list(model[1:]) == layers[1:] and isinstance(model[1:], nn.Sequential)
    with pytest.raises(IndexError):
        model[3]


def test_parameters_are_named_by_position_and_attributes_of_a_subclass_are_found():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Sequential(nn.ReLU(), nn.Linear(3, 1, bias=False, rng=0)))
    model.scale = nn.Parameter(mg.ones(1))
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.1.weight", "scale"]
    assert repr(model).splitlines() == ["Sequential(Linear → Sequential)", "  0: Linear(2, 3)",
                                        "  1: Sequential(ReLU → Linear)", "  1.0: ReLU()",
                                        "  1.1: Linear(3, 1, bias=False)"]


def test_a_list_is_refused():
    with pytest.raises(TypeError, match=r"Sequential: layer 0 is a list.*write Sequential\(a, b\)"):
        nn.Sequential([nn.ReLU()])


@given(st.lists(st.integers(1, 5), min_size=2, max_size=5))
def test_mlp_alternates_linear_layers_and_activations(sizes):
    model = nn.MLP(sizes, rng=0, activation=mg.tanh)
    assert [p.shape for p in model.parameters()] == [s for i, o in zip(sizes, sizes[1:]) for s in ((i, o), (o,))]
    x = np.random.default_rng(0).standard_normal((2, sizes[0])).astype(np.float32)
    expected = x
    for i, (weight, bias) in enumerate(zip(*[iter(p.numpy() for p in model.parameters())] * 2)):
        expected = (np.tanh(expected) if i else expected) @ weight + bias
    np.testing.assert_allclose(model(mg.tensor(x)).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_mlp_layers_of_one_seed_differ_and_settings_reach_them():
    first, _, second = nn.MLP([3, 3, 3], rng=0)
    assert (first.weight.numpy() != second.weight.numpy()).all()
    assert (nn.MLP([2, 2], rng=0, weight_init="ones")[0].weight.numpy() == 1).all()


def test_mlp_wants_two_sizes():
    with pytest.raises(ValueError, match=r"MLP: wants at least an input and an output size, got \[3\]"):
        nn.MLP([3], rng=0)
