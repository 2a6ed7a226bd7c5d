"""No mode left out: the ring of eight Gaussians, on which a plain GAN with Adam's usual momentum collapses."""
import pytest

import minigen as mg
from minigen.data.densities import ring
from minigen.metrics import count_modes
from minigen.models.adversarial import GAN, SNGAN, WGANGP
from minigen.training import Adam, Trainer, schedules

STEPS, RING = 600, ring()
# as in demos/gan_2d.py: the model, Adam's betas, and its first learning rate
METHODS = {
    "WGAN-GP": (lambda **nets: WGANGP(penalty_weight=0.1, discriminator_steps=2, **nets), (0.0, 0.9), 2e-3),
    "spectral norm": (lambda **nets: SNGAN(lipschitz=10.0, **nets), (0.0, 0.9), 1e-3),
    "GAN, β₁ = 0.9": (GAN, (0.9, 0.999), 1e-3),
}


def found(method, seed):
    """The modes of 5,000 samples after `STEPS` steps on batches of 256 of 50,000 points."""
    build, betas, lr = METHODS[method]
    pool = mg.tensor(RING.sample(50_000, rng=seed)[0])
    model = build(hidden=(64, 64, 64), rng=seed)
    Trainer(model, lambda p: Adam(p, lr=schedules.cosine(lr, STEPS), betas=betas), seed=seed, progress=False,
            batches=lambda rng: {"x": mg.take(pool, rng.integers(len(pool), size=(256,)), axis=0)}).run(STEPS)
    return count_modes(model.sample(5000, rng=mg.random.default_rng(seed + 1)), RING.means, RING.stds[0])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("method", ["WGAN-GP", "spectral norm"])
def test_every_mode_of_the_ring_is_recovered(method, seed, backend):
    """Deterministic on one machine. Elsewhere sums may round otherwise and players take another path, which is as a new
    seed: with the seeds 0 to 9 both methods recovered all eight modes every time, with 36 to 48 % of the samples within
    3σ. Samples spread over the square around the ring would have 12 % there."""
    if backend != "numpy":
        pytest.skip("a training run")
    modes = found(method, seed)
    assert modes.recovered == modes.total == 8, modes
    assert modes.quality > 0.25


def test_a_plain_gan_forgets_modes_in_the_same_time(backend):
    """So the test above may fail: with β₁ = 0.9 and no constraint, at most seven."""
    if backend != "numpy":
        pytest.skip("a training run")
    assert found("GAN, β₁ = 0.9", 0).recovered < 8
