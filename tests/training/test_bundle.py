"""Small parameters updated as one array move exactly as each alone."""
import numpy as np
import pytest

import minigen as mg
from minigen.training import SGD, Adam, AdamW, RMSprop, bundle

SHAPES = [(3, 4), (4,), (), (200, 100), (7, 1, 2)]
MAKERS = {
    "SGD": lambda p: SGD(p, lr=0.1),
    "Nesterov": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "RMSprop": lambda p: RMSprop(p, lr=0.01), "Adam": lambda p: Adam(p, lr=0.01), "AdamW": lambda p: AdamW(p, lr=0.01)}


def run(maker, steps=5, skip=None):
    """The parameters after some steps with fixed gradients, and the optimiser. skip: (step, parameter) without one."""
    rng = np.random.default_rng(0)
    parameters = [mg.tensor(rng.standard_normal(s).astype(np.float32), requires_grad=True) for s in SHAPES]
    optimizer = maker(parameters)
    for step in range(steps):
        for i, p in enumerate(parameters):
            g = np.asarray(rng.standard_normal(p.shape), np.float32)
            p.grad = None if (step, i) == skip else mg.tensor(g)
        optimizer.step()
    return parameters, optimizer


def run_alone(monkeypatch, *args, **options):
    with monkeypatch.context() as patched:
        patched.setattr(bundle, "SMALL", 0)
        parameters, optimizer = run(*args, **options)
        assert not optimizer._bundles
        return parameters, optimizer


def assert_same(a, b):
    for p, q in zip(a[0], b[0]):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    for s, t in zip(a[1].state_dict()["parameters"], b[1].state_dict()["parameters"]):
        assert s["t"] == t["t"] and s.keys() == t.keys()
        for slot in s:
            np.testing.assert_array_equal(s[slot], t[slot])


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_a_bundle_moves_as_its_parameters_alone(backend, maker, monkeypatch):
    together = run(maker)
    assert [len(b.parameters) for b in together[1]._bundles] == [4]
    assert_same(together, run_alone(monkeypatch, maker))


@pytest.mark.parametrize("skip", [(0, 1), (2, 2), (4, 4)])
def test_a_parameter_without_a_gradient_stays_and_falls_behind(skip, monkeypatch):
    assert_same(run(MAKERS["Adam"], skip=skip), run_alone(monkeypatch, MAKERS["Adam"], skip=skip))


def test_a_loaded_state_reaches_the_bundle():
    parameters, optimizer = run(MAKERS["Adam"], steps=3)
    fresh = Adam(parameters, lr=0.01)
    fresh.load_state_dict(optimizer.state_dict())
    before = [p.numpy() for p in parameters]
    for p in parameters:
        p.grad = mg.ones_like(p.detach())
    fresh.step()
    after = [p.numpy() for p in parameters]
    for p, value in zip(parameters, before):
        p._array[...] = value
    optimizer.step()
    for p, value in zip(parameters, after):
        np.testing.assert_array_equal(p.numpy(), value)


def test_a_change_by_the_bundle_is_noticed():
    """As any change in place: a graph that saved the old value does not give a gradient."""
    p, q = (mg.tensor(np.ones(3, np.float32), requires_grad=True) for _ in range(2))
    loss = mg.sum(p * p * q)
    p.grad, q.grad = mg.ones(3), mg.ones(3)
    Adam([p, q]).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()
