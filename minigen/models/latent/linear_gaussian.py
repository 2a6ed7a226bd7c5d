r"""Factor analysis and probabilistic PCA: a few normal causes, mixed linearly, plus noise.

C. Spearman, 1904; D. Rubin and D. Thayer, 1982 (EM); M. Tipping and C. Bishop, "Probabilistic principal component
analysis", 1999.

    z ~ N(0, I_K),    x|z ~ N(W z + μ, Ψ),    Ψ diagonal,                                                     (1)

    p(x) = N(μ, W Wᵀ + Ψ).                                                                                    (2)

With x̃ = x − μ and B = I + Wᵀ Ψ⁻¹ W, a K × K matrix, Woodbury's identity and the determinant lemma give, without ever
inverting a D × D matrix,

    log p(x) = −½ [x̃ᵀΨ⁻¹x̃ − ‖L⁻¹ WᵀΨ⁻¹x̃‖² + log|B| + log|Ψ| + D log 2π],    B = L Lᵀ,                          (3)
    p(z|x)   = N(B⁻¹ WᵀΨ⁻¹ x̃, B⁻¹).                                                                           (4)

**EM.** With m_n and B⁻¹ from (4), and C = Σ_n (m_n m_nᵀ + B⁻¹),

    W = (Σ_n x̃_n m_nᵀ) C⁻¹,    Ψ = diag(1/N Σ_n x̃_n x̃_nᵀ − W · 1/N Σ_n m_n x̃_nᵀ).                             (5)

**Probabilistic PCA** has Ψ = σ² I. Then the optimum is known: with eigenvalues λ_1 ≥ λ_2 ≥ … of the data's covariance
and eigenvectors U,

    σ² = mean of λ_{K+1} … λ_D,    W = U_K (Λ_K − σ² I)^{1/2} R    for any rotation R;                         (6)

what is left out of the subspace is what the noise must explain. As σ → 0, (4) becomes the projection of PCA.
"""
import math

import numpy as np

import minigen as mg
from minigen.distributions import MultivariateNormal
from minigen.models.base import GenerativeModel, Objective
from minigen.nn import Parameter
from minigen.random import as_generator

__all__ = ["FactorAnalysis", "ProbabilisticPCA"]


