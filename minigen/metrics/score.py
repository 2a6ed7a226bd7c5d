r"""The Inception score: are single samples clear, and are they of all classes?

T. Salimans, I. Goodfellow, W. Zaremba, V. Cheung, A. Radford and X. Chen, "Improved Techniques for Training GANs",
2016, arXiv:1606.03498. With a classifier p(y|x) and the mean p(y) of its answers over all samples,

    log IS = E_x D_KL(p(y|x) ‖ p(y)) = H(y) − H(y|x)        (mutual information of sample and class, in nats),     (1)
    1 ≤ IS ≤ K.                                                                                                    (2)

It is K where each sample is of one class for sure and the classes are equally frequent, 1 where the answer never
depends on the sample. It never looks at the data (S. Barratt and R. Sharma, 2018, arXiv:1801.01973).
"""
import numpy as np
from scipy.special import log_softmax, logsumexp

from minigen.metrics.features import as_features


def inception_score(logits):
    """IS, a float between 1 and K. Eq. (1).

    Args:
        logits: a classifier's logits of the samples (n, K), array or Tensor. They need not be Inception's, and the
            number is comparable only with others of the same classifier.

    Raises ValueError for other shapes, no samples, and logits that are not finite.
    """
    logits, = as_features("inception_score", logits, least=1)
    log_p = log_softmax(logits, axis=1)                                                    # (n, K)
    log_mean = logsumexp(log_p, axis=0) - np.log(len(log_p))                               # (K,)
    return float(np.exp(np.sum(np.exp(log_p) * (log_p - log_mean), axis=1).mean()))        # Eq. (1)
