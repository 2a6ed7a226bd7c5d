r"""WaveNet: sound, one sample after the other.

A. van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016, arXiv:1609.03499; generation with a cache is
from T. Le Paine et al., "Fast Wavenet Generation Algorithm", 2016, arXiv:1611.09482.

**Model.** A waveform, each sample coded by μ-law as one of K = 256 symbols (`minigen.data.audio`), has

    p(x) = ∏_t p(x_t | x_1, …, x_{t−1}),    p(x_t | x_<t) = softmax of K logits,                                 (1)

and the logits of all t come out of one network that sees the past alone. A constant x_0, silence, stands in front.

**Dilated causal convolutions.** Layer l looks at two places, 2^l apart (dilation d = 2^l):

    a_t = W₀ h_{t−d} + W₁ h_t + b + V_y,      h_t = 0 for t ≤ 0,                                                 (2)
    z_t = tanh(a_t[first half]) ⊙ σ(a_t[second half]),                                                           (3)
    h_t ← h_t + R z_t,        skip_t ← skip_t + S z_t,                                                           (4)

with V_y a vector for each class y, where there are classes. What comes out is read from the skips,

    logits_t = W″ relu(W′ relu(skip_t)).                                                                         (5)

**Receptive field.** One layer of dilation d adds d places, so that L layers see 1 + (1 + 2 + … + 2^{L−1}) = 2^L
samples, for a price that grows with L only; B such stacks in a row see 1 + B (2^L − 1).

**Generation.** Eq. (2) at time t needs two vectors: h_t, which was just computed, and h_{t−d}, which was computed d
steps ago. A layer that keeps its last d inputs in a ring of d slots, so that slot t mod d holds h_{t−d} until h_t takes
its place, makes a new sample from one column of the network. Without it the network runs over the receptive field for
every sample.

Differences from the paper: the first layer is an embedding of the code, without looking back, so that the receptive
field is 2^L exactly; it starts as waves of the code, so that neighbouring codes start alike, where the paper's starts
at random; conditioning is on classes, not on text.
"""
import math

import numpy as np

import minigen as mg
from minigen import nn
from minigen.models.base import GenerativeModel, Objective
from minigen.nn.gate import gated_tanh


class DilatedLayer(nn.Module):
    """Eq. (2) to (4): (N, T, C) → the next layer's input (N, T, C), and what it adds to the skips (N, T, S)."""

    def __init__(self, channels, skips, dilation, classes, last, rng):
        self.dilation = dilation
        self.conv = nn.Conv1d(channels, 2 * channels, 2, dilation=dilation, padding="causal", rng=rng)
        self.given = nn.Embedding(classes, 2 * channels, rng=rng) if classes else None
        self.residual = None if last else nn.Linear(channels, channels, rng=rng)      # nobody would read the last one
        self.skip = nn.Linear(channels, skips, rng=rng)

    def forward(self, h, labels=None):
        return self._gate(h, self.conv(h), labels)

    def step(self, h, before, labels=None):
        """The same at one time: h_t (N, C) and h_{t−d} (N, C) → (N, C), (N, S)."""
        W = self.conv.weight
        h, skip = self._gate(h[:, None], (before @ W[0] + h @ W[1] + self.conv.bias)[:, None], labels)   # (N, 1, C)
        return h[:, 0], skip[:, 0]

    def _gate(self, h, a, labels):
        if self.given is not None:
            a = a + self.given(labels)[:, None]                                                      # V_y, (N, 1, 2C)
        z = gated_tanh(a)                                                                                # Eq. (3)
        return (h if self.residual is None else h + self.residual(z)), self.skip(z)                      # Eq. (4)


