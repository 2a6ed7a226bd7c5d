"""Teacher and student: densities that integrate to one, exact determinants, an entropy, a divergence that falls."""
import numpy as np
import pytest
from scipy import integrate, stats

import minigen as mg
from minigen.distributions import Logistic
from minigen.models.autoregressive.parallel_wavenet import DilatedIAF, LogisticWaveNet, ParallelWaveNet
from minigen.training import Adam

pytestmark = pytest.mark.usefixtures("backend")


def teacher(length=2, rng=0):
    return LogisticWaveNet(components=3, channels=6, skips=8, layers=2, length=length, rng=rng)


class Echo:
    """A process that is known: x_t ~ Logistic(a x_{t−1} + c, s)."""

    def __init__(self, a=0.8, c=0.0, log_scale=-1.0):
        self.a, self.c, self.log_scale = a, c, log_scale

    def conditional(self, x):
        before = mg.concatenate([mg.zeros_like(x[:, :1]), x[:, :-1]], axis=1)
        return Logistic(self.a * before + self.c, mg.full_like(x, self.log_scale))


def student(teacher=None, length=2, rng=0, **options):
    return ParallelWaveNet(teacher or Echo(), length, channels=8, skips=8, layers=3, rng=rng, **options)


def logistic(shape, seed=0):
    return np.random.default_rng(seed).logistic(size=shape)


# ---- the teacher -----------------------------------------------------------------------------------------------------
def assert_density(log_prob, draws):
    """Two samples long: the midpoint rule on [−30, 30]² gives 1, and 4,000 draws, counted in 12 × 12 cells around the
    middle and one outside, follow it: χ² with a false alarm of 1e-4, the seed fixed."""
    h, half, cell = 0.25, 30.0, 1.0
    at = np.arange(-half, half, h) + h / 2
    p = np.exp(log_prob(mg.tensor(np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2))).numpy())
    p = p.reshape(len(at), len(at)) * h ** 2
    assert abs(p.sum() - 1) < 1e-6
    edges, k, inside = np.arange(-6, 7) * cell, round(cell / h), np.abs(at) < 6 * cell
    cells = p[np.ix_(inside, inside)].reshape(12, k, 12, k).sum(axis=(1, 3)).ravel()
    counts = np.histogram2d(*draws.T, bins=[edges, edges])[0].ravel()
    many = 4000 * cells >= 5
    o = np.append(counts[many], 4000 - counts[many].sum())
    e = np.append(4000 * cells[many], 4000 * (1 - cells[many].sum()))
    assert stats.chisquare(o, e).pvalue > 1e-4


def test_the_teachers_density_is_one_and_its_samples_come_from_it():
    model = teacher().astype("float64")
    assert_density(model.log_prob, model.sample(4000, rng=mg.random.default_rng(1)).numpy())


def test_the_teacher_sees_the_past_alone():
    model = LogisticWaveNet(components=2, channels=6, skips=16, layers=3, rng=0).astype("float64")

    def outputs(x):
        p = model.conditional(x)
        return mg.concatenate([p.logits, p.components.mean, p.components.log_scale], axis=-1)
    report = mg.check.causality(outputs, logistic((6, 9)))
    assert report.ok, str(report)


