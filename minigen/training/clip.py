r"""Gradient clipping: keep one bad batch from throwing the parameters away.

By norm (Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063): all gradients are scaled together, so that the direction
is kept,

    g ← g · min(1, c / (‖g‖ + 10⁻⁶)),        ‖g‖² = Σ over all parameters of Σᵢ gᵢ².                             (1)

By value: every element is held to [−c, c]; the direction changes.
"""
from minigen import backend
from minigen.tensor import Tensor


def clip_grad_norm(parameters, max_norm):
    """Scale the gradients in place so that their joint norm is at most ``max_norm``, Eq. (1).

    Returns the norm before scaling as a 0-d Tensor, which on a GPU is still being computed: nothing waits for it
    here. A norm that is infinite or NaN makes the gradients NaN; look at it before the optimiser's step. Raises
    ValueError unless max_norm > 0.
    """
    gradients = _gradients("clip_grad_norm", parameters, max_norm)
    if not gradients:
        return Tensor(backend.current().zeros(()))
    xp = backend.of(gradients[0]._array)
    norm = xp.sqrt(sum(xp.vdot(g._array, g._array) for g in gradients))
    scale = xp.minimum(max_norm / (norm + 1e-6), 1.0)                                                   # Eq. (1)
    for g in gradients:
        array = g._array
        array *= scale
        g._version[0] += 1
    return Tensor(xp.asarray(norm))


def clip_grad_value(parameters, limit):
    """Hold every element of the gradients to [−limit, limit], in place. Raises ValueError unless limit > 0."""
    for g in _gradients("clip_grad_value", parameters, limit):
        xp = backend.of(g._array)
        xp.clip(g._array, -limit, limit, out=g._array)
        g._version[0] += 1


def _gradients(name, parameters, limit):
    if not limit > 0:
        raise ValueError(f"{name}: the limit must be a number > 0, got {limit}")
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in parameters if p.grad is not None]
