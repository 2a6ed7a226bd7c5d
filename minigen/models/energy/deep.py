r"""A deep energy-based model: any network is an unnormalised log-density.

Y. LeCun et al., 2006; E. Nijkamp, M. Hill, S.-C. Zhu and Y. N. Wu, 2019, arXiv:1904.09770 and 1903.12370; Y. Du and I.
Mordatch, "Implicit Generation and Modeling with Energy-Based Models", 2019, arXiv:1903.08689.

    p_θ(x) = e^{−E_θ(x)} / Z_θ,    −log p_θ(x) = E_θ(x) + log Z_θ.                                            (1)

Z_θ is out of reach, but not its gradient: ∂ log Z/∂θ = −E_{x~p_θ}[∂E/∂θ], so

    ∂/∂θ (−log p_θ(x)) = ∂E_θ(x)/∂θ − E_{x⁻~p_θ}[∂E_θ(x⁻)/∂θ]:                                                (2)

press the energy down on data, lift it where the model itself puts its draws x⁻. Those come from Langevin dynamics,

    x ← x − ½ a ∇E_θ(x) + b ξ,    ξ ~ N(0, I),                                                                (3)

a sampler of p_θ for a = b² and small a. Few steps from noise do not get there, so a *replay buffer* keeps where earlier
chains ended: new ones start there, and a small fraction afresh. In practice a is far larger than b², which samples at a
low temperature (b²/a); the paper's E is scaled accordingly. Against energies that drift off together both are held near
0:

    L = mean E(x) − mean E(x⁻) + λ (mean E(x)² + mean E(x⁻)²).                                                (4)

The data get noise of the size of a grey level, since a density on a finite set of points has no smooth energy.
"""
import math

import minigen as mg
from minigen import nn
from minigen.models.base import GenerativeModel, Objective
from minigen.random import as_generator

__all__ = ["DeepEBM", "conv_energy"]


