r"""Continuous flows: points drift along a vector field, and the density with them.

R. T. Q. Chen, Y. Rubanova, J. Bettencourt and D. Duvenaud, "Neural Ordinary Differential Equations", 2018,
arXiv:1806.07366; W. Grathwohl, R. T. Q. Chen, J. Bettencourt, I. Sutskever and D. Duvenaud, "FFJORD", 2018,
arXiv:1810.01367.

A point x(0) = x moves with a velocity that a network tells, and y = x(T):

    dx/dt = f(t, x).                                                                                             (1)

If f is smooth, paths never meet, so that the map x → y is invertible: run time backwards. No structure is asked of f.

**The determinant.** A short step h maps x to x + h f, whose Jacobian I + h ∂f/∂x has log |det| = h tr(∂f/∂x) + O(h²).
Steps follow one another and their logarithms add (`minigen.flows.base`, Eq. (3)), so in the limit

    log |det ∂y/∂x| = ∫₀ᵀ tr(∂f/∂x)(t, x(t)) dt:                                                                 (2)

a trace where other flows need a determinant. It is one more coordinate ℓ of the same equation, dℓ/dt = tr(∂f/∂x).

**The trace.** Exactly: D backward passes, one for each ∂f_i/∂x_i. Or an estimate from a single one (M. Hutchinson,
1990): for noise with E[ε εᵀ] = I,

    E[εᵀ (∂f/∂x) ε] = tr(∂f/∂x),                                                                                 (3)

where εᵀ ∂f/∂x is one vector-Jacobian product. The same ε serves all of one solution, so that the integrand stays smooth
and the integral is an unbiased estimate of (2). Signs ε_i = ±1 have the least variance of all independent noise:

    Var = Σ_{i≠j} J_ij (J_ij + J_ji),      J = ∂f/∂x,                                                            (4)

that is nothing from the diagonal (for a Gaussian ε: Σ_ij J_ij (J_ij + J_ji)).
"""
from minigen import nn
from minigen.autograd import grad
from minigen.flows.base import Transform
from minigen.flows.ode import AdaptiveSteps, solve_by_adjoint
from minigen.ops.create import zeros_like
from minigen.ops.elementwise import tanh
from minigen.ops.join import concatenate, stack
from minigen.primitive import enable_grad, is_recording, no_grad
from minigen.random import as_generator


class ContinuousFlow(Transform):
    """Eq. (1) from time 0 to ``time``, and Eq. (2), for vectors x (…, D).

        flow = ContinuousFlow(VelocityMLP(2, (64, 64), rng=0))
        y, log_abs_det = flow(x)
        flow.solution.evaluations                # of the last solution: how often f was asked, and in how many steps

    Args:
        field: f, a Module (or function) of (t, x, context) with a float t: velocities of x's shape. Rows must not
            influence each other, and it must be differentiable twice.
        solver: a `minigen.flows.ode.AdaptiveSteps` (the default) or `FixedSteps`.
        time: T > 0.
        trace: "exact", or "hutchinson", Eq. (3).
        gradient: "backprop" through the steps, or "adjoint" (see `minigen.flows.ode`).
        rng: generator or seed of Hutchinson's noise.

    Raises ValueError for another trace or gradient.
    """

    def __init__(self, field, solver=None, time=1.0, trace="exact", gradient="backprop", *, rng=0):
        if trace not in ("exact", "hutchinson") or gradient not in ("backprop", "adjoint") or not time > 0:
            raise ValueError("ContinuousFlow: trace is 'exact' or 'hutchinson', gradient is 'backprop' or 'adjoint', "
                             f"time is positive; got {trace!r}, {gradient!r}, {time}")
        self.field, self.solver, self.time = field, solver or AdaptiveSteps(), float(time)
        self.trace, self.gradient, self.rng = trace, gradient, as_generator(rng)
        self.solution = None

    def forward(self, x, context=None, eps=None):
        """(y, log |det ∂y/∂x|). ``eps``, of x's shape, replaces the noise of Eq. (3)."""
        return self.between(x, 0.0, self.time, context, eps)

    def inverse(self, y, context=None, eps=None):
        """(x, log |det ∂x/∂y|): Eq. (1) and (2) with time running backwards."""
        return self.between(y, self.time, 0.0, context, eps)

    def path(self, x, times, context=None):
        """x(t) at each of these times, (len(times), …, D), for points x that are at times[0]. Nothing is recorded."""
        with no_grad():
            points = [x]
            for t0, t1 in zip(times, times[1:]):
                solution = self.solver.solve(lambda t, x: self.field(t, x, context), points[-1], float(t0), float(t1))
                points.append(solution.y)
            return stack(points)

    def between(self, x, start, end, context=None, eps=None):
        """(x(end), log |det ∂x(end)/∂x(start)|) for points x (…, D) that are there at the time ``start``."""
        self.expect_event(x)
        if self.trace == "exact":
            eps = None
        elif eps is None:
            eps = 2 * self.rng.bernoulli(zeros_like(x) + 0.5, dtype=x.dtype) - 1
        state = concatenate([x, zeros_like(x[..., :1])], axis=-1)                                    # (…, D + 1): x, ℓ

        def slope(t, state):
            return self._slope(t, state[..., :-1], context, eps)
        if self.gradient == "adjoint" and is_recording():
            others = [*self.parameters(), *([] if context is None else [context])]
            self.solution = solve_by_adjoint(self.solver, slope, state, start, end, others)
        else:
            self.solution = self.solver.solve(slope, state, start, end)
        state = self.solution.y
        self.solution = self.solution._replace(y=None)                           # the counts; they hold no graph
        return state[..., :-1], state[..., -1]

    def _slope(self, t, x, context, eps):
        """(f, tr ∂f/∂x), (…, D + 1)."""
        recording = is_recording()
        with enable_grad():                                                      # a derivative is asked for anyway
            if not x.requires_grad:
                x = x.detach()
                x.requires_grad = True
            f = self.field(t, x, context)
            if eps is None:
                trace = exact_trace(f, x, recording)
            else:
                trace = (grad(f, x, eps, create_graph=recording, retain_graph=True) * eps).sum(axis=-1)  # Eq. (3)
            slope = concatenate([f, trace[..., None]], axis=-1)
        return slope if recording else slope.detach()


def exact_trace(f, x, create_graph):
    """Σ_i ∂f_i/∂x_i, (…), of f (…, D), computed from x (…, D) row by row."""
    return sum(grad(f[..., i].sum(), x, create_graph=create_graph, retain_graph=True)[..., i]
               for i in range(x.shape[-1]))


class VelocityMLP(nn.Module):
    """A field f(t, x): a multilayer perceptron of x, the time and the context, with tanh, which is smooth.

    Args:
        features: D. hidden: widths of the hidden layers. context_features: C, 0 for none. rng: generator or seed.
    """

    def __init__(self, features, hidden=(64, 64), context_features=0, *, rng):
        self.net = nn.MLP([features + 1 + context_features, *hidden, features], activation=tanh, rng=rng)

    def forward(self, t, x, context=None):
        time = zeros_like(x[..., :1]) + t
        return self.net(concatenate([x, time] if context is None else [x, time, context], axis=-1))
