"""Flows on images: pixels to logits and back, how scores are converted, Real NVP's scales and Glow's steps."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, shaken, t
from scipy.special import expit, logit

import minigen as mg
from minigen import data
from minigen.flows import ActNorm, Coupling, Identity, LULinear, MaskedCoupling
from minigen.models.flow import MAF, FlowModel, Glow, ImageFlow, MultiScaleRealNVP, RealNVP

pytestmark = pytest.mark.usefixtures("backend")
MODELS = {"RealNVP": lambda shape=(4, 4, 1), **settings: MultiScaleRealNVP(shape, 2, couplings=2, width=2, **settings),
          "Glow": lambda shape=(4, 4, 1), **settings: Glow(shape, levels=2, steps=2, width=4, **settings)}


def images(n, shape=(4, 4, 1), seed=0):
    """Dequantised images (n, *shape) in [0, 1), float32."""
    rng = np.random.default_rng(seed)
    return data.dequantise(rng.integers(0, 256, (n, *shape)).astype(np.uint8), rng)


def ready(name, size=0.1):
    """The model in float64, moved from the start, its norms set."""
    model = shaken(MODELS[name](), size=size)
    model.log_prob(t(np.random.default_rng(0).standard_normal((30, 4, 4, 1))))
    return model.eval()


# ---- multi-scale models ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MODELS)
def test_the_transform_keeps_the_contract(name):
    T, x = ready(name).flow.transform, np.random.default_rng(1).standard_normal((2, 4, 4, 1))
    assert_contract(T, x, thorough=False)
    assert_float32(T, x, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_samples_encode_and_decode(name):
    model, eps = ready(name), t(np.random.default_rng(2).standard_normal((3, 4, 4, 1)))
    x = model.sample(3, eps=eps)
    assert x.shape == (3, 4, 4, 1)
    np.testing.assert_allclose(model.encode(x).numpy(), eps.numpy(), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(model.decode(model.encode(x)).numpy(), x.numpy(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient(name):
    model = shaken(MODELS[name](), size=0.1)
    (objective,) = model.objectives()
    loss = objective.loss({"x": t(np.random.default_rng(0).standard_normal((20, 4, 4, 1)))}, None)["loss"]
    for (path, _), gradient in zip(model.named_parameters(), mg.grad(loss, objective.parameters)):
        assert np.isfinite(gradient.numpy()).all() and (gradient.numpy() != 0).any(), path


def test_real_nvps_levels():
    """Checkerboards at full size, channels after the squeeze, and the rest at half the size."""
    top = MODELS["RealNVP"]((8, 4, 3)).flow.transform
    kinds = [type(layer) for layer in top if not isinstance(layer, ActNorm)]
    names = ["MaskedCoupling", "MaskedCoupling", "Squeeze", "Coupling", "Coupling", "Split", "Inverse"]
    assert [kind.__name__ for kind in kinds] == names
    masks = [layer.mask.numpy() for layer in top if isinstance(layer, MaskedCoupling)]
    assert masks[0].shape == (8, 4, 1) and (masks[0] != masks[1]).all()
    assert all(layer.features == 12 for layer in top if isinstance(layer, Coupling))
    deeper = [layer.mask.shape for layer in top[-2].transform if isinstance(layer, MaskedCoupling)]
    assert deeper == [(4, 2, 1)] * 2


def test_glows_first_batch_gets_mean_zero_and_variance_one():
    """After every activation norm of the first level, over examples and positions, for data far from that."""
    model, seen = Glow((4, 4, 1), levels=1, steps=3, width=4, rng=0).astype("float64"), []
    for norm in (layer for layer in model.flow.transform.modules() if isinstance(layer, ActNorm)):
        def spy(x, context=None, forward=norm.forward):
            y, log_abs_det = forward(x, context)
            seen.append(y.numpy().reshape(-1, y.shape[-1]))
            return y, log_abs_det
        norm.forward = spy
    model.log_prob(t(7 + 3 * np.random.default_rng(0).standard_normal((64, 4, 4, 1))))
    assert len(seen) == 3
    for rows in seen:
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-10)
        np.testing.assert_allclose(rows.var(axis=0), 1, rtol=1e-8)


def test_glow_starts_as_a_linear_map():
    """Couplings start as the identity, so T is affine: T(a) + T(b) = T(a + b) + T(0)."""
    model, rng = ready("Glow", size=0.0), np.random.default_rng(1)
    a, b = (rng.standard_normal((1, 4, 4, 1)) for _ in range(2))
    T = [model.encode(t(x)).numpy() for x in (a, b, a + b, 0 * a)]
    np.testing.assert_allclose(T[0] + T[1], T[2] + T[3], rtol=1e-8, atol=1e-8)
    steps = model.flow.transform[1]
    assert [type(layer).__name__ for layer in steps] == ["ActNorm", "LULinear", "Coupling"] * 2
    assert [layer.features for layer in steps if isinstance(layer, LULinear)] == [4, 4]


# ---- pixels ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("alpha", [1e-6, 0.05])
def test_logitsthere_and_back(alpha):
    model, y = ImageFlow(RealNVP(16, 2, (4,)), (4, 4, 1), alpha).astype("float64"), images(3).astype(np.float64)
    logits, log_abs_det = model.to_logits(t(y))
    p = alpha + (1 - 2 * alpha) * y
    np.testing.assert_allclose(logits.numpy(), logit(p).reshape(3, 16), rtol=1e-9)
    by_hand = (np.log(1 - 2 * alpha) - np.log(p) - np.log(1 - p)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(log_abs_det.numpy(), by_hand, rtol=1e-9)
    np.testing.assert_allclose(model.from_logits(logits).numpy(), y, atol=1e-9)


def test_the_three_scores_of_one_model():
    """The density on [0, 1]ᴰ by hand, and bits/dim by the formula of MAF's authors (appendix E.2 of their paper)."""
    alpha, y = 1e-2, images(4).astype(np.float64)
    model = ImageFlow(MAF(16, 2, (8,), norm=False), (4, 4, 1), alpha)
    shaken(model, size=0.1)
    at = logit(alpha + (1 - 2 * alpha) * y).reshape(4, 16)
    logits = model.model.log_prob(t(at)).numpy()
    np.testing.assert_allclose(model.log_prob_of_logits(t(y)).numpy(), logits, rtol=1e-9)
    sigma = expit(at)
    unit = logits + 16 * np.log(1 - 2 * alpha) - (np.log(sigma) + np.log(1 - sigma)).sum(axis=1)
    np.testing.assert_allclose(model.log_prob(t(y)).numpy(), unit, rtol=1e-9)
    theirs = (-logits / (16 * np.log(2)) - np.log2(1 - 2 * alpha) + 8
              + (np.log2(sigma) + np.log2(1 - sigma)).mean(axis=1))
    np.testing.assert_allclose(model.bits_per_dim(t(y)).numpy(), theirs, rtol=1e-9)
    terms = model.objectives()[0].loss({"x": t(y)}, None)
    for name, value in (("loss", -unit.mean()), ("nll_logits", -logits.mean()), ("bits_per_dim", theirs.mean())):
        np.testing.assert_allclose(terms[name].item(), value, rtol=1e-9)


