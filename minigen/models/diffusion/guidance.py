r"""Guidance: samples of a wanted class, and more of it than the data has.

P. Dhariwal and A. Nichol, "Diffusion Models Beat GANs on Image Synthesis", 2021, arXiv:2105.05233; J. Ho and T.
Salimans, "Classifier-Free Diffusion Guidance", 2022, arXiv:2207.12598.

**ε is the score.** By Eq. (2) ∇ log q(z_t|x) = −ε / √(1 − ᾱ_t), and averaging over x given z_t (Tweedie's formula),

    ∇ log p(z_t) = −E[ε|z_t] / √(1 − ᾱ_t).                                                                     (27)

**By a classifier** p(y|z_t) of noised data. Bayes' rule, ∇ log p(z_t|y) = ∇ log p(z_t) + ∇ log p(y|z_t), times −√(1 −
ᾱ_t), with a scale s in front of the classifier, is Algorithm 2 of Dhariwal and Nichol:

    ε̃ = ε(z_t) − s √(1 − ᾱ_t) ∇ log p(y|z_t).                                                                  (28)

s = 1 is Bayes' rule; s > 1 leads towards p(z_t) p(y|z_t)^s: fewer kinds, but surer ones.

**Without one.** A network that was sometimes told the class and sometimes not knows both ε(z_t, y) and ε(z_t). Their
difference is what a classifier would say, by Bayes' rule backwards:

    −√(1 − ᾱ_t) ∇ log p(y|z_t) = ε(z_t, y) − ε(z_t),                                                           (29)
    ε̃ = (1 + w) ε(z_t, y) − w ε(z_t).                                                                          (30)

w = 0 is the conditional model, w = −1 the unconditional one. For exact ε, putting (29) into (28) shows that

    (30) with weight w is (28) with scale s = 1 + w.                                                            (31)

For s other than 0 and 1, neither is the score of the noised version of any one density of data; the samples are like
those of p(x) p(y|x)^s, but not exactly so. Differences from the papers: Dhariwal and Nichol's Algorithm 1 moves the
mean of a DDPM step by s σ_t² ∇ log p(y|z_t). Ours changes ε̂ for DDPM and DDIM alike; the mean then moves by s β_t /
√α_t ∇ log p(y|z_t), the same to first order in β_t.

A guide is a function (model, eps, z, t, labels) → ε̃, where eps is what the model says already.
"""
from minigen.autograd import grad
from minigen.ops.index import take_along_axis
from minigen.ops.reduce import sum
from minigen.primitive import enable_grad
from minigen.tensor import tensor


def classifier(log_prob_labels, scale=1.0):
    """A guide by a classifier, Eq. (28), for a model that need not know the class itself.

    Args:
        log_prob_labels: function (z, t) -> log p(y|z_t), (N, K), differentiable, for z (N, *event) and t an int.
        scale: s.

    Used with a conditional model, s comes on top of what that model does. The guide raises ValueError for labels
    outside 0 … K − 1, and for log-probabilities of another shape.
    """
    def guide(model, eps, z, t, labels):
        with enable_grad():
            leaf = tensor(z.detach(), requires_grad=True)
            log_p = log_prob_labels(leaf, t)
            if log_p.ndim != 2 or len(log_p) != len(z):
                raise ValueError(f"classifier guidance: wants log p(y|z_t) of shape ({len(z)}, K), got {log_p.shape}")
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= log_p.shape[1]:
                raise ValueError(f"classifier guidance: the classifier knows the labels 0 … {log_p.shape[1] - 1}, got "
                                 f"some from {low} to {high}")
            slope = grad(sum(take_along_axis(log_p, labels[:, None])), leaf)
        return eps - scale * model.process.at("noise", t, z) * slope                                   # Eq. (28)

    return guide


def classifier_free(weight=1.0):
    """A guide by the model itself, Eq. (30), which must have been trained with ``label_dropout``. ``weight`` is w.

    The guide raises ValueError for a model that knows no classes.
    """
    def guide(model, eps, z, t, labels):
        if model.classes is None:
            raise ValueError("classifier-free guidance: it compares the model with and without the label, but this one "
                             "was made without classes=; make it with classes=K and label_dropout=0.1, or lead it by "
                             "a classifier")
        return (1 + weight) * eps - weight * model.predict(z, t).eps                                   # Eq. (30)

    return guide
