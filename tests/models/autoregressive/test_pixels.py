"""What every pixel model must do: sum to one, draw by caches what it draws naively, complete, refuse."""
import itertools

import numpy as np
import pytest
import scipy.special
import scipy.stats
from models.autoregressive.sight import shaken

import minigen as mg
from minigen.models.autoregressive import GatedPixelCNN, PixelCNN, PixelRNN
from minigen.models.autoregressive.pixels import PixelModel
from minigen.training import Adam

pytestmark = pytest.mark.usefixtures("backend")
SMALL = dict(first_kernel=3, head_width=6)
MAKE = {
    "PixelCNN": lambda shape, **more: PixelCNN(shape, hidden=4, blocks=2, **SMALL, **more),
    "gated": lambda shape, **more: GatedPixelCNN(shape, features=4, layers=2, **SMALL, **more),
    "row": lambda shape, **more: PixelRNN(shape, "row", hidden=3, layers=2, **SMALL, **more),
    "diagonal": lambda shape, **more: PixelRNN(shape, "diagonal", hidden=3, layers=2, **SMALL, **more),
}


def all_images(shape, values=2):
    return np.array(list(itertools.product(range(values), repeat=int(np.prod(shape))))).reshape(-1, *shape)


def noise(n, shape, seed=0):
    return mg.tensor(np.random.default_rng(seed).random((n, *shape)))


# ---- the likelihood --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("shape, values", [((3, 4, 1), 2), ((2, 2, 3), 2), ((2, 3, 1), 4)])
def test_probabilities_of_all_4096_images_sum_to_one(name, shape, values):
    x = all_images(shape, values)
    assert len(x) == 4096
    with mg.no_grad():
        log_p = shaken(MAKE[name](shape, values=values)).log_prob(mg.tensor(x.astype(float) if values == 2 else x))
    assert log_p.shape == (4096,) and abs(np.exp(log_p.numpy()).sum() - 1) < 1e-12


@pytest.mark.parametrize("values", [2, 5])
def test_log_prob_is_the_sum_of_what_the_draws_are_drawn_from(values):
    """Each factor by its own pass over an image of which no later pixel is known."""
    model, total = shaken(MAKE["gated"]((3, 2, 2), values=values)), 0
    x = model.sample(6, eps=noise(6, (3, 2, 2)))
    image, blank = x.numpy(), np.zeros((6, 3, 2, 2), x.numpy().dtype)
    for place in np.ndindex(3, 2, 2):
        logits = model.logits(mg.tensor(blank)).numpy()[(slice(None), *place)]
        value = image[(slice(None), *place)]
        logits = np.stack([0 * logits, logits], axis=-1) if values == 2 else logits
        log_p = scipy.special.log_softmax(logits, axis=-1)[np.arange(6), value.astype(int)]
        np.testing.assert_allclose(model.log_conditionals(x).numpy()[(slice(None), *place)], log_p, rtol=1e-10)
        total += log_p
        blank[(slice(None), *place)] = value
    np.testing.assert_allclose(model.log_prob(x).numpy(), total, rtol=1e-10)


def test_256_values():
    model = PixelCNN((3, 3, 1), hidden=3, blocks=1, values=256, **SMALL)
    x = model.sample(50, rng=0)
    assert x.dtype == np.int64 and x.numpy().min() >= 0 and 200 < x.numpy().max() < 256
    assert model.logits(x).shape == (50, 3, 3, 1, 256)
    pixels = mg.tensor(x.numpy().astype(np.uint8))                              # as a Loader gives them
    np.testing.assert_allclose(model.log_prob(pixels).numpy(), model.log_prob(x).numpy(), rtol=1e-6)
    np.testing.assert_allclose(model.log_prob(x).numpy(), -9 * np.log(256), rtol=0.1)        # untrained: near uniform


@pytest.mark.parametrize("name", MAKE)
def test_training_moves_every_parameter_and_lowers_the_loss(name):
    model, picture = MAKE[name]((4, 4, 1)), np.eye(4)[::-1, :, None].astype(np.float32)
    x = mg.tensor(np.stack([picture, 1 - picture]))
    objective, = model.objectives()
    optimizer, before, losses = Adam(objective.parameters, lr=0.03), model.state_dict(), []
    for _ in range(25):
        optimizer.zero_grad()
        losses.append(objective.loss({"x": x}, None)["loss"])
        losses[-1].backward()
        optimizer.step()
    assert losses[0].item() == pytest.approx(16 * np.log(2), rel=0.1)                # untrained: near fair coins
    assert losses[-1].item() < 0.9 * losses[0].item()
    assert all((value != before[name]).any() for name, value in model.state_dict().items())


