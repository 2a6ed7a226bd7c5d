"""WaveNet: its equations in plain NumPy, its receptive field from the Jacobian, and its cache against doing without."""
import itertools

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import chisquare

import minigen as mg
from minigen.models.autoregressive import wavenet
from minigen.models.autoregressive.wavenet import DilatedStack, WaveNet
from minigen.training import Adam

pytestmark = pytest.mark.usefixtures("backend")


def small(layers=3, stacks=1, classes=0, symbols=5, length=12, rng=0):
    return WaveNet(channels=6, skips=8, layers=layers, stacks=stacks, classes=classes, symbols=symbols, length=length,
                   rng=rng)


def codes(n, T, symbols=5, seed=0):
    return mg.tensor(np.random.default_rng(seed).integers(0, symbols, (n, T)))


# ---- the network -----------------------------------------------------------------------------------------------------
def naive(w, x, silence, dilations, label=None):
    """Eq. (2) to (5) for one waveform, one number t after the other. ``w``: the state_dict, in float64."""
    h = [w["embed.weight"][code] for code in [silence, *x[:-1]]]
    skip = [0.0] * len(h)
    for k, d in enumerate(dilations):
        layer = f"stack.layers.{k}."
        out = []
        for t, now in enumerate(h):
            before = h[t - d] if t >= d else np.zeros_like(now)
            a = before @ w[layer + "conv.weight"][0] + now @ w[layer + "conv.weight"][1] + w[layer + "conv.bias"]
            if label is not None:
                a = a + w[layer + "given.weight"][label]
            C = len(a) // 2
            z = np.tanh(a[:C]) * expit(a[C:])
            skip[t] = skip[t] + z @ w[layer + "skip.weight"] + w[layer + "skip.bias"]
            if k + 1 < len(dilations):
                now = now + z @ w[layer + "residual.weight"] + w[layer + "residual.bias"]
            out.append(now)
        h = out
    s = np.maximum(np.array(skip), 0) @ w["stack.head.1.weight"] + w["stack.head.1.bias"]
    return np.maximum(s, 0) @ w["stack.head.3.weight"] + w["stack.head.3.bias"]


