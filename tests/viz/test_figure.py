"""Saving is atomic and honest about failure; arrays come to the host from anywhere."""
import os
import stat

import numpy as np
import pytest
from matplotlib.figure import Figure

import minigen as mg
from minigen.viz import figure as shared

PNG = b"\x89PNG\r\n\x1a\n"


def test_save_writes_a_png_at_our_resolution_and_returns_the_path(tmp_path):
    path = tmp_path / "new" / "folder" / "picture.png"
    assert shared.save(Figure(figsize=(2, 1)), path) == path
    content = path.read_bytes()
    assert content.startswith(PNG)
    width, height = (int.from_bytes(content[i:i + 4], "big") for i in (16, 20))
    assert (width, height) == (2 * shared.DPI, shared.DPI)


def test_the_suffix_chooses_the_format(tmp_path):
    assert b"<svg" in shared.save(Figure(figsize=(1, 1)), tmp_path / "a.svg").read_bytes()
    assert shared.save(Figure(figsize=(1, 1)), str(tmp_path / "a")) == str(tmp_path / "a")
    assert (tmp_path / "a").read_bytes().startswith(PNG)


def test_an_unknown_format_leaves_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match="gnp"):
        shared.save(Figure(), tmp_path / "a.gnp")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_drawing_keeps_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    shared.save(Figure(figsize=(1, 1)), path)
    before = path.read_bytes()

    def half(self, file, **settings):
        file.write(PNG)
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(KeyboardInterrupt):
        shared.save(Figure(figsize=(2, 2)), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_the_file_has_the_mode_of_any_new_file(tmp_path):
    path = shared.save(Figure(figsize=(1, 1)), tmp_path / "a.png")
    (tmp_path / "b").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode)


def test_host_takes_tensors_arrays_and_lists(backend):
    tensor = mg.tensor([1.0, 2.0])
    for values in (tensor, tensor._array, [1.0, 2.0], np.array([1.0, 2.0])):
        array = shared.host(values)
        assert type(array) is np.ndarray and array.tolist() == [1.0, 2.0]
