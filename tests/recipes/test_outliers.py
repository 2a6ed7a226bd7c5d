"""Detectors of outliers: every one learns and scores, what is held out is never shown, a plain case is solved."""
import numpy as np
import pytest

from minigen import data
from minigen.recipes import outliers
from minigen.recipes.outliers import DETECTORS, Detector, fit, held_out

TRAIN, TEST = data.digits("train")[:400], data.digits("test")[:120]


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_learns_and_scores(name):
    area, error, inside, outside = held_out(name, 4, TRAIN, TEST, share=0.003)
    known = (TEST["y"] != 4).sum()
    assert inside.shape == (known,) and outside.shape == ((TRAIN["y"] == 4).sum() + 120 - known,)
    assert np.isfinite(inside).all() and np.isfinite(outside).all() and 0 <= area <= 1 and 0 <= error < 0.2
    again = held_out(name, 4, TRAIN, TEST, share=0.003)
    assert again[0] == area and np.array_equal(again[3], outside)                    # the seed fixes every bit


def test_the_held_out_digit_is_never_shown(monkeypatch):
    shown = []

    def learn(x, share, seed):
        shown.append(x)

    monkeypatch.setitem(DETECTORS, "spy", Detector("", outliers.grey, learn, DETECTORS["ink"].score))
    held_out("spy", 7, TRAIN, TEST)
    assert np.array_equal(shown[0], outliers.grey(TRAIN["x"][TRAIN["y"] != 7], None))


def test_ink_is_counted_by_hand():
    _, _, inside, outside = held_out("ink", 1, TRAIN, TEST)
    np.testing.assert_allclose(inside, TEST["x"][TEST["y"] != 1].sum(axis=(1, 2, 3)) / 255, rtol=1e-5)
    assert held_out("ink", 1, TRAIN, TEST)[0] < 0.2 < 0.8 < held_out("blank", 1, TRAIN, TEST)[0]


def test_noise_is_an_outlier():
    """Images of noise, which nothing here should take for digits."""
    score = fit("PCA, probabilistic", TRAIN["x"])
    noise = np.random.default_rng(0).integers(0, 256, (50, 28, 28, 1), dtype=np.uint8)
    assert score(noise).min() > score(TEST["x"]).max()


def test_halving_is_the_mean_of_blocks():
    x = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1), dtype=np.uint8)
    half = outliers.halved(x)
    assert half.shape == (2, 16, 16, 1) and not half[:, 0].any()
    np.testing.assert_allclose(half[0, 1, 1, 0], x[0, :2, :2, 0].mean())
    np.testing.assert_allclose(half[1, 5, 8, 0], x[1, 8:10, 14:16, 0].mean())


def test_a_name_that_is_not_known():
    with pytest.raises(ValueError, match="no detector is called 'GAN'; there are ink, blank"):
        fit("GAN", TRAIN["x"])
