r"""A flow: a simple distribution, and an invertible map that carries the data there.

The transform goes the normalising way, from data x to noise z = T(x), whose density p_z, the *base*, is simple. Then

    log p(x) = log p_z(T(x)) + log |det ∂T/∂x|,                                                                  (1)

and a draw is x = T⁻¹(z) with z ~ p_z. Both are exact, so a flow is trained by maximum likelihood, and if log p_z is
computed in log-space a density that underflows as a number stays finite as a logarithm.

With a context c, T depends on c, and (1) gives p(x|c).
"""
import numpy as np

from minigen.distributions import Distribution
from minigen.flows.base import Transform
from minigen.nn import Module
from minigen.ops.reduce import broadcast_to
from minigen.tensor import Tensor, tensor


class Flow(Distribution, Module):
    """Eq. (1): a Distribution over data, and a Module whose parameters are those of the transform and of the base.

        flow = Flow(Normal(mg.zeros(2), mg.zeros(2)), Compose([…]))
        loss = -flow.log_prob(x).mean()                        # nats per example
        x = flow.sample(1000, rng=0)

    Args:
        base: distribution of z, with batch_shape (). Its Tensors move and are converted with the flow, and are trained
            and saved if they are Parameters: ``Normal(nn.Parameter(mg.zeros(2)), mg.zeros(2))``.
        transform: from x to z.

    Raises TypeError for what is no Distribution or Transform, ValueError for a batch of bases, or where the events of
    base and transform have different numbers of axes.
    """

    def __init__(self, base, transform):
        if not isinstance(base, Distribution) or not isinstance(transform, Transform):
            raise TypeError("Flow: wants a Distribution and a Transform, Flow(base, transform), got a "
                            f"{type(base).__name__} and a {type(transform).__name__}")
        if base.batch_shape:
            raise ValueError(f"Flow: the base must be one distribution, got a batch of them: {base!r}; raise its "
                             "event_ndim")
        if base.event_ndim != transform.event_ndim:
            raise ValueError(f"Flow: an event of the base has {base.event_ndim} axes, {base.event_shape}, one of the "
                             f"transform {transform.event_ndim}; build both with the same event_ndim")
        self.base, self.transform, self.reparameterised = base, transform, base.reparameterised
        self._set_shapes(transform.inverse_shape(base.event_shape), base.event_ndim)

    # ---- density -------------------------------------------------------------------------------------------------
    def log_prob(self, x, context=None):
        """log p(x), or log p(x|context): nats, (…) for x (…, *event). Eq. (1).

        ``context`` (…, C): one for each x; its axes in front broadcast to those of x. Raises ValueError for events of
        another shape.
        """
        x = x if isinstance(x, Tensor) else tensor(x)
        lead = x.ndim - self.event_ndim
        if lead < 0 or x.shape[lead:] != self.event_shape:
            raise ValueError(f"log_prob: this flow wants events of shape {self.event_shape}, got x of shape {x.shape}")
        z, log_abs_det = self.transform(x, _spread(context, x.shape[:lead]))
        return self.base.log_prob(z) + log_abs_det                                                            # Eq. (1)

    # ---- samples -------------------------------------------------------------------------------------------------
    def sample(self, size=(), *, rng=None, eps=None, context=None):
        """Draw (*size, *event); with a context (N, C), (*size, N, *event): so many for each.

        ``eps`` is the noise of the base. Raises ValueError if neither rng nor eps is given.
        """
        return self.transform.inverse(*self._draw_base(size, rng, eps, context))[0]

    def sample_and_log_prob(self, size=(), *, rng=None, eps=None, context=None):
        """(x, log p(x)) of `sample`'s draws, for the price of one pass: −log |det ∂x/∂z| takes the place in Eq. (1)."""
        z, context = self._draw_base(size, rng, eps, context)
        x, log_abs_det = self.transform.inverse(z, context)
        return x, self.base.log_prob(z) - log_abs_det

    def _draw_base(self, size, rng, eps, context):
        """z ~ p_z and the context for each."""
        size = (size,) if isinstance(size, (int, np.integer)) else tuple(size)
        size += () if context is None else np.shape(context)[:-1]
        return self.base.sample(size, rng=rng, eps=eps), _spread(context, size)

    # ---- as a Module ---------------------------------------------------------------------------------------------
    def forward(self, x, context=None):
        """The noise z = T(x), without its log-determinant."""
        return self.transform(x, _spread(context, x.shape[:x.ndim - self.event_ndim]))[0]

    def _attributes(self):
        """A base that is no Module shows what it holds, so that its Tensors are found: ``base.mean``."""
        return [(name, vars(value) if name == "base" and not isinstance(value, Module) else value)
                for name, value in vars(self).items()]


def _spread(context, lead):
    """The context (…, C) with the axes ``lead`` in front of C."""
    return None if context is None else broadcast_to(context, (*lead, np.shape(context)[-1]))
