"""Named sets of images: the bundled digits, MNIST and Fashion-MNIST.

All three are folders of four IDX files with the same names, so all three are read by the same lines. Images come as
uint8 (N, 28, 28, 1), labels as int64 (N,).

* Yann LeCun, Léon Bottou, Yoshua Bengio, Patrick Haffner: Gradient-based learning applied to document recognition
  (1998). MNIST itself: Yann LeCun, Corinna Cortes, Christopher J. C. Burges; CC BY-SA 3.0.
* Han Xiao, Kashif Rasul, Roland Vollgraf: Fashion-MNIST, arXiv 1708.07747 (2017); MIT licence.
"""
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigen import cache
from minigen.data.dataset import Dataset
from minigen.data.download import fetch, is_intact
from minigen.data.idx import DataError, read_idx

BUNDLED = Path(__file__).parent / "bundled"
PREFIX = {"train": "train", "test": "t10k"}         # of the published file names
KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")  # their ends, with or without .gz

# `fingerprint` of the bundled digits, as docs/make_digits.py prints it.
DIGITS_SHA256 = {
    "train": "e9fd3af659b8566c125502618327e4c940d8a9d6a252b0155bd073c05d9914e0",
    "test": "4eb317e922dd46c27e5146e2d5d07b0504e518f054a31a1dffcf2ff18e680c60",
}


@dataclass(frozen=True)
class Source:
    """Where a published set comes from.

    Attributes: ``name``, also of its subfolder; ``mirrors``, addresses of folders; ``files``, the size in bytes and
        SHA-256
    of each published .gz; ``labels_md5``, of the uncompressed label files, by which the set is recognised.
    """
    name: str
    mirrors: tuple
    files: dict
    labels_md5: frozenset


