r"""Checkpoints: nested dicts and lists of arrays, numbers and strings in one file, safe to open from strangers.

    save("run/checkpoint.mgc", {"step": 100, "model": model.state_dict()})
    tree = load("run/checkpoint.mgc")

The file, all numbers little-endian:

    bytes 0-7      magic, b"minigen" and a zero byte
    8-11           version of this format, uint32
    12-15          CRC-32 of the header, uint32
    16-23          length of the header in bytes, uint64
    24-…           header: JSON, ``{"tree": …, "arrays": [{"dtype", "shape", "crc32"}, …]}``; in the tree
                   ``{"$array": i}`` stands for array i
    then           the arrays' bytes in C order, one after the other, up to the end of the file

Why not pickle: opening one runs whatever code it contains. Why not ``.npz``: its sizes stand in zip directories and
``.npy`` headers that can promise gigabytes, and compressed members can expand into them. Here everything the header
promises is compared with the length of the file before memory is taken, and the header is held to 64 MiB.

Writing is atomic: the new file grows beside the old one, is flushed to the disk, and takes the old one's name in one
step. A process killed at any moment leaves either the old checkpoint or the new one, whole; at worst a ``.part`` file
beside it, which the next `save` overwrites.
"""
import json
import math
import os
import pathlib
import struct
import zlib

import numpy as np

from minigen.tensor import Tensor

