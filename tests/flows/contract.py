"""The contract of `minigen.flows.base`, held against NumPy: what every test of a transform calls."""
import numpy as np
from helpers import assert_gradients

import minigen as mg
from minigen import check


def t(values, dtype="float64"):
    return mg.tensor(np.asarray(values, dtype=dtype))


def shaken(transform, seed=0, size=0.4):
    """The transform in float64, its parameters moved away from where they started, so that nothing is zero."""
    rng = np.random.default_rng(seed)
    transform.astype("float64")
    with mg.no_grad():
        for parameter in transform.parameters():
            parameter[...] = parameter + t(size * rng.standard_normal(parameter.shape))
    return transform


def dense_log_abs_det(transform, x, context=None):
    """log |det ∂y/∂x| for each event of x (N, *event), by slogdet of dense Jacobians, one event at a time."""
    values = []
    for i, event in enumerate(x):
        c = None if context is None else context[i]
        J = mg.jacobian(lambda e: transform(e, c)[0], t(event)).numpy()
        values.append(np.linalg.slogdet(J.reshape(event.size, event.size))[1])
    return np.array(values)


def assert_contract(transform, x, context=None, rtol=1e-8, thorough=True):
    """Eq. (2) of `minigen.flows.base` at x (N, *event) in float64; if ``thorough`` by the tutor too, and all gradients.
    """
    x, context = np.asarray(x, dtype=np.float64), None if context is None else t(context)
    y, log_abs_det = transform(t(x), context)
    back, inverse_log_abs_det = transform.inverse(y, context)
    assert log_abs_det.shape == inverse_log_abs_det.shape == (len(x),)
    np.testing.assert_allclose(log_abs_det.numpy(), dense_log_abs_det(transform, x, context), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(inverse_log_abs_det.numpy(), -log_abs_det.numpy(), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(back.numpy(), x, rtol=rtol, atol=rtol)
    assert y.shape[1:] == transform.forward_shape(x.shape[1:])
    assert transform.inverse_shape(y.shape[1:]) == x.shape[1:]

    assert_leading_axes(transform, x, context)
    if thorough:
        check.bijection(lambda x: transform(x, context), lambda y: transform.inverse(y, context), x=x).raise_if_failed()
        for T, at in ((transform.forward, x), (transform.inverse, y.numpy())):
            assert_gradients(lambda a, T=T: log_density(T, a, context), at, orders=1)
            assert_parameter_gradients(transform, lambda T=T, at=at: log_density(T, t(at), context))


def log_density(T, x, context=None):
    """log N(T(x); 0, I) + log |det ∂T/∂x| up to a constant, (N,): the density of a flow, smooth wherever T is."""
    z, log_abs_det = T(x, context)
    return log_abs_det - 0.5 * (z * z).sum(axis=tuple(range(1, z.ndim)))


def assert_leading_axes(transform, x, context=None):
    """Any axes in front, none too, give what one batch axis gives."""
    whole, n = [out.numpy() for out in transform(t(x), context)], len(x)
    for lead in ((n, 1), (1, n)):
        c = None if context is None else context.reshape((*lead, context.shape[-1]))
        for out, expected in zip(transform(t(x.reshape((*lead, *x.shape[1:]))), c), whole):
            assert out.shape == lead + expected.shape[1:]
            np.testing.assert_allclose(out.numpy(), expected.reshape(out.shape), rtol=1e-12, atol=1e-12)
    for out, expected in zip(transform(t(x[0]), None if context is None else context[0]), whole):
        assert out.shape == expected.shape[1:]
        np.testing.assert_allclose(out.numpy(), expected[0], rtol=1e-12, atol=1e-12)


def assert_parameter_gradients(transform, f, step=1e-5):
    """The gradient of Σ c f() with respect to all parameters, along one random direction, against a difference."""
    parameters, rng = [p for p in transform.parameters() if p.requires_grad], np.random.default_rng(7)
    if not parameters:
        return
    c = t(rng.standard_normal(f().shape))
    ours = mg.grad((c * f()).sum(), parameters)
    directions = [rng.standard_normal(p.shape) for p in parameters]

    def moved(distance):
        with mg.no_grad():
            for p, d in zip(parameters, directions):
                p[...] = p + t(distance * d)
            value = (c * f()).sum().item()
            for p, d in zip(parameters, directions):
                p[...] = p - t(distance * d)
        return value

    numeric = (moved(step) - moved(-step)) / (2 * step)
    along = sum(float(np.sum(g.numpy() * d)) for g, d in zip(ours, directions))
    np.testing.assert_allclose(along, numeric, rtol=1e-5, atol=1e-6)


def assert_float32(transform, x, context=None, atol=1e-5):
    """In float32: everything is float32, and the round trip returns to ``atol`` of the size of x."""
    transform.astype("float32")
    context = None if context is None else t(context, "float32")
    y, log_abs_det = transform(t(x, "float32"), context)
    back, inverse_log_abs_det = transform.inverse(y, context)
    assert {a.dtype for a in (y, log_abs_det, back, inverse_log_abs_det)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(back.numpy(), x, rtol=atol, atol=atol)
    np.testing.assert_allclose(inverse_log_abs_det.numpy(), -log_abs_det.numpy(), rtol=atol, atol=atol)


def assert_saved(transform, twin, x, context=None):
    """What was saved and loaded into ``twin``, built alike but from another seed, gives the same bits."""
    twin.astype(next(iter([*transform.parameters(), t(0)])).dtype)
    twin.load_state_dict(transform.state_dict())
    for ours, theirs in zip(transform(t(x), context), twin(t(x), context)):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
