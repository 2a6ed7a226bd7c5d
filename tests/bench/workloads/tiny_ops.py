"""Overhead of an op on 4 numbers, forward and backward: a chain of 100 ops, y ← tanh(y · x). A figure is for one op."""
import numpy as np

OPS = 100          # in one step; the times are divided by it


def minigen():
    import minigen as mg
    x = mg.tensor(np.full(4, 0.5, np.float32), requires_grad=True)
    ones = mg.ones(4)

    def chain():
        y = x
        for _ in range(OPS // 2):
            y = mg.tanh(y * x)
        return y

    def step():
        chain().backward(ones)
        x.grad = None

    return step, 4, float(chain().numpy().sum())


def torch():
    import torch
    x = torch.full((4,), 0.5, requires_grad=True)
    ones = torch.ones(4)

    def chain():
        y = x
        for _ in range(OPS // 2):
            y = torch.tanh(y * x)
        return y

    def step():
        chain().backward(ones)
        x.grad = None

    return step, 4, float(chain().detach().sum())
