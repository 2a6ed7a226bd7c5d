"""Noise-contrastive estimation: its loss by hand, the log Z it finds, and that finding depends on the noise."""
import math

import numpy as np
import pytest
from scipy import special

import minigen as mg
from minigen import nn
from minigen.distributions import Normal
from minigen.models.energy import NCE
from minigen.training import Adam, Trainer, schedules

pytestmark = pytest.mark.usefixtures("backend")
STD = 0.6


class Bowl(nn.Module):
    """E = ½ e^{κ} ‖x − m‖²."""

    def __init__(self):
        self.kappa, self.m = nn.Parameter(mg.zeros(())), nn.Parameter(mg.zeros(2))

    def forward(self, x):
        return 0.5 * mg.exp(self.kappa) * mg.sum((x - self.m) ** 2, axis=1)


def model(ratio=1, log_std=0.0):
    return NCE(Bowl(), Normal(mg.zeros(2), log_std), ratio)


@pytest.mark.parametrize("ratio", [1, 3])
def test_the_loss_by_hand(ratio):
    p, rng = model(ratio), np.random.default_rng(0)
    x, fake = rng.standard_normal((4, 2)), rng.standard_normal((4 * ratio, 2))

    def G(v):
        return -0.5 * (v ** 2).sum(axis=1) + 0.5 * (v ** 2).sum(axis=1) + math.log(2 * math.pi) - math.log(ratio)

    expected = -special.log_expit(G(x)).mean() - ratio * special.log_expit(-G(fake)).mean()
    assert math.isclose(p.terms(mg.tensor(x), rng=0, fake=mg.tensor(fake))["loss"].item(), expected, rel_tol=1e-5)


@pytest.mark.parametrize("ratio", [1, 5])
def test_log_Z_and_the_parameters_are_recovered(ratio, backend):
    """Data N((1, −1), 0.6² I): log Z = log(2π 0.36) = 0.816; 8,000 examples, within 0.08, about 4 standard errors."""
    if backend != "numpy":
        pytest.skip("trained once")
    x = (np.array([1.0, -1.0]) + STD * np.random.default_rng(0).standard_normal((8000, 2))).astype(np.float32)
    p, pool = model(ratio, 0.3), mg.tensor(x)
    optimizer = Adam(list(p.parameters()), lr=schedules.cosine(0.03, 900))
    Trainer(p, optimizer, lambda rng: {"x": mg.take(pool, rng.integers(8000, size=(1000,)), axis=0)}, seed=0,
            progress=False).run(900)
    assert abs(p.log_Z.item() - math.log(2 * math.pi * STD ** 2)) < 0.08
    assert abs(p.net.kappa.item() + 2 * math.log(STD)) < 0.1 and np.abs(p.net.m.numpy() - [1, -1]).max() < 0.05
    draws = p.sample(2000, rng=0).numpy()
    assert np.abs(draws.mean(axis=0) - [1, -1]).max() < 0.1 and np.abs(draws.std(axis=0) / STD - 1).max() < 0.1


def test_the_optimum_is_the_density_itself():
    """At E = −log p_data − log Z and c = log Z the gradient vanishes in expectation: 40,000 draws, 5 standard
    errors."""
    p = model()
    p.net.load_state_dict({"kappa": np.float32(-2 * math.log(STD)), "m": np.zeros(2, np.float32)})
    with mg.no_grad():
        p.log_Z[...] = math.log(2 * math.pi * STD ** 2)
    x = STD * mg.random.default_rng(0).standard_normal((40_000, 2))
    g = mg.grad(p.terms(x, rng=1)["loss"], p.log_Z).item()
    assert abs(g) < 5 / math.sqrt(40_000)


def test_bad_ratio():
    with pytest.raises(ValueError, match="NCE: wants at least one draw of noise for each example, got ratio=0"):
        model(0)
    assert sorted(name for name, _ in model().named_parameters()) == ["log_Z", "net.kappa", "net.m"]
