"""All metrics of digits together: what they say of digits spoilt on purpose, and bad input."""
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import minigen as mg
from minigen import data
from minigen.metrics import digit_features, fid, image_metrics, inception_score, kid, precision_recall

DIGITS = data.digits("test")
REAL, FAKE, LABELS = data.to_unit(DIGITS["x"][::2]), data.to_unit(DIGITS["x"][1::2]), DIGITS["y"][1::2]
NAMES = ["digit_fid", "digit_kid", "digit_precision", "digit_recall", "digit_inception_score"]


def numbers(fake):
    """(FID, KID, precision, recall, IS) against half of the test digits."""
    found = image_metrics(REAL, fake.astype(np.float32))
    assert list(found) == NAMES and all(unit for _, unit in found.values())
    return np.array([value for value, _ in found.values()])


@pytest.fixture(scope="module")
def clean():
    """Of the other half, which is as good as samples can be."""
    return numbers(FAKE)


def noisy():
    return np.clip(FAKE + 0.2 * np.random.default_rng(0).standard_normal(FAKE.shape), 0, 1)


def blurred():
    return gaussian_filter(FAKE, (0, 1, 1, 0))


def five_classes():
    return FAKE[LABELS < 5]


def copies():
    """Ten digits, one of each class, a hundred times each."""
    return np.repeat(FAKE[[np.flatnonzero(LABELS == k)[0] for k in range(10)]], 100, axis=0)


def mixed():
    """Each digit averaged with another."""
    return 0.5 * (FAKE + np.roll(FAKE, 1, axis=0))


# which way each number must go: −1 falls, +1 rises, 0 stays within a few points or percent, None is free
SPOILT = {
    noisy: (+1, +1, -1, -1, -1),
    blurred: (+1, +1, -1, -1, -1),
    mixed: (+1, +1, -1, -1, -1),
    five_classes: (+1, +1, 0, -1, -1),
    copies: (+1, +1, None, -1, None),
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda f: f.__name__)
def test_each_metric_moves_the_right_way(spoil, clean):
    """By margins far beyond what another draw of 1,000 digits would change (FID 0.2, KID 0.01, three points, 0.1)."""
    found, margins = numbers(spoil()), np.array([1.0, 0.1, 10.0, 10.0, 0.5])
    for name, way, before, after, margin in zip(NAMES, SPOILT[spoil], clean, found, margins):
        if way == 0:
            assert abs(after - before) < margin / 2, name
        elif way is not None:
            assert way * (after - before) > margin, name


def test_good_samples_score_well(clean):
    fid_, kid_, precision, recall, score = clean
    assert fid_ < 1.5 and abs(kid_) < 0.05 and precision > 80 and recall > 80 and score > 9


def test_copies_of_the_data_are_perfect():
    """What none of them sees."""
    fid_, kid_, precision, recall, _ = numbers(REAL)
    assert fid_ < 1e-6 and kid_ < 0 and precision == recall == 100


def test_the_numbers_are_those_of_the_single_metrics():
    real, fake = REAL[:100], FAKE[:80]
    found = {name: value for name, (value, _) in image_metrics(mg.tensor(real), fake, rng=5).items()}
    (a, _), (b, logits) = digit_features(real), digit_features(mg.tensor(fake))
    assert a.shape == (100, 64) and logits.shape == (80, 10)
    precision, recall = precision_recall(a, b)
    assert found == {"digit_fid": fid(a, b), "digit_kid": kid(a, b, rng=5).value, "digit_precision": 100 * precision,
                     "digit_recall": 100 * recall, "digit_inception_score": inception_score(logits)}


def test_float64_images_and_every_backend(backend):
    """Arrays of any float dtype, or Tensors."""
    x, y = REAL[:70].astype(np.float64), FAKE[:70]
    wanted, found = image_metrics(x, y), image_metrics(mg.tensor(x), mg.tensor(y))
    assert {name: value for name, (value, _) in found.items()} == pytest.approx(
        {name: value for name, (value, _) in wanted.items()}, rel=1e-4)


def with_nan():
    x = FAKE.copy()
    x[3, 5, 5] = np.nan
    return x


@pytest.mark.parametrize("real, fake, words", [
    (REAL, FAKE[..., 0], r"fake must be images \(N, 28, 28, 1\), N ≥ 20, got shape \(1000, 28, 28\)"),
    (REAL[:19], FAKE, r"real must be images \(N, 28, 28, 1\), N ≥ 20, got shape \(19, 28, 28, 1\)"),
    (DIGITS["x"], FAKE, "real must be floats in \\[0, 1\\], got uint8; divide 8-bit pixels by 255"),
    (REAL, 2 * FAKE - 1, "fake must lie in \\[0, 1\\], it runs from -1 to 1; rescale the model's output, or clip it"),
    (REAL, with_nan(), "fake has 1 images of 1000 with pixels that are not finite"),
])
def test_bad_input_is_told(real, fake, words):
    with pytest.raises(ValueError, match="image_metrics: " + words):
        image_metrics(real, fake)


def test_few_images_warn():
    with pytest.warns(UserWarning, match="40 samples of 64 features"):
        found = image_metrics(REAL[:40], FAKE[:40])
    assert list(found) == NAMES
