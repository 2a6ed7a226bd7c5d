r"""Exhibits of the gradient penalty: which entries of the gradient form one vector?

    λ mean_n (‖∇a(x_n)‖ − 1)²,    ‖·‖ over all entries of example n.                                             (1)

For a linear critic a(x) = ⟨w, x⟩ the gradient is w at every x, and (1) is λ (‖w‖ − 1)².                         (2)
"""
import numpy as np

import minigen as mg
from minigen import check
from minigen.models.adversarial.penalties import GradientPenalty, input_gradient
from minigen.museum.exhibit import Exhibit, backward

LAMBDA = 10.0


def right(critic, x):
    """The penalty of each example, Eq. (1), on lines from x to itself."""
    return GradientPenalty(LAMBDA)(critic, x, x, alpha=mg.ones((len(x),), dtype=x.dtype))


def over_the_batch(critic, x):
    """One norm of all pixels of all examples."""
    return LAMBDA * mg.square(mg.norm(input_gradient(critic, x)) - 1.0)


def per_pixel(critic, x):
    """A norm over the channels of each pixel."""
    return LAMBDA * mg.square(mg.norm(input_gradient(critic, x), axis=-1) - 1.0)


def check_penalty(penalty):
    """Its gradient by the weights of a linear critic against that of Eq. (2): a derivative of a derivative."""
    rng = np.random.default_rng(0)
    w, images = rng.standard_normal((2, 2, 3)), mg.tensor(rng.standard_normal((4, 2, 2, 3)))                  # H, W, C

    def trained(w):
        return mg.mean(penalty(lambda x: mg.sum(w * x, axis=(1, 2, 3)), images))

    return check.gradient(lambda w: LAMBDA * mg.square(mg.norm(w.reshape(-1)) - 1.0), w,                      # Eq. (2)
                          claimed=backward(trained))


EXHIBITS = (
    Exhibit(
        name="gradient-penalty-over-batch",
        wrong="λ (‖∇a(x_1 … x_N)‖ − 1)²: one norm over all pixels of the batch, where each example has its own.",
        plausible="It is a norm and is pulled to 1; but each example's is pulled to 1/√N, and the critic goes flat.",
        typical_of="WGAN-GP critics with a norm without axis", caught_by="check.gradient",
        build=lambda buggy: over_the_batch if buggy else right, check=check_penalty),
    Exhibit(
        name="gradient-penalty-per-pixel",
        wrong="λ mean (‖∇a(x_n)_{hw}‖ − 1)²: a norm over the channels of each pixel, where an example has one.",
        plausible="For flat vectors the same line is right: the norm over axis 1 of (N, D).",
        typical_of="WGAN-GP critics moved to images", caught_by="check.gradient",
        build=lambda buggy: per_pixel if buggy else right, check=check_penalty),
)
