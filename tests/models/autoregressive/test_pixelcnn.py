"""PixelCNN: its blind spot is the one that Eq. (4) tells, whatever its depth; its residual blocks."""
import numpy as np
import pytest
from models.autoregressive.sight import before, region, seen, shaken

import minigen as mg
from minigen import check
from minigen.models.autoregressive import PixelCNN

pytestmark = pytest.mark.usefixtures("backend")


def rule(first, each, blocks):
    """Eq. (4): reaches R₁ and R, and B blocks."""
    def is_seen(d, k):
        reach = first + blocks * each
        right = first + each * min(blocks, d - 1) if d else -1
        return before(d, k) and d <= reach and -reach <= k <= right
    return is_seen


@pytest.mark.parametrize("shape, first_kernel, kernel, blocks", [
    ((6, 7, 1), 3, 3, 1), ((6, 7, 1), 3, 3, 3), ((7, 7, 1), 5, 3, 1), ((5, 9, 1), 5, 5, 1), ((3, 4, 3), 3, 3, 1)])
def test_what_it_sees_is_what_the_paper_draws(shape, first_kernel, kernel, blocks):
    model = shaken(PixelCNN(shape, hidden=6, blocks=blocks, first_kernel=first_kernel, kernel=kernel, head_width=12))
    expected = region(shape, rule(first_kernel // 2, kernel // 2, blocks))
    np.testing.assert_array_equal(seen(model), expected)


def test_the_blind_spot_is_there_however_deep_it_is():
    """3 × 3 kernels throughout: to the right of the diagonal nothing is seen, to the left everything."""
    model = shaken(PixelCNN((5, 5, 1), hidden=6, blocks=6, first_kernel=3, head_width=12))
    expected = region((5, 5, 1), lambda d, k: before(d, k) and k <= d)
    np.testing.assert_array_equal(seen(model), expected)
    missing = region((5, 5, 1), before) & ~expected
    assert missing[2, 1, 0, 1, 3, 0] and missing.sum() == 35                     # the pixel two to the right, a row up


def test_sees_is_a_row_of_the_jacobian():
    model = shaken(PixelCNN((4, 5, 1), hidden=6, blocks=1, first_kernel=3, head_width=12))
    found = model.sees((2, 3), images=12)
    np.testing.assert_array_equal(found, seen(model)[2, 3, 0, :, :, 0])


def test_the_check_agrees_and_speaks_of_the_blind_spot():
    model = shaken(PixelCNN((4, 5, 1), hidden=6, blocks=4, first_kernel=3, head_width=12))
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 1))
    report = check.causality(model.logits, x)
    assert report.ok and "a blind spot" in report.notes[0]
    assert not check.causality(model.logits, x, order=np.arange(20)[::-1]).ok


def test_a_first_layer_of_mask_b_is_caught():
    """The pixel would be shown to its own prediction."""
    model = shaken(PixelCNN((3, 3, 1), hidden=4, blocks=1, first_kernel=3, head_width=4))
    model.first = shaken(mg.nn.MaskedConv2d(1, 8, 3, "B", rng=0))
    report = check.causality(model.logits, np.random.default_rng(0).standard_normal((3, 3, 3, 1)))
    assert report.findings[0].diagnosis.kind == "own-input"


def test_a_block_is_the_formula():
    """Eq. (2) at one pixel, its neighbours gathered by hand."""
    block = shaken(PixelCNN((3, 3, 1), hidden=2, blocks=1, head_width=2)).blocks[0]
    y = np.random.default_rng(0).standard_normal((1, 3, 3, 4))
    w = block.state_dict()
    h = np.maximum(np.maximum(y, 0) @ w["narrow.weight"][0, 0] + w["narrow.bias"], 0)
    mixed = w["mix.bias"].copy()
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0)):
        mixed += h[0, 1 + dy, 1 + dx] @ w["mix.weight"][1 + dy, 1 + dx]
    expected = y[0, 1, 1] + np.maximum(mixed, 0) @ w["widen.weight"][0, 0] + w["widen.bias"]
    np.testing.assert_allclose(block(mg.tensor(y)).numpy()[0, 1, 1], expected, rtol=1e-12)
