"""A training step of Real NVP on the plane: 8 affine couplings, each an MLP 1-128-128-2, batch 512, Adam at 1e-3."""
import math

import numpy as np

N, H, COUPLINGS, BOUND = 512, 128, 8, 2.0
SHAPES = [(1, H), (H,), (H, H), (H,), (H, 2), (2,)]                                        # of one coupling's MLP


def numbers():
    """Weights of all couplings, and a batch, the same for both sides."""
    rng = np.random.default_rng(0)
    weights = [rng.uniform(-1, 1, s).astype(np.float32) / np.float32(np.sqrt(s[0])) for _ in range(COUPLINGS)
               for s in SHAPES]
    return weights, rng.standard_normal((N, 2)).astype(np.float32)


def minigen():
    import minigen as mg
    from minigen.models.flow import RealNVP
    from minigen.training import optim
    weights, x = numbers()
    model = RealNVP(2, couplings=COUPLINGS, hidden=(H, H), rng=0)
    model.load_state_dict(dict(zip(model.state_dict(), weights)))
    optimizer, batch = optim.Adam(model.parameters(), lr=1e-3), mg.tensor(x)
    loss = float(-model.log_prob(batch).mean())

    def step():
        loss = -model.log_prob(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.size for p in model.parameters()), loss


def torch():
    import torch
    weights, x = numbers()
    parameters = [torch.tensor(w, requires_grad=True) for w in weights]
    optimizer, batch = torch.optim.Adam(parameters, lr=1e-3), torch.tensor(x)

    def objective():
        halves, log_abs_det = list(batch.chunk(2, dim=1)), 0.0
        for k in range(COUPLINGS):
            w1, b1, w2, b2, w3, b3 = parameters[6 * k:6 * k + 6]
            kept, moved = halves[k % 2], halves[1 - k % 2]
            h = torch.relu(torch.addmm(b2, torch.relu(torch.addmm(b1, kept, w1)), w2))
            t, a = torch.addmm(b3, h, w3).chunk(2, dim=1)
            s = BOUND * torch.tanh(a / BOUND)
            halves[1 - k % 2] = moved * s.exp() + t
            log_abs_det = log_abs_det + s[:, 0]
        z = torch.cat(halves, dim=1)
        return -(log_abs_det - 0.5 * (z * z).sum(dim=1) - math.log(2 * math.pi)).mean()

    def step():
        loss = objective()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.numel() for p in parameters), float(objective().detach())
