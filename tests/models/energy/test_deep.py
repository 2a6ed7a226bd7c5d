"""Deep energy-based models: the loss by hand, chains that go downhill, the buffer, a density in the plane."""
import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.models.energy import DeepEBM, conv_energy
from minigen.models.energy.deep import log_Z_on_a_grid
from minigen.training import Adam, Trainer, schedules

pytestmark = pytest.mark.usefixtures("backend")


def bowl(x):
    return 0.5 * mg.sum(x * x, axis=1)


class Bowl(nn.Module):
    """E = ½ κ ‖x‖²."""

    def __init__(self):
        self.log_kappa = nn.Parameter(mg.zeros(()))

    def forward(self, x):
        return mg.exp(self.log_kappa) * bowl(x)


def plane(net, **settings):
    settings = {"steps": 20, "step_size": 0.02, "noise": 0.02 ** 0.5, "replay": 500, "bounds": None, "clip": None,
                "regularise": 0.0, "data_noise": 0.0, **settings}
    return DeepEBM(net, (2,), **settings)


def test_the_loss_and_its_gradient_by_hand():
    """With chains that stay where they are (almost), Eqs. (2) and (4) are sums over data and buffer."""
    model = plane(Bowl(), steps=1, step_size=1e-12, noise=0.0, replay=8, fresh=0.0, regularise=0.1)
    x = mg.random.default_rng(0).standard_normal((8, 2))
    data, model_E = bowl(x).numpy(), bowl(model.replay).numpy()
    terms = model.terms(x, rng=1)
    np.testing.assert_allclose(terms["loss"].item(),
                               data.mean() - model_E.mean() + 0.1 * ((data ** 2).mean() + (model_E ** 2).mean()),
                               rtol=1e-5)
    terms["loss"].backward()
    np.testing.assert_allclose(model.net.log_kappa.grad.item(),
                               data.mean() - model_E.mean() + 0.2 * ((data ** 2).mean() + (model_E ** 2).mean()),
                               rtol=1e-4)


def test_langevin_samples_the_model():
    """a = b²: 3,000 chains in E = ½ ‖x‖² reach variance 1/(1 − a/4), within 5 standard errors."""
    model = plane(Bowl(), step_size=0.2, noise=0.2 ** 0.5)
    x = model.from_noise(3000, 60, rng=0).numpy()
    assert abs(x.var() * (1 - 0.05) - 1) < 5 * np.sqrt(2 / x.size)


def test_short_runs_lower_the_energy():
    model = plane(Bowl(), noise=0.01, step_size=0.1)
    states = []
    model.from_noise(50, 20, rng=0, keep=states)
    energies = [bowl(s).mean().item() for s in states]
    assert len(states) == 20 and (np.diff(energies) < 0).all()


def test_the_buffer_keeps_what_the_chains_reached_and_is_saved():
    model = plane(Bowl(), replay=50, fresh=0.0)
    before = model.state_dict()["replay"]
    x = model.negatives(20, rng=0).numpy()
    after = model.replay.numpy()
    assert (before != after).any(axis=1).sum() == 20 and all((row == after).all(axis=1).any() for row in x)
    assert model.negatives(80, rng=0).shape == (80, 2)                        # more than there are: some start twice
    assert not model.net.log_kappa.grad and model.training


def test_fresh_chains_start_at_noise():
    model = plane(Bowl(), replay=400, fresh=1.0, steps=1, step_size=1e-12, noise=0.0)
    model.replay[...] = 100.0
    assert np.abs(model.negatives(400, rng=0).numpy()).max() < 10


def test_bounds_hold():
    model = DeepEBM(nn.Sequential(lambda x: -10 * mg.sum(x, axis=1)), (2,), steps=5, step_size=1.0, replay=10,
                    clip=None)
    assert model.from_noise(5, 5, rng=0).numpy().max() == 1.0


def test_it_learns_a_density_in_the_plane(backend):
    """Two Gaussians: KL(data‖model), with Z by quadrature, falls below 0.15 nats."""
    if backend != "numpy":
        pytest.skip("trained once")
    from minigen.data.densities import GaussianMixture
    truth = GaussianMixture([[-1.5, 0.0], [1.5, 0.0]], 0.5)
    net = nn.MLP([2, 64, 64, 1], activation=mg.silu, rng=0)
    model = plane(net, step_size=0.05, noise=0.05 ** 0.5, regularise=1e-3)
    pool = mg.tensor(truth.sample(4000, rng=0)[0])
    optimizer = Adam(list(net.parameters()), lr=schedules.cosine(3e-3, 700), betas=(0.5, 0.99))
    Trainer(model, optimizer, lambda rng: {"x": mg.take(pool, rng.integers(4000, size=(128,)), axis=0)}, seed=0,
            progress=False).run(700)
    x = truth.sample(4000, rng=1)[0]
    log_p = -model.energy(mg.tensor(x)).numpy() - log_Z_on_a_grid(model, -5.0, 5.0)
    assert (truth.log_density(x) - log_p).mean() < 0.15


@pytest.mark.parametrize("channels", [(4, 4), (4, 4, 4), (3, 4, 4, 5)])
def test_images(channels):
    net = conv_energy((8, 8, 1), channels, rng=0)
    assert [p.shape for p in net.parameters() if p.ndim == 4] == [
        (4 - (k < len(channels) - 2),) * 2 + pair for k, pair in enumerate(zip((1, *channels), channels))]
    model = DeepEBM(net, (8, 8, 1), steps=2, replay=10)
    x = mg.random.default_rng(0).random((3, 8, 8, 1))
    terms = model.terms(x, rng=0)
    terms["loss"].backward()
    assert all(p.grad is not None for p in net.parameters()) and model.sample(4, rng=0).shape == (4, 8, 8, 1)


@pytest.mark.parametrize("call, message", [
    (lambda: conv_energy((10, 12, 1)), "two strides of 2 want H and W divisible by 4, got 10 × 12"),
    (lambda: conv_energy((8, 8, 1), (4,)), "wants the channels of at least two convolutions"),
    (lambda: plane(Bowl(), steps=0), "wants steps ≥ 1, step_size > 0 and 0 ≤ fresh ≤ 1, got 0"),
    (lambda: plane(Bowl()).energy(mg.zeros((3, 4))), r"wants examples \(N, 2\), got shape \(3, 4\)"),
    (lambda: plane(nn.Linear(2, 2, rng=0)).energy(mg.zeros((3, 2))), "one energy for each of 3 examples, got"),
    (lambda: plane(Bowl()).sample(1, rng=0, labels=mg.tensor([0])), "knows no labels, got 1"),
])
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.filterwarnings("ignore")
def test_chains_that_diverge_are_reported():
    with pytest.raises(FloatingPointError, match=r"\d+ entries of the Langevin chains are not finite after 3000 "
                                                 "steps of size 9"):
        plane(Bowl(), step_size=9.0).from_noise(2, 3000, rng=0)
