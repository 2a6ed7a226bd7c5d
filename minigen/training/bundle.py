"""Many small parameters as one flat array, so that an optimiser's update costs one call and not one for each.

An update of a bias of a hundred numbers takes as long as Python takes to call its ten passes. So the small parameters
of a model are bundled: their state lies in one array for each slot, of which the state of each parameter is a view, and
in a step their values and gradients are copied side by side, updated together, and copied back. An update is
elementwise, so the numbers are the same.
"""
import itertools

from minigen import backend

SMALL = 8192          # numbers in a parameter below which it is bundled


class Bundle:
    """Parameters of one backend and dtype, their states (dicts with "t" and an array for each slot), and ``state``,
    the slots as flat arrays."""

    def __init__(self, parameters, states, slots):
        self.parameters, self.states = parameters, states
        edges = list(itertools.accumulate((p.size for p in parameters), initial=0))
        self.parts = list(map(slice, edges, edges[1:]))
        first = parameters[0]._array
        self.xp, self.kind = backend.of(first), (type(first), first.dtype)
        self.state = {slot: self.xp.zeros(edges[-1], first.dtype) for slot in slots}
        for parameter, state, part in zip(parameters, states, self.parts):
            state.update({slot: flat[part].reshape(parameter.shape) for slot, flat in self.state.items()})

    def gather(self):
        """(θ, g) as flat arrays; None unless each parameter has a gradient, all have made as many steps, and nothing
        was moved since to another device or dtype."""
        if any(p.grad is None for p in self.parameters) or len({state["t"] for state in self.states}) != 1:
            return None
        values, gradients = [p._array for p in self.parameters], [p.grad._array for p in self.parameters]
        if any((type(array), array.dtype) != self.kind for array in values + gradients):
            return None
        return tuple(self.xp.concatenate([array.reshape(-1) for array in arrays]) for arrays in (values, gradients))

    def scatter(self, theta):
        """Put the flat ``theta`` back into the parameters."""
        for parameter, part in zip(self.parameters, self.parts):
            parameter._array[...] = theta[part].reshape(parameter.shape)
            parameter._version[0] += 1


def bundles(parameters, states, slots):
    """(Bundles of the small parameters, [(parameter, state)] of the others)."""
    groups, others = {}, []
    for parameter, state in zip(parameters, states):
        if parameter.size < SMALL:
            groups.setdefault((type(parameter._array), parameter.dtype), []).append((parameter, state))
        else:
            others.append((parameter, state))
    others += [pair for group in groups.values() if len(group) == 1 for pair in group]
    return [Bundle(*zip(*group), slots) for group in groups.values() if len(group) > 1], others
