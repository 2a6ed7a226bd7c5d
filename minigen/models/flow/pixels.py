r"""Flows on images: from 8-bit pixels to the real line and back, and how scores are converted.

A flow is a density on ℝᴰ. Pixels are integers from 0 to 255. Between them stand two steps, the same for every model:

    y = (x + u) / 256,  u ~ U[0, 1)ᴰ        dequantise, `minigen.data.dequantise`, in the Loader,                (1)
    l = logit(α + (1 − 2α) y)               to the whole line, here.                                             (2)

(The margin α keeps 0 and 1 from ±∞: L. Dinh, J. Sohl-Dickstein and S. Bengio, 2016, arXiv:1605.08803, section 4.1.) If
p_l is the flow, the density of y on [0, 1]ᴰ is, with p = α + (1 − 2α) y,

    log p_y(y) = log p_l(l) + Σ_d [log(1 − 2α) − log p_d − log(1 − p_d)],                                        (3)

and by Jensen −log P(x) ≤ −E_u[log p_y(y)] + D log 256. So

    bits/dim = −log p_y(y) / (D log 2) + 8.                                                                      (4)

Three scores are in use for one model, and they are easily confused: nats per image of p_l, which depend on α and are
what MAF's authors report on MNIST (α = 10⁻⁶; G. Papamakarios, T. Pavlakou and I. Murray, 2017, arXiv:1705.07057); nats
per image of p_y; and bits/dim, which alone compare across preprocessings.
"""
import math

import minigen as mg
from minigen.flows import Logit
from minigen.models.base import GenerativeModel, Objective


class ImageFlow(GenerativeModel):
    """A flow model of real numbers as a model of images in [0, 1].

        model = ImageFlow(MAF(784, rng=0), event_shape=(28, 28, 1), alpha=1e-6)
        loader = data.Loader(data.digits(), 128, transform=data.on(x=data.dequantise))

    Args:
        model: a `FlowModel` of l, whose events are images, or vectors as long as an image has pixels.
        event_shape: (H, W, C); by default the model's. alpha: the margin of Eq. (2).

    Raises ValueError where images do not fit the model.
    """

    def __init__(self, model, event_shape=None, alpha=0.05):
        self.event_shape = tuple(model.event_shape if event_shape is None else event_shape)
        if len(self.event_shape) != 3 or math.prod(self.event_shape) != math.prod(model.event_shape):
            raise ValueError(f"ImageFlow: wants images (H, W, C) with as many numbers as the model's events "
                             f"{model.event_shape}, got event_shape={self.event_shape}")
        self.model, self.logit = model, Logit(alpha, event_ndim=3)

    def to_logits(self, y):
        """(l, log |det ∂l/∂y|) of images y (N, H, W, C): events of the model, and (N,). Eqs. (2) and (3)."""
        if y.shape[1:] != self.event_shape:
            raise ValueError(f"ImageFlow: wants images of shape (N, {', '.join(map(str, self.event_shape))}), got "
                             f"{y.shape}")
        logits, log_abs_det = self.logit(y)
        return logits.reshape((len(y), *self.model.event_shape)), log_abs_det

    def from_logits(self, logits):
        """Images (N, H, W, C) in [0, 1]."""
        y = self.logit.inverse(logits.reshape((len(logits), *self.event_shape)))[0]
        return mg.clip(y, 0.0, 1.0)                       # l beyond ±logit α, where no data lie, is not in [0, 1]

    def log_prob(self, y):
        """log p_y(y), a density on [0, 1]ᴰ, nats, (N,). Eq. (3)."""
        logits, log_abs_det = self.to_logits(y)
        return self.model.log_prob(logits) + log_abs_det

    def log_prob_of_logits(self, y):
        """log p_l(l) for images y, nats, (N,): the score that depends on α."""
        return self.model.log_prob(self.to_logits(y)[0])

    def bits_per_dim(self, y):
        """Eq. (4), (N,)."""
        return self.log_prob(y) * (-1 / (math.prod(self.event_shape) * math.log(2))) + 8

    def encode(self, y):
        """The noise z of images."""
        return self.model.encode(self.to_logits(y)[0])

    def decode(self, z):
        """Images of noise, without gradients."""
        with mg.no_grad():
            return self.from_logits(self.model.decode(z))

    def sample(self, n, *, rng=None, labels=None, temperature=1.0, eps=None):
        """n images (n, H, W, C) in [0, 1]; arguments as in `FlowModel.sample`."""
        with mg.no_grad():
            return self.from_logits(self.model.sample(n, rng=rng, labels=labels, temperature=temperature, eps=eps))

    def objectives(self):
        """One: −log p_y, nats per image; logged with it −log p_l and bits/dim."""
        D = math.prod(self.event_shape)

        def loss(batch, rng):
            logits, log_abs_det = self.to_logits(batch["x"])
            nll_logits = -self.model.log_prob(logits).mean()
            nll = nll_logits - log_abs_det.mean()
            return {"loss": nll, "nll_logits": nll_logits, "bits_per_dim": nll / (D * math.log(2)) + 8}

        return [Objective("nll", list(self.parameters()), loss)]