# ---- drawing ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("shape, values", [((5, 4, 1), 2), ((3, 3, 3), 2), ((4, 3, 1), 7), ((1, 5, 1), 2),
                                           ((4, 1, 1), 2)])
def test_cached_drawing_is_naive_drawing(name, shape, values):
    """The same images to the last bit for the same noise, from logits that agree to 1e-10."""
    model = shaken(MAKE[name](shape, values=values))
    u = noise(7, shape)
    cached, naive = model.sample(7, eps=u), model.sample(7, eps=u, cached=False)
    np.testing.assert_array_equal(cached.numpy(), naive.numpy())
    with mg.no_grad():
        for (place, ours), (again, theirs) in zip(model._walk(cached, None, 0), model._walk_naively(naive, None, 0)):
            assert place == again
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", MAKE)
def test_float32_draws_agree_too(name):
    model = MAKE[name]((5, 5, 1))
    u = mg.random.default_rng(0).random((20, 5, 5, 1))
    np.testing.assert_array_equal(model.sample(20, eps=u).numpy(), model.sample(20, eps=u, cached=False).numpy())


def test_draws_follow_the_law():
    """40,000 images of 2 × 2 bits against their exact probabilities: chi-square, false-alarm rate 1e-3, seed fixed."""
    model, x = shaken(MAKE["gated"]((2, 2, 1)), seed=1), all_images((2, 2, 1)).astype(float)
    expected = 40_000 * np.exp(model.log_prob(mg.tensor(x)).numpy())
    drawn = model.sample(40_000, rng=3).numpy().reshape(-1, 4)
    counts = np.bincount((drawn @ [8, 4, 2, 1]).astype(int), minlength=16)
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


def test_the_noise_runs_through_the_values():
    """Eq. (3): v where the noise first lies below p(0) + … + p(v); the last value where rounding leaves none."""
    model, p = PixelCNN((1, 1, 1), values=3, hidden=3, blocks=1), np.array([0.2, 0.5, 0.3])
    logits = mg.tensor(np.tile(np.log(p), (7, 1)))
    drawn = model._draw(logits, mg.tensor(np.array([0, 0.19, 0.21, 0.69, 0.71, 0.9999, 1.0])))
    assert drawn.numpy().tolist() == [0, 0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("known", [0, 7, 8, 20])
def test_completing_a_draw_with_its_own_noise_restores_it(name, known):
    """So what is known is kept, and the rest is drawn given it: as in a draw that happened to begin so."""
    model, u = shaken(MAKE[name]((5, 4, 1))), noise(6, (5, 4, 1))
    x = model.sample(6, eps=u)
    damaged = np.where(np.arange(20).reshape(5, 4, 1) < known, x.numpy(), np.nan)
    np.testing.assert_array_equal(model.complete(mg.tensor(damaged), known, eps=u).numpy(), x.numpy())
    mask = np.arange(20).reshape(5, 4) < known
    again = model.complete(mg.tensor(damaged), mask, eps=u, cached=False)
    np.testing.assert_array_equal(again.numpy(), x.numpy())
    assert np.isnan(damaged).sum() == 6 * (20 - known)                          # what was given is not written to


def test_a_mask_of_subpixels():
    model, u = shaken(MAKE["PixelCNN"]((2, 2, 3))), noise(4, (2, 2, 3))
    x = model.sample(4, eps=u)
    mask = (np.arange(12) < 5).reshape(2, 2, 3)
    np.testing.assert_array_equal(model.complete(x, mask, eps=u).numpy(), x.numpy())


# ---- labels ----------------------------------------------------------------------------------------------------------
def conditional(**more):
    return shaken(MAKE["gated"]((4, 3, 1), classes=3, **more))


def test_each_label_has_a_distribution_of_its_own():
    model, x = conditional(), all_images((4, 3, 1)).astype(float)
    with mg.no_grad():
        log_p = np.stack([model.log_prob(mg.tensor(x), np.full(4096, k)).numpy() for k in range(3)])
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-12)
    assert min(np.abs(log_p[a] - log_p[b]).max() for a, b in ((0, 1), (0, 2), (1, 2))) > 0.1


@pytest.mark.parametrize("places", [False, True])
def test_cached_draws_with_labels_and_places(places):
    model, u, labels = conditional(places=places), noise(6, (4, 3, 1)), [0, 1, 2, 2, 1, 0]
    cached = model.sample(6, labels=labels, eps=u)
    np.testing.assert_array_equal(cached.numpy(), model.sample(6, labels=labels, eps=u, cached=False).numpy())
    half = model.complete(cached, 6, labels=labels, eps=u)
    np.testing.assert_array_equal(half.numpy(), cached.numpy())


