r"""A classifier of noised images: it tells the class of z_t at every t, and its slope leads a diffusion model.

P. Dhariwal and A. Nichol, "Diffusion Models Beat GANs on Image Synthesis", 2021, arXiv:2105.05233, section 4. A
classifier of clean images knows nothing of noise, so its slope at z_t is noise too. This one is trained where it will
be asked, on noised images, with the class y of x:

    L = E −log p_φ(y|z_t),    z_t = √ᾱ_t x + √(1 − ᾱ_t) ε,    t uniform on 1 … T.                                (35)

At T nearly nothing is left of x, and the best it can say is how frequent each class is. The network is the way down of
the U-Net that the paper takes: with e the embedded time (`nn.ResidualBlock`),

    h_0 = z_t,    h_l = block(halve(h_{l−1}), e),          l = 1 … L: half the size, width w_l = base · m_l      (36)
    log p_φ(y|z_t) = log softmax(W silu(norm(h_L)) + b),   h_L as one vector.                                    (37)

Difference from the paper: no attention, and no pooling before (37), since in these small images it matters where
something is.
"""
import math
from numbers import Integral

import minigen as mg
from minigen import nn
from minigen.models.base import Objective
from minigen.models.diffusion.labels import as_labels


class NoisyClassifier(nn.Module):
    """log p(y|z_t) for every class: z_t (N, H, W, C) and t, an int or integers (N,) in 1 … T → (N, K).

        judge = NoisyClassifier(model.process, (28, 28, 1), classes=10, rng=0)
        Trainer(judge, Adam(judge.parameters(), lr=2e-3), loader).run(500)
        model.sample(16, rng=rng, labels=labels, guide=classifier(judge, scale=3.0))

    Args:
        process: the ForwardProcess of the model that it leads.
        event_shape: (H, W, C). With L widths, H and W are multiples of 2^L.
        classes: K. base, multipliers: the widths of Eq. (36). groups: of the norms; they divide all widths.
        rng: generator or seed of the weights.

    Raises ValueError for sizes that do not fit, t outside 1 … T, and, in training, labels outside 0 … K − 1.
    """

    def __init__(self, process, event_shape, classes, base=16, multipliers=(1, 2), groups=8, *, rng):
        H, W, C = event_shape
        widths, factor = [base * m for m in multipliers], 2 ** len(multipliers)
        if min(H, W) < 1 or H % factor or W % factor:
            raise ValueError(f"NoisyClassifier: it halves H and W {len(widths)} times, so both must be multiples of "
                             f"{factor}, got {tuple(event_shape)}; pad the images, or give fewer multipliers")
        if classes < 2:
            raise ValueError(f"NoisyClassifier: wants at least two classes to tell apart, got {classes}")
        rng = mg.random.as_generator(rng)
        self.process, self.event_shape, self.classes = process, tuple(event_shape), classes
        self.time = nn.TimeEmbedding(base, 4 * base, rng=rng)
        self.halve = [nn.Conv2d(a, b, 4, 2, padding=1, rng=rng) for a, b in zip([C, *widths], widths)]
        self.blocks = [nn.ResidualBlock(w, w, 4 * base, groups, rng=rng) for w in widths]
        self.norm_out = nn.GroupNorm(groups, widths[-1])
        self.out = nn.Linear(H * W // factor ** 2 * widths[-1], classes, rng=rng)

    def forward(self, z, t):
        if z.shape[1:] != self.event_shape or not len(z):
            raise ValueError(f"NoisyClassifier: wants images (N, {', '.join(map(str, self.event_shape))}), N ≥ 1, got "
                             f"shape {z.shape}")
        t = self.process.times(t, z)
        with mg.use(z.backend.name):
            t = mg.full((len(z),), t, dtype="int64") if isinstance(t, Integral) else t
        e, h = self.time(t.astype(z.dtype)), z
        for halve, block in zip(self.halve, self.blocks):
            h = block(halve(h), e)                                                                     # Eq. (36)
        h = mg.silu(self.norm_out(h))
        return mg.log_softmax(self.out(h.reshape(len(z), math.prod(h.shape[1:]))))                     # Eq. (37)

    def losses(self, x, labels, *, rng=None, t=None, eps=None):
        """−log p(y|z_t) for x (N, *event) and labels (N,), nats, (N,). Eq. (35).

        ``t``, integers (N,), and ``eps`` (N, *event) replace what is drawn.
        """
        rng = mg.random.seeded(rng)
        t = self.process.times(rng.integers(1, self.process.T + 1, size=(len(x),)) if t is None else t, x)
        eps = rng.standard_normal(x.shape, dtype=x.dtype) if eps is None else eps
        log_p = self(self.process.diffuse(x, t, eps), t)
        return -mg.take_along_axis(log_p, as_labels(labels, x, self.classes)[:, None])[:, 0]

    def objectives(self):
        """One: minimise Eq. (35). The batch has "x" and labels "y"."""
        def loss(batch, rng):
            return {"loss": self.losses(batch["x"], batch["y"], rng=rng).mean()}

        return [Objective("cross_entropy", list(self.parameters()), loss)]
