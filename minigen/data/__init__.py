"""Data: sets of images, their transforms, and the loader that turns them into batches of Tensors.

    data = mg.data.digits()             # a Dataset: data["x"] uint8 (10000, 28, 28, 1), data["y"] int64 (10000,)
    loader = mg.data.Loader(data, 128, seed=0, transform=mg.data.on(x=mg.data.binarise))
    for batch in loader:                # one epoch
        batch["x"], batch["y"]          # Tensors (128, 28, 28, 1) and (128,); the last batch has what is left
"""
from minigen.data import audio, densities
from minigen.data.dataset import Dataset
from minigen.data.densities import GaussianMixture, moons, ring
from minigen.data.idx import DataError, read_idx, write_idx
from minigen.data.loader import Loader
from minigen.data.sets import digits, fashion_mnist, mnist
from minigen.data.transforms import binarise, binarise_once, dequantise, on, to_unit

__all__ = ["DataError", "Dataset", "GaussianMixture", "Loader", "audio", "binarise", "binarise_once",
           "dequantise", "densities", "digits", "fashion_mnist", "mnist", "moons", "on", "read_idx", "ring",
           "to_unit", "write_idx"]
