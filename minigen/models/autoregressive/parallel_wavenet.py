r"""Parallel WaveNet: an inverse autoregressive flow learns to speak like a WaveNet, in one pass.

A. van den Oord et al., "Parallel WaveNet: Fast High-Fidelity Speech Synthesis", 2017, arXiv:1711.10433. Amplitudes are
real numbers here, and Logistic(μ, s) is the logistic distribution with location μ and scale s.

**Teacher.** A WaveNet whose output at t is a mixture of M logistics,

    p_T(x_t | x_<t) = Σ_m π_m(x_<t) Logistic(x_t; μ_m(x_<t), s_m(x_<t)).                                         (1)

A given waveform is scored in one pass; making one takes T passes, since x_t must be there before x_{t+1} can be drawn.

**Student.** Noise goes in, z_t ~ Logistic(0, 1), and a dilated network that sees the noise of the past says how to
shift and scale that of the present,

    x_t = μ_t(z_<t) + s_t(z_<t) z_t,      log |det ∂x/∂z| = Σ_t log s_t,                                         (2)

since ∂x/∂z is triangular. All t are made at once, and where the noise is known, so is the density:

    p_S(x_t | z_<t) = Logistic(x_t; μ_t, s_t),      log p_S(x) = Σ_t [log Logistic(z_t; 0, 1) − log s_t].        (3)

Of somebody else's waveform the noise must be found first, one z_t after the other: student and teacher are slow in
opposite directions. Flows follow one another, the x of one is the z of the next. All together are again of the form
(2), where flow k contributes μ^k and s^k:

    s_t = ∏_k s_t^k,    μ_t = Σ_k μ_t^k ∏_{j>k} s_t^j.                                                           (4)

**Distillation.** The student is trained without data, to be where the teacher sees density. With x made from z by (2),

    D_KL(P_S ‖ P_T) = H(P_S, P_T) − H(P_S),                                                                      (5)
    H(P_S) = E_z Σ_t [log s_t(z_<t) + 2],          since the entropy of Logistic(μ, s) is log s + 2,             (6)
    H(P_S, P_T) = −E_z Σ_t E_{x'_t ~ p_S(·|z_<t)} [log p_T(x'_t | x_<t)].                                        (7)

One pass of the teacher over x gives p_T(·|x_<t) for all t, so that many x'_t = μ_t + s_t z'_t are scored for the price
of one; gradients flow through x and x'. Without H(P_S) the student would whisper the teacher's mode.

Differences from the paper: no power, perceptual or contrastive losses, no conditioning on text, and (1) is a density on
the amplitudes, with log s ≥ −7, where the paper cuts it into cells of 16 bits.
"""
import minigen as mg
from minigen import nn
from minigen.distributions import Logistic, Mixture
from minigen.flows.base import Transform
from minigen.models.autoregressive.wavenet import DilatedStack
from minigen.models.base import GenerativeModel, Objective

LEAST_LOG_SCALE = -7.0                        # without it a logistic could bet everything on one quantised amplitude


class LogisticWaveNet(GenerativeModel):
    """The teacher, Eq. (1), over waveforms of amplitudes x (N, T).

    Args:
        components: M. channels, skips, layers, stacks: of the `DilatedStack`.
        length: T of the waveforms that `sample` makes unless told otherwise. rng: generator or seed.
    """

    def __init__(self, components=4, channels=32, skips=64, layers=8, stacks=1, length=4000, *, rng=0):
        rng = mg.random.as_generator(rng)
        self.components, self.length = components, length
        self.embed = nn.Linear(1, channels, rng=rng)
        self.stack = DilatedStack(channels, skips, 3 * components, layers, stacks, rng=rng)

    def conditional(self, x):
        """p(x_t | x_<t) at every t: a distribution with batch_shape (N, T). Eq. (1)."""
        _check("LogisticWaveNet", x)
        return self._mixture(self.stack(self.embed(_past(x))))

    def log_prob(self, x):
        """log p(x) in nats, (N,)."""
        return self.conditional(x).log_prob(x).sum(axis=-1)

    def objectives(self):
        """One: minimise −log p(x) in nats per waveform."""
        def loss(batch, rng):
            return {"loss": -self.log_prob(batch["x"]).mean()}

        return [Objective("nll", list(self.parameters()), loss)]

    def sample(self, n, *, rng, labels=None, length=None):
        """n waveforms (n, length), one sample after the other, with WaveNet's cache."""
        _refuse_labels(self, labels)
        rng = mg.random.as_generator(rng)
        with mg.no_grad(), mg.use(rng.backend):
            rings, x = self.stack.rings(), [mg.zeros((n,), dtype=self.embed.weight.dtype)]
            for t in range(length or self.length):
                p = self._mixture(self.stack.step(self.embed(x[-1][:, None]), t, rings))
                x.append(p.sample(rng=rng))
            return mg.stack(x[1:], axis=1)

    def _mixture(self, h):
        M = self.components
        return Mixture(h[..., :M], Logistic(h[..., M:2 * M], mg.maximum(h[..., 2 * M:], LEAST_LOG_SCALE)))


