"""The MLP denoiser: shapes, what it depends on, the time features by their formula."""
import numpy as np
import pytest

import minigen as mg
from minigen.models.diffusion import MLPDenoiser
from minigen.models.diffusion.networks import time_features

pytestmark = pytest.mark.usefixtures("backend")


def test_time_features_are_the_formula():
    t = np.array([1, 17, 1000])
    got = time_features(mg.tensor(t), 6, mg.zeros((3, 2), dtype="float64")).numpy()
    angles = t[:, None] * 10_000.0 ** (-np.arange(3) / 3)
    np.testing.assert_allclose(got, np.concatenate([np.sin(angles), np.cos(angles)], axis=1), rtol=1e-10, atol=1e-12)


def test_it_sees_the_point_the_time_and_the_label():
    net, rng = MLPDenoiser(3, outputs=6, hidden=8, classes=2, rng=0), np.random.default_rng(0)
    z = rng.standard_normal((1, 3)).astype("float32")

    def out(z=z, t=5, label=0):
        return net(mg.tensor(z), mg.tensor([t]), mg.tensor([label])).numpy()

    assert out().shape == (1, 6)
    for other in (out(z=z + 1), out(t=6), out(label=1), out(label=2)):
        assert np.abs(other - out()).max() > 1e-4
    np.testing.assert_array_equal(net(mg.tensor(z), mg.tensor([5])).numpy(), out(label=2))      # no label is label K


def test_every_parameter_is_trained():
    net = MLPDenoiser(2, hidden=8, blocks=2, classes=2, rng=0)
    z = mg.tensor(np.random.default_rng(0).standard_normal((6, 2)).astype("float32"))
    mg.sum(net(z, mg.tensor([1, 2, 3, 4, 5, 6]), mg.tensor([0, 1, 2, 0, 1, 2])) ** 2).backward()
    assert all(np.any(p.grad.numpy() != 0) for p in net.parameters())


@pytest.mark.parametrize("call, words", [
    (lambda: MLPDenoiser(2, hidden=7, rng=0), "even hidden ≥ 2 and blocks ≥ 1, got hidden=7"),
    (lambda: MLPDenoiser(2, blocks=0, rng=0), "blocks=0"),
    (lambda: MLPDenoiser(2, hidden=4, rng=0)(mg.zeros((1, 2)), mg.tensor([1]), mg.tensor([0])), "without classes="),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
