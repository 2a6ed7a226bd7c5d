"""Continuous flows: the contract of every transform, traces that are known, and an estimator that is unbiased."""
import numpy as np
import pytest
from flows.contract import assert_contract, assert_float32, assert_parameter_gradients, assert_saved, shaken, t
from helpers import assert_gradients
from scipy.linalg import expm

import minigen as mg
from minigen import nn
from minigen.flows.continuous import ContinuousFlow, VelocityMLP, exact_trace
from minigen.flows.ode import AdaptiveSteps, FixedSteps

pytestmark = pytest.mark.usefixtures("backend")
A = np.array([[0.4, -1.2, 0.3], [0.9, -0.2, 0.5], [-0.6, 0.1, 0.7]])


class Linear(nn.Module):
    """f(t, x) = A x."""

    def __init__(self, A=A):
        self.A = nn.Parameter(t(A))

    def forward(self, time, x, context=None):
        return x @ self.A.T


def flow(features=2, context_features=0, solver=FixedSteps(16, "dopri5"), seed=0, **options):
    return ContinuousFlow(VelocityMLP(features, (6,), context_features, rng=seed), solver, **options)


def points(n=2, features=2, seed=0):
    return np.random.default_rng(seed).standard_normal((n, features))


# ---- the contract ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("features, context_features", [(1, 0), (3, 2)])
def test_the_contract(features, context_features):
    """To 1e-8, the error of 16 steps of order 5 on so smooth a field."""
    context = points(2, context_features, 1) if context_features else None
    assert_contract(shaken(flow(features, context_features)), points(2, features), context, thorough=False)


def test_the_tutor_finds_nothing():
    T = flow(solver=AdaptiveSteps(1e-10, 1e-10)).astype("float64")
    report = mg.check.bijection(T.forward, T.inverse, x=points(2))
    assert report.ok, report


@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
def test_gradients_are_differences(trace):
    """Of what two steps compute, whatever the equation's solution: in x to second order, and in the parameters."""
    T = shaken(flow(solver=FixedSteps(2), trace=trace))
    eps = t([[1.0, -1.0], [1.0, 1.0]])
    assert_gradients(lambda x: sum_of(T(x, eps=eps)), points())
    assert_parameter_gradients(T, lambda: sum_of(T.inverse(t(points()), eps=eps)))


def sum_of(pair):
    """log N(y; 0, I) + log |det| up to a constant, (N,)."""
    return pair[1] - 0.5 * (pair[0] * pair[0]).sum(axis=-1)


def test_float32_and_saving():
    assert_float32(flow(solver=AdaptiveSteps(1e-6, 1e-6)), points(20), atol=1e-4)
    assert_saved(flow(), flow(seed=1), points())


# ---- what is known ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gradient", ["backprop", "adjoint"])
def test_a_linear_field_has_the_trace_times_the_time(gradient):
    """x(T) = e^{AT} x, and log |det e^{AT}| = T tr A, for every x."""
    T = 1.5
    linear = ContinuousFlow(Linear(), AdaptiveSteps(1e-10, 1e-10), time=T, gradient=gradient)
    x = points(4, 3)
    y, log_abs_det = linear(t(x))
    np.testing.assert_allclose(y.numpy(), x @ expm(A * T).T, atol=1e-8)
    np.testing.assert_allclose(log_abs_det.numpy(), T * np.trace(A), rtol=1e-12)
    (g,) = mg.grad(log_abs_det.sum(), [linear.field.A])
    np.testing.assert_allclose(g.numpy(), 4 * T * np.eye(3), atol=1e-12)


def test_the_exact_trace_is_that_of_the_dense_jacobian():
    field = shaken(VelocityMLP(3, (8,), rng=2))
    x = t(points(5, 3))
    x.requires_grad = True
    ours = exact_trace(field(0.3, x), x, create_graph=False).numpy()
    dense = [np.trace(mg.jacobian(lambda row: field(0.3, row), x[n]).numpy()) for n in range(5)]
    np.testing.assert_allclose(ours, dense, rtol=1e-10)


