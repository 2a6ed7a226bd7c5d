"""MADE: its masks drawn as the paper draws them, several of them, and their mixture."""
import itertools

import numpy as np
import pytest
from scipy.special import logsumexp

import minigen as mg
from minigen.models.autoregressive import FVSBN, MADE
from minigen.models.autoregressive.ordered import Autoregressive

pytestmark = pytest.mark.usefixtures("backend")


def images(D):
    return np.array(list(itertools.product([0.0, 1.0], repeat=D)))


def test_the_paper_s_figure_of_three_inputs():
    """Figure 1: order x_2 first, x_3, then x_1 (m⁰ = 3, 1, 2), two hidden layers of four units with the degrees drawn
    there. Which output sees which input, by the Jacobian of a network with these masks."""
    place, first, second = np.array([3, 1, 2]), np.array([2, 1, 2, 2]), np.array([1, 2, 2, 1])
    model = MADE(3, (4, 4), order=np.argsort(place), activation=mg.tanh).astype("float64")
    model.net.set_masks([place[:, None] <= first, first[:, None] <= second, second[:, None] < place])
    x = np.random.default_rng(0).standard_normal(3)
    jacobian = mg.jacobian(lambda v: model.conditionals(v[None])[0], mg.tensor(x)).numpy()
    assert (jacobian != 0).tolist() == [[False, True, True], [False, False, False], [False, True, False]]


@pytest.mark.parametrize("hidden, masks", [((5,), 1), ((4, 6), 1), ((5, 5), 4), ((), 2)])
def test_the_jacobian_is_what_the_masks_say(hidden, masks):
    """With few units some allowed pairs are not connected. The Jacobian agrees with the number of paths, pair by
    pair."""
    model = MADE(6, hidden, order="random", masks=masks, activation=mg.tanh, rng=3).astype("float64")
    x = np.random.default_rng(0).standard_normal((3, 6))
    for k in range(masks):
        paths = np.eye(6)
        for layer in model.use(k).net.layers:
            paths = paths @ layer.mask.numpy()
        jacobian = [mg.jacobian(lambda v: model.conditionals(v[None])[0], mg.tensor(row)).numpy() for row in x]
        np.testing.assert_array_equal((np.array(jacobian) != 0).any(axis=0), paths.T > 0)


def test_the_mixture_is_the_mean_of_its_members():
    model, x = MADE(5, (8,), order="random", masks=4, rng=1).astype("float64"), mg.tensor(images(5))
    members = np.stack([Autoregressive.log_prob(model.use(k), x).numpy() for k in range(4)])
    np.testing.assert_allclose(np.exp(members).sum(axis=1), 1, rtol=1e-12)
    model.use(2)
    np.testing.assert_allclose(model.log_prob(x).numpy(), logsumexp(members, axis=0) - np.log(4), rtol=1e-12)
    assert int(model.net.active) == 2
    assert -model.log_prob(x).numpy().mean() <= -members.mean()                               # Jensen, Eqs. (2) and (3)


def test_training_visits_every_set():
    model, rng, seen = MADE(5, (8,), masks=3), mg.random.default_rng(0), set()
    (objective,) = model.objectives()
    for _ in range(40):
        objective.loss({"x": mg.tensor(images(5).astype(np.float32))}, rng)
        seen.add(int(model.net.active))
    assert seen == {0, 1, 2}


def test_orders_differ_if_random_and_are_kept_in_the_state():
    model = MADE(9, (8,), order="random", masks=3, rng=0)
    orders = model.net.orders.numpy()
    assert len({tuple(o) for o in orders}) == 3
    twin = MADE(9, (8,), order="random", masks=3, rng=1)
    twin.load_state_dict(model.use(2).state_dict())
    x = mg.tensor((np.random.default_rng(0).random((4, 9)) < 0.5).astype(np.float32))
    np.testing.assert_array_equal(twin.order, orders[2])
    np.testing.assert_array_equal(twin.log_prob(x).numpy(), model.log_prob(x).numpy())


def test_without_hidden_layers_it_is_an_fvsbn():
    made, fvsbn = MADE(5, (), rng=0).astype("float64"), FVSBN(5).astype("float64")
    fvsbn.load_state_dict({name: value for name, value in made.state_dict().items()})
    x = mg.tensor(images(5))
    np.testing.assert_array_equal(made.log_prob(x).numpy(), fvsbn.log_prob(x).numpy())


def test_samples_of_the_mixture_come_from_all_members():
    """The first entry in the order is a one, and then the other is a zero: so the two orders draw (1, 0) and (0, 1),
    each in half of 2,000 draws, to 5 standard deviations (false alarm 6e-7)."""
    model = MADE(2, (), masks=2, order=[[0, 1], [1, 0]])
    model.load_state_dict({**model.state_dict(), "net.layers.0.weight": np.array([[0, -80], [-80, 0]], np.float32),
                           "net.layers.0.bias": np.array([40, 40], np.float32)})
    kinds, counts = np.unique(model.sample(2000, rng=0).numpy(), axis=0, return_counts=True)
    assert kinds.tolist() == [[0, 1], [1, 0]] and abs(counts[0] - 1000) < 5 * np.sqrt(500)
