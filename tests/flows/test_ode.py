"""Solvers against equations that can be solved by hand, and two gradients against each other."""
import math

import numpy as np
import pytest

import minigen as mg
from minigen.flows.ode import TABLEAUS, AdaptiveSteps, FixedSteps, ODEError, solve_by_adjoint

pytestmark = pytest.mark.usefixtures("backend")
A = np.array([[-0.3, 2.0], [-1.0, 0.1]])


def t(values):
    return mg.tensor(np.asarray(values, dtype=np.float64), requires_grad=True)


def swing(time, y):
    """A pendulum without gravity's sine whose clock runs unevenly: y(t) is (1, 0) turned by sin t."""
    return y @ mg.tensor([[0.0, 1.0], [-1.0, 0.0]]).astype(y.dtype) * math.cos(time)


def error(solver, end=2.0):
    y = solver.solve(swing, t([1.0, 0.0]), 0.0, end).y.numpy()
    return np.abs(y - [math.cos(math.sin(end)), math.sin(math.sin(end))]).max()


# ---- values ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", TABLEAUS)
def test_methods_have_their_order(method):
    """Half the step, an error 2^p times smaller."""
    errors = [error(FixedSteps(n, method)) for n in (20, 40, 80)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all(np.abs(orders - TABLEAUS[method].order) < 0.35), orders


@pytest.mark.parametrize("method", TABLEAUS)
def test_tableaus_are_consistent(method):
    """Σ_j a_ij = c_i, Σ b_i = 1, Σ b_i c_i = ½ from order 2 on; the weights of the error sum to 0, and so do their
    first three moments, since both results are of order 4 at least."""
    tableau = TABLEAUS[method]
    c = np.array(tableau.c)
    np.testing.assert_allclose([sum(row) for row in tableau.a], c, atol=1e-14)
    assert abs(sum(tableau.b) - 1) < 1e-14
    assert tableau.order < 2 or abs(np.dot(tableau.b, c) - 0.5) < 1e-14
    if tableau.error:
        np.testing.assert_allclose([np.dot(tableau.error, c ** q) for q in range(4)], 0, atol=1e-15)
        np.testing.assert_array_equal(tableau.a[-1], tableau.b[:-1])                 # the last stage is the next first


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7, 1e-9])
def test_the_error_follows_the_tolerance(tolerance):
    assert error(AdaptiveSteps(tolerance, tolerance)) < 5 * tolerance


def test_steps_adapt_and_are_counted():
    """y′ = −λ(t) (y − 1) with λ large for a moment: short steps there, and counts that are what was called."""
    times = []

    def f(time, y):
        times.append(time)
        return (1.0 - y) * (1.0 + 200.0 * math.exp(-((time - 1.0) / 0.05) ** 2))
    y, evaluations, accepted, rejected = AdaptiveSteps(1e-6, 1e-6).solve(f, t([0.0]), 0.0, 2.0)
    exact = 1 - math.exp(-2.0 - 200 * 0.05 * math.sqrt(math.pi))
    assert abs(y.item() - exact) < 1e-5
    assert evaluations == len(times) == 2 + 6 * (accepted + rejected) and rejected > 0
    assert np.mean(np.abs(np.array(times) - 1.0) < 0.15) > 0.5                              # of the interval it is 15 %
    assert FixedSteps(5).solve(f, t([0.0]), 0.0, 2.0)[1:] == (20, 5, 0)


@pytest.mark.parametrize("solver", [FixedSteps(40), AdaptiveSteps(1e-8, 1e-8)])
def test_time_runs_backwards_and_stands_still(solver):
    y = solver.solve(swing, t([[1.0, 0.5], [0.0, -2.0]]), 0.3, 1.7).y
    back = solver.solve(swing, y, 1.7, 0.3).y.numpy()
    np.testing.assert_allclose(back, [[1.0, 0.5], [0.0, -2.0]], atol=1e-6)
    np.testing.assert_array_equal(solver.solve(swing, y, 1.0, 1.0).y.numpy(), y.numpy())


def test_dtype_is_kept():
    for solver in (FixedSteps(3), AdaptiveSteps()):
        assert solver.solve(swing, mg.tensor([1.0, 0.0]), 0.0, 1.0).y.dtype == np.float32


# ---- gradients -------------------------------------------------------------------------------------------------------
def linear(time, y, M):
    return y @ M.T


