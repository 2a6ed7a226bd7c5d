"""Make the bundled digits: every 6th MNIST training image and every 5th test image, with their labels.

    python docs/make_digits.py --source FOLDER --out minigen/data/bundled

FOLDER holds the four IDX files of MNIST, gzipped or plain. Even strides keep the proportions of the classes, and draw
alike from both halves of the test set, of which the first is the cleaner. The output is four IDX files under MNIST's
names. Running it again gives the same bytes (with another release of zlib perhaps other bytes, of the same content).
Prints the fingerprints for minigen/data/sets.py.
"""
import argparse
from pathlib import Path

from minigen.data import mnist, write_idx
from minigen.data.sets import KINDS, PREFIX, fingerprint

STRIDE = {"train": 6, "test": 5}
MNIST_SHA256 = {        # of the whole of each split; the source must be MNIST and nothing else
    "train": "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b",
    "test": "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with MNIST's IDX files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for split, stride in STRIDE.items():
        whole = mnist(split, root=options.source)
        if fingerprint(whole) != MNIST_SHA256[split]:
            parser.error(f"{options.source}: its {split} split is not the published MNIST")
        chosen = whole[::stride]
        images, labels = chosen["x"][..., 0], chosen["y"].astype("uint8")       # (N, 28, 28, 1) -> (N, 28, 28)
        for kind, array in zip(KINDS, (images, labels)):
            path = options.out / f"{PREFIX[split]}-{kind}.gz"
            write_idx(path, array)
            print(f"{path}  {path.stat().st_size} bytes")
        print(f"{split}: {len(chosen)} examples, fingerprint {fingerprint(chosen)}")


if __name__ == "__main__":
    main()