def test_hutchinson_is_unbiased_with_the_variance_it_should_have():
    """On a linear field the integral of Eq. (3) is T εᵀAε. Its mean over all 8 sign vectors is T tr A exactly, and its
    variance that of Eq. (4); 20,000 drawn ones agree within 5 standard errors: false alarm below 1e-6."""
    T = 0.5
    linear = ContinuousFlow(Linear(), FixedSteps(1), time=T, trace="hutchinson", rng=3)
    signs = np.array(np.meshgrid([-1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0])).reshape(3, 8).T
    values = linear(t(np.ones((8, 3))), eps=t(signs))[1].numpy()
    np.testing.assert_allclose(values, T * np.einsum("ni,ij,nj->n", signs, A, signs), rtol=1e-12)
    np.testing.assert_allclose(values.mean(), T * np.trace(A), rtol=1e-12)
    variance = T ** 2 * sum(A[i, j] * (A[i, j] + A[j, i]) for i in range(3) for j in range(3) if i != j)
    np.testing.assert_allclose(values.var(), variance, rtol=1e-12)
    drawn = linear(t(np.ones((20_000, 3))))[1].numpy()
    assert set(np.round(drawn, 9)) <= set(np.round(values, 9))
    assert abs(drawn.mean() - T * np.trace(A)) < 5 * np.sqrt(variance / 20_000)


def test_hutchinson_is_unbiased_along_curved_paths():
    """The mean over the four sign vectors of the plane is the exact log-determinant: the path does not depend on ε."""
    exact = shaken(flow(seed=4))
    estimate = ContinuousFlow(exact.field, exact.solver, trace="hutchinson")
    x, signs = points(3), [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]
    every = [estimate(t(x), eps=t(np.tile(s, (3, 1)))) for s in signs]
    np.testing.assert_allclose(np.mean([e[1].numpy() for e in every], axis=0), exact(t(x))[1].numpy(), rtol=1e-9)
    np.testing.assert_allclose(every[0][0].numpy(), exact(t(x))[0].numpy(), rtol=1e-12)
    assert np.ptp([e[1].numpy()[0] for e in every]) > 1e-3
    back = estimate.inverse(every[1][0], eps=t(np.tile(signs[1], (3, 1))))
    np.testing.assert_allclose(back[0].numpy(), x, atol=1e-8)
    np.testing.assert_allclose(back[1].numpy(), -every[1][1].numpy(), atol=1e-8)


# ---- gradients -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
@pytest.mark.parametrize("solver, tolerance", [(AdaptiveSteps(1e-9, 1e-9), 1e-7), (AdaptiveSteps(1e-4, 1e-4), 1e-2)])
def test_the_adjoint_is_backprop(trace, solver, tolerance):
    """Of the likelihood's gradient, with respect to parameters, points and context, within the solver's tolerance."""
    field = shaken(VelocityMLP(2, (6,), 1, rng=5))
    eps, c = t([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]), t(points(3, 1, 6))
    found = []
    for gradient in ("backprop", "adjoint"):
        x, context = t(points(3)), t(c.numpy())
        x.requires_grad = context.requires_grad = True
        y, log_abs_det = ContinuousFlow(field, solver, trace=trace, gradient=gradient)(x, context, eps=eps)
        loss = (0.5 * (y * y).sum(axis=-1) - log_abs_det).mean()
        found.append(mg.grad(loss, [x, context, *field.parameters()]))
    for backprop, adjoint in zip(*found):
        np.testing.assert_allclose(adjoint.numpy(), backprop.numpy(), rtol=tolerance, atol=tolerance)


def test_paths_agree_with_the_flow():
    moved = shaken(flow())
    x, c = points(4), None
    path = moved.path(t(x), [0.0, 0.25, 0.5, 1.0], c)
    assert path.shape == (4, 4, 2) and not path.requires_grad
    np.testing.assert_allclose(path.numpy()[-1], moved(t(x))[0].numpy(), atol=1e-8)
    half, first = moved.between(t(x), 0.0, 0.5)
    np.testing.assert_allclose(half.numpy(), path.numpy()[2], atol=1e-8)
    end, second = moved.between(half, 0.5, 1.0)
    np.testing.assert_allclose((first + second).numpy(), moved(t(x))[1].numpy(), atol=1e-8)


def test_steps_are_counted_and_no_graph_is_kept():
    moved = flow(solver=AdaptiveSteps(1e-4, 1e-4))
    moved(mg.tensor(points(3).astype(np.float32)))
    assert moved.solution.y is None and moved.solution.evaluations == 2 + 6 * (moved.solution.accepted
                                                                               + moved.solution.rejected)
    with mg.no_grad():
        y, log_abs_det = moved(mg.tensor(points(3).astype(np.float32)))
    assert not y.requires_grad and not log_abs_det.requires_grad


@pytest.mark.parametrize("call, words", [
    (lambda: flow(trace="stochastic"), "trace is 'exact' or 'hutchinson'"),
    (lambda: flow(gradient="forward"), "gradient is 'backprop' or 'adjoint'"),
    (lambda: flow(time=0.0), "time is positive"),
    (lambda: flow()(t(1.0)), "one event has 1 axes"),
    (lambda: flow()(t([[1.0, 2.0, 3.0]])), "wants 3 features on the last axis"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
