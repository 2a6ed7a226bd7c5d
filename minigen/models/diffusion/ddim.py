r"""DDIM: the same trained network, sampled in fewer steps, and without noise if wished.

J. Song, C. Meng and S. Ermon, "Denoising Diffusion Implicit Models", 2020, arXiv:2010.02502.

**Another process with the same marginals.** The losses of `ddpm` look at q(z_t|x) alone, never at how z_t and z_s
hang together. So for s < t choose any 0 ≤ σ² ≤ 1 − ᾱ_s and let

    q_σ(z_s|z_t, x) = N(√ᾱ_s x + √(1 − ᾱ_s − σ²) ε_t, σ² I),    ε_t = (z_t − √ᾱ_t x) / √(1 − ᾱ_t).               (20)

If z_t ~ q(z_t|x) then ε_t ~ N(0, I), and z_s is √ᾱ_s x plus noise of variance 1 − ᾱ_s − σ² + σ²: it has the marginal
(2). A step of the sampler is (20) with the network's x̂ and ε̂ in place of x and ε_t:

    z_s = √ᾱ_s x̂ + √(1 − ᾱ_s − σ²) ε̂ + σ ε,    ε ~ N(0, I),                                                    (21)
    σ = η √((1 − ᾱ_s) / (1 − ᾱ_t)) √(1 − ᾱ_t / ᾱ_s),    0 ≤ η ≤ 1.                                              (22)

For s = t − 1 and η = 1, σ² is β̃_t and (21) is the step of DDPM with the small variance. At s = 0, σ = 0 and z_0 = x̂.

**Fewer steps.** Nothing asks for s = t − 1. We take S + 1 times T = τ_S > … > τ_0 = 0, evenly spaced.

**Inversion.** With η = 0 there is no noise, and z_T determines the sample. Eliminating x̂ from (21) by Eq. (7),

    z_s / √ᾱ_s = z_t / √ᾱ_t + (ρ_s − ρ_t) ε̂(z_t, t),    ρ_t = √(1 − ᾱ_t) / √ᾱ_t,                                 (23)

an Euler step of the ordinary differential equation dz̄ = ε̂ dρ for z̄ = z/√ᾱ. To go back, from z_s to z_t, solve it
for z_t; by ε̂, or, eliminating ε̂ from (21) instead, by x̂:

    z_t = √ᾱ_t (z_s / √ᾱ_s + (ρ_t − ρ_s) ε̂(z_t, t)),                                                           (24)
    z_t = √(1 − ᾱ_t) (z_s / √(1 − ᾱ_s) − (1/ρ_s − 1/ρ_t) x̂(z_t, t)).                                           (25)

z_t is on both sides. With z_s in its place on the right, (24) is an Euler step backwards, nearly that of the paper's
Eq. (14). Then put the result in again: each such *correction* multiplies the error by a factor that grows with the
step and with the slope of ε̂ or x̂. For data of unit variance, and √ᾱ_t = cos φ_t, the factors are

    sin φ_t sin(φ_t − φ_s) / cos φ_s  for (24),    cos φ_t sin(φ_t − φ_s) / sin φ_s  for (25),                   (26)

so (24) is for small noise and (25) for large; we change at SNR(s) = 1. Where the factor is below 1 the round trip
becomes exact.
"""
import numpy as np

import minigen as mg
from minigen.random import seeded


class DDIM:
    """A sampler for a trained DDPM.

        sampler = DDIM(model, steps=25)
        images = sampler.sample(16, rng=rng)
        z = sampler.invert(images)                          # the noise that they come from
        same = sampler.sample(16, z=z)

    Args:
        model: a `DDPM`. Its variance plays no part here.
        steps: S ≤ T. eta: η in [0, 1]: 0 is deterministic, 1 with S = T is DDPM.

    Attributes: times, the ints τ_0 = 0 < … < τ_S = T.

    Raises ValueError for steps outside 1 … T or η outside [0, 1].
    """

    def __init__(self, model, steps=50, eta=0.0):
        T = model.process.T
        if not 1 <= steps <= T:
            raise ValueError(f"DDIM: steps must lie in 1 … T = {T}, got {steps}")
        if not 0 <= eta <= 1:
            raise ValueError(f"DDIM: eta must lie in [0, 1], got {eta}")
        self.model, self.eta = model, eta
        self.times = [int(t) for t in np.linspace(0, T, steps + 1).round()]

    def sample(self, n, *, rng=None, labels=None, guide=None, z=None):
        """n samples (n, *event). Arguments as in `DDPM.sample`; without ``rng`` where η = 0 and ``z`` is given."""
        for _, z in self.path(n, rng=rng, labels=labels, guide=guide, z=z):
            pass
        return z

    def path(self, n, *, rng=None, labels=None, guide=None, z=None):
        """Iterate over (t, z_t) for t = τ_S, …, τ_0. ``z`` (n, *event) replaces the first z_T."""
        rng = seeded(rng)
        z = self.model.first(n, rng, z)
        yield self.model.process.T, z
        for s, t in zip(self.times[-2::-1], self.times[::-1]):
            z = self.step(z, t, s, rng=rng, labels=labels, guide=guide)
            yield s, z

    def step(self, z, t, s, *, rng=None, eps=None, labels=None, guide=None):
        """z_s from z_t, s < t. Eq. (21). ``eps`` replaces the noise."""
        process, sigma = self.model.process, self.sigma(t, s)
        with mg.no_grad():
            found = self.model.predict(z, t, labels, guide)
            mean = (process.at("signal", s, z) * found.x
                    + float(np.sqrt(1 - process.alpha_bar[s] - sigma ** 2)) * found.eps)
            return mean + sigma * self.model.noise_like(z, rng, eps) if sigma else mean

    def sigma(self, t, s):
        """σ of the step from t to s, a float. Eq. (22)."""
        now, then = self.model.process.alpha_bar[[t, s]]
        return self.eta * float(np.sqrt((1 - then) / (1 - now) * (1 - now / then)))

    def invert(self, x, *, labels=None, guide=None, corrections=0):
        """The z_T (N, *event) from which `sample` with η = 0 makes x. Eqs. (24) and (25).

        Args:
            x: (N, *event), as `sample` would return it.
            corrections: how often the equation is put into itself. 0: one call of the network a step, an error of first
                order.

        Raises ValueError if η is not 0: noise cannot be undone.
        """
        if self.eta:
            raise ValueError(f"DDIM.invert: only the deterministic sampler can be inverted, eta=0; got eta={self.eta}")
        z = x
        with mg.no_grad():
            for s, t in zip(self.times, self.times[1:]):
                before = z
                for _ in range(1 + corrections):
                    z = self._back(before, s, t, self.model.predict(z, t, labels, guide))
        return z

    def _back(self, z, s, t, found):
        """z_t from z_s, given what the network says of z_t."""
        process = self.model.process
        (a_s, a_t), (n_s, n_t) = process.signal[[s, t]].tolist(), process.noise[[s, t]].tolist()
        if process.snr[s] > 1:
            return a_t / a_s * z + (n_t - a_t * n_s / a_s) * found.eps                                 # Eq. (24)
        return n_t / n_s * z - (n_t * a_s / n_s - a_t) * found.x                                       # Eq. (25)
