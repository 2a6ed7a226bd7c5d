"""RBMs small enough to sum over: exact likelihood and gradient, CD towards it, AIS against the exact log Z."""
import itertools

import numpy as np
import pytest

import minigen as mg
from minigen import check
from minigen.models.energy import RBM, GaussianRBM
from minigen.samplers import sigmoid_schedule
from minigen.training import SGD, Trainer, schedules

pytestmark = pytest.mark.usefixtures("backend")


def bits(n):
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def random_rbm(D=9, H=4, scale=0.6, seed=0, **settings):
    """Float64, with weights that matter."""
    model, rng = RBM(D, H, rng=0, **settings).astype("float64"), np.random.default_rng(seed)
    model.load_state_dict({name: scale * rng.standard_normal(p.shape) if name != "particles" else p
                           for name, p in model.state_dict().items()})
    return model


def bars_and_stripes():
    """The 14 images of 3 × 3 whose rows or whose columns are alike."""
    rows = [np.tile(np.array(b)[:, None], (1, 3)) for b in bits(3)]
    return np.unique([image.ravel() for r in rows for image in (r, r.T)], axis=0)


# ---- the distribution ------------------------------------------------------------------------------------------------
def test_the_free_energy_sums_the_hidden_units_out():
    model, v = random_rbm(), bits(9)[::37]
    W, b, c = (p.numpy() for p in (model.weight, model.visible_bias, model.hidden_bias))
    energies = np.array([[-(v_i @ b + h @ c + v_i @ W @ h) for h in bits(4)] for v_i in v])
    np.testing.assert_allclose(model.energy(mg.tensor(v)).numpy(), -np.log(np.exp(-energies).sum(axis=1)), rtol=1e-10)


@pytest.mark.parametrize("D, H", [(9, 4), (4, 9)])
def test_it_sums_to_one_whichever_layer_is_summed_over(D, H):
    assert check.density(random_rbm(D, H).log_prob, support=bits(D)).ok


def test_the_conditionals_are_those_of_the_joint():
    model = random_rbm(3, 2)
    W, b, c = (p.numpy() for p in (model.weight, model.visible_bias, model.hidden_bias))
    joint = np.array([[np.exp(v @ b + h @ c + v @ W @ h) for h in bits(2)] for v in bits(3)])
    given_v = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.hidden_given(mg.tensor(bits(3))).numpy(), given_v @ bits(2), rtol=1e-9)
    given_h = joint / joint.sum(axis=0)
    np.testing.assert_allclose(model.visible_given(mg.tensor(bits(2))).mean.numpy(), given_h.T @ bits(3), rtol=1e-9)


def test_gibbs_keeps_the_distribution():
    """χ² of 20,000 chains started at exact draws, after 3 steps, over the 8 states at level 1e-4."""
    from scipy import stats
    model = random_rbm(3, 2)
    p = np.exp(model.log_prob(mg.tensor(bits(3))).numpy())
    start = bits(3)[np.random.default_rng(0).choice(8, 20_000, p=p)]
    v = model.gibbs(mg.tensor(start), 3, rng=0).numpy()
    assert stats.chisquare(np.bincount((v @ [4, 2, 1]).astype(int), minlength=8), 20_000 * p).pvalue > 1e-4


# ---- learning --------------------------------------------------------------------------------------------------------
def free_energy_gradient(model, data, draws):
    """∂/∂θ of Eq. (5) as a vector, for draws (M, D) with weights (M,) or equal ones."""
    x, w = draws
    loss = mg.mean(model.energy(mg.tensor(data))) - mg.sum(model.energy(mg.tensor(x)) * mg.tensor(w))
    return np.concatenate([g.numpy().ravel() for g in mg.grad(loss, list(model.parameters()))])


def test_the_exact_gradient_is_the_free_energy_expression():
    """Eq. (4) on bars and stripes: −∂ log p/∂θ by differentiating log Z, and by ⟨∂F⟩ data − ⟨∂F⟩ model."""
    model, data = random_rbm(), bars_and_stripes()
    exact = np.concatenate([g.numpy().ravel() for g in mg.grad(-mg.mean(model.log_prob(mg.tensor(data))),
                                                               list(model.parameters()))])
    p = np.exp(model.log_prob(mg.tensor(bits(9))).numpy())
    np.testing.assert_allclose(free_energy_gradient(model, data, (bits(9), p)), exact, rtol=1e-8, atol=1e-10)


