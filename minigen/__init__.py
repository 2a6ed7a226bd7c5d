"""minigen: deep generative models from scratch, on an autograd engine small enough to read.

    import minigen as mg
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()          # x.grad is [2, 4]

The engine and all ops are here (``mg.grad``, ``mg.exp``); the floors above are submodules, loaded when first used:
``mg.nn``, ``mg.distributions``, ``mg.check``, ``mg.data``, ``mg.viz``, ``mg.models``, ``mg.training``, ``mg.recipes``;
``mg.optim`` is short for ``mg.training.optim``.
"""
from minigen import levers

levers.apply()          # before NumPy is loaded

import importlib as _importlib  # noqa: E402

from minigen import backend, functional, ops, random  # noqa: E402
from minigen.autograd import backward, grad  # noqa: E402
from minigen.backend import BackendError, use  # noqa: E402
from minigen.derivatives import checkpoint, hessian, hvp, jacobian, jvp, vjp  # noqa: E402
from minigen.functional import *  # noqa: E402, F401, F403
from minigen.ops import *  # noqa: E402, F401, F403
from minigen.primitive import detect_anomaly, enable_grad, is_recording, no_grad, primitive  # noqa: E402
from minigen.tensor import Tensor, from_dlpack, tensor  # noqa: E402

__version__ = "0.1.0"
_floors = ("check", "data", "distributions", "flows", "metrics", "models", "museum", "nn", "recipes", "samplers",
           "training", "viz")
_lazy = {**{name: name for name in _floors}, "optim": "training.optim"}              # name here -> module
__all__ = ["BackendError", "Tensor", "backend", "backward", "checkpoint", "detect_anomaly", "enable_grad",
           "from_dlpack", "functional", "grad", "hessian", "hvp", "is_recording", "jacobian", "jvp", "no_grad", "ops",
           "primitive", "random", "tensor", "use", "vjp", *ops.__all__, *functional.__all__]


def __getattr__(name):
    if name in _lazy:
        return _importlib.import_module(f"minigen.{_lazy[name]}")
    raise AttributeError(f"module 'minigen' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_lazy})
