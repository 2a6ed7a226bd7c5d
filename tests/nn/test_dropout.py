"""Dropout: its law, its absence in evaluation, and that it resumes exactly. Seeds fixed, false-alarm rates stated."""
import copy
import math

import numpy as np
import pytest

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_entries_are_dropped_with_probability_p_and_the_others_scaled(p):
    """n = 40,000 independent entries: the share dropped within 5 standard errors, false-alarm rate below 1e-6."""
    y = nn.Dropout(p, rng=0)(mg.full((200, 200), 3.0)).numpy()
    np.testing.assert_allclose(y[y != 0], 3 / (1 - p), rtol=1e-6)
    assert abs((y == 0).mean() - p) < 5 * math.sqrt(p * (1 - p) / 40_000)


def test_evaluation_and_p_zero_are_the_identity():
    x = mg.ones((3, 4))
    assert nn.Dropout(0.7, rng=0).eval()(x) is x and nn.Dropout(0.0, rng=0)(x) is x


def test_the_gradient_passes_where_the_value_did():
    x = mg.tensor(np.ones((10, 10)), requires_grad=True)
    y = nn.Dropout(0.5, rng=0)(x)
    assert y.dtype == np.float64
    np.testing.assert_array_equal(mg.grad(y.sum(), x).numpy(), y.numpy())


def test_layers_of_one_generator_draw_independently_and_others_draws_do_not_matter():
    rng = mg.random.default_rng(0)
    a, b = nn.Dropout(0.5, rng=rng), nn.Dropout(0.5, rng=rng)
    x = mg.ones(1000)
    first = a(x).numpy()
    assert 300 < (first == b(x).numpy()).sum() < 700             # 12 standard deviations around 500
    again = mg.random.default_rng(0)
    twin = nn.Dropout(0.5, rng=again)
    again.random(17)
    np.testing.assert_array_equal(twin(x).numpy(), first)


def test_saved_generators_resume_exactly():
    model = nn.Sequential(nn.Dropout(0.5, rng=0), nn.Dropout(0.3, rng=1))
    x = mg.ones((5, 6))
    model(x)
    saved = {name: rng.state() for name, rng in model.named_generators()}
    expected = [model(x).numpy() for _ in range(3)]
    fresh = nn.Sequential(nn.Dropout(0.5, rng=8), nn.Dropout(0.3, rng=9))
    for name, rng in fresh.named_generators():
        rng.set_state(saved[name])
    for y in expected:
        np.testing.assert_array_equal(fresh(x).numpy(), y)


def test_a_copy_draws_the_same_and_apart():
    layer = nn.Dropout(0.5, rng=0)
    twin, x = copy.deepcopy(layer), mg.ones(50)
    np.testing.assert_array_equal(layer(x).numpy(), twin(x).numpy())


def test_it_follows_its_input_to_another_backend(backend):
    other = "strict" if backend == "numpy" else "numpy"
    one, two = nn.Dropout(0.5, rng=0), nn.Dropout(0.5, rng=0)
    x = mg.ones(100).to(other)
    y = one(x)
    assert y.backend.name == other
    np.testing.assert_array_equal(y.numpy(), two(x).numpy())


@pytest.mark.parametrize("p", [-0.1, 1.0, 2])
def test_p_is_a_probability_below_one(p):
    with pytest.raises(ValueError, match=rf"Dropout: p is the probability .* and lies in \[0, 1\), got {p}"):
        nn.Dropout(p, rng=0)
