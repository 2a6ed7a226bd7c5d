"""The conditional VAE: bound and gap on a model that can be summed, labels obeyed, refusals."""
import itertools

import numpy as np
import pytest
from helpers import assert_gradients

import minigen as mg
from minigen import check
from minigen.distributions import Table, kl_divergence
from minigen.models.latent import ConditionalVAE
from minigen.training import Adam, Trainer

pytestmark = pytest.mark.usefixtures("backend")


def small(**settings):
    return ConditionalVAE(2, (3,), 1, (4,), rng=0, **settings)


def random_model(seed=0):
    model, rng = small().astype("float64"), np.random.default_rng(seed)
    model.load_state_dict({name: 0.8 * rng.standard_normal(p.shape) for name, p in model.state_dict().items()})
    return model


@pytest.mark.parametrize("y", [0, 1])
def test_the_bound_and_its_gap_by_quadrature(y, backend):
    """log p(x|y) = ELBO + KL(q‖p(z|x, y)), Eq. (2), all by sums on a grid of z; Σ_x p(x|y) = 1."""
    if backend != "numpy":
        pytest.skip("compared once")
    model, z, total = random_model(), np.linspace(-80, 80, 16001), 0.0
    dz, grid = z[1] - z[0], mg.tensor(z[:, None])
    labels, many = mg.tensor([y]), mg.tensor(np.full(len(z), y))
    prior_log = model.prior(labels).log_prob(grid).numpy()
    for bits in itertools.product([0.0, 1.0], repeat=3):
        x = mg.tensor(np.array([bits]))
        p_x = np.exp(prior_log + model.likelihood_of(grid, many).log_prob(x).numpy()).sum() * dz
        q = model.posterior(x, labels)
        log_q = q.log_prob(grid).numpy()
        q_z, log_joint = np.exp(log_q), prior_log + model.likelihood_of(grid, many).log_prob(x).numpy()
        elbo = (q_z * model.likelihood_of(grid, many).log_prob(x).numpy()).sum() * dz
        elbo -= kl_divergence(q, model.prior(labels)).item()
        gap = (q_z * (log_q - log_joint + np.log(p_x))).sum() * dz
        np.testing.assert_allclose(elbo + gap, np.log(p_x), rtol=1e-6)
        draws = model.elbo(mg.tensor(np.tile(x.numpy(), (4000, 1))), mg.tensor(np.full(4000, y)),
                           rng=mg.random.default_rng(0))
        assert abs(draws.mean().item() - elbo) < 5 * draws.std().item() / 4000 ** 0.5
        total += p_x
    np.testing.assert_allclose(total, 1, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_and_its_gap_on_a_table(seed):
    """log p(x|y) = E_q[log p(x|z, y)] − KL(q‖p(z|y)) + KL(q‖p(z|x, y)) for any q(z|x, y) of discrete variables, to
    1e-12; and the gap vanishes for the posterior alone. Eqs. (2), (3)."""
    p, rng = Table.random(mg.random.default_rng(seed), x=3, z=4, y=2), np.random.default_rng(seed)
    for x, y in itertools.product(range(3), range(2)):
        prior, posterior = p.marginal("z", "y").given(y=y), p.given(x=x, y=y)
        likelihood = np.array([p.given(z=z, y=y).probability(x=x) for z in range(4)])
        truth = np.log(p.marginal("x", "y").given(y=y).probability(x=x))
        for q in (Table(rng.dirichlet(np.ones(4)), "z"), posterior):
            bound = q.expectation(lambda z: np.log(likelihood)[z]) - q.kl(prior)
            np.testing.assert_allclose(bound + q.kl(posterior), truth, atol=1e-12)
            assert bound < truth - 1e-6 or q is posterior
        np.testing.assert_allclose(bound, truth, atol=1e-12)


def test_gradients_with_injected_noise():
    model = random_model()
    x, eps = np.random.default_rng(0).random((4, 3)), np.random.default_rng(1).standard_normal((4, 1))
    assert_gradients(lambda x: model.elbo(x, mg.tensor([0, 1, 1, 0]), eps=mg.tensor(eps)), x)


def test_labels_are_obeyed(backend):
    """Two classes of bits, all 0 or all 1: after training each label gives its own, and the bound classifies."""
    if backend != "numpy":
        pytest.skip("trained once")
    y = np.arange(64) % 2
    batch = {"x": mg.tensor(np.tile(y[:, None], (1, 3)).astype(np.float32)), "y": mg.tensor(y)}
    model = small()
    Trainer(model, Adam(list(model.parameters()), lr=0.02), lambda rng: batch, seed=0, progress=False).run(300)
    for label in (0, 1):
        x = model.sample(20, rng=0, labels=mg.tensor(np.full(20, label))).numpy()
        assert np.abs(x - label).max() < 0.2
    guess = np.argmax(model.log_prob_of_labels(batch["x"], rng=0).numpy(), axis=1)
    assert np.array_equal(guess, y) and model.sample(7, rng=0).shape == (7, 3)


def test_without_a_learned_prior_it_is_standard():
    prior = small(learned_prior=False).prior(mg.tensor([0, 1]))
    assert not prior.mean.numpy().any() and not prior.log_std.numpy().any()
    assert check.divergence(prior.__class__(mg.zeros(1), 0.0), prior.__class__(mg.zeros(1), 0.0), 0.0).ok


@pytest.mark.parametrize("labels, message", [(None, "wants a label for each of 4 examples, got none"),
                                             ([0, 1], r"wants a label for each of 4 examples, got shape \(2,\)"),
                                             ([0, 1, 2, 0], "labels lie in 0 … 1, got some from 0 to 2")])
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        small().elbo(mg.zeros((4, 3)), None if labels is None else mg.tensor(labels), rng=mg.random.default_rng(0))


def test_labels_may_be_a_list_and_must_be_as_many_as_asked_for():
    model, x = small(), mg.zeros((2, 3))
    noise = mg.zeros((2, 1))
    a, b = (model.elbo(x, labels, eps=noise).numpy() for labels in ([0, 1], mg.tensor([0, 1])))
    np.testing.assert_array_equal(a, b)
    assert model.sample(2, rng=0, labels=[1, 0]).shape == (2, 3)
    with pytest.raises(ValueError, match=r"wants a label for each of 3 examples, got shape \(2,\)"):
        model.sample(3, rng=0, labels=mg.tensor([0, 1]))


def test_bad_observations():
    with pytest.raises(ValueError, match=r"ConditionalVAE: wants observations \(N, 3\), got shape \(4, 2\)"):
        small().elbo(mg.zeros((4, 2)), mg.tensor([0, 1, 1, 0]), rng=mg.random.default_rng(0))
