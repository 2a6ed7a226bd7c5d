"""A training step of a DCGAN on 28 × 28 images, width 64, batch 64: one step of D, one of G, each by Adam at 2e-4.

PyTorch runs it channels-first and channels-last, and the faster of the two counts; its reported peak memory is the
higher of the two. Images are in [−1, 1] there and in [0, 1] here, which costs us two elementwise operations.
"""
import numpy as np

N, K, F = 64, 64, 64
# of the generator, then of the discriminator, in our layout: (in, out), (KH, KW, in, out), transposed (KH, KW, out, in)
SHAPES = [(K, 49 * 2 * F), (2 * F,), (2 * F,), (F,), (F,), (4, 4, F, 2 * F), (4, 4, 1, F), (1,),
          (4, 4, 1, F), (F,), (4, 4, F, 2 * F), (2 * F,), (2 * F,), (49 * 2 * F, 1), (1,)]


def numbers():
    """Weights, images in [0, 1] and noise, the same for both sides. Vectors are γ and β, or biases."""
    rng = np.random.default_rng(0)
    weights = [(0.02 if len(s) > 1 else 0.2) * rng.standard_normal(s).astype(np.float32) for s in SHAPES]
    for gamma in (1, 3, 11):
        weights[gamma] += 1
    return weights, rng.random((N, 28, 28, 1), np.float32), rng.standard_normal((N, K)).astype(np.float32)


def minigen():
    import minigen as mg
    from minigen.models.adversarial import DCGAN
    from minigen.training import Adam
    weights, images, noise = numbers()
    model = DCGAN(latents=K, width=F, rng=0)
    model.load_state_dict({**model.state_dict(), **dict(zip(dict(model.named_parameters()), weights))})
    players = [(list(network.parameters()), terms) for network, terms in
               ((model.discriminator, model.discriminator_terms), (model.generator, model.generator_terms))]
    optimizers = [Adam(parameters, lr=2e-4, betas=(0.5, 0.999)) for parameters, _ in players]
    x, rng = mg.tensor(images), mg.random.default_rng(0)
    first = sum(float(terms(x, z=mg.tensor(noise))["loss"]) for _, terms in players)

    def step():
        for (parameters, terms), optimizer in zip(players, optimizers):
            loss = terms(x, rng=rng)["loss"]
            for parameter, gradient in zip(parameters, mg.grad(loss, parameters)):
                parameter.grad = gradient
            optimizer.step()

    return step, sum(p.size for p in model.parameters()), first


def torch():
    import time

    import torch
    sides = [torch_side(layout) for layout in (torch.contiguous_format, torch.channels_last)]
    seconds = []
    for step, _, _ in sides:
        step()
        start = time.perf_counter()
        for _ in range(5):
            step()
        seconds.append(time.perf_counter() - start)
    return sides[int(np.argmin(seconds))]


def torch_side(layout):
    """The step for images in one memory layout."""
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits, softplus
    weights, images, noise = numbers()
    G = nn.Sequential(
        nn.Linear(K, 49 * 2 * F, bias=False), nn.Unflatten(1, (2 * F, 7, 7)), nn.BatchNorm2d(2 * F), nn.ReLU(),
        nn.ConvTranspose2d(2 * F, F, 4, 2, 1, bias=False), nn.BatchNorm2d(F), nn.ReLU(),
        nn.ConvTranspose2d(F, 1, 4, 2, 1), nn.Tanh())
    D = nn.Sequential(
        nn.Conv2d(1, F, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(F, 2 * F, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * F),
        nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(49 * 2 * F, 1))
    load(G[0], G[2], G[5], G[4], G[7], D[0], D[2], D[3], D[6], weights)
    G, D = G.to(memory_format=layout), D.to(memory_format=layout)
    optimizers = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (D, G)]
    x = (2 * torch.tensor(images).permute(0, 3, 1, 2) - 1).contiguous(memory_format=layout)
    of_data = torch.ones(N, 1)

    def discriminator_loss(z):
        with torch.no_grad():
            fake = G(z)
        return binary_cross_entropy_with_logits(D(x), of_data) + softplus(D(fake)).mean()

    def generator_loss(z):
        D.requires_grad_(False)                             # or it would compute gradients that nobody reads
        loss = binary_cross_entropy_with_logits(D(G(z)), of_data)
        D.requires_grad_(True)
        return loss

    def step():
        for loss, optimizer in zip((discriminator_loss, generator_loss), optimizers):
            value = loss(torch.randn(N, K))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()

    z = torch.tensor(noise)
    first = float(discriminator_loss(z).detach()) + float(generator_loss(z).detach())
    return step, sum(p.numel() for net in (G, D) for p in net.parameters()), first


def load(project, norm0, norm1, up0, up1, down0, down1, norm2, linear, weights):
    """Our weights in PyTorch's layout. Pixels with their features last become features with their pixels last."""
    import torch

    def put(parameter, value):
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))

    (w_project, gamma0, beta0, gamma1, beta1, w_up0, w_up1, b_up1, w_down0, b_down0, w_down1, gamma2, beta2, w_linear,
     b_linear) = weights
    put(project.weight, w_project.reshape(K, 49, 2 * F).transpose(2, 1, 0).reshape(-1, K))      # rows (channel, pixel)
    put(linear.weight, w_linear.reshape(49, 2 * F).T.reshape(1, -1))
    put(linear.bias, b_linear)
    for norm, gamma, beta in ((norm0, gamma0, beta0), (norm1, gamma1, beta1), (norm2, gamma2, beta2)):
        put(norm.weight, gamma)
        put(norm.bias, beta)
    for conv, w in ((up0, w_up0), (up1, w_up1), (down0, w_down0), (down1, w_down1)):
        put(conv.weight, w.transpose(3, 2, 0, 1))           # (KH, KW, ·, ·) → both of PyTorch's (·, ·, KH, KW)
    put(up1.bias, b_up1)
    put(down0.bias, b_down0)
