"""Squeeze, split and the multi-scale architecture."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, assert_saved, shaken, t

import minigen as mg
from minigen.distributions import Normal
from minigen.flows import ActNorm, Affine, Compose, Flow, Identity, LULinear, MultiScale, Split, Squeeze, Tanh

pytestmark = pytest.mark.usefixtures("backend")
rng = np.random.default_rng(0)


def layers(C, seed):
    return Compose([Affine(C, log_scale=-1.5, event_ndim=3), LULinear(C, rng=seed, event_ndim=3), Tanh(3)])


def architecture(seed=0):
    return MultiScale([layers(4, seed), layers(8, seed + 1)])


def test_squeeze_puts_each_block_into_the_channels_of_one_pixel():
    x = rng.standard_normal((4, 6, 2))
    y = Squeeze()(t(x))[0].numpy()
    assert y.shape == (2, 3, 8)
    for i, j in np.ndindex(2, 3):
        assert sorted(y[i, j]) == sorted(x[2 * i:2 * i + 2, 2 * j:2 * j + 2].ravel())
    assert_contract(Squeeze(), rng.standard_normal((2, 4, 2, 1)))
    assert_contract(Squeeze(3), rng.standard_normal((2, 3, 3, 1)), thorough=False)


@pytest.mark.parametrize("shape", [(3, 4), (3, 5), (2, 2, 2, 3)])
def test_split_maps_the_second_half_alone(shape):
    D, n = shape[-1], len(shape) - 1
    T, x = shaken(Split(Affine(D - D // 2, event_ndim=n))), rng.standard_normal(shape)
    y = T(t(x))[0].numpy()
    np.testing.assert_array_equal(y[..., :D // 2], x[..., :D // 2])
    assert (y[..., D // 2:] != x[..., D // 2:]).all()
    assert_contract(T, x)


def test_the_architecture_keeps_the_contract():
    x = rng.standard_normal((2, 4, 4, 1))
    T = shaken(architecture())
    assert_contract(T, x)
    assert_saved(T, architecture(seed=5), x)
    assert_float32(T, x)


def test_every_level_sees_the_shape_it_was_promised():
    seen = []

    class Spy(Identity):
        def forward(self, x, context=None):
            seen.append(x.shape[1:])
            return super().forward(x, context)

    x = t(rng.standard_normal((2, 16, 8, 3)))
    z, log_abs_det = MultiScale([Spy(3), Spy(3), Spy(3)])(x)
    assert seen == [(8, 4, 12), (4, 2, 24), (2, 1, 48)]                       # (H / 2ˡ, W / 2ˡ, 2ˡ⁺¹ C)
    np.testing.assert_array_equal(z.numpy(), x.numpy())                       # nothing but moves, and moves back
    np.testing.assert_array_equal(log_abs_det.numpy(), [0, 0])


def test_the_first_level_lets_half_of_its_numbers_go():
    """An image of 8 × 8: the second level reads and moves half of the numbers, the third a quarter."""
    x = t(rng.standard_normal((1, 8, 8, 1)))
    scale = [Affine(C, log_scale=1.0, event_ndim=3) for C in (4, 8, 16)]
    z = MultiScale(scale)(x)[0].numpy() / x.numpy()
    exponents, counts = np.unique(np.round(np.log(z)), return_counts=True)
    assert exponents.tolist() == [1, 2, 3] and counts.tolist() == [32, 16, 16]


def test_density_and_samples_of_a_multi_scale_flow():
    flow = Flow(Normal(mg.zeros((4, 4, 1)), mg.zeros((4, 4, 1)), event_ndim=3),
                MultiScale([Compose([ActNorm(4, 3), LULinear(4, rng=0, event_ndim=3)]),
                            LULinear(8, rng=1, event_ndim=3)]))
    flow.astype("float64")
    flow.log_prob(t(3 + 2 * rng.standard_normal((50, 4, 4, 1))))                                # sets ActNorm
    x, log_p = flow.sample_and_log_prob(5, rng=0)
    assert x.shape == (5, 4, 4, 1) and log_p.shape == (5,)
    np.testing.assert_allclose(flow.log_prob(x).numpy(), log_p.numpy(), rtol=1e-10)
    J = mg.jacobian(lambda x: flow(x), x[0]).numpy().reshape(16, 16)
    z = flow(x).numpy()[0].ravel()
    by_hand = -0.5 * z @ z - 8 * np.log(2 * np.pi) + np.linalg.slogdet(J)[1]
    np.testing.assert_allclose(log_p.numpy()[0], by_hand, rtol=1e-10)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"Squeeze\(2\): a height of 3 and a width of 4 do not both divide by 2; pad "
                                         "or crop the images, or use fewer levels"):
        Squeeze()(t(np.zeros((2, 3, 4, 1))))
    with pytest.raises(ValueError, match=r"Squeeze\(2\): its inverse wants channels that divide by 4, got 6"):
        Squeeze().inverse(t(np.zeros((2, 3, 4, 6))))
    with pytest.raises(ValueError, match=r"Split\(\): one feature cannot be split, got an input of shape \(2, 1\)"):
        Split(Tanh())(t(np.zeros((2, 1))))
    with pytest.raises(ValueError, match="MultiScale: wants the layers of at least one level, got none"):
        MultiScale([])
    with pytest.raises(ValueError, match="build it with event_ndim=3"):
        MultiScale([Tanh()])
    with pytest.raises(ValueError, match="Squeeze: the factor must be at least 1, got 0"):
        Squeeze(0)