class DilatedStack(nn.Module):
    """Eq. (2) to (5): h (N, T, C) → (N, T, outputs), where output t sees h_{t−R+1}, …, h_t.

    Args:
        channels: C. skips: width of the skip connections and of the layer behind them. outputs: numbers for each t.
        layers: L; dilations 1, 2, …, 2^{L−1}. stacks: how often they are repeated.
        classes: how many labels there are, 0 for none.

    Attributes:
        receptive_field: R.
    """

    def __init__(self, channels, skips, outputs, layers, stacks=1, classes=0, *, rng):
        if min(layers, stacks) < 1 or classes < 0:
            raise ValueError("DilatedStack: wants at least one layer, one stack and no negative classes, got "
                             f"{layers}, {stacks} and {classes}")
        rng, dilations = mg.random.as_generator(rng), [2 ** l for l in range(layers)] * stacks
        last = len(dilations) - 1
        self.channels, self.classes, self.receptive_field = channels, classes, 1 + sum(dilations)
        self.layers = [DilatedLayer(channels, skips, d, classes, k == last, rng) for k, d in enumerate(dilations)]
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(skips, skips, rng=rng),
                                  nn.ReLU(), nn.Linear(skips, outputs, rng=rng))

    def forward(self, h, labels=None):
        labels, total = self._told(labels, len(h)), 0
        for layer in self.layers:
            h, skip = layer(h, labels)
            total = total + skip
        return self.head(total)                                                                          # Eq. (5)

    def rings(self):
        """Empty memory for `step`: for each layer a ring of as many slots as its dilation."""
        return [[None] * layer.dilation for layer in self.layers]

    def step(self, h, t, rings, labels=None):
        """Output t alone, (N, outputs), for h_t (N, C), after steps 0 … t − 1 with the same ``rings``."""
        labels, total, nothing = self._told(labels, len(h)), 0, mg.zeros_like(h)
        for layer, ring in zip(self.layers, rings):
            slot = t % layer.dilation
            before = nothing if ring[slot] is None else ring[slot]                                       # h_{t−d}
            ring[slot] = h
            h, skip = layer.step(h, before, labels)
            total = total + skip
        return self.head(total)

    def multiplications(self):
        """How many a column costs: one time step of one waveform."""
        matrices = [p for name, p in self.named_parameters() if p.ndim > 1 and "given" not in name]
        return sum(p.size for p in matrices)

    def _told(self, labels, n):
        if (labels is None) != (not self.classes):
            raise ValueError("DilatedStack: a network made with classes wants labels (N,), one without wants none; it "
                             f"has classes={self.classes} and got labels {labels if labels is None else labels.shape}")
        if labels is not None and labels.shape != (n,):
            raise ValueError(f"DilatedStack: wants {n} labels ({n},), got shape {labels.shape}")
        return labels


