"""Numbers that say how good samples are. `modes`: coverage of a Gaussian mixture. All others compare two sets.

    mg.metrics.image_metrics(real, fake)        # digits (N, 28, 28, 1) in [0, 1]: {"digit_fid": (value, unit), …}

Behind it: `classifier` and its features; on any features (n, D), `frechet` (FID), `kernels` (KID, MMD and its test),
`manifolds` (precision and recall); on logits, `score` (Inception score). `likelihood`: bits per dimension; `outliers`:
AUROC.
"""
from minigen.metrics.classifier import DigitClassifier, digit_classifier
from minigen.metrics.frechet import fid, frechet_distance
from minigen.metrics.images import digit_features, image_metrics
from minigen.metrics.kernels import gaussian_kernel, kid, mmd, mmd_test, polynomial_kernel
from minigen.metrics.likelihood import bits_per_dim, dequantised_log_prob
from minigen.metrics.manifolds import precision_recall
from minigen.metrics.modes import Modes, count_modes
from minigen.metrics.outliers import auroc, roc_curve
from minigen.metrics.score import inception_score

__all__ = ["DigitClassifier", "Modes", "auroc", "bits_per_dim", "count_modes", "dequantised_log_prob",
           "digit_classifier", "digit_features", "fid", "frechet_distance", "gaussian_kernel", "image_metrics",
           "inception_score", "kid", "mmd", "mmd_test", "polynomial_kernel", "precision_recall", "roc_curve"]
