"""Primitives by family, and the table that gives Tensor its operators and methods.

Read them in this order: piecewise, elementwise, special, activations, reduce, scan, shape, join, index, linalg, einsum,
conv (with conv_geometry and conv_arrays), pool, resize; each stands on those before it. """
from minigen.ops import (activations, conv, create, einsum as _einsum, elementwise, index, join, linalg, piecewise,
                         pool, reduce, resize as _resize, scan, shape, special)
from minigen.ops.methods import attach

_families = (create, piecewise, elementwise, special, activations, reduce, scan, shape, join, index, linalg,
             _einsum, conv, pool, _resize)
__all__ = sorted({name for family in _families for name in family.__all__})
globals().update({name: getattr(family, name) for family in _families for name in family.__all__})
attach(globals())
