r"""Ordinary differential equations, dy/dt = f(t, y): Runge–Kutta methods, and gradients through them.

**A step.** An explicit method with s stages evaluates f at places that it finds as it goes (E. Hairer, S. Nørsett and
G. Wanner, Solving Ordinary Differential Equations I, 1993, chapter II):

    k_i = f(t + c_i h, y + h Σ_{j<i} a_ij k_j),        y(t + h) ≈ y + h Σ_i b_i k_i,                             (1)

with an error of order h^{p+1} in one step, so h^p over an interval. Time may run backwards, h < 0.

**Steps of the right size.** Dormand and Prince's coefficients give, from the same seven stages, a result of order 5 and
one of order 4 with weights b̂. Their difference tells how large the error is, in units of what is tolerated:

    E = rms_i [h Σ_j (b_j − b̂_j) k_j]_i / (atol + rtol max(|y_i|, |y_i(t + h)|)).                                (2)

A step with E ≤ 1 is taken, any other is tried again; the next is as long as would have given E = 0.9⁵, for E ~ h⁵:

    h ← h · clip(0.9 E^(−1/5), 0.2, 10).                                                                         (3)

The last stage is the first of the next step, so that a step costs six evaluations. All entries of y share their steps.

**Gradients.** *Backprop* goes back through the steps that were taken: exact for what was computed, with memory for all
of them. The *adjoint* forgets them (R. T. Q. Chen, Y. Rubanova, J. Bettencourt and D. Duvenaud, Neural Ordinary
Differential Equations, 2018, arXiv:1806.07366): a(t) = ∂L/∂y(t) obeys an equation of its own, which is solved together
with that of y from t₁ back to t₀,

    da/dt = −aᵀ ∂f/∂y,      a(t₁) = ∂L/∂y(t₁),      ∂L/∂θ = ∫_{t₀}^{t₁} aᵀ ∂f/∂θ dt.                             (4)

Memory does not grow with the steps. The two gradients agree up to the solver's error.
"""
import dataclasses
import math
from typing import NamedTuple

from minigen.derivatives import vjp
from minigen.ops.create import zeros_like
from minigen.ops.elementwise import sqrt
from minigen.ops.join import concatenate
from minigen.ops.piecewise import abs, maximum
from minigen.ops.reduce import mean
from minigen.primitive import no_grad, primitive
from minigen.tensor import Tensor


class Tableau(NamedTuple):
    """The coefficients of Eq. (1), and b − b̂ of Eq. (2) where there is a b̂."""
    order: int
    c: tuple
    a: tuple
    b: tuple
    error: tuple = ()


