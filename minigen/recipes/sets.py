"""The data sets that recipes share: functions of the split and of a folder (None: the recipe's own) that give a
Dataset."""
from minigen import data


def bundled_digits(split, folder):
    """The digits in the package; full MNIST where a folder is given."""
    return data.digits(split) if folder is None else data.mnist(split, root=folder)


def full_mnist(split, folder):
    """Full MNIST in grey."""
    return data.mnist(split, root=folder)


def fixed_mnist(split, folder):
    """Full MNIST, binarised once and for all: b ~ Bernoulli(pixel / 255), by one seed."""
    full = data.mnist(split, root=folder)
    return data.Dataset({"x": data.binarise_once(full["x"], seed={"train": 0, "test": 1}[split]), "y": full["y"]})


def fixed_digits(split, folder):
    """Training images in grey, test images binarised once and for all."""
    images = bundled_digits(split, folder)
    if split == "train":
        return images
    return data.Dataset({"x": data.binarise_once(images["x"], seed=1), "y": images["y"]})
