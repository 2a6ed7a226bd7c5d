"""A training step of a convolutional energy E(x) on 28 × 28 × 1 images, batch 32: 20 Langevin steps, then Adam at 1e-4.

E is conv 3×3/1 32, conv 4×4/2 64, conv 4×4/2 64, SiLU after each, and a linear map. From noise, 20 times
x ← x − ½ s² ∇E(x) + s ε with s = 0.1; then the parameters go down the mean of E(data) − E(samples). PyTorch runs it
channels-first and channels-last; the faster counts.
"""
import numpy as np

from workloads.layouts import draw, faster, load

N, STEPS, S, SIDE = 32, 20, 0.1, 28


def numbers(shape, steps):
    """A batch, the start of the chains, and their noise, the same for both sides."""
    rng = np.random.default_rng(1)
    start, *noise = rng.standard_normal((1 + steps, *shape)).astype(np.float32)
    return rng.random(shape, np.float32), start, noise


def minigen(side=SIDE, steps=STEPS):
    import minigen as mg
    from minigen import nn
    from minigen.training import Adam
    shape, features = (N, side, side, 1), (side // 4) ** 2 * 64
    net = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1, rng=0), mg.silu, nn.Conv2d(32, 64, 4, 2, padding=1, rng=0),
                        mg.silu, nn.Conv2d(64, 64, 4, 2, padding=1, rng=0), mg.silu,
                        lambda h: h.reshape(N, features), nn.Linear(features, 1, rng=0))
    weights = np.random.default_rng(0)
    net.load_state_dict({name: draw(weights, array.shape) for name, array in net.state_dict().items()})
    optimizer, rng = Adam(net.parameters(), lr=1e-4), mg.random.default_rng(0)
    data, start, noise = numbers(shape, steps)
    data = mg.tensor(data)

    def objective(x, noise):
        for eps in noise:
            x = mg.tensor(x, requires_grad=True)
            slope = mg.grad(mg.sum(net(x)), x)
            x = x.detach() - 0.5 * S ** 2 * slope + S * eps
        return mg.mean(net(data)) - mg.mean(net(x))

    def step():
        loss = objective(rng.standard_normal(shape), (rng.standard_normal(shape) for _ in range(steps)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    first = float(objective(mg.tensor(start), map(mg.tensor, noise)))
    return step, sum(p.size for p in net.parameters()), first


def torch(side=SIDE, steps=STEPS):
    return faster(lambda layout: torch_side(layout, side, steps))


def torch_side(layout, side, steps):
    """The step for images in one memory layout."""
    import torch
    from torch import nn
    features = (side // 4) ** 2 * 64
    net = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.SiLU(), nn.Conv2d(32, 64, 4, 2, padding=1), nn.SiLU(),
                        nn.Conv2d(64, 64, 4, 2, padding=1), nn.SiLU(), nn.Flatten(), nn.Linear(features, 1))
    load(net, np.random.default_rng(0))
    with torch.no_grad():                           # features last become pixels last
        linear = net[-1].weight
        linear.copy_(linear.reshape(1, -1, 64).transpose(1, 2).reshape(1, -1).clone())
    net = net.to(memory_format=layout)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)

    def images(x):
        return torch.as_tensor(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)

    data, start, noise = numbers((N, side, side, 1), steps)
    data = images(data)

    def objective(x, noise):
        for eps in noise:
            x = x.detach().requires_grad_(True)
            slope, = torch.autograd.grad(net(x).sum(), x)
            x = x.detach() - 0.5 * S ** 2 * slope + S * eps
        return net(data).mean() - net(x).mean()

    def step():
        loss = objective(torch.randn_like(data), (torch.randn_like(data) for _ in range(steps)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.numel() for p in net.parameters()), float(objective(images(start), map(images, noise)).detach())
