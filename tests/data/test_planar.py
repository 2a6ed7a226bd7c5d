"""The named densities on the plane: each against quadrature, its own samples, and what is known of it otherwise."""
import functools

import numpy as np
import pytest
from scipy import special, stats

from minigen.data import densities
from minigen.data.densities import Checkerboard, GaussianMixture, Pinwheel, circles
from minigen.data.planar import entropy_on_grid

HALF, FINE, COARSE = 5.0, 200, 20         # a board of 20 × 20 cells over [−5, 5]², each summed over 10 × 10 midpoints
NAMES = densities.names()


@functools.cache
def on_board(name):
    """log p at the midpoints, (FINE, FINE), with x₁ along the first axis."""
    at = HALF * (2 * (np.arange(FINE) + 0.5) / FINE - 1)
    p = densities.get(name)
    return np.stack([p.log_density(np.stack([np.full(FINE, a), at], axis=-1)) for a in at])


def probabilities(name):
    """Of each cell of the board, (COARSE, COARSE)."""
    k = FINE // COARSE
    return np.exp(on_board(name)).reshape(COARSE, k, COARSE, k).sum(axis=(1, 3)) * (2 * HALF / FINE) ** 2


@pytest.mark.parametrize("name", NAMES)
def test_integrates_to_one(name):
    assert abs(probabilities(name).sum() - 1) < 2e-6


@pytest.mark.parametrize("name", NAMES)
def test_samples_come_from_the_density(name):
    """χ² over the cells, those that expect fewer than 5 draws pooled. False alarm 1e-4 each, and the seed is fixed."""
    x, labels = densities.get(name).sample(20_000, rng=5)
    assert x.shape == (20_000, 2) and x.dtype == np.float32 and labels.dtype == np.int64
    edges = np.linspace(-HALF, HALF, COARSE + 1)
    counts, expected = np.histogram2d(*x.T, bins=[edges, edges])[0].ravel(), len(x) * probabilities(name).ravel()
    many = expected >= 5
    o, e = np.append(counts[many], counts[~many].sum()), np.append(expected[many], expected[~many].sum())
    assert e[-1] > 0 or o[-1] == 0                                      # the checkerboard has no rare cells: none drawn
    o, e = o[e > 0], e[e > 0]
    assert stats.chisquare(o, e * o.sum() / e.sum()).pvalue > 1e-4
    assert set(labels) == set(range(densities.get(name).classes))


@pytest.mark.parametrize("name", NAMES)
def test_entropy_is_the_mean_of_minus_log_p(name):
    """Over 20,000 draws within 5 standard errors: false alarm below 1e-6 each."""
    p = densities.get(name)
    value, error = p.entropy()
    drawn = -p.log_density(p.sample(20_000, rng=7)[0])
    assert error < 1e-6
    assert abs(drawn.mean() - value) < 5 * drawn.std() / np.sqrt(len(drawn)) + 1e-6


@pytest.mark.parametrize("name, entropy", [("8gaussians", 2.8319), ("checkerboard", 3.4657)])
def test_the_scales_are_ffjords(name, entropy):
    """The two entropies against which flows on these sets are usually compared, to the digits they are quoted with."""
    assert abs(densities.get(name).entropy().value - entropy) < 6e-5


def test_entropy_on_a_grid_is_exact_to_the_error_it_states():
    """Where a closed form is known: a Gaussian in one and in two dimensions. A coarse grid admits that it is coarse."""
    for D in (1, 2):
        exact = D * (0.5 + 0.5 * np.log(2 * np.pi) + np.log(0.3))
        value, error = GaussianMixture(np.zeros((1, D)), 0.3).entropy()
        assert abs(value - exact) <= error < 1e-9
    p = GaussianMixture(np.zeros((1, 2)), 0.3)
    value, error = entropy_on_grid(p.log_density, [-3, -3], [3, 3], step=0.5)
    assert 1e-3 < abs(value - 2 * (0.5 + 0.5 * np.log(2 * np.pi) + np.log(0.3))) <= error


def test_a_circle_is_rices():
    """A circle of radius R blurred by σ has p(x) = exp(−(r − R)²/2σ²) I₀(rR/σ²) e^(−rR/σ²) / 2πσ²: no bead is seen."""
    R, std = 2.0, 0.2
    x = np.random.default_rng(0).uniform(-3, 3, (500, 2))
    r = np.linalg.norm(x, axis=1)
    exact = -(r - R) ** 2 / (2 * std ** 2) + np.log(special.ive(0, r * R / std ** 2) / (2 * np.pi * std ** 2))
    close = exact > -20
    np.testing.assert_allclose(circles((R,), std).log_density(x)[close], exact[close], atol=1e-4)
    near = np.abs(r - R) < 2 * std
    np.testing.assert_allclose(circles((R,), std).log_density(x)[near], exact[near], atol=1e-9)


