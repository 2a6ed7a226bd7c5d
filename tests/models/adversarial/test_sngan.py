"""The spectrally normalised GAN: every layer has σ = 1, and so the discriminator is 1-Lipschitz."""
import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.models.adversarial import SNGAN
from minigen.models.adversarial.penalties import input_gradient
from minigen.training import Adam, Trainer

pytestmark = pytest.mark.usefixtures("backend")


def normalised(model):
    return [module for module in model.discriminator.modules() if isinstance(module, nn.SpectralNorm)]


def settle(model, calls):
    """Let the power iteration run with the weights held still."""
    with mg.no_grad():
        for _ in range(calls):
            model.discriminate(mg.zeros((1, *model.event_shape), dtype="float64"))


def test_every_layer_has_largest_singular_value_one():
    model = SNGAN(event_shape=(3,), hidden=(16, 8), rng=0).astype("float64")
    settle(model, 200)
    layers = normalised(model)
    assert len(layers) == 3
    for layer in layers:
        singular = np.linalg.svd(layer.effective_weight().numpy(), compute_uv=False)
        assert singular[0] == pytest.approx(1.0, abs=1e-6)


def test_the_discriminator_is_lipschitz():
    """|a(x) − a(y)| ≤ ‖x − y‖, Eq. (2), and its gradient is nowhere longer than 1."""
    model, rng = SNGAN(event_shape=(2, 2, 1), hidden=(32, 32), rng=1).astype("float64"), np.random.default_rng(0)
    settle(model, 200)
    x, y = (3 * rng.standard_normal((500, 2, 2, 1)) for _ in range(2))
    a, b = (model.discriminate(mg.tensor(v)).numpy() for v in (x, y))
    assert (np.abs(a - b) <= np.linalg.norm((x - y).reshape(500, -1), axis=1) * (1 + 1e-6)).all()
    slopes = np.linalg.norm(input_gradient(model.discriminate, mg.tensor(x)).numpy().reshape(500, -1), axis=1)
    assert 0 < slopes.max() <= 1 + 1e-6


def test_it_stays_normalised_while_it_trains(backend):
    """After 100 steps the power iteration has kept up with the moving weights: its σ is never above the true one, so
    σ(Ŵ) ≥ 1, and at most 15 % too small. Deterministic."""
    if backend != "numpy":
        pytest.skip("a training run")
    model = SNGAN(hidden=(16, 16), rng=0)
    before = model.state_dict()
    Trainer(model, lambda p: Adam(p, lr=2e-3, betas=(0.0, 0.9)), lambda rng: {"x": 1 + rng.standard_normal((32, 2))},
            seed=0, progress=False).run(100)
    for layer in normalised(model.eval()):
        largest = np.linalg.svd(layer.effective_weight().numpy(), compute_uv=False)[0]
        assert 1 - 1e-5 <= largest <= 1.15
    assert all(np.any(before[name] != value) for name, value in model.state_dict().items() if name.endswith("weight"))


def test_the_loss_is_the_hinge():
    assert SNGAN(hidden=(4,)).loss.name == "hinge"