TABLEAUS = {
    "euler": Tableau(1, (0,), ((),), (1,)),
    "midpoint": Tableau(2, (0, 1 / 2), ((), (1 / 2,)), (0, 1)),
    "rk4": Tableau(4, (0, 1 / 2, 1 / 2, 1), ((), (1 / 2,), (0, 1 / 2), (0, 0, 1)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    "dopri5": Tableau(
        5, (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1),
        ((), (1 / 5,), (3 / 40, 9 / 40), (44 / 45, -56 / 15, 32 / 9),
         (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
         (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
         (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)),
        (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0),
        (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)),
}
SMALLEST = 1e-12                                             # a step, as a part of the interval


class Solution(NamedTuple):
    """y(t₁), how often f was evaluated, and how many steps were taken and how many tried in vain."""
    y: Tensor
    evaluations: int
    accepted: int
    rejected: int


class ODEError(ArithmeticError):
    """An equation cannot be solved as asked. The message says where it went wrong."""


@dataclasses.dataclass(frozen=True)
class FixedSteps:
    """Eq. (1) with ``steps`` equal steps of a ``method``: "euler", "midpoint", "rk4" or "dopri5".

    Raises ValueError for another method, or less than one step.
    """
    steps: int = 20
    method: str = "rk4"

    def __post_init__(self):
        if self.method not in TABLEAUS or self.steps < 1:
            raise ValueError(f"FixedSteps: wants at least one step of {', '.join(TABLEAUS)}, got {self.steps} of "
                             f"{self.method!r}")

    def solve(self, f, y, t0, t1):
        """The `Solution` at t₁ that starts from y at t₀, for a function f(t, y) of a float and a Tensor."""
        tableau, h = TABLEAUS[self.method], (t1 - t0) / self.steps
        for n in range(self.steps):
            t = t0 + n * h
            y, _ = _step(tableau, f, t, y, h, f(t, y))
        return Solution(y, self.steps * len(tableau.c), self.steps, 0)


@dataclasses.dataclass(frozen=True)
class AdaptiveSteps:
    """Dormand and Prince's method with steps controlled by Eq. (2) and (3).

    Args:
        rtol, atol: tolerated error of one step, relative to y and absolute. In float32 not below about 1e-6.
        max_steps: so many may be tried.

    Raises ValueError for tolerances that are not positive.
    """
    rtol: float = 1e-5
    atol: float = 1e-5
    max_steps: int = 1000

    def __post_init__(self):
        if not (self.rtol > 0 and self.atol > 0):
            raise ValueError(f"AdaptiveSteps: tolerances are positive, got rtol={self.rtol} and atol={self.atol}")

    def solve(self, f, y, t0, t1):
        """As `FixedSteps.solve`. Raises ODEError if steps become too small, or too many."""
        tableau, t, k = TABLEAUS["dopri5"], t0, f(t0, y)
        h, evaluations, accepted, tried = self._first_step(f, t0, t1, y, k), 2, 0, 0
        while t != t1:
            if tried == self.max_steps:
                raise ODEError(f"AdaptiveSteps: {tried} steps led from {t0:g} to t = {t:.6g} only, not to {t1:g}; "
                               "raise max_steps or the tolerances")
            last = (t1 - t - h) * (t1 - t0) <= 0                                             # it would reach t₁
            h = t1 - t if last else h
            proposed, stages = _step(tableau, f, t, y, h, k)
            E = self._norm(h * _combine(tableau.error, stages), y, proposed)                                # Eq. (2)
            evaluations, tried = evaluations + 6, tried + 1
            if E <= 1:
                accepted, t, y, k = accepted + 1, t1 if last else t + h, proposed, stages[-1]
            h *= min(max(0.9 * E ** -0.2, 0.2), 10.0) if E else 10.0                                        # Eq. (3)
            if math.fabs(h) < SMALLEST * math.fabs(t1 - t0):
                raise ODEError(f"AdaptiveSteps: at t = {t:.6g} steps became smaller than {SMALLEST:g} of the interval "
                               f"[{t0:g}, {t1:g}]: f jumps or is not finite there, or rtol={self.rtol:g}, "
                               f"atol={self.atol:g} ask for more than {y.dtype} has")
        return Solution(y, evaluations, accepted, tried - accepted)

    def _norm(self, error, y, other):
        """E of Eq. (2), a number; NaN counts as infinite."""
        with no_grad():
            scaled = error / (self.atol + self.rtol * maximum(abs(y), abs(other)))
            E = sqrt(mean(scaled * scaled)).item()
        return math.inf if math.isnan(E) else E

    def _first_step(self, f, t0, t1, y, k):
        """A guess from the sizes of y, y′ and y″ (Hairer, Nørsett and Wanner, II.4)."""
        span = t1 - t0
        size, slope = self._norm(y, y, y), self._norm(k, y, y)
        h = 0.01 * size / slope if min(size, slope) > 1e-5 and slope < math.inf else 1e-6
        h = math.copysign(min(h, math.fabs(span)), span)
        with no_grad():
            bend = self._norm(f(t0 + h, y + h * k) - k, y, y) / math.fabs(h) if h else 0.0
        larger = max(slope, bend)
        other = (0.01 / larger) ** 0.2 if 1e-15 < larger < math.inf else max(1e-6, 1e-3 * math.fabs(h))
        return math.copysign(min(100 * math.fabs(h), other, math.fabs(span)), span)


def _step(tableau, f, t, y, h, k):
    """(y(t + h), all stages) from the first stage k. Eq. (1)."""
    stages = [k]
    for c, row in zip(tableau.c[1:], tableau.a[1:]):
        stages.append(f(t + c * h, y + h * _combine(row, stages)))
    return y + h * _combine(tableau.b, stages), stages


def _combine(weights, stages):
    """Σ_i w_i k_i."""
    terms = [w * k for w, k in zip(weights, stages) if w]
    return sum(terms[1:], start=terms[0])


# ---- the adjoint -----------------------------------------------------------------------------------------------------
def solve_by_adjoint(solver, f, y, t0, t1, parameters):
    """`solver.solve`, whose gradient is found by Eq. (4).

    Args:
        parameters: all Tensors beside y through which a gradient shall flow; f reads them by itself.

    The result can be differentiated once: asking for more raises NotImplementedError, and so does a parameter that was
    changed between the solution and its gradient raise RuntimeError.
    """
    problem = _Problem(solver, f, y, t0, t1, [p for p in parameters if p.requires_grad])
    packed = concatenate([part.reshape(-1) for part in (y, *problem.parameters)])
    return problem.solution(_solve(packed, problem))


@primitive
def _solve(xp, packed, *, problem):
    """y(t₁), from y(t₀) and the parameters in one vector, so that they share one derivative."""
    return problem.forward(Tensor(packed))


_solve.vjp(lambda g, out, problem: problem.backward(g, out))


class _Problem:
    """One solution and its adjoint."""

    def __init__(self, solver, f, y, t0, t1, parameters):
        self.solver, self.f, self.t0, self.t1, self.parameters = solver, f, t0, t1, parameters
        self.shape, self.size, self.counts = y.shape, y.size, ()
        self.versions = [p._version[0] for p in parameters]

    def forward(self, packed):
        with no_grad():
            y, *self.counts = self.solver.solve(self.f, packed[:self.size].reshape(self.shape), self.t0, self.t1)
        return y._array

    def solution(self, y):
        return Solution(y, *self.counts)

    def backward(self, g, y):
        """∂L/∂(y(t₀), θ) in one vector. Eq. (4)."""
        if isinstance(g, Tensor):
            raise NotImplementedError("solve_by_adjoint: the adjoint gives first derivatives only; for higher ones go "
                                      "through the steps (gradient='backprop')")
        if self.versions != [p._version[0] for p in self.parameters]:
            raise RuntimeError("solve_by_adjoint: a parameter was changed in place after the equation was solved; call "
                               "backward first")
        parts = [Tensor(y), Tensor(g), *(zeros_like(p) for p in self.parameters)]
        end = concatenate([part.reshape(-1) for part in parts])
        return self.solver.solve(self._backwards, end, self.t1, self.t0).y[self.size:]

    def _backwards(self, t, state):
        """d/dt of (y, a, ∂L/∂θ so far), in one vector."""
        y, a = (state[i * self.size:(i + 1) * self.size].reshape(self.shape) for i in range(2))
        dy, pull = vjp(lambda y, *parameters: self.f(t, y), y, *self.parameters)
        slopes = pull(a) if self.parameters else (pull(a),)
        return concatenate([dy.reshape(-1), *(-slope.reshape(-1) for slope in slopes)])
