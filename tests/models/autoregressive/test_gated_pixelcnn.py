"""The gated PixelCNN: a full rectangle and no blind spot, the two stacks, the gates."""
import numpy as np
import pytest
from scipy.special import expit
from models.autoregressive.sight import before, region, seen, shaken

import minigen as mg
from minigen import check
from minigen.models.autoregressive import GatedPixelCNN
from minigen.models.autoregressive.gated_pixelcnn import GatedLayer

pytestmark = pytest.mark.usefixtures("backend")


def small(shape, **settings):
    return shaken(GatedPixelCNN(shape, features=9, **{"first_kernel": 3, "head_width": 12, **settings}))


@pytest.mark.parametrize("shape, settings, reach", [
    ((5, 6, 1), dict(layers=2), 2), ((5, 6, 1), dict(layers=3, first_kernel=5), 4), ((3, 4, 3), dict(layers=2), 2),
    ((5, 5, 1), dict(layers=2, kernel=5), 3), ((5, 6, 1), dict(layers=2, places=True), 2)])
def test_it_sees_a_full_rectangle(shape, settings, reach):
    """Eq. (3)."""
    expected = region(shape, lambda d, k: before(d, k) and d <= reach and (abs(k) <= reach if d else -reach <= k))
    np.testing.assert_array_equal(seen(small(shape, **settings)), expected)


def test_nothing_is_blind_when_it_is_deep_enough():
    model, x = small((4, 4, 1), layers=3), np.random.default_rng(0).standard_normal((3, 4, 4, 1))
    np.testing.assert_array_equal(seen(model), region((4, 4, 1), before))
    report = check.causality(model.logits, x)
    assert report.ok and report.values["used of the allowed dependencies"] == "120 of 120" and not report.notes


def test_a_label_changes_nothing_of_that():
    model = small((4, 4, 1), layers=3, classes=2)
    labels = mg.tensor([0, 1, 1])
    x = np.random.default_rng(0).standard_normal((3, 4, 4, 1))
    report = check.causality(lambda x: model.logits(x, labels), x)
    assert report.ok and report.values["used of the allowed dependencies"] == "120 of 120"


def test_the_vertical_stack_knows_the_rows_above_alone():
    model, x = small((4, 4, 1), layers=2), np.random.default_rng(0).standard_normal((1, 4, 4, 1))
    before_, moved = mg.tensor(x), x.copy()
    moved[:, 2] += 1                                                              # a whole row
    told = [model.vertical(v, model.biases(None)) for v in (before_, mg.tensor(moved))]
    for one, two in zip(*told):
        np.testing.assert_array_equal(one.numpy()[:, :3], two.numpy()[:, :3])
        assert (one.numpy()[:, 3] != two.numpy()[:, 3]).all()


def test_a_layer_is_the_formula():
    """Eqs. (1), (2) with 1 × 1 kernels, which leave the own pixel alone."""
    layer = shaken(GatedLayer(2, 2, 1, "B", classes=3, rng=0))
    rng = np.random.default_rng(0)
    v, h = rng.standard_normal((2, 2, 3, 2, 2))
    w, labels = layer.state_dict(), mg.tensor([2, 0])
    c, e = layer.biases(labels)
    new, told = layer.vertical(mg.tensor(v), c)
    out = layer.horizontal(mg.tensor(h), told, e)
    chosen = w["label_biases.0.weight"][[2, 0]][:, None, None], w["label_biases.1.weight"][[2, 0]][:, None, None]
    a = v @ w["down.weight"][0, 0] + w["down.bias"]
    one, two = np.split(a + chosen[0], 2, axis=-1)
    np.testing.assert_allclose(new.numpy(), np.tanh(one) * expit(two), rtol=1e-10)
    b = h @ w["across.weight"][0, 0] + w["across.bias"] + a @ w["link.weight"] + w["link.bias"] + chosen[1]
    one, two = np.split(b, 2, axis=-1)
    expected = (np.tanh(one) * expit(two)) @ w["out.weight"][0, 0] + w["out.bias"] + h
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-10)


def test_places_break_the_symmetry_of_a_blank_image():
    """Far from every border a convolution gives one answer everywhere; told where it is, another at each place."""
    x = mg.zeros((1, 9, 9, 1), "float64")
    same = small((9, 9, 1), layers=1).logits(x).numpy()[0, 4:6, 4:6, 0]
    other = small((9, 9, 1), layers=1, places=True).logits(x).numpy()[0, 4:6, 4:6, 0]
    assert np.ptp(same) == 0 and len(np.unique(other)) == 4
