r"""Convolution layers, features last. The sums they compute, and their shapes, are told in `minigen.ops.conv`.

With fan_in = KH · KW · C/G, the numbers that each output of a convolution reads, the initialisers of `minigen.nn.init`
apply to the kernel (KH, KW, C/G, O) as they stand: all its axes but the last count.
"""
from minigen.nn.init import fans, initial, zeros
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.ops.conv import conv1d, conv2d, conv2d_transpose
from minigen.ops.conv_geometry import per_axis
from minigen.random import as_generator


class _Convolution(Module):
    """What the layers of this file share: a kernel, a bias, settings of the op, and errors that name the layer.

    Subclasses say over how many ``axes`` they slide, and which op they are.
    """
    axes, transposed = 2, False

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, *,
                 rng, weight_init="torch", **settings):
        name, rng = type(self).__name__, as_generator(rng)
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: wants at least one channel in and out, and groups that divide both, got "
                             f"{in_channels} and {out_channels} channels, groups={groups}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.axes)
        self.settings = dict(stride=stride, padding=padding, dilation=dilation, groups=groups, **settings)
        under, over = (out_channels, in_channels) if self.transposed else (in_channels, out_channels)
        shape = (*self.kernel_size, under // groups, over)
        self.weight = Parameter(initial(weight_init, shape, rng))
        self.bias = None
        if bias:
            bound = fans(shape)[0] ** -0.5
            self.bias = Parameter(rng.uniform(-bound, bound, out_channels) if weight_init == "torch"
                                  else zeros(out_channels, rng))

    def forward(self, x):
        self.expect_features(x, self.in_channels)
        try:
            return self._op(x, self.weight, self.bias, **self.settings)
        except ValueError as error:
            raise ValueError(f"{self.label()}: {error}") from None

    def describe(self):
        special = [f"{key}={value!r}" for key, value in self.settings.items() if value != _USUAL[key]]
        size = self.kernel_size[0] if len(set(self.kernel_size)) == 1 else self.kernel_size
        return ", ".join([f"{self.in_channels}, {self.out_channels}, {size}", *special,
                          *(["bias=False"] if self.bias is None else [])])


_USUAL = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros", "output_padding": 0}


class Conv2d(_Convolution):
    """Convolution of images: (N, H, W, in_channels) → (N, H′, W′, out_channels).

    Args:
        kernel_size, stride, dilation: an int, or one for each of H and W.
        padding: an int, a pair, two pairs, ``"same"`` or ``"valid"``, as in `minigen.conv2d`.
        groups: the channels in and out are divided into so many groups, each with its own kernel.
        padding_mode: ``"zeros"`` or ``"reflect"``.
        bias, rng, weight_init: as in `minigen.nn.Linear`, with fan_in = KH · KW · in_channels / groups.

    Attributes:
        weight: (KH, KW, in_channels / groups, out_channels). bias: (out_channels,), or None.

    Raises ValueError for sizes that do not fit, at the start or for an input.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
                 padding_mode="zeros", *, rng, weight_init="torch"):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, rng=rng,
                         weight_init=weight_init, padding_mode=padding_mode)

    def _op(self, x, weight, bias, **settings):
        return conv2d(x, weight, bias, **settings)


class Conv1d(Conv2d):
    """Convolution of sequences: (N, T, in_channels) → (N, T′, out_channels). Arguments as in `Conv2d`.

    ``padding`` may be ``"causal"`` too: y[t] sees x[0] … x[t] alone, and T′ = T at stride 1.

    Attributes:
        weight: (K, in_channels / groups, out_channels). bias: (out_channels,), or None.
    """
    axes = 1

    def _op(self, x, weight, bias, **settings):
        return conv1d(x, weight, bias, **settings)


class ConvTranspose2d(_Convolution):
    """Transposed convolution of images: (N, H, W, in_channels) → (N, H′, W′, out_channels), H′ ≈ stride · H.

    It is the adjoint of the convolution from out_channels to in_channels with the same kernel, so the kernel is that
    one's, and so is the fan_in that its initialiser sees, KH · KW · out_channels / groups (as in PyTorch).

    Args:
        output_padding: chooses among the H′ that the stride leaves open, as in `minigen.conv2d_transpose`.
        The others as in `Conv2d`. ``padding="same"`` gives H′ = stride · H.

    Attributes:
        weight: (KH, KW, out_channels / groups, in_channels). bias: (out_channels,), or None.
    """
    transposed = True

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
                 output_padding=0, *, rng, weight_init="torch"):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, rng=rng,
                         weight_init=weight_init, output_padding=output_padding)

    def _op(self, x, weight, bias, **settings):
        return conv2d_transpose(x, weight, bias, **settings)