def test_one_pixel_integrates_to_one():
    """A flow that does nothing: p_l = N(0, 1), and its density on [0, 1] by Riemann's sum with 20,000 points."""
    n = 20_000
    y = ((np.arange(n) + 0.5) / n).reshape(n, 1, 1, 1)
    model = ImageFlow(FlowModel(Identity(3), (1, 1, 1)), alpha=1e-3).astype("float64")
    assert abs(np.exp(model.log_prob(t(y)).numpy()).mean() - 1) < 1e-3       # |l| < logit(1 − α) = 6.9: all but 5e-12


def test_a_uniform_density_has_eight_bits():
    """log p_y = 0: what the Logistic law of the logits would give at α = 0."""
    class Logistic:
        event_shape = (2, 2, 1)

        @staticmethod
        def log_prob(logits):
            return (mg.log_sigmoid(logits) + mg.log_sigmoid(-logits)).sum(axis=(1, 2, 3))

    model = ImageFlow(Logistic(), alpha=0.0)
    np.testing.assert_allclose(model.bits_per_dim(t(images(5, (2, 2, 1)))).numpy(), 8, atol=1e-10)


def test_samples_are_images():
    model = ImageFlow(MODELS["Glow"](), alpha=0.05)
    shaken(model, size=0.3).eval()
    x = model.sample(6, rng=mg.random.default_rng(0), temperature=3.0).numpy()
    assert x.shape == (6, 4, 4, 1) and x.min() >= 0 and x.max() <= 1
    z = model.encode(t(images(2)))
    np.testing.assert_allclose(model.decode(z).numpy(), images(2), atol=1e-8)


def test_the_black_and_white_ends_are_inside_the_domain():
    model = ImageFlow(FlowModel(Identity(3), (1, 2, 1)), alpha=1e-6)
    logits = model.to_logits(mg.tensor(np.array([[[[0.0], [1 - 2 ** -24]]]], dtype="float32")))[0].numpy().ravel()
    np.testing.assert_allclose(logits, logit([1e-6, 1 - 1e-6]), rtol=1e-2)


# ---- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, message", [
    (lambda: MultiScaleRealNVP((6, 6, 1), levels=3), "a height of 3 and a width of 3 do not both divide by 2"),
    (lambda: Glow((7, 8, 1), levels=1), "a height of 7 and a width of 8 do not both divide by 2"),
    (lambda: MultiScaleRealNVP((4, 4, 1), couplings=1), "at least two couplings of each kind, so that every entry is"),
    (lambda: Glow((4, 4, 1), levels=0), "Glow: wants at least one level and one step, got levels=0 and steps=4"),
    (lambda: ImageFlow(RealNVP(15), (4, 4, 1)),
     r"as many numbers as the model's events \(15,\), got event_shape=\(4, 4, 1\)"),
    (lambda: ImageFlow(RealNVP(16)), r"wants images \(H, W, C\)"),
    (lambda: ImageFlow(RealNVP(16), (4, 4, 1), alpha=0.5), "Logit: alpha"),
    (mg.no_grad()(lambda: ImageFlow(RealNVP(16), (4, 4, 1)).log_prob(mg.full((2, 4, 4, 1), 1.2))),   # as in evaluation:
     r"Logit\(alpha=0.05\).*: 1.2"),                              # a training step on a GPU does not wait to look
    (lambda: ImageFlow(RealNVP(16), (4, 4, 1)).log_prob(mg.full((2, 28, 28, 1), 0.5)), "shape"),
    (lambda: ImageFlow(MODELS["Glow"]()).sample(2, rng=0, labels=[1, 2]), "knows no labels"),
])
def test_bad_input_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()