MNIST = Source(
    name="mnist",
    mirrors=("https://storage.googleapis.com/cvdf-datasets/mnist/",
             "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    files={
        "train-images-idx3-ubyte.gz": (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        "train-labels-idx1-ubyte.gz": (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        "t10k-images-idx3-ubyte.gz": (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        "t10k-labels-idx1-ubyte.gz": (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    },
    labels_md5=frozenset({"a25bea736e30d166cdddb491f175f624", "27ae3e4e09519cfbb04c329615203637"}))

FASHION_MNIST = Source(
    name="fashion-mnist",
    mirrors=("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
             "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"),
    files={
        "train-images-idx3-ubyte.gz": (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        "train-labels-idx1-ubyte.gz": (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        "t10k-images-idx3-ubyte.gz": (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        "t10k-labels-idx1-ubyte.gz": (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    },
    labels_md5=frozenset({"9018921c3c673c538a1fc5bad174d6f9", "15d484375f8d13e6eb1aabb0c3f46965"}))


def digits(split="train"):
    """The digits that come with minigen: every 6th MNIST training image (10,000), every 5th test image (2,000).

    Args:
        split: ``"train"`` or ``"test"``.

    Returns a Dataset: ``x`` uint8 (N, 28, 28, 1), ``y`` int64 (N,). Raises DataError if the installation is damaged.
    """
    paths = [BUNDLED / f"{_prefix('digits', split)}-{kind}.gz" for kind in KINDS]
    try:
        data = _read("digits", *paths)
        if fingerprint(data) != DIGITS_SHA256[split]:
            raise DataError(f"{paths[0]}: pixels and labels do not have the published SHA-256")
    except DataError as error:
        raise DataError(f"{error}; the bundled digits are damaged, install minigen again") from None
    return data


def fingerprint(data):
    """SHA-256 (hexadecimal) of the pixels followed by the labels, both as bytes."""
    digest = hashlib.sha256(np.ascontiguousarray(data["x"]))
    digest.update(data["y"].astype(np.uint8))
    return digest.hexdigest()


def mnist(split="train", root=None, download=True):
    """MNIST: 60,000 training and 10,000 test images of handwritten digits.

    Looks in ``root`` if it is given, and only there. Else in the folder that the environment variable MINIGEN_DATA
    names, then in the cache (``$XDG_CACHE_HOME/minigen``, by default ``~/.cache/minigen``), then downloads into the
    cache. A folder may hold the four IDX files, gzipped or plain, directly or in a subfolder ``mnist``.

    Args:
        split: ``"train"`` or ``"test"``. Likelihood papers often hold out ``data[50_000:]`` of train for validation.
        root: folder, or None.
        download: whether to download what is found nowhere.

    Returns a Dataset: ``x`` uint8 (N, 28, 28, 1), ``y`` int64 (N,). Raises DataError, with the remedy.
    """
    return _load(MNIST, split, root, download)


def fashion_mnist(split="train", root=None, download=True):
    """Fashion-MNIST: 60,000 training and 10,000 test images of clothes in ten classes, in MNIST's format.

    Found, returned and refused as `mnist` is; its subfolder is ``fashion-mnist``.
    """
    return _load(FASHION_MNIST, split, root, download)


def _load(source, split, root, download):
    """Read a split of a published set from the first place that has it."""
    prefix, named = _prefix(source.name, split), os.environ.get("MINIGEN_DATA")
    if root is not None:
        paths = _from_folder(Path(root), source, prefix)
        if paths is None:
            raise DataError(f"{root}: holds no pair {prefix}-{KINDS[0]} and {prefix}-{KINDS[1]}, gzipped or plain, "
                            f"neither directly nor in {source.name}/; pass another root, or none to download")
    else:
        paths = _from_folder(Path(named), source, prefix) if named else None
        paths = paths or _from_cache(source, prefix, download)
    data = _read(source.name, *paths)
    _refuse_twin(source, paths[1], data["y"])
    return data


def _prefix(name, split):
    if split not in PREFIX:
        raise ValueError(f"{name}: split must be 'train' or 'test', got {split!r}")
    return PREFIX[split]


def _from_folder(folder, source, prefix):
    """Paths of images and labels in a folder's subfolder for this source, or in itself; None if neither has both."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; correct MINIGEN_DATA or root")
    for place in (folder / source.name, folder):
        candidates = [[place / f"{prefix}-{kind}{end}" for end in (".gz", "")] for kind in KINDS]
        paths = [next(filter(Path.is_file, pair), None) for pair in candidates]
        if all(paths):
            return paths
    return None


def _from_cache(source, prefix, download):
    """The paths of images and labels in the cache, downloaded if they are not there intact."""
    paths = []
    for name, (size, sha256) in source.files.items():
        if name.startswith(prefix):
            path = cache.folder() / source.name / name
            if not is_intact(path, sha256):
                if not download:
                    raise DataError(f"{name}: {source.name} is neither in MINIGEN_DATA nor in the cache {path.parent}; "
                                    "set MINIGEN_DATA to a folder that holds its IDX files, or pass download=True")
                fetch(path, source.mirrors, size, sha256)
            paths.append(path)
    return paths


def _read(name, images_path, labels_path):
    """Dataset of an image file and a label file. Raises DataError if they are not what their names say."""
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise DataError(f"{images_path}: {name} wants uint8 images (N, 28, 28), it holds {images.dtype} {images.shape}")
    if labels.dtype != np.uint8 or labels.shape != images.shape[:1] or labels.max(initial=0) > 9:
        raise DataError(f"{labels_path}: {name} wants one uint8 label from 0 to 9 for each of {len(images)} images, "
                        f"it holds {labels.dtype} {labels.shape}")
    return Dataset({"x": images[..., None], "y": labels.astype(np.int64)})        # x (N, 28, 28) -> (N, 28, 28, 1)


def _refuse_twin(source, path, labels):
    """MNIST and Fashion-MNIST use the same file names: raise DataError if these labels are the other's."""
    content = b"\0\0\x08\x01" + len(labels).to_bytes(4, "big") + labels.astype(np.uint8).tobytes()
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    for other in (MNIST, FASHION_MNIST):
        if other.name != source.name and digest in other.labels_md5:
            raise DataError(f"{path}: this is {other.name}, not {source.name}, whose files have the same names; "
                            f"keep each in a subfolder of its own, {source.name}/ and {other.name}/")
