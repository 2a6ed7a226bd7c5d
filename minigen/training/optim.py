r"""Optimisers: SGD, RMSprop, Adam, AdamW.

With g the gradient of the loss with respect to θ and η the learning rate, one step of each is

**SGD** with momentum μ and weight decay λ (Polyak 1964; Nesterov's form after Sutskever et al. 2013):

    g ← g + λ θ                                                                                                 (1)
    b ← μ b + g                                                                                                 (2)
    θ ← θ − η b,        or, with Nesterov's look-ahead,   θ ← θ − η (g + μ b)                                   (3)

**RMSprop** (Tieleman and Hinton 2012, lecture 6.5):

    v ← α v + (1 − α) g²                                                                                        (4)
    θ ← θ − η g / (√v + ε)                                                                                      (5)

**Adam** (Kingma and Ba 2014, arXiv:1412.6980, Algorithm 1), at a parameter's t-th step:

    m ← β₁ m + (1 − β₁) g                                                                                       (6)
    v ← β₂ v + (1 − β₂) g²                                                                                      (7)
    m̂ = m / (1 − β₁ᵗ),    v̂ = v / (1 − β₂ᵗ)                                                                     (8)
    θ ← θ − η m̂ / (√v̂ + ε)                                                                                      (9)

We keep the discounted sums M = m / (1 − β₁) and V = v / (1 − β₂) instead of the averages, for which (6) and (7) read

    M ← β₁ M + g,    V ← β₂ V + g².                                                                            (10)

With the normalisers a = (1 − β₁) / (1 − β₁ᵗ) and c = √((1 − β₂) / (1 − β₂ᵗ)) we have m̂ = a M and √v̂ = c √V, so (9) is

    θ ← θ − (η a / c) · M / (√V + ε / c):                                                                      (11)

the same numbers in three passes over memory fewer, and g² is kept from underflow.

**AdamW** (Loshchilov and Hutter 2017, arXiv:1711.05101) decays the weights apart from the gradient, before (9):

    θ ← (1 − η λ) θ.                                                                                           (12)

ε stands outside the root, and weight decay is scaled by η, as in PyTorch.
"""
import math

from minigen import backend
from minigen.tensor import Tensor
from minigen.training.blocks import Blockwise
from minigen.training.bundle import bundles