def test_labels_are_drawn_where_they_are_missing():
    model = conditional()
    one, two = (model.sample(200, rng=0).numpy() for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_batches_with_labels():
    model, x = conditional(), mg.tensor(all_images((4, 3, 1))[:5].astype(float))
    objective, = model.objectives()
    y = mg.tensor([0, 1, 2, 0, 1])
    np.testing.assert_allclose(objective.loss({"x": x, "y": y}, None)["loss"].item(),
                               -model.log_prob(x, y).numpy().mean(), rtol=1e-12)
    with pytest.raises(ValueError, match=r"wants batches with labels 'y' beside 'x', got \['x'\]"):
        objective.loss({"x": x}, None)


# ---- bad input -------------------------------------------------------------------------------------------------------
SHAPE = (3, 2, 1)


def plain(**more):
    return MAKE["PixelCNN"](SHAPE, **more)


@pytest.mark.parametrize("call, words", [
    (lambda: plain().log_prob(mg.zeros((4, 2, 3, 1))),
     r"PixelCNN: wants images \(N, 3, 2, 1\), got shape \(4, 2, 3, 1\)"),
    (lambda: plain().log_prob(mg.zeros((4, 3, 2, 3))), r"wants images \(N, 3, 2, 1\), got shape \(4, 3, 2, 3\)"),
    (lambda: plain().log_prob(mg.full((4, *SHAPE), 0.5)), "wants bits, 0 and 1, got values from 0.5 to 0.5; binarise"),
    (lambda: plain(values=4).log_prob(mg.full((4, *SHAPE), 4, "int64")), "classes 0 to 3, got some from 4 to 4"),
    (lambda: plain(values=1), "wants 2 values or more, .* got values=1"),
    (lambda: PixelCNN((28, 28)), r"wants an event_shape \(H, W, C\), got \(28, 28\)"),
    (lambda: PixelCNN(SHAPE, first_kernel=4), r"a kernel with a centre \(odd sizes\)"),
    (lambda: PixelCNN((4, 4, 3), hidden=2), "a group of features for each of 3 channels"),
    (lambda: PixelRNN(SHAPE, "spiral"), "the kind is 'row' or 'diagonal', got 'spiral'"),
    (lambda: GatedPixelCNN(SHAPE, layers=0), "wants a layer or more"),
    (lambda: plain().sample(3), "pass rng=, a Generator or a seed, or the noise as eps="),
    (lambda: plain().sample(3, eps=mg.zeros((3, 2, 3, 1))), r"noise eps of shape \(3, 3, 2, 1\), got \(3, 2, 3, 1\)"),
    (lambda: plain().sample(3, rng=0, labels=[0, 1, 2]), "knows no labels"),
    (lambda: plain().complete(mg.zeros((2, *SHAPE)), 7, rng=0), "an image has 6 values, .* not 7"),
    (lambda: plain().complete(mg.zeros((2, *SHAPE)), np.eye(3, 2) == 0, rng=0), "value 0 is not known, and a later"),
    (lambda: plain().complete(mg.zeros((2, *SHAPE)), np.ones((2, 3), bool), rng=0), r"got bool \(2, 3\)"),
    (lambda: plain().complete(mg.zeros((2, 2, 3, 1)), 0, rng=0), r"wants images \(N, 3, 2, 1\)"),
    (lambda: conditional().log_prob(mg.zeros((4, 4, 3, 1))), "this model is conditional; pass 4 labels from 0 to 2"),
    (lambda: conditional().sample(2, rng=0, labels=[0, 3]), "knows the labels 0 to 2, got some from 0 to 3"),
    (lambda: conditional().sample(2, rng=0, labels=[0]), r"an integer label for each of 2 images, got int64 \(1,\)"),
    (lambda: conditional().sample(2, eps=mg.zeros((2, 4, 3, 1))), "pass rng="),
    (lambda: conditional(places=True).sample(1, rng=0, labels=[0.5]), "an integer label .* got float"),
    (lambda: MAKE["gated"](SHAPE, classes=0), "classes=0"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_values_that_are_no_integers():
    with pytest.raises(TypeError, match="wants classes as integers, got float32"):
        plain(values=4).log_prob(mg.zeros((4, *SHAPE)))


def test_a_model_without_a_network():
    with pytest.raises(NotImplementedError, match=r"PixelModel: a pixel model must define network\(x, labels\)"):
        PixelModel(SHAPE).logits(mg.zeros((1, *SHAPE)))