@pytest.mark.parametrize("stacks, classes", [(1, 0), (2, 0), (1, 3)])
def test_the_network_is_its_equations(stacks, classes):
    model, x = small(stacks=stacks, classes=classes), codes(2, 9)
    labels = mg.tensor([2, 0]) if classes else None
    each = [2, 0] if classes else [None, None]
    w = {name: value.astype(np.float64) for name, value in model.state_dict().items()}
    ours = model.logits(x, labels).numpy()
    for n in range(2):
        expected = naive(w, x.numpy()[n], 2, [1, 2, 4] * stacks, each[n])
        np.testing.assert_allclose(ours[n], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layers, stacks", [(1, 1), (3, 1), (4, 1), (3, 2), (2, 3)])
def test_the_receptive_field_is_exactly_two_to_the_layers(layers, stacks):
    """The last output has a derivative with respect to each of the last R = 1 + B (2^L − 1) inputs, and to no other."""
    stack = DilatedStack(6, 16, 4, layers, stacks, rng=1).astype("float64")
    R = 1 + stacks * (2 ** layers - 1)
    rng = np.random.default_rng(0)
    h = mg.tensor(rng.standard_normal((8, R + 5, 6)), requires_grad=True)
    gradient, = mg.grad((stack(h)[:, -1] * mg.tensor(rng.standard_normal((8, 4)))).sum(), [h])
    seen = np.abs(gradient.numpy()).max(axis=(0, 2)) > 0
    assert stack.receptive_field == R and (stacks > 1 or R == 2 ** layers)
    np.testing.assert_array_equal(seen, np.arange(R + 5) >= 5)


def test_no_code_sees_itself_or_the_future():
    model, x = small(layers=4), codes(4, 10)
    report = mg.check.causality(model.logits, x)
    assert report.ok, str(report)


def test_probabilities_sum_to_one():
    model = small(layers=2, symbols=3).astype("float64")
    every = mg.tensor(np.array(list(itertools.product(range(3), repeat=5))))
    assert abs(mg.exp(model.log_prob(every)).sum().item() - 1) < 1e-12


def test_every_parameter_is_trained():
    model = small(stacks=2, classes=3)
    terms = model.objectives()[0].loss({"x": codes(20, 16), "y": mg.tensor(np.arange(20) % 3)}, None)
    for (name, _), g in zip(model.named_parameters(), mg.grad(terms["loss"], list(model.parameters()))):
        assert np.abs(g.numpy()).max() > 0, name
    assert abs(terms["bits_per_sample"].item() * 16 * np.log(2) / terms["loss"].item() - 1) < 1e-6


def test_it_learns_a_period():
    """A sequence of period 6 from a random phase: log 6 nats for its beginning, and next to nothing for the rest."""
    period = np.array([0, 3, 1, 4, 4, 2])
    phases = np.random.default_rng(0).integers(0, 6, 64)
    x = mg.tensor(np.stack([np.resize(np.roll(period, phase), 24) for phase in phases]))
    model, objective = (m := small()), m.objectives()[0]
    optimizer = Adam(objective.parameters, lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        objective.loss({"x": x}, None)["loss"].backward()
        optimizer.step()
    assert -model.log_prob(x).mean().item() < np.log(6) + 0.6 < 24 * np.log(5)
    drawn = model.sample(10, rng=mg.random.default_rng(0), length=24, prefix=x.numpy()[:10, :4]).numpy()
    assert np.mean(drawn == x.numpy()[:10]) > 0.9


# ---- generation ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stacks, classes", [(1, 0), (2, 0), (1, 3)])
def test_cached_equals_uncached(stacks, classes):
    """The same noise gives the same codes, and each column the logits of the whole network, to 1e-5."""
    model = small(stacks=stacks, classes=classes, length=40)
    labels = [0, 2, 1] if classes else None
    eps = mg.random.default_rng(1).gumbel((3, 40, 5))
    cached = model.sample(3, eps=eps, labels=labels)
    np.testing.assert_array_equal(cached.numpy(), model.sample(3, eps=eps, labels=labels, cached=False).numpy())
    y = None if labels is None else mg.tensor(labels)
    rings, before = model.stack.rings(), np.concatenate([np.full((3, 1), 2), cached.numpy()], axis=1)
    whole = model.logits(cached, y).numpy()
    for t in range(40):
        column = model.stack.step(model.embed(mg.tensor(before[:, t])), t, rings, y).numpy()
        np.testing.assert_allclose(column, whole[:, t], rtol=1e-5, atol=1e-5)


def test_the_cache_saves_what_it_should(monkeypatch):
    """Columns of layers computed: T L with the cache, Σ_t min(t + 1, R) L without."""
    columns, real = [], wavenet.gated_tanh
    monkeypatch.setattr(wavenet, "gated_tanh", lambda a: columns.append(a.shape[1]) or real(a))
    model = small(layers=3, length=20)
    model.sample(2, rng=mg.random.default_rng(0))
    assert sum(columns) == 20 * 3
    columns.clear()
    model.sample(2, rng=mg.random.default_rng(0), cached=False)
    assert sum(columns) == sum(min(t + 1, 8) for t in range(20)) * 3
    matrices = 3 * 2 * 6 * 12 + 2 * 6 * 6 + 3 * 6 * 8 + 8 * 8 + 8 * 5
    assert model.stack.multiplications() == matrices == small(layers=3, classes=4).stack.multiplications()


def test_samples_follow_log_prob():
    """All 27 waveforms of 3 ternary codes, counted over 4,000 draws: χ² with a false alarm of 1e-4, the seed fixed."""
    model = small(layers=2, symbols=3, length=3)
    every = np.array(list(itertools.product(range(3), repeat=3)))
    drawn = model.sample(4000, rng=mg.random.default_rng(3)).numpy()
    p = np.exp(model.log_prob(mg.tensor(every)).numpy().astype(np.float64))
    assert chisquare(np.bincount(drawn @ [9, 3, 1], minlength=27), 4000 * p / p.sum()).pvalue > 1e-4


def test_a_prefix_is_continued():
    """The prefix is kept; what follows is drawn as if it had been drawn itself; at temperature 0⁺ it is the mode."""
    model = small(length=15)
    eps = mg.random.default_rng(2).gumbel((2, 15, 5))
    x = model.sample(2, eps=eps)
    np.testing.assert_array_equal(model.sample(2, eps=eps, prefix=x.numpy()[:, :6]).numpy(), x.numpy())
    other = (x.numpy()[:, :6] + 1) % 5
    continued = model.sample(2, eps=eps, prefix=other)
    np.testing.assert_array_equal(continued.numpy()[:, :6], other)
    cold = model.sample(2, eps=eps, prefix=other, temperature=1e-6)
    np.testing.assert_array_equal(cold.numpy()[:, 6:], np.argmax(model.logits(cold).numpy(), axis=-1)[:, 6:])


def test_classes_are_heard():
    model, x = small(classes=3), codes(3, 12)
    rows = [model.log_prob(x, mg.full((3,), k, dtype="int64")).numpy() for k in range(3)]
    mixed = model.log_prob(x, mg.tensor([0, 1, 2])).numpy()
    np.testing.assert_allclose(mixed, [rows[k][k] for k in range(3)], rtol=1e-5)
    assert np.ptp([r[0] for r in rows]) > 1e-3


@pytest.mark.parametrize("call, words", [
    (lambda: small(layers=0), "at least one layer"),
    (lambda: small().log_prob(mg.zeros((2, 4))), r"integers \(N, T\), got float32 \(2, 4\)"),
    (lambda: small().log_prob(codes(2, 4)[0]), r"got int64 \(4,\)"),
    (lambda: small(classes=2).log_prob(codes(2, 4)), "classes=2 and got labels None"),
    (lambda: small().log_prob(codes(2, 4), mg.tensor([0, 1])), r"classes=0 and got labels \(2,\)"),
    (lambda: small(classes=2).log_prob(codes(2, 4), mg.tensor([0])), r"wants 2 labels \(2,\), got shape \(1,\)"),
    (lambda: small().sample(2), "needs something to draw with"),
    (lambda: small().sample(2, rng=0, prefix=np.zeros((2, 13), int)), r"T₀ ≤ 12, got shape \(2, 13\)"),
    (lambda: small().sample(2, rng=0, prefix=np.zeros((3, 1), int)), r"2 waveforms .* got shape \(3, 1\)"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
