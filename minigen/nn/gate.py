r"""The gated activation of WaveNet and of the gated PixelCNN.

A. van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", 2016, arXiv:1606.05328, Eq. (2). Of two
halves of the features one says what, the other how much of it:

    y = tanh(a) ⊙ σ(b),    ā = ȳ ⊙ σ(b) ⊙ (1 − tanh² a),    b̄ = ȳ ⊙ tanh(a) ⊙ σ(b) ⊙ (1 − σ(b)).                 (1)
"""
from minigen.ops.activations import sigmoid
from minigen.ops.elementwise import tanh
from minigen.ops.join import concatenate
from minigen.primitive import primitive


@primitive
def gated_tanh(xp, x):
    """tanh(a) σ(b) of the two halves a, b of the last axis, Eq. (1): (…, 2P) → (…, P)."""
    P, odd = divmod(x.shape[-1], 2)
    if odd:
        raise ValueError("wants an even number of features, half of them gates")
    return xp.tanh(x[..., :P]) * sigmoid.op.forward(xp, x[..., P:])


def _gated_tanh_vjp(g, x):
    P = x.shape[-1] // 2
    t, s = tanh(x[..., :P]), sigmoid(x[..., P:])
    g = g * s
    return concatenate([g * (1 - t * t), g * t * (1 - s)], axis=-1)


gated_tanh.vjp(_gated_tanh_vjp)


def gated_tanh_composite(x):
    """`gated_tanh` by smaller ops."""
    P = x.shape[-1] // 2
    return tanh(x[..., :P]) * sigmoid(x[..., P:])
