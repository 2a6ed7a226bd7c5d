r"""How weights start: initialisers by name.

Write y = x W with W of shape (in, out), x of mean 0, and weights drawn independently with mean 0. Then

    Var[y_j] = Σ_i Var[W_ij] E[x_i²] = fan_in · Var[W] · E[x²],                                              (1)

    and backwards, for x̄ = ȳ Wᵀ,   Var[x̄_i] = fan_out · Var[W] · E[ȳ²].                                      (2)

A deep network keeps its signal alive if neither product is far from one:

* Glorot and Bengio (2010): f is near linear around 0, so E[x²] = Var[x]. (1) asks for Var[W] = 1/fan_in and (2) for 1/fan_out;
  their compromise is

    Var[W] = 2 / (fan_in + fan_out).                                                                          (3)

* He, Zhang, Ren and Sun (2015, arXiv:1502.01852): x = relu(y′) with y′ symmetric, so E[x²] = ½ Var[y′]. (1) then asks for

    Var[W] = 2 / fan_in.                                                                                      (4)

A uniform law on (−a, a) has variance a²/3, hence a = √3 · std.                                               (5)

The last axis of a weight is what it makes, the one before it what it reads, and those further in front (the window of a
convolution) add to both: fan_in = ∏ shape[:−1], fan_out = ∏ shape[:−2] · shape[−1].

An initialiser is any function ``(shape, rng) -> Tensor``. Layers take one, or the name of one of these.
"""
import difflib
import math

import numpy as np

from minigen.tensor import Tensor, tensor
from minigen import backend
