"""Parameter and Buffer: the Tensors that a Module owns and saves."""
from minigen.tensor import Tensor, to_array


class State(Tensor):
    """A leaf Tensor that belongs to a Module and is part of its ``state_dict()``: a `Parameter` or a `Buffer`."""
    __slots__ = ()

    def __init__(self, values, requires_grad=False):
        array = values._array.copy() if isinstance(values, Tensor) else to_array(values, copy=True)
        if requires_grad and array.dtype.kind != "f":
            raise TypeError(f"{type(self).__name__}: only floating dtypes can be trained, got {array.dtype} "
                            f"{array.shape}; keep other numbers in a Buffer")
        super().__init__(array, requires_grad=requires_grad)

    def __deepcopy__(self, memo):
        twin = type(self)(self, requires_grad=self.requires_grad)
        twin.name = self.name
        return twin


class Parameter(State):
    """A State that is trained. Copies ``values`` (a Tensor stays on its backend, without its history).

    Raises TypeError if they are not floating.
    """
    __slots__ = ()

    def __init__(self, values, requires_grad=True):
        super().__init__(values, requires_grad)


class Buffer(State):
    """A State that is saved but not trained, such as a running mean. Change it by ``buffer[...] = value``."""
    __slots__ = ()
