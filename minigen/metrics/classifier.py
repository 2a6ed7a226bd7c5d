"""The digit classifier whose features the metrics of `minigen.metrics` compare.

A small convolutional network, 28 × 28 × 1 pixels in [0, 1] → 64 features → 10 logits (after Y. LeCun, L. Bottou,
Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition", 1998; ReLU, max pooling and batch
norm are younger):

    convolution 5 × 5, 16 channels, ReLU, pooling    28 × 28 ×  1  →  14 × 14 × 16
    convolution 3 × 3, 32 channels, ReLU, pooling    14 × 14 × 16  →   7 ×  7 × 32
    convolution 3 × 3, 32 channels, ReLU              7 ×  7 × 32  →   7 ×  7 × 32
    linear, batch norm: the *features*                       1568  →  64
    ReLU, linear: the logits                                   64  →  10

Batch norm has no scale and shift of its own, so each feature has mean 0 and standard deviation 1 over the digits that
the network was trained on: that is the unit of every distance between features. They are taken before the ReLU, which
would silence some of them.

The weights in the package are those of the recipe ``digit-classifier``, seed 0: 6,000 steps on the 60,000 training
images of MNIST (Y. LeCun, C. Cortes and C. J. C. Burges), moved by up to two pixels. They read 99.55 % of the 10,000
test images correctly. ``docs/make_digit_classifier.py`` trains and writes them.
"""
import pathlib

import numpy as np

import minigen as mg
from minigen import nn

WEIGHTS = pathlib.Path(__file__).parent / "weights" / "digit_classifier.npz"


class DigitClassifier(nn.Module):
    """Logits of the ten digits; `features` is the layer before. See the top of this file.

    Args:
        rng: generator or seed of the initial weights.

    Raises ValueError for images of another shape.
    """
    image_shape, feature_count, classes = (28, 28, 1), 64, 10

    def __init__(self, *, rng):
        rng = mg.random.as_generator(rng)
        self.conv1 = nn.Conv2d(1, 16, 5, padding="same", rng=rng)
        self.conv2 = nn.Conv2d(16, 32, 3, padding="same", rng=rng)
        self.conv3 = nn.Conv2d(32, 32, 3, padding="same", rng=rng)
        self.hidden = nn.Linear(7 * 7 * 32, self.feature_count, bias=False, rng=rng)
        self.norm = nn.BatchNorm(self.feature_count, momentum=0.01, affine=False)
        self.head = nn.Linear(self.feature_count, self.classes, rng=rng)

    def features(self, x):
        """Images (N, 28, 28, 1) in [0, 1] → (N, 64)."""
        if x.shape[1:] != self.image_shape:
            raise ValueError(f"DigitClassifier: wants images (N, 28, 28, 1), got shape {x.shape}")
        h = mg.max_pool2d(mg.relu(self.conv1(x)), 2)                                       # (N, 14, 14, 16)
        h = mg.max_pool2d(mg.relu(self.conv2(h)), 2)                                       # (N, 7, 7, 32)
        h = mg.relu(self.conv3(h))                                                         # (N, 7, 7, 32)
        return self.norm(self.hidden(h.reshape(len(x), -1)))                               # (N, 64)

    def classify(self, features):
        """Features (N, 64) → logits (N, 10)."""
        return self.head(mg.relu(features))

    def forward(self, x):
        """Images (N, 28, 28, 1) in [0, 1] → logits (N, 10)."""
        return self.classify(self.features(x))


def digit_classifier():
    """The trained `DigitClassifier` of the package, frozen, on the current backend.

    Raises FileNotFoundError if the installation lacks the weights.
    """
    if not WEIGHTS.exists():
        raise FileNotFoundError(f"{WEIGHTS} is missing: the installation is damaged, install minigen again")
    model = DigitClassifier(rng=0)
    with np.load(WEIGHTS, allow_pickle=False) as arrays:
        model.load_state_dict(dict(arrays))
    return model.requires_grad_(False).eval()
