"""The contract for every transform there is, on random shapes and inputs from tiny to huge; none may be left out."""
import inspect

import numpy as np
import pytest
from flows.contract import dense_log_abs_det, log_density, shaken, t
from hypothesis import given, settings, strategies as st

import minigen as mg
from minigen import flows, nn
from minigen.flows import Transform
from minigen.models.flow import CouplingMLP

pytestmark = pytest.mark.usefixtures("backend")
SOLVER = flows.FixedSteps(3, method="rk4")
ABSTRACT = {"Transform", "Elementwise"}
# How to build each for D features, and the size up to which float64 can tell its values apart: y = σ(30) has few digits
# left, and e^1000 none.
VECTORS = {
    "ActNorm": (lambda D: flows.ActNorm(D).eval(), 1e4),
    "Affine": (flows.Affine, 1e4),
    "Autoregressive": (lambda D: flows.Autoregressive(nn.MaskedMLP(D, (7,), 2, rng=0, activation=mg.tanh)), 1e4),
    "Compose": (lambda D: flows.Compose([flows.Affine(D), flows.Reverse(), flows.Planar(D, rng=0)]), 1e4),
    "ContinuousFlow": (lambda D: flows.ContinuousFlow(flows.VelocityMLP(D, (5,), rng=0), SOLVER), 30.0),
    "Coupling": (lambda D: flows.Coupling(flows.half_mask(D), CouplingMLP(D // 2, (7,), 2 * (D - D // 2), rng=0,
                                                                          activation=mg.tanh)), 1e4),
    "ElementwiseSpline": (lambda D: flows.ElementwiseSpline(D, 4), 1e4),
    "Exp": (lambda D: flows.Exp(), 30.0),
    "Householder": (lambda D: flows.Householder(D, 2, rng=0), 1e4),
    "Identity": (lambda D: flows.Identity(), 1e4),
    "Inverse": (lambda D: flows.Inverse(flows.Affine(D)), 1e4),
    "LULinear": (lambda D: flows.LULinear(D, rng=0), 1e4),
    "LeakyReLU": (lambda D: flows.LeakyReLU(), 1e4),
    "Permutation": (lambda D: flows.Permutation(np.roll(np.arange(D), 1)), 1e4),
    "Planar": (lambda D: flows.Planar(D, rng=0), 1e4),
    "Radial": (lambda D: flows.Radial(D, rng=0), 1e4),
    "Reverse": (lambda D: flows.Reverse(), 1e4),
    "Sigmoid": (lambda D: flows.Sigmoid(), 8.0),
    "Softplus": (lambda D: flows.Softplus(), 8.0),
    "Tanh": (lambda D: flows.Tanh(), 4.0),
    "Triangular": (flows.Triangular, 1e4),
}
SPECIAL = {"ConditionalAffine", "Logit", "MaskedCoupling", "MultiScale", "Split", "Squeeze"}    # see below


def test_none_is_left_out():
    there = {name for name, cls in vars(flows).items() if inspect.isclass(cls) and issubclass(cls, Transform)}
    assert there - ABSTRACT == set(VECTORS) | SPECIAL


def inputs(shape, size, seed):
    """Some entries tiny, some as large as they may be, of both signs."""
    rng = np.random.default_rng(seed)
    sizes = rng.choice([size, 1.0, 1e-8], shape, p=[0.4, 0.4, 0.2])
    return np.clip(rng.uniform(0.5, 1, shape) * np.minimum(sizes, size), 0, None) * rng.choice([-1.0, 1.0], shape)


def assert_holds(T, x, context=None, tolerance=1e-8, reach=None):
    """Round trip, both log-determinants against the dense Jacobian, and the gradient of the log-density in x, by
    differences whose steps are shares of ``reach``, |x| unless it is given."""
    y, log_abs_det = T(t(x), context)
    back, inverse_log_abs_det = T.inverse(y, context)
    dense = dense_log_abs_det(T, x, context)
    assert np.isfinite(log_abs_det.numpy()).all()
    np.testing.assert_allclose(back.numpy(), x, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(log_abs_det.numpy(), dense, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(inverse_log_abs_det.numpy(), -dense, rtol=tolerance, atol=tolerance)
    at = t(x)
    at.requires_grad = True
    ours = mg.grad(log_density(T, at, context).sum(), at).numpy()
    direction = np.random.default_rng(1).standard_normal(x.shape)
    direction = direction * (np.maximum(np.abs(x), 1e-2) if reach is None else reach)
    h = 2.0 ** -np.arange(8, 24)
    for n, (event, d) in enumerate(zip(x, direction)):
        moved = event + np.multiply.outer(np.concatenate([h, -h]), d)                      # (32, *event)
        c = None if context is None else t(np.repeat(context.numpy()[n:n + 1], 32, axis=0))
        f = log_density(T, t(moved), c).numpy()
        slopes, slope = (f[:16] - f[16:]) / (2 * h), (ours[n] * d).sum()
        assert np.abs(slopes - slope).min() < 1e-5 * max(1.0, np.abs(f).max())


@pytest.mark.parametrize("name", VECTORS)
@settings(max_examples=12)
@given(D=st.integers(2, 5), n=st.integers(1, 3), seed=st.integers(0, 10 ** 6))
def test_vectors(name, D, n, seed):
    build, size = VECTORS[name]
    assert_holds(shaken(build(D), seed), inputs((n, D), size, seed),
                 tolerance=1e-3 if name == "ContinuousFlow" else 1e-8)


@settings(max_examples=12)
@given(alpha=st.sampled_from([0.0, 1e-6, 0.05]), seed=st.integers(0, 10 ** 6))
def test_logit_up_to_its_ends(alpha, seed):
    rng = np.random.default_rng(seed)
    x = rng.choice([1e-8, 1e-3, 0.5, 1 - 1e-3, 1 - 1e-8], (3, 4)) * rng.uniform(0.9, 1, (3, 4))
    assert_holds(flows.Logit(alpha), x, tolerance=1e-7, reach=x * (1 - x))


@settings(max_examples=12)
@given(seed=st.integers(0, 10 ** 6))
def test_a_context(seed):
    T = shaken(flows.ConditionalAffine(nn.Linear(2, 6, rng=0)), seed)
    assert_holds(T, inputs((3, 3), 1e4, seed), t(np.random.default_rng(seed).standard_normal((3, 2))))


@pytest.mark.parametrize("build", [
    lambda C: flows.Squeeze(), lambda C: flows.Split(flows.Affine(C // 2, event_ndim=3)),
    lambda C: flows.MultiScale([flows.LULinear(4 * C, rng=0, event_ndim=3)]),
    lambda C: flows.MaskedCoupling(flows.checkerboard_mask(2, 4), nn.Conv2d(C, 2 * C, 3, padding=1, rng=0))])
@settings(max_examples=6)
@given(seed=st.integers(0, 10 ** 6))
def test_images(build, seed):
    assert_holds(shaken(build(2), seed, size=0.1), inputs((2, 2, 4, 2), 1e3, seed))
