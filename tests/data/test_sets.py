"""The named sets: the bundled digits are whole, and MNIST is found, checked, refused as promised.

Tests on the real MNIST look for its IDX files where MINIGEN_DATA says, else in a folder ``shared/data`` beside the
repository.
"""
import dataclasses
import hashlib
import os
import runpy
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from minigen.data import DataError, digits, fashion_mnist, mnist, sets, write_idx

REPOSITORY = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("MINIGEN_DATA") or REPOSITORY / "../shared/data")
needs_mnist = pytest.mark.skipif(not [*REAL.glob("train-images-idx3*"), *REAL.glob("mnist/train-images-idx3*")],
                                 reason="needs MNIST's IDX files: set MINIGEN_DATA")
SPLITS = {"train": "train", "test": "t10k"}


@pytest.fixture(autouse=True)
def isolated(monkeypatch, tmp_path):
    """No test sees the user's cache or folder, or reaches the network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MINIGEN_DATA", raising=False)

    def offline(url, timeout):
        raise OSError("no network in this test")

    monkeypatch.setattr(urllib.request, "urlopen", offline)


def make_folder(folder, n=6, value=7, end=".gz", splits=SPLITS):
    """A small folder in MNIST's format, all its pixels ``value``."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        write_idx(folder / f"{SPLITS[split]}-images-idx3-ubyte{end}", np.full((n, 28, 28), value, "u1"))
        write_idx(folder / f"{SPLITS[split]}-labels-idx1-ubyte{end}", (np.arange(n) % 10).astype("u1"))
    return folder


# ---- the bundled digits ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("split, n, counts", [("train", 10_000, [941, 1132, 1032, 1022, 958, 925, 997, 1026, 978, 989]),
                                              ("test", 2_000, [189, 222, 212, 242, 196, 186, 158, 215, 193, 187])])
def test_digits(split, n, counts):
    data = digits(split)
    assert data["x"].shape == (n, 28, 28, 1) and data["x"].dtype == np.uint8
    assert data["y"].shape == (n,) and data["y"].dtype == np.int64
    assert np.bincount(data["y"]).tolist() == counts
    assert data["x"].min() == 0 and data["x"].max() == 255 and (data["x"].reshape(n, -1).max(axis=1) > 0).all()
    assert sets.fingerprint(data) == sets.DIGITS_SHA256[split]


def test_digits_are_small():
    assert sum(path.stat().st_size for path in sets.BUNDLED.iterdir()) < 2.2e6
    note = (sets.BUNDLED / "LICENSE.md").read_text()
    assert all(word in note for word in ("LeCun", "Cortes", "Burges", "ShareAlike 3.0"))


def test_split_is_checked():
    for function in (digits, mnist, fashion_mnist):
        with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'valid'"):
            function("valid")


def test_damaged_digits_are_refused(monkeypatch, tmp_path):
    copy = tmp_path / "bundled"
    shutil.copytree(sets.BUNDLED, copy)
    monkeypatch.setattr(sets, "BUNDLED", copy)
    assert len(digits("test")) == 2000
    path = copy / "t10k-images-idx3-ubyte.gz"
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    with pytest.raises(DataError, match="truncated.*the bundled digits are damaged, install minigen again"):
        digits("test")
    write_idx(path, sets.read_idx(copy / "train-images-idx3-ubyte.gz")[:2000])          # well-formed, but other pixels
    with pytest.raises(DataError, match="do not have the published SHA-256; the bundled digits are damaged"):
        digits("test")
    path.unlink()
    with pytest.raises(DataError, match="no such file; the bundled digits are damaged"):
        digits("test")


@needs_mnist
def test_digits_are_mnists_own():
    for split, stride in (("train", 6), ("test", 5)):
        whole, part = mnist(split, root=REAL), digits(split)
        np.testing.assert_array_equal(part["x"], whole["x"][::stride])
        np.testing.assert_array_equal(part["y"], whole["y"][::stride])


