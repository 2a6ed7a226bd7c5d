"""Optimisers against their formulas in float64 NumPy, written step by step, and against PyTorch where it is there."""
import numpy as np
import pytest

import minigen as mg
from minigen.training import blocks, optim

pytestmark = pytest.mark.usefixtures("backend")
STEPS = 100


def sgd(theta, g, s, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    g = g + weight_decay * theta
    s["b"] = momentum * s.get("b", 0.0) + g
    return theta - lr * (g + momentum * s["b"] if nesterov else s["b"])


def rmsprop(theta, g, s, lr, alpha=0.99, eps=1e-8):
    s["v"] = alpha * s.get("v", 0.0) + (1 - alpha) * g ** 2
    return theta - lr * g / (np.sqrt(s["v"]) + eps)


def adam(theta, g, s, lr, betas=(0.9, 0.999), eps=1e-8):
    s["t"] = s.get("t", 0) + 1
    s["m"] = betas[0] * s.get("m", 0.0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0.0) + (1 - betas[1]) * g ** 2
    m_hat, v_hat = s["m"] / (1 - betas[0] ** s["t"]), s["v"] / (1 - betas[1] ** s["t"])
    return theta - lr * m_hat / (np.sqrt(v_hat) + eps)


def adamw(theta, g, s, lr, weight_decay=0.01, **settings):
    return adam(theta * (1 - lr * weight_decay), g, s, lr, **settings)


CASES = [("SGD", sgd, {"lr": 0.1}),
         ("SGD", sgd, {"lr": 0.1, "weight_decay": 0.1}),
         ("SGD", sgd, {"lr": 0.1, "momentum": 0.9}),
         ("SGD", sgd, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
         ("SGD", sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
         ("RMSprop", rmsprop, {"lr": 0.01}),
         ("RMSprop", rmsprop, {"lr": 0.01, "alpha": 0.5, "eps": 0.1}),
         ("Adam", adam, {"lr": 0.01}),
         ("Adam", adam, {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.1}),
         ("AdamW", adamw, {"lr": 0.01}),
         ("AdamW", adamw, {"lr": 0.01, "weight_decay": 0.5, "betas": (0.0, 0.99)})]
IDS = ["-".join([name, *settings]) for name, _, settings in CASES]


def problem(dtype, shapes=((3, 4), (5,), ()), seed=0):
    """Start values, and (step, values) -> gradients of a noisy quadratic whose axes differ a thousandfold in scale."""
    rng = np.random.default_rng(seed)
    start = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    scales = [np.asarray(10 ** rng.uniform(-2, 1, shape)) for shape in shapes]
    noise = [[rng.standard_normal(shape) for shape in shapes] for _ in range(STEPS)]
    return start, lambda t, values: [(s * v + 0.1 * n).astype(dtype) for s, v, n in zip(scales, values, noise[t])]


def run(optimizer, parameters, gradients, steps=range(STEPS)):
    for t in steps:
        for parameter, g in zip(parameters, gradients(t, [p.numpy() for p in parameters])):
            parameter.grad = mg.tensor(np.asarray(g))
        optimizer.step()


def leaves(arrays):
    return [mg.tensor(np.asarray(a), requires_grad=True) for a in arrays]


# ---- the numbers -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name, formula, settings", CASES, ids=IDS)
def test_formula(name, formula, settings):
    start, gradients = problem(np.float64)
    parameters = leaves(start)
    run(getattr(optim, name)(parameters, **settings), parameters, gradients)
    values, states = [a.copy() for a in start], [{} for _ in start]
    for t in range(STEPS):
        values = [formula(v, g, s, **settings) for v, g, s in zip(values, gradients(t, values), states)]
    for parameter, value in zip(parameters, values):
        np.testing.assert_allclose(parameter.numpy(), value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name, formula, settings", CASES, ids=IDS)
def test_pytorch(name, formula, settings):
    torch = pytest.importorskip("torch")
    start, gradients = problem(np.float32)
    parameters = leaves(start)
    run(getattr(optim, name)(parameters, **settings), parameters, gradients)
    theirs = [torch.tensor(a, requires_grad=True) for a in start]
    optimizer = getattr(torch.optim, name)(theirs, **settings)
    for t in range(STEPS):
        for p, g in zip(theirs, gradients(t, [p.detach().numpy() for p in theirs])):
            p.grad = torch.tensor(g)
        optimizer.step()
    for ours, p in zip(parameters, theirs):
        np.testing.assert_allclose(ours.numpy(), p.detach().numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name, formula, settings", CASES, ids=IDS)
def test_blocks_equal_the_whole(name, formula, settings, monkeypatch):
    """Run in blocks, with a ragged last one, the update gives the bits that it gives on the whole array."""
    start, gradients = problem(np.float32, shapes=((7, 11), (64,)))
    results = []
    for block in (16, 10 ** 6):
        for kernel in vars(optim).values():
            if isinstance(kernel, blocks.Blockwise):
                monkeypatch.setattr(kernel, "block", block)
        parameters = leaves(start)
        run(getattr(optim, name)(parameters, **settings), parameters, gradients)
        results.append([p.numpy() for p in parameters])
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)


def test_not_contiguous():
    """A parameter and a gradient in Fortran order are updated all the same."""
    if mg.backend.current().name != "numpy":
        pytest.skip("arrays in Fortran order are made with NumPy")
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    parameter = mg.Tensor(array, requires_grad=True)
    parameter.grad = mg.Tensor(np.asfortranarray(np.ones((3, 4))))
    optimizer = optim.Adam([parameter], lr=0.5)
    blocks_before = optim._adam.block
    try:
        optim._adam.block = 5
        optimizer.step()
    finally:
        optim._adam.block = blocks_before
    assert parameter._array is array
    np.testing.assert_allclose(array, np.arange(12.0).reshape(3, 4) - 0.5, atol=1e-7)      # Adam's first step is ±η


def test_keeps_dtype_and_counts_changes():
    parameter, = leaves([np.ones(3, dtype=np.float32)])
    loss = mg.sum(parameter * parameter)
    parameter.grad = mg.tensor(np.ones(3, dtype=np.float32))
    optim.Adam([parameter], lr=lambda t: np.float64(0.1)).step()
    assert parameter.dtype == np.float32
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_missing_gradients_are_skipped():
    """A parameter without gradient stays, and its bias correction starts with its own first step."""
    a, b = leaves([np.zeros(2), np.zeros(2)])
    optimizer = optim.Adam([a, b], lr=0.1)
    for _ in range(3):
        a.grad = mg.tensor(np.ones(2))
        optimizer.step()
    assert not b.numpy().any()
    b.grad = mg.tensor(np.full(2, 1e-3))
    optimizer.step()
    np.testing.assert_allclose(b.numpy(), -0.1, rtol=1e-4)
    optimizer.zero_grad()
    assert a.grad is None and b.grad is None


def test_schedule_drives_the_rate():
    parameter, = leaves([np.zeros(())])
    optimizer = optim.SGD([parameter], lr=lambda t: 10.0 ** -t)
    for _ in range(3):
        parameter.grad = mg.tensor(np.ones(()))
        optimizer.step()
    np.testing.assert_allclose(parameter.numpy(), -1.11)
    assert optimizer.rate() == pytest.approx(1e-3)


# ---- state -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name, formula, settings", CASES, ids=IDS)
def test_resumes_exactly(name, formula, settings):
    start, gradients = problem(np.float32)
    whole = leaves(start)
    run(getattr(optim, name)(whole, **settings), whole, gradients)
    first = leaves(start)
    optimizer = getattr(optim, name)(first, **settings)
    run(optimizer, first, gradients, range(40))
    second = leaves([p.numpy() for p in first])
    resumed = getattr(optim, name)(second, **settings)
    resumed.load_state_dict(optimizer.state_dict())
    run(resumed, second, gradients, range(40, STEPS))
    assert resumed.steps == STEPS
    for a, b in zip(whole, second):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_state_that_does_not_fit():
    parameters = leaves([np.zeros(3), np.zeros(2)])
    saved = optim.Adam(parameters).state_dict()
    with pytest.raises(ValueError, match="RMSprop: this state belongs to Adam"):
        optim.RMSprop(parameters).load_state_dict(saved)
    with pytest.raises(ValueError, match="of 2 parameters, the optimiser has 1"):
        optim.Adam(parameters[:1]).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"'M' of parameter 0 of shape \(2,\) has shape \(3,\) in this state"):
        optim.Adam(parameters[::-1]).load_state_dict(saved)


# ---- bad input -------------------------------------------------------------------------------------------------------
def test_bad_settings():
    p = leaves([np.zeros(3)])
    for make, message in [(lambda: optim.Adam(p, lr=-1), "Adam: lr must be a finite number ≥ 0, got -1"),
                          (lambda: optim.Adam(p, lr=float("nan")), "finite number ≥ 0"),
                          (lambda: optim.Adam(p, betas=(1.0, 0.9)), "beta1 must be in"),
                          (lambda: optim.SGD(p, momentum=1.0), "momentum must be in"),
                          (lambda: optim.SGD(p, nesterov=True), "give momentum too"),
                          (lambda: optim.RMSprop(p, alpha=-0.1), "alpha must be in"),
                          (lambda: optim.AdamW(p, weight_decay=-1), "weight_decay must be in")]:
        with pytest.raises(ValueError, match=message):
            make()
    optimizer = optim.Adam(p, lr=lambda t: 1.0 if t == 0 else -1.0)
    optimizer.step()
    with pytest.raises(ValueError, match="lr must be a finite number ≥ 0, got -1.0 at step 1"):
        optimizer.step()


def test_bad_parameters():
    p, = leaves([np.zeros(3)])
    p.name = "bias"
    with pytest.raises(ValueError, match="SGD: got no parameters to train"):
        optim.SGD([])
    with pytest.raises(ValueError, match=r"parameter 1 \('bias'\) of shape \(3,\) is also parameter 0"):
        optim.SGD([p, p])
    with pytest.raises(ValueError, match="parameter 0 of shape .* requires no grad"):
        optim.SGD([mg.tensor(np.zeros(3))])
    with pytest.raises(ValueError, match="computed by an op"):
        optim.SGD([p * 2.0])
    with pytest.raises(TypeError, match="parameters must be Tensors, item 0 is a ndarray"):
        optim.SGD([np.zeros(3)])


def test_moved_after_the_optimizer_was_made():
    if mg.backend.current().name == "numpy":
        pytest.skip("needs a second backend")
    parameter, = leaves([np.zeros(3)])
    optimizer = optim.Adam([parameter])
    parameter._array = np.zeros(3)
    parameter.grad = mg.Tensor(np.zeros(3))
    with pytest.raises(TypeError, match="make the optimiser after moving the model"):
        optimizer.step()
