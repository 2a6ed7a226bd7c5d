"""A chain of ops on 4 numbers, y ← −(y · x), and the way back: what it costs to go deeper."""
import numpy as np

X = np.array([0.9999, 1.0, 1.0001, 1.0002], np.float32)      # so that 10,000 ops neither vanish nor explode


def minigen(depth=1000):
    import minigen as mg
    x, ones = mg.tensor(X, requires_grad=True), mg.ones(4)

    def chain():
        y = x
        for _ in range(depth // 2):
            y = -(y * x)
        return y

    def step():
        chain().backward(ones)
        x.grad = None

    return step, 4, float(chain().numpy().sum())


def torch(depth=1000):
    import torch
    x, ones = torch.tensor(X, requires_grad=True), torch.ones(4)

    def chain():
        y = x
        for _ in range(depth // 2):
            y = -(y * x)
        return y

    def step():
        chain().backward(ones)
        x.grad = None

    return step, 4, float(chain().detach().sum())
