"""Reader and writer of IDX, the format in which MNIST and its relatives are published, gzipped or plain.

    bytes 0-1   zero
    byte  2     element type: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64
    byte  3     number of axes, n
    then        n lengths, 4 bytes each, unsigned
    then        the elements, last axis fastest; all numbers big-endian

A file from a stranger may claim anything, so nothing is believed before it is checked: the header's promise is compared
with what the file can possibly hold, and then memory grows only as fast as real data arrive, up to the promise and no
further.
"""
import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_AXES = 8                   # published files have at most four
MOST_BYTES = 2 ** 30            # the largest published IDX file, EMNIST by class, has 547 MB
DEFLATE_RATIO = 1032            # no deflate stream expands further: 258 bytes from 2 bits
CHUNK = 2 ** 20                 # bytes read at a time


class DataError(ValueError):
    """A data file is missing, damaged or not what it claims to be. The message names the file and the reason."""


def read_idx(path, max_bytes=MOST_BYTES):
    """Read an IDX file, gzipped or plain (told apart by content, not by name).

    Args:
        path: of the file.
        max_bytes: refuse a file whose header promises more than this many bytes of elements.

    Returns a writable array of the file's shape and type, in this machine's byte order. Raises DataError, before memory
    is taken, for a file that is missing, not IDX, absurdly large, truncated, corrupt, or longer than its header says.
    """
    path = Path(path)
    if not path.is_file():          # also keeps us from waiting on a pipe or reading a device
        raise DataError(f"{path}: " + ("is not a regular file" if path.exists() else "no such file"))
    try:
        with path.open("rb") as plain:
            zipped = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            held = os.fstat(plain.fileno()).st_size
            with gzip.GzipFile(fileobj=plain) if zipped else plain as file:
                dtype, shape = _read_header(file)
                promised = dtype.itemsize * math.prod(shape)         # Python integers do not overflow
                _check_size(promised, dtype, shape, held, zipped, max_bytes)
                elements = _read_elements(file, promised)
    except EOFError:
        raise DataError(f"{path}: truncated, the gzip stream ends too early") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: corrupt gzip ({error})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    return np.frombuffer(elements, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read_header(file):
    """The dtype and shape an IDX header claims. Raises ValueError with the reason if it is not a header."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise ValueError(f"not an IDX file, its first bytes are {magic.hex(' ') or 'missing'} where "
                         "00 00, a type from 08 to 0e and a number of axes are wanted")
    axes = magic[3]
    if not 1 <= axes <= MOST_AXES:
        raise ValueError(f"its header claims {axes} axes, wanted 1 to {MOST_AXES}")
    lengths = file.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise ValueError(f"truncated, its header claims {axes} axes and ends before their lengths do")
    return np.dtype(TYPES[magic[2]]), struct.unpack(f">{axes}I", lengths)


def _check_size(promised, dtype, shape, held, zipped, max_bytes):
    """Refuse a promise that is absurd, or that a file of ``held`` bytes cannot keep."""
    claim = f"its header promises {promised} bytes of elements (shape {shape}, {dtype.name})"
    extent = dtype.itemsize * math.prod(max(length, 1) for length in shape)      # an axis of 0 may hide absurd others
    if extent > max_bytes:
        raise ValueError(f"{claim}, over the limit of {max_bytes}; pass a larger max_bytes if you trust it")
    if zipped:
        if promised > DEFLATE_RATIO * held:
            raise ValueError(f"truncated, {claim}, more than gzip can hold in the {held} bytes of this file")
        return
    present = held - 4 - 4 * len(shape)
    if present != promised:
        fault = "truncated" if present < promised else "too long"
        raise ValueError(f"{fault}, {claim}, but {present} follow")


def _read_elements(file, promised):
    """Exactly ``promised`` bytes, then the end of the file."""
    elements = bytearray()
    while len(elements) < promised:
        chunk = file.read(min(CHUNK, promised - len(elements)))
        if not chunk:
            raise ValueError(f"truncated, its header promises {promised} bytes of elements, but {len(elements)} follow")
        elements += chunk
    if file.read(1):            # for gzip this last read also verifies the checksum
        raise ValueError(f"too long, its header promises {promised} bytes of elements, but more follow")
    return elements


def write_idx(path, array):
    """Write an array as IDX, gzipped if the path ends in ``.gz``: the same bytes whenever and under whatever name.

    Raises ValueError for a dtype or number of axes that IDX lacks.
    """
    array = np.asarray(array)
    codes = {np.dtype(name).newbyteorder("="): code for code, name in TYPES.items()}
    code = codes.get(array.dtype.newbyteorder("="))
    if code is None or not 1 <= array.ndim <= MOST_AXES:
        raise ValueError(f"write_idx: cannot store {array.dtype} with {array.ndim} axes; IDX holds "
                         f"{', '.join(dtype.name for dtype in codes)} with 1 to {MOST_AXES} axes")
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    with open(path, "wb") as file:
        content = header + array.astype(TYPES[code], copy=False).tobytes()
        if str(path).endswith(".gz"):
            with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as zipped:
                zipped.write(content)
        else:
            file.write(content)
