"""A training step of a VAE 784-400-20-400-784: ReLU, BCE on logits + KL, batch 128, Adam at 1e-3."""
import numpy as np

N, D, H, K = 128, 784, 400, 20
SHAPES = [(D, H), (H,), (H, 2 * K), (2 * K,), (K, H), (H,), (H, D), (D,)]


def numbers():
    """Weights, a batch and noise, the same for both sides."""
    rng = np.random.default_rng(0)
    weights = [rng.uniform(-1, 1, s).astype(np.float32) / np.float32(np.sqrt(s[0])) for s in SHAPES]
    x = (rng.random((N, D)) < 0.2).astype(np.float32)
    return weights, x, rng.standard_normal((N, K)).astype(np.float32)


def minigen():
    import minigen as mg
    from minigen.models.latent import VAE
    from minigen.training import optim
    weights, x, eps = numbers()
    model = VAE(event_shape=(D,), latents=K, hidden=(H,), rng=0)
    model.load_state_dict(dict(zip(model.state_dict(), weights)))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    rng, batch = mg.random.default_rng(0), mg.tensor(x)
    loss = float(-model.elbo(batch, eps=mg.tensor(eps)).mean())

    def step():
        loss = -model.elbo(batch, rng=rng).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.size for p in model.parameters()), loss


def torch():
    import torch
    from torch.nn import functional as F
    weights, x, eps = numbers()
    parameters = [torch.tensor(w, requires_grad=True) for w in weights]
    batch, noise = torch.tensor(x), torch.tensor(eps)
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    w1, b1, w2, b2, w3, b3, w4, b4 = parameters

    def objective(eps):
        mean, log_std = (torch.relu(batch @ w1 + b1) @ w2 + b2).chunk(2, dim=1)
        z = mean + log_std.exp() * eps
        logits = torch.relu(z @ w3 + b3) @ w4 + b4
        distortion = F.binary_cross_entropy_with_logits(logits, batch, reduction="sum")
        rate = -0.5 * (1 + 2 * log_std - mean ** 2 - (2 * log_std).exp()).sum()
        return (distortion + rate) / N

    def step():
        loss = objective(torch.randn(N, K))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.numel() for p in parameters), float(objective(noise).detach())
