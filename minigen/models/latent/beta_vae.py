r"""The β-VAE, and free bits: what the two parts of the bound are traded for.

I. Higgins et al., "β-VAE", ICLR 2017; A. Alemi et al., "Fixing a Broken ELBO", 2017, arXiv:1711.00464; D. Kingma et
al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016, arXiv:1606.04934, appendix C.8 (free
bits); S. Bowman et al., 2015, arXiv:1511.06349 (annealing).

The ELBO of `vae` is −(D + R): the *distortion* D = −E_q log p(x|z) and the *rate* R = KL(q(z|x)‖p(z)), both in nats.
The same networks can minimise

    D + β R.                                                                                                  (1)

β = 1 is the VAE. A large β buys a short code with blurred images; a small one, sharp images with codes that the prior
does not know how to draw. As β varies, (R, D) traces the *rate–distortion curve* of the model; −dD/dR = β on it, and
the ELBO is best where its slope is −1.

**Posterior collapse.** A decoder that does well without z, or an optimiser that lowers R before z is of use, ends at
q(z|x) = p(z), R = 0: the latent says nothing. One sees it in R, latent by latent: `active_units`. Two remedies: raise β
slowly from 0 (`schedules` serves, as β may be a function of the step), or make the first λ nats of each latent free:

    D + β Σ_k max(λ, E_batch[R_k]),                                                                            (2)

which has no gradient in R_k below λ.
"""
import minigen as mg
from minigen.distributions import Normal, kl_divergence
from minigen.models.base import Objective
from minigen.models.latent.vae import VAE

__all__ = ["BetaVAE"]


class BetaVAE(VAE):
    """A `VAE` that minimises Eq. (1) or (2). `elbo`, `iwae` and all else stay those of the VAE.

    Args:
        beta: a number ≥ 0, or a function of the number of losses computed so far (one a step), for annealing.
        free_bits: λ in nats for each latent. Others as for `VAE`.
    """

    def __init__(self, *args, beta=1.0, free_bits=0.0, **settings):
        super().__init__(*args, **settings)
        if free_bits < 0 or not callable(beta) and beta < 0:
            raise ValueError(f"BetaVAE: wants beta ≥ 0 and free_bits ≥ 0 nats, got {beta} and {free_bits}")
        self.beta, self.free_bits = beta, free_bits
        self.steps = mg.nn.Buffer(mg.zeros(()))                     # saved, so that annealing goes on where it stopped

    def rates(self, x):
        """R_k(x): the divergence of each latent in nats, (N, K)."""
        q = self.posterior(x)
        zero = mg.zeros_like(q.mean)
        return kl_divergence(Normal(q.mean, q.log_std, 0), Normal(zero, zero, 0))

    def active_units(self, x, threshold=0.01):
        """How many latents carry more than ``threshold`` nats on average over x; none are left where q has
        collapsed."""
        with mg.no_grad():
            return int(mg.sum(mg.mean(self.rates(x), axis=0) > threshold).item())

    def objectives(self):
        """One: Eq. (2), which is Eq. (1) without free bits."""
        def loss(batch, rng):
            distortion, rate = (term.mean() for term in self.terms(batch["x"], rng=rng))
            beta = self.beta(int(self.steps.item())) if callable(self.beta) else self.beta
            price = rate
            if self.free_bits:
                price = mg.sum(mg.maximum(mg.mean(self.rates(batch["x"]), axis=0), self.free_bits))         # Eq. (2)
            with mg.no_grad():
                self.steps[...] = self.steps + 1
            return {"loss": distortion + beta * price, "distortion": distortion, "rate": rate, "beta": beta}

        return [Objective("beta", self.parameters(), loss)]
