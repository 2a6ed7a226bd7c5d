"""IDX: what is written comes back, and no file, however hostile, does anything but raise DataError."""
import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigen.data import DataError, read_idx, write_idx

DTYPES = ["u1", "i1", "i2", "i4", "f4", "f8"]
arrays = hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))


def header(*lengths, code=0x08):
    return struct.pack(f">HBB{len(lengths)}I", 0, code, len(lengths), *lengths)


@given(array=arrays, zipped=st.booleans())
def test_round_trip(tmp_path, array, zipped):
    path = tmp_path / ("a.gz" if zipped else "a")
    write_idx(path, array)
    back = read_idx(path)
    assert back.dtype == array.dtype and back.dtype.isnative and back.flags.writeable
    np.testing.assert_array_equal(back, array)


def test_bytes_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "a", np.array([[1, 2], [3, -4]], "i2"))
    assert (tmp_path / "a").read_bytes() == bytes.fromhex("00000b02 00000002 00000002 0001 0002 0003 fffc")
    (tmp_path / "b").write_bytes(bytes.fromhex("00000d01 00000001 3fc00000"))
    assert read_idx(tmp_path / "b").tolist() == [1.5]


def test_gzip_is_reproducible_and_told_by_content(tmp_path):
    for name in ("one.gz", "two.gz"):
        write_idx(tmp_path / name, np.arange(100, dtype="i4"))
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    (tmp_path / "plainly-named").write_bytes((tmp_path / "one.gz").read_bytes())
    assert read_idx(tmp_path / "plainly-named").tolist() == list(range(100))


@pytest.mark.parametrize("array", [np.zeros(3, "u2"), np.zeros(3, bool), np.zeros(3, "i8"), np.float32(1),
                                   np.zeros((1,) * 9, "u1")])
def test_write_refuses_what_idx_lacks(tmp_path, array):
    with pytest.raises(ValueError, match="write_idx: cannot store"):
        write_idx(tmp_path / "a", array)


BAD = {
    "empty": (b"", "not an IDX file, its first bytes are missing"),
    "short magic": (b"\0\0\x08", "not an IDX file, its first bytes are 00 00 08"),
    "wrong magic": (b"\x89PNG\r\n\x1a\n" + bytes(20), "not an IDX file, its first bytes are 89 50 4e 47"),
    "unknown type": (header(2, code=0x0A) + bytes(2), "not an IDX file"),
    "no axes": (b"\0\0\x08\0" + bytes(1), "claims 0 axes"),
    "many axes": (b"\0\0\x08\xff" + bytes(4 * 255), "claims 255 axes"),
    "lengths missing": (header(2, 3)[:-2], "ends before their lengths do"),
    "truncated": (header(3, 4) + bytes(11),
                  r"truncated, its header promises 12 bytes of elements \(shape \(3, 4\), uint8\), but 11 follow"),
    "trailing": (header(3, 4) + bytes(13), "too long, its header promises 12 bytes .* but 13 follow"),
    "2^40 bytes": (header(2 ** 20, 2 ** 20), "promises 1099511627776 bytes .* over the limit"),
    "overflowing": (header(*[2 ** 32 - 1] * 8, code=0x0E), "over the limit"),
    "hidden by a zero": (header(0, *[2 ** 32 - 1] * 7), "over the limit"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("zipped", [False, True])
def test_bad_file(tmp_path, name, zipped):
    content, reason = BAD[name]
    if zipped and name in ("truncated", "trailing"):
        reason = reason.split(",")[0]
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError, match=reason) as caught:
        read_idx(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and len(message) < 600


def test_limit_can_be_raised_and_lowered(tmp_path):
    write_idx(tmp_path / "a", np.zeros(100, "u1"))
    assert len(read_idx(tmp_path / "a", max_bytes=100)) == 100
    with pytest.raises(DataError, match="over the limit of 99; pass a larger max_bytes"):
        read_idx(tmp_path / "a", max_bytes=99)


def test_gzip_faults(tmp_path):
    path = tmp_path / "a.gz"
    write_idx(path, np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8))
    good = path.read_bytes()
    for content, reason in [(good[:3000], "truncated, the gzip stream ends too early"), (good[:-4], "truncated"),
                            (good[:-8] + bytes(8), "corrupt gzip .*CRC"), (good + b"garbage", "corrupt gzip"),
                            (good[:10] + b"\xff" * 10 + good[20:], "corrupt gzip"), (b"\x1f\x8b", "truncated"),
                            (good + gzip.compress(b"more"), "too long")]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=reason):
            read_idx(path)


def test_missing_and_odd_paths(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such file"):
        read_idx(tmp_path / "nowhere")
    with pytest.raises(DataError, match="not a regular file"):
        read_idx(tmp_path)
    with pytest.raises(DataError, match="not a regular file"):
        read_idx("/dev/zero")


HOSTILE = {
    "plain header alone": header(2 ** 10, 2 ** 19),
    "more than gzip can hold": gzip.compress(header(2 ** 29)),
    "bomb behind an honest promise": gzip.compress(header(1000) + bytes(2 ** 26)),
    "gzip that stops": gzip.compress(header(2 ** 29) + np.random.default_rng(0).bytes(2 ** 20)),
    "bomb in the header": gzip.compress(bytes(2 ** 26)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_takes_no_memory(tmp_path, name):
    path = tmp_path / "a"
    path.write_bytes(HOSTILE[name])
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * 2 ** 20


@given(data=st.data(), zipped=st.booleans())
def test_every_prefix_is_refused(tmp_path, data, zipped):
    path = tmp_path / ("a.gz" if zipped else "a")
    write_idx(path, np.arange(60, dtype="i4").reshape(3, 4, 5))
    content = path.read_bytes()
    path.write_bytes(content[:data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataError):
        read_idx(path)


@given(data=st.data())
def test_a_flipped_byte_in_gzip_never_changes_the_array(tmp_path, data):
    path, array = tmp_path / "a.gz", np.arange(60, dtype="i4").reshape(3, 4, 5)
    write_idx(path, array)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        back = read_idx(path)
    except DataError:
        return
    np.testing.assert_array_equal(back, array)      # the flip met a field without meaning, such as the time


@given(content=st.binary(max_size=64),
       magic=st.sampled_from([b"", b"\0\0\x08\x01\0\0\0", b"\0\0\x0e\x02", b"\x1f\x8b\x08"]))
def test_random_bytes_raise_nothing_else(tmp_path, content, magic):
    path = tmp_path / "a"
    path.write_bytes(magic + content)
    try:
        read_idx(path)
    except DataError as error:
        assert str(path) in str(error)