def conv_energy(event_shape=(28, 28, 1), channels=(32, 64, 64), *, rng=0):
    """A network for images (N, H, W, C) → (N, 1): convolutions 3×3, then 4×4 with stride 2 twice, SiLU, a linear layer.

    Args:
        channels: of each convolution, the last two being those with stride 2; with two numbers there is none of 3×3.

    Raises ValueError unless H and W are divisible by 4, and with fewer than two numbers of channels.
    """
    H, W, C = event_shape
    if H % 4 or W % 4:
        raise ValueError(f"conv_energy: two strides of 2 want H and W divisible by 4, got {H} × {W}")
    if len(channels) < 2:
        raise ValueError(f"conv_energy: wants the channels of at least two convolutions, got {channels}")
    rng, (*same, half, quarter), layers = as_generator(rng), channels, []
    for width, kernel, stride in (*((c, 3, 1) for c in same), (half, 4, 2), (quarter, 4, 2)):
        layers += [nn.Conv2d(C, width, kernel, stride=stride, padding=1, rng=rng), mg.silu]
        C = width
    return nn.Sequential(*layers, lambda h: mg.reshape(h, (len(h), -1)), nn.Linear(H // 4 * (W // 4) * C, 1, rng=rng))


class DeepEBM(GenerativeModel):
    """Eqs. (1) to (4).

        model = DeepEBM(conv_energy(rng=0), (28, 28, 1))
        optimizer = Adam(model.parameters(), lr=1e-4, betas=(0.0, 0.999))
        for batch in loader:                                                   # {"x": (N, 28, 28, 1)} in [0, 1]
            optimizer.zero_grad()
            model.terms(batch["x"], rng=rng)["loss"].backward()                # Eq. (4)
            optimizer.step()

    Args:
        net: Module (N, *event) → (N,) or (N, 1), the energy in nats.
        event_shape: of one example.
        steps, step_size, noise: of Eq. (3): how many, a, and b.
        replay: size of the buffer. fresh: the fraction of chains that start at noise. regularise: λ of Eq. (4).
        bounds: (low, high), to which states are clipped and between which chains start, or None: N(0, I) and no
            clipping.
        data_noise: standard deviation of what is added to the data.
        clip: no entry of ∇E counts for more than this in Eq. (3).
    """

    def __init__(self, net, event_shape, steps=40, step_size=10.0, noise=0.005, replay=5000, fresh=0.05, regularise=0.1,
                 bounds=(0.0, 1.0), data_noise=0.005, clip=0.03, *, rng=0):
        if steps < 1 or not step_size > 0 or not 0 <= fresh <= 1:
            raise ValueError(f"DeepEBM: wants steps ≥ 1, step_size > 0 and 0 ≤ fresh ≤ 1, got {steps}, {step_size} and "
                             f"{fresh}")
        self.net, self.event_shape = net, tuple(event_shape)
        self.steps, self.step_size, self.noise, self.fresh = steps, step_size, noise, fresh
        self.regularise, self.bounds, self.data_noise, self.clip = regularise, bounds, data_noise, clip
        self.replay = nn.Buffer(self._start(replay, as_generator(rng)))

    def energy(self, x):
        """E(x) in nats, (N,). Eq. (1)."""
        if x.shape[1:] != self.event_shape:
            raise ValueError(f"DeepEBM: wants examples (N, {', '.join(map(str, self.event_shape))}), "
                             f"got shape {x.shape}")
        E = self.net(x)
        if E.size != len(x):
            raise ValueError(f"DeepEBM: the network must return one energy for each of {len(x)} examples, "
                             f"got {E.shape}")
        return mg.reshape(E, (len(x),))

    # ---- sampling ------------------------------------------------------------------------------------------------
    def langevin(self, x, steps, *, rng, keep=None, look=True):
        """``steps`` of Eq. (3) from x (N, *event). ``keep``: a list to which each state is appended.

        Raises FloatingPointError if the chains diverge, unless ``look`` is False: on a GPU looking waits for it.
        """
        rng = as_generator(rng)
        for _ in range(steps):
            with mg.enable_grad():
                x = x.detach()
                x.requires_grad = True
                g = mg.grad(mg.sum(self.energy(x)), x)
            g = g if self.clip is None else mg.clip(g, -self.clip, self.clip)
            xi = rng.standard_normal(x.shape, dtype=x.dtype)
            x = x.detach() - 0.5 * self.step_size * g + self.noise * xi                                     # Eq. (3)
            if self.bounds:
                x = mg.clip(x, *self.bounds)
            if keep is not None:
                keep.append(x)
        if look and not mg.all(mg.isfinite(x)):
            raise FloatingPointError(f"DeepEBM: {int(mg.sum(~mg.isfinite(x)).item())} entries of the Langevin chains "
                                     f"are not finite after {steps} steps of size {self.step_size}; take a smaller "
                                     "step_size")
        return x.detach()

    def sample(self, n, *, rng, labels=None, steps=None):
        """n states (n, *event_shape) of chains from the replay buffer, ``steps`` further on (by default, as in
        training)."""
        if labels is not None:
            raise ValueError(f"DeepEBM: this model knows no labels, got {len(labels)} of them")
        rng = as_generator(rng)
        start = mg.take(self.replay, rng.integers(len(self.replay), size=(n,)), axis=0)
        return self._frozen(start, self.steps if steps is None else steps, rng)

    def from_noise(self, n, steps, *, rng, keep=None):
        """n chains from noise, ``steps`` long: (n, *event_shape)."""
        rng = as_generator(rng)
        return self._frozen(self._start(n, rng), steps, rng, keep)

    def _frozen(self, x, steps, rng, keep=None, look=True):
        """Langevin steps in evaluation mode, with nothing recorded about the weights."""
        training = self.training
        self.eval()
        try:
            with mg.no_grad():
                return self.langevin(x, steps, rng=rng, keep=keep, look=look)
        finally:
            self.train(training)

    def _start(self, n, rng):
        """Where chains begin: uniform between the bounds, or N(0, I)."""
        if self.bounds:
            return rng.uniform(*self.bounds, size=(n, *self.event_shape))
        return rng.standard_normal((n, *self.event_shape))

    # ---- learning ------------------------------------------------------------------------------------------------
    def negatives(self, n, *, rng):
        """n draws x⁻: chains from the buffer, some of them started afresh, put back where they end.

        Raises FloatingPointError on a CPU if they diverge; on a GPU the loss tells, which is NaN then.
        """
        rng, size = as_generator(rng), len(self.replay)
        index = rng.permutation(size)[:n] if n <= size else rng.integers(size, size=(n,))
        start = mg.take(self.replay, index, axis=0)
        afresh = mg.reshape(rng.random(n) < self.fresh, (n,) + (1,) * len(self.event_shape))
        start = mg.where(afresh, self._start(n, rng), start)
        x = self._frozen(start, self.steps, rng, look=start.device == "cpu")
        with mg.no_grad():
            self.replay[index] = x
        return x

    def terms(self, x, *, rng):
        """{"loss"}: Eq. (4); "data" and "model": the mean energies, which should stay close; "gap", their
        difference."""
        rng = as_generator(rng)
        x = x + self.data_noise * rng.standard_normal(x.shape, dtype=x.dtype)
        fake = self.negatives(len(x), rng=rng)
        E = self.energy(mg.concatenate([x, fake]))                             # one pass for both
        data, model = E[:len(x)], E[len(x):]
        size = mg.mean(data ** 2) + mg.mean(model ** 2)
        loss = mg.mean(data) - mg.mean(model) + self.regularise * size                                      # Eq. (4)
        return {"loss": loss, "data": mg.mean(data), "model": mg.mean(model), "gap": mg.mean(data) - mg.mean(model)}

    def objectives(self):
        """One: Eq. (4)."""
        return [Objective("energy", self.net.parameters(), lambda batch, rng: self.terms(batch["x"], rng=rng))]


def log_Z_on_a_grid(model, low, high, points=200):
    """log ∫ e^{−E} of a model in the plane, by the midpoint rule on a square: exact enough to plot a density."""
    edges = (mg.arange(points).astype("float32") + 0.5) / points * (high - low) + low
    grid = mg.stack([mg.repeat(edges, points), mg.tile(edges, points)], axis=1)
    with mg.no_grad():
        return mg.logsumexp(-model.energy(grid)).item() + 2 * math.log((high - low) / points)
