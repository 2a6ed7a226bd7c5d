r"""The continuous normalising flow: a neural ODE that carries data to noise.

R. T. Q. Chen, Y. Rubanova, J. Bettencourt and D. Duvenaud, "Neural Ordinary Differential Equations", 2018,
arXiv:1806.07366; W. Grathwohl et al., "FFJORD", 2018, arXiv:1810.01367. The flow is that of `minigen.flows.continuous`:

    dx/dt = f_θ(t, x),   x(0) = x a data point,   x(T) = z its noise,                                            (1)
    log p(x) = log N(x(T); 0, I) + ∫₀ᵀ tr(∂f_θ/∂x) dt,                                                           (2)

trained by maximum likelihood as every flow (`minigen.models.flow.model`). A sample runs the other way, from noise at
time T to data at time 0. On the way every time has a density of its own: points that started at p_0 = p are at time t
distributed as

    log p_t(x) = log N(x(T); 0, I) + ∫_t^T tr(∂f_θ/∂x) dt,      x(t) = x,                                        (3)

which is p at t = 0 and the standard normal density at t = T.

With Hutchinson's trace, (2) is an unbiased estimate, fit for training; to score a model use the exact one.

Differences from FFJORD: one network of x and t side by side, with tanh; their layers are modulated by t.
"""
from minigen.flows.continuous import ContinuousFlow, VelocityMLP
from minigen.models.flow.model import FlowModel


class CNF(FlowModel):
    """Eq. (2) for vectors (N, D).

        model = CNF(2, rng=0)
        for batch in loader:                                    # {"x": (N, 2)}
            loss = -model.log_prob(batch["x"]).mean()           # nats per example
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        model.ode.solution.evaluations                          # of f, in the last solution

    Args:
        features: D. hidden: widths of f's hidden layers. context_features: C of a conditional flow, 0 for none.
        solver, time, trace, gradient: of the `ContinuousFlow`. rng: generator or seed.

    Attributes:
        ode: the `ContinuousFlow`.
    """

    def __init__(self, features=2, hidden=(64, 64), context_features=0, solver=None, time=1.0, trace="exact",
                 gradient="backprop", *, rng=0):
        field = VelocityMLP(features, hidden, context_features, rng=rng)
        super().__init__(ContinuousFlow(field, solver, time, trace, gradient, rng=0), (features,))

    @property
    def ode(self):
        """The `ContinuousFlow` from data to noise."""
        return self.flow.transform

    def decode(self, z, context=None):
        """x(0) for noise z = x(T), without gradients, nor the trace, which samples do not need."""
        return self.ode.path(z, [self.ode.time, 0.0], context)[-1]

    def log_prob_at(self, x, t, context=None):
        """log p_t(x) in nats, (N,), at a time from 0 to T. Eq. (3)."""
        z, log_abs_det = self.ode.between(x, float(t), self.ode.time, context)
        return self.flow.base.log_prob(z) + log_abs_det