def test_the_teacher_learns():
    x = mg.tensor(np.cumsum(logistic((64, 12), 3), axis=1).astype(np.float32) * 0.1)
    model = teacher(12)
    objective, = model.objectives()
    optimizer = Adam(objective.parameters, lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        objective.loss({"x": x}, None)["loss"].backward()
        optimizer.step()
    truth = 12 * (np.log(0.1) + 2)                                          # the entropy of the random walk
    assert truth - 1.5 < -model.log_prob(x).mean().item() < truth + 1.5


# ---- the student -----------------------------------------------------------------------------------------------------
def test_a_flow_is_a_bijection_with_the_determinant_it_says():
    flow = DilatedIAF(6, 8, 3, rng=0).astype("float64")
    report = mg.check.bijection(flow.forward, flow.inverse, x=logistic((3, 9)))
    assert report.ok, str(report)


def test_all_flows_together_are_one_affine_map_of_the_noise():
    """Eq. (4) against the flows one by one, its log s against the dense Jacobian, and log p_S against both."""
    model = student(length=7, flows=3).astype("float64")
    z = mg.tensor(logistic((2, 7)))
    p, x = model.conditional(z), model.sample(2, eps=z)
    np.testing.assert_allclose((p.mean + mg.exp(p.log_scale) * z).numpy(), x.numpy(), rtol=1e-10)
    for n in range(2):
        J = mg.jacobian(lambda row: model.conditional(row[None]).mean[0]
                        + (mg.exp(model.conditional(row[None]).log_scale) * row)[0], z[n]).numpy()
        assert np.abs(np.triu(J, 1)).max() == 0
        assert abs(np.linalg.slogdet(J)[1] - p.log_scale.numpy()[n].sum()) < 1e-10
    expected = stats.logistic.logpdf(z.numpy()).sum(axis=1) - p.log_scale.numpy().sum(axis=1)
    np.testing.assert_allclose(model.log_prob(x).numpy(), expected, rtol=1e-9)


def test_the_students_density_is_one_and_its_samples_come_from_it():
    model = student().astype("float64")
    with mg.no_grad():
        assert_density(model.log_prob, model.sample(4000, eps=mg.tensor(logistic((4000, 2), 5))).numpy())


def test_the_entropy_is_that_of_the_density():
    """Eq. (6) against −log p_S averaged over the same 2,000 waveforms: within 5 standard errors of their difference,
    false alarm below 1e-6. The first is exact for each t given z_<t, so its spread is the smaller one by far."""
    model = student(length=6)
    eps = mg.tensor(logistic((1 + model.samples, 2000, 6), 7).astype(np.float32))
    entropy = model.divergence(2000, eps=eps)["entropy"].item()
    p = model.conditional(eps[0])
    score = -stats.logistic.logpdf(eps[0].numpy()).sum(axis=1) + p.log_scale.numpy().sum(axis=1)
    assert abs(score.mean() - entropy) < 5 * score.std() / np.sqrt(2000)
    assert p.entropy().numpy().sum(axis=1).std() < 0.5 * score.std()


def test_the_divergence_between_two_logistics_is_the_integral():
    """A student that passes the noise through, and a teacher without memory: T times a one-dimensional divergence,
    within 5 standard errors of 400 × 8 × 25 draws: false alarm below 1e-6."""
    model = student(Echo(a=0.0, c=0.7, log_scale=-0.4), length=8, samples=25)
    for flow in model.flows:
        head = flow.stack.head[3]
        head.load_state_dict({name: np.zeros_like(value) for name, value in head.state_dict().items()})
    q = stats.logistic(0.7, np.exp(-0.4))
    exact = integrate.quad(lambda x: stats.logistic.pdf(x) * (stats.logistic.logpdf(x) - q.logpdf(x)), -60, 60)[0]
    eps = logistic((26, 400, 8), 1)
    terms = model.divergence(400, eps=mg.tensor(eps.astype(np.float32)))
    error = q.logpdf(eps[1:]).std() / np.sqrt(eps[1:].size)
    assert abs(terms["entropy"].item() - 16) < 1e-4
    assert abs(terms["loss"].item() / 8 - exact) < 5 * error


def test_distillation_brings_the_divergence_down():
    """An echo of 12 samples: less than a nat away after 100 steps, with the entropy of the process."""
    model = student(length=12, samples=4, batch=16)
    objective, = model.objectives()
    optimizer, rng = Adam(objective.parameters, lr=5e-3), mg.random.default_rng(1)
    held_out = mg.tensor(logistic((5, 300, 12), 9).astype(np.float32))
    first = model.divergence(300, eps=held_out)["loss"].item()
    for _ in range(100):
        optimizer.zero_grad()
        objective.loss({}, rng)["loss"].backward()
        optimizer.step()
    with mg.no_grad():
        last = model.divergence(300, eps=held_out)
    assert first > 5 and last["loss"].item() < 1.0
    assert abs(last["entropy"].item() - 12 * (2 - 1)) < 1.0
    assert model.sample(3, rng=rng).shape == (3, 12)


def test_the_teacher_is_not_among_the_students_parameters():
    guide = teacher(6)
    model = ParallelWaveNet(guide, 6, channels=4, skips=4, layers=2, rng=0)
    mine = {id(p) for p in model.parameters()}
    assert mine and not any(id(p) in mine for p in guide.parameters())
    model.divergence(4, rng=mg.random.default_rng(0))["loss"].backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("call, words", [
    (lambda: teacher().log_prob(mg.tensor([[1, 2]])), r"LogisticWaveNet: wants .* \(N, T\), got int64 \(1, 2\)"),
    (lambda: student().log_prob(mg.zeros((3,))), r"DilatedIAF: wants .* got float32 \(3,\)"),
    (lambda: teacher().sample(1, rng=0, labels=[1]), "LogisticWaveNet.sample: this model knows no labels"),
    (lambda: student().sample(1, rng=0, labels=[1]), "ParallelWaveNet.sample: this model knows no labels"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
