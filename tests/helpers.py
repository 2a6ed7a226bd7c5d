"""What many tests share: derivatives compared with central differences, which know nothing of our vjps."""
import numpy as np

import minigen as mg

STEP = 1e-5          # central differences in float64: truncation ~ h², rounding ~ ε/h, both about 1e-10 here


def leaf(array):
    """A float64 leaf on the current backend."""
    return mg.tensor(np.asarray(array, dtype=np.float64), requires_grad=True)


def central_difference(value, arrays, step=STEP):
    """∂value/∂arrays of a scalar-valued function of NumPy arrays, element by element."""
    gradients = []
    for k, array in enumerate(arrays):
        gradient = np.zeros(np.shape(array))
        for index in np.ndindex(np.shape(array)):
            moved = [np.array(a, dtype=np.float64) for a in arrays]
            moved[k][index] += step
            above = value(*moved)
            moved[k][index] -= 2 * step
            gradient[index] = (above - value(*moved)) / (2 * step)
        gradients.append(gradient)
    return gradients


def assert_gradients(f, *arrays, orders=2, rtol=1e-5, atol=1e-6, seed=0):
    """Compare the first (and second) derivative of ``f(*tensors) -> Tensor`` with central differences in float64.

    Order 1: the gradient of ⟨c, f⟩ for a random cotangent c against differences of f's values. Order 2: the gradient of
    ⟨d, ∇⟨c, f⟩⟩ for fresh random d against differences of our first derivative, which order 1 has just vouched for.
    """
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(a, dtype=np.float64) for a in arrays]
    out = f(*[leaf(a) for a in arrays])
    c = rng.standard_normal(out.shape)

    def value(*moved):
        return float(np.sum(c * f(*[leaf(a) for a in moved]).numpy()))

    def first(*moved, create_graph=False):
        leaves = [leaf(a) for a in moved]
        return leaves, mg.grad(f(*leaves), leaves, mg.tensor(c), create_graph=create_graph)

    for ours, numeric in zip(first(*arrays)[1], central_difference(value, arrays)):
        np.testing.assert_allclose(ours.numpy(), numeric, rtol=rtol, atol=atol, err_msg="first derivative")
    if orders < 2:
        return
    d = [rng.standard_normal(a.shape) for a in arrays]

    def along(*moved):
        return float(sum(np.sum(dk * g.numpy()) for dk, g in zip(d, first(*moved)[1])))

    leaves, gradients = first(*arrays, create_graph=True)
    total = sum((mg.sum(g * mg.tensor(dk)) for g, dk in zip(gradients, d)), start=mg.tensor(np.float64(0.0)))
    for ours, numeric in zip(mg.grad(total, leaves), central_difference(along, arrays)):
        np.testing.assert_allclose(ours.numpy(), numeric, rtol=rtol, atol=atol, err_msg="second derivative")