MAGIC, VERSION = b"minigen\0", 1
PREFIX = struct.Struct("<8sIIQ")                        # magic, version, CRC-32 of the header, length of the header
HEADER_LIMIT = 64 << 20                                 # bytes; a header holds names and numbers, never data
DTYPES = {np.dtype(kind).newbyteorder("<").str: np.dtype(kind).newbyteorder("<") for kind in
          "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split()}


class CheckpointError(ValueError):
    """A file that is no checkpoint, or no longer whole. The message names the file and the reason."""


# ---- writing ---------------------------------------------------------------------------------------------------------
def save(path, tree):
    """Write ``tree`` to ``path``, atomically: until the new file is complete on disk, the old one stays.

    Args:
        tree: dicts (with string keys), lists and tuples of arrays, Tensors, numbers, strings, booleans and None,
            nested at will. Tuples come back as lists, Tensors as NumPy arrays.

    Raises TypeError for anything else, naming where it stands; OSError if the disk is full or not writable.
    """
    path, arrays = pathlib.Path(path), []
    tree = _pack(tree, arrays, "")
    facts = [{"dtype": a.dtype.str, "shape": a.shape, "crc32": zlib.crc32(a)} for a in arrays]
    header = json.dumps({"tree": tree, "arrays": facts}, separators=(",", ":")).encode()
    if len(header) > HEADER_LIMIT:
        raise ValueError(f"save: {len(header)} bytes of names and numbers are over the limit of {HEADER_LIMIT}; hold "
                         "long lists of numbers as arrays")
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        file.write(PREFIX.pack(MAGIC, VERSION, zlib.crc32(header), len(header)))
        file.write(header)
        for array in arrays:
            file.write(array)
        file.flush()
        os.fsync(file.fileno())                         # the bytes are on disk before the name points at them
    os.replace(part, path)
    _sync_folder(path.parent)                           # and so is the name


def _pack(value, arrays, where):
    """``value`` as JSON can hold it; its arrays are appended to ``arrays``, C-contiguous and little-endian."""
    if isinstance(value, dict):
        bad = [key for key in value if not isinstance(key, str) or key == "$array"]
        if bad:
            raise TypeError(f"save: the key {bad[0]!r} at {where or 'the top'} must be a string other than '$array'")
        return {key: _pack(v, arrays, f"{where}/{key}") for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_pack(v, arrays, f"{where}/{i}") for i, v in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    array = value.numpy() if isinstance(value, Tensor) else value
    if not isinstance(array, np.ndarray) or array.dtype.newbyteorder("<").str not in DTYPES:
        kind = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else f"a {type(value).__name__}"
        raise TypeError(f"save: {where or 'the tree'} is {kind}; a checkpoint holds dicts, lists, strings, numbers, "
                        "None, and NumPy arrays or Tensors of real numbers or booleans")
    arrays.append(array.astype(array.dtype.newbyteorder("<"), order="C", copy=False))
    return {"$array": len(arrays) - 1}


def _sync_folder(folder):
    if os.name == "posix":                              # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---- reading ---------------------------------------------------------------------------------------------------------
def load(path):
    """Read the tree that `save` wrote, with arrays as NumPy arrays.

    Runs no code from the file, and takes no memory for an array before the file is known to hold it. Raises
    CheckpointError for a file that is no checkpoint, was written by a newer format, is truncated, or was altered
    (CRC-32); FileNotFoundError.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            header = _read_header(file, size)
            layouts = _layouts(header["arrays"], size - file.tell())
            arrays = [_read_array(file, i, *layout) for i, layout in enumerate(layouts)]
            return _unpack(header["tree"], arrays)
        except RecursionError:
            raise CheckpointError(f"{path}: corrupt: its tree is nested too deeply") from None
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None


def _read_header(file, size):
    prefix = file.read(PREFIX.size)
    magic, version, crc, length = PREFIX.unpack(prefix.ljust(PREFIX.size, b"\0"))
    if magic != MAGIC:
        raise CheckpointError("not a minigen checkpoint (its first bytes differ)" if prefix else "the file is empty")
    if len(prefix) < PREFIX.size:
        raise CheckpointError(f"truncated: {size} bytes are fewer than the {PREFIX.size} of the prefix")
    if version != VERSION:
        raise CheckpointError(f"written in format version {version}, this minigen reads version {VERSION}; update it")
    if length > size - PREFIX.size:
        raise CheckpointError(f"truncated: the header is {length} bytes long, and {size - PREFIX.size} bytes follow "
                              "the prefix")
    if length > HEADER_LIMIT:
        raise CheckpointError(f"the header is {length} bytes long, over the limit of {HEADER_LIMIT}")
    text = file.read(length)
    if zlib.crc32(text) != crc:
        raise CheckpointError("corrupt: the header's CRC-32 does not match")
    try:
        header = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"corrupt: the header is no readable JSON ({error})") from None
    if not isinstance(header, dict) or not isinstance(header.get("arrays"), list) or "tree" not in header:
        raise CheckpointError("corrupt: the header lacks its tree or its list of arrays")
    return header


def _layouts(facts, available):
    """(dtype, shape, CRC-32) of each array, after checking that together they fill the ``available`` bytes exactly."""
    layouts, total = [], 0
    for i, fact in enumerate(facts):
        fact = fact if isinstance(fact, dict) else {}
        dtype, shape, crc = fact.get("dtype"), fact.get("shape"), fact.get("crc32")
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise CheckpointError(f"array {i} has dtype {dtype!r}, not one of {', '.join(DTYPES)}")
        lengths = isinstance(shape, list) and all(type(n) is int and 0 <= n < 2 ** 48 for n in shape)
        if not lengths or len(shape) > 32:
            raise CheckpointError(f"array {i} has no valid shape: {str(shape)[:80]}")
        layouts.append((DTYPES[dtype], tuple(shape), crc))
        total += math.prod(shape) * DTYPES[dtype].itemsize
    if total != available:
        what = "truncated" if total > available else "altered"
        raise CheckpointError(f"{what}: the header promises {total} bytes of arrays, and {available} bytes follow it")
    return layouts


def _read_array(file, i, dtype, shape, crc):
    try:
        array = np.empty(shape, dtype)
    except ValueError as error:                         # no bytes, but absurd axes: (0, 2⁴⁷, 2⁴⁷)
        raise CheckpointError(f"array {i} has no valid shape: {shape} ({error})") from None
    data = memoryview(array.reshape(-1)).cast("B") if array.size else b""
    if array.size and file.readinto(data) != array.nbytes:
        raise CheckpointError(f"truncated while it was read: array {i} is not complete")
    if zlib.crc32(data) != crc:
        raise CheckpointError(f"corrupt: the CRC-32 of array {i}, of shape {shape}, does not match")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _unpack(value, arrays):
    if isinstance(value, list):
        return [_unpack(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if "$array" not in value:
        return {key: _unpack(v, arrays) for key, v in value.items()}
    i = value["$array"]
    if type(i) is not int or not 0 <= i < len(arrays):
        raise CheckpointError(f"corrupt: the tree asks for array {i!r}, and there are {len(arrays)}")
    return arrays[i]
