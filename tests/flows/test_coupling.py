"""Couplings: the contract for every map, mask and shape; what passes, what the network sees, and what is refused."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, assert_saved, shaken, t
from hypothesis import given, strategies as st

import minigen as mg
from minigen import nn
from minigen.flows import (AdditiveMap, AffineMap, Compose, Coupling, MaskedCoupling, ScalarMap, SplineMap,
                           StandardiseMap, checkerboard_mask, half_mask, parity_mask)
from minigen.models.flow import CouplingMLP

pytestmark = pytest.mark.usefixtures("backend")
MAPS = {"additive": AdditiveMap(), "affine": AffineMap(), "affine, no bound": AffineMap(None),
        "standardise": StandardiseMap(), "standardise, no bound": StandardiseMap(None), "spline": SplineMap(4)}
MASKS = {"half": half_mask, "parity": parity_mask,
         "any": lambda D, flip: (np.random.default_rng(D).permutation(D) < (D + 1) // 2) ^ flip}


def coupling(mask, map, rng=0, context_features=0, event_ndim=1):
    mask = np.asarray(mask, dtype=bool)
    outputs = map.parameters * (~mask).sum()
    network = CouplingMLP(mask.sum(), (7,), outputs, context_features, rng=rng, activation=mg.tanh)
    return Coupling(mask, network, map, event_ndim)


def masked(mask, map, channels=1, rng=0):
    """On images, with a small convolutional conditioner."""
    rng = mg.random.as_generator(rng)
    network = nn.Sequential(nn.Conv2d(channels, 5, 3, padding=1, rng=rng), mg.tanh,
                            nn.Conv2d(5, channels * map.parameters, 3, padding=1, rng=rng))
    return MaskedCoupling(mask, network, map)


# ---- the contract ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("name", MAPS)
def test_contract_on_vectors(name, kind):
    for D, flip in ((2, False), (3, True), (5, False)):
        mask, x = MASKS[kind](D, flip), np.random.default_rng(D).standard_normal((3, D))
        T = shaken(coupling(mask, MAPS[name]))
        assert_contract(T, x, thorough=D == 3)
        assert_saved(T, coupling(mask, MAPS[name], rng=1), x)
        assert_float32(T, x)


@given(st.integers(2, 6), st.sampled_from(list(MAPS)), st.sampled_from([1.0, 30.0]), st.data())
def test_any_mask_and_extreme_inputs(D, name, size, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=D, max_size=D).filter(lambda m: 0 < sum(m) < len(m))))
    T, x = shaken(coupling(mask, MAPS[name])), size * np.random.default_rng(D).standard_normal((4, D))
    y, log_abs_det = T(t(x))
    back, inverse_log_abs_det = T.inverse(y)
    np.testing.assert_array_equal(y.numpy()[:, mask], x[:, mask])
    np.testing.assert_allclose(back.numpy(), x, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(inverse_log_abs_det.numpy(), -log_abs_det.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", MAPS)
def test_contract_on_images(name):
    x = np.random.default_rng(1).standard_normal((2, 3, 2, 2))
    for flip in (False, True):
        T = shaken(masked(checkerboard_mask(3, 2, flip), MAPS[name], channels=2), size=0.1)
        assert_contract(T, x, thorough=flip)
    T = shaken(coupling(half_mask(4), MAPS[name], event_ndim=3))
    assert_contract(T, np.random.default_rng(2).standard_normal((2, 2, 3, 4)), thorough=False)


def test_contract_with_a_context():
    rng = np.random.default_rng(3)
    T = shaken(coupling(half_mask(3), AffineMap(), context_features=2))
    assert_contract(T, rng.standard_normal((3, 3)), context=rng.standard_normal((3, 2)))


def test_a_mask_for_each_channel_of_an_image():
    mask = np.random.default_rng(0).random((2, 2, 3)) < 0.5
    T = shaken(masked(mask, AffineMap(), channels=3), size=0.1)
    x = np.random.default_rng(1).standard_normal((2, 2, 2, 3))
    y = T(t(x))[0].numpy()
    np.testing.assert_array_equal(y[:, mask], x[:, mask])
    assert (y[:, ~mask] != x[:, ~mask]).all()
    assert_contract(T, x, thorough=False)


# ---- what passes, what is seen ---------------------------------------------------------------------------------------
def test_masks():
    assert half_mask(5).tolist() == [True, True, False, False, False]
    assert parity_mask(5, flip=True).tolist() == [False, True, False, True, False]
    assert checkerboard_mask(2, 3)[..., 0].tolist() == [[True, False, True], [False, True, False]]
    for mask in (half_mask, parity_mask):
        assert (mask(6) ^ mask(6, flip=True)).all()


def test_the_conditioner_sees_the_kept_part_only():
    seen = []

    def spy(outputs):
        def network(a):
            seen.append(a.numpy())
            return mg.zeros((*a.shape[:-1], outputs), dtype="float64")
        return network

    x = np.random.default_rng(0).standard_normal((2, 4))
    Coupling(parity_mask(4), spy(4))(t(x))
    np.testing.assert_array_equal(seen.pop(), x[:, ::2])
    image = np.random.default_rng(1).standard_normal((2, 2, 2, 1))
    mask = checkerboard_mask(2, 2)
    MaskedCoupling(mask, spy(2))(t(image))
    np.testing.assert_array_equal(seen.pop(), image * mask)


def test_the_jacobian_is_block_triangular():
    mask = np.array([True, False, True, False])
    T, x = shaken(coupling(mask, AffineMap())), np.random.default_rng(0).standard_normal(4)
    J = mg.jacobian(lambda x: T(x)[0], t(x)).numpy()
    np.testing.assert_array_equal(J[np.ix_(mask, mask)], np.eye(2))
    np.testing.assert_array_equal(J[np.ix_(mask, ~mask)], 0)
    block = J[np.ix_(~mask, ~mask)]
    np.testing.assert_array_equal(block, np.diag(np.diag(block)))
    assert (J[np.ix_(~mask, mask)] != 0).all()


def test_two_couplings_that_take_turns_move_everything():
    T = Compose([shaken(coupling(half_mask(4, flip=k == 1), AffineMap(), rng=k), seed=k) for k in (0, 1)])
    x = np.random.default_rng(0).standard_normal((5, 4))
    assert (T(t(x))[0].numpy() != x).all()
    assert_contract(T, x)


# ---- the maps --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MAPS)
def test_zero_parameters_are_the_identity(name):
    map, x = MAPS[name], np.linspace(-4, 4, 9)
    for direction in (map.forward, map.inverse):
        y, log_slope = direction(t(x), t(np.zeros((9, map.parameters))))
        np.testing.assert_allclose(y.numpy(), x, atol=1e-15)
        np.testing.assert_allclose(log_slope.numpy(), 0, atol=1e-14)


def test_the_bound_holds_the_scale_and_leaves_small_numbers_alone():
    theta = np.array([[0, -1e6], [0, 1e6], [0, 1e-3]])
    log_slope = AffineMap(bound=1.5).forward(t(np.ones(3)), t(theta))[1].numpy()
    np.testing.assert_allclose(log_slope, [-1.5, 1.5, 1e-3], rtol=1e-6)
    assert AffineMap(None).forward(t([1.0]), t([[0.0, 7.0]]))[1].numpy() == [7.0]


def test_additive_couplings_preserve_volume():
    T, x = shaken(coupling(half_mask(4), AdditiveMap())), np.random.default_rng(0).standard_normal((6, 4))
    np.testing.assert_array_equal(T(t(x))[1].numpy(), 0)


def test_standardise_makes_a_gaussian_standard():
    rng = np.random.default_rng(0)
    eps, mu, alpha = rng.standard_normal(5), rng.standard_normal(5), rng.standard_normal(5)
    y, log_slope = StandardiseMap(bound=None).forward(t(mu + np.exp(alpha) * eps), t(np.stack([mu, alpha], axis=-1)))
    np.testing.assert_allclose(y.numpy(), eps, rtol=1e-12)
    np.testing.assert_array_equal(log_slope.numpy(), -alpha)


# ---- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, message", [
    (lambda: Coupling([True] * 3, None), r"Coupling: the mask \(3,\) leaves nothing to move: it is True everywhere"),
    (lambda: Coupling([0, 0], None), "leaves nothing to keep: it is True nowhere"),
    (lambda: Coupling(half_mask(1), None), "nothing to keep"),
    (lambda: Coupling([[True, False]], None), r"must hold booleans on 1 axes, got bool \(1, 2\)"),
    (lambda: Coupling([0.5, 1.0], None), "must hold booleans on 1 axes, got float64"),
    (lambda: MaskedCoupling(np.ones((2, 2, 1)), None), r"MaskedCoupling: the mask \(2, 2, 1\) leaves nothing to move"),
    (lambda: MaskedCoupling(half_mask(4), None), "booleans on 3 axes"),
    (lambda: coupling(half_mask(4), AffineMap())(mg.zeros((2, 5))), r"wants 4 features .* shape \(2, 5\)"),
    (lambda: masked(checkerboard_mask(4, 4), AffineMap())(mg.zeros((2, 4, 5, 1))),
     r"has a mask of shape \(4, 4, 1\), got images of shape \(4, 5, 1\)"),
    (lambda: Coupling(half_mask(4), nn.Linear(2, 3, rng=0))(mg.zeros((5, 4))),
     r"must return 2 numbers for each of 2 entries, \(5, 4\), for an input \(5, 2\); it returned \(5, 3\)"),
    (lambda: coupling(half_mask(2), AffineMap(), context_features=3)(mg.zeros((5, 2))),
     "wants a context of 3 features, got 0"),
    (lambda: AffineMap(bound=0.0), "AffineMap: the bound of the log-scale must be positive, or None for none, got 0.0"),
])
def test_bad_input_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_map_must_define_both_directions():
    for direction in ("forward", "inverse"):
        with pytest.raises(NotImplementedError, match=f"ScalarMap: a map must define {direction}"):
            getattr(ScalarMap(), direction)(1.0, 1.0)
