r"""Autoregressive layers: each entry is moved by a map that depends on all entries before it.

G. Papamakarios, T. Pavlakou and I. Murray, "Masked Autoregressive Flow for Density Estimation", 2017, arXiv:1705.07057;
D. P. Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016, arXiv:1606.04934. In some
order of the entries, with a monotone map f of one number (`minigen.flows.scalar`),

    y_i = f(x_i; θ_i),    θ_i = θ_i(x_1, …, x_{i−1}).                                                            (1)

The Jacobian is triangular, so

    log |det ∂y/∂x| = Σ_i log f′(x_i; θ_i).                                                                      (2)

**Two speeds.** A masked network computes all θ_i in one pass if all of x is known: that is the forward direction. The
inverse must go entry by entry,

    x_1 = f⁻¹(y_1; θ_1),    x_2 = f⁻¹(y_2; θ_2(x_1)),    …,    x_D = f⁻¹(y_D; θ_D(x_1, …, x_{D−1})),             (3)

D passes one after another. *MAF* uses the forward direction from data to noise: densities at once, samples slowly.
*IAF* is the other way round, `Inverse` of this layer: x_i = f(z_i; θ_i(z_<i)) gives samples at once, and the density
of given data slowly. With f = `StandardiseMap`, MAF's conditionals are p(x_i | x_<i) = N(μ_i, e^(2α_i)).

**Only what is needed.** Where no gradient is wanted the D passes of (3) share their work. In a `MaskedMLP` a hidden
unit of degree m sees the first m entries only, so its value is final once these are known. We compute each unit at the
step at which its inputs are complete, and then the outputs of the next entry: over D steps every weight that is not
masked is used once, which is the arithmetic of a single pass.
"""
import numpy as np

from minigen.flows.base import Transform
from minigen.flows.scalar import StandardiseMap
from minigen.nn import MaskedMLP
from minigen.ops.create import zeros_like
from minigen.ops.index import take
from minigen.ops.join import stack
from minigen.primitive import is_recording


class Autoregressive(Transform):
    """Eqs. (1) to (3) on vectors (…, D).

    Args:
        conditioner: a Module from x (…, D), and the context where there is one, to θ (…, D, P), such as a `MaskedMLP`
            with ``outputs=P``. θ_i must depend on nothing but the entries before i in ``conditioner.order`` (a
            permutation of 0 … D − 1; without that attribute, as they stand).
        map: a ScalarMap with P parameters; by default MAF's.

    Raises ValueError where the conditioner returns another shape.
    """

    def __init__(self, conditioner, map=None):
        self.conditioner, self.map = conditioner, StandardiseMap() if map is None else map

    def forward(self, x, context=None):
        y, log_slope = self.map.forward(x, self._parameters(x, context))                                      # Eq. (1)
        return y, self.sum_event(log_slope)                                                                   # Eq. (2)

    def inverse(self, y, context=None):
        self.expect_event(y)
        if isinstance(self.conditioner, MaskedMLP) and not is_recording():
            return self._inverse_shared(y, context)
        return self._inverse_by_passes(y, context)

    def _inverse_by_passes(self, y, context):
        """Eq. (3) by D whole passes, through which gradients flow."""
        D = y.shape[-1]
        x, log_abs_det = [zeros_like(y[..., 0])] * D, 0.0
        for i in getattr(self.conditioner, "order", range(D)):
            theta = self._parameters(stack(x, axis=-1), context)[..., int(i), :]
            x[int(i)], log_slope = self.map.inverse(y[..., int(i)], theta)
            log_abs_det = log_abs_det + log_slope
        return stack(x, axis=-1), log_abs_det

    def _inverse_shared(self, y, context):
        """Eq. (3) for the price of one pass, without gradients."""
        network = GrowingPass(self.conditioner, y, context)
        x, log_abs_det = zeros_like(y), zeros_like(y[..., 0])
        for i in self.conditioner.order.tolist():
            x_i, log_slope = self.map.inverse(y[..., i], network.outputs())
            network.tell(x_i)
            x[..., i] = x_i
            log_abs_det = log_abs_det + log_slope
        return x, log_abs_det

    def _parameters(self, x, context):
        """θ, (…, D, P)."""
        self.expect_event(x)
        theta = self.conditioner(x) if context is None else self.conditioner(x, context)
        if theta.shape != (*x.shape, self.map.parameters):
            raise ValueError(f"{self.label()}: the conditioner must return {self.map.parameters} numbers for each "
                             f"entry, {(*x.shape, self.map.parameters)}, for an input {x.shape}; it returned "
                             f"{theta.shape}")
        return theta

    def describe(self):
        return repr(self.map)


class GrowingPass:
    """A pass through a `MaskedMLP` whose inputs become known one by one, in its order. For use inside `no_grad`.

        network = GrowingPass(mlp, like=x)
        for i in mlp.order:
            theta = network.outputs()                   # of entry i, (…, K)
            network.tell(choose(theta))                 # x_i, (…)

    Args:
        network: the MaskedMLP. like: a Tensor (…, D) such as its input. context: as the network's.

    Units are sorted by how many inputs they see, so that those which are final always come first in their layer.
    """

    def __init__(self, network, like, context=None):
        self.network, self.known = network, 0
        order, known_at = network.order, 1 + np.argsort(network.order)         # at which step each input, each unit is
        self.weights, self.values = [], [zeros_like(like)]
        self.final = [np.arange(network.features + 1)]                         # how many of a layer are, at each step
        self.biases = [layer.bias for layer in network.layers]
        if context is not None:
            self.biases[0] = network.context(context) + self.biases[0]
        for k, layer in enumerate(network.layers[:-1]):
            known_at = (layer.mask.numpy() * known_at[:, None]).max(axis=0)
            units = np.argsort(known_at, kind="stable")
            self.weights.append(_sorted(layer, order, units))
            self.biases[k] = take(self.biases[k], units, axis=-1)
            self.values.append(zeros_like(like[..., :1] * layer.bias))
            self.final.append(np.searchsorted(known_at[units], self.final[0], side="right"))
            order = units
        self.last = _sorted(network.layers[-1], order)
        self.skip = None if network.skip is None else _sorted(network.skip, network.order)
        self._finish(0)

    def tell(self, x_i):
        """The value (…) of the entry that `outputs` was of."""
        self.values[0][..., self.known] = x_i
        self.known += 1
        self._finish(self.known)

    def _finish(self, n):
        """Compute the units that became final with the n-th entry."""
        for k, weight in enumerate(self.weights):
            below = int(self.final[k][n])
            new = slice(int(self.final[k + 1][n - 1]) if n else 0, int(self.final[k + 1][n]))
            if new.start < new.stop:
                h = self.values[k][..., :below] @ weight[:below, new] + self.biases[k][..., new]
                self.values[k + 1][..., new] = self.network.activation(h)

    def outputs(self):
        """The K numbers of the next entry, (…, K)."""
        i, K = int(self.network.order[self.known]), self.network.outputs
        mine, below = slice(i * K, (i + 1) * K), int(self.final[-1][self.known])
        out = self.values[-1][..., :below] @ self.last[:below, mine] + self.biases[-1][..., mine]
        if self.skip is not None:
            out = out + self.values[0][..., :self.known] @ self.skip[:self.known, mine]
        return out


def _sorted(layer, rows, columns=None):
    """The masked weight of a layer with its rows, and columns, in this order."""
    weight = take(layer.weight * layer.mask, rows, axis=0)
    return weight if columns is None else take(weight, columns, axis=1)