class Optimizer:
    """What all optimisers share: the parameters, the learning rate, and the state of each parameter.

    A subclass names its state arrays in ``slots`` and gives `_change`, which updates one parameter.

    Args:
        parameters: iterable of Tensors that require grad, such as ``model.parameters()``.
        lr: learning rate, a number ≥ 0 or a function of the step (0, 1, 2, …), such as `schedules.cosine` makes.

    Raises ValueError for an empty list, a duplicate, a parameter that requires no grad, or a setting out of range;
    TypeError for what is no parameter.
    """
    slots = ()

    def __init__(self, parameters, lr):
        self.parameters = self._checked(parameters)
        self.lr, self.steps = lr, 0
        self.rate()                                                           # a bad lr is told here, not in step 1
        self.state = [self._fresh(p) for p in self.parameters]
        self._bundles, self._others = bundles(self.parameters, self.state, self.slots)

    # ---- training ------------------------------------------------------------------------------------------------
    def step(self):
        """Move every parameter that has a gradient. A parameter whose ``grad`` is None stays, and its state too."""
        lr, alone = self.rate(), list(self._others)
        for bundle in self._bundles:
            flat = bundle.gather()
            if flat is None:
                alone += zip(bundle.parameters, bundle.states)
                continue
            for state in bundle.states:
                state["t"] += 1
            self._change(bundle.xp, *flat, {"t": state["t"], **bundle.state}, lr)
            bundle.scatter(flat[0])
        for parameter, state in alone:
            if parameter.grad is not None:
                state["t"] += 1
                self._change(self._home(parameter, state), parameter._array, parameter.grad._array, state, lr)
                parameter._version[0] += 1
        self.steps += 1

    def zero_grad(self):
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def rate(self):
        """The learning rate of the next step. Raises ValueError unless it is a finite number ≥ 0."""
        lr = float(self.lr(self.steps) if callable(self.lr) else self.lr)
        if not 0 <= lr < math.inf:
            raise ValueError(f"{self._name}: lr must be a finite number ≥ 0, got {lr} at step {self.steps}")
        return lr

    def _change(self, xp, theta, g, state, lr):
        """Update the array ``theta`` and the arrays of ``state`` in place, from the gradient ``g``."""
        raise NotImplementedError

    # ---- state ---------------------------------------------------------------------------------------------------
    def state_dict(self):
        """Everything that the next step depends on, apart from the settings, as NumPy arrays and numbers."""
        return {"optimizer": self._name, "steps": self.steps,
                "parameters": [{"t": state["t"], **{slot: backend.of(state[slot]).to_numpy(state[slot])
                                                    for slot in self.slots}} for state in self.state]}

    def load_state_dict(self, saved):
        """Continue from `state_dict`. Raises ValueError, and changes nothing, if another optimiser or model made it."""
        if saved.get("optimizer") != self._name:
            raise ValueError(f"{self._name}: this state belongs to {saved.get('optimizer')}; make the optimiser anew")
        if len(saved["parameters"]) != len(self.parameters):
            raise ValueError(f"{self._name}: this state is of {len(saved['parameters'])} parameters, the optimiser has "
                             f"{len(self.parameters)}; make it with the same parameters in the same order")
        for i, (parameter, state) in enumerate(zip(self.parameters, saved["parameters"])):
            for slot in self.slots:
                if slot not in state or state[slot].shape != parameter.shape:
                    got = f"has shape {state[slot].shape}" if slot in state else "is missing"
                    raise ValueError(f"{self._name}: {slot!r} of {_describe(i, parameter)} {got} in this state; make "
                                     "the optimiser with the same parameters and settings")
        self.steps = saved["steps"]
        for mine, state in zip(self.state, saved["parameters"]):
            mine["t"] = state["t"]
            for slot in self.slots:
                mine[slot][...] = backend.of(mine[slot]).from_numpy(state[slot].astype(mine[slot].dtype, copy=False))

    # ---- inside --------------------------------------------------------------------------------------------------
    @property
    def _name(self):
        return type(self).__name__

    def _fresh(self, parameter):
        """State before the first step: t = 0, and zeros (C-contiguous) for every slot."""
        xp = backend.of(parameter._array)
        return {"t": 0, **{slot: xp.zeros(parameter.shape, dtype=parameter.dtype) for slot in self.slots}}

    def _home(self, parameter, state):
        """The backend where parameter, gradient and state live together."""
        arrays = (parameter._array, parameter.grad._array, *(state[slot] for slot in self.slots))
        homes = {backend.of(array) for array in arrays}
        if len(homes) > 1:
            raise TypeError(f"{self._name}: a parameter, its gradient and its state live on different devices "
                            f"({', '.join(sorted(h.name for h in homes))}); make the optimiser after moving the model")
        return homes.pop()

    def _checked(self, parameters):
        if hasattr(parameters, "parameters"):
            raise TypeError(f"{self._name}: got a module; pass its parameters: {self._name}(model.parameters(), lr=…)")
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        if not parameters:
            raise ValueError(f"{self._name}: got no parameters to train; an iterator such as model.parameters() is "
                             "empty once it has been used")
        seen = {}
        for i, parameter in enumerate(parameters):
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{self._name}: parameters must be Tensors, item {i} is a {type(parameter).__name__}")
            if not parameter.requires_grad or not parameter.is_leaf:
                why = "requires no grad" if not parameter.requires_grad else "was computed by an op, so it has no grad"
                raise ValueError(f"{self._name}: {_describe(i, parameter)} {why}; leave it out, or pass the leaf")
            if id(parameter) in seen:
                raise ValueError(f"{self._name}: {_describe(i, parameter)} is also parameter {seen[id(parameter)]}; a "
                                 "shared parameter may be given once only")
            seen[id(parameter)] = i
        return parameters

    def _wants(self, **ranges):
        """Raise ValueError for a setting outside [low, high)."""
        for setting, (value, low, high) in ranges.items():
            if not low <= value < high:
                raise ValueError(f"{self._name}: {setting} must be in [{low}, {high}), got {value}")

    def __repr__(self):
        lr = "a schedule" if callable(self.lr) else self.lr
        return f"<{self._name} lr={lr}, {len(self.parameters)} parameters, {self.steps} steps>"


def _describe(i, parameter):
    return f"parameter {i}" + (f" ({parameter.name!r})" if parameter.name else "") + f" of shape {parameter.shape}"


# ---- stochastic gradient descent -------------------------------------------------------------------------------------
@Blockwise
def _sgd(xp, theta, g, lr):
    theta -= lr * g                                                             # Eq. (3), μ = 0


@Blockwise
def _heavy_ball(xp, theta, g, b, lr, momentum):
    b *= momentum
    b += g                                                                      # Eq. (2)
    theta -= lr * b                                                             # Eq. (3)


