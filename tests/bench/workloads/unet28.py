"""A training step of a DDPM on 28 × 28 × 1 images, simple loss in ε, T = 1000, batch 32, Adam at 1e-3.

The U-Net has base 32 and two levels (32, 64) of one residual block with group norm and time embedding, self-attention
at 14 × 14 and 7 × 7, and 588,481 parameters. PyTorch runs it channels-first and channels-last; the faster counts.
"""
import math

import numpy as np

from workloads.layouts import draw, faster, load

N, T, BASE = 32, 1000, 32


def numbers():
    """A batch, times and noise, the same for both sides."""
    rng = np.random.default_rng(1)
    x, eps = (rng.standard_normal((N, 28, 28, 1)).astype(np.float32) for _ in range(2))
    return np.clip(x, -1, 1), rng.integers(1, T + 1, N), eps


def minigen():
    import minigen as mg
    from minigen.models.diffusion import DDPM
    from minigen.training import Adam
    x, t, eps = map(mg.tensor, numbers())
    model, weights = DDPM(mg.nn.UNet(base=BASE, rng=0), (28, 28, 1)), np.random.default_rng(0)
    model.load_state_dict({name: draw(weights, array.shape) for name, array in model.state_dict().items()})
    optimizer, rng = Adam(model.parameters(), lr=1e-3), mg.random.default_rng(0)
    with mg.no_grad():
        first = float(model.losses(x, t=t, eps=eps)["simple"].mean())

    def step():
        loss = model.losses(x, rng=rng)["simple"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.size for p in model.parameters()), first


def torch():
    return faster(torch_side)


def torch_side(layout):
    """The step for images in one memory layout."""
    import torch
    x, t, eps = map(torch.tensor, numbers())
    x, eps = (v.permute(0, 3, 1, 2).contiguous(memory_format=layout) for v in (x, eps))
    net = load(torch_unet(), np.random.default_rng(0)).to(memory_format=layout)
    alpha_bar = torch.tensor(np.cumprod(1 - np.linspace(1e-4, 0.02, T)), dtype=torch.float32)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def objective(t, eps):
        a = alpha_bar[t - 1].view(-1, 1, 1, 1)
        return ((eps - net(a.sqrt() * x + (1 - a).sqrt() * eps, t)) ** 2).sum() / N

    def step():
        loss = objective(torch.randint(1, T + 1, (N,)), torch.randn_like(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with torch.no_grad():
        first = float(objective(t, eps))
    return step, sum(p.numel() for p in net.parameters()), first


def torch_unet():
    """`minigen.nn.UNet` in PyTorch, its modules in the same order, so that its parameters are."""
    import torch
    from torch import nn
    from torch.nn.functional import interpolate, scaled_dot_product_attention, silu
    w, E = BASE, 4 * BASE

    class Block(nn.Module):
        def __init__(self, channels, width, attends):
            super().__init__()
            self.norm1, self.conv1 = nn.GroupNorm(8, channels), nn.Conv2d(channels, width, 3, padding=1)
            self.condition, self.norm2 = nn.Linear(E, width), nn.GroupNorm(8, width)
            self.conv2 = nn.Conv2d(width, width, 3, padding=1)
            self.skip = nn.Conv2d(channels, width, 1) if channels != width else nn.Identity()
            self.attention = Attention(width) if attends else nn.Identity()

        def forward(self, x, e):
            h = self.conv1(silu(self.norm1(x))) + self.condition(e)[:, :, None, None]
            return self.attention(self.skip(x) + self.conv2(silu(self.norm2(h))))

    class Attention(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.norm = nn.GroupNorm(8, width)
            self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

        def forward(self, x):
            h = self.norm(x).flatten(2).transpose(1, 2)                                       # (N, H W, C)
            h = self.out(scaled_dot_product_attention(self.query(h), self.key(h), self.value(h)))
            return x + h.transpose(1, 2).reshape(x.shape)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.time = nn.Sequential(nn.Linear(w, E), nn.SiLU(), nn.Linear(E, E))
            self.conv_in = nn.Conv2d(1, w, 3, padding=1)
            self.down = nn.ModuleList([Block(w, w, False), Block(w, 2 * w, True)])
            self.halve = nn.ModuleList([nn.Conv2d(c, c, 3, 2, padding=1) for c in (w, 2 * w)])
            self.middle = nn.ModuleList([Block(2 * w, 2 * w, True), Block(2 * w, 2 * w, False)])
            self.up = nn.ModuleList([Block(2 * w, w, False), Block(4 * w, 2 * w, True)])
            self.enlarge = nn.ModuleList([nn.Conv2d(2 * w, c, 3, padding=1) for c in (w, 2 * w)])
            self.norm_out, self.conv_out = nn.GroupNorm(8, w), nn.Conv2d(w, 1, 3, padding=1)

        def forward(self, x, t):
            omega = torch.exp(torch.arange(w // 2) * (-math.log(10_000) / (w // 2)))
            angles = t[:, None] * omega
            e = silu(self.time(torch.cat([angles.sin(), angles.cos()], dim=1)))
            h, skips = self.conv_in(x), []
            for block, halve in zip(self.down, self.halve):
                skips.append(block(h, e))
                h = halve(skips[-1])
            for block in self.middle:
                h = block(h, e)
            for k in (1, 0):
                h = self.enlarge[k](interpolate(h, scale_factor=2.0, mode="nearest"))
                h = self.up[k](torch.cat([h, skips[k]], dim=1), e)
            return self.conv_out(silu(self.norm_out(h)))

    return Net()