def test_cd_tends_to_the_exact_gradient_as_k_grows(backend):
    """The expected CD-k gradient, computed exactly with the chain's matrix: its error falls with every doubling of
    k."""
    if backend != "numpy":
        pytest.skip("linear algebra on the host")
    model, data, states = random_rbm(scale=1.0), bars_and_stripes(), bits(9)
    h_given_v = model.hidden_given(mg.tensor(states)).numpy()
    pick = np.stack([np.prod(np.where(h, h_given_v, 1 - h_given_v), axis=1) for h in bits(4)], axis=1)       # p(h|v)
    v_given_h = model.visible_given(mg.tensor(bits(4))).mean.numpy()
    back = np.stack([np.prod(np.where(v, v_given_h, 1 - v_given_h), axis=1) for v in states], axis=1)        # p(v|h)
    P = pick @ back
    start = np.zeros(512)
    start[(data @ 2 ** np.arange(8, -1, -1)).astype(int)] = 1 / len(data)
    exact = free_energy_gradient(model, data, (states, np.exp(model.log_prob(mg.tensor(states)).numpy())))
    errors = [np.linalg.norm(free_energy_gradient(model, data, (states, start @ np.linalg.matrix_power(P, k))) - exact)
              for k in (1, 2, 4, 8, 16, 32)]
    assert (np.diff(errors) < 0).all() and errors[-1] < 0.05 * errors[0]


def test_the_mean_of_sampled_cd_is_the_expected_one():
    """CD-1 from 40,000 copies of one image: its mean gradient within 5 standard errors of the exact expectation."""
    model = random_rbm()
    image = bars_and_stripes()[5]
    h = model.hidden_given(mg.tensor(image[None])).numpy()[0]
    pick = np.array([np.prod(np.where(s, h, 1 - h)) for s in bits(4)])
    v = model.visible_given(mg.tensor(bits(4))).mean.numpy()
    expected = pick @ v                                                                     # E[v after a step]
    model.k = 1
    copies = mg.tensor(np.tile(image, (40_000, 1)))
    loss = model.terms(copies, rng=0)["loss"]
    g = mg.grad(loss, model.visible_bias).numpy()
    assert (np.abs(g - (expected - image)) < 5 * np.sqrt(expected * (1 - expected) / 40_000)).all()


@pytest.mark.parametrize("settings", [{"k": 5}, {"k": 1, "persistent": 64}])
def test_training_raises_the_likelihood_of_bars_and_stripes(settings, backend):
    """From −9 log 2 = −6.24 nats to above −3.4; a perfect model has −log 14 = −2.64."""
    if backend != "numpy":
        pytest.skip("trained once")
    data = mg.tensor(np.repeat(bars_and_stripes(), 4, axis=0).astype(np.float32))
    model = RBM(9, 12, rng=0, **settings)
    before = model.log_prob(data).mean().item()
    optimizer = SGD(list(model.parameters()), lr=schedules.cosine(0.3, 2500), momentum=0.5)
    Trainer(model, optimizer, lambda rng: {"x": data}, seed=0, progress=False).run(2500)
    assert before < -6 and model.log_prob(data).mean().item() > -3.4


def test_persistent_particles_are_saved_and_move():
    model = RBM((2, 2), 3, persistent=5, rng=0)
    before = model.state_dict()["particles"]
    model.terms(mg.tensor(bits(4)), rng=1)["loss"].backward()
    assert before.shape == (5, 4) and not np.array_equal(before, model.state_dict()["particles"])