class DilatedIAF(Transform):
    """Eq. (2): z (N, T) → x (N, T), all at once; the inverse one after the other.

    Args:
        channels, skips, layers, stacks: of the `DilatedStack` that looks at the noise.
    """

    def __init__(self, channels=16, skips=32, layers=5, stacks=1, *, rng):
        rng = mg.random.as_generator(rng)
        self.embed = nn.Linear(1, channels, rng=rng)
        self.stack = DilatedStack(channels, skips, 2, layers, stacks, rng=rng)

    def shift_and_scale(self, z):
        """(μ, log s), (N, T) each: at every t, given the noise before it."""
        _check("DilatedIAF", z)
        h = self.stack(self.embed(_past(z)))                                                             # (N, T, 2)
        return h[..., 0], h[..., 1]

    def forward(self, z, context=None):
        mean, log_scale = self.shift_and_scale(z)
        return mean + mg.exp(log_scale) * z, log_scale.sum(axis=-1)                                      # Eq. (2)

    def inverse(self, x, context=None):
        _check("DilatedIAF", x)
        rings, z, log_abs_det = self.stack.rings(), [mg.zeros_like(x[:, 0])], 0
        for t in range(x.shape[1]):
            h = self.stack.step(self.embed(z[-1][:, None]), t, rings)                                    # (N, 2)
            z.append((x[:, t] - h[:, 0]) * mg.exp(-h[:, 1]))
            log_abs_det = log_abs_det - h[:, 1]
        return mg.stack(z[1:], axis=1), log_abs_det


class ParallelWaveNet(GenerativeModel):
    """The student: flows in a row on logistic noise, distilled from a teacher.

        student = ParallelWaveNet(teacher, length=1000, rng=0)
        for step in range(steps):                               # there is no data
            loss = student.divergence(16, rng=rng)["loss"]      # nats per waveform
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        x = student.sample(1, rng=rng)                          # one pass

    Args:
        teacher: anything with ``conditional(x (N, T))``, a distribution of batch_shape (N, T), such as a
            `LogisticWaveNet`. It is not trained here, and is no part of this model.
        length: T. flows: how many. samples: of x'_t in Eq. (7). batch: waveforms in a step of the objective.
        channels, skips, layers, stacks: of each `DilatedIAF`. rng: generator or seed.
    """

    def __init__(self, teacher, length, flows=2, samples=4, batch=16, *, channels=16, skips=32, layers=5, stacks=1,
                 rng=0):
        rng = mg.random.as_generator(rng)
        self.teacher = lambda x: teacher.conditional(x)                     # in a function: not among our parameters
        self.length, self.samples, self.batch = length, samples, batch
        self.flows = [DilatedIAF(channels, skips, layers, stacks, rng=rng) for _ in range(flows)]

    def conditional(self, z):
        """p_S(x_t | z_<t) at every t: a Logistic with batch_shape (N, T). Eq. (3) and (4)."""
        mean, total, x = mg.zeros_like(z), mg.zeros_like(z), z
        for flow in self.flows:
            mu, log_scale = flow.shift_and_scale(x)
            scale = mg.exp(log_scale)
            mean, total, x = mu + scale * mean, total + log_scale, mu + scale * x                        # Eq. (4)
        return Logistic(mean, total)

    def divergence(self, n, *, rng=None, eps=None):
        """An estimate of D_KL(P_S ‖ P_T) from n waveforms: {"loss", "cross_entropy", "entropy"}, nats per waveform.

        ``eps`` (1 + samples, n, T) is logistic noise instead of that of ``rng``: first z, then the z' of Eq. (7).
        """
        eps = _logistic(rng, (1 + self.samples, n, self.length)) if eps is None else eps
        p = self.conditional(eps[0])
        x = p.mean + mg.exp(p.log_scale) * eps                                                   # x and all x'
        entropy = p.entropy().sum(axis=-1).mean()                                                        # Eq. (6)
        cross_entropy = -self.teacher(x[0]).log_prob(x[1:]).sum(axis=-1).mean()                          # Eq. (7)
        return {"loss": cross_entropy - entropy, "cross_entropy": cross_entropy, "entropy": entropy}     # Eq. (5)

    def objectives(self):
        """One: minimise D_KL(P_S ‖ P_T). The batch is not looked at."""
        return [Objective("distillation", list(self.parameters()),
                          lambda batch, rng: self.divergence(self.batch, rng=rng))]

    def log_prob(self, x):
        """log p_S(x) in nats, (N,): the noise is found first, in T steps for each flow. Eq. (3)."""
        total = 0
        for flow in reversed(self.flows):
            x, log_abs_det = flow.inverse(x)
            total = total + log_abs_det
        zero = mg.zeros_like(x)
        return Logistic(zero, zero).log_prob(x).sum(axis=-1) + total

    def sample(self, n, *, rng=None, labels=None, eps=None):
        """n waveforms (n, length) in one pass. ``eps`` (n, length): logistic noise instead of that of ``rng``."""
        _refuse_labels(self, labels)
        with mg.no_grad():
            x = _logistic(rng, (n, self.length)) if eps is None else eps
            for flow in self.flows:
                x, _ = flow(x)                                                                           # Eq. (2)
            return x


def _logistic(rng, shape):
    """Logistic(0, 1) noise, where the generator lives."""
    rng = mg.random.as_generator(rng)
    with mg.use(rng.backend):
        return Logistic(0.0, 0.0).sample(shape, rng=rng)


def _past(x):
    """x (N, T) one step later, with a zero in front, as features (N, T, 1)."""
    return mg.concatenate([mg.zeros_like(x[:, :1]), x[:, :-1]], axis=1)[..., None]


def _refuse_labels(model, labels):
    if labels is not None:
        raise ValueError(f"{type(model).__name__}.sample: this model knows no labels")


def _check(name, x):
    if x.ndim != 2 or x.shape[1] < 1 or x.dtype.kind != "f":
        raise ValueError(f"{name}: wants waveforms of amplitudes, floating (N, T), got {x.dtype} {x.shape}")
