"""All metrics of generated digits in one call, in the features of the classifier in the package.

Every name begins with ``digit_``, because the features are those of a small digit classifier trained here
(`minigen.metrics.classifier`), not of Inception-v3: none of the numbers can be compared with published FID, KID or IS.
"""
import numpy as np

import minigen as mg
from minigen.metrics.classifier import DigitClassifier, digit_classifier
from minigen.metrics.features import chunks
from minigen.metrics.frechet import fid
from minigen.metrics.kernels import kid
from minigen.metrics.manifolds import precision_recall
from minigen.metrics.score import inception_score
from minigen.tensor import Tensor

BLOCKS = 10


def image_metrics(real, fake, rng=0):
    """How good generated digits are: {name: (value, unit)}.

    ``digit_fid``, ``digit_kid`` (less is better), ``digit_precision``, ``digit_recall`` and ``digit_inception_score``
    (more is better). Take as many fake as real images, some 2,000 at least, none of them among those that the model was
    trained on, and compare numbers of the same real images only.

    Args:
        real, fake: images (N, 28, 28, 1) and (M, 28, 28, 1), arrays or Tensors of floats in [0, 1].
        rng: a seed or NumPy Generator for the blocks of KID.

    Raises ValueError for images of another shape or outside [0, 1], NaN, and fewer than 20 images. Warns if there are
    no more images than the 64 features.
    """
    real, fake = _images("real", real), _images("fake", fake)
    model = digit_classifier()
    (real, _), (fake, logits) = _evaluate(model, real), _evaluate(model, fake)
    precision, recall = precision_recall(real, fake)
    unit = f"in {real.shape[1]} digit features"
    return {"digit_fid": (fid(real, fake), unit), "digit_kid": (kid(real, fake, BLOCKS, rng).value, unit),
            "digit_precision": (100 * precision, "% of generated images"),
            "digit_recall": (100 * recall, "% of real images"),
            "digit_inception_score": (inception_score(logits), f"of {logits.shape[1]} classes")}


def digit_features(images):
    """(features (N, 64), logits (N, 10)) of images (N, 28, 28, 1) by the classifier in the package, NumPy arrays.

    Raises ValueError for what `image_metrics` refuses, but for the number of images.
    """
    return _evaluate(digit_classifier(), _images("images", images, least=1))


def _images(name, x, least=2 * BLOCKS):
    """Float32 images on the host. Raises ValueError for what the classifier was not trained for."""
    x = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
    if x.ndim != 4 or x.shape[1:] != DigitClassifier.image_shape or len(x) < least:
        raise ValueError(f"image_metrics: {name} must be images (N, 28, 28, 1), N ≥ {least}, got shape {x.shape}")
    if x.dtype.kind != "f":
        raise ValueError(f"image_metrics: {name} must be floats in [0, 1], got {x.dtype}; divide 8-bit pixels by 255")
    if not np.isfinite(x).all():
        raise ValueError(f"image_metrics: {name} has {np.sum(~np.isfinite(x).all(axis=(1, 2, 3)))} images of {len(x)} "
                         "with pixels that are not finite; find where the model made them")
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"image_metrics: {name} must lie in [0, 1], it runs from {x.min():.4g} to {x.max():.4g}; "
                         "rescale the model's output, or clip it")
    return x.astype(np.float32, copy=False)


def _evaluate(model, x):
    """(features, logits) of images, a batch at a time."""
    features, logits = [], []
    with mg.no_grad():
        for rows in chunks(len(x), "features", size=250):
            f = model.features(mg.tensor(x[rows]))
            features.append(f.numpy())
            logits.append(model.classify(f).numpy())
    return np.concatenate(features), np.concatenate(logits)