def test_set_bias_is_the_log_odds():
    model = RBM(3, 2)
    model.set_bias(mg.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(model.visible_bias.numpy(), [np.log(99), -np.log(99), -np.log(3)], rtol=1e-4)


# ---- likelihood by annealing -----------------------------------------------------------------------------------------
def test_ais_holds_the_exact_log_Z(backend):
    """100 runs of 50 chains: |estimate − exact| < 2.6 standard errors (99 %) in at least 95; below 1 % false alarms."""
    if backend != "numpy":
        pytest.skip("compared once")
    model = random_rbm(scale=1.0)
    exact, betas = model.log_Z().item(), np.linspace(0, 1, 60)
    runs = [model.ais(50, betas, rng=seed) for seed in range(100)]
    assert sum(abs(estimate - exact) < 2.6 * error for estimate, error in runs) >= 95
    assert np.mean([error for _, error in runs]) < 0.2


def test_ais_from_another_base_and_with_a_sigmoid_schedule():
    model = random_rbm()
    estimate, error = model.ais(100, sigmoid_schedule(100), base=mg.tensor(np.full(9, 0.3)), rng=0)
    assert abs(estimate - model.log_Z().item()) < 5 * error < 0.5


def test_the_walk_back_from_exact_draws_finds_the_same_log_Z(backend):
    """500 chains each way, 60 temperatures: each within 4 of its standard errors of the truth (false alarms below
    1.3e-4)."""
    if backend != "numpy":
        pytest.skip("compared once")
    model = random_rbm(scale=1.5)
    exact, p = model.log_Z().item(), np.exp(model.log_prob(mg.tensor(bits(9))).numpy())
    x = mg.tensor(bits(9)[np.random.default_rng(0).choice(512, 500, p=p / p.sum())])
    for estimate, error in (model.ais(500, np.linspace(0, 1, 60), rng=1),
                            model.ais_back(x, np.linspace(0, 1, 60), base=mg.tensor(np.zeros(9)), rng=2)):
        assert abs(estimate - exact) < 4 * error < 0.3


# ---- draws -----------------------------------------------------------------------------------------------------------
def test_completion_keeps_what_is_known_and_has_the_conditional():
    """4,000 completions of 2 of 4 pixels: frequencies within 5 standard errors of p(unknown|known)."""
    model = random_rbm(4, 3)
    known = mg.tensor([True, True, False, False])
    x = mg.tensor(np.tile([1.0, 0.0, 0.0, 0.0], (4000, 1)))
    filled = model.complete(x, known, rng=0, steps=30).numpy()
    assert (filled[:, :2] == [1, 0]).all()
    states = np.array([[1.0, 0, a, b] for a in (0, 1) for b in (0, 1)])
    p = np.exp(model.log_prob(mg.tensor(states)).numpy())
    p /= p.sum()
    frequencies = np.bincount((filled @ [0, 0, 2, 1]).astype(int), minlength=4) / 4000
    assert (np.abs(frequencies - p) < 5 * np.sqrt(p * (1 - p) / 4000)).all()


def test_samples_have_the_shape_of_events():
    model = RBM((2, 3, 1), 4, rng=0)
    assert model.sample(5, rng=0, steps=3).shape == (5, 2, 3, 1)
    assert model.energy(mg.zeros((5, 2, 3, 1))).shape == model.energy(mg.zeros((5, 6))).shape == (5,)
    assert RBM(6, 4, persistent=3).sample(5, rng=0, steps=3).shape == (5, 6)


# ---- real-valued units -----------------------------------------------------------------------------------------------
def test_a_gaussian_rbm_is_a_mixture_and_integrates_to_one():
    model, rng = GaussianRBM(2, 3, rng=0).astype("float64"), np.random.default_rng(0)
    model.load_state_dict({name: rng.standard_normal(p.shape) for name, p in model.state_dict().items()})
    axis = np.linspace(-9, 9, 300)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    total = np.exp(model.log_prob(mg.tensor(grid)).numpy()).sum() * (axis[1] - axis[0]) ** 2
    np.testing.assert_allclose(total, 1, rtol=1e-6)
    np.testing.assert_allclose(model.visible_given(mg.tensor([[1.0, 0, 1]])).mean.numpy()[0],
                               (model.visible_bias + model.weight[:, 0] + model.weight[:, 2]).numpy())
    with pytest.raises(NotImplementedError, match="the annealing path is for binary units"):
        model.ais(rng=0)


# ---- refusals --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, message", [
    (lambda: RBM(4, 3, k=0), "RBM: wants k ≥ 1 and units in both layers, got k=0, 4 visible and 3 hidden"),
    (lambda: RBM((2, 2), 3).energy(mg.zeros((5, 3))), r"RBM: wants visible units \(N, 2, 2\), got shape \(5, 3\)"),
    (lambda: RBM(30, 30).log_Z(), "30 visible and 30 hidden units are too many to sum over .*estimate it with ais"),
    (lambda: RBM(4, 3).ais(5, [0, 1], base=mg.zeros(5), rng=0),
     r"base wants one bias for each of 4 visible units, got shape \(5,\)"),
    (lambda: GaussianRBM(3, 30).log_Z(), "30 hidden units are too many"),
    (lambda: RBM(4, 3).sample(2, rng=0, labels=mg.tensor([0, 1])), "this model knows no labels, got 2"),
])
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
