r"""What flow models share: they are trained by maximum likelihood, exactly.

With T the transform from data to noise (`minigen.flows`) and p_z = N(0, I),

    log p(x) = log p_z(T(x)) + log |det ∂T/∂x|,                                                                  (1)
    loss = −(1/N) Σ_n log p(x_n),    nats per example,                                                           (2)

an unbiased estimate of the cross-entropy H(p_data) + D_KL(p_data ‖ p): what the loss exceeds the data's entropy by is
the divergence itself. Samples are T⁻¹(z). With z ~ N(0, τ² I) instead, at a *temperature* τ < 1, they keep to where
the model is dense: better pictures, less variety (D. P. Kingma and P. Dhariwal, Glow, 2018, arXiv:1807.03039).
"""
import minigen as mg
from minigen.distributions import Normal
from minigen.flows import Flow
from minigen.models.base import GenerativeModel, Objective


class FlowModel(GenerativeModel):
    """A flow with the base N(0, I) as a model of real numbers.

        model = FlowModel(Compose([…]), event_shape=(2,))
        for batch in loader:                                    # {"x": (N, 2)}
            loss = -model.log_prob(batch["x"]).mean()           # nats per example
            optimizer.zero_grad(); loss.backward(); optimizer.step()

    Args:
        transform: from data to noise. event_shape: shape of one observation; its axes are the transform's.

    Attributes:
        flow: the `minigen.flows.Flow`. event_shape.
    """

    def __init__(self, transform, event_shape):
        shape = transform.forward_shape(tuple(event_shape))
        self.flow = Flow(Normal(mg.zeros(shape), mg.zeros(shape), event_ndim=len(shape)), transform)
        self.event_shape = self.flow.event_shape

    def log_prob(self, x, context=None):
        """Exact log p(x), or log p(x|context), in nats, (N,), for x (N, *event). Eq. (1)."""
        return self.flow.log_prob(x, context)

    def encode(self, x, context=None):
        """The noise z = T(x)."""
        return self.flow(x, context)

    def decode(self, z, context=None):
        """x = T⁻¹(z), without gradients."""
        with mg.no_grad():
            return self.flow.transform.inverse(z, context)[0]

    def sample(self, n, *, rng=None, labels=None, temperature=1.0, eps=None, context=None):
        """n draws (n, *event), at a temperature τ; ``context`` (n, C) where the flow is conditional.

        ``eps`` (n, *event) replaces the noise.
        """
        if labels is not None:
            raise ValueError(f"{type(self).__name__}.sample: this model knows no labels; a conditional flow takes "
                             "context=")
        return self.decode(temperature * self.flow.base.sample(n, rng=rng, eps=eps), context)

    def objectives(self):
        """One: the negative log-likelihood, Eq. (2), of a batch's "x", given its "context" if it has one."""
        def loss(batch, rng):
            return {"loss": -self.log_prob(batch["x"], batch.get("context")).mean()}

        return [Objective("nll", list(self.parameters()), loss)]
