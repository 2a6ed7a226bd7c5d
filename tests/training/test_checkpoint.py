"""Checkpoints: what goes in comes out; damaged, hostile and half-written files are refused and cost nothing."""
import json
import os
import pathlib
import pickle
import stat
import struct
import subprocess
import sys
import textwrap
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigen as mg
from minigen.training import checkpoint
from minigen.training.checkpoint import CheckpointError

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
ARRAYS = hnp.arrays(st.sampled_from(["bool", "i1", ">i2", "i8", "u4", "f2", "f4", ">f8"]),
                    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
TREES = st.recursive(SCALARS | ARRAYS, lambda t: st.lists(t, max_size=3) | st.dictionaries(
    st.text(max_size=5).filter(lambda key: key != "$array"), t, max_size=3), max_leaves=8)


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype.newbyteorder(a.dtype.byteorder) and a.tobytes() == b.astype(
            a.dtype).tobytes()
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


# ---- round trip ------------------------------------------------------------------------------------------------------
@given(tree=TREES)
def test_round_trip(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("round") / "tree.mgc"
    checkpoint.save(path, tree)
    assert same(tree, checkpoint.load(path))
    assert os.listdir(path.parent) == ["tree.mgc"]


def test_tensors_tuples_views_and_big_integers(tmp_path):
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    tree = {"tensor": mg.tensor([1.0, 2.0]), "pair": (1, "b"), "view": base[::2, ::-1].T, "state": 2 ** 127,
            "nan": float("nan"), "scalar": np.float32(0.5)}
    checkpoint.save(tmp_path / "a", tree)
    back = checkpoint.load(tmp_path / "a")
    np.testing.assert_array_equal(back["tensor"], np.float32([1, 2]))
    np.testing.assert_array_equal(back["view"], tree["view"])
    assert back["pair"] == [1, "b"] and back["state"] == 2 ** 127 and back["scalar"] == 0.5
    assert np.isnan(back["nan"])
    back["view"][0, 0] = 7                                                   # what comes back is the reader's own


def test_what_cannot_be_saved(tmp_path):
    for tree, message in [({"a": [object()]}, "save: /a/0 is a object"), ({1: 2}, "key 1 at the top must be a string"),
                          ({"a": {"$array": 0}}, r"key '\$array' at /a"),
                          ({"a": np.array([1j])}, "an array of complex128"),
                          ({"a": np.array(["x"])}, "an array of <U1")]:
        with pytest.raises(TypeError, match=message):
            checkpoint.save(tmp_path / "a", tree)
    assert not os.listdir(tmp_path)


# ---- damaged files ---------------------------------------------------------------------------------------------------
@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "run.mgc"
    checkpoint.save(path, {"step": 3, "weights": np.arange(10.0), "names": ["a", np.ones((2, 3), dtype=np.int32)]})
    return path


def test_every_truncation_is_refused(saved):
    data = saved.read_bytes()
    for length in range(len(data)):
        saved.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match="run.mgc: .*(truncated|empty|not a minigen checkpoint)"):
            checkpoint.load(saved)


def test_every_flipped_byte_is_refused(saved):
    data = saved.read_bytes()
    for i in range(len(data)):
        saved.write_bytes(data[:i] + bytes([data[i] ^ 0x10]) + data[i + 1:])
        with pytest.raises(CheckpointError, match="run.mgc: "):
            checkpoint.load(saved)


def test_each_reason_is_told(saved):
    data = saved.read_bytes()
    flipped = data[:-1] + bytes([data[-1] ^ 1])
    newer = data[:8] + struct.pack("<I", 2) + data[12:]
    for damaged, message in [(b"", "the file is empty"),
                             (b"PK\3\4 a zip archive, perhaps an .npz", "not a minigen checkpoint"),
                             (pickle.dumps({"a": 1}), "not a minigen checkpoint"),
                             (newer, "version 2, .* reads version 1"),
                             (data + b"x", "altered: the header promises 104 bytes of arrays, and 105 bytes follow"),
                             (data[:-1], "truncated: the header promises 104 bytes of arrays, and 103"),
                             (flipped, r"the CRC-32 of array 1, of shape \(2, 3\), does not match"),
                             (data[:30] + b"?" + data[31:], "the header's CRC-32 does not match")]:
        saved.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=message):
            checkpoint.load(saved)
    with pytest.raises(FileNotFoundError):
        checkpoint.load(saved.with_name("nothing"))


