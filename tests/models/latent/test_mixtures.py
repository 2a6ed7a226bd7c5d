"""Mixtures: EM never falls, ends where the gradient vanishes, and finds what is there."""
import numpy as np
import pytest

import minigen as mg
from minigen import check
from minigen.models.latent.mixtures import BernoulliMixture, GaussianMixtureModel

pytestmark = pytest.mark.usefixtures("backend")
KINDS = ("full", "diagonal", "spherical")


def blobs(n=400, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.array([[-3.0, 0.0], [2.0, 2.0], [1.0, -3.0]])
    k = rng.integers(3, size=n)
    stretch = np.array([[[1.0, 0.0], [0.6, 0.5]], [[0.5, 0.0], [0.0, 1.0]], [[0.7, 0.0], [0.0, 0.7]]])
    return mg.tensor(centres[k] + np.einsum("nij,nj->ni", stretch[k], rng.standard_normal((n, 2)))), k


def model(kind, x, seed=0):
    return GaussianMixtureModel(3, (2,), kind, floor=0.0, rng=seed).astype("float64").spread(x, rng=seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_em_never_lowers_the_likelihood(kind, seed):
    x, _ = blobs()
    trace = model(kind, x, seed).fit(x, steps=30, tolerance=-np.inf)
    assert len(trace) == 30 and (np.diff(trace) > -1e-12).all() and trace[-1] > trace[0]


@pytest.mark.parametrize("kind", KINDS)
def test_where_em_stops_the_gradient_vanishes(kind):
    """The optimum of EM is that of gradient ascent."""
    x, _ = blobs()
    p = model(kind, x)
    p.fit(x, steps=1000, tolerance=1e-14)
    parameters = list(p.parameters())
    gradients = mg.grad(mg.mean(p.log_prob(x)), parameters)
    assert max(np.abs(np.tril(g.numpy()) if g.ndim == 3 else g.numpy()).max() for g in gradients) < 1e-5


def test_the_first_step_by_hand():
    """Eq. (4) in NumPy, from given responsibilities."""
    x, _ = blobs(50)
    r = np.random.default_rng(1).dirichlet(np.ones(3), 50)
    p = GaussianMixtureModel(3, (2,), floor=0.0).astype("float64")
    with mg.no_grad():
        p.maximise(x, mg.tensor(r))
    rows = x.numpy()
    for k in range(3):
        mean = (r[:, k:k + 1] * rows).sum(axis=0) / r[:, k].sum()
        np.testing.assert_allclose(p.mean.numpy()[k], mean)
        np.testing.assert_allclose(p.components().covariance.numpy()[k], np.cov(rows.T, aweights=r[:, k], bias=True))
    np.testing.assert_allclose(mg.softmax(p.logits).numpy(), r.mean(axis=0))


def test_the_classes_are_found():
    x, k = blobs()
    p = model("full", x)
    p.fit(x)
    found = np.argmax(p.responsibilities(x).numpy(), axis=1)
    table = np.zeros((3, 3))
    np.add.at(table, (k, found), 1)
    assert table.max(axis=1).sum() / len(k) > 0.97
    assert check.density(p.log_prob, bounds=[(-12, 12), (-12, 12)], rng=0).ok


def test_samples_by_component():
    x, _ = blobs()
    p = model("full", x)
    p.fit(x)
    assert p.sample(10, rng=0).shape == (10, 2)
    one = p.sample(500, rng=0, labels=mg.tensor(np.full(500, 1))).numpy()
    assert np.abs(one.mean(axis=0) - p.mean.numpy()[1]).max() < 5 / np.sqrt(500) * 1.5


# ---- bits ------------------------------------------------------------------------------------------------------------
def prototypes_and_bits(n=300, seed=0):
    rng = np.random.default_rng(seed)
    means = np.array([[0.9] * 4 + [0.1] * 4, [0.1] * 4 + [0.9] * 4, [0.9, 0.1] * 4])
    return mg.tensor((rng.random((n, 8)) < means[rng.integers(3, size=n)]).astype(float))


def test_em_on_bits_never_falls_and_ends_at_a_stationary_point():
    x = prototypes_and_bits()
    p = BernoulliMixture(3, (8,), rng=0).astype("float64")
    trace = p.fit(x, steps=500, tolerance=1e-14)
    assert (np.diff(trace) > -1e-12).all()
    prior = -p.pseudo * mg.sum(mg.softplus(p.pixel_logits) + mg.softplus(-p.pixel_logits)) / len(x)
    gradients = mg.grad(mg.mean(p.log_prob(x)) + prior, [p.pixel_logits, p.logits])
    assert max(np.abs(g.numpy()).max() for g in gradients) < 1e-5
    assert p.prototypes().shape == (3, 8) and set(np.unique(p.sample(5, rng=0).numpy())) <= {0, 1}


def test_bits_sum_to_one():
    p = BernoulliMixture(3, (2, 3), rng=0).astype("float64")
    states = (np.arange(64)[:, None] >> np.arange(6) & 1).astype(float)
    np.testing.assert_allclose(np.exp(p.log_prob(mg.tensor(states)).numpy()).sum(), 1)


def test_the_matrix_product_is_the_mixture():
    """log p(x) of bits as a matrix product, beside the Mixture of Bernoullis, and the same for Gaussians."""
    p, x = BernoulliMixture(3, (8,), rng=0).astype("float64"), prototypes_and_bits(20)
    np.testing.assert_allclose(p.log_prob(x).numpy(), p.distribution().log_prob(x).numpy(), rtol=1e-12)
    np.testing.assert_allclose(p.responsibilities(x).numpy().sum(axis=1), 1)
    x, _ = blobs(20)
    p = model("full", x)
    np.testing.assert_allclose(p.log_prob(x).numpy(), p.distribution().log_prob(x).numpy(), rtol=1e-12)


@pytest.mark.parametrize("call, message", [
    (lambda: GaussianMixtureModel(0), "wants K ≥ 1 and a covariance 'full', 'diagonal' or 'spherical', got 0"),
    (lambda: GaussianMixtureModel(2, covariance="round"), "got 2 and 'round'"),
    (lambda: BernoulliMixture(2, (3,), pseudo=0), "wants K ≥ 1 and pseudo > 0, got 2 and 0"),
    (lambda: GaussianMixtureModel(2).fit(mg.zeros((0, 2))), "wants finite examples, at least one, got 0, and 0"),
    (lambda: GaussianMixtureModel(2).fit(mg.full((5, 2), np.nan)), "got 5, and 10 entries that are not finite"),
    (lambda: GaussianMixtureModel(9).spread(mg.zeros((5, 2)), rng=0), "9 components want as many .*got 5"),
    (lambda: GaussianMixtureModel(2).spread(mg.ones((5, 2)), rng=0), "2 components want as many points, not all the"),
    (lambda: GaussianMixtureModel(2).sample(2, rng=0, labels=mg.tensor([0, 2])), r"0 to 1 as labels, got \[0, 2\]"),
    (lambda: GaussianMixtureModel(2).sample(3, rng=0, labels=mg.tensor([0, 1])), "wants 3 components from 0 to 1"),
    (lambda: BernoulliMixture(2, (3,)).fit(mg.full((5, 3), 255.0)), "wants bits, .* got some from 255"),
    (lambda: BernoulliMixture(2, (3,)).log_prob(mg.zeros((5, 4))), r"wants examples \(N, 3\), got shape \(5, 4\)"),
])
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
