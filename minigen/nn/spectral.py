r"""Spectral normalisation.

T. Miyato, T. Kataoka, M. Koyama and Y. Yoshida, "Spectral Normalization for Generative Adversarial Networks", 2018,
arXiv:1802.05957. The map x ↦ x W stretches no vector by more than W's largest singular value σ(W). So

    Ŵ = W / σ(W)                                                                                                 (1)

has Lipschitz constant 1, and so has a critic made of such layers and of activations of slope at most one. W is taken as
a matrix (fan_in, out), the window and the input channels of a convolution as one axis. (For a convolution σ of that
matrix is the paper's choice; the map on whole images can stretch by up to √(KH · KW) times as much. A transposed
convolution stretches as the convolution does whose adjoint it is, and stores the same kernel.)

σ is found by power iteration, one step at every call in training, from vectors that are kept from call to call:

    v ← W u / ‖W u‖,    u ← Wᵀ v / ‖Wᵀ v‖,    σ ≈ vᵀ W u.                                                        (2)

v and u tend to the left and right singular vectors of σ, the faster the larger the gap to the second singular value.
The estimate is never above σ(W). Since the first-order change of vᵀ W u with v and u vanishes at its maximum, they
count as constants in the derivative:

    ∂σ/∂W = v uᵀ,   so with Ḡ the cotangent of Ŵ,   W̄ = (Ḡ − ⟨Ḡ, Ŵ⟩ v uᵀ) / σ.                                   (3)

That is the true gradient once (2) has converged. The second derivative with respect to W alone is not: there u and v
do move. A gradient penalty needs the first derivative in W only.
"""
import math

from minigen.functional import normalize
from minigen.nn.parameter import Buffer
from minigen.nn.reweight import Reweighted
from minigen.ops.piecewise import maximum
from minigen.primitive import no_grad
from minigen.random import as_generator


class SpectralNorm(Reweighted):
    """Eq. (1) around a layer with a weight: ``SpectralNorm(nn.Linear(128, 64, rng=rng), rng=rng)``.

    Args:
        layer: its weight has the shape (…, out).
        steps: power iterations, Eq. (2), at each call in training; none in evaluation.
        warm_up: power iterations at the start.
        rng: generator or seed of the first u.

    Attributes:
        u, v: Buffers (out,) and (fan_in,), the state of the power iteration.

    A zero weight stays zero.
    """

    def __init__(self, layer, steps=1, warm_up=15, *, rng):
        super().__init__(layer)
        if steps < 1 or warm_up < 1:
            raise ValueError(f"SpectralNorm: wants at least one step of power iteration, got steps={steps}, "
                             f"warm_up={warm_up}")
        self.steps = steps
        W = layer.weight
        u = as_generator(rng).standard_normal(W.shape[-1]).to(W.backend.name).astype(W.dtype)
        u, v = self._iterate(u, warm_up)
        self.u, self.v = Buffer(u), Buffer(v)

    def effective_weight(self):
        return self.layer.weight / maximum(self.sigma(), 1e-12)                                               # Eq. (1)

    def sigma(self):
        """σ(W) by Eq. (2), a scalar through which gradients flow to W, Eq. (3). Moves u and v in training."""
        u, v = self.u.copy(), self.v.copy()              # a later call changes the Buffers, a graph keeps these
        if self.training:
            u, v = self._iterate(u, self.steps)
            self.u[...], self.v[...] = u, v
        return v @ self._matrix() @ u

    def _iterate(self, u, steps):
        """Eq. (2), some times over."""
        with no_grad():
            W = self._matrix()
            for _ in range(steps):
                v = normalize(W @ u)
                u = normalize(W.T @ v)
        return u, v

    def _matrix(self):
        shape = self.layer.weight.shape
        return self.layer.weight.reshape((math.prod(shape[:-1]), shape[-1]))                    # (fan_in, out)

    def describe(self):
        return f"steps={self.steps}"
