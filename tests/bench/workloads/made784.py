"""A training step of MADE 784-1024-784: one mask, ReLU, BCE on logits, batch 128, Adam at 1e-3."""
import numpy as np

N, D, H = 128, 784, 1024
SHAPES = [(D, H), (H,), (H, D), (D,)]


def numbers():
    """Weights and a batch, the same for both sides."""
    rng = np.random.default_rng(0)
    weights = [rng.uniform(-1, 1, s).astype(np.float32) / np.float32(np.sqrt(s[0])) for s in SHAPES]
    return weights, (rng.random((N, D)) < 0.2).astype(np.float32)


def masks():
    """The masks of both layers, (D, H) and (H, D): degrees 1 … D − 1 spread evenly over the hidden units."""
    place, degree = np.arange(1, D + 1), 1 + np.arange(H) * (D - 1) // H
    return place[:, None] <= degree, degree[:, None] < place


def minigen():
    import minigen as mg
    from minigen.models.autoregressive import MADE
    from minigen.training import optim
    weights, x = numbers()
    model = MADE(event_shape=(D,), hidden=(H,), rng=0)
    for layer, mask in zip(model.net.layers, masks()):
        assert (layer.mask.numpy() == mask).all()
    names = [name for name, _ in model.named_parameters()]
    model.load_state_dict({**model.state_dict(), **dict(zip(names, weights))})
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    batch = mg.tensor(x)
    loss = float(-model.log_prob(batch).mean())

    def step():
        loss = -model.log_prob(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.size for p in model.parameters()), loss


def torch():
    import torch
    from torch.nn import functional as F
    weights, x = numbers()
    parameters = [torch.tensor(w, requires_grad=True) for w in weights]
    first, second = (torch.tensor(mask.astype(np.float32)) for mask in masks())
    batch = torch.tensor(x)
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    w1, b1, w2, b2 = parameters

    def objective():
        h = torch.relu(batch @ (w1 * first) + b1)
        logits = h @ (w2 * second) + b2
        return F.binary_cross_entropy_with_logits(logits, batch, reduction="sum") / N

    def step():
        loss = objective()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.numel() for p in parameters), float(objective().detach())
