"""A training step of an RBM 784 × 500: CD-1 on batch 128, SGD at 0.05.

The loss that both sides must agree on is the mean free energy of the batch: the chain's noise differs.
"""
import numpy as np

N, D, H = 128, 784, 500


def numbers():
    """Weights, biases and a batch, the same for both sides."""
    rng = np.random.default_rng(0)
    weights = [0.01 * rng.standard_normal(s).astype(np.float32) for s in ((D, H), (D,), (H,))]
    return weights, (rng.random((N, D)) < 0.2).astype(np.float32)


def minigen():
    import minigen as mg
    from minigen.models.energy import RBM
    from minigen.training import optim
    weights, x = numbers()
    model = RBM(D, H, rng=0)
    model.load_state_dict(dict(zip(("weight", "visible_bias", "hidden_bias"), weights)))
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    rng, batch = mg.random.default_rng(0), mg.tensor(x)
    loss = float(model.energy(batch).mean())

    def step():
        loss = model.terms(batch, rng=rng)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.size for p in model.parameters()), loss


def torch():
    import torch
    from torch.nn import functional as F
    weights, x = numbers()
    parameters = [torch.tensor(w, requires_grad=True) for w in weights]
    W, b, c = parameters
    batch = torch.tensor(x)
    optimizer = torch.optim.SGD(parameters, lr=0.05)

    def energy(v):
        return -(v @ b) - F.softplus(v @ W + c).sum(dim=1)

    def step():
        with torch.no_grad():
            h = torch.bernoulli(torch.sigmoid(batch @ W + c))
            model = torch.bernoulli(torch.sigmoid(h @ W.T + b))
        loss = energy(batch).mean() - energy(model).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.numel() for p in parameters), float(energy(batch).mean().detach())
