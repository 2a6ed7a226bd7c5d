r"""Exhibits of likelihoods: saturated logits, averages on the wrong side of the logarithm, masks.

With logits l and targets t, and for S decoders or weights w_s,

    −log p(t) = softplus(l) − t l,    its slope σ(l) − t,                                                        (1)
    log p(x) = log (1/S) Σ_s p(x|z_s),                                                                           (2)
    E[(1/S) Σ_s w_s] = p(x),    w_s = p(x, z_s) / q(z_s|x),    z_s ~ q,                                          (3)
    p(x) = Π_i p(x_i | x_1 … x_{i−1}).                                                                           (4)
"""
import math

import numpy as np

import minigen as mg
from minigen import check, nn
from minigen.distributions import Bernoulli
from minigen.museum.exhibit import Exhibit, backward


# ---- cross-entropy of clipped probabilities --------------------------------------------------------------------------
def clipped_cross_entropy(logits, target):
    """−t log p − (1 − t) log(1 − p), with p kept off 0 and 1."""
    p = mg.clip(mg.sigmoid(logits), 1e-7, 1 - 1e-7)
    return -target * mg.log(p) - (1 - target) * mg.log(1 - p)


def build_cross_entropy(buggy):
    """(logits, target) ↦ nats per element."""
    return clipped_cross_entropy if buggy else mg.bce_with_logits


def check_cross_entropy(loss):
    """Its backward pass against Eq. (1), for confident mistakes."""
    logits, target = np.array([-40.0, -25.0, 20.0, 60.0]), mg.tensor([1.0, 1.0, 0.0, 0.0], dtype="float64")
    return check.gradient(lambda logits: mg.sum(mg.softplus(logits) - target * logits), logits,               # Eq. (1)
                          claimed=backward(lambda logits: loss(logits, target)))


# ---- averages on the wrong side of the logarithm ---------------------------------------------------------------------
def decoder_logits():
    """What a decoder says of three pixels at three equally probable latents: (S, D)."""
    return mg.tensor([[3.0, 3.0, 2.0], [-3.0, -2.0, 1.0], [2.0, -3.0, -3.0]], dtype="float64")


def build_log_likelihood(buggy):
    """x (n, D) ↦ log p(x), (n,)."""
    if buggy:
        return lambda x: Bernoulli(mg.mean(decoder_logits(), axis=0)).log_prob(x)
    return lambda x: mg.logsumexp(Bernoulli(decoder_logits()).log_prob(x[:, None]), axis=1) - math.log(3)     # Eq. (2)


def check_log_likelihood(log_prob):
    """Against all 8 images, and draws: a latent first, then an image."""
    def sample(n, rng):
        return Bernoulli(mg.take(decoder_logits(), rng.integers(0, 3, (n,)), axis=0)).sample(rng=rng)

    images = np.array(list(np.ndindex(2, 2, 2)), dtype=np.float64)
    return check.density(log_prob, support=images, sample=sample)


def build_bound(buggy):
    """log w (S,) ↦ the estimate of log p(x)."""
    return mg.mean if buggy else lambda log_w: mg.logsumexp(log_w) - math.log(len(log_w))


def check_bound(bound):
    """exp of the estimate scatters around p(x), Eq. (3)."""
    joint, q = np.array([0.1, 0.25, 0.05]), np.array([0.5, 0.2, 0.3])                     # p(x, z), q(z|x), z = 0, 1, 2

    def likelihood(rng):
        z = np.searchsorted(np.cumsum(q[:-1]), rng.random((8,)).numpy())
        return mg.exp(bound(mg.tensor(np.log(joint / q)[z])))

    return check.estimator(likelihood, joint.sum())


# ---- a mask that lets an output see its own input --------------------------------------------------------------------
class Autoregressive(nn.Module):
    """Attention to the past: x (N, T) → logits of x_i given what comes before it, (N, T)."""

    def __init__(self, rng=0):
        rng = mg.random.as_generator(rng)
        self.embed = nn.Linear(1, 4, rng=rng)
        self.attention = nn.MultiHeadAttention(4, heads=2, causal=True, rng=rng)
        self.head = nn.Linear(4, 1, rng=rng)

    def forward(self, x):
        before = mg.concatenate([mg.zeros_like(x[:, :1]), x[:, :-1]], axis=1)            # 0, x_1, …, x_{T−1}
        return self.logits(before)

    def logits(self, inputs):
        """The causal network: output i sees the inputs up to and including i."""
        return self.head(self.attention(self.embed(inputs[..., None])))[..., 0]


class SeesItself(Autoregressive):
    """Without the shift by one."""

    def forward(self, x):
        return self.logits(x)


def build_autoregressive(buggy):
    """x (N, T) ↦ logits (N, T)."""
    return SeesItself() if buggy else Autoregressive()


def check_autoregressive(model):
    """Eq. (4), read off the Jacobian."""
    return check.causality(model, np.random.default_rng(0).standard_normal((3, 6)))


EXHIBITS = (
    Exhibit(
        name="clipped-probabilities",
        wrong="−t log p − (1 − t) log(1 − p) with p = clip(σ(l), 10⁻⁷, 1 − 10⁻⁷): the slope is 0 where |l| > 16, in "
              "place of σ(l) − t.",
        plausible="No logarithm of zero ever appears; what cannot learn is just what is most wrong.",
        typical_of="losses on probabilities with an epsilon", caught_by="check.gradient",
        build=build_cross_entropy, check=check_cross_entropy),
    Exhibit(
        name="averaged-logits",
        wrong="p(x) = Bernoulli(x; σ(mean_s l_s)): the logits are averaged, where the probabilities of x are to be, "
              "log (1/S) Σ_s p(x|z_s).",
        plausible="It is a density, and for one latent the right one; but the pixels have become independent.",
        typical_of="ensembles, and test likelihoods of VAEs", caught_by="check.density",
        build=build_log_likelihood, check=check_log_likelihood),
    Exhibit(
        name="mean-of-logs",
        wrong="log p(x) ≈ (1/S) Σ_s log w_s: the mean of logarithms, where the logarithm of the mean belongs.",
        plausible="It is a lower bound too (the ELBO), so nothing is absurd; it just never gets tighter as S grows.",
        typical_of="importance-weighted bounds", caught_by="check.estimator",
        build=build_bound, check=check_bound),
    Exhibit(
        name="mask-sees-itself",
        wrong="p(x_i | x_1 … x_i): the causal mask includes i, and the input was not shifted by one.",
        plausible="The mask is triangular as in the paper, and the likelihood is splendid: the model copies.",
        typical_of="autoregressive models and masked layers", caught_by="check.causality",
        build=build_autoregressive, check=check_autoregressive),
)
