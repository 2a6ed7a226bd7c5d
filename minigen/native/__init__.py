"""Code compiled for this machine, where it has a C compiler; and how it is made.

NumPy runs one pass over memory for each operation, and OpenBLAS multiplies only matrices that are written down. A few
sums and elementwise chains are so much faster without these limits that they are there in C too:

* `minigen.native.sums`, ``sums.c``: products of matrices, and the three sums of `minigen.ops.conv_arrays` without
  copied windows;
* ``crew.c``: threads that share such work, quicker to call than Python's;
* `minigen.native.chains`: elementwise functions, written for arrays, as one loop, with ``elementary.h``.

Nothing needs it. Without a compiler, or with ``MINIGEN_NATIVE=0``, everything runs on NumPy, which defines what is
right: the tests run each compiled sum beside it. ``minigen doctor`` tells which holds.
"""
from minigen.native import sums
from minigen.native.build import describe
from minigen.native.chains import chain

__all__ = ["chain", "describe", "sums"]