def code_waves(shape, rng):
    """An embedding (K, C) to start from: sines and cosines of the code, with 1, 2, … quarters of a wave over it."""
    symbols, channels = shape
    code, c = np.linspace(-1, 1, symbols)[:, None], np.arange(channels)
    with mg.use(rng.backend):
        return mg.tensor(np.sin(np.pi / 4 * (c // 2 + 1) * code + np.pi / 2 * (c % 2)).astype(np.float32))


class WaveNet(GenerativeModel):
    """Eq. (1) over waveforms of codes: x (N, T) integers 0 … K − 1.

        model = WaveNet(layers=8, rng=0)
        for batch in loader:                                    # {"x": (N, T) codes, "y": (N,) labels, if any}
            loss = -model.log_prob(batch["x"]).mean()           # nats per waveform
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        codes = model.sample(1, rng=rng)                        # (1, length)

    Args:
        channels, skips, layers, stacks, classes: of the `DilatedStack`.
        symbols: K. length: T of the waveforms that `sample` makes unless told otherwise. rng: generator or seed.

    Attributes:
        receptive_field: how many samples back x_t sees.
    """

    def __init__(self, channels=32, skips=64, layers=8, stacks=1, classes=0, symbols=256, length=4000, *, rng=0):
        rng = mg.random.as_generator(rng)
        self.symbols, self.length, self.silence = symbols, length, symbols // 2
        self.embed = nn.Embedding(symbols, channels, rng=rng, weight_init=code_waves)
        self.stack = DilatedStack(channels, skips, symbols, layers, stacks, classes, rng=rng)
        self.receptive_field = self.stack.receptive_field

    def logits(self, x, labels=None):
        """(N, T, K): of p(x_t | x_<t) at every t at once. Eq. (5)."""
        if x.ndim != 2 or x.shape[1] < 1 or x.dtype.kind not in "iu":
            raise ValueError(f"WaveNet: wants waveforms of codes, integers (N, T), got {x.dtype} {x.shape}")
        before = mg.concatenate([mg.full_like(x[:, :1], self.silence), x[:, :-1]], axis=1)               # x_{t−1}
        return self.stack(self.embed(before), labels)

    def log_prob(self, x, labels=None):
        """log p(x), or log p(x|labels), in nats, (N,). Eq. (1)."""
        return -mg.cross_entropy(self.logits(x, labels), x).sum(axis=1)

    def objectives(self):
        """One: minimise −log p(x) in nats per waveform; logged too in bits per sample."""
        def loss(batch, rng):
            nll = -self.log_prob(batch["x"], batch["y"] if self.stack.classes else None).mean()
            return {"loss": nll, "bits_per_sample": nll.detach() / (batch["x"].shape[1] * math.log(2))}

        return [Objective("nll", list(self.parameters()), loss)]

    # ---- generation ----------------------------------------------------------------------------------------------
    def sample(self, n, *, rng=None, labels=None, length=None, prefix=None, temperature=1.0, eps=None, cached=True):
        """n waveforms of codes, (n, length) int64.

        Args:
            labels: (n,), where the model has classes. length: T. temperature: by which the logits are divided.
            prefix: (n, T₀) codes with which the waveforms begin, to be continued.
            eps: (n, length, K) Gumbel noise instead of that of ``rng``: x_t = argmax(logits + eps_t).
            cached: False runs the whole network for every sample: the same waveforms, slowly.

        Raises ValueError for a prefix that does not fit, or without rng and eps.
        """
        length = length or self.length
        prefix = np.zeros((n, 0), np.int64) if prefix is None else np.asarray(prefix)
        if prefix.ndim != 2 or len(prefix) != n or prefix.shape[1] > length:
            raise ValueError(f"WaveNet.sample: the prefix of {n} waveforms of length {length} is codes ({n}, T₀) with "
                             f"T₀ ≤ {length}, got shape {prefix.shape}")
        if eps is None and rng is None:
            raise ValueError("WaveNet.sample: needs something to draw with; pass rng= or the noise as eps=")
        rng = None if rng is None else mg.random.as_generator(rng)
        with mg.no_grad(), mg.use(self.embed.weight.backend.name):
            labels = labels if labels is None or isinstance(labels, mg.Tensor) else mg.tensor(labels)
            column = self._columns(labels) if cached else self._whole(labels)
            given = mg.tensor(prefix.astype(np.int64))
            x = [mg.full((n,), self.silence, dtype="int64")]                              # x_0; then x_1, x_2, …
            for t in range(length):
                logits = column(t, x)
                noise = rng.gumbel((n, self.symbols)) if eps is None else eps[:, t]
                drawn = mg.argmax(logits / temperature + noise, axis=-1)
                x.append(given[:, t] if t < prefix.shape[1] else drawn)
            return mg.stack(x[1:], axis=1)

    def _columns(self, labels):
        """Function of t and the samples so far to logits (n, K), one column of the network at a time."""
        rings = self.stack.rings()
        return lambda t, x: self.stack.step(self.embed(x[-1]), t, rings, labels)

    def _whole(self, labels):
        """The same by the whole network, over all that x_t can see."""
        return lambda t, x: self.stack(self.embed(mg.stack(x[-self.receptive_field:], axis=1)), labels)[:, -1]
