"""Planar flows fitted to an energy: the potentials, log Z, and the free energy against exact values."""
import numpy as np
import pytest
from scipy import integrate as scipy_integrate

import minigen as mg
from minigen.flows import Planar, Radial
from minigen.models.flow.planar import ENERGIES, U1, U2, U4, PlanarFlow, log_partition
from minigen.training import Adam, Trainer

pytestmark = pytest.mark.usefixtures("backend")


def t(values, dtype="float64"):
    return mg.tensor(np.asarray(values, dtype=dtype))


# ---- energies --------------------------------------------------------------------------------------------------------
def by_hand(name, a, b):
    """Table 1 of the paper in plain NumPy, and our wall."""
    w1, w2 = np.sin(2 * np.pi * a / 4), 3 * np.exp(-0.5 * ((a - 1) / 0.6) ** 2)
    w3, wall = 3 / (1 + np.exp(-(a - 1) / 0.3)), 0.5 * (np.maximum(np.abs(a) - 4, 0) / 0.4) ** 2
    if name == "U1":
        return 0.5 * ((np.hypot(a, b) - 2) / 0.4) ** 2 - np.log(np.exp(-0.5 * ((a - 2) / 0.6) ** 2)
                                                                + np.exp(-0.5 * ((a + 2) / 0.6) ** 2))
    if name == "U2":
        return 0.5 * ((b - w1) / 0.4) ** 2 + wall
    shift, width = (w2, 0.35) if name == "U3" else (w3, 0.4)
    return wall - np.log(np.exp(-0.5 * ((b - w1) / width) ** 2) + np.exp(-0.5 * ((b - w1 + shift) / 0.35) ** 2))


@pytest.mark.parametrize("name", ENERGIES)
def test_energies_are_those_of_the_paper_and_finite_far_out(name):
    z = np.random.default_rng(0).uniform(-5, 5, (4, 50, 2))
    z[..., 1] = np.clip(z[..., 1], -4, 4)
    np.testing.assert_allclose(ENERGIES[name](t(z)).numpy(), by_hand(name, z[..., 0], z[..., 1]), rtol=1e-9, atol=1e-12)
    far = mg.tensor(np.array([[1e4, -1e4], [0.0, 0.0]]), requires_grad=True)
    U = ENERGIES[name](far)
    assert np.isfinite(U.numpy()).all() and np.isfinite(mg.grad(U.sum(), far).numpy()).all()


def test_log_partition_against_closed_forms_and_scipy():
    np.testing.assert_allclose(log_partition(lambda z: 0.5 * (z * z).sum(axis=-1)), np.log(2 * np.pi), rtol=1e-9)
    width = 0.4 * np.sqrt(2 * np.pi)                           # across the wave, and in the two walls together
    np.testing.assert_allclose(log_partition(U2), np.log(width * (8 + width)), rtol=1e-7)
    Z, _ = scipy_integrate.dblquad(lambda b, a: np.exp(-by_hand("U1", a, b)), -5, 5, -5, 5, epsabs=1e-6, epsrel=1e-6)
    np.testing.assert_allclose(log_partition(U1), np.log(Z), atol=1e-5)


def test_a_partition_function_that_is_not_settled_raises():
    def spikes(z):
        return 1e4 * (1 + mg.sin(1e3 * z[..., 0]) * mg.sin(1e3 * z[..., 1]))

    with pytest.raises(ArithmeticError, match=r"log_partition: the integral of exp\(−U\) over .* is .* ±"):
        log_partition(spikes)