def test_backprop_of_a_linear_equation_is_the_matrix_exponential():
    """y(1) = e^A y₀, so ∂y/∂y₀ = e^A."""
    J = mg.jacobian(lambda y: AdaptiveSteps(1e-10, 1e-10).solve(lambda s, y: linear(s, y, mg.tensor(A)), y, 0.0, 1.0).y,
                    t([0.4, -1.0])).numpy()
    term, expected = np.eye(2), np.zeros((2, 2))
    for k in range(1, 30):
        expected, term = expected + term, term @ A / k
    np.testing.assert_allclose(J, expected, atol=1e-8)


def both_gradients(solver):
    """∂/∂(y₀, M, c) of a loss after a time of 1.5, by backprop and by the adjoint."""
    y0, M, c = t(np.random.default_rng(0).standard_normal((3, 2))), t(A), t([0.3, -0.7])

    def f(time, y):
        return mg.tanh(y @ M.T) + c * math.sin(time) * y
    weights = mg.tensor(np.random.default_rng(1).standard_normal((3, 2)))
    losses = [(solution.y * solution.y * weights).sum()
              for solution in (solver.solve(f, y0, 0.0, 1.5), solve_by_adjoint(solver, f, y0, 0.0, 1.5, [M, c]))]
    assert losses[0].item() == losses[1].item()
    return [mg.grad(loss, [y0, M, c]) for loss in losses]


@pytest.mark.parametrize("solver, rtol", [(AdaptiveSteps(1e-5, 1e-5), 1e-3), (AdaptiveSteps(1e-10, 1e-10), 1e-8),
                                          (FixedSteps(60), 1e-6)])
def test_the_adjoint_is_backprop_within_the_solvers_error(solver, rtol):
    for ours, expected in zip(*both_gradients(solver)):
        np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=rtol, atol=rtol)


def test_the_adjoint_works_without_parameters_and_past_frozen_ones():
    y0, frozen = t([0.5, -0.2]), mg.tensor(A)
    solver = AdaptiveSteps(1e-9, 1e-9)
    loss = solve_by_adjoint(solver, lambda s, y: linear(s, y, frozen), y0, 0.0, 1.0, [frozen]).y.sum()
    expected = solver.solve(lambda s, y: linear(s, y, frozen), y0, 0.0, 1.0).y.sum()
    np.testing.assert_allclose(mg.grad(loss, y0).numpy(), mg.grad(expected, y0).numpy(), rtol=1e-7)


def test_the_adjoint_keeps_one_node_however_many_steps():
    y = solve_by_adjoint(FixedSteps(50), swing, t([1.0, 0.0]), 0.0, 1.0, []).y
    count, node = 0, y.node
    while node is not None:
        count, node = count + 1, next((s for s in node.sources if hasattr(s, "sources")), None)
    assert count < 5


def test_the_adjoint_refuses_what_it_cannot_know():
    y0, M = t([0.5, -0.2]), t(A)

    def loss():
        return solve_by_adjoint(FixedSteps(3), lambda s, y: linear(s, y, M), y0, 0.0, 1.0, [M]).y.sum()
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        mg.grad(loss(), y0, create_graph=True)
    value = loss()
    with mg.no_grad():
        M[0, 0] = 5.0
    with pytest.raises(RuntimeError, match="changed in place after the equation was solved"):
        mg.grad(value, y0)


# ---- what goes wrong -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("f, solver, words", [
    (lambda s, y: y * y, AdaptiveSteps(), r"at t = 1 steps became smaller than 1e-12 of the interval \[0, 2\]"),
    (lambda s, y: y * math.nan, AdaptiveSteps(), "at t = 0 steps became smaller"),
    (lambda s, y: -y, AdaptiveSteps(1e-12, 1e-12, max_steps=10), "10 steps led from 0 to t = .* only, not to 2; raise"),
])
def test_no_solution_is_told(f, solver, words):
    with pytest.raises(ODEError, match=words):
        solver.solve(f, t([1.0]), 0.0, 2.0)


@pytest.mark.parametrize("call, words", [
    (lambda: FixedSteps(0), "at least one step of euler, midpoint, rk4, dopri5, got 0 of 'rk4'"),
    (lambda: FixedSteps(3, "rk5"), "got 3 of 'rk5'"),
    (lambda: AdaptiveSteps(0.0), "tolerances are positive, got rtol=0.0"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
