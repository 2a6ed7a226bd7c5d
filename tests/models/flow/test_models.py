"""What every flow model promises: an exact density that integrates to one, samples of it, one objective; and what each
system's paper says of it."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, shaken, t

import minigen as mg
from minigen import check
from minigen.flows import Autoregressive, Inverse
from minigen.models.flow import IAF, MAF, NICE, NSF, FlowModel, RealNVP
from minigen.training import Adam

pytestmark = pytest.mark.usefixtures("backend")
MODELS = {
    "NICE": lambda D=2, **settings: NICE(D, hidden=(8,), **settings),
    "RealNVP": lambda D=2, **settings: RealNVP(D, couplings=4, hidden=(8,), **settings),
    "RealNVP, normalised": lambda D=2, **settings: RealNVP(D, couplings=3, hidden=(8,), norm=True, **settings),
    "MAF": lambda D=2, **settings: MAF(D, layers=3, hidden=(8,), **settings),
    "IAF": lambda D=2, **settings: IAF(D, layers=3, hidden=(8,), **settings),
    "NSF, coupling": lambda D=2, **settings: NSF(D, layers=3, hidden=(8,), bins=4, **settings),
    "NSF, autoregressive": lambda D=2, **settings: NSF(D, 2, "autoregressive", hidden=(8,), bins=4, **settings),
}


def ready(name, D=2, size=0.15, **settings):
    """The model in float64, its parameters moved from the start, its norms set, in evaluation mode."""
    model = shaken(MODELS[name](D, **settings), size=size)
    context = t(np.random.default_rng(1).standard_normal((50, 2))) if settings else None
    model.log_prob(t(np.random.default_rng(0).standard_normal((50, D))), context)
    return model.eval()


# ---- what all promise ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MODELS)
def test_the_transform_keeps_the_contract(name):
    rng = np.random.default_rng(0)
    for D in (2, 3):
        T, x = ready(name, D).flow.transform, rng.standard_normal((3, D))
        assert_contract(T, x, thorough=D == 2)
        assert_float32(T, x, atol=1e-4 if "IAF" in name else 3e-5)
    T = ready(name, 3, context_features=2).flow.transform
    assert_contract(T, rng.standard_normal((3, 3)), context=rng.standard_normal((3, 2)), thorough=False)


@pytest.mark.parametrize("name", MODELS)
def test_the_tutor_agrees_as_a_user_asks_it(name):
    T = ready(name).flow.transform
    report = check.bijection(T.forward, T.inverse, x=np.random.default_rng(1).standard_normal((4, 2)))
    assert report.ok, report


@pytest.mark.parametrize("name", MODELS)
def test_the_density_integrates_to_one(name):
    """Riemann's sum on a square of side 16 with 400 × 400 points; the density is continuous, with kinks."""
    model, at = ready(name), np.linspace(-8, 8, 400)
    plane = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    with mg.no_grad():
        p = np.exp(model.log_prob(t(plane)).numpy())
    assert abs(p.sum() * (at[1] - at[0]) ** 2 - 1) < 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_samples_are_the_inverse_and_have_the_density_of_eq_1(name):
    model, eps = ready(name, 3), t(np.random.default_rng(0).standard_normal((5, 3)))
    x = model.sample(5, eps=eps)
    np.testing.assert_allclose(model.encode(x).numpy(), eps.numpy(), rtol=1e-8, atol=1e-8)
    cold = model.sample(5, eps=eps, temperature=0.5)
    np.testing.assert_allclose(cold.numpy(), model.decode(0.5 * eps).numpy(), rtol=1e-12)
    J = np.stack([mg.jacobian(lambda e: model.flow(e), x[i]).numpy() for i in range(5)])
    by_hand = -0.5 * (eps.numpy() ** 2).sum(1) - 1.5 * np.log(2 * np.pi) + np.linalg.slogdet(J)[1]
    np.testing.assert_allclose(model.log_prob(x).numpy(), by_hand, rtol=1e-8)
    again, log_p = model.flow.sample_and_log_prob(5, eps=eps)
    np.testing.assert_allclose(again.numpy(), x.numpy(), rtol=1e-10)
    np.testing.assert_allclose(log_p.numpy(), by_hand, rtol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_one_objective_and_a_gradient_for_every_parameter(name):
    model = shaken(MODELS[name]())
    (objective,) = model.objectives()
    x = t(np.random.default_rng(0).standard_normal((20, 2)))
    terms = objective.loss({"x": x}, None)
    np.testing.assert_allclose(terms["loss"].item(), -model.log_prob(x).numpy().mean(), rtol=1e-12)
    for parameter, gradient in zip(objective.parameters, mg.grad(terms["loss"], objective.parameters)):
        assert np.isfinite(gradient.numpy()).all() and (gradient.numpy() != 0).any(), parameter.name


@pytest.mark.parametrize("name", MODELS)
def test_far_away_the_density_stays_finite_as_a_logarithm(name):
    model = ready(name)
    log_p = model.log_prob(t([[200.0, -200.0], [-200.0, 0.0]])).numpy()
    assert np.isfinite(log_p).all() and (log_p < -750).all()                       # e^−750 is 0 in float64


def test_training_finds_a_correlated_gaussian(backend):
    """300 steps of Adam on x ~ N(0, Σ), Σ = [[1, 0.9], [0.9, 1]]: within 0.03 nats of its entropy, 2.0076.

    The mean over 20,000 test points of log p_data − log p_model estimates the divergence with a standard error below
    0.002.
    """
    if backend != "numpy":
        pytest.skip("300 steps; the density itself is tested on every backend")
    rng, draw = np.random.default_rng(0), mg.random.default_rng(0)
    L = np.linalg.cholesky([[1, 0.9], [0.9, 1]])
    model = RealNVP(2, couplings=4, hidden=(16,), rng=0)
    optimizer = Adam(model.parameters(), lr=lambda step: 0.01 * 0.99 ** step)
    for _ in range(300):
        loss = -model.log_prob(draw.standard_normal((256, 2)) @ mg.tensor(L.T.astype("float32"))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    eps = rng.standard_normal((20_000, 2))
    truth = -0.5 * (eps ** 2).sum(1) - np.log(2 * np.pi) - np.log(np.diag(L)).sum()
    gap = (truth - model.log_prob(mg.tensor((eps @ L.T).astype("float32"))).numpy()).mean()
    assert -0.01 < gap < 0.03


# ---- what each one's paper says --------------------------------------------------------------------------------------
def test_nice_preserves_volume_but_for_the_scaling():
    """The log-determinant is the same number for every x: the sum of the log-scales."""
    model = ready("NICE", 4)
    log_abs_det = model.flow.transform(t(np.random.default_rng(0).standard_normal((9, 4))))[1].numpy()
    np.testing.assert_allclose(log_abs_det, model.flow.transform[-1].log_scale.numpy().sum(), rtol=1e-12)
    for layer in list(model.flow.transform)[:-1]:
        np.testing.assert_array_equal(layer(t(np.ones((2, 4))))[1].numpy(), 0)


def test_real_nvp_does_not():
    log_abs_det = ready("RealNVP", 4).flow.transform(t(np.random.default_rng(0).standard_normal((9, 4))))[1].numpy()
    assert log_abs_det.std() > 0.1


def test_mafs_conditionals_are_gaussians():
    """One layer: p(x_i | x_<i) = N(μ_i, e^{2α_i}), multiplied by hand."""
    model, x = shaken(MAF(3, layers=1, hidden=(8,), norm=False)), np.random.default_rng(0).standard_normal((6, 3))
    mu, a = np.moveaxis(model.flow.transform[0].conditioner(t(x)).numpy(), -1, 0)
    alpha = 4 * np.tanh(a / 4)
    log_p = -0.5 * ((x - mu) / np.exp(alpha)) ** 2 - alpha - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(model.log_prob(t(x)).numpy(), log_p.sum(1), rtol=1e-10)


def test_the_density_of_maf_is_the_inverse_of_iaf():
    """One stack of layers, read both ways: MAF's x ↦ z is IAF's way of drawing, MAF's drawing IAF's x ↦ z."""
    maf = ready("MAF", 4)
    iaf = FlowModel(Inverse(maf.flow.transform), (4,)).astype("float64")
    v = t(np.random.default_rng(0).standard_normal((5, 4)))
    np.testing.assert_array_equal(iaf.sample(5, eps=v).numpy(), maf.encode(v).numpy())
    np.testing.assert_allclose(iaf.encode(v).numpy(), maf.sample(5, eps=v).numpy(), rtol=1e-10)
    z, log_abs_det = maf.flow.transform(v)
    # p_maf(v) = N(z) e^{+d} and p_iaf(z) = N(v) e^{−d}, with the same d = log |det ∂z/∂v|
    log_normal = maf.flow.base.log_prob
    np.testing.assert_allclose(maf.log_prob(v).numpy(), (log_normal(z) + log_abs_det).numpy(), rtol=1e-12)
    np.testing.assert_allclose(iaf.log_prob(z).numpy(), (log_normal(v) - log_abs_det).numpy(), rtol=1e-8)


def test_an_iaf_draws_without_going_entry_by_entry(monkeypatch):
    monkeypatch.setattr(Autoregressive, "inverse", lambda *_: pytest.fail("entry by entry"))
    assert MODELS["IAF"](3).sample(4, rng=0).shape == (4, 3)
    assert MODELS["MAF"](3).eval().log_prob(mg.zeros((4, 3))).shape == (4,)


def test_one_autoregressive_spline_layer_makes_two_modes():
    """An affine layer can only move and stretch p(x_1), a Gaussian; a spline layer gives it two modes."""
    x = np.stack([np.linspace(-3, 3, 121), np.zeros(121)], axis=-1)

    def modes(model):
        log_p = model.log_prob(t(x)).numpy()                     # p(x_1) p(x_2 = 0 | x_1); the second is constant here
        return int(((log_p[1:-1] > log_p[:-2]) & (log_p[1:-1] > log_p[2:])).sum())

    spline = NSF(2, 1, "autoregressive", hidden=(4,), bins=2).astype("float64").eval()
    with mg.no_grad():
        spline.flow.transform[-1].conditioner.layers[-1].bias[4] = -2.0       # of x_1: a small slope at 0, so few there
    assert modes(spline) == 2
    affine = shaken(MAF(2, layers=1, hidden=(4,), norm=False))
    with mg.no_grad():
        affine.flow.transform[0].conditioner.layers[-1].weight[...] = 0.0
    assert modes(affine) == 1


# ---- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, message", [
    (lambda: NSF(2, kind="cubic"), "the kind is 'coupling' or 'autoregressive', got 'cubic'"),
    (lambda: RealNVP(1), "RealNVP: wants at least 2 features, one to keep and one to move, got 1"),
    (lambda: NSF(1), "NSF: wants at least 2 features"),
    (lambda: NICE(1), "NICE: wants at least 2 features"),
    (lambda: MODELS["RealNVP"]().log_prob(mg.zeros((4, 3))), r"wants events of shape \(2,\), got x of shape \(4, 3\)"),
    (lambda: MODELS["MAF"]().sample(3, rng=0, labels=[1, 2, 3]), "MAF.sample: this model knows no labels"),
    (lambda: MODELS["RealNVP"]().sample(3), "needs something to draw with"),
    (lambda: MODELS["RealNVP"](context_features=2).log_prob(mg.zeros((4, 2))), "wants a context of 2 features, got 0"),
])
def test_bad_input_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()