@pytest.mark.parametrize("name", ["circles", "spirals", "swissroll", "moons"])
def test_chains_are_bands_not_beads(name):
    """Twice as many beads make the same density, where there is any: log p within 1e-3 of the curve's middle."""
    p = densities.get(name)
    finer = {"circles": lambda: halved(p), "moons": lambda: densities.moons(0.1, 64).noised(
        2.0, 0.0), "spirals": lambda: densities.spirals(components=320), "swissroll": lambda: densities.swiss_roll(
        components=384)}[name]()
    inside = p.means[np.arange(len(p.means)) % 40 == 20]                 # on the curve, away from its ends
    shift = 0.3 * p.stds[0] * np.array([0.6, 0.8])
    np.testing.assert_allclose(p.log_density(inside + shift), finer.log_density(inside + shift), atol=2e-3)


def halved(p):
    """Closed chains with a bead more between every two, on the same circles."""
    radii = np.linalg.norm(p.means, axis=1)
    angle = np.arctan2(p.means[:, 1], p.means[:, 0])
    step = np.pi / np.bincount(p.labels)[p.labels]
    between = radii[:, None] * np.stack([np.cos(angle + step), np.sin(angle + step)], axis=1)
    return GaussianMixture(np.concatenate([p.means, between]), np.tile(p.stds, 2), np.tile(p.weights, 2),
                           np.tile(p.labels, 2))


def test_the_pinwheels_twist_preserves_area_and_is_undone():
    """The density of a twisted petal at a twisted point is that of the straight one where it came from."""
    twisted, straight = Pinwheel(scale=1.0), Pinwheel(rate=0.0, scale=1.0)
    f = np.random.default_rng(1).normal(0.0, 1.0, (200, 2))
    angle = 0.25 * np.exp(np.hypot(*f.T))
    x = np.stack([np.cos(angle) * f[:, 0] - np.sin(angle) * f[:, 1], np.sin(angle) * f[:, 0] + np.cos(angle) * f[:, 1]],
                 axis=1)
    np.testing.assert_allclose(twisted.log_density(x), straight.log_density(f), rtol=1e-9)
    assert abs(Pinwheel(scale=3.0).entropy().value - Pinwheel(scale=1.0).entropy().value - 2 * np.log(3)) < 1e-12


def test_the_checkerboard_is_black_where_it_should_be():
    board = Checkerboard(side=1.0)
    centres = np.stack(np.meshgrid(np.arange(-1.5, 2), np.arange(-1.5, 2)), axis=-1)
    black = np.isfinite(board.log_density(centres))
    np.testing.assert_array_equal(black, (np.arange(4)[:, None] + np.arange(4)) % 2 == 0)
    assert np.all(board.log_density([[-2.5, 0.5], [2.1, 2.1], [0.5, -2.01]]) == -np.inf)
    x, labels = board.sample(50_000, rng=0)
    assert np.all(np.isfinite(board.log_density(x)))
    np.testing.assert_array_equal(np.floor(x[labels == 3]), np.broadcast_to([1, -1], (np.sum(labels == 3), 2)))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_draws_the_same_points(name):
    p = densities.get(name)
    np.testing.assert_array_equal(p.sample(50, rng=2)[0], p.sample(50, rng=np.random.default_rng(2))[0])
    assert not np.array_equal(p.sample(50, rng=2)[0], p.sample(50, rng=3)[0])
    assert np.all(p.log_density(np.full((3, 4, 2), 1e6)) < -1e6)                      # far away: small, never NaN


@pytest.mark.parametrize("call, words", [
    (lambda: densities.get("moon"), "no density 'moon'; there are 8gaussians, 25gaussians"),
    (lambda: Checkerboard(0.0), "side of a square must be positive, got 0.0"),
    (lambda: Pinwheel(petals=0), "at least one petal"),
    (lambda: Pinwheel(radial_std=-1.0), "positive stds"),
    (lambda: Checkerboard().log_density([1.0, 2.0, 3.0]), r"Checkerboard: wants points \(…, 2\), got shape \(3,\)"),
    (lambda: Pinwheel().log_density(1.0), r"Pinwheel: wants points \(…, 2\), got shape \(\)"),
    (lambda: GaussianMixture(np.zeros((1, 3)), 1.0).entropy(), "quadrature is for 1 or 2 dimensions, this"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