@needs_mnist
def test_script_makes_the_bundled_files(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["make_digits.py", "--source", str(REAL), "--out", str(tmp_path / "one")])
    runpy.run_path(str(REPOSITORY / "docs" / "make_digits.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert all(fingerprint in printed for fingerprint in sets.DIGITS_SHA256.values())
    for path in (tmp_path / "one").iterdir():       # the content: its compression may differ between releases of zlib
        np.testing.assert_array_equal(sets.read_idx(path), sets.read_idx(sets.BUNDLED / path.name))


def test_script_refuses_another_source(tmp_path, monkeypatch, capsys):
    source, out = make_folder(tmp_path / "in"), tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["make_digits.py", "--source", str(source), "--out", str(out)])
    with pytest.raises(SystemExit):
        runpy.run_path(str(REPOSITORY / "docs" / "make_digits.py"), run_name="__main__")
    assert "is not the published MNIST" in capsys.readouterr().err and not list(out.iterdir())


# ---- MNIST and Fashion-MNIST from folders ----------------------------------------------------------------------------
@needs_mnist
def test_mnist():
    train, test = mnist("train", root=REAL), mnist("test", root=REAL)
    assert train["x"].shape == (60_000, 28, 28, 1) and test["x"].shape == (10_000, 28, 28, 1)
    assert train["y"][:5].tolist() == [5, 0, 4, 1, 9] and np.bincount(test["y"]).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@needs_mnist
def test_mnist_is_not_fashion():
    with pytest.raises(DataError, match="this is mnist, not fashion-mnist"):
        fashion_mnist("test", root=REAL / "mnist" if (REAL / "mnist").is_dir() else REAL)


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("sub", ["", "mnist"])
def test_folder_direct_or_below_zipped_or_plain(tmp_path, monkeypatch, end, sub):
    make_folder(tmp_path / sub, end=end)
    for data in (mnist("test", root=tmp_path), mnist("test", root=str(tmp_path))):
        assert data["x"].shape == (6, 28, 28, 1) and data["x"].dtype == np.uint8 and (data["x"] == 7).all()
        assert data["y"].tolist() == list(range(6)) and data["y"].dtype == np.int64
    monkeypatch.setenv("MINIGEN_DATA", str(tmp_path))
    assert len(mnist("train")) == 6


def test_root_goes_before_the_environment_and_is_final(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGEN_DATA", str(make_folder(tmp_path / "env", value=1)))
    assert mnist(root=make_folder(tmp_path / "root", value=2))["x"].max() == 2
    (tmp_path / "void").mkdir()
    with pytest.raises(DataError, match="void: holds no pair train-images.* neither directly nor in mnist/"):
        mnist(root=tmp_path / "void")
    with pytest.raises(DataError, match="nowhere: there is no such folder"):
        mnist(root=tmp_path / "nowhere")


def test_own_subfolder_goes_first(tmp_path):
    make_folder(tmp_path, value=1)
    make_folder(tmp_path / "fashion-mnist", value=2)
    assert mnist(root=tmp_path)["x"].max() == 1 and fashion_mnist(root=tmp_path)["x"].max() == 2


def test_twins_are_told_apart(tmp_path, monkeypatch):
    folder = make_folder(tmp_path)
    plain = b"\0\0\x08\x01\0\0\0\x06" + bytes(range(6))
    monkeypatch.setattr(sets, "FASHION_MNIST", dataclasses.replace(
        sets.FASHION_MNIST, labels_md5=frozenset({hashlib.md5(plain, usedforsecurity=False).hexdigest()})))
    assert len(fashion_mnist(root=folder)) == 6
    with pytest.raises(DataError, match="this is fashion-mnist, not mnist, .* keep each in a subfolder"):
        mnist(root=folder)


def test_environment_without_the_set_falls_through(tmp_path, monkeypatch):
    make_folder(tmp_path, splits=["train"])
    monkeypatch.setenv("MINIGEN_DATA", str(tmp_path))
    with pytest.raises(DataError, match="neither in MINIGEN_DATA nor in the cache"):
        mnist("test", download=False)
    monkeypatch.setenv("MINIGEN_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataError, match="typo: there is no such folder; correct MINIGEN_DATA"):
        mnist("test")


@pytest.mark.parametrize("images, labels, reason", [
    (np.zeros((3, 28, 28), "f4"), np.zeros(3, "u1"), "images.*wants uint8 images .* float32"),
    (np.zeros((3, 32, 32), "u1"), np.zeros(3, "u1"), r"images.*it holds uint8 \(3, 32, 32\)"),
    (np.zeros((3, 28, 28), "u1"), np.zeros(4, "u1"), "labels.*for each of 3 images"),
    (np.zeros((3, 28, 28), "u1"), np.array([0, 1, 10], "u1"), "labels.*from 0 to 9"),
])
def test_files_that_do_not_fit(tmp_path, images, labels, reason):
    write_idx(tmp_path / "train-images-idx3-ubyte", images)
    write_idx(tmp_path / "train-labels-idx1-ubyte", labels)
    with pytest.raises(DataError, match=reason):
        mnist(root=tmp_path)


# ---- from the cache, and by download ---------------------------------------------------------------------------------
@pytest.fixture
def published(tmp_path, monkeypatch):
    """A small stand-in for the published MNIST, served by a mirror that counts."""
    folder, asked = make_folder(tmp_path / "published"), []
    contents = {name: (folder / name).read_bytes() for name in sets.MNIST.files}
    files = {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()}
    monkeypatch.setattr(sets, "MNIST", dataclasses.replace(sets.MNIST, mirrors=("mirror://",), files=files))

    def urlopen(url, timeout):
        assert timeout > 0
        asked.append(url.rpartition("/")[2])
        return open(folder / asked[-1], "rb")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return asked


def test_download_then_cache(published, tmp_path):
    assert len(mnist("train")) == 6
    assert published == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    assert sorted(os.listdir(tmp_path / "cache" / "minigen" / "mnist")) == sorted(published)
    assert len(mnist("train", download=False)) == 6 and len(published) == 2
    assert len(mnist("test")) == 6 and len(published) == 4


def test_damaged_cache_is_fetched_again(published, tmp_path):
    mnist("train")
    path = tmp_path / "cache" / "minigen" / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="nor in the cache"):
        mnist("train", download=False)
    assert len(mnist("train")) == 6 and published[2:] == [path.name]


def test_offline_says_what_to_do(monkeypatch):
    for function in (mnist, fashion_mnist):
        with pytest.raises(DataError) as caught:
            function()
        message = str(caught.value)
        assert "no network in this test" in message and "set MINIGEN_DATA" in message and "\n" not in message


@pytest.mark.parametrize("source", [sets.MNIST, sets.FASHION_MNIST], ids=lambda source: source.name)
def test_sources_are_well_formed(source):
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in source.mirrors)
    assert list(source.files) == [f"{prefix}-{kind}.gz" for prefix in ("train", "t10k") for kind in sets.KINDS]
    assert all(size > 1000 and len(bytes.fromhex(sha256)) == 32 for size, sha256 in source.files.values())


def test_import_is_light():
    code = ("import sys, minigen.data; heavy = 'matplotlib', 'tqdm', 'urllib.request', 'http.client', 'cupy', 'scipy'; "
            "print([name for name in heavy if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
