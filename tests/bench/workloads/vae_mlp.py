"""A training step of a VAE 784-400-20-400-784: ReLU, BCE on logits + KL, batch 128, Adam at 1e-3."""
import functools

import numpy as np

N, D, H, K = 128, 784, 400, 20


def numbers(batch, width):
    """Weights, a batch and noise, the same for both sides."""
    rng = np.random.default_rng(0)
    shapes = [(D, width), (width,), (width, 2 * K), (2 * K,), (K, width), (width,), (width, D), (D,)]
    weights = [rng.uniform(-1, 1, s).astype(np.float32) / np.float32(np.sqrt(s[0])) for s in shapes]
    x = (rng.random((batch, D)) < 0.2).astype(np.float32)
    return weights, x, rng.standard_normal((batch, K)).astype(np.float32)


def minigen(batch=N, width=H):
    import minigen as mg
    from minigen.models.latent import VAE
    from minigen.training import optim
    weights, x, eps = numbers(batch, width)
    model = VAE(event_shape=(D,), latents=K, hidden=(width,), rng=0)
    model.load_state_dict(dict(zip(model.state_dict(), weights)))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    rng, x = mg.random.default_rng(0), mg.tensor(x)
    loss = float(-model.elbo(x, eps=mg.tensor(eps)).mean())

    def step():
        loss = -model.elbo(x, rng=rng).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.size for p in model.parameters()), loss


def torch(batch=N, width=H):
    import torch
    from torch.nn import functional as F
    weights, x, eps = numbers(batch, width)
    parameters = [torch.tensor(w, requires_grad=True) for w in weights]
    x, noise = torch.tensor(x), torch.tensor(eps)
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    w1, b1, w2, b2, w3, b3, w4, b4 = parameters

    def objective(eps):
        mean, log_std = (torch.relu(x @ w1 + b1) @ w2 + b2).chunk(2, dim=1)
        z = mean + log_std.exp() * eps
        logits = torch.relu(z @ w3 + b3) @ w4 + b4
        distortion = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        rate = -0.5 * (1 + 2 * log_std - mean ** 2 - (2 * log_std).exp()).sum()
        return (distortion + rate) / batch

    def step():
        loss = objective(torch.randn(batch, K))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.numel() for p in parameters), float(objective(noise).detach())


def jax():
    """The whole step compiled: parameters, Adam's moments and the key go in and come out, in the same memory."""
    import jax
    from jax import numpy as jnp
    weights, x, eps = numbers(N, H)
    parameters, x = [jnp.asarray(w) for w in weights], jnp.asarray(x)

    def objective(parameters, x, eps):
        w1, b1, w2, b2, w3, b3, w4, b4 = parameters
        mean, log_std = jnp.split(jax.nn.relu(x @ w1 + b1) @ w2 + b2, 2, axis=1)
        logits = jax.nn.relu((mean + jnp.exp(log_std) * eps) @ w3 + b3) @ w4 + b4
        distortion = jnp.sum(jax.nn.softplus(logits) - logits * x)
        return (distortion - 0.5 * jnp.sum(1 + 2 * log_std - mean ** 2 - jnp.exp(2 * log_std))) / N

    @functools.partial(jax.jit, donate_argnums=0)
    def update(state, x):
        parameters, M, V, t, key = state
        key, draw = jax.random.split(key)
        loss, gradients = jax.value_and_grad(objective)(parameters, x, jax.random.normal(draw, (N, K)))
        t = t + 1
        M = [0.9 * m + 0.1 * g for m, g in zip(M, gradients)]
        V = [0.999 * v + 0.001 * g * g for v, g in zip(V, gradients)]
        rate, scale = 1e-3 / (1 - 0.9 ** t), 1 / jnp.sqrt(1 - 0.999 ** t)
        parameters = [p - rate * m / (scale * jnp.sqrt(v) + 1e-8) for p, m, v in zip(parameters, M, V)]
        return (parameters, M, V, t, key), loss

    first = float(jax.jit(objective)(parameters, x, jnp.asarray(eps)))
    zeros = [[jnp.zeros_like(p) for p in parameters] for _ in range(2)]
    state, loss = (parameters, *zeros, jnp.float32(0), jax.random.key(0)), jnp.float32(0)

    def step():
        nonlocal state, loss
        state, after = update(state, x)
        loss.block_until_ready()                  # of the step before: one may be under way while the next is prepared
        loss = after

    step.finish = lambda: jax.block_until_ready(state)
    return step, sum(p.size for p in parameters), first