@Blockwise
def _nesterov(xp, theta, g, b, lr, momentum):
    b *= momentum
    b += g                                                                      # Eq. (2)
    theta -= lr * (g + momentum * b)                                            # Eq. (3), looking ahead


class SGD(Optimizer):
    """Stochastic gradient descent, Eqs. (1)-(3).

    Args:
        momentum: μ in [0, 1). nesterov: look ahead (needs momentum). weight_decay: λ ≥ 0, added to the gradient.
    """

    def __init__(self, parameters, lr=0.01, *, momentum=0.0, nesterov=False, weight_decay=0.0):
        self._wants(momentum=(momentum, 0, 1), weight_decay=(weight_decay, 0, math.inf))
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov=True looks ahead along the momentum; give momentum too, such as 0.9")
        self.slots = ("b",) if momentum else ()
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay
        super().__init__(parameters, lr)

    def _change(self, xp, theta, g, state, lr):
        if self.weight_decay:
            g = g + self.weight_decay * theta                                   # Eq. (1)
        if self.momentum:
            kernel = _nesterov if self.nesterov else _heavy_ball
            kernel(xp, (theta, g, state["b"]), lr, self.momentum)
        else:
            _sgd(xp, (theta, g), lr)


# ---- adaptive step sizes ---------------------------------------------------------------------------------------------
@Blockwise
def _rmsprop(xp, theta, g, v, lr, alpha, eps):
    v *= alpha
    v += (1 - alpha) * g * g                                                    # Eq. (4)
    theta -= lr * g / (xp.sqrt(v) + eps)                                        # Eq. (5)


class RMSprop(Optimizer):
    """Divide the gradient by a running average of its magnitude, Eqs. (4)-(5).

    Args:
        alpha: α in [0, 1), the memory of the average. eps: ε ≥ 0, added outside the root.
    """
    slots = ("v",)

    def __init__(self, parameters, lr=0.01, *, alpha=0.99, eps=1e-8):
        self._wants(alpha=(alpha, 0, 1), eps=(eps, 0, math.inf))
        self.alpha, self.eps = alpha, eps
        super().__init__(parameters, lr)

    def _change(self, xp, theta, g, state, lr):
        _rmsprop(xp, (theta, g, state["v"]), lr, self.alpha, self.eps)


@Blockwise
def _adam(xp, theta, g, M, V, rate, beta1, beta2, eps):
    M *= beta1
    M += g                                                                      # Eq. (10)
    V *= beta2
    V += g * g                                                                  # Eq. (10)
    step = xp.sqrt(V)                                                           # Eq. (11), in two buffers
    step += eps
    step = M / step
    step *= rate
    theta -= step


@Blockwise
def _adamw(xp, theta, g, M, V, rate, beta1, beta2, eps, keep):
    theta *= keep                                                               # Eq. (12)
    _adam.update(xp, theta, g, M, V, rate, beta1, beta2, eps)


class Adam(Optimizer):
    """Adaptive moments, Eqs. (6)-(9), computed as Eqs. (10)-(11).

    Args:
        betas: (β₁, β₂) in [0, 1), the memories of the first and second moment. eps: ε ≥ 0, added outside the root.
    """
    slots = ("M", "V")

    def __init__(self, parameters, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8):
        self._wants(beta1=(betas[0], 0, 1), beta2=(betas[1], 0, 1), eps=(eps, 0, math.inf))
        self.betas, self.eps = tuple(betas), eps
        super().__init__(parameters, lr)

    def _change(self, xp, theta, g, state, lr):
        _adam(xp, (theta, g, state["M"], state["V"]), *self._numbers(state["t"], lr))

    def _numbers(self, t, lr):
        """The numbers of Eqs. (10)-(11) at step t: η a / c, β₁, β₂, ε / c."""
        beta1, beta2 = self.betas
        a = (1 - beta1) / (1 - beta1 ** t)                                      # m̂ = a M
        c = math.sqrt((1 - beta2) / (1 - beta2 ** t))                           # √v̂ = c √V
        return lr * a / c, beta1, beta2, self.eps / c


class AdamW(Adam):
    """Adam with decoupled weight decay, Eqs. (10)-(12).

    Args:
        weight_decay: λ ≥ 0. betas, eps: as for `Adam`.
    """

    def __init__(self, parameters, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self._wants(weight_decay=(weight_decay, 0, math.inf))
        self.weight_decay = weight_decay
        super().__init__(parameters, lr, betas=betas, eps=eps)

    def _change(self, xp, theta, g, state, lr):
        arrays = (theta, g, state["M"], state["V"])
        _adamw(xp, arrays, *self._numbers(state["t"], lr), 1 - lr * self.weight_decay)