# ---- the free energy -------------------------------------------------------------------------------------------------
def test_free_energy_by_hand():
    model = PlanarFlow(U1, layers=3, rng=0).astype("float64")
    eps = np.random.default_rng(0).standard_normal((6, 2))
    z, log_q = t(eps), -0.5 * (eps ** 2).sum(axis=1) - np.log(2 * np.pi)
    for f in model.flow.transform.transform:
        z, log_abs_det = f(z)
        log_q = log_q - log_abs_det.numpy()
    for beta in (1.0, 0.3):
        expected = log_q + beta * by_hand("U1", *z.numpy().T)
        np.testing.assert_allclose(model.free_energy(6, eps=t(eps), beta=beta).numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("kind", ["planar", "radial"])
def test_the_free_energy_and_log_z_give_the_divergence(kind):
    """F + log Z from 40,000 draws against ∫ q log(q/p) on a grid: within 5 standard errors, false alarms below 1e-6."""
    model = PlanarFlow(U1, layers=2, kind=kind, rng=3).astype("float64")
    at = np.linspace(-8, 8, 321)
    z = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    with mg.no_grad():
        log_q = model.log_prob(t(z)).numpy()
        log_p = -U1(t(z)).numpy() - log_partition(U1)
        F = model.free_energy(40_000, eps=t(np.random.default_rng(0).standard_normal((40_000, 2)))).numpy()
    weight = np.exp(log_q) * (at[1] - at[0]) ** 2
    np.testing.assert_allclose(weight.sum(), 1, atol=1e-3)
    divergence = (weight * (log_q - log_p)).sum()
    assert abs(F.mean() + log_partition(U1) - divergence) < 5 * F.std() / 200 + 0.01 * divergence
    assert divergence > 0


def test_its_gradient_is_that_of_the_difference_quotient():
    model, eps = PlanarFlow(U4, layers=2, rng=1).astype("float64"), t(np.random.default_rng(0).standard_normal((9, 2)))
    parameters, rng = list(model.parameters()), np.random.default_rng(1)
    gradients = mg.grad(model.free_energy(9, eps=eps).mean(), parameters)
    directions, values = [rng.standard_normal(p.shape) for p in parameters], []
    for h in (1e-5, -2e-5):
        with mg.no_grad():
            for p, d in zip(parameters, directions):
                p[...] = p + t(h * d)
            values.append(model.free_energy(9, eps=eps).mean().item())
    along = sum((g.numpy() * d).sum() for g, d in zip(gradients, directions))
    np.testing.assert_allclose((values[0] - values[1]) / 2e-5, along, rtol=1e-6)


# ---- training --------------------------------------------------------------------------------------------------------
def test_training_lowers_the_divergence_and_never_below_zero():
    """F + log Z is a divergence: of 4,000 draws, above −5 standard errors (false alarms below 1e-6)."""
    model, log_Z = PlanarFlow(U1, layers=4, draws=64, anneal=60, rng=0), log_partition(U1)
    trainer = Trainer(model, lambda p: Adam(p, lr=0.02), lambda rng: {}, seed=0, progress=False)
    gaps = []
    for steps in (0, 120):
        trainer.run(steps)
        with mg.no_grad():
            F = model.free_energy(4000, rng=mg.random.default_rng(1)).numpy()
        gaps.append(F.mean() + log_Z)
        assert gaps[-1] > -5 * F.std() / np.sqrt(4000)
    assert gaps[1] < 0.5 * gaps[0]


def test_annealing_counts_its_steps_and_is_saved():
    model = PlanarFlow(U1, layers=1, draws=4, anneal=10, rng=0)
    assert model.beta() == 0.01
    Trainer(model, lambda p: Adam(p, lr=1e-3), lambda rng: {}, seed=0, progress=False).run(5)
    assert model.steps.item() == 5 and abs(model.beta() - 0.51) < 1e-12
    twin = PlanarFlow(U1, layers=1, anneal=10, rng=1)
    twin.load_state_dict(model.state_dict())
    assert twin.beta() == model.beta()
    np.testing.assert_array_equal(twin.sample(3, rng=0).numpy(), model.sample(3, rng=0).numpy())
    assert PlanarFlow(U1, layers=1, rng=0).beta() == 1.0


def test_what_it_is_made_of_and_what_is_refused():
    for kind, of in (("planar", Planar), ("radial", Radial)):
        model = PlanarFlow(U1, layers=3, kind=kind, rng=0)
        assert [type(f) for f in model.flow.transform.transform] == [of] * 3
        assert model.sample(5, rng=0).shape == (5, 2) and model.log_prob(mg.zeros((5, 2))).shape == (5,)
    with pytest.raises(ValueError, match="PlanarFlow: the kind is 'planar' or 'radial', got 'affine'"):
        PlanarFlow(U1, kind="affine", rng=0)
    with pytest.raises(ValueError, match="PlanarFlow: wants layers ≥ 1, draws ≥ 1 and anneal ≥ 0, got 0, 256 and 0"):
        PlanarFlow(U1, layers=0, rng=0)
    with pytest.raises(ValueError, match="knows no labels"):
        PlanarFlow(U1, rng=0).sample(3, rng=0, labels=[1, 2, 3])