# ---- hostile files ---------------------------------------------------------------------------------------------------
def forged(path, header, body=b"", length=None):
    """A file whose checksums are right and whose header says what we like."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(checkpoint.PREFIX.pack(checkpoint.MAGIC, 1, zlib.crc32(text), length or len(text)) + text + body)
    return path


def claim(shape, dtype="<f4", crc32=0):
    return {"tree": {"$array": 0}, "arrays": [{"dtype": dtype, "shape": shape, "crc32": crc32}]}


@pytest.mark.parametrize("header, message", [
    (claim([10 ** 9]), "truncated: the header promises 4000000000 bytes"),
    (claim([2 ** 40, 2 ** 40]), "truncated: the header promises"),
    (claim([0, 2 ** 47, 2 ** 47]), "no valid shape"),
    (claim([-1]), "no valid shape"),
    (claim([1.5]), "no valid shape"),
    (claim([True]), "no valid shape"),
    (claim("12"), "no valid shape"),
    (claim([1] * 100), "no valid shape"),
    (claim([1], dtype="|O"), "dtype '|O'"),
    (claim([1], dtype=["<f4"]), "has dtype"),
    ({"tree": {"$array": 5}, "arrays": []}, "asks for array 5, and there are 0"),
    ({"tree": {"$array": True}, "arrays": []}, "asks for array True"),
    ({"tree": {}, "arrays": {}}, "lacks its tree or its list of arrays"),
    ({"arrays": []}, "lacks its tree"),
    ({"tree": {}, "arrays": [7]}, "array 0 has dtype None"),
    ([], "lacks its tree"),
    (b"{not json", "no readable JSON"),
    (b"\xff\xfe", "no readable JSON"),
    (b'{"tree": ' + b"9" * 5000 + b', "arrays": []}', "no readable JSON"),
    (b'{"tree": ' + b"[" * 100_000 + b"]" * 100_000 + b', "arrays": []}', "nested too deeply"),
    (b'{"tree": ' + b"[" * 200 + b"]" * 200 + b', "arrays": []}', None),
])
def test_hostile_headers(header, message, tmp_path):
    path = forged(tmp_path / "stranger.mgc", header)
    tracemalloc.start()
    try:
        if message is None:
            checkpoint.load(path)                                            # deep, but readable
        else:
            with pytest.raises(CheckpointError, match=f"stranger.mgc: .*{message}"):
                checkpoint.load(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20                 # nothing near what was promised
    finally:
        tracemalloc.stop()


def test_hostile_header_length(tmp_path):
    with pytest.raises(CheckpointError, match="the header is 9000000000000000000 bytes long"):
        checkpoint.load(forged(tmp_path / "a", {}, length=9 * 10 ** 18))


# ---- atomicity -------------------------------------------------------------------------------------------------------
def test_a_failed_write_keeps_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(saved, {"step": 4})
    assert saved.read_bytes() == before


def test_on_disk_before_it_is_named(saved, monkeypatch):
    """The order is: write, sync the file, rename, sync the folder."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def noted(descriptor):
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)
    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    checkpoint.save(saved, {"step": 4})
    assert calls == ["file", "rename", "folder"]


def test_killed_while_saving(tmp_path):
    """SIGKILL at five moments of a save: the file is always the old one or the new one, and the next save succeeds."""
    script = textwrap.dedent("""
        import io, os, signal, sys
        import numpy as np
        from minigen.training import checkpoint
        path, moment = sys.argv[1], sys.argv[2]
        die = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
        checkpoint.save(path, {"step": 1, "a": np.zeros(100_000)})
        replace, crc32 = os.replace, checkpoint.zlib.crc32
        if moment == "before writing":
            checkpoint.zlib.crc32 = die
        elif moment == "after the header":
            class Half(io.FileIO):
                writes = 0
                def write(self, data):
                    self.writes += 1
                    if self.writes == 3:
                        super().write(memoryview(data).cast("B")[:1000])
                        die()
                    return super().write(data)
            checkpoint.open = Half
        elif moment == "before the sync":
            os.fsync = die
        elif moment == "before the rename":
            os.replace = die
        else:
            os.replace = lambda a, b: (replace(a, b), die())
        checkpoint.save(path, {"step": 2, "a": np.ones(100_000)})
    """)
    for moment in ["before writing", "after the header", "before the sync", "before the rename", "after the rename"]:
        path = tmp_path / moment.replace(" ", "-")
        done = subprocess.run([sys.executable, "-c", script, str(path), moment], cwd=ROOT, timeout=120)
        assert done.returncode == -9, moment
        tree = checkpoint.load(path)
        assert tree["step"] == (2 if moment == "after the rename" else 1), moment
        assert (tree["a"] == tree["step"] - 1).all()
        checkpoint.save(path, {"step": 3})
        assert checkpoint.load(path) == {"step": 3}
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]
