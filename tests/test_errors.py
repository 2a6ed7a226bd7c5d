"""What an error says: the op, the shapes, dtypes and devices it got, and the reason. Devices never mix silently."""
import numpy as np
import pytest

import minigen as mg

both = pytest.mark.usefixtures("backend")


@both
def test_an_error_names_the_op_shapes_and_dtypes():
    a, b = mg.tensor(np.ones((2, 3), "float32")), mg.tensor(np.ones((4,)))
    with pytest.raises(ValueError, match=r"add: .*; got a \(2, 3\) float32.* and b \(4,\) float64"):
        a + b

    @mg.primitive
    def pile(xp, *xs, axis=0):
        return xp.concatenate(xs, axis=axis)

    with pytest.raises(ValueError, match=r"pile: .*; got xs\[0\] \(2, 3\) float32.* and xs\[1\] \(4,\) .*axis=1"):
        pile(a, b, axis=1)


def test_an_error_on_a_device_names_it():
    with mg.use("strict"):
        a, b = mg.tensor(np.ones(2)), mg.tensor(np.ones(3))
        with pytest.raises(ValueError, match=r"add: .*got a \(2,\) float64 on strict and b \(3,\) float64 on strict"):
            a + b


MIXED = {
    "add": lambda a, b: a + b, "a raw array": lambda a, b: a * b._array, "a raw array first": lambda a, b: b._array * a,
    "matmul": lambda a, b: a @ b, "where": lambda a, b: mg.where(a > 0, a, b), "maximum": mg.maximum,
    "concatenate": lambda a, b: mg.concatenate([a, b]), "stack": lambda a, b: mg.stack([a, b]),
    "einsum": lambda a, b: mg.einsum("i,i->", a, b), "a list": lambda a, b: mg.add(a, [b, b]),
}


@pytest.mark.parametrize("how", MIXED)
@pytest.mark.parametrize("swap", [False, True])
def test_devices_never_mix_silently(how, swap):
    a = mg.tensor([1.0, 2.0], requires_grad=True)
    with mg.use("strict"):
        b = mg.tensor([1.0, 2.0])
    a, b = (b, a) if swap else (a, b)
    with pytest.raises(TypeError, match="different devices|strict|the list holds a Tensor"):
        MIXED[how](a, b)


def test_the_message_for_mixed_devices():
    with mg.use("strict"):
        b = mg.tensor([1.0, 2.0])
    reason = r"its inputs live on different devices \(numpy, strict\); move one with .to\(...\)"
    with pytest.raises(TypeError, match=rf"add: {reason}; got a \(2,\) float32 and b \(2,\) float32 on strict"):
        mg.tensor([1.0, 2.0]) + b


@both
def test_an_index_of_another_device_is_refused(backend):
    other = "strict" if backend == "numpy" else "numpy"
    with mg.use(other):
        index = mg.tensor([0])
    with pytest.raises((TypeError, IndexError), match="different devices|strict"):
        mg.tensor([1.0, 2.0])[index]


def test_the_message_of_a_forward_is_kept_and_its_kind():
    @mg.primitive
    def picky(xp, x, *, mode="a"):
        raise {"a": ValueError, "b": TypeError, "c": IndexError, "d": ZeroDivisionError}[mode]("wants something else.")

    for mode, kind in zip("abcd", (ValueError, TypeError, IndexError, ValueError)):
        with pytest.raises(kind, match=rf"picky: wants something else; got x \(1,\) float32, mode='{mode}'"):
            picky([1.0], mode=mode)
