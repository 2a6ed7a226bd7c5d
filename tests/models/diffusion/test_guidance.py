"""Guidance on a mixture of Gaussians, where every score is known: by differences of log-densities that share no code
with it."""
import numpy as np
import pytest

import minigen as mg
from minigen.data.densities import GaussianMixture
from minigen.models.diffusion import (DDIM, DDPM, ForwardProcess, MixtureDenoiser, classifier, classifier_free,
                                      linear_schedule)

pytestmark = pytest.mark.usefixtures("backend")
BETA = linear_schedule(50)
MIXTURE = GaussianMixture([[-1.0, 0.0], [1.0, 0.5], [0.5, -1.0]], [0.4, 0.5, 0.3], [1, 2, 1], labels=[0, 1, 1])
LABELS = np.array([0, 1, 1, 0])


def models():
    """(an unconditional model, a conditional one, their exact network)."""
    net = MixtureDenoiser(ForwardProcess(BETA), MIXTURE)
    return DDPM(net, (2,), BETA), DDPM(net, (2,), BETA, classes=2, label_dropout=0.1), net


def slope(log_density, z, h=1e-5):
    """∇ log p at points (N, 2), by central differences in float64."""
    return np.stack([(log_density(z + h * e) - log_density(z - h * e)) / (2 * h) for e in np.eye(2)], axis=-1)


def scores(z, t):
    """(∇ log p(z_t), ∇ log p(z_t|y)) at points (N, 2) with LABELS."""
    process = ForwardProcess(BETA)
    a, s = process.signal[t], process.noise[t]
    given = np.stack([slope(MIXTURE.given(y).noised(a, s).log_density, z[i:i + 1])[0] for i, y in enumerate(LABELS)])
    return slope(MIXTURE.noised(a, s).log_density, z), given


def points(seed=0):
    return np.random.default_rng(seed).standard_normal((4, 2))


@pytest.mark.parametrize("t", [2, 20, 50])
def test_eps_is_the_score(t):
    """Eq. (27), and the same given the label."""
    plain, conditional, _ = models()
    z, noise = points(), plain.process.noise[t]
    score, given = scores(z, t)
    np.testing.assert_allclose(plain.predict(mg.tensor(z), t).eps.numpy(), -noise * score, atol=1e-7)
    np.testing.assert_allclose(conditional.predict(mg.tensor(z), t, LABELS).eps.numpy(), -noise * given, atol=1e-7)


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("t", [2, 20, 50])
def test_the_guided_score_is_the_closed_form(t, scale):
    """∇ log p(z_t) + s ∇ log p(y|z_t): by a classifier, Eq. (28), and without, Eq. (30) with w = s − 1: Eq. (31)."""
    plain, conditional, net = models()
    z = points(1)
    score, given = scores(z, t)
    want = -plain.process.noise[t] * (score + scale * (given - score))
    by_classifier = plain.predict(mg.tensor(z), t, LABELS, classifier(net.log_prob_labels, scale)).eps.numpy()
    free = conditional.predict(mg.tensor(z), t, LABELS, classifier_free(scale - 1)).eps.numpy()
    np.testing.assert_allclose(by_classifier, want, atol=1e-7)
    np.testing.assert_allclose(free, want, atol=1e-7)


def test_a_guided_prediction_fits_together():
    """x̂ and ε̂ still make up z_t."""
    plain, _, net = models()
    z = points()
    found = plain.predict(mg.tensor(z), 20, LABELS, classifier(net.log_prob_labels, 2.0))
    back = plain.process.signal[20] * found.x.numpy() + plain.process.noise[20] * found.eps.numpy()
    np.testing.assert_allclose(back, z, rtol=1e-9)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
@pytest.mark.parametrize("kind", ["classifier", "free"])
def test_guided_samples_are_of_the_class(sampler, kind):
    """With s = 3 the exact classifier is surer of the class than for unguided samples of that class, on average."""
    plain, conditional, net = models()
    labels = np.arange(200) % 2
    guided = plain, classifier(net.log_prob_labels, 3.0)
    if kind == "free":
        guided = conditional, classifier_free(2.0)
    share = [MIXTURE.weights[MIXTURE.labels == y].sum() for y in range(2)]

    def certainty(model, guide):
        made = DDIM(model, 25) if sampler == "ddim" else model
        x = made.sample(200, rng=mg.random.default_rng(0), labels=labels, guide=guide).numpy().astype(np.float64)
        joint = np.stack([np.log(share[y]) + MIXTURE.given(y).log_density(x) for y in range(2)])
        return (joint[labels, np.arange(200)] - np.logaddexp(*joint)).mean()

    assert certainty(*guided) > max(certainty(conditional, None), -0.02)


def test_guides_work_where_nothing_is_recorded_and_leave_no_graph():
    plain, _, net = models()
    with mg.no_grad():
        eps = plain.predict(mg.tensor(points()), 20, LABELS, classifier(net.log_prob_labels)).eps
    assert not eps.requires_grad


def guided(labels, log_prob=None):
    plain, _, net = models()
    return plain.predict(mg.tensor(points()), 20, labels, classifier(log_prob or net.log_prob_labels))


def without_labels(sampler):
    return sampler.sample(3, rng=mg.random.default_rng(0), guide=classifier_free())


@pytest.mark.parametrize("call, words", [
    (lambda: guided(None), "guidance wants labels, 4 of them"),
    (lambda: without_labels(models()[0]), "guidance wants labels, 3 of them"),
    (lambda: without_labels(DDIM(models()[0], 5)), "guidance wants labels, 3 of them"),
    (lambda: guided([0, 1, 2, 0]), "the classifier knows the labels 0 … 1, got some from 0 to 2"),
    (lambda: guided([0, -1, 1, 0]), "0 … 1, got some from -1 to 1"),
    (lambda: guided(LABELS, lambda z, t: mg.sum(z)), r"shape \(4, K\), got \(\)"),
    (lambda: models()[0].predict(mg.tensor(points()), 20, LABELS, classifier_free()), "made without classes=; make it"),
    (lambda: models()[1].predict(mg.tensor(points()), 20, [0, 1, 2, 0], classifier_free()), "0 … 1, got .* 0 to 2"),
])
def test_bad_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_without_label_dropout_there_is_nothing_to_be_free_of():
    net = MixtureDenoiser(ForwardProcess(BETA), MIXTURE)
    model = DDPM(net, (2,), BETA, classes=2)
    with pytest.raises(ValueError, match="train it with label_dropout=0.1"):
        model.predict(mg.tensor(points()), 20, LABELS, classifier_free(1.0))