class FactorAnalysis(GenerativeModel):
    """Eqs. (1) to (5), by EM (`fit`) or by gradients.

    Args:
        K: latents. event_shape: of one example, D entries in all; K < D.
        rng: generator or seed of W's start.
    """

    def __init__(self, K, event_shape, *, rng=0):
        self.event_shape = tuple(event_shape)
        D = math.prod(self.event_shape)
        if not 0 < K < D:
            raise ValueError(f"{type(self).__name__}: wants 0 < K < D latents, got K={K} for D={D}")
        self.mean = Parameter(mg.zeros(D))
        self.weight = Parameter(as_generator(rng).standard_normal((D, K)) / math.sqrt(K))
        self.log_std = Parameter(mg.zeros(self._noises(D)))

    def _noises(self, D):
        """How many variances there are in Ψ."""
        return D

    # ---- the distributions ---------------------------------------------------------------------------------------
    def _solve(self, x):
        """(x̃, Ψ^{−½}x̃ (N, D), L (K, K), u = WᵀΨ⁻¹x̃ (N, K)) of Eq. (3)."""
        offset = self._rows(x) - self.mean
        scaled = offset * mg.exp(-self.log_std)
        W = self.weight * mg.exp(-mg.expand_dims(self.log_std, 1))                                  # Ψ^{−½} W
        B = mg.eye(W.shape[1], dtype=W.dtype) + mg.matmul(W.T, W)
        return offset, scaled, mg.cholesky(B), mg.matmul(scaled, W)

    def log_prob(self, x):
        """log p(x) in nats, (N,). Eq. (3)."""
        _, scaled, L, u = self._solve(x)
        inner = mg.solve_triangular(L, u.T, lower=True)                                             # (K, N)
        D = scaled.shape[1]
        log_det = 2 * mg.sum(mg.log(mg.diagonal(L))) + 2 * mg.mean(self.log_std) * D
        quadratic = mg.sum(scaled * scaled, axis=1) - mg.sum(inner * inner, axis=0)
        return -0.5 * (quadratic + log_det + D * math.log(2 * math.pi))                             # Eq. (3)

    def posterior(self, x):
        """p(z|x), a `MultivariateNormal` over (N, K). Eq. (4)."""
        _, _, L, u = self._solve(x)
        half = mg.solve_triangular(L, mg.eye(len(L), dtype=L.dtype), lower=True)                    # L⁻¹
        inverse = mg.matmul(half.T, half)                                                           # B⁻¹
        return MultivariateNormal.from_covariance(mg.matmul(u, inverse), mg.broadcast_to(inverse, (len(u), *L.shape)))

    def encode(self, x):
        """E[z|x], (N, K)."""
        with mg.no_grad():
            _, _, L, u = self._solve(x)
            return mg.solve_triangular(L, mg.solve_triangular(L, u.T, lower=True), lower=True, trans=True).T

    def decode(self, z):
        """E[x|z] for z (N, K): (N, *event)."""
        with mg.no_grad():
            return mg.reshape(mg.matmul(z, self.weight.T) + self.mean, (len(z), *self.event_shape))

    def sample(self, n, *, rng, labels=None):
        """n draws (n, *event). Eq. (1)."""
        if labels is not None:
            raise ValueError(f"{type(self).__name__}: this model knows no labels, got {len(labels)} of them")
        with mg.no_grad():
            rng = as_generator(rng)
            z = rng.standard_normal((n, self.weight.shape[1]), dtype=self.mean.dtype)
            noise = mg.exp(self.log_std) * rng.standard_normal((n, len(self.mean)), dtype=self.mean.dtype)
            return self.decode(z) + mg.reshape(noise, (n, *self.event_shape))

    # ---- learning ------------------------------------------------------------------------------------------------
    def objectives(self):
        """One: the mean negative log-likelihood in nats, for gradient ascent instead of EM."""
        return [Objective("nll", self.parameters(), lambda batch, rng: {"loss": -mg.mean(self.log_prob(batch["x"]))})]

    def fit(self, x, steps=200, tolerance=1e-7):
        """EM on x (N, *event) until the mean log-likelihood rises by less than ``tolerance`` nats.

        Returns the mean log-likelihood in nats after each step, a list that never falls.
        """
        x, trace = self._enough(x), []
        with mg.no_grad():
            self.mean[...] = mg.mean(x, axis=0)
            for _ in range(steps):
                self._maximise(x)
                trace.append(mg.mean(self.log_prob(x)).item())
                if len(trace) > 1 and trace[-1] - trace[-2] < tolerance:
                    break
        return trace

    def _maximise(self, x):
        """One step of EM. Eq. (5)."""
        offset, _, L, _ = self._solve(x)
        half = mg.solve_triangular(L, mg.eye(len(L), dtype=L.dtype), lower=True)
        m = self.encode(x)                                                                          # (N, K)
        C = mg.matmul(m.T, m) + len(x) * mg.matmul(half.T, half)
        cross = mg.matmul(offset.T, m)                                                              # Σ x̃ mᵀ, (D, K)
        W = mg.solve(C, cross.T).T
        variance = mg.mean(offset * offset, axis=0) - mg.sum(W * cross, axis=1) / len(x)
        self.weight[...] = W
        self.log_std[...] = 0.5 * mg.log(self._noise_variance(mg.maximum(variance, 1e-6)))

    def _noise_variance(self, variance):
        """Ψ's diagonal from the residual variances (D,)."""
        return variance

    def _enough(self, x):
        """x (N, D), of which a covariance can be taken."""
        x = self._rows(x)
        if len(x) < 2 or not mg.all(mg.isfinite(x)):
            raise ValueError(f"{type(self).__name__}: a fit wants finite examples, at least 2, got {len(x)}, and "
                             f"{int(mg.sum(~mg.isfinite(x)).item())} entries that are not finite")
        return x

    def _rows(self, x):
        if x.shape[1:] not in (self.event_shape, (math.prod(self.event_shape),)):
            raise ValueError(f"{type(self).__name__}: wants examples (N, {', '.join(map(str, self.event_shape))}), got "
                             f"shape {x.shape}")
        return mg.reshape(x, (len(x), -1))


class ProbabilisticPCA(FactorAnalysis):
    """`FactorAnalysis` with Ψ = σ² I: one noise for all, and an optimum in closed form, Eq. (6)."""

    def _noises(self, D):
        return 1

    def _noise_variance(self, variance):
        return mg.mean(variance, keepdims=True)

    def fit_exact(self, x):
        """The optimum on x (N, *event), with R = I. Returns the mean log-likelihood in nats. Eq. (6)."""
        x = self._enough(x)
        rows, K = x.numpy().astype(np.float64), self.weight.shape[1]
        values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
        values, vectors = values[::-1].clip(1e-12), vectors[:, ::-1]
        variance = max(values[K:].mean(), 1e-6)
        W = vectors[:, :K] * np.sqrt((values[:K] - variance).clip(0))
        with mg.no_grad():
            for parameter, value in ((self.mean, rows.mean(axis=0)), (self.weight, W),
                                     (self.log_std, np.full(1, 0.5 * math.log(variance)))):
                parameter[...] = mg.tensor(value.astype(parameter.dtype))
            return mg.mean(self.log_prob(x)).item()
