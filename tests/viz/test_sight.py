"""Receptive fields: every pixel has the colour of what it is, and the share is counted."""
import numpy as np
import pytest
from matplotlib.colors import to_hex

import minigen as mg
from minigen.viz import receptive_fields
from minigen.viz.figure import INK
from minigen.viz.sight import BLIND, LATER, SEEN


def test_each_pixel_is_coloured_by_what_it_is(tmp_path):
    field = np.array([[False, True, False], [True, False, False]])
    figure = receptive_fields({"one": field, "two": mg.tensor(field)}, (1, 1), tmp_path / "f.png", title="fields")
    mesh = figure.axes[0].collections[0]
    mesh.update_scalarmappable()
    colours = [to_hex(colour) for colour in mesh.get_facecolors()]
    assert colours == [to_hex(c) for c in (BLIND, SEEN, BLIND, SEEN, INK, LATER)]
    assert figure.axes[1].get_title() == "two\nsees 50% of what comes before" and len(figure.axes) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "the pixel", "seen", "before it, not seen", "after it"]
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_the_first_pixel_has_nothing_before_it():
    assert "sees 0%" in receptive_fields({"a": np.zeros((2, 2))}, (0, 0)).axes[0].get_title()


@pytest.mark.parametrize("fields, pixel, words", [
    ({"a": np.zeros((2, 3)), "b": np.zeros((3, 2))}, (0, 0), r"of one shape, got \(2, 3\), \(3, 2\)"),
    ({"a": np.zeros(4)}, (0, 0), r"fields \(H, W\)"),
    ({"a": np.zeros((2, 3))}, (2, 0), r"the pixel \(2, 0\) lies outside of the fields \(2, 3\)")])
def test_bad_input(fields, pixel, words):
    with pytest.raises(ValueError, match=words):
        receptive_fields(fields, pixel)
